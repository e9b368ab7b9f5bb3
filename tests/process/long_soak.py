"""Where memory goes over a long soak: ``python -m tests.process.long_soak 80000`` prints a table.

The soak's mix without the engine's deaths, of which a gateway survives five in ten minutes.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
from scipy import stats

from tests.process.conftest import scripted
from tests.process.soak import mix, soak
from tests.unit.test_keys import KEY, OTHER, entry, written

PART = 10_000  # requests that have a line of their own


def main(count: int, folder: Path) -> None:
    keys = written(folder, entry("a"), entry("limited", OTHER, requests_per_minute=6))
    settings = {"capacity": 40, "max_in_flight": 64, "max_body_bytes": 4096, "keys": keys}
    asks = [ask for ask in mix(1, count, key=KEY, limited=OTHER) if b"fault=death" not in ask.body]
    with scripted(folder / "log", log_format="json", **settings) as gateway:
        process = psutil.Process(gateway.process.pid)
        seen = asyncio.run(soak(gateway.url, asks, memory=lambda: process.memory_info().rss))
    asked, rss = np.array(seen.memory, dtype=float).T
    print("| requests | resident MiB | MiB per 1,000 requests |\n|--:|--:|--:|")
    for start in range(0, count, PART):
        part = (asked > start) & (asked <= start + PART)
        mib = rss[part] / 2**20
        fit = stats.linregress(asked[part] / 1000, mib)
        half = fit.stderr * stats.t.ppf(0.975, len(mib) - 2)
        print(
            f"| {start + PART:,} | {mib.min():.1f} to {mib.max():.1f} "
            f"| {fit.slope:.3f} ± {half:.3f} |"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(int(sys.argv[1]), Path(made))
