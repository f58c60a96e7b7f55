"""Entry points of training: `train` starts a run, from new or existing weights; `resume` continues one."""

import dataclasses
import datetime
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..cells import CELLS
from ..checkpoint.atomic import remove_stale_files
from ..checkpoint.checkpoint import Checkpoint, load
from ..checkpoint.run_dir import RunFolder, model_path
from ..config import Config
from ..config_checks import MAX_STEPS, parse_duration
from ..data.examples.example import ExampleSet
from ..data.text.corpus import Corpus
from ..data.text.files import Paths, normalize_inputs
from ..distributed.communicator import Communicator, world
from ..errors import CheckpointError, ConfigError, InputError, quote
from ..kernels import backend
from ..nn.parameters import initialise
from ..plain import check_path
from ..task_specs import TASK_SPECS
from . import autotune
from .callbacks import Callback, Result, default_callback
from .compile_ahead import compile_for_run
from .hyperparameters import fine_tuning_rate
from .loop import Loop, Validation
from .run_log import NoLog, RunLog, RunOutput
from .signals import StopSignals
from .tasks import TrainingTask, read
from .time_budget import StepDefaults, StepPlanner, TimeBudget
from .trainer import Snapshot, Trainer, TrainerState

# Files, folders, globs and built-in names; or a data set in memory.
Inputs = Paths | Corpus | ExampleSet
_SHORTEST_COMPARED = 30.0  # time budget in seconds of a run that is compared with a compressor
_CHOSEN = ("steps", "batch", "lr", "warmup", "dropout")  # settings that every checkpoint has


def train(
    inputs: Inputs,
    config: Config | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    init_from: str | os.PathLike[str] | None = None,
    callback: Callback | None = None,
    started: float | None = None,
    raise_interrupt: bool = False,
) -> Result:
    """Train a new model.

    Args:
        inputs: Training data: files, folders, globs or built-in names, or a `Corpus` or `ExampleSet`.
        config: Settings; those left open are chosen automatically. Default: `Config()`.
        out: Run folder to create. Default: a new one under ``runs``.
        init_from: Model file or run folder whose weights, vocabulary and sizes the new model starts from.
        callback: Receives the events of the run, and can stop it. Default: a line of progress in a terminal or
            notebook, elsewhere nothing; `Callback()` is always silent.
        started: Start of the time budget, by `time.monotonic`. Default: now.
        raise_interrupt: Raise `KeyboardInterrupt` after saving when Ctrl-C stops the run (`SystemExit` for SIGTERM),
            so that a loop over trainings ends too. By default ``Result.stopped`` is "signal".

    Returns:
        The `Result` of the run; its files are in ``Result.run``.

    Raises:
        ConfigError: A setting is impossible, or contradicts the data or the model to start from.
        InputError: The data cannot be read or is unsuitable.
        OutputError: The run folder is in use or cannot be written.
        CheckpointError: The model to start from cannot be loaded.
        DivergedError: The loss or the gradient was NaN or infinite again and again.
        BackendError: The device is not available or lacks the cell or task, or the system starts no more threads.
    """
    config = _check_config(config)
    out, init_from = (None if p is None else check_path(n, p) for n, p in (("out", out), ("init_from", init_from)))
    inputs = _resolve_inputs(inputs)
    group = world()
    callback = _only_on_rank0(callback, group)
    with StopSignals(urgent=True, raises=raise_interrupt) as signals:
        # Before the data is read, which may take long.
        backend.check(config.device, config.task, group.size, config.cell)
        budget = TimeBudget(autotune.budget_of(config), group, started)
        if out is not None:
            group.run_on_rank0(RunFolder(out).check_free)
        old = group.run_on_rank0(lambda: load(model_path(init_from))) if init_from is not None else None
        if old is not None:
            config = _take_model_settings(config, old, callback)
        # Recorded, so that the run folder names it even if a later version has another default.
        config = config.replace(init=config.init or CELLS[config.cell].default_init)
        task = read(inputs, config, old.tokenizer if old else None, callback, group)
        config = config.replace(tokens=task.tokens)
        if old is not None:
            _check_vocabulary(task, old, callback)
        _prepare(config, callback, group)
        if budget.seconds is not None and (spent := budget.ensure_half()) > budget.seconds / 2:
            kept = "; compiled kernels are kept for the next run" if backend.load(config.device).KERNELS else ""
            callback.message(
                f"reading and compiling took {spent:.0f} of the {budget.seconds:.0f} s: training gets half of the time "
                f"all the same{kept}"
            )
        _spend_statistics(task, callback, budget)
        plan = task.plan(config, budget)
        trainer = _create_trainer(plan.config, task, old)
        folder, opened = _open_on_rank0(group, lambda: _new_folder(out, callback))
        with opened as log:
            validation = _validation(task, trainer, callback)
            given = config  # whatever it leaves open follows the number of steps
            defaults = StepDefaults(
                None if given.eval_every else task.default_eval_every,
                warmup=given.warmup is None,
                regularization=lambda changed: task.with_regularization(changed, given),
            )
            planner = StepPlanner(budget, plan.most_steps, validation.is_exact_at_end, defaults)
            output = RunOutput(folder, log, callback)
            loop = Loop(trainer, task.tokenizer, task.about, validation, output, signals, planner)
            loop.announce(task.describe(loop.config), plan.choices)
            result = _add_statistics(loop.run(), task, callback, budget)
    # `signals.stop` may have been set after the loop looked at it for the last time.
    return signals.return_or_raise(dataclasses.replace(result, signal=signals.stop))


