"""Alignment and lifetime of the kernels' arrays."""

import gc

import numpy as np
import pytest

from fastrnn.kernels.cpu.memory import zeros


@pytest.mark.parametrize("size", [1, 1 << 10, (1 << 19) - 1, 1 << 19, (1 << 21) + 3, 5 << 20])
def test_bytes_are_aligned_zeroed_and_not_shared(size):
    arrays = [zeros(size, np.uint8) for _ in range(3)]
    for n, array in enumerate(arrays):
        assert array.shape == (size,)
        assert array.ctypes.data % 64 == 0
        assert not array.any()
        array[:] = n + 1
    assert [set(np.unique(array)) for array in arrays] == ([{1}, {2}, {3}])


def test_large_arrays_have_their_shape_and_type():
    array = zeros((3, 300, 400), np.float64)
    assert (array.shape, array.dtype, array.flags.c_contiguous, array.flags.writeable) == (
        (3, 300, 400),
        "f8",
        True,
        True,
    )


def test_view_keeps_a_large_array_alive():
    view = zeros((1024, 1024), np.float32)[10:20]
    view[:] = 7
    gc.collect()
    others = [zeros((1024, 1024), np.float32) for _ in range(3)]
    assert not any(other.any() for other in others)
    assert (view == 7).all()


def test_allocation_beyond_memory_raises_memory_error():
    with pytest.raises(MemoryError):
        zeros(1 << 60, np.uint8)
