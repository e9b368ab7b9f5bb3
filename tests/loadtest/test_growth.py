"""What growth is measured with: slopes by hand, an index the gateway reads, plots of a file."""

import json

import numpy as np
import pytest

from loadtest.growth import AXES, slope
from loadtest.growth_plots import X, draw
from loadtest.instant_upstream import completion
from loadtest.made_index import vectors, write
from ucbd.models.neighbours import read_index


def test_a_slope_has_its_interval():
    # y = 2x + 1 with residuals 1, -1, -1, 1: s² = 4 / 2, Σ(x - x̄)² = 5, t(0.975, 2) = 4.303.
    found = slope([1, 2, 3, 4], [4, 4, 6, 10])
    assert found["slope"] == pytest.approx(2)
    assert found["at_zero"] == pytest.approx(1)
    assert found["half"] == pytest.approx(4.303 * (2 / 5) ** 0.5, rel=1e-3)


def test_a_made_index_is_one_that_the_gateway_reads(tmp_path):
    write(tmp_path / "index", 500)
    index = read_index(tmp_path / "index")
    made = vectors(500)
    assert index.about.entries == 500
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.ones(500), abs=1e-5)
    assert index.cosines(made[7], 1) == pytest.approx([1], abs=1e-5)


def test_an_instant_answer_has_as_many_tokens_as_were_asked_for():
    told = json.loads(completion(40))
    content = told["choices"][0]["logprobs"]["content"]
    assert len(content) == told["usage"]["completion_tokens"] == 40
    assert {len(token["top_logprobs"]) for token in content} == {20}


def test_every_axis_can_be_drawn(tmp_path):
    assert set(X) == set(AXES)
    row = {"p50": 0.01, "p99": 0.02, "cpu": 0.003, "memory": 5e8, "stage": 0.004}
    for axis in AXES:
        rows = [{"x": x, **row} for x in (1, 10, 100)]
        told = {"axis": axis, "engine": "upstream", "rows": rows}
        (tmp_path / f"{axis}-upstream.json").write_text(json.dumps(told))
    written = draw(tmp_path)
    assert len(written) == len(AXES)
    assert all(path.read_text().startswith("<?xml") for path in written)
