"""One family of models by one recipe: base, SFT, and the arms of preference tuning from one SFT.

``python -m ucbd.models.reference.family --out FOLDER [--seed N]`` trains all of it from nothing.
Plain PyTorch and transformers, on the CPU. Knows nothing of serving and nothing of evaluation.
"""

import argparse
import copy
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from ucbd.models.reference import preferences as preference
from ucbd.models.reference.architectures import ARCHITECTURES, CONTEXT, SCALES, architecture
from ucbd.models.reference.examples import chat_example, conversation_turns, document_example
from ucbd.models.reference.fitting import DpoRecipe, fit, fit_chosen, fit_preferences
from ucbd.models.reference.text import conversations, documents, preference_prompts
from ucbd.models.reference.tokenizer import CHAT_TEMPLATE, PLAIN_TEMPLATE, train_tokenizer
from ucbd.models.reference.world import make_world

DPO = DpoRecipe(beta=0.1, likelihood=0.2, learning_rate=1e-4, steps=300, pairs=32)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that is chosen about a family. Tuned on world seed 0 and on no other."""

    architecture: str = "llama"
    scale: str = "default"
    world: float = 1.0
    problems_read: int = 15_000
    problems_tuned: int = 2_000
    problems_preferred: int = 600
    base_epochs: int = 4
    base_rate: float = 2e-3
    sft_epochs: int = 2
    replayed: int = 8_000
    sft_rate: float = 5e-4
    pairs_per_prompt: int = 4
    dpo: DpoRecipe = DPO


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of tuning the SFT model. ``score`` None ranks its pairs at random."""

    name: str
    score: preference.Score | None
    likelihood: bool = True
    objective: str = "dpo"


