"""What the card is, and the sizes of blocks: small in the simulator, where a thread is one of
Python's.
"""

from dataclasses import dataclass
from typing import Any

from .jit import SIMULATED, cuda

_BFLOAT16_SINCE = (8, 0)  # compute capability of the first tensor cores that take bfloat16
SHARED_WITHOUT_OPT_IN = 48 * 1024  # bytes of shared memory that a block may have without asking, on every card


@dataclass(frozen=True)
class Target:
    """A card: what `launch_plan` divides a layer by, and the matmul modes of `nn.matmul_mode`.

    Args:
        name: Name of the card.
        multiprocessors: Their number.
        shared: Bytes of shared memory of a multiprocessor.
        bfloat16_dot: Whether products of bfloat16 numbers are available.
        bfloat16_fast: Whether they are the default; not before somebody has measured them.
        bfloat16_needs: The hardware that they need, for error messages.
        rounded: Whether weights can be rounded to bfloat16 for inference.
        amx: Whether there are AMX registers, as for a CPU.
        block_shared: Most bytes of shared memory of a block.
        threads: Most threads of a block.
        resident_threads: Threads of a multiprocessor at 128 registers each.
        warp: Threads of a warp; at least 4 * rows.
        rows: Most batch rows of a thread: how often it uses a weight that it has read.
    """

    name: str
    multiprocessors: int
    shared: int
    bfloat16_dot: bool = False
    bfloat16_fast: bool = False
    bfloat16_needs: str = "a GPU of compute capability 8.0"
    rounded: bool = False
    amx: bool = False
    block_shared: int = SHARED_WITHOUT_OPT_IN
    threads: int = 256
    resident_threads: int = 512
    warp: int = 32
    rows: int = 8


def _read_target() -> Target:
    if SIMULATED:
        return Target(
            "CUDA simulator", 1, 100 * 1024, bfloat16_dot=True, threads=8, resident_threads=8, warp=8, rows=2,
        )  # fmt: skip
    # creates the context, which cuBLAS needs too
    card: Any = cuda.get_current_device()
    name = card.name.decode() if isinstance(card.name, bytes) else str(card.name)
    shared = int(card.MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)
    with_bfloat16 = tuple(card.compute_capability) >= _BFLOAT16_SINCE
    block_shared = int(getattr(card, "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN", 0) or SHARED_WITHOUT_OPT_IN)
    return Target(
        name, int(card.MULTIPROCESSOR_COUNT), shared, bfloat16_dot=with_bfloat16, block_shared=block_shared,
    )  # fmt: skip


TARGET = _read_target()
SIDE = 2 if SIMULATED else 16  # threads along each side of a block that multiplies
REDUCING = 4 if SIMULATED else 128  # threads that add up one sum together; a power of 2
AHEAD = 2 if SIMULATED else 4  # terms of a recurrent product whose states a thread reads before it multiplies
