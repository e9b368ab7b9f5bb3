"""The page made from a made-up runs folder: what was planted is what it says."""

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.alignment_tax.made_up import a_family, a_run, table
from ucbd.cascade.alignment_tax import arms, chosen
from ucbd.cascade.alignment_tax.__main__ import main, make
from ucbd.cascade.alignment_tax.aims import aims
from ucbd.cascade.alignment_tax.findings import findings
from ucbd.cascade.alignment_tax.observations import ObservationsUnreadable, write
from ucbd.cascade.alignment_tax.runs import ARMS, Runs, read_runs

PLOTS = ("arms", "auroc", "entropy", "selective", "stages", "sweeps")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_family(tmp_path_factory.mktemp("runs"), facts=100)


@pytest.fixture(scope="module")
def runs(folder: Path) -> Runs:
    return read_runs(folder)


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs")
    make(folder, out)
    return out


def test_a_runs_place_tells_its_family_seed_stage_and_sweep(runs: Runs) -> None:
    assert [run.seed for run in runs.seeds("dpo")] == [1, 2, 3]
    assert [run.temperature for run in runs.sweep("dpo", 1)] == [0.3, 0.7, 1.0, 1.5]
    assert runs.run("dpo", 1).temperature == 1.0  # type: ignore[union-attr]
    assert runs.seeds("dpo-no-likelihood") == []


def test_planted_rates_come_out_as_they_were_planted(runs: Runs) -> None:
    run = runs.run("dpo", 2)
    assert run is not None
    for clusterer, planted in (("oracle", 50), ("exact", 40), ("jaccard", 42), ("embedding", 50)):
        found = chosen.scr(run, clusterer)
        assert found is not None
        assert (found.hits, found.n) == (planted, 100)


def test_the_median_seed_is_that_of_the_default_arms_median_rate(tmp_path: Path) -> None:
    for seed, rate in ((1, 0.6), (2, 0.1), (3, 0.3)):
        single = {"oracle": seed / 10, "jaccard": rate}  # by the oracle it would be seed 2
        a_run(tmp_path / "llama" / f"seed-{seed}" / "dpo", single=single, seed=seed, facts=20)
    assert chosen.median_seed(read_runs(tmp_path)) == 3


def test_arms_are_told_by_what_they_collapse(runs: Runs) -> None:
    found = {arm: arms.verdict(runs, arm) for arm in ARMS}
    assert found["dpo"] == "values and form"
    assert found["brief"] == "form only"
    assert found["random"] == "neither"
    assert found["dpo-no-likelihood"] is None


def test_a_rate_that_rises_at_some_seeds_only_is_no_collapse(tmp_path: Path) -> None:
    for seed, rate in ((1, 0.9), (2, 0.9), (3, 0.0)):
        place = tmp_path / "llama" / f"seed-{seed}"
        a_run(place / "sft", single=0.1, seed=seed, facts=40)
        a_run(place / "dpo", single=rate, seed=seed, facts=40)
    assert arms.verdict(read_runs(tmp_path), "dpo") == "neither"


def test_an_arm_that_widens_is_said_to_widen(tmp_path: Path) -> None:
    place = tmp_path / "llama" / "seed-1"
    a_run(place / "sft", single=0.8, facts=40)
    a_run(place / "random", single=0.1, facts=40)
    assert arms.verdict(read_runs(tmp_path), "random") == "neither; both widen"


def test_the_page_opens_with_what_it_is(made: Path) -> None:
    text = (made / "alignment-tax.md").read_text("utf-8")
    assert text.splitlines()[2].startswith("This is a controlled model of the effect, not a repl")


