"""Bundles of kernel arguments, the same for every device: arrays and numbers that belong together.

Numba takes a NamedTuple as a tuple with named fields, so a bundle costs nothing inside a kernel
and about a microsecond at each call from Python. Letters: T time steps, B batch rows, H hidden
units, F input features, V tokens or outputs, E features of a vector, N tokens of a text, G gates,
P gate columns (see `fastrnn.kernels.cpu.recurrence`).
"""

from typing import Any, NamedTuple

Array = Any  # a NumPy array on the CPU, a device array on CUDA


class LayerInput(NamedTuple):
    """Input of a recurrent layer for one window; one-hot tokens, or vectors."""

    ids: Array
    """(T, B) int32: rows of ``table``; zeros if the input is vectors."""
    table: Array
    """(V, P): W_ih x and all biases for each one-hot x; (1, P) the biases, if the input is vectors."""
    x: Array
    """(T, B, F): vectors; F = 0 for one-hot tokens."""
    ngrams: Array
    """(T, B, K) int32: rows of ``ngram_rows`` that are added, -1 for none; K = 0 without n-grams."""
    ngram_rows: Array
    """(N, G*H): a row for each n-gram, with the gates in the order of torch.nn."""
    gate_order: Array
    """(G,): the gate of each of the first G blocks of columns."""


class LayerWeights(NamedTuple):
    """Packed weights of a recurrent layer: as they are for forward, transposed for backward."""

    w_x: Array
    """W_ih, packed (F, G*H); its transpose (G*H, F)."""
    w_h: Array
    """W_hh, packed (H, G*H); its transpose (G*H, H)."""
    gate_width: int
    """G*H."""


class OutputGradients(NamedTuple):
    """Gradients that reach a recurrent layer from outside."""

    dy: Array
    """(T, B, H): of the outputs."""
    dh: Array
    """(B, H): of the final output; replaced by that of the initial one."""
    dc: Array
    """(B, H): of the final cell state, likewise; (B, 0) for cells without one."""


class LayerGradients(NamedTuple):
    """Gradients of the parameters of a recurrent layer."""

    dw_ih: Array
    """(G*H, F): added to; one-hot tokens have theirs in ``dtable``."""
    dw_hh: Array
    """(G*H, H): added to."""
    dtable: Array
    """(V, P): of the input table; overwritten."""
    dngram_rows: Array
    """(N, G*H): added to."""


class OutputLayer(NamedTuple):
    """Parameters of an output layer."""

    w: Array
    """The weight, packed (H, V)."""
    bias: Array
    """(V,)."""
    w_back: Array
    """The weight's transpose, packed (V, H)."""


class Targets(NamedTuple):
    """Targets of a classification, and the losses to compute."""

    targets: Array
    """(T, B) class numbers; -1: ignored."""
    scale: Any
    """Factor of the gradients, of the parameters' type."""
    losses: Array
    """(T, B): overwritten, in nats, without ``scale``."""


class DecoderLayer(NamedTuple):
    """A recurrent layer during sampling: a window of one step. Threads may share its units."""

    cell: Any
    """Arrays of the cell, for the units of this thread."""
    first_unit: int
    """The first unit of this thread."""
    inputs: LayerInput
    """``x`` (2, B, F) is ``h`` of the layer below, by turns of even and odd steps."""
    weights: LayerWeights
    """Packed weights of this thread's units, with all units as inputs."""
    h: Array
    """(2, B, H): outputs of all units, of even and of odd steps."""


class DecoderOutput(NamedTuple):
    """The output layer during sampling."""

    w: Array
    """The weight, packed (H, V)."""
    bias: Array
    """(V,)."""
    logits: Array
    """(1, B, V): working memory."""


class SampledTokens(NamedTuple):
    """Tokens to sample."""

    tokens: Array
    """(N, B): rows from ``given`` on are overwritten."""
    given: int
    """Number of steps whose tokens are fed instead of sampled."""
    uniforms: Array
    """(N, B): random numbers in [0, 1)."""
    before: Array
    """(B, K) int32: the last tokens fed before, the very last first, each plus one; 0 for none. Updated."""
    ngram_keys: Array
    """(N,) int64: keys of the n-grams that the first layer reads, see `fastrnn.data.text.ngrams`."""


class SamplingSettings(NamedTuple):
    """How a token is chosen from its probabilities; see `fastrnn.kernels.cpu.generate.sample_token`."""

    temperature: float
    """Divides the logits; 0: the most likely token."""
    top_k: int
    """Number of most likely tokens to choose from; 0: all."""
    top_p: float
    """Probability mass to choose from; 1: all."""
    min_p: float
    """Smallest probability, relative to the largest; 0: any."""


class BarrierPart(NamedTuple):
    """One thread at a barrier."""

    counts: Array
    """The barrier, from ``barriers``."""
    number: int
    """Number of this thread."""


class AdamWSettings(NamedTuple):
    """Numbers of an AdamW update."""

    scale: float
    """Factor of the gradient, which clips it."""
    lr: float
    """Learning rate."""
    beta1: float
    """Decay rate of the mean of gradients."""
    beta2: float
    """Decay rate of the mean of squared gradients."""
    correction1: float
    """1 - beta1**t for update t = 1, 2, ..."""
    correction2: float
    """1 - beta2**t."""


class DecayingSettings(NamedTuple):
    """Numbers of an update with one moment that decays: momentum and RMSprop."""

    scale: float
    """Factor of the gradient, which clips it."""
    lr: float
    """Learning rate."""
    decay_rate: float
    """Factor of the moment in each update."""


class PlainSettings(NamedTuple):
    """Numbers of an update of SGD or Adagrad."""

    scale: float
    """Factor of the gradient, which clips it."""
    lr: float
    """Learning rate."""
