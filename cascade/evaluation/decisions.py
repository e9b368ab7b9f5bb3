"""What a policy decided about the records, beside what its profile certified.

Reads decisions, not scores. Whether the records are a fresh draw of the same traffic, without which
a certificate says nothing of them, only their owner knows; what can be seen of it is said.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ucbd.cascade.calibration.profile import Calibration
from ucbd.cascade.evaluation.rates import Rate
from ucbd.cascade.evaluation.tally import DECISIONS, Tally
from ucbd.cascade.policy import Policy

Json = dict[str, Any]


def decisions(tally: Tally) -> Json:
    """Coverage over the records with a decision; risk over those answered that have a label.

    Risk is the share of wrong answers among them. Rates are None without records.
    """
    decided = tally.decisions
    answered = decided == DECISIONS.index("answer")
    judged = answered & ~np.isnan(tally.right)
    coverage = Rate(int(answered.sum()), int((decided >= 0).sum()))
    risk = Rate(int((tally.right[judged] == 0).sum()), int(judged.sum()))
    return {
        "n": coverage.n,
        **{name: int((decided == i).sum()) for i, name in enumerate(DECISIONS)},
        "coverage": coverage.value,
        "coverage_ci": _listed(coverage),
        "risk": risk.value,
        "risk_ci": _listed(risk),
        "risk_counts": [risk.hits, risk.n],
    }


def policy_of(name: str, policy: Policy, models: Sequence[object], files: Sequence[str]) -> Json:
    """Which policy decided; ``certified`` is None where it is no profile or nothing was certified.

    ``files`` are the SHA-256 of the files that the records were read from, ``models`` whose answers
    they are.
    """
    profile = policy.calibration
    return {
        "name": name,
        "description": policy.description,
        "certified": _certified(profile) if profile else None,
        "caveats": _caveats(profile, models, files) if profile else [],
    }


def _certified(profile: Calibration) -> Json | None:
    """The certificate of the whole cascade, which is the rung that records are decided on."""
    rung = profile.ladder.get("all")
    if rung is None or rung.certificate is None:
        return None
    found = rung.certificate
    return {
        "id": profile.id,
        "alpha": profile.alpha,
        "delta": profile.delta,
        "risk_upper": found.risk_upper,
        "coverage": found.coverage,
        "records": found.records,
        "answered": found.answered,
        "wrong": found.wrong,
        "created": profile.created.isoformat(),
        "model": profile.made_for.model,
    }


def _caveats(profile: Calibration, models: Sequence[object], files: Sequence[str]) -> list[str]:
    """What speaks against reading these records as a check of the certificate."""
    found = []
    if set(files) & set(profile.records.files):
        found.append("The profile was made from these records: what they show is no check of it.")
    made_for = profile.made_for.model
    others = [str(model) for model in models if made_for is not None and model != made_for]
    if others:
        found.append(
            f"The profile was made for {made_for}, and these are answers of {', '.join(others)}: "
            "nothing is certified for them."
        )
    return found


def _listed(rate: Rate) -> list[float] | None:
    return list(rate.interval) if rate.interval else None
