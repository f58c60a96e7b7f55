"""``fastrnn train``."""

import shlex
import signal as signals
from typing import TYPE_CHECKING, Any

import click

from fastrnn.config import Config

from .. import options

if TYPE_CHECKING:
    from fastrnn.training.reporter import Result

DEFAULT_TEXT = "python-docs"
SAMPLE_LENGTH = 300
REPORTED = ("run", "steps", "chars", "seconds", "chars_per_s", "train_nats", "valid_nats", "valid_bits", "best_step")


@options.command("fastrnn train python-docs --hidden 64 --steps 100 --out runs/try")
@click.argument("texts", metavar="[TEXT]...", nargs=-1, type=options.PATH)
@options.all_config_options
@click.option("--out", type=options.PATH, help="Run folder to make.  [default: runs/DATE]")
@click.option(
    "--resume",
    metavar="RUN",
    type=options.PATH,
    help="Go on with a run, bit for bit; a larger --steps, --epochs or --for extends it.",
)
@click.option("--init-from", metavar="MODEL", type=options.PATH, help="Start from this model's weights and vocabulary.")
@click.option(
    "--config", "config_file", type=options.PATH, envvar="FASTRNN_CONFIG", help="TOML file with any of these settings."
)
@click.option("--quiet", "-q", is_flag=True, help="Show nothing but the result.")
@options.json_option
@click.pass_context
def command(context: click.Context, /, texts: tuple[str, ...], as_json: bool, quiet: bool, **values: Any) -> None:
    """Train a model on text.

    TEXT is a file, a folder, a glob, a .gz file, or - for standard input; several are read in a stable order. Without
    TEXT the built-in corpus python-docs is used. The run folder then holds config.toml, log.jsonl, best.safetensors
    and last.safetensors. Settings come from the command line, then FASTRNN_* variables (FASTRNN_HIDDEN=256), then the
    --config file. Ctrl-C saves; --resume goes on.
    """
    result = _run(context, texts, quiet, values)
    _show(result, as_json, quiet)
    if result.signal is not None:
        context.exit(128 + result.signal)
    if not (as_json or quiet):
        _sample_and_hints(result, texts)


def _run(context: click.Context, texts: tuple[str, ...], quiet: bool, values: dict[str, Any]) -> "Result":
    out, resumed, init_from, file = (values.pop(name) for name in ("out", "resume", "init_from", "config_file"))
    if resumed is not None and (out is not None or init_from is not None):
        raise click.UsageError("--resume goes on in its own run folder; leave out --out and --init-from")
    settings = options.merged_settings(context, values, file, resuming=resumed is not None)

    config = Config(**settings) if resumed is None else None

    from fastrnn.training.start import resume, train

    from ..display import make_display

    with make_display(quiet) as display:
        if config is None:
            return resume(resumed, settings, inputs=texts, reporter=display)
        return train(texts or (DEFAULT_TEXT,), config, out, init_from=init_from, reporter=display)


def _show(result: "Result", as_json: bool, quiet: bool) -> None:
    from .. import figures, output

    if as_json:
        output.write_json({name: getattr(result, name) for name in REPORTED})
        return
    ends = {"patience": " (stopped early: no improvement)", "signal": " (interrupted; the state is saved)"}
    rows = [
        ("run", result.run),
        ("steps", f"{result.steps:,}{ends.get(result.stopped, '')}"),
        ("speed", f"{result.chars_per_s:,.0f} chars/s, {result.chars:,} in {figures.duration(result.seconds)}"),
        ("train", figures.loss(result.train_nats)),
    ]
    if result.valid_nats is not None:
        rows.append(("valid", f"{figures.loss(result.valid_nats)}  (best, at step {result.best_step:,})"))
    output.write_figures(rows)
    if result.signal is not None and not quiet:
        name = signals.Signals(result.signal).name
        output.note(f"stopped by {name}; go on with: fastrnn train --resume {shlex.quote(result.run)}")


def _sample_and_hints(result: "Result", texts: tuple[str, ...]) -> None:
    from fastrnn.language_model import LanguageModel

    from .. import output

    loaded = LanguageModel.load(result.run)
    sample = loaded.sample(SAMPLE_LENGTH, temperature=0.8)
    output.write("\n" + sample.rstrip("\n") + "\n\n")
    inputs = texts or loaded.corpus.get("inputs") or (DEFAULT_TEXT,)
    model, text = shlex.quote(result.run), " ".join(map(shlex.quote, inputs))
    output.note("Try next:")
    output.note(f"  fastrnn sample {model} --length 1000 --temperature 0.7")
    output.note(f"  fastrnn eval {model} {text} --split valid")
    output.note(f"  fastrnn complete {model} 'the '")
    output.note(f"  fastrnn train --resume {model} --steps {2 * result.steps}")
