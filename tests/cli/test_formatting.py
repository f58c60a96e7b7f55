"""Formatting of durations, losses, numbers and sparklines."""

import math

import pytest

from fastrnn.errors import ConfigError
from fastrnn_cli import formatting
from fastrnn_cli.inspect_report import check_index


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03"), (None, "-"), (math.inf, "-")],
)
def test_duration_is_formatted_in_readable_units(seconds: float | None, shown: str) -> None:
    assert formatting.duration(seconds) == shown


def test_loss_is_formatted_in_nats_and_bits() -> None:
    assert formatting.loss(2 * math.log(2)) == "1.3863 nats  2.0000 bits"
    assert formatting.loss(None) == "-"


def test_plural_follows_the_count() -> None:
    assert [formatting.plural(n, "layer") for n in (1, 2, 1234)] == ["1 layer", "2 layers", "1,234 layers"]


def test_spark_of_a_falling_loss_falls_from_the_highest_bar_to_the_lowest() -> None:
    spark = formatting.Sparkline()
    for value in range(8, 0, -1):
        spark.add(value)
    assert spark.text(40) == formatting.BARS[::-1]
    assert spark.text(40, formatting.ASCII_BARS) == formatting.ASCII_BARS[::-1]


def test_spark_has_a_bounded_width() -> None:
    spark = formatting.Sparkline(room=8)
    for step in range(10_000):
        spark.add(-step)
    text = spark.text(8)
    assert len(text) == 8
    assert text[0] == formatting.BARS[-1]
    assert text[-1] == formatting.BARS[0]
    assert list(text) == sorted(text, reverse=True)
    assert len(spark._means) < 16


def test_spark_handles_empty_constant_and_non_finite_values() -> None:
    spark = formatting.Sparkline()
    assert spark.text(10) == ""
    for value in (math.nan, 1.0, math.inf, 1.0):
        spark.add(value)
    assert spark.text(10) == formatting.BARS[0] * 2


def test_number_out_of_range_error_shows_the_range() -> None:
    with pytest.raises(ConfigError, match=r"layer is 3; this model has only layer 0$"):
        check_index("layer", 3, 1)
    with pytest.raises(ConfigError, match=r"layer is 3; this model has layers 0 to 1$"):
        check_index("layer", 3, 2)


def test_units_are_those_of_the_tokens() -> None:
    assert [formatting.unit("language-model", kind) for kind in ("chars", "bytes", "words")] == [
        "chars",
        "bytes",
        "words",
    ]
    assert formatting.unit("tag", "chars") == "targets"


@pytest.mark.parametrize(
    ("value", "spread", "shown"),
    [
        (23.456789012, 10.0, "23.45679"),
        (1234567006.4924713, 20.0, "1234567006.49247"),
        (98765432.10, 1.0, "98765432.1"),
        (-1.7e9 - 0.25, 0.5, "-1700000000.25"),
        (2.3248129e-14, 1e-14, "2.324813e-14"),
        (3e-14, 1e-16, "3e-14"),
        (0.0, 1.0, "0"),
        (1e20 / 3, 1e18, "3.3333333e+19"),
        (0.1 + 0.2, 1e-30, "0.30000000000000004"),
        (math.inf, 1.0, "inf"),
    ],
)
def test_digits_are_chosen_by_the_spread(value: float, spread: float, shown: str) -> None:
    assert formatting.digits(value, spread) == shown
