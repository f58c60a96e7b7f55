"""The language model: one-hot tokens -> stack of recurrent layers -> linear layer -> softmax."""

from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..config import Config
from ..data.text.ngrams import NGrams
from ..kernels import backend
from ..kernels.backend import Backend
from ..kernels.cpu.thread_pool import Part, Pool
from ..shapes import ModelShape
from .layers import Linear, Rows
from .matmul_mode import EXACT, packed_dtype
from .ngram_embedding import NGramEmbedding
from .parameters import Array, ModelWeights, Parameters, Shape
from .stack import NO_DROPOUT, Dropout, Stack, State
from .weight_dropout import WeightDropout

__all__ = ["Dropout", "Model", "Network", "State", "Stepper", "TrainingPass"]


class ParameterOwner(Protocol):
    """A network or model whose threads and parameters another network may share."""

    pool: Pool
    parameters: Parameters


class Shared(NamedTuple):
    """Parts of one network or model that another network uses instead of new ones.

    Args:
        pool: Its threads.
        parameters: Its parameters.
        gradients: Gradients to add to; default: new ones.
        weight_dropout: That of the model whose training steps the network takes part in; default: a new one.
    """

    pool: Pool
    parameters: Parameters
    gradients: Parameters | None = None
    weight_dropout: WeightDropout | None = None


class TokenWindow(Protocol):
    """A training window, of ids, see `fastrnn.data.text.bptt.Window`."""

    @property
    def x(self) -> Array: ...
    @property
    def y(self) -> Array: ...
    @property
    def resets(self) -> Array | None: ...


class TrainingPass(NamedTuple):
    """Options of a training pass.

    Args:
        dropout: Dropout and the position of its masks.
        scale: Factor on the loss of each position, 1/N for a mean over N positions.
    """

    dropout: Dropout = NO_DROPOUT
    scale: float = 1.0


class Model(Protocol):
    """The interface between a model and the trainer: of `Network` and of `fastrnn.nn.models.SupervisedModel`."""

    parameters: Parameters
    gradients: Parameters
    pool: Pool
    kernels: Backend
    dtype: np.dtype[Any]

    @property
    def shape(self) -> Shape:
        """The properties that `initialise` needs."""

    def initial_state(self, batch: int) -> State:
        """Return the state carried from window to window; empty for supervised tasks."""

    def train_step_gradients(self, window: Any, state: State, dropout: Dropout = NO_DROPOUT) -> float:
        """Return the mean loss over scored positions; its gradient replaces `gradients`.

        The same arguments give the same bits.

        Args:
            window: A window or batch of the task's data.
            state: State carried on in place, see `initial_state`.
            dropout: Probabilities and masks.
        """


