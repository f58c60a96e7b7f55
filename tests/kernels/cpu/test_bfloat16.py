"""bfloat16: rounding, packing in all formats, and a training window with bfloat16 or split float32
products.
"""

import numpy as np
import pytest

import fastrnn.nn.layers
import fastrnn.nn.matmul_mode
from fastrnn.data.text.bptt import Window
from fastrnn.errors import BackendError
from fastrnn.kernels.cpu.blocks import INDEX_ZERO, PackedMatrix, StepBlock, flat
from fastrnn.kernels.cpu.jit import kernel
from fastrnn.kernels.cpu.matmul import multiply, product_memory
from fastrnn.kernels.cpu.packed_formats import to_bfloat16
from fastrnn.kernels.cpu.packing import pack, packed_size, panels
from fastrnn.kernels.cpu.target import TARGET
from fastrnn.nn.network import Network
from fastrnn.nn.parameters import initialise
from fastrnn.shapes import ModelShape

needs_dot = pytest.mark.skipif(not TARGET.bfloat16_dot, reason="this processor has no bfloat16 dot instruction")
needs_amx = pytest.mark.skipif(not TARGET.amx, reason="this processor has no matrix tiles")


@kernel
def rounded(x, out):
    for n in range(x.size):
        out[n] = to_bfloat16(x[n])


@kernel
def product(a, b, k, n, c):
    memory = product_memory(c, b, k, a.shape[0])
    to_c = StepBlock(flat(c), INDEX_ZERO, INDEX_ZERO, n)
    from_a = StepBlock(flat(a), INDEX_ZERO, INDEX_ZERO, k)
    multiply(to_c, from_a, PackedMatrix(b, k, n), 1, a.shape[0], 0, memory)


def as_float32(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def round_plainly(x: np.ndarray) -> np.ndarray:
    """Round to 8 significant bits, to nearest, ties to even, in integer arithmetic."""
    bits = x.view(np.uint32).astype(np.uint64)
    return as_float32(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16))


def test_rounding_is_to_nearest_with_ties_to_even(rng):
    x = np.concatenate([rng.normal(0, 10, 500), [0, -0.0, 1, 1 + 2**-8, 1 + 3 * 2**-8, 3e38, 1e-30]]).astype(np.float32)
    out = np.empty(x.size, np.uint16)
    rounded(x, out)
    np.testing.assert_array_equal(as_float32(out), round_plainly(x))


SHAPES = [(1, 4, 16), (7, 33, 65), (25, 128, 100), (3, 1, 2)]
# several panels at once for one row and for two, and a last panel that is wide but not full
SHAPES += [
    (1, 5, 9 * TARGET.panel(32) + 1),
    (2, 7, 5 * TARGET.panel(32)),
    (3, 5, TARGET.panel(32) + TARGET.lanes(32) + 1),
]


@pytest.mark.parametrize("form", [np.uint16, pytest.param(np.int32, marks=needs_dot)])
@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_product_with_packed_bfloat16_equals_numpy(form, m, k, n, transposed, rng):
    a, b = rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)
    packed = np.full(packed_size(k, n, np.dtype(form)), 12345, form)
    matrix = np.ascontiguousarray(b.T) if transposed else b
    pack(matrix, np.array([0]), matrix.shape[0], transposed, packed, 0, panels(n, packed.dtype))
    c = np.empty((m, n), np.float32)
    product(a, packed, k, n, c)
    left = round_plainly(a) if form == np.int32 else a
    np.testing.assert_allclose(c, left.astype(np.float64) @ round_plainly(b), rtol=1e-4, atol=1e-4)


