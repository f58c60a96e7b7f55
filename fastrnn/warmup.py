"""Compile every kernel ahead of time, for `fastrnn warmup`."""

import itertools
from collections.abc import Iterator

from .cells import RECURRENT_CELLS
from .config import ALL_CELLS, OPTIMIZERS, Config
from .kernels import backend
from .nn.matmul_mode import SPLIT_FROM
from .training.compile_ahead import EXAMPLES, STATELESS_TASKS, compile_language_model, compile_task, tiny_network
from .training.optimizers import Optimizer


def warmup(cells: tuple[str, ...] = ALL_CELLS, precision: str | None = None, device: str = "cpu") -> Iterator[str]:
    """Compile every kernel that training and using with these cells need; yields what is about to be compiled.

    Without ``precision``: what `train` chooses here, and float32, which measuring and the labelled tasks take.
    """
    target = backend.load(device).TARGET
    fast = ("bfloat16",) if target.bfloat16_fast else ()
    settings = [(kind, 8) for kind in ((precision,) if precision else (*fast, "float32"))]
    if target.amx and ("float32", 8) in settings:
        settings.append(("float32", SPLIT_FROM))
    for cell, (kind, hidden) in itertools.product(cells, settings):
        config = Config(task="regress", cell=cell, layers=2, hidden=hidden, precision=kind, device=device, threads=1)
        if cell in RECURRENT_CELLS:
            yield f"{cell}: {'wide ' if hidden > 8 else ''}language models in {kind}"
            compile_language_model(config.replace(task="language-model"))
        if kind != "bfloat16" or precision:
            yield f"{cell}: {'wide ' if hidden > 8 else ''}labelled tasks in {kind}"
            for task in EXAMPLES:
                if cell in RECURRENT_CELLS or task in STATELESS_TASKS:
                    compile_task(config.replace(task=task))
    for name in OPTIMIZERS:
        yield f"optimiser {name}"
        network = tiny_network(Config(hidden=8, device=device, threads=1))
        optimizer = Optimizer(network, Config(optimizer=name))
        optimizer.step(0.0, optimizer.gradient_norm())
