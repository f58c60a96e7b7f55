"""``fastrnn eval``."""

from typing import TYPE_CHECKING

import click

from fastrnn.config import Config

from .. import options

if TYPE_CHECKING:
    from fastrnn.data.corpus import Corpus
    from fastrnn.language_model import LanguageModel


@options.command("fastrnn eval runs/try python-docs --split valid")
@options.model_argument
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=options.PATH)
@click.option(
    "--split",
    type=click.Choice(["all", "train", "valid"]),
    default="all",
    help="Which part of the text, cut as the model's own training cut it.  [default: all]",
)
@options.unknown_option
@options.config_options("threads", section="Options")
@options.json_option
def command(model: str, texts: tuple[str, ...], split: str, unknown: str, threads: int | None, as_json: bool) -> None:
    """Measure how well a model predicts a text.

    Every character of the text but the first of each file is predicted once. The loss is their mean in nats and in
    bits; the perplexity is exp(nats).
    """
    from fastrnn.language_model import LanguageModel

    from .. import output

    loaded = LanguageModel.load(model, threads=threads)
    corpus = _part(_read(loaded, texts, unknown), split, loaded.config)
    result = loaded.evaluate(corpus)
    if as_json:
        output.write_json(
            {
                "chars": result.chars,
                "nats_per_char": result.nats,
                "bits_per_char": result.bits,
                "perplexity": result.perplexity,
            }
        )
        return
    kind = loaded.tokenizer.kind
    one = kind.removesuffix("s")
    output.write_figures(
        [
            (kind, f"{result.chars:,}"),
            (f"nats per {one}", f"{result.nats:.4f}"),
            (f"bits per {one}", f"{result.bits:.4f}"),
            ("perplexity", f"{result.perplexity:.4f}"),
        ]
    )


def _read(model: "LanguageModel", texts: tuple[str, ...], unknown: str) -> "Corpus":
    from fastrnn.data.characters import describe
    from fastrnn.data.corpus import read_corpus

    from .. import output

    separator = model.config.document_separator
    corpus = read_corpus(texts, separator=separator, tokenizer=model.tokenizer, unknown=unknown)
    if corpus.skipped:
        output.note(f"skipped characters that the model does not know: {describe(corpus.skipped)}")
    return corpus


def _part(corpus: "Corpus", split: str, config: Config) -> "Corpus":
    from fastrnn.data.corpus import split_corpus

    if split == "all":
        return corpus
    if config.valid_file is not None or config.valid == 0:
        raise click.UsageError(f"this model's training text was not split: --split {split} means nothing; leave it out")
    train, tail = split_corpus(corpus, config.valid)
    if tail is None:
        raise click.UsageError("this text is too short to be split; leave out --split")
    return train if split == "train" else tail
