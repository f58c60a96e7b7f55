"""``fastrnn data list`` and ``fastrnn data show``."""

from typing import TYPE_CHECKING, Any

import click

from .. import options

if TYPE_CHECKING:
    from fastrnn.data.corpus import Corpus

BEGINNING = 300  # tokens shown
FREQUENT = 12


@click.group("data", epilog=options.example("fastrnn data show python-docs"))
def command() -> None:
    """List the built-in texts, or show what a text holds."""


@command.command("list", cls=options.SectionCommand, epilog=options.example("fastrnn data list"))
@options.json_option
def list_(as_json: bool) -> None:
    """List the built-in texts: names that stand wherever a TEXT is asked for."""
    from fastrnn.data.sources import BUILTIN

    from .. import output

    if as_json:
        output.write_json(BUILTIN)
    else:
        output.write_figures(BUILTIN.items())


@command.command("show", cls=options.SectionCommand, epilog=options.example("fastrnn data show python-docs"))
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=options.PATH)
@options.config_options("tokens", "min_count", "document_separator", section="Options")
@click.option("--text", "whole", is_flag=True, help="Print the text itself.")
@options.json_option
def show(texts: tuple[str, ...], whole: bool, as_json: bool, **values: Any) -> None:
    """Show what a text holds: its size, vocabulary and documents, and how it begins.

    TEXT is what train takes: files, folders, globs, .gz, -, or a built-in text. With --text the text itself goes to
    standard output.
    """
    if whole:
        _print_text(texts)
        return
    from fastrnn.data.corpus import read_corpus

    from .. import output
    from ..figures import number

    settings = options.given(values)
    separator = settings.pop("document_separator", None)
    corpus = read_corpus(texts, separator=separator, **settings)
    facts = _facts(corpus)
    if as_json:
        output.write_json(facts)
        return
    output.write_figures([(name, number(value)) for name, value in facts.items()])
    output.write_figures([("most frequent", _frequent(corpus))])
    output.write("\n" + corpus.tokenizer.decode(corpus.ids[:BEGINNING]).rstrip("\n") + "\n")


def _facts(corpus: "Corpus") -> dict[str, Any]:
    return {
        "files": len(corpus.names),
        "tokens": len(corpus.ids),
        "kind": corpus.tokenizer.kind,
        "vocabulary": corpus.tokenizer.size,
        "documents": len(corpus.starts),
        "fingerprint": corpus.fingerprint,
    }


def _frequent(corpus: "Corpus") -> str:
    import numpy as np

    counts = np.bincount(corpus.ids, minlength=corpus.tokenizer.size)
    order = np.argsort(-counts, kind="stable")[:FREQUENT]
    shares = 100 * counts[order] / len(corpus.ids)
    return "  ".join(f"'{corpus.tokenizer.token_text(int(i))}' {s:.1f}%" for i, s in zip(order, shares, strict=True))


def _print_text(texts: tuple[str, ...]) -> None:
    from fastrnn.data.text import Utf8, expand

    from .. import output

    for source in expand(texts):
        decoder = Utf8(source.name)
        for chunk in source.chunks():
            output.write(decoder.feed(chunk))
        output.write(decoder.feed(b"", final=True))
