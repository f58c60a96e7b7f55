"""``fastrnn help``."""

import click

from .. import command_base


@command_base.command("fastrnn help train")
@click.argument("names", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def command(context: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of a command.

    Same as `fastrnn COMMAND --help`; without COMMAND, same as `fastrnn --help`.
    """
    from fastrnn.config import nearest

    from .. import output

    root = context.find_root()
    found: click.Command = root.command
    shown = root
    for name in names:
        known = found.list_commands(shown) if isinstance(found, click.Group) else []
        if not isinstance(found, click.Group) or (inner := found.get_command(shown, name)) is None:
            raise click.UsageError(f"no such command {name!r}{nearest(name, known)}", shown)
        found = inner
        shown = click.Context(found, shown, name)
    output.write(found.get_help(shown) + "\n")
