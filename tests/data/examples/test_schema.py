"""Task schemas: built from training examples, saved as JSON, and validated when loaded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_cases import dataset, idx, write

from fastrnn.config import Config
from fastrnn.data.examples.example import Location, split_rows
from fastrnn.data.examples.numericalize import numericalize
from fastrnn.data.examples.readers.csv_columns import Columns
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.data.examples.schema import TaskSchema, schema_from_dict
from fastrnn.data.examples.symbol_vocab import SymbolVocab
from fastrnn.errors import InputError
from fastrnn.nn.spec import ModelSpec, model_spec


@pytest.fixture
def schemas(tmp_path: Path) -> dict[str, TaskSchema]:
    """One of every kind."""
    tags = write(tmp_path, "a.txt", "Harry B\nran O\n\nHarry B\n")
    bits = write(tmp_path, "bits.txt", "0 1\n1 0\n")
    labelled = write(tmp_path, "a.tsv", "pos\tfine film\nneg\tdull\n")
    write(tmp_path, "labels.idx", idx(np.array([10, 2])))
    images = write(tmp_path, "images.idx", idx(np.zeros((2, 3, 4))))
    vectors = write(tmp_path, "v.jsonl", '{"given": [1, 2], "text": "ab"}\n{"given": [3, 2], "text": "b"}\n')
    table = write(tmp_path, "a.csv", "x1,x2,y1\n0,1,1\n1,1,0\n1,-1,-1\n")
    numbers = write(tmp_path, "b.csv", "x,y,z\n1,2,3\n3,4,9\n")
    hours = write(tmp_path, "h.csv", "date,a,b\n" + "".join(f"2024-01-01 {h:02},{h},{h * h}\n" for h in range(12)))
    made = {
        "tag": dataset(tags, "tag"),
        "tag bits": dataset(bits, "tag"),
        "classify": dataset(labelled, "classify"),
        "classify words": dataset(labelled, "classify", tokens="words"),
        "classify dense": _images(images, tmp_path),
        "generate": dataset(labelled, "generate"),
        "generate vectors": dataset(vectors, "generate"),
        "translate": dataset(labelled, "translate"),
        "regress bits": dataset(table, "regress", columns="y*"),
        "regress": dataset(numbers, "regress", columns="y,z"),
        "forecast": dataset(hours, "forecast", seq=4, horizon=2),
    }
    return {name: data.schema for name, data in made.items()}


def _images(path: str, folder: Path) -> Any:
    examples = read_examples([path], "classify", labels=str(folder / "labels.idx"))
    return numericalize(examples, TaskSchema.build(examples, Config(task="classify", valid=0.0)))


def test_model_specs(schemas: dict[str, TaskSchema]) -> None:
    found = {name: model_spec(v, v.task) for name, v in schemas.items()}

    assert found == {
        "tag": ModelSpec("tag", tokens=4, characters=7, labels=2),
        "tag bits": ModelSpec("tag", tokens=4, labels=2),
        "classify": ModelSpec("classify", tokens=11, labels=2),
        "classify words": ModelSpec("classify", tokens=5, labels=2),
        "classify dense": ModelSpec("classify", features=4, labels=2),
        "generate": ModelSpec("generate", labels=2, target_tokens=11),
        "generate vectors": ModelSpec("generate", labels=2, target_tokens=4),
        "translate": ModelSpec("translate", tokens=8, target_tokens=11),
        "regress bits": ModelSpec("regress", features=2, labels=1, binary=True),
        "regress": ModelSpec("regress", features=1, labels=2),
        "forecast": ModelSpec("forecast", features=2 * 2 + 4, labels=2 * 2),
    }


def test_json_round_trip(schemas: dict[str, TaskSchema]) -> None:
    for name, schema in schemas.items():
        mapping = json.loads(json.dumps(schema.to_dict(), allow_nan=False))

        assert schema_from_dict(mapping) == schema, name
        assert mapping["kind"] == schema.kind == "task"
        assert 1 < schema.size < 20


def test_labels_are_sorted_numbers_by_value(schemas: dict[str, TaskSchema]) -> None:
    assert schemas["classify dense"].labels == ("2", "10")
    assert schemas["classify"].labels == ("neg", "pos")
    assert schemas["tag"].labels == ("B", "O")


def test_bits_are_not_scaled_and_numbers_are(schemas: dict[str, TaskSchema]) -> None:
    bits, numbers = schemas["regress bits"], schemas["regress"]

    assert bits.inputs is not None
    assert bits.inputs.mean == (0.0, 0.0)
    assert numbers.outputs is not None
    assert numbers.outputs.mean == (3.0, 6.0)
    assert numbers.outputs.names == ("y", "z")
    assert schemas["classify dense"].inputs is not None
    assert schemas["classify dense"].inputs.deviation == (255.0,) * 4


def test_columns_of_a_table_are_remembered(schemas: dict[str, TaskSchema]) -> None:
    assert schemas["regress"].columns == Columns(("x",), ("y", "z"))
    assert schemas["forecast"].columns == Columns(("a", "b"), (), "date")
    assert schemas["classify dense"].columns is None


def test_rare_symbols_are_unknown_to_the_input_but_known_to_the_decoder(tmp_path: Path) -> None:
    schema = dataset(write(tmp_path, "a.tsv", "aab\taab\n"), "translate", min_count=2).schema

    assert schema.tokens.known == ("a",)
    assert schema.target.known == ("a", "b")


def test_validation_examples_are_not_in_the_schema(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "".join(f"{i % 3}\tword{i}\n" for i in range(50)))
    examples = read_examples([path], "classify")
    settings = {"task": "classify", "tokens": "words", "min_count": 1, "valid": 0.2, "seed": 5}
    _, held = split_rows(50, 0.2, 5)

    found = TaskSchema.build(examples, Config(**settings))
    assert found.tokens is not None
    assert set(found.tokens.known) == {f"word{i}" for i in range(50)} - {f"word{i}" for i in held}
    whole = TaskSchema.build(examples, Config(**settings, valid_file="other.tsv"))
    assert whole.tokens is not None
    assert len(whole.tokens.known) == 50


def test_series_is_scaled_by_its_training_part(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a\n" + "".join(f"{value}\n" for value in [1.0, 3.0] * 5 + [1000.0] * 10))
    scaling = dataset(path, "forecast", seq=2, horizon=1, valid=0.5).schema.inputs

    assert scaling.mean == (2.0,)
    assert scaling.deviation == (1.0,)


def test_classify_needs_two_labels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.tsv:1: every example has the same label; classify needs at least two"):
        dataset(write(tmp_path, "a.tsv", "x\ta\nx\tb\n"), "classify")


def test_classify_explains_a_single_class_file(tmp_path: Path) -> None:
    """Lines of label and text without a tab in a file named .txt: the file is a class of its own."""
    with pytest.raises(InputError, match=r"the label 'mood', the name of the file; .* from a file named \.tsv"):
        dataset(write(tmp_path, "mood.txt", "good,a\nbad,b\n"), "classify")


def test_regress_needs_a_target(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.csv:2: no target at all; give each example what is to be predicted"):
        dataset(write(tmp_path, "a.csv", "x,y\n1,\n"), "regress", columns="y")


def test_unknown_label_suggests_the_nearest_one(schemas: dict[str, TaskSchema]) -> None:
    with pytest.raises(InputError, match=r"a\.tsv:7: label 'poss' is unknown; did you mean pos\?; the model knows neg"):
        schemas["classify"].label_id("poss", Location("a.tsv", 7))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("classify", {"kind": "chars"}),
        ("classify", {"task": "sing"}),
        ("classify", {"task": ["tag"]}),
        ("classify", {"labels": "a\na"}),
        ("classify", {"labels": "a\n"}),
        ("classify", {"labels": ["a", "b"]}),
        ("classify", {"labels": "a\n\ud800"}),
        ("classify", {"labels": None}),
        ("classify", {"tokens": {"unit": "chars", "known": "aa"}}),
        ("classify", {"target": {"unit": "chars", "known": "a"}}),
        ("classify", {"inputs": {"mean": [0.0], "deviation": [1.0], "names": ""}}),
        ("classify", {"surprise": 1}),
        ("forecast", {"horizon": 0}),
        ("forecast", {"horizon": 1 << 40}),
        ("forecast", {"seq": "4"}),
        ("forecast", {"seq": True}),
        ("forecast", {"date": 5}),
        ("regress", {"binary": "yes"}),
        ("translate", {"labels": "a"}),
    ],
)
def test_invalid_mapping_is_rejected(schemas: dict[str, TaskSchema], kind: str, change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        schema_from_dict(schemas[kind].to_dict() | change)


def test_mapping_without_a_required_table_is_rejected(schemas: dict[str, TaskSchema]) -> None:
    for schema in schemas.values():
        mapping = schema.to_dict()
        for name in set(mapping) - {"characters", "binary", "date"}:
            with pytest.raises(InputError):
                schema_from_dict({key: value for key, value in mapping.items() if key != name})


@pytest.mark.parametrize("mapping", [None, [], "task", {}])
def test_other_types_than_mappings_are_rejected(mapping: object) -> None:
    with pytest.raises(InputError):
        schema_from_dict(mapping)


def test_words_of_two_letters_have_a_spelling(tmp_path: Path) -> None:
    assert dataset(write(tmp_path, "a.txt", "ab B\nc O\n"), "tag").schema.characters.known == ("a", "b", "c")
    assert dataset(write(tmp_path, "b.txt", "a B\nc O\n"), "tag").schema.characters is None


@pytest.mark.parametrize(("tokens", "known"), [("chars", ("a", "b")), ("words", ("aa",))])
def test_min_count_does_not_apply_to_target_characters(tmp_path: Path, tokens: str, known: tuple[str, ...]) -> None:
    path = write(tmp_path, "a.tsv", "x\taa aa\ny\tb\n")
    target = dataset(path, "generate", tokens=tokens, min_count=2).schema.target
    assert set(known) <= set(target.known) <= {*known, " "}


def test_one_example_is_enough(tmp_path: Path) -> None:
    assert dataset(write(tmp_path, "a.tsv", "x\tab\n"), "generate").schema.labels == ("x",)
    vector = dataset(write(tmp_path, "v.jsonl", '{"given": [1, 2], "text": "ab"}\n'), "generate").schema
    assert vector.inputs.size == 2
    table = dataset(write(tmp_path, "a.csv", "x,y\n1,2.5\n"), "regress", columns="y").schema
    assert (table.inputs.size, table.outputs.size) == (1, 1)


def test_scaler_uses_the_whole_series_with_a_validation_file(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a\n" + "1\n3\n" * 5)
    settings = {"seq": 2, "horizon": 1, "valid": 0.5}
    assert dataset(path, "forecast", valid_file="other.csv", **settings).schema.inputs.mean == (2.0,)
    steep = write(tmp_path, "b.csv", "a\n" + "".join(f"{value}\n" for value in range(10)))
    assert dataset(steep, "forecast", **settings).schema.inputs.mean == (2.0,)
    assert dataset(steep, "forecast", valid_file="other.csv", **settings).schema.inputs.mean == (4.5,)


def test_forecast_defaults_to_one_step_and_no_calendar(tmp_path: Path) -> None:
    found = dataset(write(tmp_path, "a.csv", "a,b\n" + "1,2\n3,4\n" * 5), "forecast", seq=2).schema
    assert (found.horizon, found.features, model_spec(found, "forecast").labels) == (1, 4, 2)


@pytest.mark.parametrize(
    ("targets", "binary"),
    [
        ("0 1", True),
        ("0 0", True),
        ("-1 0 1", True),
        ("1 1", False),
        ("-1 1", False),
        ("0 2.5", False),
        ("0 0.5", False),
    ],
)
def test_bits_are_distinguished_from_numbers(tmp_path: Path, targets: str, binary: bool) -> None:
    path = write(tmp_path, "a.csv", "x,y\n" + "".join(f"0.3,{target}\n" for target in targets.split()))
    assert dataset(path, "regress", columns="y").schema.binary == binary


def test_numbers_come_before_other_labels(tmp_path: Path) -> None:
    lines = "".join(f"{label}\ta\n" for label in ("b", "10", "9", "-1", "007", "7", "9" * 20, "1" * 19, "a"))
    labels = dataset(write(tmp_path, "a.tsv", lines), "classify").schema.labels
    assert labels == ("007", "7", "9", "10", "1" * 19, "-1", "9" * 20, "a", "b")


@pytest.mark.parametrize(("count", "end"), [(12, "l11"), (13, "...")])
def test_error_lists_at_most_twelve_labels(tmp_path: Path, count: int, end: str) -> None:
    lines = "".join(f"l{n:02}\ta\n" for n in range(count))
    schema = dataset(write(tmp_path, "a.tsv", lines), "classify").schema
    with pytest.raises(InputError, match=rf"knows l00, .*{end}$"):
        schema.label_id("zz", Location("here"))


def test_labels_of_older_models_are_found_without_spaces_and_quotes() -> None:
    schema = TaskSchema("classify", SymbolVocab("chars", "a"), labels=("left ", '"right"', "up", "up "))

    assert [schema.find_label(name) for name in ("left", "right", "left ", '"right"', "up", "up ", "down")] == [
        0, 1, 0, 1, 2, 3, None,
    ]  # fmt: skip
