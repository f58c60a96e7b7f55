"""Compressed inputs: detected by their first bytes, read in bounded memory; damage is reported by name."""

import bz2
import gzip
import importlib.util
import io
import lzma
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fastrnn.data.text import compression
from fastrnn.data.text.files import expand
from fastrnn.errors import InputError

HAS_ZSTD = importlib.util.find_spec("compression") is not None
COMPRESS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
if HAS_ZSTD:
    COMPRESS[".zst"] = importlib.import_module("compression.zstd").compress
every_format = pytest.mark.parametrize("suffix", COMPRESS)


def read(*inputs: str | Path, tokens: str = "chars") -> dict[str, bytes]:
    """Name and content of every source, in order."""
    return {source.name: b"".join(source.chunks()) for source in expand([str(i) for i in inputs], tokens)}


def write_zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return path


@every_format
@pytest.mark.parametrize("chunk", [20, 100, 1 << 20])
@pytest.mark.parametrize("has_suffix", [True, False])
def test_compressed_file_is_detected_by_its_first_bytes(
    suffix: str, chunk: int, has_suffix: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "CHUNK", chunk)
    content = b"abcdefgh" * 10_000 + os.urandom(1000)
    path = tmp_path / ("a" + (suffix if has_suffix else ".txt"))
    path.write_bytes(COMPRESS[suffix](content))

    assert list(read(path, tokens="bytes").values()) == [content]


@every_format
@pytest.mark.parametrize("chunk", [11, 100_000])
def test_concatenated_streams_are_one_text(
    suffix: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "CHUNK", chunk)
    compress = COMPRESS[suffix]
    (tmp_path / f"a{suffix}").write_bytes(compress(b"one ") + compress(b"two") + b"\0" * 20)

    assert list(read(tmp_path / f"a{suffix}").values()) == [b"one two"]


@every_format
def test_standard_input_is_decompressed_even_if_it_comes_byte_by_byte(
    suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read(1)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Slow(COMPRESS[suffix](b"typed"))))

    assert read("-") == {"standard input": b"typed"}


@every_format
def test_compressed_binary_files_in_a_folder_are_left_out(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_bytes(COMPRESS[suffix](b"\0\0"))
    (tmp_path / f"b{suffix}").write_bytes(COMPRESS[suffix](b"text"))

    assert list(read(tmp_path).values()) == [b"text"]


@every_format
def test_damage_is_reported_with_name_and_kind(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    whole = COMPRESS[suffix](os.urandom(1000))
    for content, message in [
        (b"plain text", "despite its name; rename it if it is plain text$"),
        (whole[:-9], "damaged .*: it ends too early$"),
        (whole[:40] + b"\xaa" * 40 + whole[80:], "damaged"),
    ]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"a\{suffix}: .*{message}"):
            read(path, tokens="bytes")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"text")[:-8] + b"\1" * 8, "damaged gzip: .*incorrect data check$"),
        (gzip.compress(b"text") + b"rubbish", "damaged gzip: .*incorrect header check$"),
    ],
    ids=["checksum", "rest"],  # the content has the time in it
)
def test_damaged_gzip_is_an_error(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(content)

    with pytest.raises(InputError, match=f"a\\.gz: {message}"):
        read(tmp_path / "a.gz")


@every_format
def test_compressed_bomb_is_decompressed_in_small_chunks(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_bytes(COMPRESS[suffix](b"\n" * (8 << 20)))

    sizes = [len(chunk) for chunk in expand([str(tmp_path / f"a{suffix}")])[0].chunks()]

    assert sum(sizes) == 8 << 20
    assert max(sizes) <= compression.CHUNK


@pytest.mark.skipif(HAS_ZSTD, reason="this Python reads Zstandard")
def test_zstandard_names_the_python_that_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd rest of it")

    with pytest.raises(InputError, match=r"a\.zst: Zstandard needs Python 3\.14 or newer; decompress the file"):
        read(tmp_path / "a.zst")


def test_text_that_begins_like_bzip2_is_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"BZh9 is a magic number\n")

    assert list(read(tmp_path / "a.txt").values()) == [b"BZh9 is a magic number\n"]


def test_zip_archive_of_one_file_is_that_file_whatever_it_holds(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", corpus=b"\0one")

    assert read(path) == {f"{path}/corpus": b"\0one"}


def test_zip_archive_is_read_like_a_folder(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "A.ZIP",
        b_txt=b"two",
        a__c_txt=b"one",
        _hidden=b"no",
        image_png=b"\0\0",
        x_gz=gzip.compress(b"three"),
    )
    left_out: list[str] = []
    sources = expand([str(path)], left_out=left_out)

    assert [source.name for source in sources] == [f"{path}/{name}" for name in ("a/c.txt", "b.txt", "x.gz")]
    assert [b"".join(source.chunks()) for source in sources] == [b"one", b"two", b"three"]
    assert left_out == [f"{path}/image.png (not text: it has NUL bytes)"]
    assert list(read(tmp_path).values()) == [b"one", b"two", b"three"]
    assert list(read(tmp_path / "*.ZIP").values()) == [b"one", b"two", b"three"]


def test_damaged_encrypted_or_empty_zip_archive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    whole = write_zip(path, text=b"a text of some length " * 5).read_bytes()
    encrypted = bytearray(whole)
    for start in (whole.index(b"PK\3\4") + 6, whole.index(b"PK\1\2") + 8):
        encrypted[start] |= 1  # general purpose bit 0
    for content, message in [
        (b"plain text", "damaged zip: File is not a zip file"),
        (whole[:35] + b"\xff" * 10 + whole[45:], "a.zip/text: damaged zip: "),
        (bytes(encrypted), "a.zip/text: encrypted, or compressed in an unknown way; unpack it"),
        (write_zip(path).read_bytes(), "no file in this zip archive"),
        (write_zip(path, a=b"\0", b=b"\0").read_bytes(), "no text in this zip archive"),
    ]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read(path)


@pytest.mark.parametrize("line", [b"a\n", b"aaa\n", b"BZ is short\n"])
def test_short_line_of_a_live_pipe_is_returned_before_the_next_read(line: bytes) -> None:
    delivered = iter([line])
    assert next(compression.read_chunks(lambda size: next(delivered), "standard input")) == line
