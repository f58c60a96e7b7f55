"""Matrix products, sums and dropout masks of the GPU or its simulator against NumPy and the CPU."""

import ctypes
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from fastrnn.kernels.cpu.ops import dropout as cpu_dropout
from fastrnn.kernels.cuda import cublas, matmul
from fastrnn.kernels.cuda.arguments import Matrix, ProductShape
from fastrnn.kernels.cuda.cublas import Cublas
from fastrnn.kernels.cuda.jit import SIMULATED, kernel, launch
from fastrnn.kernels.cuda.matmul import multiply
from fastrnn.kernels.cuda.ops import dropout, to_device, to_host
from fastrnn.kernels.cuda.packing import round_to_bfloat16
from fastrnn.kernels.cuda.reductions import sum_columns


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (9, 3, 5), (8, 17, 2)])
def test_products_equal_numpy(m, n, k, accumulate, transposed, rng):
    """Parts of wider arrays, also with sizes that do not fill a tile."""
    a, b = rng.normal(size=(k, m + 2) if transposed else (m, k + 2)), rng.normal(size=(k, n))
    c = rng.normal(size=(m, n + 1))
    left = a[:, 2:].T if transposed else a[:, 2:]
    expected = c.copy()
    expected[:, 1:] = left @ b + (c[:, 1:] if accumulate else 0)
    here = to_device(c)
    factors = Matrix(to_device(a), 2, a.shape[1]), Matrix(to_device(b), 0, n)
    multiply(Matrix(here, 1, n + 1), *factors, ProductShape(m, n, k, accumulate, transposed))
    np.testing.assert_allclose(to_host(here), expected, rtol=1e-12, atol=1e-12)


def test_bfloat16_products(rng, monkeypatch):
    monkeypatch.setattr(matmul, "cublas", None)
    a, b = (rng.normal(size=size).astype(np.float32) for size in ((9, 5), (5, 3)))
    here = to_device(np.zeros((9, 3), np.float32))
    shape = ProductShape(9, 3, 5, accumulate=False, transposed=False)
    multiply(Matrix(here, 0, 3), Matrix(to_device(a), 0, 5), Matrix(to_device(b), 0, 3), shape, as_bfloat16=True)
    expected = nearest_bfloat16(a).astype(np.float64) @ nearest_bfloat16(b)
    np.testing.assert_allclose(to_host(here), expected, rtol=0, atol=1e-6)


def nearest_bfloat16(x):
    """Nearest of the two neighbours, of two equally near the even one."""
    down = (x.view(np.uint32) & 0xFFFF0000).view(np.float32)
    up = ((x.view(np.uint32) & 0xFFFF0000) + 0x10000).view(np.float32)
    to_down, to_up = np.abs(x.astype(np.float64) - down), np.abs(up.astype(np.float64) - x)
    even = (down.view(np.uint32) >> 16 & 1) == 0
    return np.where((to_down < to_up) | ((to_down == to_up) & even), down, up)


@kernel
def _round_all(to, x):
    for i in range(x.size):
        to[i] = round_to_bfloat16(x[i])


def test_bfloat16_rounding_equals_the_cpu(rng):
    """Random numbers, ties to both sides, signs, zeros, numbers below the least normal one; NaN and
    infinities stay.
    """
    ties = (rng.integers(0, 0x7F7F, 50).astype(np.uint32) << 16 | 0x8000).view(np.float32)
    x = np.concatenate([rng.normal(size=50) * 10.0 ** rng.integers(-38, 38, 50), [0.0, -0.0, 1e-40]]).astype(np.float32)
    x = np.concatenate([x, ties, -ties])
    special = np.array([np.nan, np.inf, -np.inf], np.float32)
    here = to_device(np.empty(x.size + 3, np.float32))
    launch(_round_all, 1, here, to_device(np.concatenate([x, special])))
    found = to_host(here)
    np.testing.assert_array_equal(found[:-3].view(np.uint32), nearest_bfloat16(x).view(np.uint32))
    np.testing.assert_array_equal(found[-3:], special)


