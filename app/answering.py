"""A request as it is answered: the question, the cascade, further choices beside it.

Knows the service and no wire format.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ucbd.app.admission import weights
from ucbd.app.feed import Feed, Told
from ucbd.app.keys import Caller
from ucbd.app.question import Wanted, check_limits, most_samples, question
from ucbd.app.service import Service
from ucbd.app.single_cluster_rate.shadow import Draw
from ucbd.app.telemetry.tracing import Trace
from ucbd.cascade.answer import answer
from ucbd.cascade.boundaries.sampling import sample_seeds
from ucbd.cascade.case import Question
from ucbd.cascade.ladder import Rung
from ucbd.cascade.ledger import Ledger
from ucbd.cascade.outcome import Outcome
from ucbd.cascade.policy import Policy
from ucbd.models.engine import Engine
from ucbd.models.errors import DeadlineExceeded
from ucbd.models.generation import Generation


class Answered(Struct, frozen=True):
    """The judged answer, and the further choices that were asked for, which nobody judged.

    ``question`` and ``policy`` are what it was judged by; ``policy_name`` is the policy's here.
    """

    outcome: Outcome
    question: Question
    policy: Policy
    policy_name: str
    further: tuple[Generation, ...] = ()

    @property
    def generations(self) -> tuple[Generation, ...]:
        """All choices, first the judged one, or the larger tier's in its place."""
        return (self.outcome.served, *self.further)

    @property
    def texts(self) -> tuple[str | None, ...]:
        """What the client is given of each; withheld, none of them is shown."""
        given = self.outcome.text
        if self.outcome.withheld:
            return (given,) * len(self.generations)
        return (given, *(generation.text for generation in self.further))

    def parts(self) -> list[Told]:
        """Each text whole, for a stream that told nothing of it before."""
        return [
            Told(choice, text, logprobs=() if self.outcome.withheld else generation.logprobs or ())
            for choice, (text, generation) in enumerate(
                zip(self.texts, self.generations, strict=True)
            )
            if text
        ]


async def answered(
    wanted: Wanted,
    service: Service,
    start: float,
    draw: Draw,
    caller: Caller,
    trace: Trace,
    feed: Feed | None = None,
) -> Answered:
    """The answer to a request that came in at ``start``, on the monotonic clock.

    ``draw`` learns the question as soon as it is understood, and ``caller`` pays for what is read
    and generated, whatever comes of it. ``trace`` follows it. Raises ``Overloaded`` when there is
    no room.
    ``feed`` is told the choices as they come, where neither the request nor its policy wants the
    decision first.
    """
    ledger = Ledger(start + (wanted.deadline_ms or service.settings.deadline_ms) / 1000)
    chosen = caller.policy(wanted.policy)
    name = service.policies.default_name if chosen is None else chosen
    policy = service.policies.named(name)
    check_limits(wanted, service)
    held = weights(
        policy, most_samples(wanted, policy), explain=wanted.explain, further=wanted.choices - 1
    )
    try:
        with service.admission.hold(held) as rung:
            outcome, rest = await _answered(
                wanted, service, policy, ledger, rung, draw, trace, feed
            )
            assert draw.question is not None  # noqa: S101 - what was answered was understood
            return Answered(outcome, draw.question, policy, name, rest)
    finally:
        encoded = len(draw.question.prompt.token_ids) if draw.question else 0
        read = ledger.prompt_tokens or encoded  # a prompt may have been encoded elsewhere
        spent = ledger.spent()
        caller.allowance.spend(read + spent.main_tokens + spent.further_tokens)


async def _answered(
    wanted: Wanted,
    service: Service,
    policy: Policy,
    ledger: Ledger,
    rung: Rung,
    draw: Draw,
    trace: Trace,
    feed: Feed | None,
) -> tuple[Outcome, tuple[Generation, ...]]:
    asked = draw.question = await question(wanted, service, policy, ledger)
    if wanted.stream_mode == "commit" or policy.withholds or service.larger is not None:
        feed = None  # what may be replaced is not told
    engine = trace.engine(service.engine, remote=bool(service.settings.upstream))
    larger = service.larger and trace.engine(service.larger, remote=True)
    further = _draw_further(asked, wanted.choices - 1, engine, feed) if wanted.choices > 1 else []
    try:
        outcome = await answer(
            asked,
            policy=policy,
            boundaries=trace.boundaries(service.boundaries),
            engine=engine,
            ledger=ledger,
            wired=service.settings.wired_actions,
            rung=rung,
            larger=larger,
            listen=feed.listener(0) if feed else None,
        )
        rest: tuple[Generation, ...] = ()
        if further:
            rest = await _in_time(further, ledger)
            outcome = replace(outcome, spent=ledger.spent())
        return outcome, rest
    finally:
        for work in further:
            work.cancel()
        if further:
            await asyncio.gather(*further, return_exceptions=True)


def _draw_further(
    asked: Question, count: int, engine: Engine, feed: Feed | None
) -> list[asyncio.Task[Generation]]:
    """Drawn as the judged answer is, each with a seed of its own that no sample has."""
    seeds = sample_seeds(asked.options.seed, asked.samples + count)[asked.samples :]
    return [
        asyncio.create_task(
            engine.generate(
                asked.prompt,
                replace(asked.options, seed=seed),
                entropies=False,
                listen=feed.listener(choice) if feed else None,
            )
        )
        for choice, seed in enumerate(seeds, start=1)
    ]


async def _in_time(
    further: Sequence[asyncio.Task[Generation]], ledger: Ledger
) -> tuple[Generation, ...]:
    try:
        async with asyncio.timeout(ledger.remaining()):
            drawn = await ledger.wait(asyncio.gather(*further))
    except TimeoutError as error:
        raise DeadlineExceeded("the deadline passed before all choices were complete") from error
    for generation in drawn:
        ledger.record_choice(generation)
    return tuple(drawn)
