"""Series, their windows, the split by time, and baseline forecasts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_cases import dataset, write

from fastrnn.data.examples.numericalize import numericalize
from fastrnn.data.examples.readers.formats import read_examples
from fastrnn.data.examples.series import Series, calendar_features, describe_gaps, steps_per_day
from fastrnn.data.examples.sliding_windows import SlidingWindows
from fastrnn.errors import InputError


def hourly(folder: Path, rows: int, name: str = "a.csv", start: int = 0) -> str:
    """date, a, b of so many hours; a counts the hours and b their squares."""
    lines = [f"2024-01-{1 + t // 24:02} {t % 24:02}:00,{start + t},{t * t}" for t in range(rows)]
    return write(folder, name, "date,a,b\n" + "\n".join(lines))


def windows(path: str, **settings: Any) -> SlidingWindows:
    data: SlidingWindows = dataset(path, "forecast", **settings)
    return data


def test_every_window_has_its_past_and_its_future(tmp_path: Path) -> None:
    data = windows(hourly(tmp_path, 10), seq=4, horizon=3)
    rows = np.arange(len(data))
    scaling = data.schema.inputs
    batch = data.batch(rows)

    assert scaling is not None
    assert len(data) == 10 - 4 - 3 + 1
    assert batch.x.shape == (4, 4, 2 * 2 + 4)
    assert batch.y is not None
    assert batch.y.shape == (4, 3 * 2)
    assert (batch.x.dtype, batch.y.dtype, batch.lengths.tolist()) == (np.float32, np.float32, [4] * 4)
    np.testing.assert_allclose(batch.x[-1, :, :2], 0)
    changes = batch.x[:, :, 0] * scaling.deviation[0]
    np.testing.assert_allclose(changes, np.repeat([[-3], [-2], [-1], [0]], 4, axis=1), rtol=1e-6)
    np.testing.assert_allclose(batch.x[:, :, 2] * scaling.deviation[0] + scaling.mean[0], [[3, 4, 5, 6]] * 4, rtol=1e-6)
    np.testing.assert_allclose(
        data.inverse_transform(batch.y, rows)[:, :, 0], [[4, 5, 6], [5, 6, 7], [6, 7, 8], [7, 8, 9]], rtol=1e-6
    )
    np.testing.assert_allclose(data.inverse_transform(batch.y, rows), data.actual(rows), rtol=1e-5)


def test_calendar_features_encode_hours_and_weekdays() -> None:
    times = np.array(["2024-02-26T00:00", "2024-02-26T06:00", "2024-03-03T12:00"], "datetime64[s]")  # Monday, Sunday
    found = calendar_features(times)

    np.testing.assert_allclose(found[:, :2], [[0, 1], [1, 0], [0, -1]], atol=1e-6)
    np.testing.assert_allclose(
        found[:, 2:], [[0, 1]] * 2 + [[np.sin(12 * np.pi / 7), np.cos(12 * np.pi / 7)]], atol=1e-6
    )


def test_windows_split_by_time_and_share_no_future(tmp_path: Path) -> None:
    data = windows(hourly(tmp_path, 40), seq=5, horizon=3, valid=0.25)
    train, valid = data.split(0.25, seed=1)

    assert valid is not None
    trained, held = train.actual(np.arange(len(train))), valid.actual(np.arange(len(valid)))
    assert trained[:, :, 0].max() == 29
    assert held[:, :, 0].min() == 30
    assert held[:, :, 0].max() == 39
    assert (len(train), len(valid)) == (30 - 5 - 3 + 1, 10 - 3 + 1)


def test_every_series_is_split_and_no_window_crosses_from_one_to_another(tmp_path: Path) -> None:
    paths = [hourly(tmp_path, 20, "a.csv"), hourly(tmp_path, 12, "b.csv", 1000)]
    examples = read_examples(paths, "forecast")
    data = windows(paths[0], seq=3, horizon=2)
    both = numericalize(examples, data.schema)
    assert isinstance(both, SlidingWindows)
    train, valid = both.split(0.5, 1)

    actual = both.actual(np.arange(len(both)))[:, :, 0]
    assert ((actual[:, 1] - actual[:, 0]) == 1).all()
    assert len(both) == (20 - 4) + (12 - 4)
    assert valid is not None
    np.testing.assert_array_equal(
        np.unique(valid.actual(np.arange(len(valid)))[:, :, 0]), [*range(10, 20), *range(1006, 1012)]
    )
    assert set(train.actual(np.arange(len(train)))[:, :, 0].ravel()) == {*range(3, 10), *range(1003, 1006)}


def test_series_too_short_to_split_has_no_validation(tmp_path: Path) -> None:
    data = windows(hourly(tmp_path, 8), seq=5, horizon=3)

    assert data.split(0.1, 1) == (data, None)


def test_baseline_forecasts_are_persistence_and_seasonal(tmp_path: Path) -> None:
    data = windows(hourly(tmp_path, 80), seq=30, horizon=30)
    rows = np.array([0, 7])

    assert data.persistence(rows)[:, :, 0].tolist() == [[29] * 30, [36] * 30]
    assert data.season_length() == 24
    yesterday = data.seasonal_naive(rows, 24)[:, :, 0]
    assert yesterday[0].tolist() == [*range(6, 30), *range(6, 12)]
    assert windows(hourly(tmp_path, 80), seq=23, horizon=2).season_length() is None


@pytest.mark.parametrize(
    ("seconds", "steps"), [(3600, 24), (900, 96), (86400, None), (7000, None), (43200, 2), (604800, None)]
)
def test_steps_per_day(seconds: int, steps: int | None) -> None:
    times = np.datetime64("2024-01-01", "s") + np.arange(5) * np.timedelta64(seconds, "s")

    assert steps_per_day(Series(("a",), np.zeros((5, 1)), times, "t")) == steps
    assert steps_per_day(Series(("a",), np.zeros((5, 1)))) is None


def test_free_running_forecast_feeds_back_its_own_predictions(tmp_path: Path) -> None:
    path = hourly(tmp_path, 26)
    vocabulary = windows(path, seq=4, horizon=3).schema
    latest = numericalize(read_examples([path], "forecast", needs_targets=False), vocabulary)
    assert isinstance(latest, SlidingWindows)
    latest = latest.latest()
    batch = latest.batch(np.array([0]))

    assert batch.count == 0
    assert np.isnan(batch.y).all()
    said = np.array([[[26.0, 1.0], [27.0, 2.0], [28.0, 3.0]]])
    longer = latest.extend(said)
    after = longer.batch(np.array([0]))
    np.testing.assert_allclose(longer.persistence(np.array([0]))[0, 0], [28, 3])
    np.testing.assert_allclose(
        after.x[:, 0, 4:], calendar_features(np.datetime64("2024-01-02T01", "s") + np.arange(4) * 3600)
    )


def test_windows_of_a_forecast_keep_only_the_rows_that_are_read(tmp_path: Path) -> None:
    """Also the dates go on at the frequency of the whole series, whose last rows alone have another."""
    days = [*range(1, 20), 21, 23]  # daily, but for the last three
    path = write(tmp_path, "a.csv", "date,y\n" + "".join(f"2024-01-{day:02},{day}\n" for day in days))
    latest = windows(path, seq=3).latest()
    for step in range(4):
        latest = latest.extend(np.full((1, 1, 1), 100.0 + step))

    assert len(latest.values) == 3
    assert latest.values[:, 0].tolist() == [101, 102, 103]
    assert [str(time)[:10] for time in latest.series[0].times] == ["2024-01-25", "2024-01-26", "2024-01-27"]


def test_for_prediction_a_series_needs_no_more_than_a_window(tmp_path: Path) -> None:
    vocabulary = windows(hourly(tmp_path, 20), seq=5, horizon=3).schema
    short = hourly(tmp_path, 5, "short.csv")

    assert len(numericalize(read_examples([short], "forecast", needs_targets=False), vocabulary).latest()) == 1
    with pytest.raises(
        InputError, match=r"short\.csv: 5 rows; a window of 5 and a horizon of 3 need at least 8: give more rows"
    ):
        numericalize(read_examples([short], "forecast"), vocabulary)
    with pytest.raises(InputError, match=r"less\.csv: 4 rows; .* needs at least the last 5$"):
        numericalize(read_examples([hourly(tmp_path, 4, "less.csv")], "forecast", needs_targets=False), vocabulary)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    vocabulary = windows(hourly(tmp_path, 20), seq=5, horizon=3).schema
    path = write(tmp_path, "b.csv", "a,b\n" + "1,2\n" * 20)

    with pytest.raises(InputError, match=r"b\.csv: other columns than those the model was trained on; give the same$"):
        numericalize(read_examples([path], "forecast"), vocabulary)


def test_fingerprints_differ_between_series(tmp_path: Path) -> None:
    one, two = (windows(hourly(tmp_path, 20, f"{n}.csv", n), seq=5, horizon=3) for n in (0, 1))

    assert one.fingerprint != two.fingerprint
    assert one.fingerprint == windows(hourly(tmp_path, 20), seq=5, horizon=3).fingerprint
    assert len(one.sample(3, 1)) == 3


def test_gap_in_the_dates_is_reported_with_its_row(tmp_path: Path) -> None:
    even = read_examples([hourly(tmp_path, 20)], "forecast")
    rows = [f"2024-01-01 {hour:02}:00,{hour}\n" for hour in (0, 1, 2, 5, 6, 7, 9, 10)]
    gappy = read_examples([write(tmp_path, "gap.csv", "date,a\n" + "".join(rows))], "forecast")
    months = [f"2024-{month:02}-01,1\n" for month in range(1, 13)]
    monthly = read_examples([write(tmp_path, "months.csv", "date,a\n" + "".join(months))], "forecast")

    assert describe_gaps(even.items) is None
    assert describe_gaps(monthly.items) is None
    told = describe_gaps([*even.items, *gappy.items])
    assert told is not None
    assert told.endswith(
        "gap.csv: at 2024-01-01 05:00 the dates jump by 3:00:00 where a step is 1:00:00 (and at 1 more rows); "
        "the rows are assumed to be evenly spaced"
    )


def test_series_without_dates_have_no_gaps(tmp_path: Path) -> None:
    assert describe_gaps(read_examples([write(tmp_path, "a.csv", "a\n1\n2\n")], "forecast").items) is None
