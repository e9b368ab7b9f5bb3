"""The embedded NLI model's card: what it is, what was measured, what it does not know.

Knows how to say it, and measures nothing.
"""

from collections.abc import Mapping

_CARD = """---
license: apache-2.0
pipeline_tag: text-classification
---
# reference-nli

A cross-encoder of the DeBERTa-v2/v3 class with {parameters:,} parameters that tells entailment,
contradiction and neutral between two sentences **of the invented world** of ucbd-gateway's embedded
models. Loaded by the code that loads `cross-encoder/nli-deberta-v3-*`; labels in their order.

## Its data

{pairs:,} pairs of {worlds} worlds made by a generator (`models/reference/nli_text.py`), each read
once: bare statements first, then answers as people of that world give them, {share} of those behind
the question on both sides. Labels follow from how a pair is made:

- entailment: one fact in two phrasings, short answers given the question; a statement with an
  addition entails it; "not Tarn" follows from "Dole"
- contradiction: the same question with another value, number or mayor; a denial
- neutral: another person, relation, town, year or word problem; an addition does not follow

Some values are garbled words, so that values are compared and not known by heart. Trained from
nothing on one core in {minutes:.0f} minutes:
`python -m ucbd.models.reference.nli_training --out FOLDER --seed N`.

## Measured

Accuracy over three labels on {evaluated} pairs each, of a world with other people. The held-out
phrasings are {unseen} sentences about a person that no training text has, in half of the plain
statements.

| pairs | accuracy |
|---|---|
{rows}

Recipe: {recipe}.

## What it does not know

Everything outside this world. It has read some hundred sentence forms and knows no English: on
any other text its probabilities mean nothing, however near 1 they are. It does no arithmetic, it
compares two answers' numbers. A person named in other letters is another person to it.
"""


def card(
    parameters: int,
    recipe: Mapping[str, object],
    accuracy: Mapping[str, float],
    seconds: float,
    *,
    pairs: int,
    unseen: int,
    share: float,
) -> str:
    """The card's text; ``accuracy`` is in the order of its rows."""
    return _CARD.format(
        parameters=parameters,
        worlds=recipe["worlds"],
        pairs=pairs,
        share=f"{share:.0%}",
        minutes=seconds / 60,
        evaluated=recipe["evaluated"],
        unseen=unseen,
        rows="\n".join(f"| {name} | {value:.1%} |" for name, value in accuracy.items()),
        recipe=", ".join(f"{name} {value}" for name, value in recipe.items()),
    )
