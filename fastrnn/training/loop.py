"""Training from the first window to the last: evaluate, save, report, stop."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..config import Config
from ..errors import OutputError
from .checkpoint import Checkpoint, Encoding, save
from .evaluate import Evaluation
from .log import RunLog
from .reporter import Evaluated, Reporter, Result, Step
from .runfolder import RunFolder
from .signals import StopSignals
from .trainer import Trainer

_SAVE_SECONDS = 60.0  # between saves of the last state, unless save_every says otherwise
_LOG_SECONDS = 1.0  # between lines of the log; every step is logged when steps take longer

# Validates the model as it is now; None if the function it is given says stop before the end.
Evaluator = Callable[[Callable[[], bool]], Evaluation | None]


class Loop:
    """Drives a `Trainer` to its last step, or until a signal or the end of patience.

    The best state is that with the lowest validation loss; where answers are right or wrong, that with most of them
    right (in trials up to 3 points more than by the loss, which grows again while accuracy still does).
    """

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
        self.folder, self.reporter = folder, reporter
        self.config: Config = trainer.config
        self.draw: Callable[[], str] | None = None  # makes the sample that is shown with an evaluation
        self._started = self._saved = self._logged = time.monotonic()
        self._seconds_before = trainer.progress.seconds
        self._rate = _Rate()

    def run(self, signals: StopSignals, log: RunLog) -> Result:
        """To the end. Raises `DivergedError`; whatever happens, the last good state is on disk."""
        self.signals, self.log = signals, log
        stopped = "done"
        if self.trainer.progress.step == 0:
            self._save_last()  # so that whatever ends this process, the run can go on
        while True:
            progress = self.trainer.progress
            if self._evaluation_is_due():
                self._evaluate()
            if signals.stop is not None:
                stopped = "signal"
                break
            if self.config.patience is not None and progress.waited >= self.config.patience:
                stopped = "patience"
                break
            if progress.step >= self.trainer.steps:
                break
            self._step()
        self._save_last(final=True)
        return self._result(stopped)

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
        if progress.step % every == 0 if every else now - self._saved >= _SAVE_SECONDS:
            self._save_last()

    def _evaluation_is_due(self) -> bool:
        progress, every = self.trainer.progress, self.config.eval_every or 1
        last = progress.step >= self.trainer.steps
        return progress.step > 0 and (last or progress.step % every == 0) and progress.evaluated != progress.step

    def _evaluate(self) -> None:
        measured: Evaluation | None = None
        if self.evaluator is not None:
            measured = self.evaluator(lambda: self.signals.stop is not None)
            if measured is None:
                return
        progress = self.trainer.progress
        progress.evaluated = progress.step
        if progress.train_count:
            progress.train_nats = progress.train_total / progress.train_count
        progress.train_total, progress.train_count = 0.0, 0
        best = self._note_best(measured)
        if self.trainer.plateau and measured:
            self.trainer.plateau.observe(measured.nats)
        self.trainer.mark_good()
        self._save_last()
        if best:
            self._save(self.folder.best)
        sample = self.draw() if self.draw and self.signals.stop is None else ""
        train = progress.train_nats if progress.train_nats is not None else math.nan
        valid, bits = (measured.nats, measured.bits) if measured else (None, None)
        metrics = measured.metrics if measured else {}
        self.reporter.evaluated(Evaluated(progress.step, train, valid, bits, best, sample, metrics))
        self.log.write({"event": "evaluation", "step": progress.step, "train_nats": train, "valid_nats": valid,
                        "valid_bits": bits, **metrics, "best": best, "sample": sample,
                        "seconds": self._seconds()})  # fmt: skip

    def _note_best(self, measured: Evaluation | None) -> bool:
        """Whether this state is the best; without validation the latest is."""
        progress = self.trainer.progress
        if measured is None:
            progress.best_step = progress.step
            return True
        progress.valid_nats = measured.nats
        best = None if progress.best_nats is None else _rank(progress.metrics or {}, progress.best_nats)
        if math.isfinite(measured.nats) and (best is None or _rank(measured.metrics, measured.nats) < best):
            progress.best_nats, progress.best_step, progress.waited = measured.nats, progress.step, 0
            progress.metrics = measured.metrics or None
            return True
        progress.waited += 1
        return False

    def _save_last(self, final: bool = False) -> None:
        if self.trainer.progress.bad_steps == 0:
            self._save(self.folder.last, final)
        self._saved = time.monotonic()

    def _save(self, path: Any, final: bool = False) -> None:
        """A disk that fails is tried again at the next save; only at the end it is an error."""
        self.trainer.progress.seconds = self._seconds()
        snapshot = self.trainer.snapshot()
        parameters = self.trainer.model.parameters.on_host()
        try:
            save(path, Checkpoint(self.config, self.tokenizer, parameters, snapshot.moments, snapshot.state,
                                  snapshot.progress, self.corpus))  # fmt: skip
        except OutputError as error:
            if final:
                raise
            self.reporter.message(f"{error}; training goes on and will try again")

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
            valid_bits=None if best is None else best / math.log(2),
            best_step=progress.best_step,
            stopped=stopped,
            signal=self.signals.stop if stopped == "signal" else None,
            task=self.config.task,
            metrics=progress.metrics or {},
            inputs=tuple(self.corpus.get("inputs", ())),
            split=self.config.valid_file is None and self.config.valid > 0,
        )
        self.log.write({"event": "end", "stopped": stopped, "step": progress.step, "best_step": progress.best_step,
                        "valid_nats": best, **result.metrics, "seconds": seconds})  # fmt: skip
        self.reporter.finished(result)
        return result


def _rank(metrics: Mapping[str, float], nats: float) -> tuple[float, float]:
    """Lower is better: the share of right answers first, if there is one, then the loss."""
    return -metrics.get("exact", metrics.get("accuracy", 0.0)), nats


class _Rate:
    """Positions a second, of the last steps and of all of them; and the time that a step takes."""

    def __init__(self) -> None:
        self.per_second, self.step_seconds, self._chars, self._seconds = 0.0, 0.0, 0, 0.0

    def add(self, chars: int, seconds: float) -> None:
        """One more step."""
        self._chars += chars
        self._seconds += seconds
        now, old = chars / max(seconds, 1e-9), 0.95 if self.per_second else 0.0
        self.per_second = old * self.per_second + (1 - old) * now
        self.step_seconds = old * self.step_seconds + (1 - old) * seconds

    @property
    def overall(self) -> float:
        return self._chars / self._seconds if self._seconds else 0.0
