"""Seeing inside: how gradients travel through time, what single units follow, and where a text surprises.

model = fastrnn.load("my-run", exact=True)
text = head(read_corpus(["text.txt"], tokenizer=model.tokenizer), 5000)
flow = gradient_flow(model.network, choose_rows(text, lags=64))
best = search(activations(model.network, text), signals(token_texts(text)))
nats = surprise(model.network, text)
gates = saturation(model.network, text)
"""

from .fresh import fresh_network, random_rows
from .gradient_flow import GradientFlow, Rows, choose_rows, gradient_flow
from .reading import head, token_texts
from .saturation import GateUse, saturation
from .surprise import most_surprising, surprise
from .units import Match, activations, search, signals

__all__ = [
    "GateUse",
    "GradientFlow",
    "Match",
    "Rows",
    "activations",
    "choose_rows",
    "fresh_network",
    "gradient_flow",
    "head",
    "most_surprising",
    "random_rows",
    "saturation",
    "search",
    "signals",
    "surprise",
    "token_texts",
]
