"""The simulator waits for its threads in a busy loop, which must not hold the interpreter for its usual 5 ms."""

import sys

import pytest


@pytest.fixture(autouse=True, scope="session")
def quick_switches():
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)
