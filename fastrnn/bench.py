"""How fast this machine trains and samples, and how close that comes to its own peak."""

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
from .nn.initialisation import initialise
from .nn.network import Network
from .training.optimizers import Optimizer

VOCAB = 65
_CLIP = 5.0
_LONGEST = 3600.0  # seconds of one measurement


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
    """Full training steps on random ids: forward, loss, backward, clip, Adam. Medians over ``seconds``.

    FLOPs: a multiply-add counts 2, forward and backward 3 times the forward products; the one-hot input costs nothing.
    Processes that were started together share the ``batch``; then there are also their number, the bytes of gradient
    that each averages in a step, and which shares of the time it waits for the others and averages.
    """
    _check_seconds(seconds)
    group = world()
    backend.check(device, processes=group.size)
    lo, hi = group.shard(batch)
    network = _network(cell, layers, hidden, precision, threads, device)
    config = Config(cell=cell, layers=layers, hidden=hidden, batch=batch, seq=seq, clip=_CLIP)
    optimizer = Optimizer(network, config)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, VOCAB, (seq + 1, hi - lo)).astype(np.int32)
    window, state = Window(ids[:-1].copy(), ids[1:].copy(), None), network.initial_state(hi - lo)

    def step() -> None:
        nats = network.train_step_gradients(window, state)
        group.all_reduce_gradients(network.gradients.flat, nats, window)
        optimizer.step(2e-3, optimizer.gradient_norm())
        network.kernels.synchronize()

    median, steps, shares = _median_time(step, seconds, group)
    chars_per_s = seq * batch / median
    gflops = chars_per_s * train_flops(cell, layers, hidden) / 1e9
    (peak,) = group.all_reduce_sum(peak_gflops(network))
    return {
        "chars_per_s": chars_per_s,
        "ms_per_step": median * 1e3,
        "gflops": gflops,
        "peak_gflops": peak,
        "peak_fraction": gflops / peak,
        "threads": network.pool.threads,
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
    """How the cost of training grows: with H, with T, and with threads, one row of `bench_train` for each size, as soon
    as it is measured.

    Each row also has ``multiply_adds`` a character and the picoseconds that one takes: near constant where the cost is
    proportional to the work; and ``window_factor``, window memory over 4 * T * B * H * L bytes.
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
    """Characters drawn a second at temperature 0.8, each fed back, in ``streams`` samples side by side."""
    from .data.text.tokenizers import CharTokenizer
    from .inference.sampling import Sampler, SamplingParams, check_amounts

    _check_seconds(seconds)
    check_amounts(streams, 0, 0, "streams")
    network = _network(cell, layers, hidden, "float32", threads)
    sampler = Sampler(network, CharTokenizer("".join(map(chr, range(48, 48 + VOCAB)))))
    blocks = sampler.tokens(streams, 1 << 40, np.zeros(1, np.int64), SamplingParams(temperature=0.8), 0)
    next(blocks)  # compiles
    for _ in range(4):  # the block length settles
        next(blocks)
    chars, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        chars += next(blocks).shape[0]
    return {
        "chars_per_s": chars * streams / passed,
        "us_per_step": passed / chars * 1e6,
        "streams": streams,
        "threads": network.pool.threads,
        "vectors": network.kernels.TARGET.name,
        "cell": cell,
        "layers": layers,
        "hidden": hidden,
    }


def _check_seconds(seconds: float) -> None:
    if not 0 < seconds <= _LONGEST:
        raise ConfigError(f"seconds is {seconds:g}; it must be above 0 and at most {_LONGEST:g}")


def train_flops(cell: str, layers: int, hidden: int) -> float:
    """Per trained character."""
    recurrent = 2 * CELLS[cell].gate_count * hidden * hidden
    return 3.0 * (recurrent * (2 * layers - 1) + 2 * hidden * VOCAB)


def peak_gflops(network: Network) -> float:
    """What the project's own tile reaches on all threads, on a size that stays in cache."""
    kernels, dtype = network.kernels, network.dtype  # of float32 also where products are bfloat16
    rows, k, n, repeats = kernels.PEAK
    best = 0.0
    packed = kernels.zeros(kernels.packed_size(k, n, dtype), dtype)
    for _ in range(5):
        start = time.perf_counter()
        network.pool.together(lambda part: kernels.multiply_repeatedly(packed, rows, k, n, repeats))
        work = 2.0 * rows * k * n * repeats * network.pool.threads
        best = max(best, work / (time.perf_counter() - start) / 1e9)
    return best


def _network(cell: str, layers: int, hidden: int, precision: str, threads: int | None, device: str = "cpu") -> Network:
    config = Config(cell=cell, layers=layers, hidden=hidden, precision=precision, threads=threads, device=device)
    network = Network.from_config(config, VOCAB)
    initialise(network.parameters, network.shape, config.init, np.random.default_rng(0))
    return network


def _median_time(step: Callable[[], None], seconds: float, group: Communicator) -> tuple[float, int, dict[str, Any]]:
    """Seconds of a step, how many were measured, and what the processes of a group spent on each other."""
    for _ in range(3):
        step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    before = group.spent()
    while group.all_reduce_max(time.perf_counter() < end or len(times) < 5)[0]:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return float(np.median(times)), len(times), _shares(before, group.spent(), times, group)


def _shares(
    before: CommunicationTime | None, after: CommunicationTime | None, times: list[float], group: Communicator
) -> dict[str, Any]:
    """Means over the processes."""
    if before is None or after is None:
        return {}
    waited, averaged = group.all_reduce_sum(after.waited - before.waited, after.averaged - before.averaged)
    whole = sum(times) * group.size
    return {
        "processes": group.size,
        "bytes_per_step": (after.bytes - before.bytes) // len(times),
        "waiting_fraction": waited / whole,
        "averaging_fraction": averaged / whole,
        "averaging_ms": averaged / group.size / len(times) * 1e3,
    }
