"""Displays of training, fed with synthetic events."""

import io
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from fastrnn.config import Config
from fastrnn_cli import display, rich_progress

START = SimpleNamespace(
    run="runs/x", parameters=1234567, data=("text 1,000 chars, vocabulary of 65", "100 steps of 32 x 64, 25 an epoch"),
    config=Config(cell="gru", layers=2, hidden=128, batch=32),
    choices=["hidden 128: the text is small"],
)  # fmt: skip


def step(number: int, **changes: Any) -> Any:
    """One training step as the loop tells it."""
    values = {
        "step": number, "steps": 100, "epoch": number / 25, "nats": 4.0 - number / 50, "lr": 1e-3,
        "chars_per_s": 41234.5, "seconds_left": 83.0, "grad_norm": 1.0,
    }  # fmt: skip
    return SimpleNamespace(**(values | changes))


def evaluated(number: int, **changes: Any) -> Any:
    """One validation as the loop tells it."""
    values = {
        "step": number, "train_nats": 2.0, "valid_nats": 2.1, "valid_bits": 3.03, "best": True, "sample": "To be\nor",
        "metrics": {},
    }  # fmt: skip
    return SimpleNamespace(**(values | changes))


def play(shown: display.Display) -> None:
    """A short run."""
    with shown:
        shown.message("compiling")
        shown.on_train_start(START)
        for number in range(1, 41):
            shown.on_step(step(number))
        shown.on_evaluate(evaluated(40))
        shown.on_step(step(41))


def test_speed_is_not_shown_before_it_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    display.PlainDisplay().on_step(step(1, chars_per_s=0.0, seconds_left=float("nan")))
    assert capsys.readouterr().err == "step 1/100  epoch 0.04  train 3.9800 nats  5.7419 bits\n"


def test_large_change_of_the_plan_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = display.PlainDisplay()
    shown.on_train_start(SimpleNamespace(**(vars(START) | {"config": START.config.replace(steps=100)})))
    capsys.readouterr()
    for steps in (95, 90, 85, 60, 62, 55):
        shown.on_plan_change(SimpleNamespace(step=10, steps=steps))
    assert capsys.readouterr().err == "the machine is slower than measured: 60 steps, not 100, to end in time\n"


def test_live_display_shows_validation_and_plan() -> None:
    out = io.StringIO()
    shown = rich_progress.LiveDisplay(Console(file=out, force_terminal=True, width=100))
    shown.on_train_start(SimpleNamespace(**(vars(START) | {"config": START.config.replace(steps=100)})))
    shown.on_step(step(10))
    for steps in (90, 80, 70):
        shown.on_plan_change(SimpleNamespace(step=10, steps=steps))
    shown.on_evaluate_progress(0.42)
    text = "".join(str(line) for line in shown._render().renderables if not hasattr(line, "columns"))
    assert "validating: 42%" in text
    assert text.count("steps, not 100") == 1
    assert "70 steps, not 100" in text
    shown.on_evaluate(evaluated(10))
    assert "validating" not in "".join(str(line) for line in shown._render().renderables)


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    play(display.PlainDisplay(every=1000))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "compiling",
        "run runs/x",
        "model gru, 2 layers of 128, 1,234,567 parameters",
        "text 1,000 chars, vocabulary of 65",
        "100 steps of 32 x 64, 25 an epoch",
        "hidden 128: the text is small",
        "step 1/100  epoch 0.04  train 3.9800 nats  5.7419 bits  41,234 chars/s  1:23 left",
        "step 40  train 2.0000 nats  2.8854 bits  valid 2.1000 nats  3.0297 bits  best so far",
    ]


def test_plain_lines_are_printed_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 4.9, 5.0, 9.0, 10.5])
    monkeypatch.setattr(display.time, "monotonic", lambda: next(clock) + 100)
    shown = display.PlainDisplay(every=5.0)
    for number in range(1, 7):
        shown.on_step(step(number))
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["1/100", "4/100", "6/100"]


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    play(display.make_display(quiet=True))
    assert capsys.readouterr() == ("", "")


