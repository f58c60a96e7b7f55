"""A team of threads that runs each kernel together.

Python calls a kernel once. Its launcher writes the arguments to the stack and says where, takes the caller's part of
the work, and waits for the other threads. These spin in compiled code between two calls, so that a call costs about a
microsecond and nobody but the caller needs Python's interpreter lock.

The work of a kernel is divided in one of two ways:

    @shared_kernel          the last two arguments are a range (lo, hi), of which each thread gets an equal part
    @cooperative_kernel     the first parameter is a `Thread`: the kernel divides the work itself, as a planning
                            function in Python chose, and its threads may wait for each other
                            (`wait_for_group`)

Both are called without the thread and with the whole range. The team is that of the `Pool` whose ``together`` is
running in the calling thread; elsewhere the caller does all the work.

A team shares an array of 64-bit numbers in lines of 128 bytes: processors fetch cache lines in pairs. Only one thread
writes into a line at a time, so that waiting threads do not disturb those that work.
"""

import threading
import types as python_types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...errors import BackendError
from .barrier import load, nap_address, publish, relax
from .jit import device_function, kernel, kernel_body
from .llvm_ir import I32, I64, pointer

Array = np.ndarray[Any, Any]

_LINE = 16  # numbers in a line
_CALLS = 0  # number of kernels called so far, written last by the caller
_FUNCTION, _FRAME = _LINE, _LINE + 1  # addresses of the kernel's entry, and of its arguments
_ARRIVALS = _LINE + 2  # most arrivals of a thread before this kernel, see `wait_for_group`
_ACTIVE, _STOP = 2 * _LINE, 2 * _LINE + 1  # whether kernels are about to be called; whether the threads shall end
_FAILED = 3 * _LINE  # whether a thread has failed, so that nobody waits for it
_THREADS, _NAP, _L2_BYTES, _UNIT_PARTS, _ONLY = (4 * _LINE + n for n in range(5))  # see `new_team`
_FIRST = 5 * _LINE  # a line for each thread: kernels done, and arrivals at barriers
_ARRIVED = 1  # index in that line

_LINGER = 6000  # checks of a thread without work before it leaves compiled code


class Thread(NamedTuple):
    """One of the threads that run a kernel."""

    team: Any
    """The numbers that the team shares."""
    number: int
    """Which thread this is, in range(``of``)."""
    of: int
    """Threads of the team."""
    plan: Any
    """The plan of the kernel, see `cooperative_kernel`."""


def new_team(threads: int, l2_bytes: int = 1 << 20, unit_parts: int = 0) -> Array:
    """The shared numbers of a new team.

    Args:
        threads: Its threads, the caller included.
        l2_bytes: Size of the cache that a thread has for itself.
        unit_parts: Threads that share the units of a layer, see `fastrnn.kernels.cpu.grid`; 0: chosen.
    """
    size = _FIRST + threads * _LINE
    raw = np.zeros(size + _LINE, np.int64)
    # the array begins with a line
    start = -raw.ctypes.data % (8 * _LINE) // 8
    team = raw[start : start + size]
    team[_THREADS], team[_NAP], team[_L2_BYTES], team[_UNIT_PARTS] = threads, nap_address(), l2_bytes, unit_parts
    return team


def run_only(team: Array, number: int | None) -> None:
    """Have only this thread's part of each kernel done, by the caller and without barriers.

    None: all parts again. For the simulation of many cores in ``benchmarks/many_cores.py``.
    """
    team[_ONLY] = 0 if number is None else number + 1


class _Current(threading.local):
    """The team of the kernels that this Python thread calls."""

    def __init__(self) -> None:
        self.team = new_team(1)


_current = _Current()


def too_many_threads(wanted: int, possible: int) -> BackendError:
    """The error for a system that lets this process start no more threads."""
    return BackendError(f"the system allows this process {possible:,} of {wanted:,} threads; give fewer with --threads")


class Team:
    """The threads of a team besides the caller. They are started by the first `wake`."""

    def __init__(self, threads: int, l2_bytes: int, unit_parts: int = 0) -> None:
        self._sizes = threads, l2_bytes, unit_parts
        self._threads: list[threading.Thread] = []
        self._make()

    def _make(self) -> None:
        self.numbers = new_team(*self._sizes)
        self._events = [threading.Event() for _ in range(1, self._sizes[0])]

    def wake(self) -> Array:
        """Prepare for calls of kernels, and make this the team of the calling thread. Returns the team before.

        Raises `BackendError` if the threads cannot be started.
        """
        if self._events:
            if not self._threads:
                self._start()
            # in this order: a thread that is about to sleep clears its event, then checks whether the team is active
            self.numbers[_ACTIVE] = 1
            for event in self._events:
                if not event.is_set():
                    event.set()
        before: Array = _current.team
        _current.team = self.numbers
        return before

    def dismiss(self, before: Array) -> None:
        """End the calls of kernels: the threads go to sleep after a while. ``before``: what `wake` returned."""
        _current.team = before
        self.numbers[_ACTIVE] = 0

    def _start(self) -> None:
        # loaded or compiled here: threads cannot while a kernel of the caller waits for them
        _serve(self.numbers, 0, 0)
        threads = [
            threading.Thread(
                target=_run_thread, args=(self.numbers, number, event), name=f"fastrnn-{number}", daemon=True
            )
            for number, event in enumerate(self._events, 1)
        ]
        try:
            for thread in threads:
                thread.start()
                self._threads.append(thread)
        except RuntimeError:  # no kernel may wait for a thread that is missing
            started = 1 + len(self._threads)
            self.stop()
            self._threads.clear()
            self._make()  # one that has not ended yet keeps the old numbers, which stop it
            raise too_many_threads(1 + len(threads), started) from None

    def stop(self) -> None:
        """End the threads."""
        self.numbers[_STOP] = 1
        for event in self._events:
            event.set()
        for thread in self._threads:
            # the garbage collector may call this in one of them
            if thread is not threading.current_thread():
                thread.join(timeout=1)


