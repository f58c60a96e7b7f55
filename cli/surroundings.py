"""What is amiss in the environment but no error: said once, on standard error, before a command runs."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from fastrnn.config import Config, key_of, nearest
from fastrnn.parallel.environment import launched

_PREFIX = "FASTRNN_"
_OTHERS = ("CONFIG", "DATA", "DEBUG", "KERNELS", "MIRROR")


def remark(environment: Mapping[str, str] | None = None) -> None:
    """Says it; of processes that were started together the first one does."""
    from .output import note

    if not launched()[0]:
        for line in remarks(os.environ if environment is None else environment):
            note(line)


def remarks(environment: Mapping[str, str]) -> Iterator[str]:
    """A line for each variable that nothing reads, and for a place where kernels cannot be kept."""
    known = {*(key_of(field.name).upper() for field in dataclasses.fields(Config)), *_OTHERS}
    for name in sorted(environment):
        word = name.removeprefix(_PREFIX)
        if word != name and word not in known:
            hint = nearest(word, known).replace("did you mean ", f"did you mean {_PREFIX}")
            yield f"{name} is not a variable of fastrnn's{hint}"
    chosen = environment.get(f"{_PREFIX}KERNELS")
    if chosen and not _usable(Path(chosen)):
        yield f"FASTRNN_KERNELS is {chosen}, which is no folder to write into: kernels are compiled anew each time"


def _usable(folder: Path) -> bool:
    """Whether this is a folder that can be written, or can become one."""
    for place in (folder, *folder.absolute().parents):
        if os.path.lexists(place):
            return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return False
