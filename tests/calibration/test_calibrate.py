"""Labelled answers to a profile: what it holds, what it promises, and what it refuses."""

import json
import math
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.calibration.made_up import BASE, BOUNDARIES, OTHERS, profile, records, run, share_wrong
from tests.unit.test_generate import Gateway
from ucbd.app.cli import main
from ucbd.cascade.answer import answer
from ucbd.cascade.boundaries.freshness import Domain, Freshness
from ucbd.cascade.calibration.calibrate import NotFitted, calibrated, split
from ucbd.cascade.calibration.certificates import NotCertified
from ucbd.cascade.calibration.evidence import scores
from ucbd.cascade.calibration.labelled import fitting_policy
from ucbd.cascade.calibration.lifecycle import Wanted
from ucbd.cascade.case import Question
from ucbd.cascade.evaluation.recorded import outcome_of
from ucbd.cascade.evaluation.records import Record, Sample, read_records, write_records
from ucbd.cascade.findings import Findings
from ucbd.cascade.ledger import Ledger
from ucbd.cascade.outcome import Bound, Verdict
from ucbd.cascade.policy import Policy, PolicyUnreadable, Rule, read_policies, read_policy
from ucbd.models.generation import GenerationOptions, Missing
from ucbd.models.scripted import Script, ScriptedEngine

TRUTHFULQA = Path(__file__).parents[3] / "shared" / "data" / "truthfulqa-qwen3-14b.jsonl.gz"


@pytest.fixture(scope="module")
async def made() -> Policy:
    return await profile(records(1500, seed=1))


async def test_the_error_rate_holds_on_answers_it_has_not_seen(made):
    fresh = records(4000, seed=2)
    for rung in ("all", "no_sampling", "fluency"):
        coverage, risk = share_wrong(fresh, await run(fresh, made, rung))
        assert risk <= 0.2
        assert coverage > 0.5


async def test_an_answer_stands_exactly_where_p_wrong_is_at_most_the_rungs_threshold(made):
    for rung, found in made.calibration.ladder.items():
        for outcome in await run(records(300, seed=3), made, rung):
            stands = outcome.uncertainty <= found.threshold and not outcome.verdict.by_rule
            assert (outcome.decision == "answer") == stands


async def test_what_runs_does_not_depend_on_what_was_certified(made):
    """Early exits and early stopping look at the fitted threshold: costs are the same."""
    ladder = made.calibration.ladder
    strict = {**ladder, "all": ladder["all"].model_copy(update={"threshold": 0.01})}
    changed = made.model_copy(
        update={"calibration": made.calibration.model_copy(update={"ladder": strict})}
    )
    some = records(300, seed=4)
    for one, other in zip(await run(some, made), await run(some, changed), strict=True):
        assert one.spent.sampled_tokens == other.spent.sampled_tokens
        assert one.uncertainty == other.uncertainty


async def test_confidence_is_calibrated_on_fresh_answers(made):
    """In each fifth of confidence the share right is within a few points of what was said."""
    fresh = records(4000, seed=5)
    said = [(o.confidence, r.correct) for r, o in zip(fresh, await run(fresh, made), strict=True)]
    said.sort()
    for i in range(5):
        part = said[i * 800 : (i + 1) * 800]
        stated = sum(c for c, _ in part) / 800
        assert stated == pytest.approx(sum(right for _, right in part) / 800, abs=0.08)


async def test_the_stratum_has_a_model_of_its_own(made):
    strata = {(model.stages, model.homogenized) for model in made.calibration.models}
    assert (("fluency",), True) in strata
    assert (("fluency", "sampling"), False) in strata


async def test_two_rungs_that_run_the_same_share_one_certificate(made):
    """The policy has only fluency beside sampling: two different sets, δ/2 each."""
    ladder = made.calibration.ladder
    assert ladder["no_sampling"] == ladder["fluency"]
    assert ladder["all"].certificate.records == made.calibration.records.certified == 900


async def test_stages_stand_in_the_order_of_what_they_cost_and_the_profile_says_what(made):
    """Samples cost 5 · 2 tokens for an answer of 2; fluency costs none."""
    swapped = BASE.model_copy(update={"stages": BASE.stages[::-1]})
    found = await profile(records(600, seed=1), alpha=0.3, base=swapped)
    for one in (made, found):
        assert [rule.stage for rule in one.stages] == ["fluency", "sampling"]
        costs = one.calibration.costs
        assert (costs["fluency"].tokens, costs["sampling"].tokens) == (0, 5)


