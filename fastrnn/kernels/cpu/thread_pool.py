"""Plain threads over kernels that release the GIL: each works on one contiguous share of the rows or columns."""

import os
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from .cpu_count import usable_processors


@dataclass(frozen=True)
class Part:
    """One thread's part of the work."""

    number: int
    of: int

    def range(self, size: int) -> tuple[int, int]:
        """This thread's share of range(size); the shares follow each other and cover it."""
        return size * self.number // self.of, size * (self.number + 1) // self.of


class Pool:
    """The caller and ``threads`` - 1 workers."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or default_threads()
        self.start()
        _pools.add(self)

    def start(self) -> None:
        """Make the workers, in a child process anew: threads do not live through a fork."""
        self._workers = ThreadPoolExecutor(self.threads - 1, "fastrnn") if self.threads > 1 else None

    def together(self, work: Callable[[Part], None], called_off: Callable[[], None] | None = None) -> None:
        """Call ``work(part)`` in every thread at once and wait for all.

        ``called_off``: what to do at once when one of them fails, so that the others do not wait for it.
        """
        if self._workers is None:
            work(Part(0, 1))
            return

        def watched(part: Part) -> None:
            try:
                work(part)
            except BaseException:
                if called_off is not None:
                    called_off()
                raise

        pending: list[Future[None]] = []
        try:
            pending += [self._workers.submit(watched, Part(n, self.threads)) for n in range(1, self.threads)]
            watched(Part(0, self.threads))
        except BaseException:
            if called_off is not None:
                called_off()
            raise
        finally:
            for future in pending:
                future.result()


_pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()


def _start_again() -> None:
    for pool in list(_pools):
        pool.start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_again)

_most: int | None = None  # threads, where other processes compute on this machine too


def default_threads() -> int:
    """`usable_processors`, or what `limit_threads` leaves of them."""
    usable = usable_processors()
    return max(1, min(usable, _most or usable))


def limit_threads(most: int) -> None:
    """From now on `default_threads` is at most so many: other processes want the rest."""
    global _most
    _most = most
