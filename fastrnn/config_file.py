"""``config.toml`` and ``--config FILE.toml``: settings as text."""

import tomllib
from pathlib import Path
from typing import Any

from .config import Config, checked_fields
from .errors import ConfigError


def read_config_file(path: str | Path) -> dict[str, Any]:
    """Field names and values of a TOML file. Raises `ConfigError` that names the file."""
    try:
        with open(path, "rb") as file:
            return checked_fields(tomllib.load(file), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this configuration: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def to_toml(config: Config) -> str:
    """The text of ``config.toml``: one ``key = value`` a line."""
    return "".join(f"{key} = {_toml_value(value)}\n" for key, value in config.to_mapping().items())


def _toml_value(value: str | int | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\' or ord(c) == 127 else c for c in value)
        return f'"{escaped}"'
    return repr(value)
