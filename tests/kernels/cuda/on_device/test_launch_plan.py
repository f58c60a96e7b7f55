"""Division of units among blocks, for all kinds of GPUs, without one."""

import dataclasses
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastrnn.errors import BackendError
from fastrnn.kernels.cuda import launch_plan
from fastrnn.kernels.cuda.launch_plan import plan
from fastrnn.kernels.cuda.target import AHEAD, TARGET, Target

CARD = {"block_shared": 48 * 1024, "threads": 256, "resident_threads": 512, "warp": 32, "rows": 8}
H100, A100, T4, RTX = (
    dataclasses.replace(TARGET, name=name, multiprocessors=count, shared=kib * 1024, **CARD)
    for name, count, kib in (("H100", 132, 228), ("A100", 108, 164), ("T4", 40, 64), ("RTX 3060", 28, 100))
)


@given(
    card=st.sampled_from([H100, A100, T4, RTX]),
    batch=st.integers(1, 600),
    hidden=st.integers(1, 2500),
    gates=st.integers(1, 4),
    backward=st.booleans(),
    itemsize=st.sampled_from([4, 8]),
)
def test_every_unit_has_one_block_and_all_blocks_run_at_once(
    card: Target, batch: int, hidden: int, gates: int, backward: bool, itemsize: int
) -> None:
    assume(itemsize == 4 or hidden <= 1000)  # the small ones have no room for more in float64
    of_unit, depth = (1, gates * hidden) if backward else (gates, hidden)
    found = plan(batch, hidden, of_unit, depth, itemsize, card)
    assert (found.blocks - 1) * found.units < hidden <= found.blocks * found.units
    slices = found.rows * found.each
    assert found.units % found.each == found.threads % slices == found.threads % card.warp == 0
    assert found.rows <= batch
    assert found.each * of_unit <= 4
    # what the kernel uses: its columns, each read in whole rounds, and the sums that are exchanged
    assert found.k_resident % (slices * AHEAD) == 0
    assert found.stride >= found.each * of_unit * found.k_resident
    used = found.units // found.each * found.stride + found.rows * (found.threads + 1)
    assert used * itemsize <= found.shared <= card.block_shared
    assert found.blocks <= card.multiprocessors * resident_blocks(card, found)


def resident_blocks(card: Target, found: launch_plan.Grid) -> int:
    """Blocks per multiprocessor by the toolkit's cuda_occupancy.h, for 128 registers a thread.

    16 warps of them fill the 65,536 registers of a multiprocessor. A block takes its shared memory
    and CUDA's own 1 kB, in units of 128 bytes, or 256 before compute capability 8.0.
    """
    unit = 256 if card is T4 else 128
    shared = (found.shared + 1024 + unit - 1) // unit * unit
    return min(16 // (found.threads // 32), card.shared // shared, 16)


def test_shared_memory_is_counted_in_whole_units() -> None:
    """Otherwise these grids would have more blocks than can be resident."""
    for card, batch, hidden, of_unit, depth in ((RTX, 1, 512, 1, 2048), (A100, 4, 1000, 1, 4000)):
        found = plan(batch, hidden, of_unit, depth, 4, card)
        assert found.blocks <= card.multiprocessors * resident_blocks(card, found)


@pytest.mark.parametrize("batch", [8, 64, 500])
@pytest.mark.parametrize("gates", [1, 2, 3, 4])
def test_neighbouring_threads_read_other_banks(gates: int, batch: int) -> None:
    """Shared memory has 32 banks of 4 bytes; different words of one bank are read one after
    another.
    """
    for hidden in (128, 256, 512, 1024):
        found = plan(batch, hidden, gates, hidden, 4, A100)
        slices, groups = found.rows * found.each, found.units // found.each
        words = [i // slices % groups * found.stride + i % slices for i in range(32)]
        waits = Counter(word % 32 for word in set(words))
        assert max(waits.values()) <= (1 if groups >= 32 // slices else 2)


@pytest.mark.parametrize(("card", "hidden"), [(H100, 512), (H100, 1024), (A100, 512)])
@pytest.mark.parametrize("batch", [1, 64, 512])
def test_weights_that_stay_on_chip(card: Target, hidden: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """LSTMs in float32, forward and backward."""
    monkeypatch.setattr(launch_plan, "AHEAD", 4)
    assert plan.__wrapped__(batch, hidden, 4, hidden, 4, card).k_resident >= hidden
    assert plan.__wrapped__(batch, hidden, 1, 4 * hidden, 4, card).k_resident >= 4 * hidden


def test_what_does_not_fit_is_read_anew_in_few_turns() -> None:
    found = plan(512, 1024, 4, 1024, 4, T4)
    assert found.k_resident < 1024
    assert found.units * 512 / found.threads <= 52  # as one block for each multiprocessor has with all its threads


def test_a_layer_too_wide_for_any_division() -> None:
    with pytest.raises(BackendError, match="100000 units is too wide for T4; use fewer, or --device cpu"):
        plan(64, 100_000, 4, 100_000, 4, T4)
