"""Every command ends with an exit status, and an error with one line."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from fastrnn.errors import ConfigError, DivergedError, InputError
from fastrnn_cli import main
from fastrnn_cli.command_base import OTHER_NAMES
from fastrnn_cli.group import COMMANDS, load_command, program
from fastrnn_cli.main import run

HEAVY = {"numpy", "numba", "llvmlite", "rich", "safetensors", "platformdirs"}


def outcome(monkeypatch: pytest.MonkeyPatch, error: BaseException, **env: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command that ends in this error."""

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setitem(COMMANDS, "fail", "Fail.")
    monkeypatch.setattr(program, "get_command", lambda *_: click.Command("fail", callback=fail))
    result = CliRunner().invoke(program, ["fail"], env=env)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("no text"), 1, "fastrnn: no text\n"),
        (ConfigError("hidden is 0"), 2, "fastrnn: hidden is 0\n"),
        (DivergedError("it diverged"), 4, "fastrnn: it diverged\n"),
        (InputError("two\nlines \x1b[31m"), 1, "fastrnn: two␊lines ␛[31m\n"),
        (KeyboardInterrupt(), 130, "fastrnn: interrupted\n"),
        (BrokenPipeError(), 0, ""),
        (OSError(28, "No space left on device"), 1, "fastrnn: No space left on device\n"),
        (FileNotFoundError(2, "No such file", "x.txt"), 1, "fastrnn: x.txt: No such file\n"),
        (click.UsageError("that is wrong"), 2, "fastrnn: that is wrong (see fastrnn fail --help)\n"),
    ],
)
def test_every_error_is_one_line_with_its_exit_status(
    error: BaseException, status: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome(monkeypatch, error) == (status, "", line)


def test_long_invalid_value_is_shortened_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    error = click.BadParameter(f"{'many words ' * 9000} is not a valid integer.", param_hint="'--length'")
    status, _, err = outcome(monkeypatch, error)
    assert (status, err.count("\n")) == (2, 1)
    assert len(err) < 650
    assert "is not a valid integer" in err


def test_memory_errors_and_internal_errors_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, words in ((MemoryError("8 GiB"), "not enough memory"), (ZeroDivisionError("x"), "internal error")):
        status, out, err = outcome(monkeypatch, error)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert words in err
        assert "Traceback" not in err


def test_debug_variable_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, err = outcome(monkeypatch, InputError("no text"), FASTRNN_DEBUG="1")
    assert status == 1
    assert "Traceback" in err
    assert err.endswith("fastrnn: no text\n")
    assert "Traceback" not in outcome(monkeypatch, InputError("no text"), FASTRNN_DEBUG="0")[2]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["trian"], "no such command 'trian'; did you mean train? (see fastrnn --help)"),
        (["train", "--hiden", "3"], "--hidden"),
        (
            ["train", "--learning_rate", "3"],
            "no such option '--learning_rate'; did you mean --lr? (see fastrnn train --help)",
        ),
        (["sample", "-n", "3"], "no such option '-n'; did you mean --count?"),
        (["score", "--learning-rate", "3"], "No such option '--learning-rate'. (see fastrnn score --help)"),
        (["train", "--hidden", "many"], "'many' is not a valid integer"),
        (["train", "--cell", "lstn"], "'lstn' is not one of"),
        (["train", "--hidden", "0", "text.txt"], "hidden is 0; it must be at least 1"),
        (["score"], "Missing argument 'MODEL'. (see fastrnn score --help)"),
        (["train", "--resume", "a", "--out", "b"], "leave out --out"),
        (["train", "--config", "missing.toml"], "missing.toml: cannot read this configuration"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(args: list[str], words: str) -> None:
    result = CliRunner().invoke(program, args)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("fastrnn: ")
    assert words in result.stderr


@pytest.mark.parametrize("args", [[], ["bench"], ["data"]])
def test_command_group_without_a_command_shows_help(args: list[str]) -> None:
    result = CliRunner().invoke(program, args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: fastrnn")


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(program, ["--help"])
    assert result.exit_code == 0
    for name, text in COMMANDS.items():
        assert f"  {name} " in result.stdout
        assert text in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    command = load_command(name)
    assert command.help is not None
    assert command.help.splitlines()[0] == COMMANDS[name]
    for each in [command, *getattr(command, "commands", {}).values()]:
        assert f"fastrnn {name}" in (each.epilog or "")
        for option in each.params:
            assert not isinstance(option, click.Option) or option.help


def test_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    result = CliRunner().invoke(program, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"fastrnn {version('fastrnn')}\n")


@pytest.mark.e2e
@pytest.mark.parametrize("args", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS), []])
def test_help_version_and_completion_import_nothing_heavy(args: list[str]) -> None:
    env = dict(os.environ)
    if not args:
        env |= {"_FASTRNN_COMPLETE": "bash_complete", "COMP_WORDS": "fastrnn train --hid", "COMP_CWORD": "2"}
    code = (
        "import sys; from fastrnn_cli.main import main\n"
        "try: main()\n"
        "finally: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], env=env, capture_output=True, text=True, check=True)
    assert "hidden" in done.stdout or args
    assert not HEAVY & set(done.stderr.split())


def fastrnn(*args: str, **options: Any) -> "subprocess.Popen[bytes]":
    """The program as a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "fastrnn_cli", *args], stderr=subprocess.PIPE, **options)


@pytest.mark.e2e
def test_closed_output_pipe_ends_quietly(tmp_path: Path) -> None:
    text = tmp_path / "long.txt"
    text.write_bytes(b"many lines\n" * 100_000)
    process = fastrnn("data", "show", "--text", str(text), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"many lines\n"
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        err = process.stderr.read()
    assert (process.wait(60), err) == (0, b"")


@pytest.mark.e2e
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_is_an_error_of_one_line() -> None:
    with open("/dev/full", "wb") as full:
        process = fastrnn("data", "list", stdout=full)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"fastrnn: No space left on device\n")


@pytest.mark.e2e
def test_character_outside_the_output_encoding_is_escaped(tmp_path: Path) -> None:
    text = tmp_path / "snow.txt"
    text.write_text("☃", encoding="utf-8")
    env = dict(os.environ) | {"PYTHONIOENCODING": "ascii"}
    process = fastrnn("data", "show", "--text", str(text), stdout=subprocess.PIPE, env=env)
    assert process.communicate(timeout=60) == (rb"\u2603", b"")


def test_run_returns_the_exit_status_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave() -> None:
        click.get_current_context().exit(130)

    monkeypatch.setitem(COMMANDS, "leave", "Leave.")
    monkeypatch.setattr(program, "get_command", lambda *_: click.Command("leave", callback=leave))
    assert run(["leave"]) == 130


@pytest.mark.e2e  # the platform module starts a process
def test_info_shows_the_system_for_a_bug_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTRNN_SEED", "3")
    done = CliRunner().invoke(program, ["info", "--system"])
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert done.exit_code == 0
    assert set(rows) >= {"fastrnn", "numpy", "numba", "llvmlite", "python", "processor", "threads"}
    assert f"Python {sys.version.split()[0]}" in rows["python"].replace("CPython", "Python")
    assert "FASTRNN_SEED=3" in rows["variables"]
    as_json = CliRunner().invoke(program, ["info", "--system", "--json"])
    assert as_json.stdout.count("\n") == 1
    assert json.loads(as_json.stdout).items() >= {name: rows[name] for name in ("numpy", "python", "threads")}.items()
    with_model = CliRunner().invoke(program, ["info", "m", "--system"])
    assert with_model.stdout == done.stdout
    assert with_model.stderr == "--system shows this machine, not a model: MODEL has no effect\n"


@pytest.mark.parametrize(
    ("system", "chosen", "expected"),
    [("win32", None, "λ\n".encode()), ("win32", "cp1252", b"\\u03bb\r\n"), ("linux", None, b"\\u03bb\r\n")],
)
def test_redirected_output_is_utf8_with_plain_line_ends_on_windows(
    system: str, chosen: str | None, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "cp1252", newline="\r\n"))
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    if chosen is not None:
        monkeypatch.setenv("PYTHONIOENCODING", chosen)
    monkeypatch.setattr(sys, "platform", system)
    main._escape_unencodable()
    print("λ", flush=True)
    assert written.getvalue() == expected


@pytest.mark.parametrize(
    ("error", "system", "status"),
    [
        (BrokenPipeError(32, "Broken pipe"), "linux", 0),
        (OSError(22, "Invalid argument"), "win32", 0),
        (OSError(22, "Invalid argument"), "linux", 1),
        (OSError(22, "Invalid argument", "name"), "win32", 1),
    ],
)
def test_reader_that_has_gone_is_no_error(
    error: OSError, system: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(program, "make_context", fail)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        monkeypatch.setattr(sys, "stdout", nowhere)
        assert run([]) == status


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"bench", "data"}))
def test_other_names_of_options_lead_to_options(command: str) -> None:
    """Every name of another program leads to an option of some command, and none is an option itself."""
    own = {name for parameter in load_command(command).params for name in parameter.opts}
    assert not own & set(OTHER_NAMES)


def test_every_other_name_leads_somewhere() -> None:
    own = {name for command in ("train", "sample") for p in load_command(command).params for name in p.opts}
    assert set(OTHER_NAMES.values()) <= own
