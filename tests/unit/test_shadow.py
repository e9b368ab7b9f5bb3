"""Shadow draws over HTTP on a scripted engine: what counts, what is lost, what is not covered."""

import asyncio
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.test_generate import CERTAIN, Gateway
from tests.unit.waiting import until
from ucbd.app.single_cluster_rate.all_samples import AllSamples
from ucbd.app.single_cluster_rate.metrics import ScrMetrics
from ucbd.app.single_cluster_rate.shadow import Budget, Shadow
from ucbd.cascade.case import Question
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.policy import read_policies
from ucbd.models.errors import DeadlineExceeded, EngineFailed
from ucbd.models.generation import GenerationOptions
from ucbd.models.scripted import Script, ScriptedEngine

SAME = Script("yes it is", CERTAIN, ("yes it is",))
EVERY = 1e6  # a share of tokens that draws every request


class Lane:
    """A shadow at a fixed chance, its engine and its series."""

    def __init__(self, script: Script = SAME, share: float = EVERY, chance: float = 0.0) -> None:
        self.engine = ScriptedEngine(script)
        self.registry = CollectorRegistry()
        self.load = 0.0
        self.chance = chance
        self.shadow = Shadow(
            share=share,
            samples=AllSamples(
                self.engine, read_policies(None).by_name["default"], {"jaccard": Jaccard()}
            ),
            metrics=ScrMetrics(self.registry, "m", ["jaccard"]),
            load=lambda: self.load,
            chance=lambda: self.chance,
        )

    async def question(self, text: str = "where is it", **options) -> Question:
        prompt = await self.engine.encode(text)
        return Question(prompt, GenerationOptions(8, **options), 0, "jaccard", text=text)

    async def ask(self, text: str = "where is it", **options) -> None:
        with self.shadow.draw() as draw:
            draw.question = await self.question(text, **options)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"model": "m", **labels})

    def sums(self) -> tuple[float | None, ...]:
        names = ("weight", "single_weight", "weight_squared", "single_weight_squared")
        return tuple(self.value(f"ucbd_scr_{name}_total", clusterer="jaccard") for name in names)

    def lost(self, reason: str) -> float | None:
        return self.value("ucbd_scr_lost_weight_total", clusterer="jaccard", reason=reason)

    async def settled(self) -> None:
        """Until every draw has been asked for."""
        running = asyncio.create_task(self.shadow.run())
        await until(lambda: self.shadow._outstanding == 0)
        running.cancel()
        await asyncio.wait({running})


async def test_a_drawn_request_is_asked_for_all_samples_whatever_it_allowed_itself():
    """Ten samples at T = 1 without the request's seed, in the background; it allowed none."""
    lane = Lane()
    await lane.ask(seed=7, temperature=0.3, stop=("x",))
    await lane.settled()
    expected = GenerationOptions(8, temperature=1.0, stop=("x",), background=True)
    assert lane.engine.calls == [expected] * 10
    assert lane.sums() == (1, 1, 1, 1)


async def test_two_clusters_count_with_their_weight_and_not_as_single():
    lane = Lane(replace(SAME, samples=("no", *["yes it is"] * 9)), share=5)  # p = 5/10
    await lane.ask()
    await lane.settled()
    assert lane.sums() == (2, 0, 4, 0)


async def test_a_request_that_was_not_drawn_costs_and_counts_nothing():
    lane = Lane(share=5, chance=0.5)
    await lane.ask()
    await lane.settled()
    assert lane.engine.calls == []
    assert lane.sums() == (0, 0, 0, 0)
    assert lane.value("ucbd_scr_uncovered_requests_total") == 0


async def test_without_a_budget_every_request_is_uncovered():
    lane = Lane(share=0)
    await lane.ask()
    await lane.ask()
    assert lane.value("ucbd_scr_uncovered_requests_total") == 2


async def test_load_lowers_p_and_raises_the_weight():
    """Of p = 1/2, three quarters of the limit in flight leave 1 - .5·.9 = .55."""
    lane = Lane(share=5)
    lane.load = 0.75
    assert lane.shadow.probability == pytest.approx(0.275)
    await lane.ask()
    await lane.settled()
    assert lane.sums()[0] == pytest.approx(1 / 0.275)
    lane.load = 1.0
    assert lane.shadow.probability == pytest.approx(0.05)


