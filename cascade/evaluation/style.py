"""The look of a report: its colours, light or dark as the reader's system is, and its type."""

STYLE = """
:root { --ink: #1c2430; --soft: #5b6675; --rule: #dfe3e8; --ground: #fff; --s0: #1f6fb2;
  --s1: #c2571a; --s2: #3c8d5a; --s3: #7a4fb5; --s4: #a07f14; --s5: #b83a78;
  --card: #f6f7f9; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b4; --rule: #333c48;
  --ground: #14181e; --s0: #6cb2ec; --s1: #f09a5e; --s2: #74c693; --s3: #b79bf0; --s4: #dcc066;
  --s5: #f08fbf; --card: #1c222b; } }
body { background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  max-width: 58rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.4rem; }
p.note, figcaption { color: var(--soft); font-size: .9rem; }
figure { margin: .5rem 0; max-width: 46rem; } svg { width: 100%; height: auto; }
div.wide { overflow-x: auto; }
table { margin-bottom: 1rem; border-collapse: collapse; font-size: .86rem;
  font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--rule); padding: .25rem .6rem; text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg text.axis { fill: var(--ink); } svg text.long { font-size: 9.5px; }
.grid { stroke: var(--rule); } .guide { stroke: var(--soft); stroke-dasharray: 4 4; fill: none; }
.s0 { fill: var(--s0); stroke: var(--s0); } .key0 { color: var(--s0); }
.s1 { fill: var(--s1); stroke: var(--s1); } .key1 { color: var(--s1); }
.s2 { fill: var(--s2); stroke: var(--s2); } .key2 { color: var(--s2); }
.s3 { fill: var(--s3); stroke: var(--s3); } .key3 { color: var(--s3); }
.s4 { fill: var(--s4); stroke: var(--s4); } .key4 { color: var(--s4); }
.s5 { fill: var(--s5); stroke: var(--s5); } .key5 { color: var(--s5); }
.line { stroke-width: 2; fill: none; } .box { fill-opacity: .35; }
.bar { fill-opacity: .6; } .median { stroke: var(--ink); stroke-width: 2; }
.key0, .key1, .key2, .key3, .key4, .key5 { font-weight: 600; }
.panels { display: grid; gap: 0 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.panels > * { min-width: 0; } .panels td:first-child { white-space: normal; }
.tiles { display: grid; gap: .8rem; margin: 1.2rem 0;
  grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); }
.tile { background: var(--card); border-radius: 8px; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .85rem; }
.warning { border-left: 4px solid var(--s1); background: var(--card); padding: .5rem .9rem;
  border-radius: 0 8px 8px 0; font-size: .92rem; }
details summary { cursor: pointer; color: var(--soft); }
@media (max-width: 40rem) { .rows svg { min-width: 32rem; } figure.rows { overflow-x: auto; } }
"""
