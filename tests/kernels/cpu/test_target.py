"""Kernels compiled for older CPUs than this one, each in its own process and folder."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest
from plain_kernels import compiled_only

from fastrnn.kernels.cpu.target import TARGET

TESTS = Path(__file__).parents[2]
X86 = platform.machine().lower() in ("x86_64", "amd64")
HERE = {name for name, on in llvm.get_host_cpu_features().items() if on}
WITHOUT_AMX = ",".join(f"+{name}" for name in sorted(HERE) if not name.startswith("amx"))

# name of the target -> what Numba is told, what this processor must have
TARGETS = {
    "AVX-512": (
        {"NUMBA_CPU_NAME": llvm.get_host_cpu_name(), "NUMBA_CPU_FEATURES": WITHOUT_AMX},
        {"avx512f", "avx512bf16"},
    ),
    "AVX2": ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}, {"avx2", "fma"}),
    "AVX": ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+avx"}, {"avx"}),
    "128-bit": ({"NUMBA_CPU_NAME": "generic"}, set()),
}

SCRIPT = """
import sys
import numpy as np
from fastrnn.kernels.cpu.disk_cache import kernel_folder
from engine_cases import assert_close, make_network, run_network, run_reference
from fastrnn.kernels.cpu.packing import pack, packed_size
from fastrnn.kernels.cpu.output_losses import output_forward
from fastrnn.kernels.cpu.ops import panels
from fastrnn.kernels.cpu.target import TARGET
from random_cases import make_model, make_resets, make_state, make_text

assert TARGET.name == sys.argv[1], TARGET
rng = np.random.default_rng(1)
y, w, bias = (rng.integers(-8, 9, size).astype(np.float32) for size in [(2, 7, 13), (13, 65), 65])
packed, logits = np.full(packed_size(13, 65, w.dtype), np.nan, w.dtype), np.zeros((2, 7, 65), w.dtype)
pack(w, np.array([0]), 13, False, packed, 0, panels(65, w.dtype))
output_forward(logits, y, packed, bias, 0, 7)
np.testing.assert_array_equal(logits, y @ w + bias)

model, state, resets = make_model("lstm", 1, rng, 19, 6), make_state("lstm", rng, 1, 3, 19), make_resets()
ids, targets = make_text(rng)
expected = run_reference(model, ids, targets, state, resets)
assert_close(run_network(make_network(model, "float32"), ids, targets, state, resets), expected, 2e-5)
if TARGET.bfloat16_dot:
    rounded = make_network(model, "float32").with_shared_parameters("bfloat16")
    assert_close(run_network(rounded, ids, targets, state, resets), expected, 0.05)

# the names of C functions stand in the machine code that calls them
kept = [path.read_bytes() for path in kernel_folder().glob("*.kernel")]
assert len(kept) > 5
called = {name for name in (b"fma", b"fmaf", b"rintf") for code in kept if b"\\0" + name + b"\\0" in code}
assert not called, called
"""

WITHOUT_AVX = """
import numba, numpy as np
from fastrnn.kernels.cpu.jit import kernel
from fastrnn.kernels.cpu.target import TARGET, enabled_features

@kernel
def products(x, y):
    for i in range(x.size):
        y[i] += x[i] * x[i]

assert TARGET.name == "128-bit", TARGET
assert not {"avx", "avx2", "avx512f", "fma"} & enabled_features()
products(np.ones(8, np.float32), np.ones(8, np.float32))
(code,) = products.inspect_asm().values()
assert "xmm" in code and "ymm" not in code and "zmm" not in code
"""


@compiled_only
@pytest.mark.skipif(not X86, reason="needs an x86-64 processor")
@pytest.mark.parametrize("name", TARGETS)
def test_product_and_gradient_on_older_cpus(name, tmp_path):
    told, needed = TARGETS[name]
    if not needed <= HERE:
        pytest.skip(f"this processor lacks {', '.join(sorted(needed - HERE))}")
    if name == TARGET.name and not TARGET.bfloat16_dot and not os.environ.get("NUMBA_CPU_FEATURES"):
        pytest.skip("this processor is of this kind: all other tests of kernels are its tests")
    run(SCRIPT, tmp_path, told, name)


@compiled_only
@pytest.mark.skipif(not {"avx", "fma"} <= HERE, reason="needs a processor with AVX and FMA")
def test_avx_can_be_switched_off(tmp_path):
    run(WITHOUT_AVX, tmp_path, {"NUMBA_ENABLE_AVX": "0"})


def run(script, folder, told, *arguments):
    """Run a script with these Numba settings and an empty kernel cache. Asserts that it succeeds."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    environment |= {**told, "FASTRNN_KERNELS": str(folder), "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}
    (folder / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, folder / "script.py", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
