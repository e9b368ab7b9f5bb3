"""The cascade on a scripted engine: what is spent, what is decided, and what a fault costs."""

import asyncio
import math
import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.waiting import until
from ucbd.cascade.answer import answer
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.boundaries.sampling import POINTLESS, Sampling, sample_options, sample_seeds
from ucbd.cascade.calibration.probability import EvidenceModel, Platt
from ucbd.cascade.calibration.profile import (
    Calibration,
    Certificate,
    MadeFor,
    RecordsUsed,
    RungProfile,
)
from ucbd.cascade.case import Question
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.ledger import Ledger
from ucbd.cascade.outcome import Bound, Cluster
from ucbd.cascade.policy import Policy
from ucbd.models.errors import DeadlineExceeded, EngineFailed, EngineUnavailable
from ucbd.models.generation import EncodedPrompt, GenerationOptions, Message, Missing
from ucbd.models.scripted import Script, ScriptedEngine

# u of fluency is 1 - exp(-H): H = 0.01 gives .00995, H = 0.3 gives .259, H = 1 gives .632
CERTAIN, WAVERING, LOST = (0.01,), (0.3,), (1.0,)
TEN_ALIKE = ("Tarn it is",)


def policy(**changes) -> Policy:
    stages = [
        {"stage": "fluency", "fire": 2.0, "accept": 0.05, "high": 0.9},
        {"stage": "sampling", "fire": 1.6, "accept": 0.2, "high": 0.6},
    ]
    return Policy(**{"schema": 1, "description": "", "stages": stages, "threshold": 0.4} | changes)


async def ask(
    script: Script,
    *,
    text="where",
    evidence=(),
    conversation=(),
    boundaries=None,
    samples=10,
    explain=False,
    deadline=None,
    wired=(),
    rules=None,
    rung="all",
    listen=None,
    raw=False,
    larger=None,
    **options,
):
    engine = ScriptedEngine(script)
    ledger = Ledger(None if deadline is None else time.monotonic() + deadline)
    clusterer = Jaccard()
    question = Question(
        prompt=await engine.encode(text),
        options=GenerationOptions(max_tokens=16, **options),
        samples=samples,
        clusterer=clusterer.name,
        explain=explain,
        text=text,
        evidence=evidence,
        conversation=conversation,
        raw=raw,
    )
    used = boundaries or (Fluency(), Sampling({clusterer.name: clusterer}))
    outcome = await answer(
        question,
        policy=rules or policy(),
        boundaries={boundary.name: boundary for boundary in used},
        engine=engine,
        ledger=ledger,
        wired=wired,
        rung=rung,
        listen=listen,
        larger=larger,
    )
    return outcome, engine


def certified() -> Policy:
    """Fluency alone, certified on answers that nothing constrained."""
    model = EvidenceModel(
        stages=("fluency",),
        weights=(1,),
        intercept=0,
        map=Platt(slope=1, intercept=0),
        answers=9,
        wrong=1,
    )
    found = Certificate(risk_upper=0.1, coverage=0.5, records=100, answered=50, wrong=0)
    calibration = Calibration(
        schema=1,
        id="mine",
        created=date(2026, 1, 1),
        alpha=0.1,
        delta=0.05,
        made_for=MadeFor(
            model=None,
            revision=None,
            prompt_template=None,
            sample_temperature=None,
            measured=("fluency",),
            signals={"fluency": "mean_token_entropy(exact)"},
        ),
        records=RecordsUsed(files=(), fitted=100, certified=100, seed=1),
        models=(model,),
        ladder={"all": RungProfile(threshold=0.5, certificate=found)},
        aim=0.5,
    )
    return policy(stages=[{"stage": "fluency"}], calibration=calibration)


async def test_a_certificate_is_for_messages_that_were_answered_without_a_grammar():
    free, _ = await ask(Script(entropies=CERTAIN), rules=certified())
    raw, _ = await ask(Script(entropies=CERTAIN), rules=certified(), raw=True)
    held, _ = await ask(Script(entropies=CERTAIN), rules=certified(), json_schema="{}")
    assert (free.decision, free.bound) == ("answer", Bound("mine", 0.1))
    assert raw.bound == held.bound == Missing("it was certified for messages, answered freely")
    # a grammar leaves less to waver about: another signal, of which the policy knows nothing
    assert held.stages[0].reason.startswith("the policy was made for mean_token_entropy(exact)")
    assert held.decision == "abstain"


