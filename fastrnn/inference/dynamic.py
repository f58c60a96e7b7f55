"""Dynamic evaluation: a language model is scored on a text while it learns from that text.

Krause, Kahembwe, Murray and Renals 2018, "Dynamic evaluation of neural sequence models". The text is read once, from
its start, in one stream of short windows. Each window is scored first; only then do its gradients g change the
parameters p, which are also drawn back to their trained values p_0:

    p <- p - lr * g / (rms + mean(rms));    p <- p + decay * (p_0 - p)

rms is the root mean square of each parameter's gradient and mean(rms) its mean over all parameters. Krause et al.
measure it on the training text. Here it is the mean over the windows scored so far, so that it needs neither that
text nor the state of an optimizer: it is there for every model, on the scale of these windows, and uses nothing of
what is not scored yet. The pull back to the trained values is the same for every parameter, without the weights that
they give it.

The result is another kind of figure than a loss of fixed parameters: state it separately.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.text.bptt import Window, evaluation_windows
from ..data.text.corpus import Corpus
from ..errors import ConfigError, DivergedError
from ..nn.matmul_mode import EXACT
from ..nn.network import Network, State
from ..nn.parameters import Parameters
from ..plain import check_whole, format_number, to_plain
from .evaluation import Evaluation

Array = np.ndarray[Any, Any]
# Called after each window with the share of the text scored so far and the mean loss over it in nats.
EvaluationProgress = Callable[[float, float], None]

_BLOCK = 1 << 15  # parameters updated at once: the arrays of a block stay in the cache
_MAX_SEQ = 4096


@dataclass(frozen=True)
class DynamicSettings:
    """Settings of a dynamic evaluation.

    Args:
        lr: Learning rate, at least 0. Default 0.001.
        decay: Share of the way back to the trained parameters after each window, 0 to 1. Default 0.001.
        seq: Tokens per window, 1 to 4096. Default 64.

    Raises:
        ConfigError: A setting is out of range or of another type.
    """

    lr: float = 0.001
    decay: float = 0.001
    seq: int = 64

    def __post_init__(self) -> None:
        for name, kind in (("lr", float), ("decay", float), ("seq", int)):
            object.__setattr__(self, name, to_plain(name, getattr(self, name), kind))
        if not (math.isfinite(self.lr) and self.lr >= 0):
            raise ConfigError(f"lr is {format_number(self.lr)}; it must be a finite number of at least 0")
        if not 0 <= self.decay <= 1:
            raise ConfigError(f"decay is {format_number(self.decay)}; it must be from 0 to 1")
        check_whole("seq", self.seq, 1, _MAX_SEQ)


class DynamicModel:
    """A copy of a network that learns from each window after scoring it. The network itself does not change.

    Args:
        network: The trained network; the copy uses its threads.
        settings: Learning rate and decay.

    Attributes:
        network: The copy, with its present parameters; products in the type of the parameters.
        state: The state after the last window, name -> (L, 1, H).
    """

    def __init__(self, network: Network, settings: DynamicSettings) -> None:
        kernels = network.kernels
        parameters = Parameters(network.shape, network.dtype, kernels)
        kernels.copy(parameters.flat, network.parameters.flat)
        self.network = network.with_shared_parameters(EXACT, _Owner(network.pool, parameters))
        self.state: State = self.network.initial_state(1)
        self._lr, self._decay = settings.lr, settings.decay

        # (N,) on the host: the parameters now and as trained, and the sum of the squared gradients of the windows
        self._parameters = np.array(kernels.to_host(parameters.flat))
        self._trained = self._parameters.copy()
        self._squares = np.zeros_like(self._parameters)
        self._windows = 0

    def score(self, window: Window) -> Array:
        """Return the losses (T, 1) of a window in nats, as they are before the model learns from it."""
        self.network.train_step_gradients(window, self.state)
        losses = np.array(self.network.kernels.to_host(self.network.losses))
        if self._lr and window.scored_count:
            # A rate that is too high shows as a loss that is not finite; NumPy's warnings would come first.
            with np.errstate(all="ignore"):
                self._learn(self.network.kernels.to_host(self.network.gradients.flat))
        return losses

    def _learn(self, gradient: Array) -> None:
        """Change the parameters by the gradient (N,) of the window that was scored."""
        self._windows += 1
        blocks = [slice(lo, lo + _BLOCK) for lo in range(0, gradient.size, _BLOCK)]
        total = 0.0
        for block in blocks:
            self._squares[block] += np.square(gradient[block])
            total += float(self._rms(block).sum(dtype=np.float64))
        mean = gradient.dtype.type(total / gradient.size)
        if mean == 0:  # every gradient so far is zero
            return

        lr, decay = gradient.dtype.type(self._lr), gradient.dtype.type(self._decay)
        for block in blocks:
            p = self._parameters[block]
            p -= lr * gradient[block] / (self._rms(block) + mean)
            p += decay * (self._trained[block] - p)
        self.network.kernels.copy(self.network.parameters.flat, self._parameters)

    def _rms(self, block: slice) -> Array:
        rms: Array = np.sqrt(self._squares[block] / self._squares.dtype.type(self._windows))
        return rms


@dataclass
class _Owner:
    """For the network of a `DynamicModel`: the threads of the original, and parameters of its own."""

    pool: Any
    parameters: Parameters


def dynamic_windows(corpus: Corpus, seq: int) -> Iterator[Window]:
    """Yield the windows of a dynamic evaluation: one stream from the start of the corpus, every position once."""
    return evaluation_windows(corpus, seq=seq, streams=1)


def evaluate_dynamic(
    network: Network, corpus: Corpus, settings: DynamicSettings, progress: EvaluationProgress | None = None
) -> Evaluation:
    """The mean loss over all predicted positions of a corpus, each scored before the model learns from it.

    Args:
        network: The trained network; it does not change.
        corpus: The text.
        settings: Learning rate, decay and length of the windows.
        progress: Called after each window.

    Returns:
        The evaluation.

    Raises:
        DivergedError: The loss became NaN or infinite.
    """
    model = DynamicModel(network, settings)
    chars, read, total = 0, 0, 0.0
    for window in dynamic_windows(corpus, settings.seq):
        total += float(model.score(window).sum(dtype=np.float64))
        chars += window.scored_count
        read += window.count
        if not math.isfinite(total):
            raise DivergedError(
                f"the loss is not finite within the first {read:,} tokens: lr {settings.lr:g} is too high for this "
                "model; give a smaller one"
            )
        if progress is not None:
            progress(min(1.0, read / len(corpus.ids)), total / max(1, chars))
    return Evaluation(chars, total / max(1, chars))
