"""Standardization and its inverse."""

import json

import numpy as np
import pytest

from fastrnn.data.examples.schema import StandardScaler, scaler_from_dict
from fastrnn.errors import InputError


def test_scaled_columns_have_zero_mean_and_unit_variance(rng: np.random.Generator) -> None:
    arrays = [rng.normal(5, 3, (40, 2)) * [1, 100], rng.normal(5, 3, (3, 2)) * [1, 100]]
    whole = np.concatenate(arrays)
    scaling = StandardScaler.fit(arrays, ("a", "b"))
    scaled = scaling.transform(whole)

    np.testing.assert_allclose(scaling.mean, whole.mean(axis=0))
    np.testing.assert_allclose(scaling.deviation, whole.std(axis=0))
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaling.inverse_transform(scaled), whole, rtol=1e-5)
    assert scaled.dtype == np.float32


def test_nan_is_ignored() -> None:
    scaling = StandardScaler.fit([np.array([[1.0, np.nan], [3.0, np.nan]]), np.array([[np.nan, np.nan]])])

    assert scaling.mean == (2.0, 0.0)
    assert scaling.deviation == (1.0, 1.0)
    assert np.isnan(scaling.transform(np.array([[np.nan, 0]]))).tolist() == [[True, False]]


def test_constant_column_has_deviation_one() -> None:
    assert StandardScaler.fit([np.full((5, 1), 0.1)]).deviation == (1.0,)


def test_json_round_trip() -> None:
    scaling = StandardScaler.fit([np.array([[0.1, 1e9], [0.7, 2e9]])], ("a b", "ü"))

    assert scaler_from_dict(json.loads(json.dumps(scaling.to_dict()))) == scaling
    assert scaler_from_dict(StandardScaler.identity(2).to_dict()) == StandardScaler.identity(2)


SOUND = {"mean": [0.0], "deviation": [1.0], "names": "a"}


@pytest.mark.parametrize(
    "change",
    [
        {"mean": []},
        {"mean": [0.0, 1.0]},
        {"mean": ["0"]},
        {"mean": [float("nan")]},
        {"mean": 0.0},
        {"mean": [True]},
        {"deviation": [0.0]},
        {"deviation": [-1.0]},
        {"deviation": [float("inf")]},
        {"names": "a\nb"},
        {"names": ["a"]},
        {"mean": [0.0, 0.0], "deviation": [1.0, 1.0], "names": "a\na"},
        {"more": 1},
        {"dtype": "float16"},
    ],
)
def test_invalid_mapping_is_rejected(change: dict[str, object]) -> None:
    assert scaler_from_dict(SOUND).size == 1
    with pytest.raises(InputError):
        scaler_from_dict(SOUND | change)


@pytest.mark.parametrize(
    ("level", "spread"),
    [(0.0, 1e-14), (3e-14, 1e-14), (0.0, 1e-300), (1e-310, 1e-311), (1.7e9, 1.0), (1.7e9, 1e-5), (1e30, 1e28)],
)
def test_spread_of_any_size_is_scaled_to_one(level: float, spread: float) -> None:
    steps = np.arange(50.0) - 24.5
    column = level + spread * steps
    scaling = StandardScaler.fit([column[:20, None], column[20:, None]])

    assert scaling.deviation[0] == pytest.approx(spread * steps.std(), rel=0.01)
    scaled = scaling.transform(column[:, None])
    np.testing.assert_allclose(scaled[:, 0], steps / steps.std(), atol=0.1)
    np.testing.assert_allclose(
        scaling.inverse_transform(scaled)[:, 0], column, rtol=0, atol=1e-6 * scaling.deviation[0]
    )


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e-14, 1.7e9 + 0.1, 1e30, 5e-324])
@pytest.mark.parametrize("count", [1, 3, 100_001])
def test_constant_column_of_any_magnitude_is_safe(value: float, count: int) -> None:
    column = np.full((count, 1), value)

    assert StandardScaler.fit([column]) == StandardScaler((value,), (1.0,))
    predicted = StandardScaler.fit([column], predicted=True)
    assert predicted == StandardScaler((value,), (min(1.0, abs(value)) or 1.0,))
    assert not predicted.transform(column).any()


def test_spread_of_rounding_errors_counts_as_constant() -> None:
    column = np.array([0.1 + 0.2, 0.3] * 20)[:, None]

    assert np.ptp(column) > 0
    assert StandardScaler.fit([column]).deviation == (1.0,)


def test_scaled_numbers_are_clipped_to_the_range_float32_can_square() -> None:
    scaled = StandardScaler((0.0,), (1e-300,)).transform(np.array([[1e30], [-1e30], [np.nan], [2e-300]]))

    assert scaled[:2, 0].tolist() == [np.float32(1e18), np.float32(-1e18)]
    assert np.isnan(scaled[2, 0])
    assert scaled[3, 0] == 2
    assert np.isfinite(scaled[:2] ** 2).all()


def test_scaling_of_version_0_1_rounds_to_float32_first() -> None:
    old = scaler_from_dict({"mean": [1.7e9], "deviation": [60.0], "names": ""})
    number = np.array([[1.7e9 + 77]])

    assert old.round_as_trained(number).dtype == np.float32
    assert old.transform(old.round_as_trained(number)) == np.float32((float(np.float32(1.7e9 + 77)) - 1.7e9) / 60)
    assert "dtype" not in old.to_dict()
    new = StandardScaler.fit([np.array([[1.7e9], [1.7e9 + 120]])])
    assert new.round_as_trained(number) is number
    assert new.to_dict()["dtype"] == "float64"
