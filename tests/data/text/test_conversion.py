"""Texts in other encodings than UTF-8: conversion as they are read, and the guess in messages."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from fastrnn.config import Config
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.data.text.corpus import read_corpus
from fastrnn.data.text.encodings import convert, guess_encoding
from fastrnn.errors import ConfigError, InputError

SAMPLES = {
    "french": ("Où est l’été ? À la forêt, où les élèves ont mangé un gâteau.", "cp1252 mac-roman cp850"),
    "german": ("Über den Wäldern fährt der Zug, größer und weiß.", "cp1252 cp850"),
    "spanish": ("El niño comió mañana; ¿qué está pasando aquí?", "cp1252 mac-roman"),
    "italian": ("Perché la città è già lì, però più giù.", "cp1252"),
    "quotes": ("It’s a “quoted” text — and more…", "cp1252"),
    "one letter": ("a café here", "cp1252"),
    "polish": ("Zażółć gęślą jaźń, król był w świecie.", "cp1250 iso8859-2"),
    "czech": ("Příliš žluťoučký kůň úpěl ďábelské ódy.", "cp1250 iso8859-2"),
    "turkish": ("Bugün hava çok güzel, değil mi? Kış aylarında ısınmak için.", "cp1254"),
    "russian": ("Баржа стояла у причала, и Никто не знал, Куда она идёт.", "cp1251 koi8-r cp866"),
    "greek": ("Η φορτηγίδα ήταν στην προβλήτα και περίμενε.", "cp1253"),
    "japanese": ("はしけは3番の桟橋にいた。誰も行き先を知らなかった。", "shift_jis euc_jp"),
    "simplified": ("驳船停在码头，没有人知道它要去哪里。他是一个中国人。", "gb18030"),
    "traditional": ("駁船停在碼頭，沒有人知道它要去哪裡。他是一個中國人。", "big5"),
    "korean": ("바지선은 부두에 있었다. 아무도 그것이 어디로 가는지 몰랐다.", "cp949"),
}
CASES = [(text, encoding) for text, encodings in SAMPLES.values() for encoding in encodings.split()]


@pytest.mark.parametrize(("text", "encoding"), CASES)
def test_encoding_is_guessed(text: str, encoding: str) -> None:
    data = f"plain\n{text}\n".encode(encoding, "ignore")
    start = next(i for i, byte in enumerate(data) if byte >= 0x80)
    assert guess_encoding(data, start) == encoding


@pytest.mark.parametrize(
    "data",
    [
        b"abc\xff\n",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "ééé àà ñ ok".encode() + b"\xff",  # damaged
        "a caf\xe9".encode()[:-1],  # cut
    ],
)
def test_damaged_and_binary_data_have_no_encoding(data: bytes) -> None:
    assert guess_encoding(data, next(i for i, byte in enumerate(data) if byte >= 0x80)) is None


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-be", "utf-32", "shift_jis", "gb18030", "utf-8-sig"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_conversion_does_not_depend_on_the_chunks(encoding: str, size: int) -> None:
    text = "a café\n" if encoding == "cp1252" else "a 駁船 の\n"
    data = text.encode(encoding, "ignore") * (1 if encoding.startswith("utf-") else 3)
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    assert b"".join(convert(chunks, encoding, "x")).decode() == data.decode(encoding)


def test_piece_of_a_pipe_is_converted_as_soon_as_it_arrives() -> None:
    seen: list[str] = []

    def pipe():
        for piece in (b"caf\xe9\n", b"na\xefve\n"):
            seen.append("sent")
            yield piece

    for piece in convert(pipe(), "latin-1", "x"):
        seen.append(piece.decode())
    assert seen == ["sent", "caf\xe9\n", "sent", "na\xefve\n"]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_invalid_byte_is_named_wherever_chunks_end(size: int) -> None:
    data = "駁船".encode("shift_jis", "replace") + "の".encode("shift_jis") + b"ab\xff\xff"
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    with pytest.raises(InputError, match=rf"^x: not shift_jis at byte {len(data) - 2} \(0xff\); "):
        list(convert(chunks, "shift_jis", "x"))


def test_wrong_encoding_is_an_error_that_names_the_likely_one(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a café\n" * 3, "utf-8")
    with pytest.raises(InputError, match=r"t\.txt: not ascii at byte 5 \(0xc3\); it looks like utf-8"):
        read_corpus(tmp_path / "t.txt", encoding="ascii")


def test_missing_byte_order_mark_is_an_error_of_one_line() -> None:
    with pytest.raises(InputError, match=r"^x: not utf-16: .*; leave out --encoding if it is UTF-8$"):
        list(convert([b"plain text"], "utf-16", "x"))


@pytest.mark.parametrize("tokens", ["chars", "words"])
def test_every_kind_of_input_is_converted(tokens: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a café and a garçon\n" * 3
    data = text.encode("cp1252")
    (tmp_path / "t.txt").write_bytes(data)
    (tmp_path / "t.txt.gz").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.txt", data)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "t.txt").write_bytes(data)
    (tmp_path / "utf8.txt").write_text(text, "utf-8")
    expected = read_corpus(tmp_path / "utf8.txt", tokens=tokens)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    for name in ("t.txt", "t.txt.gz", "t.zip", "folder", "fold*/*.txt", "-"):
        found = read_corpus(name if name == "-" else str(tmp_path / name), tokens=tokens, encoding="Windows-1252")
        assert found.fingerprint == expected.fingerprint, name


def test_wide_texts_of_a_folder_are_read_with_their_encoding(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes("a text of letters\n".encode("utf-16"))
    with pytest.raises(InputError, match="UTF-16, not UTF-8: --encoding utf-16"):
        read_corpus(tmp_path)
    assert len(read_corpus(tmp_path, encoding="utf-16")) == 18


def test_corpora_are_utf8_whatever_the_encoding() -> None:
    plain = read_corpus("python-reference")
    assert read_corpus("python-reference", encoding="utf-16").fingerprint == plain.fingerprint


def test_labelled_data_is_converted(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes("hot\tcaf\xe9\ncold\tgla\xe7on\n".encode("cp1252"))
    with pytest.raises(InputError, match="it looks like cp1252: give --encoding cp1252"):
        read_examples(tmp_path / "t.tsv", "classify")
    found = read_examples(tmp_path / "t.tsv", "classify", encoding="cp1252")
    assert [(item.x, item.y) for item in found.items] == [("caf\xe9", "hot"), ("gla\xe7on", "cold")]
    with pytest.raises(ConfigError, match="encoding 'x' is unknown"):
        read_examples(tmp_path / "t.tsv", "classify", encoding="x")


def test_setting_has_one_form() -> None:
    assert Config(encoding="Windows-1252").encoding == Config(encoding="cp1252").encoding == "cp1252"
    assert Config(encoding="UTF8").encoding is None
    assert "encoding" not in Config().to_dict()
    for wrong in ("rot13", "base64", "", "utf-99", "a\0b", "undefined"):
        with pytest.raises(ConfigError, match=r"encoding .* is unknown; give one that Python knows"):
            Config(encoding=wrong)


def test_bytes_have_no_encoding(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("some text")
    with pytest.raises(ConfigError, match="tokens bytes reads every byte as it is"):
        Config(tokens="bytes", encoding="cp1252")
    with pytest.raises(ConfigError, match="tokens bytes reads every byte as it is"):
        read_corpus(tmp_path / "t.txt", tokens="bytes", encoding="cp1252")
