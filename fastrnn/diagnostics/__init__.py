"""Diagnostics of trained and untrained networks: gradient flow, unit activations, surprisal, saturation.

Example:
    model = fastrnn.load("my-run", exact=True)
    text = head(read_corpus(["text.txt"], tokenizer=model.tokenizer), 5000)
    flow = gradient_flow(model.network, choose_rows(text, lags=64))
    best = find_units(activations(model.network, text), signals(token_texts(text)))
    nats = compute_surprisal(model.network, text)
    gates = saturation(model.network, text)
"""

from .gradient_flow import GradientFlow, Rows, choose_rows, gradient_flow
from .saturation import GateSaturation, saturation
from .surprisal import compute_surprisal, find_largest
from .trace import head, token_texts
from .units import Match, activations, find_units, signals
from .untrained import random_rows, untrained_network

__all__ = [
    "GateSaturation",
    "GradientFlow",
    "Match",
    "Rows",
    "activations",
    "choose_rows",
    "compute_surprisal",
    "find_largest",
    "find_units",
    "gradient_flow",
    "head",
    "random_rows",
    "saturation",
    "signals",
    "token_texts",
    "untrained_network",
]
