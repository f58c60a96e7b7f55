"""Collective operations of data-parallel training: `Communicator` for one process, `mpi` for several.

Every collective must be called by all ranks, in the same order. In a single process collectives cost nothing and
return their input unchanged.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from ..errors import BackendError, ConfigError
from . import launcher_rank, size_variables

Array = np.ndarray[Any, Any]
State = dict[str, Array]
Result = TypeVar("Result")


class TrainingWindow(Protocol):
    """The number of positions in the input of a training step."""

    @property
    def count(self) -> int:
        """Number of positions."""

    @property
    def scored_count(self) -> int:
        """Number of positions that contribute to the loss."""


class CommunicationTime(NamedTuple):
    """Communication of this rank, accumulated over all steps.

    Attributes:
        wait_seconds: Time spent waiting for the slowest rank.
        reduce_seconds: Time spent in the all-reduce of gradients.
        bytes: Size of all reduced gradients.
    """

    wait_seconds: float = 0.0
    reduce_seconds: float = 0.0
    bytes: int = 0


class Communicator:
    """Collectives of a single process; the base class of `fastrnn.distributed.mpi.MPICommunicator`.

    Attributes:
        rank: Rank of this process, 0 .. size-1.
        size: Number of ranks.
    """

    rank, size = 0, 1

    def shard(self, batch: int) -> tuple[int, int]:
        """Return the range lo, hi of this rank's streams; not a collective.

        Raises:
            ConfigError: If the batch has fewer streams than there are ranks.
        """
        if batch < self.size:
            raise ConfigError(f"batch {batch} is too small for {self.size} processes; give each at least one stream")
        # The bounds of neighbouring ranks are the same expression, so that no stream is missed or counted twice.
        return batch * self.rank // self.size, batch * (self.rank + 1) // self.size

    def run_on_rank0(self, call: Callable[[], Result]) -> Result:
        """Run a function on rank 0 and return its result on every rank; collective, all ranks must call it.

        A `FastRNNError` on rank 0 is raised on every rank.
        """
        return call()

    def all_reduce_max(self, *numbers: float) -> tuple[float, ...]:
        """Return the maximum of each number over all ranks; collective, all ranks must call it."""
        return numbers

    def all_reduce_sum(self, *numbers: float) -> tuple[float, ...]:
        """Return the sum of each number, in rank order; collective, all ranks must call it."""
        return numbers

    def all_reduce_gradients(self, gradient: Array, nats: float, window: TrainingWindow) -> tuple[float, int]:
        """Average the gradient over all ranks, in place; collective, all ranks must call it.

        Args:
            gradient: Flat gradient of the mean loss over this rank's scored positions; overwritten.
            nats: Mean loss over this rank's scored positions.
            window: Input of this rank's step.

        Returns:
            The mean loss over the scored positions of all ranks, and the number of positions of all ranks.
        """
        return nats, window.count

    def communication_time(self) -> CommunicationTime | None:
        """Return the time spent communicating, None in a single process; not a collective."""
        return None

    def broadcast(self, *arrays: Array) -> None:
        """Overwrite arrays with those of rank 0; collective, all ranks must call it."""

    def gather(self, state: State) -> State:
        """Gather carried states (L, B, H) along B on rank 0; collective, all ranks must call it.

        Ranks other than 0 get their own state back.
        """
        return state


SINGLE_PROCESS = Communicator()


@functools.cache
def world() -> Communicator:
    """Return the communicator of all processes of the MPI launcher; `SINGLE_PROCESS` without one.

    Raises:
        BackendError: If mpi4py is missing or belongs to another MPI than the launcher.
    """
    _, size = launcher_rank()
    if size == 1:
        return SINGLE_PROCESS

    try:
        from .mpi import MPICommunicator  # importing it initialises MPI
    except (ImportError, RuntimeError) as error:
        raise BackendError(
            f"{_launch_description(size)}, but mpi4py cannot be loaded ({error}); pip install 'fastrnn[mpi]' to train "
            f"in all of them, or run this one alone: {_single_process_command()}"
        ) from None

    communicator = MPICommunicator()
    # Under the launcher of another MPI mpi4py sees a single process, and every process would train the same run.
    if communicator.size != size:
        raise BackendError(
            f"{_launch_description(size)}, but mpi4py sees {communicator.size}: the launcher is not of the MPI that "
            f"mpi4py uses; start with the mpirun of that one, or run this one alone: {_single_process_command()}"
        )
    return communicator


def _launch_description(size: int) -> str:
    return f"started as one of {size} processes ({size_variables()[0]}={size})"


def _single_process_command() -> str:
    """Return a command line that runs fastrnn without the launcher's variables."""
    return "env " + " ".join(f"-u {name}" for name in size_variables()) + " fastrnn ..."
