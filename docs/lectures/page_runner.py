"""Run the code blocks of a Markdown page in full, and write their output into the page.

A ``text`` block directly after a ``sh`` or ``python`` block is the output of that block.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OUTPUT = re.compile(r"\n+```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    Attributes:
        kind: The language after the three backticks: sh, python, toml, text.
        text: The code.
        output: Start and end of the output that follows it, as positions in the page; None without output.
    """

    kind: str
    text: str
    output: tuple[int, int] | None = None


def find_blocks(page: str) -> list[Block]:
    """Return the code blocks of a page in order; output blocks belong to the block before them."""
    blocks, end = [], 0
    for match in _BLOCK.finditer(page):
        if match.start() < end:
            continue  # the output of the previous block
        output = _OUTPUT.match(page, match.end()) if match[1] in ("sh", "python") else None
        end = output.end() if output else match.end()
        blocks.append(Block(match[1], match[2], output.span(1) if output else None))
    return blocks


def run_block(block: Block, folder: Path) -> str:
    """Run a ``sh`` or ``python`` block in a folder and return its standard output.

    The line with the speed of a training run is left out, because it differs from run to run.

    Raises:
        subprocess.CalledProcessError: The block fails.
    """
    scripts = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}
    command = [sys.executable, "-c", block.text] if block.kind == "python" else ["sh", "-ec", block.text]
    output = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, check=True).stdout.decode()
    return re.sub(r"^speed  .*\n", "", output, flags=re.MULTILINE)


def run_page(path: Path, folder: Path, missing: bool = False) -> str:
    """Run the blocks of a page in a folder and return the page with their output in it.

    Args:
        path: The page.
        folder: Where the blocks run.
        missing: Run only the blocks whose output in the page is empty.
    """
    page = path.read_text(encoding="utf-8")
    pieces, done = [], 0
    for block in find_blocks(page):
        if block.kind not in ("sh", "python"):
            continue
        start, end = block.output or (0, 0)
        if missing and (block.output is None or page[start:end].strip()):
            continue
        output = run_block(block, folder)
        if block.output is not None:
            pieces += [page[done:start], output.strip("\n"), "\n"]
            done = end
    return "".join([*pieces, page[done:]])
