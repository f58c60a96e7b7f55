"""Training speed on many cores: simulated on one, or measured.

    python benchmarks/many_cores.py                 # the table, simulated; about five minutes
    python benchmarks/many_cores.py --json          # one object a row
    python benchmarks/many_cores.py --real          # measured with real threads, beside PyTorch if it is installed

Simulated: each thread's part of every kernel is run in turn on one core and timed by its processor time; a kernel takes
as long as its slowest part. Python's time between the kernels is added. That is an upper bound, because threads do not
compete for caches and memory, and do not wait for each other.

`estimate` adds costs that the simulation leaves out: reading the results of other threads at BANDWIDTH bytes a second,
and BARRIER seconds for each barrier of threads and each call of a kernel.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
from torch_training import torch_rate

from fastrnn.bench import VOCAB, bench_train, make_network
from fastrnn.cells import CELLS
from fastrnn.config import Config
from fastrnn.data.text.bptt import Window
from fastrnn.kernels.cpu import team
from fastrnn.kernels.cpu.cpu_count import l2_bytes
from fastrnn.kernels.cpu.target import TARGET
from fastrnn.training.optimizers import Optimizer

SEQ = 64
ROWS = ((2, 128, 32), (1, 512, 32), (1, 768, 32), (1, 512, 128))  # layers, hidden, batch
THREADS = (1, 2, 4, 8, 16, 32)
REAL_THREADS = (1, 2, 4, 8, 16)
BANDWIDTH = 6e9  # bytes a second that a thread reads from the caches of others: measured with two threads of a Xeon
BARRIER = 0.3e-6  # seconds


class Simulation:
    """Runs the parts of every kernel in turn and times them, in place of `SharedKernel.run`."""

    def __init__(self) -> None:
        self.all = self.slowest = 0.0  # seconds: in all parts, sum of the slowest ones
        self.calls = 0
        self.by_kernel: dict[str, float] = {}

    def run(self, kernel: team.SharedKernel, numbers: Any, *arguments: Any) -> None:
        """Run each part of a kernel."""
        entered = time.thread_time()
        slowest = 0.0
        for number in range(team.threads_of(numbers)):
            team.run_only(numbers, number)
            start = time.thread_time()
            RUN(kernel, numbers, *arguments)
            slowest = max(slowest, time.thread_time() - start)
        team.run_only(numbers, None)
        self.all += time.thread_time() - entered
        self.slowest += slowest
        self.calls += 1
        self.by_kernel[kernel.__name__] = self.by_kernel.get(kernel.__name__, 0.0) + slowest


RUN = team.SharedKernel.run


def training_step(
    cell: str, layers: int, hidden: int, batch: int, precision: str, threads: int
) -> tuple[Any, Callable[[], None]]:
    """Return a network whose pool has so many threads, which are not started, and a function that trains it."""
    network = make_network(cell, layers, hidden, precision, 1)
    network.pool.threads = threads
    network.pool.team.numbers = team.new_team(threads, l2_bytes())
    optimizer = Optimizer(network, Config(cell=cell, layers=layers, hidden=hidden, batch=batch, seq=SEQ, clip=5.0))
    ids = np.random.default_rng(0).integers(0, VOCAB, (SEQ + 1, batch)).astype(np.int32)
    window, state = Window(ids[:-1].copy(), ids[1:].copy(), None), network.initial_state(batch)

    def step() -> None:
        network.train_step_gradients(window, state)
        optimizer.step(2e-3, optimizer.gradient_norm())

    return network, step


def simulate(
    cell: str, layers: int, hidden: int, batch: int, precision: str, threads: int, seconds: float
) -> dict[str, Any]:
    """Return one row of the table, without the speed-up."""
    network, step = training_step(cell, layers, hidden, batch, precision, threads)
    best, fastest = float("inf"), Simulation()
    end = time.perf_counter() + seconds
    tries = 0
    while time.perf_counter() < end or tries < 3:
        simulation = Simulation()
        with patch.object(team.SharedKernel, "run", lambda *call, s=simulation: s.run(*call)):
            start = time.thread_time()
            step()
            spent = time.thread_time() - start - simulation.all + simulation.slowest
        tries += 1
        if spent < best:
            best, fastest = spent, simulation
    row_parts, unit_parts = network.layers[-1].divide(network.pool, batch)
    foreign, barriers = left_out(cell, layers, hidden, batch, row_parts, unit_parts, threads)
    estimate = best + foreign / BANDWIDTH + (barriers + fastest.calls) * BARRIER * (threads > 1)
    return {
        "cell": cell,
        "layers": layers,
        "hidden": hidden,
        "batch": batch,
        "precision": precision,
        "threads": threads,
        "row_parts": row_parts,
        "unit_parts": unit_parts,
        "chars_per_s": batch * SEQ / best,
        "foreign_bytes": foreign,
        "barriers": barriers,
        "estimate_chars_per_s": batch * SEQ / estimate,
        "ms": {name: round(1e3 * value, 3) for name, value in fastest.by_kernel.items()},
        "step_ms": 1e3 * best,
    }


def left_out(
    cell: str, layers: int, hidden: int, batch: int, row_parts: int, unit_parts: int, threads: int
) -> tuple[float, int]:
    """Return the bytes that a thread reads from the results of others in a step, and the number of barriers."""
    if threads == 1:
        return 0.0, 0
    rows = -(-batch // row_parts)
    others = 1 - 1 / unit_parts
    # forward the outputs of the other units, backward the gradients of their four gates
    recurrence = SEQ * rows * hidden * 5 * 4 * others
    # the weight gradient: all outputs, and its columns of the gates of all rows
    gradient = SEQ * batch * (hidden + 4 * hidden / threads) * 4 * (1 - 1 / threads)
    # the weights, which other threads packed
    weights = 2 * 4 * hidden * hidden * 4 / unit_parts * (1 - 1 / threads)
    # once a step in each direction; twice where they exchange sums over units
    barriers = (4 if CELLS[cell].is_normed else 2) * SEQ * layers if unit_parts > 1 else 0
    return layers * (recurrence + gradient + weights), barriers


def measure(
    cell: str, layers: int, hidden: int, batch: int, precision: str, threads: int, seconds: float
) -> dict[str, Any]:
    """Return one row, measured with real threads, and PyTorch's speed if it is installed."""
    row = bench_train(cell, layers, hidden, batch, SEQ, precision, threads, seconds)
    row["torch_chars_per_s"] = None
    if importlib.util.find_spec("torch") and cell == "lstm":
        import torch

        torch.set_num_threads(threads)
        row["torch_chars_per_s"] = torch_rate("lstm", layers, hidden, batch, SEQ, precision, seconds)
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.add_argument("--real", action="store_true", help="measure with real threads")
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of threads")
    parser.add_argument("--cell", choices=("lstm", "lstm-norm"), default="lstm", help="PyTorch has no lstm-norm")
    possible = ["float32", "bfloat16"] if TARGET.bfloat16_dot else ["float32"]
    parser.add_argument("--precision", choices=possible, nargs="+", default=possible)
    parser.add_argument("--rows", nargs="+", help="LAYERSxHIDDENxBATCH, for example 2x128x32")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--phases", action="store_true", help="also print the time of each kernel")
    options = parser.parse_args()
    rows = [tuple(int(n) for n in row.split("x")) for row in options.rows] if options.rows else ROWS
    run = measure if options.real else simulate
    for precision in options.precision:
        for layers, hidden, batch in rows:
            first: dict[str, Any] = {}
            for threads in options.threads or (REAL_THREADS if options.real else THREADS):
                found = run(options.cell, layers, hidden, batch, precision, threads, options.seconds)
                first = first or found
                found["speedup"] = found["chars_per_s"] / first["chars_per_s"]
                if "estimate_chars_per_s" in found:
                    found["estimate_speedup"] = found["estimate_chars_per_s"] / first["estimate_chars_per_s"]
                show(found, options.json, options.phases)


def show(row: dict[str, Any], as_json: bool, phases: bool) -> None:
    """Print one row."""
    if as_json:
        print(json.dumps(row), flush=True)
        return
    text = f"{row['cell']} {row['precision']} {row['layers']}x{row['hidden']} batch {row['batch']}: "
    text += f"{row['threads']:2} threads ({row['row_parts']} x {row['unit_parts']})  "
    text += f"{row['chars_per_s']:12,.0f} chars/s  {row['speedup']:5.2f}x"
    if "estimate_speedup" in row:
        text += f"  estimate {row['estimate_speedup']:5.2f}x"
    elif row.get("torch_chars_per_s"):
        text += f"  PyTorch {row['torch_chars_per_s']:12,.0f}"
    print(text, flush=True)
    if phases and "ms" in row:
        print("   ", f"step {row['step_ms']:.3f} ms;", row["ms"], flush=True)


if __name__ == "__main__":
    main()
