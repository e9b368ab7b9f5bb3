"""How the real engine comes up and goes: what it doubts, what it leaves behind, who waits on it.

Runs after the tests that read vLLM's metrics: a second engine in a process takes them away from the
first.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

import psutil
import pytest

from tests.engine.conftest import random_settings
from ucbd.models import vllm_start
from ucbd.models.errors import EngineUnavailable
from ucbd.models.generation import EncodedPrompt, GenerationOptions
from ucbd.models.vllm_engine import VllmEngine

pytestmark = pytest.mark.slow
PROMPT = EncodedPrompt((3, 4, 5))


@dataclass
class Started:
    """An engine, what it warned of while it started, and how long it held the event loop."""

    engine: VllmEngine
    seconds: float
    loop_held: float
    warnings: list[str]


class Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


async def seconds_the_loop_is_held(tick: float = 0.05) -> float:
    """Adds up until cancelled."""
    held = 0.0
    try:
        while True:
            before = time.monotonic()
            await asyncio.sleep(tick)
            held += time.monotonic() - before - tick
    except asyncio.CancelledError:
        return held


@pytest.fixture(scope="module")
async def doubted(random_weights):
    """An engine whose processor is wrong."""
    log, warnings = logging.getLogger("ucbd.models.vllm_engine"), Warnings()
    log.addHandler(warnings)
    held = asyncio.create_task(seconds_the_loop_is_held())
    await asyncio.sleep(0)  # its clock runs from here on
    begin = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        wrong = "tests.engine.wrong_processor:TenPercentTooSharp"
        patch.setattr(vllm_start, "PROCESSOR", wrong)
        engine = await VllmEngine.start(random_settings(random_weights))
    seconds = time.monotonic() - begin
    held.cancel()
    log.removeHandler(warnings)
    yield Started(engine, seconds, await held, warnings.said)
    await engine.close()


async def test_a_processor_that_measures_wrongly_is_found_at_start_and_said_loudly(doubted):
    assert doubted.engine.info.entropy == "bounds"
    assert "nats off" in doubted.engine.info.entropy_note
    assert [said for said in doubted.warnings if "bounds from top-20" in said]


async def test_bounds_are_served_in_place_of_a_wrong_number(doubted, engine):
    answer = await doubted.engine.generate(PROMPT, GenerationOptions(8), entropies=True)
    exact = await engine.generate(PROMPT, GenerationOptions(8), entropies=True)
    assert answer.entropies.exact is False
    assert answer.entropies.top_k == 20
    assert answer.text == exact.text
    for low, value, high in zip(
        answer.entropies.lower, exact.entropies.lower, answer.entropies.upper, strict=True
    ):
        assert low - 1e-3 <= value <= high + 1e-3
        assert high - low > 1e-2  # bounds indeed


async def test_the_event_loop_is_free_while_the_engine_starts(doubted):
    """Health checks are answered meanwhile; a start on the loop itself would hold it all the time.

    A part it may take: importing holds Python's own lock, and other work the cores.
    """
    assert doubted.loop_held < 0.8 * doubted.seconds


async def test_closing_fails_at_once_whoever_still_waits(doubted):
    """Last of this engine: also a collection under way, which vLLM itself leaves unanswered."""
    begun = [asyncio.Event() for _ in range(3)]
    work = [
        asyncio.create_task(
            doubted.engine.generate(
                EncodedPrompt((5, n)),
                GenerationOptions(480, 1.0, seed=1),
                entropies=False,
                listen=lambda piece, told=told: told.set(),
            )
        )
        for n, told in enumerate(begun)
    ]
    async with asyncio.timeout(120):
        await asyncio.gather(*(told.wait() for told in begun))
    collecting = asyncio.create_task(doubted.engine.kept_entropies())
    await asyncio.sleep(0)
    closing = asyncio.create_task(doubted.engine.close())
    async with asyncio.timeout(120):  # a hang fails here
        *answers, kept = await asyncio.gather(*work, collecting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [EngineUnavailable] * 3
    assert isinstance(kept, EngineUnavailable | int)  # it may just have been in time
    await closing
    assert not await doubted.engine.alive()
    with pytest.raises(EngineUnavailable, match="shutting down"):
        await doubted.engine.generate(PROMPT, GenerationOptions(1), entropies=True)


async def test_a_start_that_is_cancelled_leaves_no_process_behind(random_weights):
    """As when the gateway is stopped while it loads."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    starting = asyncio.create_task(VllmEngine.start(random_settings(random_weights)))
    started: list[psutil.Process] = []
    async with asyncio.timeout(300):
        while not any("VLLM::Worker" in " ".join(child.cmdline()) for child in started):
            await asyncio.sleep(0.1)
            children = psutil.Process().children(recursive=True)
            started = [child for child in children if child.pid not in before]
    assert not starting.done()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    _, alive = await asyncio.to_thread(psutil.wait_procs, started, 120)
    assert alive == []