def outcomes(outcome):
    return [(stage.name, stage.outcome, stage.reason) for stage in outcome.stages]


async def test_a_certain_answer_is_answered_by_one_engine_call():
    outcome, engine = await ask(Script(answer="Tarn it is", entropies=CERTAIN))
    assert outcome.decision == "answer"
    assert outcome.boundary == "none"
    assert outcomes(outcome) == [("fluency", "accepted", None), ("sampling", "skipped", "decided")]
    assert len(engine.calls) == 1
    assert outcome.spent.relative_cost == 1
    assert outcome.samples_planned == 0


async def test_a_fluency_score_above_fire_ends_the_cascade_before_sampling():
    outcome, engine = await ask(Script(entropies=(2.5,)))
    assert (outcome.decision, outcome.boundary) == ("abstain", "fluency")
    assert outcome.verdict.action == "larger_model"
    assert "2.500, above 2" in outcome.verdict.message
    assert len(engine.calls) == 1


async def test_a_combined_uncertainty_above_high_fires_the_stage_that_saw_it():
    # H = ln 20 = 2.996: u = .95 > .9, with fire out of the way
    rules = policy(stages=[{"stage": "fluency", "fire": 5, "high": 0.9}])
    outcome, _ = await ask(Script(entropies=(math.log(20),)), rules=rules)
    assert (outcome.decision, outcome.boundary) == ("abstain", "fluency")
    assert outcome.verdict.message == "the combined uncertainty is 0.950, above 0.9"


async def test_scattered_samples_fire_sampling():
    samples = tuple(f"word{i} other{i}" for i in range(10))
    outcome, _ = await ask(Script(answer="Tarn it is", entropies=WAVERING, samples=samples))
    assert (outcome.decision, outcome.boundary) == ("abstain", "sampling")
    assert outcome.verdict.action == "retrieve"
    assert len(outcome.samples.clusters) == 10
    assert outcome.samples.semantic_entropy == pytest.approx(math.log(10))
    assert outcome.samples.answer_support == 0
    assert outcome.samples.homogenized is False


async def test_samples_that_support_the_answer_are_accepted():
    # 9 of 10 agree: u = (1 - e^-.1 + .1)/2 = .0976 < .2; semantic entropy .325 < 1.6.
    # The answer's own call is the script's call 0, so sample i speaks line i+1.
    samples = ("Dole instead", *["Tarn it is"] * 9)
    outcome, _ = await ask(Script(answer="Tarn it is", entropies=(0.1,), samples=samples))
    assert outcome.decision == "answer"
    assert outcomes(outcome)[1] == ("sampling", "accepted", None)
    assert outcome.samples.clusters == (Cluster(9, "Tarn it is"), Cluster(1, "Dole instead"))
    assert outcome.samples.answer_support == 0.9
    # 10 samples: nine of three words, one of two; the answer has three
    assert outcome.spent.sampled_tokens == 29
    assert outcome.spent.relative_cost == pytest.approx(32 / 3)


async def test_unanimous_samples_cannot_rank_and_leave_the_decision_to_the_other_signals():
    script = Script(answer="Tarn it is", entropies=WAVERING, samples=TEN_ALIKE)
    outcome, _ = await ask(script)
    assert outcomes(outcome)[1][:2] == ("sampling", "uninformative")
    assert outcome.samples.homogenized is True
    assert outcome.samples.answer_support == 1
    assert outcome.decision == "answer"  # by fluency alone: .259 is below .4

    outcome, _ = await ask(Script(answer="Tarn it is", entropies=LOST, samples=TEN_ALIKE))
    assert outcome.samples.homogenized is True
    assert (outcome.decision, outcome.boundary) == ("abstain", "combined")  # .632 is above .4


async def test_unanimity_never_lowers_the_uncertainty():
    """What fluency said is not diluted by ten samples that agree."""
    outcome, _ = await ask(Script(answer="Tarn it is", entropies=LOST, samples=TEN_ALIKE))
    assert outcome.verdict.message == "the combined uncertainty is 0.632, above 0.4"


