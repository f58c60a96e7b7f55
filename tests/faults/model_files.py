"""Guarantee: a damaged model file is detected: one clear line, quickly and in little memory, or a valid model.

    python tests/faults/model_files.py              # 100,000 mutated files and 10,000 flipped bits, about 6 minutes

Files of every tokenizer and every task are damaged in the ways of `file_damage.py`. Each is refused with a
`CheckpointError` of one printable line, or it is a valid model. None takes more than 1 s of CPU time, or more memory
than 64 MB and twice its size.
"""

import argparse
import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence

from file_damage import DAMAGES, SEALED
from hostile_files import hostile_files
from model_samples import samples, take_apart

from fastrnn.checkpoint.checkpoint import Checkpoint, from_bytes, to_bytes
from fastrnn.errors import CheckpointError
from fastrnn_cli.commands.info import _facts, _rows

SECONDS, MEMORY = 1.0, 64_000_000


def read(data: bytes) -> Checkpoint | str:
    """The checkpoint in a file, or the line with which it is refused; anything else is an error here."""
    tracemalloc.start()
    try:
        found, seconds = _timed(data)
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if seconds > SECONDS / 4:  # watching the memory takes time itself
        seconds = _timed(data)[1]
    assert seconds < SECONDS, f"{seconds:.1f} s for {len(data)} bytes: {found}"
    assert memory < MEMORY + 2 * len(data), f"{memory / 1e6:.0f} MB for {len(data)} bytes: {found}"
    if isinstance(found, str):
        assert found.startswith("x.safetensors: ")
        assert found.isprintable()
        assert len(found) < 400
    return found


def _timed(data: bytes) -> tuple[Checkpoint | str, float]:
    begun = time.thread_time()
    found: Checkpoint | str
    try:
        found = from_bytes(data, "x.safetensors")
    except CheckpointError as error:
        found = str(error)
    return found, time.thread_time() - begun


def mutated(times: int, seed: int = 0) -> str:
    """Damaged files: refused, or sound."""
    rng, files = random.Random(seed), list(samples().items())
    refused: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    for _ in range(times):
        name, data = rng.choice(files)
        kind = rng.choice(list(DAMAGES))
        file = DAMAGES[kind](data, rng)
        found = read(file)
        if isinstance(found, str):
            refused[kind] += 1
            continue
        accepted[kind] += 1
        assert file == data or kind in SEALED or _same(file, data), f"{name}, {kind}: damage was not noticed"
        for _, value in _rows(_facts("x", found), found):
            assert isinstance(value, str)
        to_bytes(found)
    most = ", ".join(f"{kind} {refused[kind]:,}" for kind in DAMAGES)
    sound = accepted.total()
    return f"{times:,} mutated files: 0 crashes; {refused.total():,} refused ({most}), {sound:,} still sound"


def _same(file: bytes, data: bytes) -> bool:
    """Whether two files hold the same, in spite of blanks in the header or the order of its entries."""
    return take_apart(file) == take_apart(data)


def bits(times: int, seed: int = 0) -> str:
    """Single bits of the tensors turned over, anywhere in them: each is noticed."""
    rng, files = random.Random(seed), list(samples().values())
    for i in range(times):
        data = files[i % len(files)]
        start = 8 + int.from_bytes(data[:8], "little")
        damaged = bytearray(data)
        damaged[rng.randrange(start, len(data))] ^= 1 << rng.randrange(8)
        found = read(bytes(damaged))
        assert isinstance(found, str), "a flipped bit was not noticed"
        assert "the digest of its tensors does not match" in found
    return f"{times:,} flipped bits of tensors, {times:,} noticed"


def large(sizes: Sequence[int] = (2_000_000, 11_800_000, 30_000_000)) -> str:
    """Files that are written to take time and memory: of sizes just below what is let in, and far above."""
    number, slowest = 0, 0.0
    for size in sizes:
        for _, file in hostile_files(size):
            read(file)
            slowest = max(slowest, _timed(file)[1])
            number += 1
    about = ", ".join(f"{size / 1e6:.0f}" for size in sizes)
    return f"{number} hostile files with headers of {about} MB and the like, at most {slowest:.2f} s each"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--bits", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(large(), flush=True)
    print(bits(chosen.bits, chosen.seed), flush=True)
    print(mutated(chosen.files, chosen.seed), flush=True)


if __name__ == "__main__":
    main()
