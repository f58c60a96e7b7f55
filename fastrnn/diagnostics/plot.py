"""Plots of the gradient flow as PNG, with matplotlib from the extra ``fastrnn[plot]``."""

import importlib.util
import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..errors import OutputError


def check_matplotlib() -> None:
    """Raise `OutputError` if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise OutputError("a PNG needs matplotlib, which is not installed here: pip install 'fastrnn[plot]'")


def flow_png(curves: Mapping[str, npt.ArrayLike], title: str) -> bytes:
    """Plot curves, label -> (K,) norms at lags 1..K, on a logarithmic axis without zeros; returns a PNG."""
    check_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for label, values in curves.items():
        norms = np.asarray(values, np.float64)
        positive = np.where((norms > 0) & np.isfinite(norms), norms, np.nan)
        axes.plot(np.arange(1, len(norms) + 1), positive, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("steps back from the loss")
    axes.set_ylabel("norm of the gradient")
    axes.set_title(title)
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
