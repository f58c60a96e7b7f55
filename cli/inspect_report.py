"""Reports of ``fastrnn inspect``: figures, curves, coloured text, JSON and CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.cells import CELLS
from fastrnn.errors import ConfigError

from . import formatting

if TYPE_CHECKING:
    from fastrnn.data.text.corpus import Corpus
    from fastrnn.diagnostics import GateSaturation, GradientFlow, Match
    from fastrnn.nn.network import Network

PLACES = 8  # most surprising positions listed
BEFORE, AFTER = 24, 8  # tokens of context around such a position
MATCHES = 5  # units listed for each signal
MIN_STRENGTH = 0.3  # minimum strength of a listed match (a medium effect, Cohen 1988)
LAGS = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # lags whose norms are printed


@dataclass(frozen=True)
class Report:
    """One report in every output format.

    ``facts`` become the JSON; ``header`` and ``rows`` the CSV. ``curves`` map a label to values per lag and have a
    ``title``. ``marks`` holds one number per token in ``unit``, or None; ``signed`` marks range from -1 to 1.
    """

    facts: dict[str, Any]
    figures: list[tuple[str, str]]
    header: Sequence[str]
    rows: Iterable[Sequence[Any]]
    title: str = ""
    curves: dict[str, list[float]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    marks: list[float | None] = field(default_factory=list)
    unit: str = ""
    signed: bool = False

    def csv(self) -> str:
        """Format header and rows as CSV (RFC 4180, but with LF line ends)."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return buffer.getvalue()


def flow_report(flow: "GradientFlow", network: "Network", changed: dict[str, float]) -> Report:
    """Report gradient norms per lag, layer and kind of state.

    ``changed``: modified settings of an untrained network.
    """
    shape = network.shape
    series = [(name, n, norms[n]) for name, norms in flow.norms.items() for n in range(shape.layers)]
    lags = [lag for lag in LAGS if lag < flow.lags] + [flow.lags]
    title = f"{shape.cell}, {formatting.plural(shape.layers, 'layer')} of {shape.hidden}"
    title += "".join(f", {name.replace('_', ' ')} {value:g}" for name, value in changed.items())
    shown = [
        ("model", title),
        ("gradient", f"norm with respect to the state this many steps back, mean over {flow.rows:,} windows"),
        ("steps back", " ".join(f"{lag:>7}" for lag in lags) + "  each step"),
    ]
    for name, n, norms in series:
        columns = " ".join(f"{norms[lag - 1]:7.1e}" for lag in lags)
        shown.append((f"layer {n} {name}", f"{columns}  x {flow.factor(name, n):.3f}"))
    json = {
        "cell": shape.cell, "layers": shape.layers, "hidden": shape.hidden, **changed, "rows": flow.rows,
        "lags": list(range(1, flow.lags + 1)),
        "norms": {name: norms.tolist() for name, norms in flow.norms.items()},
        "factor": {name: [flow.factor(name, n) for n in range(shape.layers)] for name in flow.norms},
    }  # fmt: skip
    rows = [(name, n, lag + 1, norm) for name, n, norms in series for lag, norm in enumerate(norms.tolist())]
    curves = {f"layer {n} {name}": norms.tolist() for name, n, norms in series}
    return Report(json, shown, ("state", "layer", "steps_back", "norm"), rows, title, curves)


def surprise_report(nats: Any, corpus: "Corpus", tokens: list[str]) -> Report:
    """Report the surprisal of each token, its mean, and the largest values with their context."""
    from fastrnn.diagnostics import find_largest

    # NaN marks the first tokens of files, which are not predicted.
    scored = np.isfinite(nats)
    mean = float(nats[scored].mean())
    places = find_largest(nats, PLACES)
    kind = corpus.tokenizer.kind
    shown = [(kind, f"{int(scored.sum()):,}"), ("mean surprise", formatting.loss(mean)), ("most surprising", "")]
    around = [(_join(tokens[max(0, i - BEFORE) : i], kind), _join(tokens[i + 1 : i + 1 + AFTER], kind)) for i in places]
    for i, (before, after) in zip(places, around, strict=True):
        shown.append((f"  at {i:,}", f"{formatting.bits(nats[i]):5.1f} bits  {before}»{tokens[i]}«{after}"))
    marks = [float(v) if ok else None for v, ok in zip(nats, scored, strict=True)]
    json = {
        "chars": int(scored.sum()), "nats_per_char": mean, "bits_per_char": formatting.bits(mean),
        "most_surprising": [
            {"position": i, "token": tokens[i], "nats": float(nats[i]), "before": before, "after": after}
            for i, (before, after) in zip(places, around, strict=True)
        ],
        "tokens": tokens, "nats": marks,
    }  # fmt: skip
    rows = zip(range(len(tokens)), tokens, marks, strict=True)
    return Report(json, shown, ("position", "token", "nats"), rows, tokens=tokens, marks=marks, unit="nats")


