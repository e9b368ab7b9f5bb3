"""What the dashboard asks of vLLM, of the vLLM that runs here."""

from pathlib import Path

import pytest

from tests.deploy.dashboard import ENGINE, filled
from tests.deploy.prometheus import prometheus
from tests.e2e.conftest import Served

pytestmark = pytest.mark.slow


def test_every_query_about_the_engine_returns_data(gateway: Served, tmp_path: Path) -> None:
    assert ENGINE
    with prometheus(tmp_path, [gateway.url.removeprefix("http://")]) as server:
        server.until("up == 1")  # a rate needs what came before
        for number, (name, expr) in enumerate(ENGINE.items()):
            # What comes before each query is recent, however long the last one took.
            gateway.ask(prompt=f"Which pet does Elin Vell have? {number}")
            assert server.until(filled(expr)), name
