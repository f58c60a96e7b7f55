"""``--json`` means one object on one line and ``--jsonl`` one object a line, in every command that has them."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fastrnn_cli.group import COMMANDS, program

# Command -> its option; every other command has none.
WANTED = {
    "train": "--json",
    "sample": "--jsonl",
    "eval": "--json",
    "predict": "--jsonl",
    "score": "--jsonl",
    "complete": "--json",
    "info": "--json",
    "inspect": "--json",
    "sweep": "--json",
    "bench train": "--json",
    "bench sample": "--json",
    "data list": "--json",
    "data show": "--json",
    "data fetch": "--json",
}
OLD = ("predict", "score")  # here --json meant what --jsonl means now
MEANING = {"--json": "as one JSON object on one line", "--jsonl": "as one JSON object a line"}


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its name, also those of groups."""
    for name in COMMANDS:
        command = program.get_command(click.Context(program), name)
        assert command is not None
        yield from ((f"{name} {key}", inner) for key, inner in getattr(command, "commands", {}).items())
        if not isinstance(command, click.Group):
            yield name, command


def json_options(command: click.Command, hidden: bool) -> dict[str, click.Option]:
    """The JSON options of a command: those that its help lists, or the others."""
    return {
        name: option
        for option in command.params
        if isinstance(option, click.Option) and option.hidden is hidden
        for name in option.opts
        if name.startswith("--json")
    }


def test_every_command_has_the_json_option_of_its_output() -> None:
    found = {name: list(json_options(command, hidden=False)) for name, command in all_commands()}
    assert {name: names for name, names in found.items() if names} == {name: [o] for name, o in WANTED.items()}


def test_each_json_option_means_one_thing() -> None:
    for command_name, command in all_commands():
        for name, option in json_options(command, hidden=False).items():
            assert MEANING[name] in str(option.help), command_name
            assert option.is_flag


def test_old_spellings_are_kept_but_not_listed() -> None:
    old = {name: json_options(command, hidden=True) for name, command in all_commands()}
    assert {name: list(options) for name, options in old.items() if options} == {name: ["--json"] for name in OLD}
    assert {options["--json"].name for options in old.values() if options} == {"as_jsonl"}


@pytest.mark.parametrize("args", [("data", "list"), ("data", "show", "t.txt")])
def test_json_is_one_object_on_one_line(args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text("a text\n" * 3)
    done = CliRunner().invoke(program, [*args, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n") == 1
    assert isinstance(json.loads(done.stdout), dict)
