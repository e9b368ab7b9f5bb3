"""Gradient descent: next-token prediction, and direct preference optimization. On the CPU.

Knows models and batches; nothing of the world, of files and of serving.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch.nn import functional
from tqdm import tqdm
from transformers import PreTrainedModel

from ucbd.models.reference.examples import NOT_SCORED, Batch, Example, batch, batches

BATCH_TOKENS = 2048
WARM_UP = 0.03
Descent = tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]
"""An optimizer and its schedule."""

_ROWS = 128  # pairs scored at once by the reference
_BLOCK = 8  # steps among which pairs of like lengths are put together


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one prompt, the first preferred."""

    chosen: Example
    rejected: Example


@dataclass(frozen=True, slots=True)
class DpoRecipe:
    """``beta`` and ``likelihood`` are the weights of the loss; see ``dpo_loss``."""

    beta: float
    likelihood: float
    learning_rate: float
    steps: int
    pairs: int


def fit(
    model: PreTrainedModel,
    examples: Sequence[Example],
    *,
    epochs: int,
    rate: float,
    seed: int,
    matrix_rate: float | None = None,
) -> int:
    """Next-token prediction on the scored tokens; returns the tokens read, padding left out."""
    steps = [
        step
        for epoch in range(epochs)
        for step in batches(examples, BATCH_TOKENS, f"{seed} {epoch}")
    ]
    descent = _descent(model, rate, len(steps), 0.05, matrix_rate)
    model.train()
    with tqdm(steps, unit="step", desc="next token", mininterval=1) as progress:
        for step in progress:
            loss = _next_token_loss(model, step)
            _update(model, loss, descent)
            progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return epochs * sum(len(example.ids) for example in examples)


def fit_preferences(
    model: PreTrainedModel, pairs: Sequence[Pair], recipe: DpoRecipe, seed: int
) -> None:
    """DPO (Rafailov et al. 2023) against the model as it is now."""
    reference = reference_gains(model, pairs)
    descent = _descent(model, recipe.learning_rate, recipe.steps, decay=0.0)
    model.train()
    steps = _steps(pairs, recipe, seed)
    with tqdm(steps, unit="step", desc="preferences", mininterval=1) as progress:
        for step in progress:
            loss = dpo_loss(model, [pairs[i] for i in step], reference[step], recipe)
            _update(model, loss, descent)
            progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)


def fit_chosen(model: PreTrainedModel, pairs: Sequence[Pair], recipe: DpoRecipe, seed: int) -> None:
    """Next-token prediction on exactly the chosen answers, in the same order and number of steps.

    The data of DPO without its objective.
    """
    descent = _descent(model, recipe.learning_rate, recipe.steps, decay=0.0)
    model.train()
    steps = _steps(pairs, recipe, seed)
    for step in tqdm(steps, unit="step", desc="chosen answers", mininterval=1):
        loss = _next_token_loss(model, batch([pairs[i].chosen for i in step]))
        _update(model, loss, descent)


def dpo_loss(
    model: PreTrainedModel, pairs: Sequence[Pair], reference: torch.Tensor, recipe: DpoRecipe
) -> torch.Tensor:
    """``-ln sigmoid(beta * margin)`` plus ``likelihood`` times the chosen answers' token loss.

    The margin is by how many nats the model prefers the chosen answer to the rejected one, beyond
    what the reference did (``reference``, one value per pair).
    """
    rows = batch([pair.chosen for pair in pairs] + [pair.rejected for pair in pairs])
    ours, count = answer_log_probabilities(model, rows)
    margin = ours[: len(pairs)] - ours[len(pairs) :] - reference
    loss = -functional.logsigmoid(recipe.beta * margin).mean()
    if recipe.likelihood:
        chosen = ours[: len(pairs)].sum() / count[: len(pairs)].sum()
        loss = loss - recipe.likelihood * chosen
    return loss


def reference_gains(model: PreTrainedModel, pairs: Sequence[Pair]) -> torch.Tensor:
    """Log-probability of each chosen answer minus that of its rejected one: (pairs,), in nats."""
    model.eval()
    found = torch.empty(len(pairs))
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].chosen.ids))
    for at in range(0, len(order), _ROWS):
        some = order[at : at + _ROWS]
        with torch.no_grad():
            chosen, _ = answer_log_probabilities(model, batch([pairs[i].chosen for i in some]))
            rejected, _ = answer_log_probabilities(model, batch([pairs[i].rejected for i in some]))
        found[some] = chosen - rejected
    return found


def answer_log_probabilities(
    model: PreTrainedModel, rows: Batch
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed log-probability of each row's scored tokens, in nats, and how many they are."""
    labels = rows.labels[:, 1:]
    scored = labels != NOT_SCORED
    hidden = model.base_model(input_ids=rows.ids, use_cache=False).last_hidden_state[:, :-1]
    logits = model.get_output_embeddings()(hidden[scored])  # the head is dear: no row for nothing
    losses = torch.zeros(labels.shape)
    losses[scored] = functional.cross_entropy(logits.float(), labels[scored], reduction="none")
    return -losses.sum(dim=1), scored.sum(dim=1)


def _next_token_loss(model: PreTrainedModel, rows: Batch) -> torch.Tensor:
    log_probabilities, count = answer_log_probabilities(model, rows)
    return -log_probabilities.sum() / count.sum()


def _descent(
    model: PreTrainedModel, rate: float, steps: int, decay: float, matrix_rate: float | None = None
) -> list[Descent]:
    """AdamW with a short warm-up and a cosine to zero; with ``matrix_rate`` Muon for the matrices.

    Muon (Jordan et al. 2024) is for hidden matrices only: embeddings and norms stay with AdamW.
    """
    embedding = model.get_input_embeddings().weight
    head = model.get_output_embeddings().weight
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for parameter in model.parameters():
        hidden = parameter.ndim == 2 and parameter is not embedding and parameter is not head
        (matrices if hidden and matrix_rate else others).append(parameter)
    optimizers: list[tuple[torch.optim.Optimizer, float]] = [
        (
            torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=decay, fused=True),
            rate,
        )
    ]
    if matrix_rate:
        muon = torch.optim.Muon(matrices, lr=matrix_rate, momentum=0.95, weight_decay=decay)
        optimizers.append((muon, matrix_rate))
    return [(optimizer, _schedule(optimizer, most, steps)) for optimizer, most in optimizers]


def _schedule(
    optimizer: torch.optim.Optimizer, most: float, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        most,
        total_steps=steps,
        pct_start=WARM_UP,
        anneal_strategy="cos",
        cycle_momentum=False,
    )


def _update(model: PreTrainedModel, loss: torch.Tensor, descent: Sequence[Descent]) -> None:
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer, schedule in descent:
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)


def _steps(pairs: Sequence[Pair], recipe: DpoRecipe, seed: int) -> list[list[int]]:
    """Which pairs each step reads: all of them shuffled, again and again, of like lengths."""
    random = Random(f"pairs {seed}")
    order: list[int] = []
    while len(order) < recipe.steps * recipe.pairs:
        order += random.sample(range(len(pairs)), len(pairs))
    steps: list[list[int]] = []
    for at in range(0, recipe.steps * recipe.pairs, _BLOCK * recipe.pairs):
        block = order[at : min(at + _BLOCK * recipe.pairs, recipe.steps * recipe.pairs)]
        block.sort(key=lambda i: len(pairs[i].chosen.ids))
        some = [block[k : k + recipe.pairs] for k in range(0, len(block), recipe.pairs)]
        steps += random.sample(some, len(some))
    return steps
