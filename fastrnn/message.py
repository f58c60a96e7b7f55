"""Text in error messages: one line, of bounded length, without characters that could disturb a terminal."""

ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
MESSAGE = 600  # characters of a message
NAME = 160  # characters of a name, a label or another text of the user's in a message


def readable(text: str) -> str:
    """The text with everything unprintable as an escape such as ``\\n``, ``\\x1b`` or ``\\u200b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ESCAPES.get(c) or ascii(c)[1:-1] for c in text)


def shorten(text: str, most: int = NAME) -> str:
    """At most ``most`` characters: of a longer text the start and the end, with `` ... `` between them."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 5]} ... {text[-tail:]}"


def quoted(value: object) -> str:
    """A value as Python writes it, escaped and shortened."""
    if isinstance(value, str):  # shortened first: its escapes may take ten times the room
        return shorten(ascii(shorten(value)) if not value.isprintable() else repr(shorten(value)))
    return readable(shorten(repr(value)))
