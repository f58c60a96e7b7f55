"""Compile all kernels ahead of time, for `fastrnn warmup`."""

import itertools
from collections.abc import Iterator

from .cells import RECURRENT_CELLS
from .config import ALL_CELLS, OPTIMIZERS, Config
from .kernels import backend
from .nn.matmul_mode import BF16X3_MIN_WIDTH
from .task_specs import TASK_SPECS, get_supervised_task, list_supervised_tasks
from .training.compile_ahead import compile_language_model, compile_task, tiny_network
from .training.optimizers import Optimizer


def warmup(cells: tuple[str, ...] = ALL_CELLS, precision: str | None = None, device: str = "cpu") -> Iterator[str]:
    """Compile the kernels for training and using models with these cells.

    Args:
        cells: Names of cells.
        precision: "float32", "bfloat16" or "float64"; default: the one that training picks on this
            machine, and float32, which evaluation and the supervised tasks use.
        device: "cpu" or "cuda".

    Yields:
        A description of each group of kernels before it is compiled.

    Raises:
        BackendError: The device is not available or does not support the precision.
    """
    target = backend.load(device).TARGET
    fast = ("bfloat16",) if target.bfloat16_fast else ()
    settings = [(kind, 8) for kind in ((precision,) if precision else (*fast, "float32"))]
    # Wide layers have kernels of their own where float32 is split into bfloat16 parts.
    if target.amx and ("float32", 8) in settings:
        settings.append(("float32", BF16X3_MIN_WIDTH))
    for cell, (kind, hidden) in itertools.product(cells, settings):
        width = "wide " if hidden > 8 else ""
        config = Config(task="regress", cell=cell, layers=2, hidden=hidden, precision=kind, device=device, threads=1)
        if cell in RECURRENT_CELLS:
            yield f"{cell}: {width}language models in {kind}"
            compile_language_model(config.replace(task="language-model"))
        if kind != "bfloat16" or precision:
            yield f"{cell}: {width}labelled tasks in {kind}"
            for task in list_supervised_tasks():
                supports_cell = cell in RECURRENT_CELLS or TASK_SPECS[task].supports_dense_cell
                if supports_cell and get_supervised_task(task).warmup_examples:
                    compile_task(config.replace(task=task))

    for name in OPTIMIZERS:
        yield f"optimiser {name}"
        network = tiny_network(Config(hidden=8, device=device, threads=1))
        optimizer = Optimizer(network, Config(optimizer=name))
        optimizer.step(0.0, optimizer.gradient_norm())
