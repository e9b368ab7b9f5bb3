"""The look of a diagnosis: that of every report, a slide on top, two columns, cards."""

from ucbd.cascade.evaluation.style import STYLE as REPORT_STYLE

STYLE = (
    REPORT_STYLE
    + """
:root { --faint: #d5dbe3; --bad: #b3261e; --good: #2e7d4f; }
@media (prefers-color-scheme: dark) { :root { --faint: #39434f;
  --bad: #ff8a80; --good: #7fd1a0; } }
body { max-width: 72rem; }
.slide { display: grid; grid-template-columns: minmax(20rem, 5fr) 7fr; gap: 2.5rem;
  align-items: center; padding: 1.5rem 0 2rem; border-bottom: 1px solid var(--rule); }
.eyebrow { margin: 0; color: var(--soft); font-weight: 600; overflow-wrap: anywhere; }
.big { margin: 0; font-size: clamp(3.5rem, 9vw, 6.5rem); font-weight: 700; line-height: 1.05;
  letter-spacing: -.03em; color: var(--s1); }
.slide h1 { margin: .4rem 0 .8rem; font-size: 1.55rem; line-height: 1.25; text-wrap: balance; }
.hidden { margin: 0 0 .8rem; font-size: 1.1rem; }
figure.questions { max-width: none; margin: 0; }
figure.questions svg { width: 100%; height: auto; }
.cell.one { fill: var(--s1); } .cell.several { fill: var(--faint); }
.cross { stroke-width: 1.8; fill: none; } .cross.one { stroke: var(--ground); }
.cross.several { stroke: var(--ink); }
figcaption .key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px;
  margin: 0 .35rem 0 1rem; vertical-align: -.05rem; }
figcaption .key:first-child { margin-left: 0; }
.key.one { background: var(--s1); } .key.several { background: var(--faint); }
.key.wrong { background: none; font-weight: 700; line-height: .8rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr));
  gap: 0 2.5rem; }
.columns section, .columns figure { min-width: 0; }
.columns svg { overflow: visible; } .columns svg text { font-size: 15px; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr));
  gap: .8rem; margin: .6rem 0; }
article { background: var(--card); border-radius: 8px; padding: .8rem 1rem; min-width: 0;
  overflow-wrap: anywhere; }
article h3 { font-size: .95rem; margin: 0 0 .4rem; line-height: 1.35; }
article ul { list-style: none; margin: 0; padding: 0; font-size: .9rem; }
article li { margin: .15rem 0; } .times { color: var(--soft); font-variant-numeric: tabular-nums; }
.facts, .more { color: var(--soft); font-size: .8rem; margin: .5rem 0 0; }
b.wrong { color: var(--bad); } b.right { color: var(--good); }
aside.notes { background: var(--card); border-left: 4px solid var(--s1); margin: 1.2rem 0;
  padding: .4rem 1rem; border-radius: 0 8px 8px 0; font-size: .92rem; }
aside.notes ul { margin: .3rem 0; padding-left: 1.1rem; }
details summary { cursor: pointer; color: var(--soft); }
td { overflow-wrap: anywhere; }
@media (max-width: 52rem) { .slide { grid-template-columns: 1fr; } }
@media print { body { max-width: none; } details { display: none; } }
"""
)
