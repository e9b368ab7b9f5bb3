"""The boundaries, one file each, in the order of what they cost."""

from ucbd.cascade.boundaries.association import Association
from ucbd.cascade.boundaries.density import Density
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.boundaries.freshness import Freshness
from ucbd.cascade.boundaries.grounding import Grounding
from ucbd.cascade.boundaries.pointer import Pointer
from ucbd.cascade.boundaries.sampling import Sampling
from ucbd.cascade.boundaries.self_assessment import SelfAssessment

BOUNDARIES = (
    Freshness,
    Pointer,
    Fluency,
    Density,
    Association,
    SelfAssessment,
    Sampling,
    Grounding,
)
STAGE_NAMES = tuple(boundary.name for boundary in BOUNDARIES)
