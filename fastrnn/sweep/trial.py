"""One trial of a sweep in its own process: ``python -m fastrnn.sweep.trial`` reads a JSON job from standard input.

It resumes its run folder if that holds a checkpoint. The result is one JSON object on standard output; an error is one
line on standard error, with the exit status of `fastrnn.errors`.
"""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..data.text.sources import DEFAULT_CORPUS
from ..distributed import remove_mpi_variables
from ..errors import FastRNNError

RESULT = ("steps", "seconds", "train_nats", "valid_nats", "best_step", "stopped", "metrics")


class TrialProcess:
    """A running trial."""

    def __init__(self, number: int, varied: dict[str, Any], job: dict[str, Any]) -> None:
        """Start the process.

        Args:
            number: Number of the trial.
            varied: Settings that the sweep varies, by field name.
            job: Run folder ``out``, input names ``data``, and all ``settings`` by field name.
        """
        self.number, self.varied, self.out = number, varied, job["out"]
        # A session of its own, on Windows a process group, receives no Ctrl-C from the terminal: the
        # runner stops the trial.
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP
        environment = remove_mpi_variables(os.environ) | {"PYTHONIOENCODING": "utf-8:backslashreplace"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fastrnn.sweep.trial"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            start_new_session=True, creationflags=flags, env=environment,
        )  # fmt: skip
        assert self._process.stdin is not None
        with self._process.stdin as stdin:
            stdin.write(json.dumps(job))

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Ask the trial to save its state and end."""
        if sys.platform != "win32":
            self._process.terminate()
            return
        try:
            self._process.send_signal(signal.CTRL_BREAK_EVENT)
        except OSError:  # no console, so no Ctrl-Break: the trial loses what it has not saved yet
            self._process.terminate()

    def wait(self) -> None:
        """Wait for the end; the result is discarded."""
        with self._process:  # closes the pipes
            pass

    def result(self) -> tuple[int, dict[str, Any]]:
        """Wait for the end; return the exit status, and the fields of `RESULT` or ``error`` and ``status``."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with self._process.stdout as out, self._process.stderr as err:
            output, errors = out.read(), err.read()
        status = self._process.wait()
        if status == 0:
            found: dict[str, Any] = json.loads(output)
            return status, found
        # The error is the last line; warnings may precede it.
        lines = errors.strip().splitlines() or [f"ended with status {status}"]
        return status, {"error": lines[-1].removeprefix("fastrnn: "), "status": status}


def score(result: dict[str, Any]) -> tuple[float, float]:
    """Return the error rate (0 without one) and the loss, the lower the better; infinite for a failed trial."""
    nats = result.get("valid_nats")
    nats = result.get("train_nats") if nats is None else nats
    metrics = result.get("metrics") or {}
    error_rate = 1 - metrics.get("exact", metrics.get("accuracy", 1.0))
    return (error_rate, float(nats)) if nats is not None else (math.inf, math.inf)


def main() -> int:
    """Train the job on standard input and print the result."""
    from ..config import Config
    from ..training.api import resume, train

    job = json.load(sys.stdin)
    out, data = job["out"], job["data"] or [DEFAULT_CORPUS]
    try:
        # A trial that was stopped, or whose sweep was killed, continues where it saved.
        if Path(out, "last.safetensors").exists():
            result = resume(out, inputs=data)
        else:
            result = train(data, Config(**job["settings"]), out)
    except FastRNNError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except MemoryError:
        print("not enough memory", file=sys.stderr)
        return 1
    found = {name: getattr(result, name) for name in RESULT} | {"metrics": dict(result.metrics)}
    print(json.dumps({name: None if _is_nonfinite(value) else value for name, value in found.items()}))
    return 0 if result.signal is None else 128 + result.signal


def _is_nonfinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


if __name__ == "__main__":
    sys.exit(main())
