"""A diagnosis against an earlier one, or another model's: the same questions, pair by pair.

Reads reports, its own or a file's. What was not asked alike is not compared. Knows no server.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ucbd.cascade.diagnosis.paired import paired
from ucbd.cascade.diagnosis.sentences import shifted
from ucbd.models.errors import GatewayError

Json = Mapping[str, Any]


class NotComparable(GatewayError):
    """Two diagnoses that cannot be held against each other, or a file that is none: and why."""


class _Asked(BaseModel):
    samples: int
    temperature: float
    max_tokens: int
    refused: dict[str, str] = Field(default_factory=dict)


class _Seen(BaseModel):
    one: bool | None
    count: int | None
    samples: int


class _Question(BaseModel):
    id: str
    prompt: str
    clusters: dict[str, _Seen]
    answer: str | None = None


class _Clusterer(BaseModel):
    clusterer: list[str]


class Baseline(BaseModel):
    """Of a report, what a comparison needs: also what a canary set needs of it."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    form: Literal["ucbd-diagnosis-1"] = Field(alias="schema")
    model: str
    server: str
    created: str
    complete: bool
    asked: _Asked
    clusterer: str
    homogenization: dict[str, _Clusterer]
    questions: list[_Question]


def read_baseline(path: Path) -> Baseline:
    """The diagnosis in a file. Raises ``NotComparable`` naming the file and the field."""
    try:
        return Baseline.model_validate_json(path.read_bytes())
    except OSError as error:
        raise NotComparable(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise NotComparable(
            f"{path}: not the report.json of a diagnosis: {field}: {first['msg']}"
        ) from error


def baseline(report: Json) -> Baseline:
    """The same of a report that was just made."""
    return Baseline.model_validate(report)


def check_asked_alike(before: Baseline, *, samples: int, max_tokens: int) -> None:
    """Raises ``NotComparable`` before anything is asked in vain."""
    for name, wanted in (("samples", samples), ("max_tokens", max_tokens)):
        was = getattr(before.asked, name)
        if was != wanted:
            raise NotComparable(
                f"the baseline was asked with {name} {was}, now {wanted}: the rate depends on it; "
                f"give --{name.replace('_', '-')} {was}"
            )


def compare(after: Baseline, before: Baseline, max_shift: float | None = None) -> dict[str, Any]:
    """The comparison, as the report has it. ``max_shift`` bounds the shift either way, 0 … 1.

    Raises ``NotComparable`` where clusterers, N or questions differ so that nothing is left.
    """
    check_asked_alike(before, samples=after.asked.samples, max_tokens=after.asked.max_tokens)
    earlier = {question.id: question for question in before.questions}
    pairs = [
        (earlier[question.id], question)
        for question in after.questions
        if question.id in earlier and earlier[question.id].prompt == question.prompt
    ]
    found = {
        name: one
        for name in after.homogenization
        if _same_clusterer(name, after, before) and (one := _by(name, pairs))
    }
    if after.clusterer not in found:
        raise NotComparable(
            f"nothing to compare by {after.clusterer!r}: {len(pairs)} questions are in both, and "
            f"the baseline has {', '.join(_named(before)) or 'no clusterer'}, this diagnosis "
            f"{', '.join(_named(after))}"
        )
    comparison = {
        "before": {"model": before.model, "server": before.server, "created": before.created},
        "clusterer": after.clusterer,
        "matched": len(pairs),
        "unmatched": len(after.questions) + len(before.questions) - 2 * len(pairs),
        "clusterers": found,
        "changed": _changed(after.clusterer, pairs),
        "notes": _notes(after, before),
        "max_shift": max_shift,
        "exceeded": max_shift is not None and abs(found[after.clusterer]["shift"]) > max_shift,
    }
    return comparison | {"sentence": shifted(comparison)}


def _named(one: Baseline) -> list[str]:
    return [name for found in one.homogenization.values() for name in found.clusterer]


def _same_clusterer(name: str, after: Baseline, before: Baseline) -> bool:
    """The same one with the same parameters."""
    there = before.homogenization.get(name)
    return there is not None and there.clusterer == after.homogenization[name].clusterer


def _by(name: str, pairs: list[tuple[_Question, _Question]]) -> dict[str, Any] | None:
    usable = [
        (one, other)
        for before, after in pairs
        if (one := before.clusters.get(name))
        and (other := after.clusters.get(name))
        and one.one is not None
        and other.one is not None
    ]
    if not usable:
        return None
    counts = paired([bool(one.one) for one, _ in usable], [bool(other.one) for _, other in usable])
    n = counts.n
    return {
        "n": n,
        "scr_before": (counts.both + counts.only_before) / n,
        "scr_after": (counts.both + counts.only_after) / n,
        "shift": counts.shift,
        "shift_ci": list(counts.interval),
        "p": counts.p,
        "detectable": counts.detectable,
        "one_in_both": counts.both,
        "one_only_before": counts.only_before,
        "one_only_after": counts.only_after,
        "mean_clusters_before": sum(one.count or 0 for one, _ in usable) / n,
        "mean_clusters_after": sum(other.count or 0 for _, other in usable) / n,
    }


def _changed(name: str, pairs: list[tuple[_Question, _Question]]) -> list[dict[str, Any]]:
    """Questions that were of one cluster and are of several, or the other way; largest first."""
    found = []
    for before, after in pairs:
        one, other = before.clusters.get(name), after.clusters.get(name)
        if one and other and None not in (one.one, other.one) and one.one != other.one:
            found.append(
                {
                    "id": after.id,
                    "prompt": after.prompt,
                    "clusters_before": one.count,
                    "clusters_after": other.count,
                    "answer_before": before.answer,
                    "answer_after": after.answer,
                }
            )
    return sorted(found, key=lambda one: -abs(one["clusters_after"] - one["clusters_before"]))


def _notes(after: Baseline, before: Baseline) -> list[str]:
    notes = [
        f"The {what} diagnosis was interrupted: only what it has is compared."
        for what, one in (("earlier", before), ("new", after))
        if not one.complete
    ]
    differing = sorted(set(before.asked.refused) ^ set(after.asked.refused))
    if differing:
        notes.append(
            "One server refused what the other took: " + ", ".join(differing) + ". "
            "Part of the shift may be that."
        )
    return notes
