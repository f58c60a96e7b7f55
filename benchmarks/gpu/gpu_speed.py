"""Compare a training step of `bench train --device cuda` with PyTorch's LSTM with cuDNN on the same GPU.

    python benchmarks/gpu/gpu_speed.py [--seconds 3] [--seq 64] [--precision float32|bfloat16]

A step is: one-hot tokens of 65 symbols, forward, loss, backward, clipping, Adam; in float32 without TF32, or with
bfloat16 products (PyTorch: autocast). Each step is synchronized at its end. Prints one line for each size with medians;
takes about a minute.
"""

import argparse
import time

import numpy as np

from fastrnn.bench import VOCAB, bench_train

SIZES = ((2, 128), (2, 512), (3, 1024))
BATCHES = (64, 512)


def torch_ms(layers: int, hidden: int, batch: int, seq: int, seconds: float, precision: str) -> float:
    """Return the median milliseconds of a step of torch.nn.LSTM."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    embed = torch.nn.Embedding(VOCAB, hidden).cuda()  # equals the product with one-hot inputs
    lstm, out = torch.nn.LSTM(hidden, hidden, layers).cuda(), torch.nn.Linear(hidden, VOCAB).cuda()
    parameters = [p for module in (embed, lstm, out) for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, fused=True)
    ids = torch.randint(VOCAB, (seq + 1, batch), device="cuda")

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = out(lstm(embed(ids[:-1]))[0])
            loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCAB), ids[1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        torch.cuda.synchronize()

    for _ in range(5):
        step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def print_row(sizes: tuple[int, int, int, int], seconds: float, precision: str) -> None:
    """Measure and print one size: layers, hidden units, batch, window."""
    layers, hidden, batch, _ = sizes
    ours = bench_train("lstm", *sizes, precision=precision, seconds=seconds, device="cuda")
    ms = ours["ms_per_step"]
    row = f"{layers} x {hidden:<11} {batch:6} {ms:12.2f}"
    try:
        theirs = torch_ms(*sizes, seconds, precision)
    except ImportError:
        print(f"{row}   PyTorch is not installed  {ours['vectors']}")
    else:
        print(f"{row} {theirs:10.2f} {theirs / ms:17.2f}  {ours['vectors']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--seq", type=int, default=64)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    arguments = parser.parse_args()
    print("layers x hidden  batch   fastrnn ms   cuDNN ms   cuDNN / fastrnn")
    for layers, hidden in SIZES:
        for batch in BATCHES:
            sizes = layers, hidden, batch, arguments.seq
            try:
                print_row(sizes, arguments.seconds, arguments.precision)
            except Exception as error:  # the other sizes are still of interest
                print(f"{layers} x {hidden:<11} {batch:6} {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
