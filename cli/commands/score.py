"""``fastrnn score``."""

import click

from .. import options


@options.command("echo 'the apple and pear salad' | fastrnn score runs/try")
@options.model_argument
@click.argument("file", default="-", type=options.PATH)
@options.unknown_option
@options.config_options("threads", section="Options")
@options.json_option
def command(model: str, file: str, unknown: str, threads: int | None, as_json: bool) -> None:
    """Give the log-probability of each line.

    For each line of FILE, or of standard input: the natural logarithm of its probability, bits per character, and the
    line, with tabs between. With --json one object a line: {"text", "chars", "logprob", "bits_per_char"}.
    """
    from fastrnn.language_model import LanguageModel

    from ..output import write, write_json
    from ..reading import read_lines

    loaded = LanguageModel.load(model, threads=threads)
    for line in loaded.score(read_lines(file, loaded.tokenizer.kind), unknown):
        if as_json:
            write_json(
                {"text": line.text, "chars": line.chars, "logprob": line.logprob, "bits_per_char": line.bits_per_char}
            )
        else:
            write(f"{line.logprob:.4f}\t{line.bits_per_char:.4f}\t{line.text}\n")
