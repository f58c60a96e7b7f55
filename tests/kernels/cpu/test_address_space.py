"""A limited address space is reported before LLVM aborts."""

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is not enforced everywhere")
def test_small_address_space_is_reported():
    code = (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (450 << 20, 450 << 20))\n"
        "from fastrnn_cli.main import run\nraise SystemExit(run(['bench', 'train', '--seconds', '0.1']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "limited to 450 MB (ulimit -v)" in line
    assert line.endswith("raise the limit")