async def test_unanimous_samples_against_the_answer_fire():
    script = Script(answer="Dole instead", entropies=WAVERING, samples=TEN_ALIKE)
    outcome, _ = await ask(script)
    assert (outcome.decision, outcome.boundary) == ("abstain", "sampling")
    assert outcome.verdict.message == "all 10 samples agree with each other and not with the answer"
    assert outcome.samples.homogenized is True
    assert outcome.samples.answer_support == 0


async def test_an_empty_sample_keeps_the_stratum_from_being_claimed():
    script = Script(answer="Tarn it is", entropies=WAVERING, samples=("", *["Tarn it is"] * 9))
    outcome, _ = await ask(script)
    assert outcome.samples.drawn == 9
    assert outcome.samples.planned == 10
    assert outcome.samples.homogenized is None


@pytest.mark.parametrize(
    ("usable", "outcome", "reason"),
    [
        (2, "uninformative", "the 2 usable of 10 samples say the same, right or wrong"),
        (9, "uninformative", "the 9 usable of 10 samples say the same, right or wrong"),
        (10, "uninformative", "all 10 samples say the same, right or wrong"),
    ],
)
async def test_lost_samples_are_told_and_are_no_stratum(usable, outcome, reason):
    """Two of ten that agree are not ten that agree: nobody knows what the others would say."""
    samples = ("",) * (10 - usable) + ("Tarn it is",) * usable
    found, _ = await ask(Script(answer="Tarn it is", entropies=WAVERING, samples=samples))
    stage = found.stages[1]
    drawn = "" if usable == 10 else f",drawn={usable}"
    assert stage.signal == f"semantic_entropy(jaccard(threshold=0.4),n=10{drawn})"
    assert stage.outcome == outcome
    assert reason in stage.reason
    assert found.samples.drawn == usable
    assert found.unanimous is (usable == 10)


async def test_lost_samples_that_scatter_are_measured_with_their_number():
    samples = ("",) * 6 + tuple(f"word{i} other{i}" for i in range(4))
    found, _ = await ask(Script(answer="Tarn it is", entropies=WAVERING, samples=samples))
    assert found.stages[1].score == pytest.approx(math.log(4))
    assert found.stages[1].signal.endswith("n=10,drawn=4)")


async def test_the_samples_that_are_left_may_still_stand_against_the_answer():
    samples = ("",) * 8 + ("Tarn it is",) * 2
    found, _ = await ask(Script(answer="Dole instead", entropies=WAVERING, samples=samples))
    assert (found.decision, found.boundary) == ("abstain", "sampling")
    said = "the 2 usable of 10 samples agree with each other and not with the answer"
    assert found.verdict.message == said


async def test_reasoning_is_stripped_before_clustering():
    samples = tuple(f"<think>path {i} taken</think>Tarn it is" for i in range(10))
    outcome, _ = await ask(Script(answer="Tarn it is", entropies=WAVERING, samples=samples))
    assert outcome.samples.homogenized is True


@pytest.mark.parametrize(
    ("samples", "reason"),
    [(0, "forbidden"), (1, "one sample cannot disagree with itself; allow at least 2")],
)
async def test_too_small_a_sample_allowance_skips_sampling(samples, reason):
    outcome, engine = await ask(Script(entropies=WAVERING), samples=samples, explain=True)
    assert outcomes(outcome)[1] == ("sampling", "skipped", reason)
    assert len(engine.calls) == 1
    assert outcome.samples is None
    assert outcome.samples_planned == 0


async def test_explain_runs_every_stage_and_does_not_change_the_decision():
    scattered = tuple(f"word{i} other{i}" for i in range(10))
    script = Script(answer="Tarn it is", entropies=CERTAIN, samples=scattered)
    plain, _ = await ask(script)
    explained, engine = await ask(script, explain=True)
    assert plain.decision == explained.decision == "answer"
    assert outcomes(explained)[1][1] == "fired"
    assert len(engine.calls) == 11
    assert plain.spent.relative_cost <= explained.spent.relative_cost


