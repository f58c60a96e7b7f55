import json
import math

import numpy as np
import pytest

from fastrnn_cli import output


def test_json_is_one_strict_line_of_ascii() -> None:
    line = output.to_json({"a": math.nan, "b": [math.inf, 1.5], "c": np.float32(0.5), "d": {"e": None}, "f": "é\n"})
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {"a": None, "b": [None, 1.5], "c": 0.5, "d": {"e": None}, "f": "é\n"}


def test_figures_stand_in_columns_one_pair_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_figures([("a", "1"), ("long", "two\nlines")])
    assert capsys.readouterr().out == "a     1\nlong  two␊lines\n"


def test_text_to_a_file_or_pipe_is_not_touched(capsys: pytest.CaptureFixture[str]) -> None:
    output.write("\x1b[31m\u202e")
    assert capsys.readouterr().out == "\x1b[31m\u202e"


def test_text_to_a_terminal_is_made_visible_unless_raw(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    output.write("\x1b[31m")
    output.write("\x1b[31m", raw=True)
    assert capsys.readouterr().out == "␛[31m\x1b[31m"


def test_a_reader_of_messages_who_has_gone_away_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Gone())
    output.note("nobody reads this")
    monkeypatch.setattr("sys.stderr", None)
    output.note("nor this")
