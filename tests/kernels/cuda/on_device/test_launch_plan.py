"""Division of a layer among blocks and threads, for all kinds of GPUs, without one."""

import dataclasses
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastrnn.errors import BackendError
from fastrnn.kernels.cuda import launch_plan
from fastrnn.kernels.cuda.launch_plan import LaunchPlan, plan
from fastrnn.kernels.cuda.target import AHEAD, TARGET, Target

CARD = {"threads": 256, "resident_threads": 512, "warp": 32, "rows": 8}
H100, A100, T4, RTX, OLD_LIMIT = (
    dataclasses.replace(
        TARGET, name=name, multiprocessors=count, shared=kib * 1024, block_shared=block_kib * 1024, **CARD
    )
    for name, count, kib, block_kib in (
        ("H100", 132, 228, 227),
        ("A100", 108, 164, 163),
        ("T4", 40, 64, 64),
        ("RTX 3060", 28, 100, 99),
        ("H100 without opt-in", 132, 228, 48),
    )
)


@given(
    card=st.sampled_from([H100, A100, T4, RTX, OLD_LIMIT]),
    batch=st.integers(1, 600),
    hidden=st.integers(1, 2500),
    gates=st.integers(1, 4),
    backward=st.booleans(),
    itemsize=st.sampled_from([4, 8]),
)
def test_every_item_has_one_block_and_all_blocks_run_at_once(
    card: Target, batch: int, hidden: int, gates: int, backward: bool, itemsize: int
) -> None:
    assume(itemsize == 4 or hidden <= 1000)  # the small ones have no room for more in float64
    of_unit, depth = (1, gates * hidden) if backward else (gates, hidden)
    found = plan(batch, hidden, of_unit, depth, itemsize, card)
    tiling = found.tiling
    assert (tiling.batch, tiling.hidden, tiling.depth) == (batch, hidden, depth)

    # Blocks: all units times all rows, no block without both.
    row_blocks = found.blocks // tiling.unit_blocks
    assert found.blocks == row_blocks * tiling.unit_blocks
    assert (tiling.unit_blocks - 1) * tiling.units < hidden <= tiling.unit_blocks * tiling.units
    assert (row_blocks - 1) * tiling.rows < batch <= row_blocks * tiling.rows

    # Threads: whole groups, a place for every item.
    group_items = found.units_per_thread * found.rows_per_thread
    assert tiling.units % found.units_per_thread == tiling.rows % found.rows_per_thread == 0
    assert found.threads % found.k_split == found.threads % card.warp == 0
    assert group_items <= found.k_split <= card.warp
    assert tiling.items == tiling.units * tiling.rows // group_items * found.k_split
    assert found.rows_per_thread <= batch
    assert found.units_per_thread * of_unit <= 4

    # Shared memory: the columns, each read in whole rounds, and the sums that are exchanged.
    assert tiling.k_resident % (found.k_split * AHEAD) == 0
    assert tiling.stride >= found.units_per_thread * of_unit * tiling.k_resident
    used = tiling.units // found.units_per_thread * tiling.stride + found.rows_per_thread * (found.threads + 1)
    assert used * itemsize <= found.shared <= card.block_shared
    assert found.blocks <= card.multiprocessors * resident_blocks(card, found)


def resident_blocks(card: Target, found: LaunchPlan) -> int:
    """Blocks per multiprocessor by the toolkit's cuda_occupancy.h, for 128 registers a thread.

    16 warps of them fill the 65,536 registers of a multiprocessor. A block takes its shared memory
    and CUDA's own 1 kB (none before compute capability 8.0), in units of 128 bytes, or 256.
    """
    unit, taken = (256, 0) if card is T4 else (128, 1024)
    shared = (found.shared + taken + unit - 1) // unit * unit
    return min(16 // (found.threads // 32), card.shared // shared, 16)


def test_shared_memory_is_counted_in_whole_units() -> None:
    """Otherwise these grids would have more blocks than can be resident."""
    for card, batch, hidden, of_unit, depth in ((RTX, 1, 512, 1, 2048), (A100, 4, 1000, 1, 4000)):
        found = plan(batch, hidden, of_unit, depth, 4, card)
        assert found.blocks <= card.multiprocessors * resident_blocks(card, found)


@pytest.mark.parametrize("batch", [8, 64, 500])
@pytest.mark.parametrize("gates", [1, 2, 3, 4])
def test_neighbouring_threads_read_different_banks(gates: int, batch: int) -> None:
    """Shared memory has 32 banks of 4 bytes; different words of one bank are read one after
    another.
    """
    for hidden in (128, 256, 512, 1024):
        found = plan(batch, hidden, gates, hidden, 4, A100)
        k_split, groups = found.k_split, found.tiling.units // found.units_per_thread
        words = [i // k_split % groups * found.tiling.stride + i % k_split for i in range(32)]
        waits = Counter(word % 32 for word in set(words))
        assert max(waits.values()) <= (1 if groups >= 32 // k_split else 2)


@pytest.mark.parametrize(("card", "hidden"), [(H100, 512), (H100, 1024), (A100, 512), (OLD_LIMIT, 512)])
@pytest.mark.parametrize("batch", [1, 64, 512])
def test_weights_that_stay_on_chip(card: Target, hidden: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """LSTMs in float32, forward and backward."""
    monkeypatch.setattr(launch_plan, "AHEAD", 4)
    assert plan.__wrapped__(batch, hidden, 4, hidden, 4, card).tiling.k_resident >= hidden
    assert plan.__wrapped__(batch, hidden, 1, 4 * hidden, 4, card).tiling.k_resident >= 4 * hidden


def test_rows_are_divided_when_blocks_may_have_more_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """An LSTM of 512 units backward: a multiprocessor reads a quarter of the gates in each step."""
    monkeypatch.setattr(launch_plan, "AHEAD", 4)
    sizes = 64, 512, 1, 4 * 512, 4
    assert plan.__wrapped__(*sizes, OLD_LIMIT).tiling.rows == 64
    divided = plan.__wrapped__(*sizes, H100)
    assert divided.tiling.rows == 16
    assert divided.shared > 48 * 1024
    assert divided.blocks <= H100.multiprocessors  # one a multiprocessor


def test_warp_for_each_unit_of_a_single_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_plan, "AHEAD", 4)
    found = plan.__wrapped__(1, 512, 4, 512, 4, H100)
    assert found.k_split == 32
    assert found.threads == 32 * found.tiling.units


def test_weights_that_do_not_fit_are_reread_in_few_turns() -> None:
    found = plan(512, 1024, 4, 1024, 4, T4)
    assert found.tiling.k_resident < 1024
    # As many as one block for each multiprocessor has with all its threads.
    assert -(-found.tiling.items // found.threads) <= 52


def test_layer_too_wide_for_any_division() -> None:
    with pytest.raises(BackendError, match="100000 units is too wide for T4; use fewer, or --device cpu"):
        plan(64, 100_000, 4, 100_000, 4, T4)
