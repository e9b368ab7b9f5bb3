"""What a model's token entropy would be at other temperatures, along answers that were given.

The entropy a generation reports is that of the model's own distribution, temperature 1, whatever it
is sampled at. To compare a sharpened model with a collapsed one, this reads the answers again and
divides the logits. Knows no samples and no scores. For small models, on the CPU.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

TEMPERATURES = (0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5)
_ROWS = 64  # answers read in one forward pass


def tempered_entropies(
    folder: Path,
    asked: Sequence[tuple[str, str]],
    temperatures: Sequence[float] = TEMPERATURES,
) -> dict[str, float]:
    """Mean over questions of the mean token entropy at each temperature, in nats.

    ``asked`` are questions and the answers that were given to them; the end of an answer counts as
    one of its tokens, as it does while generating. Keys are the temperatures as text.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    rows = sorted(_rows(tokenizer, asked), key=lambda row: len(row[0]) + len(row[1]))
    sums = torch.zeros(len(temperatures), dtype=torch.float64)
    for at in range(0, len(rows), _ROWS):
        sums += _entropies(model, rows[at : at + _ROWS], temperatures).sum(0)
    return {f"{t:g}": float(s) / len(rows) for t, s in zip(temperatures, sums, strict=True)}


def parameters(folder: Path) -> int:
    """How many parameters the folder's weights hold."""
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as weights:  # reads the header, not the weights
            shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
        total += sum(torch.Size(shape).numel() for shape in shapes)
    return total


def _rows(
    tokenizer: PreTrainedTokenizerFast, asked: Sequence[tuple[str, str]]
) -> list[tuple[list[int], list[int]]]:
    """Token ids of each question, as the model is asked it, and of its answer and end."""
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_dict=False
        )
        for question, _ in asked
    ]
    answers = [tokenizer.encode(answer, add_special_tokens=False) for _, answer in asked]
    end = tokenizer.eos_token_id
    return [(p, [*a, end]) for p, a in zip(prompts, answers, strict=True)]


@torch.no_grad()  # type: ignore[untyped-decorator]
def _entropies(
    model: AutoModelForCausalLM,
    rows: Sequence[tuple[list[int], list[int]]],
    temperatures: Sequence[float],
) -> torch.Tensor:
    """(rows, temperatures): each answer's mean token entropy, in nats."""
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    for i, (prompt, answer) in enumerate(rows):
        ids[i, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer])
    # Padding stands behind the answers, where a causal model does not see it.
    logits = model(input_ids=ids).logits.double()
    found = torch.zeros(len(rows), len(temperatures), dtype=torch.float64)
    for i, (prompt, answer) in enumerate(rows):
        # The token at a place is drawn from the logits of the place before it.
        own = logits[i, len(prompt) - 1 : len(prompt) + len(answer) - 1]
        for j, temperature in enumerate(temperatures):
            logs = torch.log_softmax(own / temperature, dim=-1)
            found[i, j] = -(logs.exp() * logs).sum(-1).mean()
    return found
