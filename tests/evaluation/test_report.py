"""The report on records whose every number is known, and the page made of it."""

import json
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from ucbd.cascade.evaluation.html import page
from ucbd.cascade.evaluation.report import report
from ucbd.cascade.evaluation.score import ScoredRecord
from ucbd.cascade.evaluation.svg import ticks_to

ENTROPY = "mean_token_entropy"


def scored(correct: bool | None, labels: list[int] | None = None, **scores: Any) -> ScoredRecord:
    keys: dict[str, Any] = {"id": "q", "prompt": "?", "correct": correct, "scores": scores}
    if labels is not None:
        clusters = {"count": len(set(labels)), "labels": labels, "clusterer": "jaccard(0.4)"}
        keys["clusters"] = {"jaccard": clusters}
    return ScoredRecord.model_validate(keys)


ONE, TWO = [0, 0, 0, 0], [0, 1, 0, 1]
RECORDS = [
    scored(True, ONE, mean_token_entropy=0.1, cascade=0.1),
    scored(False, ONE, mean_token_entropy=0.3, cascade=0.2),
    scored(True, ONE, mean_token_entropy=0.2, cascade=0.3),
    scored(False, TWO, mean_token_entropy=0.9, cascade=0.9),
    scored(True, TWO, mean_token_entropy=0.5, cascade=0.5),
    scored(False, [0], cascade=0.7),  # one usable sample: in no stratum; and no entropy
    scored(None, TWO, mean_token_entropy=0.4, cascade=0.6),
]


def test_counts_and_accuracy():
    found = report(RECORDS, "jaccard")
    assert (found["n"], found["n_unlabelled"]) == (6, 1)
    assert found["accuracy"] == 0.5


def test_auroc_is_over_labelled_records_that_have_the_signal():
    found = report(RECORDS, "jaccard")["signals"]
    # wrong .3, .9 against right .1, .2, .5: 2 + 3 of 6 pairs
    assert found[ENTROPY]["auroc"] == pytest.approx(5 / 6)
    assert (found[ENTROPY]["n"], found[ENTROPY]["wrong"]) == (5, 2)
    low, high = found[ENTROPY]["auroc_ci"]
    assert 0 <= low <= 5 / 6 <= high <= 1
    # wrong .2, .7, .9 against right .1, .3, .5: 1 + 3 + 3 of 9 pairs
    assert found["cascade"]["auroc"] == pytest.approx(7 / 9)
    assert found["cascade"]["n"] == 6


def test_the_stratum_is_by_the_default_clusterer():
    found = report(RECORDS, "jaccard")
    assert found["single_cluster"] == {"clusterer": "jaccard", "n": 3, "wrong": 1}
    # wrong .3 against right .1, .2
    assert found["signals"][ENTROPY]["auroc_single_cluster"] == 1
    # wrong .2 against right .1, .3
    assert found["signals"]["cascade"]["auroc_single_cluster"] == 0.5
    other = report(RECORDS, "embedding")
    assert other["single_cluster"] == {"clusterer": "embedding", "n": 0, "wrong": 0}
    assert other["signals"][ENTROPY]["auroc_single_cluster"] is None


def test_homogenization_by_hand():
    found = report(RECORDS, "jaccard")["homogenization"]["jaccard"]
    assert (found["scr"], found["n"], found["single"], found["excluded"]) == (0.5, 6, 3, 1)
    assert found["mean_clusters"] == 1.5
    assert found["mean_semantic_entropy"] == pytest.approx(np.log(2) / 2)
    assert found["wrong_given_one"] == pytest.approx(1 / 3)
    assert found["wrong_given_several"] == 0.5
    assert found["blind_mass"] == 0.5
    assert found["blind_mass_counts"] == [1, 2]
    assert found["samples"] == [4, 4]
    assert found["clusterer"] == ["jaccard(0.4)"]
    # Wilson, 3 of 6
    assert found["scr_ci"] == pytest.approx([0.187616, 0.812384], abs=1e-6)


