"""The processes that train one model together. `Communicator` is a process alone; `fastrnn.distributed.mpi` are many.

Every process calls the same methods in the same order. Alone they cost nothing and change no bit.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from ..errors import BackendError, ConfigError
from .environment import launcher_rank, size_variables

Array = np.ndarray[Any, Any]
State = dict[str, Array]
Found = TypeVar("Found")


class TrainingWindow(Protocol):
    """What a step learnt from."""

    @property
    def count(self) -> int:
        """Positions."""

    @property
    def scored(self) -> int:
        """Those of them whose loss counts."""


class CommunicationTime(NamedTuple):
    """Of this process in all steps so far: seconds ``waited`` for the slowest, and in which gradients were
    ``averaged``; ``bytes`` of them.
    """

    waited: float = 0.0
    averaged: float = 0.0
    bytes: int = 0


class Communicator:
    """One process alone."""

    rank, size = 0, 1

    def shard(self, batch: int) -> tuple[int, int]:
        """This process's streams lo..hi of so many. Raises `ConfigError` when there are not enough for all."""
        if batch < self.size:
            raise ConfigError(f"batch {batch} is too small for {self.size} processes; give each at least one stream")
        return batch * self.rank // self.size, batch * (self.rank + 1) // self.size

    def run_on_rank0(self, call: Callable[[], Found]) -> Found:
        """What the call gives in the first process; the others do not make it, and wait. Its errors are everyone's."""
        return call()

    def all_reduce_max(self, *numbers: float) -> tuple[float, ...]:
        """The greatest of each number over all processes."""
        return numbers

    def all_reduce_sum(self, *numbers: float) -> tuple[float, ...]:
        """The sum of each number over all processes, in the order of their ranks."""
        return numbers

    def all_reduce_gradients(self, gradient: Array, nats: float, window: TrainingWindow) -> tuple[float, int]:
        """Mean loss and positions of a step, from the means of the parts; ``gradient`` is averaged in place."""
        return nats, window.count

    def spent(self) -> CommunicationTime | None:
        """What working together took; nothing alone."""
        return None

    def broadcast(self, *arrays: Array) -> None:
        """Make these arrays those of the first process."""

    def gather(self, state: State) -> State:
        """The carried state (L, B, H) of all streams; in processes other than the first, of anything."""
        return state


SINGLE_PROCESS = Communicator()


@functools.cache
def world() -> Communicator:
    """The processes that were started together with this one. Raises `BackendError` if they cannot find each other."""
    _, size = launcher_rank()
    if size == 1:
        return SINGLE_PROCESS
    try:
        from .mpi import MPICommunicator
    except (ImportError, RuntimeError) as error:
        raise BackendError(
            f"{_started(size)}, but mpi4py cannot be loaded ({error}); pip install 'fastrnn[mpi]' to train in all of "
            f"them, or run this one alone: {_alone()}"
        ) from None
    found = MPICommunicator()
    if found.size != size:
        raise BackendError(
            f"{_started(size)}, but mpi4py sees {found.size}: the launcher is not of the MPI that mpi4py uses; start "
            f"with the mpirun of that one, or run this one alone: {_alone()}"
        )
    return found


def _started(size: int) -> str:
    return f"started as one of {size} processes ({size_variables()[0]}={size})"


def _alone() -> str:
    """How to run without the other processes."""
    return "env " + " ".join(f"-u {name}" for name in size_variables()) + " fastrnn ..."