def ask(made: Policy, *, samples=5, explain=False, clusterer="jaccard", entropies=(0.3, 0.3), **o):
    async def asked():
        engine = ScriptedEngine(Script("Tarn", entropies, samples=("Tarn",)))
        question = Question(
            await engine.encode("where"),
            GenerationOptions(max_tokens=8, **o),
            samples,
            clusterer,
            explain,
            "where",
        )
        return await answer(
            question, policy=made, boundaries=BOUNDARIES, engine=engine, ledger=Ledger()
        )

    return asked()


async def test_a_request_that_ran_as_certified_names_its_certificate(made):
    outcome = await ask(made)
    assert outcome.bound == Bound(made.calibration.id, 0.2)
    assert outcome.confidence == pytest.approx(1 - outcome.uncertainty)


async def test_forbidden_samples_are_the_rung_without(made):
    outcome = await ask(made, samples=0)
    assert outcome.bound == Bound(made.calibration.id, 0.2)
    assert outcome.rung == "all"  # nothing was shed


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"temperature": 0.7}, "greedy answers"),
        ({"top_p": 0.9}, "greedy answers"),
        ({"explain": True}, "more than what was certified"),
        ({"samples": 3}, "up to 5 samples"),
        ({"clusterer": "embedding", "entropies": (0.0,)}, "clusterer 'jaccard'"),
        ({"entropies": None}, "fluency, which failed: the script has no entropies"),
    ],
)
async def test_a_request_that_ran_otherwise_has_no_certificate_and_says_why(made, asked, why):
    outcome = await ask(made, **asked)
    assert isinstance(outcome.bound, Missing)
    assert why in outcome.bound.reason


async def test_where_samples_only_choose_the_stratum_the_promise_still_hangs_on_them():
    """Where they differ they do so more for the right answers, so that no model reads that; on six
    of ten questions they agree, and those have a model. An answer whose samples failed is judged
    without knowing which of the two it is, which nothing was certified of.
    """
    rng = np.random.default_rng(9)
    mixed = []
    for record in records(800, seed=9):
        others = 1 + 3 * bool(record.correct) if rng.random() < 0.4 else 0
        said = ["Tarn"] * (5 - others) + list(OTHERS[:others])
        samples = [Sample(text=text, tokens=2) for text in said]
        mixed.append(record.model_copy(update={"samples": samples}))
    made = await profile(mixed, alpha=0.3)
    assert not any("sampling" in model.stages for model in made.calibration.models)
    assert made.calibration.made_for.signals["sampling"] == (
        "semantic_entropy(jaccard(threshold=0.4),n=5)"
    )
    certain = made.model_copy(
        update={"stages": [Rule(stage=r.stage) for r in made.stages], "stop_error": None}
    )
    (told,) = await run([mixed[0]], certain)
    assert isinstance(told.bound, Bound)
    lacking = mixed[0].model_copy(update={"samples": [Sample(text="")] * 5})
    (told,) = await run([lacking], certain)
    assert "sampling, which failed" in told.bound.reason


def sampled(record, *texts):
    samples = [Sample(text=text, tokens=2) for text in texts]
    return record.model_copy(update={"samples": samples})


def all_stages(made):
    """It draws all samples, whatever the stages before have found."""
    bare = [Rule(stage=rule.stage) for rule in made.stages]
    return made.model_copy(update={"stages": bare, "stop_error": None})


@pytest.mark.parametrize(
    "left", [["Tarn"] * 2, ["Tarn"] * 4, ["Tarn", "Dole"], ["Dole", "Holm", "Ask", "Vik"]]
)
async def test_lost_samples_count_for_nothing_in_a_profile_and_nothing_is_promised(made, left):
    """It was fitted to five samples; of two that agree it knows nothing, not even that they do."""
    record, used = records(1, seed=6)[0], all_stages(made)
    lacking = sampled(record, *left, *[""] * (5 - len(left)))
    (whole,) = await run([sampled(record, *["Tarn"] * 5)], used)
    (none,) = await run([record], used, "no_sampling")
    (found,) = await run([lacking], used)
    assert isinstance(whole.bound, Bound)
    assert whole.unanimous
    assert found.bound == Missing(
        f"it was certified with all of 5 samples, and {len(left)} were usable"
    )
    assert not found.unanimous
    assert found.uncertainty == none.uncertainty
    stage = found.stages[1]
    assert (stage.outcome, stage.uncertainty) == ("uninformative", None)
    assert stage.signal == f"semantic_entropy(jaccard(threshold=0.4),n=5,drawn={len(left)})"
    assert stage.score is not None
    assert found.samples.drawn == len(left)
    assert scores([found]).tolist() == [math.inf]


