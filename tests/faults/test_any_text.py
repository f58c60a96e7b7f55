"""Any text trains, also one that changes during a run: short runs of `any_text.py` and `changing_text.py`."""

import os
from pathlib import Path

import any_text
import changing_text
import pytest

from fastrnn.data.text.files import expand
from fastrnn.errors import InputError


def test_random_bytes_are_read_exactly_or_refused(tmp_path):
    any_text.random_files(tmp_path, 250, trained=6, seed=1)


def test_random_bytes_as_supervised_data_are_read_or_refused(tmp_path):
    any_text.labelled(tmp_path, 64, seed=1)


@pytest.mark.parametrize(("name", "data"), [odd for odd in any_text.odd_texts(300_000) if odd[0] != "all of Unicode"])
def test_unusual_texts_are_read_exactly_and_train(tmp_path, name, data):
    (tmp_path / "odd").write_bytes(data)
    any_text.reads(tmp_path / "odd", data)
    any_text.trains(tmp_path / "odd", tmp_path / "run", "bytes")


def test_all_of_unicode_round_trips(tmp_path):
    data = dict(any_text.odd_texts(0))["all of Unicode"]
    (tmp_path / "odd").write_bytes(data)
    assert any_text.reads(tmp_path / "odd", data) == 3


def test_data_changed_during_training_does_not_change_the_run(tmp_path):
    assert "7 runs" in changing_text.while_training(tmp_path, len(changing_text.CHANGES))


def test_data_changed_while_read_is_refused_or_harmless(tmp_path):
    assert "14 runs" in changing_text.while_reading(tmp_path, 14)


def chunks_around(path: Path, change) -> list[bytes]:
    """A file's chunks, something being done to it after the first."""
    (source,) = expand([str(path)])
    chunks = source.chunks()
    first = next(chunks)
    change()
    return [first, *chunks]


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_file_rewritten_or_truncated_while_read_is_refused(tmp_path, size):
    path = tmp_path / "x.txt"
    for change in (lambda: path.write_bytes(b"b" * size), lambda: os.truncate(path, 5)):
        path.write_bytes(b"a" * size)
        os.utime(path, (1, 1))
        with pytest.raises(InputError, match="it changed while it was read"):
            chunks_around(path, change)


def test_file_that_grows_or_is_replaced_while_read_gives_its_old_content(tmp_path):
    path, other = tmp_path / "x.txt", tmp_path / "other"

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    path.write_bytes(b"a" * 10)
    assert b"".join(chunks_around(path, grow)).startswith(b"a" * 10)
    path.write_bytes(b"a" * 10)
    other.write_bytes(b"b" * 10)
    assert chunks_around(path, lambda: other.replace(path)) == [b"a" * 10]
