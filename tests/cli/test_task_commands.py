"""Commands on small models of the supervised tasks: input, output and errors."""

import csv
import io
import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fastrnn_cli.group import program

SMALL = ("--hidden", "8", "--batch", "16", "--threads", "1", "--lr", "0.01", "--dropout", "0")
FILES = {
    "sides.tsv": "".join(f"{'left' if i % 2 else 'right'}\t{'ab'[i % 2] * (1 + i % 4)}\n" for i in range(60)),
    "tags.txt": "".join(f"{'ab'[i % 2] * (1 + i % 3)} {'XY'[i % 2]}\n" + "\n" * (i % 5 == 4) for i in range(100)),
    "pairs.tsv": "".join(f"{'ab'[i % 2] * (1 + i % 4)}\t{'xy'[i % 2] * (1 + i % 4)}\n" for i in range(80)),
    "wave.csv": "date,a,b\n"
    + "".join(f"2024-01-{1 + i // 24:02} {i % 24:02}:00,{i % 24},{i % 2}\n" for i in range(240)),
    "short.csv": "date,a,b\n" + "".join(f"2024-01-01 {i:02}:00,{i},{i}\n" for i in range(3)),
    "given.jsonl": "".join(f'{{"given": [{i % 2}, {i}], "text": "{"ab"[i % 2] * 3}"}}\n' for i in range(20)),
    "bits.csv": "p,q,r\n" + "".join(f"{i % 2},{i // 2 % 2},{1 - i % 2}\n" for i in range(60)),
}
RUNS = {
    "classify": ("sides.tsv", "--epochs", "15"),
    "tag": ("tags.txt", "--epochs", "15", "--bidirectional"),
    "generate": ("sides.tsv", "--epochs", "60"),
    "numbers": ("given.jsonl", "--steps", "2"),
    "translate": ("pairs.tsv", "--epochs", "60"),
    "forecast": ("wave.csv", "--columns", "a,b", "--horizon", "3", "--seq", "12", "--steps", "5"),
    "regress": ("bits.csv", "--columns", "r", "--cell", "dense", "--epochs", "40"),
}


