"""Shared by every test. ``tests/`` itself is on the path (pyproject.toml), so tests can ``import gradients``."""

import signal
from collections.abc import Generator, Iterator

import kinds
import numpy as np
import plain_kernels
import pytest

from fastrnn_cli.commands import train

if plain_kernels.WANTED:
    plain_kernels.install()


def pytest_configure(config: pytest.Config) -> None:
    """Restore SIGINT, which background jobs of a shell ignore; plain kernels overflow without a warning."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if plain_kernels.WANTED:
        config.addinivalue_line("filterwarnings", "ignore::RuntimeWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with its kind."""
    for item in items:
        kinds.mark_item(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run unit tests, with their fixtures, where they can neither compile nor start processes."""
    if item.get_closest_marker("unit") is None or plain_kernels.WANTED:
        return (yield)
    with kinds.forbid_compilation_and_processes():
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _default_environment() -> Iterator[None]:
    """Remove the developer's FASTRNN_* settings and set a usual terminal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm-256color")
        for parameter in train.command.params:
            if isinstance(parameter.envvar, str):
                patch.delenv(parameter.envvar, raising=False)
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20240229)
