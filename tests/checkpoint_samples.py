"""Small checkpoints, and a workshop that takes their files apart and puts them together wrongly.

It knows the format from its description alone, so that a mistake in `fastrnn.training` is not made here too.
"""

import hashlib
import json
import math
from typing import Any

import numpy as np

from fastrnn.cells import CELLS
from fastrnn.checkpoint.checkpoint import Checkpoint, to_bytes
from fastrnn.config import MOMENTS, Config
from fastrnn.data.text.tokenizers import ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer
from fastrnn.shapes import ModelShape, language_model_shapes

TOKENIZERS: dict[str, Tokenizer] = {
    "chars": CharTokenizer("\n ab\u00e9\u4e2d\U0001f600"),
    "bytes": ByteTokenizer(),
    "words": WordTokenizer(["<EOS>", "<UNK>", "na\u00efve", '"', "\\"]),
}


def sample(seed: int = 0, **changes: Any) -> Checkpoint:
    """A checkpoint with random numbers everywhere: L=2, B=3, H=5 unless changed."""
    settings = {"cell": "gru", "layers": 2, "hidden": 5, "batch": 3, "optimizer": "adamw", "tokens": "chars"}
    config = Config(**(settings | changes))
    tokenizer = TOKENIZERS[config.tokens]
    random = np.random.default_rng(seed)
    dtype = np.dtype(config.dtype)
    assert config.hidden
    assert config.batch

    def numbers(*shape: int) -> np.ndarray[Any, Any]:
        return random.standard_normal(shape).astype(dtype)

    shapes = language_model_shapes(ModelShape(config.cell, config.layers, config.hidden, tokenizer.size))
    count = sum(math.prod(shape) for shape in shapes.values())
    return Checkpoint(
        config=config,
        tokenizer=tokenizer,
        parameters={name: numbers(*shape) for name, shape in shapes.items()},
        optimizer={name: numbers(count) for name in MOMENTS[config.optimizer]},
        state={name: numbers(config.layers, config.batch, config.hidden) for name in CELLS[config.cell].states},
        progress={"step": 7, "best": 1.25, "random": {"state": 2**127 + 1}, "history": [1, None, True, "x"]},
        corpus={"names": ["a\nb", "\udcff"], "fingerprint": "00ff"},
    )


def small() -> bytes:
    """The bytes of the smallest usual file: a few kilobytes."""
    return to_bytes(sample(cell="rnn", layers=1, hidden=2, batch=1, optimizer="momentum"))


def take_apart(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and tensor bytes."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def put_together(header: dict[str, Any] | str | bytes, body: bytes, length: int | None = None) -> bytes:
    """A file, its header given as a mapping, as JSON, or as any bytes; `length` is what it claims to be long."""
    if isinstance(header, dict):
        header = json.dumps(header)
    text = header.encode() if isinstance(header, str) else header
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def sealed(header: dict[str, Any], body: bytes) -> bytes:
    """A file whose digests are right, so that only a look at its content can find it wrong."""
    texts = header["__metadata__"]
    tensors = hashlib.blake2b(digest_size=32)
    for name in sorted(header.keys() - {"__metadata__"}):
        start, stop = header[name]["data_offsets"]
        tensors.update(name.encode() + body[start:stop])
    texts["digest"] = tensors.hexdigest()
    metadata = hashlib.blake2b(digest_size=32)
    for key in sorted(texts.keys() - {"metadata_digest"}):
        metadata.update(key.encode() + texts[key].encode("utf-8", "surrogatepass"))
    texts["metadata_digest"] = metadata.hexdigest()
    return put_together(header, body)


def assert_same(left: Checkpoint, right: Checkpoint) -> None:
    """Bit for bit."""
    assert left.config == right.config
    assert left.tokenizer == right.tokenizer
    assert (left.progress, left.corpus) == (right.progress, right.corpus)
    for name in ("parameters", "optimizer", "state"):
        ours, theirs = getattr(left, name), getattr(right, name)
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert ours[key].dtype == theirs[key].dtype
            assert ours[key].shape == theirs[key].shape
            assert ours[key].tobytes() == theirs[key].tobytes()
