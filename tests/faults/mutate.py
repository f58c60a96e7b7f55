"""Guarantee: the tests of checkpoints, tokenizers, batches and sampling detect changes in that code.

Changes one thing at a time in a copy of the sources (a comparison, an operator, a number, a condition, a deleted
statement) and runs the tests that belong to it; a change that no test detects is printed. Error messages are not
changed. Some thousand changes, a second or more for each:

    python tests/faults/mutate.py checkpoint              # one subject of SUBJECTS; none: all
    python tests/faults/mutate.py sampling --every 10     # every tenth change
"""

import argparse
import ast
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis  # noqa: F401  loaded once, before the processes fork
import numba
import pytest
from mutations import Mutant, mutants

ROOT = Path(__file__).parents[2]
LIMIT = 300.0  # seconds for the tests without a change; with one, ten seconds and four times what they took: a change
# that makes them hang is noticed too
PLAIN = {"NUMBA_DISABLE_JIT": "1"}


@dataclass(frozen=True)
class Subject:
    """Files of `fastrnn/`, the tests that should notice a change in them, and what their environment needs."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    environment: dict[str, str]


SUBJECTS = {
    "checkpoint": Subject(
        ("checkpoint/safetensors_file.py", "checkpoint/metadata.py", "checkpoint/checkpoint.py"),
        (
            "checkpoint/test_safetensors_file.py",
            "checkpoint/test_checkpoint.py",
            "checkpoint/test_checkpoint_hostile.py",
        ),
        {},
    ),
    "vocabulary": Subject(
        ("data/text/tokenizers.py", "data/examples/symbol_vocab.py", "data/examples/schema.py"),
        (
            "data/text/test_tokenizers.py",
            "data/text/test_words.py",
            "data/examples/test_symbol_vocab.py",
            "data/examples/test_schema.py",
        ),
        {},
    ),
    "batching": Subject(
        ("data/text/bptt.py", "data/examples/batching.py"),
        ("data/text/test_bptt.py", "data/examples/test_batching.py"),
        {},
    ),
    "sampling": Subject(
        ("inference/sampling.py",),
        ("inference/test_sampling.py", "inference/test_language_model.py", "inference/test_decoding.py"),
        {},
    ),
    "drawing": Subject(
        ("kernels/cpu/generate.py", "kernels/sampling_math.py"), ("kernels/cpu/test_generate.py",), PLAIN
    ),
}


def noticed(folder: Path, tests: list[str], limit: float = LIMIT) -> bool:
    """Whether these tests fail, in a process of its own, on the sources in this folder; True also if they hang."""
    process = multiprocessing.get_context("fork").Process(target=_run, args=(folder, tests))
    process.start()
    process.join(limit)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode != 0


def _run(folder: Path, tests: list[str]) -> None:
    os.chdir(folder)
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(folder), str(folder / "tests")]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os._exit(int(pytest.main(["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", *tests])))


def changed_sources(folder: Path, name: str, every: int, first: int) -> Iterator[Mutant]:
    """Each change of `fastrnn/<name>`, written to the copy; the original is put back at the end."""
    path = folder / "fastrnn" / name
    source = path.read_text()
    compiled = list((path.parent / "__pycache__").glob(f"{path.stem}.*"))
    try:
        for number, mutant in enumerate(mutants(ast.parse(source))):
            if number % every == first:
                for stale in compiled:
                    stale.unlink(missing_ok=True)
                path.write_text(mutant.source)
                yield mutant
    finally:
        path.write_text(source)


def copy_sources(folder: Path) -> None:
    """The packages under the names that they are imported by, and the tests."""
    for source, name in (("fastrnn", "fastrnn"), ("cli", "fastrnn_cli"), ("datasets", "fastrnn_datasets")):
        shutil.copytree(ROOT / source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__", "faults"))
    shutil.copy(ROOT / "pyproject.toml", folder)


def hunt(subject: Subject, every: int = 1, first: int = 0) -> tuple[int, list[str]]:
    """How many changes were tried, and those not noticed. Raises `RuntimeError` if the tests fail without any."""
    os.environ.update(subject.environment)
    numba.core.config.reload_config()
    survivors, tried = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copy_sources(folder)
        tests = [f"tests/{test}" for test in subject.tests if (folder / "tests" / test).exists()]
        start = time.monotonic()
        if noticed(folder, tests):
            raise RuntimeError(f"the tests fail without any change: {' '.join(tests)}")
        limit = 10 + 4 * (time.monotonic() - start)
        for file in subject.files:
            for mutant in changed_sources(folder, file, every, first):
                tried += 1
                if not noticed(folder, tests, limit):
                    survivors.append(f"fastrnn/{file}:{mutant.line}: {mutant.what}")
                    print(survivors[-1], flush=True)
    return tried, survivors


def main() -> None:
    """The subjects that were named, one after the other; the figures at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subjects", nargs="*", choices=[*SUBJECTS, []], help=", ".join(SUBJECTS))
    parser.add_argument("--every", type=int, default=1, help="try every N-th change only")
    parser.add_argument("--first", type=int, default=0, help="which of the N: 0 to N-1")
    told = parser.parse_args()
    for name in told.subjects or SUBJECTS:
        start = time.monotonic()
        tried, survivors = hunt(SUBJECTS[name], told.every, told.first)
        seconds = time.monotonic() - start
        print(
            f"{name}: {tried} changes, {tried - len(survivors)} noticed, {len(survivors)} not; {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
