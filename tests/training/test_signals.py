"""Signals: the first is recorded, the second ends the process, also while compiled code runs."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from fastrnn.training.signals import StopSignals

BOTH = [signal.SIGINT, signal.SIGTERM]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")

# An hour of C code that neither Python's handlers nor a signal can interrupt, as compiling is.
COMPILED = "hashlib.pbkdf2_hmac('sha256', b'x', b'x', 2**31 - 1)"


@pytest.mark.parametrize("number", BOTH)
def test_first_signal_is_recorded_and_handlers_are_restored(number: int) -> None:
    before = [signal.getsignal(n) for n in BOTH]
    threads = threading.active_count()
    with StopSignals() as signals:
        assert signals.stop is None
        os.kill(os.getpid(), number)
        assert signals.stop == number
    assert [signal.getsignal(n) for n in BOTH] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() == threads


def test_signal_context_is_reentrant() -> None:
    with StopSignals() as outer:
        for _ in range(3):
            with StopSignals() as inner:
                os.kill(os.getpid(), signal.SIGTERM)
                assert inner.stop == signal.SIGTERM
        assert outer.stop is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert outer.stop == signal.SIGTERM


def test_signal_context_does_nothing_outside_the_main_thread() -> None:
    before = [signal.getsignal(n) for n in BOTH]
    found = []

    def enter() -> None:
        with StopSignals() as signals:
            found.append((signals.stop, [signal.getsignal(n) for n in BOTH] == before))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(None, True)]


def test_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.stop is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert signals.stop == signal.SIGTERM
    finally:
        signal.signal(signal.SIGINT, before)


def start(body: str, urgent: bool = False) -> subprocess.Popen[str]:
    """A process that has said it is ready inside `StopSignals`."""
    script = f"""
import hashlib, time
from fastrnn.training.signals import StopSignals
with StopSignals(urgent={urgent}) as signals:
    print("ready", flush=True)
    {body}
print("after", signals.stop, flush=True)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", BOTH)
def test_polling_loop_can_end_in_order(number: int) -> None:
    process = start("while not signals.stop: time.sleep(0.001)")
    process.send_signal(number)
    assert process.communicate(timeout=30) == (f"after {int(number)}\n", "")
    assert process.returncode == 0


@pytest.mark.parametrize("body", ["while True: time.sleep(0.001)", COMPILED], ids=["python", "compiled"])
@pytest.mark.parametrize("number", BOTH)
def test_second_signal_ends_the_process(body: str, number: int) -> None:
    process = start(body)
    other = BOTH[number == BOTH[0]]
    process.send_signal(other)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert errors == f"fastrnn: stopped by {number.name} at once; the last saved state is whole\n"


@pytest.mark.parametrize("number", BOTH)
def test_first_signal_ends_an_urgent_section(number: int) -> None:
    process = start(COMPILED, urgent=True)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert errors == f"fastrnn: stopped by {number.name} before training began\n"


def test_blocked_stderr_reader_does_not_delay_the_end() -> None:
    fill = "import os; os.set_blocking(2, False); n = 1\n    try:\n        while n: n = os.write(2, b'x' * 4096)"
    fill += (
        "\n    except BlockingIOError: os.set_blocking(2, True)\n    print('full', flush=True)\n    time.sleep(3600)"
    )
    process = start(fill, urgent=True)
    assert process.stdout
    assert process.stdout.readline() == "full\n"
    process.terminate()
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    process.communicate()


def test_closed_stderr_does_not_delay_the_end() -> None:
    process = start("while True: time.sleep(0.001)", urgent=True)
    assert process.stderr
    process.stderr.close()
    process.terminate()
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert process.stdout
    process.stdout.close()
