"""The cascade against everything in parallel, on records whose numbers are known."""

import json

import pytest

from ucbd.app.studies.against_parallel import main

SURE, TORN, LOST = [0.01], [0.2], [2.0]  # u = .010, .181 and .865


def written(path, *records):
    lines = [
        json.dumps({"id": str(i), "prompt": "Who was it?"} | record)
        for i, record in enumerate(records)
    ]
    path.write_text("\n".join(lines))
    return str(path)


def record(correct, entropies, *samples):
    said = {"text": "It was Ada.", "token_entropies": entropies, "tokens": 4}
    drawn = [{"text": text, "tokens": 4} for text in samples]
    return {"answer": said, "samples": drawn, "correct": correct}


ADA, BOB = ["It was Ada."] * 10, ["It was Bob.", "No idea at all."] * 5


def test_what_is_spent_and_what_is_ranked(tmp_path, capsys):
    """Only the torn two are sampled: one is settled by its first three, at a cost of 3."""
    path = written(
        tmp_path / "r.jsonl",
        record(True, SURE, *ADA),
        record(False, LOST, *BOB),
        record(True, TORN, *ADA),
        record(False, TORN, *BOB),
    )
    assert main([path, "--clusterers", "jaccard"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in lines if "|" in line}
    assert lines[0] == "4 questions, 50.0% right, clusterer jaccard"
    assert rows["all stages in parallel"][0].strip() == "11.00"
    assert 1 < float(rows["`cascade`"][0]) < 1 + 13 / 4 + 1e-9
    # sampling separates the torn ones, which token entropy ties: 3.5 of 4 pairs against 4 of 4
    assert rows["`mean_token_entropy`"][1].strip().startswith("0.875")
    assert rows["`cascade`"][1].strip().startswith("1.000")
    assert rows["`cascade` − all stages in parallel"][0].strip().startswith("+0.0000")
    assert "requests that spent more than when everything ran: 0 of 4" in lines
    # of the two that agree neither is wrong, of the two that do not both are
    assert [cell.split()[0] for cell in rows["`jaccard`"][:4]] == [
        "50.0%",
        "0.0%",
        "100.0%",
        "0.0%",
    ]


def test_what_no_stage_is_about_is_left_out_and_counted(tmp_path, capsys):
    poem = record(True, SURE) | {"prompt": "Write a poem about the sea."}
    path = written(tmp_path / "r.jsonl", record(True, SURE), record(False, LOST), poem)
    assert main([path, "--clusterers", "jaccard"]) == 0
    out = capsys.readouterr().out
    assert "2 questions" in out
    assert "left out, because nothing of the policy is about them: 1" in out


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([record(True, SURE)] * 2, "needs right and wrong answers"),
        ([{"correct": True}, {"correct": False}], "needs right and wrong answers"),
    ],
)
def test_records_that_cannot_be_ranked_are_refused(tmp_path, capsys, records, said):
    assert main([written(tmp_path / "r.jsonl", *records)]) == 2
    assert said in capsys.readouterr().err
