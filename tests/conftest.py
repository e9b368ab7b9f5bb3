"""What every test may use."""

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The machine may be busy: how long an example takes, or is in the making, says nothing about the
# code. And the examples are the same in every run: who wants others asks for them with
# --hypothesis-profile=others, and writes down what they find as a test of its own.
ANY_MACHINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("any machine", derandomize=True, **ANY_MACHINE)
settings.register_profile("others", derandomize=False, **ANY_MACHINE)
settings.load_profile("any machine")


# What runs in the background of a shell inherits that interrupts are ignored. The programs that
# tests interrupt are to heed them wherever the tests run.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small model with random weights."""
    from tests.random_model import random_model  # torch, which most tests never load

    return random_model(tmp_path_factory.mktemp("random-model"))
