"""The training step of the benchmarks in PyTorch, and the median time of a step."""

import statistics
import time
from collections.abc import Callable
from typing import Any

VOCAB, CLIP, RATE = 65, 5.0, 2e-3


def torch_rate(
    cell: str, layers: int, hidden: int, batch: int, seq: int, precision: str = "float32", seconds: float = 1.0
) -> float:
    """Return the characters a second that PyTorch trains, with the threads and kernels that it is set to.

    One step is: forward, softmax cross-entropy, backward, clipping at norm 5 and Adam, on random characters with
    one-hot inputs; the state carries to the next step. ``precision``: "float32" or "bfloat16".
    """
    import torch

    stack = getattr(torch.nn, cell.upper())(VOCAB, hidden, num_layers=layers)
    head = torch.nn.Linear(hidden, VOCAB)
    model = torch.nn.ModuleList([stack, head])
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    ids = torch.randint(VOCAB, (seq + 1, batch))
    carried: Any = None

    def step() -> None:
        nonlocal carried
        one_hot = torch.nn.functional.one_hot(ids[:-1], VOCAB).float()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            outputs, state = stack(one_hot, carried)
            logits = head(outputs)
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        carried = tuple(part.detach() for part in state) if cell == "lstm" else state.detach()

    return seq * batch / median_seconds(step, seconds)


def median_seconds(step: Callable[[], None], seconds: float) -> float:
    """Return the median time of a step, repeated for so many seconds after three to warm up."""
    for _ in range(3):
        step()
    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 5:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
