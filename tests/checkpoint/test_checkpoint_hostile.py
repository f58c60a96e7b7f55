"""Damaged and hostile files: always a `CheckpointError` of one line, without large allocations."""

import copy
import json
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from checkpoint_samples import assert_same, put_together, sample, sealed, small, take_apart
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.checkpoint import safetensors_file
from fastrnn.checkpoint.checkpoint import from_bytes, load, to_bytes
from fastrnn.errors import CheckpointError

DATA = small()
HEADER, BODY = take_apart(DATA)
START = len(DATA) - len(BODY)  # of the tensors


def refused(data: bytes) -> str:
    """The message with which a file is refused: one printable line."""
    with pytest.raises(CheckpointError) as caught:
        from_bytes(data, "x.safetensors")
    message = str(caught.value)
    assert message.startswith("x.safetensors: ")
    assert message.isprintable()
    assert len(message) < 400
    return message


def with_texts(**texts: str) -> bytes:
    """The small file with some metadata changed, and right digests."""
    header = copy.deepcopy(HEADER)
    header["__metadata__"] |= texts
    return sealed(header, BODY)


def with_json(key: str, **changes) -> bytes:
    """The small file with some entries of the JSON under a metadata key changed."""
    return with_texts(**{key: json.dumps(json.loads(HEADER["__metadata__"][key]) | changes)})


def with_tensor(name: str, **changes) -> bytes:
    """The small file with one tensor described otherwise; digests are left alone."""
    header = copy.deepcopy(HEADER)
    header[name] = header.get(name, {}) | changes
    return put_together(header, BODY)


def without(key: str, *, metadata: bool = False) -> bytes:
    header = copy.deepcopy(HEADER)
    del (header["__metadata__"] if metadata else header)[key]
    return put_together(header, BODY)


def test_helpers_make_valid_files() -> None:
    assert_same(from_bytes(sealed(copy.deepcopy(HEADER), BODY)), from_bytes(DATA))
    assert_same(from_bytes(with_texts()), from_bytes(DATA))


def test_file_truncated_at_any_byte_is_refused() -> None:
    messages = [refused(DATA[:length]) for length in range(len(DATA))]
    assert "an empty file" in messages[0]
    assert "not a safetensors file" in messages[5]
    assert all("truncated" in message for message in messages[9:])


def test_trailing_bytes_are_refused() -> None:
    assert "1 bytes follow the last tensor" in refused(DATA + b"\0")


def test_flipped_bit_in_any_header_byte_is_refused() -> None:
    random = np.random.default_rng(0)
    for place in range(START):
        damaged = bytearray(DATA)
        damaged[place] ^= 1 << int(random.integers(8))
        refused(bytes(damaged))


def test_flipped_bit_in_any_tensor_is_refused() -> None:
    for place in range(START, len(DATA)):
        for bit in range(8):
            damaged = bytearray(DATA)
            damaged[place] ^= 1 << bit
            assert "the digest of its tensors does not match" in refused(bytes(damaged))


def test_changed_vocabulary_character_is_refused() -> None:
    assert "the digest of its metadata does not match" in refused(DATA.replace(b" ab", b" ac"))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.binary(max_size=12), st.integers(0, 12)), min_size=1))
def test_random_cuts_and_pastes_are_refused(edits) -> None:
    damaged = DATA
    for place, paste, cut in edits:
        damaged = damaged[:place] + paste + damaged[place + cut :]
    if damaged != DATA:
        refused(damaged)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    refused(data)
    refused(len(data).to_bytes(8, "little") + data)
    refused(put_together(b"{" + data, BODY))


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None)
@given(key=st.sampled_from(["config", "tokenizer", "progress", "corpus"]), data=st.data())
def test_any_json_in_the_metadata_is_refused_or_valid(key: str, data) -> None:
    known = json.loads(HEADER["__metadata__"][key])
    value = data.draw(_values | st.dictionaries(st.sampled_from(sorted(known)), _values).map(lambda new: known | new))
    file = with_texts(**{key: json.dumps(value)})
    try:
        found = from_bytes(file, "x.safetensors")
    except CheckpointError:
        return
    assert isinstance(value, dict)
    assert key not in ("progress", "corpus") or getattr(found, key) == value


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(HEADER)), value=_values, field=st.sampled_from(["dtype", "shape", "data_offsets"]))
def test_any_json_in_the_header_is_refused_or_valid(name: str, value, field: str) -> None:
    header = copy.deepcopy(HEADER)
    header[name] = value
    refused(put_together(header, BODY))
    if name != "__metadata__" and value != HEADER[name][field]:
        refused(with_tensor(name, **{field: value}))


