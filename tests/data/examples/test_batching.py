"""Training batches are a pure function of their index; evaluation visits every example once."""

from pathlib import Path

import numpy as np
import pytest
from example_cases import dataset, write
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.data.examples import dataset as dataset_module
from fastrnn.data.examples.batching import Batches, evaluation_batches
from fastrnn.data.examples.dataset import EncodedExamples, SplitBatch, iter_bounded_batches


def make(folder: Path, lengths: list[int]) -> EncodedExamples:
    """Texts of these lengths."""
    data: EncodedExamples = dataset(
        write(folder, "a.tsv", "".join(f"{i % 2}\t{'ab' * n}"[: n + 2] + "\n" for i, n in enumerate(lengths))),
        "classify",
    )
    return data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EncodedExamples:
    lengths = np.random.default_rng(1).integers(1, 60, 500).tolist()
    return make(tmp_path_factory.mktemp("batches"), lengths)


@given(batch=st.integers(1, 70), seed=st.integers(0, 9))
def test_no_example_repeats_in_an_epoch(data: EncodedExamples, batch: int, seed: int) -> None:
    batches = Batches(data, batch, seed)
    for epoch in (0, 3):
        rows = [batches.rows(epoch * batches.per_epoch + i) for i in range(batches.per_epoch)]
        seen = np.concatenate(rows)

        assert {len(r) for r in rows} == {batch}
        assert len(seen) == len(set(seen)) == 500 // batch * batch


def test_remainder_differs_between_epochs(data: EncodedExamples) -> None:
    batches = Batches(data, 300, 1)
    missing = {frozenset(range(500)) - frozenset(batches.rows(epoch)) for epoch in range(20)}

    assert len(missing) == 20
    assert not frozenset.intersection(*missing)


def test_batch_is_a_pure_function_of_its_index(data: EncodedExamples) -> None:
    one, other = Batches(data, 16, 3), Batches(data, 16, 3)
    backwards = [other.window(i) for i in reversed(range(70))][::-1]

    for i, expected in enumerate(backwards):
        found = one.window(i)
        np.testing.assert_array_equal(found.x, expected.x)
        np.testing.assert_array_equal(found.rows, expected.rows)
    assert Batches(data, 16, 4).rows(0).tolist() != one.rows(0).tolist()


def test_examples_of_similar_length_share_a_batch(data: EncodedExamples) -> None:
    batches = Batches(data, 16, 1)
    steps = sum(batches.window(i).x.size for i in range(batches.per_epoch))
    tokens = sum(int(batches.window(i).lengths.sum()) for i in range(batches.per_epoch))

    assert steps < 1.1 * tokens
    longest = [batches.window(i).x.shape[0] for i in range(batches.per_epoch)]
    assert sorted(longest) != longest
    assert batches.seq == pytest.approx(np.mean(longest), abs=1)


def test_batches_differ_from_epoch_to_epoch(data: EncodedExamples) -> None:
    batches = Batches(data, 16, 1)
    together = {frozenset(batches.rows(i)) for i in range(2 * batches.per_epoch)}

    assert len(together) == 2 * batches.per_epoch


def test_few_examples_are_one_batch(tmp_path: Path) -> None:
    batches = Batches(make(tmp_path, [3, 1, 2]), 32, 1)

    assert (batches.batch, batches.per_epoch) == (3, 1)
    assert sorted(batches.rows(5)) == [0, 1, 2]


def test_sizes_include_decoder_steps(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "".join(f"x\t{'a' * (n + 1)}\n" for n in range(64)))
    data = dataset(path, "generate")
    batches = Batches(data, 8, 1)

    for i in range(8):
        lengths = data.target.lengths[batches.rows(i)]
        assert np.ptp(lengths) == 7
    assert batches.seq == 1 + np.mean(np.arange(8, 65, 8))


def test_evaluation_visits_every_example_once_in_a_fixed_order(data: EncodedExamples) -> None:
    rows = [batch.rows for batch in evaluation_batches(data, 64)]

    assert sorted(np.concatenate(rows)) == list(range(500))
    assert [len(r) for r in rows] == [64] * 7 + [52]
    assert [r.tolist() for r in rows] == [batch.rows.tolist() for batch in evaluation_batches(data, 64)]


def test_window_has_all_examples_of_its_batch_or_the_requested_part(data: EncodedExamples) -> None:
    whole, part = Batches(data, 8, 1), Batches(data, 8, 1, batch_slice=(2, 5))
    assert whole.window(3).rows.tolist() == whole.rows(3).tolist()
    assert part.window(3).rows.tolist() == whole.rows(3)[2:5].tolist()


@given(
    sizes=st.lists(st.tuples(st.integers(1, 40) | st.integers(1, 200_000), st.integers(0, 50)), min_size=1),
    most=st.integers(1, 70),
)
def test_bounded_batches_have_every_row_once_in_order(sizes: list[tuple[int, int]], most: int) -> None:
    kinds = list(np.array(sizes, np.int64).T)
    order = np.argsort(sum(kinds), kind="stable")
    parts = list(iter_bounded_batches(order, kinds, most))

    assert np.concatenate(parts).tolist() == order.tolist()
    for part in parts:
        assert 1 <= len(part) <= most
        padded = len(part) * sum(int(kind[part].max()) for kind in kinds)
        assert len(part) == 1 or padded <= dataset_module.MAX_POSITIONS
        assert len(part) == 1 or padded <= max(
            dataset_module.CHEAP_POSITIONS, 4 * sum(int(kind[part].sum()) for kind in kinds)
        )


def test_examples_of_usual_lengths_are_not_affected_by_the_bound() -> None:
    lengths = np.sort(np.random.default_rng(3).integers(1, 2000, 300))
    order = np.arange(300)

    assert [part.tolist() for part in iter_bounded_batches(order, [lengths])] == [
        order[start : start + 64].tolist() for start in range(0, 300, 64)
    ]


def test_long_example_does_not_pad_the_short_ones(tmp_path: Path) -> None:
    data = make(tmp_path, [5] * 40 + [20_000] + [7] * 40)
    batches = list(evaluation_batches(data))

    assert sorted(np.concatenate([batch.rows for batch in batches])) == list(range(81))
    assert sum(batch.x.size for batch in batches) < 21_000
    training = Batches(data, 27, 1)
    for index in range(12):
        window = training.window(index)
        assert window.rows.tolist() == training.rows(index).tolist()
        assert window.lengths.tolist() == data.lengths[window.rows].tolist()
        assert window.count == window.scored_count == 27
        assert isinstance(window, SplitBatch) == (40 in window.rows)
        if isinstance(window, SplitBatch):
            assert sum(part.x.size for part in window.parts) < 21_000
