"""Ahead-of-time compilation of kernels: for a run, in two or three processes, and for `fastrnn warmup`.

One process compiles one kernel at a time. So helper processes compile some kernels while the run compiles others; each
loads those of the others from the disk cache (`fastrnn.kernels.cpu.disk_cache`, which prevents two processes from
compiling the same kernel).
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..cells import CELLS
from ..config import Config
from ..data.text.bptt import Window
from ..data.text.ngrams import NGrams
from ..kernels import backend
from ..kernels.backend import Backend
from ..kernels.cpu.thread_pool import default_processes
from ..nn.matmul_mode import BF16X3_MIN_WIDTH, EVALUATION_MODE, EXACT, sampling_mode
from ..nn.spec import model_spec
from ..nn.stack import Dropout
from ..task_specs import TASK_SPECS, get_supervised_task
from .hyperparameters import may_read_ngrams

# Timeout for the helper, far longer than compiling takes on any machine.
_SECONDS = 300.0
_REPORT_SECONDS = 10.0
_VOCAB = 5
# The order in which each process compiles: the run, which compiles everything, and its helpers. A kernel that another
# process has compiled takes no time. Forward, backward and sampling take longest, a quarter of the time each.
_ORDERS = (
    ("validate", "update", "train", "sample"),
    ("backward", "sample", "accumulate", "update", "validate"),
    ("accumulate", "sample", "update", "validate"),
)


def compile_for_run(
    config: Config, samples: bool, report: Callable[[str], None] = lambda text: None, rank: int | None = None
) -> None:
    """Compile the kernels of a run, unless they are in the disk cache.

    This happens before a run is planned, so that compiling takes no time of its steps. Without a disk cache this
    process compiles for itself. Does nothing on a device whose kernels depend on sizes that are chosen later.

    Args:
        config: Configuration of the run.
        samples: Whether the run prints samples.
        report: Receives a line when something has to be compiled, and its progress, also from another thread.
        rank: The rank of this process in a group whose other processes compile too; None: helper processes are started,
            if there are processors for them.
    """
    kernels = backend.load(config.device)
    folder = kernels.KERNELS
    settings = _settings(config, kernels)
    if folder is None:
        report("preparing kernels (compiling takes up to a minute where they are not in the cache)")
        if kernels.COMPILES_AHEAD:
            _compile(settings, samples, 0)
        return

    # The marker records that this set of kernels is complete, without loading any of them.
    marker = folder / f"{hashlib.blake2b(repr((settings, samples)).encode(), digest_size=8).hexdigest()}.prepared"
    if marker.exists():
        return

    orders = 2 if TASK_SPECS[config.task].is_supervised else len(_ORDERS)
    processes = min(config.threads or default_processes(), orders) if rank is None and sys.executable else 1
    slow = rank is None and processes == 1
    report(f"compiling kernels: once for models of this kind, {'a minute or two' if slow else '10 to 60 seconds'}")
    with contextlib.ExitStack() as stack:
        stack.enter_context(_progress(folder, report))
        helpers = [stack.enter_context(_start_helper(settings, samples, number)) for number in range(1, processes)]
        if rank:  # as a helper first, so that the ranks of a host compile different kernels
            _compile(settings, samples, rank % orders)
        _compile(settings, samples, 0)
        for helper in helpers:
            if helper is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    helper.wait(_SECONDS)
    with contextlib.suppress(OSError):
        marker.touch()


@contextlib.contextmanager
def _progress(folder: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Report the number of kernels that have been compiled every ten seconds, from a thread."""
    before = _count_kernels(folder)
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(_REPORT_SECONDS):
            report(f"{_count_kernels(folder) - before} kernels compiled")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _count_kernels(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*.kernel"))


def _settings(config: Config, kernels: Backend) -> Config:
    """Return a configuration with only the settings that determine the kernels of the run."""
    precision = config.precision or "float32"
    wide = (config.hidden or 0) >= BF16X3_MIN_WIDTH
    spec = TASK_SPECS[config.task]
    if not spec.is_supervised:
        wide = wide or config.hidden is None
        if config.precision is None and kernels.TARGET.bfloat16_fast:
            precision = "bfloat16"
    # Kernels depend on types and not on sizes, so 8 units serve for all narrow models. Only sampling has one kernel for
    # one and two layers, one for three and four, and so on; deeper models compile theirs when they sample.
    hidden = BF16X3_MIN_WIDTH if wide else 8
    return Config(
        task=config.task, cell=config.cell, layers=min(config.layers or 2, 4), hidden=hidden, precision=precision,
        bidirectional=config.bidirectional, optimizer=config.optimizer, threads=1,
        tokens="words" if config.tokens == "words" and spec.embeds_words else None,
    )  # fmt: skip


@contextlib.contextmanager
def _start_helper(settings: Config, samples: bool, number: int) -> Iterator[subprocess.Popen[bytes] | None]:
    """Run a process that compiles the same kernels in the order of its ``number``; it is killed on exit.

    Its standard input is a pipe from this process: when that closes, for whatever reason, the
    helper ends (see `run_helper`). Yields None if it cannot be started.
    """
    code = "from fastrnn.training.compile_ahead import run_helper; run_helper()"
    arguments = json.dumps([settings.to_dict(), samples, number])
    try:
        helper = subprocess.Popen(
            # -P: a file in the user's folder that has the name of a module must not be imported.
            [sys.executable, "-P", "-c", code, arguments],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        yield None
        return
    try:
        yield helper
    finally:
        # The kernels it has finished are in the cache; nothing is lost with the one it is working on.
        helper.kill()
        helper.communicate()


def run_helper() -> None:
    """Run as a helper process; its argument is that of `_start_helper`, as JSON."""

    def exit_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=exit_with_parent, daemon=True).start()
    values, samples, number = json.loads(sys.argv[1])
    _compile(Config.from_dict(values), samples, number)
    os._exit(0)  # skip the interpreter's clean-up: the parent is waiting


def _compile(settings: Config, samples: bool, number: int) -> None:
    """Compile the kernels of a run in the order of process ``number``: see `_ORDERS`; a task has two orders."""
    if TASK_SPECS[settings.task].is_supervised:
        compile_task(settings, train_first=number == 0)
        return
    from .optimizers import Optimizer

    network = tiny_network(settings)
    x = np.zeros((2, 2), np.int32)

    def train() -> None:
        network.train_step_gradients(Window(x, x, None), network.initial_state(2), Dropout(0.5))

    def update() -> None:
        optimizer = Optimizer(network, settings)
        optimizer.step(0.0, optimizer.gradient_norm())

    def validate() -> None:
        # Validation during training uses the training mode, the final one the evaluation mode.
        for matmul_mode in dict.fromkeys((network.matmul_mode, EVALUATION_MODE)):
            network.with_shared_parameters(matmul_mode).loss(x, x, None, network.initial_state(2))

    def backward() -> None:
        network.set_window(x, x, None)
        network.pool.together(lambda part: network.stack.backward(part.range(2), Dropout(0.5)))

    def accumulate() -> None:
        # The output layer first: the run compiles its kernels last.
        network.set_window(x, x, None)
        network.pool.together(lambda part: network.out.accumulate(part, network.logits, network.stack.outputs))
        network.pool.together(network.stack.accumulate)

    def sample() -> None:
        if samples:
            _compile_sampling(settings, every=False)

    steps = {step.__name__: step for step in (train, update, validate, backward, accumulate, sample)}
    for name in _ORDERS[number]:
        steps[name]()


def tiny_network(config: Config) -> Any:
    """Return a language model with a small vocabulary: kernels do not depend on V."""
    from ..nn.network import Network

    ngrams = NGrams(_VOCAB, [0] if may_read_ngrams(config) else [])
    network = Network.from_config(config, _VOCAB, ngrams)
    network.ngram_embedding.activate_all()  # so that their kernels are compiled, whichever step comes first
    return network


def compile_language_model(config: Config) -> None:
    """Compile the kernels that train and sample language models."""
    network = tiny_network(config)
    x = np.zeros((2, 2), np.int32)
    network.train_step_gradients(Window(x, x, None), network.initial_state(2), Dropout(0.5))
    _compile_sampling(config)


def _compile_sampling(config: Config, every: bool = True) -> None:
    """Sample a token in every mode that sampling may use, or only in the mode of this size."""
    from ..nn.incremental import IncrementalDecoder

    network = tiny_network(config)
    assert config.hidden is not None
    modes = {sampling_mode(network.kernels, config.hidden, 1)}
    if every:
        modes |= {sampling_mode(network.kernels, 2 * BF16X3_MIN_WIDTH, 1), EXACT}
    for mode in sorted(modes):
        decoder = IncrementalDecoder(network.with_shared_parameters(mode), network.parameters["out.bias"])
        decoder.set_state(network.initial_state(1), 0)
        decoder.generate(np.zeros((1, 1)), (1.0, 0, 1.0, 0.0), np.zeros((1, 1), np.int32))


def compile_task(config: Config, train_first: bool = True) -> None:
    """Train on and predict two examples of a task, bidirectionally if the task and cell allow it."""
    from ..data.examples.batching import evaluation_batches
    from ..data.examples.example import Example, ExampleSet, Location
    from ..data.examples.numericalize import numericalize
    from ..data.examples.schema import TaskSchema
    from ..nn.models import build

    task = get_supervised_task(config.task)
    if not task.warmup_examples:
        return
    items = [Example(x, y, Location("warm-up")) for x, y in task.warmup_examples]

    both = TASK_SPECS[config.task].no_bidirectional is None and CELLS[config.cell].is_recurrent
    settings = config.replace(bidirectional=both, min_count=1, valid=0.0)
    examples = ExampleSet(config.task, items)
    schema = TaskSchema.build(examples, settings)
    model = build(settings, model_spec(schema, config.task))
    for batch in evaluation_batches(numericalize(examples, schema)):
        if not train_first:
            task.predict_batch(model, schema, batch)
        model.train_step_gradients(batch, {}, Dropout(0.5))
        task.predict_batch(model, schema, batch)
