"""Untrusted text is shown without terminal controls."""

import pytest

from fastrnn_cli.output import escape_controls, escape_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, naïve ☃ 👩‍🚀", "plain text, naïve ☃ 👩‍🚀"),
        ("line\n\tnext", "line\n\tnext"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("over\rwrite\x08\x07\x00\x7f", "over␍write␈␇␀␡"),
        ("c1 \x9b31m", "c1 <U+009B>31m"),
        ("bidi \u202e\u2066\u200f.", "bidi <U+202E><U+2066><U+200F>."),
        ("separators \u2028\u2029", "separators <U+2028><U+2029>"),
        ("half a pair \ud800", "half a pair <U+D800>"),
    ],
)
def test_terminal_controls_are_shown_as_symbols(text: str, shown: str) -> None:
    assert escape_controls(text) == shown


def test_every_control_character_but_newline_and_tab_is_replaced() -> None:
    controls = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
    assert [c for c in controls if c in escape_controls(controls)] == ["\t", "\n"]


def test_sanitized_line_stays_one_line() -> None:
    assert escape_line("a\nb\tc\r") == "a␊b␉c␍"
