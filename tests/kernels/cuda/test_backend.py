"""Errors when CUDA is unavailable: the missing component and how to install it; no fallback to
another device.
"""

import importlib.util

import pytest

from fastrnn.config import Config
from fastrnn.errors import BackendError
from fastrnn.kernels import backend
from fastrnn.nn.network import Network

with_numba_cuda = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"
)


def test_without_numba_cuda_the_error_names_the_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"not installed; pip install 'fastrnn\[cuda12\]'"):
        Network.from_config(Config(hidden=3, device="cuda"), 5)


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
