"""How many processors this process may use: affinity, the CPU quota of its control groups, ``PYTHON_CPU_COUNT``."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_processors() -> int:
    """Processors that this process may run on, at most as many as ``PYTHON_CPU_COUNT`` and the CPU quota say."""
    return max(1, min(_allowed(), cpu_quota() or _allowed()))


def _allowed() -> int:
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = getattr(os, "process_cpu_count", lambda: None)()  # from Python 3.13 on; -X cpu_count sets it too
    chosen = os.environ.get("PYTHON_CPU_COUNT", "")
    if count is None and chosen.isdecimal():
        count = int(chosen)
    return min(affinity, count or affinity)


def cpu_quota(root: Path = Path("/")) -> int | None:
    """Whole processors that the control groups of this process allow, at least 1; None without a limit.

    A group's limit holds for the groups below it, so the smallest from this process's group up to the root counts.
    ``root``: where ``proc`` and ``sys`` are.
    """
    limits = [limit for folder in _groups(root) if (limit := _limit(folder)) is not None]
    return max(1, int(min(limits))) if limits else None


def _groups(root: Path) -> Iterator[Path]:
    """Folders of this process's CPU control groups, each followed by those above it (cgroups(7))."""
    mounts = list(_mounts(root))
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for version, top, point in mounts:
            if version == (1 if controllers else 2):
                mount = root / point.lstrip("/")
                below = _below(group, top)
                yield from (mount / part for part in (below, *below.parents))
    if not mounts:
        yield root / "sys/fs/cgroup"


def _below(group: str, top: str) -> PurePosixPath:
    """A group's path from the mounted group ``top`` on; of one that is not below it, none."""
    path = PurePosixPath(group)
    if ".." in path.parts or not path.is_relative_to(top):  # a container can see other paths than are mounted
        return PurePosixPath()
    return path.relative_to(top)


def _mounts(root: Path) -> Iterator[tuple[int, str, str]]:
    """Version, group and mount point of each mounted hierarchy that limits processors."""
    for line in _lines(root / "proc/self/mountinfo"):
        fields, _, rest = line.partition(" - ")
        kind, _, options = [*rest.split(" ", 2), "", ""][:3]
        places = [_unescaped(field) for field in fields.split(" ")[3:5]]
        if len(places) == 2 and (kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(","))):
            yield 2 if kind == "cgroup2" else 1, places[0], places[1]


def _unescaped(field: str) -> str:
    """A path as it is: blanks and the like stand as octal numbers (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _limit(folder: Path) -> float | None:
    """Processors that one group allows: ``cpu.max`` of version 2, ``cpu.cfs_quota_us`` of version 1."""
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 and int(period) > 0 else None
    except (OSError, ValueError):  # no such files, or "max"
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
