"""Compiling kernels before they are needed, for `fastrnn warmup`, and for a run in two processes at once.

A run needs its kernels one after the other, and Python compiles one at a time. So a second process compiles what the
run needs last while the first compiles what it needs first; each finds the other's in the cache on the disk (see
`fastrnn.cpu.cache`, which lets no two processes compile the same kernel).
"""

import contextlib
import hashlib
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import backend
from .config import CELLS, LAYERS, OPTIMIZERS, Config
from .nn.products import PRECISE, SPLIT_FROM, sampling

_SECONDS = 300.0  # that a helper may take: far more than compiling does on any machine
_VOCAB = 5


def warmup(cells: tuple[str, ...] = LAYERS, precision: str | None = None, device: str = "cpu") -> Iterator[str]:
    """Compile every kernel that training and using with these cells need; yields what is about to be compiled.

    Without ``precision``: what `train` chooses here, and float32, which measuring and the labelled tasks take.
    """
    from .training.optimizers import Optimizer

    target = backend.load(device).TARGET
    fast = ("bfloat16",) if target.bfloat16_fast else ()
    settings = [(kind, 8) for kind in ((precision,) if precision else (*fast, "float32"))]
    if target.amx and ("float32", 8) in settings:
        settings.append(("float32", SPLIT_FROM))
    for cell, (kind, hidden) in itertools.product(cells, settings):
        config = Config(task="regress", cell=cell, layers=2, hidden=hidden, precision=kind, device=device, threads=1)
        if cell in CELLS:
            yield f"{cell}: {'wide ' if hidden > 8 else ''}language models in {kind}"
            _language_model(config.replace(task="language-model"))
        if kind != "bfloat16" or precision:
            yield f"{cell}: {'wide ' if hidden > 8 else ''}labelled tasks in {kind}"
            for task in _EXAMPLES:
                if cell in CELLS or task in _WITHOUT_MEMORY:
                    _task(config.replace(task=task))
    for name in OPTIMIZERS:
        yield f"optimiser {name}"
        network = _network(Config(hidden=8, device=device, threads=1))
        optimizer = Optimizer(network, Config(optimizer=name))
        optimizer.step(0.0, optimizer.gradient_norm())


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
    code = "from fastrnn.preparing import help_out; help_out()"
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
        _task(settings, learn_first=first)
        return
    from .training.optimizers import Optimizer

    network = _network(settings)
    x = np.zeros((2, 2), np.int32)

    def learn() -> None:
        network.loss_and_gradient(x, x, None, network.initial_state(2), keep=0.5)

    def update() -> None:
        optimizer = Optimizer(network, settings)
        optimizer.step(0.0, optimizer.gradient_norm())

    def validate() -> None:
        for products in dict.fromkeys((network.products, PRECISE)):  # while training, and at the end
            network.sibling(products).loss(x, x, None, network.initial_state(2))

    def accumulate() -> None:
        network.load(x, x, None)
        network.pool.together(network.accumulate)

    def draw() -> None:
        if samples:
            _draw(settings, every=False)

    for step in (learn, update, validate, draw) if first else (accumulate, validate, draw, update):
        step()


def _network(config: Config) -> Any:
    from .nn.network import Network

    return Network.from_config(config, _VOCAB)


def _language_model(config: Config) -> None:
    network = _network(config)
    x = np.zeros((2, 2), np.int32)
    network.loss_and_gradient(x, x, None, network.initial_state(2), keep=0.5)
    for layers in (1, config.layers):
        _draw(config.replace(layers=layers))


def _draw(config: Config, every: bool = True) -> None:
    """Draw a token with a model of so many layers, in every way that one may be sampled, or as this size is."""
    from .nn.stepping import Stepper

    network = _network(config)
    assert config.hidden is not None
    ways = {sampling(network.kernels, config.hidden, 1)}
    if every:
        ways |= {sampling(network.kernels, 2 * SPLIT_FROM, 1), "exact"}
    for how in sorted(ways):
        stepper = Stepper(network.sibling(how), 1, network.parameters["out.bias"])
        stepper.enter(network.initial_state(1), 0)
        stepper.generate(np.zeros((1, 1)), (1.0, 0, 1.0, 0.0), np.zeros((1, 1), np.int32))


_NUMBER = np.ones((2, 1), np.float32)
# task -> an input and an output
_EXAMPLES: dict[str, tuple[Any, Any]] = {
    "regress": (_NUMBER, _NUMBER / 2),
    "classify": ("ab", "x"),
    "tag": (["ab", "c"], ["x", "y"]),
    "generate": ("x", "ab"),
    "translate": ("ab", "c"),
}


_WITHOUT_MEMORY = ("regress", "classify")  # what a dense layer can do


def _task(config: Config, learn_first: bool = True) -> None:
    """Learn and answer two examples of a task, in both directions where that may be."""
    from .data.batches import evaluation_batches
    from .data.encode import encode
    from .data.record import Place, Record, Records
    from .data.vocabulary import Vocabulary
    from .nn.models import build
    from .training.measure import answers

    if config.task not in _EXAMPLES:
        return
    (x, y), place = _EXAMPLES[config.task], Place("warm-up")
    items = [Record(x, y, place), Record(x[:1], "y" if config.task == "classify" else y[:1], place)]
    both = config.task != "generate" and config.cell != "dense"
    settings = config.replace(bidirectional=both, min_count=1, valid=0.0)
    records = Records(config.task, items)
    vocabulary = Vocabulary.build(records, settings)
    model = build(settings, vocabulary.signature(config.task))
    for batch in evaluation_batches(encode(records, vocabulary)):
        if not learn_first:
            answers(model, vocabulary)(batch)
        model.learn(batch, {}, keep=0.5)
        answers(model, vocabulary)(batch)
