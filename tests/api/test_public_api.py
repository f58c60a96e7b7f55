"""The library inside other programs: forks, copies, interrupts, imports, arguments of wrong types."""

import ast
import copy
import os
import pickle
import subprocess
import sys
from collections import UserDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastrnn
from fastrnn.data.examples.example import ExampleSet
from fastrnn.distributed import communicator
from fastrnn.errors import BackendError, CheckpointError, FastRNNError, InputError
from fastrnn.training.callbacks import Callback

TEXT = "it was a bright cold day in spring, and the clocks were striking. " * 12
SMALL = {"hidden": 8, "steps": 3, "batch": 4, "threads": 2, "dropout": 0.0, "precision": "float32"}
FILES = {
    "language-model": ("t.txt", TEXT, {"seq": 8}),
    "classify": ("a.tsv", "x\taab\ny\tbba\n" * 10, {}),
    "tag": ("c.txt", "ab X\nb Y\n\n" * 20, {}),
    "translate": ("b.tsv", "aab\txx\nbba\tyy\n" * 10, {}),
    "generate": ("g.tsv", "x\taab\ny\tbba\n" * 10, {}),
    "regress": ("d.csv", "".join(["p,q,r\n", *(f"{i},{i % 3},{2 * i}\n" for i in range(20))]), {"columns": "r"}),
    "forecast": ("f.csv", "".join(["u\n", *(f"{i % 5}\n" for i in range(60))]), {"seq": 8, "horizon": 2}),
}
fork_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder for each task, by its name, beside the data."""
    path = tmp_path_factory.mktemp("embedding")
    for task, (name, text, settings) in FILES.items():
        (path / name).write_text(text)
        fastrnn.train(path / name, fastrnn.Config(task=task, **SMALL, **settings), path / task)  # type: ignore[arg-type]
    return path


def python(script: str, folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs it in the folder; a process that hangs fails the test."""
    return subprocess.run(
        [sys.executable, *options, "-c", script],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@fork_only
def test_used_model_works_in_forked_children(folder: Path) -> None:
    """Every way to ask, in a child of `os.fork`, in a pool's, and in a child of a child."""
    script = """
import multiprocessing, os, fastrnn

written = fastrnn.load("language-model", threads=3)
labels = fastrnn.load("classify", threads=2)
tags = fastrnn.load("tag", threads=2)

def ask(seed):
    found = [written.sample(12, seed=seed), next(written.score(["it was a day"])).logprob]
    written.reset()
    return [*found, written.step("a").tolist(), [p.value for p in labels.predict(["aab", "bba"])],
            [p.value for p in tags.predict([["ab", "b"]])]]

def in_child(call):
    reader, writer = os.pipe()
    if not (child := os.fork()):
        try:
            os.write(writer, repr(call()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    found = b""
    while piece := os.read(reader, 65536):
        found += piece
    os.waitpid(child, 0)
    return found.decode()

here = ask(5)
assert in_child(lambda: ask(5)) == repr(here)
assert in_child(lambda: in_child(lambda: ask(5))) == repr(repr(here))
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(ask, [5, 5, 5]) == [here] * 3
assert ask(5) == here
print("done")
"""
    found = python(script, folder)
    assert (found.stdout, found.returncode) == ("done\n", 0), found.stderr


@fork_only
def test_training_in_a_forked_child(folder: Path) -> None:
    script = f"""
import os, sys, fastrnn
text, config = {TEXT!r}, fastrnn.Config(**{SMALL!r}, seq=8)
corpus = fastrnn.corpus_from_text(text)
before = fastrnn.train(corpus, config, "in-parent")
if not (child := os.fork()):
    after = fastrnn.train(corpus, config, "in-child")
    same = (after.train_nats, after.valid_nats) == (before.train_nats, before.valid_nats)
    sys.exit(0 if same else 5)  # an ordinary end, which waits for what it thinks are its threads
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    found = python(script, folder)
    assert found.returncode == 0, found.stderr


@fork_only
def test_fork_while_other_threads_compute_or_compile(folder: Path) -> None:
    script = """
import os, threading, fastrnn, numba
model = fastrnn.load("language-model", threads=2)
other = fastrnn.load("language-model", threads=2)
expected, stop = model.sample(30, seed=1), threading.Event()

def compute():
    while not stop.is_set():
        other.sample(400, seed=2)

def compile_():
    while not stop.is_set():
        numba.njit(lambda x: x + 1)(1)

threads = [threading.Thread(target=call) for call in (compute, compute, compile_)]
for thread in threads:
    thread.start()
statuses = []
for _ in range(12):
    if not (child := os.fork()):
        right = model.sample(30, seed=1) == expected and other.sample(30, seed=1) == expected
        numba.njit(lambda x: x + 2)(1)
        os._exit(0 if right else 5)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
for thread in threads:
    thread.join()
print(statuses)
"""
    found = python(script, folder)
    assert found.stdout == f"{[0] * 12}\n", found.stderr


@fork_only
def test_signal_to_a_forked_child_does_not_stop_the_parents_training(folder: Path) -> None:
    script = f"""
import os, signal, time, fastrnn
from fastrnn.training.callbacks import Callback

class Forks(Callback):
    def on_step(self, step):
        if step.step == 1:
            reader, writer = os.pipe()
            if not (child := os.fork()):
                os.write(writer, b"!")  # the handlers of the parent are gone
                time.sleep(60)
                os._exit(0)
            os.read(reader, 1)
            for number in (signal.SIGTERM, signal.SIGTERM):
                os.kill(child, number)
            statuses.append(os.waitpid(child, 0)[1])

statuses = []
corpus, config = fastrnn.corpus_from_text({TEXT!r}), fastrnn.Config(**{SMALL!r}, seq=8)
run = fastrnn.train(corpus, config, "signalled", callback=Forks())
print(run.stopped, run.steps, statuses == [signal.SIGTERM])
"""
    found = python(script, folder)
    assert found.stdout == "done 3 True\n", found.stderr


@pytest.mark.parametrize("task", FILES)
def test_models_can_be_pickled_and_copied(folder: Path, task: str) -> None:
    model = fastrnn.load(folder / task, threads=1, exact=True)
    expected = _uses(model, folder)
    for make in (lambda m: pickle.loads(pickle.dumps(m)), copy.copy, copy.deepcopy):
        again = make(model)
        assert type(again) is type(model)
        assert (again.config, again.progress, again.corpus) == (model.config, model.progress, model.corpus)
        assert _uses(again, folder) == expected
        (array,) = [m.parameters.flat for m in (_network(again),)]
        array += 1.0  # a model of its own
        assert _uses(model, folder) == expected


def _network(model: Any) -> Any:
    return model.network if isinstance(model, fastrnn.LanguageModel) else model.model


def _uses(model: Any, folder: Path) -> str:
    """What the model predicts, as text."""
    if isinstance(model, fastrnn.LanguageModel):
        return repr((model.sample(20, seed=3), list(model.score(["it was"])), model.complete("it")))
    if model.task == "generate":
        return repr(model.generate("x", 2, 5, seed=1))
    examples = model.read_examples(folder / FILES[model.task][0], needs_targets=False)
    if model.task == "forecast":
        return repr(model.forecast(examples, 4))
    return repr([(str(p.value), str(p.probability)) for p in model.predict(examples)])


def test_data_settings_and_results_can_be_pickled_and_copied(folder: Path) -> None:
    result = fastrnn.resume(folder / "classify", {"steps": 4})
    corpus = fastrnn.corpus_from_text(TEXT, tokens="words")
    model = fastrnn.load(folder / "tag")
    examples = fastrnn.read_examples(folder / "c.txt", "tag")
    for make in (lambda x: pickle.loads(pickle.dumps(x)), copy.copy, copy.deepcopy):
        for thing in (result, corpus.tokenizer, model.vocabulary, model.config, fastrnn.Config(steps=3)):  # type: ignore[union-attr]
            assert make(thing) == thing
        again = make(corpus)
        assert (again.fingerprint, len(again)) == (corpus.fingerprint, len(corpus))
        assert [e.x for e in make(examples)] == [e.x for e in examples]
        (prediction,) = model.predict([["ab", "b"]])  # type: ignore[union-attr]
        assert make(prediction).value == prediction.value
        assert str(make(InputError("a.txt: empty"))) == "a.txt: empty"


class Table(UserDict):  # type: ignore[type-arg]
    """Iterates over the names of its columns, as data frames do, and is no `dict`."""

    columns = ("text",)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            Table(text=["aab"]),
            "type Table where a list.*list of texts; of a table give one column",
        ),
        ({"text": ["aab"]}, "a value of type dict where a list is needed"),
        ({"aab": 1}.items(), "item:1: a value of type tuple where a text is needed|a list"),
        ("aab", "a text where a list is needed"),
        (b"aab", "a value of type bytes where a list"),
        (bytearray(b"aab"), "a value of type bytearray where a list"),
        (5, "a value of type int where a list"),
        (None, "a value of type NoneType where a list"),
        ((x for x in (1, 2)), "item:1: a value of type int where a text"),
        (["aab", None], "item:2: a value of type NoneType where a text"),
        (["aab", float("nan")], "item:2: a value of type float where a text"),
        (["aab", b"b"], "item:2: a value of type bytes where a text"),
        (np.array([["aab", "b"]]), "item:1: a value of type ndarray where a text"),
        (np.array(["aab", 3], object), "item:2: a value of type int where a text"),
        (np.array("aab"), "ndarray where a list is needed"),
    ],
)
def test_predict_and_score_refuse_anything_but_lists_of_texts(folder: Path, values: Any, reason: str) -> None:
    model = fastrnn.load(folder / "classify", threads=1)
    with pytest.raises(InputError, match=reason):
        list(model.predict(values))  # type: ignore[union-attr]


class Column:
    """Values under labels of their own, as a column of a data frame."""

    def __init__(self, values: list[str]) -> None:
        self.values, self.index = values, [7 + i for i in range(len(values))]

    def __iter__(self) -> Any:
        return iter(self.values)

    def __getitem__(self, label: int) -> str:
        return self.values[self.index.index(label)]


def test_columns_and_arrays_of_texts_are_accepted(folder: Path) -> None:
    model: Any = fastrnn.load(folder / "classify", threads=1)
    texts = ["aab", "bba", "ab"]
    expected = [p.value for p in model.predict(texts)]
    for values in (Column(texts), np.array(texts), np.array(texts, object), tuple(texts), iter(texts)):
        assert [p.value for p in model.predict(values)] == expected


CORPUS = fastrnn.corpus_from_text("ab" * 30)


@pytest.mark.parametrize(
    "call",
    [
        lambda d: fastrnn.load(5),
        lambda d: fastrnn.load(None),
        lambda d: fastrnn.load([d / "tag"]),
        lambda d: fastrnn.load(d / "tag", threads="2"),
        lambda d: fastrnn.load(d / "tag", threads=0),
        lambda d: fastrnn.train(CORPUS, {"steps": 3}),
        lambda d: fastrnn.train(CORPUS, "steps"),
        lambda d: fastrnn.train(CORPUS, out=5),
        lambda d: fastrnn.train(CORPUS, init_from=5),
        lambda d: fastrnn.train(None),
        lambda d: fastrnn.train(5),
        lambda d: fastrnn.train({"t.txt": 1}),
        lambda d: fastrnn.train(b"t.txt"),
        lambda d: fastrnn.train([5]),
        lambda d: fastrnn.train(Table(text=["t.txt"])),
        lambda d: fastrnn.resume(None),
        lambda d: fastrnn.resume(d / "tag", "steps"),
        lambda d: fastrnn.resume(d / "tag", {"steps": 9}, inputs=5),
        lambda d: fastrnn.read_corpus(None),
        lambda d: fastrnn.read_corpus(d / "t.txt", tokens=None),
        lambda d: fastrnn.read_corpus(d / "t.txt", min_count="2", tokens="words"),
        lambda d: fastrnn.read_corpus(d / "t.txt", separator=5),
        lambda d: fastrnn.corpus_from_text(b"abc"),
        lambda d: fastrnn.corpus_from_text(None),
        lambda d: fastrnn.corpus_from_text(["a", "b"]),
        lambda d: fastrnn.corpus_from_text("abc", tokens=5),
        lambda d: fastrnn.corpus_from_text("abc", unknown=None),
        lambda d: fastrnn.read_examples(None, "tag"),
        lambda d: fastrnn.read_examples(d / "c.txt", None),
        lambda d: fastrnn.read_examples(d / "c.txt", ["tag"]),
        lambda d: fastrnn.read_examples(d / "d.csv", "regress", columns=["r"]),
        lambda d: fastrnn.Config.from_dict({5: 6}),
        lambda d: fastrnn.Config.from_dict("steps"),
    ],
)
def test_arguments_of_wrong_types_raise_errors_of_one_line(
    folder: Path, tmp_path: Path, call: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FastRNNError) as caught:
        call(folder)
    assert 10 < len(str(caught.value)) < 400
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.sample("10"),
        lambda m: m.sample(10.5),
        lambda m: m.sample(10, prime=b"it"),
        lambda m: m.sample(10, prime=5),
        lambda m: m.sample(10, stop=["."]),
        lambda m: m.sample(10, seed="1"),
        lambda m: m.sample(10, seed=-1),
        lambda m: m.sample(10, temperature="hot"),
        lambda m: m.sample(10, temperature=np.nan),
        lambda m: m.sample(10, top_k=1.5),
        lambda m: m.sample(10, prime="it", unknown=None),
        lambda m: list(m.sample_stream("2", 5)),
        lambda m: list(m.score([5])),
        lambda m: list(m.score([b"it"])),
        lambda m: list(m.score(None)),
        lambda m: list(m.score({"text": "it"})),
        lambda m: list(m.score(Table(text=["it"]))),
        lambda m: m.complete(5),
        lambda m: m.complete("it", n="5"),
        lambda m: m.complete("it", length=2.5),
        lambda m: m.step(None),
        lambda m: m.step(1.5),
        lambda m: m.step(True),
        lambda m: m.step([1]),
        lambda m: m.evaluate("t.txt"),
        lambda m: m.evaluate(CORPUS),
        lambda m: m.evaluate_dynamic("t.txt"),
        lambda m: m.evaluate_dynamic(CORPUS),
        lambda m: m.evaluate_dynamic(fastrnn.corpus_from_text(TEXT, tokenizer=m.tokenizer), lr="x"),
    ],
)
def test_arguments_of_wrong_types_to_a_language_model(folder: Path, call: Any) -> None:
    model = fastrnn.load(folder / "language-model", threads=1)
    with pytest.raises(FastRNNError) as caught:
        call(model)
    assert 10 < len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("task", "call"),
    [
        ("translate", lambda m: list(m.predict(["aab"], beam="2"))),
        ("translate", lambda m: list(m.predict(["aab"], beam=1.5))),
        ("translate", lambda m: list(m.translate("aab"))),
        ("classify", lambda m: m.evaluate(None)),
        ("classify", lambda m: m.evaluate({"a.tsv": 1})),
        ("classify", lambda m: m.evaluate(5)),
        ("classify", lambda m: m.part(None, "test")),
        ("forecast", lambda m: m.forecast("f.csv", 4)),
        ("forecast", lambda m: m.forecast([1, 2, 3], 4)),
        ("forecast", lambda m: m.forecast(ExampleSet("forecast", []), 2.5)),
        ("forecast", lambda m: m.forecast(ExampleSet("forecast", []), 2)),
        ("generate", lambda m: m.generate(None)),
        ("generate", lambda m: m.generate(5)),
        ("generate", lambda m: m.generate("x", "3")),
        ("generate", lambda m: m.generate("x", 1, length=None)),
        ("generate", lambda m: m.generate("x", prime=3)),
        ("tag", lambda m: m.step(5)),
        ("tag", lambda m: list(m.predict(["ab b"]))),
        ("regress", lambda m: list(m.predict([{"p": 1}]))),
        ("regress", lambda m: m.step("1")),
    ],
)
def test_arguments_of_wrong_types_to_task_models(folder: Path, task: str, call: Any) -> None:
    model = fastrnn.load(folder / task, threads=1)
    with pytest.raises(FastRNNError) as caught:
        call(model)
    assert 10 < len(str(caught.value)) < 400


def test_numpy_scalars_are_accepted_as_numbers(folder: Path) -> None:
    model: Any = fastrnn.load(folder / "language-model", threads=np.int64(1))
    assert model.sample(np.int32(9), seed=np.uint8(3), temperature=np.float32(0.5)) == model.sample(
        9.0, seed=3, temperature=0.5
    )
    assert model.complete("it", n=np.int64(2)) == model.complete("it", n=2)
    model.reset()
    first = model.step(np.int64(1))
    model.reset()
    np.testing.assert_array_equal(first, model.step(1))


def test_text_passed_as_a_file_name_raises_an_error_of_one_line(tmp_path: Path) -> None:
    for call in (fastrnn.train, fastrnn.read_corpus, lambda t: fastrnn.read_examples(t, "classify")):
        for text in (TEXT.replace(", ", "\n") * 99, "*" + TEXT * 99, TEXT * 99 + "\0"):
            with pytest.raises(InputError, match=r"is a text, not a file name") as caught:
                call(text)
            assert len(str(caught.value)) < 400
            assert "\n" not in str(caught.value)
    for call in (fastrnn.load, fastrnn.resume):
        with pytest.raises(CheckpointError) as caught_:
            call(TEXT * 99)
        assert len(str(caught_.value)) <= 600


def test_long_label_or_word_does_not_fill_the_screen(folder: Path, tmp_path: Path) -> None:
    long = "z" * 50_000
    (tmp_path / "b.tsv").write_text(long)
    model: Any = fastrnn.load(folder / "classify", threads=1)
    generator: Any = fastrnn.load(folder / "generate", threads=1)
    written: Any = fastrnn.load(folder / "language-model", threads=1)
    for call in (
        lambda: model.evaluate(tmp_path / "b.tsv"),
        lambda: generator.generate(long),
        lambda: written.step(long),
        lambda: written.sample(5, prime="1" * 50_000),
        lambda: written.sample(5, unknown=long),
        lambda: fastrnn.read_examples(tmp_path / f"{long}.tsv", "classify"),
        lambda: fastrnn.Config(task=long),
        lambda: fastrnn.Config().replace(**{long: 1}),
        lambda: fastrnn.Config.from_dict({long: 1}),
    ):
        with pytest.raises(FastRNNError) as caught:
            call()
        assert len(str(caught.value)) <= 600


class InterruptAt(Callback):
    """Sends a signal when so many steps are done, or when the run is being prepared (-1)."""

    def __init__(self, at: int, number: str) -> None:
        self.at, self.number = at, number


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(
    ("at", "number", "ended", "saved"),
    [
        (2, "SIGINT", "KeyboardInterrupt()", [2]),
        (2, "SIGTERM", "SystemExit(143)", [2]),
        (-1, "SIGINT", "KeyboardInterrupt()", []),
        (-1, "SIGTERM", "SystemExit(143)", []),
    ],
)
def test_interrupt_ends_a_loop_of_trainings_with_raise_interrupt(
    folder: Path, tmp_path: Path, at: int, number: str, ended: str, saved: list[int]
) -> None:
    script = f"""
import os, signal, fastrnn
from fastrnn.training.callbacks import Callback
from fastrnn.checkpoint.checkpoint import load

class Interrupt(Callback):
    def on_step(self, step):
        if step.step == {at}:
            signal.raise_signal(signal.{number})
    def on_train_start(self, start):
        if {at} < 0:
            signal.raise_signal(signal.{number})

corpus = fastrnn.corpus_from_text({TEXT!r})
config = fastrnn.Config(**{SMALL | {"steps": 6, "threads": 1}!r}, seq=8)
before = signal.getsignal(signal.{number})
try:
    for name in ("one", "two"):
        fastrnn.train(corpus, config, name, callback=Interrupt(), raise_interrupt=True)
except BaseException as error:
    print(repr(error))
files = [f"{{name}}/last.safetensors" for name in ("one", "two")]
print([load(file).progress["step"] for file in files if os.path.exists(file)])
print(signal.getsignal(signal.{number}) is before)
if {at} > 0:
    try:
        fastrnn.resume("one", inputs=corpus, callback=Interrupt())
        print("resumed")
    finally:
        pass
"""
    found = python(script, tmp_path)
    expected = [ended, str(saved), "True", *(["resumed"] if at > 0 else [])]
    assert found.stdout.splitlines() == expected, found.stderr
    assert found.returncode == 0


def test_without_raise_interrupt_the_result_holds_the_signal(tmp_path: Path) -> None:
    script = f"""
import signal, fastrnn
from fastrnn.training.callbacks import Callback

class Interrupt(Callback):
    def on_step(self, step):
        signal.raise_signal(signal.SIGINT)

run = fastrnn.train(fastrnn.corpus_from_text({TEXT!r}), fastrnn.Config(**{SMALL!r}, seq=8), "one", callback=Interrupt())
print(run.stopped, run.signal == signal.SIGINT, run.steps)
"""
    assert python(script, tmp_path).stdout == "signal True 1\n"


def test_run_is_resumed_from_another_folder(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "words.txt").write_text(TEXT)
    monkeypatch.chdir(tmp_path / "start")
    config = fastrnn.Config(**SMALL, seq=8)  # type: ignore[arg-type]
    fastrnn.train("words.txt", config, "run")
    fastrnn.train("words.txt", config.replace(valid_file="words.txt"), "other")

    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        fastrnn.resume("start/run", {"steps": 5})
    assert "'words.txt': this run's data is not here" in str(caught.value)
    assert repr(str(tmp_path)) in str(caught.value)
    assert "fastrnn train DATA --resume start/run" in str(caught.value)
    with pytest.raises(InputError, match=r"'words.txt': this run's valid_file is not here"):
        fastrnn.resume("start/other", {"steps": 5}, inputs="start/words.txt")
    assert fastrnn.resume("start/run", {"steps": 5}, inputs="start/words.txt").steps == 5


def test_package_lists_its_names_and_imports_them_on_first_use() -> None:
    script = """
import sys, fastrnn
print(fastrnn.__version__, set(fastrnn.__all__) <= set(dir(fastrnn)), "numpy" in sys.modules)
"""
    found = python(script, Path.cwd(), "-I")
    assert found.stdout.split()[1:] == ["True", "False"], found.stderr
    assert found.stdout[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        fastrnn.trian  # noqa: B018
    for name in fastrnn.__all__:
        assert getattr(fastrnn, name).__name__ == name


def test_type_checkers_and_the_interpreter_import_the_same_names() -> None:
    """The imports under TYPE_CHECKING name the modules of the lazy imports, one for each public name."""
    (block,) = (
        node
        for node in ast.parse(Path(fastrnn.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    )
    imported = {
        alias.name: f".{node.module}" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == fastrnn._MODULES
    assert sorted(imported) == fastrnn.__all__


@pytest.mark.parametrize("use", ["sample(20)", "predict(['aab'])"])
def test_model_is_used_without_the_training_package(folder: Path, use: str) -> None:
    run = "language-model" if use.startswith("sample") else "classify"
    script = f"""
import sys, fastrnn
assert list(fastrnn.load({run!r}).{use})
print([name for name in sys.modules if name.startswith("fastrnn.training")])
"""
    found = python(script, folder)
    assert found.stdout == "[]\n", found.stderr


def test_training_a_text_imports_few_modules() -> None:
    """Of labelled examples only their type is imported: readers, schemas and models of other tasks come with a task."""
    script = "import sys, fastrnn.training.api; print(*(name for name in sys.modules if name.startswith('fastrnn')))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = found.stdout.split()
    assert len(modules) <= 65
    assert [name for name in modules if name.startswith("fastrnn.data.examples.")] == ["fastrnn.data.examples.example"]
    assert not {"fastrnn.nn.models", "fastrnn.data.download", "fastrnn.training.tasks.supervised"} & {*modules}


@pytest.mark.parametrize("run", ["language-model", "classify"])
def test_checkpoint_is_read_without_numba(folder: Path, run: str) -> None:
    script = f"""
import sys
from fastrnn.checkpoint.checkpoint import load
assert load("{run}/best.safetensors").parameters
print("numba" in sys.modules)
"""
    found = python(script, folder)
    assert found.stdout == "False\n", found.stderr


@pytest.mark.parametrize("module", ["fastrnn", "fastrnn_cli"])
@pytest.mark.parametrize("level", ["-O", "-OO"])
def test_python_m_runs_the_program_with_all_its_help(module: str, level: str, tmp_path: Path) -> None:
    def ask(*arguments: str) -> str:
        found = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=100, check=True
        )
        return found.stdout

    for command in ("train", "predict"):
        assert ask(level, "-m", module, command, "--help") == ask("-m", "fastrnn_cli", command, "--help")
    assert "Train a model on text" in ask(level, "-m", module, "train", "--help")


def test_disabled_numba_raises_an_error_of_one_line(folder: Path) -> None:
    for line in ("sample language-model", "train t.txt --out none", "predict classify a.tsv"):
        found = subprocess.run(
            [sys.executable, "-m", "fastrnn", *line.split()],
            cwd=folder,
            env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert found.returncode == 1
        (told,) = found.stderr.splitlines()
        assert told.endswith("which NUMBA_DISABLE_JIT turns off; unset NUMBA_DISABLE_JIT")
    assert not (folder / "none").exists()


def test_without_mpi4py_the_error_explains_how_to_run_one_process(monkeypatch: Any) -> None:
    for name in ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "SLURM_NTASKS", "PMIX_RANK"):
        monkeypatch.setenv(name, "0" if name.endswith("RANK") else "6")
    monkeypatch.setitem(sys.modules, "fastrnn.distributed.mpi", None)
    with pytest.raises(BackendError) as caught:
        communicator.world.__wrapped__()
    assert "one of 6 processes (OMPI_COMM_WORLD_SIZE=6)" in str(caught.value)
    assert "env -u OMPI_COMM_WORLD_SIZE -u SLURM_NTASKS fastrnn" in str(caught.value)
    for name in ("OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.delenv(name)
    assert communicator.world.__wrapped__() is communicator.SINGLE_PROCESS