def with_tensors_cut(*names: str) -> bytes:
    """The small file without some tensors, its layout and digests right."""
    tensors = {name: array for name, array in safetensors.numpy.load(DATA).items() if name not in names}
    header, body = take_apart(safetensors.numpy.save(tensors, HEADER["__metadata__"]))
    return sealed(header, body)


@pytest.mark.parametrize(
    "length", [0, 1, 2, START - 9, START - 7, len(DATA), 100_000_000, 100_000_001, 2**63, 2**64 - 1]
)
def test_wrong_header_length_is_refused(length: int) -> None:
    refused(length.to_bytes(8, "little") + DATA[8:])


def test_header_longer_than_the_format_allows_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(safetensors_file, "MAX_HEADER", START // 2)
    assert "bytes: damaged, or another program's" in refused(DATA)


def test_huge_header_length_costs_no_memory() -> None:
    tracemalloc.start()
    try:
        refused((99_999_999).to_bytes(8, "little") + DATA[8:])
        refused(with_tensor("out.bias", shape=[2**40], data_offsets=[0, 2**42]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


BRACKETS = 1_000_000


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"a":' * BRACKETS, "nested more than 8 deep"),
        ('{"a":' + "[" * BRACKETS, "nested more than 8 deep"),
        ('{"a":[' + "[]," * BRACKETS, "more than 20000 values"),
        ('{"a":"' + '\\"' * BRACKETS, "Unterminated string"),
        ('{"a":"' + "\\\\" * BRACKETS + "\\", "Unterminated string"),
        ("{" + '"' * BRACKETS, "more than 20000 values"),
        ('{"a":' + "9" * BRACKETS + "}", "a number of 1000000 digits"),
        ('{"a":1e999}', "beyond the range of float64"),
        ('{"a":NaN}', "NaN is not JSON"),
        ('{"a":-Infinity}', "-Infinity is not JSON"),
        ('{"a":1}{}', "Extra data"),
        ('{"a":1,"a":1}', "duplicate key"),
        ('{"__metadata__":{"format":"fastrnn","format":"fastrnn"}}', "duplicate key"),
        ('{"__metadata__":{"format":1}}', "its metadata are not texts"),
        ('{"__metadata__":[]}', "its metadata are not texts"),
        ('{"\u00e9":1}', "characters that fastrnn never writes"),
        ('{"\\u001b[2J":1}', "characters that fastrnn never writes"),
        ('{"\\\\u001b\\u0020":1}', "characters that fastrnn never writes"),
        ('{"\\\\u001b":1}', "not made by fastrnn"),
        (b'{"\xff":1}', "characters that fastrnn never writes"),
        ("{}", "a safetensors file, but not made by fastrnn"),
        ("{" + " " * 1000, "header is damaged"),
        ("[1]", "not a safetensors file"),
    ],
    ids=range(23),
)
def test_hostile_headers_are_refused(header, message: str) -> None:
    tracemalloc.start()
    try:
        assert message in refused(put_together(header, BODY))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64e6 + 2 * len(header)


@pytest.mark.parametrize("key", ["config", "tokenizer", "progress", "corpus"])
@pytest.mark.parametrize(
    "text", ["", "[", "[]", "1", "null", '"x"', "{} {}", '{"a":1,"a":1}', "[" * 100_000, '{"a":' + "[" * 9, '{"a":NaN}']
)
def test_hostile_metadata_is_refused(key: str, text: str) -> None:
    assert f"its {key} is damaged" in refused(with_texts(**{key: text}))


@pytest.mark.parametrize("key", ["config", "tokenizer", "progress", "corpus"])
def test_oversized_metadata_is_refused_before_parsing(key: str) -> None:
    text = '{"a":[' + "[]," * 300_000 + "[]]}"
    tracemalloc.start()
    try:
        assert f"its {key} is damaged (more than" in refused(with_texts(**{key: text})) or key == "config"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * len(text)


def test_vocabulary_far_too_long_costs_little_memory() -> None:
    file = with_json("tokenizer", chars="x" * 4_000_000)
    tracemalloc.start()
    try:
        assert "its vocabulary has 4000000 tokens, its output 7" in refused(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(file)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (with_texts(version="2"), "a fastrnn model of version '2'; this fastrnn reads version 1"),
        (with_texts(version="\u202e" * 500), "characters that fastrnn never writes"),
        (with_texts(version="x" * 500), "a fastrnn model of version"),
        (with_texts(format="pt"), "not made by fastrnn"),
        (with_texts(extra="1"), "metadata 'extra' is unknown"),
        (without("version", metadata=True), "a fastrnn model of version ''"),
        (without("config", metadata=True), "metadata 'config' is missing"),
        (without("digest", metadata=True), "metadata 'digest' is missing"),
        (with_texts(config="{" + " " * 70_000 + "}"), "its config is damaged (more than 65536 bytes)"),
        (with_json("config", hidden=3), "'rnn.weight_ih_l0' has shape (2, 7); its config requires (3, 7)"),
        (with_json("config", layers=2), "tensor 'rnn.weight_ih_l1' is missing"),
        (with_json("config", layers=65), "layers is 65; it must be at least 1 and at most 64"),
        (with_json("config", layers=10**39), "layers is 1e+39"),
        (with_json("config", layers=True), "layers must be a whole number, not True"),
        (with_json("config", hidden=0), "hidden is 0"),
        (with_json("config", hidden=None), "its config lacks hidden"),
        (with_json("config", batch=None), "its config lacks batch"),
        (with_json("config", cell="transformer"), "cell 'transformer' is unknown"),
        (with_json("config", cell="lstm"), "tensor 'state.c' is missing"),
        (with_json("config", cell="rnn-relu", layers=1, hidden=7), "has shape (2, 7); its config requires (7, 7)"),
        (with_json("config", precision="float64"), "is float32; its config requires float64"),
        (with_json("config", precision="object"), "precision 'object' is unknown"),
        (with_json("config", optimizer="sgd"), "tensor 'optimizer.m' is not part of this model: rnn, sgd"),
        (with_json("config", optimizer="adamw"), "tensor 'optimizer.v' is missing"),
        (with_json("config", tokens="bytes"), "its vocabulary is of chars, but its config has tokens = bytes"),
        (with_json("config", nonsense="\n" * 900), "its config: unknown key 'nonsense'"),
        (with_json("config", **{"x" * 5000: 1}), "its config: unknown key 'xxx"),
        (with_json("progress", step=-1), "its progress is damaged (step is not a count)"),
        (with_json("corpus", tokens=0.5), "its corpus is damaged (tokens is not a count)"),
        (with_json("tokenizer", chars="ab"), "its vocabulary has 2 tokens, its output 7"),
        (with_texts(tokenizer='{"kind":"words","words":["a"]}'), "its vocabulary has 1 tokens, its output 7"),
        (with_json("tokenizer", kind="bytes"), "not a vocabulary"),
        (with_texts(tokenizer='{"kind":"bytes"}'), "its vocabulary has 256 tokens, its output 7"),
        (with_json("tokenizer", chars="abcdeff"), "different and in ascending order"),
        (with_json("tokenizer", chars=list("abcdefg")), "not a vocabulary"),
        (with_json("tokenizer", chars=""), "its vocabulary has 0 tokens, its output 7"),
        (with_json("tokenizer", kind="pickle"), "not a vocabulary"),
        (with_json("tokenizer", kind=["chars"]), "not a vocabulary"),
        (with_tensor("out.bias", dtype="I64"), "has type 'I64'; it must be one of F32, F64"),
        (with_tensor("out.bias", dtype=None), "has type 'None'"),
        (with_tensor("out.bias", dtype=["F32"]), "has type"),
        (with_tensor("out.bias", extra=1), "is described wrongly"),
        (with_tensor("out.bias", shape=[-7]), "an impossible shape or place"),
        (with_tensor("out.bias", shape=[7.0]), "an impossible shape or place"),
        (with_tensor("out.bias", shape=[True] * 7), "an impossible shape or place"),
        (with_tensor("out.bias", shape=[10**39]), "an impossible shape or place"),
        (with_tensor("out.bias", shape=[1] * 8 + [7]), "an impossible shape or place"),
        (with_tensor("out.bias", shape=[2**62] * 8), "has a size that does not match its shape"),
        (with_tensor("out.bias", shape=[8]), "has a size that does not match its shape"),
        (with_tensor("out.bias", shape=[7, 1]), "'out.bias' is missing or not a vector"),
        (with_tensor("out.weight", shape=[2, 7]), "'out.weight' has shape (2, 7); its config requires (7, 2)"),
        (with_tensor("out.bias", data_offsets=[0, 28]), "overlaps another or leaves a gap"),
        (with_tensor("out.bias", data_offsets=[2**62, 2**62 + 28]), "overlaps another or leaves a gap"),
        (with_tensor("out.bias", data_offsets=[28, 0]), "has a size that does not match its shape"),
        (with_tensor("out.bias", data_offsets=[0]), "an impossible shape or place"),
        (with_tensor("../../etc/passwd", dtype="F32", shape=[1], data_offsets=[0, 4]), "overlaps another"),
        (
            with_tensor("\x1b[2J\n", dtype="F32", shape=[0], data_offsets=[len(BODY)] * 2),
            "characters that fastrnn never writes",
        ),
        (with_tensor("x" * 999, dtype="F32", shape=[0], data_offsets=[0, 0]), "xxx...' is not part of this model"),
        (without("out.bias"), "overlaps another or leaves a gap"),
        (with_tensors_cut("out.bias"), "tensor 'out.bias' is missing or not a vector"),
        (with_tensors_cut("rnn.bias_hh_l0"), "tensor 'rnn.bias_hh_l0' is missing"),
        (with_tensors_cut("state.h", "optimizer.m", "out.weight"), "tensor 'out.weight' is missing"),
    ],
)
def test_wrong_content_with_valid_digests_is_refused(file: bytes, message: str) -> None:
    assert message in refused(file)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["out.bias", "optimizer.m", "state.h"])
