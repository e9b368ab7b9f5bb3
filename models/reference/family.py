"""One family of models by one recipe: base, SFT, and the arms of preference tuning from one SFT.

``python -m ucbd.models.reference.family --out FOLDER [--seed N]`` trains all of it from nothing.
Plain PyTorch and transformers, on the CPU. Knows nothing of serving and nothing of evaluation.
"""

import argparse
import copy
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from ucbd.models.errors import GatewayError
from ucbd.models.reference import preferences as preference
from ucbd.models.reference.architectures import ARCHITECTURES, CONTEXT, SCALES, architecture
from ucbd.models.reference.examples import chat_example, conversation_turns, document_example
from ucbd.models.reference.fitting import DpoRecipe, fit, fit_chosen, fit_preferences
from ucbd.models.reference.text import conversations, documents, preference_prompts
from ucbd.models.reference.tokenizer import CHAT_TEMPLATE, PLAIN_TEMPLATE, train_tokenizer
from ucbd.models.reference.world import make_world

TRAINING = "training.json"
FACTS_ONLY = 0.4
Trained = tuple[PreTrainedModel, dict[str, object]]
"""A trained model, and facts about its training."""

DPO = DpoRecipe(beta=0.1, likelihood=0.3, learning_rate=2e-4, steps=600, pairs=32)


@dataclass(frozen=True, slots=True)
class BaseRecipe:
    """The base stage: its shape, the size of its world, and how it reads."""

    architecture: str = "llama"
    scale: str = "default"
    world: float = 1.0
    problems: int = 20_000
    epochs: int = 5
    rate: float = 2e-3
    matrix_rate: float = 0.02


@dataclass(frozen=True, slots=True)
class SftRecipe:
    """The SFT stage: word problems among its conversations, documents replayed among them."""

    problems: int = 4_000
    replayed: int = 8_000
    epochs: int = 2
    rate: float = 5e-4


@dataclass(frozen=True, slots=True)
class PreferenceRecipe:
    """The preference stage, the same for every arm."""

    problems: int = 600
    samples: int = 24
    pairs_per_prompt: int = 4
    dpo: DpoRecipe = DPO


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that is chosen about a family. Tuned on world seed 0 and on no other."""

    base: BaseRecipe = BaseRecipe()
    sft: SftRecipe = SftRecipe()
    preference: PreferenceRecipe = PreferenceRecipe()


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of tuning the SFT model. Without a ``score`` its pairs prefer nothing."""

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
    recipe = Recipe(BaseRecipe(options.architecture, options.scale))
    if options.facts_only:
        recipe = facts_only(recipe)
    arms = [arm for arm in ARMS if arm.name in options.arms]
    train(options.out, options.seed, recipe, arms)


def train(out: Path, seed: int, recipe: Recipe, arms: Sequence[Arm]) -> None:
    """Train what ``out`` does not hold yet, each stage's folder written whole or not at all.

    Every stage goes on from the weights as they were written, so that an interrupted training
    ends where an uninterrupted one does.
    """
    family = Family(out, seed, recipe)
    family.sft()
    for arm in arms:
        family.arm(arm)


def facts_only(recipe: Recipe) -> Recipe:
    """The recipe in a world of ``FACTS_ONLY`` of the people, without arithmetic."""
    return Recipe(
        replace(recipe.base, world=FACTS_ONLY, problems=0),
        replace(recipe.sft, problems=0),
        replace(recipe.preference, problems=0),
    )


class FamilyMixed(GatewayError):
    """A folder that holds a stage of another family than the one asked for."""


