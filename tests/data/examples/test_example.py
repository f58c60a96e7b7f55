"""Lines of a text with their locations."""

import pytest

from fastrnn.data.examples.example import Location, read_lines
from fastrnn.data.text.sources import Source, ignore_report
from fastrnn.errors import InputError


def read(data: bytes, cut: int = 1 << 20, told: list[str] | None = None) -> list[tuple[int, str]]:
    report = ignore_report if told is None else told.append
    source = Source("a.txt", lambda: iter([data[i : i + cut] for i in range(0, len(data), cut)]), report=report)
    return [(place.line, line) for place, line in read_lines(source)]


@pytest.mark.parametrize("cut", [1, 2, 3, 100])
def test_lines_are_numbered_from_one_wherever_chunks_end(cut: int) -> None:
    assert read("één\r\n\ntwo".encode(), cut) == [(1, "één"), (2, ""), (3, "two")]


def test_byte_order_mark_is_dropped_only_at_the_start() -> None:
    assert read("\ufeffa\n\ufeffb".encode()) == [(1, "a"), (2, "\ufeffb")]


def test_no_line_in_an_empty_file() -> None:
    assert read(b"") == []


def test_other_separators_do_not_end_a_line() -> None:
    assert read("a\x0bb\u2028c\x85d\n".encode()) == [(1, "a\x0bb\u2028c\x85d")]


@pytest.mark.parametrize("cut", [1, 2, 3, 100])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_line_ends_with_lf_crlf_or_cr_wherever_chunks_end(end: str, cut: int) -> None:
    told: list[str] = []

    assert read(end.join(["one", "", "three", "four"]).encode(), cut, told) == [
        (1, "one"), (2, ""), (3, "three"), (4, "four"),
    ]  # fmt: skip
    assert told == []


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_carriage_return_among_other_line_ends_is_reported_with_its_line(cut: int) -> None:
    told: list[str] = []

    assert [line for _, line in read(b"a\nb\nc\rd\ne\rf\n", cut, told)] == ["a", "b", "c", "d", "e", "f"]
    assert [message.split(" ends")[0] for message in told] == ["a.txt: line 3"]


def test_invalid_utf_8_is_reported_with_its_offset() -> None:
    with pytest.raises(
        InputError, match=r"^a\.txt: not UTF-8 at byte 4 \(0xe9\); it looks like cp1252: give --encoding cp1252, or "
    ):
        read(b"ab\nc\xe9\n", 2)


def test_location_prints_file_and_line() -> None:
    assert str(Location("a\nb.tsv", 3)) == "a\\nb.tsv:3"
    assert str(Location("x.npz")) == "x.npz"
    assert str(Location("a.tsv", 2).error("bad\nfield; mend it")) == "a.tsv:2: bad\\nfield; mend it"
