"""API keys: who may ask, how much, and by which policies. Read from a file of hashes, and re-read.

A key is 256 random bits that this module makes, never a word that somebody chose. So a plain
SHA-256 of it is enough at rest: slow, salted hashes defend what can be guessed, and 2^256 cannot
(NIST SP 800-63B counts such secrets as look-up secrets and asks for no salt above 112 bits). It
also takes a microsecond and not a tenth of a second of every request. Knows no route.
"""

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ucbd.app.errors import PolicyUnavailable, refused
from ucbd.app.limits import Allowance
from ucbd.models.errors import GatewayError

log = logging.getLogger(__name__)

PREFIX = "ucbd-"
MAX_KEYS = 1000  # all are compared with each request; more is another system's work
_SECRET_BYTES = 32
_LOOK_SECONDS = 1.0  # between two looks whether the file has changed

Limit = Annotated[int, Field(gt=0)] | None


class KeysUnreadable(GatewayError):
    """A keys file that cannot be used: the file, the key's name or place, and what is wrong."""


class Key(BaseModel):
    """One caller. A limit is per minute, None for none; ``policies`` None allows all.

    The first of its ``policies`` is what a request gets that names none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    hash: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    requests_per_minute: Limit = None
    tokens_per_minute: Limit = None
    policies: Annotated[tuple[str, ...], Field(min_length=1)] | None = None


def new_key() -> str:
    """A key that nobody has."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def hashed(key: str) -> str:
    """How the keys file holds a key."""
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_entry(
    name: str, requests: int | None, tokens: int | None, policies: Sequence[str] | None
) -> tuple[str, str]:
    """A new key, and the line for the keys file. Raises ``KeysUnreadable`` for a bad name."""
    key = new_key()
    given = {
        "name": name,
        "hash": hashed(key),
        "requests_per_minute": requests,
        "tokens_per_minute": tokens,
        "policies": policies,
    }
    try:
        Key.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise KeysUnreadable(
            f"{first['loc'][0]}: {first['msg']}, got {first['input']!r}"
        ) from error
    return key, json.dumps({name: value for name, value in given.items() if value is not None})


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys in a file, one JSON object a line. Raises ``KeysUnreadable``; it shows no hash."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise KeysUnreadable(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KeysUnreadable(f"{path}: not UTF-8: {error}") from error
    keys: list[Key] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            keys.append(Key.model_validate_json(line))
            _told_apart(keys)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            field = ".".join(map(str, first["loc"])) or "the line"
            raise KeysUnreadable(f"{path}:{number}: {field}: {first['msg']}") from error
        except ValueError as error:
            raise KeysUnreadable(f"{path}:{number}: {error}") from error
    return tuple(keys)


def _told_apart(keys: Sequence[Key]) -> None:
    """Raises ``ValueError`` where the last key cannot be told from another, or is one too many."""
    *others, last = keys
    if any(key.name == last.name for key in others):
        raise ValueError(f"name: {last.name!r} stands there twice")
    if any(key.hash == last.hash for key in others):
        raise ValueError(f"hash: {last.name!r} has that of another")
    if len(keys) > MAX_KEYS:
        raise ValueError(f"at most {MAX_KEYS} keys are compared here")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, and what is left to them; ``name`` None is anybody, where no key is asked."""

    name: str | None
    policies: tuple[str, ...] | None
    allowance: Allowance

    def policy(self, wanted: str | None) -> str | None:
        """The policy that a request gets, None for the gateway's default.

        Raises ``PolicyUnavailable`` for one that this caller may not use.
        """
        if self.policies is None:
            return wanted
        if wanted is None:
            return self.policies[0]
        if wanted not in self.policies:
            allowed = ", ".join(self.policies)
            raise refused(
                PolicyUnavailable, "policy", f"this key may use {allowed}, got {wanted!r}"
            )
        return wanted


def anybody() -> Caller:
    """The caller where no keys are asked: without limits."""
    return Caller(None, None, Allowance(None, None))


class KeyRing:
    """The keys of a file, as it is now: a change counts within a second, a bad one not at all."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ``KeysUnreadable``."""
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._stamp = _stamp(path)
        self._callers: list[tuple[Key, Caller]] = []
        self._take(read_keys(path))

    def find(self, presented: str) -> Caller | None:
        """Whose key that is. Takes as long whichever it is, and whether it is one at all."""
        if self._clock() - self._looked >= _LOOK_SECONDS:
            self._looked = self._clock()
            if _stamp(self._path) != self._stamp:
                self.reload()
        wanted, found = hashed(presented), None
        for key, caller in self._callers:
            if hmac.compare_digest(key.hash, wanted):
                found = caller
        return found

    def reload(self) -> None:
        """Read the file again. One that cannot be used is said in the log; the keys stay."""
        self._stamp = _stamp(self._path)
        try:
            self._take(read_keys(self._path))
        except KeysUnreadable as error:
            log.error("the keys stay as they were: %s", error)

    def _take(self, keys: Sequence[Key]) -> None:
        """These are the keys now; who keeps name and limits keeps what is left of them."""
        before = {caller.name: caller.allowance for _, caller in self._callers}
        self._callers = []
        for key in keys:
            limits = (key.requests_per_minute, key.tokens_per_minute)
            allowance = before.get(key.name)
            if allowance is None or allowance.limits != limits:
                allowance = Allowance(*limits, self._clock)
            self._callers.append((key, Caller(key.name, key.policies, allowance)))
        log.info("%s: %d keys", self._path, len(keys))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does; None when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