def test_non_finite_values_with_valid_digests_are_refused(name: str, number: float) -> None:
    start, stop = HEADER[name]["data_offsets"]
    body = BODY[: stop - 4] + np.float32(number).tobytes() + BODY[stop:]
    assert stop > start
    assert f"tensor {name!r} holds NaN or infinity" in refused(sealed(copy.deepcopy(HEADER), body))


def test_signalling_nan_gives_no_warning() -> None:
    body = BODY[:-4] + (0x7F800001).to_bytes(4, "little")
    assert "holds NaN or infinity" in refused(sealed(copy.deepcopy(HEADER), body))


@pytest.mark.parametrize(
    "foreign",
    [
        safetensors.numpy.save({"weight": np.ones((2, 3), np.float32)}),
        safetensors.numpy.save({"weight": np.ones(3, np.int8)}, {"format": "pt"}),
        safetensors.numpy.save({}),
    ],
)
def test_foreign_safetensors_file_is_refused(foreign: bytes) -> None:
    assert "a safetensors file, but not made by fastrnn" in refused(foreign)


@pytest.mark.parametrize(
    "foreign",
    [b"PK\x03\x04" + bytes(100), b"\x80\x04\x95" + bytes(100), b"To be, or not to be.\n" * 9, bytes(100), b"\0"],
)
def test_files_of_other_formats_are_refused(foreign: bytes) -> None:
    assert "not a safetensors file; fastrnn reads the models" in refused(foreign)