def test_selective_answering_follows_the_cascade():
    found = report(RECORDS, "jaccard")
    # least uncertain first: right, wrong, right, right, wrong, wrong
    at = {point["coverage"]: point["accuracy"] for point in found["selective"]}
    assert at[0.5] == pytest.approx(2 / 3)
    assert at[1.0] == 0.5
    assert min(at) == 0.17  # a sixth is the first whole answer
    risks = [0, 1 / 2, 1 / 3, 1 / 4, 2 / 5, 3 / 6]
    assert found["signals"]["cascade"]["aurc"] == pytest.approx(sum(risks) / 6)


def test_dependence_is_of_every_two_signals_that_are_there():
    found = report(RECORDS, "jaccard")["dependence"]
    (pair,) = found["pairs"]
    assert pair["signals"] == [ENTROPY, "cascade"]
    both = np.array([[0.1, 0.3, 0.2, 0.9, 0.5, 0.4], [0.1, 0.2, 0.3, 0.9, 0.5, 0.6]])
    assert pair["r"] == pytest.approx(np.corrcoef(both)[0, 1])
    assert pair["n"] == 6


def test_calibration_of_the_cascade_score_by_hand():
    found = report(RECORDS, "jaccard")["calibration"]
    # a bin each: .1, .8, .3, .1, .5, .3
    assert found["ece"] == pytest.approx((0.1 + 0.8 + 0.3 + 0.1 + 0.5 + 0.3) / 6)
    squares = 0.01 + 0.64 + 0.09 + 0.01 + 0.25 + 0.09
    assert found["brier"] == pytest.approx(squares / 6)
    assert found["platt"]["ece"] is None  # three of a class are too few for five folds


def test_a_cascade_score_that_is_no_probability_has_no_calibration():
    records = [scored(True, cascade=0.1), scored(False, cascade=2.0)]
    assert report(records, "jaccard")["calibration"]["ece"] is None
    assert report(records, "jaccard")["signals"]["cascade"]["auroc"] == 1


def test_cost_is_the_main_call_and_the_stages():
    def one(sampling: float | None) -> ScoredRecord:
        stages = [{"name": "fluency", "cost": 0.0}, {"name": "sampling", "cost": sampling}]
        return ScoredRecord.model_validate({"id": "q", "prompt": "?", "stages": stages})

    found = report([one(9.0), one(None), scored(True)], "jaccard")["cost"]
    # (1 + 9) and (1 + 0) over the two that ran a cascade
    assert found == {"relative_mean": 5.5, "by_stage": {"fluency": 0.0, "sampling": 4.5}, "n": 2}


def test_the_roc_curve_by_hand():
    found = report(RECORDS, "jaccard")
    caught = dict(zip(found["false_alarms"], found["signals"]["cascade"]["roc"], strict=True))
    # from the top: wrong, wrong, right, right, wrong, right
    assert caught[0] == pytest.approx(2 / 3)
    assert caught[0.66] == pytest.approx(2 / 3)
    assert caught[0.68] == 1
    assert found["signals"]["p_true"]["roc"] is None


def test_a_tie_is_a_straight_piece_of_the_roc_curve():
    records = [scored(True, cascade=0.5), scored(False, cascade=0.5)]
    found = report(records, "jaccard")
    assert found["signals"]["cascade"]["roc"] == pytest.approx(found["false_alarms"])


def test_histograms_hold_every_labelled_answer_once():
    (found,) = report(RECORDS, "jaccard")["histograms"].values()
    assert (found["edges"][0], found["edges"][-1]) == (0, 1)
    # 24 bins of 1/24: .1 in the third, .2 in the fifth, .5 at the edge of the thirteenth
    assert [i for i, n in enumerate(found["right"]) if n] == [2, 4, 12]
    assert [i for i, n in enumerate(found["wrong"]) if n] == [7, 21]
    assert sum(found["right"]) + sum(found["wrong"]) == 5


def test_clusters_per_question_are_counted():
    assert report(RECORDS, "jaccard")["homogenization"]["jaccard"]["cluster_counts"] == [3, 3]


def decided(decision: str | None, correct: bool | None) -> ScoredRecord:
    keys = {"id": "q", "prompt": "?", "correct": correct, "decision": decision}
    return ScoredRecord.model_validate(keys)


