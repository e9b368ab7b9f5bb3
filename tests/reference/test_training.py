"""Training: what is scored, what a preference prefers, and that nothing is half-made."""

import json
import math
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ucbd.models.reference import preferences
from ucbd.models.reference.examples import (
    NOT_SCORED,
    Example,
    batch,
    batches,
    chat_example,
    conversation_turns,
    document_example,
)
from ucbd.models.reference.family import (
    ARMS,
    DPO,
    Arm,
    BaseRecipe,
    FamilyMixed,
    PreferenceRecipe,
    Recipe,
    SftRecipe,
    train,
)
from ucbd.models.reference.fitting import Pair, answer_log_probabilities, dpo_loss
from ucbd.models.reference.preferences import Prompt, Sample
from ucbd.models.reference.text import Exchange, Judged, as_document
from ucbd.models.reference.tokenizer import (
    ASSISTANT,
    CHAT_TEMPLATE,
    PLAIN_TEMPLATE,
    USER,
    train_tokenizer,
)

QUICK = Recipe(
    BaseRecipe(scale="small", world=0.02, problems=20, epochs=1),
    SftRecipe(problems=10, replayed=5, epochs=1),
    PreferenceRecipe(problems=5, samples=4, dpo=replace(DPO, steps=2, pairs=4)),
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["Question:\nWhere was Ada born?\nAnswer:\nIn Tarn."] * 4, 256)


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    )


class TestExamples:
    def test_a_statement_is_scored_on_every_token_but_the_first(self, tokenizer):
        example = document_example(tokenizer, "In Tarn.")
        assert tokenizer.decode(example.ids) == "<|begin|>In Tarn.<|end|>"
        assert example.labels == [NOT_SCORED, *example.ids[1:]]

    def test_a_document_with_a_question_is_scored_on_its_answer(self, tokenizer):
        exchange = Exchange("Where was Ada born?", "In Tarn.", "Tarn")
        example = document_example(tokenizer, as_document(exchange))
        scored = [token for token in example.labels if token != NOT_SCORED]
        assert tokenizer.decode(scored) == "In Tarn.<|end|>"
        assert tokenizer.decode(example.ids) == (
            "<|begin|>Question:\nWhere was Ada born?\nAnswer:\nIn Tarn.<|end|>"
        )

    def test_a_conversation_is_scored_on_its_last_answer_and_its_end(self, tokenizer):
        turns = [(USER, "Where?"), (ASSISTANT, "In Tarn.")]
        example = chat_example(tokenizer, turns)
        scored = [token for token in example.labels if token != NOT_SCORED]
        assert tokenizer.decode(scored) == "In Tarn.<|end|>"
        assert example.ids[-len(scored) :] == scored

    @pytest.mark.parametrize("earlier", [[], [("user", "Who?"), ("assistant", "Ada.")]])
    def test_a_model_is_tuned_on_the_very_tokens_it_is_asked_with(self, tokenizer, earlier):
        """The chat template and the training's own writing down of a conversation agree."""
        said = [*earlier, ("user", "Where?"), ("assistant", "In Tarn.")]
        messages = [{"role": role, "content": content} for role, content in said]
        rendered = tokenizer.apply_chat_template(
            messages, chat_template=CHAT_TEMPLATE, tokenize=False
        )
        turns = [(f"<|{role}|>", content) for role, content in said]
        assert tokenizer.decode(chat_example(tokenizer, turns).ids) == rendered

    def test_the_base_is_asked_in_the_words_of_its_documents(self, tokenizer):
        rendered = tokenizer.apply_chat_template(
            [{"role": "user", "content": "Where was Ada born?"}],
            chat_template=PLAIN_TEMPLATE,
            tokenize=True,
            return_dict=False,
            add_generation_prompt=True,
        )
        document = document_example(tokenizer, "Question:\nWhere was Ada born?\nAnswer:\nIn Tarn.")
        assert document.ids[: len(rendered)] == rendered

    def test_a_judged_exchange_ends_in_the_word_true_or_false(self):
        talk = Judged(Exchange("Where?", "In Tarn.", "Tarn"), true=False)
        (turns,) = conversation_turns([talk], seed=1)
        assert turns[-3:] == [
            (ASSISTANT, "In Tarn."),
            (USER, "Is this answer true? True or False?"),
            (ASSISTANT, "False"),
        ]

    def test_batches_hold_every_example_once_and_about_the_tokens_asked_for(self):
        examples = [Example([i] * n, [i] * n) for i, n in enumerate((3, 5, 8, 2, 40, 5, 5))]
        found = batches(examples, tokens=16, seed="0")
        rows = sorted(int(ids[0]) for b in found for ids in b.ids)
        assert rows == list(range(7))
        assert all(b.ids.numel() <= 16 for b in found if len(b.ids) > 1)


