import io
from pathlib import Path

import pytest

from fastrnn.errors import InputError
from fastrnn_cli.reading import read_lines, read_whole


def test_a_whole_text_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "prime.txt"
    path.write_bytes("é\r\n☃\n".encode())
    assert read_whole(str(path), "chars") == "é\r\n☃\n"


def test_lines_come_without_their_ends(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"one\r\n\ntwo\x85three")
    assert list(read_lines(str(path), "bytes")) == ["one", "", "two\udc85three"]


def test_invalid_utf8_is_named_with_its_offset(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(b"fine\nab\xff\n")
    lines = read_lines(str(path), "chars")
    assert next(lines) == "fine"
    with pytest.raises(InputError, match=r"bad\.txt: not UTF-8 at byte 7 \(0xff\)"):
        next(lines)
    assert read_whole(str(path), "bytes") == "fine\nab\udcff\n"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\nb")))
    assert list(read_lines("-", "chars")) == ["a", "b"]


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_a_file_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_whole(str(tmp_path / name), "chars")
