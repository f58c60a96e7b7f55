"""Options that have no effect together with others are reported in one line, and only those."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_library import FakeModel, FakeTraining, fake_model, result

from fastrnn import bench
from fastrnn_cli.group import program


def messages(*args: str) -> list[str]:
    """The lines on standard error about options without effect."""
    done = CliRunner().invoke(program, args)
    assert done.exit_code == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "no effect" in line or "same text" in line]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--beta1 0.8 --optimizer sgd", "--beta1 has no effect: it is for --optimizer adamw and momentum"),
        ("--beta1 0.8 --optimizer rmsprop", "--beta1 has no effect: it is for --optimizer adamw and momentum"),
        ("--beta1 0.8 --optimizer momentum", None),
        ("--beta2 0.8 --optimizer momentum", "--beta2 has no effect: it is for --optimizer adamw and rmsprop"),
        ("--beta2 0.8 --beta1 0.8", None),
        ("--final-lr 0.1 --schedule constant", "--final-lr has no effect: --schedule constant keeps the learning rate"),
        ("--final-lr 0.1 --schedule plateau", None),
        ("--schedule plateau --valid 0", "--schedule has no effect: plateau needs validation data"),
        ("--schedule linear --valid 0", None),
        ("--patience 3 --valid 0", "--patience has no effect: it needs validation data"),
        ("--patience 3 --valid 0 --valid-file x", None),
        ("--eval-size 9 --valid 0", "--eval-size has no effect: it needs validation data"),
        ("--valid 0.2 --valid-file x", "--valid has no effect: --valid-file is used instead"),
        ("--min-count 3", "--min-count has no effect: it is for --tokens words"),
        ("--min-count 3 --tokens bytes", "--min-count has no effect: it is for --tokens words"),
        ("--min-count 3 --tokens words", None),
        ("--min-count 3 --task tag", None),
        ("--min-count 3 --task classify", None),
        ("--min-count 3 --task classify --tokens chars", "--min-count has no effect: it is for --tokens words"),
        ("--min-count 3 --task translate", "--min-count has no effect: it is for --tokens words"),
        (
            "--min-count 3 --tokens words --init-from m",
            "--min-count has no effect: --init-from has the model's vocabulary",
        ),
        ("--slow-units 0.2 --init-from m", "--slow-units has no effect: --init-from has the model's weights"),
        ("--init uniform --init-from m", "--init has no effect: --init-from has the model's weights"),
        ("--init uniform --cell rnn-relu", None),
        ("--init identity --cell dense --task regress", "--init has no effect: cell dense has no recurrent weights"),
        ("--init uniform --cell dense --task regress", None),
    ],
)
def test_train(options: str, message: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeTraining(monkeypatch, result(stopped="done"))
    assert messages("train", "x", *options.split(), "--json") == ([message] if message else [])
    assert messages("train", "x", *options.split(), "--json", "--quiet") == []


def test_settings_from_elsewhere_are_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeTraining(monkeypatch, result(stopped="done"))
    monkeypatch.setenv("FASTRNN_BETA1", "0.8")
    assert messages("train", "x", "--optimizer", "sgd", "--json") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--greedy --seed 3", "--seed has no effect: --greedy takes the most probable token"),
        ("--greedy --count 2", "--greedy writes the same text --count times"),
        ("--greedy --count 1", None),
        ("--stop=", "--stop has no effect: its text is empty"),
        ("--stop x", None),
        ("--raw --jsonl", "--raw has no effect: --jsonl writes no control characters to a terminal"),
        ("--raw --out OUT", "--raw has no effect: --out writes no control characters to a terminal"),
        ("--seed 3 --count 2 --jsonl", None),
    ],
)
def test_sample(options: str, message: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_model(monkeypatch)
    args = options.replace("OUT", str(tmp_path / "out")).split()
    assert messages("sample", "m", *args) == ([message] if message else [])
    assert FakeModel.asked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--text --tokens words", "--tokens has no effect: --text prints the text as it is"),
        ("--min-count 3", "--min-count has no effect: it is for --tokens words"),
        ("--min-count 3 --tokens words", None),
    ],
)
def test_data_show(options: str, message: str | None, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a text of words\n")
    assert messages("data", "show", str(tmp_path / "t.txt"), *options.split()) == ([message] if message else [])


def test_bench_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "bench_scale", lambda **settings: iter(()))
    expected = [f"{option} has no effect: --scale varies the sizes itself" for option in ("--layers", "--hidden")]
    given = ("--layers", "3", "--hidden", "64", "--cell", "gru", "--seconds", "0.1")
    assert messages("bench", "train", "--scale", *given, "--json") == expected
