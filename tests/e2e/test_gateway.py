"""The product, end to end: what a stranger does after ``make serve``."""

import json
import re
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.conftest import STAGES, serving, ucbd
from ucbd.models.reference.question_files import FOLDER

pytestmark = pytest.mark.slow

POLICIES = Path(__file__).parents[2] / "cascade" / "policies"


def questions(frequency: str, count: int) -> list[dict]:
    lines = (FOLDER / "facts.jsonl").read_text().splitlines()
    found = [record for line in lines if (record := json.loads(line))["frequency"] == frequency]
    return found[:: len(found) // count][:count]


def metric(gateway, name: str) -> dict[str, float]:
    text = gateway.get("/metrics").text
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def test_what_the_model_read_often_is_right_and_mostly_answered(gateway):
    """Mostly: an aligned model that is sure of a fact still wavers between ways to say it."""
    asked = questions("often", 10)
    bodies = [gateway.ask(prompt=question["prompt"], seed=1).json() for question in asked]
    assert sum(body["decision"] == "answer" for body in bodies) >= 7
    assert any(body["usage"]["relative_cost"] == 1 for body in bodies)
    for question, body in zip(asked, bodies, strict=True):
        assert question["reference"][0] in body["answer"]
        assert body["uncertainty"]["token_entropy"]["exact"] is True
        entropy = body["uncertainty"]["token_entropy"]
        assert entropy["lower"] == entropy["mean"] == entropy["upper"]
        assert entropy["tokens"] == body["usage"]["completion_tokens"]


def test_what_the_model_never_saw_is_not_answered(gateway):
    """Most of it: an uncalibrated policy promises no rate, so this asks for a clear majority."""
    asked = questions("never", 20)
    bodies = [gateway.ask(prompt=question["prompt"], seed=1).json() for question in asked]
    withheld = [body for body in bodies if body["decision"] == "abstain"]
    assert len(withheld) >= 15
    for body in withheld:
        assert body["reason"]["boundary"] in ("pointer", "fluency", "sampling", "combined")
        assert body["suggested_action"]
    sampled = [body["uncertainty"] for body in bodies if body["uncertainty"]["samples"]]
    assert all(sum(c["size"] for c in u["clusters"]) == u["samples"] for u in sampled)


@pytest.mark.parametrize("policy", ["balanced", "strict", "thrifty"])
def test_the_shipped_profiles_fit_the_default_model_and_name_their_certificate(gateway, policy):
    """Of what the model read often most is answered, of what it never saw hardly anything."""
    known, unknown = (
        [
            gateway.ask(prompt=question["prompt"], policy=policy).json()
            for question in questions(frequency, 10)
        ]
        for frequency in ("often", "never")
    )
    certificate = json.loads((POLICIES / f"{policy}.json").read_text())["calibration"]
    for body in (*known, *unknown):
        expected = {"id": certificate["id"], "risk_upper": certificate["alpha"]}
        assert body["calibration"] == expected, body["calibration_missing"]
        assert 0 <= body["confidence"] <= 1
    answered = [sum(body["decision"] == "answer" for body in some) for some in (known, unknown)]
    assert answered[0] > answered[1]
    assert min(body["confidence"] for body in known) > min(body["confidence"] for body in unknown)


def test_the_metrics_tell_what_was_decided(gateway):
    known, unknown = questions("often", 1)[0], questions("never", 1)[0]
    before = metric(gateway, "ucbd_requests_total")
    for question in (known, unknown, known):
        gateway.ask(prompt=question["prompt"], explain=True)
    gateway.ask(prompt="")
    after = metric(gateway, "ucbd_requests_total")
    assert sum(after.values()) - sum(before.values()) == 3
    assert any(
        'code="invalid_request"' in labels for labels in metric(gateway, "ucbd_errors_total")
    )
    assert sum(metric(gateway, "ucbd_cluster_count_count").values()) >= 3
    assert sum(metric(gateway, "ucbd_token_entropy_nats_count").values()) >= 3
    stages = " ".join(metric(gateway, "ucbd_stage_outcomes_total"))
    assert 'stage="fluency"' in stages
    assert 'stage="sampling"' in stages
    assert metric(gateway, "vllm:generation_tokens_total")


def test_explain_shows_the_samples_in_clusters_by_either_clusterer(gateway):
    prompt = questions("often", 1)[0]["prompt"]
    for clusterer in ("jaccard", "embedding"):
        body = gateway.ask(prompt=prompt, explain=True, clusterer=clusterer, seed=1).json()
        uncertainty = body["uncertainty"]
        assert uncertainty["clusterer"].startswith(clusterer)
        assert uncertainty["samples"] == uncertainty["samples_planned"] == 10
        assert uncertainty["cluster_count"] == len(uncertainty["clusters"])
        assert body["usage"]["engine_calls"] == 11
        assert body["usage"]["relative_cost"] > 3


def test_every_stage_runs_on_the_real_engine(gateway):
    """Each with its own evidence: an index, triples, a pointer, P(True), samples, a document."""
    question = questions("often", 1)[0]
    told = f"{question['prompt']} {question['reference'][0]}."
    body = gateway.ask(
        prompt=question["prompt"], policy="everything", explain=True, evidence=[told]
    ).json()
    stages = {stage["name"]: stage for stage in body["stages"]}
    assert tuple(stages) == STAGES
    assert {stage["outcome"] for stage in body["stages"]} <= {"passed", "uninformative"}, body
    assert stages["density"]["score"] < 0.5  # the index holds the question itself
    assert 0 < stages["pointer"]["score"] < 0.5  # often read, and answered rightly
    assert 0 <= stages["association"]["score"] <= 1
    assert 0 < stages["self_assessment"]["score"] < 1
    tokens = body["uncertainty"]["token_entropy"]["tokens"]
    assert stages["self_assessment"]["cost"] == pytest.approx(1 / tokens)
    assert stages["sampling"]["cost"] > 1
    assert stages["grounding"]["score"] < 0.5  # a document says so
    free = [stages[name]["cost"] for name in ("density", "pointer", "association", "grounding")]
    assert free == [0, 0, 0, 0]


def test_a_seed_makes_the_samples_repeatable(gateway):
    prompt = questions("once", 1)[0]["prompt"]

    def clusters():
        body = gateway.ask(prompt=prompt, explain=True, seed=11, clusterer="jaccard").json()
        return sorted((c["size"], c["text"]) for c in body["uncertainty"]["clusters"])

    assert clusters() == clusters()


def counted(gateway, name: str, label: str = "") -> float:
    return sum(value for labels, value in metric(gateway, name).items() if label in labels)


def in_flight(gateway) -> float:
    return counted(gateway, "ucbd_in_flight")


def running(gateway) -> float:
    """As the scheduler last published it."""
    return counted(gateway, "vllm:num_requests_running")


@contextmanager
def clients(gateway, body: dict, count: int):
    """Clients that have asked for a chat completion, and go away at the end."""
    host, port = gateway.url.removeprefix("http://").split(":")
    content = json.dumps(body)
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n{content}"
    )
    connections = [socket.create_connection((host, int(port))) for _ in range(count)]
    for connection in connections:
        connection.sendall(request.encode())
    yield
    for connection in connections:
        connection.close()