def test_decisions_by_hand():
    records = [
        decided("answer", True),
        decided("answer", True),
        decided("answer", False),
        decided("answer", None),  # answered, and nobody knows whether rightly
        decided("abstain", False),
        decided("escalate", True),
        decided(None, True),  # not decided on
    ]
    found = report(records, "jaccard")["decisions"]
    assert (found["n"], found["answer"], found["abstain"], found["escalate"]) == (6, 4, 1, 1)
    assert found["coverage"] == pytest.approx(4 / 6)
    assert found["risk"] == pytest.approx(1 / 3)
    assert found["risk_counts"] == [1, 3]
    # Wilson, 1 of 3
    assert found["risk_ci"] == pytest.approx([0.061492, 0.792340], abs=1e-6)


def test_without_decisions_no_risk_is_claimed():
    found = report(RECORDS, "jaccard")
    assert found["decisions"]["coverage"] is found["decisions"]["risk"] is None
    assert "Decisions" not in page(found)


def test_token_entropy_inside_and_outside_the_stratum():
    found = report(RECORDS, "jaccard")["token_entropy"]["groups"]
    seen = {(g["clusters"], g["correct"]): (g["n"], g["mean"]) for g in found}
    assert seen == {
        ("one", True): (2, pytest.approx(0.15)),
        ("one", False): (1, 0.3),
        ("several", True): (1, 0.5),
        ("several", False): (1, 0.9),
        ("several", None): (1, 0.4),
    }


def test_the_report_has_the_keys_of_the_contract():
    found = report(RECORDS, "jaccard")
    assert found.keys() >= {
        "n", "accuracy", "signals", "homogenization", "dependence", "selective", "cost",
        "calibration", "n_unlabelled", "single_cluster",
    }  # fmt: skip
    assert found["signals"].keys() >= {
        "mean_token_entropy", "max_token_entropy", "std_token_entropy", "semantic_entropy",
        "p_true", "disagreement", "answer_length", "cascade",
    }  # fmt: skip
    for one in found["signals"].values():
        assert one.keys() >= {"auroc", "auroc_ci", "n", "auroc_single_cluster", "aurc"}
    for one in found["homogenization"].values():
        assert one.keys() >= {
            "scr", "scr_ci", "mean_clusters", "mean_semantic_entropy", "wrong_given_one",
            "wrong_given_several", "blind_mass", "n",
        }  # fmt: skip


@pytest.mark.parametrize("correct", [True, False, None])
def test_with_one_class_no_ranking_is_claimed(correct):
    records = [scored(correct, ONE, cascade=x / 10, mean_token_entropy=x) for x in range(9)]
    found = report(records, "jaccard")
    assert found["accuracy"] == (None if correct is None else float(correct))
    for one in found["signals"].values():
        assert one["auroc"] is one["auroc_ci"] is one["auroc_single_cluster"] is one["aurc"] is None
    assert found["calibration"]["ece"] is found["calibration"]["platt"]["brier"] is None
    assert found["homogenization"]["jaccard"]["scr"] == 1
    json.dumps(found, allow_nan=False)
    assert "There is no AUROC" in page(found)


def test_without_records_everything_is_null_and_the_page_says_so():
    found = report([], "jaccard")
    json.dumps(found, allow_nan=False)
    assert (found["n"], found["n_unlabelled"], found["accuracy"]) == (0, 0, None)
    assert found["selective"] == []
    assert "No record has two usable samples" in page(found)


def test_a_score_that_is_not_finite_counts_as_missing():
    records = [scored(True, cascade=0.1), scored(False, cascade=0.5), scored(True, cascade=np.inf)]
    found = report(records, "jaccard")
    assert found["signals"]["cascade"]["n"] == 2
    json.dumps(found, allow_nan=False)


def test_the_order_of_the_records_does_not_change_what_is_found():
    forward, backward = report(RECORDS, "jaccard"), report(RECORDS[::-1], "jaccard")
    for name, one in forward["signals"].items():
        other = backward["signals"][name]
        assert one["auroc"] == other["auroc"]
        assert one["aurc"] == pytest.approx(other["aurc"])
    assert forward["homogenization"] == backward["homogenization"]
    assert forward["selective"] == backward["selective"]


