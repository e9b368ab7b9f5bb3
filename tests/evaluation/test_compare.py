"""Runs on a few shared questions, differences worked out by hand; and the pages in a browser."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from ucbd.app.cli import main
from ucbd.app.files import replace_file
from ucbd.cascade.evaluation.html import page as report_page
from ucbd.cascade.evaluation.ranking import mean_difference, risk_at, risk_difference
from ucbd.cascade.evaluation.records import write_records
from ucbd.cascade.evaluation.report import report
from ucbd.cascade.evaluation.score import ScoredRecord

ONE, TWO = [0, 0], [0, 1]


def scored(
    name: str, correct: bool | None, cascade: float, labels: list[int], sampling: float, **keys: Any
) -> ScoredRecord:
    clusters = {"count": len(set(labels)), "labels": labels, "clusterer": "jaccard(0.4)"}
    return ScoredRecord.model_validate(
        {
            "id": name,
            "prompt": f"{name}?",
            "model": "m",
            "correct": correct,
            "scores": {"cascade": cascade},
            "clusters": {"jaccard": clusters},
            "decision": "answer" if cascade < 0.5 else "abstain",
            "stages": [{"name": "sampling", "cost": sampling}],
        }
        | keys
    )


BASE = [
    scored("a", True, 0.1, TWO, 0.0),
    scored("b", False, 0.2, TWO, 0.0),
    scored("c", True, 0.3, ONE, 0.0),
    scored("d", False, 0.4, ONE, 2.0),
]
# In another order, with one question more and one less.
OTHER = [
    scored("d", False, 0.9, ONE, 4.0),
    scored("c", True, 0.2, ONE, 1.0),
    scored("b", True, 0.3, ONE, 1.0),
    scored("e", True, 0.3, ONE, 1.0),
]


def written(folder: Path, records: list[ScoredRecord]) -> Path:
    found = report(records, "jaccard")
    write_records(folder / "records.jsonl", records)
    replace_file(folder / "report.json", json.dumps(found))
    replace_file(folder / "report.html", report_page(found))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    return [str(written(tmp_path / "base", BASE)), str(written(tmp_path / "other", OTHER))]


def compared(tmp_path: Path, runs: list[str]) -> dict[str, Any]:
    assert main(["compare", *runs, "--out", str(tmp_path / "out" / "c.html")]) == 0
    found: dict[str, Any] = json.loads((tmp_path / "out" / "compare.json").read_text())
    return found


def test_differences_on_shared_questions_by_hand(tmp_path: Path, runs: list[str]):
    (pair,) = compared(tmp_path, runs)["pairs"]
    assert (pair["common"], pair["only_base"], pair["only_run"], pair["other_prompts"]) == (
        3,
        1,
        1,
        0,
    )
    by = {(one["measure"], one["of"]): one for one in pair["differences"]}
    # on b, c, d: right 0, 1, 0 before and 1, 1, 0 after
    assert by["accuracy", None]["base"] == pytest.approx(1 / 3)
    assert by["accuracy", None]["difference"] == pytest.approx(1 / 3)
    # wrong .2, .4 against right .3 before: half; wrong .9 against .2, .3 after: all
    assert (by["auroc", "cascade"]["base"], by["auroc", "cascade"]["run"]) == (0.5, 1)
    assert by["auroc", "cascade"]["difference"] == 0.5
    # one cluster on c, d before and on all three after
    assert by["single_cluster_rate", "jaccard"]["difference"] == pytest.approx(1 / 3)
    # 1, 1, 3 main calls before, 2, 2, 5 after
    assert by["relative_cost", None]["base"] == pytest.approx(5 / 3)
    assert by["relative_cost", None]["difference"] == pytest.approx(4 / 3)
    # squares of (.2 - 1), .3, (.4 - 1) before and .3, .2, (.9 - 1) after
    brier = by["brier", "as it stands"]
    assert brier["base"] == pytest.approx((0.64 + 0.09 + 0.36) / 3)
    assert brier["run"] == pytest.approx((0.09 + 0.04 + 0.01) / 3)
    # half of three is 1.5: b (wrong) and half of c before; c and half of b after, both right
    risk = by["risk", "coverage 50%"]
    assert (risk["base"], risk["run"]) == (pytest.approx(1 / 1.5), 0)
    # 2.25 of three: a quarter of d, wrong both times, beside b and c
    risk = by["risk", "coverage 75%"]
    assert risk["base"] == pytest.approx(1.25 / 2.25)
    assert risk["run"] == pytest.approx(0.25 / 2.25)
    for one in pair["differences"]:
        low, high = one["ci"]
        assert low <= one["difference"] <= high


def test_a_run_against_itself_differs_in_nothing(tmp_path: Path):
    twice = [str(written(tmp_path / name, BASE)) for name in ("one", "two")]
    for one in compared(tmp_path, twice)["pairs"][0]["differences"]:
        assert (one["difference"], one["ci"]) == (0, [0, 0])


def test_runs_without_a_question_in_common_are_not_paired(tmp_path: Path, runs: list[str]):
    apart = written(tmp_path / "apart", [scored("z", True, 0.1, ONE, 0.0)])
    (pair,) = compared(tmp_path, [runs[0], str(apart)])["pairs"]
    assert pair["unpaired"] == "they share no question (id and prompt)"
    assert "No paired differences" in (tmp_path / "out" / "c.html").read_text()


def test_the_same_id_with_another_prompt_is_another_question(tmp_path: Path, runs: list[str]):
    changed = [OTHER[0].model_copy(update={"prompt": "Something else?"}), *OTHER[1:]]
    other = written(tmp_path / "changed", changed)
    (pair,) = compared(tmp_path, [runs[0], str(other)])["pairs"]
    assert (pair["common"], pair["other_prompts"]) == (2, 1)


def test_without_records_there_is_the_page_and_no_pair(tmp_path: Path, runs: list[str]):
    (Path(runs[1]) / "records.jsonl").unlink()
    found = compared(tmp_path, runs)
    assert found["pairs"][0]["unpaired"] == "no records.jsonl in other"
    assert [run["accuracy"] for run in found["runs"]] == [0.5, 0.75]


def test_each_run_is_told_as_its_report_tells_it(tmp_path: Path, runs: list[str]):
    one = compared(tmp_path, runs)["runs"][0]
    kept = json.loads((Path(runs[0]) / "report.json").read_text())
    assert one["signals"]["cascade"]["auroc_ci"] == kept["signals"]["cascade"]["auroc_ci"]
    assert one["calibration"]["ece"] == kept["calibration"]["ece"]
    assert one["relative_cost"] == 1.5
    assert one["selective_risk"][-1] == {"coverage": 1.0, "risk": 0.5}


def test_folders_of_the_same_name_are_told_apart(tmp_path: Path):
    same = [str(written(tmp_path / one / "report", BASE)) for one in "ab"]
    assert [run["name"] for run in compared(tmp_path, same)["runs"]] == same


def changed(folder: str, **keys: Any) -> None:
    path = Path(folder) / "report.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def refused(tmp_path: Path, capsys: Any, runs: list[str], out: str = "c.html") -> str:
    assert main(["compare", *runs, "--out", str(tmp_path / out)]) == 2
    assert not (tmp_path / out).exists()
    assert not (tmp_path / "compare.json").exists()
    told: str = capsys.readouterr().err
    assert told.startswith("ucbd compare: ")
    return told


def test_what_cannot_be_compared_is_named(tmp_path: Path, runs: list[str], capsys):
    assert "2 to 6 reports" in refused(tmp_path, capsys, runs[:1])
    assert "given twice" in refused(tmp_path, capsys, [runs[0], runs[0] + "/."])
    (tmp_path / "empty").mkdir()
    told = refused(tmp_path, capsys, [runs[0], str(tmp_path / "empty")])
    assert "empty: holds no report.json" in told
    assert "ends in .html" in refused(tmp_path, capsys, runs, out="c.json")


def test_a_report_of_a_newer_version_is_named(tmp_path: Path, runs: list[str], capsys):
    changed(runs[1], schema=2)
    told = refused(tmp_path, capsys, runs)
    assert f"{runs[1]}/report.json: schema: is 2, made by a newer version; this one reads 1" in told


def test_another_programs_report_is_named(tmp_path: Path, runs: list[str], capsys):
    (Path(runs[1]) / "report.json").write_text('{"schema": 1, "scr": 0.4}')
    assert "report.json: n: Field required" in refused(tmp_path, capsys, runs)
    (Path(runs[1]) / "report.json").write_text('{"schema": 1,')
    assert "report.json: not JSON" in refused(tmp_path, capsys, runs)


def test_a_broken_line_of_records_is_named(tmp_path: Path, runs: list[str], capsys):
    with (Path(runs[1]) / "records.jsonl").open("a") as file:
        file.write("{\n")
    assert "records.jsonl, line 5: not JSON" in refused(tmp_path, capsys, runs)


def test_the_difference_of_risks_follows_the_draws():
    """Against drawing questions one by one and answering the surest of them."""
    rng = np.random.default_rng(3)
    n, coverage = 40, 0.3
    one, other = ((rng.integers(0, 6, n) / 5, rng.random(n) < rate) for rate in (0.3, 0.5))
    found = risk_difference(one, other, coverage, resamples=400)
    drawn = rng.integers(n, size=(4000, n))
    apart = [
        risk_at(one[0][i], one[1][i], coverage) - risk_at(other[0][i], other[1][i], coverage)
        for i in drawn
    ]
    assert found[0] == risk_at(*one, coverage) - risk_at(*other, coverage)
    assert found[1:] == pytest.approx(np.quantile(apart, (0.025, 0.975)), abs=0.06)


def test_a_constant_difference_of_means_has_no_width():
    ones = np.arange(10.0)
    assert mean_difference(ones + 2, ones) == (2, 2, 2)


class Fetched(HTMLParser):
    """What a browser would ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for key, value in attributes if key in ("src", "href")]


def test_the_page_stands_alone_and_escapes_names(tmp_path: Path, runs: list[str]):
    evil = written(tmp_path / "<script>alert(1)<", OTHER)
    compared(tmp_path, [runs[0], str(evil)])
    html = (tmp_path / "out" / "c.html").read_text()
    seen = Fetched()
    seen.feed(html)
    assert seen.found == []
    assert "<script" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_the_pages_open_in_a_browser_without_errors_requests_or_overflow(
    tmp_path: Path, runs: list[str], width: int
):
    compared(tmp_path, runs)
    said: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for path in (tmp_path / "out" / "c.html", Path(runs[0]) / "report.html"):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.on("console", lambda one: said.append(one.text))
            page.on("pageerror", lambda one: said.append(str(one)))
            page.on("request", lambda one: asked.append(one.url))
            page.goto(path.as_uri(), timeout=60_000)
            assert page.locator("svg").count() >= 5
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith("file:")] == []
