"""One question asked of a served model: its greedy answer, its samples, some at other temperatures.

What comes back is a record like any other, so that ``ucbd replay`` reads it too. An answer that is
empty, refused or all reasoning is kept as what it is and never as a text that agrees or differs.
Knows no score.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ucbd.cascade.evaluation.records import Record
from ucbd.models.errors import InvalidRequest, UpstreamFailed
from ucbd.models.upstream.replies import Said
from ucbd.models.upstream.respondent import Respondent

T = TypeVar("T")
SAID = ("answer", "samples", "sampling", "model", "at_temperature")
"""The keys of a record that asking makes; all others are the question's."""
_FAILURES_IN_A_ROW = 8


@dataclass(frozen=True, slots=True)
class Asking:
    """How every question is asked: greedily, and ``samples`` times at temperature 1.

    Of every ``every``-th question ``fewer`` more are drawn at each of ``temperatures``.
    """

    samples: int = 10
    max_tokens: int = 64
    temperatures: tuple[float, ...] = (0.3, 0.7, 1.5)
    every: int = 5
    fewer: int = 5


@dataclass(frozen=True, slots=True)
class Failure:
    """A question that the server could not be brought to answer, and why."""

    id: str
    reason: str


async def ask_each(
    questions: Sequence[Record],
    respondent: Respondent,
    asking: Asking,
    also_at: frozenset[str],
    *,
    at_once: int,
    answered: Callable[[Record], None],
    failed: Callable[[Failure], None],
) -> None:
    """Ask every question, ``at_once`` at a time.

    ``answered`` gets each record when it is whole, ``failed`` each that never will be; ``also_at``
    are the ids of those that are asked at other temperatures too. Raises the error of a
    server that is gone or stays busy, and that of the last of eight failures in a row.
    """
    in_a_row = 0
    waiting = list(reversed(questions))

    async def worker() -> None:
        nonlocal in_a_row
        while waiting:
            question = waiting.pop()
            temperatures = asking.temperatures if question.id in also_at else ()
            try:
                record = await ask(question, respondent, asking, temperatures)
            except (InvalidRequest, UpstreamFailed) as error:
                failed(Failure(question.id, str(error)))
                in_a_row += 1
                if in_a_row >= _FAILURES_IN_A_ROW:
                    raise
            else:
                in_a_row = 0
                answered(record)

    await _together([worker() for _ in range(at_once)])


async def ask(
    question: Record, respondent: Respondent, asking: Asking, temperatures: Sequence[float] = ()
) -> Record:
    """The question with what the model says to it. Raises the respondent's errors.

    A label that it brought was about another answer and is dropped; its references stay.
    """

    def drawn(n: int, temperature: float) -> Coroutine[Any, Any, tuple[Said, ...]]:
        return respondent.samples(question.prompt, n, temperature, asking.max_tokens)

    main, samples, *others = await _together(
        [
            respondent.answer(question.prompt, asking.max_tokens),
            drawn(asking.samples, 1.0),
            *(drawn(asking.fewer, temperature) for temperature in temperatures),
        ]
    )
    found = {
        "answer": _answer(*main),
        "samples": [_sample(said) for said in samples],
        "sampling": {"n": asking.samples, "temperature": 1.0, "top_p": 1.0},
        "model": respondent.model,
        "at_temperature": {
            f"{temperature:g}": [_sample(said) for said in some]
            for temperature, some in zip(temperatures, others, strict=True)
        },
    }
    kept = question.model_dump(exclude_unset=True, exclude={"correct", "answer", "samples"})
    return Record.model_validate(kept | found)


def _answer(said: Said) -> dict[str, object]:
    rows = said.top_logprobs
    if rows is None:
        return _sample(said)
    return _sample(said) | {"tokens": len(rows), "top_logprobs": rows}


def _sample(said: Said) -> dict[str, object]:
    """As a record has it; ``ended`` and ``reasoned`` are ours, and carried through."""
    return {"text": said.text, "ended": said.ended, "reasoned": said.reasoned}


async def _together(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All at once; the first that fails ends the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
