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


def _any(*patterns: str, flags: int = 0) -> re.Pattern[str]:
    """Any of them. What begins alike is looked for together: most places of a text are no such
    beginning, and one look tells it."""
    ends: dict[str, list[str]] = {}
    for pattern in patterns:
        start = next((mark for mark in ("^", r"\b") if pattern.startswith(mark)), "")
        ends.setdefault(start, []).append(pattern.removeprefix(start))
    return re.compile(
        "|".join(f"{start}(?:{'|'.join(some)})" for start, some in ends.items()), flags
    )


def _words(text: str) -> str:
    return f"(?:{'|'.join(text.split())})"


_POLITE = re.compile(
    r"^(?:(?:hi|hello|hey|please|kindly|ok|okay|so|now|then|also|and)\b[,!. ]*"
    r"|(?:can|could|would|will) (?:you|u) (?:please |kindly |help me (?:to )?)?"
    r"|i(?:'d| would) like (?:you )?to (?:have |get |see )?|i (?:want|need) (?:you to |to )?"
    r"|let'?s |help me (?:to )?|your task is to |you are to |try to |as an? [^,]{1,60}, )+"
)
"""What stands before a request and is none itself."""

_MADE = _words(
    "write compose draft rewrite rephrase paraphrase reword summarize summarise translate "
    "proofread brainstorm suggest recommend propose imagine invent roleplay role-play pretend "
    "describe explain discuss elaborate outline refactor debug implement optimize optimise "
    "critique analyze analyse craft sketch convince persuade generate create simulate design "
    "improve polish shorten compare evaluate advise"
)
_DONE = _words(
    "fix edit convert parse format extract classify review plan build develop code program make "
    "prepare produce expand continue act respond reply show teach walk guide argue set book send "
    "call open order play schedule remind cancel turn add delete update search run start stop buy "
    "find get give check look move create post share upload download finish complete draw list "
    "pitch wish pause document rename talk say think put deal guess entertain structure"
)
_OBJECT = _words(
    r"an? the my me us our your this that these some any all up off on out it for as to like about "
    r"again down what \d+ (?:two|three|four|five|six|seven|eight|nine|ten)(?!\slargest)"
)
_ASKED_TO = _any(
    rf"^(?P<made>{_MADE})\b",
    rf"^(?P<done>{_DONE}) {_OBJECT}\b",
    r"^(?P<up>come up with)\b",
)
_FACT = _any(
    r"^(?:find|get|give|show|check|look up|search for) (?:me |us )?the (?!best|way|most)\w+",
    r"^(?:find|give|tell|show) (?:me |us )?(?:who|what|which|when|where)\b",
    r"^(?:find|give|tell|show) (?:me |us )?how (?:many|much|old|long)\b",
    r"^i (?:was wondering|wonder)\b.* (?:who|what|which|when|where|how (?:many|much|old|long))\b",
)
"""Asks for one fact, in the form of a request."""