async def test_missing_entropies_are_unavailable_and_never_read_as_certainty():
    outcome, _ = await ask(Script(answer="Tarn it is", entropies=None, samples=TEN_ALIKE))
    assert outcomes(outcome)[0] == ("fluency", "unavailable", "the script has no entropies")
    assert (outcome.decision, outcome.boundary) == ("abstain", "combined")
    assert "nothing could be measured" in outcome.verdict.message


async def test_an_empty_answer_is_not_answered_however_certain():
    outcome, engine = await ask(Script(answer="<think>hm</think> ", entropies=CERTAIN))
    assert (outcome.decision, outcome.boundary) == ("abstain", "combined")
    assert outcome.verdict.message == "the model's answer is empty"
    assert len(engine.calls) == 1


@pytest.mark.parametrize("fault", [EngineFailed("broken"), EngineUnavailable("dead")])
async def test_a_fault_while_sampling_costs_the_evidence_and_not_the_answer(fault):
    script = Script(answer="Tarn it is", entropies=WAVERING, sample_fault=fault)
    outcome, _ = await ask(script)
    assert outcomes(outcome)[1] == (
        "sampling",
        "unavailable",
        f"0 of 10 samples usable: {fault}",
    )
    assert outcome.generation.text == "Tarn it is"
    assert outcome.samples_planned == 10
    assert outcome.samples is None


async def test_a_bug_in_a_stage_is_a_visible_outcome():
    script = Script(entropies=WAVERING, sample_fault=ZeroDivisionError("bug"))
    outcome, _ = await ask(script)
    assert outcomes(outcome)[1] == ("sampling", "unavailable", "internal error")


async def test_a_fault_in_the_main_answer_is_the_requests_error():
    with pytest.raises(EngineFailed, match="broken"):
        await ask(Script(fault=EngineFailed("broken")))


async def test_no_answer_before_the_deadline_is_an_error_and_aborts_the_engines_work():
    engine_delay = Script(delay=30)
    with pytest.raises(DeadlineExceeded):
        await ask(engine_delay, deadline=0.02)


async def test_a_deadline_during_sampling_cuts_the_stage_and_keeps_the_answer():
    script = Script(answer="Tarn it is", entropies=LOST, sample_delay=30)
    outcome, engine = await ask(script, deadline=3)
    assert outcomes(outcome)[1] == ("sampling", "unavailable", "deadline")
    assert (outcome.decision, outcome.boundary) == ("abstain", "deadline")
    assert engine.aborted == 10
    assert engine.running == 0


async def test_what_would_help_is_an_escalation_only_where_it_is_wired():
    outcome, _ = await ask(Script(entropies=(2.5,)), wired=("larger_model",))
    assert outcome.decision == "escalate"
    outcome, _ = await ask(Script(entropies=(2.5,)), wired=("retrieve",))
    assert outcome.decision == "abstain"


async def test_a_withholding_policy_withholds_only_what_is_not_answered():
    refused, _ = await ask(Script(entropies=(2.5,)), rules=policy(withhold=True))
    answered, _ = await ask(Script(entropies=CERTAIN), rules=policy(withhold=True))
    assert (refused.withheld, answered.withheld) == (True, False)


async def test_samples_are_drawn_at_temperature_one_whatever_the_main_answer_asks():
    script = Script(answer="Tarn it is", entropies=WAVERING, samples=TEN_ALIKE)
    _, engine = await ask(script, temperature=0.2, top_p=0.5, stop=("\n",), seed=7)
    main, *samples = engine.calls
    assert (main.temperature, main.top_p, main.seed) == (0.2, 0.5, 7)
    assert {(s.temperature, s.top_p, s.stop, s.max_tokens) for s in samples} == {
        (1.0, 1.0, ("\n",), 16)
    }
    assert len({s.seed for s in samples}) == 10
    assert None not in {s.seed for s in samples}


def test_sample_seeds_repeat_for_a_seed_and_differ_from_each_other_and_from_another_seeds():
    assert sample_seeds(7, 64) == sample_seeds(7, 64)
    assert len(set(sample_seeds(7, 64))) == 64
    assert not set(sample_seeds(7, 64)) & set(sample_seeds(8, 64))
    assert all(0 <= seed < 2**63 for seed in sample_seeds(2**63 - 1, 64))
    assert sample_seeds(None, 3) == [None, None, None]


