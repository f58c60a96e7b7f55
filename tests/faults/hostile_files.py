"""Large files that are written to exhaust a reader's time and memory."""

import json
import math
from collections.abc import Iterator
from typing import Any

from model_samples import put_together, samples, sealed, take_apart

BYTES = 16_000_000


def hostile_files(size: int = BYTES) -> Iterator[tuple[str, bytes]]:
    """What each is, and its bytes: ``size`` or a small multiple of it."""
    small = samples()
    header, body = take_apart(small["chars"])
    for name, text in _headers(size):
        yield f"header: {name}", put_together(text, body)
    for kind in ("chars", "words", "tag", "translate", "forecast"):
        for name, text in _texts(size):
            for key in ("config", "tokenizer", "progress", "corpus"):
                header, body = take_apart(small[kind])
                header["__metadata__"][key] = text
                yield f"{kind} {key}: {name}", sealed(header, body)
                yield f"{kind} {key}, many tensors: {name}", _padded(text, key, small[kind], size)
    for kind in small:
        yield from ((f"{kind}: {name}", file) for name, file in _vocabularies(kind, small[kind], size))


def _headers(size: int) -> Iterator[tuple[str, str]]:
    yield "one text", json.dumps({"a": "a" * size})
    yield "one wide text", '{"a":"' + "a" * size + '\\ud83d\\ude00"}'
    yield "escapes", '{"a":"' + "\\\\" * (size // 2) + '"}'
    yield "wide escapes", '{"a":"' + "\\u4e2d" * (size // 6) + '"}'
    yield "tensors", "{" + ",".join(f'"{i}":{{}}' for i in range(90_000)) + "}"
    yield "keys", "{" + ",".join(f'"{i}":0' for i in range(99_000)) + "}"
    yield "brackets", '{"a":[' + "[]," * (size // 3) + "[]]}"
    yield "blanks", '{"a":' + " " * size + "0}"
    yield "digits", '{"a":' + "9" * size + "}"


def _texts(size: int) -> Iterator[tuple[str, str]]:
    yield "wide", '{"a":"' + "a" * size + '\\ud83d\\ude00"}'
    yield "truly wide", '{"a":"' + "a" * size + '\U0001f600"}'
    yield "objects", '{"a":[' + ",".join(['{"a":{}}'] * (size // 9)) + "]}"
    yield "few objects", '{"a":[' + ",".join(['{"a":{}}'] * 49_000) + "]}"
    yield "few keys", "{" + ",".join(f'"{i}":[]' for i in range(49_000)) + "}"
    yield "characters", json.dumps({"kind": "chars", "chars": "".join(map(chr, range(0x10000, 0x110000)))})


def _padded(text: str, key: str, data: bytes, size: int) -> bytes:
    """The text in a file whose tensors are as large as it is long."""
    header, body = take_apart(data)
    header["__metadata__"][key] = text
    return _with_tensor(header, body, "more", [size // 4], size)


def _with_tensor(header: dict[str, Any], body: bytes, name: str, shape: list[int], size: int) -> bytes:
    """One more tensor at the end; what had its name has another."""
    if name in header:
        header["old " + name] = header.pop(name)
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + size]}
    return sealed(header, body + bytes(size))


def _vocabularies(kind: str, data: bytes, size: int) -> Iterator[tuple[str, bytes]]:
    """More words, letters and labels than the model has, in a file with as many rows, or with rows of no numbers."""
    words = ["<EOS>", "<UNK>", *(f"{i:x}" for i in range(size // 8))]
    letters = "".join(map(chr, range(0x10000, 0x10FFFE)))
    for key in ("tokens", "target", "characters", "labels", "words", "chars"):
        mapping = json.loads(take_apart(data)[0]["__metadata__"]["tokenizer"])
        if key not in mapping:
            continue
        new: Any = {"words": words, "chars": letters, "labels": "\n".join(words)}.get(key)
        if new is None:
            unit = mapping[key]["unit"]
            new = {"unit": unit, "known": letters if unit == "chars" else "\n".join(words)}
        rows = len(letters if new == letters or letters in str(new) else words)
        for name, shape in (("rows", [rows]), ("empty rows", [2**40, 0]), ("wide rows", [rows, 20])):
            header, body = take_apart(data)
            header["__metadata__"]["tokenizer"] = json.dumps(mapping | {key: new})
            yield f"{name} of {key}", _with_tensor(header, body, "out.bias", shape, 4 * math.prod(shape))
