"""Reference language model: one-hot input, L layers unrolled over time, a linear layer to V logits, and the loss.

x_t = one-hot(id_t);    h^l_t = step(h^(l-1)_t, h^l_{t-1}) with h^0 = x;    o_t = W_out h^L_t + b_out

A layer is a cell unrolled over time, in one or both directions, and back-propagation through time.

Forward, with the same weights W at every step:

    for t = 0 .. T-1:    h_t = step(x_t, h_{t-1})

Backward (Werbos 1990): the loss E depends on W through every step,

    dE/dW = sum over t, sum over k <= t, of  dE_t/dh_t (product over j = k+1 .. t of dh_j/dh_{j-1}) dh_k/dW

but this double sum takes a single loop. From the last step to the first, the gradient of h_t is that from the layer
above plus that from step t+1, which already contains every later E_t with its product of factors:

    for t = T-1 .. 0:    dh_t = (from above)_t + (from t+1);   dx_t, dh_{t-1}, dW += step_backward(dh_t)

Where a document starts, the state is reset to zero before the step, so no gradient flows back past it.

A bidirectional layer (Schuster and Paliwal 1997) runs a second layer, with weights of its own, from T-1 to 0:

    h>_t = step(x_t, h>_{t-1})       h<_t = step(x_t, h<_{t+1})       y_t = [h>_t, h<_t]

It is the same layer on the reversed sequence, its outputs reversed again; dx is the sum of both directions' dx.

The loss is softmax and cross-entropy, in nats per scored position.

    p_k = e^(o_k) / sum over j of e^(o_j)                 softmax of the logits o
    E_t = -log p_y                                        cross-entropy of the target y
    E   = mean of E_t over the scored positions           the lectures' sum over time, divided by their number

Backward:  do_k = (p_k - [k = y]) / (number of scored positions). Over k these add up to zero.

A target of -1 is not scored: it contributes neither loss nor gradient. Without scored targets the loss is 0.

A model may also read n-grams: x_t then has a component for each of them, 1 for those that end at step t and 0 for the
others, and W_ih a column for each.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..cells import CELLS as SPECS
from ..errors import ConfigError, InputError
from ..shapes import NGRAM_WEIGHT, ModelShape, language_model_shapes
from .cells import (
    Array,
    NormWeights,
    State,
    Weights,
    gru_simplified_step,
    gru_simplified_step_backward,
    gru_step,
    gru_step_backward,
    linear,
    linear_backward,
    lstm_norm_step,
    lstm_norm_step_backward,
    lstm_step,
    lstm_step_backward,
    relu,
    relu_slope,
    rnn_step,
    rnn_step_backward,
)

Saved = tuple[Array, ...]
LayerWeights = Weights | NormWeights


class Cell(NamedTuple):
    """The forward and the backward step of a cell."""

    step: Callable[[Array, State, Any], tuple[State, Saved]]
    step_backward: Callable[[State, Saved, Any, Any], tuple[Array, State]]


CELLS = {
    "rnn": Cell(rnn_step, rnn_step_backward),
    "rnn-relu": Cell(partial(rnn_step, f=relu), partial(rnn_step_backward, slope=relu_slope)),
    "gru": Cell(gru_step, gru_step_backward),
    "gru-simplified": Cell(gru_simplified_step, gru_simplified_step_backward),
    "lstm": Cell(lstm_step, lstm_step_backward),
    "lstm-norm": Cell(lstm_norm_step, lstm_norm_step_backward),
}


def layer_forward(
    cell: Cell, x: Array, state: State, w: LayerWeights, resets: Array | None = None
) -> tuple[Array, State, list[Saved]]:
    """Return the outputs h (T, B, H) of a layer, its last state, and the tape for `layer_backward`.

    x (T, B, F); state {name: (B, H)}, not modified; resets (T, B) is 1 where the state is zeroed before the step.
    """
    outputs = []
    tape = []
    for t in range(len(x)):
        state, saved = cell.step(x[t], _reset_state(state, resets, t), w)
        outputs.append(state["h"])
        tape.append(saved)
    return np.stack(outputs), state, tape


def layer_backward(
    cell: Cell,
    dh: Array,
    dstate: State,
    tape: list[Saved],
    w: LayerWeights,
    dw: LayerWeights,
    resets: Array | None = None,
) -> tuple[Array, State]:
    """Return dx (T, B, F) and the gradient of the first state; add to dw.

    dh (T, B, H) is the gradient of the outputs; dstate {name: (B, H)} that of the last state (zeros in truncated
    back-propagation); tape and resets are those of `layer_forward`.
    """
    dx = []
    for t in reversed(range(len(dh))):
        dstate = {**dstate, "h": dstate["h"] + dh[t]}
        dx_t, dstate = cell.step_backward(dstate, tape[t], w, dw)
        dstate = _reset_state(dstate, resets, t)
        dx.append(dx_t)
    return np.stack(dx[::-1]), dstate


def _reset_state(state: State, resets: Array | None, t: int) -> State:
    """Return the state (B, H) before step t, or its gradient, with zeros in the streams that are reset."""
    if resets is None:
        return state
    is_reset = np.asarray(resets[t], dtype=bool)[:, np.newaxis]
    return {name: np.where(is_reset, 0, s) for name, s in state.items()}


Both = tuple[State, State]  # forward direction, backward direction


def bidirectional_forward(
    cell: Cell, x: Array, states: Both, w: tuple[LayerWeights, LayerWeights]
) -> tuple[Array, Both, tuple[list[Saved], list[Saved]]]:
    """Return the outputs y (T, B, 2H), the last state of each direction, and the tapes for `bidirectional_backward`.

    x (T, B, F). The backward direction's first state is the one after step T-1, its last state the one at step 0.
    """
    forward, last_forward, tape_forward = layer_forward(cell, x, states[0], w[0])
    backward, last_backward, tape_backward = layer_forward(cell, x[::-1], states[1], w[1])
    y = np.concatenate([forward, backward[::-1]], axis=2)
    return y, (last_forward, last_backward), (tape_forward, tape_backward)


def bidirectional_backward(
    cell: Cell,
    dy: Array,
    dstates: Both,
    tapes: tuple[list[Saved], list[Saved]],
    w: tuple[LayerWeights, LayerWeights],
    dw: tuple[LayerWeights, LayerWeights],
) -> tuple[Array, Both]:
    """Return dx (T, B, F) and the gradients of the first states from dy (T, B, 2H) and dstates; add to dw."""
    dforward, dbackward = np.split(dy, 2, axis=2)
    dx_forward, first_forward = layer_backward(cell, dforward, dstates[0], tapes[0], w[0], dw[0])
    dx_backward, first_backward = layer_backward(cell, dbackward[::-1], dstates[1], tapes[1], w[1], dw[1])
    return dx_forward + dx_backward[::-1], (first_forward, first_backward)


def log_softmax(logits: Array) -> Array:
    """Return log p, (..., V)."""
    # subtracting the largest logit changes no p and keeps e^o from overflowing
    shifted: Array = logits - logits.max(axis=-1, keepdims=True)
    log_total: Array = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted - log_total


def softmax(logits: Array) -> Array:
    """Return p, (..., V): positive, with sum 1."""
    return np.exp(log_softmax(logits))


def cross_entropy(logits: Array, targets: Array) -> float:
    """Return the mean nats of the scored positions; logits (T, B, V), targets (T, B) in -1 .. V-1."""
    scored = targets >= 0
    log_p = log_softmax(logits)[scored]
    nats = -log_p[np.arange(len(log_p)), targets[scored]]
    return float(nats.sum() / max(len(nats), 1))


def cross_entropy_backward(logits: Array, targets: Array) -> Array:
    """Return the gradient of `cross_entropy` with respect to the logits, (T, B, V)."""
    scored = targets >= 0
    dlogits = np.zeros_like(logits)
    p_minus_target = softmax(logits[scored])
    p_minus_target[np.arange(len(p_minus_target)), targets[scored]] -= 1
    dlogits[scored] = p_minus_target / max(len(p_minus_target), 1)
    return dlogits


def layer_weights(parameters: Mapping[str, Array], n: int, suffix: str = "") -> LayerWeights:
    """Return the four arrays of layer n, as views, from a dictionary of parameters or of gradients.

    suffix is ``"_reverse"`` for the backward direction.
    """
    normed = f"rnn.gain_l{n}{suffix}" in parameters
    kinds = ("weight_ih", "weight_hh", "gain", "bias") if normed else ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    arrays = (parameters[f"rnn.{kind}_l{n}{suffix}"] for kind in kinds)
    return NormWeights(*arrays) if normed else Weights(*arrays)


class Reference:
    """Reference implementation of a language model, against which the compiled kernels are tested.

    Arguments of the methods:

    - ids (T, B): in 0 .. V-1.
    - targets (T, B): in -1 .. V-1, where -1 is not scored.
    - state {name: (L, B, H)}: the state before the first step, with the names of the cell's states; zeros by default.
      It is never modified in place.
    - resets (T, B): 1 where the state is zeroed before the step; none by default.

    No n-gram reaches over a reset, or to before the first of the ids unless the ids before are given.

    Args:
        shape: Cell, L, H and V of the model, and N if it reads n-grams.
        parameters: Arrays with the names and shapes of `fastrnn.shapes.language_model_shapes`. An array that
            already has the dtype is used without a copy, so a change to it changes the model.
        dtype: Floating-point type of all arrays.
        ngrams: The ids of each of the N n-grams.

    Raises:
        ConfigError: If a parameter is missing, is unknown or has another shape.
        InputError: (methods) If ids, targets, state or resets have wrong shapes or values.
    """

    def __init__(
        self,
        shape: ModelShape,
        parameters: Mapping[str, Array],
        dtype: Any = np.float64,
        ngrams: Sequence[tuple[int, ...]] = (),
    ) -> None:
        _check_parameters(shape, parameters)
        assert len(ngrams) == shape.ngrams
        self.ngrams = ngrams
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.cell = CELLS[shape.cell]
        self.parameters = {name: np.asarray(value, self.dtype) for name, value in parameters.items()}
        self.layers = [layer_weights(self.parameters, n) for n in range(shape.layers)]
        self.state: State | None = None
        self._before: Array | None = None  # the ids of all steps so far, (T, B)

    def step(self, x: ArrayLike) -> Array:
        """Return the logits (V,) of an id or (B, V) of ids (B,), and keep the state; the lectures' ``rnn.step``."""
        ids = np.asarray(x)
        logits, self.state = self.forward(ids.reshape(1, -1), self.state, before=self._before)
        self._before = (
            ids.reshape(1, -1) if self._before is None else np.concatenate([self._before, ids.reshape(1, -1)])
        )
        return logits.reshape(*ids.shape, self.shape.vocab)

    def reset(self) -> None:
        """Reset the state that `step` keeps."""
        self.state = self._before = None

    def zero_state(self, batch: int) -> State:
        """Return the initial state: zeros, {name: (L, B, H)}."""
        size = (self.shape.layers, batch, self.shape.hidden)
        return {name: np.zeros(size, self.dtype) for name in SPECS[self.shape.cell].states}

    def forward(
        self, ids: Array, state: State | None = None, resets: Array | None = None, before: Array | None = None
    ) -> tuple[Array, State]:
        """Return the logits (T, B, V) and the last state.

        ``before``: ids of earlier steps (T', B) with which n-grams may begin.
        """
        h, state, _ = self._unroll(ids, state, resets, before)
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
            w, dw = self._layer_weights(self.parameters, n), self._layer_weights(gradients, n)
            dx, layer_dstate = layer_backward(self.cell, dx, _select_layer(dstate, n), tapes[n], w, dw, resets)
            for name, d in layer_dstate.items():
                dstate[name][n] = d
            if n == 0 and self.ngrams:  # then dw has a copy of these
                gradients["rnn.weight_ih_l0"] += dw.W_ih[:, : self.shape.vocab]
                gradients[f"rnn.{NGRAM_WEIGHT}_l0"] += dw.W_ih[:, self.shape.vocab :].T
        return gradients, dstate

    def _unroll(
        self, ids: Array, state: State | None, resets: Array | None, before: Array | None = None
    ) -> tuple[Array, State, list[list[Saved]]]:
        """Return the outputs (T, B, H) of the top layer, the last state, and the tape of each layer."""
        _check_ids("ids", ids, 0, self.shape.vocab, ids.shape)
        if resets is not None:
            _check_ids("resets", resets, 0, 2, ids.shape)
        if state is None:
            state = self.zero_state(ids.shape[1])
        _check_state(state, self.zero_state(ids.shape[1]))

        h = np.eye(self.shape.vocab, dtype=self.dtype)[ids]  # (T, B, V)
        if self.ngrams:
            h = np.concatenate([h, self._ngram_inputs(ids, resets, before)], axis=-1)  # (T, B, V + N)
        last = []
        tapes = []
        for n in range(self.shape.layers):
            w = self._layer_weights(self.parameters, n)
            h, layer_state, tape = layer_forward(self.cell, h, _select_layer(state, n), w, resets)
            last.append(layer_state)
            tapes.append(tape)
        return h, {name: np.stack([s[name] for s in last]) for name in state}, tapes

    def _layer_weights(self, parameters: Mapping[str, Array], n: int) -> LayerWeights:
        """Return the arrays of layer n; with n-grams a copy of W_ih of the first layer, (G*H, V + N)."""
        weights = layer_weights(parameters, n)
        if n or not self.ngrams:
            return weights
        return weights._replace(W_ih=np.concatenate([weights.W_ih, parameters[f"rnn.{NGRAM_WEIGHT}_l0"].T], axis=1))

    def _ngram_inputs(self, ids: Array, resets: Array | None, before: Array | None) -> Array:
        """Return 1 where an n-gram ends, else 0, (T, B, N)."""
        inputs = np.zeros((*ids.shape, len(self.ngrams)), self.dtype)
        for b in range(ids.shape[1]):
            read = [] if before is None else before[:, b].tolist()
            for t in range(len(ids)):
                if resets is not None and resets[t, b]:
                    read = []
                read.append(int(ids[t, b]))
                for n, ngram in enumerate(self.ngrams):
                    inputs[t, b, n] = tuple(read[-len(ngram) :]) == tuple(ngram)
        return inputs

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
    wanted = language_model_shapes(shape)
    for name in [*wanted, *parameters]:
        if name not in parameters:
            raise ConfigError(f"parameter {name} is missing")
        if name not in wanted:
            raise ConfigError(f"parameter {name} is unknown; a {shape.layers}-layer {shape.cell} has none of that name")
        if parameters[name].shape != wanted[name]:
            raise ConfigError(f"parameter {name} has shape {parameters[name].shape}; it must be {wanted[name]}")
