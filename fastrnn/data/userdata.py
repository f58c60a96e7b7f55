"""The user's data folder, and the fetched corpora in it as inputs."""

import os
from pathlib import Path

from ..errors import InputError
from .corpora import CORPORA


def data_folder() -> Path:
    """Where fetched corpora are kept: ``FASTRNN_DATA``, or the system's folder for a user's data."""
    chosen = os.environ.get("FASTRNN_DATA")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_data_dir("fastrnn", appauthor=False))


def is_fetched(name: str) -> bool:
    """Whether every file of a corpus of `CORPORA` is here."""
    return all((data_folder() / name / file.kept_name).is_file() for file in CORPORA[name].files)


def fetched_paths(name: str) -> list[str] | None:
    """The files that ``NAME`` or ``NAME/FILE`` stands for; None if it names no corpus. Raises `InputError` where that
    is not here."""
    corpus, _, file = name.partition("/")
    if corpus not in CORPORA:
        return None
    known = [remote.kept_name for remote in CORPORA[corpus].files]
    if file and file not in known:
        return None
    folder = data_folder() / corpus
    paths = [folder / kept for kept in ([file] if file else CORPORA[corpus].given or known)]
    if not all(path.is_file() for path in paths):
        raise InputError(f"{name}: not fetched yet; run fastrnn data fetch {corpus}")
    return [str(path) for path in paths]