def invoke(*args: str, text: str | bytes | None = None, status: int = 0) -> Result:
    """Run a command that must leave with this status; a failure is one line."""
    done = CliRunner().invoke(program, args, input=text)
    assert done.exit_code == status, done.stderr
    if status:
        assert done.stdout == ""
        assert done.stderr.startswith("fastrnn: ")
        assert done.stderr.count("\n") == 1
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, and a run of each task in a folder of its name."""
    path = tmp_path_factory.mktemp("tasks")
    for name, text in FILES.items():
        (path / name).write_text(text)
    for task, (data, *settings) in RUNS.items():
        invoke(
            "train",
            str(path / data),
            "--task",
            task if task != "numbers" else "generate",
            "--out",
            str(path / task),
            *SMALL,
            *settings,
            "--quiet",
        )
    return path


def test_train_shows_the_metric_and_hints(folder: Path, tmp_path: Path) -> None:
    data = str(folder / "sides.tsv")
    out = str(tmp_path / "my run")
    done = invoke("train", data, "--task", "classify", "--steps", "8", "--out", out, *SMALL)
    assert "examples to learn from" in done.stderr
    assert "accuracy" in done.stdout
    assert "targets/s" in done.stdout
    hints = [line.strip() for line in done.stderr.partition("Try next:")[2].splitlines() if line.strip()]
    assert hints[0] == f"fastrnn predict {shlex.quote(out)} {data}"
    for hint in hints[:2]:
        invoke(*shlex.split(hint)[1:])


def test_hints_omit_a_split_that_was_not_made(folder: Path, tmp_path: Path) -> None:
    data = str(folder / "sides.tsv")
    done = invoke("train", data, "--task", "classify", "--steps", "2", "--valid-file", data, "--out",
                  str(tmp_path / "run"), *SMALL)  # fmt: skip
    assert f"fastrnn eval {tmp_path / 'run'} {data}\n" in done.stderr


def test_train_json_has_the_metrics(folder: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    done = invoke("train", str(folder / "bits.csv"), "--task", "regress", "--columns", "r", "--steps", "5",
                  "--out", out, *SMALL, "--json")  # fmt: skip
    values = json.loads(done.stdout)
    assert values["run"] == out
    assert 0 <= values["accuracy"] <= 1
    assert 0 <= values["exact"] <= 1


def test_predict_classify_puts_the_label_before_its_text(folder: Path) -> None:
    run = str(folder / "classify")
    assert invoke("predict", run, text="aaa\nbb\n").stdout == "right\taaa\nleft\tbb\n"
    assert invoke("predict", run, text="left\taaa\n").stdout == "left\taaa\tright\n"
    fields = invoke("predict", run, "-", "--probabilities", text="aaa\n").stdout.rstrip().split("\t")
    assert fields[:2] == ["right", "aaa"]
    assert 0.5 < float(fields[2]) <= 1


def test_output_of_predict_is_readable_by_train_and_eval(folder: Path, tmp_path: Path) -> None:
    asked = {
        "classify": ("x.tsv", "aaa\nbb\nab\n"),
        "tag": ("x.txt", "a\nbb\n\nb\n"),
        "translate": ("x.tsv", "aa\nb\n"),
    }
    for task, (name, text) in asked.items():
        predicted = invoke("predict", str(folder / task), text=text).stdout
        (tmp_path / name).write_text(predicted)
        figures = json.loads(invoke("eval", str(folder / task), str(tmp_path / name), "--json").stdout)
        assert figures["exact" if task == "translate" else "accuracy"] == 1.0


def test_predict_json_lines(folder: Path, tmp_path: Path) -> None:
    done = invoke("predict", str(folder / "classify"), "--json", "--probabilities", text="aaa\nbb\n")
    first = json.loads(done.stdout.splitlines()[0])
    assert (first["text"], first["label"], first["labels"]) == ("aaa", "right", ["left", "right"])
    assert sum(first["probabilities"]) == pytest.approx(1)
    (tmp_path / "x.jsonl").write_text('{"text": "aaa", "id": 7}\n{"text": "b", "label": "right"}\n')
    done = invoke("predict", str(folder / "classify"), str(tmp_path / "x.jsonl"))
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"text": "aaa", "id": 7, "label": "right"},
        {"text": "b", "label": "right", "predicted": "left"},
    ]
    done = invoke("predict", str(folder / "tag"), "--json", text="a\nbb\n")
    assert {k: json.loads(done.stdout)[k] for k in ("tokens", "tags")} == {"tokens": ["a", "bb"], "tags": ["X", "Y"]}


def test_predict_tags_in_two_columns_and_conllu(folder: Path, tmp_path: Path) -> None:
    run = str(folder / "tag")
    assert invoke("predict", run, text="a\nbb\n\nbb Y\n").stdout == "a\tX\nbb\tY\n\nbb\tY\tY\n\n"
    line = "1\ta\t_\t_\t_\t_\t_\t_\t_\t_"
    (tmp_path / "x.conllu").write_text(f"# text = a\n{line}\n1.1\tx\t_\t_\t_\t_\t_\t_\t_\t_\n")
    done = invoke("predict", run, str(tmp_path / "x.conllu"), "--probabilities").stdout.splitlines()
    assert done[0] == "# text = a"
    assert done[1].startswith("1\ta\t_\tX\t_\t_\t_\t_\t_\tProbability=0.")
    assert done[2:] == ["1.1\tx\t_\t_\t_\t_\t_\t_\t_\t_", ""]


def test_conllu_and_arrays_on_standard_input(folder: Path, tmp_path: Path) -> None:
    text = "".join(f"1\t{'ab'[i % 2]}\t_\t{'XY'[i % 2]}" + "\t_" * 6 + "\n\n" for i in range(40))
    blank = text.replace("X", "_").replace("Y", "_")
    assert invoke("predict", str(folder / "tag"), "-", text=blank).stdout == text
    invoke("train", "-", "--task", "tag", "--steps", "2", "--out", str(tmp_path / "run"), *SMALL, "-q", text=text)
    np.savez(tmp_path / "x.npz", x=np.zeros((9, 2, 1)), y=np.arange(9))
    for data in ((tmp_path / "x.npz").read_bytes(), b"\0\0\x08\x01\0\0\0\x01\x05"):
        for task in ("classify", "regress", "tag"):
            done = invoke("train", "-", "--task", task, *SMALL, text=data, status=1)
            assert done.stderr.endswith("arrays (.npz, idx) cannot come from standard input; name their file\n")


def test_sample_ends_at_an_escaped_stop_text(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("ab\n" * 300)
    run = str(tmp_path / "run")
    invoke("train", str(tmp_path / "lines.txt"), "--steps", "60", "--seq", "8", "--out", run, *SMALL, "--quiet")
    args = ("sample", run, "--length", "40", "--prime", "a", "--greedy")
    whole = invoke(*args).stdout
    assert "\n" in whole
    assert invoke(*args, "--stop", "\\n").stdout == whole.partition("\n")[0] + "\n"
    assert "\\n and \\t allowed" in " ".join(invoke("sample", "--help").stdout.split())


def test_predict_translates_greedily_and_with_a_beam(folder: Path) -> None:
    for beam in ("1", "3"):
        done = invoke("predict", str(folder / "translate"), "--beam", beam, text="aa\nb\tx\n")
        assert done.stdout == "aa\txx\nb\tx\ty\n"


def test_predict_shows_probabilities_of_translations_and_bits(folder: Path, tmp_path: Path) -> None:
    text, run = "aa\nb\tx\n", str(folder / "translate")
    for beam in ("1", "3"):
        rows = [line.split("\t") for line in
                invoke("predict", run, "--beam", beam, "--probabilities", text=text).stdout.splitlines()]  # fmt: skip
        assert [row[:-1] for row in rows] == [["aa", "xx"], ["b", "x", "y"]]
        said = invoke("predict", run, "--beam", beam, "--probabilities", "--json", text=text).stdout.splitlines()
        logprobs = [json.loads(line)["logprob"] for line in said]
        assert all(-3 < logprob <= 0 for logprob in logprobs)
        assert [row[-1] for row in rows] == [f"{logprob:.4f}" for logprob in logprobs]
    assert "logprob" not in invoke("predict", run, "--json", text=text).stdout

    text, run = "p,q\n1,1\n0,0\n", str(folder / "regress")
    rows = list(csv.reader(io.StringIO(invoke("predict", run, "--probabilities", text=text).stdout)))
    assert rows[0] == ["p", "q", "r", "r_probability"]
    said = [json.loads(line) for line in invoke("predict", run, "--json", text=text).stdout.splitlines()]
    assert [row[3] for row in rows[1:]] == [f"{one['probability'][0][0]:.4f}" for one in said]
    assert [float(row[3]) > 0.5 for row in rows[1:]] == [False, True]

    (tmp_path / "xy.csv").write_text("x,y\n" + "".join(f"{i},{2 * i}\n" for i in range(40)))
    train = ("train", str(tmp_path / "xy.csv"), "--task", "regress", "--columns", "y", "--steps", "2")
    invoke(*train, "--out", str(tmp_path / "run"), *SMALL, "-q")
    done = invoke("predict", str(tmp_path / "run"), str(tmp_path / "xy.csv"), "--probabilities", status=2)
    assert "predicts numbers" in done.stderr


@pytest.mark.parametrize("end", ["close", "interrupt"])
def test_predict_writes_each_line_of_a_live_pipe_at_once(folder: Path, end: str) -> None:
    command = [sys.executable, "-m", "fastrnn_cli", "predict", str(folder / "classify"), "--threads", "1"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1) as program_:
        assert program_.stdin is not None
        assert program_.stdout is not None
        for text in ("aaa", "bb", "a"):
            program_.stdin.write(f"{text}\n")
            program_.stdin.flush()
            assert program_.stdout.readline() == f"{'right' if 'a' in text else 'left'}\t{text}\n"
        if end == "interrupt":
            program_.send_signal(signal.SIGINT)
            assert program_.wait(120) == 130
        said, problems = program_.communicate(timeout=120)
    assert said == ""
    assert "Fatal" not in problems
    assert "Traceback" not in problems
    assert program_.returncode == (130 if end == "interrupt" else 0), problems


def test_predict_adds_columns_to_a_table(folder: Path, tmp_path: Path) -> None:
    run = str(folder / "regress")
    assert invoke("predict", run, text='p,name,q\n0,"x,y",1\n1,z,0\n').stdout == 'p,name,q,r\n0,"x,y",1,1\n1,z,0,0\n'
    assert invoke("predict", run, text="q,p,r\n1,0,0\n").stdout == "q,p,r,r_predicted\n1,0,0,1\n"
    assert json.loads(invoke("predict", run, "--json", text="p,q\n1,1\n").stdout)["outputs"] == [[0]]


def test_predict_dense_arrays(tmp_path: Path) -> None:
    x = np.eye(2, dtype=np.float32)[np.arange(40) % 2]
    np.savez(tmp_path / "x.npz", x=x[:, None], y=np.arange(40) % 2)
    np.savez(tmp_path / "r.npz", x=x[:, None], y=np.eye(2)[np.arange(40) % 2][:, None])
    for task, name, said in (("classify", "x.npz", "0\n1\n0\n"), ("regress", "r.npz", "record,step,y0,y1\n0,0,1,0\n")):
        out = str(tmp_path / task)
        invoke("train", str(tmp_path / name), "--task", task, "--epochs", "20", "--out", out, *SMALL, "-q")
        assert invoke("predict", out, str(tmp_path / name)).stdout.startswith(said)


def test_label_file_is_paired_with_the_training_images(tmp_path: Path) -> None:
    x, y = np.tile(np.arange(2, dtype=np.uint8), 8), np.tile(np.arange(2, dtype=np.uint8), 8)
    for name, array in (("x.idx", x.reshape(16, 1, 1)), ("y", y), ("v-images-idx3-ubyte", x[:4].reshape(4, 1, 1)),
                        ("v-labels-idx1-ubyte", y[:4])):  # fmt: skip
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        (tmp_path / name).write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    invoke("train", str(tmp_path / "x.idx"), "--task", "classify", "--labels", str(tmp_path / "y"), "--steps", "2",
           "--valid-file", str(tmp_path / "v-images-idx3-ubyte"), "--out", str(tmp_path / "run"), *SMALL)  # fmt: skip
    np.savez(tmp_path / "x.npz", x=np.zeros((9, 2, 1)), y=np.zeros((9, 2, 1)))
    done = invoke("train", str(tmp_path / "x.npz"), "--task", "regress", "--columns", "y", *SMALL, status=2)
    assert "columns names columns of a CSV" in done.stderr


def test_predict_forecasts_the_next_rows(folder: Path) -> None:
    run, data = str(folder / "forecast"), str(folder / "wave.csv")
    done = invoke("predict", run, data)
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["date", "a", "b"]
    assert [row[0][:16] for row in rows[1:]] == [f"2024-01-11 0{hour}:00" for hour in range(3)]
    free = invoke("predict", run, data, "--steps", "10").stdout
    assert free.startswith(done.stdout)
    assert free.count("\n") == 11
    assert len(json.loads(invoke("predict", run, "--steps", "5", "--json", text=FILES["wave.csv"]).stdout)["rows"]) == 5


def test_forecasts_of_several_files_form_one_table_with_file_names(folder: Path) -> None:
    run, wave, later = str(folder / "forecast"), str(folder / "wave.csv"), str(folder / "later.csv")
    Path(later).write_text(FILES["wave.csv"].replace("2024-", "2025-"))
    rows = list(csv.reader(io.StringIO(invoke("predict", run, wave, later, "--steps", "2").stdout)))
    assert [row[:2] for row in rows] == [
        ["file", "date"], [wave, "2024-01-11 00:00"], [wave, "2024-01-11 01:00"], [later, "2025-01-11 00:00"],
        [later, "2025-01-11 01:00"],
    ]  # fmt: skip
    said = [json.loads(line) for line in invoke("predict", run, wave, later, "--json").stdout.splitlines()]
    assert [one["file"] for one in said] == [wave, later]
    assert said[0]["times"][0] == "2024-01-11 00:00"


def test_predict_reports_a_gap_and_fills_missing_values(folder: Path, tmp_path: Path) -> None:
    run, data = str(folder / "forecast"), tmp_path / "gap.csv"
    lines = FILES["wave.csv"].splitlines()
    data.write_text("\n".join(lines[:100] + lines[103:]))
    done = invoke("predict", run, str(data))
    assert "gap.csv: at 2024-01-05 06:00 the dates jump by 4:00:00 where a step is 1:00:00" in done.stderr
    data.write_text("\n".join([*lines[:-1], "2024-01-10 23:00,,1"]))
    assert "--missing interpolate, last or drop" in invoke("predict", run, str(data), status=1).stderr
    done = invoke("predict", run, str(data), "--missing", "last")
    assert "gap.csv: 1 missing value, first in column 'a' in line 241: 1 filled in (last)" in done.stderr
    assert "2024-01-11 00:00" in done.stdout
    figures = invoke("eval", run, str(data), "--missing", "drop", "--json")
    assert "1 row left out" in figures.stderr


def test_predict_treats_missing_values_as_training_did(folder: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "holes.csv", str(tmp_path / "run")
    data.write_text(FILES["wave.csv"].replace(",7,", ",NA,"))
    train = ("train", str(data), "--task", "forecast", "--seq", "8", "--steps", "1", "--out", run, *SMALL)
    assert "column 'a' has 'NA'" in invoke(*train, status=1).stderr.splitlines()[-1]
    assert (
        "10 missing values, first in column 'a' in line 9: 10 filled in (interpolate)"
        in invoke(*train, "--missing", "interpolate").stderr
    )
    assert "10 filled in (interpolate)" in invoke("predict", run, str(data)).stderr
    assert 'missing = "interpolate"' in (tmp_path / "run" / "config.toml").read_text()


def test_predict_streams_large_inputs(folder: Path) -> None:
    text = "".join(f"{'ab'[i % 2] * (1 + i % 7)}\n" for i in range(700))
    done = invoke("predict", str(folder / "classify"), text=text).stdout.splitlines()
    assert [line.split("\t")[1] for line in done] == text.split()


def test_eval_shows_a_table_for_labels(folder: Path) -> None:
    done = invoke("eval", str(folder / "classify"), str(folder / "sides.tsv"))
    assert "accuracy  100.00%" in done.stdout
    assert "left       1.000   1.000  1.000     30" in done.stdout
    assert "true \\ predicted  left  right" in done.stdout
    figures = json.loads(invoke("eval", str(folder / "classify"), str(folder / "sides.tsv"), "--json").stdout)
    assert figures["confusion"] == [[30, 0], [0, 30]]
    valid = json.loads(
        invoke("eval", str(folder / "classify"), str(folder / "sides.tsv"), "--split", "valid", "--json").stdout
    )
    assert (valid["records"], valid["accuracy"]) == (6, 1.0)


def test_eval_of_a_forecast_shows_baselines(folder: Path) -> None:
    figures = json.loads(invoke("eval", str(folder / "forecast"), str(folder / "wave.csv"), "--json").stdout)
    assert {"mae", "mse", "persistence"} <= figures.keys()
    assert "persistence" in invoke("eval", str(folder / "forecast"), str(folder / "wave.csv")).stdout


@pytest.mark.parametrize(
    ("task", "data", "shown"),
    [
        ("tag", "tags.txt", r"^loss +[\d.]+ nats$"),
        ("translate", "pairs.tsv", r"^loss +[\d.]+ nats  [\d.]+ bits per symbol\nperplexity +[\d.]+$"),
        ("forecast", "wave.csv", r"^loss +[\d.]+  \(half squared error of scaled numbers\)$"),
        ("regress", "bits.csv", r"^loss +[\d.]+ nats$"),
    ],
)
def test_eval_shows_the_loss_with_its_unit(task: str, data: str, shown: str, folder: Path) -> None:
    assert re.search(shown, invoke("eval", str(folder / task), str(folder / data)).stdout, re.MULTILINE)


def test_sample_from_a_label_writes_lines(folder: Path) -> None:
    run = str(folder / "generate")
    lines = invoke("sample", run, "--given", "left", "--count", "5", "--length", "6", "--seed", "3").stdout.splitlines()
    assert len(lines) == 5
    done = invoke("sample", run, "--given", "left", "--count", "5", "--length", "6", "--seed", "3", "--jsonl").stdout
    assert [json.loads(line)["text"] for line in done.splitlines()] == lines
    assert "".join(lines).count("b") > 0.8 * len("".join(lines))


def test_info_shows_the_task(folder: Path) -> None:
    shown = invoke("info", str(folder / "tag")).stdout
    assert "bidirectional lstm, 1 layer of 8" in shown
    assert "2 labels" in shown
    facts = json.loads(invoke("info", str(folder / "tag" / "last.safetensors"), "--json").stdout)
    assert "2 features, 1 outputs" in invoke("info", str(folder / "regress")).stdout
    assert "6 outputs" in invoke("info", str(folder / "forecast")).stdout
    assert "2 numbers given" in invoke("info", str(folder / "numbers")).stdout
    assert (facts["task"], facts["tokens"], facts["resumable"]) == ("tag", None, True)
    assert json.loads(invoke("info", str(folder / "classify"), "--json").stdout)["tokens"] in ("chars", "words")


def test_info_says_whether_the_run_can_be_resumed(folder: Path) -> None:
    """The best checkpoint lacks the optimizer state; of a run folder the last one counts."""

    def resumable(path: Path) -> bool:
        return json.loads(invoke("info", str(path), "--json").stdout)["resumable"]

    assert resumable(folder / "tag")
    assert resumable(folder / "tag" / "last.safetensors")
    assert not resumable(folder / "tag" / "best.safetensors")


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["score", "F/tag"], 2, "a model for tag, not a language model"),
        (["complete", "F/tag", "x"], 2, "a model for tag, not a language model"),
        (["sample", "F/tag"], 2, "a model for tag, not for generate"),
        (["sample", "F/generate"], 2, "use --given (it knows left, right)"),
        (["sample", "F/generate", "--given", "lift"], 1, "label 'lift' is unknown; did you mean left?"),
        (["sample", "F/numbers", "--given", "0.9"], 2, "--given 0.9: this model writes from 2 numbers with commas"),
        (["sample", "F/numbers", "--given", "1,nan"], 2, "--given 1,nan: this model writes from 2 numbers"),
        (["sample", "F/tag", "--given", "left"], 2, "--given is for models for generate"),
        (["predict", "F/generate", "F/sides.tsv"], 2, "fastrnn sample"),
        (["predict", "F/tag", "F/tags.txt", "--beam", "2"], 2, "beam is for models for translate"),
        (["predict", "F/translate", "F/pairs.tsv", "--beam", "0"], 2, "beam is 0; it must be at least 1"),
        (["predict", "F/forecast", "F/short.csv"], 1, "short.csv: 3 rows; to forecast from its end the model needs at"),
        (["train", "--resume", "F/tag", "--task", "classify"], 2, "task cannot be changed with --resume; train a new"),
        (["predict", "F/forecast", "F/wave.csv", "--probabilities"], 2, "--probabilities is for models for tag or"),
        (["predict", "F/tag", "F/tags.txt", "--steps", "2"], 2, "--steps is for models for forecast"),
        (["predict", "F/forecast", "F/wave.csv", "--steps", "0"], 2, "steps is 0"),
        (["predict", "F/tag", "F/tags.txt", "--missing", "last"], 2, "--missing is for models for forecast"),
        (["eval", "F/tag", "F/tags.txt", "--missing", "last"], 2, "--missing is for models for forecast"),
        (["train", "F/bits.csv", "--task", "regress", "--missing", "last"], 2, "--task forecast, not regress"),
        (["predict", "F/regress", "F/wave.csv"], 1, "no column 'p'"),
        (["predict", "F/classify", "missing.tsv"], 1, "missing.tsv: no such file"),
        (["eval", "F/forecast", "F/bits.csv"], 1, "bits.csv"),
        (["train", "--task", "tag"], 2, "--task tag needs data"),
        (["train", "F/sides.tsv", "--bidirectional"], 2, "a backward layer would have read it already"),
        (["train", "F/sides.tsv", "--task", "classify", "--horizon", "2"], 2, "--task forecast, not classify"),
        (["train", "F/sides.tsv", "--task", "classify", "--seq", "9"], 2, "--seq means nothing for --task classify"),
        (["train", "F/tags.txt", "--task", "tag", "--tokens", "words"], 2, "--tokens means nothing for --task tag"),
        (["train", "F/wave.csv", "--task", "forecast", "--min-count", "2"], 2, "--min-count means nothing for"),
        (["train", "F/sides.tsv", "--task", "classify", "--labels", "F/tags.txt"], 2, "labels is the file of labels"),
        (["eval", "F/classify", "F/sides.tsv", "--labels", "F/tags.txt"], 2, "labels is the file of labels"),
        (["train", "F/bits.csv", "--task", "regress"], 1, "name them with --columns"),
        (["train", "F/wave.csv", "--task", "classify"], 1, "no column is named label or class; name it with --label"),
        (["train", "F/wave.csv", "--task", "tag"], 1, "tag does not read this kind of file"),
        (["train", "F/tags.txt", "--task", "tag", "--cell", "dense", "--steps", "1"], 2, "use a recurrent cell"),
    ],
)
def test_impossible_requests_are_errors_of_one_line(args: list[str], status: int, words: str, folder: Path) -> None:
    done = CliRunner().invoke(program, [arg.replace("F/", f"{folder}/") for arg in args])
    assert (done.exit_code, done.stdout) == (status, ""), done.stderr
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_language_model_does_not_predict(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat. " * 60)
    run = str(tmp_path / "run")
    invoke("train", str(tmp_path / "text.txt"), "--steps", "2", "--seq", "8", "--out", run, *SMALL, "--quiet")
    assert "a language model" in invoke("predict", run, str(tmp_path / "text.txt"), status=2).stderr
    assert "--given is for models for generate" in invoke("sample", run, "--given", "x", status=2).stderr


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbers near 1.6e9 that change by little: a table with a run on it, and a series."""
    path = tmp_path_factory.mktemp("large")
    rows = [(1.6e9 + 3 * i, 1.6e9 + 7 * (i % 10)) for i in range(60)]
    (path / "xy.csv").write_text("x,y\n" + "".join(f"{x:.0f},{y:.0f}\n" for x, y in rows))
    (path / "series.csv").write_text("s\n" + "".join(f"{y:.2f}\n" for _, y in rows))
    small = ("--steps", "4", *SMALL, "-q")
    invoke("train", str(path / "xy.csv"), "--task", "regress", "--columns", "y", "--out", str(path / "xy"), *small)
    np.savez(path / "xy.npz", x=np.array(rows)[:, :1], y=np.array(rows)[:, 1:])
    invoke("train", str(path / "xy.npz"), "--task", "regress", "--out", str(path / "arrays"), *small)
    forecast = ("--task", "forecast", "--seq", "10", "--horizon", "4")
    invoke("train", str(path / "series.csv"), *forecast, "--out", str(path / "series"), *small)
    return path


