"""The rows of weights of the n-grams that a language model reads."""

from collections.abc import Mapping

import numpy as np

from ..data.text.ngrams import LONGEST, NONE, NGrams
from ..kernels.backend import Backend
from ..kernels.cpu.thread_pool import Part
from ..shapes import NGRAM_WEIGHT
from .parameters import Array, Parameters


class NGramRows:
    """N n-grams and their gradients (N, G*H), of which a window leaves most rows zero; N may be 0.

    Clearing, norm and update therefore take only the rows in `seen`.

    Args:
        ngrams: The n-grams.
        kernels: Kernels of the device.
        gradients: Gradients of the model.
        prefix: Prefix of the recurrent layers' parameters.

    Attributes:
        gradients: The gradients (N, G*H).
        seen: Numbers of the rows whose gradient may not be zero, ascending, int32.
        others: The other gradients, as parts of the flat array.
    """

    def __init__(self, ngrams: NGrams, kernels: Backend, gradients: Parameters, prefix: str) -> None:
        self.ngrams = ngrams
        self._kernels = kernels
        self.seen = np.zeros(0, np.int32)
        self.others: list[Array] = [gradients.flat]
        self.gradients: Array = kernels.zeros((0, 1), gradients.flat.dtype)
        if len(ngrams):
            name = f"{prefix}.{NGRAM_WEIGHT}_l0"
            start, end = gradients.span(name)
            self.others = [gradients.flat[:start], gradients.flat[end:]]
            self.gradients = gradients[name]

    def __len__(self) -> int:
        return len(self.ngrams)

    def initial_state(self, batch: int) -> dict[str, Array]:
        """Return the part of a stream's state that n-grams need, nothing if N is 0.

        ``before`` (1, B, K): the last K tokens fed, the very last first, each plus one; 0 for none.
        """
        if not len(self):
            return {}
        return {"before": self._kernels.zeros((1, batch, LONGEST - 1), self.gradients.dtype)}

    def number(self, x: Array, resets: Array | None, state: Mapping[str, Array]) -> Array | None:
        """Return the numbers (T, B, K) of the n-grams that end at each token of a window; None if N is 0.

        Args:
            x: Input ids (T, B).
            resets: 1 where the text starts anew, (T, B); None: nowhere.
            state: State before the window; its ``before`` is updated.
        """
        if not len(self):
            return None
        numbers, state["before"][0] = self.ngrams.number(x, state["before"][0], resets)
        return numbers

    def see(self, numbers: Array | None) -> None:
        """Set `seen` to the n-grams of a window, the result of `number`."""
        if numbers is not None:
            found = np.unique(numbers).astype(np.int32)
            self.seen = found[found != NONE]

    def see_all(self) -> None:
        """Set `seen` to all n-grams."""
        self.seen = np.arange(len(self), dtype=np.int32)

    def clear(self, part: Part) -> None:
        """Set this part of the model's gradients to zero."""
        for array in self.others:
            self._kernels.clear(array, *part.range(array.size))
        if self.seen.size:
            self._kernels.clear_rows(self.gradients, self.seen, *part.range(self.seen.size))
