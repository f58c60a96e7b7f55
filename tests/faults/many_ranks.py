"""Guarantee: N ranks on B/N streams each train the same as one process on B, within rounding, over 1,000 steps.

Two LSTM layers on 13 streams with dropout and resets, float64 and float32, on 1 to 4 local ranks. Prints the largest
difference of any parameter, and fails above 1e-12 and 1e-4. Needs mpi4py and its launcher. Takes some minutes:

    python tests/faults/many_ranks.py --steps 1000
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "distributed"))

from launching import run_worker

from fastrnn.checkpoint.checkpoint import load

MOST = {"float64": 1e-12, "float32": 1e-4}


def differences(folder: Path, ranks: Sequence[int], steps: int) -> Iterator[tuple[int, str, float]]:
    """Number of ranks, precision, and the greatest difference from one process."""
    for number in (1, *ranks):
        run_worker(number, folder / str(number), ",".join(MOST), str(steps))
    for number in ranks:
        for case in MOST:
            one, many = (load(folder / str(n) / case / "last.safetensors") for n in (1, number))
            assert one.progress["step"] == many.progress["step"] == steps
            pairs = [(one.parameters[name], many.parameters[name]) for name in one.parameters]
            yield number, case, max(float(np.abs(a - b).max()) for a, b in pairs)


def main() -> int:
    """Exit status 1 if a difference is too great."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    steps = parser.parse_args().steps
    worst = False
    with tempfile.TemporaryDirectory() as folder:
        for ranks, case, difference in differences(Path(folder), (2, 3, 4), steps):
            worst |= difference > MOST[case]
            print(f"{ranks} ranks, {case}, {steps:,} steps: parameters differ by at most {difference:.1e}")
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