async def test_lost_samples_that_stand_against_the_answer_still_do_in_a_profile(made):
    record, used = records(1, seed=6)[0], all_stages(made)
    (none,) = await run([record], used, "no_sampling")
    (found,) = await run([sampled(record, "", "Dole", "Dole", "Dole", "Dole")], used)
    assert (found.decision, found.boundary) == ("abstain", "sampling")
    assert isinstance(found.bound, Missing)
    assert (found.stages[1].outcome, found.stages[1].uncertainty) == ("fired", None)
    assert found.uncertainty == none.uncertainty  # no map was fitted to four samples


async def test_records_with_lost_samples_are_fitted_to_without_them():
    """They are no other kind of evidence, for which the records would have to be taken apart."""
    some = records(1500, seed=1)
    lossy = [
        sampled(r, "", *[s.text for s in r.samples[1:]]) if i % 10 == 0 else r
        for i, r in enumerate(some)
    ]
    found = await profile(lossy)
    signal = "semantic_entropy(jaccard(threshold=0.4),n=5)"
    assert found.calibration.made_for.signals["sampling"] == signal
    assert isinstance((await ask(found)).bound, Bound)
    stratum = [model for model in found.calibration.models if model.homogenized]
    full = [model for model in (await profile(some)).calibration.models if model.homogenized]
    assert sum(model.answers for model in stratum) < sum(model.answers for model in full)


async def test_where_a_rule_fires_before_anything_fitted_the_score_is_that_stages_own(made):
    """Else what a profile refuses by a rule would be missing from every report's ranking."""
    found = Findings(uncertainties={"freshness": 0.8})
    rule = Verdict("freshness", "long ago", "search", by_rule=True)
    assert found.combined(made) is None
    assert found.at_exit(made, rule) == 0.8
    assert found.at_exit(made, Verdict("deadline", "late")) is None
    found.uncertainties["fluency"] = 0.3
    assert found.at_exit(made, rule) == found.combined(made)


async def test_a_rule_that_looks_in_another_way_is_not_what_was_certified():
    """What a rule refuses depends on the model's cutoff: with another one, others are answered."""
    base = BASE.model_copy(update={"stages": [Rule(stage="freshness", fire=0.5), *BASE.stages]})

    async def on(some, policy, year, *, explain=False, rung="all"):
        fresh = Freshness([Domain("all", date(year, 12, 31), 1.0)])
        known = BOUNDARIES | {"freshness": fresh}
        return [
            await outcome_of(one, policy, known, "jaccard", explain=explain, rung=rung)
            for one in some
        ]

    async def then(some, policy, rung, explain):
        return await on(some, policy, 2023, explain=explain, rung=rung)

    made = await calibrated(records(600, seed=11), base, then, Wanted(0.3, 0.05))
    signal = "freshness(all,cutoff=2023-12-31,decay=1)"
    assert made.calibration.made_for.signals["freshness"] == signal
    some = records(1, seed=12)
    (same,) = await on(some, made, 2023)
    assert isinstance(same.bound, Bound)
    (other,) = await on(some, made, 2020)
    assert f"certified with {signal}, and this is freshness(all,cutoff=2020" in other.bound.reason
    (none,) = await run(some, made)  # a gateway that knows no cutoff
    assert "certified with freshness, which failed" in none.bound.reason


async def test_answers_that_no_evidence_is_about_are_in_no_promise(made):
    """A poem stands, and counts neither for the certificate nor under it."""
    poem = records(1, seed=10)[0].model_copy(update={"prompt": "Write a poem about the sea."})
    (outcome,) = await run([poem], made)
    assert (outcome.decision, outcome.confidence) == ("answer", None)
    assert "nothing is certified of answers of this kind" in outcome.bound.reason
    assert scores([outcome]).tolist() == [math.inf]


async def test_another_signal_than_the_fitted_one_is_no_evidence(made):
    """Bounds instead of exact entropies: the weights say nothing of midpoints."""
    record = records(1, seed=6)[0]
    tops = [[-0.1, -3.0], [-0.2, -2.5]]
    answer_ = {"text": "Tarn", "tokens": 2, "top_logprobs": tops}
    changes = {"answer": answer_, "vocab_size": 100}
    bounded = Record.model_validate(record.model_dump(exclude_unset=True) | changes)
    (outcome,) = await run([bounded], made)
    fluency = outcome.stages[0]
    assert fluency.outcome == "unavailable"
    assert fluency.reason.startswith("the policy was made for mean_token_entropy(exact)")
    assert isinstance(outcome.bound, Missing)


async def test_an_uncalibrated_policy_promises_nothing():
    (outcome,) = await run(records(1, seed=6), BASE)
    assert (outcome.confidence, outcome.bound) == (None, Missing("the policy is not calibrated"))


