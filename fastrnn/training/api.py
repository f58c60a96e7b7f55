"""The ways into training: a new run, a new run from old weights, and going on with a run."""

import dataclasses
import datetime
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..checkpoint.atomic import remove_stale_files
from ..checkpoint.checkpoint import Checkpoint, load
from ..checkpoint.run_dir import RunFolder, model_path
from ..config import Config, parse_duration
from ..data.examples.example import ExampleSet
from ..data.text.corpus import Corpus
from ..data.text.files import Paths, normalize_inputs
from ..distributed.communicator import Communicator, world
from ..errors import CheckpointError, ConfigError, InputError
from ..kernels import backend
from ..message import quoted
from ..nn.initialisation import initialise
from ..plain import check_path
from . import autotune
from .callbacks import Callback, Result, TrainStart
from .compile_ahead import compile_for_run
from .loop import Loop
from .resume import FIXED, changed, check_changes, check_data_is_here, check_files_are_here, extended
from .run_log import NoLog, RunLog
from .signals import StopSignals
from .state import TrainerState
from .tasks.base import Task, read
from .time_budget import StepPlanner
from .trainer import Snapshot, Trainer

_MOST_STEPS = 10**12  # of a run that goes on for some time: as many as that allows
# What training reads: files, folders, globs, built-in names; or what was read from them.
Inputs = Paths | Corpus | ExampleSet
_CHOSEN = ("steps", "batch", "lr", "warmup", "dropout")  # what every run has settled when it starts


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
    """Train a new model on files, folders, globs, built-in names, a `Corpus` or `ExampleSet`, and write to ``out``.

    ``init_from``: a model whose weights, vocabulary and sizes the new one starts from. ``started``: where a time
    budget counts from, by `time.monotonic`; now, if that is not given. ``raise_interrupt``: raise `KeyboardInterrupt`
    after saving when Ctrl-C stops the run (`SystemExit` for SIGTERM), so that a loop of trainings ends; otherwise the
    `Result` tells of it. Raises `FastRNNError`s: `ConfigError`, `InputError`, `OutputError`, `CheckpointError`,
    `DivergedError`.
    """
    config = _checked_config(config)
    out, init_from = (None if p is None else check_path(n, p) for n, p in (("out", out), ("init_from", init_from)))
    inputs, group = _named(inputs), world()
    callback = _only_on_rank0(callback, group)
    with StopSignals(urgent=True, raises=raise_interrupt) as signals:
        backend.check(config.device, config.task, group.size)  # before anything is read
        clock = autotune.TimeBudget(autotune.budget_of(config), group, started)
        if out is not None:
            group.run_on_rank0(RunFolder(out).check_free)
        old = group.run_on_rank0(lambda: load(model_path(init_from))) if init_from is not None else None
        if old is not None:
            config = _with_old_sizes(config, old)
        material = read(inputs, config, old.tokenizer if old else None, callback, group)
        config = config.replace(tokens=material.tokens)
        if old is not None:
            if material.tokenizer != old.tokenizer:  # a corpus that was read by itself
                raise InputError(
                    "this corpus has another vocabulary than the model; read it with tokenizer=that of the model"
                )
            material.tell_unknown(callback)
        _prepare(config, callback, group)
        if clock.budget is not None and clock.here() < clock.budget / 2:
            spent = clock.budget - clock.here()
            callback.message(
                f"reading and compiling took {spent:.0f} of the {clock.budget:.0f} s; compiled kernels are kept, "
                "so a run after this one has that time to learn"
            )
        made = material.plan(config, clock)
        trainer = _started(made.config, material, old)
        folder, opened = _held(group, lambda: _new_folder(out, callback))
        with opened as log:
            evaluator = material.evaluator(trainer.model, made.config)
            loop = Loop(trainer, material.tokenizer, material.about, evaluator, folder, callback)
            loop.pace = StepPlanner(clock, made.most_steps, final=evaluator is not None and evaluator.final is not None)
            loop.eval_every = None if config.eval_every else material.eval_every
            result = _run(loop, material, signals, log, made.choices)
    # A signal that came too late for the loop counts too.
    return signals.finished(dataclasses.replace(result, signal=signals.stop))


