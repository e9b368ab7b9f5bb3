"""The line between a worker and its reader: what is sent arrives once, what is not stays."""

import math
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.waiting import until
from ucbd.models import vllm_collect
from ucbd.models.errors import EngineUnavailable
from ucbd.models.exact_entropy.channel import Line, Receiver, Sender
from ucbd.models.exact_entropy.store import EntropyStore
from ucbd.models.exact_entropy.worker import EntropyWorker, announce
from ucbd.models.vllm_collect import EntropyCollector

STEP = [("7", 0, 0.5), ("8", 3, math.inf)]


def connected() -> tuple[Sender, Line]:
    receiver = Receiver()
    sender = Sender(receiver.path)
    (line,) = receiver.lines()
    receiver.close()
    return sender, line


@pytest.fixture
def ends():
    """A worker's end and its reader's."""
    sender, line = connected()
    yield sender, line
    sender.close()
    line.close()


def test_what_is_sent_arrives_as_it_was(ends):
    sender, line = ends
    assert sender.send(STEP) == []
    assert sender.send(STEP[:1]) == []
    assert line.read() == [*STEP, STEP[0]]
    assert line.read() == []


def test_nobody_else_can_connect_and_nothing_is_left_on_the_disk():
    receiver = Receiver()
    folder = Path(receiver.path).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    receiver.close()
    assert not folder.exists()
    with pytest.raises(OSError, match="No such file"):
        Sender(receiver.path)


def test_a_full_line_takes_whole_values_and_gives_the_others_back(ends):
    """In one call far more than the socket's buffer holds; it takes some again once it is read."""
    sender, line = ends
    many = [("1", position, position / 7) for position in range(100_000)]
    left = sender.send(many)
    assert 0 < len(left) < len(many)
    assert sender.send(STEP) == STEP
    arrived = line.read()
    while more := line.read():
        arrived += more
    assert arrived == many[: len(arrived)]
    assert arrived + list(left) == many
    # The first bytes of the next value were under way: it was given back, and arrives as well.
    assert sender.send(STEP) == []
    assert line.read() in ([*left[:1], *STEP], STEP)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 2000), st.booleans()), min_size=1, max_size=12),
    st.integers(2_000, 20_000),
)
def test_every_value_arrives_or_is_given_back(turns, buffer):
    """Whatever the order of sending and reading; only one cut in two does both."""
    sender, line = connected()
    sender._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    arrived, back, sent = [], [], []
    for turn, (count, reads) in enumerate(turns):
        values = [(str(turn), position, float(position)) for position in range(count)]
        sent += values
        back += sender.send(values)
        if reads:
            arrived += line.read()
    sender.close()
    while (more := line.read()) is not None:
        arrived += more
    line.close()
    once = set(arrived)
    assert arrived == [value for value in sent if value in once]
    assert once | set(back) == set(sent)
    assert len(once & set(back)) <= len(turns)


def test_a_line_that_was_hung_up_says_so_to_either_end(ends):
    sender, line = ends
    line.close()
    assert sender.send(STEP) == STEP
    assert sender.send(STEP) == STEP


def test_a_reader_is_told_when_its_worker_is_gone(ends):
    sender, line = ends
    sender.send(STEP)
    sender.close()
    assert line.read() == STEP
    assert line.read() is None


class OneWorker:
    """As much of ``AsyncLLM`` as collecting needs: calls reach the worker of this process."""

    output_handler = None

    def __init__(self, alone: bool = False) -> None:
        self._worker = EntropyWorker()
        self._alone = alone
        self.calls: list[str] = []
        self.store = announce(EntropyStore())

    async def collective_rpc(self, method, args=()):
        self.calls.append(method)
        if method == "ucbd_connect" and self._alone:
            args = ("/nowhere",)
        return [getattr(self._worker, method)(*args)]


async def collecting(alone: bool = False) -> tuple[OneWorker, EntropyCollector]:
    llm = OneWorker(alone)
    collector = EntropyCollector(llm)
    await collector.connect()
    collector.expect("1")
    return llm, collector


async def test_what_the_worker_sent_is_collected_without_a_call():
    llm, collector = await collecting()
    llm.store.add([("1", 0, 0.5)])
    llm.store.add([("1", 1, 0.7), ("2", 0, 9.0)])
    llm.store.add([("1", 2, 9.0), ("1", 4, 8.0)])  # steps that ran past the end
    assert collector.arrived("1", 1, 2) == [0.7]
    assert collector.arrived("1", 1, 5) == [0.7, 9.0]
    assert await collector.collect("1", 2) == [0.5, 0.7]
    assert llm.calls == ["ucbd_connect"]
    assert await collector.kept() == 0
    collector.close()


