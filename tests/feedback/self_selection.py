"""What it costs to certify on volunteered feedback: ``python -m tests.feedback.self_selection``.

Traffic whose P(wrong) is known for each request, so that the true selective risk under a threshold
can be counted. Labels come from a uniform audit draw, or from users who report right and wrong
answers with different probabilities. On both the gateway's own certification runs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from ucbd.cascade.calibration.certify import at, certify, path
from ucbd.cascade.evaluation.ranking import Floats, Mask

ALPHA, DELTA, LABELS, FIT = 0.1, 0.05, 2000, 0.4

Rng = np.random.Generator


def traffic(rng: Rng, n: int) -> tuple[Floats, Mask]:
    """(n,) P(wrong) ~ Beta(0.6, 1.8), and wrong that often: 25 % of all answers."""
    u = rng.beta(0.6, 1.8, n)
    return u, rng.random(n) < u


@dataclass(frozen=True, slots=True)
class Reporters:
    """How often a right and a wrong answer gets a label."""

    name: str
    right: float
    wrong: float

    def labelled(self, rng: Rng, n: int) -> tuple[Floats, Mask]:
        """``n`` labels of theirs, from as much traffic as it takes."""
        scores: list[Floats] = []
        labels: list[Mask] = []
        while sum(map(len, scores)) < n:
            u, wrong = traffic(rng, 50_000)
            told = rng.random(len(u)) < np.where(wrong, self.wrong, self.right)
            scores.append(u[told])
            labels.append(wrong[told])
        return np.concatenate(scores)[:n], np.concatenate(labels)[:n]


SOURCES = (
    Reporters("audit draw", 0.05, 0.05),
    Reporters("feedback, right answers twice as likely", 0.10, 0.05),
    Reporters("feedback, right answers four times as likely", 0.20, 0.05),
    Reporters("feedback, wrong answers twice as likely", 0.05, 0.10),
    Reporters("feedback, wrong answers four times as likely", 0.05, 0.20),
)


@dataclass(frozen=True, slots=True)
class Result:
    """Over ``draws``: certificates that were broken or refused; means over the certified ones.

    ``risk`` and ``coverage`` are the true ones of the certified threshold.
    """

    name: str
    draws: int
    broken: int
    refused: int
    risk: float
    coverage: float

    @property
    def most_broken(self) -> int:
        """As many as a true rate of δ exceeds in one experiment of a thousand."""
        return int(binom.ppf(0.999, self.draws, DELTA))

    def row(self) -> str:
        """A line of the table."""
        shares = " | ".join(
            "–" if math.isnan(x) else f"{x:.1%}" for x in (self.risk, self.coverage)
        )
        return f"| {self.name} | {self.draws} | {self.broken} | {self.refused} | {shares} |"


HEADER = (
    "| labels | draws | true risk above α | refused | mean true risk | mean coverage |\n"
    "|---|--:|--:|--:|--:|--:|"
)


def simulate(source: Reporters, draws: int, seed: int = 0) -> Result:
    """``draws`` certifications on labels of one source, against the truth about all traffic."""
    rng = np.random.default_rng(seed)
    truth = known(*traffic(np.random.default_rng(seed + 1), 400_000))
    risks, coverages, refused = [], [], 0
    for _ in range(draws):
        u, wrong = source.labelled(rng, LABELS)
        fitted = int(FIT * LABELS)
        tried = path(u[:fitted], wrong[:fitted], ALPHA, DELTA, LABELS - fitted)
        found = certify(tried, u[fitted:], wrong[fitted:], ALPHA, DELTA)
        if found is None:
            refused += 1
            continue
        risk, coverage = truth(found.threshold)
        risks.append(risk)
        coverages.append(coverage)
    broken = sum(risk > ALPHA for risk in risks)
    means = [float(np.mean(one)) if one else math.nan for one in (risks, coverages)]
    return Result(source.name, draws, broken, refused, *means)


def known(u: Floats, wrong: Mask) -> Callable[[float], tuple[float, float]]:
    """True risk and coverage of a threshold."""

    def of(threshold: float) -> tuple[float, float]:
        found = at(threshold, u, wrong)
        return found.wrong / found.answered, found.coverage

    return of


if __name__ == "__main__":
    print(HEADER)
    for source in SOURCES:
        print(simulate(source, draws=400).row(), flush=True)
