"""Options of ``train``: one per field of `Config`, with its types, defaults and precedence."""

import dataclasses
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from fastrnn.config import Config, key_of, read_config_file, to_toml
from fastrnn.errors import ConfigError
from fastrnn_cli import options
from fastrnn_cli.commands import train
from fastrnn_cli.group import COMMANDS, load_command
from fastrnn_cli.options import resolve_settings

FIELDS = [field.name for field in dataclasses.fields(Config)]


def settings_of(args: list[str], env: dict[str, str] | None = None, resuming: bool = False) -> dict[str, Any]:
    """The settings that these arguments and variables give."""
    found: dict[str, Any] = {}

    @click.command()
    @options.all_config_options
    @click.option("--config", "config_file")
    @click.pass_context
    def command(context: click.Context, /, config_file: str | None, **values: Any) -> None:
        found.update(resolve_settings(context, values, config_file, resuming))

    result = CliRunner().invoke(command, args, env=env or {}, catch_exceptions=False)
    if result.exit_code:
        raise ConfigError(result.output)
    return found


def test_every_field_has_one_option_in_one_section() -> None:
    in_sections = [name for names in options.SECTIONS.values() for name in names]
    assert sorted(in_sections) == sorted(FIELDS)
    assert sorted(options.HELP) == sorted(FIELDS)
    by_name = {parameter.name: parameter for parameter in train.command.params}
    for name in FIELDS:
        assert by_name[name].opts == ["--" + key_of(name).replace("_", "-")]
        assert by_name[name].envvar == f"FASTRNN_{key_of(name).upper()}"


def test_help_shows_the_defaults_of_config() -> None:
    by_name = {parameter.name: parameter for parameter in train.command.params}
    for field in dataclasses.fields(Config):
        option = by_name[field.name]
        assert isinstance(option, click.Option)
        assert option.help is not None
        if field.default is False:
            assert option.help.endswith("[default: no]")
        elif field.name == "cell":
            assert option.help.endswith("[default: lstm-norm for a text, else lstm]")
            assert (Config().cell, Config(task="tag").cell) == ("lstm-norm", "lstm")
        elif field.default is not None:
            assert option.help.endswith(f"[default: {field.default}]")
        else:
            assert "[default: None]" not in option.help


@pytest.mark.parametrize("field", sorted(options.CHOICES))
def test_option_choices_are_valid_in_config(field: str) -> None:
    tasks = {"missing": "forecast", "format": "tag"}
    for choice in options.CHOICES[field]:
        task = "regress" if choice == "dense" else tasks.get(field)
        Config(**({"task": task} if task else {}), **{field: choice})
    with pytest.raises(ConfigError):
        Config(**{field: "nonsense"})


def test_options_not_given_are_not_set() -> None:
    assert settings_of([]) == {}


def test_values_have_the_types_of_their_fields() -> None:
    args = ["--hidden", "32", "--lr", "0.5", "--epochs", "2", "--cell", "gru", "--valid-file", "x"]
    assert settings_of(args) == {"hidden": 32, "lr": 0.5, "epochs": 2.0, "cell": "gru", "valid_file": "x"}
    assert type(settings_of(["--epochs", "2"])["epochs"]) is float


