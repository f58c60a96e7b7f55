"""Compiling kernels before they are needed, for `fastrnn warmup`, and for a run in two processes at once.

A run needs its kernels one after the other, and Python compiles one at a time. So a second process compiles what the
run needs last while the first compiles what it needs first; each finds the other's in the cache on the disk (see
`fastrnn.kernels.cpu.disk_cache`, which lets no two processes compile the same kernel).
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..cells import CELLS
from ..config import Config
from ..kernels import backend
from ..nn.matmul_mode import PRECISE, SPLIT_FROM, sampling_mode
from ..nn.spec import model_spec

_SECONDS = 300.0  # that a helper may take: far more than compiling does on any machine
_VOCAB = 5


def prepare(config: Config, samples: bool) -> None:
    """Compile what a run with this configuration needs, if it has not been compiled; with a second process if there is
    a processor for it. ``samples``: whether it shows what it draws."""
    kernels = backend.load(config.device)
    folder = kernels.KERNELS
    if folder is None or (config.threads or kernels.default_threads()) < 2 or not sys.executable:
        return  # compiled when needed
    settings = _settings(config, kernels)
    marker = folder / f"{hashlib.blake2b(repr((settings, samples)).encode(), digest_size=8).hexdigest()}.prepared"
    if marker.exists():
        return
    with _helper(settings, samples) as helper:
        _compile(settings, samples, first=True)
        if helper is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                helper.wait(_SECONDS)
    with contextlib.suppress(OSError):
        marker.touch()


def _settings(config: Config, kernels: Any) -> Config:
    """What decides which kernels a run needs, and nothing else of its configuration."""
    precision, wide = config.precision or "float32", (config.hidden or 0) >= SPLIT_FROM
    if config.task == "language-model":
        wide = wide or config.hidden is None
        if config.precision is None and kernels.TARGET.bfloat16_fast:
            precision = "bfloat16"
    hidden = SPLIT_FROM if wide else 8
    return Config(
        task=config.task, cell=config.cell, layers=min(config.layers, 2), hidden=hidden, precision=precision,
        bidirectional=config.bidirectional, optimizer=config.optimizer, threads=1,
        tokens="words" if config.tokens == "words" and config.task in ("classify", "translate") else None,
    )  # fmt: skip


@contextlib.contextmanager
def _helper(settings: Config, samples: bool) -> Iterator[subprocess.Popen[bytes] | None]:
    """A process that compiles the same from the other end. It ends when this one does, however that ends."""
    code = "from fastrnn.training.compile_ahead import help_out; help_out()"
    order = json.dumps([settings.to_mapping(), samples])
    try:
        helper = subprocess.Popen(
            [sys.executable, "-P", "-c", code, order],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        yield None
        return
    try:
        yield helper
    finally:
        helper.kill()
        helper.communicate()


def help_out() -> None:
    """What the helper does: see `prepare`. Its argument says what to compile; its input ends with its parent."""

    def leave_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=leave_with_parent, daemon=True).start()
    values, samples = json.loads(sys.argv[1])
    _compile(Config.from_mapping(values), samples, first=False)
    os._exit(0)  # at once: the parent waits


def _compile(settings: Config, samples: bool, first: bool) -> None:
    if settings.task != "language-model":
        compile_task(settings, learn_first=first)
        return
    from .optimizers import Optimizer

    network = tiny_network(settings)
    x = np.zeros((2, 2), np.int32)

    def learn() -> None:
        network.loss_and_gradient(x, x, None, network.initial_state(2), keep=0.5)

    def update() -> None:
        optimizer = Optimizer(network, settings)
        optimizer.step(0.0, optimizer.gradient_norm())

    def validate() -> None:
        for matmul_mode in dict.fromkeys((network.matmul_mode, PRECISE)):  # while training, and at the end
            network.with_shared_parameters(matmul_mode).loss(x, x, None, network.initial_state(2))

    def accumulate() -> None:
        network.load(x, x, None)
        network.pool.together(network.accumulate)

    def draw() -> None:
        if samples:
            _draw(settings, every=False)

    for step in (learn, update, validate, draw) if first else (accumulate, validate, draw, update):
        step()


def tiny_network(config: Config) -> Any:
    from ..nn.network import Network

    return Network.from_config(config, _VOCAB)


def compile_language_model(config: Config) -> None:
    network = tiny_network(config)
    x = np.zeros((2, 2), np.int32)
    network.loss_and_gradient(x, x, None, network.initial_state(2), keep=0.5)
    for layers in (1, config.layers):
        _draw(config.replace(layers=layers))


def _draw(config: Config, every: bool = True) -> None:
    """Draw a token with a model of so many layers, in every way that one may be sampled, or as this size is."""
    from ..nn.incremental import IncrementalDecoder

    network = tiny_network(config)
    assert config.hidden is not None
    ways = {sampling_mode(network.kernels, config.hidden, 1)}
    if every:
        ways |= {sampling_mode(network.kernels, 2 * SPLIT_FROM, 1), "exact"}
    for how in sorted(ways):
        stepper = IncrementalDecoder(network.with_shared_parameters(how), 1, network.parameters["out.bias"])
        stepper.set_state(network.initial_state(1), 0)
        stepper.generate(np.zeros((1, 1)), (1.0, 0, 1.0, 0.0), np.zeros((1, 1), np.int32))


_NUMBER = np.ones((2, 1), np.float32)
# task -> an input and an output
EXAMPLES: dict[str, tuple[Any, Any]] = {
    "regress": (_NUMBER, _NUMBER / 2),
    "classify": ("ab", "x"),
    "tag": (["ab", "c"], ["x", "y"]),
    "generate": ("x", "ab"),
    "translate": ("ab", "c"),
}


STATELESS_TASKS = ("regress", "classify")  # what a dense layer can do


def compile_task(config: Config, learn_first: bool = True) -> None:
    """Learn and answer two examples of a task, in both directions where that may be."""
    from ..data.examples.batching import evaluation_batches
    from ..data.examples.example import Example, ExampleSet, Location
    from ..data.examples.numericalize import numericalize
    from ..data.examples.schema import TaskSchema
    from ..inference.metrics import answers
    from ..nn.models import build

    if config.task not in EXAMPLES:
        return
    (x, y), place = EXAMPLES[config.task], Location("warm-up")
    items = [Example(x, y, place), Example(x[:1], "y" if config.task == "classify" else y[:1], place)]
    both = config.task != "generate" and CELLS[config.cell].is_recurrent
    settings = config.replace(bidirectional=both, min_count=1, valid=0.0)
    records = ExampleSet(config.task, items)
    vocabulary = TaskSchema.build(records, settings)
    model = build(settings, model_spec(vocabulary, config.task))
    for batch in evaluation_batches(numericalize(records, vocabulary)):
        if not learn_first:
            answers(model, vocabulary)(batch)
        model.train_step_gradients(batch, {}, keep=0.5)
        answers(model, vocabulary)(batch)
