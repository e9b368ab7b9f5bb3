"""The page ``alignment-tax.md``: its words between its tables. Knows no run's numbers itself."""

from collections.abc import Sequence

from ucbd.cascade.alignment_tax import aims, arms_tables, rankings, stages, sums, sweeps
from ucbd.cascade.alignment_tax.chosen import median_seed
from ucbd.cascade.alignment_tax.findings import findings
from ucbd.cascade.alignment_tax.markdown import NOT_RUN, listed, table
from ucbd.cascade.alignment_tax.runs import DEFAULT_ARM, FAMILY, Runs

EXPECTED_FAMILIES = ("llama", "llama-small", "llama-large", "gpt2", "gpt-neox", "qwen3")

OPENING = """\
This is a controlled model of the effect, not a replication on deployed models. Small models,
trained from scratch by this repository in an invented world, answer questions about that world.
Here everything that is hidden in a deployed model is known: what the text said and how often, what
an answer asserts, and by what preference a model was tuned. What happens here can happen by such
training; how much of it happens elsewhere is for the
[recipes for real models](real-models.md) to measure. The page is made by
`python -m ucbd.cascade.alignment_tax`; every number and every sentence under *What came out* is
worked out from the runs."""

WORDS = """\
The *single-cluster rate* (SCR) is the share of questions all of whose samples fall into one
cluster; questions with fewer than two non-empty samples are left out. By *value* the oracle reads
off each answer what it asserts, by *form* two answers are alike when they are the same string. A
question's *token entropy* is the mean over the tokens of its greedy answer, at the model's own
temperature of 1. AUROC is for telling wrong answers, higher scores meaning less certain. Intervals
are 95 %: Wilson's for rates, bootstrap over questions for AUROCs. *not run* means that the runs
folder holds no such run, – that a value could not be worked out from the run. *cascade* is the
default policy as it was when the runs were recorded; the committed ones are older than its
pointer."""


def page(runs: Runs, left_out: Sequence[int] = ()) -> str:
    """The whole page."""
    parts = [
        "# The alignment tax, on models trained here",
        OPENING,
        _median(runs, left_out),
        "## What came out",
        findings(runs),
        _plot("stages", "Single-cluster rates over the stages, by value, form and clusterer"),
        "## What was aimed at",
        "The aims were set before the runs, for the median seed.",
        aims.as_table(runs),
        "## Terms",
        WORDS,
        *_stages(runs),
        *_errors(runs),
        *_arithmetic(runs),
        *_arms(runs),
        *_settings(runs),
        "## The runs",
        _listed(runs),
    ]
    return "\n\n".join(parts) + "\n"


def _stages(runs: Runs) -> list[str]:
    return [
        "## Over the stages",
        "### Single-cluster rates on facts",
        stages.rates(runs),
        "### Right answers",
        stages.right(runs),
        "### Clusterers against the oracle",
        "Over all pairs of samples of one question, at the median seed: how often two samples that "
        "assert one value share a cluster (sensitivity), and two that assert two do not "
        "(specificity).",
        stages.against_oracle(runs),
        "### Paired tests",
        "Wilcoxon's signed-rank test, two-sided, over the same questions about facts at the median "
        "seed. *Changed* counts the questions whose value differs.",
        stages.tests(runs),
        "### Token entropy",
        stages.entropy(runs),
        _plot("entropy", "What is kept of token entropy and of semantic entropy over the stages"),
    ]


def _errors(runs: Runs) -> list[str]:
    return [
        "## Telling wrong answers",
        "### Every signal, on facts of the DPO stage",
        "Within one cluster of a clusterer its own semantic entropy is 0, and its AUROC 0.500 by "
        "construction; disagreement can still be that of an answer outside of the cluster.",
        rankings.facts_table(runs),
        _plot("auroc", "AUROC of every signal, on all questions and within one cluster"),
        "### Token entropy at every stage, within one cluster",
        rankings.stages_table(runs),
        "### By kind of question, DPO stage",
        rankings.kinds_table(runs),
        "### Blind mass",
        "The share of errors that no score of that clusterer's counts can flag, and how often "
        "answers are wrong inside and outside of the stratum, at the median seed.",
        rankings.blind(runs),
        "### Dependence of the signals",
        "Pearson's r and mutual information over the questions that have both signals, on the DPO "
        "stage at the median seed.",
        rankings.depend(runs),
    ]


