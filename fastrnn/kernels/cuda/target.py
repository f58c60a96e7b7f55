"""What the card is, and the sizes of blocks: small in the simulator, where a thread is one of
Python's.
"""

from dataclasses import dataclass
from typing import Any

from .jit import SIMULATED, cuda

_BFLOAT16_SINCE = (8, 0)  # compute capability of the first tensor cores that take bfloat16


@dataclass(frozen=True)
class Target:
    """The card, and ways to multiply besides the exact one, see `nn.products`.

    ``shared``: bytes of shared memory of a multiprocessor, ``block_shared`` what a block may have
    of it unasked. A block has at most ``threads`` threads, in multiples of ``warp`` >= 4 * rows,
    and a multiprocessor ``resident_threads`` with 128 registers each. ``rows``: batch rows that a
    thread takes together, to use each weight that it reads as often.
    """

    name: str
    multiprocessors: int
    shared: int
    bfloat16_dot: bool = False
    bfloat16_fast: bool = False  # so much that it is the default; to be measured
    bfloat16_needs: str = "a GPU of compute capability 8.0"
    rounded: bool = False
    amx: bool = False
    block_shared: int = 48 * 1024
    threads: int = 256
    resident_threads: int = 512
    warp: int = 32
    rows: int = 8


def _card() -> Target:
    if SIMULATED:
        return Target(
            "CUDA simulator", 1, 100 * 1024, bfloat16_dot=True, threads=8, resident_threads=8, warp=8, rows=2,
        )  # fmt: skip
    card: Any = cuda.get_current_device()
    name = card.name.decode() if isinstance(card.name, bytes) else str(card.name)
    shared = int(card.MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)
    with_bfloat16 = tuple(card.compute_capability) >= _BFLOAT16_SINCE
    return Target(name, int(card.MULTIPROCESSOR_COUNT), shared, bfloat16_dot=with_bfloat16)


TARGET = _card()
SIDE = 2 if SIMULATED else 16  # threads along each side of a block that multiplies
REDUCING = 4 if SIMULATED else 128  # threads that add up one sum together; a power of 2
AHEAD = 2 if SIMULATED else 4  # terms of a recurrent product that a thread reads before it multiplies
