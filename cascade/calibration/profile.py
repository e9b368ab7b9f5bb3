"""What makes a policy a profile: models of P(wrong), what they were made for, what is certified.

A profile's promise, word for word: with probability of at least 1 − δ over the draw of the records
that it was certified on, the share of wrong answers among the answered requests of exchangeable
traffic is at most α (Learn-then-Test; method.md section 6). It is not the probability that *this*
answer is wrong, nor a promise for each user or topic, nor one after drift.
"""

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ucbd.cascade.calibration.probability import EvidenceModel, Share, model_for, stages_read
from ucbd.cascade.ladder import Rung
from ucbd.cascade.outcome import Bound
from ucbd.models.generation import Missing

Risk = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MadeFor(_Frozen):
    """Whose answers were labelled and how they came about: what a certificate is bound to.

    ``measured`` are the stages that said anything of any record; ``signals`` names the score of
    each that a model reads, with every parameter that changes it. None where the records do not
    tell, which is then not compared.
    """

    model: str | None
    revision: str | None
    prompt_template: str | None
    sample_temperature: float | None
    measured: tuple[str, ...] = ()
    signals: dict[str, str] = Field(default_factory=dict)

    @property
    def exact_entropy(self) -> bool:
        """Whether a model reads exact token entropies, as every pointer does."""
        return "pointer" in self.signals or "(exact)" in self.signals.get("fluency", "")


class StageCost(_Frozen):
    """What a stage took on the records: generated tokens ÷ the main answer's, and seconds.

    ``seconds`` is an order of magnitude, of the work beside the engine: nothing was generated then.
    """

    tokens: Annotated[float, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]


class RecordsUsed(_Frozen):
    """The labelled records: their files' SHA-256, and how many each half had."""

    files: tuple[str, ...]
    fitted: Count
    certified: Count
    seed: int


class Certificate(_Frozen):
    """A bound that was proven on records held out from every fit.

    ``answered`` of ``records`` were answered, ``wrong`` of those wrongly. ``risk_upper`` is the
    bound on the selective risk, α; ``coverage`` is the share answered on those records.
    """

    risk_upper: Risk
    coverage: Share
    records: Count
    answered: Count
    wrong: Count


class RungProfile(_Frozen):
    """One rung of the ladder: an answer stands when P(wrong) is at most ``threshold``.

    Without a certificate the threshold is the fitted one, and nothing is promised. ``groups`` has
    what each group's own records showed, where they were certified apart.
    """

    threshold: Share
    certificate: Certificate | None
    groups: dict[str, Certificate] = Field(default_factory=dict)


class Calibration(_Frozen):
    """What was fitted and what was certified; ``id`` is the digest of everything in the profile.

    ``aim`` is the fitted threshold. Sampling stops when more samples would hardly change on which
    side of it a request is, also where another threshold was certified then.
    """

    version: Literal[1] = Field(alias="schema")
    id: str = ""
    created: date
    alpha: Risk
    delta: Risk
    made_for: MadeFor
    records: RecordsUsed
    costs: dict[str, StageCost] = Field(default_factory=dict)
    models: Annotated[tuple[EvidenceModel, ...], Field(min_length=1)]
    ladder: dict[Rung, RungProfile]
    aim: Share

    def wrong_probability(
        self, uncertainties: Mapping[str, float], *, homogenized: bool
    ) -> float | None:
        """P(wrong) given what was measured, 0 … 1; None where nothing was fitted to any of it."""
        key = (frozenset(uncertainties), homogenized)
        if key not in self._chosen:
            found = model_for(self.models, uncertainties, homogenized=homogenized)
            self._chosen[key] = found
        model = self._chosen[key]
        return None if model is None else model.wrong_probability(uncertainties)

    def bound(self, rung: Rung) -> Bound | Missing:
        """What is promised where that rung ran."""
        profile = self.ladder.get(rung)
        if profile is None or profile.certificate is None:
            return Missing(f"nothing is certified for what ran: {rung.replace('_', ' ')}")
        return Bound(self.id, profile.certificate.risk_upper)

    def reads(self, stage: str) -> bool:
        """Whether any of the models depends on that stage."""
        return stage in self._read

    def fitted_signal(self, stage: str) -> str | None:
        """The signal that the models read as this stage's; None where they do not read it."""
        return self.made_for.signals.get(stage) if self.reads(stage) else None

    @cached_property
    def _read(self) -> frozenset[str]:
        return frozenset(stages_read(self.models))

    @cached_property
    def _chosen(self) -> dict[tuple[frozenset[str], bool], EvidenceModel | None]:
        """The model for each set of evidence seen so far: at most one for each set of stages."""
        return {}