@needs_amx
@pytest.mark.parametrize(("m", "k", "n"), [(1, 4, 16), (7, 33, 65), (25, 128, 100), (3, 1, 2), (50, 500, 130)])
@pytest.mark.parametrize("transposed", [False, True])
def test_products_of_three_parts_are_as_exact_as_float32(m, k, n, transposed, rng):
    a, b = rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)
    a *= 10.0 ** rng.integers(-6, 6, (m, 1))
    matrix = np.ascontiguousarray(b.T) if transposed else b
    errors = []
    for form in (np.float32, np.uint32):
        packed = np.full(packed_size(k, n, np.dtype(form)), 12345, form)
        pack(matrix, np.array([0]), matrix.shape[0], transposed, packed, 0, panels(n, packed.dtype))
        c = np.empty((m, n), np.float32)
        product(a, packed, k, n, c)
        error = np.abs(c - a.astype(np.float64) @ b) / (np.abs(a).astype(np.float64) @ np.abs(b))
        errors.append(error.max())
    assert errors[1] < 2 * errors[0] + 1e-7


@needs_amx
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("hidden", [32, 33, 100])
def test_gradients_from_three_parts_are_as_exact_as_float32(cell, hidden, rng, monkeypatch):
    monkeypatch.setattr(fastrnn.nn.matmul_mode, "BF16X3_MIN_WIDTH", 1)
    monkeypatch.setattr(fastrnn.nn.layers, "BF16X3_MIN_WIDTH", 1)
    shape = ModelShape(cell, 2, hidden, 11)
    found = []
    x, y = (rng.integers(0, 11, (40, 35)).astype(np.int32) for _ in range(2))
    for dtype, products in ((np.float64, "exact"), (np.float32, "exact"), (np.float32, "split")):
        network = Network(shape, dtype=dtype, threads=2, matmul_mode=products)
        initialise(network.parameters, shape, "orthogonal", np.random.default_rng(3))
        network.parameters.flat[:] = network.parameters.flat.astype(np.float32)
        network.train_step_gradients(Window(x, y, None), network.initial_state(35))
        found.append(network.gradients.flat.astype(np.float64))
    exact, plain, split = found
    assert np.abs(split - exact).max() < 2 * np.abs(plain - exact).max()
    assert (split != plain).any()


def exact_network(cell: str, hidden: int, threads: int = 2) -> Network:
    shape = ModelShape(cell, 2, hidden, 11)
    network = Network(shape, threads=threads)
    initialise(network.parameters, shape, "orthogonal", np.random.default_rng(3))
    return network


@needs_dot
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("hidden", [32, 33])
def test_gradients_with_bfloat16_products_are_near_the_exact_ones(cell, hidden, rng):
    exact = exact_network(cell, hidden)
    fast = exact.with_shared_parameters("bfloat16")
    x, y = (rng.integers(0, 11, (9, 5)).astype(np.int32) for _ in range(2))
    losses = [network.train_step_gradients(Window(x, y, None), network.initial_state(5)) for network in (exact, fast)]
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)
    assert losses[1] != losses[0]
    for name, gradient in exact.gradients.items():
        error = np.abs(fast.gradients[name] - gradient).max() / np.abs(gradient).max()
        assert error < 0.03, name


@pytest.mark.parametrize("products", [pytest.param("bfloat16", marks=needs_dot), "split"])
def test_any_number_of_threads_gives_the_same_bits(products, rng, monkeypatch):
    monkeypatch.setattr(fastrnn.nn.matmul_mode, "BF16X3_MIN_WIDTH", 1)
    x, y = (rng.integers(0, 11, (9, 5)).astype(np.int32) for _ in range(2))
    found = []
    for threads in (1, 2, 3):
        network = exact_network("lstm", 33, threads).with_shared_parameters(products)
        network.train_step_gradients(Window(x, y, None), network.initial_state(5))
        found.append(network.gradients.flat.copy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_cpu_without_the_instruction_is_reported(monkeypatch):
    import dataclasses

    from fastrnn.kernels.cpu import ops

    monkeypatch.setattr(ops, "TARGET", dataclasses.replace(TARGET, bfloat16_dot=False))
    with pytest.raises(BackendError, match="use float32"):
        Network(ModelShape("lstm", 1, 4, 3), threads=1, matmul_mode="bfloat16")
