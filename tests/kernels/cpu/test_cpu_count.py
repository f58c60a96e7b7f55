"""Usable CPUs: cgroup quotas and cores in synthetic file trees, ``PYTHON_CPU_COUNT``."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import replace

from fastrnn.kernels.cpu import cpu_count
from fastrnn.kernels.cpu.cpu_count import count_usable_cpus, cpu_quota, linux_cores

V2 = "30 23 0:26 {top} {at} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "31 23 0:29 {top} {at} rw,relatime - cgroup cgroup rw,cpu,cpuacct"
OTHER = "33 23 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n22 1 8:1 / / rw - ext4 /dev/vda1 rw"


def tree(folder, mounts, groups, files):
    """Create a file tree with these lines in mountinfo and cgroup, and these files."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/mountinfo").write_text(f"{OTHER}\n{mounts}\n")
    (folder / "proc/self/cgroup").write_text(f"4:memory:/elsewhere\n{groups}\n")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def v1(at, quota, period=100_000):
    return {f"{at}/cpu.cfs_quota_us": f"{quota}\n", f"{at}/cpu.cfs_period_us": f"{period}\n"}


UNIFIED, SPLIT = "sys/fs/cgroup", "sys/fs/cgroup/cpu,cpuacct"
TREES = {
    "no limit": (V2.format(top="/", at="/sys/fs/cgroup"), "0::/a", {f"{UNIFIED}/a/cpu.max": "max 100000\n"}, None),
    "a scope": (
        V2.format(top="/", at="/sys/fs/cgroup"),
        "0::/user.slice/run-7.scope",
        {f"{UNIFIED}/user.slice/run-7.scope/cpu.max": "350000 100000\n", f"{UNIFIED}/user.slice/cpu.max": "max 1\n"},
        3,
    ),
    "the slice above": (
        V2.format(top="/", at="/sys/fs/cgroup"),
        "0::/slurm/job_5/step_0",
        {f"{UNIFIED}/slurm/job_5/step_0/cpu.max": "max 100000\n", f"{UNIFIED}/slurm/job_5/cpu.max": "250000 50000\n"},
        5,
    ),
    "the smallest of all": (
        V2.format(top="/", at="/sys/fs/cgroup"),
        "0::/a/b",
        {f"{UNIFIED}/a/b/cpu.max": "400000 100000\n", f"{UNIFIED}/a/cpu.max": "200000 100000\n"},
        2,
    ),
    "less than one": (V2.format(top="/", at="/sys/fs/cgroup"), "0::/", {f"{UNIFIED}/cpu.max": "5000 100000\n"}, 1),
    "a neighbour's": (V2.format(top="/", at="/sys/fs/cgroup"), "0::/a", {f"{UNIFIED}/b/cpu.max": "1 1\n"}, None),
    "a part is mounted": (
        V2.format(top="/docker/f00", at="/sys/fs/cgroup"),
        "0::/docker/f00/in",
        {f"{UNIFIED}/in/cpu.max": "600000 100000\n"},
        6,
    ),
    "another part is mounted": (
        V2.format(top="/", at="/sys/fs/cgroup"),
        "0::/../../x",
        {f"{UNIFIED}/cpu.max": "300000 100000\n"},
        3,
    ),
    "a blank in a path": (
        V2.format(top="/", at="/sys/fs/c\\040g"),
        "0::/a b",
        {"sys/fs/c g/a b/cpu.max": "300000 100000\n"},
        3,
    ),
    "version 1": (V1.format(top="/", at=f"/{SPLIT}"), "3:cpu,cpuacct:/batch/7", v1(f"{SPLIT}/batch/7", 420_000), 4),
    "version 1, above": (
        V1.format(top="/", at=f"/{SPLIT}"),
        "3:cpu,cpuacct:/batch/7",
        v1(f"{SPLIT}/batch/7", -1) | v1(f"{SPLIT}/batch", 90_000, 30_000),
        3,
    ),
    "both versions": (
        V1.format(top="/", at=f"/{SPLIT}") + "\n" + V2.format(top="/", at="/sys/fs/cgroup/unified"),
        "3:cpu,cpuacct:/a\n0::/b",
        v1(f"{SPLIT}/a", 800_000) | {f"{UNIFIED}/unified/b/cpu.max": "max 100000\n"},
        8,
    ),
    "nonsense": (V2.format(top="/", at="/sys/fs/cgroup"), "0::/a\n\nx", {f"{UNIFIED}/a/cpu.max": "many\n"}, None),
}


@pytest.mark.parametrize("name", TREES)
def test_cgroup_quota_limits_the_count(name, tmp_path):
    *files, expected = TREES[name]
    assert cpu_quota(tree(tmp_path, *files)) == expected


