"""Fitting a pointer to labelled answers, and how it ranks answers that it was not fitted to.

Plain logistic regression, standardised, with scikit-learn's default penalty. Knows no file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.model_selection import KFold, LeaveOneGroupOut  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline, make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

from ucbd.cascade.evaluation.ranking import Floats, Mask
from ucbd.cascade.evaluation.recorded import recorded_entropies
from ucbd.cascade.evaluation.records import Record, label
from ucbd.cascade.pointer import FEATURES, PointerModel, features
from ucbd.cascade.reasoning import final_answer
from ucbd.models.generation import Missing

LEAST = 20
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Labelled:
    """(n, 20) features of answers, whether each was wrong, and which source each is of."""

    features: Floats
    wrong: Mask
    source: NDArray[np.int64]


def read(sources: Sequence[Sequence[Record]]) -> Labelled:
    """The answers that have a label and exact token entropies; the others are left out.

    Raises ValueError below ``LEAST`` right or wrong ones.
    """
    rows, wrong, source = [], [], []
    for place, records in enumerate(sources):
        for record in records:
            found, right = _features(record), label(record)
            if found is None or right is None:
                continue
            rows.append(found)
            wrong.append(not right)
            source.append(place)
    if min(sum(wrong), len(wrong) - sum(wrong)) < LEAST:
        raise ValueError(
            f"needs {LEAST} right and {LEAST} wrong answers, labelled, with exact token entropies; "
            f"{len(wrong)} such answers, {sum(wrong)} of them wrong"
        )
    return Labelled(np.array(rows), np.array(wrong), np.array(source))


def fit(answers: Labelled, model: str, sources: Sequence[str]) -> PointerModel:
    """A pointer to answers like these: weights in the features' own units."""
    scaler, regression = _fitted(answers.features, answers.wrong)
    weights = regression.coef_[0] / scaler.scale_
    return PointerModel(
        schema=1,
        model=model,
        features=FEATURES,
        weights=tuple(float(f"{weight:.6g}") for weight in weights),
        intercept=float(f"{regression.intercept_[0] - weights @ scaler.mean_:.6g}"),
        questions=len(answers.wrong),
        wrong=int(answers.wrong.sum()),
        sources=tuple(sources),
    )


def held_out(answers: Labelled) -> Floats:
    """(n,): P(wrong) by a pointer that saw neither the answer nor its source.

    Of one source, by a pointer fitted to the other four fifths of its answers.
    """
    several = len(set(answers.source.tolist())) > 1
    splits = LeaveOneGroupOut() if several else KFold(_FOLDS, shuffle=True, random_state=0)
    groups = answers.source if several else None
    found = np.full(len(answers.wrong), np.nan)
    for known, new in splits.split(answers.features, answers.wrong, groups):
        pipeline = _fitted(answers.features[known], answers.wrong[known])
        found[new] = pipeline.predict_proba(answers.features[new])[:, 1]
    return found


def _fitted(found: Floats, wrong: Mask) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(found, wrong)


def _features(record: Record) -> list[float] | None:
    if record.answer is None:
        return None
    entropies = recorded_entropies(record.answer, record.vocab_size)
    if isinstance(entropies, Missing):
        return None
    found = features(record.prompt, final_answer(record.answer.text), entropies)
    return None if isinstance(found, Missing) else found
