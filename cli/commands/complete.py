"""``fastrnn complete``."""

from typing import Any

import click

from .. import options, sectioned


@sectioned.command("fastrnn complete runs/try 'the clouds are in the '")
@options.model_argument
@click.argument("text")
@options.setting("--n", int, "How many to show.", "5")
@options.setting("--length", int, "Tokens in each.", "1")
@options.unknown_option
@options.config_options("threads", section="Options")
@options.json_option
def command(model: str, text: str, threads: int | None, as_json: bool, **values: Any) -> None:
    """Show the likeliest continuations of a text.

    What may come next, likeliest first, each with its probability: characters, or words for a model of words.
    """
    from fastrnn.language_model import LanguageModel

    from .. import output

    loaded = LanguageModel.load(model, threads=threads)
    found = loaded.complete(text, **options.given(values))
    if as_json:
        completions = [{"text": continuation, "probability": probability} for continuation, probability in found]
        output.write_json({"text": text, "completions": completions})
    else:
        output.write_figures([(f"{probability:.4f}", f"'{continuation}'") for continuation, probability in found])
