"""Contradicting options, empty names, numbers out of range, unusual files: one line, the exit status, no files."""

import io
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from fastrnn_cli import rich_progress
from fastrnn_cli.group import program

SMALL = ("--hidden", "8", "--batch", "4", "--steps", "2", "--threads", "1", "--quiet")
SIDES = "".join(f"{'left' if i % 2 else 'right'}\t{'ab'[i % 2] * (1 + i % 4)}\n" for i in range(40))
WAVE = "a,b\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(60))
GIVEN = '{"given": [1, 2], "text": "ab"}\n{"given": [2, 1], "text": "ba"}\n' * 6
FILES = {"sides.tsv": SIDES, "wave.csv": WAVE, "given.jsonl": GIVEN, "text.txt": "the cat sat on the mat.\n" * 40}
RUNS = {
    "lm": ("text.txt", "--seq", "8"),
    "classifier": ("sides.tsv", "--task", "classify"),
    "writer": ("sides.tsv", "--task", "generate"),
    "from-numbers": ("given.jsonl", "--task", "generate"),
    "series": ("wave.csv", "--task", "forecast", "--seq", "8"),
    "words": ("sides.tsv", "--task", "translate"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, and a model of each of `RUNS`."""
    path = tmp_path_factory.mktemp("bad_input")
    for name, text in FILES.items():
        (path / name).write_text(text)
    np.savez(path / "large.npz", x=np.full((4, 2), 1e300), y=np.full((4, 1), 1e300))
    for name, (data, *settings) in RUNS.items():
        done = CliRunner().invoke(program, ["train", str(path / data), *settings, *SMALL, "--out", str(path / name)])
        assert done.exit_code == 0, done.stderr
    return path


# arguments, with the files and models of the folder by name; status; words of the line
CASES = [
    ("train text.txt --out EMPTY", 2, "'--out': the name is empty"),
    ("train text.txt --out -", 2, "'--out': a folder is needed, not standard output"),
    ("sweep text.txt --out -", 2, "'--out': a folder is needed, not standard output"),
    ("train EMPTY", 2, "the name is empty"),
    ("train --resume EMPTY", 2, "the name is empty"),
    ("info EMPTY", 2, "the name is empty"),
    ("sample lm --prime-file EMPTY", 2, "the name is empty"),
    ("data make copy --out EMPTY", 2, "the name is empty"),
    ("train sides.tsv --task classify --labels nowhere --out new", 2, "labels is the file of labels of an idx file"),
    ("train large.npz --task regress --out new", 1, "x[0, 0, 0] is 1e+300; every number must be finite"),
    ("train text.txt --init-from classifier --out new", 1, "text.txt:1: label 'text' is unknown"),
    ("train sides.tsv --task classify --init-from lm --out new", 2, "the model to start from has language-model"),
    ("predict classifier sides.tsv --steps 3", 2, "--steps is for models for forecast; this one is for classify"),
    ("predict series wave.csv --beam 1", 2, "--beam is for models for translate; this one is for forecast"),
    ("predict series wave.csv --probabilities", 2, "--probabilities is for models for tag or classify"),
    ("predict series wave.csv --steps 100000000000", 2, "steps is 100,000,000,000; it must be at most 1,000,000"),
    ("predict words sides.tsv --beam 100000", 2, "beam is 100,000; it must be at most 1,000"),
    ("predict lm text.txt", 2, "a language model"),
    ("eval lm text.txt --labels sides.tsv", 2, "--labels is for models for classify"),
    ("eval classifier sides.tsv --dynamic", 2, "--dynamic is for language models; this one is for classify"),
    ("eval lm text.txt --lr 0.1", 2, "--lr is for --dynamic; add it, or leave this option out"),
    ("eval lm text.txt --seq 8", 2, "--seq is for --dynamic"),
    ("eval classifier sides.tsv --decay 0", 2, "--decay is for --dynamic"),
    ("eval lm text.txt --dynamic --lr -1", 2, "lr is -1; it must be a finite number of at least 0"),
    ("eval lm text.txt --dynamic --lr nan", 2, "lr is nan"),
    ("eval nosuch text.txt --dynamic --lr nan", 2, "lr is nan"),  # before the model is read
    ("sample nosuch --prime a --prime-file text.txt", 2, "--prime and --prime-file both set the prompt; leave one out"),
    ("eval lm text.txt --dynamic --decay 2", 2, "decay is 2; it must be from 0 to 1"),
    ("eval lm text.txt --dynamic --seq 0", 2, "seq is 0; it must be at least 1"),
    ("eval lm text.txt --dynamic --lr 1e38", 4, "lr 1e+38 is too high for this model; give a smaller one"),
    ("eval classifier sides.tsv --unknown skip", 2, "--unknown is for language models"),
    ("eval classifier sides.tsv --labels sides.tsv", 2, "labels is the file of labels of an idx file"),
    ("sample from-numbers --given nan,1", 2, "this model writes from 2 numbers"),
    ("sample from-numbers --given 1e400,1", 2, "this model writes from 2 numbers"),
    ("sample from-numbers --given 1e35,1", 1, "given: a number that is not finite, or beyond 1e+30"),
    ("sample from-numbers --given 1", 2, "this model writes from 2 numbers"),
    ("sample from-numbers --given 1,,2", 2, "this model writes from 2 numbers"),
    ("sample writer --given other", 1, "label 'other' is unknown; the model knows left, right"),
    ("sample writer", 2, "use --given"),
    ("sample classifier", 2, "a model for classify, not for generate"),
    ("sample lm --count 100000000", 2, "count is 100,000,000; it must be at most 65,536"),
    (
        "sample lm --greedy --temperature 0.5",
        2,
        "--greedy takes the most probable token, so --temperature has no effect",
    ),
    ("sample lm --top-k 3 --greedy", 2, "so --top-k has no effect; leave one out"),
    ("sample lm --prime a --prime-file text.txt", 2, "leave one out"),
    ("inspect lm text.txt --lags 3", 2, "--lags is for --gradients"),
    ("inspect lm text.txt --hidden 3", 2, "--hidden is for an untrained network"),
    ("inspect lm text.txt --gradients --show 3", 2, "--show is for reports that show the text"),
    ("inspect --fresh rnn --length 3", 2, "--length is for reports that show the text"),
    ("inspect --fresh rnn --scale nan", 2, "scale is nan; it must be a finite number"),
    ("inspect --fresh lstm --keep-bias inf", 2, "keep_bias is inf; it must be a finite number"),
    ("data make dates --variable", 2, "--variable has no effect on dates"),
    ("data make waves --gap 10", 2, "--gap has no effect on waves"),
    ("data make bits --problem 1 --length 5", 2, "problem 1 has one bit"),
    ("data make bits --seed -1", 2, "seed is -1; it must be at least 0"),
    ("data make bits --length 1000000000000", 2, "length is 1000000000000; it must be at most 1000000"),
    ("data make bits --count 1000000000000 --out new", 2, "count is 1000000000000; it must be at most 10000000"),
    ("data show text.txt --text --json", 2, "choose one"),
    ("data fetch tinyshakespear", 2, "did you mean tinyshakespeare?"),
    ("bench train --seconds 0", 2, "seconds is 0; it must be above 0"),
    ("bench train --seconds -1", 2, "seconds is -1; it must be above 0"),
    ("bench sample --seconds nan", 2, "seconds is nan; it must be above 0"),
    (f"train text.txt --for 1{'0' * 23}s --out new", 2, f"for: '1{'0' * 23}s' is longer than 36500d; give less"),
    ("bench train --scale --seconds inf", 2, "seconds is inf; it must be above 0"),
]


@pytest.mark.parametrize(("line", "status", "words"), CASES, ids=[case[0] for case in CASES])
def test_bad_input_is_an_error_of_one_line_and_creates_nothing(
    line: str, status: int, words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    done = CliRunner().invoke(program, ["" if word == "EMPTY" else word for word in line.split()])
    assert (done.exit_code, done.stdout) == (status, "")
    assert done.stderr.startswith("fastrnn: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert sorted(folder.rglob("*")) == before


HUGE = 10**23  # no machine integer holds it
# A command, and what it needs besides the option: option by option, or for the others.
ARGUMENTS = {
    "bench sample": {"": "--seconds 0.01"},
    "bench train": {"": "--seconds 0.01"},
    "complete": {"": "lm the"},
    "data make": {"length": "bits --out new", "gap": "copy --out new", "": "bits --out new"},
    "data show": {"": "text.txt --tokens words"},
    "eval": {"seq": "lm text.txt --dynamic", "": "lm text.txt"},
    "inspect": {
        "layer": "lm text.txt --units", "unit": "lm text.txt --units", "threads": "lm text.txt",
        "lags": "lm text.txt --gradients", "rows": "lm text.txt --gradients", "": "--fresh lstm",
    },
    "predict": {"beam": "words sides.tsv", "steps": "series wave.csv", "": "classifier sides.tsv"},
    "sample": {"": "lm"},
    "score": {"": "lm text.txt"},
    "sweep": {"": "sweep.toml text.txt --out new"},
    "train": {"": "text.txt --out new"},
}  # fmt: skip
# any number has a meaning: the seed of a sample, and numbers that the text or the grid bounds
UNBOUNDED = {("sample", "seed"), ("inspect", "length"), ("inspect", "show"), ("sweep", "trials")}


def integer_options() -> Iterator[tuple[str, str]]:
    """Yield every option of the command line whose value is a whole number: the command and the parameter."""

    def visit(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from visit(command, (*words, name))
                continue
            assert command is not None
            for option in command.params:
                if isinstance(option, click.Option) and isinstance(option.type, click.types.IntParamType):
                    yield " ".join((*words, name)), str(option.name)

    return visit(program, ())


def test_every_command_has_arguments_for_its_integer_options() -> None:
    assert {command for command, _ in integer_options()} == {*ARGUMENTS}


@pytest.mark.parametrize(("command", "name"), [case for case in integer_options() if case not in UNBOUNDED])
def test_huge_integer_is_refused_in_one_line(
    command: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "sweep.toml").write_text("hidden = [8]\nsteps = 2\n")
    before = sorted(folder.rglob("*"))
    arguments = ARGUMENTS[command].get(name, ARGUMENTS[command][""])
    line = f"{command} {arguments} --{name.replace('_', '-')} {HUGE}"
    done = CliRunner().invoke(program, line.split())
    assert (done.exit_code, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("fastrnn: ")
    assert done.stderr.count("\n") == 1
    assert name in done.stderr.replace("-", "_")
    assert "internal error" not in done.stderr
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "line",
    [
        "eval lm latin.txt",
        "score lm latin.txt",
        "inspect lm latin.txt",
        "sample lm --prime-file latin.txt",
        "predict words latin.txt",
        "eval words latin.txt",
    ],
)
def test_error_for_a_text_that_is_not_utf8_names_the_encoding_that_it_looks_like(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "latin.txt").write_bytes("ein Märchen\tschöne Grüße für Käthe\n".encode("cp1252") * 8)
    done = CliRunner().invoke(program, line.split())
    assert (done.exit_code, done.stdout) == (1, "")
    advice = "it looks like cp1252: give --encoding cp1252, or save it as UTF-8"
    assert done.stderr == f"fastrnn: latin.txt: not UTF-8 at byte 5 (0xe4); {advice}\n"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FASTRNN_HIDDEN", "x", "Invalid value for 'FASTRNN_HIDDEN': 'x' is not a valid integer."),
        ("FASTRNN_CELL", "x", "Invalid value for 'FASTRNN_CELL'"),
        ("FASTRNN_BIDIRECTIONAL", "maybe", "Invalid value for 'FASTRNN_BIDIRECTIONAL'"),
    ],
)
def test_error_names_the_environment_variable_of_the_value(name: str, value: str, words: str) -> None:
    done = CliRunner().invoke(program, ["train"], env={name: value})
    assert done.exit_code == 2
    assert words in done.stderr
    assert "--" not in done.stderr.partition(" (see ")[0]


def test_training_variable_is_ignored_by_other_commands(folder: Path) -> None:
    done = CliRunner().invoke(
        program, ["inspect", str(folder / "lm"), str(folder / "text.txt")], env={"FASTRNN_HIDDEN": "256"}
    )
    assert done.exit_code == 0, done.stderr


def test_mixed_inputs_error_names_the_first_that_does_not_fit(folder: Path) -> None:
    done = CliRunner().invoke(program, ["predict", str(folder / "classifier"), str(folder / "wave.csv")])
    assert done.exit_code == 1
    assert "wave.csv:1: no column is named text; name it with --text: there are" in done.stderr


@pytest.mark.parametrize("width", [40, 60, 100])
def test_progress_line_fits_the_terminal(width: int) -> None:
    from rich.console import Console

    from fastrnn.training.callbacks import StepEnd

    step = StepEnd(123_456, 1_000_000, 1.25, 2.0, 0.001, 1_234_567.0, 4000.0, 1.0)
    console = Console(width=width, record=True, force_terminal=True, file=io.StringIO())
    console.print(rich_progress._progress_line(step, "chars", width))
    (line,) = console.export_text().splitlines()
    assert "…" not in line
    assert ("1,234,567 chars/s" in line) == (width >= 60)
    assert "1:06:40 left" in line
    assert ("━" in line) == (width == 100)
