"""The names in a text: runs of capitalised words, and what stands in quotation marks.

A rule for languages that capitalise names and little else; in English a word that begins a sentence
counts unless it is a common one. Knows no names: "New York" is one because of its capitals.
"""

import re

_WORD = r"(?:[^\W\d_a-zß-öø-ÿ]\.(?=[ \w])|[^\W\d_a-zß-öø-ÿ][\w'’-]*)"
_LINK = r"(?:(?:of|the|de|del|la|le|van|von|der|den|da|di|al|bin|ibn) ){0,2}?"
_NAME = re.compile(rf"{_WORD}(?: {_LINK}{_WORD})*")
_QUOTED = re.compile(r"[\"“„«]([^\"“”„«»]{2,80})[\"”“»]")
_COMMON_WORDS = (
    "a an the in on at to of by for with from as it its he she they we you i his her "
    "their our my your this that these those there here who what which when where why "
    "how whose whom is are was were be been do does did has have had can could will "
    "would should may might must name tell give find list yes no not if then so and or "
    "but because before after during since until about according one two three some many "
    "most all each every other another"
)
_COMMON = frozenset(_COMMON_WORDS.split())
_POSSESSIVE = re.compile(r"['’]s?$")


def entities(text: str) -> list[str]:
    """Names in order of appearance, each once; without possessive endings."""
    found = [*_QUOTED.findall(text)]
    for run in _NAME.findall(_QUOTED.sub(" ", text)):
        words = run.split()
        while words and words[0].casefold().rstrip(".") in _COMMON:
            words.pop(0)
        while words and words[-1].casefold() in _COMMON:
            words.pop()
        if words:
            found.append(_POSSESSIVE.sub("", " ".join(words).rstrip(".")))
    return list(dict.fromkeys(name for name in found if name))