async def test_a_long_answer_is_read_meanwhile():
    """Else the socket would be full long before its end."""
    llm, collector = await collecting()
    for position in range(5):
        llm.store.add([("1", position, 0.5)])
        await until(lambda position=position: len(collector._arrived) > position)
    assert await collector.collect("1", 5) == [0.5] * 5
    collector.close()


async def test_what_could_not_be_sent_is_asked_for_and_put_in_its_place():
    """Also where a newer value of the same position was sent since: that one counts."""
    llm, collector = await collecting()
    llm.store.add([("1", 0, 0.1)])
    llm.store.put("1", 1, 0.2)
    llm.store.put("1", 2, 9.0)
    llm.store.add([("1", 2, 0.3)])
    assert await collector.collect("1", 3) == [0.1, 0.2, 0.3]
    assert llm.calls == ["ucbd_connect", "ucbd_collect"]
    assert await collector.kept() == 0
    collector.close()


async def test_what_is_sent_on_being_asked_counts():
    """As on a GPU, where the values of the last step are still being copied when it ends."""
    llm, collector = await collecting()
    late = [("1", 0, 0.5)]
    collect = llm.store.collect
    llm.store.collect = lambda *asked: llm.store.add(late) or collect(*asked)
    assert await collector.collect("1", 1) == [0.5]
    collector.close()


async def test_a_worker_that_cannot_reach_us_is_asked():
    llm, collector = await collecting(alone=True)
    assert not collector.sent
    llm.store.add([("1", 0, 0.5), ("1", 1, 0.7)])
    assert await collector.so_far("1", 1) == [0.7]
    assert await collector.collect("1", 2) == [0.5, 0.7]
    assert llm.calls == ["ucbd_connect", "ucbd_collect", "ucbd_collect"]


async def test_where_no_socket_can_be_made_the_worker_is_asked(monkeypatch, tmp_path, caplog):
    """A folder for temporary files whose name is longer than a socket's may be."""
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    llm, collector = await collecting()
    assert not list(deep.iterdir())
    assert "fetched, not sent" in caplog.text
    llm.store.add([("1", 0, 0.5)])
    assert await collector.collect("1", 1) == [0.5]


async def test_a_worker_that_dies_leaves_what_it_had_sent():
    llm, collector = await collecting()
    llm.store.add([("1", 0, 0.5)])
    llm.store._sender.close()

    async def dead(method, args=()):
        from vllm.v1.engine.exceptions import EngineDeadError

        raise EngineDeadError

    llm.collective_rpc = dead
    assert await collector.collect("1", 1) == [0.5]
    with pytest.raises(EngineUnavailable):
        await collector.collect("1", 1)


async def test_what_nobody_expects_is_not_held():
    llm, collector = await collecting()
    llm.store.add([("2", 0, 0.5), ("1", 0, 0.5)])
    collector.forget("1")
    llm.store.add([("1", 1, 0.5)])
    assert collector.arrived("1", 0, 2) == []
    assert await collector.kept() == 0
    collector.close()


async def test_what_a_step_past_the_end_left_with_the_worker_is_forgotten():
    """It found the socket full after the answer had been collected."""
    llm, collector = await collecting()
    llm.store.add([("1", 0, 0.5)])
    assert await collector.collect("1", 1) == [0.5]
    llm.store.put("1", 1, 9.0)
    assert await collector.kept() == 0
    assert len(llm.store) == 0
    collector.close()


async def test_after_a_silence_the_worker_is_asked_too_and_what_it_kept_is_the_newest(monkeypatch):
    """The first piece of a long prompt wrote position 0, the last one found the socket full."""
    monkeypatch.setattr(vllm_collect, "_FULL_SECONDS", -1.0)
    llm, collector = await collecting()
    llm.store.add([("1", 0, 9.0)])
    llm.store.put("1", 0, 0.5)
    assert await collector.collect("1", 1) == [0.5]
    assert llm.calls == ["ucbd_connect", "ucbd_collect"]
    collector.close()


def test_what_follows_a_value_that_was_kept_is_kept_too(ends):
    """So that what is kept of a request is never older than what was sent."""
    sender, line = ends
    store = EntropyStore()
    store._sender = sender
    store.put("1", 0, 9.0)
    store.add([("1", 0, 0.5), ("2", 0, 0.7)])
    assert line.read() == [("1", 0, 0.5), ("2", 0, 0.7)]
    assert store.collect(["1", "2"], []) == [[0.5], None]
