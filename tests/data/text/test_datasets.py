"""The bundled texts: present, described, and suitable for tests."""

import re
from pathlib import Path

import pytest

from fastrnn.data.text.corpus import read_corpus

FOLDER = Path(__file__).resolve().parents[3] / "datasets"
TEXTS = sorted(FOLDER.glob("*.txt"))


def test_every_text_has_its_source_in_the_readme() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert re.findall(r"`(\w+\.txt)`", readme) == [path.name for path in TEXTS]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
@pytest.mark.parametrize("tokens", ["chars", "bytes"])
def test_every_text_survives_encoding(path: Path, tokens: str) -> None:
    corpus = read_corpus([str(path)], tokens=tokens)

    assert corpus.tokenizer.decode(corpus.ids).encode() == path.read_bytes()
    assert len(corpus) > 1000


def test_one_text_is_ascii_and_one_is_not() -> None:
    assert [path.read_bytes().isascii() for path in TEXTS] == [True, False]
