"""``fastrnn inspect`` on a small trained model and on untrained networks: figures, JSON, CSV, PNG, colours."""

import csv
import importlib
import inspect
import io
import json
import math
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from fakes import replace
from rich.console import Console

from fastrnn.diagnostics import Match
from fastrnn_cli import terminal_plots
from fastrnn_cli.commands import inspect as inspect_command
from fastrnn_cli.group import program
from fastrnn_cli.inspect_report import Report, search_report

TEXT = 'the cat "sat" on the mat.\n  the dog (sat) on the log.\n' * 40
SMALL = ("--hidden", "12", "--layers", "2", "--batch", "4", "--seq", "16", "--threads", "1", "--steps", "30")
FRESH = ("inspect", "--fresh", "rnn", "--hidden", "32", "--rows", "4", "--threads", "1")


def invoke(*args: str, status: int = 0, text: str | None = None) -> Result:
    """Run a command that must leave with this status."""
    done = CliRunner().invoke(program, args, input=text)
    assert done.exit_code == status, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with text.txt, and a run on it."""
    path = tmp_path_factory.mktemp("inspect")
    (path / "text.txt").write_text(TEXT)
    invoke("train", str(path / "text.txt"), "--out", str(path / "run"), *SMALL, "--quiet")
    return path


@pytest.fixture(scope="module")
def look(folder: Path) -> tuple[str, ...]:
    """The command with its model and text."""
    return "inspect", str(folder / "run"), str(folder / "text.txt"), "--threads", "1"


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_mean_surprisal_equals_the_loss_of_eval(look: tuple[str, ...]) -> None:
    found = json.loads(invoke(*look, "--json").stdout)
    measured = json.loads(invoke("eval", *look[1:3], "--json").stdout)
    assert found["chars"] == measured["chars"] == len(TEXT) - 1
    assert found["nats_per_char"] == pytest.approx(measured["nats_per_char"], abs=1e-5)
    assert "".join(found["tokens"]) == TEXT
    assert found["nats"][0] is None
    nats = found["nats"][1:]
    assert sum(nats) / len(nats) == pytest.approx(found["nats_per_char"])
    worst = found["most_surprising"][0]
    assert worst["nats"] == max(nats)
    assert worst["before"] + worst["token"] + worst["after"] in TEXT


def test_surprisal_is_printed_as_lines_and_csv(look: tuple[str, ...]) -> None:
    lines = invoke(*look, "--surprise", "--show", "26").stdout.splitlines()
    at = lines.index("position\ttoken\tnats")
    assert lines[at + 1] == "0\tt\t-"
    assert lines[-1].startswith("25\t␊\t")
    assert len(lines) == at + 27
    rows = rows_of(invoke(*look, "--csv", "-", "--length", "26").stdout)
    assert "".join(row["token"] for row in rows) == TEXT[:26]
    assert rows[0]["nats"] == ""
    assert float(rows[3]["nats"]) == pytest.approx(float(lines[at + 4].split("\t")[2]), abs=1e-4)


def test_units_are_searched_in_every_layer_or_in_one(look: tuple[str, ...]) -> None:
    found = json.loads(invoke(*look, "--units", "--json").stdout)["signals"]
    assert set(found) == {"line position", "indentation", "quotes", "brackets", "word"}
    assert all(len(matches) == 5 for matches in found.values())
    below = json.loads(invoke(*look, "--units", "--layer", "0", "--json").stdout)["signals"]
    assert {match["layer"] for matches in below.values() for match in matches} == {0}
    best = found["word"][0]
    told = invoke(*look, "--units").stdout
    assert f"word           {best['layer']}/{best['unit']} auc={best['value']:.3f}" in told


def test_units_with_low_correlation_are_not_listed() -> None:
    def match(value: float, measure: str = "r", unit: int = 3) -> Match:
        return Match("x", 0, unit, measure, value)

    def shown(*matches: Match) -> str:
        return dict(search_report({"x": list(matches)}, np.zeros((1, 2)), ["a"], 0).figures)["x"]

    assert shown(match(0.04)) == "no unit follows it (best: 0/3 r=0.040)"
    assert shown(match(0.55, "auc")) == "no unit follows it (best: 0/3 auc=0.550)"
    assert shown(match(-0.8), match(0.31, unit=1), match(0.29, unit=2)) == "0/3 r=-0.800   0/1 r=0.310"
    assert shown(match(0.1, "auc")) == "0/3 auc=0.100"
    assert shown() == "constant in this text"


def test_unit_option_shows_one_unit_along_the_text(look: tuple[str, ...]) -> None:
    searched = json.loads(invoke(*look, "--units", "--layer", "0", "--json").stdout)["signals"]["line position"][0]
    args = ("--layer", "0", "--unit", str(searched["unit"]))
    found = json.loads(invoke(*look, *args, "--json").stdout)
    assert found["signals"]["line position"]["value"] == pytest.approx(searched["value"])
    assert "".join(found["tokens"]) == TEXT
    assert all(-1 <= value <= 1 for value in found["activations"])
    rows = rows_of(invoke(*look, "--units", "--layer", "0", "--csv", "-").stdout)
    assert list(rows[0]) == ["position", "token", *(f"l0_{unit}" for unit in range(12))]
    assert [float(row[f"l0_{searched['unit']}"]) for row in rows] == pytest.approx(found["activations"])


def test_gates_report_saturation_shares(look: tuple[str, ...], tmp_path: Path) -> None:
    done = invoke(*look, "--gates", "--json", "--csv", str(tmp_path / "g.csv"))
    assert done.stderr == f"wrote {tmp_path / 'g.csv'}\n"
    found = json.loads(done.stdout)
    assert [(g["layer"], g["gate"]) for g in found["gates"]] == [(n, g) for n in (0, 1) for g in "ifoh"]
    rows = rows_of((tmp_path / "g.csv").read_text())
    assert len(rows) == 8 * 12
    mean = sum(float(row["high"]) for row in rows[:12]) / 12
    assert mean == pytest.approx(found["gates"][0]["high"])
    assert "layer 1 o" in invoke(*look, "--gates").stdout


def test_gradients_are_reported_for_a_model(look: tuple[str, ...]) -> None:
    found = json.loads(invoke(*look, "--gradients", "--lags", "6", "--rows", "5", "--json").stdout)
    assert (found["rows"], found["lags"]) == (5, [1, 2, 3, 4, 5, 6])
    assert set(found["norms"]) == {"h", "c"}
    assert all(len(norms) == 6 and min(norms) > 0 for layers in found["norms"].values() for norms in layers)
    c = found["norms"]["c"][1]
    assert found["factor"]["c"][1] == pytest.approx((c[-1] / c[0]) ** 0.2)
    rows = rows_of(invoke(*look, "--gradients", "--lags", "6", "--rows", "5", "--csv", "-").stdout)
    assert [float(row["norm"]) for row in rows if (row["state"], row["layer"]) == ("c", "1")] == pytest.approx(c)


def test_untrained_network_needs_no_model() -> None:
    weak, strong = (json.loads(invoke(*FRESH, "--scale", s, "--json").stdout) for s in ("0.5", "4"))
    assert weak["factor"]["h"][0] < 0.6
    assert strong["factor"]["h"][0] > 1.2
    assert strong["scale"] == 4
    shown = invoke(*FRESH, "--scale", "0.5", "--lags", "70").stdout
    assert "rnn, 1 layer of 32, scale 0.5" in shown
    curve = shown.splitlines()[-1].removeprefix("layer 0 h  ")
    assert len(curve) == terminal_plots.PLAIN_WIDTH
    assert curve[0] == "█"
    assert list(curve) == sorted(curve, reverse=True)


def test_plot_option_writes_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    done = invoke(*FRESH, "--png", str(tmp_path / "flow.png"))
    assert done.stderr == f"wrote {tmp_path / 'flow.png'}\n"
    assert (tmp_path / "flow.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = invoke(*FRESH, "--png", str(tmp_path / "flow.png"), status=1)
    assert done.stderr == (
        "fastrnn: a PNG needs matplotlib, which is not installed here: pip install 'fastrnn[plot]'\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        ([], 2, "give MODEL and TEXT, or --fresh CELL"),
        (["RUN"], 2, "give MODEL and TEXT, or --fresh CELL"),
        (["RUN", "TEXT", "--units", "--gates"], 2, "--units and --gates are different reports"),
        (["RUN", "TEXT", "--surprise", "--unit", "1"], 2, "--unit and --layer are for --units"),
        (["RUN", "TEXT", "--scale", "2"], 2, "give --fresh CELL"),
        (["RUN", "TEXT", "--fresh", "rnn"], 2, "leave out MODEL and TEXT"),
        (["--fresh", "rnn", "--units"], 2, "--fresh is for --gradients"),
        (["--fresh", "rnn", "--keep-bias", "1"], 2, "no gate that keeps"),
        (["--fresh", "rnn", "--lags", "0"], 2, "lags is 0"),
        (["--fresh", "rnn", "--hidden", "0"], 2, "hidden is 0"),
        (["RUN", "TEXT", "--png", "x.png"], 2, "--png plots --gradients"),
        (["RUN", "TEXT", "--gradients", "--png", "-"], 2, "--png writes a picture, which standard output"),
        (["RUN", "TEXT", "--json", "--csv", "-"], 2, "both take standard output"),
        (["RUN", "TEXT", "--unit", "12"], 2, "unit is 12; this model has units 0 to 11"),
        (["RUN", "TEXT", "--units", "--layer", "-1"], 2, "layer is -1; this model has layers 0 to 1"),
        (["RUN", "TEXT", "--length", "1"], 2, "length is 1"),
        (["RUN", "TEXT", "--gradients", "--lags", "60000"], 1, "no document of the text has 60001 tokens"),
        (["RUN", "missing.txt"], 1, "missing.txt"),
        (["missing", "TEXT"], 1, "no such model"),
        (["RUN", "TEXT", "--csv", "missing/x.csv"], 1, "missing/x.csv"),
    ],
)
def test_impossible_requests_are_errors_of_one_line(args: list[str], status: int, words: str, folder: Path) -> None:
    places = {"RUN": str(folder / "run"), "TEXT": str(folder / "text.txt")}
    done = invoke("inspect", *(places.get(arg, arg) for arg in args), status=status)
    assert words in done.stderr
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


def test_unknown_characters_are_named_or_skipped(folder: Path) -> None:
    args = ("inspect", str(folder / "run"), "-")
    assert "--unknown skip" in invoke(*args, text="the ☃ sat", status=1).stderr
    done = invoke(*args, "--unknown", "skip", "--json", text="the ☃ sat")
    assert "".join(json.loads(done.stdout)["tokens"]) == "the  sat"


def test_help_shows_the_defaults_of_the_library() -> None:
    from fastrnn.diagnostics import choose_rows, head, random_rows, untrained_network

    held = {"show": 1000, **inspect_command.DEFAULTS}
    assert inspect.signature(terminal_plots.plot).parameters["show"].default == 1000
    for function in (head, choose_rows, random_rows, untrained_network):
        held |= {name: p.default for name, p in inspect.signature(function).parameters.items()}
    for name in ("length", "show", "lags", "rows", "scale", *inspect_command.DEFAULTS):
        option = next(p for p in inspect_command.command.params if p.name == name)
        assert isinstance(option, click.Option)
        assert (option.help or "").endswith(f"[default: {held[name]}]"), name


def drawn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], look: Report, width: int = 40) -> str:
    """What a terminal of this width with all colours gets."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="truecolor", width=width, highlight=False)
    replace(monkeypatch, terminal_plots, "_console", lambda: console)
    terminal_plots.plot(look, show=10)
    return capsys.readouterr().out + file.getvalue()


