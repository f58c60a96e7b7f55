"""The training loop: steps, evaluations, checkpoints, callbacks, and the reasons to stop."""

import contextlib
import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..checkpoint.atomic import write_atomic
from ..checkpoint.checkpoint import Checkpoint, Encoding, check_readable, to_bytes
from ..checkpoint.run_dir import Saver
from ..config import Config, to_toml
from ..errors import DivergedError, OutputError
from ..inference.evaluation import Evaluation, Evaluator, to_bits
from .callbacks import EvaluateEnd, Planned, Result, StepEnd, TrainStart
from .final_evaluation import evaluate_best
from .run_length import has_few_steps, too_few
from .run_log import RunOutput
from .signals import StopSignals
from .time_budget import StepPlanner
from .timing import Throughput
from .trainer import Snapshot, Trainer

_SAVE_SECONDS = 60.0  # between saves of the last state, unless `save_every` is set
_CLOSING_PREVIEWS = 4  # previews that take as long as the sample after training, with loading the model for it
_LOG_SECONDS = 1.0  # between lines of the log; every step is logged when steps take longer


class Validation(NamedTuple):
    """How the model is evaluated while it trains.

    ``sample``: generates the sample shown with an evaluation; None for none.
    """

    evaluator: Evaluator | None
    sample: Callable[[], str] | None = None

    @property
    def is_exact_at_end(self) -> bool:
        """Whether an exact evaluation on all validation data follows the last step."""
        return self.evaluator is not None and self.evaluator.final is not None


class Agreement(NamedTuple):
    """The agreement of all ranks before a step: they must take the same branch, whatever their clocks and signals say.

    ``has_signal``: a signal has arrived at some rank. ``unsaved_seconds``: since the last save. ``replan``: the number
    of steps may have to change. ``stopped_by_callback``: a callback asked to stop.
    """

    has_signal: bool
    unsaved_seconds: float
    replan: bool
    stopped_by_callback: bool


