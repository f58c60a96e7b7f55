"""No network, no code: a short run of `no_network.py`, in its own process because audit hooks stay."""

import subprocess
import sys

import no_network


def test_commands_and_model_files_use_no_network_and_no_code():
    call = [sys.executable, no_network.__file__, "--files", "300"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "data fetch did open one" in done.stdout
    assert "300 model files read" in done.stdout
