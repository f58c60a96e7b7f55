"""Run fastrnn on an emulated 64-bit Arm processor: ``python tests/machines/arm64.py [--cpu neoverse-n2] [ARGUMENTS]``.

Builds the machine in ``--root`` (once, 0.7 GB) from packages of Debian 13 and wheels for aarch64: QEMU 10 in user mode
(older versions show the host's /proc/cpuinfo), Python 3.13, NumPy, Numba. ARGUMENTS are those of Python; without any
it trains a tiny model in each precision, with one and two threads, and compares weights and samples with this
machine's. First the bfloat16 tile, compiled here, is run there.

    python tests/machines/arm64.py                                           # train and compare, 10 minutes
    python tests/machines/arm64.py -m pytest tests/kernels/cpu/test_bfloat16.py
    python tests/machines/arm64.py --cpu neoverse-n1 -m fastrnn info --system

Needs Debian or a relative of it (apt-get, dpkg-deb) and pip, on x86-64. ``--cpu help`` lists the processors.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import arm_tile
from debian import download_packages, install_wheels, link_sources

PYTHON = """#!/bin/sh
qemu="{root}/host/usr/bin/qemu-aarch64 -L {root}/arm -cpu ${{EMULATED_CPU:-neoverse-n2}}"
exec $qemu {root}/arm/usr/bin/python3.13 "$@"
"""
TRAIN = """
import json, sys
from fastrnn import Config, load, train
from fastrnn.kernels.cpu.target import TARGET

precision, threads, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with open(out + ".txt", "w", encoding="utf-8") as text:
    text.write("the quick brown fox jumps over the lazy dog. " * 60)
settings = dict(steps=20, hidden=24, layers=2, batch=4, seq=16, seed=1, valid=0.1)
result = train(out + ".txt", Config(threads=threads, precision=precision, **settings), out)
model = load(out)
weights = model.network.parameters.flat
print(json.dumps({"target": TARGET.name, "valid": result.valid_nats, "text": model.sample(length=80, seed=2),
                  "weights": weights.astype(float).tolist()}))
"""


def build(root: Path) -> Path:
    """Build the machine unless it is there; return its Python."""
    python = root / "python"
    if not python.exists():
        download_packages(root, "amd64", ["qemu-user"], root / "host")
        download_packages(root, "arm64", ["python3.13"], root / "arm")
        install_wheels(root / "site", ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"])
        # child processes are started by this name, too
        (root / "site/sitecustomize.py").write_text(f"import sys\nsys.executable = {str(python)!r}\n", "utf-8")
        python.write_text(PYTHON.format(root=root), "utf-8")
        python.chmod(0o755)
    link_sources(root / "site")
    return python


def train(command: list[str], precision: str, threads: int, environment: dict[str, str]) -> dict[str, Any]:
    """Train and sample the tiny model with this Python."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-c", TRAIN, precision, str(threads), f"{folder}/run"]
        done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"training failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check_tile(python: Path, environment: dict[str, str]) -> None:
    """Run the bfloat16 tile, compiled here."""
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "tile"
        code.write_bytes(arm_tile.compile_tile())
        subprocess.run([str(python), arm_tile.__file__, str(code)], env=environment, check=True)


def compare(python: Path, environment: dict[str, str]) -> None:
    """Train on both machines and print how far they are apart."""
    here = train([sys.executable], "float32", 1, dict(os.environ))
    largest = max(map(abs, here["weights"]))
    print(f"here: {here['target']}, validation loss {here['valid']:.6f}")
    first: dict[str, dict[str, Any]] = {}
    for precision, threads in (("float32", 1), ("float32", 2), ("bfloat16", 1), ("bfloat16", 2)):
        found = train([str(python)], precision, threads, environment)
        apart = max(abs(a - b) for a, b in zip(found["weights"], here["weights"], strict=True)) / largest
        same = found["weights"] == first.setdefault(precision, found)["weights"]
        print(
            f"emulated: {found['target']}, {precision}, {threads} threads: validation loss {found['valid']:.6f}, "
            f"weights {apart:.1e} from those here, same sample {found['text'] == here['text']}, "
            f"same bits as one thread {same}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="fastrnn on an emulated 64-bit Arm processor", allow_abbrev=False)
    parser.add_argument("--root", type=Path, default=Path(tempfile.gettempdir()) / "fastrnn-arm64")
    parser.add_argument("--cpu", default="neoverse-n2")
    options, arguments = parser.parse_known_args()
    python = build(options.root.resolve())
    environment = {
        **os.environ, "EMULATED_CPU": options.cpu, "PYTHONPATH": str(options.root.resolve() / "site"),
        "FASTRNN_KERNELS": str(options.root.resolve() / "kernels"),
    }  # fmt: skip
    if arguments:
        sys.exit(subprocess.call([str(python), *arguments], env=environment))
    if options.cpu not in ("cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "neoverse-n1"):
        check_tile(python, environment)
    compare(python, environment)


if __name__ == "__main__":
    main()
