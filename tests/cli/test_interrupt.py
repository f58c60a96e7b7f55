"""Signals end a process that does not poll for them."""

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

START = "from fastrnn_cli.main import exit_on_signals; exit_on_signals()\n"
# An exception in a callback from C is reported and lost: this is what the compiler's callbacks do to a Ctrl-C.
BUSY = """
import ctypes, time
@ctypes.CFUNCTYPE(None)
def callback():
    print("ready", flush=True)
    time.sleep(60)
callback()
print("went on")
"""


@pytest.mark.parametrize(
    ("number", "status", "line"),
    [(signal.SIGINT, 130, b"fastrnn: interrupted\n"), (signal.SIGTERM, 143, b"fastrnn: terminated\n")],
)
def test_signal_ends_a_busy_process_with_one_line(number: int, status: int, line: bytes) -> None:
    process = subprocess.Popen([sys.executable, "-c", START + BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=50)
    assert (process.returncode, out, err) == (status, b"", line)


def test_line_of_a_signal_is_not_appended_to_a_progress_line() -> None:
    shown = "from fastrnn_cli.output import ProgressLine; ProgressLine.is_shown = True\n"
    process = subprocess.Popen(
        [sys.executable, "-c", START + shown + BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=50) == (b"", b"\nfastrnn: interrupted\n")


def test_signal_ignored_by_the_parent_stays_ignored() -> None:
    ignore = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    send = "os.kill(os.getpid(), signal.SIGINT); print('went on')"
    done = subprocess.run([sys.executable, "-c", ignore + START + send], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"went on\n", b"")
