"""The embedded NLI model before it is trained: its recipe, tokenizer and architecture.

Knows neither pairs nor training.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers import models as token_models
from transformers import (
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    PreTrainedTokenizerFast,
)

from ucbd.models.reference.nli_text import LABELS

CONTEXT = 256
PAD, UNKNOWN, START, BETWEEN = "[PAD]", "[UNK]", "[CLS]", "[SEP]"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that is chosen about the model."""

    vocabulary: int = 1400
    width: int = 160
    depth: int = 3
    heads: int = 4
    worlds: int = 4
    plain_steps: int = 250
    plain_pairs: int = 64
    steps: int = 1600
    pairs: int = 32
    rate: float = 1e-3
    evaluated: int = 2000


def train_tokenizer(texts: Iterable[str], recipe: Recipe) -> PreTrainedTokenizerFast:
    """Byte-level BPE of the lower-cased text, every digit its own.

    Not WordPiece: its trainer numbers the tokens differently each time.
    """
    tokenizer = Tokenizer(token_models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Prepend(" ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=[PAD, UNKNOWN, START, BETWEEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {BETWEEN}",
        pair=f"{START} $A {BETWEEN} $B:1 {BETWEEN}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (START, BETWEEN)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=START,
        sep_token=BETWEEN,
        model_max_length=CONTEXT,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def new_model(
    tokenizer: PreTrainedTokenizerFast, recipe: Recipe
) -> DebertaV2ForSequenceClassification:
    """DeBERTa-v3's architecture, small, with weights at random but for where attention looks."""
    config = DebertaV2Config(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        num_hidden_layers=recipe.depth,
        num_attention_heads=recipe.heads,
        intermediate_size=4 * recipe.width,
        max_position_embeddings=CONTEXT,
        type_vocab_size=2,
        relative_attention=True,
        position_buckets=32,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pooler_dropout=0.0,
        pooler_hidden_size=recipe.width,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    model = DebertaV2ForSequenceClassification(config)
    _look_for_equal_words(model)
    return model


def _look_for_equal_words(model: DebertaV2ForSequenceClassification) -> None:
    """Keys like queries, sharp in the first layer, positions faint: a word finds itself."""
    encoder = model.deberta.encoder
    with torch.no_grad():
        for weights in model.deberta.parameters():
            if weights.dim() == 2:
                weights.mul_(3)  # the usual 0.02 is for widths of 768
        model.pooler.dense.weight.mul_(3)
        encoder.LayerNorm.weight.mul_(0.2)
        encoder.layer[0].attention.self.query_proj.weight.mul_(2)
        for layer in encoder.layer:
            layer.attention.self.key_proj.weight.copy_(layer.attention.self.query_proj.weight)
