"""Types of settings and arguments: equal values of other types are converted, others are refused at once."""

import enum
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastrnn.config import Config, read_config_file, to_toml
from fastrnn.errors import ConfigError, FastRNNError, InputError
from fastrnn.inference.sampling import SamplingParams, check_amounts


class Cell(enum.StrEnum):
    GRU = "gru"


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("hidden", 24.0, 24),
        ("hidden", np.int16(24), 24),
        ("hidden", np.float32(24), 24),
        ("hidden", np.array(24), 24),
        ("warmup", Decimal("7"), 7),
        ("patience", Fraction(8, 2), 4),
        ("seed", 1e6, 1_000_000),
        ("lr", Fraction(1, 4), 0.25),
        ("lr", np.float64(0.5), 0.5),
        ("lr", 1, 1.0),
        ("epochs", np.int8(3), 3.0),
        ("bidirectional", np.False_, False),
        ("cell", np.str_("gru"), "gru"),
        ("cell", Cell.GRU, "gru"),
        ("valid_file", Path("a") / "b.txt", "a/b.txt"),
        ("hidden", None, None),
    ],
)
def test_equal_value_of_another_type_is_converted(name: str, given: Any, kept: Any) -> None:
    found = getattr(Config(**{name: given}), name)
    assert found == kept
    assert type(found) is type(kept)
    assert getattr(Config().replace(**{name: given}), name) == kept


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("hidden", 24.5),
        ("hidden", "24"),
        ("hidden", True),
        ("hidden", np.True_),
        ("hidden", [24]),
        ("hidden", np.array([24])),
        ("hidden", float("inf")),
        ("hidden", Decimal("NaN")),
        ("hidden", Decimal("1e999999999")),
        ("seed", True),
        ("lr", "0.1"),
        ("lr", 1j),
        ("lr", 10**400),
        ("lr", np.datetime64("2024-01-01")),
        ("clip", float("inf")),
        ("min_count", 10**45),
        ("bidirectional", 1),
        ("bidirectional", "yes"),
        ("seq", None),
        ("cell", b"gru"),
        ("for_", 5),
        ("valid_file", "a\udcff"),
        ("document_separator", "\ud800"),
        ("document_separator", "x" * 70_000),
    ],
)
def test_wrong_value_raises_config_error_that_names_the_setting(name: str, given: Any) -> None:
    with pytest.raises(ConfigError, match=name.rstrip("_")) as caught:
        Config(**{name: given})
    assert len(str(caught.value)) < 400


def test_unknown_setting_error_suggests_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'widht'"):
        Config().replace(widht=3)
    with pytest.raises(ConfigError, match="did you mean hidden"):
        Config().replace(hiden=3)


def test_integers_may_be_written_as_floats_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("hidden = 32.0\nlr = 1\n")
    assert read_config_file(tmp_path / "a.toml") == {"hidden": 32, "lr": 1.0}


def test_toml_has_no_numpy_types() -> None:
    assert to_toml(Config(hidden=np.int64(9), lr=np.float64(0.5))) == to_toml(Config(hidden=9, lr=0.5))


@pytest.mark.parametrize("settings", [{"temperature": "1"}, {"top_k": 2.5}, {"greedy": 1}, {"top_p": None}])
def test_sampling_params_are_validated(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        SamplingParams(**settings)


def test_sample_amounts_must_be_integers() -> None:
    assert check_amounts(np.int64(2), 3.0, np.uint8(4)) == (2, 3, 4)
    for amounts in (("2", 3, 4), (2, 3.5, 4), (2, 3, None), (True, 3, 4)):
        with pytest.raises(ConfigError, match="must be a whole number"):
            check_amounts(*amounts)  # type: ignore[arg-type]


def test_error_messages_have_a_bounded_length() -> None:
    text = "a long story. " * 9000
    for error in (FastRNNError(text), InputError(f"{text}; give less"), ConfigError(ValueError(text))):
        assert len(str(error)) <= 600
    assert str(InputError(f"{text}; give less")).endswith("; give less")
    assert str(InputError("short\nand plain")) == "short\nand plain"
