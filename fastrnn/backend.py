"""Which device computes: the one module that knows. A device is a module with the names of `fastrnn.cpu.kernels`."""

import importlib
import importlib.util
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .config import CELLS, LAYERS, Config
from .errors import BackendError


def load(device: str = "cpu") -> Any:
    """The kernels of a device. Raises `BackendError` when it is not here; never another device instead."""
    if device == "cuda":
        _check_cuda()
    return importlib.import_module(f"fastrnn.{device}.kernels")


def check(device: str, task: str = "language-model", processes: int = 1) -> None:
    """Raises `BackendError` where this device is not here, or cannot learn this task, or not in so many processes."""
    kernels = load(device)
    if task != "language-model" and not kernels.TASKS:
        raise BackendError(f"device {device} runs language models only; use --device cpu for {task}")
    if processes > 1 and not kernels.PROCESSES:
        raise BackendError(f"device {device} trains in one process only; start without MPI, or use --device cpu")


def _check_cuda() -> None:
    """Raises `BackendError` that says what is missing and how to get it."""
    # Numba's own numba.cuda is deprecated; it is not tried
    reason: str | None = "device cuda needs numba-cuda, which is not installed"
    if importlib.util.find_spec("numba_cuda") is not None:
        reason = importlib.import_module("fastrnn.cuda.compiling").missing()
    if reason is not None:
        raise BackendError(
            f"{reason}; pip install 'fastrnn[cuda12]' ('fastrnn[cuda13]' where `nvidia-smi` shows CUDA 13), "
            "or use --device cpu"
        )


def warmup(cells: tuple[str, ...] = LAYERS, precision: str | None = None, device: str = "cpu") -> Iterator[str]:
    """Compile every kernel that training and using with these cells need; yields what is about to be compiled.

    Without ``precision``: what `train` chooses here, and float32, which measuring and the labelled tasks take.
    """
    from .config import OPTIMIZERS
    from .nn.network import Network
    from .nn.products import SPLIT_FROM
    from .training.optimizers import Optimizer

    target = load(device).TARGET
    fast = ("bfloat16",) if target.bfloat16_dot else ()
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
            _tasks(config)
    for name in OPTIMIZERS:
        yield f"optimiser {name}"
        network = Network.from_config(Config(hidden=8, device=device, threads=1), 5)
        optimizer = Optimizer(network, Config(optimizer=name))
        optimizer.step(0.0, optimizer.gradient_norm())


def _language_model(config: Config) -> None:
    from .data.tokens import CharTokenizer
    from .nn.network import Network
    from .sample import Drawing, Sampler

    network = Network.from_config(config, 5)
    x = np.zeros((2, 2), np.int32)
    network.loss_and_gradient(x, x, None, network.initial_state(2), keep=0.5)
    for layers, rounded in ((1, True), (1, False), (config.layers, True)):
        sampled = Network.from_config(config.replace(layers=layers), 5)
        sampler = Sampler(sampled, CharTokenizer("abcde"), rounded=rounded)
        next(sampler.tokens(1, 1, np.zeros(1, np.int64), Drawing(), 0))


def _tasks(config: Config) -> None:
    """Learn and answer two examples of each task that the cell can do, in both directions where that may be."""
    from .data.batches import evaluation_batches
    from .data.encode import encode
    from .data.record import Place, Record, Records
    from .data.vocabulary import Vocabulary
    from .nn.models import build
    from .training.measure import answers

    number, place = np.ones((2, 1), np.float32), Place("warm-up")
    examples: dict[str, tuple[Any, Any]] = {
        "regress": (number, number / 2),
        "classify": ("ab", "x"),
        "tag": (["ab", "c"], ["x", "y"]),
        "generate": ("x", "ab"),
        "translate": ("ab", "c"),
    }
    for task, (x, y) in examples.items():
        if config.cell == "dense" and task not in ("regress", "classify"):
            continue
        items = [Record(x, y, place), Record(x[:1], "y" if task == "classify" else y[:1], place)]
        both = task not in ("generate",) and config.cell != "dense"
        settings = config.replace(task=task, bidirectional=both, min_count=1, valid=0.0)
        records = Records(task, items)
        vocabulary = Vocabulary.build(records, settings)
        model = build(settings, vocabulary.signature(task))
        for batch in evaluation_batches(encode(records, vocabulary)):
            model.learn(batch, {}, keep=0.5)
            answers(model, vocabulary)(batch)
