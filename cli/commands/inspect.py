"""``fastrnn inspect``."""

from typing import TYPE_CHECKING, Any

import click

from fastrnn.cells import RECURRENT_CELLS

from .. import command_base, options
from ..inputs import check_encoding_option, read_corpus_for
from ..options import on_command_line
from ..output import check_output, save, write_json

if TYPE_CHECKING:
    from fastrnn.data.text.corpus import Corpus
    from fastrnn.inference.language_model import LanguageModel

    from ..inspect_report import Report

# report -> help text
REPORTS = {
    "surprise": "Surprisal of each character, the mean, and the largest values; colours the text.",
    "units": "Hidden units that best follow line position, indentation, quotes, brackets and words.",
    "gradients": "Norm of the gradient of a step's loss with respect to each earlier state, per layer.",
    "gates": "How often each gate is nearly closed or nearly open.",
}
FRESH = "Gradients of an untrained network on random characters"
# only printed here: defaults of `fastrnn.diagnostics.untrained_network`
DEFAULTS = {"layers": 1, "hidden": 64, "seed": 1, "precision": "float32"}


def report_options(function: Any) -> Any:
    """Add one flag for each of `REPORTS`."""
    for name, text in reversed(REPORTS.items()):
        option = click.option(
            f"--{name}", is_flag=True, cls=options.SectionOption, section="Report (choose one)", help=text
        )
        function = option(function)
    return function


@command_base.command("fastrnn inspect runs/try python-reference --units")
@click.argument("model", required=False, type=options.MODEL)
@click.argument("texts", metavar="TEXT...", nargs=-1, type=options.TEXT)
@report_options
@options.value_option("--length", int, "Characters (bytes, words) to read; --gradients reads all.", "10000", "Text")
@options.value_option("--show", click.IntRange(min=0), "Number of tokens to show.", "1000", "Text")
@options.value_option("--layer", int, "Only this layer, counted from 0.", "search all, show the top one", "Units")
@options.value_option("--unit", int, "Colour the text by this unit, counted from 0.", "none", "Units")
@options.value_option("--lags", int, "Time steps back.", "64", "Gradients")
@options.value_option("--rows", int, "Positions in the text to average over.", "32", "Gradients")
@click.option(
    "--png",
    metavar="FILE",
    type=options.PATH,
    cls=options.SectionOption,
    section="Gradients",
    help="Plot to a file.",
)
@click.option(
    "--fresh", metavar="CELL", type=click.Choice(RECURRENT_CELLS), cls=options.SectionOption, section=FRESH,
    help=f"Cell of the network: {', '.join(RECURRENT_CELLS[:-1])} or {RECURRENT_CELLS[-1]}.",
)  # fmt: skip
@options.value_option("--scale", float, "Factor for the recurrent weights.", "1.0", FRESH)
@options.value_option(
    "--keep-bias",
    float,
    "Bias of the gate that keeps the state: f, z, or 1 - u.",
    "f: 1, some of lstm-norm more; else 0",
    FRESH,
)
@options.config_options(*DEFAULTS, section=FRESH, defaults=DEFAULTS)
@click.option("--csv", metavar="FILE", type=options.PATH, help="Write all values to this CSV file (-: stdout).")
@options.unknown_option
@options.config_options("encoding", "threads", section="Options")
@options.json_option
@click.pass_context
def command(
    context: click.Context, /, csv: str | None, png: str | None, show: int | None, as_json: bool, **values: Any
) -> None:
    """Inspect a model: surprisal, units, gradient flow, gates.

    TEXT is an input as for `train`. On a terminal the text is coloured; otherwise each character and its value are
    printed on a line. The CSV of --units holds the activation of every unit of a layer at each character.
    """
    asked = _select_report(values, png)
    _check_options(context, asked, values["fresh"] is not None)
    if as_json and csv == "-":
        raise click.UsageError("--json and --csv - both take standard output; name a file for the CSV")
    check_output(csv)
    if png is not None:
        check_output(png)
        from fastrnn.diagnostics.gradient_flow import check_matplotlib

        check_matplotlib()
    report = _inspect_untrained(values) if values["fresh"] is not None else _inspect_model(context, asked, values)
    if csv is not None:
        save(csv, report.csv().encode())
    if png is not None:
        from fastrnn.diagnostics.gradient_flow import flow_png

        save(png, flow_png(report.curves, report.title))
    if as_json:
        write_json(report.facts)
    elif csv != "-":
        from ..terminal_plots import plot

        plot(report, **options.drop_unset({"show": show}))


