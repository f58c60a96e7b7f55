"""The table of packed number formats: what its module draws is what it holds."""

import re

import numba
import numpy as np
import pytest

from fastrnn.kernels.cpu import packed_formats
from fastrnn.kernels.cpu.packed_formats import FORMATS, PAIRS, by_format, format_of, packed_format
from fastrnn.kernels.cpu.packing import packed_size
from fastrnn.kernels.cpu.target import TARGET


def test_documented_table_is_the_table():
    rows = re.findall(r"^(\S.*?)  +(\S+) +(\d) +(\d) +(float\d\d)$", packed_formats.__doc__ or "", re.M)
    table = [(f.name, f.dtype.name, str(f.per_element), str(f.parts), f.accumulator.name) for f in FORMATS.values()]
    assert rows == table


@pytest.mark.parametrize("name", [packed.name for packed in FORMATS.values()])
def test_format_is_found_by_numpy_and_by_numba_type(name):
    packed = next(packed for packed in FORMATS.values() if packed.name == name)
    assert packed_format(packed.dtype) is packed
    assert format_of(numba.typeof(np.zeros(1, packed.dtype))) is packed


@pytest.mark.parametrize(
    ("dtype", "chosen"),
    [(np.float32, "single"), (np.float64, "single"), (np.uint16, "single"), (np.int32, "pairs"), (np.uint32, "parts")],
)
def test_implementation_is_chosen_by_format(dtype, chosen):
    assert by_format(numba.typeof(np.zeros(1, dtype)), "single", "pairs", "parts") == chosen


@pytest.mark.parametrize("packed", FORMATS.values(), ids=lambda packed: packed.name)
def test_size_holds_every_part_of_every_number(packed):
    k, n = 2 * PAIRS + 1, TARGET.panel(packed.accumulator.itemsize * 8)
    columns = k if packed.per_element == 1 else 2 * PAIRS * packed.parts  # two groups of PAIRS pairs
    assert packed_size(k, n, packed.dtype) == columns * n


def test_other_types_are_no_format():
    with pytest.raises(KeyError):
        packed_format(np.int64)
