"""The machine code of the register tile, compiled for processors of each kind, whatever runs the test."""

import re

import llvmlite.binding as llvm
import pytest
from llvmlite import ir

from fastrnn.kernels.cpu import micro_kernel, target
from fastrnn.kernels.cpu.target import Target

X86 = "x86_64-unknown-linux-gnu"
ARM = "aarch64-unknown-linux-gnu"
AVX2 = Target("AVX2", 32, 6, 2)
AVX512 = Target("AVX-512", 64, 6, 4)
NEON = Target("NEON with bfloat16", 16, 6, 4, bfloat16_dot=True)


def assembly(target, kind, cpu, features, triple, monkeypatch, shape=None):
    """The tile with these rows and vectors, by default the largest, for a processor, as assembly."""
    monkeypatch.setattr(micro_kernel, "TARGET", target)
    module = ir.Module("tile")
    module.triple = triple
    function = micro_kernel._tile_function(module, kind, *(shape or (target.rows, target.vectors)))
    function.linkage = "external"

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=3)
    compiled = llvm.parse_assembly(str(module))
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(compiled, passes)
    return machine.emit_assembly(compiled)


def loop_with(instruction, code):
    """Instructions of the first loop that has this one, without the remainder."""
    # a loop is a block that ends with a jump to its own label
    for label, block in re.findall(r"^(\.LBB\d+_\d+):(.*?)(?=^\.LBB|\Z)", code, re.M | re.S):
        body, *jump = re.split(rf"\t(?:j\w+|b\.\w+)\t{re.escape(label)}\n", block, maxsplit=1)
        if jump and instruction in body:
            return [line.strip() for line in body.splitlines() if line.startswith("\t")]
    raise AssertionError(f"no loop with {instruction}")


def inner_loop(target, cpu, monkeypatch):
    """Instructions of the loop over k of the float32 tile with MR rows on x86."""
    return loop_with("vfmadd", assembly(target, micro_kernel._PLAIN[32], cpu, "-prefer-256-bit", X86, monkeypatch))


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


PROCESSORS = [(AVX2, "haswell", X86), (AVX512, "skylake-avx512", X86), (NEON, "apple-m1", ARM)]


@pytest.mark.parametrize("kind", [micro_kernel._PLAIN[32], micro_kernel._WIDENED], ids=["float32", "widened"])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize(("target", "cpu", "triple"), PROCESSORS)
def test_few_rows_have_all_sums_of_several_panels_in_registers(target, cpu, triple, rows, kind, monkeypatch):
    vectors = target.vectors * micro_kernel.panels_at_once(rows, target.vectors)
    assert rows * vectors >= 8  # as many multiply-adds as a processor has under way: two a cycle, four cycles each
    features = "-prefer-256-bit" if triple == X86 else ""
    instruction = "vfmadd" if triple == X86 else "fmla"
    loop = loop_with(instruction, assembly(target, kind, cpu, features, triple, monkeypatch, (rows, vectors)))
    arithmetic = [line for line in loop if line.startswith(instruction)]
    steps, rest = divmod(len(arithmetic), rows * vectors)
    assert steps >= 1
    assert rest == 0
    place = -1 if triple == X86 else 1  # of the operand that a sum is added to
    assert len({re.split(r"[\s,]+", line)[place] for line in arithmetic}) == rows * vectors
    assert not [line for line in loop if re.search(r"%rsp|\[sp", line)]
    assert not [line for line in loop if line.startswith(("st", "bl\t")) or re.match(r"vmov.*,\s*-?\d*\(", line)]


@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize(("target", "cpu", "triple"), PROCESSORS)
def test_interleaved_bfloat16_is_widened_by_a_shift_and_a_mask(target, cpu, triple, rows, monkeypatch):
    vectors = target.vectors * micro_kernel.panels_at_once(rows, target.vectors)
    features = "-prefer-256-bit" if triple == X86 else ""
    shift, add = ("vpslld", "vfmadd") if triple == X86 else ("shl", "fmla")
    loop = loop_with(add, assembly(target, micro_kernel._WIDENED, cpu, features, triple, monkeypatch, (rows, vectors)))
    operations = [line.split()[0] for line in loop]
    steps, rest = divmod(sum(name.startswith(add) for name in operations), rows * vectors)
    assert steps >= 1
    assert rest == 0
    # one shift and one mask for two vectors, and nothing that moves numbers between lanes
    assert operations.count(shift) == steps * vectors // 2
    masks = [name for name in operations if re.match(r"vpand|vpblendw|and", name)]
    assert len(masks) == steps * vectors // 2
    assert not [name for name in operations if re.match(r"vpmovzx|vpunpck|vperm|vpshuf|ushll|uxtl|zip|trn|tbl", name)]
    assert not [line for line in loop if re.search(r"%rsp|\[sp", line)]


def test_listing_shows_what_is_compiled_for_avx2(monkeypatch):
    loop = inner_loop(AVX2, "haswell", monkeypatch)
    compiled = {re.split(r"\s", line)[0] for line in loop if line.startswith("v")}
    listing = micro_kernel.__doc__ or ""
    assert set(re.findall(r"^ +(v\w+) ", listing, re.M)) == compiled


@pytest.mark.parametrize("cpu", ["neoverse-n2", "neoverse-v1", "apple-m2"])
def test_arm_multiplies_bfloat16_pairs_with_the_dot_instruction(cpu, monkeypatch):
    code = assembly(NEON, micro_kernel._DOT, cpu, "+bf16", ARM, monkeypatch)
    loop = loop_with("bfdot", code)
    dots = [line for line in loop if line.startswith("bfdot")]
    steps, rest = divmod(len(dots), NEON.rows * NEON.vectors)
    assert steps >= 1
    assert rest == 0

    # every sum has a register of its own, and none is spilled
    assert len({re.split(r"[\s,]+", line)[1] for line in dots}) == NEON.rows * NEON.vectors
    assert not [line for line in loop if "[sp" in line]
    assert not [line for line in loop if line.startswith(("st", "bl\t"))]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (["fp asimd bf16", "fp asimd bf16"], True),
        (["fp asimd bf16", "fp asimd"], False),
        (["svebf16"], False),
        ([], False),
    ],
)
def test_arm_processor_has_bfloat16_if_all_its_cores_have(features, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(target.sys, "platform", "linux")
    assert not target.arm_has_bfloat16(tmp_path)
    (tmp_path / "proc").mkdir()
    cores = [f"processor\t: {n}\nFeatures\t: {line}\nCPU part\t: 0xd49\n\n" for n, line in enumerate(features)]
    (tmp_path / "proc/cpuinfo").write_text("".join(cores))
    assert target.arm_has_bfloat16(tmp_path) == expected
