"""The group of commands, with their one-line help: ``--help`` imports no command."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

COMMANDS = {
    "train": "Train a model on text or labelled data.",
    "sample": "Generate text from a model.",
    "eval": "Evaluate a model on data.",
    "predict": "Predict labels, tags, translations or values.",
    "score": "Print the log-probability of each line.",
    "complete": "Show the most probable continuations of a text.",
    "info": "Show a model's architecture and training run.",
    "inspect": "Inspect a model: surprisal, units, gradient flow, gates.",
    "sweep": "Train many configurations and report the best run.",
    "bench": "Measure training and sampling speed on this machine.",
    "data": "List, show, generate or download datasets.",
    "warmup": "Compile all kernels ahead of time.",
    "completion": "Print a shell's completion script.",
    "help": "Show the help of a command.",
}

# Commands that share a module -> module and function. The others are `command` in a module of their own name.
_SHARED = {
    "completion": ("help", "completion"),
    "help": ("help", "help_command"),
}


def load_command(name: str) -> click.Command:
    """Import a command of `COMMANDS`."""
    module, function = _SHARED.get(name, (name, "command"))
    command: click.Command = getattr(importlib.import_module(f".commands.{module}", __package__), function)
    return command


class Program(click.Group):
    """A click group that imports a command only when it runs or prints its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from fastrnn.errors import nearest

            ctx.fail(f"no such command {args[0]!r}{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from .documentation import describe_documentation

        text = describe_documentation()
        formatter.write(f"\n{text[0].upper()}{text[1:]}\n")

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        """Exit through `fastrnn_cli.main.run` for every caller, including click's test runner."""
        from .main import run

        sys.exit(run(sys.argv[1:] if args is None else args))


HELP = """Train and sample recurrent networks at the full speed of your CPU.

MODEL is a run folder (its best model) or a model file; TEXT is a file (also compressed), a folder, a glob, - for
standard input, or the name of a built-in text. Results go to standard output, messages to standard error. Every
setting can also come from the environment (FASTRNN_HIDDEN=256).

Example:  fastrnn train --for 2m
"""

program = Program(
    name="fastrnn",
    help=HELP,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
click.version_option(package_name="fastrnn", prog_name="fastrnn", message="%(prog)s %(version)s")(program)
