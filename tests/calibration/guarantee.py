"""How often a certificate is broken, refused, and what it covers: over many draws of the records.

``python -m tests.calibration.guarantee`` prints the table of docs/measurements. Made-up scores have
a known distribution; the embedded model's recorded answers are a finite population, from which
records are drawn with replacement, and whose error rate under any threshold can be counted.
"""

import argparse
import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.stats import binom

from ucbd.app.commands.judge import Judge
from ucbd.app.settings import read_settings
from ucbd.cascade.calibration.calibrate import Split, fit
from ucbd.cascade.calibration.certificates import NotCertified, certified_ladder
from ucbd.cascade.calibration.certify import Tested, at, certify, p_value, path
from ucbd.cascade.calibration.evidence import scores as scores_of
from ucbd.cascade.calibration.labelled import fitting_policy, made_for
from ucbd.cascade.calibration.lifecycle import Fitted, HeldOut, Wanted
from ucbd.cascade.calibration.profile import RecordsUsed
from ucbd.cascade.evaluation.ranking import Floats, Mask
from ucbd.cascade.evaluation.records import Record, read_records
from ucbd.cascade.ladder import Rung

ANSWERS = Path(__file__).parents[2] / "models" / "reference" / "answers" / "dpo.jsonl.gz"
FIT = 0.4
DELTA = 0.05


@dataclass(frozen=True, slots=True)
class Found:
    """Over ``draws`` draws: how many promised too much, how many were refused, mean coverages.

    ``coverage`` is of the certified threshold, 0 where refused; ``binomial`` of the one threshold
    that promises most on the fit split, tested at the whole of δ; ``best`` of the loosest threshold
    whose true risk is at most α, which nobody can know.
    """

    name: str
    draws: int
    broken: int
    refused: int
    coverage: float
    binomial: float
    best: float

    @property
    def most_broken(self) -> int:
        """As many as a true rate of δ exceeds in one experiment of a thousand."""
        return int(binom.ppf(0.999, self.draws, DELTA))

    def row(self) -> str:
        """A line of the table."""
        columns = (self.coverage, self.binomial, self.best)
        shares = " | ".join("–" if math.isnan(x) else f"{x:.1%}" for x in columns)
        return f"| {self.name} | {self.draws} | {self.broken} | {self.refused} | {shares} |"


HEADER = (
    "| population | draws | risk above α | refused | coverage | one binomial test | best |\n"
    "|---|--:|--:|--:|--:|--:|--:|"
)

Draw = Callable[[np.random.Generator, int], tuple[Floats, Mask]]
"""(n,) scores and labels."""


def beta(a: float, b: float) -> Draw:
    """P(wrong) ~ Beta(a, b), and that often wrong: calibrated, and the better spread the better."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Floats, Mask]:
        u = rng.beta(a, b, n)
        return u, rng.random(n) < u

    return draw


def tied(draw: Draw, digits: int) -> Draw:
    """The same with scores rounded, so that many are equal."""

    def rounded(rng: np.random.Generator, n: int) -> tuple[Floats, Mask]:
        u, wrong = draw(rng, n)
        return np.round(u, digits), wrong

    return rounded


def stratum_heavy(share: float, risk: float) -> Draw:
    """That share of the records has one and the same score and that error rate."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Floats, Mask]:
        u = np.where(rng.random(n) < share, risk, rng.beta(1, 1.5, n))
        return u, rng.random(n) < u

    return draw


def blind(risk: float) -> Draw:
    """Scores that say nothing."""
    return lambda rng, n: (rng.random(n), rng.random(n) < risk)


def made_up(name: str, draw: Draw, n: int, alpha: float, draws: int, seed: int = 0) -> Found:
    """``draws`` certifications of ``n`` records each, fit split included."""
    rng = np.random.default_rng(seed)
    population, labels = draw(np.random.default_rng(seed + 1), 400_000)
    risks = _Risks(population, labels)
    broken = refused = 0
    covered = plain = 0.0
    for _ in range(draws):
        fitted = int(FIT * n)
        u, wrong = draw(rng, n)
        new, bad = u[fitted:], wrong[fitted:]
        tried = path(u[:fitted], wrong[:fitted], alpha, DELTA, n - fitted)
        found = certify(tried, new, bad, alpha, DELTA)
        refused += found is None
        if found is not None:
            broken += risks.risk(found.threshold) > alpha
            covered += risks.coverage(found.threshold)
        plain += _one_test(u[:fitted], wrong[:fitted], new, bad, alpha, risks)
    best = risks.best(alpha)
    return Found(name, draws, broken, refused, covered / draws, plain / draws, best)


