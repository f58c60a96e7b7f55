"""The growing array of ids: types, growth, look-up, removal and search, against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.data.text import corpus_encoder
from fastrnn.data.text.corpus_encoder import IdBuffer, id_type

SIZES = [2, 256, 257, 65536, 65537]


def filled(ids: np.ndarray, size: int) -> IdBuffer:
    made = IdBuffer()
    made.widen(size)
    made.append(ids)
    return made


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_encoder, "_PIECE", 7)


@pytest.mark.parametrize(("size", "width"), [(1, 1), (256, 1), (257, 2), (65536, 2), (65537, 4)])
def test_narrowest_type_is_chosen(size: int, width: int) -> None:
    assert id_type(size).itemsize == width


def test_bytes_and_arrays_can_be_mixed_while_the_type_widens() -> None:
    made = IdBuffer()
    made.append(b"\x00\x07\xff")
    made.widen(300)
    made.append(np.array([299, 5]))
    made.append(b"\xfe")
    made.widen(70000)
    made.append(np.array([69999]))
    made.widen(10)

    np.testing.assert_array_equal(made.finish(), [0, 7, 255, 299, 5, 254, 69999])
    assert len(made) == 7
    assert made.last() == 69999


def test_finished_buffer_is_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        filled(np.array([1, 2]), 3).finish()[0] = 1


@pytest.mark.parametrize("before", SIZES)
@pytest.mark.parametrize("after", SIZES)
def test_ids_are_replaced_in_place(before: int, after: int, rng: np.random.Generator) -> None:
    ids = rng.integers(before, size=40)
    table = rng.integers(after, size=before)
    made = filled(ids, before)

    made.remap(table, after)

    np.testing.assert_array_equal(made.finish(), table[ids])
    assert made.finish().dtype == id_type(after)


@pytest.mark.parametrize("size", SIZES)
def test_counts_equal_numpy(size: int, rng: np.random.Generator) -> None:
    ids = rng.integers(size, size=60)

    np.testing.assert_array_equal(filled(ids, size).counts(size), np.bincount(ids, minlength=size))


@pytest.mark.parametrize("size", [3, 300])
def test_removed_ids_leave_the_rest_and_move_positions(size: int, rng: np.random.Generator) -> None:
    ids = rng.integers(size, size=60)
    unwanted = rng.random(size) < 0.4
    positions = np.array([0, 6, 7, 8, 13, 14, 20, 59])
    made = filled(ids, size)

    moved = made.positions_after_removal(unwanted, positions)
    made.remove(unwanted)

    np.testing.assert_array_equal(made.finish(), ids[~unwanted[ids]])
    np.testing.assert_array_equal(moved, [(~unwanted[ids[:p]]).sum() for p in positions])


@given(
    ids=st.lists(st.sampled_from([0, 1, 256, 257]), max_size=40),
    pattern=st.lists(st.sampled_from([0, 1, 256, 257]), min_size=1, max_size=3),
)
def test_pattern_is_found_where_whole_ids_agree(ids: list[int], pattern: list[int]) -> None:
    expected, at = [], 2
    while at + len(pattern) <= len(ids) - 1:
        matches = ids[at : at + len(pattern)] == pattern
        expected += [at] if matches else []
        at += len(pattern) if matches else 1

    found = filled(np.array(ids, np.int64), 300).find(np.array(pattern), 2, max(len(ids) - 1, 0))

    assert found.tolist() == expected
