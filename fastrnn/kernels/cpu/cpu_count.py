"""Number of threads that compute fastest in this process.

It follows the affinity, the cgroup CPU quota, ``PYTHON_CPU_COUNT``, and the cores of the machine: one thread for each.
"""

import os
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from ...os_compat import read_sysctl, windows_core_classes

# Speed of a core in Linux's unit, the capacity: 1024 for the fastest. An efficient core is taken to have less than half
# the vector width at three quarters of the clock (Intel's Gracemont has half), since more threads have smaller parts.
_FAST, _EFFICIENT = 1024, 300


def count_usable_cpus() -> int:
    """Threads this process should use: the minimum of `count_processors` and `count_cores`."""
    processors = count_processors()
    return min(processors, count_cores() or processors)


def count_processors() -> int:
    """Hardware threads this process may use: the minimum of affinity, ``PYTHON_CPU_COUNT`` and cgroup
    quota, at least 1.
    """
    count = _count_by_affinity()
    return max(1, min(count, cpu_quota() or count))


def count_cores(cpus: Collection[int] | None = None) -> int | None:
    """Cores that training should use; None if unknown.

    One thread computes on each: the hardware threads of a core share its multiply-add units, which one thread nearly
    fills, and more threads divide the work into smaller parts. Threads get equal parts, so that a step is as slow as
    its slowest core: slow cores count only if all together are faster with them.

    ``cpus``: numbers of the hardware threads that may be used, on Linux; default: those of this process.
    """
    if sys.platform == "darwin":
        kinds = read_sysctl("hw.nperflevels")  # 1 on Macs with one kind of cores, none on Intel Macs
        return read_sysctl("hw.perflevel0.logicalcpu") if kinds is not None and kinds > 1 else None
    if sys.platform == "win32":
        classes = windows_core_classes()
        return _count_worthwhile([_FAST if found == max(classes) else _EFFICIENT for found in classes])
    if not hasattr(os, "sched_getaffinity"):
        return None
    return linux_cores(os.sched_getaffinity(0) if cpus is None else cpus)


def linux_cores(cpus: Collection[int], root: Path = Path("/")) -> int | None:
    """`count_cores` of Linux among ``cpus``, the numbers of some hardware threads.

    ``root``: folder that contains ``sys``.
    """
    devices = root / "sys/devices"
    # Intel's performance cores; there is no such file on processors with one kind of cores.
    performance = _parse_cpu_list("".join(_lines(devices / "cpu_core/cpus"))) or set(cpus)
    capacities: dict[str, int] = {}  # of each core, named by its hardware threads
    for cpu in cpus:
        folder = devices / f"system/cpu/cpu{cpu}"
        core = "".join(_lines(folder / "topology/thread_siblings_list"))
        if not core:
            return None
        capacity = "".join(_lines(folder / "cpu_capacity"))
        known = int(capacity) if capacity.isdecimal() else _FAST
        capacities[core] = known if cpu in performance else min(known, _EFFICIENT)
    return _count_worthwhile(list(capacities.values()))


def _count_worthwhile(speeds: list[int]) -> int | None:
    """The n fastest cores, with n chosen so that n times the speed of the slowest of them is largest; None of none."""
    fastest = sorted(speeds, reverse=True)
    return max(range(1, len(fastest) + 1), key=lambda count: count * fastest[count - 1], default=None)


def _parse_cpu_list(text: str) -> set[int]:
    """The numbers in a list of CPUs such as ``0-3,8``; none if it is not one."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        return set()
    ranges = [[int(end) for end in part.split("-")] for part in text.split(",")]
    return {cpu for ends in ranges for cpu in range(ends[0], ends[-1] + 1)}


def l2_bytes(root: Path = Path("/")) -> int:
    """Bytes of a core's second-level cache that one thread can use; 1 MB if the system does not tell.

    ``root``: folder that contains ``sys``.
    """
    size = read_sysctl("hw.perflevel0.l2cachesize") or read_sysctl("hw.l2cachesize")
    sharing = read_sysctl("hw.perflevel0.cpusperl2") or 1
    if size is None:
        cache = root / "sys/devices/system/cpu/cpu0/cache/index2"
        text = "".join(_lines(cache / "size"))
        size = int(text[:-1]) << {"K": 10, "M": 20}.get(text[-1:], 0) if text[:-1].isdecimal() else None
    return size // sharing if size else 1 << 20


def _count_by_affinity() -> int:
    """CPUs by affinity and ``PYTHON_CPU_COUNT``."""
    # not os.cpu_count(), which counts the machine's CPUs: a batch system or taskset may allow fewer
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = getattr(os, "process_cpu_count", lambda: None)()  # from Python 3.13 on; -X cpu_count sets it too
    chosen = os.environ.get("PYTHON_CPU_COUNT", "")
    if count is None and chosen.isdecimal():
        count = int(chosen)
    return min(affinity, count or affinity)


def cpu_quota(root: Path = Path("/")) -> int | None:
    """CPU quota of the cgroups of this process in whole CPUs, at least 1; None without a limit.

    A group's limit also holds for the groups below it, so the quota is the minimum from this
    process's group up to the root. ``root``: folder that contains ``proc`` and ``sys``.
    """
    limits = [limit for folder in _groups(root) if (limit := _limit(folder)) is not None]
    return max(1, int(min(limits))) if limits else None


def _groups(root: Path) -> Iterator[Path]:
    """Folders of this process's CPU cgroups, each followed by its ancestors (cgroups(7))."""
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
    """Path of ``group`` relative to the mounted group ``top``; empty if it is not below it."""
    path = PurePosixPath(group)
    # in a container the group's path may lie outside the mounted hierarchy
    if ".." in path.parts or not path.is_relative_to(top):
        return PurePosixPath()
    return path.relative_to(top)


def _mounts(root: Path) -> Iterator[tuple[int, str, str]]:
    """(version, group, mount point) of each mounted cgroup hierarchy that limits CPUs."""
    for line in _lines(root / "proc/self/mountinfo"):
        fields, _, rest = line.partition(" - ")
        kind, _, options = [*rest.split(" ", 2), "", ""][:3]
        places = [_unescape(field) for field in fields.split(" ")[3:5]]
        if len(places) == 2 and (kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(","))):
            yield 2 if kind == "cgroup2" else 1, places[0], places[1]


def _unescape(field: str) -> str:
    """Decode the octal escapes of a path (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _limit(folder: Path) -> float | None:
    """CPUs that one group allows: ``cpu.max`` of version 2, ``cpu.cfs_quota_us`` of version 1."""
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text("utf-8").split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text("utf-8") for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 and int(period) > 0 else None
    except (OSError, ValueError):  # no such files, or "max"
        return None


def _lines(path: Path) -> list[str]:
    """Lines of a file; none if it cannot be read."""
    try:
        return path.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