def resume(
    run: str | os.PathLike[str],
    changes: dict[str, Any] | None = None,
    inputs: Inputs = (),
    callback: Callback | None = None,
    *,
    started: float | None = None,
    raise_interrupt: bool = False,
) -> Result:
    """Go on with a run where its last checkpoint left it: the bits are those of a run that never stopped.

    ``changes``: a larger ``steps`` or ``epochs`` for the whole run, or ``for_``, so much time from now on; ``threads``,
    ``eval_every``, ``save_every``, ``patience``, ``device``. ``inputs``: the data, if it is to be found elsewhere now.
    ``started``, ``raise_interrupt``: as for `train`. Raises `ConfigError` for other changes, before anything of the run
    is touched, and `InputError` when the data is not the same.
    """
    run, changes = check_path("run", run), check_changes(changes)
    inputs, group = _named(inputs), world()
    callback = _only_on_rank0(callback, group)
    with StopSignals(urgent=True, raises=raise_interrupt) as signals:
        given = changes.get("for_")
        clock = autotune.TimeBudget(parse_duration(given) if given is not None else None, group, started)
        folder, opened = _held(group, lambda: _old_folder(run, callback))
        with opened as log:  # nobody else trains in this folder from here on
            loop, material, planned = _restored(folder, changes, inputs, callback, clock)
            result = _run(loop, material, signals, log, _going_on(loop, planned, given))
    return signals.finished(dataclasses.replace(result, signal=signals.stop))


def _checked_config(config: Config | None) -> Config:
    if config is not None and not isinstance(config, Config):
        raise ConfigError(f"config must be a fastrnn.Config, not {quoted(config)}; make one with Config(**settings)")
    return config or Config()


def _prepare(config: Config, callback: Callback, group: Communicator) -> None:
    callback.message("preparing kernels (the first time, compiling takes some seconds)")
    if group.size == 1:  # many processes of a machine share the work already
        compile_for_run(config, callback.samples)


def _named(inputs: Inputs) -> list[str] | Corpus | ExampleSet:
    return inputs if isinstance(inputs, Corpus | ExampleSet) else normalize_inputs(inputs)


def _only_on_rank0(callback: Callback | None, group: Communicator) -> Callback:
    """The first process alone tells what happens."""
    return callback if callback is not None and group.rank == 0 else Callback()


def _new_folder(out: str | os.PathLike[str] | None, callback: Callback) -> tuple[RunFolder, RunLog]:
    folder = RunFolder.create(out) if out is not None else RunFolder.create_default(datetime.datetime.now())
    return folder, RunLog(folder.log_path, callback.message, folder.log_descriptor)


def _old_folder(run: str | os.PathLike[str], callback: Callback) -> tuple[RunFolder, RunLog]:
    folder = RunFolder.open(run)
    log = RunLog(folder.log_path, callback.message)
    remove_stale_files(folder.path, exclusive=True)
    return folder, log


def _held(group: Communicator, make: Callable[[], tuple[RunFolder, RunLog]]) -> tuple[RunFolder, RunLog | NoLog]:
    """The run folder, and its log, which the first process alone holds and writes."""
    made: list[tuple[RunFolder, RunLog]] = []

    def claim() -> str:
        made.append(make())
        return str(made[0][0].path)

    path = group.run_on_rank0(claim)
    return made[0] if made else (RunFolder(path), NoLog())


def _started(config: Config, material: Task, old: Checkpoint | None) -> Trainer:
    """A trainer before its first step, from new weights or old ones."""
    trainer = Trainer(material.model(config), material.windows(config), config, material.group)
    if old is not None:
        trainer.model.parameters.assign(old.parameters)
    else:
        initialise(trainer.model.parameters, trainer.model.shape, config.init, np.random.default_rng(config.seed))
    trainer.broadcast_parameters()
    trainer.save_rollback_point()
    return trainer


