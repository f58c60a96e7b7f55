"""The four kinds of tests: every test has exactly one of the markers `unit`, `kernels`, `e2e` and `faults`.

A test gets the kind of its file from `KINDS`. The few that differ from their file have a marker of their own, such as
``@pytest.mark.e2e``. While a unit test runs, compiling a kernel or starting a process is an error.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import pytest

TESTS = Path(__file__).parent
NAMES = ("unit", "kernels", "e2e", "faults")

# File or folder below tests/ -> kind; the longest path that matches counts. "." is for files directly in tests/.
KINDS = {
    ".": "e2e",
    "test_fakes.py": "unit",
    "test_kinds.py": "unit",
    "test_os_compat.py": "unit",
    "test_published.py": "unit",
    "api": "e2e",
    "api/test_config_types.py": "unit",
    "checkpoint": "unit",
    "checkpoint/test_checkpoint_hostile.py": "faults",
    "checkpoint/test_version_1.py": "e2e",
    "cli": "e2e",
    "cli/test_commands.py": "unit",
    "cli/test_data_command.py": "unit",
    "cli/test_display.py": "unit",
    "cli/test_documentation.py": "unit",
    "cli/test_env_warnings.py": "unit",
    "cli/test_formatting.py": "unit",
    "cli/test_ineffective_options.py": "unit",
    "cli/test_inputs.py": "unit",
    "cli/test_json_options.py": "unit",
    "cli/test_main.py": "unit",
    "cli/test_options.py": "unit",
    "cli/test_output.py": "unit",
    "cli/test_sanitize.py": "unit",
    "data": "unit",
    "data/examples/test_hostile_examples.py": "faults",
    "diagnostics": "kernels",
    "diagnostics/test_plot.py": "unit",
    "diagnostics/test_units.py": "unit",
    "distributed": "e2e",
    "faults": "faults",
    "inference": "kernels",
    "inference/test_language_model.py": "e2e",
    "kernels": "kernels",
    "kernels/cpu/test_cpu_count.py": "unit",
    "kernels/cuda/test_backend.py": "unit",
    "nn": "kernels",
    "nn/test_parameters.py": "unit",
    "reference": "unit",
    "sweep": "e2e",
    "sweep/test_space.py": "unit",
    "sweep/test_trial_store.py": "unit",
    "tasks": "e2e",
    "tasks/test_task_interface.py": "unit",
    "training": "e2e",
    "training/test_autotune.py": "unit",
    "training/test_compile_ahead.py": "kernels",
    "training/test_run_log.py": "unit",
    "training/test_schedules.py": "unit",
    "training/test_time_budget.py": "unit",
}


def kind_of_file(path: str) -> str:
    """Return the kind of the tests in this file, a path below tests/. Raises `pytest.UsageError` for a new folder."""
    file = PurePosixPath(path)
    for part in (file, *file.parents):
        kind = KINDS.get(str(part))
        if kind is not None and (str(part) != "." or len(file.parts) == 1):
            return kind
    raise pytest.UsageError(f"tests/{path} has no kind; add its folder to KINDS in tests/kinds.py: {', '.join(NAMES)}")


def mark_item(item: pytest.Item) -> None:
    """Give a test the kind of its file unless it has one. Raises `pytest.UsageError` for a test of several kinds."""
    found = {marker.name for marker in item.iter_markers() if marker.name in NAMES}
    if len(found) > 1:
        raise pytest.UsageError(f"{item.nodeid} has several kinds: {', '.join(sorted(found))}; one counts")
    if not found:
        item.add_marker(kind_of_file(item.path.relative_to(TESTS).as_posix()))


@contextmanager
def forbid_compilation_and_processes() -> Iterator[None]:
    """Make it an error to compile a kernel, also from the cache on disk, and to start a process."""
    from numba.core.dispatcher import Dispatcher

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dispatcher, "compile", _forbid("compiles a kernel"))
        patch.setattr(subprocess.Popen, "__init__", _forbid("starts a process"))
        for name in ("fork", "posix_spawn"):
            patch.setattr(os, name, _forbid("starts a process"), raising=False)
        yield


def _forbid(what: str) -> Any:
    def fail(*arguments: Any, **options: Any) -> NoReturn:
        raise AssertionError(f"this unit test {what}; mark it kernels, e2e or faults (tests/kinds.py)")

    return fail
