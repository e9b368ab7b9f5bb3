"""What is asked: a versioned mix of requests over a list of prompts, drawn from a seed.

A mix is a JSON file: ``name``, ``version``, ``prompts`` (a list, or the path of a file of JSON
lines with ``prompt``, from the mix's own folder) and ``kinds``, each with a ``share`` and the
fields of its request beside the prompt. The digest of all of it stands in every report: two runs
with the same digest and seed asked the same. Sends nothing.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("mixes")
PLACES = 2**31  # seeds of requests are below


class MixUnusable(ValueError):
    """A file that holds no mix: which, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: its kind within the mix, its body, and whether the answer is streamed."""

    kind: str
    body: bytes
    stream: bool


@dataclass(frozen=True)
class Kind:
    """Requests that are alike but for the prompt."""

    name: str
    share: float
    request: dict[str, Any]


@dataclass(frozen=True)
class Mix:
    """Kinds of requests over prompts."""

    name: str
    version: int
    digest: str
    prompts: tuple[str, ...]
    kinds: tuple[Kind, ...]

    def asks(self, seed: int) -> Iterator[Ask]:
        """Requests without end, the same for the same seed; each has a seed of its own."""
        chance = random.Random(seed)
        shares = [kind.share for kind in self.kinds]
        while True:
            kind = chance.choices(self.kinds, shares)[0]
            prompt, own = chance.choice(self.prompts), chance.randrange(PLACES)
            request = {"prompt": prompt, "seed": own} | kind.request
            yield Ask(kind.name, json.dumps(request).encode(), bool(request.get("stream")))


def made_mix(name: str, prompts: Sequence[str], request: dict[str, Any], version: int = 1) -> Mix:
    """A mix of one kind of request."""
    return _mix(name, version, tuple(prompts), {name: {"share": 1, "request": request}})


def _mix(name: str, version: int, prompts: tuple[str, ...], told: dict[str, Any]) -> Mix:
    kinds = tuple(
        Kind(kind, float(entry["share"]), entry["request"]) for kind, entry in told.items()
    )
    content = json.dumps([told, prompts], sort_keys=True).encode()
    return Mix(name, version, hashlib.sha256(content).hexdigest()[:16], prompts, kinds)


def read_mix(name: str) -> Mix:
    """A shipped mix by name, or any by its path. Raises ``MixUnusable``."""
    path = Path(name) if name.endswith(".json") else FOLDER / f"{name}.json"
    try:
        told = json.loads(path.read_text("utf-8"))
        mix = _mix(told["name"], int(told["version"]), _prompts(told, path), told["kinds"])
        if not mix.prompts or sum(kind.share for kind in mix.kinds) <= 0:
            raise MixUnusable(f"{path}: needs a prompt, and a kind with a share above 0")
        return mix
    except OSError as error:
        shipped = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json")))
        raise MixUnusable(f"{error.filename}: {error.strerror}; shipped: {shipped}") from error
    except KeyError as error:
        raise MixUnusable(f"{path}: {error.args[0]}: is missing") from error
    except (TypeError, AttributeError, ValueError) as error:
        if isinstance(error, MixUnusable):
            raise
        raise MixUnusable(f"{path}: {error}") from error


def _prompts(told: dict[str, Any], path: Path) -> tuple[str, ...]:
    if isinstance(told["prompts"], list):
        return tuple(map(str, told["prompts"]))
    lines = (path.parent / told["prompts"]).read_text("utf-8").splitlines()
    return tuple(json.loads(line)["prompt"] for line in lines if line.strip())
