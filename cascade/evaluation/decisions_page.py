"""The part of a page about decisions: what the profile certified beside what the records showed.

Reads only reports. Knows no statistics.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

from ucbd.cascade.evaluation.cells import NONE, interval, note, percent, section, table, tiles

Json = Mapping[str, Any]


def decided(report: Json) -> str:
    """Nothing where no record was decided on."""
    found, policy = report["decisions"], report["policy"]
    if not found["n"]:
        return ""
    name = f" by {policy['name']}" if policy else ""
    body = tiles(
        [
            ("answered" + interval(found["coverage_ci"], percent=True), percent(found["coverage"])),
            ("wrong of those" + interval(found["risk_ci"], percent=True), percent(found["risk"])),
            ("abstained", percent(found["abstain"] / found["n"])),
            ("escalated", percent(found["escalate"] / found["n"])),
        ]
    )
    return section(f"Decisions{name}", body + (_promise(policy, found) if policy else ""))


def _promise(policy: Json, found: Json) -> str:
    certified = policy["certified"]
    caveats = "".join(f'<p class="warning">{escape(words)}</p>' for words in policy["caveats"])
    if certified is None:
        return caveats + note(
            f"{policy['name']} certifies no error rate: {policy['description'].rstrip('.')}."
        )
    rows = [
        [
            "certified",
            f"at most {percent(certified['risk_upper'])}",
            percent(certified["coverage"]),
            f"{certified['wrong']} of {certified['answered']}",
            str(certified["records"]),
        ],
        [
            "these records",
            percent(found["risk"]) + interval(found["risk_ci"], percent=True),
            percent(found["coverage"]) + interval(found["coverage_ci"], percent=True),
            "{} of {}".format(*found["risk_counts"]) if found["risk_counts"][1] else NONE,
            str(found["n"]),
        ],
    ]
    header = ["", "wrong of the answered", "coverage", "wrong", "records"]
    sure = 100 * (1 - certified["delta"])
    return (
        caveats
        + table(header, rows)
        + note(
            f"Profile {certified['id']} of {certified['created']}: α = {certified['alpha']:g}, "
            f"δ = {certified['delta']:g}. With a probability of at least {sure:g} % over the "
            "draw of its records, at most α of what it answers is wrong on traffic like theirs. "
            "It promises nothing of one answer, of a group, or after a shift."
        )
    )
