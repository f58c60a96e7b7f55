"""The address of the documentation: from the package's metadata, in ``--help`` and in "internal error"."""

import importlib.metadata
from email.message import Message

import pytest
from click.testing import CliRunner
from test_main import outcome

from fastrnn_cli.documentation import describe_documentation
from fastrnn_cli.group import program

URL = "https://fastrnn.example/docs"


def use_metadata(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    """Replace the metadata of the package by one with these ``Project-URL`` entries."""
    found = Message()
    for url in urls:
        found["Project-URL"] = url
    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: {"fastrnn": found}[name])


@pytest.mark.parametrize("entry", [f"Documentation, {URL}", f"documentation,{URL}"])
def test_address_comes_from_the_metadata(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_metadata(monkeypatch, "Issues, https://fastrnn.example/issues", entry)
    assert CliRunner().invoke(program, ["--help"]).stdout.endswith(f"\nDocumentation: {URL}\n")
    assert f"; documentation: {URL})" in outcome(monkeypatch, ZeroDivisionError("x"))[2]


def test_help_command_is_named_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    use_metadata(monkeypatch, "Issues, https://fastrnn.example/issues", "Documentation,")
    assert CliRunner().invoke(program, ["--help"]).stdout.endswith("\nDocumentation: fastrnn help COMMAND\n")
    assert "; documentation: fastrnn help COMMAND)" in outcome(monkeypatch, ZeroDivisionError("x"))[2]


def test_package_that_is_not_installed_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Message:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", fail)
    assert describe_documentation() == "documentation: fastrnn help COMMAND"
