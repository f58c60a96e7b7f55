"""Generate the command-line reference from the click commands when the site is built.

The line ``<!-- commands -->`` of a page is replaced by a section for each command.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import click

from fastrnn_cli.group import COMMANDS, program

MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Insert the reference where a page has the mark."""
    return markdown.replace(MARK, reference()) if MARK in markdown else markdown


def reference() -> str:
    """Return the reference of all commands as Markdown."""
    parent = click.Context(program, info_name="fastrnn")
    sections = []
    for name in COMMANDS:
        command = program.get_command(parent, name)
        assert command is not None
        sections += list(_sections(command, click.Context(command, info_name=name, parent=parent), 2))
    return "\n\n".join(sections)


def _sections(command: click.Command, ctx: click.Context, level: int) -> Iterator[str]:
    """Yield the parts of a command's section, then those of its subcommands."""
    yield f"{'#' * level} {ctx.command_path}"
    yield f"```text\n{ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}\n```"
    yield from _paragraphs(inspect.cleandoc(command.help or ""))
    yield from _option_tables(command, ctx)
    example = re.sub(r"^\s*\x08?\s*Example:\s*", "", command.epilog or "").strip()
    if example:
        yield f"Example:\n\n```text\n{inspect.cleandoc(example)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            assert child is not None
            yield from _sections(child, click.Context(child, info_name=name, parent=ctx), level + 1)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text; one after click's mark ``\\b`` keeps its lines."""
    for part in text.split("\n\n"):
        if part.startswith("\b"):
            yield "```text\n" + part.removeprefix("\b").strip("\n") + "\n```"
        elif part.startswith("    "):
            yield "```text\n" + inspect.cleandoc(part) + "\n```"
        else:
            yield _escape(part)


def _option_tables(command: click.Command, ctx: click.Context) -> Iterator[str]:
    """Yield a table of options for each section of the help, in its order."""
    sections: dict[str, list[str]] = {}
    for option in command.get_params(ctx):
        record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
        if record is not None and "--help" not in option.opts:
            row = f"| `{record[0].replace('|', chr(92) + '|')}` | {_escape(record[1])} |"
            sections.setdefault(getattr(option, "section", "Options"), []).append(row)
    for title in [*(s for s in sections if s != "Options"), *(s for s in sections if s == "Options")]:
        yield f"**{title}**\n\n| option | meaning |\n| --- | --- |\n" + "\n".join(sections[title])


def _escape(text: str) -> str:
    """Escape what Markdown, HTML or a table would interpret in a plain text."""
    text = re.sub(r"([\\*_\[\]|])", r"\\\1", text.replace("\n", " "))
    return text.replace("<", "&lt;").replace(">", "&gt;")