def search_report(found: "dict[str, list[Match]]", values: Any, tokens: list[str], layer: int) -> Report:
    """Report the best-matching units per signal; the CSV holds the activations (n, H) of one layer."""
    shown = [("signal", "best units as layer/unit, with r or the area under the ROC curve")]
    for name, matches in found.items():
        shown.append((name, _format_units(matches)))
    json = {
        "chars": len(tokens),
        "signals": {
            name: [{"layer": m.layer, "unit": m.unit, "measure": m.measure, "value": m.value} for m in matches]
            for name, matches in found.items()
        },
    }
    header = ("position", "token", *(f"l{layer}_{unit}" for unit in range(values.shape[1])))
    rows = ((i, token, *values[i].tolist()) for i, token in enumerate(tokens))
    return Report(json, shown, header, rows)


def _format_units(matches: "list[Match]") -> str:
    """Format the units that follow a signal, best first, or say that there is none."""
    listed = [f"{m.layer}/{m.unit} {_format_match(m)}" for m in matches[:MATCHES] if m.strength >= MIN_STRENGTH]
    if listed:
        return "   ".join(listed)
    if not matches:
        return "constant in this text"
    return f"no unit follows it (best: {matches[0].layer}/{matches[0].unit} {_format_match(matches[0])})"


def unit_report(found: "dict[str, list[Match]]", values: Any, tokens: list[str], layer: int, unit: int) -> Report:
    """Report one unit's activation per token, from values (n, H), and its match with each signal."""
    mine = {name: matches[0] for name, matches in found.items() if matches}
    shown = [("unit", f"{unit} of layer {layer}"), *((name, _format_match(m)) for name, m in mine.items())]
    marks = [float(v) for v in values[:, unit]]
    json = {
        "layer": layer, "unit": unit, "tokens": tokens, "activations": marks,
        "signals": {name: {"measure": m.measure, "value": m.value} for name, m in mine.items()},
    }  # fmt: skip
    rows = zip(range(len(tokens)), tokens, marks, strict=True)
    header = ("position", "token", f"l{layer}_{unit}")
    return Report(json, shown, header, rows, tokens=tokens, marks=list(marks), unit="activation", signed=True)


def gates_report(gates: "list[GateSaturation]", cell: str, tokens: int) -> Report:
    """Report how often each gate is nearly closed or open, and each output h near its bounds."""
    shown = [("gates", "below 0.1  above 0.9     mean"), *(_format_gate(u) for u in gates if u.gate != "h")]
    # ReLU outputs have no upper bound and count as saturated at 0.
    ends = "at 0" if CELLS[cell].output_bounds[0] == 0 else "below -0.9  above 0.9     mean"
    shown += [("outputs", ends), *(_format_gate(u) for u in gates if u.gate == "h")]
    means = [
        {"layer": u.layer, "gate": u.gate, "low": u.low.mean(), "high": u.high.mean(), "mean": u.mean.mean()}
        for u in gates
    ]
    rows = ((u.layer, u.gate, i, u.low[i], u.high[i], u.mean[i]) for u in gates for i in range(len(u.mean)))
    header = ("layer", "gate", "unit", "low", "high", "mean")
    return Report({"cell": cell, "chars": tokens, "gates": means}, shown, header, rows)


def _format_gate(gate: "GateSaturation") -> tuple[str, str]:
    return (
        f"layer {gate.layer} {gate.gate}",
        f"{gate.low.mean():9.1%}  {gate.high.mean():9.1%}  {gate.mean.mean():7.3f}",
    )


def check_index(name: str, value: int, end: int) -> int:
    """Return a layer or unit index. Raises `ConfigError` outside 0..end-1."""
    if not 0 <= value < end:
        has = f"only {name} 0" if end == 1 else f"{name}s 0 to {end - 1}"
        raise ConfigError(f"{name} is {value}; this model has {has}")
    return value


def _format_match(match: "Match") -> str:
    return f"{match.measure}={match.value:.3f}"


def _join(tokens: Sequence[str], kind: str) -> str:
    return (" " if kind == "words" else "").join(tokens)
