"""Ways to damage a model file, from one flipped bit to a hostile header."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from model_samples import put_together, sealed, take_apart

HOSTILE: list[Any] = [
    0, 1, -1, 2, 255, 2**31, 2**32 + 1, 2**53, 2**62, 2**63, 2**64, 10**38, -(10**38), 0.5, -0.0, 1e308, 5e-324,
    True, False, None, "", "a", "\n", "../../etc/passwd", "/dev/zero", "C:\\con", "\x1b]0;x\x07", "\u202e", "\ud800",
    "a" * 300, "\n".join("ab" * 40), [], {}, [[]], [0], [2**62] * 8, ["a", "b"], {"a": 1}, [None] * 50, {"x": [{}]},
    "nan", "F16", "chars", "words", "bytes", "task", "tag", "classify", "lstm", "dense", "float64", "language-model",
]  # fmt: skip
TOKENS = [
    b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"\\u", b"\\ud800", b"null", b"true", b"NaN", b"1e999", b"-0",
    b"99999999999999999999", b'"__metadata__"', b'"shape"', b'"data_offsets"', b'"dtype"', b"F32", b"F64", b"\x00",
    b"\xff", b"\xe2\x80\xae", b"[" * 64, b'{"a":' * 16, b" " * 64,
]  # fmt: skip


def flipped(data: bytes, rng: random.Random) -> bytes:
    """One to four bits turned over, anywhere."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def cut(data: bytes, rng: random.Random) -> bytes:
    """Shortened at its end, its beginning, or in its middle."""
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return rng.choice((data[:a], data[a:], data[:a] + data[b:]))


def pasted(data: bytes, rng: random.Random) -> bytes:
    """A piece doubled, moved, or replaced by other bytes."""
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    place = rng.randrange(len(data) + 1)
    piece = rng.choice((data[a : min(b, a + 200)], rng.randbytes(rng.randrange(40)), rng.choice(TOKENS)))
    return data[:place] + piece + data[place + rng.choice((0, len(piece))) :]


def header_text(data: bytes, rng: random.Random) -> bytes:
    """Marks, words and numbers of JSON put into the header, its length corrected or not."""
    length = int.from_bytes(data[:8], "little")
    text, body = data[8 : 8 + length], data[8 + length :]
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(text) + 1)
        text = text[:place] + rng.choice(TOKENS) + text[place + rng.choice((0, 1, 8)) :]
    return put_together(text, body, rng.choice((None, None, None, length)))


def header_length(data: bytes, rng: random.Random) -> bytes:
    """Another number of bytes for the header."""
    size = max(8, len(data))
    told = (0, 1, 9, size, size - 8, size - 7, 10**8, 10**8 + 1, 2**63, 2**64 - 1, rng.randrange(2 * size))
    return rng.choice(told).to_bytes(8, "little") + data[8:]


def tensors(data: bytes, rng: random.Random) -> bytes:
    """Tensors that overlap, leave gaps, are huge, of other types, under other names, missing, or one too many."""
    header, body = take_apart(data)
    for _ in range(rng.choice((1, 1, 2))):
        names = [name for name in header if name != "__metadata__" and isinstance(header[name], dict)]
        if not names:
            break
        name, other = rng.choice(names), rng.choice(names)
        match rng.randrange(6):
            case 0:
                header[name] = copy.deepcopy(header[other])
            case 1:
                others = header[other].get("data_offsets")
                header[name]["data_offsets"] = rng.choice(([0, 2**62], others, [2**63, 0], [-4, 0]))
            case 2:
                header[name]["shape"] = rng.choice(([2**62], [2**32] * 2, [2**62] * 8, [0, 2**62], [1] * 99, [10**38]))
            case 3:
                header[name][rng.choice(("dtype", "shape", "data_offsets"))] = rng.choice(HOSTILE)
            case 4:
                header[rng.choice(("/etc/passwd", "../x", "\x1b[2J", "out.bias ", ""))] = header.pop(name)
            case 5:
                header[name] = rng.choice(HOSTILE)
    return put_together(header, body)


def doubled(data: bytes, rng: random.Random) -> bytes:
    """Duplicate key in one object."""
    header, body = take_apart(data)
    key = rng.choice(list(header))
    text = json.dumps(header)
    return put_together(f"{{{json.dumps(key)}:{json.dumps(header[key])},{text[1:]}", body)


def deep(data: bytes, rng: random.Random) -> bytes:
    """Nested deeper than any parser likes, in the header or in a text inside it."""
    header, body = take_apart(data)
    levels = rng.choice((9, 50, 1000, 100_000))
    text = rng.choice(("[", '{"a":')) * levels
    if rng.random() < 0.5:
        return put_together(f'{{"a":{text}', body)
    header["__metadata__"][rng.choice(("config", "tokenizer", "progress", "corpus"))] = text
    return sealed(header, body)


def content(data: bytes, rng: random.Random) -> bytes:
    """A value somewhere in configuration, vocabulary, progress or corpus changed, and all digests right."""
    header, body = take_apart(data)
    texts = header["__metadata__"]
    for _ in range(rng.choice((1, 1, 2, 3))):
        key = rng.choice(("config", "tokenizer", "tokenizer", "progress", "corpus"))
        try:
            value = json.loads(texts[key])
        except ValueError:
            continue
        texts[key] = json.dumps(changed(value, rng))
    return sealed(header, body)


def numbers(data: bytes, rng: random.Random) -> bytes:
    """NaN, infinity and other patterns of bits in the tensors, and all digests right."""
    header, body = take_apart(data)
    place = 4 * rng.randrange(len(body) // 4)
    pattern = rng.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\1\0\x80\x7f", b"\0\0\x80\xff", rng.randbytes(4)))
    return sealed(header, body[:place] + pattern + body[place + 4 :])


def changed(value: Any, rng: random.Random) -> Any:
    """The same JSON value with one place in it replaced, removed, or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key, new = rng.choice(list(value)), dict(value)
        if rng.random() < 0.1:
            del new[key]
        elif rng.random() < 0.05:
            new[str(rng.choice(HOSTILE))] = rng.choice(HOSTILE)
        else:
            new[key] = changed(value[key], rng)
        return new
    if isinstance(value, list) and value and rng.random() < 0.8:
        i, new = rng.randrange(len(value)), list(value)
        new[i : i + 1] = rng.choice(([], [value[i]] * 2, [changed(value[i], rng)]))
        return new
    if isinstance(value, str) and value and rng.random() < 0.5:
        i = rng.randrange(len(value) + 1)
        return value[:i] + rng.choice(("a", "\n", "\ud800", "\x1b", "é", "", value)) + value[i + rng.randrange(2) :]
    return rng.choice(HOSTILE)


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flipped bits": flipped, "cut": cut, "pasted": pasted, "header text": header_text, "header length": header_length,
    "tensors": tensors, "a key twice": doubled, "deep JSON": deep, "sealed content": content, "sealed numbers": numbers,
}  # fmt: skip
SEALED = ("sealed content", "sealed numbers")
