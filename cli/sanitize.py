"""Escape control characters, so that generated text cannot control the terminal."""

_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_LINE_SEPARATORS = (0x2028, 0x2029)

# Unicode has pictures for C0 controls and DEL (U+2400..), but not for C1, bidirectional controls and separators.
_TABLE: dict[int, str] = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
_TABLE[0x7F] = "\u2421"
_TABLE.update({code: f"<U+{code:04X}>" for code in (*range(0x80, 0xA0), *_BIDI, *_LINE_SEPARATORS)})
_TABLE.update({code: f"<U+{code:04X}>" for code in range(0xD800, 0xE000)})
_LINE_TABLE = _TABLE | {0x09: "\u2409", 0x0A: "\u240a"}
# Spaces that look like U+0020, and invisible characters.
_UNSEEN = (0xA0, 0xAD, 0x1680, *range(0x2000, 0x200E), 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF)
_NAME_TABLE = _LINE_TABLE | {code: f"<U+{code:04X}>" for code in _UNSEEN}


def visible(text: str) -> str:
    """Replace characters that move the cursor, colour or reorder text; \\n and \\t stay."""
    return text.translate(_TABLE)


def visible_line(text: str) -> str:
    """Like `visible`, but on one line: also replace \\n and \\t."""
    return text.translate(_LINE_TABLE)


def visible_name(name: str) -> str:
    """Like `visible_line`, for names that must be distinguishable: also replace unusual spaces."""
    return name.translate(_NAME_TABLE)