def _arithmetic(runs: Runs) -> list[str]:
    return [
        "## Arithmetic",
        "### Answering only the surest, DPO stage",
        "Accuracy of the answers that are left when only so many are given, the least uncertain "
        "first; ties count by their expected value.",
        sums.selective(runs),
        _plot("selective", "Accuracy against coverage on arithmetic"),
        "### Beyond length",
        "Does a signal only follow length? Within a stratum a wrong answer is compared only with "
        "right ones of like length.",
        sums.by_length(runs),
        sums.each_stratum(runs),
        "The gain: a logistic model of *wrong* with length alone, and with mean token entropy "
        "added; AUROCs of held-out predictions (tenfold), the test on all.",
        sums.beyond(runs),
    ]


def _arms(runs: Runs) -> list[str]:
    return [
        "## The arms",
        "Every arm starts from the same SFT model and takes equally many steps on pairs of that "
        "model's own samples. Facts; the median seed with its interval, then every seed.",
        "### Rates",
        arms_tables.rates(runs),
        _plot("arms", "Single-cluster rates of every arm by value, form and clusterer"),
        "### Change from SFT",
        "In points, paired by question; the median seed with its interval, then every seed.",
        arms_tables.changes(runs),
        "### What comes with it",
        arms_tables.company(runs),
        "### At equal answer length",
        "Short answers may agree more easily. Both rates are averaged over the lengths (mean "
        "tokens of a question's samples) that the two models share, each weighing as the smaller "
        "of its two shares; where little is in common, little is said.",
        arms_tables.at_equal_length(runs),
        "### At equal token entropy",
        "Is it more than sharpening? One model is sampled at the temperature where its token "
        "entropy equals the other's at T = 1; its rate there is interpolated between the "
        "temperatures swept, and never extrapolated. Entropies at other temperatures are those of "
        "the tempered distribution along the model's own greedy answers, read again; both models "
        "are of the seed that was swept.",
        arms_tables.at_equal_entropy(runs),
    ]


def _settings(runs: Runs) -> list[str]:
    return [
        "## What a single-cluster rate depends on",
        _plot("sweeps", "Single-cluster rates by temperature, number of samples and threshold"),
        "### Temperature",
        sweeps.by_temperature(runs),
        "### Number of samples",
        sweeps.by_samples(runs),
        "### Threshold",
        sweeps.by_threshold(runs),
        "### Family and scale",
        "Smaller models of a smaller world, facts only, except for the default family.",
        sweeps.families(runs, EXPECTED_FAMILIES),
        "### Embedder",
        sweeps.embedders(runs),
    ]


def _plot(name: str, words: str) -> str:
    return f"![{words}](alignment-tax/{name}.svg)"


def _median(runs: Runs, left_out: Sequence[int]) -> str:
    seeds = [run.seed for run in runs.seeds(DEFAULT_ARM)]
    if not seeds:
        ran = f"The default arm: {NOT_RUN}."
    else:
        ran = (
            f"The default arm ran at {'seed' if len(seeds) == 1 else 'seeds'} "
            f"{listed([str(seed) for seed in seeds])}. Where a table does not say *each seed* it "
            f"is of the median one, seed {median_seed(runs)}, the seed whose default arm has the "
            "median single-cluster rate on facts by jaccard."
        )
    if left_out:
        seeds_out = listed([str(seed) for seed in left_out])
        ran += f" The recipe was tuned on seed {seeds_out}, which is therefore not reported."
    return ran


def _listed(runs: Runs) -> str:
    rows = []
    order = sorted(runs.all, key=lambda r: (r.family != FAMILY, r.family, r.seed, r.stage))
    for run in order:
        counts = run.info.get("counts")
        asked = counts if isinstance(counts, dict) else {}
        rows.append(
            [
                f"{run.family}/seed-{run.seed}/{run.stage}" + (" (swept)" if run.swept else ""),
                f"{run.temperature:g}",
                str(run.info.get("samples", "")),
                ", ".join(f"{n:,} {kind}" for kind, n in asked.items()),
                str(run.info.get("model_revision") or "")[:12],
            ]
        )
    if not rows:
        return NOT_RUN
    return table(["run", "T", "N", "questions", "revision"], rows)
