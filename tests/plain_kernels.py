"""Run the kernels as plain Python under ``NUMBA_DISABLE_JIT=1``, so that coverage can measure them.

With the JIT disabled Numba calls a kernel's Python function, but two kinds of functions inside
kernels have no Python code: those dispatched by type at compile time (``overload``) are empty
stubs, and those that are LLVM code (``intrinsic``) do not exist. `install` replaces the former by a
dispatch at run time, and the latter by NumPy code. `fastrnn` itself does not depend on this module.
"""

import importlib
import os
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

import numba
import numba.extending
import numpy as np
import pytest

from fastrnn.kernels import backend

WANTED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
compiled_only = pytest.mark.skipif(WANTED, reason="for compiled code: fused multiply-adds, or many draws")
_chosen: dict[Any, list[Callable[..., Any]]] = {}  # function -> its overloads
_tiles = threading.local()  # their rows, as this thread has configured them


def install() -> None:
    """Patch the kernels. Call once, before any import from `fastrnn.kernels.cpu`."""
    backend.check_compiler = lambda: None
    original = numba.extending.overload
    numba.extending.overload = _recording(original)
    try:
        importlib.import_module("fastrnn.kernels.cpu.ops")
    finally:
        numba.extending.overload = original
    sys.modules["fastrnn.kernels.cpu.activations"].math = types.SimpleNamespace(
        exp=np.exp, tanh=np.tanh
    )  # inf, no exception
    team = sys.modules["fastrnn.kernels.cpu.team"]
    team.SharedKernel.run = _run_alone
    team.Team.wake, team.Team.dismiss = lambda self: None, lambda self, before: None
    replaced: dict[Any, Any] = {function: _dispatcher(each) for function, each in _chosen.items()}
    for name, module in list(sys.modules.items()):
        if name.startswith("fastrnn.kernels.cpu."):
            for key, value in list(vars(module).items()):
                if key in _INTRINSICS and not isinstance(value, type):
                    setattr(module, key, _INTRINSICS[key])
                elif callable(value) and value in replaced:
                    setattr(module, key, replaced[value])


def _recording(original: Any) -> Any:
    def overload(function: Any, **options: Any) -> Any:
        def decorate(choose: Any) -> Any:
            _chosen.setdefault(function, []).append(choose)
            return original(function, **options)(choose)

        return decorate

    return overload


def _dispatcher(overloads: list[Callable[..., Any]]) -> Callable[..., Any]:
    """A function that calls the implementation chosen by the first matching overload, by argument
    types.
    """
    found: dict[Any, Callable[..., Any]] = {}

    def call(*arguments: Any) -> Any:
        key = tuple(map(_kind, arguments))
        if key not in found:
            kinds = [numba.typeof(argument) for argument in arguments]
            found[key] = next(chosen for each in overloads if (chosen := each(*kinds)) is not None)
        return found[key](*arguments)

    return call


def _kind(argument: Any) -> Any:
    """What an implementation is chosen by: the type, of an array also of its elements, of a tuple
    of its items.
    """
    if isinstance(argument, tuple):
        return type(argument), *map(_kind, argument)
    return type(argument), getattr(argument, "dtype", None), getattr(argument, "ndim", None)


def _run_alone(self: Any, numbers: Any, *arguments: Any) -> None:
    """`SharedKernel.run` for one thread: threads that wait for each other need compiled code."""
    from fastrnn.kernels.cpu.team import Thread, new_team

    team = new_team(1)
    if self.plan is not None:
        arguments = Thread(team, 0, 1, self.plan(team, *arguments)), *arguments
    self.body(*arguments)


def _to_bfloat16(x: Any) -> Any:
    bits = int(np.float32(x).view(np.uint32))
    return np.uint16(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) & 0xFFFF)


def _to_pair(first: Any, second: Any) -> Any:
    return np.uint32(int(_to_bfloat16(first)) | int(_to_bfloat16(second)) << 16).view(np.int32)


def _rounded_off(x: Any) -> Any:
    return np.float32(x) - _widened(np.array(_to_bfloat16(x)))[()]


