"""The ids of a request: ours, and the caller's where it sends one.

Ours is the body's `id`, by which feedback and records find the answer; the header says the
caller's, and the log has both. Knows headers only.
"""

import re
import secrets
from collections.abc import Mapping

from msgspec import Struct

HEADER = "x-request-id"

_PLAIN = re.compile(r"[A-Za-z0-9._:/-]{1,128}")  # what can forge neither a header nor a log line


class RequestId(Struct, frozen=True):
    """Both ids of one request; ``callers`` is None where it sent none that can be taken."""

    own: str
    callers: str | None

    @property
    def told(self) -> str:
        """What the header of the response says."""
        return self.callers or self.own

    def fields(self) -> dict[str, str]:
        """For the log."""
        if self.callers is None:
            return {"id": self.own}
        return {"id": self.own, "caller_request_id": self.callers}


def request_id(prefix: str, headers: Mapping[str, str]) -> RequestId:
    """The ids of a request with these headers: 128 random bits behind what they are of."""
    callers = headers.get(HEADER)
    if callers is not None and not _PLAIN.fullmatch(callers):
        callers = None
    return RequestId(prefix + secrets.token_hex(16), callers)
