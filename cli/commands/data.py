"""``fastrnn data list``, ``show``, ``make`` and ``fetch``."""

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from .. import command_base, options
from ..formatting import plural
from ..options import on_command_line
from ..output import note

if TYPE_CHECKING:
    from fastrnn.data.text.corpus import Corpus

PREVIEW_TOKENS = 300
FREQUENT_TOKENS = 12
LINES_PER_WRITE = 1000
SYNTHETIC = ("bits", "waves", "dates", "copy", "reverse")


@click.group("data", epilog=command_base.example("fastrnn data show python-reference"))
def command() -> None:
    """List, show, generate or download datasets."""


@command.command("list", cls=command_base.SectionCommand, epilog=command_base.example("fastrnn data list"))
@options.json_option
def list_(as_json: bool) -> None:
    """List built-in texts and public corpora; their names are accepted wherever a TEXT is."""
    from fastrnn.data.catalog import CORPORA, is_fetched
    from fastrnn.data.text.sources import BUILTIN

    from .. import output

    here = {name: is_fetched(name) for name in CORPORA}
    if as_json:
        rows = {name: {"about": about, "here": True} for name, about in BUILTIN.items()}
        rows |= {name: {"about": CORPORA[name].about, "here": here[name]} for name in CORPORA}
        output.write_json(rows)
        return
    state = {name: "fetched" if here[name] else f"to fetch: {_format_size(CORPORA[name].size)}" for name in CORPORA}
    output.write_figures([*BUILTIN.items(), *((name, f"{CORPORA[name].about}  [{state[name]}]") for name in CORPORA)])


@command.command(
    "make", cls=command_base.SectionCommand, epilog=command_base.example("fastrnn data make dates --out dates.tsv")
)
@click.argument("name", metavar="|".join(SYNTHETIC), type=click.Choice(SYNTHETIC))
@click.option("--count", type=int, metavar="N", help="Examples (waves: rows).  [default: set by the dataset]")
@click.option("--seed", type=int, metavar="N", default=1, help="Random seed.  [default: 1]")
@click.option("--length", type=int, metavar="N", help="Bits of a sequence [default: 10], longest word [default: 12].")
@click.option("--gap", type=int, metavar="N", default=10, help="Length of the gap in characters (copy).  [default: 10]")
@click.option(
    "--problem", type=int, metavar="N", default=3, help="Problem of the lectures, 1 to 4 (bits).  [default: 3]"
)
@click.option("--variable", is_flag=True, help="Sequences of 1 to --length bits (bits).")
@click.option("--out", type=options.PATH, metavar="FILE", help="Output file.  [default: standard output]")
@click.pass_context
def make(context: click.Context, /, name: str, out: str | None, **choices: Any) -> None:
    """Generate a synthetic dataset.

    bits: bit reversal, CSV for `train --task regress --columns 'y*'` (problems 1, 2) or two columns for `--task tag`
    (3, 4). waves: CSV for `--task forecast`. dates, reverse: TSV for `--task translate`. copy: TSV for `--task
    classify`.
    """
    from fastrnn.data.synthetic import GENERATORS, SyntheticOptions
    from fastrnn.data.synthetic import make as make_lines

    from .. import output

    others = [choice for choice in choices if choice not in GENERATORS[name].takes]
    if given := on_command_line(context, *others):
        raise click.UsageError(f"{given[0]} has no effect on {name}; leave it out")
    output.check_output(out)
    # A generator: standard output is written while the lines are made.
    lines = make_lines(name, SyntheticOptions(**choices))
    if out is None or out == "-":
        # `output.write` flushes, which is slow for single lines.
        while some := list(islice(lines, LINES_PER_WRITE)):
            output.write("".join(some), raw=True)
        return
    text = "".join(lines)
    output.save(out, text.encode(), plural(text.count("\n"), "line"))


