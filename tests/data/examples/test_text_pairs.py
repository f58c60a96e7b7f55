"""Class files, TSV and JSON Lines."""

from pathlib import Path

import numpy as np
import pytest
from example_cases import examples, write

from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.errors import InputError


def test_files_of_a_folder_are_the_classes(tmp_path: Path) -> None:
    write(tmp_path, "names/Irish.txt", "Adam\n\nAhearn\n")
    write(tmp_path, "names/Czech.txt", "Abl\r\n")
    write(tmp_path, "names/README.md", "not a class")

    found = read_examples([str(tmp_path / "names")], "classify").items

    assert [(e.x, e.y, e.place.line) for e in found] == [
        ("Abl", "Czech", 1),
        ("Adam", "Irish", 1),
        ("Ahearn", "Irish", 3),
    ]


def test_class_files_may_be_given_separately(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"{name}.txt", text) for name, text in (("b", "x\n"), ("a", "y\n"))]

    assert [(e.x, e.y) for e in read_examples(paths, "classify").items] == [("x", "b"), ("y", "a")]


def test_generate_examples_have_the_label_as_input_and_the_text_as_target(tmp_path: Path) -> None:
    write(tmp_path, "names/Irish.txt", "Adam\n")

    assert examples(str(tmp_path / "names"), "generate") == [("Irish", "Adam")]
    assert examples(write(tmp_path, "a.tsv", "Irish\tAdam\n"), "generate") == [("Irish", "Adam")]


def test_tsv_is_label_and_text(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "pos\ta fine film\n\nneg\tdull \n")

    assert examples(path, "classify") == [("a fine film", "pos"), ("dull ", "neg")]


def test_label_may_be_missing_for_prediction(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "pos\ta\nb\n")

    assert examples(path, "classify", needs_targets=False) == [("a", "pos"), ("b", None)]
    assert examples(write(tmp_path, "a.txt", "b\n"), "classify", needs_targets=False) == [("b", None)]


def test_tsv_pairs_are_source_and_target(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "1 May\t05-01\n")

    assert examples(path, "translate") == [("1 May", "05-01")]
    assert examples(write(tmp_path, "b.tsv", "1 May\n"), "translate", needs_targets=False) == [("1 May", None)]


def test_jsonl_takes_labels_and_texts(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"label": "x", "text": "a\\nb", "id": 7}\n{"text": "c", "label": 3}\n')

    assert examples(path, "classify") == [("a\nb", "x"), ("c", "3")]


def test_jsonl_takes_vectors_for_generate(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"given": [1, -0.5], "text": "up"}\n')
    ((vector, text),) = examples(path, "generate")

    np.testing.assert_array_equal(vector, np.array([1, -0.5], np.float32))
    assert text == "up"
    assert examples(write(tmp_path, "b.jsonl", '{"label": "x", "text": "y"}\n'), "generate") == [("x", "y")]


def test_files_of_two_formats_are_not_mixed(tmp_path: Path) -> None:
    labels, numbers = write(tmp_path, "a.tsv", "x\ty\n"), write(tmp_path, "b.jsonl", '{"given": [1], "text": "y"}\n')

    with pytest.raises(InputError, match=r"b\.jsonl:1: numbers where the examples before have a text or label"):
        read_examples([labels, numbers], "generate")
    with pytest.raises(InputError, match=r"a\.tsv:1: a text or label where the examples before have numbers"):
        read_examples([numbers, labels], "generate")


@pytest.mark.parametrize(
    ("task", "name", "content", "message"),
    [
        ("classify", "a.tsv", "x\ty\nonly\n", "a.tsv:2: one column; a line is label, a tab, text"),
        ("classify", "a.tsv", "x\ty\tz\n", "a.tsv:1: 3 columns; a line is label, a tab, text"),
        ("classify", "a.tsv", "x\ty\nx\t \n", "a.tsv:2: the text is empty; give it or leave the line out"),
        ("classify", "a.tsv", "\ty\n", "a.tsv:1: the label is empty; give it or leave the line out"),
        ("classify", "a.tsv", "\n \n", "a.tsv: no example in it; give at least one"),
        ("translate", "a.tsv", "x\n", "a.tsv:1: one column; a line is source, a tab, target"),
        ("translate", "a.tsv", "x\t\n", "a.tsv:1: the target is empty; give it or leave the line out"),
        ("generate", "a.tsv", "x\n", "a.tsv:1: one column; a line is label, a tab, text"),
        ("classify", "a.jsonl", "{}\n", 'a.jsonl:1: no "label"; a line is {"label": ..., "text": ...}'),
        ("classify", "a.jsonl", '{"label": "x"}', 'no "text" that is a string; a line is {"label": ..., "text": ...}'),
        ("classify", "a.jsonl", "[1]\n", "a.jsonl:1: not a JSON object"),
        ("classify", "a.jsonl", '{"label":', "a.jsonl:1: not JSON"),
        ("classify", "a.jsonl", "[" * 100000, "a.jsonl:1: not JSON"),
        ("classify", "a.jsonl", '{"label": true, "text": "a"}', "the label is true; it must be a string or a whole"),
        ("classify", "a.jsonl", '{"label": "a\\nb", "text": "a"}', "the label has characters that cannot be printed"),
        (
            "classify",
            "a.jsonl",
            '{"label": "a", "text": "\\ud800"}',
            "half of a surrogate pair; write whole characters",
        ),
        ("generate", "a.jsonl", '{"text": "a"}', 'neither "given" nor "label"'),
        (
            "generate",
            "a.jsonl",
            '{"label": "x", "text": "a"}\n\n{"given": [1], "text": "a"}',
            'a.jsonl:3: has "given" where the lines before have "label"',
        ),
        (
            "generate",
            "a.jsonl",
            '{"given": [1], "text": "a"}\n{"label": "x", "text": "a"}',
            'a.jsonl:2: has "label" where the lines before have "given"',
        ),
        ("generate", "a.jsonl", '{"given": [1], "label": "x", "text": "a"}', 'a.jsonl:1: both "given" and "label"'),
        (
            "generate",
            "a.jsonl",
            '{"given": [1], "text": "a"}\n{"given": "x", "text": "a"}',
            "a.jsonl:2: a text or label where the examples before have numbers",
        ),
        (
            "generate",
            "a.jsonl",
            '{"given": [1e999], "text": "a"}',
            '"given" must be a list of 1 to 4096 finite numbers',
        ),
        ("generate", "a.jsonl", '{"given": [1, "2"], "text": "a"}', "finite numbers"),
        ("generate", "a.jsonl", '{"given": [], "text": "a"}', "finite numbers"),
        ("generate", "a.jsonl", '{"given": [NaN], "text": "a"}', "finite numbers"),
        ("generate", "a.jsonl", f'{{"given": [1{"0" * 400}], "text": "a"}}', "finite numbers"),
    ],
)
def test_errors_show_file_and_line(tmp_path: Path, task: str, name: str, content: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        examples(write(tmp_path, name, content), task)

    assert message in str(error.value)
    assert "\n" not in str(error.value)
