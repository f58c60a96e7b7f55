"""Data-parallel training: detection of an MPI launcher, here; collectives in `communicator` and `mpi`.

This file imports no MPI library and no NumPy: every command looks for a launcher before it does anything else.
"""

import os
from collections.abc import Mapping

# (number of ranks, this rank), as set by Open MPI, MPICH and Intel MPI, MVAPICH, and Slurm
_NAMES = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("PMI_SIZE", "PMI_RANK"),
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    # srun --mpi=pmix. Plain srun sets SLURM_PROCID instead: its processes are independent of each other.
    ("SLURM_NTASKS", "PMIX_RANK"),
)
_PREFIXES = ("OMPI_", "PMI_", "PMIX_", "PRTE_", "MV2_", "HYDRA_", "HYDI_", "MPI_LOCAL")


def launcher_rank(environment: Mapping[str, str] | None = None) -> tuple[int, int]:
    """Return this process's rank and the number of ranks; (0, 1) without an MPI launcher."""
    environment = os.environ if environment is None else environment
    # Both variables must hold numbers: a batch system may set the size alone, for a process that it does not launch.
    for size, rank in _NAMES:
        if _has_numbers(environment, size, rank):
            return int(environment[rank]), int(environment[size])
    return 0, 1


def size_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the variables that must be unset to run this process on its own."""
    environment = os.environ if environment is None else environment
    return [size for size, rank in _NAMES if _has_numbers(environment, size, rank)]


def remove_mpi_variables(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a copy of the environment without MPI variables, for an independent child process."""
    environment = os.environ if environment is None else environment
    return {name: value for name, value in environment.items() if not name.startswith(_PREFIXES)}


def _has_numbers(environment: Mapping[str, str], size: str, rank: str) -> bool:
    return environment.get(size, "").isdecimal() and environment.get(rank, "").isdecimal()
