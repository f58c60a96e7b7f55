"""Decoding of bytes to lines: strict UTF-8, detection of UTF-16 and UTF-32, line ends."""

import codecs
from collections.abc import Iterable, Iterator

from ...errors import InputError, escape
from .sources import Report, ignore_report

HEAD = 4096  # bytes examined

_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"),  # before UTF-16, whose mark is its first half
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_LEAST = 16  # fewest bytes for which a text without a mark is classified
_MOSTLY = 0.6
_RARELY = 0.05
_KANA = 0.15  # share of all bytes
_BLANKS = b"\t\n\r"
_CONTROLS = bytes(code for code in range(0x20) if code not in _BLANKS)


def detect_encoding(head: bytes) -> str | None:
    """Return ``UTF-16`` or ``UTF-32`` if the first bytes of a text look like it, else None."""
    for mark, name in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return name
    if len(head) < _LEAST:
        return None
    # Shares of NUL bytes at each position of a 4-byte unit: in UTF-32 the first (or, little-endian, the last) is NUL.
    first, second, third, fourth = (head[i::4].count(0) / len(head[i::4]) for i in range(4))
    if not head.strip(b"\0"):
        return None
    if (first == 1 and second > _MOSTLY) or (fourth == 1 and third > _MOSTLY):
        return "UTF-32"
    if _are_upper_halves(head[::2], head[1::2]) or _are_upper_halves(head[1::2], head[::2]):
        return "UTF-16"
    return "UTF-16" if _is_wide_text(head) else None


def refuse_utf16(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield the same chunks. Raises `InputError` if they start like UTF-16 or UTF-32."""
    head, whole = b"", False
    for chunk in chunks:
        if not whole:
            head += chunk[:HEAD]
            whole = len(head) >= HEAD
            _check(head, name)
        yield chunk


def _check(head: bytes, name: str) -> None:
    if encoding := detect_encoding(head):
        from .encodings import describe_wide_encoding

        option = describe_wide_encoding(head, encoding)
        raise InputError(
            f"{escape(name)}: this is {encoding}, not UTF-8; give --encoding {option}, or save it as UTF-8"
        )


def _are_upper_halves(part: bytes, others: bytes) -> bool:
    """Whether ``part``, every second byte, is mostly one control character, as the upper halves of UTF-16 units are."""
    # NUL for Latin, 03 Greek, 04 Cyrillic, 06 Arabic, 09 (a tab) Devanagari; UTF-8 text never has so many of one
    byte = max(range(0x20), key=part.count)
    if part.count(byte) < _MOSTLY * len(part):
        return False
    return byte not in _BLANKS or len(others) - len(others.translate(None, _CONTROLS)) > _RARELY * len(others)


def _is_wide_text(head: bytes) -> bool:
    """Whether the bytes are UTF-16 text of ideographs, kana or Hangul with some NUL bytes."""
    # The NULs come from blanks, digits or line ends. Kana look like ASCII in which every second byte is a "0"; the
    # other scripts are not valid UTF-8.
    if b"\0" not in head:
        return False
    for decode, upper in ((codecs.utf_16_le_decode, 1), (codecs.utf_16_be_decode, 0)):
        try:
            text, _ = decode(head, "strict", False)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and all(c.isprintable() or c in "\r\n\t" for c in text):
            uppers, lowers = head[upper::2].count(b"0"), head[1 - upper :: 2].count(b"0")
            return not _is_utf8(head) or (uppers > _KANA * len(head) and lowers < uppers / 2)
    return False


def _is_utf8(head: bytes) -> bool:
    try:
        head[:-3].decode("utf-8")
    except UnicodeDecodeError as error:
        return error.end >= len(head) - 3  # only the last character is incomplete
    return True


class Utf8Decoder:
    """Incremental strict UTF-8 decoder; a character may be split between two chunks."""

    def __init__(self, name: str, advice: str = "save it as UTF-8") -> None:
        self._name = escape(name)
        self._advice = advice
        self._pending = b""
        self._offset = 0

    @property
    def between(self) -> bool:
        """Whether the input so far ends between two characters."""
        return not self._pending

    def skip(self, count: int) -> None:
        """Advance the offset by bytes that were decoded elsewhere."""
        self._offset += count

    def feed(self, chunk: bytes, final: bool = False) -> str:
        """Return the complete characters so far. Raises `InputError` with the offset of the first invalid byte."""
        data = self._pending + chunk if self._pending else chunk
        try:
            text, used = codecs.utf_8_decode(data, "strict", final)
        except UnicodeDecodeError as error:
            at, byte = self._offset + error.start, data[error.start]
            from .encodings import guess_encoding

            likely = guess_encoding(data, error.start)
            guess = f"it looks like {likely}: give --encoding {likely}, or " if likely else ""
            raise InputError(f"{self._name}: not UTF-8 at byte {at} (0x{byte:02x}); {guess}{self._advice}") from None
        self._pending = data[used:]
        self._offset += used
        return text


class LineSplitter:
    """Splits text that arrives in pieces into lines, without their line ends.

    CR LF is one line end, and so is CR CR LF, the result of copying a CRLF file in text mode. A lone CR is a line end
    too; if a text has both LF and lone CR, ``report`` is called once with the number of the first such line.
    """

    def __init__(self, report: Report = ignore_report) -> None:
        self._report = report
        self._rest = ""
        self._number = 0  # lines returned so far
        self._lone_cr = 0  # the first line that ends with CR alone
        self._has_lf = self._reported = False

    def feed(self, piece: str, final: bool = False) -> list[str]:
        """Return the lines that this piece completes; with ``final`` also a last line without a line end."""
        text = self._rest + piece
        held = 0 if final else len(text) - len(text.rstrip("\r"))  # an LF may follow
        if held:
            text = text[:-held]
        *lines, self._rest = self._split(text)
        self._rest += "\r" * held
        if final and self._rest:
            lines.append(self._rest)
            self._rest = ""
        self._number += len(lines)
        return lines

    def _split(self, text: str) -> list[str]:
        if "\r" in text:
            text = text.replace("\r\r\n", "\n").replace("\r\n", "\n")
        self._has_lf = self._has_lf or "\n" in text
        if "\r" in text:
            at = text.index("\r")
            self._lone_cr = self._lone_cr or self._number + text.count("\n", 0, at) + 1
            text = text.replace("\r", "\n")
        if self._has_lf and self._lone_cr and not self._reported:
            self._reported = True
            self._report(f"line {self._lone_cr} ends with a carriage return alone, other lines do not; each is a line")
        return text.split("\n")
