"""Training and validation split, with permutations that do not depend on the version of NumPy."""

import hashlib

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


def permutation(n: int, *key: object) -> Positions:
    """Return a permutation of 0..n-1 determined by the key."""
    name = " ".join(map(str, ("fastrnn", *key)))
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest())

    # The raw output of PCG64 and a stable sort are the same in every version of NumPy.
    # The methods of numpy.random.Generator are not: NEP 19 allows them to change.
    random_keys = np.random.PCG64(seed).random_raw(n) if n else np.empty(0, np.uint64)
    return np.argsort(random_keys, kind="stable").astype(np.int64)


def split_rows(n: int, valid: float, seed: int) -> tuple[Positions, Positions]:
    """Return the sorted training rows and the ``round(valid * n)`` sorted validation rows.

    At least one row is left for training.
    """
    count = min(round(valid * n), n - 1)
    order = permutation(n, "split", seed)
    return np.sort(order[count:]), np.sort(order[:count])


def training_rows(n: int, valid: float, seed: int) -> Positions:
    """Return the sorted training rows of `split_rows`."""
    return split_rows(n, valid, seed)[0]


def sample_rows(n: int, count: int, seed: int) -> Positions:
    """Return ``count`` random rows, sorted; all of them if ``n`` is smaller."""
    return np.sort(permutation(n, "some", seed)[:count])
