"""The documentation's commands and Python examples run, its links lead somewhere, and every page is in the site."""

import importlib.util
import re
import tomllib
from pathlib import Path

import click
import doc_examples
import pytest

import fastrnn
from fastrnn_cli.group import COMMANDS, program

ROOT = doc_examples.ROOT
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "lectures" not in path.parts)
WITH_EXAMPLES = [path for path in PAGES if doc_examples.commands(path) or doc_examples.blocks(path, "python")]
LINKED = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *DOCS.rglob("*.md"),
]


def name(path: Path) -> str:
    """Return the path below the root, as the id of a test."""
    return path.relative_to(ROOT).as_posix()


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as Python-Markdown and GitHub form them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name)
def test_every_example_of_a_page_runs(page, tmp_path, monkeypatch):
    doc_examples.write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    doc_examples.run_commands(doc_examples.commands(page))
    doc_examples.run_python(page)


def test_the_guide_has_examples():
    assert sum(len(doc_examples.commands(page)) for page in WITH_EXAMPLES) > 40


@pytest.mark.unit
@pytest.mark.parametrize("page", LINKED, ids=name)
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{link}: no such file"
        assert not anchor or anchor in anchors(file), f"{link}: no such heading"


@pytest.mark.unit
def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r"[\w/-]+\.md|\b[\w-]+/$", nav, re.MULTILINE)
    for page in PAGES:
        path = page.relative_to(DOCS).as_posix()
        assert any(path == entry or (entry.endswith("/") and path.startswith(entry)) for entry in listed), path


@pytest.mark.unit
def test_the_toml_examples_are_toml():
    texts = [text for page in PAGES for text in doc_examples.blocks(page, "toml")]
    assert texts
    for text in texts:
        tomllib.loads(text)


@pytest.mark.unit
def test_the_guide_names_every_command():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [command for command in COMMANDS if f"fastrnn {command}" not in text] == []


def options(command: click.Command, path: str) -> list[tuple[str, str]]:
    """Return the options of a command and its subcommands, each with the command's path."""
    ctx = click.Context(command)
    found = [
        (path, option.opts[0]) for option in command.params if isinstance(option, click.Option) and not option.hidden
    ]
    if isinstance(command, click.Group):
        for child in command.list_commands(ctx):
            found += options(command.get_command(ctx, child), f"{path} {child}")
    return found


@pytest.mark.unit
def test_the_generated_reference_has_every_option_of_every_command():
    spec = importlib.util.spec_from_file_location("commands", DOCS / "_hooks" / "commands.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    page = hook.on_page_markdown((DOCS / "reference" / "command-line.md").read_text(encoding="utf-8"))
    sections = dict(re.findall(r"^#+ (fastrnn .*)\n((?:.|\n(?!#+ fastrnn))*)", page, re.MULTILINE))
    for command, option in options(program, "fastrnn"):
        if command != "fastrnn":
            assert option in sections[command], f"{command} {option}"
    assert len(sections) > len(COMMANDS)


@pytest.mark.unit
def test_every_file_that_a_page_names_exists():
    pages = [page for page in LINKED if page.name != "CHANGELOG.md"]  # old versions had other files
    pattern = r"`((?:fastrnn|cli|tests|benchmarks|docs|\.ci)/[\w./-]+|[a-z_/]+\.py)`"
    named = [(page, path) for page in pages for path in re.findall(pattern, page.read_text(encoding="utf-8"))]
    assert len(named) > 20
    modules = [f"/{name(file)}" for folder in ("fastrnn", "cli", "tests") for file in (ROOT / folder).rglob("*.py")]
    for page, path in named:  # `cells.py` stands for `fastrnn/cells.py`
        exists = (ROOT / path).exists() or any(module.endswith(f"/{path}") for module in modules)
        assert exists, f"{name(page)} names {path}"


@pytest.mark.unit
def test_the_reference_has_every_public_name():
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    page += (DOCS / "reference" / "config.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^::: [\w.]+\.(\w+)$", page, re.MULTILINE))
    for members in re.findall(r"members: \[(.*)\]", page):
        shown |= set(members.split(", "))
    assert set(fastrnn.__all__) - shown == set()
