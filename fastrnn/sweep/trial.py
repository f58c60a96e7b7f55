"""One run of a sweep, in a process of its own: ``python -m fastrnn.sweep.trial``, its task as JSON on standard input.

It goes on with its run folder if something was saved there. The result is one JSON object on standard output, an error
one line on standard error with the exit status of `fastrnn.errors`.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..data.text.sources import DEFAULT_CORPUS
from ..distributed.environment import remove_mpi_variables
from ..errors import FastRNNError

RESULT = ("steps", "seconds", "train_nats", "valid_nats", "best_step", "stopped", "metrics")


class TrialProcess:
    """A trial at work."""

    def __init__(self, number: int, varied: dict[str, Any], task: dict[str, Any]) -> None:
        """``task``: ``out``, ``data``, and ``settings`` by field name. In a session of its own: it gets no Ctrl-C."""
        self.number, self.varied, self.out = number, varied, task["out"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fastrnn.sweep.trial"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, env=remove_mpi_variables(os.environ),
        )  # fmt: skip
        assert self._process.stdin is not None
        with self._process.stdin as stdin:
            stdin.write(json.dumps(task))

    def done(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Let it save and end."""
        self._process.terminate()

    def result(self) -> tuple[int, dict[str, Any]]:
        """Exit status, and what it came to: fields of `RESULT`, or ``error``."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with self._process.stdout as out, self._process.stderr as err:
            said, complaint = out.read(), err.read()
        status = self._process.wait()
        if status == 0:
            found: dict[str, Any] = json.loads(said)
            return status, found
        lines = complaint.strip().splitlines() or [f"ended with status {status}"]
        return status, {"error": lines[-1].removeprefix("fastrnn: "), "status": status}


def score(result: dict[str, Any]) -> tuple[float, float]:
    """Lower is better: the share of wrong answers, where there is one, then the loss; infinite for a failure."""
    nats = result.get("valid_nats")
    nats = result.get("train_nats") if nats is None else nats
    metrics = result.get("metrics") or {}
    wrong = 1 - metrics.get("exact", metrics.get("accuracy", 1.0))
    return (wrong, float(nats)) if nats is not None else (math.inf, math.inf)


def main() -> int:
    """Train, and tell."""
    from ..config import Config
    from ..training.api import resume, train

    task = json.load(sys.stdin)
    out, data = task["out"], task["data"] or [DEFAULT_CORPUS]
    try:
        if Path(out, "last.safetensors").exists():
            result = resume(out, inputs=data)
        else:
            result = train(data, Config(**task["settings"]), out)
    except FastRNNError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except MemoryError:
        print("not enough memory", file=sys.stderr)
        return 1
    found = {name: getattr(result, name) for name in RESULT} | {"metrics": dict(result.metrics)}
    print(json.dumps({name: None if _no_number(value) else value for name, value in found.items()}))
    return 0 if result.signal is None else 128 + result.signal


def _no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


if __name__ == "__main__":
    sys.exit(main())
