"""Command-line options generated from the fields of `fastrnn.config.Config`.

An unset option is ``None`` here: `Config` alone holds the defaults. The command line overrides ``FASTRNN_*``
variables, which override a ``--config`` file (`resolve_settings`).
"""

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from fastrnn import config as configuration
from fastrnn.config import Config, key_of, read_config_file

from .command_base import Function

Decorator = Callable[[Function], Function]

LENGTHS = ("epochs", "steps", "for_")
MACHINE = ("threads", "device")  # settings that do not affect the result of a run
AUTOMATIC = "automatic"

# Help section -> fields whose options it lists.
COMMON = "Common options"
SECTIONS: dict[str, tuple[str, ...]] = {
    COMMON: ("task", "cell", "layers", "hidden", "for_", "steps", "epochs", "lr", "dropout", "seed"),
    "Model": ("bidirectional", "init", "slow_units", "ngrams", "out_bias"),
    "Data": (
        "columns", "missing", "horizon", "labels", "label", "text", "format", "encoding", "tokens", "min_count",
        "document_separator", "valid", "valid_file",
    ),
    "Optimization": (
        "batch", "streams", "reset_every", "seq", "optimizer", "schedule", "warmup", "final_lr", "vocab_lr", "beta1",
        "beta2", "weight_decay", "clip", "weight_dropout",
    ),
    "Evaluation and checkpoints": ("eval_every", "eval_size", "save_every", "patience"),
    "Machine": ("threads", "precision", "device"),
}  # fmt: skip