def test_fewer_samples_are_the_first_of_more():
    """A smaller allowance sees the same samples, not other ones."""
    question = Question(EncodedPrompt((1,)), GenerationOptions(8, seed=3), 10, "jaccard")
    few = Question(EncodedPrompt((1,)), GenerationOptions(8, seed=3), 3, "jaccard")
    assert sample_options(question)[:3] == sample_options(few)


async def test_waiting_for_the_engine_is_not_counted_as_overhead():
    outcome, _ = await ask(Script(entropies=CERTAIN, delay=0.05))
    assert 0.045 <= outcome.spent.waited < 60


async def test_a_stage_that_cannot_be_done_in_the_time_left_is_not_begun():
    stages = [{"stage": "fluency"}, {"stage": "sampling", "fire": 1.6, "seconds": 5}]
    script = Script(answer="Tarn it is", entropies=WAVERING, samples=TEN_ALIKE)
    outcome, engine = await ask(script, rules=policy(stages=stages), deadline=3)
    assert outcomes(outcome)[1] == ("sampling", "skipped", "deadline")
    assert len(engine.calls) == 1
    outcome, engine = await ask(script, rules=policy(stages=stages), deadline=600)
    assert len(engine.calls) == 11
    outcome, engine = await ask(script, rules=policy(stages=stages))
    assert len(engine.calls) == 11


async def test_samples_are_not_begun_where_less_time_is_left_than_the_answer_took():
    """The answer took two of 3.9 seconds: samples would be cut off, and cost all the same."""
    script = Script(answer="Tarn it is", entropies=WAVERING, samples=TEN_ALIKE, delay=2)
    outcome, engine = await ask(script, deadline=3.9)
    assert outcomes(outcome)[1] == ("sampling", "skipped", "deadline")
    assert len(engine.calls) == 1
    hurried = [{"stage": "fluency"}, {"stage": "sampling", "fire": 1.6, "seconds": 0.1}]
    outcome, engine = await ask(script, rules=policy(stages=hurried), deadline=3.9)
    assert len(engine.calls) == 11  # the policy knows better, or thinks so


async def test_a_cancelled_request_aborts_its_samples():
    engine = ScriptedEngine(Script(answer="a b", entropies=WAVERING, sample_delay=30))
    question = Question(await engine.encode("q"), GenerationOptions(8), 10, "jaccard")
    boundaries = {b.name: b for b in (Fluency(), Sampling({"jaccard": Jaccard()}))}
    work = asyncio.create_task(
        answer(question, policy=policy(), boundaries=boundaries, engine=engine, ledger=Ledger())
    )
    await until(lambda: engine.running == 10)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (engine.running, engine.aborted) == (0, 10)


@settings(deadline=None, max_examples=60)
@given(
    entropy=st.floats(0, 4),
    samples=st.lists(st.sampled_from(["Tarn it is", "Tarn", "no", ""]), min_size=1, max_size=10),
    stop_error=st.sampled_from([None, 0.01, 0.2]),
    planned=st.integers(0, 12),
)
def test_a_request_spends_at_most_what_explaining_it_spends(entropy, samples, stop_error, planned):
    async def spent(explain):
        script = Script(answer="Tarn it is", entropies=(entropy,), samples=tuple(samples))
        rules = policy(stop_error=stop_error)
        outcome, engine = await ask(script, rules=rules, samples=planned, explain=explain)
        return outcome.spent.relative_cost, len(engine.calls)

    (plain, calls), (explained, most) = (asyncio.run(spent(explain)) for explain in (False, True))
    assert plain <= explained
    assert calls <= most