def test_the_sentences_follow_the_runs(runs: Runs, folder: Path, tmp_path: Path) -> None:
    assert "form only: `brief`" in findings(runs)
    assert "1.0 % → 3.0 % → 50.0 % by value (oracle) (rising at every step at 3 of 3" in findings(
        runs
    )
    # The same folder with DPO and SFT changed places says the opposite.
    turned = tmp_path / "turned"
    shutil.copytree(folder, turned)
    for place in (turned / "llama").iterdir():
        (place / "dpo").rename(place / "once-dpo")
        (place / "sft").rename(place / "dpo")
        (place / "once-dpo").rename(place / "sft")
    said = findings(read_runs(turned))
    assert "1.0 % → 50.0 % → 3.0 % by value (oracle) (rising at every step at 0 of 3" in said
    assert "both widen: `dpo`" in said


def test_aims_are_met_and_missed_by_the_numbers(runs: Runs, made: Path) -> None:
    found = {aim.text: aim for aim in aims(runs)}
    questions = found["at least 2,000 questions about facts"]
    assert (questions.found, questions.met) == ("100", False)
    assert found["SCR by jaccard 0.4, DPO: 25.0 % to 80.0 %"].met is True
    assert found["SCR by embedding 0.85, base: at most 5.0 %"].met is False
    rows = (made / "alignment-tax.md").read_text("utf-8").splitlines()
    assert "| at least 2,000 questions about facts | 100 | **missed** |" in rows


def test_an_entropy_that_tells_nothing_misses_its_aims_and_is_said_to_be_chance(
    tmp_path: Path,
) -> None:
    a_run(tmp_path / "llama" / "seed-1" / "dpo", single=0.5, told=0.0)
    runs = read_runs(tmp_path)
    verdicts = [aim.met for aim in aims(runs) if "token entropy" in aim.text or "50 %" in aim.text]
    assert verdicts == [False] * 4
    assert "cannot be told from chance" in findings(runs)
    assert "ranks wrong answers above right ones" not in findings(runs)


def test_an_aim_whose_interval_reaches_one_half_is_missed_at_any_value(tmp_path: Path) -> None:
    place = tmp_path / "llama" / "seed-1" / "dpo"
    a_run(place, single=1.0, facts=12)
    # The wrong answers stand above 2, 5, 6 and 8 of eight right ones: 21/32 = 0.656.
    scores = [1, 2, 3, 4, 5, 6, 7, 8, 2.5, 5.5, 6.5, 8.5]
    labels = {"jaccard": [(0, 0)] * 12}
    write(table(labels, correct=[1] * 8 + [0] * 4, mean_token_entropy=scores), place)
    found = {aim.text: aim for aim in aims(read_runs(tmp_path))}
    aim = found[
        "facts with one cluster by jaccard 0.4: AUROC of token entropy at least 0.60, "
        "its interval above 0.5"
    ]
    assert aim.found.startswith("0.656 [0.")
    assert float(aim.found.split("[")[1].split(",")[0]) <= 0.5
    assert aim.met is False


def test_sharpening_is_told_from_collapse_at_the_seed_that_was_swept(made: Path) -> None:
    text = (made / "alignment-tax.md").read_text("utf-8")
    line = next(x for x in text.splitlines() if x.startswith("- **Sharpening or collapse.**"))
    assert "against 50.0 % by value (oracle)" in line
    assert "not run" not in line


def test_rates_of_the_first_samples_are_of_every_clusterer(made: Path) -> None:
    text = (made / "alignment-tax.md").read_text("utf-8")
    rows = text.split("### Number of samples")[1].split("### Threshold")[0]
    assert "| value (oracle) | DPO | 50.0 % [40.4, 59.6] | 50.0 % [40.4, 59.6] |" in rows
    assert "–" not in rows


def test_a_missed_aim_is_named_among_the_findings(runs: Runs) -> None:
    assert "Missed: at least 2,000 questions about facts" in findings(runs)


def test_every_section_stands_without_a_single_run(tmp_path: Path) -> None:
    path = make(tmp_path / "nothing", tmp_path / "docs")
    text = path.read_text("utf-8")
    assert "- Nothing yet: not run." in text
    assert text.count("not run") > 100
    assert text.endswith("## The runs\n\nnot run\n")
    assert sorted(p.stem for p in (tmp_path / "docs" / "alignment-tax").iterdir()) == list(PLOTS)


