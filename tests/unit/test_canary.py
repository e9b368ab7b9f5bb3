"""The canary set on a scripted engine: its rate, its shift from the last run, and bad files."""

import asyncio
import json

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.test_generate import CERTAIN, Gateway
from tests.unit.waiting import until
from ucbd.app.settings import SettingsInvalid
from ucbd.app.single_cluster_rate.all_samples import AllSamples
from ucbd.app.single_cluster_rate.canary import Canary, diagnosed_run, read_questions, read_run
from ucbd.app.single_cluster_rate.metrics import CanaryMetrics
from ucbd.cascade.clustering.jaccard import Jaccard
from ucbd.cascade.evaluation.rates import wilson
from ucbd.cascade.policy import read_policies
from ucbd.models.errors import EngineFailed
from ucbd.models.scripted import Script, ScriptedEngine

QUESTIONS = {f"q{n}": f"where is place {n}" for n in range(20)}


class Set:
    """A canary set of 20 questions, of which the first ``alike`` have one cluster."""

    def __init__(self, alike: int, last=None, broken: int = 0) -> None:
        self.alike, self.broken = alike, broken
        self.registry = CollectorRegistry()
        self.engine = ScriptedEngine(self.says)
        self.canary = Canary(
            QUESTIONS,
            AllSamples(self.engine, read_policies(None).by_name["default"], {"jaccard": Jaccard()}),
            self.engine,
            model="m",
            max_tokens=8,
            metrics=CanaryMetrics(self.registry, "m"),
            before=read_run(last) if last else None,
            file=last,
        )

    def says(self, question: str) -> Script:
        number = int(question.split()[-1])
        fault = EngineFailed("broken") if number >= len(QUESTIONS) - self.broken else None
        samples = ("yes it is",) if number < self.alike else ("yes it is", "no never")
        return Script("yes it is", CERTAIN, samples, sample_fault=fault)

    def value(self, name: str, **labels: str) -> float | None:
        labels = {"model": "m", "clusterer": "jaccard"} | labels
        return self.registry.get_sample_value(f"ucbd_canary_{name}", labels)


async def test_a_run_tells_the_rate_with_its_interval_and_no_shift_before_the_second():
    canary = Set(alike=5)
    await canary.canary.once()
    assert canary.value("single_cluster_rate") == 0.25
    low, high = wilson(5, 20)
    assert canary.value("single_cluster_rate_lower") == pytest.approx(low)
    assert canary.value("single_cluster_rate_upper") == pytest.approx(high)
    assert canary.value("questions", result="single") == 5
    assert canary.value("questions", result="several") == 15
    assert canary.value("shift") is None
    assert all(options.background for options in canary.engine.calls)
    assert len(canary.engine.calls) == 200


async def test_a_model_that_has_gone_homogeneous_shows_pair_by_pair():
    """7 questions more have one cluster, none fewer: shift .35, p = 2 · ½⁷."""
    canary = Set(alike=5)
    await canary.canary.once()
    canary.alike = 12
    await canary.canary.once()
    assert canary.value("shift") == pytest.approx(0.35)
    assert canary.value("shift_p") == pytest.approx(2 * 0.5**7)
    await canary.canary.once()
    assert canary.value("shift") == 0
    assert canary.value("shift_p") == 1


async def test_the_last_run_survives_a_restart_in_its_file(tmp_path):
    last = tmp_path / "last.json"
    await Set(5, last).canary.once()
    again = Set(12, last)
    await again.canary.once()
    assert again.value("shift") == pytest.approx(0.35)
    assert list(tmp_path.iterdir()) == [last]


async def test_questions_without_samples_count_as_lost_and_not_as_several():
    canary = Set(alike=5, broken=12)
    await canary.canary.once()
    assert canary.value("questions", result="lost") == 12
    assert canary.value("single_cluster_rate") == pytest.approx(5 / 8)


async def test_a_dead_engine_leaves_no_rate_rather_than_yesterdays():
    canary = Set(alike=5)
    await canary.canary.once()
    canary.engine.dead = True
    await canary.canary.once()
    assert canary.value("single_cluster_rate") is None
    assert canary.value("questions", result="lost") == 20


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "Invalid JSON"), ('{"model": "m", "samples": 10}', "single"), ('{"x": 1}', "model")],
)
def test_a_file_that_is_no_run_is_named_with_what_is_wrong(tmp_path, content, said):
    last = tmp_path / "last.json"
    last.write_text(content)
    with pytest.raises(SettingsInvalid, match=rf"canary_last: .*last\.json.*{said}"):
        Set(5, last)


def test_a_folder_that_is_not_there_is_seen_at_start(tmp_path):
    with pytest.raises(SettingsInvalid, match="not a folder"):
        Set(5, tmp_path / "missing" / "last.json")


def test_a_question_file_gives_prompts_by_id(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps({"id": "a", "prompt": "who"}) + "\n")
    assert read_questions(path) == {"a": "who"}


async def test_a_diagnosis_gives_the_questions_and_what_the_first_run_is_compared_with(tmp_path):
    path = tmp_path / "report.json"
    seen = {"q0": True, "q1": False, "q2": None}
    path.write_text(
        json.dumps(
            {
                "schema": "ucbd-diagnosis-1",
                "model": "m",
                "server": "s",
                "created": "2026-11-25",
                "complete": True,
                "asked": {"samples": 10, "temperature": 1.0, "max_tokens": 64},
                "clusterer": "jaccard",
                "homogenization": {"jaccard": {"clusterer": ["jaccard(threshold=0.4)"]}},
                "questions": [
                    {
                        "id": ident,
                        "prompt": ident,
                        "clusters": {"jaccard": {"one": one, "count": None, "samples": 10}},
                    }
                    for ident, one in seen.items()
                ],
            }
        )
    )
    assert read_questions(path) == {ident: ident for ident in seen}
    run = diagnosed_run(path)
    assert run.single == {"jaccard(threshold=0.4)": {"q0": True, "q1": False}}
    assert run.samples == 10


async def test_a_gateway_with_a_canary_set_asks_it_when_it_starts(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text('{"id": "a", "prompt": "where is it"}\n')
    gateway = Gateway(Script("yes", CERTAIN, ("yes",)), canary=path)
    async with gateway, gateway.app.router.lifespan_context(gateway.app):
        await until(lambda: len(gateway.engine.calls) >= 10, seconds=600)  # models load first
        found: dict[str, float] = {}
        async with asyncio.timeout(600):
            while not found:
                found = await gateway.counters("ucbd_canary_single_cluster_rate")
    assert set(found.values()) == {1.0}
