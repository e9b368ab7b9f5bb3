"""The alignment tax, measured: from scored records to ``docs/alignment-tax.md``.

``observe`` makes one run's small table from its records; ``python -m ucbd.cascade.alignment_tax
RUNS --out docs`` makes the page from a folder of such tables. Knows no engine and trains nothing.
"""
