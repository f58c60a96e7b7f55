"""Candidates for shell completion: built-in texts, run folders and labels. Imports neither NumPy nor Numba."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from fastrnn.checkpoint.run_dir import BEST, PARENT

_MAX_RUNS = 50
_MAX_HEADER = 1 << 20  # bytes; reading a longer header would delay the shell


def complete_text(incomplete: str) -> list[CompletionItem]:
    """Return the corpora whose names start with ``incomplete``; the shell adds files and folders."""
    from fastrnn.data.catalog import CORPORA
    from fastrnn.data.text.sources import BUILTIN

    about = BUILTIN | {name: corpus.about for name, corpus in CORPORA.items()}
    return [*_items(about, incomplete, about), CompletionItem(incomplete, type="file")]


def complete_model(incomplete: str) -> list[CompletionItem]:
    """Return run folders that start with ``incomplete``, newest first; the shell adds files and folders."""
    return [*_items(list_runs()[:_MAX_RUNS], incomplete), CompletionItem(incomplete, type="file")]


def complete_label(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the labels of the command's MODEL that start with ``incomplete``."""
    # Click parses no arguments while an option lacks its value, so MODEL may only be on the command line itself.
    words = [ctx.params.get("model") or "", *os.environ.get("COMP_WORDS", "").split()]
    labels = next(filter(None, map(read_labels, filter(None, words))), [])
    return list(_items(labels, incomplete))


def list_runs(folder: str = PARENT) -> list[str]:
    """Return the run folders in ``folder`` that hold a model, newest first."""
    found = []
    try:
        for entry in os.scandir(folder):
            model = os.path.join(entry.path, BEST)
            if entry.is_dir() and os.path.isfile(model):
                found.append((os.stat(model).st_mtime_ns, entry.path))
    except OSError:
        return []  # completion never fails; a missing folder has no runs
    return [path for _, path in sorted(found, reverse=True)]


def read_labels(model: str) -> list[str]:
    """Return the labels in a model's metadata; empty if there are none or the file is unreadable.

    Only the header is read, so that completion stays fast for a large model.
    """
    path = Path(model)
    try:
        with open(path / BEST if path.is_dir() else path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if 0 < size <= _MAX_HEADER else {}
    except (OSError, ValueError, RecursionError):
        return []
    return list(dict.fromkeys(_find_labels(header.get("__metadata__") if isinstance(header, dict) else None)))


def _find_labels(metadata: Any) -> Iterator[str]:
    # Not with the checks of the library, which would import NumPy: a damaged file has no labels here.
    for text in metadata.values() if isinstance(metadata, dict) else ():
        try:
            entry = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            continue
        for table in (entry, *entry.values()) if isinstance(entry, dict) else ():
            if isinstance(table, dict) and isinstance(labels := table.get("labels"), str):
                yield from labels.split("\n")


def _items(names: Iterable[str], incomplete: str, about: dict[str, str] | None = None) -> Iterator[CompletionItem]:
    help_of = about or {}
    return (CompletionItem(name, help=help_of.get(name)) for name in names if name.startswith(incomplete))
