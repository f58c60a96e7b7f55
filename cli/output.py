"""Results to standard output, messages to standard error."""

import contextlib
import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from .sanitize import visible, visible_line


def write(text: str, raw: bool = False) -> None:
    """Text to standard output at once; on a terminal its control characters are made visible unless ``raw``.

    Not `click.echo`: that one takes escape sequences out of what goes to a file.
    """
    if sys.stdout is None:
        return
    sys.stdout.write(text if raw or not on_terminal() else visible(text))
    sys.stdout.flush()


def on_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def write_json(values: Mapping[str, Any]) -> None:
    """One JSON object on one line; what is not finite becomes ``null``."""
    write(to_json(values) + "\n", raw=True)


def to_json(values: Mapping[str, Any]) -> str:
    """The object on one line of ASCII, so that no reader's encoding can spoil it."""
    return json.dumps(_finite(values), allow_nan=False)


def write_figures(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values in two columns, one pair a line."""
    shown = [(name, visible_line(value)) for name, value in rows]
    width = max((len(name) for name, _ in shown), default=0)
    write("".join(f"{name:<{width}}  {value}\n" for name, value in shown))


def note(message: str) -> None:
    """One line to standard error. A reader who has gone away is no reason to stop."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        print(visible_line(message), file=sys.stderr, flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):  # a NumPy number
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
