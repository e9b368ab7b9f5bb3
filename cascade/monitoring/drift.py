"""A drift alarm: is the share of errors among answers still what was promised?

A betting e-process (Waudby-Smith and Ramdas 2024; Shafer 2021). A bettor stakes the share s of its
wealth on "wrong" at the fair price of the bound α: each labelled answer multiplies its wealth by
``1 − s + s·wrong/α``. While no answer is wrong with a probability above its bound, wealth does not
grow in the mean, whenever one looks, so by Ville's inequality it ever reaches 1/δ with probability
at most δ: the alarm may be watched all the time. Bettors of several stakes share the capital, and
a new group begins every ``STRIDE`` answers, the m-th with 1/(m(m+1)) of it: those that began
before a drift have lost most of theirs by then.

Knows answers and bounds, and no clock: any order of labels will do that does not look at them.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

STAKES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Shares of its wealth that a bettor stakes: best at a risk of α + s(1 − α)."""

STRIDE = 20
_MOST = 1e100  # wealth beyond this is let go: less of it is as valid, and it stays a number


@dataclass(frozen=True, slots=True)
class Drift:
    """The test after ``answers`` labelled answers, of which ``wrong`` were.

    ``wealth`` is what the groups that have begun hold, by stake; ``highest`` is the most evidence
    so far.
    """

    answers: int = 0
    wrong: int = 0
    groups: int = 0
    wealth: tuple[float, ...] = (0.0,) * len(STAKES)
    highest: float = 1.0

    @property
    def evidence(self) -> float:
        """Wealth of all bettors together; 1 at the start, higher = more evidence of a drift."""
        return sum(self.wealth) / len(STAKES) + 1 / (self.groups + 1)

    def alarmed(self, delta: float) -> bool:
        """Whether there ever was evidence that ``delta`` allows to be a false alarm."""
        return self.highest >= 1 / delta

    def after(self, *, wrong: bool, bound: float) -> "Drift":
        """The test one labelled answer later; ``bound`` is the risk it was answered under.

        Raises ``ValueError`` unless the bound is between 0 and 1.
        """
        if not 0 < bound < 1:
            raise ValueError(f"a bound on risk is between 0 and 1, got {bound}")
        groups, begun = self.groups, 0.0
        if self.answers % STRIDE == 0:
            groups += 1
            begun = 1 / (groups * (groups + 1))
        wealth = tuple(
            min(_MOST, (held + begun) * (1 - stake + stake * wrong / bound))
            for held, stake in zip(self.wealth, STAKES, strict=True)
        )
        new = Drift(self.answers + 1, self.wrong + wrong, groups, wealth)
        return replace(new, highest=max(self.highest, new.evidence))

    def state(self) -> dict[str, Any]:
        """As JSON, for a store."""
        return asdict(self)

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "Drift":
        """From ``state``. What no version of this test wrote begins anew."""
        wealth = tuple(state.get("wealth", ()))
        return cls(**state | {"wealth": wealth}) if len(wealth) == len(STAKES) else cls()
