"""Checkpoints: round trips, also with other readers, and refusal of invalid content."""

import dataclasses
import os
import stat

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from checkpoint_samples import TOKENIZERS, assert_same, put_together, sample, sealed, small, take_apart

from fastrnn.cells import RECURRENT_CELLS
from fastrnn.checkpoint import metadata
from fastrnn.checkpoint.checkpoint import from_bytes, load, save, to_bytes
from fastrnn.config import OPTIMIZERS, PRECISIONS
from fastrnn.errors import CheckpointError, OutputError


@pytest.mark.parametrize("cell", RECURRENT_CELLS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_round_trip_of_every_cell(cell: str, precision: str) -> None:
    checkpoint = sample(cell=cell, precision=precision)
    assert_same(from_bytes(to_bytes(checkpoint)), checkpoint)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("tokens", TOKENIZERS)
def test_round_trip_of_every_optimizer_and_vocabulary(optimizer: str, tokens: str) -> None:
    checkpoint = sample(optimizer=optimizer, tokens=tokens, document_separator="\n\n\x00\U0001f600")
    assert_same(from_bytes(to_bytes(checkpoint)), checkpoint)


def test_inference_model_has_neither_moments_nor_state() -> None:
    checkpoint = dataclasses.replace(sample(), optimizer={}, state={})
    assert_same(from_bytes(to_bytes(checkpoint)), checkpoint)


def test_resume_requires_moments_and_state() -> None:
    """A language model its state, the labelled tasks the moments of their optimiser, if it has any."""
    adamw, sgd = sample(optimizer="adamw"), sample(optimizer="sgd")
    tagger, plain = (dataclasses.replace(each, config=each.config.replace(task="tag")) for each in (adamw, sgd))
    assert adamw.resumable is sgd.resumable is tagger.resumable is plain.resumable is True
    assert dataclasses.replace(adamw, state={}).resumable is False
    assert dataclasses.replace(tagger, state={}).resumable is True
    assert dataclasses.replace(tagger, optimizer={}).resumable is False


def test_loaded_arrays_are_writable_and_in_flat_order() -> None:
    checkpoint = from_bytes(to_bytes(sample(cell="lstm")))
    assert list(checkpoint.parameters) == list(sample(cell="lstm").parameters)
    for array in (*checkpoint.parameters.values(), *checkpoint.optimizer.values(), *checkpoint.state.values()):
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.owndata


def test_non_contiguous_arrays_are_written_in_order() -> None:
    checkpoint = sample()
    weights = checkpoint.parameters["out.weight"]
    twisted = checkpoint.parameters | {"out.weight": np.asfortranarray(weights)}
    assert to_bytes(dataclasses.replace(checkpoint, parameters=twisted)) == to_bytes(checkpoint)


def test_same_checkpoint_gives_the_same_bytes() -> None:
    data = to_bytes(sample())
    assert to_bytes(sample()) == data
    assert to_bytes(from_bytes(data)) == data
    assert to_bytes(sample(seed=1)) != data


def test_any_safetensors_reader_can_read_it() -> None:
    checkpoint = sample(cell="lstm")
    tensors = safetensors.numpy.load(to_bytes(checkpoint))
    assert tensors.keys() == {
        *checkpoint.parameters,
        "optimizer.m",
        "optimizer.v",
        "state.h",
        "state.c",
    }
    np.testing.assert_array_equal(tensors["rnn.weight_hh_l1"], checkpoint.parameters["rnn.weight_hh_l1"])
    np.testing.assert_array_equal(tensors["optimizer.v"], checkpoint.optimizer["v"])
    np.testing.assert_array_equal(tensors["state.c"], checkpoint.state["c"])


def test_header_may_have_any_key_order() -> None:
    checkpoint = sample()
    data = to_bytes(checkpoint)
    metadata = take_apart(data)[0]["__metadata__"]
    assert_same(from_bytes(safetensors.numpy.save(safetensors.numpy.load(data), metadata)), checkpoint)


def test_digest_is_blake2b_of_names_and_bytes() -> None:
    header, body = take_apart(small())
    digests = header["__metadata__"]["digest"], header["__metadata__"]["metadata_digest"]
    again, _ = take_apart(sealed(header, body))
    assert (again["__metadata__"]["digest"], again["__metadata__"]["metadata_digest"]) == digests


def test_checkpoint_contains_no_pickle_and_no_code() -> None:
    header, body = take_apart(small())
    assert put_together(header, body)  # JSON and numbers are all there is
    assert len(body) == sum(4 * int(np.prod(claim["shape"])) for name, claim in header.items() if name[0] != "_")


def test_saved_file_loads(tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    save(path, sample(seed=1))
    save(path, sample(seed=2))
    assert_same(load(path), sample(seed=2))
    assert os.listdir(tmp_path) == ["model.safetensors"]
    with safetensors.safe_open(str(path), "numpy") as file:
        assert file.metadata()["format"] == "fastrnn"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_file_has_the_permissions_of_any_new_file(tmp_path) -> None:
    before = os.umask(0o027)
    try:
        save(tmp_path / "model", sample())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o640


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["parameters", "optimizer", "state"])
def test_non_finite_values_are_not_written(tmp_path, monkeypatch, value: float, part: str) -> None:
    monkeypatch.setattr(metadata, "_CHUNK", 3)
    path = tmp_path / "model.safetensors"
    save(path, sample())
    checkpoint = sample(seed=3)
    array = list(getattr(checkpoint, part).values())[-1].reshape(-1)
    for place in (0, 2, 3, array.size - 1):
        array[place], before = value, array[place]
        with pytest.raises(CheckpointError, match="holds NaN or infinity"):
            save(path, checkpoint)
        array[place] = before
    assert_same(load(path), sample())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"progress": {"loss": float("nan")}}, "its progress cannot be kept as JSON"),
        ({"corpus": {"deep": [[[[[[[[[]]]]]]]]]}}, "its corpus cannot be kept as JSON: nested more than 8 deep"),
        ({"progress": {"long": list(range(100_001))}}, "its progress cannot be kept as JSON: more than 1000 values"),
        ({"progress": {"step": -1}}, "its progress is damaged"),
        ({"corpus": {"tokens": -1}}, "its corpus is damaged"),
        ({"tokenizer": TOKENIZERS["bytes"]}, "its vocabulary is of bytes, but its config has tokens = chars"),
        ({"optimizer": {"m": np.zeros(3, np.float32)}}, "tensor 'optimizer.v' is missing"),
        ({"parameters": {}}, "tensor 'rnn.weight_ih_l0' is missing"),
        (
            {"state": {"h": np.zeros((2, 4, 5), np.float32)}},
            r"'state.h' has shape \(2, 4, 5\); its config requires \(2, 3",
        ),
        ({"state": {"h": np.zeros((2, 3, 5))}}, "'state.h' is float64; its config requires float32"),
        ({"state": {"c": np.zeros((2, 3, 5), np.float32)}}, "tensor 'state.h' is missing"),
    ],
)
def test_invalid_checkpoints_are_not_written(changes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        to_bytes(dataclasses.replace(sample(), **changes))


@pytest.mark.parametrize("field", ["hidden", "batch"])
def test_unset_sizes_are_not_written(field: str) -> None:
    checkpoint = sample()
    with pytest.raises(CheckpointError, match=f"its config lacks {field}"):
        to_bytes(dataclasses.replace(checkpoint, config=checkpoint.config.replace(**{field: None})))


def test_file_system_errors_are_one_line(tmp_path) -> None:
    with pytest.raises(CheckpointError, match="no such model; give a run folder"):
        load(tmp_path / "missing")
    with pytest.raises(CheckpointError, match="a folder; give a run folder"):
        load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="an empty file"):
        load(tmp_path / "file")
    with pytest.raises(CheckpointError, match="cannot read this model: Not a directory"):
        load(tmp_path / "file" / "inside")
    with pytest.raises(CheckpointError, match="cannot read this model: File name too long"):
        load(tmp_path / ("x" * 300))
    for name in ("nul\0", "\ud800"):
        with pytest.raises(CheckpointError, match="not the name of a file"):
            load(name)
    with pytest.raises(OutputError, match="its folder does not exist"):
        save(tmp_path / "no" / "model", sample())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_load_of_a_pipe_does_not_block(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="not a regular file"):
        load(tmp_path / "pipe")


def test_disk_failure_is_an_error_of_one_line(tmp_path, monkeypatch) -> None:
    save(tmp_path / "model", sample())

    def broken(path, mode):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("builtins.open", broken)
    with pytest.raises(CheckpointError, match="model: cannot read this model: Input/output error"):
        load(tmp_path / "model")
