"""Damaged model files are detected: short runs of `model_files.py` and `model_fuzz.py`."""

import itertools
import json

import model_files
import model_fuzz
import pytest
from hostile_files import hostile_files
from model_samples import samples, sealed, take_apart

from fastrnn.checkpoint.checkpoint import from_bytes, to_bytes
from fastrnn.errors import CheckpointError
from fastrnn.training.api import resume


def test_mutated_files_are_refused_or_valid():
    model_files.mutated(600, seed=1)


def test_flipped_bits_of_tensors_are_detected():
    assert "300 noticed" in model_files.bits(300, seed=1)


def test_hostile_files_take_little_time_and_memory():
    for _, file in itertools.islice(hostile_files(100_000), 0, None, 7):
        model_files.read(file)


def test_oversized_header_is_refused_before_reading():
    for name, file in itertools.takewhile(lambda pair: pair[0].startswith("header"), hostile_files(13_000_000)):
        assert isinstance(model_files.read(file), str), name


def test_fuzzing_finds_no_crash():
    assert "0 crashes" in model_fuzz.fuzzed(2, seed=1)


@pytest.mark.parametrize("kind", samples())
def test_sample_files_are_valid(kind):
    data = samples()[kind]
    assert to_bytes(from_bytes(data)) == data


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("corpus", '"fingerprint":"00ff"', '"fingerprint":5'),
        ("corpus", '["a.txt","b.txt"]', '["a.txt",5]'),
        ("corpus", '["a.txt","b.txt"]', '"a.txt"'),
        ("corpus", '"tokens":99', '"tokens":[99]'),
        ("progress", '"step":7', '"step":-7'),
        ("progress", '"step":7', '"step":"7"'),
        ("progress", '"step":7', f'"step":{10**30}'),
        ("progress", '"seconds":1.5', '"seconds":null'),
        ("progress", '"valid_nats":0.25', '"valid_nats":"low"'),
        ("progress", '"plateau":null', '"plateau":3'),
        ("progress", '"waited":0', '"waited":true'),
    ],
)
def test_wrong_types_in_run_metadata_are_refused(key, old, new):
    header, body = take_apart(samples()["chars"])
    assert old in header["__metadata__"][key]
    header["__metadata__"][key] = header["__metadata__"][key].replace(old, new)
    with pytest.raises(CheckpointError, match=f"its {key} is damaged"):
        from_bytes(sealed(header, body))


@pytest.mark.parametrize("name", ["steps", "lr", "warmup", "dropout"])
def test_run_without_a_required_setting_is_not_resumed(tmp_path, name):
    header, body = take_apart(samples()["chars"])
    config = json.loads(header["__metadata__"]["config"])
    del config[name]
    header["__metadata__"]["config"] = json.dumps(config)
    (tmp_path / "last.safetensors").write_bytes(sealed(header, body))
    with pytest.raises(CheckpointError, match=f"its config lacks {name}"):
        resume(tmp_path)
