"""idx and npz files: their content, and validation of their headers."""

import gzip
import io
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_cases import examples, idx, write

from fastrnn.data.examples.readers import arrays
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.data.text.sources import Source
from fastrnn.errors import InputError

IMAGES = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
LABELS = np.array([7, 0, 7], np.uint8)


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


@pytest.fixture
def images(tmp_path: Path) -> str:
    write(tmp_path, "t10k-labels-idx1-ubyte.gz", gzip.compress(idx(LABELS)))
    return write(tmp_path, "t10k-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES)))


def test_images_are_sequences_of_rows_with_the_labels_beside_them(images: str) -> None:
    found = examples(images, "classify")

    np.testing.assert_array_equal([x for x, _ in found], IMAGES)
    assert [y for _, y in found] == ["7", "0", "7"]
    assert found[0][0].dtype == np.uint8


def test_folder_of_idx_files_gives_its_images(images: str) -> None:
    assert len(examples(str(Path(images).parent), "classify")) == 3


def test_labels_may_be_named_and_for_prediction_missing(tmp_path: Path) -> None:
    path = write(tmp_path, "digits.idx", idx(IMAGES))
    labels = write(tmp_path, "labels.idx", idx(LABELS))

    assert [y for _, y in examples(path, "classify", labels=labels)] == ["7", "0", "7"]
    assert [y for _, y in examples(path, "classify", needs_targets=False)] == [None] * 3
    with pytest.raises(InputError, match=r"digits\.idx: no labels; name their idx file with --labels$"):
        examples(path, "classify")


@pytest.mark.parametrize("code", [0x09, 0x0B, 0x0C, 0x0D, 0x0E])
def test_every_type_of_idx_is_read(tmp_path: Path, code: int) -> None:
    array = np.array([[1, -2], [3, 4]])
    path = write(tmp_path, "a.idx", idx(array, code))

    np.testing.assert_array_equal([x for x, _ in examples(path, "classify", needs_targets=False)], array[:, None])


def test_npz_gives_classes_and_outputs(tmp_path: Path) -> None:
    x = np.ones((2, 3, 2), np.float64)
    x[1, 2] = np.nan  # padding
    path = write(tmp_path, "a.npz", npz(x=x, y=np.array(["cat", "dog"])))
    found = examples(path, "classify")

    assert [(x.shape, x.dtype, y) for x, y in found] == [((3, 2), np.float64, "cat"), ((2, 2), np.float64, "dog")]
    path = write(tmp_path, "b.npz", npz(x=x, y=np.zeros((2, 3, 1))))
    assert [(x.shape, y.shape) for x, y in examples(path, "regress")] == [((3, 2), (3, 1)), ((2, 2), (2, 1))]
    path = write(tmp_path, "c.npz", npz(x=np.ones((2, 5)), y=np.ones((2, 3), bool)))
    assert [(x.shape, y.shape) for x, y in examples(path, "regress")] == [((1, 5), (1, 3))] * 2
    path = write(tmp_path, "d.npz", npz(x=np.ones((2, 5))))
    assert [y for _, y in examples(path, "regress", needs_targets=False)] == [None, None]


HUGE = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1 << 20, 1 << 10, 1 << 10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated: 0 bytes of 4"),
        (b"\0\0\x08\x03\0\0", "truncated: 6 bytes of 16"),
        (idx(IMAGES)[:-1], "truncated: 39 bytes of 40 that its header promises; get it again"),
        (idx(IMAGES) + b"x", "more than the 40 bytes that its header promises"),
        (b"PK\3\4" + bytes(20), "not an idx file (it starts with 0x504b0304)"),
        (b"\0\0\x07\x03" + bytes(20), "not an idx file"),
        (b"\0\0\x08\x05" + bytes(24), "not an idx file"),
        (HUGE, "its header declares 1,099,511,627,776 bytes; at most 2,147,483,648 are read"),
        (idx(np.zeros((0, 2, 2))), "an array of shape (0, 2, 2); give at least one example"),
        (idx(np.zeros(4)), "the examples: uint8 of shape (4,); give numbers as (N, F) or (N, T, F)"),
    ],
)
def test_invalid_idx_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError) as error:
        examples(write(tmp_path, "a.idx", content), "classify", needs_targets=False)

    assert message in str(error.value)


def test_reader_reads_no_more_than_the_header_declares() -> None:
    given = []

    def endless() -> Iterator[bytes]:
        yield idx(IMAGES)
        while True:
            given.append(1)
            yield bytes(1000)

    with pytest.raises(InputError, match="more than the 40 bytes that its header promises"):
        arrays.read_idx(Source("a.idx", endless))
    assert len(given) == 1


def test_mismatched_labels_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "digits.idx", idx(IMAGES))

    with pytest.raises(InputError, match=r"short\.idx: 2 labels for 3 examples; give the file that belongs to them$"):
        examples(path, "classify", labels=write(tmp_path, "short.idx", idx(LABELS[:2])))
    with pytest.raises(
        InputError, match=r"wide\.idx: an array of shape \(3, 1\), but labels are one whole number each"
    ):
        examples(path, "classify", labels=write(tmp_path, "wide.idx", idx(LABELS[:, None])))


