"""How units are divided among blocks: for cards of all kinds, without one."""

import dataclasses

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastrnn.cuda import grid
from fastrnn.cuda.grid import plan
from fastrnn.cuda.target import AHEAD, TARGET, Target
from fastrnn.errors import BackendError

CARD = {"block_shared": 48 * 1024, "threads": 256, "resident_threads": 512, "warp": 32, "rows": 8}
H100, A100, T4 = (
    dataclasses.replace(TARGET, name=name, multiprocessors=count, shared=kib * 1024, **CARD)
    for name, count, kib in (("H100", 132, 228), ("A100", 108, 164), ("T4", 40, 64))
)


@given(
    card=st.sampled_from([H100, A100, T4]),
    batch=st.integers(1, 600),
    hidden=st.integers(1, 2500),
    gates=st.integers(1, 4),
    backward=st.booleans(),
    itemsize=st.sampled_from([4, 8]),
)
def test_every_unit_has_one_block_and_all_blocks_run_at_once(
    card: Target, batch: int, hidden: int, gates: int, backward: bool, itemsize: int
) -> None:
    assume(itemsize == 4 or hidden <= 1200)  # a T4 has no room for more in float64
    of_unit, depth = (1, gates * hidden) if backward else (gates, hidden)
    found = plan(batch, hidden, of_unit, depth, itemsize, card)
    assert (found.blocks - 1) * found.units < hidden <= found.blocks * found.units
    slices = found.rows * found.each
    assert found.units % found.each == found.threads % slices == found.threads % card.warp == 0
    assert found.rows <= batch
    assert found.each * of_unit <= 4
    # what the kernel uses: its columns, each read in whole rounds, and the sums that are exchanged
    assert found.kept % (slices * AHEAD) == 0
    assert found.stride >= found.kept
    used = found.units * of_unit * found.stride + found.rows * (found.threads + 1)
    assert used * itemsize <= found.shared <= card.block_shared
    resident = min(card.resident_threads // found.threads, card.shared // (found.shared + 1024))
    assert found.blocks <= card.multiprocessors * resident


@pytest.mark.parametrize(("card", "hidden"), [(H100, 512), (H100, 1024), (A100, 512)])
@pytest.mark.parametrize("batch", [1, 64, 512])
def test_weights_that_stay_on_chip(card: Target, hidden: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """LSTMs in float32, forward and backward."""
    monkeypatch.setattr(grid, "AHEAD", 4)
    assert plan.__wrapped__(batch, hidden, 4, hidden, 4, card).kept >= hidden
    assert plan.__wrapped__(batch, hidden, 1, 4 * hidden, 4, card).kept >= 4 * hidden


def test_a_layer_too_wide_for_any_division() -> None:
    with pytest.raises(BackendError, match="100000 units is too wide for T4; use fewer, or --device cpu"):
        plan(64, 100_000, 4, 100_000, 4, T4)