def _select_report(values: dict[str, Any], png: str | None) -> str:
    """Return the requested report. Raises `click.UsageError` for incompatible options."""
    fresh, flags = values["fresh"] is not None, [name for name in REPORTS if values[name]]
    if len(flags) > 1:
        raise click.UsageError(f"--{' and --'.join(flags)} are different reports; choose one")
    implied = "gradients" if fresh else "surprise" if values["unit"] is None else "units"
    asked = flags[0] if flags else implied
    if asked != "units" and (values["unit"], values["layer"]) != (None, None):
        raise click.UsageError("--unit and --layer are for --units; leave them out")
    if fresh and (asked != "gradients" or values["model"] is not None):
        raise click.UsageError("--fresh is for --gradients and uses random characters; leave out MODEL and TEXT")
    if not fresh and (values["scale"], values["keep_bias"]) != (None, None):
        raise click.UsageError("--scale and --keep-bias change an untrained network; give --fresh CELL")
    if not fresh and not values["texts"]:
        raise click.UsageError("give MODEL and TEXT, or --fresh CELL")
    if png == "-":
        raise click.UsageError("--png writes a picture, which standard output would show as text; name a file")
    if png is not None and asked != "gradients":
        raise click.UsageError("--png plots --gradients; use --csv for other reports")
    return asked


def _check_options(context: click.Context, asked: str, fresh: bool) -> None:
    """Raise `click.UsageError` for an option that the report would ignore."""
    if asked != "gradients" and (given := on_command_line(context, "lags", "rows")):
        raise click.UsageError(f"{given[0]} is for --gradients; leave it out")
    if not fresh and (given := on_command_line(context, *DEFAULTS)):
        raise click.UsageError(f"{given[0]} is for an untrained network; leave it out, or give --fresh CELL")
    if asked == "gradients" and (given := on_command_line(context, "length", "show")):
        raise click.UsageError(f"{given[0]} is for reports that show the text; leave it out with --gradients")
    if fresh and (given := on_command_line(context, "encoding", "unknown")):
        raise click.UsageError(f"{given[0]} is for a text; leave it out with --fresh, which uses random characters")


def _inspect_untrained(values: dict[str, Any]) -> "Report":
    from fastrnn.config import Config
    from fastrnn.diagnostics import compute_gradient_flow, random_rows, untrained_network

    from ..inspect_report import flow_report

    settings = options.drop_unset({name: values[name] for name in (*DEFAULTS, "threads")})
    config = Config(cell=values["fresh"], **settings)
    changed = options.drop_unset({name: values[name] for name in ("scale", "keep_bias")})
    network = untrained_network(config, **changed)
    rows = random_rows(seed=config.seed, **options.drop_unset({name: values[name] for name in ("lags", "rows")}))
    return flow_report(compute_gradient_flow(network, rows), network, changed)


def _inspect_model(context: click.Context, asked: str, values: dict[str, Any]) -> "Report":
    from fastrnn import diagnostics
    from fastrnn.inference.language_model import LanguageModel

    from .. import inspect_report

    model = LanguageModel.load(values["model"], threads=values["threads"], exact=True)
    check_encoding_option(context, values, model.tokenizer.kind)
    corpus = read_corpus_for(model, values["texts"], values["unknown"], values["encoding"])
    if asked == "gradients":
        rows = diagnostics.choose_rows(corpus, **options.drop_unset({name: values[name] for name in ("lags", "rows")}))
        return inspect_report.flow_report(diagnostics.compute_gradient_flow(model.network, rows), model.network, {})
    corpus = diagnostics.head(corpus, **options.drop_unset({"length": values["length"]}))
    tokens = diagnostics.token_texts(corpus)
    if asked == "surprise":
        return inspect_report.surprise_report(diagnostics.compute_surprisal(model.network, corpus), corpus, tokens)
    if asked == "gates":
        return inspect_report.gates_report(
            diagnostics.compute_saturation(model.network, corpus), model.shape.cell, len(corpus)
        )
    return _inspect_units(model, corpus, tokens, values["layer"], values["unit"])


def _inspect_units(
    model: "LanguageModel", corpus: "Corpus", tokens: list[str], layer: int | None, unit: int | None
) -> "Report":
    from fastrnn import diagnostics

    from ..inspect_report import check_index, search_report, unit_report

    top = model.shape.layers - 1
    shown = check_index("layer", top if layer is None else layer, model.shape.layers)
    activations = diagnostics.compute_activations(model.network, corpus)
    signals = diagnostics.compute_signals(tokens, corpus.starts.tolist())
    if unit is None:
        found = diagnostics.find_units(activations, signals, layers=None if layer is None else [layer])
        return search_report(found, activations[shown], tokens, shown)
    check_index("unit", unit, model.shape.hidden)
    found = diagnostics.find_units(activations[shown : shown + 1, :, unit : unit + 1], signals, most=1)
    return unit_report(found, activations[shown], tokens, shown, unit)
