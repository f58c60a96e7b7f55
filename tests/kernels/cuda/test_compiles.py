"""Without a GPU: every kernel compiles to PTX, without float64 arithmetic or local memory, and the
kernels of a training step link to machine code as on a card.

Runs in a subprocess, because it pretends to numba-cuda that there is a GPU.
"""

import functools
import importlib.util
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")

KERNELS = """
import json, re, struct
from types import SimpleNamespace
import numba.cuda.dispatcher as dispatcher
from numba import cuda
from numba.cuda import types
from numba.cuda.cudadrv import devices

card = SimpleNamespace(compute_capability=(9, 0), MULTIPROCESSOR_COUNT=132, name="none",
                       MAX_SHARED_MEMORY_PER_MULTIPROCESSOR=228 * 1024, MAX_SHARED_MEMORY_PER_BLOCK_OPTIN=227 * 1024)
dispatcher.get_current_device = cuda.get_current_device = lambda: card
devices.get_context = lambda *device: SimpleNamespace(device=card)

from fastrnn.kernels.arguments import OutputGradients, SamplingSettings
from fastrnn.kernels.cuda import (embedding, generate, launch_plan, lstm_norm, matmul, memory, ngrams, ops, optimizers,
    output_losses, packing, recurrence, reductions, sequence_ops, weight_gradient)
from fastrnn.kernels.cuda.arguments import AdamWNumbers, Matrix, ProductShape, ScaledNumbers
from fastrnn.kernels.cuda.recurrence import STEPS

f, f8, i, b, u = types.float32, types.float64, types.int64, types.boolean, types.uint64
def a(n, kind=f):
    return types.Array(kind, n, "C")
def bundle(cls, *kinds):
    return types.NamedUniTuple(kinds[0], len(kinds), cls) if len({*kinds}) == 1 else types.NamedTuple(kinds, cls)
matrix, shape = bundle(Matrix, a(1), i, i), bundle(ProductShape, i, i, i, b, b)
ids, resets, order = a(2, types.int32), a(2, types.uint8), a(1, i)
kernels = {
    "fill": (memory._fill, a(1), f, i, i), "choose": (recurrence._choose_rows, a(3), a(2), ids),
    "product": (matmul._product("<f4", False), matrix, matrix, matrix, shape),
    "bfloat16": (matmul._product("<f4", True), matrix, matrix, matrix, shape),
    "gather": (weight_gradient._gather_table, a(2), a(3), ids),
    "scatter": (weight_gradient._scatter_table, a(2), a(3), ids),
    "sums": (reductions._sum_columns("<f4"), a(1), a(1), i, b),
    "bias_rows": (output_losses._fill_with_bias, a(3), a(1)),
    "softmax": (output_losses._softmax_cross_entropy("<f4"), a(3), ids, f, a(2)),
    "squares": (optimizers._sums("<f4"), a(1), a(1, types.int32), i, a(1, f8)),
    "adamw": (optimizers._adamw, *[a(1)] * 5, bundle(AdamWNumbers, *[f] * 9)),
    "sgd": (optimizers._sgd, *[a(1)] * 3, f, f), "momentum": (optimizers._momentum, *[a(1)] * 4, f, f, f),
    "scaled": (optimizers._divide_by_root, *[a(1)] * 4, bundle(ScaledNumbers, *[f] * 5)),
    "pack": (packing._pack, a(2), order, i, b, a(1)),
    "table": (embedding._table_forward, a(2), a(2), a(1), a(1), order, b),
    "bias": (embedding._bias_backward, a(2), a(1), a(1), order),
    "weights": (embedding._weights_backward, a(2), a(2), order),
    "dropout": (sequence_ops._dropout, a(3), a(3), u, u, f, f, i, i), "feed": (generate._feed_tokens, ids, ids, i),
    "sample": (generate._sample_tokens, a(3), a(2), a(2, f8), i,
               bundle(SamplingSettings, f8, i, f8, f8), ids),
    "clear_rows": (optimizers._clear_rows, a(2), a(1, types.int32)),
    "adamw_rows": (optimizers._adamw_rows, *[a(1)] * 5, a(1, types.int32), i, bundle(AdamWNumbers, *[f] * 9)),
    "add_rows": (ngrams._add_rows, a(3), a(3, types.int32), a(2), order),
    "link": (ngrams._link_places, a(1, types.int32), ids),
    "add_gradients": (ngrams._add_gradients, a(2), a(3), a(1, types.int32), i, ids, order),
    "lookup": (generate._lookup_ngrams, a(3, types.int32), ids, ids, a(1, i), i),
    "copy": (memory._copy, a(1), a(1)), "copy_state": (memory._copy_state, a(3), i, a(3), i, i, i),
    "norm": (lstm_norm._add_rows, a(1), a(1), a(2)),
}
tiling = types.NamedTuple((i,) * len(launch_plan.Tiling._fields), launch_plan.Tiling)
gradients = types.NamedTuple((a(3), a(2), a(2)), OutputGradients)
for cell_class in ops.CELLS.values():
    name, fields = cell_class.__name__, (a(3),) * 3
    if cell_class is ops.CELLS["lstm-norm"]:
        fields += (a(1), a(1), a(3), a(1), a(2), a(2), i, i)
    cell = types.NamedTuple(fields, cell_class)
    for units in launch_plan.units_together(STEPS[name].gates):
        for rows in (1, 8):
            forward = recurrence.forward(name, "<f4", units, rows, 32 if rows == 1 else 8 * units, 1)
            kernels[f"{name} forward {units} {rows}"] = (forward, cell, a(1), a(1), resets, a(3), tiling)
    for units in (4, 1):
        backward = recurrence.backward(name, "<f4", units, 8, 32, 1)
        kernels[f"{name} backward {units}"] = (backward, cell, a(1), a(1), resets, gradients, tiling)
"""
COMPILE = """
found = {}
for name, (kernel, *types_) in kernels.items():
    ptx, _ = cuda.compile_ptx(kernel.py_func, tuple(types_), cc=(9, 0))
    found[name] = {"doubles": len(re.findall("(?:add|mul|fma|div)[.a-z0-9]*[.]f64", ptx)), "local": ".local" in ptx}
print(json.dumps(found))
"""
LINK = """
def register_and_stack_use(cubin):
    "Largest values of the functions in an ELF file: section .nv.info, attributes REGCOUNT and FRAME_SIZE."
    sections_at, = struct.unpack_from("<Q", cubin, 40)
    size, count, names = struct.unpack_from("<HHH", cubin, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", cubin, sections_at + n * size) for n in range(count)]
    use = {0x2F: 0, 0x11: 0}
    for section in sections:
        if cubin[sections[names][4] + section[0]:].startswith(b".nv.info\\0"):
            at, end = section[4], section[4] + section[5]
            while at < end:
                form, attribute, length = struct.unpack_from("<BBH", cubin, at)
                at += 4
                if form == 4:
                    if attribute in use:
                        use[attribute] = max(use[attribute], struct.unpack_from("<II", cubin, at)[1])
                    at += length
    return use[0x2F], use[0x11]

found = {}
for name in ("fill", "product", "softmax", "add_gradients", "adamw_rows", "LSTM forward 1 8", "LSTM backward 4",
             "GRU forward 1 8", "LSTMNorm forward 1 8", "LSTMNorm backward 4"):
    kernel, *types_ = kernels[name]
    built = dispatcher._Kernel(kernel.py_func, tuple(types_), **kernel.targetoptions)
    registers, stack = register_and_stack_use(bytes(built._codelibrary.get_cubin(cc=(9, 0, "a")).code))
    bounds = re.findall(r"[.](?:maxntid|minnctapersm) (\\d+)", built._codelibrary.get_asm_str(cc=(9, 0)))
    found[name] = {"cooperative": built.cooperative, "bounds": bounds, "registers": registers, "stack": stack}
print(json.dumps(found))
"""
DOUBLES = ("sample",)  # probabilities are added up in float64, as on the CPU


@functools.cache
def run(program: str):
    done = subprocess.run([sys.executable, "-c", KERNELS + program], capture_output=True, text=True, timeout=900)
    if any(missing in done.stderr for missing in ("libnvvm", "NvvmSupportError", "libnvrtc", "nvJitLink")):
        pytest.skip("the CUDA toolkit's compiler is not installed")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_every_kernel_compiles_to_ptx():
    found = run(COMPILE)
    assert len(found) == 30 + 6 * 2 + (2 * 3 + 2 + 1 + 1 + 1) * 2
    for name, facts in found.items():
        assert not facts["local"], f"{name} keeps something in local memory"
        assert name in DOUBLES or not facts["doubles"], f"{name} computes in float64"


def test_kernels_link_as_at_run_time():
    """With link-time optimisation and launch bounds; registers suffice, so nothing spills to the stack."""
    for name, facts in run(LINK).items():
        is_recurrent = "ward" in name
        assert facts["cooperative"] == is_recurrent
        assert facts["bounds"] == (["256", "1"] if is_recurrent else []), name
        # The functions of the CUDA runtime library that a grid-wide wait calls have 16 bytes.
        assert facts["stack"] <= 16, f"{name} spills: {facts}"
        assert 0 < facts["registers"] <= 255, name
