"""Both processors and their store, without an engine: slots, positions, memory."""

import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality

from ucbd.models.exact_entropy import ENTROPY_ID, v1
from ucbd.models.exact_entropy.entropy import entropy
from ucbd.models.exact_entropy.store import EntropyStore
from ucbd.models.exact_entropy.v1 import EntropyProcessorV1
from ucbd.models.exact_entropy.v2 import EntropyProcessorV2
from ucbd.models.exact_entropy.worker import EntropyWorker

SWAP, ONE_WAY = MoveDirectionality.SWAP, MoveDirectionality.UNIDIRECTIONAL


def logits_of(*probabilities: float) -> list[float]:
    return [math.log(p) if p else -math.inf for p in probabilities]


# Entropies by hand: ln 4; (0.7, 0.2, 0.1) → 0.801819 (method.md section 6); a certain token → 0
UNIFORM = logits_of(0.25, 0.25, 0.25, 0.25)
SKEWED = logits_of(0.7, 0.2, 0.1, 0)
CERTAIN = logits_of(1, 0, 0, 0)


def measured(request: str | None) -> SamplingParams:
    return SamplingParams(extra_args=request and {ENTROPY_ID: request})


def test_entropy_by_hand_with_masked_entries_and_any_scale_of_logits():
    rows = torch.tensor([UNIFORM, SKEWED, CERTAIN])
    assert entropy(rows).tolist() == pytest.approx([math.log(4), 0.801819, 0], abs=1e-6)
    assert entropy(rows + 50).tolist() == pytest.approx([math.log(4), 0.801819, 0], abs=1e-5)


def test_many_rows_have_each_its_own_entropy_in_their_order():
    """So many that a CPU takes them in blocks, the last of which is smaller."""
    rows = torch.tensor([UNIFORM, SKEWED, CERTAIN]).repeat(100_001, 1)
    expected = torch.tensor([math.log(4), 0.801819, 0]).repeat(100_001)
    assert torch.allclose(entropy(rows), expected, atol=1e-5)


@pytest.mark.parametrize("row", [[0, math.nan], [-math.inf, -math.inf], [math.inf, 0]])
def test_a_row_without_a_distribution_is_nan(row):
    assert math.isnan(entropy(torch.tensor([row], dtype=torch.float32)).item())


@pytest.mark.parametrize("scale", [0.1, 1, 5, 30, 200])
def test_a_large_vocabulary_costs_no_precision(scale):
    """151,936 tokens, as Qwen's, in float32 and against float64; the logits are left alone."""
    logits = torch.randn(4, 151_936, generator=torch.Generator().manual_seed(0)) * scale
    before = logits.clone()
    p = torch.softmax(logits.double(), dim=-1)
    exact = -(p * p.log()).nan_to_num().sum(dim=-1)
    assert entropy(logits).double().tolist() == pytest.approx(exact.tolist(), abs=1e-5)
    assert torch.equal(logits, before)


class TestStore:
    def test_values_come_back_in_order_of_position_and_only_once(self):
        store = EntropyStore()
        store.put("a", 0, 0.5)
        store.put("a", 1, 0.7)
        assert store.collect(["a", "b"], []) == [[0.5, 0.7], None]
        assert store.collect(["a"], []) == [None]
        assert len(store) == 0

    def test_a_position_written_again_is_overwritten(self):
        """As after preemption, or a draft that was not accepted."""
        store = EntropyStore()
        for position, value in ((0, 1.0), (1, 2.0), (0, 3.0), (1, 4.0), (2, 5.0)):
            store.put("a", position, value)
        assert store.collect(["a"], []) == [[3.0, 4.0, 5.0]]

    def test_a_gap_reads_as_nan_not_as_zero(self):
        store = EntropyStore()
        store.put("a", 2, 5.0)
        (values,) = store.collect(["a"], [])
        assert math.isnan(values[0])
        assert math.isnan(values[1])
        assert values[2] == 5.0

    def test_values_so_far_stay_until_they_are_collected(self):
        store = EntropyStore()
        store.put("a", 0, 0.5)
        store.put("a", 1, 0.7)
        assert store.so_far("a", 0) == [0.5, 0.7]
        assert store.so_far("a", 1) == [0.7]
        assert store.so_far("a", 2) == store.so_far("never seen", 0) == []
        assert store.collect(["a"], []) == [[0.5, 0.7]]

    def test_what_nobody_collects_is_bounded_and_the_longest_silent_goes_first(self):
        store = EntropyStore(max_values=4)
        for request in ("old", "busy"):
            store.put(request, 0, 1.0)
        store.put("busy", 1, 1.0)
        store.put("new", 0, 1.0)
        store.put("new", 1, 1.0)  # one too many: "old" has been silent longest
        assert store.collect(["old", "busy", "new"], []) == [None, [1.0, 1.0], [1.0, 1.0]]

    def test_forgotten_requests_are_dropped(self):
        store = EntropyStore()
        store.put("a", 0, 1.0)
        assert store.collect([], ["a", "never seen"]) == []
        assert len(store) == 0

    @given(
        st.lists(
            st.tuples(st.sampled_from("abcde"), st.integers(0, 6), st.floats(0, 5)), max_size=60
        )
    )
    def test_its_size_is_what_it_holds_and_never_above_its_bound(self, writes):
        store = EntropyStore(max_values=16)
        for request, position, value in writes:
            store.put(request, position, value)
            assert len(store) <= 16
        held = store.collect(list("abcde"), [])
        assert len(store) == 0
        assert sum(len(values) for values in held if values) <= 16


