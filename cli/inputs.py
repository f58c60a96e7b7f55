"""Input texts from files or standard input: prompts, lines to score, and corpora for a model."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fastrnn.task_specs import get_supervised_task

from . import formatting, output
from .options import refuse_unused

if TYPE_CHECKING:
    from click import Context

    from fastrnn.data.examples.example import ExampleSet
    from fastrnn.data.text.corpus import Corpus
    from fastrnn.data.text.sources import Source
    from fastrnn.inference.language_model import LanguageModel


def read_whole(path: str, kind: str, encoding: str | None = None) -> str:
    """Read the text of an input as for `train`: a file, also compressed, a folder, a zip archive, or ``-``.

    Files of a folder follow each other without anything between them, as in training.

    ``kind`` is the tokenizer's kind; ``"bytes"`` accepts any bytes. ``encoding``: that of the text, by default UTF-8.
    Raises `InputError` that names the file, and `ConfigError` for an unknown encoding.
    """
    return "".join(piece for source in _open_sources(path, kind, encoding) for piece in _decode(source, kind))


def read_lines(path: str, kind: str, encoding: str | None = None) -> Iterator[str]:
    """Yield lines without their terminators (LF, CRLF or CR) as they arrive; see `read_whole`."""
    from fastrnn.data.text.decoding import LineSplitter

    for source in _open_sources(path, kind, encoding):
        splitter = LineSplitter(partial(_note_about, source.name))
        for piece in _decode(source, kind):
            yield from splitter.feed(piece)
        yield from splitter.feed("", final=True)


def read_corpus_for(
    model: "LanguageModel", texts: Sequence[str], unknown: str, encoding: str | None = None
) -> "Corpus":
    """Read a corpus with the model's vocabulary and document separator; report skipped characters."""
    from fastrnn.data.text.remarks import describe_chars

    separator = model.config.document_separator
    corpus = read_with_progress(
        texts, separator=separator, tokenizer=model.tokenizer, unknown=unknown, encoding=encoding
    )
    if corpus.skipped:
        output.note(f"skipped characters that the model does not know: {describe_chars(corpus.skipped)}")
    if corpus.tokenizer.unknown is not None:
        note_unknown(int((corpus.ids == corpus.tokenizer.unknown).sum()), len(corpus))
    return corpus


def read_with_progress(texts: Sequence[str], **settings: Any) -> "Corpus":
    """Read a corpus with a line of its progress on a terminal, and print the remarks on it; see `read_corpus`."""
    from fastrnn.data.text.corpus import read_corpus

    with output.ProgressLine() as line:
        corpus = read_corpus(
            texts,
            progress=lambda done, total: line.show(partial(formatting.reading_progress, done, total)),
            **settings,
        )
    for remark in corpus.remarks:
        output.note(remark)
    return corpus


def check_encoding_option(context: "Context", values: dict[str, Any], kind: str) -> None:
    """Raise `click.UsageError` for ``--encoding`` and a model of bytes; ignore the variable."""
    if kind == "bytes":
        reason = "{} is for models of chars and words; this one reads every byte as it is"
        refuse_unused(context, values, ["encoding"], reason)


def note_remarks(examples: "ExampleSet") -> None:
    """Print the remarks on data of a supervised task."""
    for line in get_supervised_task(examples.task).collect_remarks(examples):
        output.note(line)


def note_unknown(unknowns: int, words: int) -> None:
    """Warn about words that were read as ``<UNK>``."""
    if unknowns:
        output.note(f"{unknowns:,} of {words:,} words are unknown to the model: <UNK>")


def _open_sources(path: str, kind: str, encoding: str | None) -> list["Source"]:
    """Return the texts of an input, converted to UTF-8; report files of a folder that are left out."""
    from fastrnn.data.text.files import expand
    from fastrnn.data.text.remarks import names_remark
    from fastrnn.plain import check_encoding

    encoding = check_encoding("encoding", encoding) if encoding is not None else None
    left_out: list[str] = []
    sources = expand([path], kind, left_out, encoding)
    if remark := names_remark(left_out, "left out"):
        output.note(remark)
    return sources


def _decode(source: "Source", kind: str) -> Iterator[str]:
    """Yield the text of a source, a line at a time, as soon as the line is complete."""
    from fastrnn.data.text.decoding import Utf8Decoder, refuse_utf16

    if kind == "bytes":
        for line in _split_lines(source.chunks()):
            yield line.decode("utf-8", "surrogateescape")
        return

    # Line by line: the lines before an invalid byte are still read.
    decoder = Utf8Decoder(source.name)
    for number, line in enumerate(_split_lines(refuse_utf16(source.chunks(), source.name))):
        text = decoder.feed(line, final=True)
        # A byte-order mark is not text; byte models were trained on it unchanged.
        yield text.removeprefix("\ufeff") if number == 0 else text


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


def _note_about(name: str, message: str) -> None:
    output.note(f"{name}: {message}")
