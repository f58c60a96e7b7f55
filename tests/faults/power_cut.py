"""Guarantee: after a power loss there is the old checkpoint or the new one, never neither.

    python tests/faults/power_cut.py                # every state that a power loss can leave; about two minutes

The operations of saves, and of a whole new run, are recorded; after each of them the power fails in `lost_power.Disk`,
in every possible way. A file that is saved must hold the old bytes or the new ones, and the new ones as soon as the
save has returned; the states of a run must load and match, be those of the last save that returned or of a later
one, and the run must resume from them.
"""

import argparse
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from children import bits, ended, fastrnn, forked, litter, states, text_run, warm
from lost_power import Disk, Files, Operation, Recorder, recorded

from fastrnn.checkpoint import atomic, run_dir
from fastrnn.checkpoint.atomic import make_folder, write_atomic
from fastrnn.training import loop

OLD, NEW = b"old" * 1000, b"new!" * 1500
STEPS = 12


def two_saves(root: Path, save: Callable[[Path, bytes], None] = write_atomic) -> int:
    """Asserts that every cut in two saves leaves the old bytes or the new ones; the number of states."""
    target = str(root / "folder" / "file")

    def call(recorder: Recorder) -> int:
        make_folder(root / "folder")
        for data in (OLD, NEW):
            save(Path(target), data)
            recorder.mark(data)
        return 0

    count, returned = 0, None
    for mark, files in cuts(root, recorded(root, call)):
        count, returned = count + 1, mark[0] if mark else None
        found = files.get(target)
        expected = {None: (None, OLD), OLD: (OLD, NEW), NEW: (NEW,)}[returned]
        assert found in expected, (returned and returned[:4], found and (found[:4], len(found)))
    assert returned == NEW
    return count


def cuts(root: Path, operations: list[Operation]) -> Iterator[tuple[Operation, Files]]:
    """What was marked last, and a state that a cut can leave then; after every operation, each state."""
    disk, mark = Disk(root), ()
    for operation in operations:
        if operation[0] == "mark":
            mark = operation[1:]
        else:
            disk.do(operation)
        for files in disk.after_a_cut():
            yield mark, files


def a_run(folder: Path, most: int) -> str:
    """Every cut in a whole run, in folders that it makes; ``most`` of the different states also go on to the end."""
    root, arguments = folder / "disk", [*text_run(folder, STEPS, "--threads", 1, "--save-every", 2), "--quiet"]
    root.mkdir()
    out = root / "new" / "runs" / "run"

    def call(recorder: Recorder) -> int:
        loop._LOG_SECONDS = 0.0
        real = run_dir.Saver.save

        def save(saver: run_dir.Saver, state: bytes, best: bool = False) -> bool:
            saved = real(saver, state, best)
            recorder.mark(*(hashlib.sha256(state).digest(), best))
            return saved

        run_dir.Saver.save = save  # type: ignore[method-assign]
        return fastrnn("train", *arguments, "--out", out)

    operations = recorded(root, call)
    expected, order = bits(out), [operation[1] for operation in operations if operation[0] == "mark"]
    different: dict[str, Files] = {}
    count = 0
    for mark, files in cuts(root, operations):
        count += 1
        last = files.get(str(out / "last.safetensors"))
        if mark:
            assert last is not None, "a save returned, and there is no last state"
            assert order.index(hashlib.sha256(last).digest()) >= order.index(mark[0]), "an older state than was saved"
        key = hashlib.sha256(b"".join(name.encode() + data for name, data in sorted(files.items()))).hexdigest()
        different.setdefault(key, files)
    for number, files in enumerate(different.values()):
        put(root, files)
        if out.exists():
            states(out)
        if number % max(1, len(different) // most) == 0:
            go_on(out, arguments, expected, folder / "errors")
    return f"{len(operations)} operations of a run: {count:,} cuts, {len(different):,} different states"


def put(root: Path, files: Files) -> None:
    """Makes a folder hold these files alone."""
    shutil.rmtree(root)
    root.mkdir()
    for path, data in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(data)


def go_on(out: Path, arguments: list[object], expected: str, errors: Path) -> None:
    """The next start must reach the end with the right bits, and leave no litter."""
    again = ["--resume", out, "--quiet"] if (out / "last.safetensors").exists() else [*arguments, "--out", out]
    errors.unlink(missing_ok=True)
    assert ended(forked(lambda: fastrnn("train", *again), errors)) == 0, (errors.read_text(), list(out.iterdir()))
    assert bits(out) == expected
    assert not litter(out)


def found_out(root: Path, save: Callable[[Path, bytes], None]) -> bool:
    """Whether `two_saves` notices that this way to save is not safe."""
    root.mkdir()
    try:
        two_saves(root, save)
    except AssertionError:
        return True
    return False


def unflushed(*without: str) -> Callable[[Path, bytes], None]:
    """`write_atomic`, but these of its parts do nothing: to see that the model of the disk finds that out."""

    def save(path: Path, data: bytes) -> None:
        if "rename" in without:
            descriptor = atomic.os.open(path, atomic.os.O_WRONLY | atomic.os.O_CREAT | atomic.os.O_TRUNC)
            atomic.os.ftruncate(descriptor, 0)
            atomic.os.write(descriptor, data)
            atomic.os.fsync(descriptor)
            return
        if "folder" in without:
            atomic.flush_folder = lambda folder: None  # type: ignore[assignment]
        if "file" in without:
            real = atomic.os.fsync
            atomic.os.fsync = lambda d: real(d) if atomic.stat.S_ISDIR(atomic.os.fstat(d).st_mode) else None
        write_atomic(path, data)

    return save


def power_cuts(most: int) -> str:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "saves").mkdir()
        count = two_saves(folder / "saves")
        for without in ("rename", "folder", "file"):
            assert found_out(folder / without, unflushed(without)), f"not noticed: a save without {without}"
        warm(folder)
        run = a_run(folder, most)
    return f"two saves: {count} cuts; {run}, {most} of them gone on with; 0 with neither, 0 that do not load"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=200, help="states that also go on to the end of the run")
    print(power_cuts(parser.parse_args().most))
