"""Reference counting of device functions, and memory alignment."""

import gc

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from engine_cases import make_network
from numba import types
from numba.core.dispatcher import Dispatcher
from plain_kernels import compiled_only
from random_cases import make_model

from fastrnn.data.text.bptt import Window
from fastrnn.data.text.tokenizers import CharTokenizer
from fastrnn.inference.sampling import Sampler, SamplingParams
from fastrnn.kernels.cpu import jit
from fastrnn.kernels.cpu.blocks import flat
from fastrnn.kernels.cpu.generate import _generate_rows
from fastrnn.kernels.cpu.jit import device_function, kernel
from fastrnn.kernels.cpu.memory import working_memory
from fastrnn.kernels.cpu.ops import layer_backward, layer_forward, layer_gradient, output_loss, pack

# Functions compiled without the project's own decorator share their device functions with others that are compiled
# later: freeing one would leave those with calls into freed memory.
KEPT: list[Dispatcher] = []


def pieces_without_references() -> list[Dispatcher]:
    """All compiled device functions of this process, which count no references."""
    found = [each for each in gc.get_objects() if issubclass(type(each), Dispatcher)]
    pieces = [each for each in found if each.targetoptions.get("_nrt") is False and each.overloads]
    return [each for each in pieces if each.targetoptions.get("inline") != "always"]


def holds_an_array(kind: types.Type) -> bool:
    if isinstance(kind, types.BaseTuple):
        return any(map(holds_an_array, kind))
    return isinstance(kind, types.Array)


@compiled_only
def test_device_functions_return_no_arrays(rng):
    """The caller would release a reference that was never acquired: use after free."""
    model = make_model("gru", 2, rng, 5, 4)
    network = make_network(model, np.float32, threads=1)
    network.train_step_gradients(
        Window(np.zeros((2, 2), np.int32), np.zeros((2, 2), np.int32), None), network.initial_state(2)
    )
    list(Sampler(network, CharTokenizer("abcd")).tokens(1, 1, np.zeros(1, np.int64), SamplingParams(), 0))
    for each in (layer_forward, layer_backward, layer_gradient, output_loss, pack, _generate_rows):
        for signature in list(each.overloads)[:1]:  # not from the disk, so that its pieces are compiled too
            fresh = numba.jit(**each.targetoptions)(each.py_func)
            fresh.compile(signature)
            KEPT.append(fresh)
    pieces = pieces_without_references()
    assert {"_layer_forward", "_generate", "sample_token", "multiply_units", "copy"} <= {
        p.py_func.__name__ for p in pieces
    }
    returned = [(p.py_func, made.signature.return_type) for p in pieces for made in p.overloads.values()]
    assert not [each for each in returned if holds_an_array(each[1])]


@device_function
def add_up(x):
    total = x.dtype.type(0)
    for n in range(x.size):
        total += x[n]
    return total


@kernel
def sum_by_a_device_function(x):
    return add_up(x)


@compiled_only
def test_a_kernel_has_its_own_copy_of_device_functions():
    """A visible copy would be replaced by another kernel's, which may round differently."""
    assert sum_by_a_device_function(np.ones(3)) == 3
    # compiled anew: code loaded from the disk has no module to look into
    fresh = numba.njit(pipeline_class=jit._KernelCompiler, **jit._OPTIONS)(sum_by_a_device_function.py_func)
    assert fresh(np.ones(3)) == 3
    (compiled,) = fresh.overloads.values()
    functions = [f for f in compiled.library._final_module.functions if not f.is_declaration]
    assert functions
    assert not [f.name for f in functions if f.linkage == llvm.Linkage.linkonce_odr]


@kernel
def sum_of_a_copy(x):
    memory = working_memory(x.size, x)
    total = x.dtype.type(0)
    for n, value in enumerate(flat(x)):
        memory[n] = value
        total += memory[n]
    return total


def test_kernels_keep_reference_counts():
    x = np.arange(12.0).reshape(3, 4)
    before = gc.get_referrers(x)
    assert sum_of_a_copy(x) == 66
    assert len(gc.get_referrers(x)) == len(before)


@pytest.mark.parametrize("size", [1, 17, 100])
def test_working_memory_is_cache_line_aligned(size):
    @kernel
    def start(x):
        return working_memory(x.size, x).ctypes.data

    assert start(np.zeros(size)) % 64 == 0
