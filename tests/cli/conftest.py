"""Fixtures of the command line's tests."""

import os
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def program_on_path() -> Iterator[None]:
    """Put the installed program on PATH, as in an activated environment: hints then name it ``fastrnn``."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join((os.path.dirname(sys.executable), before))
    yield
    os.environ["PATH"] = before
