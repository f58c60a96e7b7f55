"""Frequent n-grams of a text, against counts and searches of their tokens."""

from collections import Counter

import numpy as np
import pytest

from fastrnn.data.text import ngrams
from fastrnn.data.text.ngrams import MAX_ORDER, NGrams, find_ngrams
from fastrnn.errors import InputError

V = 6


@pytest.fixture
def text(rng):
    return rng.choice(V, size=3000, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05])


def all_tokens(found):
    return [found.tokens(n) for n in range(len(found))]


@pytest.mark.parametrize("most", [0, 1, 3, 20, 100, 10_000])
def test_the_most_frequent_ones_are_found(text, most):
    counts = Counter(tuple(text[i : i + n]) for n in range(2, MAX_ORDER + 1) for i in range(len(text) - n + 1))
    found = all_tokens(find_ngrams(text, V, most))
    assert len(set(found)) == len(found)
    expected = sorted((count for count in counts.values() if count > 1), reverse=True)[:most]
    assert sorted((counts[each] for each in found), reverse=True) == expected


def test_the_rest_of_each_is_one_of_them(text):
    found = find_ngrams(text, V, 60)
    for each in all_tokens(found):
        assert len(each) == 2 or each[1:] in all_tokens(found)
    lengths = [len(each) for each in all_tokens(found)]
    assert lengths == sorted(lengths)
    assert max(lengths) == MAX_ORDER


def test_a_long_text_is_counted_in_pieces(text, monkeypatch):
    monkeypatch.setattr(ngrams, "_COUNTED", 2048)
    monkeypatch.setattr(ngrams, "_PIECES", 8)
    rare = np.full(40, 5)  # so that the middle of the text, too, must be looked at
    found = find_ngrams(np.concatenate([text, rare, text]), V, 10)
    assert set(all_tokens(found)) <= set(all_tokens(find_ngrams(text, V, 20)))
    assert len(found) == 10


def test_a_large_vocabulary_is_counted_by_sorting(text, monkeypatch):
    whole = all_tokens(find_ngrams(text, V, 50))
    monkeypatch.setattr(ngrams, "_MOST_BINS", 0)
    assert all_tokens(find_ngrams(text, V, 50)) == whole


@pytest.mark.parametrize("has_resets", [False, True])
def test_each_position_has_those_that_end_there(text, rng, has_resets):
    found = find_ngrams(text, V, 60)
    number_of = {each: n for n, each in enumerate(all_tokens(found))}
    steps, batch = 17, 3
    before = np.zeros((batch, MAX_ORDER - 1), np.float32)
    past = [[] for _ in range(batch)]  # the tokens of each row since its last reset
    for first in range(0, 5 * steps, steps):
        ids = np.stack([text[start + first :][:steps] for start in (100, 700, 1500)], axis=1)
        resets = (rng.random(ids.shape) < 0.15).astype(np.uint8) if has_resets else None
        numbers, before = found.lookup(ids, before, resets)
        for t, b in np.ndindex(ids.shape):
            if has_resets and resets[t, b]:
                past[b] = []
            past[b].append(int(ids[t, b]))
            for n in range(2, MAX_ORDER + 1):
                last = tuple(past[b][-n:]) if len(past[b]) >= n else ()
                assert numbers[t, b, n - 2] == number_of.get(last, -1)


@pytest.mark.parametrize(
    "keys",
    [[3, 3], [4, 3], [-1, 3], [V * V], [0, (V + 1) * V], [[1, 2]], [1 * V, 6 * V, (V + 1) * V], range(0, 9999 * V, V)],
    ids=lambda keys: str(keys)[:30],
)
def test_other_keys_are_refused(keys):
    with pytest.raises(InputError, match="n-grams must"):
        NGrams(V, keys)


def test_a_short_text_has_none():
    for ids in ([], [1], [1, 2], [1, 2, 3]):
        assert len(find_ngrams(np.array(ids, np.int64), V, 10)) == 0
