"""The bfloat16 register tile for Arm: compiled on any machine, run on an emulated one.

``compile_tile`` makes the machine code with this machine's compiler, in a second; run as a script, this file loads that
code and compares its products with NumPy's. So it needs neither Numba's compiler nor minutes on the emulated machine.
"""

import ctypes
import mmap
import struct
import sys

import numpy as np
import numpy.typing as npt

ROWS, COLUMNS, PAIRS = 6, 16, 37
Bits = npt.NDArray[np.uint16]


def compile_tile() -> bytes:
    """Machine code of the tile of 6 rows and 4 vectors for a processor with the bfloat16 extension."""
    import llvmlite.binding as llvm
    from llvmlite import ir

    from fastrnn.kernels.cpu import micro_kernel
    from fastrnn.kernels.cpu.target import Target

    micro_kernel.TARGET = Target("NEON with bfloat16", 16, ROWS, COLUMNS // 4, bfloat16_dot=True)
    module = ir.Module("tile")
    module.triple = "aarch64-unknown-linux-gnu"
    micro_kernel._tile_function(module, micro_kernel._DOT, ROWS, COLUMNS // 4).linkage = "external"
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(module.triple).create_target_machine(features="+bf16", opt=3, reloc="pic")
    compiled = llvm.parse_assembly(str(module))
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(compiled, passes)
    return _text_section(machine.emit_object(compiled))


def _text_section(elf: bytes) -> bytes:
    """The code of an ELF object of one function without relocations."""
    (headers,), (count,) = struct.unpack_from("<Q", elf, 0x28), struct.unpack_from("<H", elf, 0x3C)
    for number in range(count):
        _, kind, flags, _, offset, size, *_ = struct.unpack_from("<IIQQQQIIQQ", elf, headers + 64 * number)
        if kind == 1 and flags & 4 and size:  # PROGBITS, EXECINSTR
            return elf[offset : offset + size]
    raise ValueError("no code in this object")


def _round(values: npt.NDArray[np.float64]) -> Bits:
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def _widen(bits: Bits) -> npt.NDArray[np.float64]:
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(float)


def run_tile(code: bytes) -> None:
    """Multiply random numbers and integers with this code. Raises `AssertionError`."""
    memory = mmap.mmap(-1, 1 << 16, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address, size = ctypes.c_void_p, ctypes.c_int64
    kind = ctypes.CFUNCTYPE(None, address, size, size, address, address, size, size, size)
    tile = kind(ctypes.addressof(ctypes.c_char.from_buffer(memory)))

    rng = np.random.default_rng(0)
    for name, make in (("normal", rng.standard_normal), ("integer", lambda shape: rng.integers(-8, 9, shape) * 1.0)):
        a, b = _round(make((ROWS, 2 * PAIRS))), _round(make((2 * PAIRS, COLUMNS)))
        # pairs of k side by side; row-major, so that one k is contiguous
        panel = np.ascontiguousarray(b.reshape(PAIRS, 2, COLUMNS).swapaxes(1, 2))
        c = np.full((ROWS, COLUMNS), np.nan, np.float32)
        expected = _widen(a) @ _widen(b)
        for accumulate in (0, 1):
            tile(a.ctypes.data, PAIRS, 1, panel.ctypes.data, c.ctypes.data, COLUMNS, PAIRS, accumulate)
            apart = np.abs(c - expected * (1 + accumulate)).max()
            assert apart <= (0 if name == "integer" else 1e-6 * np.abs(expected).max()), apart
            print(f"bfdot tile, {name} numbers, accumulate {accumulate}: at most {apart:.1e} apart")


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as compiled_code:
        run_tile(compiled_code.read())
