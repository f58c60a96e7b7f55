"""Guarantee: two runs never share a folder; of those started together with one --out, one works and the others fail.

    python tests/faults/share_folder.py             # 100 times 4 processes; about a minute

Half of the folders contain the files of a killed start; and a running training is resumed by others.
"""

import argparse
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from children import bits, ended, fastrnn, forked, litter, text_run, warm

STEPS = 10
TOGETHER = 4


def together(command: list[Any], errors: Path) -> list[tuple[int, str]]:
    """Exit status and messages of processes that start at once."""
    places = [errors.with_name(f"{errors.name}-{n}") for n in range(TOGETHER)]
    for place in places:
        place.unlink(missing_ok=True)
    children = [forked(lambda: fastrnn(*command), place) for place in places]
    return [(ended(child), place.read_text()) for child, place in zip(children, places, strict=True)]


def shared(times: int, seed: int = 0) -> str:
    """New runs, and runs to go on with, so many of each."""
    rng, others = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as name:
        folder, expected = Path(name), ""
        warm(folder)
        out, arguments = folder / "run", ["train", *text_run(folder, STEPS), "--threads", 1, "--quiet"]
        for number in range(times):
            if number % 2:
                out.mkdir()
                (out / "log.jsonl").write_text(rng.choice(("", '{"event": "start"}\n', '{"eve')))
                (out / ".fastrnn-0123abcd-7-0123abcd-0.tmp").touch()
            found = together([*arguments, "--out", out], folder / "errors")
            assert sorted(status for status, _ in found)[0] == 0, found
            others += _refused(found, ("exists", "another process is training"))
            expected = expected or bits(out)
            assert bits(out) == expected
            assert not litter(out)
            found = together(["train", "--resume", out, "--steps", 3 * STEPS, "--quiet"], folder / "errors")
            others += _refused(found, ("another process is training",))
            assert not litter(out)
            shutil.rmtree(out)
    return f"{2 * times} times {TOGETHER} at once: one trained, {others} others said that the folder is taken"


def _refused(found: list[tuple[int, str]], reasons: tuple[str, ...]) -> int:
    """How many were refused; they must have said why, in one line. One or more were not."""
    refused = [said for status, said in found if status]
    assert len(refused) < len(found), found
    for status, said in found:
        assert status in (0, 1), found
        assert status == 0 or (len(said.splitlines()) == 1 and any(reason in said for reason in reasons)), found
    return len(refused)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100)
    print(shared(parser.parse_args().times))
