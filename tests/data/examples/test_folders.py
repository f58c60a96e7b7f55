"""Folders as classes, class files, and skipped files."""

from pathlib import Path
from typing import Any

import pytest
from example_cases import write

from fastrnn.data.examples.readers.formats import read_examples


def read(folder: Path, *inputs: str, **reading: Any) -> tuple[list[tuple[Any, Any]], list[str]]:
    """Text and label of each example, and what was told, with paths from the folder."""
    told: list[str] = []
    examples = read_examples([str(folder / name) for name in inputs], "classify", report=told.append, **reading)
    return [(e.x, e.y) for e in examples], [message.replace(f"{folder}/", "") for message in told]


def test_files_in_several_folders_are_examples_of_the_folders_names(tmp_path: Path) -> None:
    write(tmp_path, "mail/spam/17.txt", "buy\nnow\n")
    write(tmp_path, "mail/ham/18.txt", "see you")
    write(tmp_path, "mail/index.txt", "spam/17.txt")
    write(tmp_path, "mail/README", "about")
    write(tmp_path, "mail/.DS_Store", b"\0")

    found, told = read(tmp_path, "mail")

    assert found == [("see you", "ham"), ("buy\nnow", "spam")]
    assert told == [
        "mail: each folder is a class, each file an example: ham (1), spam (1)",
        "mail: left out README, index.txt: not examples, by their name or folder",
    ]


def test_split_folders_may_contain_the_class_folders(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label in ("spam", "ham"):
            write(tmp_path, f"mail/{part}/{label}/{part}1.txt", f"{part} {label}")
        write(tmp_path, f"mail/{part}/urls_{part}.txt", "http://a")

    found, told = read(tmp_path, "mail")

    assert sorted({label for _, label in found}) == ["ham", "spam"]
    assert len(found) == 4
    assert told[1] == "mail: left out test/urls_test.txt, train/urls_train.txt: not examples, by their name or folder"


def test_class_files_in_split_folders_stay_class_files(tmp_path: Path) -> None:
    for part in ("train", "dev"):
        for label in ("oak", "elm"):
            write(tmp_path, f"trees/{part}/{label}.txt", f"{part}\n{label}\n")

    found, _ = read(tmp_path, "trees")

    assert sorted({label for _, label in found}) == ["elm", "oak"]
    assert len(found) == 8


def test_format_folders_takes_every_file_of_every_folder(tmp_path: Path) -> None:
    write(tmp_path, "news/sci.space/60.1", "a\nb")
    write(tmp_path, "news/rec.autos/7", "c")

    expected = [("c", "rec.autos"), ("a\nb", "sci.space")]
    assert read(tmp_path, "news", format="folders")[0] == expected
    assert read(tmp_path, "news/rec.autos", "news/sci.space", format="folders")[0] == expected


def test_notice_files_beside_class_files_are_skipped_and_reported(tmp_path: Path) -> None:
    write(tmp_path, "names/oak.txt", "a\nb\n")
    write(tmp_path, "names/elm.txt", "c\n")
    write(tmp_path, "names/ReadMe.txt", "hello")
    write(tmp_path, "names/LICENSE.txt", "free")

    found, told = read(tmp_path, "names")

    assert sorted({label for _, label in found}) == ["elm", "oak"]
    assert told == ["names: left out LICENSE.txt, ReadMe.txt: not examples, by their name or folder"]


def test_one_label_per_file_is_reported(tmp_path: Path) -> None:
    for i in range(12):
        write(tmp_path, f"pos/{i}.txt", "one line")

    assert read(tmp_path, "pos")[1][0].startswith("12 files give 12 labels: each file is one class, named")


@pytest.mark.parametrize("text", ["", " \n"])
def test_empty_file_in_a_class_folder_is_reported(tmp_path: Path, text: str) -> None:
    write(tmp_path, "mail/spam/1.txt", text)
    write(tmp_path, "mail/ham/2.txt", "x")

    with pytest.raises(Exception, match=r"spam/1\.txt: an empty file; write its text, or remove it"):
        read(tmp_path, "mail")
