"""Examples to padded batches: every symbol, label and target at its position."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_cases import dataset, write
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.config import Config
from fastrnn.data.examples.dataset import Batch, EncodedExamples
from fastrnn.data.examples.example import Example, ExampleSet, Location
from fastrnn.data.examples.numericalize import numericalize
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.data.examples.schema import TaskSchema, schema_from_dict
from fastrnn.errors import ConfigError, InputError


def whole(data: Any) -> Batch:
    """All examples as one batch."""
    batch: Batch = data.batch(np.arange(len(data)))
    return batch


def test_tags_and_words_end_at_the_last_step(tmp_path: Path) -> None:
    data = dataset(write(tmp_path, "a.txt", "Harry B\nran O\nfar O\n\nran O\n"), "tag")
    batch = whole(data)
    words = data.schema.tokens.ids

    assert batch.x.tolist() == [[words["Harry"], 0], [words["ran"], 0], [words["far"], words["ran"]]]
    assert batch.y is not None
    assert batch.y.tolist() == [[0, -1], [1, -1], [1, 1]]
    assert (batch.lengths.tolist(), batch.rows.tolist(), batch.count) == ([3, 1], [0, 1], 4)
    assert (batch.x.dtype, batch.y.dtype) == (np.int32, np.int32)


def test_each_distinct_word_is_spelled_once(tmp_path: Path) -> None:
    data = dataset(write(tmp_path, "a.txt", "Harry B\nran O\n\nran O\nran O\nan O\n"), "tag")
    batch, letters = whole(data), data.schema.characters

    assert batch.word_of is not None
    assert batch.spelling_lengths is not None
    spelt = ["".join(letters.token_text(i) for i in column if i) for column in batch.spelling[0].T]
    assert sorted(spelt) == ["Harry", "an", "ran"]
    assert [len(word) for word in spelt] == batch.spelling_lengths.tolist()
    assert [[spelt[i] for i in batch.word_of[3 - n :, b]] for b, n in enumerate(batch.lengths)] == [
        ["Harry", "ran"],
        ["ran", "ran", "an"],
    ]
    assert (batch.spelling[0][-1] != 0).all()


def test_unknown_words_are_spelled_in_known_letters(tmp_path: Path) -> None:
    schema = dataset(write(tmp_path, "a.txt", "ran O\n"), "tag").schema
    data = numericalize(read_examples([write(tmp_path, "b.txt", "nary O\n")], "tag"), schema)
    batch, ids = whole(data), schema.characters.ids

    assert batch.x.tolist() == [[1]]
    assert batch.spelling[0][:, 0].tolist() == [ids["n"], ids["a"], ids["r"], 1]


def test_classes(tmp_path: Path) -> None:
    batch = whole(dataset(write(tmp_path, "a.tsv", "y\tab\nx\tb\n"), "classify"))

    assert batch.x.tolist() == [[2, 0], [3, 3]]
    assert batch.y is not None
    assert (batch.y.tolist(), batch.y.dtype, batch.count) == ([1, 0], np.int32, 2)


def test_translations_start_and_end_with_the_end_symbol(tmp_path: Path) -> None:
    batch = whole(dataset(write(tmp_path, "a.tsv", "ab\tcde\nb\td\n"), "translate"))

    assert batch.x.tolist() == [[2, 0], [3, 3]]
    assert batch.target_in is not None
    assert batch.target_out is not None
    assert batch.target_in.T.tolist() == [[0, 2, 3, 4], [0, 3, 0, 0]]
    assert batch.target_out.T.tolist() == [[2, 3, 4, 0], [3, 0, -1, -1]]
    assert batch.count == 6
    assert batch.target_in.dtype == batch.target_out.dtype == np.int32


def test_generate_is_given_labels_or_scaled_vectors(tmp_path: Path) -> None:
    batch = whole(dataset(write(tmp_path, "a.tsv", "y\tab\nx\tb\n"), "generate"))
    assert (batch.x.tolist(), batch.x.dtype, batch.lengths.tolist()) == ([1, 0], np.int32, [1, 1])
    assert batch.target_out is not None
    assert batch.target_out.T.tolist() == [[2, 3, 0], [3, 0, -1]]

    path = write(tmp_path, "a.jsonl", '{"given": [1, 5], "text": "a"}\n{"given": [3, 5], "text": "b"}\n')
    batch = whole(dataset(path, "generate"))
    assert (batch.x.tolist(), batch.x.dtype) == ([[-1, 0], [1, 0]], np.float32)


def test_bits_and_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "x1,x2,y1,y2\n0,1,1,0\n1,-1,0,-1\n")
    batch = whole(dataset(path, "regress", columns="y*"))

    assert batch.x.tolist() == [[[0, 1], [1, -1]]]
    assert batch.y is not None
    np.testing.assert_array_equal(batch.y, [[[1, 0], [0, np.nan]]])
    assert (batch.x.dtype, batch.y.dtype, batch.count) == (np.float32, np.float32, 3)
    path = write(tmp_path, "b.csv", "x,y\n0,10\n4,30\n")
    batch = whole(dataset(path, "regress", columns="y"))
    assert (batch.x.tolist(), batch.y.tolist()) == ([[[-1], [1]]], [[[-1], [1]]])


def test_dense_padding_is_zero_after_scaling_too(tmp_path: Path) -> None:
    x = np.arange(12.0).reshape(2, 3, 2)
    x[0, 2] = np.nan
    y = np.where(np.isnan(x[:, :, :1]), 7, x[:, :, :1])
    np.savez(tmp_path / "a.npz", x=x, y=y)
    batch = whole(dataset(str(tmp_path / "a.npz"), "regress"))

    assert batch.lengths.tolist() == [2, 3]
    assert batch.x[0, 0].tolist() == [0, 0]
    assert (batch.x[1:, 0] != 0).all()
    assert batch.y is not None
    assert np.isnan(batch.y[0, 0]).all()
    assert not np.isnan(batch.y[1:]).any()


def test_unknown_label_is_an_error_unless_targets_are_optional(tmp_path: Path) -> None:
    schema = dataset(write(tmp_path, "a.tsv", "pos\ta\nneg\tb\n"), "classify").schema
    path = write(tmp_path, "b.tsv", "pos\ta\nnice\tb\n")

    with pytest.raises(InputError, match=r"b\.tsv:2: label 'nice' is unknown; the model knows neg, pos$"):
        numericalize(read_examples([path], "classify"), schema)
    batch = whole(numericalize(read_examples([path], "classify", needs_targets=False), schema))
    assert batch.y is not None
    assert (batch.y.tolist(), batch.count) == ([1, -1], 1)
    tags = dataset(write(tmp_path, "a.txt", "a X\nb Y\n"), "tag").schema
    with pytest.raises(InputError, match=r"c\.txt:1: label 'Z' is unknown; the model knows X, Y$"):
        numericalize(read_examples([write(tmp_path, "c.txt", "a Z\n")], "tag"), tags)


def test_examples_without_targets_are_encoded_without(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "ab\tcde\n")
    schema = dataset(path, "translate").schema
    batch = whole(
        numericalize(read_examples([write(tmp_path, "b.tsv", "ab\n")], "translate", needs_targets=False), schema)
    )

    assert (batch.target_in, batch.target_out, batch.y, batch.count) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("task", "x", "message"),
    [
        ("classify", np.zeros((2, 3), np.float32), "one.tsv:4: an array where a text is needed"),
        ("generate", "z", "one.tsv:4: label 'z' is unknown"),
        ("regress", np.zeros((1, 3), np.float32), "one.tsv:4: 3 features where the model takes 1 features a step"),
        ("regress", "text", "one.tsv:4: a text where the model takes 1 features a step"),
    ],
)
def test_mismatch_with_the_schema_names_its_location(tmp_path: Path, task: str, x: Any, message: str) -> None:
    path = (
        write(tmp_path, "a.tsv", "x\ta\ny\tb\n") if task != "regress" else write(tmp_path, "a.csv", "x,y\n1,2\n2,3\n")
    )
    schema = dataset(path, task, columns="y" if task == "regress" else None).schema
    examples = ExampleSet(task, [Example(x, None, Location("one.tsv", 4))], needs_targets=False)

    with pytest.raises(InputError) as error:
        numericalize(examples, schema)
    assert str(error.value).startswith(message)
    with pytest.raises(ConfigError, match=r"examples of translate; the model is of"):
        numericalize(ExampleSet("translate", examples.items), schema)


def test_text_without_a_word_is_an_empty_sequence(tmp_path: Path) -> None:
    schema = dataset(write(tmp_path, "a.tsv", "x\ta b\ny\tb\n"), "classify", tokens="words").schema
    examples = ExampleSet("classify", [Example("", "x", Location("b.tsv", 2))])

    with pytest.raises(InputError, match=r"b\.tsv:2: an empty sequence; give at least one token"):
        numericalize(examples, schema)


def test_target_that_is_not_a_bit_is_an_error(tmp_path: Path) -> None:
    schema = dataset(write(tmp_path, "a.csv", "x,y\n0,1\n1,0\n"), "regress", columns="y").schema
    path = write(tmp_path, "b.csv", "x,y\n0,1\n1,0.5\n")

    with pytest.raises(InputError, match=r"b\.csv:3: a target that is no bit; this model predicts 0 or 1"):
        numericalize(read_examples([path], "regress", model_columns=schema.columns), schema)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> EncodedExamples:
    text = "\n".join(f"w{i % 7} T{i % 3}\n" * (1 + i % 5) for i in range(40))
    data: EncodedExamples = dataset(write(tmp_path_factory.mktemp("tagged"), "a.txt", text), "tag")
    return data


@given(valid=st.floats(0, 0.9), seed=st.integers(0, 9))
def test_split_preserves_every_example(tagged: EncodedExamples, valid: float, seed: int) -> None:
    parts = [part for part in tagged.split(valid, seed) if part is not None]
    places = [place.line for part in parts for place in part.places]
    batches = {
        p.line: (part.x.align_right(np.array([i])).tolist(), part) for part in parts for i, p in enumerate(part.places)
    }

    assert sorted(places) == [place.line for place in tagged.places]
    for i, place in enumerate(tagged.places):
        assert batches[place.line][0] == tagged.x.align_right(np.array([i])).tolist()
        assert batches[place.line][1].spelling is tagged.spelling


def test_empty_validation_part_is_none(tagged: EncodedExamples) -> None:
    assert tagged.split(0, 1) == (tagged, None)
    assert len(tagged.sample(7, 1)) == 7
    assert len(tagged.sample(700, 1)) == 40


def test_fingerprints_differ_between_datasets(tmp_path: Path) -> None:
    texts = ["ab c\n\nd e\n", "ab c\nd e\n", "ab c\n\nd c\n", "ab e\n\nd c\n"]
    data = [dataset(write(tmp_path, "a.txt", text), "tag") for text in texts]

    assert len({one.fingerprint for one in data}) == 4
    assert dataset(write(tmp_path, "b.txt", texts[0]), "tag").fingerprint == data[0].fingerprint
    classes = [dataset(write(tmp_path, "a.tsv", text), "classify") for text in ("x\ta\ny\tb\n", "y\ta\nx\tb\n")]
    assert classes[0].fingerprint != classes[1].fingerprint


def test_older_schema_encodes_new_examples(tmp_path: Path) -> None:
    examples = read_examples([write(tmp_path, "a.tsv", "x\tab\ny\tb\n")], "classify")
    schema = TaskSchema.build(examples, Config(task="classify", valid=0.0, min_count=1))

    assert numericalize(examples, schema).schema is schema


def test_fingerprint_of_version_0_1_is_unchanged(tmp_path: Path) -> None:
    examples = read_examples([write(tmp_path, "a.csv", "x,y\n0.1,10.3\n4.7,30.9\n2.2,-7.1\n")], "regress", columns="y")
    inputs = {"mean": [2.3333332861463227], "deviation": [1.8803072217489267], "names": "x"}
    outputs = {"mean": [11.366666634877523], "deviation": [15.531759374850594], "names": "y"}
    old = {"kind": "task", "task": "regress", "inputs": inputs, "outputs": outputs}
    data = numericalize(examples, schema_from_dict(old))

    assert data.fingerprint == "0b0f0bdc1ed5bc8fdd1d783fafec3c3c"  # as that version had it
    assert (
        data.fingerprint
        != numericalize(examples, TaskSchema.build(examples, Config(task="regress", valid=0))).fingerprint
    )


def test_outputs_are_scaled_in_float64(tmp_path: Path) -> None:
    text = "x,y\n" + "".join(f"{1.7e9 + i:.0f},{1.7e9 + 2 * i:.0f}\n" for i in range(5))
    data = dataset(write(tmp_path, "a.csv", text), "regress", columns="y")
    batch = whole(data)

    for scaled in (batch.x, batch.y):
        assert scaled is not None
        np.testing.assert_allclose(scaled[0, :, 0], (np.arange(5) - 2) / np.sqrt(2), atol=1e-6)
    assert data.actual(np.arange(5))[0, :, 0].tolist() == [1.7e9 + 2 * i for i in range(5)]


def test_long_word_does_not_pad_the_short_ones(tmp_path: Path) -> None:
    words = ["abc"[: 1 + i % 3] + str(i) for i in range(40)]
    text = "".join(f"{word} X\n" for word in [*words[:20], "a" * 9000, *words[20:]])
    data = dataset(write(tmp_path, "a.txt", text), "tag")
    batch = whole(data)

    assert len(batch.spelling) == 2
    assert batch.spelling[1].shape == (9000, 1)
    assert sum(ids.size for ids in batch.spelling) < 9300
    assert batch.spelling_lengths is not None
    assert batch.word_of is not None
    assert batch.spelling_lengths[batch.word_of[:, 0]].tolist() == list(
        map(len, [*words[:20], "a" * 9000, *words[20:]])
    )