async def test_what_cannot_be_certified_says_how_many_records_it_would_take():
    with pytest.raises(NotCertified, match=r"about [\d,]+ labelled records like these") as caught:
        await profile(records(300, seed=7), alpha=0.05)
    assert "error rate of 0.05" in str(caught.value)


async def test_where_no_score_ranks_no_number_of_records_will_do():
    blind = [
        record.model_copy(update={"correct": i % 2 == 0})
        for i, record in enumerate(records(600, seed=8))
    ]
    with pytest.raises(NotCertified, match="nothing says that more records of this kind would do"):
        await profile(blind, alpha=0.1)


async def test_a_recording_whose_entropy_says_nothing_is_refused():
    """TruthfulQA, Qwen3-14B: AUROC of mean entropy .52 on 401 labelled answers."""
    if not TRUTHFULQA.is_file():
        pytest.skip("the recordings lie beside the repository, and are not here")
    answers = [r for r in read_records(TRUTHFULQA) if r.correct is not None]
    base = fitting_policy(BASE, answers, "jaccard", 0.05)
    with pytest.raises(NotCertified, match="no stage that was measured doubts them more"):
        await calibrated(answers, base, run, Wanted(0.1, 0.05))


async def test_each_group_is_held_for_itself():
    """Odd questions are wrong more often, so the threshold is stricter than for all."""
    some = records(3000, seed=9)
    worse = [
        r.model_copy(update={"correct": r.correct and not (r.group == "odd" and i % 20 == 1)})
        for i, r in enumerate(some)
    ]
    together = await profile(worse, alpha=0.3)
    apart = await profile(worse, alpha=0.3, groups=True)
    held = apart.calibration.ladder["all"]
    assert set(held.groups) == {"even", "odd"}
    assert held.threshold < together.calibration.ladder["all"].threshold
    assert all(one.wrong <= 0.3 * one.answered for one in held.groups.values())


async def test_groups_need_a_group_in_every_record():
    some = [r.model_copy(update={"group": None}) for r in records(300, seed=1)]
    with pytest.raises(NotFitted, match=r"record 'q.*': group: has none"):
        await profile(some, groups=True)


def test_volunteered_labels_are_fitted_to_and_never_certify():
    some = records(100, seed=1)
    volunteered = {r.id for r in some[:30]}
    mixed = [*fed_back(some[:30]), *some[30:]]
    halves = split(mixed, seed=0)
    assert not volunteered & {record.id for record in halves.certify}
    assert volunteered <= {record.id for record in halves.fit}
    assert len(halves.certify) == 42  # six tenths of the other 70


def fed_back(some):
    return [Record.model_validate(r.model_dump() | {"label_source": "feedback"}) for r in some]


@pytest.mark.parametrize(
    ("drawn", "told"), [(0, "0 labelled answers"), (20, "20 labelled answers")]
)
def test_feedback_is_not_counted_among_what_can_certify(drawn, told, tmp_path, capsys):
    """More of it would not help, and the refusal must not say so."""
    some = records(300, seed=1)
    path = write_records(tmp_path / "r.jsonl", [*some[:drawn], *fed_back(some[drawn:])])
    out = tmp_path / "p.json"
    assert main(["calibrate", str(path), "--out", str(out), "--clusterers", "jaccard"]) == 2
    complaint = capsys.readouterr().err
    assert f": {told}" in complaint
    assert f"{300 - drawn} more are feedback, which never certifies" in complaint
    assert not out.exists()


def test_too_few_of_a_kind_says_how_many_of_them_are_feedback(tmp_path, capsys):
    path = write_records(tmp_path / "r.jsonl", fed_back(records(40, seed=1)))
    out = tmp_path / "p.json"
    assert main(["calibrate", str(path), "--out", str(out), "--clusterers", "jaccard"]) == 2
    assert "40 of them are feedback, which never certifies" in capsys.readouterr().err


BAD = [
    (lambda some: [r.model_copy(update={"correct": True}) for r in some], "all 300 .* are right"),
    (
        lambda some: [r.model_copy(update={"correct": i < 20}) for i, r in enumerate(some)],
        "20 right and 280 wrong answers; at least 40 of each",
    ),
    (
        lambda some: [
            *some,
            some[0].model_copy(update={"id": "x", "correct": not some[0].correct}),
        ],
        "called right and wrong 1 times: 'q0' and 'x'",
    ),
    (
        lambda some: [some[0].model_copy(update={"model": "another"}), *some[1:]],
        "model: the records differ .'another' and 'made-up'.",
    ),
    (
        lambda some: [some[0].model_copy(update={"samples": []}), *some[1:]],
        "record 'q0': samples: has 0, others up to 5",
    ),
    (lambda some: [r.model_copy(update={"correct": None}) for r in some], "no record has"),
]


