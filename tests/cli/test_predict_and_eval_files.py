"""Files of supervised data: eval reads the output of predict; anomalies are reported on standard error."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fastrnn_cli.group import program

SMALL = (
    "--hidden",
    "8",
    "--batch",
    "16",
    "--steps",
    "30",
    "--threads",
    "1",
    "--lr",
    "0.02",
    "--dropout",
    "0",
    "--valid",
    "0",
)
SIDES = [("left" if i % 2 else "right", "ab"[i % 2] * (1 + i % 4)) for i in range(60)]


def invoke(*args: object, text: str | bytes | None = None, status: int = 0) -> Result:
    done = CliRunner().invoke(program, [str(arg) for arg in args], input=text)
    assert done.exit_code == status, done.stderr
    return done


def train(folder: Path, task: str, content: str, name: str, *options: str) -> Path:
    (folder / name).write_text(content, newline="")
    run = folder / "run"
    invoke("train", folder / name, "--task", task, *SMALL, *options, "--out", run, "-q")
    return run


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two labels."""
    text = "".join(f"{label}\t{text}\n" for label, text in SIDES)
    return train(tmp_path_factory.mktemp("sides"), "classify", text, "sides.tsv")


@pytest.fixture(scope="module")
def tags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger that knows X and Y; a token holds a blank."""
    text = "".join(f"{'a b' if i % 2 else 'c'}\t{'X' if i % 2 else 'Y'}\n" + "\n" * (i % 4 == 3) for i in range(80))
    return train(tmp_path_factory.mktemp("tags"), "tag", text, "tags.tsv")


def accuracy(run: Path, data: Path, *options: str) -> float:
    return float(json.loads(invoke("eval", run, data, "--json", *options).stdout)["accuracy"])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_predict_writes_one_line_per_input_line(sides: Path, end: str) -> None:
    done = invoke("predict", sides, text=end.join(["", "aaa", "", "", "bb", ""]).encode())

    assert done.stdout == "\nright\taaa\n\n\nleft\tbb\n"
    objects = [json.loads(line) for line in invoke("predict", sides, "--json", text="\naaa\n").stdout.splitlines()]
    assert objects[0] == {"text": "", "label": None}
    assert objects[1]["label"] == "right"


def test_predict_keeps_blank_lines_between_sequences(tags: Path) -> None:
    assert invoke("predict", tags, text="\na b\t\n\n\n\nc\t\n\n").stdout == "\na b\tX\n\n\n\nc\tY\n\n"


def test_token_with_a_space_round_trips(tags: Path, tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_text("a b\tX\nc\tY\n\n")
    predicted = invoke("predict", tags, tmp_path / "in.tsv", "--probabilities").stdout
    assert [line.split("\t")[:3] for line in predicted.splitlines()[:2]] == [["a b", "X", "X"], ["c", "Y", "Y"]]
    (tmp_path / "out.tsv").write_text(predicted)

    done = invoke("eval", tags, tmp_path / "out.tsv", "--json")
    assert json.loads(done.stdout)["accuracy"] == 1
    assert "out.tsv:1: the columns after the second are read as predictions and left out" in done.stderr
    assert invoke("predict", tags, tmp_path / "out.tsv").stdout.startswith("a b\tX\tX\t")


def test_conllu_plus_file_gets_its_tags(tags: Path, tmp_path: Path) -> None:
    text = "# global.columns = FORM UPOS\n# only a comment\n\nc\t_\na b\t_\n\n"
    (tmp_path / "in.conllup").write_text(text)

    predicted = invoke("predict", tags, tmp_path / "in.conllup").stdout
    assert predicted == text.replace("c\t_", "c\tY").replace("a b\t_", "a b\tX")
    (tmp_path / "out.conllup").write_text(predicted)
    assert accuracy(tags, tmp_path / "out.conllup") == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.tsv", "aaa\nbb\n"),
        ("x.tsv", 'right\t"a\naa"\nleft\t"b\tb"\n'),
        ("x.tsv", "id\tlabel\ttext\n1\tright\taa\n2\tleft\tb\n"),
        ("x.csv", 'text,n\n"a,a",1\n"b\nb",2\n'),
        ("x.csv", 'label;text\nright;"a;a"\n"left";b\n'),
        ("x.json", '[{"text": "aa"},\n {"text": "b", "label": null}]'),
        ("x.jsonl", '{"text": "aa", "label": "right", "predicted": "old"}\n'),
    ],
)
def test_output_of_predict_is_readable_by_eval_and_predict(sides: Path, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, newline="")
    predicted = invoke("predict", sides, tmp_path / name).stdout
    again = tmp_path / f"again{Path(name).suffix}"
    again.write_text(predicted, newline="")

    assert accuracy(sides, again) == 1
    twice = tmp_path / f"twice{Path(name).suffix}"
    twice.write_text(invoke("predict", sides, again).stdout, newline="")
    assert accuracy(sides, twice) == 1


def test_predictions_for_class_folders_show_file_names(sides: Path, tmp_path: Path) -> None:
    for label, text in (("left", "bb\nb"), ("right", "aa")):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "1.txt").write_text(text)
    done = invoke("predict", sides, tmp_path / "data")

    objects = map(json.loads, done.stdout.splitlines())
    assert [(Path(o["file"]).parent.name, o["text"], o["label"]) for o in objects] == [
        ("left", "bb\nb", "left"), ("right", "aa", "right"),
    ]  # fmt: skip
    assert "each folder is a class, each file an example" in done.stderr
    assert accuracy(sides, tmp_path / "data") == 1


def test_unknown_labels_count_as_wrong_and_are_reported(sides: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("right\taa\nup\tbb\nleft\tbb\nup\tb\n")
    done = invoke("eval", sides, tmp_path / "x.tsv", "--json")
    figures = json.loads(done.stdout)

    assert (figures["accuracy"], figures["positions"], figures["unseen"]) == (0.5, 2, {"up": 2})
    assert figures["labels"]["left"]["precision"] == pytest.approx(1 / 3)
    assert f"'up' ({tmp_path}/x.tsv:2)" in done.stderr.replace("\n", "")
    assert "not in training  count\nup                   2\n" in invoke("eval", sides, tmp_path / "x.tsv").stdout


def test_unknown_tag_is_reported_with_its_line(tags: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("c\tY\n\na b\tX\nc\tZ\n")
    done = invoke("eval", tags, tmp_path / "x.tsv", "--json")

    assert json.loads(done.stdout)["accuracy"] == pytest.approx(2 / 3)
    assert f"'Z' ({tmp_path}/x.tsv:4)" in done.stderr


def test_unknown_label_in_a_validation_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("".join(f"{label}\t{text}\n" for label, text in SIDES))
    (tmp_path / "valid.tsv").write_text("right\taa\nup\tbb\n")
    done = invoke("train", tmp_path / "train.tsv", "--task", "classify", "--valid-file", tmp_path / "valid.tsv", *SMALL,
                  "--out", tmp_path / "run")  # fmt: skip

    assert "labels that did not occur in training count as wrong" in done.stderr


def test_predict_classifies_a_table_of_numbers(tmp_path: Path) -> None:
    rows = "".join(f"{i % 2 * 10 + i % 3},{i},{'elm' if i % 2 else 'oak'}\n" for i in range(60))
    run = train(tmp_path, "classify", "width,id,kind\n" + rows, "trees.csv", "--label", "kind", "--columns", "width")

    assert accuracy(run, tmp_path / "trees.csv") == 1
    assert invoke("predict", run, text="id,width\n7,0\n8,12\n").stdout == "label,id,width\noak,7,0\nelm,8,12\n"
    assert invoke("predict", run, text="width,kind\n1,elm\n").stdout == "width,kind,predicted\n1,elm,oak\n"
    resumed = invoke("train", "--resume", run, "--steps", "35", "--json")
    assert json.loads(resumed.stdout)["steps"] == 35


def test_predict_keeps_the_column_names_of_a_table_of_texts(tmp_path: Path) -> None:
    rows = "".join(f'"{text},",{label}\n' for label, text in SIDES)
    run = train(tmp_path, "classify", "body,side\n" + rows, "sides.csv", "--label", "side", "--text", "body")

    assert 'label = "side"' in (run / "config.toml").read_text()
    assert accuracy(run, tmp_path / "sides.csv") == 1
    (tmp_path / "x.tsv").write_text("right\taaa,\n")
    assert accuracy(run, tmp_path / "x.tsv") == 1
    (tmp_path / "y.csv").write_text("wing,words\nright,aaa\n")
    assert accuracy(run, tmp_path / "y.csv", "--label", "wing", "--text", "words") == 1
    assert invoke("predict", run, text='body\n"b,"\n').stdout == 'label,body\nleft,"b,"\n'


def test_positions_of_columns_without_a_header_are_those_of_the_training(tmp_path: Path) -> None:
    text = "".join(f"{text}\t{label}\n" for label, text in SIDES)
    run = train(tmp_path, "classify", text, "sides.tsv", "--label", "2", "--text", "1")

    assert accuracy(run, tmp_path / "sides.tsv") == 1
    done = invoke("predict", run, tmp_path / "sides.tsv", "--json")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == [text for _, text in SIDES]
    assert invoke("predict", run, text="aaa\n").stdout == "right\taaa\n"  # one column only
    options = ("--task", "classify", *SMALL[:-2], "--valid-file", tmp_path / "sides.tsv", "--label", "2", "--text", "1")
    done = invoke("train", tmp_path / "sides.tsv", *options, "--out", tmp_path / "other", "-q", "--json")
    assert json.loads(done.stdout)["accuracy"] == 1


def test_a_text_that_begins_with_a_brace_is_no_json(sides: Path) -> None:
    done = invoke("predict", sides, text='aaa\n{bb bb}\n{"b": 1}\nbb\n')
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == ["aaa", "{bb bb}", '{"b": 1}', "bb"]


def test_data_of_unknown_labels_alone_cannot_be_scored(sides: Path, tmp_path: Path) -> None:
    (tmp_path / "others.tsv").write_text("up\taaa\ndown\tbbb\n")
    done = invoke("eval", sides, tmp_path / "others.tsv", status=1)
    assert "nothing can be scored: none of the 2 targets is known to the model" in done.stderr


def test_format_option_applies_to_files_without_a_known_ending(sides: Path, tmp_path: Path) -> None:
    (tmp_path / "x.data").write_text('{"text": "aa", "label": "right"}\n')

    assert accuracy(sides, tmp_path / "x.data", "--format", "jsonl") == 1
    assert "--format names the format" in invoke("eval", sides, tmp_path / "x.data", status=1).stderr
    assert (
        "does not read format 'conllu'"
        in invoke("eval", sides, tmp_path / "x.data", "--format", "conllu", status=2).stderr
    )
    invoke("train", tmp_path / "x.data", "--format", "jsonl", status=2)


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="needs process substitution")
def test_process_substitution_is_read_by_its_content(sides: Path, tmp_path: Path) -> None:
    program_ = f"{shlex.quote(sys.executable)} -m fastrnn_cli predict {shlex.quote(str(sides))} --threads 1"
    for written in (r"printf 'aa\nbb\n'", r"""printf '{"text": "aa"}\n'"""):
        done = subprocess.run(["bash", "-c", f"{program_} <({written})"], capture_output=True, text=True, check=True,
                              env=os.environ)  # fmt: skip
        assert "right" in done.stdout


def test_score_reads_lines_that_end_with_a_carriage_return(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat sat on the mat\n" * 60)
    invoke("train", tmp_path / "a.txt", "--hidden", "8", "--batch", "4", "--steps", "1", "--threads", "1", "--out",
           tmp_path / "run", "-q")  # fmt: skip
    done = invoke("score", tmp_path / "run", text=b"the cat\rsat\r\rmat\r")

    assert [line.split("\t")[2] for line in done.stdout.splitlines()] == ["the cat", "sat", "", "mat"]
