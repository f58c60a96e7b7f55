"""The ways into training: a new run, a new run from old weights, and going on with a run."""

import dataclasses
import datetime
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backend
from ..config import Config, parse_duration
from ..data.corpus import Corpus
from ..data.record import Records
from ..data.text import Paths, names_of
from ..errors import CheckpointError, ConfigError, InputError
from ..message import quoted
from ..nn.initialisation import initialise
from ..parallel.group import Group, world
from ..plain import check_path
from ..preparing import prepare
from . import auto
from .atomic import remove_litter
from .checkpoint import Checkpoint, load
from .extend import FIXED, changed, check_changes, check_data_is_here, check_files_are_here, extended
from .log import NoLog, RunLog
from .loop import Loop
from .material import Material, read
from .pace import Pace
from .progress import Progress
from .reporter import Reporter, Result, Start
from .runfolder import RunFolder, model_path
from .signals import StopSignals
from .trainer import Snapshot, Trainer

_MOST_STEPS = 10**12  # of a run that goes on for some time: as many as that allows
# What training reads: files, folders, globs, built-in names; or what was read from them.
Inputs = Paths | Corpus | Records
_CHOSEN = ("steps", "batch", "lr", "warmup", "dropout")  # what every run has settled when it starts


def train(
    inputs: Inputs,
    config: Config | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    init_from: str | os.PathLike[str] | None = None,
    reporter: Reporter | None = None,
    started: float | None = None,
    raise_interrupt: bool = False,
) -> Result:
    """Train a new model on files, folders, globs, built-in names, a `Corpus` or `Records`; everything lands in ``out``.

    ``init_from``: a model whose weights, vocabulary and sizes the new one starts from. ``started``: where a time
    budget counts from, by `time.monotonic`; now, if that is not given. ``raise_interrupt``: raise `KeyboardInterrupt`
    after saving when Ctrl-C stops the run (`SystemExit` for SIGTERM), so that a loop of trainings ends; otherwise the
    `Result` tells of it. Raises `FastRNNError`s: `ConfigError`, `InputError`, `OutputError`, `CheckpointError`,
    `DivergedError`.
    """
    config = _checked_config(config)
    out, init_from = (None if p is None else check_path(n, p) for n, p in (("out", out), ("init_from", init_from)))
    inputs, group = _named(inputs), world()
    reporter = _first_alone(reporter, group)
    with StopSignals(urgent=True, raises=raise_interrupt) as signals:
        backend.check(config.device, config.task, group.size)  # before anything is read
        clock = auto.Clock(auto.budget_of(config), group, started)
        if out is not None:
            group.first(RunFolder(out).check_free)
        old = group.first(lambda: load(model_path(init_from))) if init_from is not None else None
        if old is not None:
            config = _with_old_sizes(config, old)
        material = read(inputs, config, old.tokenizer if old else None, reporter, group)
        config = config.replace(tokens=material.tokens)
        if old is not None:
            if material.tokenizer != old.tokenizer:  # a corpus that was read by itself
                raise InputError(
                    "this corpus has another vocabulary than the model; read it with tokenizer=that of the model"
                )
            material.tell_unknown(reporter)
        _prepare(config, reporter, group)
        if clock.budget is not None and clock.here() < clock.budget / 2:
            spent = clock.budget - clock.here()
            reporter.message(
                f"reading and compiling took {spent:.0f} of the {clock.budget:.0f} s; compiled kernels are kept, "
                "so a run after this one has that time to learn"
            )
        made = material.plan(config, clock)
        trainer = _started(made.config, material, old)
        folder, opened = _held(group, lambda: _new_folder(out, reporter))
        with opened as log:
            evaluator = material.evaluator(trainer.model, made.config)
            loop = Loop(trainer, material.tokenizer, material.about, evaluator, folder, reporter)
            loop.pace = Pace(clock, made.most_steps, final=evaluator is not None and evaluator.final is not None)
            loop.eval_every = None if config.eval_every else material.eval_every
            result = _run(loop, material, signals, log, made.choices)
    # A signal that came too late for the loop counts too.
    return signals.finished(dataclasses.replace(result, signal=signals.stop))


