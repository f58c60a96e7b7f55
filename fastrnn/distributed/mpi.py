"""Processes over MPI, one rank each. Importing this module starts MPI: only `group.world` does."""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from mpi4py import MPI
from mpi4py.util import pkl5

from ..errors import FastRNNError
from ..kernels.cpu import thread_pool
from ..kernels.cpu.cpu_count import cpu_quota
from .communicator import Array, CommunicationTime, Communicator, Found, State, TrainingWindow


class MPICommunicator(Communicator):
    """The ranks of MPI's world: per step one Allreduce of the flat gradient, and exchanges of a few numbers."""

    def __init__(self) -> None:
        self._comm: Any = pkl5.Intracomm(MPI.COMM_WORLD)
        self.rank, self.size = self._comm.Get_rank(), self._comm.Get_size()
        self._spent = CommunicationTime()
        thread_pool.limit_threads(self._processors())

    def run_on_rank0(self, call: Callable[[], Found]) -> Found:
        found, error = None, None
        if self.rank == 0:
            try:
                found = call()
            except FastRNNError as problem:
                error = problem
        found, error = self._comm.bcast((found, error), root=0)
        if error is not None:
            raise error
        return found  # type: ignore[no-any-return]

    def all_reduce_max(self, *numbers: float) -> tuple[float, ...]:
        return tuple(float(value) for value in self._all(numbers).max(axis=0))

    def all_reduce_sum(self, *numbers: float) -> tuple[float, ...]:
        return tuple(float(value) for value in self._all(numbers).sum(axis=0))

    def all_reduce_gradients(self, gradient: Array, nats: float, window: TrainingWindow) -> tuple[float, int]:
        """Each rank's means are of its own scored positions; together each position counts the same."""
        scored, start = window.scored, time.perf_counter()
        total, everywhere, count = self.all_reduce_sum(nats * scored, scored, window.count)
        everywhere = max(1.0, everywhere)
        between = time.perf_counter()
        gradient *= gradient.dtype.type(scored / everywhere)
        self._comm.Allreduce(MPI.IN_PLACE, gradient)
        waited, averaged, size = self._spent
        now = time.perf_counter()
        self._spent = CommunicationTime(waited + between - start, averaged + now - between, size + gradient.nbytes)
        return total / everywhere, int(count)

    def spent(self) -> CommunicationTime:
        return self._spent

    def broadcast(self, *arrays: Array) -> None:
        for array in arrays:
            self._comm.Bcast(array, root=0)

    def gather(self, state: State) -> State:
        parts = self._comm.gather(state, root=0)
        if parts is None:
            return state
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in state}

    def _all(self, numbers: tuple[float, ...]) -> Array:
        """Everyone's numbers, (ranks, numbers): the same bits everywhere."""
        mine = np.array(numbers, np.float64)
        rows = np.empty((self.size, mine.size))
        self._comm.Allgather(mine, rows)
        return rows

    def _processors(self) -> int:
        """Those of this machine that are each of its ranks' share, whether they are bound to some of them or not."""
        here = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
        together = set().union(*here.allgather(mine))
        ranks: int = here.Get_size()
        here.Free()
        return max(1, min(len(together), cpu_quota() or len(together)) // ranks)
