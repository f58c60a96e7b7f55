"""Output as JSON, columns and text, to files, pipes and terminals."""

import io
import json
import math
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from fakes import replace

from fastrnn.os_compat import quote_argument
from fastrnn_cli import options, output


def test_json_is_one_strict_line_of_ascii() -> None:
    line = output.to_json({"a": math.nan, "b": [math.inf, 1.5], "c": np.float32(0.5), "d": {"e": None}, "f": "é\n"})
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {"a": None, "b": [None, 1.5], "c": 0.5, "d": {"e": None}, "f": "é\n"}


def test_figures_are_aligned_one_pair_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_figures([("a", "1"), ("long", "two\nlines")])
    assert capsys.readouterr().out == "a     1\nlong  two␊lines\n"


def test_text_to_a_file_or_pipe_is_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    output.write("\x1b[31m\u202e")
    assert capsys.readouterr().out == "\x1b[31m\u202e"


def test_text_to_a_terminal_is_sanitized_unless_raw(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(monkeypatch, output, "on_terminal", lambda: True)
    output.write("\x1b[31m")
    output.write("\x1b[31m", raw=True)
    assert capsys.readouterr().out == "␛[31m\x1b[31m"


def test_closed_standard_error_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Gone())
    output.note("nobody reads this")
    monkeypatch.setattr("sys.stderr", None)
    output.note("nor this")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "is_noted"), [(Terminal("a"), True), (io.StringIO("a"), False), (None, False)])
def test_reading_from_a_terminal_is_announced(
    typed: io.StringIO | None, is_noted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", typed)
    assert options.INPUT.convert("-", None, None) == "-"
    assert ("reading from the terminal; Ctrl-" in capsys.readouterr().err) == is_noted
    options.INPUT.convert("file", None, None)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("found", "script", "name"),
    [
        ("/bin/fastrnn", "/x/fastrnn", "fastrnn"),
        (None, "/my env/bin/fastrnn", quote_argument("/my env/bin/fastrnn")),
        (None, "/x/fastrnn/__main__.py", "python -m fastrnn"),
    ],
)
def test_hints_name_the_program_as_it_was_called(
    found: str | None, script: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.shutil, "which", lambda _: found)
    monkeypatch.setattr(sys, "argv", [script])
    assert output.program_name() == name


def test_progress_line_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    times = iter([0.0, 0.5, 2.0, 2.1, 3.0])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(times))
    monkeypatch.setattr("sys.stderr", shown := Terminal())
    with output.ProgressLine() as line:
        for done in (1, 2, 3, 10):
            line.show(lambda done=done: f"reading: {done} of 10 MB")  # type: ignore[misc]
        assert output.ProgressLine.is_shown
    assert not output.ProgressLine.is_shown
    drawn = shown.getvalue().split("\r")
    assert drawn == ["", "reading: 2 of 10 MB", "reading: 10 of 10 MB", " " * 20, ""]

    monkeypatch.setattr(output.time, "monotonic", iter(range(9)).__next__)
    monkeypatch.setattr("sys.stderr", shown := io.StringIO())
    with output.ProgressLine() as line:
        line.show(lambda: "reading")
    assert shown.getvalue() == ""


def test_piped_input_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if output.os.name != "posix":  # as the module sees it: also the simulated Windows
        pytest.skip("not implemented for Windows")

    def found(number: int) -> bool:
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(fileno=lambda: number))
        return output.has_piped_input()

    read, write = os.pipe()
    assert not found(read)
    os.write(write, b"some text")
    assert found(read)
    (tmp_path / "text").write_text("some text")
    with open(tmp_path / "text") as file, open(os.devnull) as nothing:
        assert found(file.fileno())
        os.lseek(file.fileno(), 0, os.SEEK_END)
        assert not found(file.fileno())
        assert not found(nothing.fileno())
    os.close(write)
    os.close(read)
    assert not found(read)  # closed
    monkeypatch.setattr(sys, "stdin", None)
    assert not output.has_piped_input()