class TestStoppingEarly:
    """A policy that allows it draws a few samples at a time, no more than the decision needs."""

    rules = policy(stop_error=0.01)
    undecided = policy(
        stages=[{"stage": "fluency"}, {"stage": "sampling", "fire": 1.6}], stop_error=0.01
    )

    async def test_nothing_is_drawn_where_no_samples_would_change_the_decision(self):
        # H = 3 nats is u = .950 by fluency. Whatever the samples say, the mean of that and any
        # share of 0 … 1 is above .4.
        script = Script(answer="Tarn it is", entropies=(3.0,), samples=TEN_ALIKE)
        outcome, engine = await ask(script, rules=self.undecided)
        assert (outcome.decision, outcome.boundary) == ("abstain", "combined")
        assert len(engine.calls) == 1
        last = outcome.stages[-1]
        assert (last.outcome, last.reason, last.cost) == ("skipped", POINTLESS, 0)
        assert (outcome.samples, outcome.samples_planned) == (None, 0)
        assert outcome.spent.relative_cost == 1

    async def test_an_explanation_draws_all_of_them(self):
        script = Script(answer="Tarn it is", entropies=(3.0,), samples=TEN_ALIKE)
        outcome, engine = await ask(script, rules=self.undecided, explain=True)
        assert outcome.decision == "abstain"
        assert len(engine.calls) == 1 + 10

    async def test_few_are_drawn_where_the_first_settle_it(self):
        # H = .4 nats is u = .330: with the answer supported by s of ten samples, the mean of that
        # and 1 - s/10 is at most .4 from s = 5.3 on. The first three agree with the answer.
        script = Script(answer="Tarn it is", entropies=(0.4,), samples=TEN_ALIKE)
        rules = self.undecided.model_copy(update={"stop_error": 0.2})
        outcome, engine = await ask(script, rules=rules)
        assert outcome.decision == "answer"
        assert outcome.samples.drawn == len(engine.calls) - 1 < 10
        assert outcome.samples_planned == 10
        assert outcome.spent.relative_cost == pytest.approx(1 + outcome.samples.drawn)

    async def test_one_cluster_of_a_few_is_not_the_homogenized_stratum(self):
        script = Script(answer="Tarn it is", entropies=(0.01,) * 3, samples=TEN_ALIKE)
        rules = policy(stages=[{"stage": "sampling", "fire": 2.2}], threshold=0.9, stop_error=0.2)
        outcome, _ = await ask(script, rules=rules)
        assert outcome.samples.drawn < 10
        assert outcome.samples.homogenized is None
        assert outcome.stages[0].outcome == "uninformative"
        said = f"the first {outcome.samples.drawn} samples say the same, right or wrong"
        assert said in outcome.stages[0].reason
        # it was not lost but not needed: the evidence is what was asked for
        assert outcome.stages[0].signal == "semantic_entropy(jaccard(threshold=0.4),n=10)"
        assert outcome.unanimous

    async def test_scattered_samples_fire_after_a_few_with_the_entropy_that_all_would_have(self):
        samples = tuple(f"word{i} other{i}" for i in range(10))
        script = Script(answer="Tarn it is", entropies=WAVERING, samples=samples)
        outcome, engine = await ask(script, rules=self.rules)
        assert (outcome.decision, outcome.boundary) == ("abstain", "sampling")
        drawn = len(engine.calls) - 1
        assert 3 <= drawn < 10
        assert outcome.samples.semantic_entropy == pytest.approx(math.log(drawn))
        assert math.log(drawn) < outcome.stages[1].score < math.log(10)
        assert f"n=10,drawn={drawn})" in outcome.verdict.message
        # none of them agrees with the answer, and of those to come a few might
        assert (0.259 + 0.8) / 2 < outcome.uncertainty < (0.259 + 1) / 2

    async def test_samples_that_may_still_change_it_are_all_drawn(self):
        # Four of nine agree, and the tenth decides: u = 1 - e^-.288 = .25, and (.25 + .6)/2 is
        # above .4, (.25 + .5)/2 below.
        samples = ("Tarn it is", "Dole instead") * 5
        script = Script(answer="Tarn it is", entropies=(0.288,), samples=samples)
        outcome, engine = await ask(script, rules=self.rules)
        assert len(engine.calls) == 1 + 10
        assert outcome.samples.semantic_entropy == pytest.approx(math.log(2))

    @pytest.mark.parametrize("changes", [{"explain": True}, {"rules": policy()}])
    async def test_an_explanation_and_a_policy_without_it_draw_all(self, changes):
        samples = tuple(f"word{i} other{i}" for i in range(10))
        script = Script(answer="Tarn it is", entropies=WAVERING, samples=samples)
        outcome, engine = await ask(script, **({"rules": self.rules} | changes))
        assert len(engine.calls) == 1 + 10
        assert outcome.samples.semantic_entropy == pytest.approx(math.log(10))

    async def test_a_stage_that_leaves_it_to_a_later_one_stops_only_for_a_decision_of_its_own(self):
        stages = [{"stage": "sampling"}, {"stage": "fluency", "fire": 2.0}]
        samples = tuple(f"word{i} other{i}" for i in range(10))
        script = Script(answer="Tarn it is", entropies=WAVERING, samples=samples)
        _, engine = await ask(script, rules=policy(stages=stages, stop_error=0.01))
        assert len(engine.calls) == 1 + 10

    async def test_a_sample_that_says_nothing_is_made_up_for_by_drawing_all(self):
        samples = ("line 0 is the answer's", "", *(f"word{i} other{i}" for i in range(8)))
        script = Script(answer="Tarn it is", entropies=WAVERING, samples=samples)
        outcome, engine = await ask(script, rules=self.rules)
        assert len(engine.calls) == 1 + 10
        assert outcome.samples.drawn == 9


