"""What the README shows runs as it stands: its commands, with less time, and its Python."""

import re
import shlex
from pathlib import Path

import pytest

from fastrnn_cli.main import run

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
SHORTER = [
    (r"--for \S+", "--steps 3"),
    (r"--epochs 10", "--steps 3"),
    (r"^(fastrnn train (?!.*--(?:steps|resume|init-from)).*)$", r"\1 --steps 3 --hidden 16"),
    (r"(--init-from \S+)", r"\1 --steps 3"),
    (r"--hidden 256", "--hidden 16"),
    (r"^(fastrnn bench .*)$", r"\1 --seconds 0.1 --hidden 16"),
    (r"--length 1000", "--length 50"),
    (r"^fastrnn warmup$", "fastrnn warmup --cell lstm --precision float32"),
]


def shell_lines() -> list[str]:
    lines = [line.split("  #")[0].strip() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    return [line for line in lines if line.startswith("fastrnn ")]


def shortened(line: str) -> str:
    for pattern, replacement in SHORTER:
        line = re.sub(pattern, replacement, line)
    return line


# The commands whose files and runs the library's examples read.
NEEDED = ("dates.tsv --out runs", "--out dates.tsv", "bits.txt --out runs", "--out bits.txt", "--out runs/writer")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the README's examples name."""
    import gzip

    here = tmp_path
    prose = (
        "The sea is calm. The light turns in the dark, and turns again.\nDear reader, the clouds are in the sky.\n\n\n"
    )
    for name in ("notes.txt", "new.txt", "book1.txt", "mails.txt", "lines.txt"):
        (here / name).write_text(prose * 60)
    (here / "book2.txt.gz").write_bytes(gzip.compress(prose.encode() * 60))
    (here / "names").mkdir()
    for language, name in (("Irish", "Murphy"), ("Polish", "Nowak")):
        (here / "names" / f"{language}.txt").write_text("".join(f"{name}{n % 7 * 'a'}\n" for n in range(40)))
    (here / "essays").mkdir()
    (here / "essays" / "one.txt").write_text(prose * 60)
    return here


def test_every_command_in_the_readme_runs(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    lines = shell_lines()
    assert len(lines) > 10
    for line in lines:
        command = shortened(line)
        if "--resume" in command:
            command = command.replace("--steps 3", "--steps 5")
        assert run(shlex.split(command)[1:]) == 0, f"{command}\n{capsys.readouterr()}"


def test_the_library_example_in_the_readme_runs(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    needed = [line for line in shell_lines() if any(words in line for words in NEEDED)]
    assert len(needed) == len(NEEDED)
    for line in needed:
        assert run(shlex.split(shortened(line))[1:]) == 0
    capsys.readouterr()
    examples = [text for kind, text in BLOCKS if kind == "python"]
    assert len(examples) == 2
    names: dict[str, object] = {}
    for text in examples:
        exec(compile(text.replace("hidden=128, steps=200", "hidden=16, steps=5"), str(README), "exec"), names)
        assert capsys.readouterr().out.strip()


def test_the_architecture_page_names_every_package():
    root = README.parent
    text = (root / "docs" / "internals" / "architecture.md").read_text(encoding="utf-8")
    table = text[text.index("## Packages") : text.index("## Data flow")]
    packages = [f"{path.parent.relative_to(root / 'fastrnn')}/" for path in root.glob("fastrnn/*/__init__.py")]
    packages += [path.stem for path in root.glob("fastrnn/*.py") if not path.stem.startswith("__")]
    missing = [name for name in packages if f"`{name}" not in table]
    assert not missing, f"architecture.md lacks {missing}"
    named = re.findall(r"`((?:kernels|nn|reference|training|data|inference|checkpoint)/[\w/]+)`", text)
    assert named
    for name in named:
        assert (root / "fastrnn" / f"{name}.py").exists() or (root / "fastrnn" / name).is_dir(), f"no {name}"
