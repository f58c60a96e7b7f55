"""A model of a disk that loses power: the operations done on it, and every state that a power loss can leave.

An operation on names (mkdir, create, rename, unlink) is durable only after its folder was flushed, a write only after
its file was. A power loss may keep any part of the rest, in any order.
"""

import itertools
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from children import ended, forked

Operation = tuple[Any, ...]
Files = dict[str, bytes]
_FOLDER = -1  # in the place of a file's number


class Recorder:
    """Notes what this process does to files below a folder: for children only."""

    def __init__(self, root: Path) -> None:
        self._root, self.operations, self._open, self._next = str(root), list[Operation](), dict[int, Any](), 0

    def attach(self) -> None:
        """For the rest of this process."""
        for name in ("mkdir", "open", "replace", "unlink", "write", "ftruncate", "fsync"):
            setattr(os, name, self._noting(getattr(os, name), getattr(self, f"_note_{name}")))

    def mark(self, *what: Any) -> None:
        """Something that the reader of the operations wants to know came between them."""
        self.operations.append(("mark", *what))

    def _noting(self, real: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        def call(first: Any, *arguments: Any, **options: Any) -> Any:
            new = not os.path.lexists(first) if isinstance(first, (str, Path)) else False
            found = real(first, *arguments, **options)
            if str(first).startswith(self._root) or (isinstance(first, int) and first in self._open):
                note(found, new, first, *arguments)
            elif real.__name__ == "open":
                self._open.pop(found, None)
            return found

        return call

    def _note_mkdir(self, _: None, new: bool, path: Any, *mode: int) -> None:
        self.operations.append(("name", os.path.dirname(path), None, str(path), _FOLDER))

    def _note_open(self, descriptor: int, new: bool, path: Any, flags: int, *mode: int) -> None:
        self._open[descriptor] = str(path)
        if not os.path.isdir(path):
            self._open[descriptor] = os.fstat(descriptor).st_ino
            if new:
                self.operations.append(("create", self._open[descriptor]))
                self.operations.append(("name", os.path.dirname(path), None, str(path), self._open[descriptor]))

    def _note_replace(self, _: None, new: bool, source: Any, target: Any) -> None:
        self.operations.append(("name", os.path.dirname(target), str(source), str(target), os.stat(target).st_ino))

    def _note_unlink(self, _: None, new: bool, path: Any) -> None:
        self.operations.append(("name", os.path.dirname(path), str(path), None, None))

    def _note_write(self, written: int, new: bool, descriptor: int, data: Any) -> None:
        self.operations.append(("write", self._open[descriptor], bytes(data[:written])))

    def _note_ftruncate(self, _: None, new: bool, descriptor: int, length: int) -> None:
        self.operations.append(("truncate", self._open[descriptor], length))

    def _note_fsync(self, _: None, new: bool, descriptor: int) -> None:
        self.operations.append(("flush", self._open[descriptor]))


def recorded(root: Path, call: Callable[[Recorder], int]) -> list[Operation]:
    """What a child does below a folder that is empty now."""
    told = root.parent / f"{root.name}.operations"

    def child() -> int:
        recorder = Recorder(root)
        recorder.attach()
        status = call(recorder)
        told.write_bytes(pickle.dumps(recorder.operations))
        return status

    errors = root.parent / f"{root.name}.errors"
    assert ended(forked(child, errors)) == 0, errors.read_text()
    found: list[Operation] = pickle.loads(told.read_bytes())
    return found


class Disk:
    """What is sure to be on it, and what is not yet."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._names: dict[str, int] = {}
        self._pending: list[Operation] = []
        self._safe: dict[int, bytes] = {}
        self._now: dict[int, bytes] = {}

    def do(self, operation: Operation) -> None:
        """One more operation."""
        kind, which, *rest = operation
        if kind == "name":
            self._pending.append(operation)
        elif kind == "create":  # perhaps a number that a removed file had
            self._safe[which] = self._now[which] = b""
        elif kind == "write":
            self._now[which] += rest[0]
        elif kind == "truncate":
            self._now[which] = self._now[which][: rest[0]]
        elif kind == "flush" and isinstance(which, str):
            for pending in [each for each in self._pending if each[1] == which]:
                _rename(self._names, pending)
                self._pending.remove(pending)
        elif kind == "flush":
            self._safe[which] = self._now[which]

    def after_a_cut(self) -> Iterator[Files]:
        """Every state in which a cut now can leave it: path -> content."""
        assert len(self._pending) < 12, "too much that is not flushed"
        for kept in itertools.product((False, True), repeat=len(self._pending)):
            names = dict(self._names)
            for pending in itertools.compress(self._pending, kept):
                _rename(names, pending)
            files = {path: number for path, number in names.items() if self._is_there(path, names)}
            unsure = [number for number in set(files.values()) if number != _FOLDER]
            for contents in itertools.product(*(self._contents(number) for number in unsure)):
                content = dict(zip(unsure, contents, strict=True))
                yield {path: content[number] for path, number in files.items() if number != _FOLDER}

    def _contents(self, number: int) -> list[bytes]:
        safe, now = self._safe[number], self._now[number]
        zeros = safe + bytes(max(0, len(now) - len(safe)))
        return list(dict.fromkeys((safe, now, now[: (len(safe) + len(now)) // 2], zeros)))

    def _is_there(self, path: str, names: dict[str, int]) -> bool:
        folder = os.path.dirname(path)
        return folder == self._root or (names.get(folder) == _FOLDER and self._is_there(folder, names))


def _rename(names: dict[str, int], operation: Operation) -> None:
    _, _, old, new, number = operation
    names.pop(old, None)
    if new is not None:
        names[new] = number