def resume(
    run: str | os.PathLike[str],
    changes: dict[str, Any] | None = None,
    inputs: Inputs = (),
    callback: Callback | None = None,
    *,
    started: float | None = None,
    raise_interrupt: bool = False,
) -> Result:
    """Resume a run from its last checkpoint, bit-for-bit as if it had never stopped.

    Args:
        run: The run folder.
        changes: Settings to change: a larger ``steps`` or ``epochs`` of the whole run, or ``for_``, a time from now
            on; ``threads``, ``eval_every``, ``save_every``, ``patience``, ``device``.
        inputs: The training data, if it has moved.
        callback: Receives the events of the run, and can stop it. Default: a line of progress in a terminal or
            notebook, elsewhere nothing; `Callback()` is always silent.
        started: Start of the time budget, by `time.monotonic`. Default: now.
        raise_interrupt: As for `train`.

    Returns:
        The `Result` of the whole run.

    Raises:
        ConfigError: A change is not possible, or the data is not that of the run; the run folder is unchanged.
        InputError: The data cannot be found or read.
        OutputError: Another process is training in the run folder, or it cannot be written.
        CheckpointError: The last checkpoint cannot be loaded or resumed.
        DivergedError: The loss or the gradient was NaN or infinite again and again.
        BackendError: The device is not available or lacks the cell or task, or the system starts no more threads.
    """
    from .resume import check_changes

    run = check_path("run", run)
    changes = check_changes(changes)
    inputs = _resolve_inputs(inputs)
    group = world()
    callback = _only_on_rank0(callback, group)
    with StopSignals(urgent=True, raises=raise_interrupt) as signals:
        given = changes.get("for_")
        budget = TimeBudget(parse_duration(given) if given is not None else None, group, started)
        folder, opened = _open_on_rank0(group, lambda: _old_folder(run, callback))
        with opened as log:  # from here on the log's lock keeps other processes out of the folder
            output = RunOutput(folder, log, callback)
            loop, task, planned = _restore(output, changes, inputs, budget, signals)
            loop.announce(task.describe(loop.config), _describe_resume(loop, planned, given))
            result = _add_statistics(loop.run(), task, callback, budget)
    return signals.return_or_raise(dataclasses.replace(result, signal=signals.stop))


def _check_config(config: Config | None) -> Config:
    if config is not None and not isinstance(config, Config):
        raise ConfigError(f"config must be a fastrnn.Config, not {quote(config)}; make one with Config(**settings)")
    return config or Config()


def _prepare(config: Config, callback: Callback, group: Communicator) -> None:
    samples = group.run_on_rank0(lambda: callback.samples)  # which has the only callback
    compile_for_run(config, samples, callback.message, group.rank if group.size > 1 else None)


def _resolve_inputs(inputs: Inputs) -> list[str] | Corpus | ExampleSet:
    return inputs if isinstance(inputs, Corpus | ExampleSet) else normalize_inputs(inputs)


