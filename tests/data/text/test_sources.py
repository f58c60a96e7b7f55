"""The corpora that come with Python, and errors where they are missing."""

import re
import sys
import types
from pathlib import Path

import pytest

from fastrnn.data.text import sources
from fastrnn.data.text.sources import BUILTIN, builtin_sources
from fastrnn.errors import InputError


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small standard library."""
    for name, content in {
        "b.py": b"b = 1\n",
        "a/__init__.py": b"",
        "a/x.py": b"x = 'caf\xc3\xa9'\n",
        "latin.py": b"# caf\xe9\n",
        "notes.txt": b"no",
        "test/t.py": b"no",
        "site-packages/p.py": b"no",
        ".cache/c.py": b"no",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setattr(sources.sysconfig, "get_path", lambda name: str(tmp_path))
    return tmp_path


def test_every_built_in_corpus_has_a_description() -> None:
    assert set(BUILTIN) == set(sources._SOURCES)
    assert all(line and "\n" not in line for line in BUILTIN.values())


def test_documentation_is_the_topics_in_alphabetical_order(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.SimpleNamespace(topics={"with": "W\n", "assert": "A é\n"})
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", module)  # type: ignore[arg-type]

    (source,) = builtin_sources("python-docs")

    assert source.name == "python-docs"
    assert b"".join(source.chunks()).decode() == "A é\n\nW\n"


def test_source_is_every_file_but_tests_and_packages(library: Path) -> None:
    found = {source.name: b"".join(source.chunks()) for source in builtin_sources("python-source")}

    assert list(found) == ["python-source/a/__init__.py", "python-source/a/x.py", "python-source/b.py"]
    assert found["python-source/b.py"] == b"b = 1\n"


def test_vanished_file_is_an_error(library: Path) -> None:
    source = builtin_sources("python-source")[-1]
    (library / "b.py").unlink()

    with pytest.raises(InputError, match=r"b\.py: cannot read this file: No such file or directory$"):
        list(source.chunks())


def test_python_without_documentation_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)

    with pytest.raises(InputError, match=r"no pydoc_data\.topics for python-docs; give a text of your own$"):
        builtin_sources("python-docs")


def test_python_without_source_files_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.sysconfig, "get_path", lambda name: str(tmp_path / "none"))

    with pytest.raises(InputError, match=r"no standard library source for python-source; give a text of your own$"):
        builtin_sources("python-source")


def repeated_share(text: str, span: int = 32) -> float:
    """Share of the last tenth that lies in spans of characters which the part before contains."""
    cut = len(text) * 9 // 10
    known = {text[i : i + span] for i in range(cut - span)}
    end = text[cut:]
    covered = bytearray(len(end))
    for i in range(len(end) - span + 1):
        if end[i : i + span] in known:
            covered[i : i + span] = b"\1" * span
    return sum(covered) / len(end)


def test_python_reference_has_no_tables_and_hardly_repeats_itself() -> None:
    docs, reference = (
        b"".join(builtin_sources(name)[0].chunks()).decode() for name in ("python-docs", "python-reference")
    )

    row = r"(?m)^[+|].*[+|]$"
    assert re.search(row, docs)
    assert not re.search(row, reference)
    assert repeated_share(docs) > 0.2
    assert repeated_share(reference) < 0.03
    assert len(reference) > len(docs) / 2
