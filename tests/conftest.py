"""What every test may use."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small model with random weights."""
    from tests.random_model import random_model  # torch, which most tests never load

    return random_model(tmp_path_factory.mktemp("random-model"))
