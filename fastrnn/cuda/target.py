"""What the card is, and the sizes of blocks: small in the simulator, where a thread is one of Python's."""

from dataclasses import dataclass
from typing import Any

from .compiling import SIMULATED, cuda


@dataclass(frozen=True)
class Target:
    """``name`` of the card; its multiprocessors; ways to multiply besides the exact one, see `nn.products`."""

    name: str
    multiprocessors: int
    bfloat16_dot: bool = False
    rounded: bool = False
    amx: bool = False


def _card() -> Target:
    if SIMULATED:
        return Target("CUDA simulator", 1)
    card: Any = cuda.get_current_device()
    name = card.name.decode() if isinstance(card.name, bytes) else str(card.name)
    return Target(name, int(card.MULTIPROCESSOR_COUNT))


TARGET = _card()
SIDE = 2 if SIMULATED else 16  # threads along each side of a block that multiplies
REDUCING = 4 if SIMULATED else 128  # threads that add up one sum together; a power of 2
ROWS = 4  # batch rows that a thread takes together, to use each weight it reads as often
