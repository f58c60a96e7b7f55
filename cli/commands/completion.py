"""``fastrnn completion``."""

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


@command_base.command("fastrnn completion bash")
@click.argument("shell", metavar="|".join(SHELLS), type=click.Choice(SHELLS))
def command(shell: str) -> None:
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