_TEXTS = _words(
    "stor(?:y|ies) tales? jokes? poems? haikus? limericks? songs? lyrics raps? essays? letters? "
    r"e-?mails? blog\sposts? articles? slogans? captions? tweets? scripts? dialogues? "
    "speech(?:es)? "
    "ideas? tips? advice examples? suggestions? feedback overviews? summar(?:y|ies) recipes? "
    "introductions? explanations? names itinerar(?:y|ies) plans? toasts? riddles? monologues?"
)
_TEXT = _any(
    r"^(?!who|what|which|when|where|how)(?:(?:tell|give|sing|read|show|offer) (?:me |us )?)?"
    rf"(?:[\w-]+ ){{0,3}}?{_TEXTS}\b(?:$|[.!?,]"
    r"| (?:about|for|where|on how|in the style|to my|from the perspective|that|involving))",
    rf"^(?:tell|give|sing|read|offer) (?:me |us )?(?:[\w-]+ ){{0,4}}?{_TEXTS}\b",
    r"^(?:tell|talk to|teach) (?:me |us )(?:more |something |all )?about\b",
    r"^tell (?:me |us )(?:something|anything|more)\b",
    r"^once upon a time\b",
    r"^(?:continue|improve|rewrite|shorten|rephrase|fix|translate)\b.*:",
    r"\b(?:more|less) (?:confident|formal|friendly|casual|professional|polite)\b",
    r"\b(?:make|say|word|put) (?:it|this|that) (?:better|shorter|longer|simpler|nicer)\b",
)
_ADVICE = _any(
    r"\bwhat (?:do|would) you (?:think|recommend|suggest|say|advise)\b",
    r"\b(?:what|how) would you\b(?! (?:find|use|expect|get|see|need|call|be|have))",
    r"\b(?:should|how (?:do|can|could|would|might)) (?:i|we)\b",
    r"\b(?:what|which|who|how|where|when) (?:could|should|would|can|might|do|must) i\b",
    r"\bany (?:ideas|tips|advice|suggestions|thoughts)\b",
    r"\bwhat (?:are|would be) (?:some|good) (?:[\w-]+ )?(?:ways|ideas|tips|things|options|names)\b",
    r"\bwhat would be an? ",
    r"^what if\b",
    r"^if (?:you|i) were\b",
    r"^what(?:'s| is) your (?:opinion|favou?rite|take|view|name)\b",
    r"^which (?:one )?is (?:better|best|nicer|worse)\b",
    r"^is it (?:ok|okay|alright|rude|fine|wrong|worth|normal|weird) (?:to|for|that|if)\b",
    r"^(?:why|how|what) (?:does|do|is|are|did|can't|won't|isn't|doesn't|don't|'s) (?:my|this)\b",
    r"^what(?:'s| is) (?:wrong|the (?:bug|problem|issue)) (?:with|in)\b",
)
_ME_OR_YOU = _words("i i'm im i've i'd i'll we we're we've my you you're you've that's it's")
_CHAT = _any(
    r"^(?:hi|hello|hey|hiya|yo|greetings|good (?:morning|evening|afternoon|night)|thanks?"
    r"|thank you|bye|goodbye|see you|ok|okay|lol|haha+|sorry|sure|great|cool|nice|wow|awesome|yes"
    r"|yep|no|nope|never mind|welcome|congratulations)\b"
    r"(?!.*\b(?:who|what|which|when|where|how many)\b)",
    rf"^{_ME_OR_YOU} [^?]*$",
    r"^(?:i|i'm|im|i've|my) (?!have \d)[^?]*[.!,] [^?]*\?$",
    r"^(?:and|but|hmm+|well|sounds|go on|guess what|that|those|again|really|exactly)\b[^?]*\??$",
    r"^(?:ok|okay|and|so|but)?,? ?what about (?:the|that|this)\b",
    r"^(?:can|could|may|shall) (?:i|we)\b",
    r"^(?:can|could|would|will) you [^?]*\b(?:it|that|me|again)\b"
    r"(?! (?:who|what|which|when|where|how|the))",
    r"^(?:who|what|how|where) (?:are|were|have) you\b(?! not)",
    r"^what do you (?:do|like|want|mean|know|feel)\b",
    r"^(?:do|are|have|did|will) you (?:ever|have|really|still|always|often)\b",
    r"^(?:do|are|will|would|have|did) you (?:like|think|want|feel|remember|know|prefer|enjoy|love"
    r"|believe|agree|understand|ok|okay|there|sure|human|conscious|happy|sad|ready|free|a|an)\b",
    r"^how are (?:you|things)\b",
    r"^how(?:'s| is) (?:it going|your|life|everything)\b",
    r"^what(?:'s| is) up\b",
)
_CODE = _any(
    "```",
    r"^[ \t]*(?:def |class \w+[:(]|import \w|from \w+ import |function \w*\(|const |let |var )",
    r"^[ \t]*(?:#include|public \w|<\?php|#!/)",
    r"^[ \t]*(?:SELECT .* FROM |INSERT INTO |UPDATE \w+ SET |CREATE TABLE )",
    r"^[ \t]*</?[a-z]+[^<>\n]*>[ \t]*$",
    r"[;{][ \t]*$",
    r"\b\w+\([^()]*\):\s",
    flags=re.MULTILINE,
)
_PROGRAMS = _any(
    r"\b(?<!monty )(?:python|javascript|typescript|golang|bash|sql|regex|css|html|powershell|awk"
    r"|pandas|numpy|django|flask|fastapi|nginx|kubectl|kubernetes|dockerfile|docker|terraform"
    r"|ansible|npm|pip|cron|makefile|json|yaml|csv|webpack|github|git|useeffect|dataframes?"
    r"|one[- ]liner|segmentation fault|stack ?trace|traceback|syntax error|undefined reference)\b",
    r"\bc(?:\+\+|#)",
    r"\b(?:in|with|using|for|my|an?) (?:java|rust|react|node|c|r|go|swift|ruby|php|excel)"
    r"(?:$|[?.,]| (?:function|class|code|script|component|app|formula|program)\b)",
    r"\b(?:type|name|value|key|index|attribute|import|syntax|runtime|assertion|reference)error\b",
    r"\b(?:npm|yarn|pip) err",
    r"\.(?:py|js|ts|java|cpp|rs|go|sh|html|css|ya?ml|csv)\b",
    r"\b(?:recursive|unit|helper|shell|api) (?:function|tests?|script|endpoint|call)s?\b",
    r"\b(?:rest|database|undo last|last) (?:endpoint|schema|commit)s?\b",
)
_ABOUT_A_FACT = _any(
    r"^(?:who|when|where|in (?:what|which)|what (?:year|company|does \S+ stand))\b"
)
"""Asks about a programming language and not for a program."""

_TOOL = _any(
    r"<tool_call>|<function[=>]|\[TOOL_CALLS\]|<\|python_tag\|>|\"tool_calls\"\s*:",
    r"^\[?\s*\{\s*\"(?:name|function|tool|type)\"\s*:",
    r"^\w+\((?:\w+=[^()]*)?\)$",
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
    if _ADVICE.search(text):
        return "the prompt asks for advice or an opinion"
    if _CODE.search(question) or (_PROGRAMS.search(text) and not _ABOUT_A_FACT.search(text)):
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