def test_flag_is_true_false_or_not_given(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("bidirectional = true\n")
    assert settings_of(["--bidirectional"]) == {"bidirectional": True}
    assert settings_of([], {"FASTRNN_BIDIRECTIONAL": "1"}) == {"bidirectional": True}
    assert settings_of(["--config", str(file)]) == {"bidirectional": True}
    assert settings_of(["--config", str(file), "--no-bidirectional"]) == {"bidirectional": False}
    file.write_text("bidirectional = 1\n")
    with pytest.raises(ConfigError, match="bidirectional must be true or false, not 1"):
        settings_of(["--config", str(file)])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bidirectional": True}, "a backward layer would have read it already"),
        ({"bidirectional": True, "task": "generate"}, "a backward layer would have read it already"),
        ({"columns": "y*"}, "requires --task classify or forecast or regress, not language-model"),
        ({"horizon": 3, "task": "tag"}, "requires --task forecast, not tag"),
        ({"labels": "x", "task": "tag"}, "requires --task classify, not tag"),
        ({"document_separator": "x", "task": "tag"}, "requires --task language-model, not tag"),
        ({"out_bias": "unigram", "task": "tag"}, "requires --task language-model, not tag"),
        ({"streams": 64, "task": "tag"}, "requires --task language-model, not tag"),
        ({"streams": 100, "batch": 32}, "streams is 100, not a multiple of batch 32; give 96 or 128"),
        ({"streams": 16, "batch": 32}, "streams is 16, not a multiple of batch 32; give 32"),
        ({"reset_every": 4, "task": "tag"}, "requires --task language-model, not tag"),
        ({"reset_every": -1}, "reset_every is -1; it must be"),
        (
            {"slow_units": 0.1, "cell": "rnn"},
            "cell rnn has no gate that keeps its state; slow_units requires gru, .*lstm",
        ),
        ({"cell": "dense"}, "keeps no state from step to step"),
        ({"tokens": "bytes", "task": "tag"}, "use chars or words"),
    ],
)
def test_options_of_other_tasks_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Config(**settings)


def test_settings_round_trip_through_a_file(tmp_path: Path) -> None:
    config = Config(task="forecast", bidirectional=True, columns='a,"b"', horizon=3, lr=0.5, for_="3m")
    (tmp_path / "config.toml").write_text(to_toml(config))
    assert Config(**read_config_file(tmp_path / "config.toml")) == config


def test_command_line_overrides_environment_overrides_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('hidden = 1\nlayers = 1\nseed = 1\ncell = "rnn"\n')
    env = {"FASTRNN_HIDDEN": "2", "FASTRNN_LAYERS": "2", "FASTRNN_CLIP": ""}
    found = settings_of(["--config", str(file), "--hidden", "3"], env)
    assert found == {"hidden": 3, "layers": 2, "seed": 1, "cell": "rnn"}


@pytest.mark.parametrize(
    ("args", "env", "expected"),
    [
        (["--steps", "5"], {"FASTRNN_FOR": "3m"}, {"steps": 5}),
        ([], {"FASTRNN_FOR": "3m"}, {"for_": "3m"}),
        ([], {}, {"epochs": 2.0}),
        (["--for", "1m"], {}, {"for_": "1m"}),
    ],
)
def test_steps_epochs_and_time_set_the_same_length(
    args: list[str], env: dict[str, str], expected: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "run.toml"
    file.write_text("epochs = 2\n")
    assert settings_of([*args, "--config", str(file)], env) == expected


def test_two_lengths_from_one_source_reach_config() -> None:
    with pytest.raises(ConfigError, match="epochs and steps both set the length"):
        Config(**settings_of(["--steps", "5", "--epochs", "1"]))


def test_resume_reads_only_machine_settings_from_the_environment() -> None:
    env = {"FASTRNN_HIDDEN": "7", "FASTRNN_THREADS": "2", "FASTRNN_FOR": "3m"}
    assert settings_of(["--steps", "9"], env, resuming=True) == {"threads": 2, "steps": 9}


def test_unknown_key_in_a_file_suggests_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("hiden = 3\n")
    with pytest.raises(ConfigError, match=r"run\.toml: unknown key 'hiden'; did you mean hidden\?"):
        settings_of(["--config", str(file)])


@pytest.mark.parametrize(
    ("written", "meant"), [(r"\n\n", "\n\n"), (r"a\tb", "a\tb"), (r"\\n", r"\n"), ("plain", "plain"), (r"\x", r"\x")]
)
def test_document_separator_escapes_are_expanded(written: str, meant: str) -> None:
    assert settings_of(["--document-separator", written]) == {"document_separator": meant}
    assert settings_of([], {"FASTRNN_DOCUMENT_SEPARATOR": written}) == {"document_separator": meant}


def test_paths_are_not_checked_by_click() -> None:
    """A file that cannot be read is the library's error, with status 1 and its words; not wrong usage."""
    paths = []
    for name in COMMANDS:
        command = load_command(name)
        for each in [*getattr(command, "commands", {}).values()] or [command]:
            paths += [p for p in each.params if isinstance(p.type, click.Path)]
    assert len(paths) >= 10
    assert not [p.name for p in paths if p.type.readable or p.type.exists]