class Loop:
    """Runs a `Trainer` until its last step, a signal, a callback or the patience stops it.

    ``tokenizer`` and ``corpus`` (inputs, fingerprint, size of the data) are stored in the checkpoints. ``planner``
    keeps a time budget.
    """

    def __init__(
        self,
        trainer: Trainer,
        tokenizer: Encoding,
        corpus: dict[str, Any],
        validation: Validation,
        output: RunOutput,
        signals: StopSignals,
        planner: StepPlanner | None = None,
    ) -> None:
        self.trainer = trainer
        self.tokenizer = tokenizer
        self.corpus = corpus
        self.evaluator, self._sample = validation
        self.output = output
        self.folder, self.log, self.callback = output
        self.signals = signals
        self.planner = planner
        self.group = trainer.group
        self.config: Config = trainer.config

        self._saver = Saver(self.folder, self.callback.message)
        self._on_disk: Any = None  # configuration and progress that `last` has, if this process wrote it
        self._started = self._saved = self._logged = time.monotonic()
        self._seconds_before = trainer.progress.seconds
        self._rate = Throughput()
        self._final: Evaluation | None = None  # the exact evaluation of the best state

        self._stopped_by_callback = False  # whether a callback on this rank has asked to stop

    def announce(self, data: Sequence[str], choices: Sequence[str]) -> None:
        """Write the configuration, and announce the run to the callback and in the log (collective).

        ``data``: descriptions of the data; ``choices``: settings that were chosen automatically, one line each. Raises
        `CheckpointError` if a checkpoint of this run could not be loaded again.
        """
        self._check_readable()
        self._write_config()
        progress, parameters = self.trainer.progress, self.trainer.model.parameters.flat.size
        self.callback.on_train_start(
            TrainStart(str(self.folder.path), parameters, tuple(data), self.config, tuple(choices))
        )
        self.log.write({"event": "start", "step": progress.step, "steps": self.trainer.steps, "data": list(data),
                        "parameters": parameters, "choices": list(choices)})  # fmt: skip

    def run(self) -> Result:
        """Train until something stops the run. Raises `DivergedError`; the last good state is on disk then."""
        try:
            if self.trainer.progress.step == 0:
                self._save()  # a run that is killed before its first save can be resumed too
            self._compile()
            if self.planner:
                self.planner.start()

            while True:
                # Before the reasons to stop, so that the last step is evaluated too.
                if self._evaluation_is_due():
                    completed = self._evaluate()
                    if self.planner:
                        self.planner.record_evaluation(completed)

                agreed = self._synchronize()
                if stopped := self._reason_to_stop(agreed):
                    break
                if agreed.replan and self._change_steps():
                    continue  # the new number of steps may be reached already

                self._step(agreed.unsaved_seconds)
                if self.planner:
                    self.planner.record_step()

            # Before the evaluation of the best state, which may take long and be interrupted.
            self._save(final=True)
            if stopped != "signal":
                self._evaluate_best()
            return self._result(stopped)
        except DivergedError:
            self._log_end("diverged")
            raise

    def _reason_to_stop(self, agreed: Agreement) -> str:
        """Return why the run ends now, as in `Result.stopped`; empty if it does not."""
        progress = self.trainer.progress
        if agreed.has_signal:
            return "signal"
        if self.config.patience is not None and progress.evals_since_best >= self.config.patience:
            return "patience"
        if progress.step >= self.trainer.steps:
            return "done"
        return "callback" if agreed.stopped_by_callback else ""

    def _step(self, unsaved_seconds: float) -> None:
        """Take one step, report it, and save if it is time: ``unsaved_seconds`` since the last save, on all ranks."""
        before, start = self.trainer.progress, time.perf_counter()
        chars, rollbacks = before.chars, before.rollbacks
        lr = self.trainer.learning_rate()
        nats, norm = self.trainer.step()
        progress = self.trainer.progress  # that of an earlier step after a rollback
        rolled_back = progress.rollbacks > rollbacks
        # The first step may compile kernels, so its time is not counted.
        if not self.signals.urgent and not rolled_back:
            self._rate.add(progress.chars - chars, time.perf_counter() - start)
        # Until the first step has ended a signal ends the process at once: compiling takes seconds, and there is no
        # progress to save.
        self.signals.urgent = False
        if rolled_back:
            self._report_rollback("the loss or its gradient was not finite in several steps in a row")
        elif progress.nonfinite_steps:
            self.callback.message(f"step {progress.step}: the loss or its gradient is not finite; skipped")
        rate = self._rate.per_second
        left = (self.trainer.steps - progress.step) * self._rate.step_seconds if rate else math.nan
        epoch = progress.step / self.trainer.windows.per_epoch
        smoothed = progress.smoothed if progress.smoothed is not None else math.nan
        step = StepEnd(progress.step, self.trainer.steps, epoch, smoothed, lr, rate, left, norm)
        self._stopped_by_callback |= bool(self.callback.on_step(step))
        if (now := time.monotonic()) - self._logged >= _LOG_SECONDS:
            self._logged = now
            self.log.write({"event": "step", "step": step.step, "epoch": epoch, "nats": nats, "smoothed": smoothed,
                            "lr": lr, "grad_norm": norm, "chars_per_s": step.chars_per_s,
                            "seconds": self._seconds()})  # fmt: skip
        every = self.config.save_every
        if progress.step % every == 0 if every else unsaved_seconds >= _SAVE_SECONDS:
            self._save()

    def _synchronize(self) -> Agreement:
        """Agree with the other ranks, once a step, on saving, planning and stopping (collective)."""
        replan = self.planner is not None and self.group.rank == 0 and self.planner.due()
        unsaved = time.monotonic() - self._saved
        # One collective for all four: each would wait for the slowest rank, on every step.
        number, unsaved, due, callback = self.group.all_reduce_max(
            self.signals.stop or 0, unsaved, replan, self._stopped_by_callback
        )
        if number:
            self.signals.stop = int(number)
        return Agreement(number > 0, unsaved, due > 0, callback > 0)

    def _compile(self) -> None:
        """Compile the kernels for evaluation and sampling now, while a signal that interrupts it loses no progress."""
        for evaluate in (self.evaluator.during, self.evaluator.final) if self.evaluator else ():
            calls = itertools.count()
            if evaluate is not None:
                evaluate(functools.partial(self._stop_after_first, calls))
        if self._sample:
            self._sample()

    def _evaluation_is_due(self) -> bool:
        progress, every = self.trainer.progress, self.config.eval_every or 1
        last = progress.step >= self.trainer.steps
        return progress.step > 0 and (last or progress.step % every == 0) and progress.evaluated != progress.step

    def _evaluate(self) -> bool:
        """Evaluate, save and report. Returns whether it did: not after a roll-back, nor if a signal stopped it."""
        self.trainer.broadcast_parameters()
        if not self._check_finite():
            return False
        measured, took = None, 0.0
        if self.evaluator is not None:
            start = time.monotonic()
            mine = self.evaluator.during(self._watch)
            took = time.monotonic() - start
            # A signal at one rank leaves its sum incomplete, and with it everybody's loss.
            if self.group.all_reduce_max(mine is None)[0]:
                return False
            # Ranks on different processors may round differently, but must agree on which state is the best.
            measured = self.group.run_on_rank0(lambda: mine)
        progress = self.trainer.progress
        progress.evaluated = progress.step
        if progress.train_count:
            progress.train_nats = progress.train_total / progress.train_count
        progress.train_total, progress.train_count = 0.0, 0
        best = progress.record_evaluation(measured)
        if self.trainer.plateau and measured:
            self.trainer.plateau.observe(measured.nats)
        # After a skipped step it is open whether this state is a good one to return to.
        if not progress.nonfinite_steps:
            self.trainer.save_rollback_point()
        self._save(best)
        # After the save: sampling may take seconds, and a kill should not cost the state just evaluated.
        sample = self._preview() if self._sample and self.signals.stop is None else ""
        train = progress.train_nats if progress.train_nats is not None else math.nan
        valid = measured.nats if measured else None
        bits = to_bits(valid, self.config.task)
        metrics = measured.metrics if measured else {}
        end = EvaluateEnd(progress.step, train, valid, bits, best, sample, metrics)
        self._stopped_by_callback |= bool(self.callback.on_evaluate(end))
        self.log.write({"event": "evaluation", "step": progress.step, "train_nats": train, "valid_nats": valid,
                        "valid_bits": bits, **metrics, "best": best, "sample": sample,
                        "took": took, "seconds": self._seconds()})  # fmt: skip
        return True

    def _preview(self) -> str:
        """Generate the sample shown with an evaluation, and reserve time for the longer one that ends a command."""
        assert self._sample is not None
        start = time.monotonic()
        sample = self._sample()
        if self.planner:
            self.planner.reserve(_CLOSING_PREVIEWS * (time.monotonic() - start))
        return sample

    def _stop_after_first(self, calls: Iterator[int], share: float) -> bool:
        """Whether to stop an evaluation: after its first window, or after a signal."""
        return self.signals.stop is not None or next(calls) > 0

    def _watch(self, share: float) -> bool:
        """Report the progress of an evaluation. Returns whether a signal stops it."""
        self.callback.on_evaluate_progress(share)
        return self.signals.stop is not None

    def _change_steps(self) -> bool:
        """Adapt the number of steps to the time budget if the speed of the machine has changed (collective).

        The schedule, the evaluations, dropout and weight decay follow. Returns whether the number changed.
        """
        planner = self.planner
        if planner is None:
            return False
        old = self.trainer.steps
        step = self.trainer.progress.step
        every = self.config.eval_every or 1
        # Rank 0 decides for all, since each has measured other times.
        steps = self.group.run_on_rank0(lambda: planner.plan_steps(step, old, every))
        if steps == old:
            return False

        self.config = planner.defaults.with_steps(self.config, steps, step)
        self.trainer.apply_config(self.config)
        with contextlib.suppress(OutputError):  # checkpoints hold the steps too, and a save reports a full disk
            self._write_config()
        self.callback.on_plan_change(Planned(step, steps))
        self.log.write({"event": "pace", "step": step, "steps": steps, "dropout": self.config.dropout,
                        "weight_dropout": self.config.weight_dropout,
                        "weight_decay": self.config.weight_decay})  # fmt: skip
        return True

    def _evaluate_best(self) -> None:
        """Evaluate the best state exactly, unless the evaluations during training were exact already (collective)."""
        evaluate = self.evaluator.final if self.evaluator else None
        if evaluate is None or self.trainer.progress.best_nats is None:
            return

        def evaluate_in_time() -> Evaluation | None:
            """Called when the best state is loaded, which takes a part of the time."""
            seconds = self.group.all_reduce_max(self.planner.final_seconds() if self.planner else math.inf)[0]
            return evaluate(self._watch, seconds=seconds)

        self._final = evaluate_best(self.trainer, evaluate_in_time, self.output, self._seconds)

    def _check_readable(self) -> None:
        """Raise `CheckpointError` if a checkpoint of this run could not be loaded again (collective)."""
        progress = self.trainer.progress.to_dict()
        checkpoint = Checkpoint(self.config, self.tokenizer, dict(self.trainer.model.parameters), {}, {},
                                progress, self.corpus)  # fmt: skip
        self.group.run_on_rank0(lambda: check_readable(checkpoint, str(self.folder.last)))

    def _write_config(self) -> None:
        """Write ``config.toml`` into the run folder (collective)."""
        self.group.run_on_rank0(lambda: write_atomic(self.folder.config_path, to_toml(self.config).encode()))

    def _check_finite(self) -> bool:
        """Whether the state is finite; if it is not, roll back to the last good one (collective)."""
        if self.trainer.is_finite():
            return True
        self.trainer.rollback()
        self._report_rollback("the weights became NaN or infinite")
        return False

    def _report_rollback(self, why: str) -> None:
        step = self.trainer.progress.step
        self.callback.message(f"{why}; rolled back to step {step}, learning rate halved")
        self.log.write({"event": "rollback", "step": step, "rollbacks": self.trainer.progress.rollbacks,
                        "seconds": self._seconds()})  # fmt: skip

    def _save(self, best: bool = False, final: bool = False) -> None:
        """Save the state (collective). If the disk fails, the next save tries again; only the ``final`` one raises."""
        self._check_finite()
        self.trainer.progress.seconds = self._seconds()
        snapshot = self.trainer.snapshot()
        # Seconds change without a step; a state that differs in them only is not written again.
        state_key = self.config, snapshot.progress | {"seconds": 0.0}
        if self.group.run_on_rank0(lambda: final and state_key == self._on_disk):
            return
        snapshot = dataclasses.replace(snapshot, state=self.group.gather(snapshot.state))
        if self.group.run_on_rank0(lambda: self._write(snapshot, best, final)):
            self._on_disk = state_key
        self._saved = time.monotonic()

    def _write(self, snapshot: Snapshot, best: bool, final: bool) -> bool:
        parameters = self.trainer.model.parameters.on_host()
        checkpoint = Checkpoint(self.config, self.tokenizer, parameters, snapshot.moments, snapshot.state,
                                snapshot.progress, self.corpus)  # fmt: skip
        last = to_bytes(checkpoint, str(self.folder.last))
        if final:
            self._saver.save_or_raise(last)
            return True
        return self._saver.save(last, to_bytes(checkpoint.model_only(), str(self.folder.best)) if best else None)

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    def _result(self, stopped: str) -> Result:
        progress, best, metrics = self.trainer.progress, self._best_nats(), self._best_metrics()
        seconds = self._seconds()
        train = progress.train_nats
        # The run ended before its first evaluation.
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
            valid_bits=to_bits(best, self.config.task),
            best_step=progress.best_step,
            stopped=stopped,
            signal=self.signals.stop if stopped == "signal" else None,
            task=self.config.task,
            tokens=self.config.tokens or "chars",
            metrics=metrics,
            inputs=tuple(self.corpus.get("inputs", ())),
            encoding=self.config.encoding,
            split=self.evaluator is not None and self.config.valid_file is None,
        )
        self._log_end(stopped)
        if self.planner and self.planner.has_budget and stopped == "done" and has_few_steps(progress.step):
            self.callback.message(too_few(progress.step))
        self.callback.on_train_end(result)
        return result

    def _best_nats(self) -> float | None:
        """Validation loss of the best state, in nats: the exact one if it was computed."""
        return self._final.nats if self._final else self.trainer.progress.best_nats

    def _best_metrics(self) -> dict[str, float]:
        return (self._final.metrics if self._final else self.trainer.progress.metrics) or {}

    def _log_end(self, stopped: str) -> None:
        progress = self.trainer.progress
        self.log.write({"event": "end", "stopped": stopped, "step": progress.step, "best_step": progress.best_step,
                        "valid_nats": self._best_nats(), **self._best_metrics(),
                        "seconds": self._seconds()})  # fmt: skip
