"""The mutations that `mutate.py` makes, and that tests detect some of them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from mutations import mutants

FAULTS = Path(__file__).parent


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x = a < b", {"x = a <= b"}),
        ("x = a is not None", {"x = a is None"}),
        ("x = a + 1", {"x = a - 1", "x = a + 2"}),
        ("x = 'a' + b", set()),
        ("x = a and (not b)", {"x = a or not b", "x = a and b"}),
        ("x.y = True", {"pass", "x.y = False"}),
        ("if a:\n    f(b)", {"if not a:\n    f(b)", "if a:\n    pass"}),
        ("raise ValueError(f'{a + 1}')", {"pass"}),
        ("def f(x: int=0) -> int:\n    return", {"def f(x: int=1) -> int:\n    return"}),
        ("def f():\n    return x", {"def f():\n    return None"}),
    ],
)  # fmt: skip
def test_mutations_are_applied_one_at_a_time(source: str, changed: set[str]) -> None:
    tree = ast.parse(source)
    before = ast.dump(tree)
    assert {mutant.source.strip() for mutant in mutants(tree)} == changed
    assert ast.dump(tree) == before


def test_mutations_of_batching_are_detected() -> None:
    command = [sys.executable, str(FAULTS / "mutate.py"), "batching", "--every", "60", "--first", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()[-1].split()
    tried, noticed = int(words[1]), int(words[3])
    assert tried >= 2
    assert 0 < noticed <= tried
