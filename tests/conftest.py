"""Shared by every test. ``tests/`` itself is on the path (pyproject.toml), so tests can ``import gradients``."""

import numpy as np
import plain_kernels
import pytest

if plain_kernels.WANTED:
    plain_kernels.install()


def pytest_configure(config: pytest.Config) -> None:
    """Compiled code overflows in silence; its plain twin may too."""
    if plain_kernels.WANTED:
        config.addinivalue_line("filterwarnings", "ignore::RuntimeWarning")


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20240229)
