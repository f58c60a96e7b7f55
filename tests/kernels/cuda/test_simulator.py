"""Run every test of ``on_device`` on the CUDA simulator, in a subprocess: Numba selects it at
import.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.skipif(os.environ.get("NUMBA_ENABLE_CUDASIM") == "1", reason="runs already on the simulator")
def test_device_tests_pass_on_the_simulator():
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "on_device"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(".") > 30, done.stdout


def test_train_from_the_command_line(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be\n" * 8)
    sizes = {"steps": 3, "hidden": 3, "layers": 1, "batch": 2, "seq": 3}
    options = [f"--{name}={size}" for name, size in sizes.items()] + ["--device", "cuda", "--quiet", "--json"]
    program = "from fastrnn_cli.main import main; main()"
    done = run("-c", program, "train", str(text), *options, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert '"steps": 3' in done.stdout
    assert 'device = "cuda"' in (tmp_path / "run" / "config.toml").read_text()
