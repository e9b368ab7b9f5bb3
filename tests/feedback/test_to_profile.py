"""From traffic to a certified profile: audited, labelled, exported, calibrated, served."""

import json
from random import Random

import pytest

from tests.feedback.conftest import keeping
from tests.feedback.test_audit import ucbd
from ucbd.models.scripted import Script

pytestmark = pytest.mark.slow

QUESTIONS = 400
HARD = "hard"


def script(prompt: str) -> Script:
    """Hard questions get wavering answers and different samples; each question its own entropy."""
    random = Random(prompt)
    if HARD in prompt:
        said = tuple(f"city{random.randrange(9)} it is" for _ in range(10))
        return Script(said[0], (1.5 + random.random(),) * 3, said)
    return Script("Tarn it is", (random.random() / 10,) * 3, ("Tarn it is",) * 10)


def right(prompt: str) -> bool:
    """Easy questions are answered right, 1 in 50 apart; hard ones are not, 1 in 10 apart."""
    chance = Random(f"label {prompt}").random()
    return chance < 0.1 if HARD in prompt else chance < 0.98


async def test_an_audit_becomes_a_profile_that_the_gateway_serves(tmp_path):
    prompts = [
        f"Where is {'a hard' if i % 4 == 0 else 'an easy'} one, {i}?" for i in range(QUESTIONS)
    ]
    audit, profile = tmp_path / "audit.jsonl", tmp_path / "policies" / "mine.json"
    async with keeping(tmp_path, script, record_text=True, audit_share=1.0) as gateway:
        asked = {}
        for prompt in prompts:  # faster than samples of them can be drawn: those wait
            asked[(await gateway.ask(prompt=prompt))["id"]] = prompt
        await gateway.until_audited(drawn=QUESTIONS, completed=QUESTIONS)
        async with gateway.store() as store:
            for one, prompt in asked.items():
                await store.label(one, "audit", correct=right(prompt), at=1.0, by="ada")
    done = ucbd("records", "--audit", "--records", gateway.where, "--out", str(audit))
    assert done.returncode == 0, done.stderr
    made = ("--alpha", "0.1", "--delta", "0.05", "--clusterers", "jaccard", "--out", str(profile))
    done = ucbd("calibrate", str(audit), *made)
    assert done.returncode == 0, done.stderr
    certified = json.loads(profile.read_text())["calibration"]
    assert certified["made_for"]["model"] == "scripted"

    served = tmp_path / "served"
    served.mkdir()
    settings = {"policies": profile.parent, "policy": "mine"}
    async with keeping(served, script, **settings) as gateway:
        easy = await gateway.ask(prompt="Where is an easy one, 9?")
        hard = [await gateway.ask(prompt=f"Where is a hard one, {i}?") for i in range(20)]
        await gateway.feedback(id=easy["id"], correct=True)
        async with gateway.store() as store:
            (kept,) = [one async for one in store.labelled("feedback")]
    assert easy["decision"] == "answer"
    assert sum(one["decision"] == "abstain" for one in hard) >= 10
    assert easy["calibration"] == {"id": certified["id"], "risk_upper": 0.1}
    assert easy["confidence"] > 0.9
    assert all(one["confidence"] < 0.5 for one in hard)
    assert (kept.record.policy, kept.record.confidence) == ("mine", easy["confidence"])
    assert kept.record.certificate.id == certified["id"]


async def test_volunteered_labels_alone_certify_nothing(tmp_path):
    async with keeping(tmp_path, script, record_text=True) as gateway:
        for i in range(200):
            prompt = f"Where is {'a hard' if i % 4 == 0 else 'an easy'} one, {i}?"
            answer = await gateway.ask(prompt=prompt)
            await gateway.feedback(id=answer["id"], correct=right(prompt))
    out = tmp_path / "feedback.jsonl"
    assert (
        ucbd("records", "--feedback", "--records", gateway.where, "--out", str(out)).returncode == 0
    )
    profile = tmp_path / "profile.json"
    done = ucbd("calibrate", str(out), "--clusterers", "jaccard", "--out", str(profile))
    assert done.returncode != 0
    assert not profile.exists()
    assert "Traceback" not in done.stderr
    assert "200 more are feedback, which never certifies" in done.stderr
