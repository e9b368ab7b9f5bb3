"""Asking an engine a record's question: its answer, its samples, what it thinks of its answer.

Nothing is decided and nothing is skipped here, so that any policy can be tried on what was said.
Knows no file and no score.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from ucbd.cascade.boundaries.sampling import sample_options, sample_seeds
from ucbd.cascade.boundaries.self_assessment import p_true
from ucbd.cascade.case import Question
from ucbd.cascade.evaluation.records import Answer, Record, Sample, SamplingSettings
from ucbd.cascade.reasoning import final_answer
from ucbd.models.engine import Engine
from ucbd.models.errors import InvalidRequest
from ucbd.models.generation import EncodedPrompt, Generation, GenerationOptions, Message, Missing


@dataclass(frozen=True, slots=True)
class Asking:
    """How every question is asked: a greedy answer, and ``samples`` more at ``temperature``.

    ``max_tokens`` bounds each of them. With ``seed`` the samples of a question are drawn with seeds
    of their own, derived from it.
    """

    samples: int = 10
    temperature: float = 1.0
    max_tokens: int = 64
    seed: int | None = None


async def ask(record: Record, engine: Engine, asking: Asking) -> Record:
    """The record with ``answer``, ``samples`` and how and by which model they were made.

    An answer that it brought is replaced, and a label that was about that one is dropped.
    What could not be measured is absent. Raises the engine's errors.
    """
    conversation = [Message("user", record.prompt)]
    prompt = await engine.encode(record.prompt)
    main, samples = await asyncio.gather(
        engine.generate(prompt, GenerationOptions(asking.max_tokens), entropies=True),
        _samples(engine, prompt, asking),
    )
    believed = await _believed(engine, conversation, main)
    found = {
        "answer": _answer(main, believed),
        "samples": [Sample(text=one.text, tokens=one.tokens) for one in samples],
        "sampling": SamplingSettings(n=asking.samples, temperature=asking.temperature, top_p=1.0),
        "model": engine.info.id,
        "model_revision": engine.info.revision,
        "vocab_size": engine.info.vocab_size,
        "prompt_template": engine.info.prompt_template,
    }
    return _unlabelled(record).model_copy(update=found)


@dataclass(frozen=True, slots=True)
class Further:
    """What was asked beside an answer: samples, and P(True) of it (None out of reach)."""

    samples: tuple[Generation, ...]
    p_true: float | None


async def ask_further(question: Question, given: Generation, engine: Engine, n: int) -> Further:
    """``n`` samples of a question that was answered, drawn as the cascade draws them, and P(True).

    In the background, and independent of the samples that the answer's own decision was made by.
    Raises the engine's errors.
    """
    options = replace(question.options, seed=None, background=True)
    work = [
        engine.generate(question.prompt, drawn, entropies=False)
        for drawn in sample_options(replace(question, options=options, samples=n))
    ]
    samples = await asyncio.gather(*work)
    return Further(tuple(samples), await _believed(engine, question.conversation, given))


async def ask_all(
    records: Sequence[Record],
    engine: Engine,
    asking: Asking,
    *,
    concurrency: int,
    answered: Callable[[Record], None],
) -> None:
    """Ask every record's question, ``concurrency`` at a time; ``answered`` gets each when it comes.

    The first that fails ends the others, and its error is raised: ``InvalidRequest`` names the
    record, the engine's own errors are as they are.
    """
    room = asyncio.Semaphore(concurrency)

    async def one(record: Record) -> None:
        async with room:
            try:
                answered(await ask(record, engine, asking))
            except InvalidRequest as error:
                raise InvalidRequest(error.field, f"question {record.id!r}: {error}") from error

    try:
        async with asyncio.TaskGroup() as group:
            for record in records:
                group.create_task(one(record))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None  # the one that ended the others


async def _samples(engine: Engine, prompt: EncodedPrompt, asking: Asking) -> Sequence[Generation]:
    """All at once, so that the engine reads their prompt once and batches them."""
    drawn = GenerationOptions(asking.max_tokens, temperature=asking.temperature)
    seeds = sample_seeds(asking.seed, asking.samples)
    return await asyncio.gather(
        *(engine.generate(prompt, replace(drawn, seed=seed), entropies=False) for seed in seeds)
    )


async def _believed(
    engine: Engine, conversation: Sequence[Message], main: Generation
) -> float | None:
    """P(True) of the answer; None for an empty one, and where neither word is in reach."""
    text = final_answer(main.text)
    if not text:
        return None
    found = await p_true(engine, conversation, text)
    return None if isinstance(found, Missing) else found


def _answer(main: Generation, believed: float | None) -> Answer:
    known: dict[str, object] = {"text": main.text, "tokens": main.tokens}
    if not isinstance(main.entropies, Missing) and main.entropies.exact:
        known["token_entropies"] = list(main.entropies.lower)
    if believed is not None:
        known["p_true"] = believed
    return Answer.model_validate(known)


def _unlabelled(record: Record) -> Record:
    """Without a label about another answer; a null says never to be judged, and stays."""
    if record.correct is None:
        return record
    return Record.model_validate(record.model_dump(exclude_unset=True, exclude={"correct"}))
