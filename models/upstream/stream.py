"""The events of a streamed answer, out of the bytes of a response. Knows no event's meaning."""

from collections.abc import AsyncIterable, AsyncIterator

from ucbd.models.upstream.shapes import NoAnswer

_DONE = b"[DONE]"
_MOST_LINE = 1024 * 1024  # bytes of one event, the log-probabilities of many tokens included


async def events(parts: AsyncIterable[bytes], most: int) -> AsyncIterator[bytes]:
    """The data of each server-sent event before ``[DONE]``, or before the end of the bytes.

    Each is one line, as all OpenAI-compatible servers send them; comments and other fields are
    skipped. Raises ``NoAnswer`` for more than ``most`` bytes, or an event without end.
    """
    read, rest = 0, b""
    async for part in parts:
        read += len(part)
        *lines, rest = (rest + part).split(b"\n")
        if read > most or len(rest) > _MOST_LINE:
            raise NoAnswer(f"more than {min(read - 1, most):,} bytes of events")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line.removeprefix(b"data:").strip()
            if data == _DONE:
                return
            yield data
