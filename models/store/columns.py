"""Rows of the store's tables as the values of ``rows``, and back."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from ucbd.models.store.rows import Certificate, Completion, Judged, Label, RequestRecord
from ucbd.models.store.tables import LABELS, REQUESTS

JUDGED = (
    LABELS.c.number,
    LABELS.c.correct,
    REQUESTS.c.policy,
    REQUESTS.c.decision,
    REQUESTS.c.confidence,
    REQUESTS.c.certificate,
    REQUESTS.c.risk_upper,
)


def judged_of(row: Row[Any]) -> Judged:
    """From a row of ``JUDGED``."""
    certificate = _certificate(row)
    return Judged(row.number, row.policy, row.decision, row.confidence, certificate, row.correct)


def row_of(record: RequestRecord) -> dict[str, Any]:
    """A record as a new row of ``REQUESTS``."""
    certificate = record.certificate
    return {
        "id": record.id,
        "asked_at": record.asked_at,
        "model": record.model,
        "model_revision": record.model_revision,
        "policy": record.policy,
        "decision": record.decision,
        "boundary": record.boundary,
        "uncertainty": record.uncertainty,
        "confidence": record.confidence,
        "rung": record.rung,
        "certificate": certificate and certificate.id,
        "risk_upper": certificate and certificate.risk_upper,
        "served_by": record.served_by,
        "audit": record.audit,
        "scores": dict(record.scores),
        "stages": list(record.stages),
        "text": record.text,
    }


def record_of(row: Row[Any]) -> RequestRecord:
    """From a row of ``REQUESTS``."""
    return RequestRecord(
        id=row.id,
        asked_at=row.asked_at,
        model=row.model,
        model_revision=row.model_revision,
        policy=row.policy,
        decision=row.decision,
        boundary=row.boundary,
        uncertainty=row.uncertainty,
        confidence=row.confidence,
        rung=row.rung,
        certificate=_certificate(row),
        served_by=row.served_by,
        audit=row.audit,
        scores=row.scores,
        stages=row.stages,
        text=row.text,
    )


def _certificate(row: Row[Any]) -> Certificate | None:
    return None if row.certificate is None else Certificate(row.certificate, row.risk_upper)


def label_of(row: Row[Any]) -> Label:
    """From a row that has the columns of ``LABELS``."""
    said: Mapping[str, Any] = row.said
    number = row._mapping[LABELS.c.number]
    return Label(number, row.source, row.correct, said.get("by"), row.at, said.get("note"))


def completion_of(row: Row[Any]) -> Completion | None:
    """From a row of ``REQUESTS``; None where nothing was completed."""
    return None if row.completion is None else Completion(row.id, row.completion)
