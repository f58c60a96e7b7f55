"""The PNG, and the error without matplotlib."""

import importlib.util
import struct

import pytest

from fastrnn.diagnostics.gradient_flow import flow_png
from fastrnn.errors import OutputError


def test_plot_accepts_any_numbers():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    curves = {"layer 0 h": [1.0, 1e-3, 0.0], "layer 1 h": [float("nan"), float("inf"), 2.0]}
    png = flow_png(curves, "rnn")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == (1050, 600)
    assert png != flow_png({"layer 0 h": [1.0, 1.0, 1.0]}, "rnn")


def test_plot_accepts_all_zeros():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert flow_png({"layer 0 h": [0.0, 0.0]}, "rnn").startswith(b"\x89PNG")


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"pip install 'fastrnn\[plot\]'"):
        flow_png({"h": [1.0]}, "rnn")
