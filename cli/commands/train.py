"""``fastrnn train``."""

import signal as signals
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from fastrnn.cells import CELLS
from fastrnn.config import Config
from fastrnn.data.text.sources import DEFAULT_CORPUS
from fastrnn.distributed import launcher_rank
from fastrnn.os_compat import quote_argument
from fastrnn.task_specs import TASK_SPECS

from .. import command_base, options
from ..options import on_command_line, resolve_settings
from ..output import has_piped_input, note, program_name

if TYPE_CHECKING:
    from fastrnn.training.callbacks import Result

SAMPLE_LENGTH = 300
HARDLY = 0.01  # relative difference between losses that is negligible
REPORTED = ("run", "steps", "chars", "seconds", "chars_per_s", "train_nats", "valid_nats", "valid_bits", "best_step")
# options that only some tasks use (`TaskSpec.options`); `Config` rejects the other mismatches itself
TASK_OPTIONS = ("tokens", "min_count", "seq")


def _has_no_validation(config: Config) -> bool:
    return config.valid == 0 and config.valid_file is None


def _reads_no_words(config: Config) -> bool:
    spec = TASK_SPECS[config.task]
    return "tokens" in spec.options and config.tokens != "words" and not (spec.chooses_tokens and config.tokens is None)


# by --init-from: field -> where its value comes from instead
TAKEN_FROM_MODEL = dict.fromkeys(("init", "slow_units", "ngrams", "out_bias"), "weights") | {"min_count": "vocabulary"}
# Field, when its option has no effect, and why; `_note_ineffective` reports those given on the command line.
INEFFECTIVE: tuple[tuple[str, Callable[[Config], bool], str], ...] = (
    ("beta1", lambda c: c.optimizer not in ("adamw", "momentum"), "it is for --optimizer adamw and momentum"),
    ("beta2", lambda c: c.optimizer not in ("adamw", "rmsprop"), "it is for --optimizer adamw and rmsprop"),
    ("final_lr", lambda c: c.schedule == "constant", "--schedule constant keeps the learning rate"),
    ("schedule", lambda c: c.schedule == "plateau" and _has_no_validation(c), "plateau needs validation data"),
    ("patience", _has_no_validation, "it needs validation data"),
    ("eval_size", _has_no_validation, "it needs validation data"),
    ("valid", lambda c: c.valid != 0 and c.valid_file is not None, "--valid-file is used instead"),
    ("min_count", _reads_no_words, "it is for --tokens words"),
    ("init", lambda c: c.init != "uniform" and not CELLS[c.cell].is_recurrent, "cell dense has no recurrent weights"),
)


@command_base.command("fastrnn train python-reference --hidden 64 --steps 100 --out runs/try")
@click.argument("texts", metavar="[DATA]...", nargs=-1, type=options.TEXT)
@options.all_config_options
@click.option(
    "--out",
    type=options.FOLDER,
    cls=options.SectionOption,
    section=options.COMMON,
    help="Run folder to create.  [default: runs/DATE]",
)
@click.option(
    "--resume",
    metavar="RUN",
    type=options.MODEL,
    cls=options.SectionOption,
    section=options.COMMON,
    help="Resume a run bit-for-bit; a larger --steps or --epochs extends it, --for adds time.",
)
@click.option(
    "--init-from", metavar="MODEL", type=options.MODEL, help="Start from this model's weights and vocabulary."
)
@click.option("--config", "config_file", type=options.PATH, envvar="FASTRNN_CONFIG", help="TOML file with settings.")
@click.option("--dry-run", is_flag=True, help="Choose the settings, time a few steps, print the plan and stop.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the result; log.jsonl then has no samples.")
@options.json_option
@click.pass_context
def command(
    context: click.Context, /, texts: tuple[str, ...], as_json: bool, quiet: bool, dry_run: bool, **values: Any
) -> None:
    """Train a model on text or labelled data.

    DATA is a text: a file (also compressed), a folder, a zip archive, a glob, or - for standard input; several are read
    in a stable order. Without DATA the built-in corpus python-reference is used. The run folder then holds config.toml,
    log.jsonl, best.safetensors and last.safetensors. Settings come from the command line, then FASTRNN_* variables
    (FASTRNN_HIDDEN=256), then the --config file. Ctrl-C saves the state; --resume continues from it.

    \b
    With any other --task than language-model DATA is labelled:
      tag        lines of token and tag (.txt, .conll), or CoNLL-U (.conllu)
      classify   label, tab, text (.tsv); .csv; .json or .jsonl; a file or a
                 folder for each label; arrays (.npz, idx)
      generate   label, tab, text (.tsv); .jsonl; a file or a folder for each
                 label
      translate  source, tab, target (.tsv, .txt)
      forecast   rows of numbers (.csv)
      regress    the same with --columns, the ones to predict; arrays (.npz)
    """
    out, run, init_from, file = (values.pop(name) for name in ("out", "resume", "init_from", "config_file"))
    if dry_run and (run is not None or as_json or launcher_rank()[1] > 1):
        raise click.UsageError(
            "--dry-run prints the plan of a new run in one process; leave out --resume, --json or mpirun"
        )
    if run is not None and (out is not None or init_from is not None):
        raise click.UsageError("--resume continues in its own run folder; leave out --out and --init-from")
    settings = resolve_settings(context, values, file, resuming=run is not None)
    config = Config(**settings) if run is None else None
    if config is not None:
        _check_options(context, config.task)
    first = launcher_rank()[0] == 0  # only rank 0 prints
    if config is not None and first and not quiet:
        _note_ineffective(context, config, init_from)
        if not texts and has_piped_input():
            note(f"the text on standard input is not read; to train on it: {program_name()} train -")

    from fastrnn.training.api import resume, train

    from ..display import make_display

    with make_display(quiet or not first) as display:
        # Compressing takes a second or two, and neither of these outputs would show the result.
        display.compares = not (as_json or quiet)
        if dry_run and config is not None:
            from ..display import show_plan

            chosen, data = config, texts or _default(config)
            show_plan(display, lambda folder, callback: train(data, chosen, folder, init_from=init_from,
                                                              callback=callback, started=context.obj))  # fmt: skip
            return
        if config is None:
            result = resume(run, settings, inputs=texts, callback=display, started=context.obj)
        else:
            data = texts or _default(config)
            result = train(data, config, out, init_from=init_from, callback=display, started=context.obj)

    try:
        if first:
            _show(result, as_json, quiet)
    finally:  # also if standard output is closed
        if result.signal is not None:
            context.exit(128 + result.signal)
    if first and not as_json:
        _compare(result)
    if first and not (as_json or quiet):
        if not TASK_SPECS[result.task].is_supervised:
            _sample(result, settings.get("threads"))
        _hints(result, texts)


