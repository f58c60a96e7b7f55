"""All small mutations of a module's syntax tree that its tests should detect."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr, ast.Pow: ast.Mult,
}  # fmt: skip
# What is not code that runs, or only words: error messages, annotations, decorators.
_LEFT_ALONE = {
    ast.Raise: ("exc", "cause"),
    ast.AnnAssign: ("annotation",),
    ast.arg: ("annotation",),
    ast.FunctionDef: ("decorator_list", "returns", "type_params"),
    ast.ClassDef: ("decorator_list", "bases", "keywords"),
}


@dataclass(frozen=True)
class Mutant:
    """A whole changed module, where it was changed, and how."""

    source: str
    line: int
    what: str


def mutants(tree: ast.Module) -> Iterator[Mutant]:
    """Every change of the tree, one at a time."""
    places = [place for place in _places(tree) if _changes(place[2])]
    for parent, name, node in places:
        for changed in _changes(node):
            _put(parent, name, node, changed)
            what = f"{_shown(node)}  ->  {_shown(changed)}"
            yield Mutant(ast.unparse(ast.fix_missing_locations(tree)) + "\n", node.lineno, what)
            _put(parent, name, changed, node)


def _places(node: ast.AST) -> Iterator[tuple[ast.AST, str, Any]]:
    """Each node that may be changed, with its parent and the parent's field."""
    for name, value in ast.iter_fields(node):
        if name in _LEFT_ALONE.get(type(node), ()):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                if isinstance(child, (ast.expr, ast.stmt)):
                    yield node, name, child
                yield from _places(child)


def _put(parent: ast.AST, name: str, old: Any, new: Any) -> None:
    value = getattr(parent, name)
    if isinstance(value, list):
        value[next(i for i, item in enumerate(value) if item is old)] = new
    else:
        setattr(parent, name, new)


def _changes(node: Any) -> list[Any]:
    match node:
        case ast.Compare(ops=[op, *_]):
            return [_with(node, ops=[_COMPARISONS[type(op)](), *node.ops[1:]])]
        case ast.BinOp() if type(node.op) in _OPERATORS and not _text(node):
            return [_with(node, op=_OPERATORS[type(node.op)]())]
        case ast.BoolOp():
            return [_with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())]
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            return [node.operand]
        case ast.Constant(value=bool()):
            return [_with(node, value=not node.value)]
        case ast.Constant(value=int() | float()):
            return [_with(node, value=node.value + 1)]
        case ast.If() | ast.IfExp() | ast.While() if not isinstance(node.test, ast.Compare):
            return [_with(node, test=ast.UnaryOp(ast.Not(), node.test))]
        case ast.Raise() | ast.AugAssign() | ast.Expr(value=ast.Call()):
            return [ast.copy_location(ast.Pass(), node)]
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            return [ast.copy_location(ast.Pass(), node)]
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            return [_with(node, value=ast.Constant(None))]
    return []


def _text(node: ast.BinOp) -> bool:
    """Whether this joins texts."""
    sides = (node.left, node.right)
    return any(isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", None), str) for side in sides)


def _with(node: Any, **fields: Any) -> Any:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _shown(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node)).split("\n", 1)[0][:70]
