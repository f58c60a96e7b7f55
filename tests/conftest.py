"""Shared by every test. ``tests/`` itself is on the path (pyproject.toml), so tests can ``import gradients``."""

import signal

import numpy as np
import plain_kernels
import pytest

if plain_kernels.WANTED:
    plain_kernels.install()


def pytest_configure(config: pytest.Config) -> None:
    """SIGINT is heard in a background job of a script too, where it is ignored; plain kernels overflow in silence."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if plain_kernels.WANTED:
        config.addinivalue_line("filterwarnings", "ignore::RuntimeWarning")


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20240229)
