"""The n-gram embedding of a language model: a row of input weights for each n-gram, with sparse gradients."""

import numpy as np

from ..data.text.ngrams import MAX_ORDER, NO_NGRAM, NGrams
from ..kernels.backend import Backend
from ..kernels.cpu.thread_pool import Part
from ..shapes import NGRAM_WEIGHT
from .parameters import Array, Parameters


class NGramEmbedding:
    """N n-grams and the gradients (N, G*H) of their rows, most of which are zero after a window; N may be 0.

    So only the active rows are cleared, counted in the norm, and updated.

    Args:
        ngrams: The n-grams.
        kernels: Kernels of the device.
        gradients: Gradients of the model.
        prefix: Prefix of the recurrent layers' parameters.

    Attributes:
        keys: Keys of the n-grams, (N,) int64, on the device.
        gradients: Gradients of the rows, (N, G*H).
        active: Numbers of the rows whose gradient may not be zero, ascending, int32, on the device.
        dense_gradients: All other gradients of the model, as parts of the flat array.
    """

    def __init__(self, ngrams: NGrams, kernels: Backend, gradients: Parameters, prefix: str) -> None:
        self.ngrams = ngrams
        self.keys: Array = kernels.to_device(ngrams.keys)
        self._kernels = kernels
        self.active: Array = np.zeros(0, np.int32)
        self.dense_gradients: list[Array] = [gradients.flat]
        self.gradients: Array = kernels.zeros((0, 1), gradients.flat.dtype)
        if len(ngrams):
            name = f"{prefix}.{NGRAM_WEIGHT}_l0"
            start, end = gradients.span(name)
            self.dense_gradients = [gradients.flat[:start], gradients.flat[end:]]
            self.gradients = gradients[name]

    def __len__(self) -> int:
        return len(self.ngrams)

    def initial_state(self, batch: int) -> dict[str, Array]:
        """Return the part of a stream's state that n-grams need, nothing if N is 0.

        ``before`` (1, B, K): the last K tokens fed, the very last first, each plus one; 0 for none. It is on the host;
        `lookup` takes it from the device too.
        """
        if not len(self):
            return {}
        return {"before": np.zeros((1, batch, MAX_ORDER - 1), self.gradients.dtype)}

    def lookup(self, x: Array, resets: Array | None, state: dict[str, Array]) -> Array | None:
        """Return the numbers (T, B, K) of the n-grams that end at each token of a window; None if N is 0.

        Args:
            x: Input ids (T, B).
            resets: 1 where the text starts anew, (T, B); None: nowhere.
            state: State before the window; its ``before`` is replaced.
        """
        if not len(self):
            return None
        before = self._kernels.to_host(state["before"])
        numbers, after = self.ngrams.lookup(x, before[0], resets)
        state["before"] = after[None].astype(before.dtype)
        return numbers

    def set_active(self, numbers: Array | None) -> None:
        """Set `active` to the n-grams of a window, the result of `lookup`."""
        if numbers is not None:
            found = np.unique(numbers).astype(np.int32)
            self.active = self._kernels.to_device(found[found != NO_NGRAM])

    def activate_all(self) -> None:
        """Set `active` to all n-grams."""
        self.active = self._kernels.to_device(np.arange(len(self), dtype=np.int32))

    def clear(self, part: Part) -> None:
        """Set this part of the model's gradients to zero."""
        for array in self.dense_gradients:
            self._kernels.clear(array, *part.range(array.size))
        if self.active.size:
            self._kernels.clear_rows(self.gradients, self.active, *part.range(self.active.size))
