"""Whether this process was started under MPI: what the launcher says in the environment. Imports nothing of MPI."""

import os
from collections.abc import Mapping

# launchers' names for the number of processes and for this one's number: Open MPI, MPICH and Intel, MVAPICH
_NAMES = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("PMI_SIZE", "PMI_RANK"),
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    ("SLURM_NTASKS", "PMIX_RANK"),  # srun --mpi=pmix
)
_PREFIXES = ("OMPI_", "PMI_", "PMIX_", "PRTE_", "MV2_", "HYDRA_", "HYDI_", "MPI_LOCAL")


def launcher_rank(environment: Mapping[str, str] | None = None) -> tuple[int, int]:
    """This process's rank and the number of ranks, (0, 1) where no launcher says otherwise."""
    environment = os.environ if environment is None else environment
    for size, rank in _NAMES:
        if environment.get(size, "").isdecimal() and environment.get(rank, "").isdecimal():
            return int(environment[rank]), int(environment[size])
    return 0, 1


def size_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """The variables without which this process is alone."""
    environment = os.environ if environment is None else environment
    return [
        size for size, rank in _NAMES if environment.get(size, "").isdecimal() and environment.get(rank, "").isdecimal()
    ]


def without_mpi(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a process of its own, which is to know nothing of the launcher."""
    environment = os.environ if environment is None else environment
    return {name: value for name, value in environment.items() if not name.startswith(_PREFIXES)}
