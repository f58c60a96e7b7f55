"""``fastrnn score``."""

import os
from collections.abc import Iterable
from typing import Any

import click

from .. import command_base, options


@command_base.command("echo 'the apple and pear salad' | fastrnn score runs/try")
@options.model_argument
@click.argument("file", default="-", type=options.INPUT)
@options.unknown_option
@options.config_options("encoding", "threads", section="Options")
@options.jsonl_option("each line")
@click.pass_context
def command(
    context: click.Context, /, model: str, file: str, unknown: str, threads: int | None, as_jsonl: bool, **values: Any
) -> None:
    """Print the log-probability of each line.

    For each line of FILE (a text as for `train`; default: standard input) prints the natural logarithm of its
    probability, the bits per character (or byte, or word), and the line, separated by tabs; lines of a pipe as they
    arrive. The first character counts too, as the start of a document. A model of words scores the line as a sentence,
    including its final <EOS>. --jsonl prints {"text", "chars", "logprob", "bits_per_char", "unit"} for each line.
    """
    from fastrnn.data.examples.batching import StreamedItems
    from fastrnn.inference.language_model import LanguageModel

    from ..inputs import check_encoding_option, note_unknown, read_lines
    from ..output import write, write_json

    loaded = LanguageModel.load(model, threads=threads)
    unknowns = total = 0
    unit = loaded.tokenizer.kind
    check_encoding_option(context, values, unit)
    lines: Iterable[str] = read_lines(file, unit, values["encoding"])
    if not os.path.isfile(file):  # lines of a file are there already, and need no thread that waits for them
        lines = StreamedItems(lines)
    for line in loaded.score(lines, unknown):
        if as_jsonl:
            write_json({"text": line.text, "chars": line.chars, "logprob": line.logprob,
                        "bits_per_char": line.bits_per_char, "unit": unit})  # fmt: skip
        else:
            write(f"{line.logprob:.4f}\t{line.bits_per_char:.4f}\t{line.text}\n")
        unknowns += line.unknown
        total += line.chars
    note_unknown(unknowns, total)
