"""Input texts from files or standard input: prompts, lines to score, and corpora for a model."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from fastrnn.errors import ConfigError, InputError
from fastrnn.task_specs import get_supervised_task

from . import formatting, output

if TYPE_CHECKING:
    from fastrnn.data.examples.example import ExampleSet
    from fastrnn.data.text.corpus import Corpus
    from fastrnn.inference.language_model import LanguageModel


def read_whole(path: str, kind: str, encoding: str | None = None) -> str:
    """Read a whole file, also compressed, or standard input for ``-``.

    ``kind`` is the tokenizer's kind; ``"bytes"`` accepts any bytes. ``encoding``: that of the text, by default UTF-8.
    Raises `InputError` that names the file, and `ConfigError` for an unknown encoding.
    """
    return "".join(_pieces(path, kind, encoding))


def read_lines(path: str, kind: str, encoding: str | None = None) -> Iterator[str]:
    """Yield lines without their terminators (LF, CRLF or CR) as they arrive; see `read_whole`."""
    from fastrnn.data.text.decoding import LineSplitter

    splitter = LineSplitter(lambda message: output.note(f"{_name_of(path)}: {message}"))
    for piece in _pieces(path, kind, encoding):
        yield from splitter.feed(piece)
    yield from splitter.feed("", final=True)


def read_corpus_for(
    model: "LanguageModel", texts: Sequence[str], unknown: str, encoding: str | None = None
) -> "Corpus":
    """Read a corpus with the model's vocabulary and document separator; report skipped characters."""
    from fastrnn.data.text.corpus import read_corpus
    from fastrnn.data.text.remarks import describe_chars

    separator = model.config.document_separator
    with output.ProgressLine() as line:
        corpus = read_corpus(
            texts,
            separator=separator,
            tokenizer=model.tokenizer,
            unknown=unknown,
            progress=lambda done, total: line.show(partial(formatting.reading_progress, done, total)),
            encoding=encoding,
        )
    for remark in corpus.remarks:
        output.note(remark)
    if corpus.skipped:
        output.note(f"skipped characters that the model does not know: {describe_chars(corpus.skipped)}")
    if corpus.tokenizer.unknown is not None:
        note_unknown(int((corpus.ids == corpus.tokenizer.unknown).sum()), len(corpus))
    return corpus


def note_remarks(records: "ExampleSet") -> None:
    """Print the remarks on data of a supervised task."""
    for line in get_supervised_task(records.task).collect_remarks(records):
        output.note(line)


def note_unknown(unknowns: int, words: int) -> None:
    """Warn about words that were read as ``<UNK>``."""
    if unknowns:
        output.note(f"{unknowns:,} of {words:,} words are unknown to the model: <UNK>")


def _pieces(path: str, kind: str, encoding: str | None) -> Iterator[str]:
    from fastrnn.data.text.compression import read_chunks
    from fastrnn.data.text.encodings import convert
    from fastrnn.plain import check_encoding

    encoding = check_encoding("encoding", encoding) if encoding is not None else None
    if encoding is not None and kind == "bytes":
        raise ConfigError("--encoding is for models of chars and words; this one reads every byte as it is")
    name = _name_of(path)
    offset = 0
    try:
        with _open(path) as file:
            # `read1` returns what a pipe holds instead of waiting for more.
            lines = _split_lines(read_chunks(getattr(file, "read1", file.read), name, "" if path == "-" else path))
            for line in lines if encoding is None else convert(lines, encoding, name):
                if offset == 0 and kind != "bytes":
                    _check_encoding(line, name)
                text = _decode(line, kind, name, offset)
                # A byte-order mark is not text; byte models were trained on it unchanged.
                yield text.removeprefix("\ufeff") if offset == 0 and kind != "bytes" else text
                offset += len(line)
    except OSError as error:
        raise InputError(f"{name}: cannot read: {error.strerror}") from None


def _split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a text with their LF, as soon as they are complete."""
    parts: list[bytes] = []  # of a line that is not complete
    for chunk in chunks:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            yield b"".join((*parts, line, b"\n"))
            parts.clear()
        if rest:
            parts.append(rest)
    if parts:
        yield b"".join(parts)


def _check_encoding(first: bytes, name: str) -> None:
    """Raise `InputError` for text that starts like UTF-16."""
    from fastrnn.data.text.decoding import refuse_utf16

    # A generator: it checks while it is read.
    for _ in refuse_utf16([first], name):
        pass


def _name_of(path: str) -> str:
    return "standard input" if path == "-" else path


def _open(path: str) -> AbstractContextManager[BinaryIO]:
    if path != "-":
        return open(path, "rb")
    if sys.stdin is None:
        raise InputError("standard input is closed; give a file")
    return nullcontext(sys.stdin.buffer)


def _decode(line: bytes, kind: str, name: str, offset: int) -> str:
    from fastrnn.data.text.decoding import Utf8Decoder

    if kind == "bytes":
        return line.decode("utf-8", "surrogateescape")
    decoder = Utf8Decoder(name)
    decoder.skip(offset)
    return decoder.feed(line, final=True)