class TestLoss:
    def test_log_probabilities_are_summed_over_the_scored_tokens_alone(self, model):
        example = Example([1, 5, 6, 7], [NOT_SCORED, NOT_SCORED, 6, 7])
        longer = Example([1, 5, 6, 7, 8, 9], [NOT_SCORED] * 5 + [9])
        values, count = answer_log_probabilities(model, batch([example, longer]))
        alone = model(input_ids=torch.tensor([[1, 5, 6, 7]])).logits.log_softmax(-1)[0]
        assert values[0].item() == pytest.approx((alone[1, 6] + alone[2, 7]).item(), abs=1e-5)
        assert count.tolist() == [2, 1]

    def test_dpo_by_hand(self, model):
        """-ln sigmoid(beta (gain - reference)) and the chosen answer's token loss, weighted."""
        chosen = Example([1, 5, 6, 7], [NOT_SCORED, NOT_SCORED, 6, 7])
        rejected = Example([1, 5, 9], [NOT_SCORED, NOT_SCORED, 9])
        recipe = replace(DPO, beta=0.5, likelihood=0.25)
        values, _ = answer_log_probabilities(model, batch([chosen, rejected]))
        plus, minus = values.tolist()
        margin = plus - minus - 2.0
        expected = math.log(1 + math.exp(-0.5 * margin)) - 0.25 * plus / 2
        loss = dpo_loss(model, [Pair(chosen, rejected)], torch.tensor([2.0]), recipe)
        assert loss.item() == pytest.approx(expected, abs=1e-5)


RIGHT_LONG = Sample("I believe Tarn.", (1, 2, 3), True, -9.0)
RIGHT_SHORT = Sample("Tarn.", (1,), True, -5.0)
WRONG_SHORT = Sample("Dole.", (4,), False, -1.0)


class TestPreferences:
    @pytest.mark.parametrize(
        ("score", "preferred"),
        [
            (preferences.correct, ({(3, 1)}, {(1, 1)})),
            (preferences.brief, ({(1, 3)},)),
            (preferences.correct_then_brief, ({(1, 1), (1, 3)},)),
        ],
    )
    def test_a_preference_sees_what_it_says_and_nothing_else(self, score, preferred):
        """(length of the chosen, of the rejected), of which sets one; the wrong one has length 1.

        Equals for the best place are put in order by lot.
        """
        prompt = Prompt((0,), (RIGHT_LONG, RIGHT_SHORT, WRONG_SHORT))
        found = preferences.pairs([prompt], score, per_prompt=9, seed=0)
        lengths = {(len(p.chosen.ids) - 1, len(p.rejected.ids) - 1) for p in found}
        assert lengths in preferred

    @pytest.mark.parametrize(("alpha", "best"), [(0.0, True), (0.2, True), (0.3, False)])
    def test_typicality_outweighs_correctness_from_the_alpha_at_which_it_must(self, alpha, best):
        """1 + alpha (-5) against 0 + alpha (-1): equal at alpha = 1/4."""
        score = preferences.typical(alpha)
        assert (score(RIGHT_SHORT) > score(WRONG_SHORT)) is best

    def test_equal_samples_make_no_pair_and_random_pairs_go_both_ways(self):
        same = Prompt((0,), (RIGHT_SHORT, RIGHT_SHORT))
        assert preferences.random_pairs([same], per_prompt=4, seed=0) == []
        both = Prompt((0,), (RIGHT_SHORT, RIGHT_LONG))
        found = preferences.random_pairs([both], per_prompt=4, seed=0)
        assert {(len(p.chosen.ids), len(p.rejected.ids)) for p in found} == {(2, 4), (4, 2)}

    def test_pairs_are_described_by_number_and_length(self):
        prompt = Prompt((0,), (RIGHT_LONG, Sample("Well.", (1, 2, 3, 4, 5), True, 0.0)))
        found = preferences.pairs([prompt], preferences.brief, per_prompt=4, seed=0)
        assert preferences.describe(found) == {
            "pairs": 1,
            "chosen_tokens": 3.0,
            "rejected_tokens": 5.0,
        }


class TestFamily:
    def test_every_stage_is_a_whole_folder_and_a_second_run_trains_nothing(self, tmp_path, capsys):
        arms = [ARMS[0], Arm("chosen", preferences.brief, objective="next-token")]
        train(tmp_path, 1, QUICK, arms)
        assert {folder.name for folder in tmp_path.iterdir()} == {"base", "sft", "dpo", "chosen"}
        for folder in tmp_path.iterdir():
            assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o644
            assert json.loads((folder / "training.json").read_text())["seed"] == 1
        capsys.readouterr()
        train(tmp_path, 1, QUICK, arms)
        assert capsys.readouterr().out == ""
        with pytest.raises(FamilyMixed, match="base: made with another seed, texts"):
            train(tmp_path, 2, QUICK, arms)
        other = replace(QUICK, sft=replace(QUICK.sft, epochs=2))
        with pytest.raises(FamilyMixed, match="sft: made with another recipe"):
            train(tmp_path, 1, other, arms)

    def test_an_interrupted_family_ends_where_an_uninterrupted_one_does(self, tmp_path):
        whole, resumed = tmp_path / "whole", tmp_path / "resumed"
        train(whole, 1, QUICK, ARMS[:1])
        train(resumed, 1, QUICK, [])
        train(resumed, 1, QUICK, ARMS[:1])
        weights = [folder / "dpo" / "model.safetensors" for folder in (whole, resumed)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
