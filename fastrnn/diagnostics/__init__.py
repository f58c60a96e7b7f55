"""Diagnostics of trained and untrained networks: gradient flow, unit activations, surprisal, saturation.

Example:
    model = fastrnn.load("my-run", exact=True)
    text = head(read_corpus(["text.txt"], tokenizer=model.tokenizer), 5000)
    flow = compute_gradient_flow(model.network, choose_rows(text, lags=64))
    best = find_units(compute_activations(model.network, text), compute_signals(token_texts(text)))
    nats = compute_surprisal(model.network, text)
    gates = compute_saturation(model.network, text)
"""

from .gradient_flow import GradientFlow, Rows, choose_rows, compute_gradient_flow, random_rows, untrained_network
from .units import (
    GateSaturation,
    Match,
    compute_activations,
    compute_saturation,
    compute_signals,
    compute_surprisal,
    find_largest,
    find_units,
    head,
    token_texts,
)

__all__ = [
    "GateSaturation",
    "GradientFlow",
    "Match",
    "Rows",
    "choose_rows",
    "compute_activations",
    "compute_gradient_flow",
    "compute_saturation",
    "compute_signals",
    "compute_surprisal",
    "find_largest",
    "find_units",
    "head",
    "random_rows",
    "token_texts",
    "untrained_network",
]