def test_file_that_declares_more_than_the_disk_holds_is_refused(tmp_path) -> None:
    path = tmp_path / "sparse"
    path.write_bytes(DATA)
    try:
        with path.open("r+b") as file:
            file.truncate(1 << 40)
    except OSError:
        pytest.skip("no sparse files of a terabyte here")
    with pytest.raises(CheckpointError, match="bytes follow the last tensor"):
        load(path)


def test_out_of_memory_is_an_error_of_one_line(monkeypatch) -> None:
    def empty(shape, dtype):
        raise MemoryError

    monkeypatch.setattr(np, "empty", empty)
    assert "bytes of memory" in refused(DATA)


def test_file_that_shrinks_while_read_is_refused(tmp_path, monkeypatch) -> None:
    (tmp_path / "model").write_bytes(DATA[:-1])
    fstat = type("Stat", (), {"st_size": len(DATA)})
    monkeypatch.setattr("fastrnn.checkpoint.checkpoint.os.fstat", lambda descriptor: fstat)
    with pytest.raises(CheckpointError, match="it became shorter while it was read"):
        load(tmp_path / "model")


def test_loading_a_valid_file_allocates_about_its_size(tmp_path) -> None:
    path = tmp_path / "model"
    path.write_bytes(to_bytes(sample(hidden=200)))
    size = path.stat().st_size
    tracemalloc.start()
    try:
        load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * size + 5_000_000
