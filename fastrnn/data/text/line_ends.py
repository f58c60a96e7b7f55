"""Text to lines: a line ends with LF, CRLF or CR, as in Python's universal newlines mode."""

from collections.abc import Callable

Tell = Callable[[str], None]


def silent(_message: str) -> None:
    """A `Tell` that shows nothing."""


class LineSplitter:
    """Splits text that comes in pieces into lines without their line ends.

    CR LF counts as one end, and so does CR CR LF, which a text-mode copy of a CRLF file makes. A CR alone ends a line
    too. ``tell`` is called once, with the number of the line, where a text has both LF and CR alone.
    """

    def __init__(self, tell: Tell = silent) -> None:
        self._tell = tell
        self._rest = ""
        self._number = 0  # lines given so far
        self._lone_cr = 0  # the first line that ends with CR alone
        self._has_lf = self._told = False

    def feed(self, piece: str, final: bool = False) -> list[str]:
        """The lines that this piece completes; with ``final`` also a last line that has no end."""
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
        if self._has_lf and self._lone_cr and not self._told:
            self._told = True
            self._tell(f"line {self._lone_cr} ends with a carriage return alone, other lines do not; each is a line")
        return text.split("\n")
