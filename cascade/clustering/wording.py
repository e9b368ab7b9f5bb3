"""What a text says, as words: its content words, and those of its first sentence.

English function words and endings; other languages are read as they are written, by whole words.
Knows no meaning: two synonyms are two words.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from ucbd.cascade.clustering.guard import Values, values_of

_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_SPACED_POINT = re.compile(r"(?<=\d)\. (?=\d)")
_POSSESSIVE = re.compile(r"['’]s$")
_FUNCTION_WORDS = (
    "a an the of in on at to for by with and or is was were are be been it its he she they his her "
    "their that this which who as from"
)
_DROPPED = frozenset(_FUNCTION_WORDS.split())
_NOTHING = frozenset({""})
_ARTICLES = ("a", "an", "the")
_ENDINGS = ("ies", "es", "s", "ed", "ing")
_STEM = 3  # letters that stay at least
_KEPT = 512  # texts: 40 requests' worth; one of 3,000 words takes 220 kB
_KEPT_STEMS = 16384  # words; a text repeats them, and so do the samples of a request


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a text, without function words, endings, case and accents.

    ``sentence`` has those of the first sentence, and ``values`` are its values: what follows it
    explains, and may differ between two answers that say the same. ``text`` is the text with case,
    articles and punctuation dropped.
    """

    text: str
    words: frozenset[str]
    sentence: frozenset[str]
    values: Values


@lru_cache(_KEPT)
def wording(text: str) -> Wording:
    """The wording of a text."""
    whole = _SPACED_POINT.sub(".", text.strip())
    first = _SENTENCE_END.split(whole, maxsplit=1)[0]
    words = content_words(text)
    sentence = words if first == text.strip() else content_words(first)
    return Wording(_plain(text), words, sentence, values_of(first))


def content_words(text: str) -> frozenset[str]:
    """Its words without function words, endings, case and accents."""
    return frozenset(map(_stem, _WORD.findall(_normal(text)))) - _NOTHING


def sentences(text: str) -> list[str]:
    """Its sentences, by a full stop before a capital and by line."""
    return [
        sentence
        for line in text.splitlines()
        for part in _SENTENCE_END.split(line)
        if (sentence := part.strip())
    ]


def _plain(text: str) -> str:
    words = re.findall(r"\w+", _normal(text).casefold())
    return " ".join(word for word in words if word not in _ARTICLES)


def _normal(text: str) -> str:
    """Compatibility forms unified, accents dropped."""
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char))


@lru_cache(_KEPT_STEMS)
def _stem(word: str) -> str:
    """A word without its ending; empty for a function word."""
    plain = _POSSESSIVE.sub("", word.casefold())
    if plain in _DROPPED:
        return ""
    for ending in _ENDINGS:
        if plain.endswith(ending) and len(plain) - len(ending) >= _STEM:
            return plain[: -len(ending)]
    return plain
