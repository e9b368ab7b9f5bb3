"""Cells, tables and lists of numbers as Markdown. Knows no measurement."""

from collections.abc import Iterable, Sequence

from ucbd.cascade.alignment_tax.measures import Ranking, Rate

NOT_RUN = "not run"
NOT_MEASURED = "–"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, columns with a digit anywhere below their header to the right."""
    body = [list(row) for row in rows]
    figures = [any(c.isdigit() for row in body for c in row[i]) for i in range(len(header))]
    rule = ["--:" if i and right else "---" for i, right in enumerate(figures)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *body))


def percent(share: float | None) -> str:
    """A share in percent, one decimal."""
    return NOT_MEASURED if share is None else f"{100 * share:.1f} %"


def percents(shares: Sequence[float | None]) -> str:
    """Several shares, in the order of the seeds."""
    return " · ".join(NOT_MEASURED if s is None else f"{100 * s:.1f}" for s in shares)


def interval(low: float, high: float) -> str:
    """Of shares, in percent."""
    return f"[{100 * low:.1f}, {100 * high:.1f}]"


def rated(rate: Rate | None) -> str:
    """A rate with its interval."""
    return (
        percent(None) if rate is None else f"{percent(rate.value)} {interval(rate.low, rate.high)}"
    )


def counted(rate: Rate | None) -> str:
    """A rate with its interval and counts."""
    return rated(rate) if rate is None else f"{rated(rate)} ({rate.hits}/{rate.n})"


def number(value: float | None, digits: int = 3) -> str:
    """A number to so many decimals."""
    return NOT_MEASURED if value is None else f"{value:.{digits}f}"


def numbers(values: Sequence[float | None], digits: int = 3) -> str:
    """Several numbers, in the order of the seeds."""
    return " · ".join(number(value, digits) for value in values)


def ranked(ranking: Ranking | None) -> str:
    """An AUROC with its interval."""
    if ranking is None:
        return NOT_MEASURED
    return f"{ranking.value:.3f} [{ranking.low:.3f}, {ranking.high:.3f}]"


def signed(value: float | None) -> str:
    """A difference of shares in points, with its sign."""
    return NOT_MEASURED if value is None else f"{100 * value:+.1f}"


def probability(p: float) -> str:
    """A p-value; below 0.0001 only that."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence; "none" when there are none."""
    if len(names) < 2:
        return names[0] if names else "none"
    return ", ".join(names[:-1]) + " and " + names[-1]
