"""Every example of the lectures runs, cut short; pages, outputs, figures and index agree."""

import re

import doc_examples
import pytest

LECTURES = doc_examples.ROOT / "docs" / "lectures"
PAGES = sorted(path.stem for path in LECTURES.glob("*.md") if path.stem != "index")


def read_page(name: str) -> str:
    return (LECTURES / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_every_example_of_a_lecture_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    examples = doc_examples.examples(LECTURES / f"{name}.md")
    assert {kind for kind, _ in examples} >= {"sh"}
    for kind, text in examples:
        if kind == "sh":
            doc_examples.run_commands(doc_examples.command_lines(text))
        else:  # a script of its own, with a tenth of the examples
            fewer = re.sub(r"(range\(|\", )(\d{2,3})0\b", r"\1\2", text)
            doc_examples.run_python_block(fewer, LECTURES / f"{name}.md", {"__name__": "__main__"})
        capsys.readouterr()


@pytest.mark.unit
@pytest.mark.parametrize("name", PAGES)
def test_a_lecture_has_its_parts(name):
    page = read_page(name)
    assert {"See it fail", "Exercises"} <= set(re.findall(r"^## (.*)$", page, re.MULTILINE))
    assert f"](figures/{name}.svg)" in page
    assert "```text\n```" not in page, "an output is missing: run docs/lectures/figures.py"


@pytest.mark.unit
def test_the_index_lists_every_lecture_once():
    assert sorted(re.findall(r"\]\(([\w-]+)\.md\)", read_page("index"))) == PAGES


@pytest.mark.unit
def test_every_lecture_has_one_figure():
    assert sorted(path.name for path in (LECTURES / "figures").iterdir()) == [f"{name}.svg" for name in PAGES]
