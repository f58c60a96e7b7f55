"""The ways into training: a new run, a new run from old weights, and going on with a run."""

import datetime
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import Config, to_toml
from ..data.characters import describe, readable
from ..data.corpus import Corpus, read_corpus, split_corpus
from ..data.tokens import Tokenizer, WordTokenizer
from ..data.windows import Streams
from ..data.words import UNK
from ..errors import CheckpointError, ConfigError
from ..nn.initialisation import initialise
from ..nn.network import Network
from . import auto
from .atomic import write_atomic
from .checkpoint import Checkpoint, load
from .extend import changed, extended
from .log import RunLog
from .loop import Loop
from .reporter import Reporter, Result, Start
from .runfolder import RunFolder, model_path
from .signals import StopSignals
from .trainer import Snapshot, Trainer

_VALIDATED = 1 << 18  # tokens of the validation text that are used while training
_FIXED = ("cell", "layers", "hidden", "tokens", "precision")  # what old weights decide


def train(
    inputs: Sequence[str] | Corpus,
    config: Config | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    init_from: str | os.PathLike[str] | None = None,
    reporter: Reporter | None = None,
) -> Result:
    """Train a new model on files, folders, globs, built-in names or a `Corpus`; everything lands in the folder ``out``.

    ``init_from``: a model whose weights, vocabulary and sizes the new one starts from. Raises `FastRNNError`s:
    `ConfigError`, `InputError`, `OutputError`, `CheckpointError`, `DivergedError`.
    """
    config, reporter = config or Config(), reporter or Reporter()
    with StopSignals(urgent=True) as signals:
        clock = auto.Clock(auto.budget_of(config))
        if out is not None:
            RunFolder(out).check_free()
        old = load(model_path(init_from)) if init_from is not None else None
        if old is not None:
            config = _with_old_sizes(config, old)
        whole = _read(inputs, config, old.tokenizer if old else None, reporter)
        if old is not None:
            _tell_unknown_words(whole, reporter)
        corpus, valid = _split(whole, config, reporter)
        reporter.message("preparing kernels (the first time, compiling takes some seconds)")
        made = auto.plan(config, len(corpus), len(valid) if valid else 0, whole.tokenizer.size, clock)
        config = made.config
        trainer = _trainer(config, whole.tokenizer, corpus)
        if old is not None:
            trainer.network.parameters.assign(old.parameters)
        else:
            initialise(
                trainer.network.parameters, trainer.network.shape, config.init, np.random.default_rng(config.seed)
            )
        trainer.mark_good()
        names = list(whole.names) if isinstance(inputs, Corpus) else list(inputs)
        about = {"inputs": names, "fingerprint": whole.fingerprint, "tokens": len(whole)}
        folder = RunFolder.create(out) if out is not None else RunFolder.create_default(datetime.datetime.now())
        with RunLog(folder.log_path, reporter.message) as log:
            loop = Loop(trainer, whole.tokenizer, about, valid, folder, reporter)
            return _run(loop, signals, log, len(corpus), made.choices)


def resume(
    run: str | os.PathLike[str],
    changes: dict[str, Any] | None = None,
    inputs: Sequence[str] | Corpus = (),
    reporter: Reporter | None = None,
) -> Result:
    """Go on with a run where its last checkpoint left it: the bits are those of a run that never stopped.

    ``changes``: a larger ``steps``, ``epochs`` or ``for_``, or ``threads``, ``eval_every``, ``save_every``,
    ``patience``. ``inputs``: the text, if it is to be found elsewhere now. Raises `ConfigError` for other changes,
    `InputError` when the text is not the same.
    """
    reporter, changes = reporter or Reporter(), dict(changes or {})
    with StopSignals(urgent=True) as signals:
        folder = RunFolder.open(run)
        with RunLog(folder.log_path, reporter.message) as log:  # nobody else trains in this folder from here on
            loop, tokens = _restored(folder, changes, inputs, reporter)
            going_on = f"going on from step {loop.trainer.progress.step:,}"
            return _run(loop, signals, log, tokens, (going_on,))


def _restored(
    folder: RunFolder, changes: dict[str, Any], inputs: Sequence[str] | Corpus, reporter: Reporter
) -> tuple[Loop, int]:
    """The loop as its last checkpoint left it, and the length of the training text."""
    saved = load(folder.last)
    if not saved.state:
        raise CheckpointError(f"{folder.last}: holds a model only; start anew with --init-from")
    config, length = changed(saved, changes)
    whole = _read(inputs or saved.corpus.get("inputs", ()), config, saved.tokenizer, reporter)
    if whole.fingerprint != saved.corpus.get("fingerprint"):
        raise ConfigError(
            "the text is not the one this run was trained on; give the same text, or start anew with --init-from"
        )
    corpus, valid = _split(whole, config, reporter)
    config = extended(saved, config, length, len(corpus), len(valid) if valid else 0)
    trainer = _trainer(config, saved.tokenizer, corpus)
    flat = np.concatenate([saved.parameters[name].reshape(-1) for name in trainer.network.parameters])
    trainer.restore(Snapshot(flat, saved.optimizer, saved.state, saved.progress))
    trainer.mark_good()
    return Loop(trainer, saved.tokenizer, saved.corpus, valid, folder, reporter), len(corpus)


