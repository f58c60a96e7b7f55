"""Expansion of inputs to sources, and UTF-8 decoding; every error is one line."""

import io
import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.data.text import files as text_module
from fastrnn.data.text.decoding import Utf8Decoder
from fastrnn.data.text.files import expand
from fastrnn.errors import InputError


def read(*inputs: str | Path, tokens: str = "chars") -> dict[str, bytes]:
    """Name and content of every source, in order."""
    return {source.name: b"".join(source.chunks()) for source in expand([str(i) for i in inputs], tokens)}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with text, hidden, binary and nested files."""
    for name, content in {
        "b.txt": b"bee",
        "a/2.txt": b"two",
        "a/10.txt": b"ten",
        "a-z.txt": b"dash",
        ".hidden.txt": b"no",
        ".git/config": b"no",
        "image.bin": b"\x89x\0y",
        "late.bin": b"x" * 9000 + b"\0",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def test_folder_is_read_in_sorted_order_without_hidden_and_binary_files(tree: Path) -> None:
    names = [str(Path(name).relative_to(tree)) for name in read(tree)]

    assert names == ["a/10.txt", "a/2.txt", "a-z.txt", "b.txt", "late.bin"]


def test_bytes_take_binary_files_too(tree: Path) -> None:
    assert read(tree, tokens="bytes")[str(tree / "image.bin")] == b"\x89x\0y"


def test_inputs_keep_the_order_in_which_they_were_given(tree: Path) -> None:
    assert list(read(tree / "b.txt", tree / "a").values()) == [b"bee", b"ten", b"two"]


def test_same_file_can_be_given_twice(tree: Path) -> None:
    assert len(expand([str(tree / "b.txt")] * 2)) == 2


def test_glob_is_sorted_and_names_each_file_once(tree: Path) -> None:
    assert list(read(tree / "*.txt").values()) == [b"dash", b"bee"]
    assert list(read(tree / "**" / "*.txt").values()) == [b"ten", b"two", b"dash", b"bee"]
    assert len(expand([str(tree / "**")])) == 6


def test_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].txt").write_bytes(b"one")

    assert list(read(tmp_path / "a[1].txt").values()) == [b"one"]


def test_file_may_have_the_name_of_a_built_in_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("python-docs").write_bytes(b"mine")

    assert read("python-docs") == {"python-docs": b"mine"}


def test_missing_file_suggests_the_nearest_name(tree: Path) -> None:
    with pytest.raises(InputError, match=r"a-y\.txt: no such file or folder; did you mean a-z\.txt\?$"):
        expand([str(tree / "a-y.txt")])


def test_missing_file_in_a_missing_folder_has_no_suggestion(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none/x\.txt: no such file or folder$"):
        expand([str(tmp_path / "none" / "x.txt")])


def test_misspelt_built_in_corpus_is_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="python-dcos: no such file or folder; did you mean python-docs"):
        expand(["python-dcos"])


@pytest.mark.parametrize(
    ("name", "shown"), [("", r"\(empty\)"), ("a\nb", r"a\\nb"), ("a\0b", r"a\\x00b"), ("\udc80", r"\\udc80")]
)
def test_strange_name_still_gives_one_line(name: str, shown: str) -> None:
    with pytest.raises(InputError, match=f"^{shown}: no such file or folder$"):
        expand([name])


def test_folder_without_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\0\0")
    (tmp_path / ".hidden").write_bytes(b"text")

    with pytest.raises(InputError, match=r"no text in this folder \(left out: .*x\.bin .*NUL.*\); give one that holds"):
        expand([str(tmp_path)])
    (tmp_path / "x.bin").unlink()
    with pytest.raises(InputError, match=r"no text in this folder; give one that holds text files$"):
        expand([str(tmp_path)])


def test_glob_without_a_match_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\*\.md: no file matches this pattern$"):
        expand([str(tmp_path / "*.md")])


def test_dangling_link_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")

    with pytest.raises(InputError, match=r"link: cannot read this file: No such file or directory$"):
        read(tmp_path / "link")


def test_unreadable_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, mode: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    (tmp_path / "a.txt").write_bytes(b"text")
    monkeypatch.setattr(text_module, "open", refuse, raising=False)

    with pytest.raises(InputError, match=r"a\.txt: cannot read this file: Permission denied$"):
        read(tmp_path / "a.txt")


def test_unreadable_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(InputError, match=r"cannot read this folder: Permission denied$"):
        expand([str(tmp_path)])


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"typed")))

    assert read("-") == {"standard input": b"typed"}
    with pytest.raises(InputError, match=r"standard input \(-\) can be read only once; give - once"):
        expand(["-", "-"])


def test_standard_input_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(InputError, match="standard input is closed; give a file"):
        read("-")


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    bounds = [0, *sorted(cuts), len(data)]
    return (data[low:high] for low, high in pairwise(bounds))


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_characters_may_be_cut_anywhere(text: str, cuts: list[int]) -> None:
    utf8 = Utf8Decoder("x")

    parts = [utf8.feed(piece) for piece in pieces(text.encode(), cuts)]

    assert "".join(parts) + utf8.feed(b"", final=True) == text


def complaint(chunks: Iterator[bytes]) -> str | None:
    """The message of the error that decoding these chunks ends in, if it does."""
    utf8 = Utf8Decoder("x.txt")
    try:
        for chunk in chunks:
            utf8.feed(chunk)
        utf8.feed(b"", final=True)
    except InputError as error:
        return str(error)
    return None


@given(data=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=8))
def test_first_bad_byte_is_named_wherever_chunks_end(data: bytes, cuts: list[int]) -> None:
    try:
        data.decode("utf-8")
        expected = None
    except UnicodeDecodeError as error:
        at = error.start
        expected = f"x.txt: not UTF-8 at byte {at} (0x{data[at]:02x})"

    found = complaint(pieces(data, cuts))
    assert (found and found.split(";")[0]) == expected
