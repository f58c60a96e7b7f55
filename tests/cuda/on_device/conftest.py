"""Two repairs of the simulator, which runs each thread of a block as one of Python's.

It waits for them in a busy loop, which must not hold the interpreter for its usual 5 ms. And two
threads that ask for a shared array at the same time can each get one of their own: here they ask
one after another.
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
