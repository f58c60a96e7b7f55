"""Helpers of the corpus tests."""

from pathlib import Path

from fastrnn.data.text.corpus import Corpus

KINDS = ["chars", "bytes", "words"]


def written(folder: Path, *texts: str | bytes) -> list[str]:
    """The names of files with these contents."""
    paths = [folder / f"{i}.txt" for i in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [str(path) for path in paths]


def text_of(corpus: Corpus) -> str:
    return corpus.tokenizer.decode(corpus.ids)
