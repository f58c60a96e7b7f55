"""Training from the first window to the last: evaluate, save, report, stop."""

import contextlib
import dataclasses
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

from ..config import Config
from ..config_file import to_toml
from ..errors import DivergedError, OutputError
from .atomic import write_atomic
from .checkpoint import Checkpoint, Encoding, check_readable, to_bytes
from .evaluate import Evaluation, bits_of
from .log import NoLog, RunLog
from .pace import Pace, Rate
from .reporter import Evaluated, Reporter, Result, Step
from .runfolder import RunFolder
from .saving import Saver
from .signals import StopSignals
from .trainer import Snapshot, Trainer

_SAVE_SECONDS = 60.0  # between saves of the last state, unless save_every says otherwise
_LOG_SECONDS = 1.0  # between lines of the log; every step is logged when steps take longer

# Validates the model as it is now; None if the function it is given says stop before the end.
Evaluator = Callable[[Callable[[], bool]], Evaluation | None]


class Loop:
    """Drives a `Trainer` to its last step, or until a signal or the end of patience."""

    def __init__(
        self,
        trainer: Trainer,
        tokenizer: Encoding,
        corpus: dict[str, Any],
        evaluator: Evaluator | None,
        folder: RunFolder,
        reporter: Reporter,
    ) -> None:
        self.trainer, self.tokenizer, self.corpus, self.evaluator = trainer, tokenizer, corpus, evaluator
        self.folder, self.reporter, self.group = folder, reporter, trainer.group
        self._saver = Saver(folder, reporter.message)
        self._on_disk: Any = None  # configuration and progress that `last` has, if this process wrote it
        self.config: Config = trainer.config
        self.pace: Pace | None = None  # keeps a time budget
        self.draw: Callable[[], str] | None = None  # makes the sample that is shown with an evaluation
        self._started = self._saved = self._logged = time.monotonic()
        self._seconds_before = trainer.progress.seconds
        self._rate = Rate()
        self._unsaved = 0.0  # seconds since the last save, the same for all processes

    def run(self, signals: StopSignals, log: RunLog | NoLog) -> Result:
        """To the end. Raises `DivergedError`; whatever happens, the last good state is on disk."""
        self.signals, self.log = signals, log
        try:
            return self._result(self._train())
        except DivergedError:
            self._log_end("diverged")
            raise

    def _train(self) -> str:
        """All steps that are left; what ended them."""
        stopped = "done"
        if self.trainer.progress.step == 0:
            self._save()  # so that whatever ends this process, the run can go on
        self._compile()
        while True:
            if self._evaluation_is_due():
                self._evaluate()
                self._keep_pace()
            progress = self.trainer.progress  # going back makes a new one
            if self._stopped():
                stopped = "signal"
                break
            if self.config.patience is not None and progress.waited >= self.config.patience:
                stopped = "patience"
                break
            if progress.step >= self.trainer.steps:
                break
            self._step()
        self._save(final=True)
        return stopped

    def _step(self) -> None:
        chars, start = self.trainer.progress.chars, time.perf_counter()
        lr = self.trainer.learning_rate()
        nats, norm = self.trainer.step()
        progress = self.trainer.progress
        if not self.signals.urgent:
            self._rate.add(progress.chars - chars, time.perf_counter() - start)
        self.signals.urgent = False  # the first step may have compiled: nothing to save, and seconds to wait
        if progress.bad_steps or not math.isfinite(nats):
            self.reporter.message(f"step {progress.step}: the loss or its gradient is not finite; skipped")
        rate = self._rate.per_second
        left = (self.trainer.steps - progress.step) * self._rate.step_seconds if rate else math.nan
        epoch = progress.step / self.trainer.windows.per_epoch
        smoothed = progress.smoothed if progress.smoothed is not None else math.nan
        step = Step(progress.step, self.trainer.steps, epoch, smoothed, lr, rate, left, norm)
        self.reporter.step(step)
        if (now := time.monotonic()) - self._logged >= _LOG_SECONDS:
            self._logged = now
            self.log.write({"event": "step", "step": step.step, "epoch": epoch, "nats": nats, "smoothed": smoothed,
                            "lr": lr, "grad_norm": norm, "chars_per_s": step.chars_per_s,
                            "seconds": self._seconds()})  # fmt: skip
        every = self.config.save_every
        if progress.step % every == 0 if every else self._unsaved >= _SAVE_SECONDS:
            self._save()

    def _stopped(self) -> bool:
        """Whether a signal has come, to any process; they look together, once a step."""
        number, self._unsaved = self.group.most(self.signals.stop or 0, time.monotonic() - self._saved)
        if number:
            self.signals.stop = int(number)
        return number > 0

    def _compile(self) -> None:
        """Compiles what validating and drawing need now, while nothing is lost if a signal ends it."""
        looks = itertools.count()
        if self.evaluator is not None:
            self.evaluator(lambda: self.signals.stop is not None or next(looks) > 0)
        if self.draw:
            self.draw()

    def _evaluation_is_due(self) -> bool:
        progress, every = self.trainer.progress, self.config.eval_every or 1
        last = progress.step >= self.trainer.steps
        return progress.step > 0 and (last or progress.step % every == 0) and progress.evaluated != progress.step

    def _evaluate(self) -> None:
        self.trainer.align()
        if not self._sound():
            return
        measured: Evaluation | None = None
        if self.evaluator is not None:
            mine = self.evaluator(lambda: self.signals.stop is not None)
            if self.group.most(mine is None)[0]:
                return
            measured = self.group.first(lambda: mine)
        progress = self.trainer.progress
        progress.evaluated = progress.step
        if progress.train_count:
            progress.train_nats = progress.train_total / progress.train_count
        progress.train_total, progress.train_count = 0.0, 0
        best = progress.judge(measured)
        if self.trainer.plateau and measured:
            self.trainer.plateau.observe(measured.nats)
        if not progress.bad_steps:
            self.trainer.mark_good()
        self._save(best)
        sample = self.draw() if self.draw and self.signals.stop is None else ""
        train = progress.train_nats if progress.train_nats is not None else math.nan
        valid = measured.nats if measured else None
        bits = bits_of(valid, self.config.task)
        metrics = measured.metrics if measured else {}
        self.reporter.evaluated(Evaluated(progress.step, train, valid, bits, best, sample, metrics))
        self.log.write({"event": "evaluation", "step": progress.step, "train_nats": train, "valid_nats": valid,
                        "valid_bits": bits, **metrics, "best": best, "sample": sample,
                        "seconds": self._seconds()})  # fmt: skip

    def _keep_pace(self) -> None:
        """More or fewer steps, where the machine has become faster or slower than the time budget was planned for."""
        old, step, pace = self.trainer.steps, self.trainer.progress.step, self.pace
        if pace is None or (steps := self.group.first(lambda: pace.planned(step, old))) == old:
            return
        self.trainer.steps = steps
        self.config = self.trainer.config = self.config.replace(steps=steps)
        with contextlib.suppress(OutputError):  # the saves say when the disk fails; a checkpoint has the steps too
            self.write_config()
        change = "slower" if steps < old else "faster"
        self.reporter.message(f"the machine is {change} than measured: {steps:,} steps, not {old:,}, to end in time")
        self.log.write({"event": "pace", "step": step, "steps": steps})

    def check_readable(self) -> None:
        """Raises `CheckpointError` where what this run will save could not be read again."""
        progress = self.trainer.progress.to_mapping()
        checkpoint = Checkpoint(self.config, self.tokenizer, dict(self.trainer.model.parameters), {}, {},
                                progress, self.corpus)  # fmt: skip
        self.group.first(lambda: check_readable(checkpoint, str(self.folder.last)))

    def write_config(self) -> None:
        """``config.toml`` of the run folder."""
        self.group.first(lambda: write_atomic(self.folder.config_path, to_toml(self.config).encode()))

    def _sound(self) -> bool:
        """Whether the state is worth keeping; one that holds NaN or infinity is given up for the last good one."""
        if self.trainer.sound():
            return True
        self.trainer.go_back()
        step = self.trainer.progress.step
        self.reporter.message(f"the weights became NaN or infinite; going on from step {step} with half the rate")
        return False

    def _save(self, best: bool = False, final: bool = False) -> None:
        """A disk that fails is tried again at the next save; only at the end it is an error."""
        self._sound()
        self.trainer.progress.seconds = self._seconds()
        snapshot = self.trainer.snapshot()
        written = self.config, snapshot.progress | {"seconds": 0.0}
        if self.group.first(lambda: final and written == self._on_disk):
            return
        snapshot = dataclasses.replace(snapshot, state=self.group.gather(snapshot.state))
        if self.group.first(lambda: self._write(snapshot, best, final)):
            self._on_disk = written
        self._saved = time.monotonic()

    def _write(self, snapshot: Snapshot, best: bool, final: bool) -> bool:
        parameters = self.trainer.model.parameters.on_host()
        state = to_bytes(Checkpoint(self.config, self.tokenizer, parameters, snapshot.moments, snapshot.state,
                                    snapshot.progress, self.corpus), str(self.folder.last))  # fmt: skip
        if not final:
            return self._saver.save(state, best)
        self._saver.save_or_raise(state)
        return True

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    def _result(self, stopped: str) -> Result:
        progress, best = self.trainer.progress, self.trainer.progress.best_nats
        seconds = self._seconds()
        train = progress.train_nats
        if train is None:
            train = progress.train_total / progress.train_count if progress.train_count else math.nan
        result = Result(
            run=str(self.folder.path),
            steps=progress.step,
            chars=progress.chars,
            seconds=round(seconds, 3),
            chars_per_s=round(self._rate.overall or progress.chars / max(seconds, 1e-9), 1),
            train_nats=train,
            valid_nats=best,
            valid_bits=bits_of(best, self.config.task),
            best_step=progress.best_step,
            stopped=stopped,
            signal=self.signals.stop if stopped == "signal" else None,
            task=self.config.task,
            tokens=self.config.tokens or "chars",
            metrics=progress.metrics or {},
            inputs=tuple(self.corpus.get("inputs", ())),
            split=self.evaluator is not None and self.config.valid_file is None,
        )
        self._log_end(stopped)
        self.reporter.finished(result)
        return result

    def _log_end(self, stopped: str) -> None:
        progress = self.trainer.progress
        self.log.write({"event": "end", "stopped": stopped, "step": progress.step, "best_step": progress.best_step,
                        "valid_nats": progress.best_nats, **(progress.metrics or {}),
                        "seconds": self._seconds()})  # fmt: skip
