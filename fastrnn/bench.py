"""Benchmarks: speed of training and sampling on this machine, and its fraction of the peak."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .cells import CELLS
from .config import Config
from .data.text.bptt import Window
from .distributed.communicator import CommunicationTime, Communicator, world
from .errors import ConfigError
from .kernels import backend
from .nn.network import Network
from .nn.parameters import initialise
from .training.optimizers import Optimizer

VOCAB = 65
_CLIP = 5.0
_MAX_SECONDS = 3600.0  # of one measurement


def bench_train(
    cell: str = "lstm",
    layers: int = 2,
    hidden: int = 128,
    batch: int = 50,
    seq: int = 50,
    precision: str = "float32",
    threads: int | None = None,
    seconds: float = 5.0,
    device: str = "cpu",
) -> dict[str, Any]:
    """Time full training steps on random ids: forward, loss, backward, clip, Adam.

    FLOPs: a multiply-add counts 2; a training step counts 3 times the forward products; the one-hot
    input counts 0.

    Args:
        cell: Name of the cell.
        layers: L.
        hidden: H.
        batch: B, divided among the processes of an MPI run.
        seq: T.
        precision: "float32", "bfloat16" or "float64".
        threads: Number of threads; default: one for each fast core.
        seconds: Duration of the measurement.
        device: "cpu" or "cuda".

    Returns:
        The settings, and medians over all steps: characters per second, milliseconds per step,
        GFLOP/s and the fraction of the peak, memory of the window. In an MPI run also the number
        of processes, bytes of gradient that each reduces per step, and the fractions of time spent
        waiting for the others and reducing.

    Raises:
        ConfigError: ``seconds`` is out of range, or a setting is invalid.
        BackendError: The device is not available or does not support the settings.
    """
    _check_seconds(seconds)
    group = world()
    backend.check(device, processes=group.size, cell=cell)

    lo, hi = group.shard(batch)
    network = make_network(cell, layers, hidden, precision, threads, device)
    config = Config(cell=cell, layers=layers, hidden=hidden, batch=batch, seq=seq, clip=_CLIP)
    optimizer = Optimizer(network, config)

    rng = np.random.default_rng(0)
    ids = rng.integers(0, VOCAB, (seq + 1, hi - lo)).astype(np.int32)
    window = Window(ids[:-1].copy(), ids[1:].copy(), None)
    state = network.initial_state(hi - lo)

    def step() -> None:
        loss = network.train_step_gradients(window, state)
        optimizer.reduce_gradients(group, loss, window)
        optimizer.step(2e-3, optimizer.gradient_norm())
        network.kernels.synchronize()

    # The median, which a few slow steps on a busy machine do not move.
    median, steps, shares = _median_time(step, seconds, group)
    chars_per_s = seq * batch / median
    gflops = chars_per_s * train_flops(cell, layers, hidden) / 1e9
    (peak,) = group.all_reduce_sum(peak_gflops(network))
    row_parts, unit_parts = network.layers[-1].divide(network.pool, hi - lo)
    return {
        "chars_per_s": chars_per_s,
        "ms_per_step": median * 1e3,
        "gflops": gflops,
        "peak_gflops": peak,
        "peak_fraction": gflops / peak,
        "threads": network.pool.threads,
        "row_parts": row_parts,
        "unit_parts": unit_parts,
        "steps": steps,
        "window_mb": network.window_bytes() / 1e6,
        "device": device,
        "vectors": network.kernels.TARGET.name,
        "cell": cell,
        "layers": layers,
        "hidden": hidden,
        "batch": batch,
        "seq": seq,
        "precision": precision,
        **shares,
    }


def bench_scale(
    cell: str = "lstm", precision: str = "float32", seconds: float = 1.0, device: str = "cpu"
) -> Iterator[dict[str, Any]]:
    """Measure how the cost of training scales with H, T and threads.

    Args:
        cell: Name of the cell.
        precision: "float32", "bfloat16" or "float64".
        seconds: Duration of each measurement.
        device: "cpu" or "cuda".

    Yields:
        The result of `bench_train` for each size, with ``multiply_adds`` per character, picoseconds
        per multiply-add (constant if the cost is proportional to the work), and ``window_factor``,
        the window's memory over 4 * T * B * H * L bytes.
    """
    sizes: list[dict[str, Any]] = [{"hidden": hidden} for hidden in (64, 128, 256, 512, 1024)]
    sizes += [{"hidden": 256, "seq": seq} for seq in (16, 32, 128, 256)]
    sizes += [{"hidden": hidden, "threads": 1} for hidden in (256, 512)]
    for size in sizes:
        settings = {"layers": 1, "batch": 32, "seq": 64} | size
        row = bench_train(cell, precision=precision, seconds=seconds, device=device, **settings)
        work = train_flops(cell, 1, size["hidden"]) / 2
        row |= {"multiply_adds": work, "ps_per_multiply_add": 1e12 / row["chars_per_s"] / work}
        row["window_factor"] = row["window_mb"] * 1e6 / (4 * row["seq"] * row["batch"] * row["hidden"])
        yield row


def bench_sample(
    cell: str = "lstm",
    layers: int = 2,
    hidden: int = 128,
    streams: int = 1,
    threads: int | None = None,
    seconds: float = 5.0,
) -> dict[str, Any]:
    """Time sampling at temperature 0.8.

    Args:
        cell: Name of the cell.
        layers: L.
        hidden: H.
        streams: Number of samples generated in one batch.
        threads: Number of threads; default: one for each fast core.
        seconds: Duration of the measurement.

    Returns:
        The settings, characters per second of all streams, and microseconds per step.

    Raises:
        ConfigError: ``seconds`` or another setting is out of range.
    """
    from .data.text.tokenizers import CharTokenizer
    from .inference.sampling import Sampler, SamplingParams, check_amounts

    _check_seconds(seconds)
    check_amounts(streams, 0, 0, "streams")
    network = make_network(cell, layers, hidden, "float32", threads)
    sampler = Sampler(network, CharTokenizer("".join(map(chr, range(48, 48 + VOCAB)))))
    blocks = sampler.tokens(streams, 1 << 40, np.zeros(1, np.int64), SamplingParams(temperature=0.8), 0)
    next(blocks)  # the first block compiles the kernels
    for _ in range(9):  # until the sampler has adapted the block length and the use of threads
        next(blocks)

    chars = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        chars += next(blocks).shape[0]
    return {
        "chars_per_s": chars * streams / elapsed,
        "us_per_step": elapsed / chars * 1e6,
        "streams": streams,
        "threads": network.pool.threads,
        "vectors": network.kernels.TARGET.name,
        "cell": cell,
        "layers": layers,
        "hidden": hidden,
    }


def _check_seconds(seconds: float) -> None:
    if not 0 < seconds <= _MAX_SECONDS:
        raise ConfigError(f"seconds is {seconds:g}; it must be above 0 and at most {_MAX_SECONDS:g}")


def train_flops(cell: str, layers: int, hidden: int) -> float:
    """Return the FLOPs of training on one character."""
    # One product G*H x H for the first layer, whose input is one-hot; two for each layer above.
    recurrent = 2 * CELLS[cell].gate_count * hidden * hidden
    return 3.0 * (recurrent * (2 * layers - 1) + 2 * hidden * VOCAB)


def peak_gflops(network: Network) -> float:
    """Return the GFLOP/s of the micro-kernel on all threads, for a size that stays in cache."""
    kernels = network.kernels
    dtype = network.dtype  # the float32 peak, even where products are in bfloat16
    rows, k, n, repeats = kernels.PEAK
    best = 0.0
    packed = kernels.zeros(kernels.packed_size(k, n, dtype), dtype)
    # The best of five: other processes can only make it slower.
    for _ in range(5):
        start = time.perf_counter()
        network.pool.each(lambda part: kernels.multiply_repeatedly(packed, rows, k, n, repeats))
        work = 2.0 * rows * k * n * repeats * network.pool.threads
        best = max(best, work / (time.perf_counter() - start) / 1e9)
    return best


def make_network(
    cell: str, layers: int, hidden: int, precision: str, threads: int | None, device: str = "cpu"
) -> Network:
    """Return an initialised network for `VOCAB` tokens."""
    config = Config(cell=cell, layers=layers, hidden=hidden, precision=precision, threads=threads, device=device)
    network = Network.from_config(config, VOCAB)
    initialise(network.parameters, network.shape, config.init, np.random.default_rng(0))
    return network


def _median_time(step: Callable[[], None], seconds: float, group: Communicator) -> tuple[float, int, dict[str, Any]]:
    """Return the median seconds of a step, the number of steps, and the shares of communication."""
    for _ in range(3):  # compilation and warm-up
        step()

    times: list[float] = []
    end = time.perf_counter() + seconds
    before = group.communication_time()
    # All processes take the same number of steps: each step waits for all of them.
    while group.all_reduce_max(time.perf_counter() < end or len(times) < 5)[0]:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), len(times), _communication_shares(before, group.communication_time(), times, group)


def _communication_shares(
    before: CommunicationTime | None, after: CommunicationTime | None, times: list[float], group: Communicator
) -> dict[str, Any]:
    """Return fractions of time and bytes of communication, means over the processes."""
    if before is None or after is None:
        return {}

    waited, averaged = group.all_reduce_sum(
        after.wait_seconds - before.wait_seconds, after.reduce_seconds - before.reduce_seconds
    )
    total = sum(times) * group.size
    return {
        "processes": group.size,
        "bytes_per_step": (after.bytes - before.bytes) // len(times),
        "waiting_fraction": waited / total,
        "averaging_fraction": averaged / total,
        "averaging_ms": averaged / group.size / len(times) * 1e3,
    }
