"""The library with plain Python values and paths as inputs, without `ExampleSet`."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastrnn
from fastrnn.data.examples.example import Example, ExampleSet
from fastrnn.errors import InputError

SMALL = {"hidden": 4, "steps": 2, "batch": 8, "threads": 1, "dropout": 0.0}
FILES = {
    "classify": ("a.tsv", "x\taab\ny\tbba\n" * 10, {}),
    "translate": ("b.tsv", "aab\txx\nbba\tyy\n" * 10, {}),
    "tag": ("c.txt", "a X\nb Y\n\n" * 20, {}),
    "regress": ("d.csv", "".join(["p,q,r\n", *(f"{i},{i % 3},{2 * i}\n" for i in range(20))]), {"columns": "r"}),
}
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """A model of each task, hardly trained, and the file that it was trained on."""
    folder, found = tmp_path_factory.mktemp("values"), {}
    for task, (name, text, settings) in FILES.items():
        (folder / name).write_text(text)
        fastrnn.train(folder / name, fastrnn.Config(task=task, **SMALL, **settings), folder / task)
        found[task] = (fastrnn.load(folder / task), folder / name)
    return found


@pytest.mark.parametrize("task", FILES)
def test_python_values_are_predicted_like_examples(models: dict[str, tuple[Any, Path]], task: str) -> None:
    model, path = models[task]
    examples = model.read_examples(path, needs_targets=False)
    expected = list(model.predict(examples))
    asked: list[Any] = [example.x for example in examples]
    if task == "regress":
        asked = [x.tolist() if i % 2 else x[0] for i, x in enumerate(asked)]  # (1, F) and (F,)

    for values in (asked, iter(asked), examples.items, list(examples)):
        predictions = list(model.predict(values))
        assert [str(p.value) for p in predictions] == [str(p.value) for p in expected]
    mixed = list(model.predict([asked[0], examples.items[1]]))
    assert [str(p.value) for p in mixed] == [str(p.value) for p in expected[:2]]


def test_sequence_of_numbers_is_one_example(models: dict[str, tuple[Any, Path]]) -> None:
    (prediction,) = models["regress"][0].predict([np.arange(6).reshape(3, 2)])
    assert prediction.value.shape == (3, 1)


@pytest.mark.parametrize("task", FILES)
def test_evaluate_takes_paths(models: dict[str, tuple[Any, Path]], task: str) -> None:
    model, path = models[task]
    expected = model.evaluate(model.read_examples([str(path)]))
    for inputs in (path, str(path), [path], [str(path)], (path,)):
        assert model.evaluate(inputs) == expected


@pytest.mark.parametrize(
    ("task", "asked", "message"),
    [
        ("classify", "a big dog", "a text where a list is needed; give a list of texts"),
        ("tag", 5, "a value of type int where a list is needed; give a list of word lists"),
        ("classify", ["a", 5], "item:2: a value of type int where a text is needed"),
        ("classify", [["a"]], "item:1: a list where a text is needed"),
        ("translate", ["a", None], "item:2: a value of type NoneType where a text is needed"),
        ("translate", [""], "item:1: an empty sequence"),
        ("tag", ["a b"], "item:1: a text where a list of words is needed"),
        ("tag", [["a"], []], "item:2: an empty list where a list of words is needed"),
        ("tag", [["a", 1]], "item:1: a list where a list of words is needed"),
        ("regress", [[1, 2], [1, NAN]], "item:2: a number that is not finite"),
        ("regress", [[1, -INF]], "item:1: a number that is not finite"),
        ("regress", [[1, 2, 3]], "item:1: 3 features where the model takes 2 features a step"),
        ("regress", [[[1, 2], [3]]], "item:1: rows of different lengths"),
        ("regress", ["1,2"], "item:1: a text where numbers are needed"),
        ("regress", [["1", "2"]], "item:1: a list where numbers are needed"),
        ("regress", [3], r"item:1: numbers of shape \(\); give \(steps, features\)"),
        ("regress", [np.zeros((0, 2))], r"item:1: numbers of shape \(0, 2\)"),
    ],
)
def test_wrong_values_are_refused(models: dict[str, tuple[Any, Path]], task: str, asked: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(models[task][0].predict(asked))


@pytest.mark.parametrize(
    ("task", "x", "message"),
    [
        ("tag", 5, "step: a value of type int where a word is needed"),
        ("tag", ["a"], "step: a list where a word is needed"),
        ("tag", "", "step: an empty text where a word is needed"),
        ("regress", "a", "step: a text where numbers are needed"),
        ("regress", [1, 2, 3], r"step: numbers of shape \(3,\); a step takes 2, shape \(2,\)"),
        ("regress", 1, r"step: numbers of shape \(\); a step takes 2"),
        ("regress", [[1, 2]], r"step: numbers of shape \(1, 2\); a step takes 2"),
        ("regress", [1, NAN], "step: a number that is not finite"),
    ],
)
def test_wrong_steps_are_refused(models: dict[str, tuple[Any, Path]], task: str, x: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        models[task][0].step(x)


def test_example_set_is_iterable() -> None:
    items = [Example("a", "b", None)]  # type: ignore[arg-type]
    assert list(ExampleSet("classify", items)) == items


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("alone", [True, False])
def test_train_accepts_one_name_or_path(tmp_path: Path, kind: Any, alone: bool) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("the sea is calm. " * 60)
    inputs = kind(path) if alone else [kind(path)]
    out = tmp_path / "run"
    result = fastrnn.train(inputs, fastrnn.Config(**SMALL, seq=8), out)
    assert result.inputs == (str(path),)
    assert fastrnn.resume(out, {"steps": 3}, inputs).steps == 3
    assert len(fastrnn.read_corpus(inputs).ids) == 17 * 60


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a value of type int instead of a file name"):
        fastrnn.train([5], fastrnn.Config(**SMALL), tmp_path / "run")  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"notes\.txt: no such file"):
        fastrnn.train("notes.txt", fastrnn.Config(**SMALL), tmp_path / "run")


NUMBERS = np.array([[3.0, 2.0], [1.0, 0.0]])
ARRAYS = {
    **{name: NUMBERS.astype(name) for name in ("f2", "f4", "longdouble", ">f4", ">f8", "i1", ">i4", "u8")},
    "objects": NUMBERS.astype(object),
    "mixed objects": np.array([[3, 2.0], [np.int8(1), Decimal(0)]], object),
    "columns first": np.asfortranarray(NUMBERS),
    "every second": np.repeat(NUMBERS, 2, axis=1)[:, ::2],
    "backwards": NUMBERS[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": np.frombuffer(NUMBERS.tobytes()).reshape(2, 2),
    "list": NUMBERS.tolist(),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_every_dtype_are_predicted_alike(models: dict[str, tuple[Any, Path]], name: str) -> None:
    model, _ = models["regress"]

    np.testing.assert_array_equal(next(model.predict([ARRAYS[name]])).value, next(model.predict([NUMBERS])).value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([["1", "2"]], object), "where numbers are needed"),
        (np.array([[1, None]], object), "where numbers are needed"),
        (np.array([[10**400, 1]], object), "a number that is not finite"),
        (np.array([[np.inf, 1]], "f2"), "a number that is not finite"),
        (np.array([[np.finfo(np.longdouble).max, 1]]), "a number that is not finite"),
    ],
)
def test_arrays_without_finite_numbers_are_refused(
    models: dict[str, tuple[Any, Path]], value: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        next(models["regress"][0].predict([value]))
