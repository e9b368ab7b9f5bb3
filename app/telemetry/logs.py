"""Logs: one line per request, human or JSON. Never a prompt, an answer or a key.

Knows Python's logging only.
"""

import json
import logging
import sys
import time
from typing import Literal

_FIELDS = "fields"


class _Formatter(logging.Formatter):
    """Writes the time's second once for all lines of that second."""

    _second = (0, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """``2026-11-25 12:00:00,123``, local time, as Python's own."""
        second, text = self._second
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime(self.default_time_format, self.converter(second))
            self._second = (second, text)
        return f"{text},{record.msecs:03.0f}"


class HumanFormatter(_Formatter):
    """``time level logger: message key=value …``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, its fields appended."""
        line = super().formatMessage(record)
        return " ".join([line, *(f"{key}={value}" for key, value in _fields(record).items())])


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; a traceback goes under ``exception``."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_fields(logger: logging.Logger, level: int, message: str, **fields: object) -> None:
    """Log a message with fields of its own."""
    logger.log(level, message, extra={_FIELDS: fields})


def configure_logging(style: Literal["human", "json"]) -> None:
    """Send every log to standard error in one style."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else HumanFormatter())
    # What no line of ours says is not looked up for it (Python's logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("httpx", "sentence_transformers", "transformers", "vllm"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, _FIELDS, {})
    return fields if isinstance(fields, dict) else {}