def _check_options(context: click.Context, task: str) -> None:
    """Raise `click.UsageError` for an option that the task would ignore."""
    for name in TASK_OPTIONS:
        if name not in TASK_SPECS[task].options and (given := on_command_line(context, name)):
            raise click.UsageError(f"{given[0]} means nothing for --task {task}; leave it out")


def _note_ineffective(context: click.Context, config: Config, init_from: str | None) -> None:
    """Warn about options that have no effect together with other settings."""
    found = [(name, reason) for name, is_ineffective, reason in INEFFECTIVE if is_ineffective(config)]
    if init_from is not None:
        found += [(name, f"--init-from has the model's {what}") for name, what in TAKEN_FROM_MODEL.items()]
    for name, reason in dict(found).items():
        for option in on_command_line(context, name):
            note(f"{option} has no effect: {reason}")


def _default(config: Config) -> tuple[str, ...]:
    if TASK_SPECS[config.task].is_supervised:
        raise click.UsageError(f"--task {config.task} needs data: name its files")
    return (DEFAULT_CORPUS,)


def _show(result: "Result", as_json: bool, quiet: bool) -> None:
    from .. import formatting, output

    if as_json:
        output.write_json({name: getattr(result, name) for name in REPORTED} | dict(result.metrics))
        return
    ends = {"patience": " (stopped early: no improvement)", "signal": " (interrupted; the state is saved)"}
    rows = [
        ("run", result.run),
        ("steps", f"{result.steps:,}{ends.get(result.stopped, '')}"),
        ("speed", f"{result.chars_per_s:,.0f} {formatting.unit(result.task, result.tokens)}/s, {result.chars:,} in "
                  f"{formatting.duration(result.seconds)}"),
        ("train", formatting.loss(result.train_nats, result.task)),
    ]  # fmt: skip
    if result.valid_nats is not None:
        valid = formatting.loss(result.valid_nats, result.task)
        rows.append(("valid", f"{valid}  (best, at step {result.best_step:,})"))
    rows += [(name, formatting.metric(name, value)) for name, value in result.metrics.items()]
    output.write_figures(rows)
    if result.xz_nats is not None and not quiet:
        output.note(f"for comparison: xz needs {formatting.loss(result.xz_nats)}, given the training text")
    if result.signal is not None and not quiet:
        name = signals.Signals(result.signal).name
        again = f"{output.program_name()} train --resume {quote_argument(result.run)}"
        output.note(f"stopped by {name}; resume with: {again}")


def _compare(result: "Result") -> None:
    """Warn about a loss that is no better than predicting by token frequencies."""
    from .. import formatting, output

    reached = result.valid_nats if result.valid_nats is not None else result.train_nats
    alone = result.unigram_nats
    if alone is None or result.stopped == "signal" or not reached >= (1 - HARDLY) * alone:
        return
    if reached > (1 + HARDLY) * alone:
        finding = "the model is undertrained: predicting by token frequencies alone would be better"
        advice = "train longer"
    else:
        finding = f"the model is no better than predicting by the frequencies of {result.tokens}"
        advice = "train longer, unless the text is random"
    output.note(f"{finding} ({formatting.loss(alone)}); {advice}")


def _sample(result: "Result", threads: int | None) -> None:
    from fastrnn.inference.language_model import LanguageModel

    from .. import output

    sample = LanguageModel.load(result.run, threads=threads).sample(SAMPLE_LENGTH, temperature=0.8)
    output.write("\n" + sample.rstrip("\n") + "\n\n")


def _hints(result: "Result", texts: tuple[str, ...]) -> None:
    from .. import output

    inputs = texts or result.inputs or (DEFAULT_CORPUS,)
    model, text = quote_argument(result.run), " ".join(map(quote_argument, inputs))
    # Standard input cannot be read twice, so the commands read its data from a file.
    again = " < INPUT" if "-" in inputs else ""
    output.note("Try next, with INPUT the data that came from standard input:" if again else "Try next:")
    program = output.program_name()
    places = {"RUN": model, "DATA": text, "START": quote_argument(result.start)}
    for hint in TASK_SPECS[result.task].hints:
        if "START" in hint and not result.start:
            continue
        hint = hint if result.split else hint.removesuffix(" --split valid")
        if "DATA" in hint and result.encoding is not None:
            hint += f" --encoding {result.encoding}"
        words = " ".join(places.get(word, word) for word in hint.split(" "))
        output.note(f"  {program} {words}" + (again if "DATA" in hint else ""))
    resume = f"{program} train {text} --resume" if again else f"{program} train --resume"
    output.note(f"  {resume} {model} --steps {2 * result.steps}{again}")
