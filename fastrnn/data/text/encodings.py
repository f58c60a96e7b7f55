"""Encodings other than UTF-8: conversion of bytes to UTF-8, and a guess at the encoding of a text."""

import codecs
from collections.abc import Iterable, Iterator

from ...errors import InputError, escape

_EXAMINED = 1 << 16  # bytes from the line of the first invalid one
_CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n\r\f\x1b")
_BINARY = 0.01  # share of control characters from which data is not text
_DAMAGED = 0.2  # invalid sequences / other characters beyond ASCII up to which a text is damaged UTF-8
_LIKELY = 0.6  # least share of a one-byte encoding's frequent characters
_CERTAIN = 0.95  # share from which the first encoding is taken
_MOST = 14  # characters of a list that count twice
_FEW = 4  # characters beyond ASCII from which more than the most frequent encoding is considered

_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфёіїєґў"
_WESTERN = "éèàäöüñáßùâêîôûçëïíóúãõåæøœòì¿¡«»°£©€"
_CENTRAL = "ąęłżáíěščřžýćńśźůďťňéúóöüőűôľĺŕ"
_QUOTES = "’‘“”–—…"
# Characters that are frequent in texts of an encoding; of texts that are mostly ASCII, and of others, whose characters
# are in the order of their frequency.
_MOSTLY_ASCII = (
    ("cp1252", _WESTERN + _QUOTES),
    ("cp1250", _CENTRAL),
    ("iso8859-2", _CENTRAL),
    ("cp1254", "ığşçöüâîİ"),
    ("mac-roman", _WESTERN),
    ("cp850", _WESTERN),
)
_NOT_ASCII = (
    ("cp1251", _CYRILLIC),
    ("koi8-r", _CYRILLIC),
    ("cp866", _CYRILLIC),
    ("cp1253", "αοιετσνηυρπκμλςόίέάήύώθδφχγβξζψω"),
)
# The same for encodings with several bytes a character, with the least share of these characters.
_KANA = "".join(map(chr, range(0x3041, 0x3097)))
_SEVERAL_BYTES = (
    ("shift_jis", _KANA, 0.2),
    ("euc_jp", _KANA, 0.2),
    ("cp949", "이다는을의에가고하지로도한은를서기사어나인", 0.15),
    ("big5", "的一是不了在人有我他這中大來上個國到說們為子和你地出道也時年得就那要下以生會自著去", 0.1),
    ("gb18030", "的一是不了在人有我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去", 0.1),
)


def convert(chunks: Iterable[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """Convert the bytes of a text to UTF-8 as they arrive.

    Raises `InputError` with the offset of the first invalid byte.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = 0  # of the first byte that is not decoded yet

    def decode(chunk: bytes, final: bool = False) -> bytes:
        nonlocal offset
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            at, byte = offset + error.start, error.object[error.start]
            likely = guess_encoding(chunk, 0)
            advice = f"it looks like {likely}" if likely else "give the encoding that it was saved in"
            raise InputError(f"{escape(name)}: not {encoding} at byte {at} (0x{byte:02x}); {advice}") from None
        except UnicodeError as error:
            detail = f"{error}; leave out --encoding if it is UTF-8"
            raise InputError(f"{escape(name)}: not {encoding}: {detail}") from None
        offset += held + len(chunk) - len(decoder.getstate()[0])
        return text.encode("utf-8", "surrogatepass")

    for chunk in chunks:
        if converted := decode(chunk):
            yield converted
    if converted := decode(b"", final=True):
        yield converted


def guess_encoding(data: bytes, start: int) -> str | None:
    """Return the likely encoding of a text that is not UTF-8 at ``start``, or None.

    It is one of a few frequent encodings that can decode the text and whose frequent characters make up most of what is
    not ASCII. A text that is nearly UTF-8, or not a text, has none.
    """
    begin = data.rfind(b"\n", 0, start) + 1
    part = data[begin : begin + _EXAMINED]
    # Text hardly contains control characters: this is another kind of file.
    if len(part) - len(part.translate(None, _CONTROLS)) > _BINARY * len(part):
        return None
    if _is_cut_utf8(part):
        return None  # the text was cut within a character
    decoded = part.decode("utf-8", "replace")
    others = sum(c > "\x7f" for c in decoded)
    if not others:
        return None
    # `replace` writes one U+FFFD for each invalid sequence.
    invalid = decoded.count("\ufffd")
    if not invalid:
        return "utf-8"
    if invalid <= _DAMAGED * (others - invalid):
        return None
    # These first: their bytes are valid in most one-byte encodings, too.
    for encoding, frequent, least in _SEVERAL_BYTES:
        if _share(part, encoding, frequent) >= least:
            return encoding
    if others < _FEW or sum(c.isascii() and c.isalpha() for c in decoded) >= others:
        # Shares beyond `_CERTAIN` count as equal: `max` then takes the first, the most frequent encoding.
        rows = _MOSTLY_ASCII if others >= _FEW else _MOSTLY_ASCII[:1]
        shares = [(min(_share(part, encoding, frequent), _CERTAIN), encoding) for encoding, frequent in rows]
    else:
        shares = [
            (_share(part, encoding, frequent) + _share(part, encoding, frequent[:_MOST]), encoding)
            for encoding, frequent in _NOT_ASCII
        ]
    share, encoding = max(shares, key=lambda each: each[0])
    return encoding if share >= _LIKELY else None


def describe_wide_encoding(head: bytes, name: str) -> str:
    """Return the value of ``--encoding`` for a text that begins like UTF-16 or UTF-32, ``name``.

    Without a byte order mark the order of the bytes is the one that gives more ASCII characters and blanks.
    """
    encoding = name.lower()
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        return encoding

    def count_plain(order: str) -> int:
        text = head.decode(f"{encoding}-{order}", "replace")
        return sum(c < "\x80" or c.isspace() for c in text)

    return f"{encoding}-{max(('le', 'be'), key=count_plain)}"


def _is_cut_utf8(part: bytes) -> bool:
    """Whether the bytes are UTF-8 that ends within a character."""
    try:
        return codecs.utf_8_decode(part, "strict", False)[1] < len(part)
    except UnicodeDecodeError:
        return False


def _share(part: bytes, encoding: str, frequent: str) -> float:
    """Return the share of these characters among those beyond ASCII; 0 if the bytes are not of this encoding."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(part)  # the last character may be incomplete
    except UnicodeDecodeError:
        return 0.0
    others = [c for c in text if c > "\x7f"]
    known = set(frequent)
    return sum(c in known for c in others) / len(others) if others else 0.0