class Network:
    """A language model with V tokens, its gradients, and its arrays for one window.

    Not thread-safe: it runs its own pool of threads.

    Args:
        shape: Cell, L, H and V.
        dtype: float32 or float64.
        threads: Number of threads; default: one for each fast core.
        device: "cpu" or "cuda".
        shared: Parts of another network or model; windows are always separate. Default: all are new.
        matmul_mode: Precision of matrix products, see `fastrnn.nn.matmul_mode`.
        ngrams: The n-grams that the first layer reads, ``shape.ngrams`` of them; default: none.

    Raises:
        BackendError: The device is not available or does not support the mode.
    """

    def __init__(
        self,
        shape: ModelShape,
        *,
        dtype: Any = np.float32,
        threads: int | None = None,
        device: str = "cpu",
        shared: Shared | None = None,
        matmul_mode: str = EXACT,
        ngrams: NGrams | None = None,
    ) -> None:
        self.kernels = backend.load(device)
        backend.check_cell(device, shape.cell)
        self.device = device
        self.shape = shape
        self.matmul_mode = matmul_mode
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        if shared is None:
            shared = Shared(self.kernels.Pool(threads), Parameters(shape, dtype, self.kernels))
        self.pool: Pool = shared.pool
        self.parameters: Parameters = shared.parameters
        self.gradients: Parameters = shared.gradients or self.parameters.zeros_like()
        self.packed = packed_dtype(self.kernels, self.dtype, matmul_mode, shape.hidden)
        dropout = shared.weight_dropout or WeightDropout(self.kernels, self.parameters, self.gradients)
        self.weight_dropout: WeightDropout = dropout
        weights = ModelWeights(self.kernels, self.parameters, self.gradients, self.packed, self.weight_dropout.dropped)
        self.stack = Stack(weights, shape.stack)
        self.out = Linear(weights, "out.weight", "out.bias")

        self.ngram_embedding = NGramEmbedding(ngrams or NGrams(shape.vocab), self.kernels, self.gradients, shape.prefix)
        assert len(self.ngram_embedding) == shape.ngrams

        # Arrays of the window, see `allocate`: logits (T, B, V), losses (T, B), and dy without
        # columns for a pass that needs no gradient.
        self._window = (0, 0)  # (T, B)
        self.logits, self.losses, self._no_dy = self._window_arrays(0, 0)
        self._targets = self.kernels.zeros((0, 0), np.int32)  # (T, B), see `set_window`

    @classmethod
    def from_config(cls, config: Config, vocab: int, ngrams: NGrams | None = None) -> "Network":
        """Return a network of the configured size; its parameters are zero.

        Args:
            config: Configuration with ``hidden`` set.
            vocab: V.
            ngrams: As for the class.
        """
        assert config.hidden is not None
        assert config.layers is not None
        shape = ModelShape(config.cell, config.layers, config.hidden, vocab, ngrams=len(ngrams or ()))
        return cls(
            shape,
            dtype=np.dtype(config.dtype),
            threads=config.threads,
            device=config.device,
            matmul_mode=config.matmul_mode,
            ngrams=ngrams,
        )

    def with_shared_parameters(self, matmul_mode: str | None = None, owner: ParameterOwner | None = None) -> "Network":
        """Return a network with these parameters, or those of ``owner``, and separate windows, for another size or
        mode.
        """
        owner = owner or self
        return Network(
            self.shape,
            dtype=self.dtype,
            device=self.device,
            shared=Shared(owner.pool, owner.parameters),
            matmul_mode=matmul_mode or self.matmul_mode,
            ngrams=self.ngram_embedding.ngrams,
        )

    @property
    def layers(self) -> list[Any]:
        """The layers of the stack."""
        return self.stack.flat_layers

    @property
    def w_out(self) -> Array:
        """The packed weights of the output layer."""
        packed: Array = self.out.w
        return packed

    def initial_state(self, batch: int) -> State:
        """Return zeros, name -> (L, B, H); with n-grams also ``before``, see `NGramEmbedding.initial_state`."""
        return self.stack.zero_state(batch) | self.ngram_embedding.initial_state(batch)

    def loss(self, x: Array, y: Array, resets: Array | None, state: State) -> Array:
        """Return the cross-entropy (T, B), in nats, of each target given the tokens so far.

        Args:
            x: Input ids (T, B).
            y: Target ids (T, B); -1: not scored, loss 0.
            resets: 1 where the state is zeroed before the step, (T, B), or None.
            state: Initial state, name -> (L, B, H); replaced by the final state.
        """
        self.set_window(x, y, resets, self.ngram_embedding.lookup(x, resets, state))
        self.stack.set_state(state)
        self.pack_all()
        self.pool.together(lambda part: self.run(part.range(x.shape[1]), None))
        self.stack.get_state(state)
        losses: Array = self.kernels.to_host(self.losses)
        return losses

    def train_step_gradients(self, window: TokenWindow, state: State, dropout: Dropout = NO_DROPOUT) -> float:
        """Return the mean loss over scored positions, in nats, and compute its gradients.

        They replace `gradients`; `dstate` is the gradient of the initial state.

        Args:
            window: Input ids, target ids and resets, (T, B) each, as for `loss`.
            state: Initial state, name -> (L, B, H); replaced by the final state.
            dropout: Probabilities and masks, of units after every layer and of recurrent weights.
        """
        scored = max(1, int(np.count_nonzero(window.y >= 0)))
        training = TrainingPass(dropout, 1 / scored)

        ngrams = self.ngram_embedding.lookup(window.x, window.resets, state)
        self.set_window(window.x, window.y, window.resets, ngrams)
        self.stack.set_state(state)
        self.weight_dropout.start(self.pool, dropout.weight_keep_prob, dropout.key)
        # Three calls of the pool, since each needs all of the one before: packed weights, then
        # gradients of activations.
        self.pool.together(self._pack_for_training)
        self.ngram_embedding.set_active(ngrams)
        self.pool.together(lambda part: self.run(part.range(window.x.shape[1]), training))
        self.pool.together(self.accumulate)
        self.weight_dropout.finish(self.pool)
        self.stack.get_state(state)
        return float(self.kernels.to_host(self.losses).sum(dtype=np.float64)) / scored

    @property
    def dstate(self) -> State:
        """Gradient of the initial state of the last window, name -> (L, B, H)."""
        dstate = self.stack.zero_state(self._window[1])
        self.stack.get_state_gradient(dstate)
        return dstate

    def pack_all(self) -> None:
        """Pack all weights for passes without gradients."""
        self.pool.together(partial(self.pack, backward=False))

    def pack(self, part: Part, backward: bool) -> None:
        """Pack this part of the weights; with ``backward`` also their transposes."""
        self.stack.pack(part, backward)
        self.out.pack(part, backward)

    def _pack_for_training(self, part: Part) -> None:
        """Pack this part of the weights and of their transposes; zero this part of the gradients."""
        self.pack(part, backward=True)
        self.ngram_embedding.clear(part)

    def set_window(self, x: Array, y: Array, resets: Array | None, ngrams: Array | None = None) -> None:
        """Set the next window: ids, targets and resets, (T, B) each, and the result of `NGramEmbedding.lookup`."""
        self.allocate(*x.shape)
        self._targets = self.kernels.to_device(y)
        self.set_input(x, resets, ngrams)

    def set_input(self, x: Array, resets: Array | None, ngrams: Array | None) -> None:
        """Set the input of the next window, as `set_window` but without targets."""
        resets, ngrams = (None if array is None else self.kernels.to_device(array) for array in (resets, ngrams))
        self.stack.set_input(self.kernels.to_device(x), None, resets, ngrams=ngrams)

    def set_state(self, state: State, rows: Rows | None = None) -> None:
        """Set the initial state of the next window, of some batch rows or of all."""
        self.stack.set_state(state, rows)

    def allocate(self, steps: int, batch: int) -> None:
        """Allocate the arrays for windows of T = ``steps`` and B = ``batch``, if the size changed."""
        if self._window == (steps, batch):
            return
        self.stack.allocate(steps, batch)
        self.logits, self.losses, self._no_dy = self._window_arrays(steps, batch)
        self._window = (steps, batch)

    def _window_arrays(self, steps: int, batch: int) -> tuple[Array, Array, Array]:
        zeros = self.kernels.zeros
        logits = zeros((steps, batch, self.shape.vocab), self.dtype)
        return logits, zeros((steps, batch), self.dtype), zeros((steps, batch, 0), self.dtype)

    def window_bytes(self) -> int:
        """Return the bytes of the window's arrays: no weights, gradients or optimizer state."""
        return int(self.stack.window_bytes() + self.logits.nbytes + self.losses.nbytes)

    def run(self, rows: Rows, training: TrainingPass | None) -> None:
        """Run some batch rows forward, and for training backward, through all layers."""
        dropout, scale = training or TrainingPass()
        outputs = self.stack.forward(rows, dropout)
        dy = self._no_dy if training is None else self.stack.dy
        self.out.cross_entropy(rows, outputs, self._targets, scale, self.logits, self.losses, dy)
        if training is not None:
            self.stack.backward(rows, dropout)

    def accumulate(self, part: Part) -> None:
        """Add this part of the weight gradients, summed over all rows and steps."""
        self.stack.accumulate(part)
        self.out.accumulate(part, self.logits, self.stack.outputs)


class Stepper:
    """Feeds tokens to a language model and returns the logits of the next.

    The weights are packed once, here, so that a step reads them and does no other work; later changes of the weights
    have no effect. The caller keeps the state.

    Args:
        network: Network whose parameters and threads are used.
        matmul_mode: Precision of matrix products; default: that of the network.
    """

    def __init__(self, network: Network, matmul_mode: str | None = None) -> None:
        self._network = network.with_shared_parameters(matmul_mode)
        self._network.pack_all()

    def logits(self, ids: Array, state: State) -> Array:
        """Return the logits (B, V) after the ids (T, B), int32.

        ``state``: initial state, name -> (L, B, H); replaced by the final state.
        """
        network, batch = self._network, ids.shape[1]
        network.allocate(*ids.shape)
        network.set_input(ids, None, network.ngram_embedding.lookup(ids, None, state))
        network.stack.set_state(state)
        network.pool.together(lambda part: self._run(part.range(batch)))
        network.stack.get_state(state)
        last: Array = network.kernels.to_host(network.logits)[-1]
        return last.copy()

    def _run(self, rows: Rows) -> None:
        network = self._network
        outputs = network.stack.forward(rows, NO_DROPOUT)
        network.out.forward(rows, outputs[-1:], network.logits[-1:])