DEFAULT_ARM = "dpo"
ARMS = (
    Arm(DEFAULT_ARM, preference.correct_then_brief),
    Arm("sft-on-chosen", preference.correct_then_brief, objective="next-token"),
    Arm("random", None),
    Arm("correct", preference.correct),
    Arm("brief", preference.brief),
    Arm("typical-0.3", preference.typical(0.3)),
    Arm("typical-1", preference.typical(1.0)),
    Arm("dpo-no-likelihood", preference.correct_then_brief, likelihood=False),
)
"""The default arm prefers what is right and, of equals, what is brief."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the embedded model family.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the stages' folders")
    parser.add_argument("--seed", type=int, default=0, help="of the world and of the training")
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="llama")
    parser.add_argument("--scale", choices=SCALES, default="default")
    parser.add_argument("--arms", nargs="*", default=[arm.name for arm in ARMS])
    parser.add_argument("--facts-only", action="store_true", help="a small world, no arithmetic")
    options = parser.parse_args()
    recipe = Recipe(architecture=options.architecture, scale=options.scale)
    if options.facts_only:
        recipe = replace(recipe, world=0.4, problems_read=0, problems_tuned=0, problems_preferred=0)
    arms = [arm for arm in ARMS if arm.name in options.arms]
    train(options.out, options.seed, recipe, arms)


def train(out: Path, seed: int, recipe: Recipe, arms: Sequence[Arm]) -> None:
    """Train what ``out`` does not hold yet, each stage's folder written whole or not at all.

    Every stage goes on from the weights as they were written, so that an interrupted training
    ends where an uninterrupted one does.
    """
    family = Family(out, seed, recipe)
    family.base()
    family.sft()
    for arm in arms:
        family.arm(arm)


class Family:
    """The stages of one world and one recipe, each trained when it is first asked for."""

    def __init__(self, out: Path, seed: int, recipe: Recipe) -> None:
        self._out = out
        self._seed = seed
        self._recipe = recipe
        self._world = make_world(seed, recipe.world)
        self._texts = documents(self._world, recipe.problems_read)
        self._tokenizer = train_tokenizer(self._texts, CONTEXT)

    def base(self) -> PreTrainedModel:
        """Next-token prediction on the world's documents."""
        return self._stage("base", PLAIN_TEMPLATE, self._train_base)

    def sft(self) -> PreTrainedModel:
        """The base model, tuned on conversations in every manner of speaking.

        Some documents are replayed among them, so that tuning on few people does not cost what
        the model knows of the others.
        """
        return self._stage("sft", CHAT_TEMPLATE, self._train_sft)

    def arm(self, arm: Arm) -> PreTrainedModel:
        """The SFT model, tuned on pairs of its own samples."""
        return self._stage(arm.name, CHAT_TEMPLATE, lambda: self._train_arm(arm))

    @cached_property
    def prompts(self) -> list[preference.Prompt]:
        """The SFT model's samples, from which every arm makes its pairs."""
        exchanges = preference_prompts(self._world, self._recipe.problems_preferred)
        return preference.draw(self.sft(), self.base(), self._tokenizer, exchanges, self._seed)

    def _train_base(self) -> PreTrainedModel:
        config = architecture(
            self._recipe.architecture, SCALES[self._recipe.scale], self._tokenizer
        )
        model = AutoModelForCausalLM.from_config(config)
        examples = [document_example(self._tokenizer, text) for text in self._texts]
        epochs, rate = self._recipe.base_epochs, self._recipe.base_rate
        tokens = fit(model, examples, epochs=epochs, rate=rate, seed=self._seed)
        print(f"base: {model.num_parameters():,} parameters, {tokens:,} tokens")
        return model

    def _train_sft(self) -> PreTrainedModel:
        model = self.base()
        talks = conversations(self._world, self._recipe.problems_tuned)
        turns = conversation_turns(talks, self._seed)
        examples = [chat_example(self._tokenizer, some) for some in turns]
        replayed = Random(f"replay {self._seed}").sample(
            self._texts, min(self._recipe.replayed, len(self._texts))
        )
        examples += [document_example(self._tokenizer, text) for text in replayed]
        epochs, rate = self._recipe.sft_epochs, self._recipe.sft_rate
        tokens = fit(model, examples, epochs=epochs, rate=rate, seed=self._seed)
        print(f"sft: {tokens:,} tokens")
        return model

    def _train_arm(self, arm: Arm) -> PreTrainedModel:
        found = preference.pairs(self.prompts, arm.score, self._recipe.pairs_per_prompt, self._seed)
        print(f"{arm.name}: {len(found):,} pairs")
        model = self.sft()
        recipe = self._recipe.dpo if arm.likelihood else replace(self._recipe.dpo, likelihood=0.0)
        fit_arm = fit_preferences if arm.objective == "dpo" else fit_chosen
        fit_arm(model, found, recipe, self._seed)
        return model

    def _stage(
        self, name: str, template: str, make: Callable[[], PreTrainedModel]
    ) -> PreTrainedModel:
        """The stage's model as its folder holds it, trained first where there is none."""
        folder = self._out / name
        if not (folder / "config.json").is_file():
            start = time.monotonic()
            torch.manual_seed(self._seed)
            model = make()
            write(folder, model, self._tokenizer, template, self._card(name))
            print(f"{name}: {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def _card(self, name: str) -> dict[str, object]:
        recipe = asdict(self._recipe)
        return {"stage": name, "seed": self._seed, "recipe": recipe}


def write(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    template: str,
    facts: dict[str, object],
) -> None:
    """A stage's folder, written beside its place and moved into it when complete.

    ``training.json`` holds ``facts`` about its making. A model card that is there stays.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(partial, safe_serialization=True)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(partial)
    (partial / "training.json").write_text(json.dumps(facts, indent=1) + "\n")
    (partial / "model.safetensors").chmod(0o644)  # safetensors makes it readable to its owner only
    if (folder / "README.md").is_file():  # the model card is written by people, and stays
        shutil.copy2(folder / "README.md", partial)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


if __name__ == "__main__":
    main()
