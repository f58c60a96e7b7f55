"""One gradient check for everything that has a backward: central differences in float64.

Weights, inputs and the ``dout`` of a fake loss ``(out * dout).sum()`` should be random, with T, B, F and H all
different: with constant weights, swapped gates and a transposed matrix change nothing at all.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def central_difference(
    f: Callable[[], float], array: Array, indices: Iterable[int] | None = None, epsilon: float = 1e-5
) -> Array:
    """(f(a + epsilon) - f(a - epsilon)) / (2 epsilon) for elements of ``array``, which f reads each time it is called.

    array is float64, of any shape; each element is changed in place and put back. indices are positions in the
    flattened array (default: all). Returns one number for each index, as a flat array.
    """
    assert array.dtype == np.float64, f"central differences need float64, not {array.dtype}"
    slopes = []
    for index in range(array.size) if indices is None else indices:
        where = np.unravel_index(index, array.shape)
        value = array[where]
        array[where] = value + epsilon
        above = f()
        array[where] = value - epsilon
        below = f()
        array[where] = value
        slopes.append((above - below) / (2 * epsilon))
    return np.array(slopes)


def relative_error(computed: Array, expected: Array) -> float:
    """The largest difference over the largest magnitude of either; 0 when both are all zeros."""
    size = max(np.abs(computed).max(initial=0), np.abs(expected).max(initial=0))
    return float(np.abs(computed - expected).max(initial=0) / size) if size else 0.0


def check_gradients(
    f: Callable[[], float],
    arrays: Mapping[str, Array],
    gradients: Mapping[str, Array],
    *,
    tolerance: float = 1e-6,
    most: int | None = None,
) -> None:
    """Compare the gradient of f by each named array with central differences; fails on the first that differs.

    gradients has the names and shapes of arrays. With ``most``, only that many elements of each array are tried, a
    seeded choice.
    """
    assert set(gradients) == set(arrays), f"gradients for {sorted(gradients)}, not for {sorted(arrays)}"
    for name, array in arrays.items():
        assert gradients[name].shape == array.shape, f"d{name} has shape {gradients[name].shape}, not {array.shape}"
        indices = np.arange(array.size)
        if most is not None and most < array.size:
            indices = np.random.default_rng(0).choice(array.size, most, replace=False)
        error = relative_error(gradients[name].ravel()[indices], central_difference(f, array, indices.tolist()))
        assert error < tolerance, f"d{name}: relative error {error:.1e}, more than {tolerance:.0e}"
