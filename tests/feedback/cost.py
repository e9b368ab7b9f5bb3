"""What keeping records costs a request: ``python -m tests.feedback.cost``.

A gateway on a scripted engine, asked through its application, one request at a time, with the
parts it was built of by turns: no records, records, records with text and everything drawn.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.feedback.conftest import Keeping, keeping
from ucbd.models.scripted import Script

ROUNDS, EACH = 6, 300

SETTINGS: dict[str, dict[str, object]] = {
    "no records": {"records": None},
    "records": {},
    "with text, 10 % drawn": {"record_text": True, "audit_share": 0.1},
}


async def seconds(gateway: Keeping) -> list[float]:
    """Of each request."""
    found = []
    for _ in range(EACH):
        start = time.perf_counter()
        await gateway.ask(samples=0)
        found.append(time.perf_counter() - start)
    return found


async def main() -> None:
    """Print the table."""
    script = Script("It is Tarn, as far as anybody knows", (0.01,) * 8)
    found: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for _ in range(ROUNDS):
        for name, settings in SETTINGS.items():
            with tempfile.TemporaryDirectory() as folder:
                async with keeping(Path(folder), script, **settings) as gateway:
                    await seconds(gateway)
                    found[name] += await seconds(gateway)
    print("| | median ms | 90 % ms | requests |\n|---|--:|--:|--:|")
    for name, values in found.items():
        values.sort()
        late = values[int(0.9 * len(values))]
        print(f"| {name} | {median(values) * 1000:.2f} | {late * 1000:.2f} | {len(values)} |")


if __name__ == "__main__":
    asyncio.run(main())
