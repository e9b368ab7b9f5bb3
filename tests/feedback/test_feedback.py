"""``POST /feedback`` over HTTP: joined, repeated, refused; and what a record holds."""

import json
import re
import sqlite3

import pytest

from tests.feedback.conftest import keeping
from tests.store.test_writer import full_disk
from ucbd.app.main import create_app
from ucbd.app.settings import Settings
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.supervisor import SupervisedEngine


async def test_feedback_is_joined_once_and_never_overwritten(tmp_path):
    async with keeping(tmp_path) as gateway:
        answer = await gateway.ask()
        first = await gateway.feedback(id=answer["id"], correct=True)
        assert (first.status_code, first.json()) == (
            200,
            {"id": answer["id"], "correct": True, "repeated": False},
        )
        again = await gateway.feedback(id=answer["id"], correct=True)
        assert (again.status_code, again.json()["repeated"]) == (200, True)
        opposite = await gateway.feedback(id=answer["id"], correct=False)
        assert (opposite.status_code, opposite.json()["code"]) == (409, "conflict")
        assert "said to be right before; that stays" in opposite.json()["detail"]
        unknown = await gateway.feedback(id="gen-0", correct=True)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_id")
        counted = await gateway.metric("ucbd_feedback_total")
        assert counted == {'result="joined"': 1, 'result="repeated"': 1}
        errors = await gateway.metric("ucbd_errors_total")
        counted = {code: n for code, n in errors.items() if n}
        assert counted == {'code="conflict"': 1, 'code="unknown_id"': 1}
        async with gateway.store() as store:
            (found,) = [one async for one in store.labelled("feedback")]
        assert (found.record.id, found.label.correct) == (answer["id"], True)


async def test_a_record_holds_what_was_decided_and_by_what_but_no_text(tmp_path):
    async with keeping(tmp_path) as gateway:
        answer = await gateway.ask(prompt="a secret question", explain=True)
        await gateway.feedback(id=answer["id"], correct=True)
        async with gateway.store() as store:
            (found,) = [one async for one in store.labelled("feedback")]
    record = found.record
    assert (record.policy, record.decision) == ("default", answer["decision"])
    assert (record.model, record.model_revision, record.rung) == ("scripted", "1", "all")
    assert record.text is None
    assert record.scores["mean_token_entropy"] == pytest.approx(0.01)
    assert record.scores["semantic_entropy:jaccard"] == 0
    for kept, told in zip(record.stages, answer["stages"], strict=True):
        assert kept | told | {"reason": None} == kept  # and the signal's name beside it
    for file in tmp_path.iterdir():
        assert b"secret" not in file.read_bytes()


