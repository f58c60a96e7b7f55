"""Division of a layer into groups of rows and of units."""

from itertools import product

import numpy as np
import pytest
from plain_kernels import compiled_only

from fastrnn.kernels.cpu.grid import UnitDivision, choose_unit_parts, count_pieces, count_row_groups, make_share
from fastrnn.kernels.cpu.target import TARGET
from fastrnn.kernels.cpu.team import cooperative_kernel
from fastrnn.kernels.cpu.thread_pool import Pool

F4 = np.dtype(np.float32)
PANEL = TARGET.panel(32)
L2 = 1 << 20


@cooperative_kernel(plan=lambda team, parts, pieces, visits, lo, hi: UnitDivision(parts, pieces))
def visit(thread, parts, pieces, visits, lo, hi):
    """Count how often each row and unit is in a share."""
    share = make_share(thread, lo, hi, visits.shape[1])
    for b in range(share.row_lo, share.row_hi):
        for j in range(share.unit_lo, share.unit_hi):
            visits[b, j] += 1


@compiled_only
@pytest.mark.parametrize("threads", [1, 2, 3, 7, 16])
@pytest.mark.parametrize(("hidden", "pieces"), [(31, 1), (32, 1), (96, 3), (192, 3)])
def test_shares_cover_rows_and_units_once(threads, hidden, pieces):
    for parts, (lo, hi) in product(range(1, min(threads, pieces) + 1), [(0, 9), (2, 3)]):
        visits = np.zeros((10, hidden), np.int64)
        Pool(threads).together(lambda part, u=parts, v=visits, lo=lo, hi=hi: visit(u, pieces, v, lo, hi))
        assert (visits[lo:hi] == 1).all()
        assert visits.sum() == (hi - lo) * hidden


def test_pieces_are_panels_of_whole_blocks():
    assert count_pieces(12 * PANEL, F4, 1) == 12
    assert count_pieces(12 * PANEL, F4, 4 * PANEL) == 3
    assert count_pieces(12 * PANEL, F4, PANEL // 2) == 12
    assert count_pieces(12 * PANEL, F4, 5 * PANEL) == 1  # the last block would be smaller
    assert count_pieces(12 * PANEL + 1, F4, 1) == 1


def test_units_of_a_normed_layer_are_divided_at_blocks():
    assert choose_unit_parts(16, 2, 16 * PANEL, 4, F4, L2, 8 * PANEL) == 2


@pytest.mark.parametrize(
    ("threads", "rows", "panels"), list(product([1, 2, 8, 16, 64], [1, 5, 32, 128], [1, 2, 8, 12]))
)
def test_divisions_use_no_more_than_there_is(threads, rows, panels):
    unit_parts = choose_unit_parts(threads, rows, panels * PANEL, 4, F4, L2)
    row_parts = count_row_groups(threads, unit_parts, rows)
    assert 1 <= row_parts <= rows
    assert 1 <= unit_parts <= panels
    assert row_parts * unit_parts <= threads


def test_units_are_divided_where_rows_do_not_suffice():
    assert choose_unit_parts(16, 2, 16 * PANEL, 4, F4, L2) > 1


def test_units_are_not_divided_for_small_gains():
    """With many rows for each thread and weights that fit the cache, meetings would only cost."""
    assert choose_unit_parts(4, 512, 2 * PANEL, 4, F4, 1 << 24) == 1


def test_units_are_not_divided_where_panels_cross_gates():
    assert choose_unit_parts(16, 2, 2 * PANEL + 1, 4, F4, L2) == 1


def test_two_threads_divide_the_rows_where_weights_fit_the_cache():
    """Exchanging the results of half of the units would take longer than reading all weights."""
    assert choose_unit_parts(2, 32, 4 * PANEL, 4, F4, 1 << 24) == 1
    assert choose_unit_parts(2, 32, 4 * PANEL, 4, F4, 1 << 24, 2 * PANEL) == 1