def test_count_without_proc_has_no_quota(tmp_path):
    assert cpu_quota(tmp_path) is None
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("200000 100000")
    assert cpu_quota(tmp_path) == 2


@pytest.mark.parametrize(
    ("chosen", "quota", "expected"),
    [("3", None, 3), ("99", None, 8), ("default", None, 8), ("0", None, 8), ("3", 2, 2), ("6", 7, 6), ("", 20, 8)],
)
def test_count_is_the_minimum_of_affinity_quota_and_python_cpu_count(chosen, quota, expected, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    replace(monkeypatch, cpu_count, "cpu_quota", lambda **_: quota)
    replace(monkeypatch, cpu_count, "count_cores", lambda cpus=None: None)
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setenv("PYTHON_CPU_COUNT", chosen)
    assert count_usable_cpus() == expected


def test_count_follows_the_python_cpu_count_option(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    replace(monkeypatch, cpu_count, "cpu_quota", lambda **_: None)
    replace(monkeypatch, cpu_count, "count_cores", lambda cpus=None: None)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 5, raising=False)
    assert count_usable_cpus() == 5


def machine(root: Path, cores: list[str], capacities: list[int] | None = None, performance: str = "") -> None:
    """Write the files of a machine with these cores, each named by its hardware threads."""
    for core, siblings in enumerate(cores):
        for cpu in siblings.replace("-", ",").split(","):
            folder = root / f"sys/devices/system/cpu/cpu{cpu}"
            (folder / "topology").mkdir(parents=True)
            (folder / "topology/thread_siblings_list").write_text(f"{siblings}\n")
            if capacities:
                (folder / "cpu_capacity").write_text(f"{capacities[core]}\n")
    if performance:
        (root / "sys/devices/cpu_core").mkdir()
        (root / "sys/devices/cpu_core/cpus").write_text(f"{performance}\n")


EIGHT = [f"{core},{core + 8}" for core in range(8)]  # cores with two hardware threads each
HYBRID = ["0-1", "2-3", "4", "5", "6", "7"]  # two performance cores with two threads, four efficient ones
MANY_EFFICIENT = ["0-1", "2-3", *map(str, range(4, 12))]
LARGE = [*(f"{2 * core}-{2 * core + 1}" for core in range(8)), *map(str, range(16, 32))]


@pytest.mark.parametrize(
    ("cores", "capacities", "performance", "cpus", "expected"),
    [
        (EIGHT, None, "", range(16), 8),
        (EIGHT, None, "", {0, 8}, 1),  # both threads of one core
        (EIGHT, None, "", {0, 9}, 2),
        (["0", "1"], [1024, 1024], "", range(2), 2),
        (HYBRID, None, "0-3", range(8), 2),
        (HYBRID, None, "0-3", {1, 4, 5}, 1),
        (HYBRID, None, "0-3", {4, 5, 6}, 3),  # efficient cores only
        (HYBRID, None, "not a list", range(8), 6),
        (MANY_EFFICIENT, None, "0-3", range(12), 10),  # eight slow cores are faster together than two fast ones
        (LARGE, None, "0-15", range(32), 8),
        (HYBRID, [1024] * 2 + [200] * 4, "0-3", {2, 4, 5}, 1),
        ([*"01234567"], [1024] * 4 + [400] * 4, "", range(8), 4),
        ([*"01234567"], [1024] + [900] * 3 + [300] * 4, "", range(8), 4),
        ([*"01234567"], [1024] * 2 + [800] * 6, "", range(8), 8),
    ],
)
def test_one_thread_for_each_core_that_makes_a_step_faster(cores, capacities, performance, cpus, expected, tmp_path):
    machine(tmp_path, cores, capacities, performance)
    assert linux_cores(cpus, tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [(None, 16), (4, 4)])
def test_processors_are_hardware_threads(quota, expected, monkeypatch):
    """Compiling, unlike training, gains from both threads of a core."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 16, raising=False)
    replace(monkeypatch, cpu_count, "count_cores", lambda cpus=None: 8)
    replace(monkeypatch, cpu_count, "cpu_quota", lambda **_: quota)
    assert cpu_count.count_processors() == expected


def test_cores_are_unknown_without_their_files(tmp_path):
    assert linux_cores({0, 1}, tmp_path) is None
    assert linux_cores((), tmp_path) is None


def test_count_is_at_most_the_number_of_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    replace(monkeypatch, cpu_count, "cpu_quota", lambda **_: None)
    replace(monkeypatch, cpu_count, "linux_cores", lambda cpus, **_: len(cpus) // 2)
    monkeypatch.setattr(cpu_count, "sys", SimpleNamespace(platform="linux"))
    monkeypatch.setattr(os, "process_cpu_count", lambda: 16, raising=False)
    assert count_usable_cpus() == 8
