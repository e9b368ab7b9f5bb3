"""The metrics are those of docs/metrics.md, well named, and no request can add to them."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.test_generate import CERTAIN, WAVERING, Gateway
from tests.unit.test_keys import KEY, entry, written
from ucbd.models.scripted import Script

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"\| `(ucbd_\w+)` \| (\w+) \|([^|]*)\|")
STAYS = re.compile(
    r"_(total|seconds|nats|count|cost|flight|questions|rate|lower|upper|shift|p"
    r"|records|waiting|labels|risk|coverage|score|error|evidence|alarm)$"
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    kind: str
    labels: frozenset[str]


def table() -> dict[str, Row]:
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    return {
        name: Row(kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in ROW.findall(text)
    }


@pytest.fixture(scope="module")
async def served(tmp_path_factory) -> str:
    """/metrics of a gateway with everything on, after an answer, an abstention and an error."""
    folder = tmp_path_factory.mktemp("served")
    questions = folder / "questions.jsonl"
    questions.write_text('{"id": "a", "prompt": "where is it"}\n')
    settings = {"canary": questions, "records": str(folder / "records.db")}
    async with Gateway(Script("yes", WAVERING, ("yes", "no")), **settings) as gateway:
        await gateway.ask(explain=True)
        await gateway.ask(max_tokens=-1)
        return (await gateway.client.get("/metrics")).text


def own(text: str) -> dict[str, str]:
    """Type by name, of the gateway's own metrics; the client's creation times are none."""
    kinds = dict(re.findall(r"^# TYPE (ucbd_\w+) (\w+)$", text, re.MULTILINE))
    return {name: kind for name, kind in kinds.items() if not name.endswith("_created")}


async def test_the_table_lists_what_is_served_with_its_type_and_nothing_else(served):
    """A metric that is missing here wants its line in docs/metrics.md."""
    assert own(served) == {name: row.kind for name, row in table().items()}


CONTRACT = {
    "ucbd_requests_total": ("counter", {"decision", "boundary"}),
    "ucbd_request_seconds": ("histogram", set()),
    "ucbd_overhead_seconds": ("histogram", set()),
    "ucbd_stage_seconds": ("histogram", {"stage"}),
    "ucbd_stage_outcomes_total": ("counter", {"stage", "outcome"}),
    "ucbd_token_entropy_nats": ("histogram", set()),
    "ucbd_cluster_count": ("histogram", {"clusterer"}),
    "ucbd_scr_weight_total": ("counter", {"clusterer"}),
    "ucbd_scr_single_weight_total": ("counter", {"clusterer"}),
    "ucbd_scr_weight_squared_total": ("counter", {"clusterer"}),
    "ucbd_scr_single_weight_squared_total": ("counter", {"clusterer"}),
    "ucbd_scr_lost_weight_total": ("counter", {"clusterer", "reason"}),
    "ucbd_scr_uncovered_requests_total": ("counter", set()),
    "ucbd_relative_cost": ("histogram", set()),
    "ucbd_errors_total": ("counter", {"code"}),
    "ucbd_in_flight": ("gauge", set()),
}
"""What programs outside rely on, beside the label `model`: more may come, none of these may go."""


@pytest.mark.parametrize("name", CONTRACT)
def test_what_outside_programs_rely_on_stays_as_it_is(name):
    """By the table, which the next tests hold against what is served."""
    kind, labels = CONTRACT[name]
    assert table()[name] == Row(kind, frozenset(labels))


async def test_every_series_has_the_labels_of_the_table(served):
    rows = table()
    for family in text_string_to_metric_families(served):
        for sample in family.samples:
            name = re.sub(r"_(bucket|sum|count)$", "", sample.name)
            name = sample.name if sample.name in rows else name
            if name not in rows:
                continue  # vLLM's, Python's, and creation times
            labels = sample.labels.keys() - {"le"}
            assert labels == {"model", *rows[name].labels}, sample


def test_names_and_units_are_prometheus_own(served):
    """By promtool, which knows the conventions, and by a closed list of what names may end in."""
    lines = [line for line in served.splitlines() if re.match(r"(# \w+ )?ucbd_", line)]
    checked = subprocess.run(
        [shutil.which("promtool") or "promtool", "check", "metrics"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for name, kind in own(served).items():
        assert STAYS.search(name), name
        assert name.endswith("_total") == (kind == "counter"), name


@pytest.mark.parametrize("keyed", [False, True])
async def test_no_request_can_add_a_series(keyed, tmp_path):
    """Hostile model names, keys, paths and fields: after the first of a kind nothing is new."""
    settings = {"records": str(tmp_path / "records.db")}
    if keyed:
        settings["keys"] = written(tmp_path, entry("a"))

    async def hostile(gateway: Gateway, n: int) -> None:
        evil = f'x{n}\n"}}'
        await gateway.ask()
        await gateway.ask(policy=evil)
        await gateway.ask(clusterer=evil)
        await gateway.ask(**{evil: 1})
        headers = {"authorization": f"Bearer {n}", "traceparent": evil.replace("\n", "")}
        body = {"model": evil, "messages": [{"role": "user", "content": "who"}]}
        for path in (f"/{n}", "/generate", f"/v1/models/{n}", "/v1/chat/completions"):
            await gateway.client.post(path, json=body, headers=headers)
            await gateway.client.get(path, headers=headers)
            await gateway.client.request(f"X{n}", path, headers=headers)
        said = {"id": f"gen-{n}", "correct": True}
        await gateway.client.post("/feedback", json=said, headers=headers)

    async def series(gateway: Gateway) -> set[str]:
        text = (await gateway.client.get("/metrics")).text
        return {line.rsplit(" ", 1)[0] for line in text.splitlines() if line.startswith("ucbd_")}

    async with Gateway(Script("yes", CERTAIN), **settings) as gateway:
        if keyed:
            gateway.client.headers["authorization"] = f"Bearer {KEY}"
        await hostile(gateway, 0)
        before = await series(gateway)
        for n in range(1, 20):
            await hostile(gateway, n)
        assert await series(gateway) == before
