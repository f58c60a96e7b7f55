"""What is known of a task or cell is in its own module and table: no other code asks which one it has."""

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

import fastrnn
import fastrnn_cli
from fastrnn.cells import CELLS
from fastrnn.data.examples.readers.formats import list_formats
from fastrnn.task_specs import TASK_SPECS, get_supervised_task, get_task, list_supervised_tasks

PLACES = [Path(fastrnn.__file__).parent, Path(fastrnn_cli.__file__).parent]


def find_comparisons(source: str, word: str, names: Sequence[str], tables: bool = True) -> list[int]:
    """Return the lines that compare a variable or attribute ``word`` with a string, or list several of ``names``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            if any(is_named(word, part) for part in operands) and any(map(holds_string, operands)):
                found.append(node.lineno)
        elif isinstance(node, ast.Match):
            if is_named(word, node.subject):
                found.append(node.lineno)
        elif tables and isinstance(node, ast.Dict | ast.Tuple | ast.List | ast.Set):
            entries = node.keys if isinstance(node, ast.Dict) else node.elts
            values = [entry.value for entry in entries if isinstance(entry, ast.Constant)]
            if len(entries) > 1 and len(values) == len(entries) and set(values) <= set(names):
                found.append(node.lineno)
    return sorted(set(found))


def is_named(word: str, node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id == word) or (isinstance(node, ast.Attribute) and node.attr == word)


def holds_string(node: ast.AST) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(map(holds_string, node.elts))
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def find_places(word: str, names: Sequence[str], allowed: tuple[str, ...], tables: bool = True) -> list[str]:
    return [
        f"{path.relative_to(root.parent)}:{line}"
        for root in PLACES
        for path in sorted(root.rglob("*.py"))
        if not path.relative_to(root.parent).as_posix().startswith(allowed)
        for line in find_comparisons(path.read_text(), word, names, tables)
    ]


@pytest.mark.parametrize(
    "planted",
    [
        'if task == "tag":\n    pass',
        'if config.task != "tag":\n    pass',
        'x = self.config.task in ("tag", "classify")',
        'x = schema.task not in ["generate"]',
        'x = "tag" == task',
        'x = {"tag": 1, "classify": 2}',
        'KINDS = ("forecast", "regress")',
        'match task:\n    case "tag":\n        pass',
    ],
)
def test_comparison_with_a_task_name_is_found(planted: str) -> None:
    assert find_comparisons(planted, "task", tuple(TASK_SPECS)) == [1]


@pytest.mark.parametrize(
    "allowed",
    [
        "x = a.task != b.task",
        "x = task not in TASKS",
        'x = {"tag": 1, "size": 2}',
        'get_task("tag")',
        'x = f"{task} =="',
    ],
)
def test_other_uses_of_a_task_are_not_found(allowed: str) -> None:
    assert find_comparisons(allowed, "task", tuple(TASK_SPECS)) == []


def test_no_code_compares_its_task_with_a_name() -> None:
    assert find_places("task", tuple(TASK_SPECS), ("fastrnn/tasks/", "fastrnn/task_specs.py")) == []


def test_no_code_compares_its_cell_with_a_name() -> None:
    assert find_comparisons('if config.cell == "lstm":\n    pass', "cell", tuple(CELLS), tables=False) == [1]
    allowed = ("fastrnn/cells.py", "fastrnn/kernels/cell_math.py")
    assert find_places("cell", tuple(CELLS), allowed, tables=False) == []


def test_table_and_modules_agree() -> None:
    for name in TASK_SPECS:
        assert get_task(name).name == name
    for name in list_supervised_tasks():
        spec, task = TASK_SPECS[name], get_supervised_task(name)
        assert set(spec.formats) <= set(list_formats(name))
        assert task.predictor_class.__module__ == spec.module
        assert spec.defaults is not None


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(fastrnn.FastRNNError, match="task 'juggle' is unknown"):
        get_task("juggle")
    with pytest.raises(fastrnn.FastRNNError, match="task 'language-model' has no examples"):
        get_supervised_task("language-model")
