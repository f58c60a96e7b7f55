"""Two workarounds for the simulator, which runs each thread of a block as a Python thread.

It waits for them in a busy loop, which must not hold the interpreter for the default 5 ms. And two
threads that request a shared array at the same time can each get their own, so requests are
serialised here.
"""

import sys
import threading

import numpy as np
import pytest

from fastrnn.kernels.cuda.jit import SIMULATED


@pytest.fixture(autouse=True, scope="session")
def quick_switches():
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture(autouse=True, scope="session")
def arrays_that_are_shared():
    if not SIMULATED:
        yield
        return
    from numba.cuda.simulator.kernelapi import FakeCUDAShared

    lock, original = threading.Lock(), FakeCUDAShared.array

    def array(self, shape, dtype, alignment=None):
        if shape == 0:  # as long as the launch says
            return original(self, shape, dtype)
        caller = sys._getframe(1)
        with lock:
            place = caller.f_code.co_filename, caller.f_lineno
            return self._allocations.setdefault(place, np.empty(shape, dtype))

    FakeCUDAShared.array = array
    yield
    FakeCUDAShared.array = original
