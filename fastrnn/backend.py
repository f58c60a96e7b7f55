"""Which device computes: the one module that knows. A device is a module with the names of `fastrnn.cpu.kernels`."""

import importlib
from typing import Any

from .errors import BackendError


def load(device: str = "cpu") -> Any:
    """The kernels of a device. Raises `BackendError` when it is not here; never another device instead."""
    if device != "cpu":
        raise BackendError(f"device {device!r} is not available in this version; use --device cpu")
    return importlib.import_module("fastrnn.cpu.kernels")