def _add_statistics(result: Result, task: TrainingTask, callback: Callback, budget: TimeBudget) -> Result:
    """Return the result with the statistics of the data; a run that a signal stopped ends without the slow ones."""
    return dataclasses.replace(result, **task.statistics(_compares(callback, budget) and result.stopped != "signal"))


def _spend_statistics(task: TrainingTask, callback: Callback, budget: TimeBudget) -> None:
    """Compute the statistics of the data before a run with a time budget is planned: their time is part of it."""
    if budget.seconds is not None:
        task.statistics(_compares(callback, budget))


def _compares(callback: Callback, budget: TimeBudget) -> bool:
    """Whether the text is compressed for comparison: in a short run that would take too large a part of the time."""
    return callback.compares and (budget.seconds is None or budget.seconds >= _SHORTEST_COMPARED)


def _only_on_rank0(callback: Callback | None, group: Communicator) -> Callback:
    """Return the callback on rank 0, and one that does nothing on the other ranks."""
    if group.rank:
        return Callback()
    return callback if callback is not None else default_callback()


def _new_folder(out: str | os.PathLike[str] | None, callback: Callback) -> tuple[RunFolder, RunLog]:
    folder = RunFolder.create(out) if out is not None else RunFolder.create_default(datetime.datetime.now())
    return folder, RunLog(folder.log_path, callback.message, folder.log_descriptor)


def _old_folder(run: str | os.PathLike[str], callback: Callback) -> tuple[RunFolder, RunLog]:
    folder = RunFolder.open(run)
    log = RunLog(folder.log_path, callback.message)
    remove_stale_files(folder.path, exclusive=True)
    return folder, log


def _open_on_rank0(
    group: Communicator, make: Callable[[], tuple[RunFolder, RunLog]]
) -> tuple[RunFolder, RunLog | NoLog]:
    """Open the run folder on rank 0, which alone locks and writes the log (collective)."""
    opened: list[tuple[RunFolder, RunLog]] = []

    def open_folder() -> str:
        opened.append(make())
        return str(opened[0][0].path)

    path = group.run_on_rank0(open_folder)
    return opened[0] if opened else (RunFolder(path), NoLog())


def _create_trainer(config: Config, task: TrainingTask, old: Checkpoint | None) -> Trainer:
    """Create a trainer before its first step, with new weights or those of ``old``."""
    trainer = Trainer(task.model(config), task.windows(config), config, task.group)
    if old is not None:
        trainer.model.parameters.assign(old.parameters)
    else:
        model, rng = trainer.model, np.random.default_rng(config.seed)
        initialise(
            model.parameters, model.shape, config.init, rng, task.out_bias(config), slow_units=config.slow_units or 0.0
        )
    trainer.broadcast_parameters()
    trainer.save_rollback_point()
    return trainer


def _describe_resume(loop: Loop, planned: int, given: str | None) -> tuple[str, ...]:
    """Describe a resumed run, one line each.

    ``planned``: number of steps planned before; ``given``: the additional time, if one was set.
    """
    done, steps = loop.trainer.progress.step, loop.trainer.steps
    words = [f"resumed from step {done:,}"]
    if done >= steps:
        words = [f"already finished, {done:,} of {steps:,} steps; extend it with --for 3m or --steps {2 * steps}"]
    if given is not None:
        words.append(f"for {given}: about {steps - done:,} more steps, {steps:,} in all")
        if done < planned and steps < planned:
            words.append(f"fewer than the {planned:,} planned before; resume without --for to complete those")
    return tuple(words)


