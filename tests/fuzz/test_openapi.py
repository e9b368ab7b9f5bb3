"""Everything that the OpenAPI says can be sent, and much that it says cannot, by schemathesis.

On a real process with a scripted engine. Some hundreds of cases in CI, thousands in `make verify`.
"""

from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.process.conftest import scripted
from ucbd.app.settings import Settings

STATED = {501, 503, 504}
"""The only statuses of 500 and more that may be seen here: each is documented with its code."""

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


PLAIN = {"prompt", "messages", "seed", "stream", "temperature", "top_p", "explain", "evidence"}


def made_askable(case: Case) -> None:
    """Made to be served, mostly: no schema says which policies there are, or what excludes what."""
    if not isinstance(case.body, dict):
        return
    body = {name: value for name, value in case.body.items() if name in PLAIN}
    if case.path.startswith("/v1/"):
        body["model"] = Settings().model
    body["max_tokens"] = 8
    if body.get("messages"):
        body["messages"] = [{"role": "user", "content": "where"}]
        body.pop("prompt", None)
    elif not str(body.get("prompt") or "").strip():
        body["prompt"] = "where"
    case.body = body


def tried(url: str, cases: int) -> tuple[Counter, list[str]]:
    """Statuses by operation and kind of data, and what was wrong."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [operation.ok() for operation in schema.get_all_operations()]
    open_ended = [operation for operation in operations if operation.body or operation.query]
    each = -(-cases // (3 * len(open_ended)))
    seen: Counter = Counter()
    wrong: list[str] = []

    def one(case: Case, kind: str) -> None:
        if kind == "askable":
            made_askable(case)
        response = case.call(timeout=60)
        seen[f"{case.method} {case.path} {kind} {response.status_code}"] += 1
        if response.status_code >= 500 and response.status_code not in STATED:
            wrong.append(f"{response.status_code}: {case.as_curl_command()}: {response.text[:300]}")
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failures:
            wrong.extend(f"{failure}" for failure in failures.exceptions)

    for operation in operations:
        kinds = ["valid", "askable", "invalid"] if operation in open_ended else ["valid"]
        for kind in kinds:
            mode = GenerationMode.NEGATIVE if kind == "invalid" else GenerationMode.POSITIVE

            limits = settings(
                max_examples=each,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            data = operation.as_strategy(generation_mode=mode)
            limits(given(case=data, kind=st.just(kind))(one))()
    return seen, wrong


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(300, marks=pytest.mark.slow),
        pytest.param(6000, marks=pytest.mark.verify),
    ],
)
def test_no_case_of_the_openapi_is_answered_otherwise_than_it_says(tmp_path, cases):
    with scripted(tmp_path / "log", deadline_ms=5000) as gateway:
        seen, wrong = tried(gateway.url, cases)
        assert gateway.get("/readyz").status_code == 200
        log = gateway.log.read_text()
    print(f"\n{sum(seen.values())} cases")
    for what, count in sorted(seen.items()):
        print(f"{count:6} {what}")
    assert not wrong, "\n\n".join(wrong[:5])
    assert "Traceback" not in log
    assert sum(seen.values()) >= 0.8 * cases  # hypothesis ends early where there is little to try
