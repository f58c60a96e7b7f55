"""Commands with fakes of the library: the calls they make and the output they print."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fake_library import FakeModel, FakeTraining, fake_model, result
from fakes import replace

from fastrnn_cli import output
from fastrnn_cli.group import program


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> type[FakeModel]:
    """A model that is there and answers at once."""
    return fake_model(monkeypatch)


def invoke(*args: str, text: str | bytes | None = None, env: dict[str, str] | None = None) -> Result:
    """Run a command that must succeed."""
    done = CliRunner().invoke(program, args, input=text, env=env)
    assert done.exit_code == 0, done.stderr
    return done


def test_sample_writes_the_prompt_and_the_continuation(model: type[FakeModel]) -> None:
    done = invoke("sample", "m", "--prime", "Once ", "--length", "3", "--temperature", "0.5", "--threads", "2")
    assert done.stdout == "Once a0b0c0\n"
    assert model.asked["load"] == "m"
    assert {k: model.asked[k] for k in ("prime", "length", "temperature", "threads")} == {
        "prime": "Once ", "length": 3, "temperature": 0.5, "threads": 2,
    }  # fmt: skip


def test_sample_passes_only_given_options(model: type[FakeModel]) -> None:
    invoke("sample", "m")
    assert model.asked == {"load": "m", "threads": None, "greedy": False, "unknown": "error"}


def test_several_samples_are_numbered(model: type[FakeModel]) -> None:
    assert invoke("sample", "m", "--count", "2").stdout == "--- 1 ---\na0b0c0\n--- 2 ---\na1b1c1\n"


def test_samples_as_json_lines(model: type[FakeModel]) -> None:
    done = invoke("sample", "m", "--count", "2", "--seed", "7", "--jsonl", "--prime", "é")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"index": 0, "text": "éa0b0c0", "seed": 7},
        {"index": 1, "text": "éa1b1c1", "seed": 7},
    ]


def test_sample_to_a_file(model: type[FakeModel], tmp_path: Path) -> None:
    done = invoke("sample", "m", "--prime", "é", "--out", str(tmp_path / "s.txt"))
    assert done.stdout == ""
    assert (tmp_path / "s.txt").read_bytes() == "éa0b0c0\n".encode()


def test_sample_to_a_missing_folder_fails_before_sampling(model: type[FakeModel], tmp_path: Path) -> None:
    done = CliRunner().invoke(program, ["sample", "m", "--out", str(tmp_path / "no" / "s.txt")])
    expected = f"fastrnn: {tmp_path / 'no' / 's.txt'}: cannot write this file: its folder does not exist\n"
    assert (done.exit_code, done.stderr) == (1, expected)


def test_prompt_is_read_from_a_file_or_standard_input(model: type[FakeModel], tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes("é\r\n".encode())
    assert invoke("sample", "m", "--prime-file", str(tmp_path / "p")).stdout_bytes == "é\r\na0b0c0\n".encode()
    assert invoke("sample", "m", "--prime-file", "-", text="from a pipe ").stdout == "from a pipe a0b0c0\n"


def test_prompt_escapes_are_expanded_but_not_in_a_prompt_file(model: type[FakeModel], tmp_path: Path) -> None:
    assert invoke("sample", "m", "--prime", r"a\nb\tc\\n").stdout == "a\nb\tc\\na0b0c0\n"
    (tmp_path / "p").write_text(r"a\nb")
    assert invoke("sample", "m", "--prime-file", str(tmp_path / "p")).stdout == "a\\nba0b0c0\n"
    invoke("complete", "m", r"a\nb\t")
    assert model.asked["text"] == "a\nb\t"


def test_sample_that_ends_with_a_newline_gets_no_second_one(model: type[FakeModel], tmp_path: Path) -> None:
    assert invoke("sample", "m", "--stop", "x", "--length", "0").stdout.count("\n") == 1
    (tmp_path / "p").write_text("line\n")
    model.letters = ""
    assert invoke("sample", "m", "--prime-file", str(tmp_path / "p")).stdout == "line\n"


def test_samples_of_a_generate_model_are_single_lines(model: type[FakeModel]) -> None:
    model.task, model.letters = "generate", "\n\r"
    done = invoke("sample", "m", "--count", "2")
    assert done.stdout == "\\n0\\r0\n\\n1\\r1\n"
    assert done.stderr == "line breaks within samples are written as \\n; --jsonl keeps them as they are\n"
    told = invoke("sample", "m", "--count", "2", "--jsonl")
    assert json.loads(told.stdout.splitlines()[0])["text"] == "\n0\r0"
    assert told.stderr == ""


def test_stop_text_outside_the_vocabulary_is_reported(model: type[FakeModel]) -> None:
    assert "no sample will stop: the model does not know '#' (2 times) of --stop" in invoke(
        "sample", "m", "--stop", "a##"
    ).stderr  # fmt: skip
    assert r"give --stop '\r\n\r\n'" in invoke("sample", "m", "--stop", r"\n\n").stderr
    assert invoke("sample", "m", "--stop", "ab").stderr == ""


def test_no_unknown_option_requires_a_word_model(model: type[FakeModel]) -> None:
    done = CliRunner().invoke(program, ["sample", "m", "--no-unk"])
    assert (done.exit_code, "--no-unk is for language models of words" in done.stderr) == (2, True)
    model.unknown = 1
    invoke("sample", "m", "--no-unk")
    assert model.asked["no_unk"] is True


def test_unknown_prompt_is_an_error_before_any_output(model: type[FakeModel]) -> None:
    done = CliRunner().invoke(program, ["sample", "m", "--prime", "a#b"])
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "fastrnn: # is not known\n")
    assert invoke("sample", "m", "--prime", "a#b", "--unknown", "skip").stdout == "aba0b0c0\n"


def test_two_prompts_are_wrong_usage(model: type[FakeModel]) -> None:
    done = CliRunner().invoke(program, ["sample", "m", "--prime", "x", "--prime-file", "y"])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


def test_sample_on_a_terminal_is_sanitized_and_ends_with_a_newline(
    model: type[FakeModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(monkeypatch, output, "on_terminal", lambda: True)
    assert invoke("sample", "m", "--prime", "\x1b[2J").stdout == "␛[2Ja0b0c0\n"
    assert invoke("sample", "m", "--prime", "\x1b[2J", "--raw").stdout == "\x1b[2Ja0b0c0\n"


def test_score_gives_a_line_for_each_line(model: type[FakeModel], tmp_path: Path) -> None:
    assert invoke("score", "m", text="ab\nabc\n").stdout == "-4.0000\t2.8854\tab\n-6.0000\t2.8854\tabc\n"
    (tmp_path / "lines").write_text("é\n", encoding="utf-8")
    expected = {
        "text": "é",
        "chars": 1,
        "logprob": -2.0,
        "bits_per_char": pytest.approx(2 / math.log(2)),
        "unit": "chars",
    }
    for flag in ("--jsonl", "--json"):  # the second is the name of version 0.1.0
        assert json.loads(invoke("score", "m", str(tmp_path / "lines"), flag).stdout) == expected


def test_complete_shows_probabilities(model: type[FakeModel]) -> None:
    assert invoke("complete", "m", "th", "--n", "2").stdout == "0.7500  'e'\n0.2500  '␛'\n"
    assert model.asked["n"] == 2
    done = json.loads(invoke("complete", "m", "th", "--json").stdout)
    assert done["text"] == "th"
    assert done["completions"][0] == {"text": "e", "probability": 0.75, "logprob": pytest.approx(-0.287682)}


def test_complete_shows_logarithms_of_longer_continuations(model: type[FakeModel]) -> None:
    assert invoke("complete", "m", "th", "--length", "12").stdout == "-0.2877  'e'\n-1.3863  '␛'\n"


def test_combining_mark_is_shown_on_a_dotted_circle(model: type[FakeModel], monkeypatch: pytest.MonkeyPatch) -> None:
    replace(monkeypatch, model, "completions", lambda *_, **__: [("\u0301", 0.0)])
    assert invoke("complete", "m", "cafe").stdout == "1.0000  '\u25cc\u0301'\n"


def training(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> FakeTraining:
    """Training that is done at once, with this result."""
    fake_model(monkeypatch)
    return FakeTraining(monkeypatch, result(**changes))


def test_train_passes_inputs_and_config(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = training(monkeypatch)
    invoke("train", "a.txt", "b", "--hidden", "8", "--steps", "3", "--out", "runs/x", "--init-from", "old", "-q")
    assert (asked.asked["inputs"], asked.asked["out"], asked.asked["init_from"]) == (("a.txt", "b"), "runs/x", "old")
    config = asked.asked["config"]
    assert (config.hidden, config.steps, config.cell) == (8, 3, "lstm-norm")


def test_train_without_inputs_uses_the_default_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = training(monkeypatch)
    invoke("train")
    assert asked.asked["inputs"] == ("python-reference",)


def test_train_ends_with_a_sample_and_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    training(monkeypatch, run="runs/my run")
    done = invoke("train", "my text.txt")
    assert "valid  2.5000 nats  3.6067 bits  (best, at step 8)\n\na sample\n" in done.stdout
    assert "fastrnn eval 'runs/my run' 'my text.txt' --split valid" in done.stderr


def test_hints_use_a_prompt_from_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    training(monkeypatch)
    assert "fastrnn complete runs/x 'our '\n" in invoke("train").stderr
    training(monkeypatch, start="")
    assert "fastrnn complete" not in invoke("train").stderr


@pytest.mark.parametrize(
    ("valid", "train", "words"),
    [
        (1.390, 1.0, "the model is no better than predicting by the frequencies of chars (1.3863 nats  2.0000 bits)"),
        (1.380, 1.0, "the model is no better than predicting by the frequencies"),
        (None, 1.386, "the model is no better than predicting by the frequencies"),
        (4.0, 1.0, "the model is undertrained: predicting by token frequencies alone would be better (1.3863 nats"),
        (1.3, 1.4, None),
        (float("nan"), 1.0, None),
    ],
)
def test_loss_no_better_than_unigram_is_reported(
    valid: float | None, train: float, words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    training(monkeypatch, valid_nats=valid, train_nats=train, unigram_nats=1.386294, best_step=1)
    told = invoke("train").stderr
    assert words in told if words else "frequencies" not in told
    told = invoke("train", "--quiet").stderr
    assert words in told if words else told == ""
    training(monkeypatch, valid_nats=valid, train_nats=train, unigram_nats=None, best_step=1)
    assert "frequencies" not in invoke("train").stderr


def test_train_json_is_one_object_alone_on_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    training(monkeypatch, valid_nats=None, valid_bits=None, best_step=None, train_nats=float("nan"))
    done = invoke("train", "--json", "--quiet")
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout) == {
        "run": "runs/x", "steps": 10, "chars": 640, "seconds": 2.0, "chars_per_s": 320.0, "train_nats": None,
        "valid_nats": None, "valid_bits": None, "best_step": None,
    }  # fmt: skip
    assert done.stderr == ""


def test_quiet_train_shows_the_result_only(monkeypatch: pytest.MonkeyPatch) -> None:
    training(monkeypatch)
    done = invoke("train", "--quiet")
    assert done.stderr == ""
    assert "sample" not in done.stdout
    assert done.stdout.startswith("run    runs/x\n")


@pytest.mark.parametrize(("signal", "status", "name"), [(2, 130, "SIGINT"), (15, 143, "SIGTERM")])
def test_signal_is_reported_and_sets_the_exit_status(
    signal: int, status: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    training(monkeypatch, stopped="signal", signal=signal)
    done = CliRunner().invoke(program, ["train"])
    assert done.exit_code == status
    assert f"stopped by {name}; resume with: fastrnn train --resume runs/x" in done.stderr
    assert "a sample" not in done.stdout


def test_resume_passes_only_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = training(monkeypatch)
    invoke("train", "--resume", "runs/x", "--steps", "20", "-q", env={"FASTRNN_HIDDEN": "9", "FASTRNN_THREADS": "1"})
    assert asked.asked == {"run": "runs/x", "changes": {"steps": 20, "threads": 1}, "inputs": ()}