def test_a_missing_arm_is_a_row_that_says_so(made: Path) -> None:
    lines = (made / "alignment-tax.md").read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `dpo-no-likelihood` ")]
    assert rows
    assert all("not run" in row for row in rows)


def test_one_stage_alone_makes_a_page(tmp_path: Path) -> None:
    a_run(tmp_path / "runs" / "qwen2" / "seed-4" / "base", single=0.1, facts=20, sums=0)
    text = make(tmp_path / "runs", tmp_path / "docs").read_text("utf-8")
    assert "| qwen2 | base | 2.20 M |" in text


def test_the_seed_of_the_tuning_is_left_out_and_said_to_be(tmp_path: Path) -> None:
    for seed in (0, 5):
        a_run(tmp_path / "llama" / f"seed-{seed}" / "dpo", single=0.1, seed=seed, facts=20, sums=0)
    text = make(tmp_path, tmp_path / "docs").read_text("utf-8")
    assert "tuned on seed 0, which is therefore not reported" in text
    assert "llama/seed-5/dpo" in text
    assert "llama/seed-0/dpo" not in text


def test_the_same_runs_give_the_same_files(tmp_path: Path) -> None:
    a_run(tmp_path / "runs" / "llama" / "seed-1" / "dpo", single=0.5, facts=40, sums=0)
    first, second = tmp_path / "first", tmp_path / "second"
    make(tmp_path / "runs", first)
    make(tmp_path / "runs", second)
    for path in sorted(first.rglob("*.*")):
        assert (second / path.relative_to(first)).read_bytes() == path.read_bytes(), path.name


def test_every_plot_is_whole_and_shown_on_the_page(made: Path) -> None:
    text = (made / "alignment-tax.md").read_text("utf-8")
    for name in PLOTS:
        assert f"(alignment-tax/{name}.svg)" in text
        assert (
            ElementTree.parse(made / "alignment-tax" / f"{name}.svg").getroot().tag.endswith("svg")
        )
    assert not list(made.rglob("*.partial"))


def test_every_table_has_as_many_cells_in_each_row_as_in_its_header(made: Path) -> None:
    width = 0
    for line in (made / "alignment-tax.md").read_text("utf-8").splitlines():
        cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
        assert not width or not cells or cells == width, line
        width = cells


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda run: (run / "run.json").write_text("{"), "run.json"),
        (lambda run: (run / "run.json").write_text("[]"), "is no JSON object"),
        (lambda run: (run / "run.json").write_text("{}"), "temperature: None is no number"),
        (lambda run: (run / "observations.csv.gz").unlink(), "observations.csv.gz"),
        (lambda run: run.rename(run.with_name("dpo@T0.3")), "the folder says 0.3"),
        (lambda run: run.parent.rename(run.parent.with_name("one")), "a run lies in"),
    ],
)
def test_a_broken_run_stops_the_page_and_leaves_the_old_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], break_it: object, said: str
) -> None:
    run = tmp_path / "llama" / "seed-1" / "dpo"
    a_run(run, single=0.5, facts=10)
    break_it(run)  # type: ignore[operator]
    out = tmp_path / "docs"
    out.mkdir()
    (out / "alignment-tax.md").write_text("the old one")
    with pytest.raises(ObservationsUnreadable, match=r"run|obs"):
        read_runs(tmp_path)
    assert main([str(tmp_path), "--out", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert (out / "alignment-tax.md").read_text() == "the old one"


def test_a_run_without_labels_of_right_and_wrong_has_rates_but_no_rankings(tmp_path: Path) -> None:
    place = tmp_path / "llama" / "seed-1" / "dpo"
    found = a_run(place, single=0.5, facts=20, sums=0)
    unlabelled = {**found.numbers, "correct": found.number("absent")}
    write(type(found)(found.texts, unlabelled, found.labels), place)
    text = make(tmp_path, tmp_path / "docs").read_text("utf-8")
    assert "| jaccard 0.4 | DPO | 50.0 % [29.9, 70.1] |" in text
    assert "| `mean_token_entropy` | – |" in text
