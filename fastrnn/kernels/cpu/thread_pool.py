"""The threads that compute for one model.

`Pool.together` runs Python code once, and every kernel that it calls in all threads (`fastrnn.kernels.cpu.team`).
`Pool.each` runs Python code in every thread, for a kernel that takes long and divides its work in another way.
"""

import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .cpu_count import count_processors, count_usable_cpus, l2_bytes


@dataclass(frozen=True)
class Part:
    """One thread's part of the work: ``number`` in range(``of``)."""

    number: int
    of: int

    def range(self, size: int) -> tuple[int, int]:
        """This part's share of range(size): (lo, hi). The shares are consecutive and cover it."""
        return size * self.number // self.of, size * (self.number + 1) // self.of


WHOLE = Part(0, 1)


class Pool:
    """The calling thread and ``threads`` - 1 others; default: `default_threads`.

    ``unit_parts``: threads that share the units of a layer, for tests; 0: chosen by the sizes of the layer.
    """

    def __init__(self, threads: int | None = None, unit_parts: int = 0) -> None:
        self.threads = threads or default_threads()
        self.unit_parts = unit_parts
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        """Forget the threads; also in a child process after fork, where they do not exist."""
        # here, not above: layers import `Part`, and do not need Numba before there is a pool
        from .team import Team

        self.team: Team = Team(self.threads, l2_bytes(), self.unit_parts)
        self._executor: ThreadPoolExecutor | None = None
        self._lock = threading.RLock()
        # not a method of the pool, which would keep it alive
        weakref.finalize(self, self.team.stop)

    def together(self, work: Callable[[Part], None]) -> None:
        """Call ``work`` for the whole; all threads run the kernels that it calls."""
        with self._lock:
            before = self.team.wake()
            try:
                work(WHOLE)
            finally:
                self.team.dismiss(before)

    def divide(self, cell: Any, weights: Any, rows: int) -> tuple[int, int]:
        """Return into how many groups threads divide the rows, and the units, of a recurrent layer.

        Args:
            cell: The arrays of the layer.
            weights: `LayerWeights`.
            rows: Batch rows.
        """
        from .grid import count_row_groups
        from .recurrence import plan_layer

        unit_parts = plan_layer(self.team.numbers, cell, weights, rows).parts
        return count_row_groups(self.threads, unit_parts, rows), unit_parts

    def each(self, work: Callable[[Part], None], on_error: Callable[[], None] | None = None) -> None:
        """Call ``work(part)`` in every thread at once and wait for all.

        ``on_error`` is called as soon as one of them fails, so that the others can stop waiting for
        it at a barrier. The exception is raised here.
        """
        from .team import too_many_threads

        if self.threads == 1:
            work(WHOLE)
            return
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.threads - 1, "fastrnn")

        def run_part(part: Part) -> None:
            try:
                work(part)
            except BaseException:
                if on_error is not None:
                    on_error()
                raise

        pending: list[Future[None]] = []
        try:
            for n in range(1, self.threads):
                try:
                    pending.append(self._executor.submit(run_part, Part(n, self.threads)))
                except RuntimeError:
                    raise too_many_threads(self.threads, n) from None
            run_part(Part(0, self.threads))
        except BaseException:
            if on_error is not None:
                on_error()
            raise
        finally:
            for future in pending:
                future.result()


_pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()


def _reset_pools() -> None:
    for pool in list(_pools):
        pool._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_pools)

_thread_limit: int | None = None  # set if other processes compute on this machine too


def default_threads() -> int:
    """Default number of threads: `count_usable_cpus`, at most the limit of `limit_threads`."""
    usable = count_usable_cpus()
    return max(1, min(usable, _thread_limit or usable))


def default_processes() -> int:
    """Processes that may compile at once: one for each hardware thread, at most the limit of `limit_threads`."""
    usable = count_processors()
    return max(1, min(usable, _thread_limit or usable))


def limit_threads(most: int) -> None:
    """Limit `default_threads` and `default_processes` from now on: other processes use the remaining CPUs."""
    global _thread_limit
    _thread_limit = most