class Library:
    """A libcublas in Python, with C's calling conventions, as cuBLAS documents it: column-major
    matrices on host addresses, ``ld`` between columns.
    """

    def __init__(self, status=0):
        self.asked = []
        self.status = status
        shape = [ctypes.c_void_p] + [ctypes.c_int] * 5
        gemm = [*shape, *map(ctype, "ppipippi")]
        self.cublasCreate_v2 = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(self.create)
        self.cublasSgemm_v2 = ctypes.CFUNCTYPE(ctypes.c_int, *gemm)(partial(self.gemm, np.float32))
        self.cublasDgemm_v2 = ctypes.CFUNCTYPE(ctypes.c_int, *gemm)(partial(self.gemm, np.float64))
        gemm_ex = [*shape, *map(ctype, "ppiipiippiiii")]
        self.cublasGemmEx = ctypes.CFUNCTYPE(ctypes.c_int, *gemm_ex)(self.gemm_ex)

    def create(self, handle):
        ctypes.c_void_p.from_address(handle).value = 77
        return self.status

    def gemm_ex(
        self, handle, transa, transb, m, n, k, alpha, a, atype, lda, b, btype, ldb, beta, c, ctype, ldc, compute, algo
    ):
        assert (atype, btype, ctype, algo) == (0, 0, 0, -1)  # CUDA_R_32F
        self.asked.append(compute)
        return self.gemm(np.float32, handle, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)

    def gemm(self, dtype, handle, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
        assert handle == 77
        left, right = (
            matrix(a, lda, *((k, m) if transa else (m, k)), dtype),
            matrix(b, ldb, *((n, k) if transb else (k, n)), dtype),
        )
        left, right = left.T if transa else left, right.T if transb else right
        to, one, factor = matrix(c, ldc, m, n, dtype), matrix(alpha, 1, 1, 1, dtype), matrix(beta, 1, 1, 1, dtype)
        assert min(lda, ldb, ldc) >= 1
        to[...] = one[0, 0] * (left @ right) + (factor[0, 0] * to if factor[0, 0] else 0)
        return 0


def ctype(letter):
    return {"p": ctypes.c_void_p, "i": ctypes.c_int}[letter]


def matrix(address, ld, rows, columns, dtype):
    """Column-major matrix at this address."""
    assert ld >= rows
    size = (columns - 1) * ld + rows
    kind = ctypes.c_float if dtype == np.float32 else ctypes.c_double
    numbers = np.ctypeslib.as_array((kind * size).from_address(address))
    return np.lib.stride_tricks.as_strided(numbers, (rows, columns), (numbers.itemsize, ld * numbers.itemsize))


@pytest.mark.skipif(not SIMULATED, reason="the card has cuBLAS itself")
@pytest.mark.parametrize(("dtype", "as_bfloat16"), [(np.float64, False), (np.float32, False), (np.float32, True)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
def test_cublas_call_computes_the_same_product(dtype, as_bfloat16, accumulate, transposed, rng, monkeypatch):
    library, (m, n, k) = Library(), (4, 3, 5)
    a, b = (
        rng.normal(size=(k, m + 2) if transposed else (m, k + 2)).astype(dtype),
        rng.normal(size=(k, n)).astype(dtype),
    )
    c = rng.normal(size=(m, n + 1)).astype(dtype)
    left = a[:, 2:].T if transposed else a[:, 2:]
    expected = c.copy()
    expected[:, 1:] = left @ b + (c[:, 1:] if accumulate else 0)
    monkeypatch.setattr(matmul, "cublas", Cublas(library))
    monkeypatch.setattr(matmul, "_address", lambda x: x.array.ctypes.data + x.start * x.array.itemsize)
    shape = ProductShape(m, n, k, accumulate, transposed)
    multiply(Matrix(c, 1, n + 1), Matrix(a, 2, a.shape[1]), Matrix(b, 0, n), shape, as_bfloat16)
    np.testing.assert_allclose(c, expected, rtol=1e-5, atol=1e-5)
    assert library.asked == [75] * as_bfloat16


class NoLibraryError(RuntimeError):
    """As cuda-pathfinder's error."""


@pytest.mark.parametrize(
    ("found", "works"),
    [(NoLibraryError("no libcublas.so.12"), False), (Library(status=3), False), (Library(), True)],
)
def test_without_cublas_our_own_product_is_used(found, works, monkeypatch):
    """A library that is missing, or that has no memory for its handle, is no error of a training run."""

    def find(name):
        assert name == "cublas"
        if isinstance(found, Exception):
            raise found
        return SimpleNamespace(abs_path="/lib/libcublas.so")

    monkeypatch.setattr(cublas, "SIMULATED", False)
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", SimpleNamespace(load_nvidia_dynamic_lib=find))
    monkeypatch.setattr(ctypes, "CDLL", lambda path: found)
    assert (cublas.load_cublas.__wrapped__() is not None) == works


def test_sums_equal_numpy(rng):
    matrix, to = rng.normal(size=(7, 5)), rng.normal(size=5)
    here = to_device(to)
    sum_columns(here, to_device(matrix), 7, True)
    np.testing.assert_allclose(to_host(here), to + matrix.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize(("key", "begin", "batch"), [(0, 0, 5), (0xFFFFFFFF, 2, 9)])
def test_dropout_masks_equal_the_cpu(key, begin, batch, rng):
    x = rng.normal(size=(3, 5, 7)).astype(np.float32)
    expected, here = np.empty_like(x), to_device(x)
    cpu_dropout(expected, x, np.uint32(key), 0.6, begin, batch, 0, 5)
    dropout(here, here, np.uint32(key), 0.6, begin, batch, 0, 5)
    np.testing.assert_array_equal(to_host(here), expected)
