"""The sections on the three stages: rates, clusterers against the oracle, paired tests, entropy."""

from collections.abc import Callable, Sequence

from ucbd.cascade.alignment_tax import paper
from ucbd.cascade.alignment_tax.chosen import facts, median_of, right_on, scr_by, spread
from ucbd.cascade.alignment_tax.comparisons import paired, signed_rank
from ucbd.cascade.alignment_tax.markdown import (
    NOT_MEASURED,
    NOT_RUN,
    number,
    numbers,
    percent,
    percents,
    probability,
    rated,
    table,
)
from ucbd.cascade.alignment_tax.measures import (
    agreement,
    cluster_counts,
    clusterers,
    mean,
    semantic_entropy,
)
from ucbd.cascade.alignment_tax.observations import Floats, Observations
from ucbd.cascade.alignment_tax.runs import STAGES, Run, Runs

NAMES = {
    "oracle": "value (oracle)",
    "exact": "form (exact string)",
    "jaccard": "jaccard 0.4",
    "embedding": "embedding 0.85",
    "nli": "nli 0.5",
    "combined": "combined (the gateway's default)",
}
SHORT = {"base": "base", "sft": "SFT", "dpo": "DPO"}
PAIRS = (("base", "sft"), ("sft", "dpo"), ("base", "dpo"))


def named(clusterer: str) -> str:
    """A clusterer as the page calls it."""
    return NAMES.get(clusterer, clusterer)


def reported(runs: Runs) -> list[Run]:
    """The runs of the three stages at every seed."""
    return [run for stage in STAGES for run in runs.seeds(stage)]


def known_clusterers(runs: Runs) -> list[str]:
    """Those of any run; the known ones even without a run, so that the rows stand."""
    return clusterers([run.table for run in runs.all]) or list(NAMES)


def rates(runs: Runs) -> str:
    """SCR, mean clusters and mean semantic entropy per stage and clusterer."""
    rows = []
    for clusterer in known_clusterers(runs):
        rows += [
            [named(clusterer), SHORT[stage], *_rates(runs.seeds(stage), clusterer)]
            for stage in STAGES
        ]
    header = ["clusterer", "stage", "SCR, median [95 %]", "SCR at each seed, %"]
    ours = table([*header, "mean clusters", "mean semantic entropy, nats", "questions"], rows)
    theirs = table(
        ["the paper's", "SCR", "mean clusters", "mean semantic entropy"],
        [[name, *cells] for name, cells in paper.STAGES.items()],
    )
    return f"{ours}\n\n{theirs}"


def right(runs: Runs) -> str:
    """Accuracy per stage and kind of question, at the median seed and at each."""
    rows = []
    for kind in ("fact", "conflict", "arithmetic", "freshness"):
        for stage in STAGES:
            found = spread(runs.seeds(stage), right_on(kind))
            cells = [rated(found.middle), percents(found.each)] if found else [NOT_RUN, NOT_RUN]
            rows.append([kind, SHORT[stage], *cells])
    return table(["kind", "stage", "right, median [95 %]", "each seed, %"], rows)


def against_oracle(runs: Runs) -> str:
    """Sensitivity and specificity of each clusterer over pairs of samples."""
    rows = []
    for clusterer in known_clusterers(runs):
        if clusterer == "oracle":
            continue
        for stage in STAGES:
            run = median_of(runs, stage)
            found = agreement(facts(run), clusterer) if run else None
            if not found:
                rows.append([named(clusterer), SHORT[stage], *[NOT_RUN] * 4])
                continue
            rows.append(
                [
                    named(clusterer),
                    SHORT[stage],
                    percent(found.sensitivity),
                    f"{found.same:,}",
                    percent(found.specificity),
                    f"{found.different:,}",
                ]
            )
    header = ["clusterer", "stage", "sensitivity", "pairs of one value"]
    return table([*header, "specificity", "pairs of two values"], rows)


