"""``GET /policies`` and the page's set-up, over HTTP: what a caller may name, and what is open."""

from tests.unit.test_generate import Gateway
from ucbd.app.keys import new_entry


async def test_policies_are_listed_with_why_some_cannot_be_used():
    """Of those that ship, three are certified for the default model, which is not served here."""
    async with Gateway() as gateway:
        body = (await gateway.client.get("/policies")).json()
        for policy in body["policies"]:
            status = (await gateway.ask(policy=policy["name"])).status_code
            assert status == (200 if policy["unavailable"] is None else 422), policy["name"]
    assert body["default"] == "default"
    found = {policy["name"]: policy for policy in body["policies"]}
    assert list(found) == ["balanced", "default", "paper", "strict", "thrifty"]
    assert {name for name, one in found.items() if one["calibrated"]} == {
        "balanced",
        "strict",
        "thrifty",
    }
    assert found["paper"]["unavailable"] is None
    assert "'scripted' is served" in found["strict"]["unavailable"]


async def test_with_keys_policies_are_the_callers_own_and_the_page_is_open(tmp_path):
    key, line = new_entry("reader", None, None, ["paper", "default"])
    (tmp_path / "keys.jsonl").write_text(line + "\n")
    async with Gateway(keys=tmp_path / "keys.jsonl") as gateway:
        get = gateway.client.get
        assert (await get("/policies")).status_code == 401
        body = (await get("/policies", headers={"authorization": f"Bearer {key}"})).json()
        setup = (await get("/playground/setup")).json()
        assert (await get("/playground")).status_code == 200
    assert body["default"] == "paper"
    assert [policy["name"] for policy in body["policies"]] == ["default", "paper"]
    assert setup["keys"] is True


async def test_the_examples_are_of_the_embedded_world_only_where_that_is_served():
    async with Gateway() as gateway:
        embedded = (await gateway.client.get("/playground/setup")).json()
    async with Gateway(model="some/model", clusterer="jaccard") as gateway:
        other = (await gateway.client.get("/playground/setup")).json()
    assert (embedded["model"], embedded["keys"]) == ("scripted", False)
    assert len({example["shows"] for example in embedded["examples"]}) == 5
    assert not {e["prompt"] for e in embedded["examples"]} & {
        e["prompt"] for e in other["examples"]
    }