@pytest.mark.parametrize(("run", "data"), [("xy", "xy.csv"), ("arrays", "xy.npz")])
def test_regression_errors_of_large_numbers_are_exact(large: Path, run: str, data: str) -> None:
    args = (str(large / run), str(large / data), "--json")
    said = [json.loads(line)["outputs"][0][0] for line in invoke("predict", *args).stdout.splitlines()]
    errors = np.array(said) - [1.6e9 + 7 * (i % 10) for i in range(60)]
    figures = json.loads(invoke("eval", *args).stdout)

    assert np.abs(errors).mean() < 40
    assert figures["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-6)
    assert figures["mse"] == pytest.approx(np.square(errors).mean(), rel=1e-6)


def test_predicted_numbers_have_digits_by_their_spread(large: Path) -> None:
    table = (str(large / "xy"), str(large / "xy.csv"))
    rows = list(csv.DictReader(io.StringIO(invoke("predict", *table).stdout)))
    exact = [json.loads(line)["outputs"][0][0] for line in invoke("predict", *table, "--json").stdout.splitlines()]
    np.testing.assert_allclose([float(row["y_predicted"]) for row in rows], exact, rtol=0, atol=1e-4)

    series = (str(large / "series"), str(large / "series.csv"))
    ahead = invoke("predict", *series).stdout.splitlines()[1:]
    exact = json.loads(invoke("predict", *series, "--json").stdout)["rows"]
    np.testing.assert_allclose(np.array(ahead, float), np.array(exact)[:, 0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("more", [(), ("--probabilities",)])
def test_existing_prediction_columns_are_not_duplicated(folder: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    run, path = str(folder / "regress"), tmp_path / "x.csv"
    text = "p,q,r\n1,0,0\n0,1,1\n"
    for _ in range(3):
        text = invoke("predict", run, "-", *more, text=text).stdout
    names = text.splitlines()[0].split(",")
    path.write_text(text)

    assert [name for name in names if "probability" not in name] == ["p", "q", "r"] + [
        f"r_predicted{end}" for end in ("", "_2", "_3")
    ]
    assert len(set(names)) == len(names) == 6 + 3 * len(more)
    assert json.loads(invoke("eval", run, str(path), "--json").stdout)["records"] == 2


@pytest.mark.parametrize("more", [(), ("--probabilities",)])
def test_predictions_of_several_files_form_one_table(folder: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    """Files with the same columns have one header; one with others has a header of its own."""
    for name, text in {"a.csv": "p,q,r\n1,0,0\n", "b.csv": "p,q,r\n0,1,1\n", "c.csv": "q,p\n0,1\n"}.items():
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in ("a.csv", "b.csv", "c.csv")]
    lines = invoke("predict", str(folder / "regress"), *files, *more).stdout.splitlines()
    end = ",r_probability" if more else ""
    assert [line for line in lines if "q" in line] == [
        f"p,q,r,r_predicted{',r_predicted_probability' if more else ''}", f"q,p,r{end}"
    ]  # fmt: skip
    assert len(lines) == 5

    for name, text in {"a.tsv": "label\ttext\nleft\taa\n", "b.tsv": "label\ttext\nleft\tbb\n"}.items():
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")]
    lines = invoke("predict", str(folder / "classify"), *files, *more).stdout.splitlines()
    assert lines[0].split("\t") == ["label", "text", "predicted", *(["probability"] if more else [])]
    assert [line.split("\t")[1] for line in lines[1:]] == ["aa", "bb"]
    (tmp_path / "between.jsonl").write_text('{"text": "ab"}\n')
    lines = invoke("predict", str(folder / "classify"), files[0], str(tmp_path / "between.jsonl"), files[1]).stdout
    assert lines.count("label\ttext\tpredicted\n") == 2


def test_column_of_probabilities_has_a_name_of_its_own(folder: Path) -> None:
    run, text = str(folder / "classify"), "label\ttext\nleft\taa\n"
    once = invoke("predict", run, "--probabilities", text=text).stdout
    twice = invoke("predict", run, "--probabilities", text=once).stdout
    names = ["label", "text", "predicted", "probability", "predicted_2", "probability_2"]
    assert [line.split("\t") for line in (once.splitlines()[0], twice.splitlines()[0])] == [names[:4], names]
    quoted = invoke(
        "predict", run, "--probabilities", "--format", "csv", text='"text","probability"\n"aa","1"\n'
    ).stdout
    assert quoted.splitlines()[0] == 'label,"text","probability",probability_2'


def test_examples_of_several_array_files_are_numbered_on(large: Path) -> None:
    arrays = str(large / "xy.npz")
    lines = invoke("predict", str(large / "arrays"), arrays, arrays).stdout.splitlines()
    assert lines[0].startswith("record,step")
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(120))


def test_variables_for_other_commands_are_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are set for `train`; only options that were typed are refused."""
    for name, value in {"LABEL": "kind", "TEXT": "noise", "MISSING": "last", "LABELS": "x"}.items():
        monkeypatch.setenv(f"FASTRNN_{name}", value)
    for task, data in (("tag", "tags.txt"), ("translate", "pairs.tsv")):
        invoke("eval", str(folder / task), str(folder / data))
        invoke("predict", str(folder / task), str(folder / data))
    invoke("predict", str(folder / "forecast"), str(folder / "wave.csv"))
    monkeypatch.delenv("FASTRNN_LABELS")
    classes = folder / "classes"
    classes.mkdir(exist_ok=True)
    for label in ("left", "right"):
        (classes / f"{label}.txt").write_text("aa\nbb\n")
    for task in ("classify", "generate"):
        assert "label has no effect" in invoke("eval", str(folder / task), str(classes)).stderr
    invoke("predict", str(folder / "classify"), str(classes / "left.txt"))
    assert "--label is for" in invoke(
        "eval", str(folder / "tag"), str(folder / "tags.txt"), "--label", "kind", status=2
    ).stderr  # fmt: skip


def test_generate_reads_named_columns_and_keys(folder: Path, tmp_path: Path) -> None:
    """The same examples as a table, as JSON Lines and on standard input give the same evaluation."""
    rows = [("left" if i % 2 else "right", "ab"[i % 2] * (1 + i % 4)) for i in range(8)]
    table = "kind\tnoise\n" + "".join(f"{label}\t{text}\n" for label, text in rows)
    objects = "".join(json.dumps({"noise": text, "kind": label, "text": "?"}) + "\n" for label, text in rows)
    (tmp_path / "x.tsv").write_text(table)
    (tmp_path / "x.jsonl").write_text(objects)
    named = ("--label", "kind", "--text", "noise", "--json")
    run = str(folder / "generate")

    expected = json.loads(invoke("eval", run, str(tmp_path / "x.tsv"), *named).stdout)
    assert expected["records"] == 8
    assert json.loads(invoke("eval", run, str(tmp_path / "x.jsonl"), *named).stdout) == expected
    for text in (table, objects):
        assert json.loads(invoke("eval", run, "-", *named, text=text).stdout) == expected
    wrong = invoke("eval", run, str(tmp_path / "x.jsonl"), "--label", "sort", status=1)
    assert 'no "sort"; a line is {"sort": ..., "text": ...}' in wrong.stderr
    (tmp_path / "y.jsonl").write_text('{"label": "left", "noise": "aa"}\n')
    assert "--text names another key" in invoke("eval", run, str(tmp_path / "y.jsonl"), status=1).stderr


def test_existing_predicted_labels_are_kept(folder: Path) -> None:
    run, text = str(folder / "classify"), '{"text": "aaa"}\n'
    for _ in range(3):
        text = invoke("predict", run, "--probabilities", text=text).stdout

    assert list(json.loads(text)) == [
        "text", "label", "probability", "predicted", "predicted_probability", "predicted_2", "predicted_2_probability"
    ]  # fmt: skip