def _micro_kernel(
    rows: int, a_block: Any, a_k: int, panel: Any, c_block: Any, k: int, accumulate: int, columns: int | None = None
) -> None:
    """See `fastrnn.kernels.cpu.micro_kernel.micro_kernel`; ``columns``: of the panel, default all."""
    from fastrnn.kernels.cpu.target import TARGET

    a, a_at, a_row = a_block
    b, b_at, vectors = panel
    c, c_at, c_row = c_block
    width = vectors * TARGET.lanes(c.itemsize * 8)
    left = _halves(a[a_at + np.arange(rows)[:, None] * a_row + np.arange(k) * a_k])
    columns = columns or width
    # one panel after the other, each row-major
    each = min(vectors, TARGET.vectors) * TARGET.lanes(c.itemsize * 8)
    column = np.arange(columns)
    place = column % each
    if b.dtype == np.uint16 and vectors > 1:  # the columns of two vectors alternate
        in_memory = np.arange(each).reshape(-1, 2, TARGET.lanes(32)).swapaxes(1, 2)
        place = np.argsort(in_memory.ravel())[place]
    right = _halves(b[b_at + column // each * k * each + np.arange(k)[:, None] * each + place])
    to = c_at + np.arange(rows)[:, None] * c_row + np.arange(columns)
    total = c[to] if accumulate else np.zeros((rows, columns), c.dtype)
    for n in range(k):  # in order, so that a row's bits do not depend on the rows beside it, as in the tile
        for x, y in zip(left, right, strict=True):
            total += x[:, n : n + 1].astype(c.dtype) * y[n].astype(c.dtype)
    c[to] = total


def _halves(array: Any) -> list[Any]:
    """The numbers of an array of single numbers; of bfloat16 pairs the first numbers and the second
    numbers.
    """
    if array.dtype == np.uint16:
        return [_widened(array)]
    if array.dtype == np.int32:
        return [_widened(half) for half in (array.astype(np.uint16), (array >> 16).astype(np.uint16))]
    return [array]


def _signed(array: Any) -> Any:
    return array.view(np.int32)


def _widened(bits: Any) -> Any:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _transpose_pairs(to: Any, to_at: int, to_row: int, source: Any, at: int, row: int) -> None:
    """See `fastrnn.kernels.cpu.transpose.transpose_pairs`."""
    for m in range(16):
        for n in range(16):
            pair = source[at + 2 * n * row + m], source[at + (2 * n + 1) * row + m]
            _fill_parts(to, to_at + m * to_row + n, *pair)


def _transpose(to: Any, to_at: int, to_row: int, source: Any, at: int, row: int) -> None:
    """See `fastrnn.kernels.cpu.transpose.transpose`."""
    from fastrnn.kernels.cpu.transpose import SIDE

    pairs = to.dtype != np.float32
    for m in range(16 if pairs else SIDE):
        for n in range(16 if pairs else SIDE):
            if pairs:
                pair = source[at + m * row + 2 * n], source[at + m * row + 2 * n + 1]
                _fill_parts(to, to_at + n * to_row + m, *pair, apart=16 * to_row)
            else:
                to[to_at + n * to_row + m] = source[at + m * row + n]


def _row_pairs(to: Any, to_at: int, source: Any, at: int) -> None:
    """See `fastrnn.kernels.cpu.packed_formats.row_pairs`."""
    for n in range(16):
        _fill_parts(to, to_at + n, source[at + 2 * n], source[at + 2 * n + 1])


def _fill_parts(to: Any, at: int, first: Any, second: Any, apart: int = 16) -> None:
    for part in range(3 if to.dtype == np.uint32 else 1):
        to[at + apart * part] = _to_pair(first, second).astype(to.dtype)
        first, second = _rounded_off(first), _rounded_off(second)


def _dot(x: Any, y: Any, start: int, count: int) -> Any:
    """See `fastrnn.kernels.cpu.block_sums`."""
    return (x[start : start + count] * y[start : start + count]).sum(dtype=x.dtype)


def _configure(upper: int, lower: int) -> None:
    _tiles.rows = upper, lower


def _publish(counts: Any, at: int, value: int) -> None:
    counts[at] = value


def _load_count(counts: Any, at: int) -> int:
    return int(counts[at])


def _pause(long: bool) -> None:
    """Give the other threads the interpreter."""
    time.sleep(0)


def _panel_product(upper: int, height: int, a: Any, panel: Any, c: Any, k: int, accumulate: int) -> None:
    """See `fastrnn.kernels.cpu.amx.amx_micro_kernel`."""
    b, b_at, vectors = panel
    columns = 16 * min(vectors, 2)
    for n, rows in enumerate(_tiles.rows[: 2 if height > upper else 1]):
        at = a.start + n * upper * a.row_stride
        to = c._replace(start=c.start + n * upper * c.row_stride)
        if b.dtype != np.uint32:
            _micro_kernel(rows, a._replace(start=at), 1, panel, to, k, accumulate, columns)
            continue
        pairs, width, added = _signed(a.data), vectors * 16, accumulate
        for k0 in range(0, k, 48):
            for left, right in ((0, 2), (0, 1), (1, 1), (1, 0), (2, 0), (0, 0)):
                of_b = _signed(b[b_at + (k0 + 16 * right) * width :][: 16 * width])
                from_a = a._replace(data=pairs, start=at + k0 + 16 * left)
                _micro_kernel(rows, from_a, 1, (of_b, 0, vectors), to, 16, added, columns)
                added = 1


# name in `fastrnn.kernels.cpu` -> what it computes
_INTRINSICS: dict[str, Any] = {
    "micro_kernel": _micro_kernel,
    "to_bfloat16": _to_bfloat16,
    "to_pair": _to_pair,
    "subtract_bfloat16": _rounded_off,
    "row_pairs": _row_pairs,
    "transpose": _transpose,
    "transpose_pairs": _transpose_pairs,
    "amx_micro_kernel": _panel_product,
    "configure": _configure,
    "_add": lambda a, b: a + b,
    "_dot": _dot,
    "fence": lambda x: x,
    "release": lambda: None,
    "segment": lambda array, start, size: array[start : start + size],
    "_at_most": lambda x, bound: bound if x > bound else x,
    "_at_least": lambda x, bound: bound if x < bound else x,
    "_rint": np.rint,
    "publish": _publish,
    "load": _load_count,
    "pause": _pause,
    "_power_of_two": lambda n: np.ldexp(np.float32(1), int(n)) if n == n else n,
}
