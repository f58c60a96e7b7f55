"""Warnings about unknown FASTRNN_* variables and unusable kernel caches: printed once, and the command runs."""

import logging
import sys

from click.testing import CliRunner

from fastrnn_cli.command_base import environment_warnings, warn_about_environment
from fastrnn_cli.group import program


def test_known_variables_give_no_warning(tmp_path):
    fine = {"FASTRNN_HIDDEN": "8", "FASTRNN_FOR": "3m", "FASTRNN_CONFIG": "a.toml", "FASTRNN_DEBUG": "1", "HOME": "x"}
    assert not list(environment_warnings(fine | {"FASTRNN_KERNELS": str(tmp_path / "new" / "folder")}))


def test_misspelt_variable_warning_suggests_the_nearest():
    (line,) = environment_warnings({"FASTRNN_HIDEN": "20"})
    assert line == "FASTRNN_HIDEN is not a fastrnn variable; did you mean FASTRNN_HIDDEN?"
    assert list(environment_warnings({"FASTRNN_QXZ": "1"})) == ["FASTRNN_QXZ is not a fastrnn variable"]


def test_library_log_messages_are_single_lines(monkeypatch, capsys):
    warn_about_environment({})
    logging.getLogger("fastrnn").warning("kernels: %s", "a\nb")
    assert capsys.readouterr().err.splitlines() == ["kernels: a␊b"]
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    warn_about_environment({})
    logging.getLogger("fastrnn").warning("again")
    assert capsys.readouterr().err == ""


def test_warnings_are_printed_before_a_command_but_not_with_help(monkeypatch):
    monkeypatch.setenv("FASTRNN_HIDEN", "20")
    told = CliRunner().invoke(program, ["data", "list"])
    assert (told.exit_code, told.stderr.count("did you mean FASTRNN_HIDDEN?")) == (0, 1)
    assert "HIDEN" not in CliRunner().invoke(program, ["train", "--help"]).output


def test_free_threaded_python_gives_one_line(monkeypatch, capsys):
    for enabled, lines in ((True, 0), (False, 1)):
        monkeypatch.setattr(sys, "_is_gil_enabled", lambda enabled=enabled: enabled, raising=False)
        warn_about_environment({})
        assert capsys.readouterr().err.count("free-threaded Python") == lines
