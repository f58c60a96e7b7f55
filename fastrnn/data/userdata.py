"""The user's data folder, and the fetched corpora in it as inputs."""

import errno
import os
from pathlib import Path

from ..errors import InputError, OutputError
from ..user_folders import user_data_folder
from .corpora import CORPORA

_NO_HOME = "this user has no home directory to keep corpora in; set FASTRNN_DATA to a folder"


def data_folder() -> Path:
    """Where fetched corpora are kept. Raises `OutputError` for a user without a home directory."""
    folder = user_data_folder()
    if folder is None:
        raise OutputError(_NO_HOME)
    return folder


def is_fetched(name: str) -> bool:
    """Whether every file of a corpus of `CORPORA` is here."""
    folder = user_data_folder()
    return folder is not None and all(os.path.isfile(folder / name / file.kept_name) for file in CORPORA[name].files)


def fetched_paths(name: str) -> list[str] | None:
    """The files that ``NAME`` or ``NAME/FILE`` stands for; None if it names no corpus. Raises `InputError` where that
    is not here."""
    corpus, _, file = name.partition("/")
    if corpus not in CORPORA:
        return None
    known = [remote.kept_name for remote in CORPORA[corpus].files]
    if file and file not in known:
        return None
    folder = user_data_folder()
    if folder is None:
        raise InputError(f"{name}: not fetched yet, and {_NO_HOME}")
    paths = [folder / corpus / kept for kept in ([file] if file else CORPORA[corpus].given or known)]
    for path in paths:
        _check_fetched(path, name, corpus)
    return [str(path) for path in paths]


def _check_fetched(path: Path, name: str, corpus: str) -> None:
    """Raises `InputError` where this file of a corpus is not here, or may not be looked for."""
    if os.path.isfile(path):
        return
    try:
        path.stat()
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise InputError(f"{path}: {error.strerror}; set FASTRNN_DATA to a folder of your own") from None
    raise InputError(f"{name}: not fetched yet; run fastrnn data fetch {corpus}")
