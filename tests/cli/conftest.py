"""Shared by the tests of the command line."""

from collections.abc import Iterator

import pytest

from fastrnn_cli.commands import train


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """The developer's own settings in FASTRNN_* variables are set aside, and the kind of terminal is the usual one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm-256color")
        for parameter in train.command.params:
            if isinstance(parameter.envvar, str):
                patch.delenv(parameter.envvar, raising=False)
        yield
