"""Ragged sequences: alignment to the right and left, and selection of rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.data.examples.dataset import Ragged

SEQUENCES = st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=6)


def ragged(sequences: list[list[int]]) -> Ragged:
    return Ragged.from_sequences([np.array(s, np.int32) for s in sequences])


def test_align_right_and_left() -> None:
    found = ragged([[1, 2, 3], [], [4]])
    rows = np.arange(3)

    assert found.align_right(rows).tolist() == [[1, 0, 0], [2, 0, 0], [3, 0, 4]]
    assert found.align_left(rows, -1, extra_steps=1).tolist() == [[1, -1, 4], [2, -1, -1], [3, -1, -1], [-1, -1, -1]]


@given(sequences=SEQUENCES, data=st.data())
def test_sequences_are_aligned_to_the_ends_of_the_batch(sequences: list[list[int]], data: st.DataObject) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, len(sequences) - 1), min_size=1, max_size=5)))
    found = ragged(sequences)
    right, left, taken = found.align_right(rows, -1), found.align_left(rows, -1), found.take(rows)

    assert right.shape == left.shape == (max(len(sequences[i]) for i in rows), len(rows))
    assert right.dtype == np.int32
    for b, row in enumerate(rows):
        wanted = sequences[row]
        assert right[len(right) - len(wanted) :, b].tolist() == left[: len(wanted), b].tolist() == wanted
        assert (right[: len(right) - len(wanted), b] == -1).all()
        assert (left[len(wanted) :, b] == -1).all()
        assert taken.flat[taken.bounds[b] : taken.bounds[b + 1]].tolist() == wanted


def test_steps_may_be_vectors() -> None:
    found = Ragged.from_sequences([np.ones((2, 3)), np.full((1, 3), 2.0)])

    assert found.align_right(np.array([1, 0])).tolist() == [[[0] * 3, [1] * 3], [[2] * 3, [1] * 3]]
