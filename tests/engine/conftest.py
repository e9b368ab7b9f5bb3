"""A real vLLM engine, shared by the tests of this folder."""

import pytest

from ucbd.models.vllm_engine import EngineSettings, VllmEngine

KV_BLOCKS = 24
"""Key-value blocks of 32 tokens: enough for one full context, too few for a crowd."""


@pytest.fixture(scope="session")
async def engine(random_weights):
    settings = EngineSettings(
        model=str(random_weights), served_name="random", dtype="float32", kv_cache_blocks=KV_BLOCKS
    )
    engine = await VllmEngine.start(settings)
    yield engine
    await engine.close()
