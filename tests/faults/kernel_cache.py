"""Guarantee: the kernel cache is never wrong; whatever happens to its files, a run computes the right answer.

    python tests/faults/kernel_cache.py             # everything, about 5 minutes

50 processes start at once with an empty cache, half of them for another type; 200 are killed while they compile; 100
files are damaged; kernels that others call are edited; the cache is read-only, owned by another user, not a folder, or
on a full disk. Each process must give the right answer, and the cached kernels must be right.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import one_kernel

from fastrnn.kernels.cpu import disk_cache
from fastrnn.kernels.cpu.jit import kernel

ONE = Path(one_kernel.__file__)
TYPES = ("float32", "float64")


Process = subprocess.Popen[str]


def start(base: Path, dtype: str = "float32", root: Path = ONE.parents[2], **options: Any) -> Process:
    """A process that needs the kernel, its cache below a folder."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    variables |= {"FASTRNN_KERNELS": str(base), "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    variables |= options.pop("variables", {})
    command = [*options.pop("before", ()), sys.executable, str(options.pop("script", ONE)), dtype]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=variables, stdout=pipe, stderr=pipe, text=True, cwd="/", **options)


def answered(process: Process, dtype: str = "float32") -> bool:
    """Whether the kernel came from the cache. Asserts that the answer is right."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err[-2000:]
    found = json.loads(out.splitlines()[-1])
    assert found["answer"] == one_kernel.right(dtype), found
    return bool(found["kept"])


def files(base: Path) -> list[Path]:
    """The compiled kernels below a folder. Asserts that each is whole."""
    found = sorted(base.glob("*/*.kernel"))
    for path in found:
        disk_cache.verify_digest(path.read_bytes())
    return found


def cold_starts(base: Path, times: int) -> str:
    """Processes that start at once, on an empty cache."""
    processes = [(start(base, TYPES[i % 2]), TYPES[i % 2]) for i in range(times)]
    for process, dtype in processes:
        answered(process, dtype)
    assert len(files(base)) == 2
    assert not list(base.glob("*/*.tmp"))
    for dtype in TYPES:
        assert answered(start(base, dtype), dtype), "the kernel was not kept"
    return f"{times} cold starts at once, 0 wrong answers, each kernel kept"


def kills(base: Path, times: int, rng: random.Random) -> str:
    """Processes that are killed between the moment that they need the kernel and that at which they have it."""
    process = _ready(start(base))
    begun = time.monotonic()
    answered(process)
    span, done = 1.1 * (time.monotonic() - begun), 0
    for i in range(times):
        for path in files(base):
            path.unlink()
        process = _ready(start(base))
        time.sleep(rng.uniform(0, span))
        process.kill()
        process.communicate()
        done += len(files(base))
        if i % 20 == 19:
            answered(start(base))
    left = list(base.glob("*/*.tmp"))
    for path in left:
        os.utime(path, (1, 1))
    answered(start(base, "int32"), "int32")
    assert not list(base.glob("*/*.tmp")), "litter"
    return f"{times} kills while compiling ({done} with the kernel kept, {len(left)} inside the write), 0 bad files"


def _ready(process: Process) -> Process:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def damaged(base: Path, times: int, rng: random.Random) -> str:
    """Files with flipped bits, cut off, filled with zeros, empty, another kernel's, not files at all."""
    base.mkdir(parents=True, exist_ok=True)
    for dtype in TYPES:
        assert not _in_process(base, dtype)
        assert _in_process(base, dtype)
    paths = sorted(base.glob("*.kernel"))
    good = [path.read_bytes() for path in paths]
    kinds = list(_DAMAGES)
    for i in range(times):
        kind, n = kinds[i % len(kinds)], rng.randrange(2)
        _restore(paths[n], _DAMAGES[kind](good[n], good[1 - n], rng))
        for dtype in TYPES:
            _in_process(base, dtype)
        for path, data in zip(paths, good, strict=True):
            _restore(path, data)
    assert all(_in_process(base, dtype) for dtype in TYPES)
    return f"{times} damaged files ({', '.join(kinds)}), 0 of them run"


_DAMAGES: dict[str, Callable[[bytes, bytes, random.Random], bytes | None]] = {
    "a flipped bit": lambda data, _, rng: _flipped(data, rng),
    "cut off": lambda data, _, rng: data[: rng.randrange(len(data))],
    "zeros": lambda data, _, rng: data[: rng.randrange(len(data))].ljust(len(data), b"\0"),
    "another kernel's": lambda _, other, __: other,
    "random bytes": lambda data, _, rng: rng.randbytes(len(data)),
    "a folder": lambda *_: None,
}