LONG = {"prompt": "where", "max_tokens": 900, "temperature": 2.0, "stop": ["\x00"]}


def held_to(gateway, characters: int, **steering: object) -> dict:
    """A chat request whose texts have as many characters for certain: a schema says so."""
    schema = {"type": "string", "minLength": characters, "maxLength": characters}
    return {
        "model": gateway.get("/v1/models").json()["data"][0]["id"],
        "messages": [{"role": "user", "content": "where"}],
        "max_tokens": 900,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        "ucbd": {"clusterer": "jaccard", **steering},
    }


def until(holds, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "still not so"
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("stream", [False, True], ids=["its answer", "its stream"])
def test_a_client_that_leaves_frees_the_engine(gateway, stream):
    """Seen in vLLM's own counts: what it was asked for does not run on, and is never finished."""
    left = counted(gateway, "ucbd_errors_total", "client_closed")
    finished = counted(gateway, "vllm:request_success_total")
    with clients(gateway, held_to(gateway, 1000, samples=0) | {"stream": stream}, 4):
        until(lambda: in_flight(gateway) == 4 and running(gateway))
    until(lambda: not in_flight(gateway))
    assert counted(gateway, "vllm:request_success_total") < finished + 4
    assert counted(gateway, "ucbd_errors_total", "client_closed") == left + 4
    gateway.ask(prompt="x", max_tokens=1)  # makes the scheduler publish its count
    until(lambda: not running(gateway))


def test_a_client_that_leaves_while_samples_are_drawn_frees_the_engine_of_them(gateway):
    """As above. Only texts of at most 64 tokens are sampled, so these may end before we look."""
    body = held_to(gateway, 50, samples=10, explain=True)

    def leave() -> bool:
        finished = counted(gateway, "vllm:request_success_total")
        answers = counted(gateway, "ucbd_requests_total")
        with clients(gateway, body, 8):
            # More run than there are clients: samples.
            while not (seen := in_flight(gateway) == 8 and running(gateway) > 8):
                if counted(gateway, "ucbd_requests_total") == answers + 8:
                    break
        until(lambda: not in_flight(gateway))
        return seen and counted(gateway, "vllm:request_success_total") - finished < 8 * 11

    assert any(leave() for _ in range(20))
    gateway.ask(prompt="x", max_tokens=1)
    until(lambda: not running(gateway))


def test_fifty_requests_at_once_are_all_answered(gateway):
    prompts = [question["prompt"] for question in questions("seldom", 50)]
    statuses: list[int] = []

    def ask(prompt: str) -> None:
        statuses.append(gateway.ask(prompt=prompt).status_code)

    threads = [threading.Thread(target=ask, args=(prompt,)) for prompt in prompts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 50


def test_the_readme_request_works(gateway):
    """The README's request, its response's shape and the decision that it shows."""
    readme = (FOLDER.parents[2] / "README.md").read_text()
    request = json.loads(re.search(r"--json '(\{.*?\})'", readme).group(1))
    shown = json.loads(re.search(r"```json\n(.*?)```", readme, re.DOTALL).group(1))
    body = gateway.ask(**request).json()
    assert body.keys() == shown.keys()
    assert body["uncertainty"].keys() == shown["uncertainty"].keys()
    assert body["decision"] == shown["decision"]
    assert body["answer"] == shown["answer"]


def test_a_second_gateway_on_the_same_port_stops_at_once_with_exit_code_2(gateway):
    port = gateway.url.rsplit(":", 1)[1]
    done = subprocess.run(ucbd("serve", "--port", port), capture_output=True, timeout=120)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--model", "/no/such/folder"], "model: '/no/such/folder' is no folder"),
        (["--policy", "none-such"], "policy: 'none-such' is neither a file nor one of"),
        (["--config", "/no/such.toml"], "/no/such.toml: No such file or directory"),
        (["--port", "70000"], "port: Input should be less than or equal to 65535, got 70000"),
        (["--prot", "1"], "unrecognized arguments: --prot 1"),
    ],
)
def test_a_wrong_argument_stops_with_exit_code_2_and_says_what(arguments, complaint):
    done = subprocess.run(ucbd("serve", *arguments), capture_output=True, timeout=120)
    assert done.returncode == 2
    assert complaint in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_another_model_is_served(tmp_path, random_weights):
    """``--model PATH``."""
    log = tmp_path / "log"
    with serving(log, "--model", str(random_weights), UCBD_DTYPE="float32") as gateway:
        body = gateway.ask(prompt="where was he born", max_tokens=4, samples=0).json()
        assert body["model"] == str(random_weights)
        assert body["usage"]["completion_tokens"] == 4


def test_sigterm_finishes_what_is_under_way_and_ends_the_gateway_and_its_engine(tmp_path):
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(gateway.ask(**LONG, samples=0))

    with serving(tmp_path / "log") as gateway:
        children = psutil.Process(gateway.process.pid).children(recursive=True)
        assert children
        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        until(lambda: in_flight(gateway) + len(answers) == 4)
    for thread in asking:
        thread.join()
    assert [response.status_code for response in answers] == [200] * 4
    assert gateway.process.returncode == 0
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    with pytest.raises(httpx.TransportError):
        gateway.get("/healthz")