def _run_thread(team: Array, number: int, event: threading.Event) -> None:
    """Body of a thread: work while there are kernels, else sleep."""
    while not team[_STOP]:
        _serve(team, number, _LINGER)
        event.clear()
        if not team[_ACTIVE] and not team[_STOP]:
            event.wait()


@kernel
def _serve(team: Any, number: Any, linger: Any) -> None:
    """Do this thread's part of every kernel until there has been none for ``linger`` checks, outside of calls."""
    mine = _FIRST + number * _LINE
    done = team[mine]
    spins = 0
    while (spins < linger or load(team, _ACTIVE)) and not load(team, _STOP):
        if load(team, _CALLS) == done:
            spins += 1
            relax(spins, team[_NAP])
        else:
            _call(team[_FUNCTION], team[_FRAME], number)
            done += 1
            publish(team, mine, done)
            spins = 0


@device_function
def _run_team(team: Any, function: Any, frame: Any) -> Any:
    """Have all threads run the function; return whether one of them failed."""
    threads = team[_THREADS]
    if team[_ONLY]:
        _call(function, frame, team[_ONLY] - 1)
    elif threads == 1:
        _call(function, frame, 0)
    else:
        most = team[_FIRST + _ARRIVED]
        for number in range(1, threads):
            most = max(most, load(team, _FIRST + number * _LINE + _ARRIVED))
        team[_FUNCTION] = function
        team[_FRAME] = frame
        team[_ARRIVALS] = most
        calls = team[_CALLS] + 1
        publish(team, _CALLS, calls)
        _call(function, frame, 0)
        for number in range(1, threads):
            spins = 0
            while load(team, _FIRST + number * _LINE) < calls:
                spins += 1
                relax(spins, team[_NAP])
    failed = team[_FAILED]
    team[_FAILED] = 0
    return failed


@device_function
def wait_for_group(thread: Any, first: Any, count: Any) -> None:
    """Barrier: wait until all of the ``count`` threads from number ``first`` on, of which this is one, are here.

    What they wrote before is visible to all of them afterwards. Returns at once if a thread has failed.
    """
    team = thread.team
    if count > 1 and not team[_ONLY]:
        # Threads may have waited differently often in earlier kernels: all count on from the one that did most often.
        mine = _FIRST + thread.number * _LINE + _ARRIVED
        arrival = max(team[mine], team[_ARRIVALS]) + 1
        publish(team, mine, arrival)
        for other in range(first, first + count):
            spins = 0
            while load(team, _FIRST + other * _LINE + _ARRIVED) < arrival and not load(team, _FAILED):
                spins += 1
                relax(spins, team[_NAP])


@device_function
def part_of(thread: Any, lo: Any, hi: Any) -> Any:
    """This thread's part of range(lo, hi), as that of a `shared_kernel`."""
    size = hi - lo
    return lo + size * thread.number // thread.of, lo + size * (thread.number + 1) // thread.of


def threads_of(team: Array) -> int:
    """Threads of a team."""
    return int(team[_THREADS])


def l2_bytes_of(team: Array) -> int:
    """Bytes of the cache that each thread of a team has for itself."""
    return int(team[_L2_BYTES])


def unit_parts_of(team: Array) -> int:
    """Number of threads that shall share the units of a layer; 0: to be chosen."""
    return int(team[_UNIT_PARTS])


