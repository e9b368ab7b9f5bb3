"""Has the request one short answer? Where not, disagreement says nothing of being right.

Two poems differ and neither is wrong. Rules over the request's and the answer's text, in English
and without a model, that err towards taking a prompt for a question with one answer; a policy whose
traffic is all of that kind says so itself (``"scope": "all"``). They do not know whether an answer
is right, nor what a turn refers to that only an earlier one explains.

Of a long text only the beginning and the end are read, and every pattern takes time linear in what
it reads, whoever wrote it.
"""

import json
import re
from dataclasses import dataclass

LONGEST = 64
"""Tokens of an answer beyond which samples are not compared: they differ in what nobody asked."""

_MANY_LINES = 4
_READ = 2_000  # characters of either end: where what is asked for stands
_POLITE = re.compile(
    r"^(?:(?:hi|hello|hey|please|kindly|ok|okay|so|now|then|also|and)\b[,!. ]*"
    r"|(?:can|could|would|will) you (?:please |kindly |help me (?:to )?)?"
    r"|i(?:'d| would) like (?:you )?to (?:have |get |see )?|i (?:want|need) (?:you to |to )?"
    r"|let'?s |help me (?:to )?|your task is to |you are to |try to )+"
)
_MADE = (
    "write compose draft rewrite rephrase paraphrase reword summarize summarise translate "
    "proofread brainstorm suggest recommend propose imagine invent roleplay role-play pretend "
    "describe explain discuss elaborate outline refactor debug implement optimize optimise "
    "critique analyze analyse craft sketch convince persuade generate create simulate design "
    "improve polish shorten compare evaluate advise"
)
_DONE = (
    "fix edit convert parse format extract classify review plan build develop code program make "
    "prepare produce expand continue act respond reply show teach walk guide argue set book send "
    "call open order play schedule remind cancel turn add delete update search run start stop buy "
    "find get give check look move create post share upload download"
)
_OBJECT = (
    r"(?:an?|the|my|me|us|our|your|this|that|these|some|any|all|up|off|on|out|it|for|as|to|like"
    r"|\d+)"
)
_ASKED_TO = re.compile(
    rf"^(?:(?P<made>{'|'.join(_MADE.split())})\b|(?P<done>{'|'.join(_DONE.split())}) {_OBJECT}\b"
    r"|(?P<up>come up with)\b)"
)
_FACT = re.compile(
    r"^(?:find|get|give|show|check|look up|search for) (?:me |us )?the (?!best|way|most)\w+"
    r"|^(?:find|give|tell|show) (?:me |us )?"
    r"(?:who|what|which|when|where|how (?:many|much|old|long))\b"
)
_TEXTS = (
    r"(?:stor(?:y|ies)|tales?|jokes?|poems?|haikus?|limericks?|songs?|lyrics|raps?|essays?|letters?"
    r"|e-?mails?|blog posts?|articles?|slogans?|captions?|tweets?|scripts?|dialogues?|speech(?:es)?"
    r"|ideas?|tips?|advice|examples?|suggestions?|feedback|overviews?|summar(?:y|ies)|recipes?"
    r"|introductions?|explanations?|names|itinerar(?:y|ies)|plans?|toasts?|riddles?|monologues?)"
)
_TEXT = re.compile(
    r"^(?!who|what|which|when|where|how)(?:(?:tell|give|sing|read|show|offer) (?:me |us )?)?"
    rf"(?:[\w-]+ ){{0,3}}?{_TEXTS}\b"
    r"(?:$|[.!]| (?:about|for|where|on how|in the style|to my|from the perspective|that))"
    rf"|^(?:tell|give|sing|read|offer) (?:me |us )?(?:[\w-]+ ){{0,4}}?{_TEXTS}\b"
    r"|^(?:tell|talk to|teach) (?:me |us )(?:more |something |all )?about\b"
)
_ADVICE = re.compile(
    r"\bwhat (?:do|would) you (?:think|recommend|suggest|say|advise)\b|\bshould (?:i|we)\b"
    r"|\bhow (?:do|can|could|should|would|might) (?:i|we)\b"
    r"|\bany (?:ideas|tips|advice|suggestions)\b"
    r"|\bwhat (?:are|would be) (?:some|good) (?:[\w-]+ )?(?:ways|ideas|tips|things|options|names)\b"
    r"|^what(?:'s| is) your (?:opinion|favou?rite|take|view|name)\b|^how are (?:you|things)\b"
    r"|^how(?:'s| is) (?:it going|your|life|everything)\b|^what(?:'s| is) up\b"
    r"|^(?:do|are|will|would|have|did) you (?:like|think|want|feel|remember|know|prefer|enjoy|love"
    r"|believe|agree|understand|ok|okay|there|sure|human|conscious|happy|sad|ready|free|a|an)\b"
    r"|^(?:why|how|what) (?:does|do|is|are|did|can't|won't|isn't|doesn't|don't|'s)"
    r" (?:my|our|this)\b"
    r"|^what(?:'s| is) (?:wrong|the (?:bug|problem|issue)) (?:with|in)\b"
)
_CHAT = re.compile(
    r"^(?:hi|hello|hey|hiya|yo|greetings|good (?:morning|evening|afternoon|night)|thanks?|thank you"
    r"|bye|goodbye|see you|ok|okay|lol|haha+|sorry|sure|great|cool|nice|wow|awesome|yes|yep|no|nope"
    r"|never mind|welcome|congratulations)\b(?!.*\b(?:who|what|which|when|where|how many)\b)"
    r"|^(?:i|i'm|im|i've|i'd|i'll|we|we're|we've|my|you|you're|you've|that's|it's) [^?]*$"
)
_CODE = re.compile(
    r"```|^[ \t]*(?:def |class \w+[:(]|import \w|from \w+ import |function \w*\(|const |let |var "
    r"|#include|public \w|SELECT .* FROM |INSERT INTO |UPDATE \w+ SET |CREATE TABLE |<\?php|#!/)"
    r"|^[ \t]*</?[a-z]+[^<>\n]*>[ \t]*$|[;{][ \t]*$|\b\w+\([^()]*\):\s",
    re.MULTILINE,
)
_PROGRAMS = re.compile(
    r"\b(?:(?:python|javascript|typescript|java|rust|golang|bash|sql|regex|css|html|c\+\+|c#|shell"
    r"|powershell|sed|awk|git|docker|excel)) (?:function|code|script|quer(?:y|ies)|command|class"
    r"|snippet|program|one-liner|regex|formula|config|file)\b|\b(?:regex|sql query|dockerfile"
    r"|shell script|unit tests?) (?:for|that|to|which)\b"
)
_TOOL = re.compile(
    r"<tool_call>|<function[=>]|\[TOOL_CALLS\]|<\|python_tag\|>|\"tool_calls\"\s*:"
    r"|^\s*\{\s*\"(?:name|function|tool)\"\s*:"
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Why evidence says nothing here; None where it may.

    ``answer``: what was asked for has no one answer, so no score is about its being right.
    ``samples``: samples cannot be compared, for that reason or another.
    """

    answer: str | None = None
    samples: str | None = None


IN_SCOPE = Scope()


def scope(question: str, answer: str, tokens: int) -> Scope:
    """The scope of a request; ``question`` is the user's last turn, ``tokens`` the answer's."""
    reason = open_ended(question) or _shape(answer)
    if reason:
        return Scope(reason, reason)
    if tokens > LONGEST:
        return Scope(samples=f"the answer has {tokens} tokens, more than {LONGEST}")
    lines = sum(1 for line in answer.splitlines() if line.strip())
    if lines >= _MANY_LINES:
        return Scope(samples=f"the answer has {lines} lines")
    return IN_SCOPE


def open_ended(question: str) -> str | None:
    """Why a prompt is no question with one answer; None where it may be one, or is not known."""
    question = _ends(question.strip())
    plain = question.casefold().replace("’", "'")
    text = _POLITE.sub("", plain)
    if _FACT.search(text):
        return None
    if asked := _ASKED_TO.search(text):
        return f"the prompt asks to {asked.group(asked.lastgroup or 0)}"
    if _TEXT.search(text):
        return "the prompt asks for a text"
    if _ADVICE.search(text) or _ADVICE.search(plain):
        return "the prompt asks for advice or an opinion"
    if _CODE.search(question) or _PROGRAMS.search(text):
        return "the prompt is about code"
    if _CHAT.search(plain):
        return "the prompt is conversation"
    return None


def _shape(answer: str) -> str | None:
    """What else an answer is than a statement."""
    answer = answer.strip()
    text = _ends(answer)
    if _TOOL.search(text):
        return "the answer is a tool call"
    if _is_json(answer):
        return "the answer is JSON"
    if _CODE.search(text):
        return "the answer holds code"
    return None


def _ends(text: str) -> str:
    return text if len(text) <= 2 * _READ else f"{text[:_READ]}\n{text[-_READ:]}"


def _is_json(text: str) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
