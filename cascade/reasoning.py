"""Final answers: what a reasoning model says once it has stopped thinking aloud.

Knows the ``<think>`` blocks of today's open models; a server's own reasoning field never gets here.
Clustering reasoning text finds as many clusters as samples (method.md section 2).
"""

import re

_BLOCK = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
# Some chat templates open the block in the prompt, so that the answer holds only its end.
_HEADLESS = re.compile(r"\A.*?</think>", re.DOTALL | re.IGNORECASE)


def final_answer(text: str) -> str:
    """The text without reasoning blocks and outer white space; empty when nothing else is left.

    A block that was never closed is reasoning to the end.
    """
    if ">" not in text:  # no mark, as of nearly every answer
        return text.strip()
    without = _BLOCK.sub("", text)
    return _HEADLESS.sub("", without).strip()
