"""On-disk kernel cache: kernels are saved, found again, and never executed if damaged or outdated."""

import importlib
import inspect
import os
import random
import subprocess
import sys
import time

import kernel_cache
import numba
import pytest
from fakes import replace

from fastrnn.kernels.cpu import disk_cache, jit

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


def test_damaged_cache_file_is_recompiled(tmp_path):
    assert "12 damaged files" in kernel_cache.damaged(tmp_path, 12, random.Random(0))


def test_concurrent_cold_starts_compute_right_answers(tmp_path):
    kernel_cache.cold_starts(tmp_path, 4)


def test_killed_compilations_leave_a_usable_cache(tmp_path):
    kernel_cache.kills(tmp_path, 4, random.Random(0))


def test_edit_in_a_called_kernel_recompiles_its_callers(tmp_path):
    kernel_cache.edited(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="folders of other users")
def test_unusable_cache_folders_still_compute_right_answers(tmp_path):
    kernel_cache.places(tmp_path)


def test_kernel_with_a_changed_source_is_not_cached(tmp_path, monkeypatch):
    replace(monkeypatch, disk_cache, "sources_key", lambda: "other")
    assert [kernel_cache._in_process(tmp_path, "float32") for _ in range(2)] == [False, False]
    assert not list(tmp_path.iterdir())


def test_kernels_of_two_files_with_the_same_code_are_distinct(tmp_path):
    answers = []
    for number in (1, 2):
        (tmp_path / "own.py").write_text(f"def add(x):\n    return x + {number}\n")
        space: dict = {}
        exec(compile((tmp_path / "own.py").read_text(), str(tmp_path / "own.py"), "exec"), space)
        compiled = jit.kernel(space["add"])
        compiled._cache = disk_cache.KernelCache(space["add"], tmp_path)
        answers.append(compiled(1))
    assert answers == [2, 3]


def test_kernel_without_a_source_file_is_compiled_in_memory():
    space: dict = {}
    exec("def add(x):\n    return x + 1\n", space)
    assert jit.kernel(space["add"])(1) == 2


def test_import_does_not_change_the_cache_of_other_numba_code():
    assert "kernels-" not in str(numba.config.CACHE_DIR)


def test_cache_file_names_depend_on_the_compiled_types(tmp_path):
    for dtype in ("float32", "float64", "int32"):
        kernel_cache._in_process(tmp_path, dtype)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 3
    assert all(name.startswith("one_kernel.poly-") and name.endswith(".kernel") for name in names)


WAITING = """
import sys, time
from pathlib import Path
import numpy as np
from fastrnn.kernels.cpu import disk_cache, jit
import one_slow_kernel as module

def _compiling(*a):
    Path(sys.argv[2]).touch()
    time.sleep(float(sys.argv[3]))
    return original(*a)

compiled = jit.kernel(module.add)
compiled._cache = disk_cache.KernelCache(module.add, Path(sys.argv[1]))
original = compiled._compiler.compile
compiled._compiler.compile = _compiling
assert compiled(1) == 2
print(sum(compiled.stats.cache_misses.values()))
"""


def _compiles(folder, name, seconds):
    """Start a process that compiles a kernel into a folder, or loads it from there, and prints how
    often it compiled.
    """
    (folder / "one_slow_kernel.py").write_text("def add(x):\n    return x + 1\n")
    (folder / "cache").mkdir(exist_ok=True)
    command = [sys.executable, "-c", WAITING, str(folder / "cache"), str(folder / name), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)


def _until_there(path):
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_two_processes_do_not_compile_the_same_kernel(tmp_path):
    first = _compiles(tmp_path, "first", 2)
    _until_there(tmp_path / "first")
    second = _compiles(tmp_path, "second", 0)
    assert [process.communicate()[0].strip() for process in (first, second)] == ["1", "0"]
    assert not (tmp_path / "second").exists()
    assert not list((tmp_path / "cache").glob("*.tmp"))


def test_kernel_locked_by_a_dead_process_is_compiled(tmp_path):
    first = _compiles(tmp_path, "first", 60)
    _until_there(tmp_path / "first")
    first.kill()
    first.communicate()
    assert _compiles(tmp_path, "second", 0).communicate()[0].strip() == "1"


def test_wait_for_a_hanging_process_is_bounded(tmp_path, monkeypatch):
    first = _compiles(tmp_path, "first", 60)
    _until_there(tmp_path / "first")
    monkeypatch.setattr(disk_cache._waits, "left", 0.2)
    space: dict = {}
    source = tmp_path / "one_slow_kernel.py"
    exec(compile(source.read_text(), str(source), "exec"), space)
    compiled = jit.kernel(space["add"])
    compiled._cache = disk_cache.KernelCache(space["add"], tmp_path / "cache")
    assert compiled(1) == 2
    assert disk_cache._waits.left <= 0
    first.kill()
    first.communicate()


