"""Commands with the real library, on one small trained model."""

import dataclasses
import importlib
import json
import math
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from fastrnn.checkpoint.checkpoint import load
from fastrnn.inference.dynamic import DynamicSettings
from fastrnn_cli.commands import complete, sample
from fastrnn_cli.group import COMMANDS, load_command, program

TEXT = "the cat sat on the mat. the dog sat on the log.\n" * 60
TINY = ("--hidden", "16", "--batch", "4", "--threads", "1")
SMALL = (*TINY, "--seq", "16")


def invoke(*args: str, text: str | None = None, status: int = 0) -> Result:
    """Run a command that must leave with this status; a failure is one line."""
    done = CliRunner().invoke(program, args, input=text)
    assert done.exit_code == status, done.stderr
    if status:
        assert done.stderr.strip().splitlines()[-1].startswith("fastrnn: ")
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with text.txt, and a run on it."""
    path = tmp_path_factory.mktemp("end_to_end")
    (path / "text.txt").write_text(TEXT)
    invoke("train", str(path / "text.txt"), "--steps", "60", "--out", str(path / "run"), *SMALL, "--quiet")
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> str:
    """The run folder."""
    return str(folder / "run")


def test_train_prints_the_result_as_json(folder: Path) -> None:
    out = str(folder / "json")
    done = invoke("train", str(folder / "text.txt"), "--steps", "5", "--out", out, *SMALL, "--json")
    values = json.loads(done.stdout)
    assert values["run"] == out
    assert (values["steps"], values["chars"]) == (5, 5 * 4 * 16)
    assert values["valid_bits"] == pytest.approx(values["valid_nats"] / math.log(2))
    assert "step 1/5" in done.stderr


def test_eval_of_the_valid_split_agrees_with_training(folder: Path, run: str) -> None:
    done = json.loads(invoke("eval", run, str(folder / "text.txt"), "--split", "valid", "--json").stdout)
    info = json.loads(invoke("info", run, "--json").stdout)
    assert done["nats_per_char"] == pytest.approx(info["progress"]["valid_nats"], abs=1e-5)
    assert done["perplexity"] == pytest.approx(math.exp(done["nats_per_char"]))
    parts = [invoke("eval", run, str(folder / "text.txt"), "--split", s, "--json").stdout for s in ("train", "all")]
    chars = [json.loads(part)["chars"] for part in parts]
    assert chars[0] + done["chars"] == chars[1] - 1  # the first character of the valid part is not scored


def test_dynamic_figures_of_eval_are_beside_the_static_ones(folder: Path, run: str) -> None:
    (folder / "other.txt").write_text("the hog and the hen sang on and on.\n" * 30)
    files = (run, str(folder / "other.txt"))
    model = (Path(run) / "best.safetensors").read_bytes()
    static = json.loads(invoke("eval", *files, "--json").stdout)
    both = json.loads(invoke("eval", *files, "--dynamic", "--json").stdout)
    dynamic = both.pop("dynamic")
    assert both == static
    assert dynamic["nats_per_char"] < static["nats_per_char"] - 0.1
    assert dynamic["bits_per_char"] == pytest.approx(dynamic["nats_per_char"] / math.log(2))
    assert {name: dynamic[name] for name in ("lr", "decay", "seq")} == dataclasses.asdict(DynamicSettings())
    assert (Path(run) / "best.safetensors").read_bytes() == model

    options = ("--lr", "0.001", "--decay", "0", "--seq", "32")
    done = invoke("eval", *files, "--dynamic", *options)
    shown = dict(re.split("  +", line, maxsplit=1) for line in done.stdout.splitlines())
    assert shown["nats per char"] == f"{static['nats_per_char']:.4f}"
    assert float(shown["dynamic nats per char"]) < static["nats_per_char"]
    assert shown["dynamic settings"] == "lr 0.001, decay 0, windows of 32"
    assert done.stderr == ""

    still = json.loads(invoke("eval", *files, "--dynamic", "--lr", "0", "--json").stdout)
    assert still["dynamic"]["nats_per_char"] == pytest.approx(static["nats_per_char"], abs=1e-6)


def test_hints_after_standard_input_give_it_again(folder: Path, tmp_path: Path) -> None:
    text, out = (folder / "text.txt").read_text(encoding="utf-8"), str(tmp_path / "run")
    done = invoke("train", "-", "--steps", "4", "--out", out, *SMALL, text=text)
    hints = done.stderr.partition("Try next, with INPUT the data that came from standard input:")[2].splitlines()
    commands = [line.strip().removeprefix("fastrnn ") for line in hints if line.strip()]
    assert f"eval {out} - --split valid < INPUT" in commands
    assert f"train - --resume {out} --steps 8 < INPUT" in commands
    for command in commands:
        words = shlex.split(command.removesuffix(" < INPUT"))
        invoke(*words, text=text if command.endswith(" < INPUT") else "")


def test_train_prints_what_xz_needs_for_the_same_text(folder: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    done = invoke("train", str(folder / "text.txt"), "--steps", "2", "--out", out, *SMALL)
    line = next(line for line in done.stderr.splitlines() if ": xz needs" in line)
    # The texts are not read again: standard input, or a file that is gone by then, has the line too.
    text = (folder / "text.txt").read_text(encoding="utf-8")
    piped = invoke("train", "-", "--steps", "2", "--out", f"{out}-2", *SMALL, text=text)
    assert line in piped.stderr.splitlines()
    assert (
        ": xz needs"
        not in invoke("train", "-", "--steps", "2", "--out", f"{out}-3", *SMALL, "--json", text=text).stderr
    )
    assert re.fullmatch(r"for comparison: xz needs \d\.\d{4} nats  \d\.\d{4} bits, given the training text", line)


def test_log_has_previews_where_no_terminal_shows_them(folder: Path, tmp_path: Path) -> None:
    args = ("train", str(folder / "text.txt"), "--steps", "6", "--eval-every", "2", *SMALL)
    shown = invoke(*args, "--out", str(tmp_path / "piped"))
    invoke(*args, "--out", str(tmp_path / "quiet"), "--quiet")
    log = [json.loads(line) for line in (tmp_path / "piped" / "log.jsonl").read_text("utf-8").splitlines()]
    previews = [record["sample"] for record in log if record["event"] == "evaluation"]
    assert len(previews) == 3
    assert all(previews)
    assert previews[0] not in shown.stderr
    piped, quiet = (load(tmp_path / name / "last.safetensors") for name in ("piped", "quiet"))
    for part in ("parameters", "optimizer", "state"):  # previews do not change training
        arrays, others = getattr(piped, part), getattr(quiet, part)
        assert arrays.keys() == others.keys()
        assert all(np.array_equal(arrays[name], others[name]) for name in arrays)


def test_encoding_is_remembered_and_needed_again_for_other_data(folder: Path, tmp_path: Path) -> None:
    accented = TEXT.replace("a", "\xe0")
    old, run = tmp_path / "old.txt", str(tmp_path / "run")
    old.write_bytes(accented.encode("cp1252"))
    refused = invoke("train", str(old), "--steps", "2", "--out", run, *SMALL, status=1)
    assert "it looks like cp1252: give --encoding cp1252" in refused.stderr
    done = invoke("train", str(old), "--steps", "2", "--out", run, *SMALL, "--encoding", "Windows-1252")
    assert f"eval {run} {old} --split valid --encoding cp1252" in done.stderr
    assert 'encoding = "cp1252"' in (tmp_path / "run" / "config.toml").read_text("utf-8")

    (tmp_path / "new.txt").write_text(accented, "utf-8")
    invoke("train", str(tmp_path / "new.txt"), "--steps", "2", "--out", f"{run}-utf8", *SMALL, "-q")
    for name in (run, f"{run}-utf8"):
        invoke("train", "--resume", name, "--steps", "4", "-q")
    resumed, utf8 = (load(Path(name, "last.safetensors")) for name in (run, f"{run}-utf8"))
    assert all(np.array_equal(resumed.parameters[name], utf8.parameters[name]) for name in utf8.parameters)

    assert "give --encoding cp1252" in invoke("eval", run, str(old), status=1).stderr
    as_new = invoke("eval", run, str(tmp_path / "new.txt"), "--json").stdout
    assert invoke("eval", run, str(old), "--json", "--encoding", "cp1252").stdout == as_new
    primed = [
        invoke("sample", run, "--length", "9", "--prime-file", name, *more).stdout
        for name, more in ((str(old), ("--encoding", "latin-1")), (str(tmp_path / "new.txt"), ()))
    ]
    assert primed[0] == primed[1]


def test_eval_reports_skipped_items(folder: Path, run: str) -> None:
    (folder / "snow.txt").write_text("the ☃ sat", encoding="utf-8")
    assert "☃" in invoke("eval", run, str(folder / "snow.txt"), status=1).stderr
    done = invoke("eval", run, str(folder / "snow.txt"), "--unknown", "skip")
    assert "'☃' (once)" in done.stderr
    assert "nats per char" in done.stdout


def test_same_seed_gives_the_same_text(run: str) -> None:
    texts = [invoke("sample", run, "--length", "50", "--seed", seed).stdout for seed in ("3", "3", "4")]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 50 + 1  # and the end of its line
    several = invoke("sample", run, "--length", "50", "--seed", "3", "--count", "3", "--jsonl").stdout.splitlines()
    assert json.loads(several[0])["text"] == texts[0][:50]


def test_complete_and_score_agree(run: str) -> None:
    likeliest = json.loads(invoke("complete", run, "\nthe ca", "--json").stdout)["completions"][0]
    assert likeliest["text"] == "t"
    scores = [json.loads(line) for line in invoke("score", run, "--json", text="the ca\nthe cat\n").stdout.splitlines()]
    assert math.exp(scores[1]["logprob"] - scores[0]["logprob"]) == pytest.approx(likeliest["probability"], rel=1e-3)


def test_word_model_is_reported_in_words(folder: Path) -> None:
    run, text = str(folder / "words"), str(folder / "text.txt")
    done = invoke("train", text, "--tokens", "words", "--min-count", "1", "--steps", "3", "--out", run, *SMALL)
    assert " words/s, " in done.stdout
    scored = invoke("score", run, "--json", text="the cat\nthe gnu the yak the\n")
    lines = [json.loads(line) for line in scored.stdout.splitlines()]
    assert [(line["chars"], line["unit"]) for line in lines] == [(3, "words"), (6, "words")]
    assert scored.stderr == "2 of 9 words are unknown to the model: <UNK>\n"
    (folder / "gnu.txt").write_text("the gnu sat\n")
    measured = invoke("eval", run, str(folder / "gnu.txt"), "--json")
    assert json.loads(measured.stdout)["unit"] == "words"
    assert measured.stderr == "1 of 4 words are unknown to the model: <UNK>\n"


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["sample", "RUN", "--temperature", "0"], 2, "temperature is 0"),
        (["sample", "RUN", "--count", "0"], 2, "count"),
        (["sample", "RUN", "--prime", "the", "--seed", "-1"], 2, "seed is -1"),
        (["sample", "RUN", "--prime", "a☃"], 1, "☃"),
        (["sample", "RUN", "--prime-file", "missing"], 1, "missing"),
        (["sample", "missing"], 1, "no such model"),
        (["info", "RUN/config.toml"], 1, "config.toml"),
        (["train", "missing.txt"], 1, "missing.txt: no such file"),
        (["train", "RUN/../text.txt", "--out", "RUN", "--steps", "1"], 1, "exists"),
        (["train", "RUN/../text.txt", "--batch", "5000", "--steps", "1"], 2, "--batch"),
        (["train", "--resume", "RUN", "--hidden", "9"], 2, "train a new run without --resume"),
        (["train", "--device", "cuda", "--steps", "1"], 1, "cuda"),
        (["complete", "RUN", "the", "--n", "0"], 2, "at least 1"),
        (["eval", "RUN", "missing.txt"], 1, "missing.txt"),
        (["bench", "train", "--hidden", "0"], 2, "hidden is 0"),
    ],
)
def test_impossible_requests_are_errors_of_one_line(args: list[str], status: int, words: str, run: str) -> None:
    done = invoke(*(arg.replace("RUN", run) for arg in args), status=status)
    assert words in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_the_run_and_resume_completes_it(number: int, status: int, folder: Path) -> None:
    out = folder / f"stopped-{number}"
    command = [sys.executable, "-m", "fastrnn_cli", "train", str(folder / "text.txt"), "--steps", "1000000", *SMALL]
    process = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stderr is not None
    while not process.stderr.readline().startswith(b"step "):
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert f"resume with: fastrnn train --resume {shlex.quote(str(out))}".encode() in err
    step = json.loads(invoke("info", str(out / "last.safetensors"), "--json").stdout)["progress"]["step"]
    assert step >= 1
    invoke("train", "--resume", str(out), "--steps", str(step + 2), "--quiet")


def test_complete_can_skip_unknown_characters(run: str) -> None:
    assert "--unknown skip" in invoke("complete", run, "the ☃c", status=1).stderr
    assert invoke("complete", run, "the ☃c", "--unknown", "skip").stdout == invoke("complete", run, "the c").stdout


def test_help_shows_the_defaults_of_the_library() -> None:
    import inspect

    from fastrnn.bench import bench_sample, bench_train
    from fastrnn.inference.language_model import LanguageModel
    from fastrnn.inference.sampling import SamplingParams

    held: dict[str, object] = {}
    for function in (LanguageModel.sample_stream, SamplingParams):
        held |= {name: p.default for name, p in inspect.signature(function).parameters.items()}
    assert told(sample.command) == {name: str(held[name]) for name in told(sample.command)}
    bench = importlib.import_module("fastrnn_cli.commands.bench")
    for command, each in (
        (complete.command, LanguageModel.complete), (bench.train, bench_train), (bench.sample, bench_sample)
    ):  # fmt: skip
        parameters = inspect.signature(each).parameters
        assert told(command) == {name: str(parameters[name].default) for name in told(command)}


def told(command: click.Command) -> dict[str, str]:
    """Option name -> the default that its help tells; those that depend on the machine are left out."""
    defaults = {}
    for parameter in command.params:
        text = getattr(parameter, "help", None) or ""
        if "[default: " in text and parameter.name not in ("encoding", "threads", "unknown", "out"):
            defaults[str(parameter.name)] = text.partition("[default: ")[2].rstrip("]")
    assert defaults
    return defaults


def examples() -> list[str]:
    """The example of each command's help, in the order of the list of commands."""
    lines = []
    for name in COMMANDS:
        command = load_command(name)
        for each in [*getattr(command, "commands", {}).values()] or [command]:
            lines.append((each.epilog or "").splitlines()[-1].strip())
    return lines