def console(**settings: Any) -> Console:
    """A terminal of 100 columns that is written into memory."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=settings.pop("encoding", "utf-8"), write_through=True)
    return Console(file=file, force_terminal=True, width=100, height=30, highlight=False, _environ=settings)


def written(terminal: Console) -> str:
    """What the terminal was sent."""
    return terminal.file.buffer.getvalue().decode(terminal.encoding)  # type: ignore[attr-defined, no-any-return]


def test_live_display_shows_every_value() -> None:
    terminal = console(TERM="xterm-256color")
    play(rich_progress.LiveDisplay(terminal))
    text = written(terminal)
    for part in ("compiling", "gru, 2 layers of 128", "41/100", "epoch 1.64", "41,234 chars/s", "1:23 left"):
        assert part in text
    for part in ("2.1000 nats  3.0297 bits", "best at step 40", "  To be", "  or", "█▇", "▂▁"):
        assert part in text


def test_live_display_escapes_controls_and_markup_of_a_sample() -> None:
    terminal = console(TERM="xterm-256color")
    with rich_progress.LiveDisplay(terminal) as shown:
        shown.on_evaluate(evaluated(1, sample="[red]x[/red]\x1b[2J\u202e\n"))
    text = written(terminal)
    assert "[red]x[/red]␛[2J<U+202E>" in text
    assert "\x1b[2J" not in text


def test_live_display_shows_the_beginning_of_a_long_sample() -> None:
    assert [line.plain for line in rich_progress._sample_lines("line\n" * 50)] == ["sample"] + [
        "  line"
    ] * rich_progress.SAMPLE_LINES


def test_live_display_leaves_the_cursor_visible() -> None:
    terminal = console(TERM="xterm-256color")
    with rich_progress.LiveDisplay(terminal):
        assert written(terminal).endswith("\x1b[?25h")


def test_no_color_means_no_color() -> None:
    plain, coloured = console(TERM="xterm-256color", NO_COLOR="1"), console(TERM="xterm-256color")
    for terminal in (plain, coloured):
        play(rich_progress.LiveDisplay(terminal))
    assert "\x1b[36m" in written(coloured)
    assert "\x1b[36m" not in written(plain)


def test_ascii_terminal_gets_ascii_bars() -> None:
    terminal = console(TERM="xterm-256color", encoding="ascii")
    play(rich_progress.LiveDisplay(terminal))
    assert "@%" in written(terminal)


def test_closed_terminal_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = console(TERM="xterm-256color")
    with rich_progress.LiveDisplay(terminal) as shown:
        shown.on_step(step(1))

        def gone(*_: Any) -> int:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(terminal.file, "write", gone)
        shown.message("nobody sees this")
        shown.on_evaluate(evaluated(2))


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_display_is_chosen_by_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(display.make_display(quiet=False), display.PlainDisplay)
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(display.make_display(quiet=False), rich_progress.LiveDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display.make_display(quiet=False), display.PlainDisplay)
    monkeypatch.setattr("sys.stderr", None)
    assert isinstance(display.make_display(quiet=False), display.PlainDisplay)


@pytest.mark.e2e
def test_rich_is_imported_for_a_terminal_only() -> None:
    code = "import sys, fastrnn_cli.display as d; d.make_display(False); sys.exit('rich' in sys.modules)"
    env = dict(os.environ)
    assert subprocess.run([sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, check=False).returncode == 0


def test_progress_of_reading_is_shown_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(rich_progress.time, "monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    shown = rich_progress.LiveDisplay(console)
    with shown:
        shown.on_read(1_000_000, None)
        assert console.file.getvalue().count("reading") == 0
        clock[0] = 1.5
        shown.on_read(600_000_000, 617_000_000)
        assert "reading: 600 of 617 MB" in console.file.getvalue()
        shown.message("compiling")
        assert shown._render().renderables == []
        shown.on_train_start(START)
        shown.on_step(step(1))
        assert "1/100" in console.file.getvalue()


def test_progress_of_reading_is_printed_at_intervals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: clock[0])
    plain = display.PlainDisplay(every=5.0)
    for second in range(12):
        clock[0] = float(second)
        plain.on_read(second * 1_000_000, None)
    assert capsys.readouterr().err == "reading: 5 MB\nreading: 10 MB\n"
