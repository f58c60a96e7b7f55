"""Waiting inside kernels: a spin barrier and its parts.

A wait takes a fraction of a microsecond; sleeping and being woken by the system takes fifty.
"""

import ctypes
import os
import platform
import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import device_function, inline_function
from .llvm_ir import I32, I64, pointer

BARRIER = hasattr(os, "sched_yield")  # whether threads can yield the CPU
_X86 = platform.machine().lower() in ("x86_64", "amd64")
_LINE = 8  # counters per cache line: each thread writes to its own line, to avoid false sharing

# A thread that waits checks again after a short pause, some 50 microseconds in all; then it offers the CPU to others
# before each check; then it sleeps between checks.
_PAUSES = 1000
_YIELDS = 3000
_NAP_LENGTH = 1 if sys.platform == "win32" else 50  # milliseconds, microseconds
_NAP = 1  # index of `nap_address` in the line of the abort flag


def barriers(threads: int) -> np.ndarray[Any, Any]:
    """Barrier counters for ``threads`` threads: arrivals of each thread, and an abort flag. See
    `wait`.
    """
    counts = np.zeros((threads + 1) * _LINE, np.int64)
    counts[threads * _LINE + _NAP] = nap_address()
    return counts


def nap_address() -> int:
    """Address of the C function that sleeps for `_NAP_LENGTH`, for `relax`."""
    windows = getattr(ctypes, "windll", None)
    function: Any = ctypes.CDLL(None).usleep if windows is None else windows.kernel32.Sleep
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def abort(counts: np.ndarray[Any, Any]) -> None:
    """Set the abort flag: no thread waits any more."""
    counts[-_LINE] = 1


@device_function
def wait(counts: Any, number: Any) -> None:
    """Arrive as thread ``number`` and wait until all other threads have arrived as often, or the
    barrier is aborted.

    Writes of every thread before its arrival are visible to all threads afterwards.
    """
    times = counts[number * _LINE] + 1
    publish(counts, number * _LINE, times)
    threads = barrier_threads(counts)
    for other in range(threads):
        spins = 0
        while load(counts, other * _LINE) < times and not load(counts, threads * _LINE):
            spins += 1
            relax(spins, counts[threads * _LINE + _NAP])


@device_function
def relax(spins: Any, nap: Any) -> None:
    """Pass the time before check number ``spins`` of a wait. ``nap``: `nap_address`."""
    if spins < _PAUSES + _YIELDS:
        _pause(spins > _PAUSES)
    else:
        _sleep(nap, _NAP_LENGTH)


@inline_function
def barrier_threads(counts: Any) -> Any:
    """Threads of a barrier."""
    return counts.size // _LINE - 1


@intrinsic
def publish(typingctx: Any, counts: Any, at: Any, value: Any) -> Any:
    """counts[at] = value with release semantics: all earlier writes become visible first."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        counts, at, value = args
        place = builder.bitcast(pointer(context, builder, sig.args[0], counts, at), I64.as_pointer())
        builder.store_atomic(value, place, "release", 8)
        return context.get_dummy_value()

    return types.void(counts, types.intp, types.intp), codegen


@intrinsic
def load(typingctx: Any, counts: Any, at: Any) -> Any:
    """counts[at] with acquire semantics: writes before the matching release are visible afterwards."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        counts, at = args
        place = builder.bitcast(pointer(context, builder, sig.args[0], counts, at), I64.as_pointer())
        return builder.load_atomic(place, "acquire", 8)

    return types.intp(counts, types.intp), codegen


@intrinsic
def _pause(typingctx: Any, long: Any) -> Any:
    """Pause before the next check: a few cycles (PAUSE), or, after a ``long`` wait, yield the CPU to
    other threads.
    """

    def call(builder: Any, name: str, result: Any) -> None:
        builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, []), name), [])

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        with builder.if_else(args[0]) as (offer, pause):
            with offer:
                if BARRIER:
                    call(builder, "sched_yield", I32)
            with pause:
                if _X86:
                    call(builder, "llvm.x86.sse2.pause", ir.VoidType())
        return context.get_dummy_value()

    return types.void(types.boolean), codegen


@intrinsic
def _sleep(typingctx: Any, function: Any, time: Any) -> Any:
    """Call the function of `nap_address`."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        sleep = builder.inttoptr(args[0], ir.FunctionType(I32, [I32]).as_pointer())
        builder.call(sleep, [builder.trunc(args[1], I32)])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen
