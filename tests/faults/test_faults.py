"""Reliability guarantees under fault injection: short runs of the scripts in this folder."""

import subprocess
import sys
from pathlib import Path

import plain_kernels
import pytest

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, signals and /proc"),
    plain_kernels.compiled_only,
]
FAULTS = Path(__file__).parent


@pytest.mark.parametrize(
    ("script", "options", "said"),
    [
        ("kill_saves", "--times 20", "20 kills, 4 aimed at saves"),
        ("failing_disk", "--most 4", "0 checkpoints lost"),
        ("power_cut", "--most 4", "0 with neither"),
        ("exact_resume", "--times 2", "0 other bits"),
        ("full_disk", "--times 2", "2 times full and free again"),
        ("full_disk", "--times 2 --simulated", "a simulated disk 2 times full"),
        ("inject_nan", "--often 1", "0 files with NaN"),
        ("share_folder", "--times 2", "one trained"),
        ("send_signals", "--times 2 --cold 0 --second 1", "2 SIGTERM and 2 SIGINT"),
    ],
)
def test_guarantee_holds_under_fault_injection(script: str, options: str, said: str) -> None:
    command = [sys.executable, str(FAULTS / f"{script}.py"), *options.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    assert said in done.stdout