def tests(runs: Runs) -> str:
    """Paired Wilcoxon tests between the stages, question by question, at the median seed."""
    measures: list[tuple[str, Callable[[Observations], Floats]]] = []
    for clusterer in known_clusterers(runs):
        measures.append((f"clusters, {named(clusterer)}", _counts(clusterer)))
        measures.append((f"semantic entropy, {named(clusterer)}", _entropies(clusterer)))
    measures.append(("mean token entropy", lambda t: t.number("mean_token_entropy")))
    rows = [
        [name, f"{SHORT[one]} → {SHORT[other]}", *_tested(runs, one, other, measure)]
        for name, measure in measures
        for one, other in PAIRS
    ]
    return table(["measure", "stages", "questions", "changed", "mean change", "p"], rows)


def entropy(runs: Runs) -> str:
    """Token entropy of the greedy answer per stage."""
    rows = []
    for stage in STAGES:
        found = runs.seeds(stage)
        each = [mean(facts(run).number("mean_token_entropy")) for run in found]
        run = median_of(runs, stage)
        middle = mean(facts(run).number("mean_token_entropy")) if run else None
        sums = mean(run.table.of_kind("arithmetic").number("mean_token_entropy")) if run else None
        tokens = mean(facts(run).number("answer_tokens")) if run else None
        cells = [number(middle), numbers(each), number(sums), number(tokens, 1)]
        rows.append([SHORT[stage], *(cells if run else [NOT_RUN] * 4)])
    header = ["stage", "facts, nats", "each seed", "arithmetic, nats", "tokens of an answer"]
    return f"{table(header, rows)}\n\n{_kept(runs)} The paper's: {paper.TOKEN_ENTROPY}."


def _kept(runs: Runs) -> str:
    base, dpo = median_of(runs, "base"), median_of(runs, "dpo")
    shares = []
    if base and dpo:
        for clusterer in known_clusterers(runs):
            before = mean(semantic_entropy(facts(base), clusterer))
            after = mean(semantic_entropy(facts(dpo), clusterer))
            if before and after is not None:
                shares.append(
                    f"{percent(after / before)} of semantic entropy by {named(clusterer)}"
                )
        first = mean(facts(base).number("mean_token_entropy"))
        last = mean(facts(dpo).number("mean_token_entropy"))
        if first and last is not None:
            return f"From base to DPO {percent(last / first)} of token entropy is kept, " + (
                "; ".join(shares) + "."
            )
    return f"What is kept from base to DPO: {NOT_RUN}."


def _rates(found: Sequence[Run], clusterer: str) -> list[str]:
    over = spread(list(found), scr_by(clusterer))
    if not over:
        return [NOT_RUN] * 5 if not found else [NOT_MEASURED] * 5
    counts = [mean(cluster_counts(facts(run), clusterer)) for run in found]
    entropies = [mean(semantic_entropy(facts(run), clusterer)) for run in found]
    return [
        rated(over.middle),
        percents(over.each),
        number(_middle(counts), 2),
        number(_middle(entropies)),
        f"{over.middle.n:,}",
    ]


def _middle(values: Sequence[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[(len(known) - 1) // 2] if known else None


def _counts(clusterer: str) -> Callable[[Observations], Floats]:
    return lambda found: cluster_counts(found, clusterer)


def _entropies(clusterer: str) -> Callable[[Observations], Floats]:
    return lambda found: semantic_entropy(found, clusterer)


def _tested(
    runs: Runs, one: str, other: str, measure: Callable[[Observations], Floats]
) -> list[str]:
    before, after = median_of(runs, one), median_of(runs, other)
    if not before or not after or before.seed != after.seed:
        return [NOT_RUN] * 4
    first, second = facts(before), facts(after)
    found = signed_rank(*paired(first, measure(first), second, measure(second)))
    if not found:
        return [NOT_MEASURED] * 4
    return [f"{found.n:,}", f"{found.moved:,}", f"{found.shift:+.3f}", probability(found.p)]