def test_numba_has_the_private_parts_that_the_cache_uses():
    """They are private: if a new version of Numba renames them, the cache would silently stop
    working.
    """
    from numba.core import caching, codegen, compiler, config, runtime, serialize

    assert callable(caching.FunctionCache._index_key)
    assert callable(compiler.CompileResult._rebuild)
    assert callable(compiler.CompileResult._reduce)
    assert isinstance(compiler.CompileResult.__slots__, tuple)
    assert callable(runtime.rtsys.initialize)
    assert callable(serialize.dumps)
    assert callable(codegen.JITCPUCodegen.magic_tuple)
    assert {"CPU_NAME", "CPU_FEATURES", "ENABLE_AVX", "DISABLE_JIT"} <= set(vars(config))
    library = jit.kernel(kernel_cache.one_kernel.poly)
    assert isinstance(library._cache, disk_cache.KernelCache)
    assert hasattr(codegen.CPUCodeLibrary, "has_dynamic_globals")


class Location:
    """Compiles a kernel with its cache in a given folder and returns the log messages."""

    def __init__(self, monkeypatch, caplog):
        monkeypatch.setattr(disk_cache._Warnings, "issued", False)
        self._log = caplog

    def compile(self, folder):
        compiled = jit.kernel(kernel_cache.one_kernel.poly)
        compiled._cache = disk_cache.KernelCache(kernel_cache.one_kernel.poly, folder)
        numbers = kernel_cache.one_kernel.numbers("float32")
        assert compiled(numbers) == kernel_cache.one_kernel.right("float32")
        return [record.getMessage() for record in self._log.records if record.name == "fastrnn"]


@pytest.fixture
def place(monkeypatch, caplog):
    return Location(monkeypatch, caplog)


def test_uncreatable_folder_is_reported_once(place, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FASTRNN_KERNELS", str(tmp_path / "file"))
    assert disk_cache.kernel_folder() is None
    (line,) = place.compile(None)
    assert place.compile(None) == [line]
    assert str(tmp_path / "file") in line
    assert line.endswith("set FASTRNN_KERNELS to a folder that only you can write into")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_folder_writable_by_others_is_reported(place, tmp_path, monkeypatch, mode):
    monkeypatch.setenv("FASTRNN_KERNELS", str(tmp_path))
    folder = disk_cache.kernel_folder()
    assert folder is not None
    folder.chmod(mode)
    assert disk_cache.kernel_folder() is None
    (line,) = place.compile(None)
    assert f"{folder} can be written by others (chmod go-w)" in line


def test_missing_home_directory_is_reported(place, monkeypatch):
    import platformdirs

    def homeless(*name, **options):
        raise RuntimeError("no home")

    monkeypatch.delenv("FASTRNN_KERNELS", raising=False)
    for answer in (homeless, lambda *name, **options: "~/.cache/fastrnn"):
        monkeypatch.setattr(platformdirs, "user_cache_dir", answer)
        assert disk_cache.kernel_folder() is None
    (line,) = place.compile(None)
    assert "no home directory" in line


def test_unwritable_cache_folder_is_reported(place, tmp_path):
    (line,) = place.compile(tmp_path / "gone")
    assert str(tmp_path / "gone") in line
    assert place.compile(tmp_path / "gone") == [line]


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        ("numba.core.caching:FunctionCache", "_index_key", ["self", "sig", "codegen"]),
        ("numba.core.caching:FunctionCache", "load_overload", ["self", "sig", "target_context"]),
        ("numba.core.caching:FunctionCache", "save_overload", ["self", "sig", "data"]),
        ("numba.core.caching:FunctionCache", "flush", ["self"]),
        ("numba.core.compiler:CompileResult", "_reduce", ["self"]),
        ("numba.core.compiler:CompileResult", "_rebuild", None),
        ("numba.core.runtime:rtsys", "initialize", ["ctx"]),
        ("numba.core.serialize:", "dumps", ["obj"]),
        ("numba.core.dispatcher:Dispatcher", "enable_caching", ["self"]),
        ("numba.core.codegen:JITCodeLibrary", "_optimize_final_module", ["self"]),
        ("numba.core.codegen:JITCodeLibrary", "enable_object_caching", ["self"]),
        ("numba.core.compiler:Compiler", "compile_extra", ["self", "func"]),
    ],
)
def test_numba_has_the_private_names_that_the_cache_uses(owner, name, parameters):
    """pyproject.toml allows only versions of Numba in which these exist: a new version is tried with this test."""
    module, _, attribute = owner.partition(":")
    found = importlib.import_module(module)
    found = getattr(found, attribute) if attribute else found
    function = getattr(found, name)
    assert callable(function)
    if parameters is not None:
        names = list(inspect.signature(function).parameters)
        assert names == parameters if "self" in parameters else names[-len(parameters) :] == parameters


def test_numba_keeps_the_cache_of_a_function_in_its_dispatcher():
    assert hasattr(numba.njit(lambda: 0)._cache, "load_overload")  # `jit` replaces it
