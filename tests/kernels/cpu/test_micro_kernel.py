"""The machine code of the register tile, compiled for a processor of either vector width."""

import platform
import re

import llvmlite.binding as llvm
import pytest
from llvmlite import ir

from fastrnn.kernels.cpu import micro_kernel
from fastrnn.kernels.cpu.target import Target

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="reads the assembly of x86"
)
AVX2 = Target("AVX2", 32, 6, 2)
AVX512 = Target("AVX-512", 64, 6, 4)


def inner_loop(target, cpu, monkeypatch):
    """Instructions of the loop over k of the float32 tile with MR rows, without the remainder."""
    monkeypatch.setattr(micro_kernel, "TARGET", target)
    module = ir.Module("tile")
    function = micro_kernel._tile_function(module, micro_kernel._PLAIN[32], target.rows, target.vectors)
    function.linkage = "external"

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = triple.create_target_machine(cpu=cpu, features="-prefer-256-bit", opt=3)
    compiled = llvm.parse_assembly(str(module))
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(compiled, passes)

    # a loop is a block that ends with a jump to its own label
    for label, block in re.findall(r"^(\.LBB\d+_\d+):(.*?)(?=^\.LBB|\Z)", machine.emit_assembly(compiled), re.M | re.S):
        body, *jump = re.split(rf"\tj\w+\t{re.escape(label)}\n", block, maxsplit=1)
        if jump and "vfmadd" in body:
            return [line.strip() for line in body.splitlines() if line.startswith("\t")]
    raise AssertionError("no loop with multiply-adds")


@pytest.mark.parametrize(("target", "cpu"), [(AVX2, "haswell"), (AVX512, "skylake-avx512")])
def test_inner_loop_is_the_listing_of_the_module(target, cpu, monkeypatch):
    loop = inner_loop(target, cpu, monkeypatch)
    register = "%ymm" if target is AVX2 else "%zmm"
    arithmetic = [line for line in loop if line.startswith("vfmadd")]
    # the compiler may unroll the loop: ``steps`` values of k in one pass
    steps, rest = divmod(len(arithmetic), target.rows * target.vectors)
    assert steps >= 1
    assert rest == 0

    broadcasts = [line for line in loop if line.startswith("vbroadcastss") or "{1to16}" in line]
    loads = [line for line in loop if line.startswith("vmov") and "(" in line]
    assert len(broadcasts) == steps * target.rows
    assert len(loads) == steps * target.vectors
    assert all(register in line for line in arithmetic + loads)

    # no register is spilled, and no sum leaves its register
    assert not [line for line in loop if "%rsp" in line and line.startswith("v")]
    assert not [line for line in loop if re.match(r"vmov.*,\s*-?\d*\(", line)]
    sums = {line.rsplit(maxsplit=1)[-1] for line in arithmetic}
    assert len(sums) == target.rows * target.vectors


def test_listing_shows_what_is_compiled_for_avx2(monkeypatch):
    loop = inner_loop(AVX2, "haswell", monkeypatch)
    compiled = {re.split(r"\s", line)[0] for line in loop if line.startswith("v")}
    listing = micro_kernel.__doc__ or ""
    assert set(re.findall(r"^ +(v\w+) ", listing, re.M)) == compiled
