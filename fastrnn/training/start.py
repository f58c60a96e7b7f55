"""The ways into training: a new run, a new run from old weights, and going on with a run."""

import datetime
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backend
from ..config import Config
from ..config_file import to_toml
from ..data.corpus import Corpus
from ..data.record import Records
from ..errors import CheckpointError, ConfigError
from ..nn.initialisation import initialise
from . import auto
from .atomic import write_atomic
from .checkpoint import Checkpoint, load
from .extend import changed, extended
from .log import RunLog
from .loop import Loop
from .material import Material, read
from .reporter import Reporter, Result, Start
from .runfolder import RunFolder, model_path
from .signals import StopSignals
from .trainer import Snapshot, Trainer

# What training reads: files, folders, globs, built-in names; or what was read from them.
Inputs = Sequence[str] | Corpus | Records
_FIXED = ("task", "cell", "layers", "hidden", "bidirectional", "tokens", "precision")  # what old weights decide


def train(
    inputs: Inputs,
    config: Config | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    init_from: str | os.PathLike[str] | None = None,
    reporter: Reporter | None = None,
) -> Result:
    """Train a new model on files, folders, globs, built-in names, a `Corpus` or `Records`; everything lands in ``out``.

    ``init_from``: a model whose weights, vocabulary and sizes the new one starts from. Raises `FastRNNError`s:
    `ConfigError`, `InputError`, `OutputError`, `CheckpointError`, `DivergedError`.
    """
    config, reporter = config or Config(), reporter or Reporter()
    with StopSignals(urgent=True) as signals:
        clock = auto.Clock(auto.budget_of(config))
        backend.load(config.device)  # not here: said before anything is read
        if out is not None:
            RunFolder(out).check_free()
        old = load(model_path(init_from)) if init_from is not None else None
        if old is not None:
            config = _with_old_sizes(config, old)
        material = read(inputs, config, old.tokenizer if old else None, reporter)
        if old is not None:
            material.tell_unknown(reporter)
        reporter.message("preparing kernels (the first time, compiling takes some seconds)")
        made = material.plan(config, clock)
        trainer = _started(made.config, material, old)
        folder = RunFolder.create(out) if out is not None else RunFolder.create_default(datetime.datetime.now())
        with RunLog(folder.log_path, reporter.message) as log:
            loop = Loop(
                trainer, material.tokenizer, material.about, material.evaluator(trainer.model), folder, reporter
            )
            return _run(loop, material, signals, log, made.choices)


def resume(
    run: str | os.PathLike[str],
    changes: dict[str, Any] | None = None,
    inputs: Inputs = (),
    reporter: Reporter | None = None,
) -> Result:
    """Go on with a run where its last checkpoint left it: the bits are those of a run that never stopped.

    ``changes``: a larger ``steps``, ``epochs`` or ``for_``, or ``threads``, ``eval_every``, ``save_every``,
    ``patience``. ``inputs``: the data, if it is to be found elsewhere now. Raises `ConfigError` for other changes,
    `InputError` when the data is not the same.
    """
    reporter, changes = reporter or Reporter(), dict(changes or {})
    with StopSignals(urgent=True) as signals:
        folder = RunFolder.open(run)
        with RunLog(folder.log_path, reporter.message) as log:  # nobody else trains in this folder from here on
            loop, material = _restored(folder, changes, inputs, reporter)
            going_on = f"going on from step {loop.trainer.progress.step:,}"
            return _run(loop, material, signals, log, (going_on,))


def _started(config: Config, material: Material, old: Checkpoint | None) -> Trainer:
    """A trainer before its first step, from new weights or old ones."""
    trainer = Trainer(material.model(config), material.windows(config), config)
    if old is not None:
        trainer.model.parameters.assign(old.parameters)
    else:
        initialise(trainer.model.parameters, trainer.model.shape, config.init, np.random.default_rng(config.seed))
    trainer.mark_good()
    return trainer


def _restored(folder: RunFolder, changes: dict[str, Any], inputs: Inputs, reporter: Reporter) -> tuple[Loop, Material]:
    """The loop as its last checkpoint left it, and its data."""
    saved = load(folder.last)
    if not saved.resumable:
        raise CheckpointError(f"{folder.last}: holds a model only; start anew with --init-from")
    config, length = changed(saved, changes)
    given = isinstance(inputs, (Corpus, Records)) or len(inputs) > 0
    material = read(inputs if given else saved.corpus.get("inputs", ()), config, saved.tokenizer, reporter)
    if material.about["fingerprint"] != saved.corpus.get("fingerprint"):
        what = "text" if config.task == "language-model" else "data"
        raise ConfigError(
            f"the {what} is not the one this run was trained on; give the same {what}, or start anew with --init-from"
        )
    config = extended(saved, config, length, material)
    trainer = Trainer(material.model(config), material.windows(config), config)
    flat = np.concatenate([saved.parameters[name].reshape(-1) for name in trainer.model.parameters])
    trainer.restore(Snapshot(flat, saved.optimizer, saved.state, saved.progress))
    trainer.mark_good()
    evaluator = material.evaluator(trainer.model)
    return Loop(trainer, saved.tokenizer, saved.corpus, evaluator, folder, reporter), material


def _run(loop: Loop, material: Material, signals: StopSignals, log: RunLog, choices: tuple[str, ...]) -> Result:
    trainer = loop.trainer
    write_atomic(loop.folder.config_path, to_toml(loop.config).encode())
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
    return loop.run(signals, log)


def _with_old_sizes(config: Config, old: Checkpoint) -> Config:
    default = Config()
    for name in _FIXED:
        given, was = getattr(config, name), getattr(old.config, name)
        if given not in (getattr(default, name), was):
            raise ConfigError(f"{name} is {given}, but the model to start from has {was}; leave it out")
    return config.replace(**{name: getattr(old.config, name) for name in _FIXED})