async def test_text_is_kept_only_where_the_operator_says_so(tmp_path):
    async with keeping(tmp_path, record_text=True) as gateway:
        turns = [
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "so"},
            {"role": "user", "content": "second"},
        ]
        answer = await gateway.client.post(
            "/generate", json={"messages": turns, "evidence": ["a paper"]}
        )
        said = {"id": answer.json()["id"], "correct": False, "note": "it was Tarn"}
        assert (await gateway.feedback(**said)).status_code == 200
        async with gateway.store() as store:
            (found,) = [one async for one in store.labelled("feedback")]
    assert found.record.text == {
        "prompt": "second",
        "messages": turns,
        "answer": {"text": "yes", "tokens": 1, "token_entropies": [0.01]},
        "evidence": ["a paper"],
        "vocab_size": 1000,
    }
    assert found.label.note == "it was Tarn"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "where"}]}),
        ("/v1/completions", {"prompt": "where"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_answers_by_openais_api_have_records_too(tmp_path, path, asked, stream):
    async with keeping(tmp_path, record_text=True) as gateway:
        body = asked | {"model": "scripted", "stream": stream}
        response = await gateway.client.post(path, json=body)
        assert response.status_code == 200, response.text
        first = response.text.removeprefix("data: ").split("\n")[0] if stream else response.text
        said = {"id": json.loads(first)["id"], "correct": True}
        assert (await gateway.feedback(**said)).json()["repeated"] is False
        async with gateway.store() as store:
            (found,) = [one async for one in store.labelled("feedback")]
    assert found.record.text["prompt"] == "where"
    assert found.record.text["answer"]["text"] == "yes"


@pytest.mark.parametrize(
    ("said", "status", "code", "message"),
    [
        ({"id": "gen-1"}, 422, "invalid_request", "correct: Field required"),
        ({"id": "gen-1", "correct": 1}, 422, "invalid_request", "correct: .*boolean, got 1"),
        ({"id": "gen-1", "correct": None}, 422, "invalid_request", "correct: .*got None"),
        ({"id": "a\nb", "correct": True}, 422, "invalid_request", "id: .*pattern"),
        ({"id": "g" * 201, "correct": True}, 422, "invalid_request", "id: .*200"),
        ({"id": "gen-1", "correct": True, "x": 1}, 422, "invalid_request", "x: Extra inputs"),
        (
            {"id": "gen-1", "correct": True, "note": "n"},
            422,
            "invalid_request",
            "note: this gateway keeps no text",
        ),
        ([], 400, "malformed", "not a JSON object"),
    ],
)
async def test_bad_feedback_is_named(tmp_path, said, status, code, message):
    async with keeping(tmp_path) as gateway:
        response = await gateway.client.post("/feedback", json=said)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert re.search(message, response.json()["detail"])


async def test_without_a_store_feedback_says_what_to_set(tmp_path):
    async with keeping(tmp_path, records=None) as gateway:
        answer = await gateway.ask()
        response = await gateway.feedback(id=answer["id"], correct=True)
    assert (response.status_code, response.json()["code"]) == (501, "not_implemented")
    assert "set `records`" in response.json()["detail"]


async def test_a_full_disk_fails_feedback_and_no_request(tmp_path):
    async with keeping(tmp_path, record_text=True) as gateway:
        answer = await gateway.ask()
        assert (await gateway.feedback(id=answer["id"], correct=True)).status_code == 200
        with full_disk(0):
            lost = await gateway.ask()
            response = await gateway.feedback(id=lost["id"], correct=True)
            assert response.status_code in (404, 503), response.text
            refused = await gateway.feedback(id=answer["id"], correct=False)
            assert refused.json()["code"] in ("records_unavailable", "conflict")
        counted = await gateway.metric("ucbd_records_lost_total")
        assert counted['reason="store_failed"'] == 1
        better = await gateway.ask()
        assert (await gateway.feedback(id=better["id"], correct=True)).status_code == 200


async def test_a_database_that_goes_bad_is_an_error_that_says_so(tmp_path):
    """Somebody drops a table under a running gateway."""
    async with keeping(tmp_path) as gateway:
        answer = await gateway.ask()
        assert (await gateway.feedback(id=answer["id"], correct=True)).status_code == 200
        with sqlite3.connect(gateway.where, timeout=10) as connection:
            connection.execute("DROP TABLE ucbd_labels")
        response = await gateway.feedback(id=answer["id"], correct=True)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
        assert response.json()["code"] == "records_unavailable"
        assert "no such table: ucbd_labels" in response.json()["detail"]


def test_feedback_is_in_the_api_description(tmp_path):
    async def never() -> ScriptedEngine:
        raise AssertionError

    app = create_app(Settings(clusterer="jaccard"), SupervisedEngine(never))
    described = app.openapi()
    body = described["paths"]["/feedback"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/FeedbackRequest"}
    assert described["components"]["schemas"]["FeedbackRequest"]["additionalProperties"] is False
    json.dumps(described)


@pytest.mark.parametrize("setting", [{"record_text": True}, {"audit_share": 0.1}])
def test_what_needs_a_store_is_refused_without_one(setting):
    with pytest.raises(ValueError, match="needs `records`"):
        Settings(**setting)


async def test_a_script_without_entropies_is_recorded_with_null(tmp_path):
    async with keeping(tmp_path, Script(entropies=None)) as gateway:
        answer = await gateway.ask(samples=0)
        await gateway.feedback(id=answer["id"], correct=True)
        async with gateway.store() as store:
            (found,) = [one async for one in store.labelled("feedback")]
    assert found.record.scores["mean_token_entropy"] is None
