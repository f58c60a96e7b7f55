"""Choice of the reader by file name, option and content."""

import gzip
import io
import sys
from pathlib import Path

import pytest
from example_cases import examples, write

from fastrnn.data.examples.readers.formats import ReadOptions, ending_of, open_examples, read_examples
from fastrnn.errors import ConfigError, InputError


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.tsv", ".tsv"),
        ("dir.csv/A.TSV.gz", ".tsv"),
        ("t10k-images-idx3-ubyte", ".idx"),
        ("train-images.idx3-ubyte.gz", ".idx"),
        ("standard input", "-"),
        ("README", ""),
    ],
)
def test_reader_is_chosen_by_the_file_name(name: str, ending: str) -> None:
    assert ending_of(name) == ending


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv.gz", gzip.compress(b"x\tsome text\n"))

    assert examples(path, "classify") == [("some text", "x")]


@pytest.mark.parametrize(
    ("task", "typed", "found"),
    [
        ("tag", "a x\n\nb y\n", [(["a"], ["x"]), (["b"], ["y"])]),
        ("classify", "x\ta\n", [("a", "x")]),
        ("classify", ' {"label": "x", "text": "a"}\n', [("a", "x")]),
        ("generate", '{"label": "x", "text": "a"}\n', [("x", "a")]),
        ("generate", "x\ta\n", [("x", "a")]),
        ("translate", "s\tt\n", [("s", "t")]),
    ],
)
def test_standard_input_is_read(
    monkeypatch: pytest.MonkeyPatch, task: str, typed: str, found: list[tuple[object, object]]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))

    assert examples("-", task) == found


def test_tables_come_from_standard_input_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,2\n")))

    assert read_examples(["-"], "forecast").inputs == ("a", "b")


def test_examples_are_read_lazily(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "x\ta\nbroken\n")
    (stream,) = open_examples([path], ReadOptions("classify"))

    assert next(stream.items).x == "a"
    with pytest.raises(InputError, match=r"a\.tsv:2: one column"):
        next(stream.items)


def test_several_inputs_form_one_list(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.tsv", "x\ta\n"), write(tmp_path, "b.jsonl", '{"label": "y", "text": "b"}')]

    assert [e.y for e in read_examples(paths, "classify").items] == ["x", "y"]


@pytest.mark.parametrize(
    ("task", "name", "message"),
    [
        ("tag", "a.csv", "tag does not read this kind of file; it reads .conllu, .conllup, .txt, .tsv, .conll, .bio,"),
        (
            "forecast",
            "a.tsv",
            "forecast does not read this kind of file; it reads .csv (each also compressed: .gz, .bz2, .xz, .zst)",
        ),
        (
            "classify",
            "a.pkl",
            "classify does not read this kind of file; it reads .tsv, .jsonl, .ndjson, .json, .txt, .csv",
        ),
    ],
)
def test_another_kind_of_file_is_an_error(tmp_path: Path, task: str, name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        examples(write(tmp_path, name, "x"), task)

    assert message in str(error.value)


def test_folder_without_what_a_task_reads_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "data/a.md", "x")

    with pytest.raises(InputError, match=r"data: no file for tag in this folder; it reads \.conllu"):
        read_examples([str(tmp_path / "data")], "tag")


def test_task_without_examples_is_an_error() -> None:
    with pytest.raises(ConfigError, match="task 'language-model' has no examples"):
        read_examples(["x"], "language-model")
    with pytest.raises(InputError, match="no data was given"):
        read_examples([], "tag")
