"""Base class of all commands: help grouped in sections, an example, and checks before the command runs."""

import ast
import inspect
import sys
from collections.abc import Callable
from typing import Any

import click

from fastrnn.distributed.environment import launcher_rank

from .env_warnings import warn_about_environment

Function = Callable[..., Any]


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
