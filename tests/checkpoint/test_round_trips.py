"""Whatever training accepts round-trips through a checkpoint: configurations, schemas and examples of every kind."""

import dataclasses
import json
import math
import tomllib
import typing
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn.cells import CELLS, RECURRENT_CELLS
from fastrnn.checkpoint.checkpoint import Checkpoint, check_readable, from_bytes, spec_for, to_bytes
from fastrnn.config import _CHOICES, TASKS, Config, to_toml
from fastrnn.config_checks import LIMITS, TASK_SETTINGS
from fastrnn.data.examples.example import Example, ExampleSet, Location
from fastrnn.data.examples.schema import StandardScaler, TaskSchema, schema_from_dict
from fastrnn.data.examples.series import Series
from fastrnn.data.examples.symbol_vocab import SymbolVocab
from fastrnn.data.text.tokenizers import ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer
from fastrnn.errors import CheckpointError, ConfigError, InputError
from fastrnn.inference.load import load
from fastrnn.nn.spec import parameter_shapes
from fastrnn.task_specs import TASK_SPECS
from fastrnn.training.api import resume, train

FEW = settings(max_examples=150, deadline=None, derandomize=True)
LABELS = ("left", "right")
COLUMN = StandardScaler((0.5,), (2.0,), ("x",))
VOCABULARIES: dict[str, TaskSchema] = {
    "tag": TaskSchema("tag", SymbolVocab("tokens", ["a"]), labels=LABELS),
    "classify": TaskSchema("classify", SymbolVocab("chars", "ab"), labels=LABELS),
    "generate": TaskSchema("generate", target=SymbolVocab("chars", "ab"), labels=LABELS),
    "translate": TaskSchema("translate", SymbolVocab("words", ["a"]), target=SymbolVocab("chars", "ab")),
    "forecast": TaskSchema("forecast", inputs=COLUMN, horizon=2, seq=4),
    "regress": TaskSchema("regress", inputs=COLUMN, outputs=COLUMN),
}
TOKENIZERS: dict[str, Tokenizer] = {
    "chars": CharTokenizer("ab"), "bytes": ByteTokenizer(), "words": WordTokenizer(["<EOS>", "<UNK>", "a"]),
}  # fmt: skip
# The same number in the types that Python programs have it in.
WHOLE: list[Callable[[int], Any]] = [int, float, np.int64, np.float64, Decimal, Fraction, np.array]
REAL: list[Callable[[float], Any]] = [float, np.float64, np.longdouble, Decimal, Fraction, np.array]
ODD = st.text(
    st.sampled_from("ab\n\r\t\0 \x1b\x85\xa0\u0301\u2028\u202e\ufeff\U0001f600\ud800\udcff\"'\\=<"), max_size=4
)


def checkpoint_of(config: Config, encoding: Any) -> Checkpoint:
    """A model of zeros, without moments."""
    shapes = parameter_shapes(config, spec_for(config, encoding))
    return Checkpoint(config, encoding, {n: np.zeros(s, config.dtype) for n, s in shapes.items()}, {}, {}, {}, {})


@st.composite
def configurations(draw: st.DrawFn) -> Config:
    """Any configuration, its values in any type that is taken. Sizes stay small: a model of it is made."""
    task = draw(st.sampled_from(TASKS))
    chosen: dict[str, Any] = {"task": task, "hidden": draw(st.integers(1, 3)), "layers": draw(st.integers(1, 3))}
    hints = typing.get_type_hints(Config)
    names = [f.name for f in dataclasses.fields(Config) if f.name not in chosen]
    for name in draw(st.lists(st.sampled_from(names), unique=True)):
        if name in TASK_SETTINGS and name not in TASK_SPECS[task].options:
            continue
        chosen[name] = draw(_values(name, hints[name]))
    if task not in ("tag", "classify", "forecast", "regress"):
        chosen["bidirectional"] = False
    if not TASK_SPECS[task].supports_dense_cell or chosen.get("bidirectional"):
        chosen["cell"] = draw(st.sampled_from(RECURRENT_CELLS))
    if task != "language-model" or chosen.get("tokens") is None:
        chosen["tokens"] = "chars"
    if "streams" in chosen and "batch" in chosen:
        chosen["streams"] = draw(st.integers(1, 3)) * int(chosen["batch"])
    if CELLS[chosen.get("cell") or TASK_SPECS[task].cell].keep_gate is None:
        chosen.pop("slow_units", None)
    lengths = [name for name in ("epochs", "steps", "for_") if name in chosen]
    for name in lengths[1:]:
        del chosen[name]
    return Config(**chosen)