class _Risks:
    """Risk and coverage of any threshold in a population."""

    def __init__(self, scores: Floats, wrong: Mask) -> None:
        order = np.argsort(scores, kind="stable")
        self._scores = scores[order]
        self._wrong = np.concatenate([[0], np.cumsum(wrong[order])])

    def coverage(self, threshold: float) -> float:
        return float(np.searchsorted(self._scores, threshold, "right") / len(self._scores))

    def risk(self, threshold: float) -> float:
        n = int(np.searchsorted(self._scores, threshold, "right"))
        return float(self._wrong[n] / n) if n else 0.0

    def best(self, alpha: float) -> float:
        ends = np.searchsorted(self._scores, np.unique(self._scores), "right")
        ends = ends[np.isfinite(self._scores[ends - 1])]
        held = ends[self._wrong[ends] <= alpha * ends]
        return float(held.max() / len(self._scores)) if len(held) else 0.0


def _one_test(
    fitted: Floats, labels: Mask, new: Floats, bad: Mask, alpha: float, risks: _Risks
) -> float:
    """Coverage of a threshold chosen on the fit split, 0 where its one test does not pass.

    The one with the greatest expected coverage: by how often it would pass at its likely risk.
    """
    tried = path(fitted, labels, alpha, DELTA, len(new))
    options = [at(threshold, fitted, labels) for threshold in tried.thresholds]
    if not options:
        return 0.0
    chosen = max(options, key=lambda one: _expected_coverage(one, len(new), alpha))
    one = at(chosen.threshold, new, bad)
    passed = p_value(one.wrong, one.answered, alpha) <= DELTA
    return risks.coverage(chosen.threshold) if passed else 0.0


def _expected_coverage(one: Tested, records: int, alpha: float) -> float:
    answered = round(one.coverage * records)
    most = int(binom.ppf(DELTA, answered, alpha)) - 1  # as many errors as certainly pass
    return float(one.coverage * binom.cdf(most, answered, one.likely_risk)) if answered else 0.0


async def embedded(
    fits: int, draws_each: int, alpha: float, *, groups: bool = False, n: int = 2000, seed: int = 0
) -> list[Found]:
    """The whole cascade on the recorded answers: a result for each rung, and for any of them.

    ``fits`` draws of a fit split, the policy fitted to each run over the whole population, and
    ``draws_each`` draws of a certification split for every one; all with replacement. A rung's
    certificate counts as broken where its own set of stages, as under that load, errs more often;
    with ``groups`` (facts, all other questions) where it does in any of them.
    """
    population = [_grouped(record) for record in read_records(ANSWERS)]
    labels = np.array([not record.correct for record in population])
    parts = _masks(population) if groups else {"": np.ones(len(labels), dtype=np.bool_)}
    judge = Judge(["combined"], read_settings(None, {}), "reference-dpo", keep_reasoning=False)
    base = fitting_policy(judge.policy, population, judge.deciding, 0.05)
    wanted, rng = Wanted(alpha, DELTA, groups), np.random.default_rng(seed)
    used = RecordsUsed(files=(), fitted=int(FIT * n), certified=n - int(FIT * n), seed=seed)
    tally = _Tally(alpha)
    for _ in range(fits):
        drawn = [population[i] for i in rng.integers(len(population), size=used.fitted)]
        halves = Split(tuple(drawn), ())
        fitted = await fit(halves, base, judge.outcomes, wanted, made_for(population), used)
        found = {
            rung: scores_of(await judge.outcomes(population, fitted.policy, rung, False))
            for rung in fitted.scores
        }
        risks = {
            rung: [_Risks(values[mask], labels[mask]) for mask in parts.values()]
            for rung, values in found.items()
        }
        whole = {rung: _Risks(values, labels) for rung, values in found.items()}
        for _ in range(draws_each):
            some = rng.integers(len(population), size=used.certified)
            held_out = HeldOut(
                {rung: values[some] for rung, values in found.items()},
                labels[some],
                {name: mask[some] for name, mask in parts.items()} if groups else {},
            )
            thresholds = _thresholds(fitted, held_out, wanted)
            tally.add(thresholds, risks, whole)
            new = found["all"][some]
            tally.plain.append(
                _one_test(
                    fitted.scores["all"], fitted.wrong, new, labels[some], alpha, whole["all"]
                )
            )
    return tally.found(groups)


