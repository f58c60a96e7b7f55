"""Where fetched corpora are kept."""

from pathlib import Path

import pytest

from fastrnn.data.userdata import data_folder, fetched_paths
from fastrnn.errors import InputError


def test_the_folder_is_the_systems_or_the_chosen_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTRNN_DATA", raising=False)
    assert data_folder().name == "fastrnn"
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    assert data_folder() == tmp_path


def test_names_stand_for_files_once_these_are_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    folder = tmp_path / "ptb"
    folder.mkdir()
    (folder / "ptb.valid.txt").write_bytes(b"a b")

    assert fetched_paths("ptb/ptb.valid.txt") == [str(folder / "ptb.valid.txt")]
    with pytest.raises(InputError, match=r"^ptb: not fetched yet; run fastrnn data fetch ptb$"):
        fetched_paths("ptb")
    (folder / "ptb.train.txt").write_bytes(b"a b")
    assert fetched_paths("ptb") == [str(folder / "ptb.train.txt")]


@pytest.mark.parametrize("name", ["essays", "ptb/other.txt", "ptb/../../etc/passwd", "", "/ptb"])
def test_other_names_are_not_of_public_corpora(name: str) -> None:
    assert fetched_paths(name) is None
