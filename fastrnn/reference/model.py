"""Reference language model: one-hot input, L stacked layers, a linear layer to V logits.

x_t = one-hot(id_t);    h^l_t = step(h^(l-1)_t, h^l_{t-1}) with h^0 = x;    o_t = W_out h^L_t + b_out
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..cells import CELLS as SPECS
from ..errors import ConfigError, InputError
from ..shapes import ModelShape, parameter_shapes
from .cells import Array, State, Weights, linear, linear_backward
from .layer import CELLS, Saved, layer_backward, layer_forward
from .loss import cross_entropy, cross_entropy_backward


def layer_weights(parameters: Mapping[str, Array], n: int) -> Weights:
    """Return the four arrays of layer n, as views, from a dictionary of parameters or of gradients."""
    return Weights(
        W_ih=parameters[f"rnn.weight_ih_l{n}"],
        W_hh=parameters[f"rnn.weight_hh_l{n}"],
        b_ih=parameters[f"rnn.bias_ih_l{n}"],
        b_hh=parameters[f"rnn.bias_hh_l{n}"],
    )


class Reference:
    """Reference implementation of a language model, against which the compiled kernels are tested.

    Arguments of the methods:

    - ids (T, B): in 0 .. V-1.
    - targets (T, B): in -1 .. V-1, where -1 is not scored.
    - state {name: (L, B, H)}: the state before the first step, with the names of the cell's states; zeros by default.
      It is never modified in place.
    - resets (T, B): 1 where the state is zeroed before the step; none by default.

    Args:
        shape: Cell, L, H and V of the model.
        parameters: Arrays with the names and shapes of `fastrnn.shapes.parameter_shapes`. An array that already has
            the dtype is used without a copy, so a change to it changes the model.
        dtype: Floating-point type of all arrays.

    Raises:
        ConfigError: If a parameter is missing, is unknown or has another shape.
        InputError: (methods) If ids, targets, state or resets have wrong shapes or values.
    """

    def __init__(self, shape: ModelShape, parameters: Mapping[str, Array], dtype: Any = np.float64) -> None:
        _check_parameters(shape, parameters)
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.cell = CELLS[shape.cell]
        self.parameters = {name: np.asarray(value, self.dtype) for name, value in parameters.items()}
        self.layers = [layer_weights(self.parameters, n) for n in range(shape.layers)]
        self.state: State | None = None

    def step(self, x: ArrayLike) -> Array:
        """Return the logits (V,) of an id or (B, V) of ids (B,), and keep the state; the lectures' ``rnn.step``."""
        ids = np.asarray(x)
        logits, self.state = self.forward(ids.reshape(1, -1), self.state)
        return logits.reshape(*ids.shape, self.shape.vocab)

    def reset(self) -> None:
        """Reset the state that `step` keeps."""
        self.state = None

    def zero_state(self, batch: int) -> State:
        """Return the initial state: zeros, {name: (L, B, H)}."""
        size = (self.shape.layers, batch, self.shape.hidden)
        return {name: np.zeros(size, self.dtype) for name in SPECS[self.shape.cell].states}

    def forward(self, ids: Array, state: State | None = None, resets: Array | None = None) -> tuple[Array, State]:
        """Return the logits (T, B, V) and the last state."""
        h, state, _ = self._unroll(ids, state, resets)
        return self._logits(h), state

    def loss(self, ids: Array, targets: Array, state: State | None = None, resets: Array | None = None) -> float:
        """Return the mean nats of the scored positions."""
        _check_ids("targets", targets, -1, self.shape.vocab, ids.shape)
        logits, _ = self.forward(ids, state, resets)
        return cross_entropy(logits, targets)

    def backward(
        self, ids: Array, targets: Array, state: State | None = None, resets: Array | None = None
    ) -> tuple[dict[str, Array], State]:
        """Return the gradients of `loss`, by parameter name, and that of the first state {name: (L, B, H)}."""
        _check_ids("targets", targets, -1, self.shape.vocab, ids.shape)
        gradients = {name: np.zeros_like(value) for name, value in self.parameters.items()}

        h, _, tapes = self._unroll(ids, state, resets)
        dlogits = cross_entropy_backward(self._logits(h), targets)
        dx = self._logits_backward(dlogits, h, gradients)

        dstate = self.zero_state(ids.shape[1])
        for n in reversed(range(self.shape.layers)):
            w, dw = self.layers[n], layer_weights(gradients, n)
            dx, layer_dstate = layer_backward(self.cell, dx, _select_layer(dstate, n), tapes[n], w, dw, resets)
            for name, d in layer_dstate.items():
                dstate[name][n] = d
        return gradients, dstate

    def _unroll(self, ids: Array, state: State | None, resets: Array | None) -> tuple[Array, State, list[list[Saved]]]:
        """Return the outputs (T, B, H) of the top layer, the last state, and the tape of each layer."""
        _check_ids("ids", ids, 0, self.shape.vocab, ids.shape)
        if resets is not None:
            _check_ids("resets", resets, 0, 2, ids.shape)
        if state is None:
            state = self.zero_state(ids.shape[1])
        _check_state(state, self.zero_state(ids.shape[1]))

        h = np.eye(self.shape.vocab, dtype=self.dtype)[ids]  # (T, B, V)
        last = []
        tapes = []
        for n, w in enumerate(self.layers):
            h, layer_state, tape = layer_forward(self.cell, h, _select_layer(state, n), w, resets)
            last.append(layer_state)
            tapes.append(tape)
        return h, {name: np.stack([s[name] for s in last]) for name in state}, tapes

    def _logits(self, h: Array) -> Array:
        return linear(h, self.parameters["out.weight"], self.parameters["out.bias"])

    def _logits_backward(self, dlogits: Array, h: Array, gradients: dict[str, Array]) -> Array:
        W, dW, db = self.parameters["out.weight"], gradients["out.weight"], gradients["out.bias"]
        return np.stack([linear_backward(dlogits[t], h[t], W, dW, db) for t in range(len(h))])


def _select_layer(state: State, n: int) -> State:
    return {name: s[n] for name, s in state.items()}


def _check_ids(name: str, ids: Array, least: int, end: int, size: tuple[int, ...]) -> None:
    if ids.ndim != 2 or ids.size == 0 or ids.shape != size:
        wanted = "(T, B) with T and B at least 1" if ids.shape == size else f"{size}, as ids have"
        raise InputError(f"{name} have shape {ids.shape}; they must have {wanted}")
    if ids.dtype.kind not in "iub" or ids.min() < least or ids.max() >= end:
        raise InputError(f"{name} must be whole numbers from {least} to {end - 1}")


def _check_state(state: State, zeros: State) -> None:
    wanted = {name: z.shape for name, z in zeros.items()}
    given = {name: s.shape for name, s in state.items()}
    if given != wanted:
        raise InputError(f"the state has shapes {given}; it must have {wanted}")


def _check_parameters(shape: ModelShape, parameters: Mapping[str, Array]) -> None:
    wanted = parameter_shapes(shape)
    for name in [*wanted, *parameters]:
        if name not in parameters:
            raise ConfigError(f"parameter {name} is missing")
        if name not in wanted:
            raise ConfigError(f"parameter {name} is unknown; a {shape.layers}-layer {shape.cell} has none of that name")
        if parameters[name].shape != wanted[name]:
            raise ConfigError(f"parameter {name} has shape {parameters[name].shape}; it must be {wanted[name]}")
