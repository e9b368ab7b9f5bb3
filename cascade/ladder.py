"""The ladder: which stages run when there is not time and room for all of them.

Dearest first: samples cost several generations, then comes whatever asks a model anything at all.
What is left reads the answer's own words and token entropies and costs nothing. Knows no load and
no policy: a rung is chosen before the cascade starts and holds to its end, so that what ran is one
of three known sets, each of which can be certified apart (method.md section 6).
"""

from typing import Literal, get_args

Rung = Literal["all", "no_sampling", "fluency"]
"""How much of a policy runs: every stage; all but samples; only what is free, "fluency only"."""

LADDER: tuple[Rung, ...] = get_args(Rung)
"""Every rung, from all stages down."""

DEGRADED = "degraded: the gateway sheds this stage under load"

_DEAREST = frozenset({"sampling"})
_FREE = frozenset({"freshness", "pointer", "fluency"})


def runs(stage: str, rung: Rung) -> bool:
    """Whether a stage is asked at all on a rung."""
    match rung:
        case "all":
            return True
        case "no_sampling":
            return stage not in _DEAREST
        case "fluency":
            return stage in _FREE