def _values(name: str, hint: Any) -> st.SearchStrategy[Any]:
    kinds = typing.get_args(hint) or (hint,)
    if name in _CHOICES:
        return st.sampled_from(_CHOICES[name])
    if name == "for_":
        return st.sampled_from(["90", "3m", "1.5h", "2d", "1e2s"])
    if name == "encoding":
        return st.sampled_from(["cp1252", "latin-1", "UTF-16", "gb18030"])
    if bool in kinds:
        return st.sampled_from([True, False, np.True_, np.False_])
    if str in kinds:
        text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
        return text | text.map(lambda t: np.str_(t))
    low, high, open_low = LIMITS[name]
    if int in kinds:
        whole = st.integers(math.ceil(low) + open_low, int(min(high, 2**53)))
        return st.builds(lambda kind, n: kind(n), st.sampled_from(WHOLE), whole)
    real = st.floats(low, high, exclude_min=open_low)
    return st.builds(lambda kind, x: kind(x), st.sampled_from(REAL), real)


@FEW
@given(configurations())
def test_config_round_trips_through_toml_and_checkpoint(config: Config) -> None:
    assert all(type(value) in (int, float, str, bool) for value in config.to_dict().values())
    assert Config.from_dict(tomllib.loads(to_toml(config))) == config
    encoding = TOKENIZERS[config.tokens] if config.task == "language-model" else VOCABULARIES[config.task]
    checkpoint = checkpoint_of(config, encoding)
    check_readable(checkpoint)
    again = from_bytes(to_bytes(checkpoint))
    assert again.config == config
    assert again.tokenizer == encoding


def _examples(task: str, names: list[str]) -> ExampleSet:
    """Two examples a name, which stands wherever the task has labels, words, texts or columns."""
    items, place = [], Location("given")
    rows = np.arange(6.0)
    for name in names * 2:
        pair: dict[str, tuple[Any, Any]] = {
            "tag": ([name, "b"], [name, "T"]),
            "classify": ("ab" + name, name),
            "generate": (name, "ab" + name),
            "translate": ("ab" + name, name + "b"),
            "forecast": (Series(tuple(names), rows[:, None] + np.arange(len(names))), None),
            "regress": (np.arange(len(names))[None] + 0.5, np.ones((1, len(names))) * len(items)),
        }
        items.append(Example(*pair[task], place))
    return ExampleSet(task, items, inputs=tuple(names), outputs=tuple(f"{name}?" for name in names))


@settings(FEW, max_examples=300)
@given(st.sampled_from(list(VOCABULARIES)), st.lists(ODD, min_size=2, max_size=3), st.sampled_from(["chars", "words"]))
def test_schema_round_trips_through_a_checkpoint(task: str, names: list[str], tokens: str) -> None:
    config = Config(task=task, tokens=tokens, hidden=2, min_count=1, valid=0.0, seq=2)
    plain = all(name and "\n" not in name and not _surrogate(name) for name in names) and len(set(names)) == len(names)
    try:
        found = TaskSchema.build(_examples(task, names), config)
    except InputError:
        if plain:
            raise
        return
    assert schema_from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert from_bytes(to_bytes(checkpoint_of(config, found))).tokenizer == found