async def test_where_too_many_draws_wait_requests_are_uncovered_and_none_is_dropped():
    """64 may wait: p falls with each, 64/64, 63/64, … of it, and their weights rise."""
    lane = Lane()
    for _ in range(65):
        await lane.ask()
    assert lane.value("ucbd_scr_uncovered_requests_total") == 1
    await lane.settled()
    assert lane.sums()[0] == pytest.approx(sum(64 / left for left in range(1, 65)))


@pytest.mark.parametrize(
    ("script", "text", "reason"),
    [
        (replace(SAME, sample_fault=EngineFailed("broken")), "where is it", "error"),
        (replace(SAME, samples=(*["yes"] * 9, "")), "where is it", "incomplete"),
        (SAME, "write a poem about the sea", "out_of_scope"),
        (replace(SAME, samples=('{"a": 1}',)), "where is it", "out_of_scope"),
    ],
)
async def test_a_draw_without_clusters_is_lost_with_its_weight_and_cause(script, text, reason):
    lane = Lane(script, share=5)
    await lane.ask(text)
    await lane.settled()
    assert lane.lost(reason) == 2
    assert lane.sums() == (0, 0, 0, 0)


async def test_a_fault_in_the_lane_loses_one_draw_and_not_the_lane():
    lane = Lane(replace(SAME, sample_fault=RuntimeError("a fault of ours")))
    await lane.ask()
    await lane.ask()
    await lane.settled()
    assert lane.lost("error") == pytest.approx(1 + 64 / 63)


async def test_a_stop_loses_what_waits_and_what_is_being_asked():
    lane = Lane(replace(SAME, sample_delay=60), share=5)
    await lane.ask()
    await lane.ask()
    running = asyncio.create_task(lane.shadow.run())
    await until(lambda: lane.engine.running > 0)
    running.cancel()
    await asyncio.wait({running})
    await lane.ask()  # one that is still in flight when the lane has stopped
    assert lane.lost("shutdown") == pytest.approx(2 + 2 * 64 / 63 + 2 * 64 / 64)
    assert lane.engine.aborted == lane.engine.running + 1


async def test_a_request_that_ended_badly_is_still_asked_where_its_question_is_known():
    """A timeout is no sample of the traffic: slow answers are not like the others."""
    lane = Lane()
    question = await lane.question()

    def late() -> None:
        with lane.shadow.draw() as draw:
            draw.question = question
            raise DeadlineExceeded("late")

    with pytest.raises(DeadlineExceeded):
        late()
    await lane.settled()
    assert lane.sums() == (1, 1, 1, 1)


async def test_every_cause_is_at_zero_before_the_first_draw():
    lane = Lane()
    assert lane.sums() == (0, 0, 0, 0)
    for reason in ("refused", "invalid", "deadline", "client_closed", "error", "shutdown"):
        assert lane.lost(reason) == 0


@pytest.mark.parametrize(
    ("request_body", "settings", "dead", "reason"),
    [
        ({"prompt": "where", "max_tokens": -1}, {}, False, "invalid"),
        ({"prompt": "where"}, {"max_in_flight": 1}, False, "refused"),
        ({"prompt": "where"}, {}, True, "refused"),
    ],
)
async def test_a_request_that_was_never_understood_is_lost(request_body, settings, dead, reason):
    script = replace(SAME, delay=60.0 if settings else 0.0)
    async with Gateway(script, shadow=EVERY, **settings) as gateway:
        gateway.engine.dead = dead
        if settings:  # one request takes the only place
            held = asyncio.create_task(gateway.ask())
            await until(lambda: gateway.engine.running > 0)
        for _ in range(200 if settings else 1):  # under load p is a tenth
            await gateway.ask(**request_body)
        lost = await gateway.counters("ucbd_scr_lost_weight_total")
        if settings:
            held.cancel()
            await asyncio.wait({held})
    assert {labels for labels in lost if f'reason="{reason}"' in labels}
    assert all(f'reason="{reason}"' in labels for labels in lost)


def test_a_budget_is_kept_over_many_requests_of_any_length():
    """Samples twice as long as a request's answer, then half as long: 1 % of tokens all the same.

    Chance is replaced by its mean: p draws a request.
    """
    budget = Budget(0.01, 10)
    assert budget.probability() == pytest.approx(0.001)
    generated = spent = due = 0.0
    for tokens, sample in [(20, 40)] * 30_000 + [(20, 10)] * 30_000:
        due += budget.probability()
        budget.generated(tokens)
        generated += tokens
        if due >= 1:
            due -= 1
            budget.spent(10 * sample)
            spent += 10 * sample
    assert spent / generated == pytest.approx(0.01, rel=0.1)
