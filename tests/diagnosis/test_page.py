"""The page needs nothing beside itself, and nothing that a model or a file says becomes markup."""

import json
import re
from typing import Any

import pytest

from tests.diagnosis.served import Answer, greedy, served
from ucbd.app.cli import main

HOSTILE = '<script>alert("x")</script><img src=http://evil.example/a.png onerror=alert(1)>'


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a model, questions and kinds that are all hostile, compared with another."""
    folder = tmp_path_factory.mktemp("page")
    rows = [
        {"id": "a", "prompt": HOSTILE, "kind": HOSTILE, "language": "<b>", "reference": ["x"]},
        {"id": "b", "prompt": f"{HOSTILE} again", "kind": "view", "language": "en"},
    ]
    path = folder / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def script(body: dict[str, Any], turn: int) -> Answer:
        varied = "" if greedy(body) or "again" not in str(body["messages"]) else f" {turn}"
        return Answer(HOSTILE + varied)

    with served(script, models=(HOSTILE,)) as one, served(models=("plain",)) as other:
        arguments = ("--questions", str(path), "--out", str(folder / "out"), "--yes")
        against = ("--against", other.url, "--max-shift", "0.1", "--clusterers", "jaccard,exact")
        assert main(["diagnose", one.url, *arguments, *against]) in (0, 3)
    return (folder / "out" / "report.html").read_text()


def test_what_is_said_is_never_markup(page: str):
    for part in ("<script", "<img", "onerror=alert(1)>"):
        assert part not in page.lower()
    assert "&lt;script&gt;" in page


def test_it_loads_nothing(page: str):
    outside = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!#)[^\s>\"']+", page)
    assert [found for found in outside if "evil.example" not in found] == []
    assert set(re.findall(r"https?://[^\s\"<)]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://evil.example/a.png",
        *re.findall(r"http://127\.0\.0\.1:\d+", page),
    }


def test_it_holds_the_comparison_and_every_section(page: str):
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles[0] == "Against plain"
    assert {
        "It depends on who judges sameness",
        "By kind of question",
        "Against the number of samples",
        "Against temperature",
        "Token entropy, inside and outside",
        "Where the errors are",
        "What was asked, and what it cost",
        "How to read this",
    } <= set(titles)
