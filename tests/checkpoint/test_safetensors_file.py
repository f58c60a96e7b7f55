"""The safetensors format: the exact bytes, and the limits when writing."""

import io

import numpy as np
import pytest

from fastrnn.checkpoint import safetensors_file
from fastrnn.checkpoint.safetensors_file import FormatError, check_layout, encode, read_header, read_tensors


def test_file_has_the_exact_bytes_of_the_format() -> None:
    tensors = {"b": np.array([[1, -2]], np.float32), "a": np.array([0.5], np.float32)}
    header = (
        b'{"__metadata__":{"k":"\\u00e9"},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}'
    )
    padded = header.ljust((len(header) + 7) // 8 * 8)
    numbers = bytes.fromhex("0000803f 000000c0 0000003f")
    assert encode(tensors, {"k": "é"}) == len(padded).to_bytes(8, "little") + padded + numbers


def test_big_endian_arrays_are_written_little_endian() -> None:
    assert encode({"a": np.array([1.5, 2], ">f8")}, {}) == encode({"a": np.array([1.5, 2], "<f8")}, {})


def test_empty_arrays_and_scalars_round_trip() -> None:
    tensors = {"none": np.empty((0, 3), np.float32), "one": np.array(2.0), "last": np.empty(0, np.float32)}
    data = encode(tensors, {})
    file = io.BytesIO(data)
    found = read_tensors(file, check_layout(read_header(file, len(data))))
    assert {name: (array.shape, array.dtype) for name, array in found.items()} == {
        name: (array.shape, array.dtype) for name, array in tensors.items()
    }
    assert found["one"] == 2


def test_header_too_long_for_readers_is_not_written(monkeypatch) -> None:
    monkeypatch.setattr(safetensors_file, "MAX_HEADER", 1000)
    with pytest.raises(FormatError, match="need a header of 1024 bytes: too long"):
        encode({}, {"k": "x" * 994})


@pytest.mark.parametrize("limits", [{"MAX_HEADER": 1021}, {"_LONGEST": 1024}], ids=str)
def test_longest_allowed_header_round_trips(monkeypatch, limits) -> None:
    for name, most in limits.items():
        monkeypatch.setattr(safetensors_file, name, most)
    data = encode({}, {"k": "x" * 994})
    assert int.from_bytes(data[:8], "little") == 1024
    assert read_header(io.BytesIO(data), len(data)).metadata == {"k": "x" * 994}
    for name, most in limits.items():
        monkeypatch.setattr(safetensors_file, name, most - 1)
    with pytest.raises(FormatError, match="too long"):
        encode({}, {"k": "x" * 994})
    with pytest.raises(FormatError):
        read_header(io.BytesIO(data), len(data))


def test_large_model_may_have_a_longer_header(monkeypatch) -> None:
    """Its vocabulary is: 8/11 of the limit and 3/11 of the file's bytes, header included."""
    monkeypatch.setattr(safetensors_file, "MAX_HEADER", 1100)
    notes = {"k": "x" * 3000}
    with pytest.raises(FormatError, match="too long for so small a model"):
        encode({"a": np.zeros(1000, np.float32)}, notes)
    data = encode({"a": np.zeros(2000, np.float32)}, notes)
    assert read_header(io.BytesIO(data), len(data)).metadata == notes
