"""Policies of a running gateway: read again when files change, and never lost."""

import asyncio
import json
import os

import pytest

from tests.unit.test_generate import Gateway
from tests.unit.waiting import until
from ucbd.app import policies as module
from ucbd.cascade.policy import PolicyUnreadable, read_policies

MINE = {
    "schema": 1,
    "description": "first",
    "stages": [{"stage": "fluency", "accept": 0.9}],
    "threshold": 0.95,
}


def write(folder, **changes):
    path = folder / "mine.json"
    path.write_text(json.dumps(MINE | changes))
    os.utime(path, ns=(0, hash(str(changes)) % 10**18))  # another time, however quick the test
    return path


@pytest.fixture
async def watched(tmp_path):
    write(tmp_path)
    async with Gateway(policies=tmp_path) as gateway:
        found = gateway.app.state.service.policies
        watching = asyncio.create_task(found.watch())
        yield gateway, found, tmp_path
        watching.cancel()
        await asyncio.wait({watching})


async def test_a_changed_file_is_in_force_without_a_restart(watched, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
    gateway, found, folder = watched
    found.reload_soon()  # so that the short interval counts from now on
    await asyncio.sleep(0.05)
    write(folder, description="second")
    await until(lambda: found.named("mine").description == "second")
    assert (await gateway.ask(policy="mine")).status_code == 200


async def test_when_told_to_files_are_read_at_once(watched):
    gateway, found, folder = watched
    (folder / "another.json").write_text(json.dumps(MINE | {"description": "new"}))
    assert (await gateway.ask(policy="another")).status_code == 422
    found.reload_soon()
    await until(lambda: "another" in found.names)
    assert (await gateway.ask(policy="another")).status_code == 200


@pytest.mark.parametrize("content", ["{", json.dumps(MINE | {"threshold": 7})])
async def test_a_file_that_became_unreadable_leaves_what_was_read_before(watched, content, caplog):
    gateway, found, folder = watched
    (folder / "mine.json").write_text(content)
    found.reload_soon()
    await until(lambda: "a policy stays as it was" in caplog.text)
    assert "mine.json" in caplog.text
    assert found.named("mine").description == "first"
    assert (await gateway.ask(policy="mine")).status_code == 200


async def test_a_file_that_cannot_be_read_spoils_no_other(watched, caplog):
    gateway, found, folder = watched
    (folder / "newer.json").write_text(json.dumps(MINE | {"schema": 2}))
    write(folder, description="second")
    found.reload_soon()
    await until(lambda: found.named("mine").description == "second")
    assert "a policy is unavailable" in caplog.text
    assert str(folder / "newer.json") in caplog.text
    refused = await gateway.ask(policy="newer")
    assert (refused.status_code, refused.json()["code"]) == (422, "policy_unavailable")
    why = "cannot be read: schema: is 2, made by a newer version; this one reads 1"
    assert refused.json()["detail"] == f"policy: 'newer' {why}"
    listed = (await gateway.client.get("/policies")).json()["policies"]
    assert {one["name"]: one["unavailable"] for one in listed}["newer"] == why


async def test_only_the_default_that_cannot_be_read_stops_the_start(tmp_path):
    (tmp_path / "mine.json").write_text("{")
    async with Gateway(policies=tmp_path) as gateway:
        assert (await gateway.ask()).status_code == 200
        assert (await gateway.ask(policy="mine")).json()["code"] == "policy_unavailable"
    for named in ("mine", str(tmp_path / "mine.json")):
        with pytest.raises(PolicyUnreadable, match=r"mine\.json: the file: Invalid JSON"):
            async with Gateway(policies=tmp_path, policy=named):
                pass


def test_a_broken_file_of_a_shipped_name_is_not_the_shipped_policy(tmp_path):
    (tmp_path / "default.json").write_text("{")
    found = read_policies(tmp_path)
    assert "default" not in found.by_name
    assert "default" in found.unreadable


async def test_a_request_under_way_keeps_the_policy_it_began_with(watched):
    _, found, folder = watched
    kept = found.named("mine")
    write(folder, description="second")
    found.reload_soon()
    await until(lambda: found.named("mine").description == "second")
    assert kept.description == "first"


def test_three_profiles_ship_certified_on_the_default_model():
    shipped = read_policies(None).by_name
    for name, alpha in (("balanced", 0.1), ("strict", 0.05), ("thrifty", 0.1)):
        made = shipped[name].calibration
        assert (made.alpha, made.delta, made.made_for.model) == (alpha, 0.05, "reference-dpo")
        for rung in made.ladder.values():
            found = rung.certificate
            assert found.risk_upper == alpha
            assert found.wrong < alpha * found.answered
    assert "sampling" not in [rule.stage for rule in shipped["thrifty"].stages]
    assert shipped["default"].calibration is None
