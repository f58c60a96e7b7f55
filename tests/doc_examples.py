"""Run the examples of Markdown pages: the ``sh`` and ``python`` blocks, with their length cut.

A command may name the files and folders that `write_files` creates, and what earlier commands of its page made.
Blocks of another kind, such as ``text`` and ``console``, are not run.
"""

import gzip
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from fastrnn_cli.main import run

ROOT = Path(__file__).parent.parent
PROSE = "The sea is calm. The light turns in the dark, and turns again.\nDear reader, the clouds are in the sky.\n\n\n"
SURNAMES = {"Irish": "Murphy", "Polish": "Nowak"}
SWEEP = "steps = 3\nhidden = [8, 16]\n\n[sweep]\ndata = ['notes.txt']\n"
# Shorten a command: pattern -> replacement, in this order.
SHORTEN = (
    (r"--for \S+", "--steps 3"),
    (r"--epochs \S+", "--steps 3"),
    (r"^(fastrnn train .*)--steps \d+", r"\1--steps 3"),
    (r"^(fastrnn train .*--resume\b.*?)(?: --steps \S+)?$", r"\1 --steps 5"),
    (r"^(fastrnn train (?!.*--(?:steps|resume)\b).*)$", r"\1 --steps 3"),
    (r"--hidden \d{3,}", "--hidden 16"),
    (r"--count \d{4,}", "--count 100"),
    (r"--layers [3-9]", "--layers 2"),
    (r"^(fastrnn train (?!.*--(?:hidden|resume|init-from)\b).*)$", r"\1 --hidden 16"),
    (r"^(fastrnn bench \w+(?!.*--seconds).*)$", r"\1 --seconds 0.1"),
    (r"^(fastrnn bench \w+(?!.*--(?:hidden|scale)).*)$", r"\1 --hidden 16"),
    (r"--seconds \S+", "--seconds 0.1"),
    (r"--length \d{3,}", "--length 50"),
    (r"^fastrnn warmup$", "fastrnn warmup --cell lstm --precision float32"),
)


def blocks(page: Path, kind: str) -> list[str]:
    """Return the texts of a page's fenced blocks of a kind (``sh``, ``python``), indented ones too."""
    found = re.findall(
        rf"^( *)```{kind}(?: .*)?\n(.*?)^\1```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def commands(page: Path) -> list[str]:
    """Return the ``fastrnn`` commands of a page without comments; a backslash joins lines."""
    return command_lines("\n".join(blocks(page, "sh")))


def examples(page: Path) -> list[tuple[str, str]]:
    """Return kind and text of a page's ``sh`` and ``python`` blocks, in order; indented ones are left out."""
    return re.findall(r"^```(sh|python)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def command_lines(text: str) -> list[str]:
    """Return the ``fastrnn`` commands of a ``sh`` block without comments; a backslash joins lines."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for raw in lines if (line := raw.split("  #")[0].strip()).startswith("fastrnn ")]


def shorten(command: str) -> str:
    """Return the command with less to do: fewer steps, units and characters."""
    for pattern, replacement in SHORTEN:
        command = re.sub(pattern, replacement, command)
    return command


def run_commands(lines: Iterable[str]) -> None:
    """Run commands in this process, shortened; each must exit with status 0."""
    for line in lines:
        words = shlex.split(shorten(line))[1:]
        assert run(words) == 0, f"failed: {line} (run as: fastrnn {shlex.join(words)})"


def run_python(page: Path) -> dict[str, object]:
    """Run the ``python`` blocks of a page in order, with fewer steps and units; return their names."""
    names: dict[str, object] = {"__name__": "example"}
    for text in blocks(page, "python"):
        run_python_block(text, page, names)
    return names


def run_python_block(text: str, page: Path, names: dict[str, object]) -> None:
    """Run a ``python`` block with these names, with fewer steps and units."""
    cut = re.sub(r"\b(hidden|steps)=\d+", lambda m: f"{m[1]}={16 if m[1] == 'hidden' else 5}", text)
    exec(compile(re.sub(r'for_="\w+"', "steps=5", cut), str(page), "exec"), names)


def write_files(folder: Path) -> None:
    """Create the files and folders that examples name."""
    for name in ("notes.txt", "new.txt", "book1.txt", "mails.txt", "lines.txt"):
        (folder / name).write_text(PROSE * 60)
    (folder / "book2.txt.gz").write_bytes(gzip.compress(PROSE.encode() * 60))
    (folder / "essays").mkdir()
    (folder / "essays" / "one.txt").write_text(PROSE * 60)
    (folder / "names").mkdir()
    for language, name in SURNAMES.items():
        (folder / "names" / f"{language}.txt").write_text("".join(f"{name}{n % 7 * 'a'}\n" for n in range(40)))
    (folder / "sweep.toml").write_text(SWEEP)