TURNS = (Message("user", "where"),)


async def test_what_a_larger_model_would_help_with_it_is_asked_and_its_answer_served():
    larger = ScriptedEngine(Script(samples=("Holm, by the sea",)))
    outcome, engine = await ask(
        Script(answer="Tarn it is", entropies=LOST * 3),
        larger=larger,
        conversation=TURNS,
        rules=policy(stages=[{"stage": "fluency", "fire": 0.5}]),
        seed=3,
    )
    assert (outcome.decision, outcome.boundary) == ("escalate", "fluency")
    assert outcome.text == "Holm, by the sea"
    assert outcome.generation.text == "Tarn it is"  # what the evidence is about
    assert [(call.max_tokens, call.seed) for call in larger.calls] == [(16, 3)]
    # 3 tokens of the answer and 4 of the larger model's, in two calls
    assert (outcome.spent.main_tokens, outcome.spent.larger_tokens) == (3, 4)
    assert outcome.spent.relative_cost == pytest.approx(7 / 3)
    assert (outcome.spent.engine_calls, len(engine.calls)) == (2, 1)


async def test_a_larger_model_is_not_asked_about_answers_that_stand_or_that_it_would_not_help():
    larger = ScriptedEngine(Script())
    stands, _ = await ask(Script(entropies=CERTAIN), larger=larger, conversation=TURNS)
    combined, _ = await ask(
        Script(entropies=LOST), larger=larger, conversation=TURNS, samples=0, rules=policy()
    )
    assert stands.escalation is None
    assert (combined.decision, combined.verdict.action) == ("abstain", "human")
    assert larger.calls == []


@pytest.mark.parametrize(
    ("fault", "delay", "reason"),
    [(EngineFailed("it broke"), 0.0, "it broke"), (None, 30.0, "deadline")],
)
async def test_a_larger_model_that_fails_leaves_the_first_answer_and_the_decision(
    fault, delay, reason
):
    larger = ScriptedEngine(Script(sample_fault=fault, sample_delay=delay))
    outcome, _ = await ask(
        Script(answer="Tarn", entropies=LOST),
        larger=larger,
        conversation=TURNS,
        rules=policy(stages=[{"stage": "fluency", "fire": 0.5}]),
        deadline=60 if fault else 2,
    )
    assert (outcome.decision, outcome.text) == ("escalate", "Tarn")
    assert (outcome.escalation.generation, outcome.escalation.reason) == (None, reason)
    assert outcome.spent.larger_tokens == 0


@pytest.mark.parametrize(("fault", "text"), [(None, "Holm"), (EngineFailed("broken"), None)])
async def test_a_withheld_answer_is_replaced_by_the_larger_models_and_by_nothing_else(fault, text):
    larger = ScriptedEngine(Script(samples=("Holm",), sample_fault=fault))
    rules = policy(stages=[{"stage": "fluency", "fire": 0.5}], withhold=True)
    outcome, _ = await ask(
        Script(answer="Tarn", entropies=LOST), larger=larger, conversation=TURNS, rules=rules
    )
    assert outcome.text == text
    assert outcome.withheld == (text is None)
