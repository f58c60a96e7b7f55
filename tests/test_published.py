"""`benchmarks/published.py`: how the data of published tables are prepared and divided, and the table it prints."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import doc_examples
import pytest


@pytest.fixture(scope="module")
def published() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("published", doc_examples.ROOT / "benchmarks" / "published.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("raw", "prepared"),
    [
        (b" aer <unk> N \n no it was n't \n", b"aer <unk> N\nno it was n't\n"),
        (b"one \n two", b"one\ntwo\n"),  # the last line without its end
        (b" one \r\n", b"one\n"),
        (b"a  b \n\n", b"a  b\n\n"),  # spaces inside a line and empty lines stay
        (b"", b""),
    ],
)
def test_lines_of_the_treebank_lose_their_outer_spaces_only(published: ModuleType, raw: bytes, prepared: bytes) -> None:
    assert published.prepare_ptb(raw) == prepared


def test_treebank_has_the_published_parts(published: ModuleType, tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        (tmp_path / f"ptb.{part}.txt").write_bytes(f" {part} \n".encode() * 2)
    assert published.split_ptb(tmp_path) == {part: f"{part}\n".encode() * 2 for part in ("train", "valid", "test")}


def test_war_and_peace_is_divided_into_80_10_and_10_percent_of_its_bytes(published: ModuleType, tmp_path: Path) -> None:
    text = "\ufeffé\r\n".encode() + bytes(range(33, 126))
    assert len(text) == 100
    (tmp_path / "input.txt").write_bytes(text)
    parts = published.split_warpeace(tmp_path / "input.txt")
    assert [len(part) for part in parts.values()] == [80, 10, 10]
    assert b"".join(parts.values()) == text
    assert list(parts) == ["train", "valid", "test"]


def test_table_has_the_rows_of_the_paper_and_ours_with_minutes_and_machine(published: ModuleType) -> None:
    ours = published.Row("fastrnn, lstm, 8 units", 4321, 1.2345, 2.5)
    lines = published.format_table(published.TABLES["ptb"], [ours], "a machine").splitlines()
    assert lines[2] == "| model | parameters | bits | minutes | machine |"
    assert "| LSTM, 1,000 units | 4.25 million | 1.312 |  |  |" in lines
    assert lines[-1] == "| fastrnn, lstm, 8 units | 0.00 million | 1.234 | 2.5 | a machine |"


@pytest.mark.e2e
def test_small_run_is_scored_on_the_test_part(
    published: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "input.txt").write_bytes(b"the cat sat on the mat. the dog sat on the log.\r\n" * 60)
    arguments = ["warpeace", str(tmp_path / "input.txt"), str(tmp_path / "out")]
    published.main([*arguments, "--dynamic", "--steps", "20", "--hidden", "8", "--batch", "4", "--seq", "16"])
    out, err = capfd.readouterr()
    assert "train 2,352, valid 294, test 294; 16 different symbols\n" in err
    assert "these are not the usual data: 2,940 symbols, not 3,258,245" in err
    static, dynamic = (line.split("|") for line in out.splitlines()[-2:])
    assert static[1].strip() == "fastrnn, lstm-norm, 8 units"
    assert dynamic[1].strip() == "fastrnn, lstm-norm, 8 units, dynamic evaluation"
    assert re.fullmatch(r"\d\.\d{3}", static[3].strip())

    # the run exists now: only its table is printed again
    published.main(arguments)
    assert capfd.readouterr().out.splitlines()[-1] == "|".join(static)
    with pytest.raises(SystemExit) as caught:
        published.main([*arguments, "--hidden", "9"])
    assert caught.value.code == 2
    assert "leave out --hidden 9" in capfd.readouterr().err