def resume(
    run: str | os.PathLike[str],
    changes: dict[str, Any] | None = None,
    inputs: Inputs = (),
    reporter: Reporter | None = None,
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
    reporter = _first_alone(reporter, group)
    with StopSignals(urgent=True, raises=raise_interrupt) as signals:
        given = changes.get("for_")
        clock = auto.Clock(parse_duration(given) if given is not None else None, group, started)
        folder, opened = _held(group, lambda: _old_folder(run, reporter))
        with opened as log:  # nobody else trains in this folder from here on
            loop, material, planned = _restored(folder, changes, inputs, reporter, clock)
            result = _run(loop, material, signals, log, _going_on(loop, planned, given))
    return signals.finished(dataclasses.replace(result, signal=signals.stop))


def _checked_config(config: Config | None) -> Config:
    if config is not None and not isinstance(config, Config):
        raise ConfigError(f"config must be a fastrnn.Config, not {quoted(config)}; make one with Config(**settings)")
    return config or Config()


def _prepare(config: Config, reporter: Reporter, group: Group) -> None:
    reporter.message("preparing kernels (the first time, compiling takes some seconds)")
    if group.size == 1:  # many processes of a machine share the work already
        prepare(config, reporter.samples)


def _named(inputs: Inputs) -> list[str] | Corpus | Records:
    return inputs if isinstance(inputs, Corpus | Records) else names_of(inputs)


def _first_alone(reporter: Reporter | None, group: Group) -> Reporter:
    """The first process alone tells what happens."""
    return reporter if reporter is not None and group.rank == 0 else Reporter()


def _new_folder(out: str | os.PathLike[str] | None, reporter: Reporter) -> tuple[RunFolder, RunLog]:
    folder = RunFolder.create(out) if out is not None else RunFolder.create_default(datetime.datetime.now())
    return folder, RunLog(folder.log_path, reporter.message, folder.claimed)


def _old_folder(run: str | os.PathLike[str], reporter: Reporter) -> tuple[RunFolder, RunLog]:
    folder = RunFolder.open(run)
    log = RunLog(folder.log_path, reporter.message)
    remove_litter(folder.path, alone=True)
    return folder, log


def _held(group: Group, make: Callable[[], tuple[RunFolder, RunLog]]) -> tuple[RunFolder, RunLog | NoLog]:
    """The run folder, and its log, which the first process alone holds and writes."""
    made: list[tuple[RunFolder, RunLog]] = []

    def claim() -> str:
        made.append(make())
        return str(made[0][0].path)

    path = group.first(claim)
    return made[0] if made else (RunFolder(path), NoLog())


def _started(config: Config, material: Material, old: Checkpoint | None) -> Trainer:
    """A trainer before its first step, from new weights or old ones."""
    trainer = Trainer(material.model(config), material.windows(config), config, material.group)
    if old is not None:
        trainer.model.parameters.assign(old.parameters)
    else:
        initialise(trainer.model.parameters, trainer.model.shape, config.init, np.random.default_rng(config.seed))
    trainer.align()
    trainer.mark_good()
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
    folder: RunFolder, changes: dict[str, Any], inputs: Inputs, reporter: Reporter, clock: auto.Clock
) -> tuple[Loop, Material, int]:
    """The loop as its last checkpoint left it, its data, and the steps that it had planned."""
    group = clock.group
    saved = group.first(lambda: load(folder.last))
    if not saved.resumable:
        raise CheckpointError(f"{folder.last}: holds a model only; start anew with --init-from")
    for name in _CHOSEN:
        if getattr(saved.config, name) is None:
            raise CheckpointError(f"{folder.last}: its config lacks {name}; start anew with --init-from")
    Progress.from_mapping(saved.progress)  # refuses one that no run has written
    config, length = changed(saved, changes)
    backend.check(config.device, config.task, group.size)
    if not isinstance(inputs, Corpus | Records) and not len(_named(inputs)):
        names: list[str] = saved.corpus.get("inputs", [])
        group.first(lambda: check_data_is_here(names, folder.path))
        inputs = names
    group.first(lambda: check_files_are_here(config))
    material = read(inputs, config, saved.tokenizer, reporter, group)
    if material.about["fingerprint"] != saved.corpus.get("fingerprint"):
        what = "text" if config.task == "language-model" else "data"
        raise ConfigError(
            f"the {what} is not the one this run was trained on; give the same {what}, or start anew with --init-from"
        )
    _prepare(config, reporter, group)
    config = extended(saved, config, length, material, clock)
    trainer = Trainer(material.model(config), material.windows(config), config, group)
    flat = np.concatenate([saved.parameters[name].reshape(-1) for name in trainer.model.parameters])
    state = {name: array[:, slice(*trainer.windows.part)] for name, array in saved.state.items()}
    trainer.restore(Snapshot(flat, saved.optimizer, state, saved.progress))
    trainer.mark_good()
    evaluator = material.evaluator(trainer.model, config)
    loop = Loop(trainer, saved.tokenizer, saved.corpus, evaluator, folder, reporter)
    if clock.budget is not None:
        loop.pace = Pace(clock, _MOST_STEPS, final=evaluator is not None and evaluator.final is not None)
        loop.eval_every = None if "eval_every" in changes else material.eval_every
    return loop, material, saved.config.steps or 0


def _run(loop: Loop, material: Material, signals: StopSignals, log: RunLog | NoLog, choices: tuple[str, ...]) -> Result:
    trainer = loop.trainer
    loop.check_readable()
    loop.write_config()
    start = Start(
        run=str(loop.folder.path),
        parameters=trainer.model.parameters.flat.size,
        data=tuple(material.describe(loop.config)),
        config=loop.config,
        choices=choices,
    )
    loop.reporter.started(start)
    if loop.reporter.samples:
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