def _going_on(loop: Loop, planned: int, given: str | None) -> tuple[str, ...]:
    """What a resumed run does, in words. ``planned``: its steps before; ``given``: time from now on."""
    done, steps = loop.trainer.progress.step, loop.trainer.steps
    words = [f"going on from step {done:,}"]
    if given is not None:
        words.append(f"for {given} from now on: about {steps - done:,} more steps, {steps:,} in all")
        if done < planned and steps < planned:
            words.append(f"fewer than the {planned:,} that were planned; without --for it goes on to those")
    return tuple(words)


def _restored(
    folder: RunFolder, changes: dict[str, Any], inputs: Inputs, callback: Callback, clock: autotune.TimeBudget
) -> tuple[Loop, Task, int]:
    """The loop as its last checkpoint left it, its data, and the steps that it had planned."""
    group = clock.group
    saved = group.run_on_rank0(lambda: load(folder.last))
    if not saved.resumable:
        raise CheckpointError(f"{folder.last}: holds a model only; start anew with --init-from")
    for name in _CHOSEN:
        if getattr(saved.config, name) is None:
            raise CheckpointError(f"{folder.last}: its config lacks {name}; start anew with --init-from")
    TrainerState.from_mapping(saved.progress)  # refuses one that no run has written
    config, length = changed(saved, changes)
    backend.check(config.device, config.task, group.size)
    if not isinstance(inputs, Corpus | ExampleSet) and not len(_named(inputs)):
        names: list[str] = saved.corpus.get("inputs", [])
        group.run_on_rank0(lambda: check_data_is_here(names, folder.path))
        inputs = names
    group.run_on_rank0(lambda: check_files_are_here(config))
    material = read(inputs, config, saved.tokenizer, callback, group)
    if material.about["fingerprint"] != saved.corpus.get("fingerprint"):
        what = "text" if config.task == "language-model" else "data"
        raise ConfigError(
            f"the {what} is not the one this run was trained on; give the same {what}, or start anew with --init-from"
        )
    _prepare(config, callback, group)
    config = extended(saved, config, length, material, clock)
    trainer = Trainer(material.model(config), material.windows(config), config, group)
    flat = np.concatenate([saved.parameters[name].reshape(-1) for name in trainer.model.parameters])
    state = {name: array[:, slice(*trainer.windows.part)] for name, array in saved.state.items()}
    trainer.restore(Snapshot(flat, saved.optimizer, state, saved.progress))
    trainer.save_rollback_point()
    evaluator = material.evaluator(trainer.model, config)
    loop = Loop(trainer, saved.tokenizer, saved.corpus, evaluator, folder, callback)
    if clock.budget is not None:
        loop.pace = StepPlanner(clock, _MOST_STEPS, final=evaluator is not None and evaluator.final is not None)
        loop.eval_every = None if "eval_every" in changes else material.eval_every
    return loop, material, saved.config.steps or 0


def _run(loop: Loop, material: Task, signals: StopSignals, log: RunLog | NoLog, choices: tuple[str, ...]) -> Result:
    trainer = loop.trainer
    loop.check_readable()
    loop.write_config()
    start = TrainStart(
        run=str(loop.folder.path),
        parameters=trainer.model.parameters.flat.size,
        data=tuple(material.describe(loop.config)),
        config=loop.config,
        choices=choices,
    )
    loop.callback.on_train_start(start)
    if loop.callback.samples:
        loop.draw = material.drawing(trainer.model, loop.config)
    log.write({"event": "start", "step": trainer.progress.step, "steps": trainer.steps, "data": list(start.data),
               "parameters": start.parameters, "choices": list(choices)})  # fmt: skip
    return dataclasses.replace(loop.run(signals, log), **material.statistics())


def _with_old_sizes(config: Config, old: Checkpoint) -> Config:
    default = Config()
    for name in FIXED:
        given, was = getattr(config, name), getattr(old.config, name)
        if given not in (getattr(default, name), was):
            raise ConfigError(f"{name} is {given}, but the model to start from has {was}; leave it out")
    return config.replace(**{name: getattr(old.config, name) for name in FIXED})
