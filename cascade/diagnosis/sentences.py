"""A diagnosis in words, worked out from its report. Knows no statistics."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def share(value: float) -> str:
    """A share in whole percent; what is not nothing, or not all, never reads as if it were."""
    percent = 100 * value
    if 0 < percent < 1:
        return "less than 1 %"
    if 99 < percent < 100:
        return "more than 99 %"
    return f"{percent:.0f} %"


def short_share(value: float) -> str:
    """The same in as few signs as a headline has room for."""
    return share(value).replace("less than", "<").replace("more than", ">")


def tokens(spent: Json) -> str:
    """What was read and generated, as far as the server counted it."""
    if spent["prompt_tokens"] is None:
        return f"tokens {spent['tokens_missing']}"
    counted = f"{spent['prompt_tokens']:,} tokens read and {spent['completion_tokens']:,} generated"
    uncounted = spent["uncounted_requests"]
    if not uncounted:
        return counted
    calls = "1 call" if uncounted == 1 else f"{uncounted:,} calls"
    return f"at least {counted} ({calls} not counted)"


def headline(report: Json) -> str:
    """The one sentence: how often sampling cannot rank this model's answers."""
    found = report["homogenization"].get(report["clusterer"])
    if not found or not found["n"]:
        return "No question has two usable samples: nothing can be said of this model."
    if not found["single"]:
        return (
            f"On none of these {found['n']} questions did all samples agree: "
            "nothing here silences self-consistency on this model."
        )
    return (
        f"On {share(found['scr'])} of these questions self-consistency cannot rank this model's "
        "answers."
    )


def because(report: Json) -> str:
    """What the headline rests on, with its interval and its clusterer."""
    found = report["homogenization"].get(report["clusterer"])
    if not found or not found["n"]:
        return ""
    low, high = found["scr_ci"]
    return (
        f"{found['single']} of {found['n']} (95 %: {share(low)} to {share(high)}) have one cluster "
        f"of answers among {report['asked']['samples']} samples at temperature "
        f"{report['asked']['temperature']:g}, by {', '.join(found['clusterer'])}."
    )


def blind(report: Json) -> str | None:
    """What single clusters hide, where there are labels."""
    found = report["homogenization"].get(report["clusterer"])
    if not found or not found["blind_mass_counts"][1]:
        return None
    hits, n = found["blind_mass_counts"]
    if not hits:
        return f"None of its {n} wrong answers lies there."
    return (
        f"Of its {n} wrong answers {hits} ({share(hits / n)}) lie there: no number of samples "
        "would flag them."
    )


def still_ranks(report: Json) -> str | None:
    """What token entropy does where sampling is silent; None where that cannot be told."""
    for name in ("mean_token_entropy", "mean_token_entropy(lower)"):
        found = report["signals"].get(name)
        if found and found["auroc_single_cluster"] is not None:
            low, high = found["auroc_single_cluster_ci"]
            verb = "still ranks them" if low > 0.5 else "does not surely rank them either"
            return (
                f"The token entropy of the one answer, which costs nothing, {verb}: AUROC "
                f"{found['auroc_single_cluster']:.2f} [{low:.2f}, {high:.2f}] there, any score of "
                "clusters 0.50."
            )
    return None


def shifted(comparison: Json) -> str:
    """The comparison in a sentence."""
    found = comparison["clusterers"][comparison["clusterer"]]
    shift = found["shift"]
    if not shift:
        moved = "The single-cluster rate has not moved"
    else:
        moved = (
            f"{'More' if shift > 0 else 'Less'} homogeneous by {abs(100 * shift):.1f} points "
            f"({100 * found['scr_before']:.1f} % to {100 * found['scr_after']:.1f} %)"
        )
    chance = "more than chance" if found["p"] < 0.05 else "no more than chance would do"
    return (
        f"{moved} on {found['n']} questions asked of both: {chance} (p = {found['p']:.2g}, "
        f"McNemar's exact test; a shift of {100 * found['detectable']:.1f} points would have been "
        "found four times in five)."
    )
