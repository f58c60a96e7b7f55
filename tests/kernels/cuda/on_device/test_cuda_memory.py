"""Copies and views of arrays on the GPU or its simulator."""

import gc

import numpy as np

from fastrnn.kernels.cuda import memory
from fastrnn.kernels.cuda.memory import clear, copy, copy_state, flat, to_device, to_host


def test_states_are_copied_between_host_and_device(rng):
    """Some rows of one state of several; both on the device, or either on the host."""
    to, values = (rng.normal(size=size).astype(np.float32) for size in ((3, 5, 4), (2, 5, 4)))
    expected = to.copy()
    expected[2, 1:4] = values[0, 1:4]
    for move_to, move_values in ((to_device, to_device), (np.copy, to_device), (to_device, np.copy)):
        changed = move_to(to.copy())
        copy_state(changed, 2, move_values(values), 0, 1, 4)
        np.testing.assert_array_equal(to_host(changed), expected)


def test_states_without_units_are_not_copied():
    """As the cell states of a GRU."""
    nothing = memory.zeros((2, 3, 0), np.float32)
    copy_state(nothing, 0, nothing, 1, 0, 3)
    clear(memory.zeros((3, 0), np.float32), 0, 3)


def test_clear_sets_rows_to_zero(rng):
    for shape in ((5, 3), (7,)):
        array = rng.normal(size=shape).astype(np.float32)
        here = to_device(array)
        clear(here, 1, 4)
        array[1:4] = 0
        np.testing.assert_array_equal(to_host(here), array)


def test_copies_between_device_arrays(rng):
    array = rng.normal(size=(3, 2)).astype(np.float32)
    here = memory.zeros((3, 2), np.float32)
    copy(here, to_device(array))
    np.testing.assert_array_equal(to_host(here), array)


def test_flat_views_are_kept_until_the_array_is_freed():
    array = memory.zeros((2, 3), np.float32)
    view = flat(array)
    assert view.shape == (6,)
    assert flat(array) is view
    key = id(array), "flat"
    assert key in memory._views
    del array
    gc.collect()
    assert key not in memory._views
