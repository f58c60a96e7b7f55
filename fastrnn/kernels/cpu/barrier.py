"""Threads that wait for each other inside a kernel, by looking again and again: that takes a fraction of a
microsecond, where sleeping and being woken takes fifty."""

import os
import platform
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .amx import pointer
from .jit import device_function

BARRIER = hasattr(os, "sched_yield")  # whether a thread can let others have its processor
_X86 = platform.machine().lower() in ("x86_64", "amd64")
_LINE = 8  # counters of a cache line: each thread writes in a line of its own
_PATIENCE = 1000  # looks, about 50 microseconds, before the processor is offered to others at every look
_I32, _I64 = ir.IntType(32), ir.IntType(64)


def barriers(threads: int) -> np.ndarray[Any, Any]:
    """How many meetings each of so many threads has come to, none yet; and whether they are called off. For `wait`."""
    return np.zeros((threads + 1) * _LINE, np.int64)


def abort(counts: np.ndarray[Any, Any]) -> None:
    """Some thread will not come again: nobody waits any more."""
    counts[-_LINE] = 1


@device_function
def wait(counts: Any, number: Any) -> None:
    """Thread ``number`` is here; wait until all others have come as often.

    What each of them wrote before it came can be read then.
    """
    times = counts[number * _LINE] + 1
    _publish(counts, number * _LINE, times)
    threads = counts.size // _LINE - 1
    for other in range(threads):
        looks = 0
        while _look(counts, other * _LINE) < times and not _look(counts, threads * _LINE):
            looks += 1
            _wait(looks > _PATIENCE)


@intrinsic
def _publish(typingctx: Any, counts: Any, at: Any, value: Any) -> Any:
    """counts[at] = value, for all to see after everything that was written before."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        counts, at, value = args
        place = builder.bitcast(pointer(context, builder, sig.args[0], counts, at), _I64.as_pointer())
        builder.store_atomic(value, place, "release", 8)
        return context.get_dummy_value()

    return types.void(counts, types.intp, types.intp), codegen


@intrinsic
def _look(typingctx: Any, counts: Any, at: Any) -> Any:
    """counts[at]; what was published before it can be read from now on."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        counts, at = args
        place = builder.bitcast(pointer(context, builder, sig.args[0], counts, at), _I64.as_pointer())
        return builder.load_atomic(place, "acquire", 8)

    return types.intp(counts, types.intp), codegen


@intrinsic
def _wait(typingctx: Any, long: Any) -> Any:
    """Before the next look: a pause of some cycles, or, when it has been ``long``, whoever else wants the processor."""

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