@intrinsic
def _call(typingctx: Any, function: Any, frame: Any, number: Any) -> Any:
    """Call the entry of a kernel, given its address, for one thread."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        entry = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), [I64, I64]).as_pointer())
        builder.call(entry, args[1:])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


def _frame_intrinsic(divides_range: bool) -> Any:
    """An intrinsic (team, body, args) -> (address of an entry, address of its arguments).

    The entry (arguments, number of a thread) calls the body for this thread: with a `Thread` as first argument or, if
    ``divides_range``, with the thread's part of the range at the end. The body is linked and optimised only there.
    """

    @intrinsic
    def make_frame(typingctx: Any, team: Any, body: Any, args: Any) -> Any:
        kinds = tuple(args.types)
        # of a cooperative kernel the first argument is the plan, which the thread holds
        thread = types.NamedTuple((team, types.intp, types.intp, kinds[0]), Thread)
        body_kinds = (*kinds[:-2], types.intp, types.intp) if divides_range else (thread, *kinds[1:])
        body.get_call_type(typingctx, body_kinds, {})  # compiles it
        compiled = body.dispatcher.overloads[body_kinds]

        def codegen(context: Any, builder: Any, sig: Any, values: Any) -> Any:
            kept = [values[0], *cgutils.unpack_tuple(builder, values[2])]
            frame = cgutils.alloca_once(builder, ir.LiteralStructType([value.type for value in kept]))
            for n, value in enumerate(kept):
                builder.store(value, builder.gep(frame, [I32(0), I32(n)]))
            signature = ir.FunctionType(ir.VoidType(), [I64, I64])
            entry = ir.Function(builder.module, signature, builder.module.get_unique_name("fastrnn_entry"))
            entry.linkage = "internal"
            # with one thread the call is direct: without this, the kernel would be in the machine code twice
            entry.attributes.add("noinline")
            _build_entry(context, entry, frame.type, (team, *kinds))
            addresses = [builder.ptrtoint(entry, I64), builder.ptrtoint(frame, I64)]
            return context.make_tuple(builder, sig.return_type, addresses)

        def _build_entry(context: Any, entry: Any, frame_type: Any, frame_kinds: Any) -> None:
            builder = ir.IRBuilder(entry.append_basic_block("entry"))
            frame = builder.inttoptr(entry.args[0], frame_type)
            number = entry.args[1]
            shared, *passed = (builder.load(builder.gep(frame, [I32(0), I32(n)])) for n in range(len(frame_kinds)))
            threads = builder.load(_address(context, builder, team, shared, _THREADS))
            if divides_range:
                lo, hi = (context.cast(builder, v, k, types.intp) for v, k in zip(passed[-2:], kinds[-2:], strict=True))
                size = builder.sub(hi, lo)
                ends = [builder.add(number, I64(more)) for more in (0, 1)]
                passed[-2:] = [builder.add(lo, builder.sdiv(builder.mul(size, end), threads)) for end in ends]
            else:
                passed[0] = context.make_tuple(builder, thread, [shared, number, threads, passed[0]])
            context.add_linking_libs([compiled.library])
            function = context.declare_function(builder.module, compiled.fndesc)
            status, _ = context.call_conv.call_function(builder, function, types.none, body_kinds, passed)
            with cgutils.if_unlikely(builder, status.is_error):
                failed = _address(context, builder, team, shared, _FAILED)
                builder.store_atomic(I64(1), failed, "release", 8)
            builder.ret_void()

        return types.UniTuple(types.intp, 2)(team, body, args), codegen

    return make_frame


def _address(context: Any, builder: Any, kind: Any, array: Any, at: int) -> Any:
    """Pointer to a number of the team."""
    return builder.bitcast(pointer(context, builder, kind, array, I64(at)), I64.as_pointer())


_frame_of_range, _frame_of_thread = _frame_intrinsic(True), _frame_intrinsic(False)


# What a launcher calls; each has its own two, see `SharedKernel`.
_make_frame: Any = None
_body: Any = None


def _launch(team: Any, *args: Any) -> None:
    """Run a kernel in all threads of the team."""
    function, frame = _make_frame(team, _body, args)
    if _run_team(team, function, frame):
        raise MemoryError("no memory for the working arrays of a kernel")


class SharedKernel:
    """A kernel that all threads of a team run together. Attributes are those of Numba's dispatcher."""

    def __init__(self, function: Callable[..., Any], make_frame: Any, plan: Callable[..., Any] | None = None) -> None:
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__module__ = function.__module__
        self.body = kernel_body(function)
        self.plan = plan
        # A launcher of its own, with the place of the kernel: messages and the cache name it after that.
        place = function.__code__
        code = _launch.__code__.replace(
            co_name=place.co_name, co_filename=place.co_filename, co_firstlineno=place.co_firstlineno
        )
        names = {"_make_frame": make_frame, "_body": self.body, "_run_team": _run_team}
        launcher = python_types.FunctionType(code, names, function.__name__)
        launcher.__qualname__ = function.__qualname__
        launcher.__module__ = function.__module__
        self.launcher = kernel(launcher)

    def __call__(self, *args: Any) -> None:
        self.run(_current.team, *args)

    def run(self, team: Array, *args: Any) -> None:
        """Run the kernel in the threads of a team."""
        if self.plan is not None:
            args = (self.plan(team, *args), *args)
        self.launcher(team, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.launcher, name)


def shared_kernel(function: Callable[..., Any]) -> SharedKernel:
    """Make a kernel whose last two arguments are a range that the threads divide evenly."""
    return SharedKernel(function, _frame_of_range)


def cooperative_kernel(plan: Callable[..., Any]) -> Callable[[Callable[..., Any]], SharedKernel]:
    """Make a kernel (thread, ...) that divides its work itself.

    ``plan``, called once in Python with the team's numbers and the kernel's arguments, returns what all threads need
    to know, or memory that they share: ``thread.plan``.
    """
    return lambda function: SharedKernel(function, _frame_of_thread, plan)
