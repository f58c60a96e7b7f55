"""Base class of all commands: help grouped in sections, an example, and checks and warnings before the command runs.

The warnings are about environment variables; they go to standard error.
"""

import ast
import dataclasses
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from fastrnn.config import Config, key_of
from fastrnn.distributed import launcher_rank
from fastrnn.errors import nearest

_PREFIX = "FASTRNN_"
_OTHER_VARIABLES = ("CONFIG", "DATA", "DEBUG", "KERNELS", "MIRROR")
Function = Callable[..., Any]


def warn_about_environment(environment: Mapping[str, str] | None = None) -> None:
    """Print warnings and forward the library's log to standard error, on rank 0 only."""
    from .output import note

    first = not launcher_rank()[0]
    _show_log(note if first else lambda line: None)
    if first:
        for line in environment_warnings(os.environ if environment is None else environment):
            note(line)
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            note("fastrnn has not been tried on free-threaded Python; if something fails, use the usual build")


def environment_warnings(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each ``FASTRNN_*`` variable that is not recognized."""
    known = {*(key_of(field.name).upper() for field in dataclasses.fields(Config)), *_OTHER_VARIABLES}
    for name in sorted(environment):
        word = name.removeprefix(_PREFIX)
        if word != name and word not in known:
            hint = nearest(word, known).replace("did you mean ", f"did you mean {_PREFIX}")
            yield f"{name} is not a fastrnn variable{hint}"


class _Lines(logging.Handler):
    """Log handler that passes each message to a function."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(record.getMessage())


def _show_log(write: Callable[[str], None]) -> None:
    """Forward the library's log, e.g. the warning that compiled kernels cannot be cached."""
    logging.getLogger("fastrnn").handlers = [_Lines(write)]


# Options of PyTorch's examples, char-rnn, nanoGPT and Hugging Face -> their names here.
OTHER_NAMES = {
    "--batch-size": "--batch",
    "--block-size": "--seq",
    "--bptt": "--seq",
    "--clip-grad": "--clip",
    "--grad-clip": "--clip",
    "--hidden-size": "--hidden",
    "--learning-rate": "--lr",
    "--max-iters": "--steps",
    "--max-new-tokens": "--length",
    "--max-steps": "--steps",
    "--n-layer": "--layers",
    "--nhid": "--hidden",
    "--nlayers": "--layers",
    "--num-epochs": "--epochs",
    "--num-layers": "--layers",
    "--num-samples": "--count",
    "-n": "--count",
    "--output": "--out",
    "--prompt": "--prime",
    "--rnn-size": "--hidden",
    "--seq-length": "--seq",
    "--start": "--prime",
    "--temp": "--temperature",
    "--time": "--for",
}


class SectionCommand(click.Command):
    """Command whose help groups options by section; options without a section come last."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments; then warn about the environment, or exit if this MPI rank does not run the command.

        Every rank runs ``train``, ``bench train`` and ``sweep``, only rank 0 the rest.
        """
        context = super().make_context(*args, **kwargs)
        if not context.resilient_parsing:  # true while a shell completes a command line
            if launcher_rank()[0] and context.info_name not in ("train", "sweep"):
                context.exit(0)
            warn_about_environment()
        return context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; an option of another program is answered with its name here."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = OTHER_NAMES.get(error.option_name.replace("_", "-"), "")
            if not any(name in parameter.opts for parameter in self.get_params(ctx)):
                raise
            # not `NoSuchOption`, which drops suggestions that are spelt otherwise
            raise click.UsageError(f"no such option {error.option_name!r}; did you mean {name}?", error.ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for heading in [*(s for s in sections if s != "Options"), "Options"]:
            with formatter.section(heading):
                formatter.write_dl(sections[heading])


def command(example_line: str) -> Callable[[Function], click.Command]:
    """Decorator that makes a `SectionCommand` with an example at the end of its help."""

    def decorate(function: Function) -> click.Command:
        text = help_text(function)
        made: click.Command = click.command(cls=SectionCommand, help=text, epilog=example(example_line))(function)
        return made

    return decorate


def help_text(function: Function) -> str | None:
    """Return a command's docstring as its help. ``python -OO`` strips docstrings, so read the source there."""
    if function.__doc__ is not None or sys.flags.optimize < 2:
        return inspect.getdoc(function)
    try:
        source = ast.parse(inspect.getsource(inspect.getmodule(function) or function))
    except (OSError, TypeError, SyntaxError):
        return None
    found = (n for n in ast.walk(source) if isinstance(n, ast.FunctionDef) and n.name == function.__name__)
    return next((ast.get_docstring(node) for node in found), None)


def example(line: str) -> str:
    """Format the example at the end of a command's help."""
    return f"\b\nExample:\n  {line}"
