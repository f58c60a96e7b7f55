"""Untrusted text cannot control the terminal: a short run of `terminal.py`."""

import os

import pytest

if os.name != "posix":
    pytest.skip("needs pseudo-terminals", allow_module_level=True)

import terminal

from fastrnn_cli.output import escape_controls, escape_line


def test_commands_on_a_terminal_show_no_raw_control_character(tmp_path):
    assert "0 raw control characters" in terminal.driven(tmp_path, most=14)


def test_every_control_character_is_made_visible():
    for character in terminal.CONTROLS + terminal.BIDI:
        assert not terminal.raw(escape_controls(character)), ascii(character)
        assert not terminal.raw(escape_line(character)), ascii(character)
        assert len(escape_line(character)) > 0


@pytest.mark.parametrize("sequence", terminal.SEQUENCES)
def test_checker_detects_foreign_escape_sequences(sequence):
    assert terminal.raw(f"before {sequence} after")
    assert not terminal.raw(f"before {escape_controls(sequence)} after")


@pytest.mark.parametrize("own", ["\x1b[1;38;2;66;133;244m", "\x1b[0m", "\r\x1b[2K", "\x1b[1A", "\r\n", "\x1b[?25h"])
def test_checker_accepts_the_programs_own_sequences(own):
    assert not terminal.raw(f"before {own} after")
