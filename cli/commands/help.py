"""Help in a shell: ``fastrnn help`` and ``fastrnn completion``."""

import click
from click.shell_completion import get_completion_class

from .. import command_base

SHELLS = ("bash", "zsh", "fish")
# How to load the script in each session of a shell.
_INSTALL = {
    "bash": 'add to ~/.bashrc:  eval "$(fastrnn completion bash)"',
    "zsh": 'add to ~/.zshrc, after compinit:  eval "$(fastrnn completion zsh)"',
    "fish": "fastrnn completion fish > ~/.config/fish/completions/fastrnn.fish",
}


@command_base.command("fastrnn help train")
@click.argument("names", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help_command(context: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of a command.

    Same as `fastrnn COMMAND --help`; without COMMAND, same as `fastrnn --help`.
    """
    from fastrnn.errors import nearest

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


@command_base.command("fastrnn completion bash")
@click.argument("shell", metavar="|".join(SHELLS), type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a shell's completion script.

    The script completes commands, options, names of corpora, run folders, and labels for --given.
    """
    import sys

    from .. import output

    shell_class = get_completion_class(shell)
    assert shell_class is not None, shell
    group = click.get_current_context().find_root().command
    output.write(shell_class(group, {}, "fastrnn", "_FASTRNN_COMPLETE").source() + "\n", raw=True)
    if sys.stdout is not None and sys.stdout.isatty():
        output.note(f"To use it, {_INSTALL[shell]}")
