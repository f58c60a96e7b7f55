"""Permutations and splits are fixed, because a resumed run depends on them."""

import numpy as np
import pytest

from fastrnn.data.examples.example import permutation, sample_rows, split_rows, training_rows


def test_permutation_is_the_same_for_every_version_of_numpy() -> None:
    assert permutation(8, "epoch", 1, 0).tolist() == [0, 3, 5, 1, 7, 4, 2, 6]
    assert permutation(0, "x").tolist() == []


def test_every_key_gives_a_different_permutation() -> None:
    orders = {tuple(permutation(20, "epoch", seed, epoch)) for seed in range(5) for epoch in range(5)}

    assert len(orders) == 25
    assert all(sorted(order) == list(range(20)) for order in orders)


def test_permutation_is_uniform() -> None:
    first = np.array([permutation(10, "k", i)[0] for i in range(4000)])

    assert np.abs(np.bincount(first, minlength=10) - 400).max() < 100


@pytest.mark.parametrize(
    ("n", "valid", "held"), [(10, 0.1, 1), (10, 0.0, 0), (20050, 0.1, 2005), (1, 0.9, 0), (4, 0.1, 0)]
)
def test_split_partitions_the_rows(n: int, valid: float, held: int) -> None:
    train, rest = split_rows(n, valid, seed=3)

    assert len(rest) == held
    assert sorted([*train, *rest]) == list(range(n))
    assert train.tolist() == training_rows(n, valid, 3).tolist()
    assert (np.diff(train) > 0).all()


def test_another_seed_gives_another_split() -> None:
    assert split_rows(100, 0.1, 1)[1].tolist() != split_rows(100, 0.1, 2)[1].tolist()


def test_sampled_rows_are_sorted_and_at_most_n() -> None:
    assert len(sample_rows(100, 7, 1)) == 7
    assert (np.diff(sample_rows(100, 7, 1)) > 0).all()
    assert sample_rows(3, 7, 1).tolist() == [0, 1, 2]
