"""Output: results to standard output, messages to standard error."""

import contextlib
import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from .sanitize import visible, visible_line


def write(text: str, raw: bool = False) -> None:
    """Write text to standard output and flush; on a terminal escape control characters unless ``raw``.

    `click.echo` is not used because it strips escape sequences from output to files.
    """
    if sys.stdout is None:
        return
    sys.stdout.write(text if raw or not on_terminal() else visible(text))
    sys.stdout.flush()


def on_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def write_json(values: Mapping[str, Any]) -> None:
    """Write one JSON object on one line; numbers that are not finite become ``null``."""
    write(to_json(values) + "\n", raw=True)


def to_json(values: Mapping[str, Any]) -> str:
    """Serialize to one line of ASCII, independent of the reader's encoding."""
    return json.dumps(_finite(values), allow_nan=False)


def write_figures(rows: Iterable[tuple[str, str]]) -> None:
    """Write names and values in two columns, one pair per line."""
    shown = [(name, visible_line(value)) for name, value in rows]
    width = max((len(name) for name, _ in shown), default=0)
    write("".join(f"{name:<{width}}  {value}\n" for name, value in shown))


def note(message: str) -> None:
    """Write one line to standard error; a closed pipe is not an error."""
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
