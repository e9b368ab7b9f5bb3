"""Entailment in the service: where its model comes from, and that it gets the question."""

import httpx
import pytest

from ucbd.app.clusterers import nli_model
from ucbd.app.main import create_app
from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.models.errors import ModelUnusable
from ucbd.models.nli import CrossEncoder
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.supervisor import SupervisedEngine

SAMPLES = ("In Dole.", "Quin Vossberg was born in Dole.", "Tarn.", "Dole. I think.", "So, in Tarn.")


def test_an_embedded_model_comes_with_the_embedded_nli_model():
    assert nli_model(Settings(model="reference-sft")).name == "reference-nli"


def test_another_model_has_none_unless_the_setting_names_one():
    assert nli_model(Settings(model="somebody/some-model")) is None
    named = Settings(model="somebody/some-model", nli="cross-encoder/nli-deberta-v3-base")
    assert nli_model(named).name == "cross-encoder/nli-deberta-v3-base"


def test_a_folder_that_is_no_nli_model_stops_the_start(tmp_path):
    engine = SupervisedEngine(None)
    with pytest.raises(ModelUnusable, match=r"holds no config\.json"):
        create_app(Settings(clusterer="jaccard", nli=str(tmp_path)), engine)


def test_the_clusterer_without_a_model_says_what_it_needs():
    settings = Settings(model="somebody/some-model", clusterer="nli")
    with pytest.raises(SettingsInvalid, match="clusterer: 'nli' needs a model"):
        create_app(settings, SupervisedEngine(None))


def test_without_its_packages_a_named_model_is_an_error_and_an_unnamed_one_absent(monkeypatch):
    monkeypatch.setattr(CrossEncoder, "installed", staticmethod(lambda: False))
    assert nli_model(Settings()) is None
    with pytest.raises(SettingsInvalid, match="nli: 'mine' needs"):
        nli_model(Settings(nli="mine"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        {"prompt": "Where was Quin Vossberg born?"},
        {
            "messages": [
                {"role": "user", "content": "Hello."},
                {"role": "assistant", "content": "Hello."},
                {"role": "user", "content": "Where was Quin Vossberg born?"},
            ]
        },
    ],
    ids=["prompt", "messages"],
)
async def test_a_request_is_clustered_by_entailment_given_its_question(asked):
    """Five samples of two values: only who knows the question sees that the short ones agree."""
    engine = ScriptedEngine(Script(answer="Perhaps Dole.", samples=SAMPLES))

    async def start() -> ScriptedEngine:
        return engine

    supervised = SupervisedEngine(start)
    app = create_app(Settings(clusterer="nli"), supervised)
    await supervised.start()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as client:
        body = (await client.post("/generate", json=asked | {"explain": True})).json()
    uncertainty = body["uncertainty"]
    assert uncertainty["clusterer"] == "nli(reference-nli,threshold=0.5)"
    assert [cluster["size"] for cluster in uncertainty["clusters"]] == [6, 4]
    assert uncertainty["answer_support"] == 0.6