def _surrogate(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


@FEW
@given(st.text(st.characters(), max_size=30), st.lists(ODD, max_size=5))
def test_tokenizer_round_trips_through_a_checkpoint(chars: str, words: list[str]) -> None:
    for kind, make in (
        ("chars", lambda: CharTokenizer("".join(sorted(set(chars))))),
        ("words", lambda: WordTokenizer(["<EOS>", "<UNK>", *words])),
    ):
        try:
            tokenizer = make()
        except InputError:
            continue
        assert from_bytes(to_bytes(checkpoint_of(Config(hidden=2, tokens=kind), tokenizer))).tokenizer == tokenizer


@pytest.mark.e2e
def test_unusual_labels_round_trip_through_a_run(tmp_path: Path) -> None:
    labels = ["\r", "a\tb", "\x85", "\u2028", " ", "<UNK>", "\ufeff", "\0", "é" * 300, "7", "007"]
    examples = ExampleSet(
        "classify", [Example("xyz"[: 1 + i % 3], label, Location("given", i)) for i, label in enumerate(labels)]
    )
    train(examples, Config(task="classify", hidden=4, steps=2, batch=4, threads=1, valid=0.0), tmp_path / "run")
    assert set(load(tmp_path / "run").vocabulary.labels) == set(labels)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (Example("x", "one\nline", Location("given", 3)), "given:3: the label 'one.nline' holds a line break"),
        (Example("x", "", Location("given", 3)), "given:3: the label '' is empty"),
        (Example("x", "\udc80", Location("given", 3)), "given:3: the label .* is not Unicode"),
        (Example("x", 3, Location("given", 3)), "given:3: the label is 3, which is no text; give a text such as '3'"),
        (Example("x", None, Location("given", 3)), "given:3: the label is None"),
        (Example(b"x", "a", Location("given", 3)), "given:3: its text is b'x'"),
        (Example("\ud83d", "a", Location("given", 3)), "given:3: its text holds a lone surrogate"),
        (Example("x", "a", "given"), "item:2: its place is not a Location"),  # type: ignore[arg-type]
        ("x", "item:2: 'x' is not an Example"),
    ],
)
def test_examples_that_cannot_be_saved_are_refused_before_the_run_starts(
    example: Any, reason: str, tmp_path: Path
) -> None:
    examples = ExampleSet("classify", [Example("y", "b", Location("given", 1)), example])
    with pytest.raises(InputError, match=reason):
        train(examples, Config(task="classify", hidden=4, steps=2, batch=4, valid=0.0), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("task", "x", "y", "reason"),
    [
        ("tag", ["a", "b"], ["X"], "2 words and 1 tags"),
        ("tag", "ab", ["X", "Y"], "'ab' where a list of words"),
        ("tag", ["a", "b\nc"], ["X", "Y"], "one of its words is 'b.nc'"),
        ("tag", ["a", 2], ["X", "Y"], "one of its words is 2"),
        ("translate", "a", 5, "its translation is 5"),
        ("generate", np.array(["a"]), "t", "what is given must be an array of numbers"),
        ("regress", [[1.0]], np.ones((1, 1)), "its inputs must be an array of numbers"),
        ("regress", np.ones((1, 1)), np.full((1, 1), np.inf), "its targets hold a number that is not finite"),
        ("regress", np.ones((2, 1)), np.ones((1, 1)), "2 steps of inputs and 1 of targets"),
        ("forecast", np.ones((9, 1)), None, "where a Series is needed"),
    ],
)
def test_example_fields_of_another_task_are_refused(task: str, x: Any, y: Any, reason: str, tmp_path: Path) -> None:
    examples = ExampleSet(task, [Example(x, y, Location("given", 1))] * 3)
    with pytest.raises(InputError, match=reason):
        train(examples, Config(task=task, hidden=4, steps=2, batch=4, valid=0.0), tmp_path / "run")


def test_examples_of_another_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="these are examples of 'tag'; the task is classify"):
        train(ExampleSet("tag", []), Config(task="classify", hidden=4, steps=2), tmp_path / "run")
    with pytest.raises(InputError, match="no example was given"):
        train(ExampleSet("tag", []), Config(task="tag", hidden=4, steps=2), tmp_path / "run")


def test_model_that_could_not_be_loaded_is_not_trained() -> None:
    """Whatever else may be wrong: the metadata are read back before the first step."""
    tokenizer = WordTokenizer(["<EOS>", "<UNK>", "a"])
    tokenizer.words.append("<EOS>")  # behind the checks' back
    tokenizer.size += 1
    with pytest.raises(CheckpointError, match="could not be read again once it is trained"):
        check_readable(checkpoint_of(Config(hidden=2, tokens="words"), tokenizer))


TEXT = "a text to learn from, and to go on with. " * 20
SMALL = Config(hidden=4, batch=4, seq=8, steps=4.0, threads=1, warmup=np.float64(2), precision="float32")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resumed")
    (folder / "t.txt").write_text(TEXT)
    train(folder / "t.txt", SMALL, folder / "run")
    return folder / "run"


@pytest.mark.e2e
def test_changes_on_resume_are_converted_like_settings(run: Path) -> None:
    resume(run, {"steps": np.float64(8), "eval_every": 3.0, "patience": Decimal(9)})
    config = load(run).config
    assert (config.steps, config.eval_every, config.patience, config.warmup) == (8, 3, 9, 2)
    assert all(type(value) is int for value in (config.steps, config.eval_every, config.patience))


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": 40.5}, "steps must be a whole number, not 40.5"),
        ({"steps": "40"}, "steps must be a whole number"),
        ({"eval_every": True}, "eval_every must be a whole number"),
        ({"save_every": 0}, "save_every is 0"),
        ({"threads": np.array([1, 2])}, "threads must be a whole number"),
        ({"for_": 20}, "for must be a text"),
        ({"stepz": 40}, "unknown setting 'stepz'; did you mean steps"),
        ({5: 40}, "unknown setting 5"),
        ({"hidden": 5}, "hidden cannot be changed"),
        ([("steps", 40)], "changes must be a dict"),
    ],
)
def test_changes_on_resume_are_validated_before_the_run_is_modified(run: Path, changes: Any, reason: str) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(ConfigError, match=reason):
        resume(run, changes)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
