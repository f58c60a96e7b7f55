"""Seeing inside: how gradients travel through time, what single units follow, and where a text surprises.

model = fastrnn.load("my-run", exact=True)
text = head(read_corpus(["text.txt"], tokenizer=model.tokenizer), 5000)
flow = gradient_flow(model.network, choose_rows(text, lags=64))
best = search(activations(model.network, text), signals(token_texts(text)))
nats = surprise(model.network, text)
gates = saturation(model.network, text)
"""

from .gradient_flow import GradientFlow, Rows, choose_rows, gradient_flow
from .saturation import GateSaturation, saturation
from .surprisal import most_surprising, surprise
from .trace import head, token_texts
from .units import Match, activations, search, signals
from .untrained import random_rows, untrained_network

__all__ = [
    "GateSaturation",
    "GradientFlow",
    "Match",
    "Rows",
    "activations",
    "choose_rows",
    "gradient_flow",
    "head",
    "most_surprising",
    "random_rows",
    "saturation",
    "search",
    "signals",
    "surprise",
    "token_texts",
    "untrained_network",
]