def hostile(shape: str, descr: str = "'<f4'") -> bytes:
    """An npz file whose array declares more than is there."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(64))
    return out.getvalue()


NAN = np.array([[[1.0, 2.0], [np.nan, 1.0]]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a sound .npz file"),
        (npz(x=np.ones((2, 3)))[:-30], "not a sound .npz file"),
        (npz(z=np.ones((2, 3))), "no array 'x'; it holds z: save it with np.savez(..., x=x, y=y)"),
        (npz(x=np.array([[1, 2], [3]], object)), "x.npy holds object; only numbers and texts can be read, not objects"),
        (npz(x=np.ones((2, 3), complex)), "x.npy holds complex128; only numbers"),
        (
            npz(x=np.ones((2, 3)), y=np.array(["a", "b"], object)),
            "y.npy holds object; only numbers and texts can be read, not objects: save it as y.astype(str)",
        ),
        (npz(x=np.ones((2, 3)), y=np.array([b"\xff", b"a"])), "y.npy holds bytes that are not UTF-8"),
        (npz(x=np.ones((2, 3)), y=np.zeros(2)), "for each example: save it as y.astype(int)"),
        (npz(x=np.full((1, 2), 1e300, np.longdouble) ** 3), "x[0, 0, 0] is inf; every number must be finite"),
        (hostile("(1000000, 1000000)"), "its header declares 4,000,000,000,000 bytes; at most"),
        (hostile("(1000, 1000)"), "x.npy has 192 bytes where its header promises 4000128; save it again"),
        (hostile("(2, 2", "'<f4'"), "x.npy is not a NumPy array; save it with np.savez"),
        (npz(x=np.ones((2, 3)), y=np.ones(3)), "x has 2 examples and y 3; make them equal"),
        (npz(x=np.ones(3)), "x: float64 of shape (3,); give numbers as (N, F) or (N, T, F)"),
        (npz(x=NAN), "x[0, 1, 0] is nan; every number must be finite"),
        (npz(x=np.full((1, 2), np.inf)), "x[0, 0, 0] is inf; every number must be finite"),
        (npz(x=np.full((2, 2, 2), np.nan)), "x[0] is an empty sequence; leave it out"),
        (
            npz(x=np.ones((2, 3)), y=np.ones((2, 3))),
            "y is float64 of shape (2, 3); labels are one whole number or text",
        ),
    ],
)
def test_invalid_npz_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError) as error:
        examples(write(tmp_path, "a.npz", content), "classify", needs_targets=False)

    assert message in str(error.value)


def test_outputs_must_match_inputs(tmp_path: Path) -> None:
    path = write(tmp_path, "a.npz", npz(x=np.ones((2, 3, 1)), y=np.ones((2, 4, 1))))
    with pytest.raises(InputError, match=r"x has shape \(2, 3, 1\) and y \(2, 4, 1\) of float64; y is \(N, K\) or"):
        read_examples([path], "regress")
    path = write(tmp_path, "b.npz", npz(x=np.ones((2, 1)), y=np.array([[1], [np.inf]])))
    with pytest.raises(InputError, match=r"b\.npz: y\[1\] is not finite; NaN means that a target is not scored$"):
        read_examples([path], "regress")


def test_size_limit_applies_to_whole_npz_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_MAX_BYTES", 100)

    with pytest.raises(InputError, match=r"split it into several files$"):
        examples(write(tmp_path, "a.npz", npz(x=np.ones((2, 3)))), "classify", needs_targets=False)


def test_byte_labels_become_text(tmp_path: Path) -> None:
    labels = np.array(["cat", "Füchse"])
    path = write(tmp_path, "a.npz", npz(x=np.ones((2, 3)), y=np.char.encode(labels, "utf-8")))

    assert [y for _, y in examples(path, "classify")] == ["cat", "Füchse"]


TYPES = ["f2", "f4", "f8", "longdouble", ">f2", ">f4", ">f8", "i1", "u1", "i8", ">i8", ">u2", "?"]


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_of_number_is_read_without_a_warning(tmp_path: Path, dtype: str) -> None:
    numbers = np.array([[1, 0, 1], [0, 1, 1]])
    x, y = np.asfortranarray(numbers.astype(dtype)), numbers[:, ::-1].astype(dtype)
    path = write(tmp_path, "a.npz", npz(x=x, y=y))

    found = examples(path, "regress")
    np.testing.assert_array_equal([x for x, _ in found], numbers[:, None])
    np.testing.assert_array_equal([y for _, y in found], numbers[:, None, ::-1])
    assert all(x.dtype.isnative and x.dtype.itemsize <= 8 for x, _ in found)
    assert found[0][1].dtype == np.float64


def test_targets_keep_their_digits(tmp_path: Path) -> None:
    y = 1.7e9 + np.arange(2.0)[:, None]
    found = examples(write(tmp_path, "a.npz", npz(x=y, y=y)), "regress")

    assert [(x.item(), y.item()) for x, y in found] == [(1.7e9, 1.7e9), (1.7e9 + 1, 1.7e9 + 1)]