# Field -> help text, and the text printed for a default of None.
HELP: dict[str, tuple[str, str]] = {
    "task": ("Task to train for.", ""),
    "cell": ("Recurrent cell; dense is a feed-forward layer without recurrence.", "lstm-norm for a text, else lstm"),
    "layers": ("Number of stacked layers.", "1; automatic for a text without --hidden"),
    "hidden": ("Hidden units per layer.", AUTOMATIC),
    "bidirectional": ("Also process each sequence backwards.", "no"),
    "columns": (
        "Columns of a CSV, comma-separated names or globs: the series to forecast, the targets of regress, or the "
        "features of classify. !NAME excludes a column; put a name that contains a comma in double quotes.",
        "every number",
    ),
    "missing": ("How to fill missing values of a series.", "an error"),
    "horizon": ("Rows to forecast.", "1"),
    "labels": ("File of the labels that belong to an idx file.", "none"),
    "label": ("Column or JSON key of the label: its name, or its position from 1.", "label"),
    "text": ("Column or JSON key of the text: its name, or its position from 1.", "text"),
    "format": (
        "Format of labelled data, regardless of file names (folders: each folder is a class).",
        "by name",
    ),
    "encoding": ("Encoding of texts, by any of Python's names (cp1252, utf-16, gb18030).", "utf-8"),
    "init": ("Initialization of the recurrent weights.", "identity for rnn-relu, else orthogonal"),
    "slow_units": (
        "Share of each layer's units whose forget gate starts nearly open: bias log(n), n from 4 to 128 steps.",
        "0.1 for lstm-norm, else 0",
    ),
    "ngrams": (
        "Read so many frequent pairs and triples of tokens as inputs of their own, beside the tokens; 0: none.",
        "automatic for lstm-norm and chars or bytes, else 0",
    ),
    "out_bias": (
        "Initial bias of the output layer; unigram: the logarithm of each token's frequency in the text.",
        "unigram; zero if --lr is given",
    ),
    "tokens": ("Unit of the text; bytes accepts any file.", "chars; for classify chosen from the texts"),
    "min_count": ("Replace words that occur less often by <UNK> (with --tokens words).", ""),
    "document_separator": ("Text that separates documents (\\n and \\t allowed); the state is reset there.", "none"),
    "valid": ("Fraction held out for validation: the end of a text or series, else a random sample.", ""),
    "valid_file": ("Validation file, instead of a part of the data.", "none"),
    "epochs": ("Length of the run in epochs; give one of --for, --steps and --epochs.", AUTOMATIC),
    "steps": ("Length of the run in training steps.", AUTOMATIC),
    "for_": (
        "Length of the run as a time budget (90s, 3m, 1.5h), start-up included up to half of it.",
        "3m, less if more would overfit",
    ),
    "batch": ("Batch size: parallel streams of a text, or examples.", AUTOMATIC),
    "streams": (
        "Streams that a text is divided into, a multiple of --batch; each step reads --batch of them, in turn.",
        AUTOMATIC,
    ),
    "reset_every": (
        "Zero the carried state after this many windows of a stream; 0: only where documents and epochs start.",
        "32 with slow units, else 0",
    ),
    "seq": ("Time steps per window of truncated BPTT; rows of input for a forecast.", ""),
    "optimizer": ("Optimizer.", ""),
    "lr": ("Peak learning rate.", AUTOMATIC),
    "schedule": ("Learning-rate schedule.", ""),
    "warmup": ("Steps of linear learning-rate warm-up.", AUTOMATIC),
    "final_lr": ("Final learning rate of linear and cosine schedules, as a fraction of --lr.", ""),
    "vocab_lr": (
        "Learning rate of token tables and of the output layer, as a multiple of --lr.",
        "automatic; 1 if --lr is given",
    ),
    "beta1": ("Decay rate of the first moment (adamw), or momentum.", "automatic; 0.9 if --lr is given"),
    "beta2": ("Decay rate of the second moment.", ""),
    "weight_decay": ("Decoupled weight decay.", AUTOMATIC),
    "clip": ("Clip the gradient to this global norm; 0 disables clipping.", ""),
    "dropout": ("Dropout probability between layers and before the output.", AUTOMATIC),
    "weight_dropout": ("Dropout probability of recurrent weights.", "automatic; 0 if --dropout is given"),
    "eval_every": ("Steps between validations.", AUTOMATIC),
    "eval_size": ("Tokens or examples per validation during training; the final one uses all.", AUTOMATIC),
    "save_every": ("Steps between saves.", AUTOMATIC),
    "patience": ("Stop after this many validations without improvement.", "never"),
    "seed": ("Random seed.", ""),
    "threads": ("Number of threads; the result does not depend on it.", "one for each fast core"),
    "precision": (
        "Floating-point type; bfloat16 applies to matrix products.",
        "bfloat16 where it is fast, else float32",
    ),
    "device": ("Device to compute on.", ""),
}
CHOICES = {
    "task": configuration.TASKS,
    "cell": configuration.ALL_CELLS,
    "missing": configuration.MISSING,
    "init": configuration.INITS,
    "out_bias": configuration.OUT_BIASES,
    "tokens": configuration.TOKENS,
    "format": configuration.FORMATS,
    "optimizer": configuration.OPTIMIZERS,
    "schedule": configuration.SCHEDULES,
    "precision": configuration.PRECISIONS,
    "device": configuration.DEVICES,
}


class _Name(click.Path):
    """Non-empty path. The library checks readability; an empty path usually is an unset shell variable."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


class _InputName(_Name):
    """Path of a file to read, or - for standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-" and not (ctx and ctx.resilient_parsing):
            from .output import note_terminal_input

            note_terminal_input()
        return super().convert(value, param, ctx)


class _TextName(_InputName):
    """Path of a text or the name of a corpus; the shell completes both."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from .completion import complete_text

        return complete_text(incomplete)


class _FolderName(_Name):
    """Path of a folder to create."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-":
            self.fail("a folder is needed, not standard output; ./- is a folder of that name", param, ctx)
        return super().convert(value, param, ctx)