class Seen(HTMLParser):
    """What a browser would fetch, and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.fetched += [v for k, v in attributes if k in ("src", "href")]
        if tag not in ("meta", "line", "circle", "rect", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_well_formed():
    html = page(report(RECORDS, "jaccard"))
    seen = Seen()
    seen.feed(html)
    assert seen.open == []
    assert seen.fetched == []
    assert "url(" not in html
    assert "@import" not in html
    assert "<script" not in html


def test_the_plots_are_whole_and_hold_a_mark_for_every_number():
    html = page(report(RECORDS, "jaccard"))
    plots = drawn(html)
    assert len(plots) == 8  # no cost: nothing was decided; semantic entropy is no score here
    risk, roc, auroc, scr, clusters, histogram, entropy, calibration = plots
    assert len(marks(scr, "circle")) == 1
    assert len(marks(auroc, "circle")) == 4  # two signals, all records and the stratum
    assert len(marks(entropy, "rect")) == 5
    assert len(marks(risk, "polyline")) == 2  # the curve, and answering everything
    assert len(marks(calibration, "circle")) == 6
    assert len(marks(roc, "polyline")) == 3  # cascade, token entropy, and the diagonal
    assert len(marks(clusters, "rect")) == 2  # questions of one cluster, and of two
    # .1, .2, .5 are right, .3, .9 wrong: a bar each
    kinds = [bar.get("class") for bar in marks(histogram, "rect")]
    assert kinds == ["s0 bar"] * 3 + ["s1 bar"] * 2


def test_a_mark_lies_where_its_value_is_on_the_axis():
    scr = drawn(page(report(RECORDS, "jaccard")))[3]
    (dot,) = marks(scr, "circle")
    grid = [float(line.get("x1")) for line in marks(scr, "line") if line.get("class") == "grid"]
    # SCR is 0.5, ticks are 0, .2, .4, .6, .8, 1
    assert float(dot.get("cx")) == pytest.approx((grid[2] + grid[3]) / 2, abs=0.1)
    assert (grid[0], grid[-1]) == (210, 700)


def test_the_risk_curve_rises_from_no_risk_to_the_error_rate():
    risk = drawn(page(report(RECORDS, "jaccard")))[0]
    (curve,) = [line for line in marks(risk, "polyline") if "line" in line.get("class")]
    heights = [float(point.split(",")[1]) for point in curve.get("points").split()]
    grid = [float(line.get("y1")) for line in marks(risk, "line")]
    # Ticks from 0 to 50 %. At coverage .17, 1.02 answers, the second of them wrong: .02 / 1.02;
    # of all, half are wrong.
    bottom, top = grid[0], grid[-1]
    assert heights[0] == pytest.approx(bottom - (bottom - top) * (0.02 / 1.02) / 0.5, abs=0.1)
    assert heights[-1] == top


def drawn(html: str) -> list[ElementTree.Element]:
    """The plots of a page, in their order."""
    parts = html.split("<svg")[1:]
    return [ElementTree.fromstring(f"<svg{part.split('</svg>')[0]}</svg>") for part in parts]


def marks(plot: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return plot.findall(f".//{{http://www.w3.org/2000/svg}}{tag}")


def test_names_from_records_cannot_become_markup():
    evil = "<script>alert(1)</script>"
    clusters = {evil: {"count": 1, "labels": [0, 0], "clusterer": evil}}
    records = [
        ScoredRecord.model_validate(
            {
                "id": "q",
                "prompt": "?",
                "correct": right,
                "model": evil,
                "sampling": {"n": 2, "temperature": 1.0},
                "scores": {f"semantic_entropy:{evil}": 0.5 * right, "cascade": 0.5},
                "clusters": clusters,
                "stages": [{"name": evil, "cost": 1.0}],
            }
        )
        for right in (True, False)
    ]
    html = page(report(records, evil))
    assert "<script" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("high", "ticks"),
    [(1.0, (0, 0.2, 0.4, 0.6, 0.8, 1.0)), (0.3, (0, 0.1, 0.2, 0.3)), (7, (0, 2, 4, 6, 8))],
)
def test_ticks_are_round_and_reach_the_top(high, ticks):
    assert ticks_to(high) == pytest.approx(ticks)