class Family:
    """The stages of one world and one recipe, each trained when it is first asked for."""

    def __init__(self, out: Path, seed: int, recipe: Recipe) -> None:
        self._out = out
        self._seed = seed
        self._recipe = recipe
        self._world = make_world(seed, recipe.base.world)
        self._texts = documents(self._world, recipe.base.problems)
        talks = conversations(self._world, recipe.sft.problems)
        self._turns = list(conversation_turns(talks, seed))
        said = [text for turns in self._turns for _, text in turns]
        self._tokenizer = train_tokenizer([*self._texts, *said], CONTEXT)  # True is one token
        self._digest = _digest("\n".join([*self._texts, *said]).encode())

    def base(self) -> PreTrainedModel:
        """Next-token prediction on the world's documents."""
        made = {"recipe": asdict(self._recipe.base), "texts": self._digest}
        return self._stage("base", PLAIN_TEMPLATE, made, self._train_base)

    def sft(self) -> PreTrainedModel:
        """The base model, tuned on conversations in every manner of speaking.

        Some documents are replayed among them, so that tuning on few people does not cost what
        the model knows of the others.
        """
        self.base()
        made = {"recipe": asdict(self._recipe.sft), "from": self._weights("base")}
        return self._stage("sft", CHAT_TEMPLATE, made, self._train_sft)

    def arm(self, arm: Arm) -> PreTrainedModel:
        """The SFT model, tuned on pairs of its own samples."""
        self.sft()
        made = {"recipe": asdict(self._recipe.preference), "from": self._weights("sft")}
        return self._stage(arm.name, CHAT_TEMPLATE, made, lambda: self._train_arm(arm))

    @cached_property
    def prompts(self) -> list[preference.Prompt]:
        """The SFT model's samples, from which every arm makes its pairs."""
        recipe = self._recipe.preference
        exchanges = preference_prompts(self._world, recipe.problems)
        return preference.draw(
            self.sft(), self.base(), self._tokenizer, exchanges, recipe.samples, self._seed
        )

    def _train_base(self) -> Trained:
        recipe = self._recipe.base
        config = architecture(recipe.architecture, SCALES[recipe.scale], self._tokenizer)
        model = AutoModelForCausalLM.from_config(config)
        examples = [document_example(self._tokenizer, text) for text in self._texts]
        tokens = fit(
            model,
            examples,
            epochs=recipe.epochs,
            rate=recipe.rate,
            seed=self._seed,
            matrix_rate=recipe.matrix_rate,
        )
        return model, {"parameters": model.num_parameters(), "tokens": tokens}

    def _train_sft(self) -> Trained:
        recipe = self._recipe.sft
        model = self.base()
        examples = [chat_example(self._tokenizer, turns) for turns in self._turns]
        random, count = Random(f"replay {self._seed}"), min(recipe.replayed, len(self._texts))
        replayed = random.sample(self._texts, count)
        examples += [document_example(self._tokenizer, text) for text in replayed]
        tokens = fit(model, examples, epochs=recipe.epochs, rate=recipe.rate, seed=self._seed)
        return model, {"tokens": tokens}

    def _train_arm(self, arm: Arm) -> Trained:
        recipe = self._recipe.preference
        if arm.score:
            found = preference.pairs(self.prompts, arm.score, recipe.pairs_per_prompt, self._seed)
        else:
            found = preference.random_pairs(self.prompts, recipe.pairs_per_prompt, self._seed)
        model = self.sft()
        dpo = recipe.dpo if arm.likelihood else replace(recipe.dpo, likelihood=0.0)
        fit_arm = fit_preferences if arm.objective == "dpo" else fit_chosen
        fit_arm(model, found, dpo, self._seed)
        return model, preference.describe(found)

    def _stage(
        self,
        name: str,
        template: str,
        made: Mapping[str, object],
        make: Callable[[], Trained],
    ) -> PreTrainedModel:
        """The stage's model as its folder holds it, trained first where there is none.

        ``made`` is what decides the weights. Raises ``FamilyMixed`` when the folder was made from
        anything else.
        """
        folder = self._out / name
        wanted = json.loads(json.dumps({"stage": name, "seed": self._seed, **made}))
        if (folder / TRAINING).is_file():
            found = json.loads((folder / TRAINING).read_text())
            if differing := [key for key in wanted if found.get(key) != wanted[key]]:
                raise FamilyMixed(f"{folder}: made with another {', '.join(differing)}; remove it")
        else:
            start = time.monotonic()
            torch.manual_seed(self._seed)
            model, facts = make()
            write(folder, model, self._tokenizer, template, wanted | facts)
            print(f"{name}: {(time.monotonic() - start) / 60:.1f} minutes, {facts}", flush=True)
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def _weights(self, stage: str) -> str:
        """A digest of an earlier stage's weights."""
        return _digest((self._out / stage / "model.safetensors").read_bytes())


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


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
    (partial / TRAINING).write_text(json.dumps(facts, indent=1) + "\n")
    (partial / "model.safetensors").chmod(0o644)  # safetensors makes it readable to its owner only
    if (folder / "README.md").is_file():  # the model card is written by people, and stays
        shutil.copy2(folder / "README.md", partial)
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(partial, folder)
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    main()
