"""Helpers for the tests of examples: small files, and what reading them gives."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from fastrnn.config import Config
from fastrnn.data.examples.numericalize import numericalize
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.data.examples.schema import TaskSchema


def write(folder: Path, name: str, content: str | bytes) -> str:
    """A file with this content; its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def examples(path: str, task: str, **reading: Any) -> list[tuple[Any, Any]]:
    """x and y of every example of a file."""
    return [(example.x, example.y) for example in read_examples([path], task, **reading).items]


def dataset(path: str, task: str, columns: str | None = None, **settings: Any) -> Any:
    """The encoded examples of a file; rare symbols are kept and all of them train unless ``settings`` say otherwise."""
    example_set = read_examples([path], task, columns=columns)
    horizon = {"horizon": settings.pop("horizon")} if "horizon" in settings else {}
    config = Config(task=task, columns=columns, **({"valid": 0.0, "min_count": 1} | settings), **horizon)
    return numericalize(example_set, TaskSchema.build(example_set, config))


def idx(array: np.ndarray[Any, Any], code: int = 0x08) -> bytes:
    """An idx file of an array in the type that ``code`` names."""
    types = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(types[code]).tobytes()
