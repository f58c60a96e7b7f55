"""Kernels on disk: kept, found again, and never believed when they are not what was written."""

import os
import random

import kernel_cache
import numba
import pytest

from fastrnn.cpu import cache, compiling

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


def test_a_damaged_file_is_compiled_again(tmp_path):
    assert "12 damaged files" in kernel_cache.damaged(tmp_path, 12, random.Random(0))


def test_cold_starts_at_once(tmp_path):
    kernel_cache.cold_starts(tmp_path, 4)


def test_kills_while_compiling(tmp_path):
    kernel_cache.kills(tmp_path, 4, random.Random(0))


def test_an_edit_in_a_kernel_that_is_called(tmp_path):
    kernel_cache.edited(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="folders of other users")
def test_places_where_nothing_can_be_kept(tmp_path):
    kernel_cache.places(tmp_path)


def test_a_kernel_whose_source_changed_after_it_was_read_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "sources_key", lambda: "other")
    assert [kernel_cache._in_process(tmp_path, "float32") for _ in range(2)] == [False, False]
    assert not list(tmp_path.iterdir())


def test_a_kernel_of_another_file_with_the_same_code_is_another(tmp_path):
    answers = []
    for number in (1, 2):
        (tmp_path / "own.py").write_text(f"def add(x):\n    return x + {number}\n")
        space: dict = {}
        exec(compile((tmp_path / "own.py").read_text(), str(tmp_path / "own.py"), "exec"), space)
        compiled = compiling.kernel(space["add"])
        compiled._cache = cache.KernelCache(space["add"], tmp_path)
        answers.append(compiled(1))
    assert answers == [2, 3]


def test_a_kernel_typed_at_a_prompt_is_compiled_in_memory():
    space: dict = {}
    exec("def add(x):\n    return x + 1\n", space)
    assert compiling.kernel(space["add"])(1) == 2


def test_importing_leaves_the_cache_of_other_numba_code_alone():
    assert "kernels-" not in str(numba.config.CACHE_DIR)


def test_the_files_of_a_kernel_are_named_after_what_it_was_compiled_for(tmp_path):
    for dtype in ("float32", "float64", "int32"):
        kernel_cache._in_process(tmp_path, dtype)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 3
    assert all(name.startswith("one_kernel.poly-") and name.endswith(".kernel") for name in names)
