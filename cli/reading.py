"""Texts from files or standard input: a prime, lines to score, or a text as a model's vocabulary reads it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, BinaryIO

from fastrnn.errors import InputError

from . import output

if TYPE_CHECKING:
    from fastrnn.data.corpus import Corpus
    from fastrnn.data.record import Records
    from fastrnn.language_model import LanguageModel


def read_whole(path: str, kind: str) -> str:
    """The whole text of a file, or of standard input for ``-``.

    ``kind`` is the tokenizer's: for ``"bytes"`` any bytes will do. Raises `InputError` that names the file.
    """
    return "".join(_pieces(path, kind))


def read_lines(path: str, kind: str) -> Iterator[str]:
    """The lines, without their ends, as they come."""
    for line in _pieces(path, kind):
        yield line.removesuffix("\n").removesuffix("\r")


def read_for(model: "LanguageModel", texts: Sequence[str], unknown: str) -> "Corpus":
    """The corpus that these inputs make with the model's vocabulary and documents; what is skipped is noted."""
    from fastrnn.data.characters import describe
    from fastrnn.data.corpus import read_corpus

    separator = model.config.document_separator
    corpus = read_corpus(texts, separator=separator, tokenizer=model.tokenizer, unknown=unknown)
    if corpus.skipped:
        output.note(f"skipped characters that the model does not know: {describe(corpus.skipped)}")
    if corpus.tokenizer.unknown is not None:
        note_unknown(int((corpus.ids == corpus.tokenizer.unknown).sum()), len(corpus))
    return corpus


def note_remarks(records: "Records") -> None:
    """What was decided while reading, and where the dates of a series leap."""
    from fastrnn.data.series import gaps_told

    for line in records.remarks:
        output.note(line)
    if records.task == "forecast" and (leaps := gaps_told(records.items)) is not None:
        output.note(leaps)


def note_unknown(unknowns: int, words: int) -> None:
    """Warns of words that were read as ``<UNK>``."""
    if unknowns:
        output.note(f"{unknowns:,} of {words:,} words are unknown to the model: <UNK>")


def _pieces(path: str, kind: str) -> Iterator[str]:
    name = "standard input" if path == "-" else path
    offset = 0
    try:
        with _open(path) as file:
            for line in file:
                yield _decode(line, kind, name, offset)
                offset += len(line)
    except OSError as error:
        raise InputError(f"{name}: cannot read: {error.strerror}") from None


def _open(path: str) -> AbstractContextManager[BinaryIO]:
    if path != "-":
        return open(path, "rb")
    if sys.stdin is None:
        raise InputError("standard input is closed; give a file")
    return nullcontext(sys.stdin.buffer)


def _decode(line: bytes, kind: str, name: str, offset: int) -> str:
    try:
        return line.decode("utf-8", "surrogateescape" if kind == "bytes" else "strict")
    except UnicodeDecodeError as error:
        at = offset + error.start
        raise InputError(f"{name}: not UTF-8 at byte {at} (0x{line[error.start]:02x})") from None
