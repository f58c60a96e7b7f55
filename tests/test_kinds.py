"""Every test has one kind, and unit tests neither compile nor start processes."""

import subprocess
import sys
from types import SimpleNamespace

import kinds
import numba
import pytest
from plain_kernels import compiled_only


class Item(SimpleNamespace):
    """A test of one file with these markers."""

    def iter_markers(self):
        return [SimpleNamespace(name=name) for name in self.markers]

    def add_marker(self, name: str) -> None:
        self.markers.append(name)


def make_item(path: str, *markers: str) -> Item:
    return Item(path=kinds.TESTS / path, nodeid=path, markers=list(markers))


def test_every_path_in_the_table_exists() -> None:
    assert [path for path in kinds.KINDS if not (kinds.TESTS / path).exists()] == []
    assert set(kinds.KINDS.values()) <= set(kinds.NAMES)


def test_test_gets_the_kind_of_its_file_or_nearest_folder() -> None:
    assert kinds.kind_of_file("kernels/cpu/test_matmul.py") == "kernels"
    assert kinds.kind_of_file("kernels/cpu/test_cpu_count.py") == "unit"
    assert kinds.kind_of_file("test_readme.py") == "e2e"


def test_folder_without_a_kind_is_an_error() -> None:
    with pytest.raises(pytest.UsageError, match=r"tests/new/test_x\.py has no kind"):
        kinds.kind_of_file("new/test_x.py")


def test_marker_of_the_test_itself_overrides_its_file() -> None:
    item = make_item("cli/test_main.py", "parametrize", "e2e")
    kinds.mark_item(item)
    assert item.markers == ["parametrize", "e2e"]


def test_test_of_two_kinds_is_an_error() -> None:
    with pytest.raises(pytest.UsageError, match="has several kinds: e2e, unit"):
        kinds.mark_item(make_item("cli/test_main.py", "unit", "e2e"))


def test_every_test_of_this_run_has_one_kind(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        assert sum(marker.name in kinds.NAMES for marker in item.iter_markers()) == 1, item.nodeid


@compiled_only
def test_unit_test_cannot_compile() -> None:
    with pytest.raises(AssertionError, match="this unit test compiles a kernel"):
        numba.njit(lambda: 1)()


@compiled_only
def test_unit_test_cannot_start_a_process() -> None:
    with pytest.raises(AssertionError, match="this unit test starts a process"):
        subprocess.run([sys.executable, "-c", ""], check=True)
