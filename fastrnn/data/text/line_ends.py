"""Splitting of text into lines that end with LF, CRLF or CR, as in Python's universal newlines mode."""

from collections.abc import Callable

Report = Callable[[str], None]


def ignore_report(_message: str) -> None:
    """Ignore a message."""


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
