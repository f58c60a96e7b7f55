"""``on_device`` needs a GPU or the simulator; without both, `test_simulator.py` runs it in a
subprocess.
"""

import importlib.util


def _cuda_works() -> bool:
    if importlib.util.find_spec("numba_cuda") is None:
        return False
    from fastrnn.kernels.cuda.jit import why_unavailable

    return why_unavailable() is None


collect_ignore = [] if _cuda_works() else ["on_device"]
