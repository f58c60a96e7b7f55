"""Properties of the CPU that Numba compiles for: vector width and registers, and with them the
shape of the register tile.

They follow ``NUMBA_CPU_NAME``, ``NUMBA_CPU_FEATURES`` and ``NUMBA_ENABLE_AVX`` if set, as Numba's
own code does.
"""

import ctypes
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import llvmlite.binding as llvm
from numba.core import config

from ...os_compat import read_sysctl

# LLVM does not disable these with AVX, although their instructions are encoded as AVX's are
_NEED_AVX = {"f16c", "fma", "fma4", "sha512", "sm3", "sm4", "vaes", "vpclmulqdq", "xop"}

TILE = 16  # rows, pairs and columns of a full AMX tile


@dataclass(frozen=True)
class Target:
    """Shape of the register tile, and how bfloat16 can be multiplied.

    The tile has ``rows`` (MR) x ``vectors`` (NR in vectors, an even number) accumulators of ``bytes_`` bytes.
    """

    name: str
    bytes_: int
    rows: int
    vectors: int
    bfloat16_dot: bool = False
    amx: bool = False
    bfloat16_needs: str = "a processor with AVX-512 BF16"
    rounded: bool = True  # weights can be rounded to bfloat16 for inference
    rint: bool = True  # there is an instruction that rounds to an integer; otherwise it is a function call per number

    @property
    def bfloat16_fast(self) -> bool:
        """Whether bfloat16 products are the default: on x86 they were measured to be faster wherever
        they are available; on Arm they have not been measured yet.
        """
        return self.bfloat16_dot and self.bytes_ == 64

    def lanes(self, bits: int) -> int:
        """Numbers of ``bits`` bits in one vector."""
        return self.bytes_ * 8 // bits

    def panel(self, bits: int) -> int:
        """Columns of a micro-panel (NR)."""
        return self.vectors * self.bytes_ * 8 // bits


def enabled_features() -> set[str]:
    """Names of the CPU features that Numba compiles for."""
    if config.CPU_FEATURES is not None:
        return {f[1:] for f in config.CPU_FEATURES.split(",") if f.startswith("+")}
    if config.CPU_NAME == "generic":
        return set()
    return {name for name, on in llvm.get_host_cpu_features().items() if on}


def choose_features() -> None:
    """Set the features that Numba compiles for, unless its environment variables name them.

    - Prefer 512-bit vectors if AVX-512 is available: LLVM prefers 256 bits on Intel CPUs because of older models,
      which made activations 1.3 times slower.
    - Enable the bfloat16 instructions of Arm CPUs that have them: LLVM does not detect them.
    - ``NUMBA_ENABLE_AVX=0`` also disables the features that need AVX. Numba leaves FMA and others on, which imply AVX.
    """
    if config.CPU_FEATURES is not None:
        return
    features = llvm.get_host_cpu_features()
    if features.get("avx") and not config.ENABLE_AVX:
        for name in features:
            if name.startswith("avx") or name in _NEED_AVX:
                features[name] = False
        config.CPU_FEATURES = f"{features.flatten()},-avx"  # last, so that it also disables features not in the list
    elif config.CPU_NAME is None and features.get("avx512f"):
        config.CPU_FEATURES = f"{features.flatten()},-prefer-256-bit"
    elif config.CPU_NAME is None and _is_arm() and arm_has_bfloat16():
        config.CPU_FEATURES = f"{features.flatten()},+bf16"


def _is_arm() -> bool:
    return platform.machine().lower() in ("aarch64", "arm64")


def arm_has_bfloat16(root: Path = Path("/")) -> bool:
    """Whether this Arm CPU has the bfloat16 dot instruction (FEAT_BF16).

    Read from ``proc/cpuinfo`` in the folder ``root`` on Linux, from sysctl on macOS. All cores must
    have it: a thread may run on any of them.
    """
    if sys.platform == "darwin":
        return read_sysctl("hw.optional.arm.FEAT_BF16") == 1
    try:
        cores = re.findall(r"^Features\s*:(.*)$", (root / "proc/cpuinfo").read_text("ascii", "replace"), re.M)
    except OSError:
        return False
    return bool(cores) and all("bf16" in core.split() for core in cores)


def _request_amx() -> bool:
    """Ask Linux for permission to use the tile registers; False if refused.

    `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`: Documentation/arch/x86/xstate.rst of the
    kernel.
    """
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return False
    arch_prctl, request, tile_data = 158, 0x1023, 18
    return bool(ctypes.CDLL(None).syscall(arch_prctl, request, tile_data) == 0)


def host_target() -> Target:
    """The target for this host: 24 accumulators if there are 32 vector registers, 12 if there are
    16.
    """
    features = enabled_features()
    # MR x NR in vectors: all sums in registers, with a few left for A and B. 6 x 4 take 24 of 32 registers
    # and multiply 24 times for 10 loads; 6 x 2 take 12 of 16 and multiply 12 times for 8.
    if "avx512f" in features:
        dot = "avx512bf16" in features
        # AMX needs Linux's permission for each process: its registers make a thread's saved state 8 KB larger
        amx = dot and "amx-bf16" in features and _request_amx()
        return Target("AVX-512 and AMX" if amx else "AVX-512", 64, 6, 4, dot, amx)
    if "avx2" in features and "fma" in features:
        return Target("AVX2", 32, 6, 2)
    if "avx" in features:
        return Target("AVX", 32, 6, 2)
    if _is_arm():
        dot = "bf16" in features
        needs = "an Arm processor with the bfloat16 extension"
        return Target("NEON with bfloat16" if dot else "NEON", 16, 6, 4, dot, bfloat16_needs=needs)
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i686", "x86")
    return Target("128-bit", 16, 6, 2, rint=not x86 or "sse4.1" in features)


choose_features()
TARGET = host_target()
