"""The recurrent product alone, divided among several blocks, against NumPy.

The simulator runs one block after another, so only a kernel without a grid-wide barrier can have
several blocks there.
"""

import dataclasses

import numba
import numpy as np
import pytest

from fastrnn.kernels.cuda import launch_plan, persistent_matmul
from fastrnn.kernels.cuda.arguments import Matrix
from fastrnn.kernels.cuda.jit import SIMULATED, cooperative, cuda
from fastrnn.kernels.cuda.launch_plan import launch_cooperative
from fastrnn.kernels.cuda.memory import to_device, to_host
from fastrnn.kernels.cuda.persistent_matmul import product
from fastrnn.kernels.cuda.target import TARGET

pytestmark = pytest.mark.skipif(not SIMULATED, reason="small blocks, to have many of them")

SMALL = dataclasses.replace(TARGET, multiprocessors=6, threads=8, resident_threads=8, warp=8, rows=2)
FIRST = 3  # element of the flat array where the states begin


def product_kernel(gates, plan):
    load_weights, locate, dot = product("<f4", gates, *plan[:3])

    @cooperative(TARGET.threads, plan.residency)
    def multiply_all(out, counts, source, w, row_stride, tiling):
        memory = cuda.shared.array(0, numba.float32)
        totals = cuda.local.array(gates, np.float32)
        if tiling.k_resident >= tiling.depth:
            load_weights(memory, w, 0, tiling)
        for first_item in range(0, tiling.items, cuda.blockDim.x):
            place = locate(first_item, tiling)
            dot(totals, memory, w, Matrix(source, FIRST, row_stride), place, tiling)
            if place.row < tiling.batch:
                counts[place.row, place.unit] += 1
                for g in range(gates):
                    out[place.row, g * tiling.hidden + place.unit] = totals[g]

    return multiply_all


@pytest.mark.parametrize(
    ("batch", "hidden", "gates", "depth", "multiprocessors", "block_shared"),
    [
        (5, 7, 4, 7, 6, 4000),  # rows and units divided, neither evenly
        (5, 7, 1, 21, 6, 4000),  # several units a thread
        (1, 5, 3, 9, 6, 4000),  # one row: the sum is divided among a whole warp
        (3, 3, 2, 17, 2, 300),  # weights that do not fit on chip
        (8, 2, 1, 5, 4, 4000),  # rows divided only
        (6, 9, 4, 3, 1, 8000),  # one block in many turns
    ],
)
def test_every_item_is_computed_once(batch, hidden, gates, depth, multiprocessors, block_shared, rng):
    target = dataclasses.replace(SMALL, multiprocessors=multiprocessors, block_shared=block_shared)
    plan = launch_plan.plan(batch, hidden, gates, depth, 4, target)
    states = rng.normal(size=(batch, depth + 2)).astype(np.float32)
    w = rng.normal(size=(depth, gates * hidden)).astype(np.float32)
    source = np.concatenate([np.zeros(FIRST, np.float32), states.ravel()])
    out = to_device(np.full((batch, gates * hidden), np.nan, np.float32))
    counts = to_device(np.zeros((batch, hidden), np.int32))

    kernel = product_kernel(gates, plan)
    launch_cooperative(kernel, plan, out, counts, to_device(source), to_device(w.ravel()), depth + 2)

    np.testing.assert_array_equal(to_host(counts), 1)
    np.testing.assert_allclose(to_host(out), states[:, :depth] @ w, rtol=1e-5, atol=1e-5)


def test_cases_cover_what_their_names_say():
    """Divisions that the simulator's own single block does not have."""

    def plan(*sizes, multiprocessors=6, block_shared=4000):
        target = dataclasses.replace(SMALL, multiprocessors=multiprocessors, block_shared=block_shared)
        return launch_plan.plan(*sizes, 4, target)

    both = plan(5, 7, 4, 7)
    assert both.tiling.unit_blocks > 1
    assert both.blocks > both.tiling.unit_blocks
    assert plan(5, 7, 1, 21).units_per_thread > 1
    assert plan(1, 5, 3, 9).k_split == SMALL.warp
    assert plan(3, 3, 2, 17, multiprocessors=2, block_shared=300).tiling.k_resident < 17
    assert plan(8, 2, 1, 5, multiprocessors=4).tiling.rows < 8
    assert persistent_matmul.AHEAD == launch_plan.AHEAD
