"""cuBLAS by its C interface.

The library is found by cuda-pathfinder, a dependency of numba-cuda, in the places where NVIDIA's
wheels, conda and the CUDA toolkit install it. Written from NVIDIA's documentation of cuBLAS.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np

from .jit import SIMULATED

# Values of the enumerations of cublas_api.h and library_types.h.
_OPERATION = {False: 0, True: 1}  # CUBLAS_OP_N, CUBLAS_OP_T
_REAL_FLOAT = 0  # CUDA_R_32F
_FAST_BFLOAT16 = 75  # CUBLAS_COMPUTE_32F_FAST_16BF: float32 factors may be rounded to bfloat16
_DEFAULT_ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT

_int, _pointer = ctypes.c_int, ctypes.c_void_p
_SHAPE = [_pointer, _int, _int, _int, _int, _int]  # handle, transa, transb, m, n, k
_GEMM = [*_SHAPE, _pointer, _pointer, _int, _pointer, _int, _pointer, _pointer, _int]
_GEMM_EX = [
    *_SHAPE, _pointer, _pointer, _int, _int, _pointer, _int, _int, _pointer, _pointer, _int, _int, _int, _int,
]  # fmt: skip


class Cublas:
    """A handle of a loaded library.

    Args:
        library: The library, as `ctypes.CDLL`.

    Raises:
        RuntimeError: cuBLAS does not work, for instance for lack of memory.
    """

    def __init__(self, library: Any) -> None:
        self._handle = _pointer()
        library.cublasCreate_v2.argtypes = [ctypes.POINTER(_pointer)]
        _check(library.cublasCreate_v2(ctypes.byref(self._handle)))
        self._gemm = {np.dtype(np.float32): library.cublasSgemm_v2, np.dtype(np.float64): library.cublasDgemm_v2}
        for function in self._gemm.values():
            function.argtypes = _GEMM
        self._gemm_ex = library.cublasGemmEx
        self._gemm_ex.argtypes = _GEMM_EX

    def gemm(
        self, dtype: np.dtype[Any], shape: tuple[int, int, int], a: tuple[int, int, bool], b: tuple[int, int, bool],
        c: tuple[int, int], accumulate: bool, as_bfloat16: bool,
    ) -> None:  # fmt: skip
        """C (m, n) = or += A (m, k) B (k, n), all stored by columns, as in Fortran.

        Args:
            dtype: float32 or float64.
            shape: m, n, k.
            a: Address of A, distance of its columns in elements, whether it is stored as (k, m).
            b: The same of B.
            c: Address and distance of columns of C.
            accumulate: Whether to add to C.
            as_bfloat16: Whether the factors may be rounded to bfloat16; float32 only.
        """
        # alpha and beta: cuBLAS reads them from the host's memory before the call returns
        one = np.ones(1, dtype)
        beta = np.full(1, accumulate, dtype)
        alpha_at, beta_at = one.ctypes.data, beta.ctypes.data
        start = (self._handle, _OPERATION[a[2]], _OPERATION[b[2]], *shape)
        if as_bfloat16:
            kind = _REAL_FLOAT
            _check(
                self._gemm_ex(
                    *start, alpha_at, a[0], kind, a[1], b[0], kind, b[1], beta_at, c[0], kind, c[1],
                    _FAST_BFLOAT16, _DEFAULT_ALGORITHM,
                )
            )  # fmt: skip
        else:
            _check(self._gemm[dtype](*start, alpha_at, a[0], a[1], b[0], b[1], beta_at, c[0], c[1]))


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"cuBLAS failed with status {status}")


@cache
def load_cublas() -> Cublas | None:
    """Return cuBLAS; None in the simulator, or if the library is missing or does not start.

    A context of the device must exist, as after the import of `target`.
    """
    if SIMULATED:
        return None
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return Cublas(ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path))
    except (ImportError, OSError, AttributeError, RuntimeError):  # RuntimeError: also that no library was found
        return None