@command.command(
    "fetch", cls=command_base.SectionCommand, epilog=command_base.example("fastrnn data fetch tinyshakespeare")
)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@options.json_option
def fetch(names: tuple[str, ...], as_json: bool) -> None:
    """Download public corpora to your data folder: tinyshakespeare, names, text8, enwik8, ptb, mnist.

    Checksums are verified, and interrupted downloads are resumed. The names are then accepted wherever a TEXT is.
    FASTRNN_DATA sets the folder, FASTRNN_MIRROR an alternative address to download from.
    """
    from fastrnn.data.download import check_corpus_name
    from fastrnn.data.download import fetch as fetch_corpus

    from .. import output

    for name in names:  # all of them before anything is downloaded
        check_corpus_name(name)
    found = {name: [str(path) for path in fetch_corpus(name, _make_progress())] for name in names}
    if as_json:
        output.write_json(found)
    else:
        output.write("".join(f"{path}\n" for paths in found.values() for path in paths))


def _make_progress() -> Callable[[str, int, int], None]:
    """Return a callback that prints a progress line at most every two seconds."""
    import time

    next_at = 0.0

    def report(file: str, done: int, size: int) -> None:
        nonlocal next_at
        now = time.monotonic()
        if now >= next_at or done == size:
            next_at = now + 2.0
            note(f"{file}  {_format_size(done)} of {_format_size(size)}")

    return report


def _format_size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


@command.command(
    "show", cls=command_base.SectionCommand, epilog=command_base.example("fastrnn data show python-reference")
)
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=options.TEXT)
@options.config_options("encoding", "tokens", "min_count", "document_separator", section="Options")
@click.option("--text", "whole", is_flag=True, help="Print the text itself.")
@options.json_option
@click.pass_context
def show(context: click.Context, /, texts: tuple[str, ...], whole: bool, as_json: bool, **values: Any) -> None:
    """Show the size, vocabulary, documents and beginning of a text.

    TEXT is an input as for `train`: files (also compressed), folders, globs, -, or a built-in text. --text writes the
    text itself to standard output.
    """
    if whole:
        if as_json:
            raise click.UsageError("--text prints the text itself, --json the figures; choose one")
        encoding = values.pop("encoding")
        for option in on_command_line(context, *values):
            note(f"{option} has no effect: --text prints the text as it is")
        _print_text(texts, encoding)
        return
    if values["tokens"] != "words" and (given := on_command_line(context, "min_count")):
        note(f"{given[0]} has no effect: it is for --tokens words")
    from .. import output
    from ..formatting import number
    from ..inputs import read_with_progress

    settings = options.drop_unset(values)
    separator = settings.pop("document_separator", None)
    corpus = read_with_progress(texts, separator=separator, **settings)
    facts = _corpus_facts(corpus)
    if as_json:
        output.write_json(facts)
        return
    output.write_figures([(name, number(value)) for name, value in facts.items()])
    output.write_figures([("most frequent", _format_frequent_tokens(corpus))])
    output.write("\n" + corpus.tokenizer.decode(corpus.ids[:PREVIEW_TOKENS]).rstrip("\n") + "\n")


def _corpus_facts(corpus: "Corpus") -> dict[str, Any]:
    return {
        "files": len(corpus.names),
        "tokens": len(corpus.ids),
        "kind": corpus.tokenizer.kind,
        "vocabulary": corpus.tokenizer.size,
        "documents": len(corpus.starts),
        "fingerprint": corpus.fingerprint,
    }


def _format_frequent_tokens(corpus: "Corpus") -> str:
    import numpy as np

    counts = np.bincount(corpus.ids, minlength=corpus.tokenizer.size)
    # Stable, so that equally frequent tokens are in the order of their ids.
    order = np.argsort(-counts, kind="stable")[:FREQUENT_TOKENS]
    shares = 100 * counts[order] / len(corpus.ids)
    return "  ".join(f"'{corpus.tokenizer.token_text(int(i))}' {s:.1f}%" for i, s in zip(order, shares, strict=True))


def _print_text(texts: tuple[str, ...], encoding: str | None) -> None:
    from fastrnn.data.text.decoding import Utf8Decoder
    from fastrnn.data.text.files import expand
    from fastrnn.plain import check_encoding

    from .. import output

    for source in expand(texts, encoding=encoding and check_encoding("encoding", encoding)):
        decoder = Utf8Decoder(source.name)
        for chunk in source.chunks():
            output.write(decoder.feed(chunk))
        output.write(decoder.feed(b"", final=True))
