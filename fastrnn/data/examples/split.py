"""Which examples train and which validate, and orders that are the same for every version of NumPy."""

import hashlib

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


def permutation(n: int, *key: object) -> Positions:
    """0..n-1 in an order drawn from the key.

    The raw output of PCG64 is the same in every version of NumPy (unlike what its generators make of it), and so is a
    stable sort.
    """
    name = " ".join(map(str, ("fastrnn", *key)))
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest())
    drawn = np.random.PCG64(seed).random_raw(n) if n else np.empty(0, np.uint64)
    return np.argsort(drawn, kind="stable").astype(np.int64)


def split_rows(n: int, valid: float, seed: int) -> tuple[Positions, Positions]:
    """The rows that train and the ``round(valid * n)`` that validate, each in order; at least one trains."""
    count = min(round(valid * n), n - 1)
    order = permutation(n, "split", seed)
    return np.sort(order[count:]), np.sort(order[:count])


def training_rows(n: int, valid: float, seed: int) -> Positions:
    """The rows that train."""
    return split_rows(n, valid, seed)[0]


def some_rows(n: int, count: int, seed: int) -> Positions:
    """``count`` rows drawn by the seed, in order; all if there are fewer."""
    return np.sort(permutation(n, "some", seed)[:count])
