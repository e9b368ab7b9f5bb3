"""The experiment's plan: which tables there will be, and that those that are there are kept."""

from pathlib import Path

from ucbd.app.studies.experiment import STAGES, Family, plan, run
from ucbd.models.reference.family import ARMS


def test_three_full_seeds_two_short_ones_and_five_families():
    families = list(plan([1, 2, 3], [4, 5], families=True))
    assert [(f.name, f.seed) for f in families[:5]] == [("llama", seed) for seed in (1, 2, 3, 4, 5)]
    assert [len(f.runs()) for f in families[:5]] == [2 + len(ARMS) + 9, 10, 10, 4, 4]
    assert [len(f.runs()) for f in families[5:]] == [len(STAGES)] * 5


def test_a_family_whose_tables_are_all_there_is_not_trained_again(tmp_path):
    family = Family("llama", 1, (), ("dpo",), temperatures=(0.3,))
    assert family.runs() == ["base", "sft", "dpo", "base@T0.3", "sft@T0.3", "dpo@T0.3"]
    for name in family.runs():
        table = tmp_path / "runs" / "llama" / "seed-1" / name / "run.json"
        table.parent.mkdir(parents=True)
        table.write_text("{}")
    run(family, tmp_path / "work", tmp_path / "runs")
    assert not (tmp_path / "work").exists()


def test_the_committed_tables_are_those_of_the_plan():
    """So that ``make alignment-tax`` on a clone makes the page and trains nothing."""
    kept = Path(__file__).parents[2] / "docs" / "alignment-tax" / "runs"
    planned = {
        family.folder(kept) / name
        for family in plan([1, 2, 3], [4, 5], families=True)
        for name in family.runs()
    }
    assert planned == {table.parent for table in kept.rglob("run.json")}