def test_terminal_shows_the_text_in_colour(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    marks = [None, 0.1, 6.0, 60.0, 0.0]
    shown = drawn(monkeypatch, capsys, Report({}, [("mean", "1")], (), (), tokens=list("ab\x1b\nc"), marks=marks))
    red = "\x1b[30;48;2;229;57;53m"
    assert shown == f"mean  1\n\nab{red}␛\x1b[0m{red}␊\x1b[0m\nc\n"
    look = Report({}, [], (), (), tokens=["x", "y", "z"], marks=[-1.0, 0.0, 1.0], signed=True)
    assert drawn(monkeypatch, capsys, look) == f"\n\x1b[30;48;2;66;133;244mx\x1b[0my{red}z\x1b[0m\n"


def test_curves_are_as_wide_as_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    curves = {"layer 0 h": [10.0**-i for i in range(100)]}
    lines = drawn(monkeypatch, capsys, Report({}, [], (), (), curves=curves), width=30).splitlines()
    bars = [c for c in lines[-1] if c in "▁▂▃▄▅▆▇█"]
    assert len(bars) == 30 - len("layer 0 h  ")
    assert lines[-1].count("\x1b[38;2;") >= 8


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([1.0, 0.1, 0.01], "█▅▁"),
        ([1.0, 0.0, math.nan, math.inf], "█ ?█"),
        ([100.0, 1e-9], "█▁"),
        ([1.0, 1.0, 0.01, 0.01], "█▁"),
    ],
)
def test_bars_are_logarithmic(values: list[float], line: str) -> None:
    width = len(line)
    assert terminal_plots.log_bars(values, -2, 0, width, "▁▂▃▄▅▆▇█") == line


def test_zeros_draw_no_curve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(monkeypatch, capsys, Report({}, [], (), (), curves={"h": [0.0, math.nan]})) == ""
