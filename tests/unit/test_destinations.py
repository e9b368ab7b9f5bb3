"""Where commands write: what is in the way is said before the work, and nothing is left behind."""

from pathlib import Path

import pytest

from ucbd.app.cli import main
from ucbd.app.files import replace_file

FILES = ["calibrate r.jsonl", "pointer r.jsonl", "records --audit", "compare one two"]
FOLDERS = [
    "replay r.jsonl",
    "evaluate r.jsonl",
    "questions",
    "index r.jsonl",
    "diagnose http://127.0.0.1:9 --yes",
]
CASES = (
    [(command, "taken.html", "taken.html is a folder; name a file") for command in FILES]
    + [(command, "text/new.html", "text is a file") for command in [*FILES, *FOLDERS]]
    + [(command, "text", "text is a file; name a folder") for command in FOLDERS]
    + [
        (
            "diagnose http://127.0.0.1:9 --starter-policy taken.html",
            "new",
            "--starter-policy: taken.html is a folder",
        )
    ]
)


@pytest.mark.parametrize(("command", "out", "said"), CASES)
def test_what_is_in_the_way_is_said_first(command, out, said, tmp_path, monkeypatch, capsys):
    """No input is there: whoever looked at it first would name that."""
    monkeypatch.chdir(tmp_path)
    Path("taken.html").mkdir()
    Path("text").write_text("mine")
    assert main([*command.split(), "--out", out]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "--out: " in error or "--starter-policy: " in error
    assert {path.name for path in tmp_path.iterdir()} == {"taken.html", "text"}
    assert Path("text").read_text() == "mine"


def test_a_file_that_cannot_be_put_in_its_place_leaves_no_half(tmp_path):
    (tmp_path / "p.json").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path / "p.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["p.json"]
