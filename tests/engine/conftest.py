"""A real vLLM engine, shared by the tests of this folder."""

from pathlib import Path

import pytest

from ucbd.models.vllm_engine import VllmEngine
from ucbd.models.vllm_start import EngineSettings

KV_BLOCKS = 24
"""Key-value blocks of 32 tokens: enough for one full context, too few for a crowd."""


def random_settings(weights: Path) -> EngineSettings:
    return EngineSettings(
        model=str(weights), served_name="random", dtype="float32", kv_cache_blocks=KV_BLOCKS
    )


@pytest.fixture(scope="session")
async def engine(random_weights):
    engine = await VllmEngine.start(random_settings(random_weights))
    yield engine
    await engine.close()
