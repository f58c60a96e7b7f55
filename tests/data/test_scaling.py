"""Zero mean and unit variance, and back."""

import json

import numpy as np
import pytest

from fastrnn.data.scaling import Scaling, scaling_from_mapping
from fastrnn.errors import InputError


def test_scaled_columns_have_zero_mean_and_unit_variance(rng: np.random.Generator) -> None:
    arrays = [rng.normal(5, 3, (40, 2)) * [1, 100], rng.normal(5, 3, (3, 2)) * [1, 100]]
    whole = np.concatenate(arrays)
    scaling = Scaling.of(arrays, ("a", "b"))
    scaled = scaling.scaled(whole)

    np.testing.assert_allclose(scaling.mean, whole.mean(axis=0))
    np.testing.assert_allclose(scaling.deviation, whole.std(axis=0))
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaling.natural(scaled), whole, rtol=1e-5)
    assert scaled.dtype == np.float32


def test_nan_counts_for_nothing() -> None:
    scaling = Scaling.of([np.array([[1.0, np.nan], [3.0, np.nan]]), np.array([[np.nan, np.nan]])])

    assert scaling.mean == (2.0, 0.0)
    assert scaling.deviation == (1.0, 1.0)
    assert np.isnan(scaling.scaled(np.array([[np.nan, 0]]))).tolist() == [[True, False]]


def test_a_constant_column_keeps_its_size() -> None:
    assert Scaling.of([np.full((5, 1), 0.1)]).deviation == (1.0,)


def test_it_survives_json() -> None:
    scaling = Scaling.of([np.array([[0.1, 1e9], [0.7, 2e9]])], ("a b", "ü"))

    assert scaling_from_mapping(json.loads(json.dumps(scaling.to_mapping()))) == scaling
    assert scaling_from_mapping(Scaling.plain(2).to_mapping()) == Scaling.plain(2)


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
    ],
)
def test_an_unsound_one_is_refused(change: dict[str, object]) -> None:
    assert scaling_from_mapping(SOUND).size == 1
    with pytest.raises(InputError):
        scaling_from_mapping(SOUND | change)
