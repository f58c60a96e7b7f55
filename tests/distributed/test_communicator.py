"""The single-process communicator, launcher detection, and sharding."""

import subprocess
import sys

import numpy as np
import pytest

from fastrnn.data.text.bptt import TBPTTStreams, Window, evaluation_windows
from fastrnn.data.text.corpus import corpus_from_text
from fastrnn.distributed import communicator, launcher_rank, remove_mpi_variables
from fastrnn.distributed.communicator import SINGLE_PROCESS, Communicator, world
from fastrnn.errors import BackendError, ConfigError


class Third(Communicator):
    rank, size = 2, 5


def test_single_process_collectives_are_identities():
    gradient = np.arange(3.0)
    window = Window(np.zeros((2, 2), np.int32), np.array([[1, -1], [0, 3]], np.int32), None)
    assert SINGLE_PROCESS.all_reduce_gradients(gradient, 1.5, window) == (1.5, 4)
    assert gradient.tolist() == [0, 1, 2]
    assert (
        SINGLE_PROCESS.shard(7),
        SINGLE_PROCESS.all_reduce_max(3, 4),
        SINGLE_PROCESS.all_reduce_sum(3, 4),
        SINGLE_PROCESS.communication_time(),
    ) == ((0, 7), (3, 4), (3, 4), None)


def test_shards_are_contiguous_and_cover_the_batch():
    assert Third().shard(13) == (5, 7)
    with pytest.raises(ConfigError, match="batch 4 is too small for 5 processes"):
        Third().shard(4)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, (0, 1)),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}, (3, 4)),
        ({"PMI_SIZE": "2", "PMI_RANK": "1"}, (1, 2)),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "5"}, (0, 1)),  # srun without MPI: independent processes
        ({"SLURM_NTASKS": "8", "PMIX_RANK": "5"}, (5, 8)),
        ({"PMI_SIZE": "two", "PMI_RANK": "1"}, (0, 1)),
    ],
)
def test_launcher_detection(environment, found):
    assert launcher_rank(environment) == found
    assert launcher_rank(remove_mpi_variables(environment)) == (0, 1)


def test_single_process_does_not_import_mpi4py():
    code = "import sys, fastrnn.training.api, fastrnn.distributed.communicator as c; c.world()\n"
    code += "print('mpi4py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_missing_mpi4py_error_names_the_package(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "fastrnn.distributed.mpi", raising=False)
    world.cache_clear()
    with pytest.raises(BackendError, match=r"one of 2 processes \(.*=2\), but mpi4py cannot be loaded.*pip install"):
        communicator.world()
    world.cache_clear()


def corpus():
    return corpus_from_text("|".join("abcdefghij"[n % 7 :] * 3 for n in range(900)), separator="|")


def test_windows_of_shards_equal_the_whole():
    text, batch, ranks = corpus(), 7, 3
    whole = TBPTTStreams(text, batch, 9, 5)
    parts = [TBPTTStreams(text, batch, 9, 5, (batch * r // ranks, batch * (r + 1) // ranks)) for r in range(ranks)]
    for index in (0, 1, 2, whole.per_epoch - 1, whole.per_epoch, 2 * whole.per_epoch + 3):
        one, many = whole.window(index), [part.window(index) for part in parts]
        for name in ("x", "y"):
            np.testing.assert_array_equal(np.hstack([getattr(window, name) for window in many]), getattr(one, name))
        none = np.zeros_like
        starts = [none(w.x, np.uint8) if w.resets is None else w.resets for w in many]
        np.testing.assert_array_equal(np.hstack(starts), none(one.x, np.uint8) if one.resets is None else one.resets)
        assert sum(window.scored_count for window in many) == one.scored_count


@pytest.mark.parametrize("ranks", [2, 3, 40])
def test_evaluation_shards_cover_every_position(ranks):
    text = corpus()
    whole = sum(window.scored_count for window in evaluation_windows(text))
    shares = [sum(w.scored_count for w in evaluation_windows(text, rank=r, ranks=ranks)) for r in range(ranks)]
    assert sum(shares) == whole
    assert sum(share > 0 for share in shares) == min(ranks, next(evaluation_windows(text)).x.shape[1])
