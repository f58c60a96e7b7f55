"""Synthetic data follow their rule and have the same bytes for the same seed."""

import datetime
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_cases import dataset, examples, write

from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.data.synthetic import GENERATORS, SyntheticOptions, make
from fastrnn.errors import ConfigError

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def made(name: str, **choices: Any) -> str:
    return "".join(make(name, SyntheticOptions(**choices)))


@pytest.mark.parametrize("name", GENERATORS)
def test_same_seed_gives_the_same_bytes(name: str) -> None:
    assert made(name, count=20) == made(name, count=20, seed=1)
    assert made(name, count=20) != made(name, count=20, seed=2)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("bits", "f5b8f982bdbf646c"),
        ("waves", "db292e35c693a0b5"),
        ("dates", "edb3b9b4ea7c2a38"),
        ("copy", "38cfe2ec120b5dd1"),
        ("reverse", "c4ef8a79b9b29284"),
    ],
)
def test_generated_bytes_are_the_same_on_every_platform(name: str, digest: str) -> None:
    assert hashlib.sha256(made(name, count=50).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("variable", [False, True])
def test_problems_1_and_2_are_complements_in_a_table(tmp_path: Path, variable: bool) -> None:
    path = write(tmp_path, "1.csv", made("bits", problem=1, count=30))
    assert {(x.item(), y.item()) for x, y in examples(path, "regress", columns="y*")} == {(0, 1), (1, 0)}

    path = write(tmp_path, "2.csv", made("bits", problem=2, count=200, variable=variable))
    found = examples(path, "regress", columns="y*")
    for x, y in found:
        assert ((x == -1) == (y == -1)).all()
        np.testing.assert_array_equal(x[x != -1] + y[y != -1], 1)
    lengths = {int((x != -1).sum()) for x, _ in found}
    assert lengths == ({*range(1, 11)} if variable else {10})
    batch = dataset(path, "regress", columns="y*").batch(np.arange(200))
    assert batch.count == sum(int((x != -1).sum()) for x, _ in found)


@pytest.mark.parametrize("problem", [3, 4])
def test_problems_3_and_4_are_tagged_bits(tmp_path: Path, problem: int) -> None:
    path = write(tmp_path, "a.txt", made("bits", problem=problem, count=300, variable=True))
    found = examples(path, "tag")

    assert {len(x) for x, _ in found} == set(range(1, 11))
    for x, y in found:
        for t, (bit, out) in enumerate(zip(x, y, strict=True)):
            turned = problem == 3 or (t > 0 and bit == y[t - 1])
            assert (out != bit) == turned
    assert {len(x) for x, _ in examples(write(tmp_path, "b.txt", made("bits", length=50, count=3)), "tag")} == {50}


def test_waves_are_hourly_series_far_from_persistence(tmp_path: Path) -> None:
    (example,) = read_examples([write(tmp_path, "a.csv", made("waves", count=500))], "forecast").items
    series = example.x

    assert (series.columns, series.date, series.values.shape) == (("a", "b", "c", "d"), "date", (500, 4))
    assert (series.values.std(axis=0) > 2).all()
    assert set(np.diff(series.times).astype(int)) == {3600}


def iso(written: str) -> str:
    """A reader of dates of its own: year, month and day in what people write."""
    text = written.lower()
    if match := re.fullmatch(r"(\d{4})(\d\d)(\d\d)", text):
        return "-".join(match.groups())
    year = re.search(r"\d{4}", text) or re.search(r"\d\d$", text)
    assert year is not None
    rest = text[: year.start()] + " " + text[year.end() :]
    number = (
        int(year.group()) if len(year.group()) == 4 else (1900 if int(year.group()) >= 50 else 2000) + int(year.group())
    )
    numbers = [int(n) for n in re.findall(r"\d+", rest)]
    if (
        name := re.search(
            "|".join(MONTHS),
            re.sub(r"(mon|tues|wednes|thurs|fri|satur|sun)day|^(mon|tue|wed|thu|fri|sat|sun),", "", rest),
        )
    ) is None:
        day, month = numbers if year.start() else numbers[::-1]
    else:
        (day,), month = numbers, MONTHS.index(name.group()) + 1
    return datetime.date(number, month, day).isoformat()


def test_date_pairs_are_equal_dates(tmp_path: Path) -> None:
    found = examples(write(tmp_path, "a.tsv", made("dates", count=3000)), "translate")

    assert [iso(written) for written, _ in found] == [target for _, target in found]
    styles = {re.sub(r"[a-z]+", "a", re.sub(r"\d", "0", written.lower())) for written, _ in found}
    assert len(styles) > 20


@pytest.mark.parametrize("gap", [0, 25])
def test_copy_target_is_its_first_symbol_after_the_gap(tmp_path: Path, gap: int) -> None:
    found = examples(write(tmp_path, "a.tsv", made("copy", gap=gap, count=200)), "classify")

    assert {y for _, y in found} == set("abcdefgh")
    for x, y in found:
        assert (len(x), x[0]) == (gap + 1, y)
        assert not set(x[1:]) & set("abcdefgh")


def test_reverse_reverses_words(tmp_path: Path) -> None:
    found = examples(write(tmp_path, "a.tsv", made("reverse", count=400)), "translate")

    assert all(target == source[::-1] for source, target in found)
    assert {len(source) for source, _ in found} == set(range(1, 13))
    short = examples(write(tmp_path, "b.tsv", made("reverse", count=50, length=3)), "translate")
    assert {len(source) for source, _ in short} == {1, 2, 3}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"count": 0}, "count is 0; it must be at least 1"),
        ({"length": 0}, "length is 0; it must be at least 1"),
        ({"gap": -1}, "gap is -1; it must be at least 0"),
        ({"problem": 5}, "problem is 5; it must be 1, 2, 3 or 4"),
    ],
)
def test_numbers_out_of_range_are_refused(choices: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        made("bits", **choices)
