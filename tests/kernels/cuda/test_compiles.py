"""Without a GPU: every kernel compiles to PTX, without float64 arithmetic or local memory.

Runs in a subprocess, because it pretends to numba-cuda that there is a GPU.
"""

import importlib.util
import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, re
from types import SimpleNamespace
import numba.cuda.dispatcher as dispatcher
from numba import cuda, types

card = SimpleNamespace(compute_capability=(8, 0), MULTIPROCESSOR_COUNT=108, name="none",
                       MAX_SHARED_MEMORY_PER_MULTIPROCESSOR=164 * 1024)
dispatcher.get_current_device = cuda.get_current_device = lambda: card

from fastrnn.kernels.cuda import (dropout, generate, gru, input_table, launch_plan, lstm, matmul, memory,
    optimizers, output_losses, packing, recurrence, reductions, rnn, weight_gradient)
from fastrnn.kernels.cuda.recurrence import STEPS

f, f8, i, b, u = types.float32, types.float64, types.int64, types.boolean, types.uint64
def a(n, kind=f):
    return types.Array(kind, n, "C")
ids, starts, order = a(2, types.int32), a(2, types.uint8), a(1, i)
kernels = {
    "fill": (memory._fill, a(1), f), "choose": (recurrence._choose_rows, a(3), a(2), ids),
    "product": (matmul._product("<f4", False), a(1), i, i, a(1), i, i, b, a(1), i, i, i, i, i, b),
    "bfloat16": (matmul._product("<f4", True), a(1), i, i, a(1), i, i, b, a(1), i, i, i, i, i, b),
    "gather": (weight_gradient._gather_table, a(2), a(3), ids),
    "scatter": (weight_gradient._scatter_table, a(2), a(3), ids),
    "sums": (reductions._sum_columns("<f4"), a(1), a(1), i, b), "put_bias": (output_losses._put_bias, a(3), a(1)),
    "softmax": (output_losses._softmax_cross_entropy("<f4"), a(3), ids, f, a(2)),
    "squares": (optimizers._sums("<f4"), a(1), a(1, f8)), "adamw": (optimizers._adamw, *[a(1)] * 5, *[f] * 9),
    "sgd": (optimizers._sgd, *[a(1)] * 3, f, f), "momentum": (optimizers._momentum, *[a(1)] * 4, f, f, f),
    "scaled": (optimizers._scaled, *[a(1)] * 4, *[f] * 5), "pack": (packing._pack, a(2), order, i, b, a(1)),
    "table": (input_table._table_forward, a(2), a(2), a(1), a(1), order, b),
    "bias": (input_table._bias_backward, a(2), a(1), a(1), order),
    "weights": (input_table._weights_backward, a(2), a(2), order),
    "dropout": (dropout._dropout, a(3), a(3), u, u, f, f, i, i), "feed": (generate._feed, ids, ids, i),
    "draw": (generate._draw, a(3), a(2), a(2, f8), i, f8, i, f8, f8, ids),
}
sizes = i, i, i
for name, steps in STEPS.items():
    for each in launch_plan.columns_together(steps.gates):
        for rows in (1, 8):
            forward = recurrence.forward(name, "<f4", each, rows)
            kernels[f"{name} forward {each} {rows}"] = (forward, *[a(3)] * 3, a(1), a(1), starts, a(3), *sizes)
    for each in (4, 1):
        backward = recurrence.backward(name, "<f4", each, 8)
        kernels[f"{name} backward {each}"] = (backward, *[a(3)] * 3, a(1), a(1), starts, a(3), a(2), a(2), *sizes)
found = {}
for name, (kernel, *types_) in kernels.items():
    ptx, _ = cuda.compile_ptx(kernel.py_func, tuple(types_), cc=(8, 0))
    found[name] = {"doubles": len(re.findall("(?:add|mul|fma|div)[.a-z0-9]*[.]f64", ptx)), "local": ".local" in ptx}
print(json.dumps(found))
"""
DOUBLES = ("draw",)  # probabilities are added up in float64, as on the CPU


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
def test_every_kernel_compiles_for_a_card(tmp_path):
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=600)
    if "libnvvm" in done.stderr or "NvvmSupportError" in done.stderr or "libnvrtc" in done.stderr:
        pytest.skip("the CUDA toolkit's compiler is not installed")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert len(found) == 21 + 5 * 2 + (2 * 3 + 2 + 1 + 1) * 2
    for name, facts in found.items():
        assert not facts["local"], f"{name} keeps something in local memory"
        assert name in DOUBLES or not facts["doubles"], f"{name} computes in float64"
