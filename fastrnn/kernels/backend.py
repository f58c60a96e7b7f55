"""Loads the kernels of a device: a module with the names of `fastrnn.kernels.cpu.ops`."""

import importlib
import importlib.util
from typing import Any

from ..errors import BackendError


def load(device: str = "cpu") -> Any:
    """The kernels of a device. Raises `BackendError` when it is not here; never another device instead."""
    if device == "cuda":
        _check_cuda()
    check_compiler()
    return importlib.import_module(f"fastrnn.kernels.{device}.ops")


def check_compiler() -> None:
    """Raises `BackendError` where Numba is told not to compile: kernels are made of parts that only compile."""
    from numba.core import config

    if config.DISABLE_JIT:
        raise BackendError("fastrnn needs Numba's compiler, which NUMBA_DISABLE_JIT turns off; unset NUMBA_DISABLE_JIT")


def check(device: str, task: str = "language-model", processes: int = 1) -> None:
    """Raises `BackendError` where this device is not here, or cannot learn this task, or not in so many processes."""
    kernels = load(device)
    if task != "language-model" and not kernels.TASKS:
        raise BackendError(f"device {device} runs language models only; use --device cpu for {task}")
    if processes > 1 and not kernels.PROCESSES:
        raise BackendError(f"device {device} trains in one process only; start without MPI, or use --device cpu")


def _check_cuda() -> None:
    """Raises `BackendError` that says what is missing and how to get it."""
    # Numba's own numba.cuda is deprecated; it is not tried
    reason: str | None = "device cuda needs numba-cuda, which is not installed"
    if importlib.util.find_spec("numba_cuda") is not None:
        reason = importlib.import_module("fastrnn.kernels.cuda.jit").missing()
    if reason is not None:
        raise BackendError(
            f"{reason}; pip install 'fastrnn[cuda12]' ('fastrnn[cuda13]' where `nvidia-smi` shows CUDA 13), "
            "or use --device cpu"
        )