def _run(loop: Loop, signals: StopSignals, log: RunLog, tokens: int, choices: tuple[str, ...]) -> Result:
    trainer = loop.trainer
    write_atomic(loop.folder.config_path, to_toml(loop.config).encode())
    start = Start(
        run=str(loop.folder.path),
        parameters=trainer.network.parameters.flat.size,
        tokens=tokens,
        vocab=loop.tokenizer.size,
        steps=trainer.steps,
        per_epoch=trainer.streams.per_epoch,
        config=loop.config,
        choices=choices,
    )
    loop.reporter.started(start)
    if loop.reporter.samples:
        loop.draw = _drawing(trainer.network, loop.tokenizer, loop.config)
    log.write({"event": "start", "step": trainer.progress.step, "steps": trainer.steps, "tokens": tokens,
               "parameters": start.parameters, "vocab": start.vocab, "choices": list(choices)})  # fmt: skip
    return loop.run(signals, log)


def _drawing(network: Network, tokenizer: Tokenizer, config: Config) -> Any:
    from ..sample import Drawing, Sampler

    def draw() -> str:
        sampler = Sampler(network, tokenizer, config.document_separator)
        return "".join(chunk[0] for chunk in sampler.stream(1, 120, "", Drawing(temperature=0.8), seed=config.seed))

    return draw


def _with_old_sizes(config: Config, old: Checkpoint) -> Config:
    default = Config()
    for name in _FIXED:
        given, was = getattr(config, name), getattr(old.config, name)
        if given not in (getattr(default, name), was):
            raise ConfigError(f"{name} is {given}, but the model to start from has {was}; leave it out")
    return config.replace(**{name: getattr(old.config, name) for name in _FIXED})


def _read(inputs: Sequence[str] | Corpus, config: Config, tokenizer: Tokenizer | None, reporter: Reporter) -> Corpus:
    if isinstance(inputs, Corpus):
        return inputs
    skip = "skip" if tokenizer is not None else "error"
    corpus = read_corpus(
        inputs,
        tokens=config.tokens,
        min_count=config.min_count,
        separator=config.document_separator,
        tokenizer=tokenizer,
        unknown=skip,
    )
    _tell_skipped(corpus, "the old model does not know them", reporter)
    return corpus


def _tell_skipped(corpus: Corpus, why: str, reporter: Reporter) -> None:
    if corpus.skipped:
        reporter.message(f"left out, because {why}: {describe(corpus.skipped)}")


def _tell_unknown_words(corpus: Corpus, reporter: Reporter) -> None:
    if isinstance(corpus.tokenizer, WordTokenizer):
        unknown = int(np.count_nonzero(corpus.ids == corpus.tokenizer.ids[UNK]))
        if unknown:
            reporter.message(f"{unknown:,} of {len(corpus):,} words are unknown to the old model: {UNK}")


def _split(whole: Corpus, config: Config, reporter: Reporter) -> tuple[Corpus, Corpus | None]:
    corpus: Corpus = whole
    valid: Corpus | None = None
    if config.valid_file is not None:
        valid = _read_valid_file(config.valid_file, whole, config, reporter)
    elif config.valid:
        corpus, valid = split_corpus(whole, config.valid)
    if valid is not None and len(valid) > _VALIDATED:
        reporter.message(f"validating on the first {_VALIDATED:,} of {len(valid):,} tokens")
        valid, _ = split_corpus(valid, 1 - _VALIDATED / len(valid))
    return corpus, valid


def _read_valid_file(path: str, whole: Corpus, config: Config, reporter: Reporter) -> Corpus:
    corpus = read_corpus([path], separator=config.document_separator, tokenizer=whole.tokenizer, unknown="skip")
    _tell_skipped(corpus, f"{readable(path)} has them and the training text has not", reporter)
    return corpus


def _trainer(config: Config, tokenizer: Tokenizer, corpus: Corpus) -> Trainer:
    assert config.batch is not None
    streams = Streams(corpus, config.batch, config.seq, config.seed)
    return Trainer(Network.from_config(config, tokenizer.size), streams, config)
