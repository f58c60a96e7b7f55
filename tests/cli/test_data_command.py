"""``fastrnn data list``, ``make`` and ``fetch`` in this process."""

import json
from pathlib import Path

import pytest
from fakes import replace

from fastrnn.data import download
from fastrnn.data.catalog import CORPORA
from fastrnn.data.synthetic import GENERATORS, SyntheticOptions, make
from fastrnn.data.text.sources import BUILTIN
from fastrnn_cli.commands import data
from fastrnn_cli.main import run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.mark.e2e
def test_list_shows_local_and_downloadable_corpora(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tinyshakespeare").mkdir(parents=True)
    (folder / "tinyshakespeare" / "input.txt").write_bytes(b"text")

    assert run(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*BUILTIN, *CORPORA]
    endings = {line.split()[0]: line.partition("  [")[2] for line in lines}
    assert endings["tinyshakespeare"] == "fetched]"
    assert endings["text8"] == "to fetch: 31.3 MB]"
    assert run(["data", "list", "--json"]) == 0
    here = {name: row["here"] for name, row in json.loads(capsys.readouterr().out).items()}
    assert here == dict.fromkeys([*BUILTIN, *CORPORA], False) | dict.fromkeys([*BUILTIN, "tinyshakespeare"], True)


@pytest.mark.parametrize("name", data.SYNTHETIC)
def test_make_writes_to_standard_output_or_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    expected = "".join(make(name, SyntheticOptions(count=3, seed=5)))

    assert run(["data", "make", name, "--count", "3", "--seed", "5"]) == 0
    assert capsys.readouterr().out == expected
    assert run(["data", "make", name, "--count", "3", "--seed", "5", "--out", str(tmp_path / "made")]) == 0
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == f"wrote {tmp_path / 'made'} ({len(expected.splitlines())} lines)\n"
    assert (tmp_path / "made").read_bytes().decode() == expected


def test_output_can_be_standard_output_and_is_checked_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "make", "dates", "--count", "3", "--out", "-"]) == 0
    assert capsys.readouterr().out.count("\n") == 3
    assert run(["data", "make", "dates", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"fastrnn: {tmp_path}: a folder; give the name of a file in it\n"
    assert run(["data", "make", "dates", "--out", str(tmp_path / "no" / "x")]) == 1
    assert "cannot write this file: its folder does not exist" in capsys.readouterr().err


def test_show_prints_the_remarks_of_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.txt").write_bytes(b"one\r\ntwo\n" * 20)
    assert run(["data", "show", str(tmp_path / "x.txt")]) == 0
    assert "lines end in different ways" in capsys.readouterr().err


def test_every_generator_has_its_command() -> None:
    assert set(data.SYNTHETIC) == set(GENERATORS)


def test_options_reach_the_generator(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "make", "bits", "--problem", "2", "--length", "4", "--variable", "--count", "9"]) == 0
    assert capsys.readouterr().out == "".join(make("bits", SyntheticOptions(9, length=4, problem=2, variable=True)))
    assert run(["data", "make", "copy", "--gap", "3", "--count", "2"]) == 0
    assert capsys.readouterr().out == "".join(make("copy", SyntheticOptions(2, gap=3)))


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["make", "bits", "--count", "0"], 2, "fastrnn: count is 0; it must be at least 1\n"),
        (["make", "songs"], 2, "'songs' is not one of 'bits', 'waves', 'dates', 'copy', 'reverse'."),
        (["make", "bits", "--out", "none/there.txt"], 1, "its folder does not exist"),
        (["fetch", "shakespeare"], 2, "no corpus 'shakespeare'; did you mean tinyshakespeare?"),
        (["fetch", "tinyshakespeare", "nosuch"], 2, "no corpus 'nosuch'"),
        (["fetch"], 2, "NAME..."),
    ],
)
def test_errors_are_one_line(capsys: pytest.CaptureFixture[str], args: list[str], status: int, message: str) -> None:
    assert run(["data", *args]) == status
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_fetch_prints_where_the_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetched(name: str, progress: object) -> list[Path]:
        assert callable(progress)
        progress("a.txt", 50_000, 200_000)
        progress("a.txt", 100_000, 200_000)
        progress("a.txt", 200_000, 200_000)
        return [tmp_path / name / "a.txt"]

    replace(monkeypatch, download, "fetch", fetched)
    assert run(["data", "fetch", "names", "ptb"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [str(tmp_path / name / "a.txt") for name in ("names", "ptb")]
    assert err.splitlines()[:2] == ["a.txt  50.0 kB of 0.2 MB", "a.txt  0.2 MB of 0.2 MB"]
    assert run(["data", "fetch", "names", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"names": [str(tmp_path / "names" / "a.txt")]}
