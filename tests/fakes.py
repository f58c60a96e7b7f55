"""Fakes that are bound to what they replace: they fail when the signature of the real function changes.

`replace` puts a fake function in the place of a function of the project; `check_class` compares a fake class with the
class that it stands for.
"""

import functools
import inspect
import re
from collections.abc import Callable, Collection
from typing import Any

import pytest

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def replace(patch: pytest.MonkeyPatch, owner: Any, name: str, fake: Callable[..., Any]) -> None:
    """Replace the function or method ``owner.name`` by a fake of the same signature.

    The fake may leave parameters to ``*args`` and ``**kwargs``. Calls that the real function would not accept raise
    `TypeError`.
    """
    real = inspect.getattr_static(owner, name)
    real = getattr(owner, name) if isinstance(real, (classmethod, staticmethod)) else real
    check_signature(fake, real)
    signature = inspect.signature(real)

    @functools.wraps(real)
    def call(*args: Any, **kwargs: Any) -> Any:
        signature.bind(*args, **kwargs)
        return fake(*args, **kwargs)

    patch.setattr(owner, name, call)


def check_signature(fake: Callable[..., Any], real: Callable[..., Any]) -> None:
    """Assert that the fake accepts the calls of the real function, and has no parameter that the real one lacks."""
    name = getattr(real, "__qualname__", repr(real))
    actual = list(inspect.signature(real).parameters.values())
    accepted = list(inspect.signature(fake).parameters.values())
    if actual and actual[0].name in ("self", "cls"):  # a method: the name of its first parameter does not matter
        actual = actual[1:]
        accepted = accepted[1:] if accepted and accepted[0].kind not in _VARIADIC else accepted

    takes_any_positional, takes_any_keyword = (kind in {p.kind for p in accepted} for kind in _VARIADIC)
    names, explicit = {p.name for p in actual}, {p.name for p in accepted if p.kind not in _VARIADIC}
    unknown = explicit - names
    variadic = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in actual)
    assert variadic or not unknown, f"the fake of {name} has parameters that {name} lacks: {', '.join(sorted(unknown))}"

    for parameter in actual:
        if parameter.name in explicit:
            continue
        taken = {
            inspect.Parameter.POSITIONAL_ONLY: takes_any_positional,
            inspect.Parameter.VAR_POSITIONAL: takes_any_positional,
            inspect.Parameter.POSITIONAL_OR_KEYWORD: takes_any_positional or takes_any_keyword,
        }.get(parameter.kind, takes_any_keyword)
        assert taken, f"the fake of {name} does not take {parameter}"


def check_class(fake: type, real: type, own: Collection[str] = ()) -> None:
    """Assert that the public members of a fake class, but for ``own``, are those of the real class."""
    attributes = set(dir(real)) | set(getattr(real, "__annotations__", {}))
    attributes |= set(re.findall(r"\bself\.(\w+)", inspect.getsource(real)))
    for name in set(vars(fake)) | set(getattr(fake, "__annotations__", {})):
        if name.startswith("_") or name in own:
            continue
        assert name in attributes, f"{real.__name__} has no {name}"
        if callable(getattr(fake, name, None)):
            check_signature(getattr(fake, name), getattr(real, name))