class TestV1:
    @pytest.fixture
    def processor(self):
        return EntropyProcessorV1(None, torch.device("cpu"), False)

    def update(self, processor, *, removed=(), added=(), moved=()):
        processor.update_state(BatchUpdate(8, list(removed), list(added), list(moved)))

    def test_it_is_called_for_greedy_rows_too(self, processor):
        assert processor.is_argmax_invariant() is False

    def test_rows_are_kept_by_request_and_output_position(self, processor):
        first, second = [], [11, 12]
        self.update(
            processor,
            added=[(0, measured("a"), None, first), (1, measured("b"), None, second)],
        )
        logits = torch.tensor([UNIFORM, SKEWED])
        assert processor.apply(logits) is logits
        first.append(1)
        second.append(1)
        processor.apply(torch.tensor([CERTAIN, UNIFORM]))
        a, b = processor.store.collect(["a", "b"], [])
        assert a == pytest.approx([math.log(4), 0])
        assert b[2:] == pytest.approx([0.801819, math.log(4)])

    def test_rows_that_came_in_any_order_are_read_where_they_lie(self, processor, monkeypatch):
        """All of them are measured: nothing of the size of the logits is copied for that."""
        read = []
        monkeypatch.setattr(v1, "entropy", lambda rows: read.append(rows) or torch.zeros(2))
        self.update(processor, added=[(1, measured("b"), None, []), (0, measured("a"), None, [])])
        logits = torch.tensor([UNIFORM, SKEWED])
        processor.apply(logits)
        assert read[0].data_ptr() == logits.data_ptr()

    def test_requests_that_do_not_ask_are_not_kept(self, processor):
        self.update(
            processor,
            added=[(0, measured(None), None, []), (1, measured("b"), None, [])],
        )
        processor.apply(torch.tensor([UNIFORM, SKEWED]))
        assert len(processor.store) == 1
        assert processor.store.collect(["b"], [])[0] == pytest.approx([0.801819])

    def test_an_added_request_replaces_the_one_in_its_slot_without_a_removal(self, processor):
        self.update(processor, added=[(0, measured("a"), None, [])])
        self.update(processor, added=[(0, measured("b"), None, [])])
        processor.apply(torch.tensor([UNIFORM]))
        assert processor.store.collect(["a", "b"], [])[0] is None
        self.update(processor, added=[(0, measured(None), None, [])])
        processor.apply(torch.tensor([UNIFORM]))
        assert len(processor.store) == 0

    def test_requests_follow_swaps_and_one_way_moves(self, processor):
        self.update(
            processor,
            added=[(n, measured(name), None, []) for n, name in enumerate("abc")],
        )
        self.update(processor, removed=[1], moved=[(0, 2, SWAP), (2, 1, ONE_WAY)])
        # a and c changed places, then a (now in 2) moved to 1
        processor.apply(torch.tensor([UNIFORM, SKEWED]))
        a, b, c = processor.store.collect(["a", "b", "c"], [])
        assert a == pytest.approx([0.801819])
        assert b is None
        assert c == pytest.approx([math.log(4)])

    def test_a_preempted_request_keeps_its_values_and_goes_on_where_it_was(self, processor):
        output = []
        self.update(processor, added=[(0, measured("a"), None, output)])
        processor.apply(torch.tensor([UNIFORM]))
        output.append(5)
        self.update(processor, removed=[0])
        self.update(processor, added=[(0, measured("a"), None, [5])])
        processor.apply(torch.tensor([SKEWED]))
        assert processor.store.collect(["a"], [])[0] == pytest.approx([math.log(4), 0.801819])

    def test_the_worker_collects_from_the_processor_of_its_process(self, processor):
        self.update(processor, added=[(0, measured("a"), None, [])])
        processor.apply(torch.tensor([UNIFORM]))
        worker = EntropyWorker()
        assert worker.ucbd_kept() == 1
        assert worker.ucbd_collect([], [], [("a", 0)])[0] == pytest.approx([math.log(4)])
        assert worker.ucbd_collect(["a"], [], [("a", 1)])[0] == pytest.approx([math.log(4)])


