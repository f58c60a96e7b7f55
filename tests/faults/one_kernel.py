"""A process that compiles one small kernel, or finds it in the cache: `kernel_cache.py` starts and kills it.

Prints "ready" before it needs the kernel, then a JSON object: the answer, and whether it came from the cache.
"""

import json
import sys

import numpy as np

from fastrnn.kernels.cpu.jit import kernel

# A kernel that calls another in another file, as `edited` edits it.
INNER = "from .jit import device_function\n\n\n@device_function\ndef more(x):\n    return x + {}\n"
OUTER = """
import json
import sys
from fastrnn.kernels.cpu.jit import kernel
from fastrnn.kernels.cpu.inner import more

def outer(x):
    return more(x)

print("ready")
compiled = kernel(outer)
print(json.dumps({"answer": compiled(1), "kept": bool(compiled.stats.cache_hits)}))
"""


def poly(x):
    """1 + 2 x + 3 x^2, summed up: in the type of x (n,)."""
    total = x.dtype.type(0)
    for i in range(len(x)):
        total += x[i] * (x[i] * 3 + 2) + 1
    return total


def right(dtype: str) -> float:
    """What `answer` is."""
    x = numbers(dtype)
    return float((1 + 2 * x + 3 * x * x).sum())


def numbers(dtype: str) -> np.ndarray:
    """Small whole numbers, whose sums are exact in every type."""
    return np.arange(-4, 9).astype(dtype)


if __name__ == "__main__":
    print("ready", flush=True)
    compiled = kernel(poly)
    answer = compiled(numbers(sys.argv[1]))
    print(json.dumps({"answer": float(answer), "kept": bool(compiled.stats.cache_hits)}))
