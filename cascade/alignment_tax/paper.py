"""What the paper reports, to stand beside ours (arXiv 2603.24124).

Its models are 3–14B parameters and its questions natural; ours are neither. Data only.
"""

from collections.abc import Mapping

STAGES: Mapping[str, tuple[str, str, str]] = {
    "Zephyr-7B base": ("0.0 %", "9.28", "–"),
    "Zephyr-7B SFT": ("1.5 %", "8.63", "–"),
    "Zephyr-7B DPO": ("4.0 %", "8.01", "–"),
    "Qwen3-14B base": ("1.0 %", "9.26", "2.158"),
    "Qwen3-14B instruct": ("28.5 %", "3.58", "0.832"),
}
"""SCR, mean clusters and mean semantic entropy by model."""

SCR: Mapping[str, str] = {"jaccard": "40.0 %", "embedding": "79.0 %"}
"""TruthfulQA, 790 questions, its aligned model."""

TOKEN_ENTROPY = "1.175 → 0.776 (66 % kept)"  # noqa: S105 - not a password
"""Base → DPO over the stages of Zephyr."""

AUROC_FACTS: Mapping[str, str] = {
    "mean_token_entropy": "0.599",
    "semantic_entropy:jaccard": "0.548",
    "semantic_entropy:embedding": "0.542",
    "semantic_entropy:nli": "0.501–0.512",
    "disagreement": "0.588 (SelfCheck)",
}
"""TruthfulQA, all questions."""

AUROC_STRATUM: Mapping[str, str] = {
    "mean_token_entropy": "0.603",
    "semantic_entropy:jaccard": "0.500",
    "semantic_entropy:embedding": "0.500",
    "semantic_entropy:nli": "0.500",
}
"""TruthfulQA, single-cluster questions only."""

AUROC_ARITHMETIC: Mapping[str, str] = {
    "mean_token_entropy": "0.706",
    "std_token_entropy": "0.715",
    "max_token_entropy": "0.724",
    "p_true": "0.608",
    "answer_length": "0.849",
}
"""GSM8K, 500 questions."""

SELECTIVE = "84.4 % → 93.2 %"
"""GSM8K: accuracy of all answers, and of the half with the least token entropy."""

BY_TEMPERATURE: Mapping[float, str] = {0.3: "62 %", 0.7: "46 %", 1.0: "42 %", 1.5: "38 %"}
BY_SAMPLES: Mapping[int, str] = {3: "46.3 %", 5: "41.9 %", 7: "40.0 %", 10: "40.0 %"}

FAMILIES = (
    "Qwen3-14B 28.5 %, LLaMA-3.2-3B 5.5 %, Zephyr-7B 4.0 %, Mistral-7B 1.0 %, Tulu-3-8B 0.5 %"
)

BLIND_MASS = ".02 (7–8B models on arithmetic) to .67–.69 (the best models of 2025 on facts)"
"""Not the paper's: this project's measurement on recordings of real models."""

DEPENDENCE = "|r| ≤ 0.12, mutual information ≤ 0.02 bits"
