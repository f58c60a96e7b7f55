"""Compare the training speed of fastrnn and PyTorch on this machine: the table of training speed.

    pip install fastrnn torch
    python benchmarks/speed.py                       # every row, about two minutes each
    python benchmarks/speed.py 'LSTM 2x128' --rounds 1

One step is: forward, softmax cross-entropy, backward, clipping at norm 5 and Adam, on random characters of a vocabulary
of 65 with one-hot inputs; the state carries to the next step. PyTorch is measured with oneDNN and with its own kernels,
and the faster counts. The two programs run in turn, each measurement in a process of its own; the ratio is the median
of those of consecutive measurements.
"""

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

from torch_training import torch_rate

# row -> cell, layers, hidden units, streams, window
ROWS = {
    "LSTM 2x128": ("lstm", 2, 128, 50, 50),
    "LSTM 1x256": ("lstm", 1, 256, 32, 64),
    "LSTM 2x512": ("lstm", 2, 512, 64, 64),
    "GRU 2x128": ("gru", 2, 128, 50, 50),
    "GRU 2x512": ("gru", 2, 512, 64, 64),
    "RNN 2x128": ("rnn", 2, 128, 50, 50),
}


def measure_fastrnn(row: str, precision: str, seconds: float) -> dict[str, Any]:
    """Return characters per second, and the fraction of the machine's float32 peak."""
    from fastrnn.bench import bench_train

    found = bench_train(*ROWS[row], precision=precision, seconds=seconds)
    return {"rate": found["chars_per_s"], "share": found["peak_fraction"]}


def measure_torch(row: str, precision: str, seconds: float) -> dict[str, Any]:
    """Return characters per second with the faster of oneDNN and PyTorch's own kernels."""
    import torch

    rates = []
    for onednn in (True, False):
        torch.backends.mkldnn.set_flags(_enabled=onednn)
        rates.append(torch_rate(*ROWS[row], precision, seconds / 2))
    return {"rate": max(rates)}


MEASURES = {"fastrnn": measure_fastrnn, "torch": measure_torch}


def measure(who: str, row: str, precision: str, seconds: float) -> dict[str, Any]:
    """Measure in a new process and return its result."""
    command = [sys.executable, __file__, row, "--only", who, "--precision", precision, "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{who} could not run {row}:\n{done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the given rows, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help=", ".join(ROWS))
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--only", choices=MEASURES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(MEASURES[options.only](options.rows[0], options.precision, options.seconds)))
        return
    print(f"{'':12}{'fastrnn':>12}{'PyTorch':>12}{'ratio':>8}{'of peak':>9}")
    for row in options.rows or ROWS:
        pairs = [
            [measure(who, row, options.precision, options.seconds) for who in ("fastrnn", "torch")]
            for _ in range(options.rounds)
        ]
        ours, theirs = (statistics.median(pair[n]["rate"] for pair in pairs) for n in (0, 1))
        ratio = statistics.median(pair[0]["rate"] / pair[1]["rate"] for pair in pairs)
        print(f"{row:12}{ours:12,.0f}{theirs:12,.0f}{ratio:8.2f}{pairs[-1][0]['share']:9.0%}", flush=True)


if __name__ == "__main__":
    main()
