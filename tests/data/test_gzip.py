"""Compressed inputs: known by their first bytes, in bounded memory, and every damage named."""

import gzip
import io
import os
import sys
from pathlib import Path

import pytest

from fastrnn.data.text import files as text_module
from fastrnn.data.text.files import expand
from fastrnn.errors import InputError


def read(*inputs: str | Path, tokens: str = "chars") -> dict[str, bytes]:
    """Name and content of every source, in order."""
    return {source.name: b"".join(source.chunks()) for source in expand([str(i) for i in inputs], tokens)}


@pytest.mark.parametrize("name", ["a.gz", "a.txt"])
def test_gzip_is_known_by_its_first_bytes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "CHUNK", 100)
    content = b"abcdefgh" * 10_000 + os.urandom(1000)
    (tmp_path / name).write_bytes(gzip.compress(content))

    assert list(read(tmp_path / name, tokens="bytes").values()) == [content]


@pytest.mark.parametrize("chunk", [1, 7, 100_000])
def test_joined_and_padded_gzip_members_are_one_text(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_module, "CHUNK", max(chunk, 2))
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"one ") + gzip.compress(b"two") + b"\0" * 20)

    assert list(read(tmp_path / "a.gz").values()) == [b"one two"]


def test_gzip_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"typed"))))

    assert read("-") == {"standard input": b"typed"}


def test_compressed_binary_files_in_a_folder_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"\0\0"))
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"text"))

    assert list(read(tmp_path).values()) == [b"text"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"plain text", "not gzip, in spite of its name; rename it if it is plain text$"),
        (gzip.compress(b"text" * 99)[:-9], "damaged gzip: it ends too early$"),
        (gzip.compress(b"text")[:-8] + b"\1" * 8, "damaged gzip: .*incorrect data check$"),
        (gzip.compress(b"text") + b"rubbish", "damaged gzip: .*incorrect header check$"),
    ],
)
def test_damaged_gzip_is_an_error(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(content)

    with pytest.raises(InputError, match=f"a\\.gz: {message}"):
        read(tmp_path / "a.gz")


def test_a_compressed_bomb_comes_in_small_chunks(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"\n" * (8 << 20)))

    sizes = [len(chunk) for chunk in expand([str(tmp_path / "a.gz")])[0].chunks()]

    assert sum(sizes) == 8 << 20
    assert max(sizes) <= text_module.CHUNK