def _grouped(record: Record) -> Record:
    return record.model_copy(update={"group": "facts" if "fact" in record.id else "other"})


def _masks(population: Sequence[Record]) -> dict[str, Mask]:
    names = np.array([record.group for record in population])
    return {str(name): names == name for name in np.unique(names)}


def _thresholds(fitted: Fitted, held_out: HeldOut, wanted: Wanted) -> dict[Rung, float]:
    """Of the certified rungs that run different stages; none where the profile is refused."""
    try:
        ladder = certified_ladder(fitted, held_out, wanted)
    except NotCertified:
        return {}
    return {rung: ladder[rung].threshold for rung in fitted.scores if ladder[rung].certificate}


@dataclass(slots=True)
class _Tally:
    """What came of each draw, by rung."""

    alpha: float
    draws: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    covered: Counter[str] = field(default_factory=Counter)
    plain: list[float] = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)

    def add(
        self,
        thresholds: Mapping[Rung, float],
        risks: Mapping[Rung, Sequence[_Risks]],
        whole: Mapping[Rung, _Risks],
    ) -> None:
        """One draw: the certified thresholds, and what they do in the population."""
        self.draws += 1
        any_broken = False
        for rung, parts in risks.items():
            self.best[rung] = whole[rung].best(self.alpha)
            threshold = thresholds.get(rung)
            if threshold is None:
                self.refused[rung] += 1
                continue
            broken = any(part.risk(threshold) > self.alpha for part in parts)
            self.broken[rung] += broken
            self.covered[rung] += whole[rung].coverage(threshold)  # type: ignore[assignment]
            any_broken |= broken
        self.broken["any rung"] += any_broken

    def found(self, groups: bool) -> list[Found]:
        """A row for each rung, and one for a certificate of any of them being broken."""
        kind = "embedded model, by group" if groups else "embedded model"
        rows = [
            Found(
                f"{kind}, {rung.replace('_', ' ')}",
                self.draws,
                self.broken[rung],
                self.refused[rung],
                self.covered[rung] / self.draws,
                float(np.mean(self.plain)) if rung == "all" else math.nan,
                best,
            )
            for rung, best in self.best.items()
        ]
        rows.append(
            Found(f"{kind}, any rung", self.draws, self.broken["any rung"], 0, *[math.nan] * 3)
        )
        return rows


CASES: dict[str, tuple[Draw, int, float]] = {
    "AUROC .92": (beta(0.25, 0.75), 2000, 0.1),
    "AUROC .83": (beta(0.5, 1.0), 2000, 0.1),
    "AUROC .75": (beta(1.0, 2.0), 2000, 0.2),
    "AUROC .67": (beta(2.0, 6.0), 2000, 0.2),
    "few records": (beta(0.25, 0.75), 200, 0.1),
    "ties": (tied(beta(0.5, 1.0), 1), 2000, 0.1),
    "most in one stratum": (stratum_heavy(0.7, 0.06), 2000, 0.1),
    "a stratum just above α": (stratum_heavy(0.5, 0.11), 2000, 0.1),
    "blind scores, 12 % wrong": (blind(0.12), 2000, 0.1),
}
"""Name → how it is drawn, records a draw, α."""


def main() -> None:
    """The table, printed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--fits", type=int, default=20)
    options = parser.parse_args()
    print(HEADER)
    for name, (draw, n, alpha) in CASES.items():
        told = f"{name}, n = {n:,}, α = {alpha:g}"
        print(made_up(told, draw, n, alpha, options.draws).row(), flush=True)
    for groups, alpha in ((False, 0.1), (True, 0.15)):
        for found in asyncio.run(embedded(options.fits, 20, alpha, groups=groups)):
            print(found.row(), flush=True)


if __name__ == "__main__":
    main()