@pytest.mark.parametrize(("spoil", "complaint"), BAD)
def test_records_that_cannot_be_used_are_named(spoil, complaint, tmp_path, capsys):
    path = write_records(tmp_path / "r.jsonl", spoil(records(300, seed=1)))
    out = tmp_path / "p.json"
    assert main(["calibrate", str(path), "--out", str(out), "--clusterers", "jaccard"]) == 2
    assert re.search(complaint, capsys.readouterr().err)
    assert not out.exists()


def test_the_command_writes_a_profile_that_the_gateway_reads(tmp_path, capsys):
    path = write_records(tmp_path / "r.jsonl", records(1000, seed=1))
    out = tmp_path / "profiles" / "mine.json"
    arguments = ["calibrate", str(path), "--out", str(out), "--alpha", "0.2"]
    assert main([*arguments, "--clusterers", "jaccard", "--description", "for a test"]) == 0
    assert "at most 20% wrong at confidence 95%" in capsys.readouterr().out
    found = read_policies(out.parent).by_name["mine"]
    assert found.description == "for a test"
    assert found.calibration.made_for.model == "made-up"
    assert len(found.calibration.records.files[0]) == 64


def test_a_refusal_exits_with_1_and_writes_nothing(tmp_path, capsys):
    path = write_records(tmp_path / "r.jsonl", records(300, seed=1))
    out = tmp_path / "p.json"
    arguments = ["calibrate", str(path), "--out", str(out), "--alpha", "0.05"]
    assert main([*arguments, "--clusterers", "jaccard"]) == 1
    assert "cannot be certified" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("value", ["0", "1", "1.5", "nan", "x"])
def test_an_alpha_that_is_no_share_is_refused(value, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["calibrate", "r.jsonl", "--out", "p.json", "--alpha", value])
    assert caught.value.code == 2
    assert "--alpha" in capsys.readouterr().err


async def test_a_profile_that_was_changed_is_refused(made, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(made.model_dump_json(by_alias=True))
    assert read_policy(path) == made
    content = json.loads(path.read_text())
    content["calibration"]["ladder"]["all"]["threshold"] = 0.9
    path.write_text(json.dumps(content))
    with pytest.raises(PolicyUnreadable, match=r"calibration\.id.*was changed after it was made"):
        read_policy(path)


async def test_a_profile_of_a_newer_version_is_refused(made, tmp_path):
    path = tmp_path / "p.json"
    content = json.loads(made.model_dump_json(by_alias=True))
    content["calibration"]["schema"] = 2
    path.write_text(json.dumps(content))
    with pytest.raises(PolicyUnreadable, match=r"calibration\.schema: is 2, made by a newer"):
        read_policy(path)


def served(made: Policy, folder, **changes) -> Gateway:
    folder.mkdir(exist_ok=True)
    (folder / "mine.json").write_text(made.model_dump_json(by_alias=True))
    gateway = Gateway(Script("Tarn", (0.05, 0.05)), policies=folder)
    gateway.engine.model = replace(gateway.engine.model, id="made-up", **changes)
    return gateway


async def test_the_service_returns_confidence_and_certificate(made, tmp_path):
    async with served(made, tmp_path) as gateway:
        body = (await gateway.ask(policy="mine")).json()
        assert body["calibration"] == {"id": made.calibration.id, "risk_upper": 0.2}
        assert 0.5 < body["confidence"] <= 1
        assert body["calibration_missing"] is None
        other = (await gateway.ask(policy="mine", temperature=1)).json()
        assert other["calibration"] is None
        assert "greedy" in other["calibration_missing"]


@pytest.mark.parametrize(
    ("served_as", "why"),
    [
        ({"revision": "2"}, "was made for the revision '1', and '2' is served"),
        ({"id": "another"}, "was made for the model 'made-up', and 'another' is served"),
        ({"entropy": "bounds"}, "was made for exact token entropy, and here it is bounds"),
    ],
)
async def test_a_profile_of_something_else_is_unavailable_with_the_reason(
    made, tmp_path, served_as, why
):
    async with served(made, tmp_path) as gateway:
        gateway.engine.model = replace(gateway.engine.model, **served_as)
        response = await gateway.ask(policy="mine")
        assert (response.status_code, response.json()["code"]) == (422, "policy_unavailable")
        assert why in response.json()["detail"]
        assert (await gateway.ask()).status_code == 200  # the default is not affected