class _ModelName(_Name):
    """Run folder or model file; the shell completes run folders first."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from .completion import complete_model

        return complete_model(incomplete)


PATH = _Name(readable=False)
FOLDER = _FolderName(readable=False)
INPUT = _InputName(readable=False)
TEXT = _TextName(readable=False)
MODEL = _ModelName(readable=False)
_METAVARS = {
    "document_separator": "TEXT",
    "encoding": "NAME",
    "valid_file": "FILE",
    "labels": "FILE",
    "columns": "NAMES",
    "label": "NAME",
    "text": "NAME",
    "for_": "TIME",
}
_FILES = ("valid_file", "labels")
_UNSET = (None, False, "")  # defaults shown as the second text of `HELP`
_METAVARS_BY_TYPE = {int: "N", float: "X", str: "TEXT"}


class SectionOption(click.Option):
    """Option listed in a section of its command's help."""

    def __init__(self, *args: Any, section: str = "Options", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Name the environment variable if the value came from it."""
        if ctx is not None and self.name and ctx.get_parameter_source(self.name) is ParameterSource.ENVIRONMENT:
            return f"'{self.envvar}'"
        return super().get_error_hint(ctx)


def config_options(*fields: str, section: str | None = None, defaults: Mapping[str, object] | None = None) -> Decorator:
    """Decorator that adds options for these fields of `Config`, in this order.

    ``section`` overrides the help section of the fields. ``defaults`` replace the printed defaults of `Config` for
    commands whose library function has its own.
    """

    def decorate(function: Function) -> Function:
        for field in reversed(fields):
            attributes = _attributes(field, section, defaults or {})
            function = click.option(*_names(field), cls=SectionOption, **attributes)(function)
        return function

    return decorate


def section_options(heading: str) -> Decorator:
    """Add the options of one section of `SECTIONS`."""
    return config_options(*SECTIONS[heading])


def all_config_options(function: Function) -> Function:
    """Add an option for every field of `Config`."""
    for heading in reversed(SECTIONS):
        function = section_options(heading)(function)
    return function


def value_option(
    name: str, kind: click.IntRange | type, text: str, default: str, section: str = "Options"
) -> Decorator:
    """Add an option whose default is set by a library function; ``default`` is only printed."""
    metavar = _METAVARS_BY_TYPE[kind] if isinstance(kind, type) else "N"
    shown = f"{text}  [default: {default}]"
    return click.option(name, type=kind, metavar=metavar, help=shown, cls=SectionOption, section=section)


def json_option(function: Function) -> Function:
    """Add ``--json``: print the result as one JSON object on one line."""
    return click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object on one line.")(
        function
    )


def jsonl_option(content: str) -> Decorator:
    """Decorator that adds ``--jsonl``: one JSON object a line, of this content.

    ``--json``, the name of the option in version 0.1.0, still works for these commands but is not listed: elsewhere it
    means one object.
    """

    def decorate(function: Function) -> Function:
        function = click.option("--json", "as_jsonl", is_flag=True, hidden=True, help="Same as --jsonl.")(function)
        return click.option("--jsonl", "as_jsonl", is_flag=True, help=f"Print {content} as one JSON object a line.")(
            function
        )

    return decorate


def unknown_option(function: Function) -> Function:
    """Add ``--unknown error|skip``: policy for characters outside the model's vocabulary."""
    return click.option(
        "--unknown",
        metavar="POLICY",
        type=click.Choice(["error", "skip"]),
        default="error",
        help="Policy for characters outside the vocabulary: error or skip.  [default: error]",
    )(function)


def model_argument(function: Function) -> Function:
    """Add the argument ``MODEL``: a run folder or a model file."""
    return click.argument("model", type=MODEL)(function)


def newest_model_argument(function: Function) -> Function:
    """Add the argument ``[MODEL]``, by default the run folder in ``runs`` whose model was saved last."""
    return click.argument("model", metavar="[MODEL]", type=MODEL, required=False, callback=_newest_run)(function)


def _newest_run(context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return value if context.resilient_parsing else newest_run(value)


def newest_run(model: str | None) -> str:
    """Return the model that was given, else the run folder in ``runs`` whose model was saved last.

    Raises `click.UsageError` if there is none.
    """
    if model is not None:
        return model
    from fastrnn.checkpoint.run_dir import PARENT

    from .completion import list_runs
    from .output import note

    found = list_runs()
    if not found:
        raise click.UsageError(f"no MODEL was given, and {PARENT}/ holds no run; name a run folder or a model file")
    note(f"model {found[0]} (the newest run)")
    return found[0]


def drop_unset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def unescape(text: str) -> str:
    r"""Replace the escapes ``\n``, ``\t``, ``\r`` and ``\\`` by the characters they denote."""
    signs = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
    return re.sub(r"\\([ntr\\])", lambda match: signs[match[1]], text)


def unescape_callback(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Click callback: `unescape` the value if it is set."""
    return None if value is None else unescape(value)


def _names(field: str) -> tuple[str, str]:
    name = key_of(field).replace("_", "-")
    return (f"--{name}/--no-{name}" if _kind(field) is bool else f"--{name}"), field


def _attributes(field: str, section: str | None, defaults: Mapping[str, object]) -> dict[str, Any]:
    text, none = HELP[field]
    default = defaults.get(field, next(f.default for f in dataclasses.fields(Config) if f.name == field))
    choices, kind = CHOICES.get(field), _kind(field)
    if choices is not None:
        text = f"{text.rstrip('.')}: {', '.join(choices[:-1])} or {choices[-1]}."
    choice = None if choices is None else click.Choice(choices, case_sensitive=False)
    attributes: dict[str, Any] = {
        "type": choice or (PATH if field in _FILES else kind),
        "default": None,
        "envvar": f"FASTRNN_{key_of(field).upper()}",
        "help": f"{text}  [default: {none if default in _UNSET else default}]",
        "section": section or next(s for s, fields in SECTIONS.items() if field in fields),
    }
    if kind is not bool:
        name = field.upper() if choices is not None else _METAVARS.get(field, _METAVARS_BY_TYPE.get(kind))
        attributes["metavar"] = name
    if field == "document_separator":
        attributes["callback"] = unescape_callback
    return attributes


def _kind(field: str) -> type:
    """Return the type of a field without `None`."""
    hint = typing.get_type_hints(Config)[field]
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kind: type = next(k for k in kinds if k is not types.NoneType)
    return kind


def from_source(context: click.Context, values: Mapping[str, Any], source: ParameterSource) -> dict[str, Any]:
    """Return the settings from one source: the command line or the environment."""
    return {n: v for n, v in drop_unset(values).items() if context.get_parameter_source(n) is source}


def on_command_line(context: click.Context, *names: str) -> list[str]:
    """Return the option names of the parameters set on the command line, not by environment variables."""
    option_names = {p.name: max(p.opts, key=len) for p in context.command.params}
    return [option_names[n] for n in names if context.get_parameter_source(n) is ParameterSource.COMMANDLINE]


def refuse_unused(context: click.Context, values: dict[str, Any], names: Iterable[str], reason: str) -> None:
    """Refuse options that the model or its task has no use for; ``reason`` is a format of the option's name.

    Only those of the command line raise `click.UsageError`: a variable is set for other commands and models too, and
    its value becomes None here.
    """
    for name in names:
        if given := on_command_line(context, name):
            raise click.UsageError(reason.format(given[0]))
        if name in values:
            values[name] = None


def resolve_settings(
    context: click.Context, values: Mapping[str, Any], config_file: str | None, resuming: bool = False
) -> dict[str, Any]:
    """Merge settings by precedence: command line, then environment, then file.

    The settings of a resumed run override the environment, except for `MACHINE`. Raises
    `fastrnn.errors.ConfigError` for an invalid file.
    """
    from_file = read_config_file(config_file) if config_file is not None else {}
    environment = from_source(context, values, ParameterSource.ENVIRONMENT)
    # A resumed run must not change because a variable was set meanwhile.
    if resuming:
        environment = {name: value for name, value in environment.items() if name in MACHINE}
    return merge(from_file, environment, from_source(context, values, ParameterSource.COMMANDLINE))


def merge(*sources: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings; later ones override. The three options for the length of a run replace each other."""
    merged: dict[str, Any] = {}
    for source in sources:
        # --steps on the command line must win over epochs in the file: only one of them may be set.
        if any(name in source for name in LENGTHS):
            merged = {name: value for name, value in merged.items() if name not in LENGTHS}
        merged.update(source)
    return merged
