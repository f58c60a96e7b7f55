"""The README's commands and Python examples run; their length is cut."""

import re

import doc_examples
import pytest

README = doc_examples.ROOT / "README.md"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with the files that examples name."""
    doc_examples.write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_in_the_readme_runs(folder):
    lines = doc_examples.commands(README)
    assert len(lines) >= 8
    doc_examples.run_commands(lines)


def test_the_library_example_in_the_readme_runs(folder, capsys):
    doc_examples.run_python(README)
    assert len(capsys.readouterr().out.splitlines()) >= 3


def test_the_readme_is_short():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130
    assert len(text.split()) <= 1000


def test_the_architecture_page_names_every_package():
    root = doc_examples.ROOT
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
