"""Any file gives examples or an error of one line."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from example_cases import idx, write
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.config import Config
from fastrnn.data.examples.batching import evaluation_batches
from fastrnn.data.examples.numericalize import numericalize
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.data.examples.schema import TaskSchema
from fastrnn.errors import FastRNNError

KINDS = [
    ("tag", "a.txt"),
    ("tag", "a.conllu"),
    ("classify", "a.tsv"),
    ("classify", "a.jsonl"),
    ("classify", "a.tsv.gz"),
    ("classify", "a.idx"),
    ("classify", "a.npz"),
    ("generate", "a.jsonl"),
    ("translate", "a.tsv"),
    ("forecast", "a.csv"),
    ("regress", "a.csv"),
    ("regress", "a.npz"),
]
PIECES = st.lists(
    st.sampled_from(
        ["\t", "\n", "\n\n", " ", ",", '"', "a", "x", "1", "-1", "0.5", "nan", "#", "1-2", "_", "\r\n", "2024-01-01",
         '{"label": "a", "text": "b"}', '{"given": [1], "text": "b"}', "é", "\0", "\ufeff", "VERB"]
    ),
    max_size=30,
).map("".join)  # fmt: skip


def try_to_read(path: str, task: str) -> None:
    """Read, encode and batch a file; errors must be one line that a user can mend something by."""
    columns = "a" if task == "regress" and path.endswith(".csv") else None
    config = Config(task=task, columns=columns, min_count=1, seq=2, **({"horizon": 1} if task == "forecast" else {}))
    message = ""
    try:
        examples = read_examples([path], task, columns=columns, needs_targets=True)
        data = numericalize(examples, TaskSchema.build(examples, config))
        assert sum(len(batch.rows) for batch in evaluation_batches(data)) == len(data)
    except FastRNNError as error:
        message = str(error)
    assert message.isprintable()


@pytest.mark.parametrize(("task", "name"), KINDS)
def test_random_texts_give_examples_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, task: str, name: str
) -> None:
    folder = tmp_path_factory.mktemp("hostile")

    @given(text=PIECES)
    def check(text: str) -> None:
        data = text.encode()
        try_to_read(write(folder, name, gzip.compress(data) if name.endswith(".gz") else data), task)

    check()


@pytest.mark.parametrize(("task", "name"), KINDS)
def test_random_bytes_give_examples_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, task: str, name: str
) -> None:
    folder = tmp_path_factory.mktemp("hostile")

    @given(data=st.binary(max_size=60))
    def check(data: bytes) -> None:
        try_to_read(write(folder, name, data), task)

    check()


@pytest.mark.parametrize("name", ["a.idx", "a.npz"])
def test_valid_files_with_changed_bytes_give_examples_or_one_error(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "sound.npz", x=np.ones((4, 3, 2), np.float32), y=np.array([0, 1, 0, 1]))
    sound = idx(np.ones((4, 3, 2))) if name == "a.idx" else (tmp_path / "sound.npz").read_bytes()

    @given(changes=st.lists(st.tuples(st.integers(0, len(sound) - 1), st.integers(0, 255)), max_size=4))
    def check(changes: list[tuple[int, int]]) -> None:
        data = bytearray(sound)
        for at, byte in changes:
            data[at] = byte
        try_to_read(write(tmp_path, name, bytes(data)), "classify")

    check()
