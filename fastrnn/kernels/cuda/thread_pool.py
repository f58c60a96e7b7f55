"""Host threads of a device that has its own threads: one part, which is all of the work."""

from collections.abc import Callable

from ..cpu.thread_pool import Part


class Pool:
    """A single host thread launches the kernels; ``threads`` is ignored."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = 1

    def together(self, work: Callable[[Part], None], on_error: Callable[[], None] | None = None) -> None:
        """Call ``work`` for the only part."""
        work(Part(0, 1))
