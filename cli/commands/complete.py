"""``fastrnn complete``."""

import math
import unicodedata
from typing import Any

import click

from .. import command_base, options


@command_base.command("fastrnn complete runs/try 'the clouds are in the '")
@options.model_argument
@click.argument("text", callback=options.unescape_callback)
@options.value_option("--n", int, "Number of continuations.", "5")
@options.value_option("--length", int, "Tokens per continuation.", "1")
@options.unknown_option
@options.config_options("threads", section="Options")
@options.json_option
def command(model: str, text: str, threads: int | None, as_json: bool, **values: Any) -> None:
    """Show the most probable continuations of a text.

    Prints the most probable next characters (words for a model of words), each with its probability; with --length
    above 1 continuations of that length with their log-probability (natural logarithm). TEXT may contain the escapes
    \\n, \\t and \\\\. --json prints {"text", "completions": [{"text", "probability", "logprob"}]}.
    """
    from fastrnn.inference.language_model import LanguageModel

    from .. import output

    loaded = LanguageModel.load(model, threads=threads)
    found = loaded.completions(text, **options.drop_unset(values))
    if as_json:
        completions = [
            {"text": continuation, "probability": math.exp(logprob), "logprob": logprob}
            for continuation, logprob in found
        ]
        output.write_json({"text": text, "completions": completions})
        return
    single = values["length"] in (None, 1)
    figures = [f"{math.exp(logprob) if single else logprob:.4f}" for _, logprob in found]
    output.write_figures(list(zip(figures, (_quote(continuation) for continuation, _ in found), strict=True)))


def _quote(continuation: str) -> str:
    """Quote a text. A leading combining mark gets a dotted circle, else it would combine with the quote."""
    marked = unicodedata.category(continuation[:1] or " ")[0] == "M"
    return f"'\u25cc{continuation}'" if marked else f"'{continuation}'"