class TestV2:
    """With request states and contexts made by hand, as the interface describes them."""

    PROMPT_LENGTHS = (3, 5, 2, 4)

    @pytest.fixture
    def processor(self):
        lengths = torch.tensor(self.PROMPT_LENGTHS)
        return EntropyProcessorV2(None, SimpleNamespace(prompt_len=SimpleNamespace(gpu=lengths)))

    def context(self, slots, rows, positions):
        return SimpleNamespace(
            idx_mapping_np=np.array(slots),
            expanded_idx_mapping=torch.tensor(rows),
            pos=torch.tensor(positions),
        )

    def test_rows_are_kept_by_request_and_output_position(self, processor):
        assert processor.add_request(2, measured("a")) is True
        assert processor.add_request(0, measured("b")) is True
        # The last prompt token stands at prompt_len - 1: what follows it is output 0.
        logits = torch.tensor([UNIFORM, SKEWED])
        assert processor.apply(logits, self.context([2, 0], [2, 0], [1, 2])) is logits
        processor.apply(torch.tensor([CERTAIN, UNIFORM]), self.context([0, 2], [0, 2], [3, 2]))
        a, b = processor.store.collect(["a", "b"], [])
        assert a == pytest.approx([math.log(4), math.log(4)])
        assert b == pytest.approx([0.801819, 0])

    def test_a_slot_taken_over_belongs_to_the_new_request(self, processor):
        processor.add_request(1, measured("a"))
        assert processor.add_request(1, measured(None)) is False
        processor.apply(torch.tensor([UNIFORM]), self.context([1], [1], [4]))
        assert len(processor.store) == 0

    def test_prefill_rows_that_sample_nothing_are_left_out(self, processor):
        processor.add_request(1, measured("a"))
        processor.apply(torch.tensor([UNIFORM]), self.context([1], [1], [2]))
        assert processor.store.collect(["a"], []) == [None]

    def test_a_rejected_draft_is_written_again_at_its_position(self, processor):
        processor.add_request(0, measured("a"))
        # Three rows of one request: the sampled position and two drafts after it.
        processor.apply(
            torch.tensor([UNIFORM, UNIFORM, UNIFORM]), self.context([0], [0, 0, 0], [2, 3, 4])
        )
        # The first draft was rejected: position 1 comes again.
        processor.apply(torch.tensor([SKEWED]), self.context([0], [0], [3]))
        (values,) = processor.store.collect(["a"], [])
        assert values == pytest.approx([math.log(4), 0.801819, math.log(4)])


@pytest.mark.skipif(not torch.cpu._is_amx_tile_supported(), reason="this processor has no AMX")
def test_a_process_that_asks_may_use_amx():
    """By the kernel's own word (arch_prctl 0x1022, bit 18), in a process that had not asked."""
    permitted = "import ctypes; m = ctypes.c_ulong(); "
    permitted += "ctypes.CDLL(None).syscall(158, 0x1022, ctypes.byref(m)); print(m.value >> 18 & 1)"
    ask = "from ucbd.models.exact_entropy.amx import ask_for_amx; ask_for_amx(); "
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for code in (permitted, ask + permitted)
    ]
    assert [process.stdout.strip() for process in said] == ["0", "1"]
