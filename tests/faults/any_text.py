"""Guarantee: any text trains; it is read and reproduced exactly, or refused with one clear line.

    python tests/faults/any_text.py                 # 10,000 random files, and the unusual ones; about 5 minutes

Random byte strings of many kinds (noise, UTF-8 with errors, controls, long lines, gzip); all 256 bytes; all of Unicode;
lone surrogates, NULs, CRLF, byte order marks; one line of 100 MB. Each is read as bytes, characters and words; the
unusual ones and some of the random ones are trained on for two steps and sampled from. Random bytes are also read as
the files of every supervised task.
"""

import argparse
import gzip
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fastrnn
from fastrnn.config import TASKS, Config
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.data.text.corpus import Corpus, corpus_from_text, read_corpus
from fastrnn.errors import FastRNNError, InputError

PIECE = 10_000_000  # characters
ENDINGS = (".txt", ".tsv", ".conllu", ".csv", ".jsonl", ".npz", ".gz", "-idx3-ubyte")
ALPHABETS = (
    "ab \n", "\x00\x01\x1b\x7f\x9b\u202e\u2028 \r\n", "aé中😀\ufeff\u0301\u200d\n ", ".!?\"'’()-,  \n",
    "0123456789.,-\t\n", "".join(map(chr, range(0x20, 0x250))), "".join(map(chr, range(0x10FF00, 0x110000))),
)  # fmt: skip


def odd_texts(long_line: int) -> Iterator[tuple[str, bytes]]:
    """The odd ones: what each is, and its bytes."""
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    yield "all of Unicode", everything.encode()
    yield "all 256 bytes", bytes(range(256)) * 4
    yield "lone surrogates", "half a pair \ud800 \udfff".encode("utf-8", "surrogatepass") * 9
    yield "NULs", bytes(1000)
    yield "CRLF", b"one line\r\nanother line\r\n\r\n" * 20
    yield "carriage returns", b"one line\ranother line\r" * 20
    yield "byte order mark", b"\xef\xbb\xbfa text with a mark\n" * 20
    yield "UTF-16", "a text of two bytes a letter\n".encode("utf-16") * 20
    yield "overlong", b"an \xc0\xaf overlong \xe0\x80\xaf slash\n" * 9
    yield "cut in a character", "naïve ☃".encode()[:-1] * 9
    yield "no line end", b"a"
    yield "two bytes", b"ab"
    yield "nothing", b""
    yield "line ends", b"\n" * 500
    yield "blanks", b" \t\x0b\x0c\xc2\xa0" * 100
    yield "one line", b"the cat sat on the mat and " * (long_line // 27)
    yield "one word", b"ab" * (long_line // 2)


def random_text(rng: random.Random) -> bytes:
    """Bytes of one of many kinds, up to two thousand of them."""
    size = rng.choice((0, 1, 2, 3, 50, 300, 2000))
    letters = rng.choice(ALPHABETS)
    text = "".join(rng.choices(letters, k=size)).encode()
    match rng.randrange(6):
        case 0:
            return rng.randbytes(size)
        case 1 if text:
            place = rng.randrange(len(text))
            return text[:place] + bytes([rng.randrange(256)]) + text[place + 1 :]
        case 2:
            packed = gzip.compress(text, mtime=0)
            return packed if rng.random() < 0.5 else packed[: rng.randrange(len(packed))]
    return text


def plain(data: bytes) -> bytes:
    """What a file's bytes stand for."""
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def reads(path: Path, data: bytes) -> int:
    """How many of the three kinds of tokens can be read from a file. Asserts that what is read is what is there."""
    read = 0
    for tokens in ("bytes", "chars", "words"):
        try:
            corpus = read_corpus([str(path)], tokens=tokens, min_count=1)
        except InputError as error:
            _one_line(error)
            continue
        read += 1
        _compare(corpus, plain(data))
    return read


def _compare(corpus: Corpus, whole: bytes) -> None:
    """The ids stand for the bytes; a piece at a time, so that a long text does not take ten times its memory."""
    kind, ids = corpus.tokenizer.kind, corpus.ids
    if kind == "bytes":
        assert ids.astype(np.uint8).tobytes() == whole
    elif kind == "chars":
        text = whole.decode()
        assert len(ids) == len(text)
        for i in range(0, len(ids), PIECE):
            assert corpus.tokenizer.decode(ids[i : i + PIECE]) == text[i : i + PIECE]
            assert np.array_equal(corpus.tokenizer.encode(text[i : i + PIECE]), ids[i : i + PIECE])
    elif len(whole) < PIECE:
        again = corpus_from_text(whole.decode(), tokenizer=corpus.tokenizer)
        assert np.array_equal(again.ids, ids)
        corpus.tokenizer.decode(ids)


def trains(path: Path, out: Path, tokens: str) -> bool:
    """Two steps on a file, and a sample; False if it was refused in one line."""
    validated = 0.1 if path.stat().st_size < 1 << 22 else 0.0
    config = Config(cell="rnn", hidden=2, batch=2, seq=4, steps=2, lr=0.01, dropout=0.0, threads=1, tokens=tokens,
                    min_count=1, precision="float32", eval_every=2, valid=validated)  # fmt: skip
    try:
        fastrnn.train([str(path)], config, out)
        fastrnn.load(out).sample(10)
    except FastRNNError as error:
        _one_line(error)
        return False
    return True


def random_files(folder: Path, times: int, trained: int, seed: int = 0) -> str:
    """Random byte strings; a few of them trained on."""
    rng, path, read, done = random.Random(seed), folder / "random", 0, 0
    for i in range(times):
        data = random_text(rng)
        path.write_bytes(data)
        read += reads(path, data)
        if i < trained:
            done += trains(path, folder / f"run{i}", ("bytes", "chars", "words")[i % 3])
    refused = f"{3 * times - read:,} refused; {done} of {trained} trained, the others refused"
    return f"{times:,} random files as bytes, characters, words: {read:,} read exactly, {refused}"


def odd_files(folder: Path, long_line: int) -> str:
    """The odd ones, each trained on."""
    path, number, done = folder / "odd", 0, 0
    for name, data in odd_texts(long_line):
        path.write_bytes(data)
        reads(path, data)
        for tokens in ("bytes", "chars", "words"):
            out = folder / f"{name} {tokens}"
            trained = trains(path, out, tokens)
            assert trained or tokens != "bytes" or len(data) < 20, name
            done += trained
        number += 1
    return f"{number} odd files (one line of {long_line / 1e6:,.0f} MB among them): {done} runs, the others refused"


def labelled(folder: Path, times: int, seed: int = 0) -> str:
    """Random bytes as the data of the labelled tasks."""
    rng, read = random.Random(seed), 0
    for i in range(times):
        path = folder / f"data{ENDINGS[i % len(ENDINGS)]}"
        path.write_bytes(random_text(rng))
        for task in TASKS[1:]:
            try:
                read_examples([str(path)], task)
                read += 1
            except FastRNNError as error:
                _one_line(error)
        path.unlink()
    return f"{times:,} random files as data of {len(TASKS) - 1} tasks: {read:,} read, the others refused"


def _one_line(error: FastRNNError) -> None:
    assert "\n" not in str(error)
    assert str(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--trained", type=int, default=60)
    parser.add_argument("--line", type=int, default=100_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(random_files(Path(folder), chosen.files, chosen.trained), flush=True)
        print(labelled(Path(folder), chosen.files // 5), flush=True)
        print(odd_files(Path(folder), chosen.line), flush=True)


if __name__ == "__main__":
    main()
