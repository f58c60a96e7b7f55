"""Parts of `borrowed_machine.sh`: versions, losses of CPU and GPU, speed by number of threads.

    python benchmarks/borrowed_machine_parts.py versions|losses|threads|step [--rehearse]

Lines that begin with "> " are the figures for the summary.
"""

import argparse
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
from torch_training import torch_rate

PACKAGES = ("numpy", "numba", "llvmlite", "numba-cuda", "cuda-core", "cuda-bindings", "nvidia-cublas", "torch")
THREADS = (1, 2, 4, 8, 16)
# LSTMs as (precision, layers, hidden units, batch), each with windows of 64
SIZES = (("float32", 2, 128, 32), ("float32", 1, 512, 32), ("bfloat16", 1, 768, 32), ("float32", 1, 512, 128))
SEQ = 64


def print_versions() -> None:
    """Print the machine and the installed packages."""
    print(f"> {platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} processors")
    for command in (
        ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm", "--format=csv,noheader"],
        ["lscpu"],
    ):
        try:
            found = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
        except (OSError, subprocess.TimeoutExpired) as error:
            found = f"{command[0]}: {error}"
        lines = found.splitlines()
        chosen = [line for line in lines if "Model name" in line] or lines[:4]
        print("\n".join(f"> {line}" for line in chosen))
        print(found)
    for package in PACKAGES:
        try:
            print(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{package}: not installed")
    from fastrnn.kernels.cuda.jit import why_unavailable

    reason = why_unavailable()
    if reason:
        print(f"> {reason}")
        return
    from fastrnn.kernels.cuda.matmul import cublas
    from fastrnn.kernels.cuda.target import TARGET

    print(f"> {TARGET.name}: {TARGET.multiprocessors} multiprocessors, {TARGET.block_shared} bytes shared by a block")
    print(f"> cuBLAS: {'found' if cublas else 'not found, own kernels'}")


def _train_steps(device: str, sizes: tuple[int, int, int, int], steps: int) -> Iterator[float]:
    """Yield the loss of each of ``steps`` AdamW steps on a text of repeated words.

    ``sizes``: layers, hidden units, batch, window.
    """
    from fastrnn.config import Config
    from fastrnn.data.text.bptt import Window
    from fastrnn.nn.network import Network
    from fastrnn.nn.parameters import initialise
    from fastrnn.shapes import ModelShape
    from fastrnn.training.optimizers import Optimizer

    layers, hidden, batch, seq = sizes
    rng = np.random.default_rng(1)
    words = rng.integers(0, 65, (50, 7))
    text = words[rng.integers(0, 50, (batch, steps * seq // 7 + 2))].reshape(batch, -1).T.astype(np.int32)

    network = Network(ModelShape("lstm", layers, hidden, 65), device=device)
    initialise(network.parameters, network.shape, "uniform", np.random.default_rng(2))
    optimizer = Optimizer(network, Config())
    state = network.initial_state(batch)
    for step in range(steps):
        start = step * seq
        ids = np.ascontiguousarray(text[start : start + seq])
        targets = np.ascontiguousarray(text[start + 1 : start + seq + 1])
        loss = network.train_step_gradients(Window(ids, targets, None), state)
        optimizer.step(2e-3, optimizer.gradient_norm())
        yield loss


def compare_losses(rehearse: bool) -> None:
    """Train on the CPU and on the GPU from the same parameters; print both losses."""
    sizes, steps = ((1, 3, 2, 4), 4) if rehearse else ((2, 128, 32, 64), 200)
    losses = {}
    for device in ("cpu", "cuda"):
        began = time.perf_counter()
        losses[device] = np.array(list(_train_steps(device, sizes, steps)))
        print(f"{device}: {time.perf_counter() - began:.1f} s, with compilation")
    apart = np.abs(losses["cuda"] / losses["cpu"] - 1)
    for step in sorted({1, 10, 50, 100, steps} & set(range(1, steps + 1))):
        print(f"step {step}: cpu {losses['cpu'][step - 1]:.6f}, cuda {losses['cuda'][step - 1]:.6f}")
    print(
        f"> loss after {steps} steps: cpu {losses['cpu'][-1]:.6f}, cuda {losses['cuda'][-1]:.6f}; "
        f"largest relative difference {apart.max():.2e}"
    )
    if apart.max() > 1e-2:
        sys.exit("the losses differ by more than 1%")


def measure_threads(program: str, rehearse: bool) -> None:
    """Print characters a second of each size for each number of threads, a process for each number.

    A line is printed as soon as it is measured, as the part may be stopped.
    """
    counts = [count for count in THREADS if count <= (os.cpu_count() or 1)][: 2 if rehearse else None]
    sizes = [f"{precision} {layers}x{hidden} batch {batch}" for precision, layers, hidden, batch in _sizes(rehearse)]
    print(f"> LSTM, chars/s of {program} (speed-up over 1 thread): {'; '.join(sizes)}")
    first: list[float] = []
    for count in counts:
        environment = {**os.environ, "OMP_NUM_THREADS": str(count), "MKL_NUM_THREADS": str(count)}
        environment.pop("NUMBA_ENABLE_CUDASIM", None)
        options = ["--program", program, "--threads", str(count), *(["--rehearse"] if rehearse else [])]
        done = subprocess.run(
            [sys.executable, __file__, "rate", *options], env=environment, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            sys.exit(f"{program} could not be measured on {count} threads")
        rates = [float(word) for word in done.stdout.split()]
        first = first or rates
        figures = "; ".join(f"{rate:,.0f} ({rate / one:.1f})" for rate, one in zip(rates, first, strict=True))
        print(f"> {count:2} threads: {figures}")


def _sizes(rehearse: bool) -> tuple[tuple[str, int, int, int], ...]:
    return SIZES[:1] if rehearse else SIZES


def print_rates(program: str, threads: int, rehearse: bool) -> None:
    """Print the rate of each size on one line."""
    measure = {"fastrnn": _fastrnn_rate, "torch": _torch_rate}[program]
    print(*(measure(*size, threads) for size in _sizes(rehearse)))


def _fastrnn_rate(precision: str, layers: int, hidden: int, batch: int, threads: int) -> float:
    from fastrnn.bench import bench_train

    found = bench_train("lstm", layers, hidden, batch, SEQ, precision=precision, threads=threads, seconds=1.0)
    return float(found["chars_per_s"])


def _torch_rate(precision: str, layers: int, hidden: int, batch: int, threads: int) -> float:
    import torch

    torch.set_num_threads(threads)
    return torch_rate("lstm", layers, hidden, batch, SEQ, precision)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("versions", "losses", "threads", "rate", "step"))
    parser.add_argument("--program", choices=("fastrnn", "torch"), default="fastrnn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rehearse", action="store_true", help="small sizes")
    arguments = parser.parse_args()
    if arguments.part == "versions":
        print_versions()
    elif arguments.part == "losses":
        compare_losses(arguments.rehearse)
    elif arguments.part == "threads":
        measure_threads(arguments.program, arguments.rehearse)
    elif arguments.part == "rate":
        print_rates(arguments.program, arguments.threads, arguments.rehearse)
    else:
        print("> losses of two small steps:", *_train_steps("cuda", (1, 16, 3, 4), 2))


if __name__ == "__main__":
    main()
