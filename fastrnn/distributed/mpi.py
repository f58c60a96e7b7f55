"""MPI collectives through mpi4py. Importing this module initialises MPI; only `communicator.world` imports it."""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from mpi4py import MPI
from mpi4py.util import pkl5

from ..errors import FastRNNError
from ..kernels.cpu import thread_pool
from ..kernels.cpu.cpu_count import count_cores, cpu_quota
from .communicator import Array, CommunicationTime, Communicator, Result, State, TrainingWindow


class MPICommunicator(Communicator):
    """The ranks of MPI_COMM_WORLD. A step is one Allgather of three numbers and one Allreduce of the gradient."""

    def __init__(self) -> None:
        # pkl5 pickles with out-of-band buffers: objects may exceed 2 GiB, and arrays are not copied
        self._comm: Any = pkl5.Intracomm(MPI.COMM_WORLD)
        self.rank = self._comm.Get_rank()
        self.size = self._comm.Get_size()
        self._time = CommunicationTime()
        thread_pool.limit_threads(self._cpus_per_rank())

    def run_on_rank0(self, call: Callable[[], Result]) -> Result:
        """Run a function on rank 0 and broadcast its result or error; collective, all ranks must call it."""
        result, error = None, None
        if self.rank == 0:
            try:
                result = call()
            except FastRNNError as problem:
                error = problem

        result, error = self._comm.bcast((result, error), root=0)
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def all_reduce_max(self, *numbers: float) -> tuple[float, ...]:
        """Return the maximum of each number over all ranks; collective, all ranks must call it."""
        return tuple(float(value) for value in self._all_gather(numbers).max(axis=0))

    def all_reduce_sum(self, *numbers: float) -> tuple[float, ...]:
        """Return the sum of each number, in rank order; collective, all ranks must call it."""
        return tuple(float(value) for value in self._all_gather(numbers).sum(axis=0))

    def all_reduce_gradients(self, gradient: Array, nats: float, window: TrainingWindow) -> tuple[float, int]:
        """Average the gradient over all ranks, in place; collective, all ranks must call it.

        Ranks are weighted by their number of scored positions, so every scored position has the same weight.
        """
        scored = window.scored_count
        start = time.perf_counter()

        # The small exchange comes first: it waits for the slowest rank, so that only the all-reduce is timed as such.
        total_nats, total_scored, count = self.all_reduce_sum(nats * scored, scored, window.count)
        total_scored = max(1.0, total_scored)
        after_wait = time.perf_counter()

        gradient *= gradient.dtype.type(scored / total_scored)
        self._comm.Allreduce(MPI.IN_PLACE, gradient)
        after_reduce = time.perf_counter()

        self._time = CommunicationTime(
            self._time.wait_seconds + after_wait - start,
            self._time.reduce_seconds + after_reduce - after_wait,
            self._time.bytes + gradient.nbytes,
        )
        return total_nats / total_scored, int(count)

    def communication_time(self) -> CommunicationTime:
        """Return the time spent communicating since the start; not a collective."""
        return self._time

    def broadcast(self, *arrays: Array) -> None:
        """Overwrite arrays with those of rank 0; collective, all ranks must call it."""
        for array in arrays:
            self._comm.Bcast(array, root=0)

    def gather(self, state: State) -> State:
        """Gather carried states (L, B, H) along B on rank 0; collective, all ranks must call it."""
        parts = self._comm.gather(state, root=0)
        if parts is None:
            return state
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in state}

    def _all_gather(self, numbers: tuple[float, ...]) -> Array:
        """Return the numbers of all ranks, (ranks, numbers); collective, all ranks must call it.

        Reducing these rows locally gives the same bits on every rank, which Allreduce does not promise.
        """
        mine = np.array(numbers, np.float64)
        rows = np.empty((self.size, mine.size))
        self._comm.Allgather(mine, rows)
        return rows

    def _cpus_per_rank(self) -> int:
        """Return this host's cores divided by its ranks; collective, all ranks must call it.

        The union of all affinity masks counts, so it does not matter whether the launcher binds ranks to CPUs.
        """
        host = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
        cpus: set[int] = set().union(*host.allgather(affinity))
        ranks: int = host.Get_size()
        host.Free()
        cores = count_cores(cpus) or len(cpus)
        return max(1, min(cores, cpu_quota() or cores) // ranks)