def test_example_in_every_help_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("the\tDET\ncat\tNOUN\n\ncats\tNOUN\n\n" * 8)
    (tmp_path / "sweep.toml").write_text("steps = 2\nhidden = [4, 8]\nbatch = 2\nseq = 8\n")
    (tmp_path / "notes.txt").write_text("The sea is calm.\n" * 60)
    invoke("train", "words.txt", "--task", "tag", "--steps", "2", "--out", "runs/tags", *TINY, "--quiet")
    for line in examples():
        before, _, after = line.rpartition(" | ")
        words = shlex.split(after)
        assert words[0] == "fastrnn"
        text = " ".join(shlex.split(before)[1:]) + "\n" if before else None
        if words[1:3] == ["data", "fetch"]:
            continue  # needs the network; tests/data has it against a server on this machine
        done = invoke(*words[1:], text=text)
        assert done.stdout or "warmup" in words or Path(words[words.index("--out") + 1]).stat().st_size


@pytest.mark.parametrize("length", [("--steps", "40"), ("--steps", "1"), ("--for", "20s")])
def test_dry_run_prints_the_plan_and_keeps_nothing(
    folder: Path, tmp_path: Path, length: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke("train", str(folder / "text.txt"), "--dry-run", "--hidden", "8", "--threads", "1", *length)
    rows = [line.split(maxsplit=1)[0] for line in done.stdout.splitlines()]
    assert {"model", "data", "chosen"} <= set(rows)
    assert ("time" in rows) == (length != ("--steps", "1"))
    assert not list(tmp_path.iterdir())
    assert invoke("train", "--dry-run", "--json", status=2).stderr.count("--dry-run") == 1
    assert not invoke("train", "missing.txt", "--dry-run", status=1).stdout
