"""UTF-16 and UTF-32 are detected; UTF-8 and single-byte encodings are never mistaken for them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.data.text.corpus import read_corpus
from fastrnn.data.text.decoding import detect_encoding, refuse_utf16
from fastrnn.errors import InputError

TEXTS = {
    "english": "A barge lay at the quay, 40 feet long.\n" * 3,
    "russian": "Баржа стояла у причала, 12 метров.\n" * 3,
    "greek": "Η φορτηγίδα ήταν στην προβλήτα.\n" * 3,
    "chinese": "驳船停在码头 12。\n" * 5,
    "japanese": "はしけは3番の桟橋にいた。\n" * 4,
    "korean": "바지선은 부두에 있었다.\n" * 4,
    "hindi": "नाव घाट पर खड़ी थी।\n" * 4,
    "arabic": "كانت البارجة عند الرصيف.\n" * 4,
    "emoji": "🚢🚢 ok 🚢\n" * 8,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_wide_encodings_are_detected_with_and_without_a_mark(text: str, encoding: str) -> None:
    assert detect_encoding(text.encode(encoding)) == encoding[:6].upper()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_other_encodings_are_not_detected_as_wide(text: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "latin-1", "cp1251", "gb18030", "shift-jis", "euc-kr"):
        assert detect_encoding(text.encode(encoding, "ignore")) is None


@given(st.text(st.sampled_from("abc \n\t\r\f\ufeffé☃😀")))
def test_readable_text_is_never_refused(text: str) -> None:
    data = text.encode()
    assert b"".join(refuse_utf16([data[:3], data[3:]], "x")) == data


@pytest.mark.parametrize("data", [b"a\tb\tc\t" * 9, b"a\nb\nc\n" * 9, b"\0" * 40, b"a few bytes\0" * 9, b"a\0b\0"])
def test_tabs_line_ends_and_some_nuls_do_not_suggest_wide_encodings(data: bytes) -> None:
    assert detect_encoding(data) is None


@pytest.mark.parametrize("tokens", ["chars", "words"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_error_names_the_encoding_and_the_remedy(encoding: str, tokens: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(TEXTS["english"].encode(encoding))

    advice = rf"give --encoding {encoding}, or save it as UTF-8"
    with pytest.raises(InputError, match=rf"notes\.txt: this is {encoding[:6].upper()}, not UTF-8; {advice}$"):
        read_corpus([path], tokens=tokens)
    assert len(read_corpus([path], tokens="bytes")) == path.stat().st_size


def test_first_bytes_may_arrive_in_any_chunks() -> None:
    data = TEXTS["russian"].encode("utf-16-le")
    with pytest.raises(InputError, match="UTF-16"):
        list(refuse_utf16((data[i : i + 1] for i in range(len(data))), "x"))


def test_skipped_files_of_a_folder_are_reported(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good text\n")
    (tmp_path / "wide.txt").write_bytes(TEXTS["english"].encode("utf-16"))
    (tmp_path / "image.bin").write_bytes(b"\x89PNG\0\x01\x02")
    (tmp_path / "more").symlink_to(tmp_path.parent)

    (remark,) = read_corpus([tmp_path]).remarks

    assert remark.startswith("left out: ")
    for part in (
        "wide.txt (UTF-16, not UTF-8: --encoding utf-16)",
        "image.bin (not text: it has NUL bytes)",
        "more (a link to a folder)",
    ):
        assert part in remark
