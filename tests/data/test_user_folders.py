"""The folder of downloaded corpora."""

import os
from pathlib import Path

import platformdirs
import pytest

from fastrnn.data.catalog import corpus_paths, is_fetched
from fastrnn.data.download import data_folder, fetch
from fastrnn.errors import InputError, OutputError


def test_data_folder_is_the_default_or_the_configured_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTRNN_DATA", raising=False)
    assert data_folder().name == "fastrnn"
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    assert data_folder() == tmp_path


def test_corpus_names_resolve_once_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    folder = tmp_path / "ptb"
    folder.mkdir()
    (folder / "ptb.valid.txt").write_bytes(b"a b")

    assert corpus_paths("ptb/ptb.valid.txt") == [str(folder / "ptb.valid.txt")]
    with pytest.raises(InputError, match=r"^ptb: not fetched yet; run fastrnn data fetch ptb$"):
        corpus_paths("ptb")
    (folder / "ptb.train.txt").write_bytes(b"a b")
    assert corpus_paths("ptb") == [str(folder / "ptb.train.txt")]


@pytest.mark.parametrize("name", ["essays", "ptb/other.txt", "ptb/../../etc/passwd", "", "/ptb"])
def test_other_names_are_no_public_corpora(name: str) -> None:
    assert corpus_paths(name) is None


def _raise(*name: object, **options: object) -> str:
    raise RuntimeError("could not determine the home directory")


@pytest.mark.parametrize("answer", [_raise, lambda *name, **options: "~/.local/share/fastrnn"])
def test_user_without_a_home_directory_gets_an_error(answer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTRNN_DATA", raising=False)
    monkeypatch.setattr(platformdirs, "user_data_dir", answer)
    assert not is_fetched("text8")
    with pytest.raises(InputError, match=r"^text8: not fetched yet, and this user has no home .* set FASTRNN_DATA"):
        corpus_paths("text8")
    with pytest.raises(OutputError, match=r"no home directory .* set FASTRNN_DATA"):
        fetch("text8")


def test_unsearchable_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    asked = os.stat

    def denied(path: object, **options: object) -> os.stat_result:
        if str(path).startswith(str(tmp_path)):
            raise PermissionError(13, "Permission denied", str(path))
        return asked(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", denied)
    assert not is_fetched("text8")
    with pytest.raises(InputError, match=r"Permission denied; set FASTRNN_DATA to a folder of your own$"):
        corpus_paths("text8")
