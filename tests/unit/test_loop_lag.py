"""The event loop's lag is seen from inside, and what would hold the loop is done beside it."""

import threading

from prometheus_client import CollectorRegistry

from ucbd.app.telemetry.loop_lag import LoopLag
from ucbd.cascade.clustering.clusterer import beside_the_loop
from ucbd.cascade.clustering.combined import Combined
from ucbd.cascade.clustering.guarded import Guarded
from ucbd.cascade.clustering.jaccard import Jaccard


def test_the_lag_is_what_a_look_comes_later_than_a_tenth_of_a_second():
    registry = CollectorRegistry()
    lag = LoopLag(registry, "m")
    for now in (7.0, 7.1, 7.203, 7.203 + 0.1 + 0.4):  # in time, 3 ms late, 400 ms late
        lag.look(now)

    def up_to(seconds: str) -> float | None:
        name = "ucbd_event_loop_lag_seconds_bucket"
        return registry.get_sample_value(name, {"model": "m", "le": seconds})

    assert [up_to(le) for le in ("0.001", "0.002", "0.005", "0.25", "1.0")] == [1, 1, 2, 2, 3]


async def test_short_texts_are_worked_on_at_once_and_long_ones_in_a_thread():
    here = threading.get_ident()
    assert await beside_the_loop(["short"] * 10, threading.get_ident) == here
    assert await beside_the_loop(["long " * 200] * 10, threading.get_ident) != here


async def test_labels_are_the_same_in_a_thread():
    """Of texts on both sides of the bound, the longer ones being the shorter and more."""
    answers = ["It is Tarn", "It is Tarn", "It is Dole", "In 1931", "In 1932"]
    for clusterer in (Jaccard(), Combined(), Guarded(Jaccard()), Guarded(Combined())):
        short = await clusterer.cluster(answers[0], answers)
        long = await clusterer.cluster(
            answers[0] + " " * 2000, [text + " " * 2000 for text in answers]
        )
        assert long == short