def _flipped(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _restore(path: Path, data: bytes | None) -> None:
    """Put bytes, or a folder, in the place of whatever is there."""
    shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    if data is None:
        path.mkdir()
    else:
        path.write_bytes(data)


def _in_process(folder: Path, dtype: str) -> bool:
    """The same as `answered`, with a fresh kernel in this process."""
    compiled = kernel(one_kernel.poly)
    compiled._cache = disk_cache.KernelCache(one_kernel.poly, folder)
    assert compiled(one_kernel.numbers(dtype)) == one_kernel.right(dtype)
    return bool(compiled.stats.cache_hits)


def edited(base: Path) -> str:
    """A kernel calls another, in another file, which is edited, and then put back as it was."""
    root = base / "copy"
    shutil.copytree(ONE.parents[2] / "fastrnn", root / "fastrnn", ignore=shutil.ignore_patterns("__pycache__"))
    script = root / "outer.py"
    script.write_text(one_kernel.OUTER)
    found = []
    for number in (1, 2, 3, 1):
        (root / "fastrnn" / "kernels" / "cpu" / "inner.py").write_text(one_kernel.INNER.format(number))
        out, err = start(base / "cache", root=root, script=script).communicate(timeout=600)
        assert out, err
        found.append(json.loads(out.splitlines()[-1]))
    assert [each["answer"] for each in found] == [2, 3, 4, 2], found
    assert [each["kept"] for each in found] == [False, False, False, True], found
    return "sources edited 3 times, 0 stale kernels"


def places(base: Path) -> str:
    """Caches that cannot be written, or not trusted."""
    tried = [(what, answered(process)) for what, process in _places(base)]
    assert not any(kept for _, kept in tried), tried
    assert not [path for path in base.glob("*/*/*.kernel") if path.parts[-3] != "kept"]
    return f"{len(tried)} places that cannot be used (read-only, full, no folder, no home, somebody else's), 0 failures"


def _places(base: Path) -> Iterator[tuple[str, Process]]:
    base.chmod(0o755)
    name = disk_cache.kernel_folder()
    assert name is not None
    (base / "file").write_text("no folder")
    yield "a file", start(base / "file")
    yield "no such place", start(Path("/proc/no/such/place"))
    import resource  # not on Windows, where tests import this file, too

    full = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))}
    yield "a full disk", start(base / "full", **full)
    (base / "open" / name.name).mkdir(parents=True)
    (base / "open" / name.name).chmod(0o777)
    yield "a folder that anybody can write into", start(base / "open")
    (base / "read-only").mkdir(mode=0o555)
    if os.geteuid() != 0:
        yield "a read-only folder", start(base / "read-only")
        return
    nobody = {"before": ["setpriv", "--reuid=54321", "--clear-groups"]}
    if subprocess.run([*nobody["before"], sys.executable, "-c", "import numba"], capture_output=True).returncode:
        return  # this Python is root's alone
    yield "a read-only folder", start(base / "read-only", **nobody)
    (base / "somebody").mkdir(mode=0o755)
    (base / "somebody" / name.name).mkdir(mode=0o755)
    os.chown(base / "somebody" / name.name, 12345, 12345)
    yield "somebody else's folder", start(base / "somebody", **nobody)
    yield "no home", start(Path(), variables={"FASTRNN_KERNELS": "", "HOME": ""}, **nobody)
    with _full_disk(base / "disk") as disk:
        yield "a full disk", start(disk)


@contextlib.contextmanager
def _full_disk(folder: Path) -> Iterator[Path]:
    """A file system of a few kilobytes, or where that cannot be mounted a place that takes nothing."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder], capture_output=True).returncode:
        yield Path("/proc")
        return
    try:
        yield folder
        assert not list(folder.glob("*/*"))
    finally:
        subprocess.run(["umount", folder], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, times in (("--starts", 50), ("--kills", 200), ("--damaged", 100)):
        parser.add_argument(name, type=int, default=times)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base, rng = Path(folder), random.Random(1)
        print(places(base), flush=True)
        print(edited(base / "edited"), flush=True)
        print(damaged(base / "damaged", chosen.damaged, rng), flush=True)
        print(cold_starts(base / "cold", chosen.starts), flush=True)
        print(kills(base / "kills", chosen.kills, rng), flush=True)


if __name__ == "__main__":
    main()
