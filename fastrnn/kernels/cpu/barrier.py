"""A spin barrier for use inside kernels.

A wait takes a fraction of a microsecond; sleeping and being woken by the system takes fifty.
"""

import os
import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .amx import pointer
from .jit import device_function, inline_function

BARRIER = hasattr(os, "sched_yield")  # whether threads can yield the CPU
_X86 = platform.machine().lower() in ("x86_64", "amd64")
_LINE = 8  # counters per cache line: each thread writes to its own line, to avoid false sharing
_SPINS = 1000  # about 50 microseconds; after that the CPU is yielded at every look
_I32, _I64 = ir.IntType(32), ir.IntType(64)


def barriers(threads: int) -> np.ndarray[Any, Any]:
    """Barrier counters for ``threads`` threads: arrivals of each thread, and an abort flag. See
    `wait`.
    """
    return np.zeros((threads + 1) * _LINE, np.int64)


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
            pause(spins > _SPINS)


@inline_function
def barrier_threads(counts: Any) -> Any:
    """Threads of a barrier."""
    return counts.size // _LINE - 1


@intrinsic
def publish(typingctx: Any, counts: Any, at: Any, value: Any) -> Any:
    """counts[at] = value with release semantics: all earlier writes become visible first."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        counts, at, value = args
        place = builder.bitcast(pointer(context, builder, sig.args[0], counts, at), _I64.as_pointer())
        builder.store_atomic(value, place, "release", 8)
        return context.get_dummy_value()

    return types.void(counts, types.intp, types.intp), codegen


@intrinsic
def load(typingctx: Any, counts: Any, at: Any) -> Any:
    """counts[at] with acquire semantics: writes before the matching release are visible afterwards."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        counts, at = args
        place = builder.bitcast(pointer(context, builder, sig.args[0], counts, at), _I64.as_pointer())
        return builder.load_atomic(place, "acquire", 8)

    return types.intp(counts, types.intp), codegen


@intrinsic
def pause(typingctx: Any, long: Any) -> Any:
    """Pause before the next look: a few cycles (PAUSE), or, after a ``long`` wait, yield the CPU to
    other threads.
    """

    def call(builder: Any, name: str, result: Any) -> None:
        builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, []), name), [])

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        with builder.if_else(args[0]) as (offer, pause):
            with offer:
                if BARRIER:
                    call(builder, "sched_yield", _I32)
            with pause:
                if _X86:
                    call(builder, "llvm.x86.sse2.pause", ir.VoidType())
        return context.get_dummy_value()

    return types.void(types.boolean), codegen
