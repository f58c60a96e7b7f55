"""Reading of prompts and lines from files and standard input."""

import gzip
import io
import os
import threading
import zipfile
from pathlib import Path

import pytest

from fastrnn.errors import ConfigError, InputError
from fastrnn_cli.inputs import read_lines, read_whole


def test_text_is_read_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "prime.txt"
    path.write_bytes("é\r\n☃\n".encode())
    assert read_whole(str(path), "chars") == "é\r\n☃\n"


def test_lines_are_read_without_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"one\r\n\ntwo\x85three")
    assert list(read_lines(str(path), "bytes")) == ["one", "", "two\udc85three"]


def test_invalid_utf8_error_shows_the_offset(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(b"fine\nab\xff\n")
    lines = read_lines(str(path), "chars")
    assert next(lines) == "fine"
    with pytest.raises(InputError, match=r"bad\.txt: not UTF-8 at byte 7 \(0xff\)"):
        next(lines)
    assert read_whole(str(path), "bytes") == "fine\nab\udcff\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_utf16_error_names_the_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "wide.txt"
    path.write_bytes("a line to score\nanother\n".encode(encoding))
    with pytest.raises(InputError, match=rf"wide\.txt: this is {encoding[:6].upper()}, not UTF-8; give --encoding"):
        read_whole(str(path), "chars")
    assert read_whole(str(path), "chars", encoding) == "a line to score\nanother\n"
    assert list(read_lines(str(path), "chars", encoding)) == ["a line to score", "another"]
    assert len(read_whole(str(path), "bytes").encode("utf-8", "surrogateescape")) == path.stat().st_size


def test_compressed_prompts_and_lines_are_read_in_their_encoding(tmp_path: Path) -> None:
    path = tmp_path / "old.txt.gz"
    path.write_bytes(gzip.compress("caf\xe9\nna\xefve".encode("cp1252")))
    assert list(read_lines(str(path), "chars", "latin-1")) == ["caf\xe9", "na\xefve"]
    with pytest.raises(InputError, match=r"old\.txt\.gz: not UTF-8 at byte 3 .* give --encoding cp1252"):
        read_whole(str(path), "chars")
    with pytest.raises(ConfigError, match="encoding 'rot13' is unknown"):
        read_whole(str(path), "chars", "rot13")


def test_byte_order_mark_is_removed_from_prompts_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "mark.txt"
    path.write_bytes("\ufeffone\n\ufefftwo".encode())
    assert read_whole(str(path), "chars") == "one\n\ufefftwo"
    assert list(read_lines(str(path), "words")) == ["one", "\ufefftwo"]
    assert read_whole(str(path), "bytes").startswith("\ufeff")


def test_lone_carriage_return_ends_a_line_and_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.txt"
    path.write_bytes(b"one\rtwo\rthree\r\nfour\r\n")
    assert list(read_lines(str(path), "chars")) == ["one", "two", "three", "four"]
    assert "line 1 ends with a carriage return alone" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_lines_of_a_named_pipe_are_read_as_they_arrive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    is_read = threading.Event()
    arrived: list[bool] = []

    def write() -> None:
        with open(tmp_path / "pipe", "wb", buffering=0) as pipe:
            pipe.write(b"one\n")
            arrived.append(is_read.wait(60))
            pipe.write(b"two\n")

    writer = threading.Thread(target=write)
    writer.start()
    lines = read_lines(str(tmp_path / "pipe"), "chars")
    assert next(lines) == "one"
    is_read.set()
    assert list(lines) == ["two"]
    writer.join()
    assert arrived == [True]


def test_standard_input_is_read_in_place_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\nb")))
    assert list(read_lines("-", "chars")) == ["a", "b"]


def test_missing_file_error_suggests_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "prime.txt").write_text("x")
    with pytest.raises(InputError, match=r"prim\.txt: no such file or folder; did you mean prime\.txt\?"):
        read_whole(str(tmp_path / "prim.txt"), "chars")


def test_lines_of_folders_and_archives_are_read_file_by_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file without a last line end does not run into the next one."""
    texts = {"a.txt": "one\ntwo", "b.txt": "\ufeffthree\n"}
    (tmp_path / "texts").mkdir()
    with zipfile.ZipFile(tmp_path / "texts.zip", "w") as archive:
        for name, text in texts.items():
            (tmp_path / "texts" / name).write_text(text, "utf-8")
            archive.writestr(name, text)
    (tmp_path / "texts" / "c.bin").write_bytes(b"\0\1")

    for name in ("texts", "texts.zip"):
        assert list(read_lines(str(tmp_path / name), "chars")) == ["one", "two", "three"]
    assert "left out: " in capsys.readouterr().err
