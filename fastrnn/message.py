"""Format text for error messages: one line of bounded length without control characters."""

ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
MESSAGE = 600  # maximum characters of a message
NAME = 160  # maximum characters of a quoted name, label or other user text


def readable(text: str) -> str:
    """Escape unprintable characters, as ``\\n``, ``\\x1b`` or ``\\u200b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ESCAPES.get(c) or ascii(c)[1:-1] for c in text)


def shorten(text: str, most: int = NAME) -> str:
    """Shorten a text to ``most`` characters: its start and end with `` ... `` between them."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 5]} ... {text[-tail:]}"


def quoted(value: object) -> str:
    """Return the repr of a value, escaped and shortened."""
    if isinstance(value, str):  # shorten first: escapes may be ten times as long
        return shorten(ascii(shorten(value)) if not value.isprintable() else repr(shorten(value)))
    return readable(shorten(repr(value)))