def _restore(
    output: RunOutput,
    changes: dict[str, Any],
    inputs: Inputs,
    budget: TimeBudget,
    signals: StopSignals,
) -> tuple[Loop, TrainingTask, int]:
    """Restore the loop from the last checkpoint. Also returns its task and the number of steps planned before."""
    from .resume import apply_changes, check_data_is_here, check_files_are_here, extend

    folder, _, callback = output
    group = budget.group

    saved = group.run_on_rank0(lambda: load(folder.last))
    if not saved.resumable:
        raise CheckpointError(f"{folder.last}: holds a model only; start a new run with --init-from")
    for name in _CHOSEN:
        if getattr(saved.config, name) is None:
            raise CheckpointError(f"{folder.last}: its config lacks {name}; start a new run with --init-from")
    TrainerState.from_dict(saved.progress)  # raises for damaged progress, before the data is read
    config, length = apply_changes(saved, changes)
    backend.check(config.device, config.task, group.size, config.cell)
    if not isinstance(inputs, Corpus | ExampleSet) and not len(_resolve_inputs(inputs)):
        names: list[str] = saved.corpus.get("inputs", [])
        group.run_on_rank0(lambda: check_data_is_here(names, folder.path))
        inputs = names
    group.run_on_rank0(lambda: check_files_are_here(config))
    task = read(inputs, config, saved.tokenizer, callback, group)
    if task.about["fingerprint"] != saved.corpus.get("fingerprint"):
        what = "data" if TASK_SPECS[config.task].is_supervised else "text"
        raise ConfigError(
            f"the {what} differs from the one this run was trained on; give the same {what}, or start a new run with "
            "--init-from"
        )
    _prepare(config, callback, group)
    _spend_statistics(task, callback, budget)
    config = extend(saved, config, length, task, budget)
    trainer = Trainer(task.model(config), task.windows(config), config, group)
    # In the order of the flat array, which need not be that of the file.
    flat = np.concatenate([saved.parameters[name].reshape(-1) for name in trainer.model.parameters])
    # The file has the streams of all ranks, whose number may have changed; this one takes its own.
    first, last = (row * trainer.windows.groups for row in trainer.windows.batch_slice)
    state = {name: array[:, first:last] for name, array in saved.state.items()}
    trainer.restore(Snapshot(flat, saved.optimizer, state, saved.progress))
    trainer.save_rollback_point()

    validation = _validation(task, trainer, callback)
    planner = None
    if budget.seconds is not None:
        defaults = StepDefaults(None if "eval_every" in changes else task.default_eval_every)
        planner = StepPlanner(budget, MAX_STEPS, validation.is_exact_at_end, defaults)
    loop = Loop(trainer, saved.tokenizer, saved.corpus, validation, output, signals, planner)
    return loop, task, saved.config.steps or 0


def _validation(task: TrainingTask, trainer: Trainer, callback: Callback) -> Validation:
    return Validation(
        task.evaluator(trainer.model, trainer.config),
        task.sample_function(trainer.model, trainer.config) if callback.samples else None,
    )


def _take_model_settings(config: Config, old: Checkpoint, callback: Callback) -> Config:
    """Take the settings that old weights and their vocabulary fix; choose others so that the training is not undone.

    Raises `ConfigError` if ``config`` differs from the old model.
    """
    from .resume import FIXED

    defaults = {name: getattr(Config(), name) for name in FIXED} | {"cell": TASK_SPECS[config.task].cell, "layers": 1}
    # A setting at its default may not have been given at all, so it gives way.
    for name, default in defaults.items():
        given, was = getattr(config, name), getattr(old.config, name)
        if given not in (None, default, was):
            raise ConfigError(f"{name} is {given}, but the model to start from has {was}; leave it out")
    taken = {name: getattr(old.config, name) for name in FIXED}
    config = config.replace(**taken, slow_units=old.config.slow_units or 0.0)  # the latter for `reset_every`
    if not TASK_SPECS[config.task].is_supervised:
        config = config.replace(ngrams=old.config.ngrams or 0)
    config = config.replace(weight_decay=config.weight_decay or 0.0)  # decay would undo earlier training
    if config.lr is None and not TASK_SPECS[config.task].is_supervised:
        config = config.replace(lr=fine_tuning_rate(config))
        callback.message(f"lr {config.lr:g}: lower than for a new model, to keep what the weights know")
    return config


def _check_vocabulary(task: TrainingTask, old: Checkpoint, callback: Callback) -> None:
    """Raise `InputError` if the data has another vocabulary than the old model; report tokens unknown to it."""
    if task.tokenizer != old.tokenizer:  # a `Corpus` read by the caller
        raise InputError("this corpus has another vocabulary than the model; read it with tokenizer=that of the model")
    task.report_unknown(callback)
