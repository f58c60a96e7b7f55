"""Kernels of the CPU. `ops` lists those that networks call.

Importing this package imports no Numba, but checks that the compiler would fit into a limited address
space: LLVM aborts without a message when it does not.
"""

import sys
from pathlib import Path

from ...errors import BackendError

try:
    import resource
except ImportError:  # not POSIX
    resource = None  # type: ignore[assignment]

# Megabytes, measured with Numba 0.68 and two threads: a run at 500 aborts, the same at 700 trains
_NUMBA = 190  # to import Numba
_COMPILING = 230  # to load, compile and run the kernels


def check_address_space() -> None:
    """Raise `BackendError` if ``ulimit -v`` leaves too little for Numba and the kernels."""
    if sys.platform == "win32" or resource is None:
        return
    # the soft limit is the one that the kernel enforces
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    # Numba may be imported already, and is then part of what is in use
    needed = _address_space() + _COMPILING + (0 if "numba" in sys.modules else _NUMBA)
    if limit >> 20 < needed:
        raise BackendError(
            f"the address space is limited to {limit >> 20:,} MB (ulimit -v); "
            f"compiling needs about {needed:,} MB: raise the limit"
        )


def _address_space() -> int:
    """Megabytes of address space in use by this process; 0 if unknown."""
    if sys.platform == "win32":
        return 0
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() >> 20
    except (OSError, ValueError):
        return 0


check_address_space()
