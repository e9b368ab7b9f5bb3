"""The dashboard is what its code makes, and every query of it returns data from a real gateway."""

import asyncio
import re
import runpy
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn

from loadtest.servers import free_port
from tests.deploy.dashboard import BOARD, GATEWAY, GRAFANA, PANELS, QUERIES, VALUES, filled
from tests.deploy.prometheus import Prometheus, prometheus
from tests.store.conftest import RECORD
from ucbd.app.main import create_app
from ucbd.app.settings import Settings
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.store.store import RecordStore
from ucbd.models.supervisor import SupervisedEngine


def test_the_dashboard_is_what_its_code_makes() -> None:
    """After a change of build.py: python deploy/grafana/build.py."""
    build = runpy.run_path(str(GRAFANA / "build.py"))["build"]
    assert (GRAFANA / "ucbd.json").read_text("utf-8") == build()


def test_it_has_the_variables_and_the_tag_of_vllms_dashboards() -> None:
    variables = {variable["name"] for variable in BOARD["templating"]["list"]}
    assert variables >= {"datasource", "job", "instance", "model_name"}
    assert "vllm" in BOARD["tags"]
    for name, expr in QUERIES.items():
        assert 'job=~"$job"' in expr, name
    used = set(re.findall(r"\$\w+", " ".join(QUERIES.values())))
    assert used == VALUES.keys()


def test_every_panel_says_what_it_shows_and_has_a_unit() -> None:
    for panel in PANELS:
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    titles = [panel["title"] for panel in PANELS]
    assert len(set(titles)) == len(titles)


def says(question: str) -> Script:
    """By its last word: certain, uncertain, broken; half of the uncertain ones have one cluster."""
    kind, number = question.split()[-2:]
    samples = ("it is so",) if int(number) % 2 else ("it is so", "no never")
    fault = RuntimeError("a fault of the engine") if kind == "broken" else None
    entropies = (0.01, 0.02) if kind == "certain" else (0.3, 0.5)
    return Script("it is so", entropies, samples, delay=0.01, fault=fault)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus over a gateway on a scripted engine, under load of every kind."""
    folder = tmp_path_factory.mktemp("prometheus")
    questions = folder / "questions.jsonl"
    questions.write_text(
        "".join(f'{{"id": "{n}", "prompt": "is it certain {n}"}}\n' for n in range(4))
    )

    async def start() -> ScriptedEngine:
        return ScriptedEngine(says)

    records = str(folder / "records.db")
    asyncio.run(label_some(records))
    port = free_port()
    settings = Settings(
        model="another/model",
        served_name="scripted",
        policy=str(Path(__file__).parents[1] / "simulation" / "selective.json"),
        shadow=5.0,
        canary=questions,
        records=records,
        max_in_flight=4,
    )
    app = create_app(settings, SupervisedEngine(start))
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    stop = threading.Event()
    loads = [
        threading.Thread(target=load, args=(f"http://127.0.0.1:{port}", stop)) for _ in range(6)
    ]
    try:
        with prometheus(folder, [f"127.0.0.1:{port}"]) as server_of_metrics:
            for one in loads:
                one.start()
            server_of_metrics.until("ucbd:single_cluster_rate:upper")
            server_of_metrics.until("count_over_time(ucbd:spent_share[1m]) > 5")
            yield server_of_metrics
    finally:
        stop.set()
        for one in loads:
            one.join()
        server.should_exit = True
        thread.join()


async def label_some(where: str) -> None:
    """A store with 40 audited answers, 4 of them wrong, that were given with a certificate."""
    store = await RecordStore.open(where)
    made = [replace(RECORD, id=f"gen-{n}", model="scripted", policy="selective") for n in range(40)]
    await store.add(made)
    for n, record in enumerate(made):
        await store.label(record.id, "audit", correct=n % 10 > 0, at=1.0)
    await store.close()


def load(url: str, stop: threading.Event) -> None:
    """Questions of every kind, and some that are refused, until stopped."""
    number = 0
    with httpx.Client(base_url=url, timeout=60) as client:
        while not stop.is_set():
            for kind in ("certain", "uncertain", "uncertain", "broken"):
                number += 1
                try:
                    client.post("/generate", json={"prompt": f"is it {kind} {number}"})
                    client.post("/generate", json={"prompt": ""})
                except httpx.TransportError:
                    pass  # not listening yet
                time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", GATEWAY)
def test_every_query_about_the_gateway_returns_data(name: str, scraped: Prometheus) -> None:
    scraped.until(filled(GATEWAY[name]))


@pytest.mark.slow
def test_the_variables_find_what_they_choose_from(scraped: Prometheus) -> None:
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert query, variable
            samples = scraped.until(filled(query[1]))
            assert all(sample["metric"][query[2]] for sample in samples)
