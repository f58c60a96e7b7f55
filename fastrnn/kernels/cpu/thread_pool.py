"""Thread pool for kernels, which release the GIL: each thread works on one contiguous share of rows
or columns.
"""

import os
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from .cpu_count import count_usable_cpus


@dataclass(frozen=True)
class Part:
    """One thread's part of the work: ``number`` in range(``of``)."""

    number: int
    of: int

    def range(self, size: int) -> tuple[int, int]:
        """This part's share of range(size): (lo, hi). The shares are consecutive and cover it."""
        return size * self.number // self.of, size * (self.number + 1) // self.of


class Pool:
    """The calling thread and ``threads`` - 1 workers; default: `default_threads`."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or default_threads()
        self.start()
        _pools.add(self)

    def start(self) -> None:
        """Create the workers; also in a child process after fork, where threads do not survive."""
        self._workers = ThreadPoolExecutor(self.threads - 1, "fastrnn") if self.threads > 1 else None

    def together(self, work: Callable[[Part], None], on_error: Callable[[], None] | None = None) -> None:
        """Call ``work(part)`` in every thread at once and wait for all.

        ``on_error`` is called as soon as one of them fails, so that the others can stop waiting for
        it at a barrier. The exception is raised here.
        """
        if self._workers is None:
            work(Part(0, 1))
            return

        def run_part(part: Part) -> None:
            try:
                work(part)
            except BaseException:
                if on_error is not None:
                    on_error()
                raise

        pending: list[Future[None]] = []
        try:
            pending += [self._workers.submit(run_part, Part(n, self.threads)) for n in range(1, self.threads)]
            run_part(Part(0, self.threads))
        except BaseException:
            if on_error is not None:
                on_error()
            raise
        finally:
            for future in pending:
                future.result()


_pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()


def _restart_pools() -> None:
    for pool in list(_pools):
        pool.start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_pools)

_thread_limit: int | None = None  # set if other processes compute on this machine too


def default_threads() -> int:
    """Default number of threads: `count_usable_cpus`, at most the limit of `limit_threads`."""
    usable = count_usable_cpus()
    return max(1, min(usable, _thread_limit or usable))


def limit_threads(most: int) -> None:
    """Limit `default_threads` from now on: other processes on this machine use the remaining CPUs."""
    global _thread_limit
    _thread_limit = most
