"""How the asking went, and what it cost: kept beside the answers, summed over interruptions."""

from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ucbd.cascade.diagnosis.asking import Failure
from ucbd.models.errors import GatewayError


class CourseUnreadable(GatewayError):
    """The file beside the answers that is not what was written there."""


class Course(BaseModel):
    """What the asking met with.

    ``refused`` are the parameters that the server would not take, with its words; ``most`` how many
    answers it gives to one request; ``events`` what
    held calls up, ``waited`` for how many seconds; ``fingerprints`` what the server said of its
    system. Tokens are the server's count, ``uncounted`` the calls that it did not count. Failures
    and ``stopped``, why it ended early, are of the last run alone: the next one asks again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    refused: dict[str, str] = Field(default_factory=dict)
    top_logprobs: int | None = None
    most: int = 64
    failures: list[Failure] = Field(default_factory=list)
    events: dict[str, int] = Field(default_factory=dict)
    waited: float = 0.0
    fingerprints: list[str] = Field(default_factory=list)
    stopped: str | None = None
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    seconds: float = 0.0

    @property
    def counted(self) -> bool:
        """Whether the server counted any tokens; no call that it did not count was of none."""
        return not self.uncounted or self.prompt_tokens + self.completion_tokens > 0

    def after(self, earlier: "Course") -> "Course":
        """Both runs as one; what can only be one is this run's."""
        return self.model_copy(
            update={
                "refused": earlier.refused | self.refused,
                "events": dict(Counter(earlier.events) + Counter(self.events)),
                "fingerprints": sorted({*earlier.fingerprints, *self.fingerprints}),
            }
            | {
                name: getattr(earlier, name) + getattr(self, name)
                for name in (
                    "waited",
                    "requests",
                    "prompt_tokens",
                    "completion_tokens",
                    "uncounted",
                    "seconds",
                )
            }
        )


def read_course(path: Path) -> Course | None:
    """What was kept of earlier runs; None where nothing was. Raises ``CourseUnreadable``."""
    if not path.is_file():
        return None
    try:
        return Course.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CourseUnreadable(f"{path}: not what a diagnosis keeps there; remove it") from error
