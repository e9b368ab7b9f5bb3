"""A request as the cascade's question: limits checked, the prompt encoded, defaults filled in.

Every wire format parses into one ``Wanted``. Knows no wire format and none of the thresholds.
"""

from datetime import UTC, datetime

from msgspec import Struct

from ucbd.app.errors import Invalid, refused
from ucbd.app.feed import StreamMode
from ucbd.app.service import Service
from ucbd.cascade.case import Question
from ucbd.cascade.ledger import Ledger
from ucbd.cascade.policy import Policy
from ucbd.models.engine import Engine
from ucbd.models.errors import DeadlineExceeded, PromptTooLong
from ucbd.models.generation import EncodedPrompt, GenerationOptions, Message
from ucbd.models.time_limit import TimeLimit


class Wanted(Struct, frozen=True):
    """What a request asks for; None is the gateway's default.

    ``prompt`` is one user's message or, ``raw``, a text to continue. ``choices`` answers are drawn,
    of which the first is judged. ``stream_mode`` "commit" tells nothing before the decision.
    """

    prompt: str | tuple[Message, ...]
    raw: bool = False
    max_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: int | None = None
    json_schema: str | None = None
    choices: int = 1
    samples: int | None = None
    clusterer: str | None = None
    evidence: tuple[str, ...] = ()
    policy: str | None = None
    explain: bool = False
    deadline_ms: int | None = None
    stream: bool = False
    stream_mode: StreamMode = "tokens"

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The turns; of a prompt the one that it is."""
        return (Message("user", self.prompt),) if isinstance(self.prompt, str) else self.prompt


async def question(wanted: Wanted, service: Service, policy: Policy, ledger: Ledger) -> Question:
    """The request with every default filled in; raises what only its encoding can tell."""
    prompt = await ledger.wait(_encode(wanted, service.engine, ledger))
    options = GenerationOptions(
        max_tokens=_max_tokens(wanted, service, prompt),
        temperature=wanted.temperature,
        top_p=wanted.top_p,
        stop=wanted.stop,
        seed=wanted.seed,
        logprobs=wanted.logprobs,
        json_schema=wanted.json_schema,
    )
    conversation = wanted.conversation
    return Question(
        prompt=prompt,
        options=options,
        samples=most_samples(wanted, policy),
        clusterer=wanted.clusterer or policy.clusterer or service.settings.clusterer,
        explain=wanted.explain,
        text=conversation[-1].content,
        asked_at=datetime.now(UTC),
        evidence=wanted.evidence,
        conversation=conversation,
        raw=wanted.raw,
    )


def most_samples(wanted: Wanted, policy: Policy) -> int:
    """How many samples may be drawn."""
    most = policy.samples if wanted.samples is None else wanted.samples
    return min(most, policy.samples)


def check_limits(wanted: Wanted, service: Service) -> None:
    """What no single field can tell, and what this gateway's settings bound."""
    limits = service.settings
    if isinstance(wanted.prompt, str) and not wanted.prompt.strip():
        raise refused(Invalid, "prompt", "holds only white space")
    if (last := wanted.conversation[-1]).role != "user":
        raise refused(Invalid, "messages", f"the last one must be the user's, got {last.role!r}")
    if wanted.json_schema is not None and not service.engine.info.grammars:
        raise refused(Invalid, "response_format", "this engine holds answers to no schema")
    if wanted.max_tokens is not None and wanted.max_tokens > limits.max_tokens:
        message = f"at most {limits.max_tokens} here, got {wanted.max_tokens}"
        raise refused(Invalid, "max_tokens", message)
    if wanted.samples is not None and wanted.samples > limits.max_samples:
        message = f"at most {limits.max_samples} here, got {wanted.samples}"
        raise refused(Invalid, "samples", message)
    if wanted.clusterer is not None and wanted.clusterer not in service.clusterers.by_name:
        known = ", ".join(sorted(service.clusterers.by_name))
        raise refused(Invalid, "clusterer", f"one of {known}, got {wanted.clusterer!r}")


async def _encode(wanted: Wanted, engine: Engine, ledger: Ledger) -> EncodedPrompt:
    try:
        with TimeLimit(ledger.remaining()):
            return await engine.encode(wanted.prompt, raw=wanted.raw)
    except TimeoutError as error:
        raise DeadlineExceeded("the deadline passed before the prompt was read") from error


def _max_tokens(wanted: Wanted, service: Service, prompt: EncodedPrompt) -> int:
    """The longest answer: what was asked for if it fits, else the default as far as it fits.

    A prompt that is encoded elsewhere has a length unknown here: the default leaves it half the
    context, and what does not fit is refused there.
    """
    context = service.engine.info.context_length
    if context is None:
        return wanted.max_tokens or service.settings.default_max_tokens
    prompt_tokens = len(prompt.token_ids)
    room = context - prompt_tokens
    if wanted.max_tokens is None:
        fits = room if prompt.asked is None else max(1, context // 2)
        return min(service.settings.default_max_tokens, fits)
    if wanted.max_tokens > room:
        raise PromptTooLong(
            "max_tokens",
            f"the prompt has {prompt_tokens} tokens and the context holds {context}: "
            f"at most {room} are left, got {wanted.max_tokens}",
        )
    return wanted.max_tokens
