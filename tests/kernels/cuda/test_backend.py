"""Errors when CUDA is unavailable: the missing component and how to install it; no fallback to
another device.
"""

import importlib.util
from types import SimpleNamespace

import pytest

import fastrnn
from fastrnn import bench
from fastrnn.config import Config
from fastrnn.errors import BackendError
from fastrnn.kernels import backend
from fastrnn.nn.network import Network
from fastrnn.shapes import ModelShape

with_numba_cuda = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"
)


def test_without_numba_cuda_the_error_names_the_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"not installed; pip install 'fastrnn\[cuda12\]'"):
        Network.from_config(Config(hidden=3, device="cuda"), 5)


STARTS = {
    "train": lambda: fastrnn.train("no such file", fastrnn.Config(cell="lstm-norm", device="cuda")),
    "bench": lambda: bench.bench_train("lstm-norm", device="cuda"),
    "network": lambda: Network(ModelShape("lstm-norm", 1, 3, 5), device="cuda"),
}


@pytest.mark.parametrize("start", STARTS)
def test_cell_without_kernels_is_refused_before_the_data_is_read(monkeypatch, start):
    kernels = SimpleNamespace(CELLS={"lstm": None}, TASKS=False, PROCESSES=False)
    monkeypatch.setattr(backend, "load", lambda device: kernels)
    with pytest.raises(BackendError, match=r"^device cuda does not run cell lstm-norm; use --device cpu or another"):
        STARTS[start]()


@with_numba_cuda
@pytest.mark.parametrize("error", ["Error at driver init: \n\nno libcuda.so\nhere:\n", None])
def test_without_a_driver_or_a_gpu_the_error_explains_it(monkeypatch, error):
    from fastrnn.kernels.cuda import jit

    monkeypatch.setattr(jit, "SIMULATED", False)
    monkeypatch.setattr(jit.cuda, "is_available", lambda: False)
    monkeypatch.setattr(jit.cuda, "cuda_error", lambda: error, raising=False)
    with pytest.raises(BackendError) as raised:
        backend.load("cuda")
    message = str(raised.value)
    assert ("driver: no libcuda.so here; pip" if error else "found no NVIDIA GPU") in message
    assert "fastrnn[cuda12]" in message
    assert "\n" not in message


def test_cpu_does_not_import_cuda():
    assert backend.load("cpu").__name__ == "fastrnn.kernels.cpu.ops"
