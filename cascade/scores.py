"""Other scores of the field, of one answer or of its samples, beside token and semantic entropy.

Pure functions over numbers; knows no model, no text and no threshold. Higher means less certain
in all of them, whatever the literature's sign (method.md section 3). Every one raises ValueError
for values that cannot be what they should be, such as a log-probability above 0: what is not a
measurement must not become a score.
"""

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

_ROUNDING = 1e-6  # by how much a log-probability may lie above 0 and still be one


def mean_negative_log_probability(logprobs: Sequence[float]) -> float:
    """Length-normalised negative log-probability of an answer: nats a token, 0 … ∞.

    ``logprobs`` are of the tokens drawn, one each.
    """
    return -fmean(_log_probabilities(logprobs))


def perplexity(logprobs: Sequence[float]) -> float:
    """``exp`` of the length-normalised negative log-probability: 1 … ∞."""
    return math.exp(mean_negative_log_probability(logprobs))


def least_likely_token(logprobs: Sequence[float]) -> float:
    """``1 - p`` of the answer's least likely token: 0 … 1 (min-probability, turned)."""
    return -math.expm1(min(_log_probabilities(logprobs)))


def predictive_entropy(samples: Sequence[Sequence[float]]) -> float:
    """Length-normalised predictive entropy of samples (Malinin & Gales 2021): nats a token.

    ``samples`` are the log-probabilities of each sample's tokens.
    """
    return fmean(mean_negative_log_probability(one) for one in samples)


def self_certainty(logprobs: Sequence[Sequence[float]]) -> float:
    """Negated self-certainty (Kang et al. 2025): minus the divergence from uniform, ≤ 0, nats.

    ``logprobs`` are of every word of the vocabulary at each token: (tokens, vocabulary). 0 where
    the model is undecided between all words.
    """
    return -fmean(_divergence_from_uniform(_log_probabilities(token)) for token in logprobs)


def weighted_semantic_entropy(mean_logprobs: Sequence[float], labels: Sequence[int]) -> float:
    """Likelihood-weighted semantic entropy of N samples (Farquhar et al. 2024): nats, 0 … ln N.

    ``mean_logprobs`` is each sample's log-probability per token, ``labels`` its cluster. A
    cluster weighs what its samples' likelihoods sum to.
    """
    values = _log_probabilities(mean_logprobs)
    weights: dict[int, float] = {}
    for value, label in zip(values, labels, strict=True):
        weights[label] = weights.get(label, 0.0) + math.exp(value)
    total = math.fsum(weights.values())
    if total == 0:
        raise ValueError("no sample has a likelihood above 0")
    return math.fsum(w / total * math.log(total / w) for w in weights.values() if w)


def sindex(cosines: NDArray[np.floating], labels: Sequence[int]) -> float:
    """SINdex of N samples (Abdaljalil et al. 2025): nats, 0 … ln N.

    ``cosines`` is (N, N). A cluster's share is shrunk by its mean pairwise cosine, 1 for a single
    sample; shares are not brought back to a sum of 1.
    """
    if cosines.shape != (len(labels), len(labels)) or not len(labels):
        raise ValueError(f"cosines are {cosines.shape}, of {len(labels)} samples")
    total = 0.0
    for label in dict.fromkeys(labels):
        members = [i for i, other in enumerate(labels) if other == label]
        inside = cosines[np.ix_(members, members)][np.triu_indices(len(members), k=1)]
        share = len(members) / len(labels) * (float(inside.mean()) if len(inside) else 1.0)
        total -= share * math.log(share) if share > 0 else 0.0
    return total


def selfcheck(agreement: Sequence[float]) -> float:
    """SelfCheck (Manakul et al. 2023): 1 − the samples' mean agreement with the answer.

    ``agreement`` of each sample is its cosine with the answer or, in the NLI form, how much of its
    probability of entailing or contradicting the answer is for entailing it.
    """
    return 1 - fmean(agreement)


def logit_uncertainty(logits: Sequence[float]) -> tuple[float, float]:
    """LogTokU of one token (Ma et al. 2025): aleatoric and epistemic uncertainty, both ≥ 0.

    ``logits`` are the K largest, raw; below 0 they are no evidence. They are the strengths α of a
    Dirichlet distribution: the first, in nats, is the entropy expected under it; the second,
    0 … 1, is 1 without evidence and falls as it grows. Raises ValueError for what is not finite,
    and without evidence, of which nothing can be expected.
    """
    if not logits or not all(map(math.isfinite, logits)):
        raise ValueError(f"logits are finite numbers, got {list(logits)}")
    alpha = np.maximum(np.asarray(logits, dtype=np.float64), 0)
    total = float(alpha.sum())
    if total <= 0:
        raise ValueError("no logit is above 0: there is no evidence")
    aleatoric = -float((alpha / total * (digamma(alpha + 1) - digamma(total + 1))).sum())
    return aleatoric, len(logits) / (total + len(logits))


def logtoku(logits: Sequence[Sequence[float]]) -> float:
    """LogTokU of an answer: mean over tokens of aleatoric times epistemic uncertainty, ≥ 0.

    The paper averages over the least reliable tokens; here all count, so that nothing is to be
    chosen. ``logits`` is (tokens, K). Raises as ``logit_uncertainty``, and without tokens.
    """
    if not logits:
        raise ValueError("there are no tokens")
    return fmean(math.prod(logit_uncertainty(token)) for token in logits)


def _log_probabilities(values: Sequence[float]) -> Sequence[float]:
    if not values:
        raise ValueError("there are no log-probabilities")
    for value in values:
        if math.isnan(value) or value > _ROUNDING:
            raise ValueError(f"a log-probability is at most 0, got {value}")
    return values


def _divergence_from_uniform(logprobs: Sequence[float]) -> float:
    """``KL(uniform ‖ p)`` in nats, 0 … ∞."""
    return -fmean(logprobs) - math.log(len(logprobs))
