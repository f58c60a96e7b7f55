"""``fastrnn complete``."""

import math
import unicodedata
from typing import Any

import click

from .. import command_base, options


@command_base.command("fastrnn complete runs/try 'the clouds are in the '")
@options.model_argument
@click.argument("text", callback=options.unescape_callback)
@options.setting("--n", int, "How many to show.", "5")
@options.setting("--length", int, "Tokens in each.", "1")
@options.unknown_option
@options.config_options("threads", section="Options")
@options.json_option
def command(model: str, text: str, threads: int | None, as_json: bool, **values: Any) -> None:
    """Show the most probable continuations of a text.

    What may come next, likeliest first, each with its probability, or with --length above 1 the natural logarithm of
    it: characters, or words for a model of words. In TEXT \\n, \\t and \\\\ are understood. With --json {"text",
    "completions": [{"text", "probability", "logprob"}]}.
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
    output.write_figures(list(zip(figures, (_quoted(continuation) for continuation, _ in found), strict=True)))


def _quoted(continuation: str) -> str:
    """Quote a text. A leading combining mark gets a dotted circle, else it would combine with the quote."""
    marked = unicodedata.category(continuation[:1] or " ")[0] == "M"
    return f"'\u25cc{continuation}'" if marked else f"'{continuation}'"
