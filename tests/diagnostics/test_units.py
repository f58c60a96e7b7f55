"""Signals of a text at each character, and the search for units that correlate with them."""

import numpy as np
import pytest

from fastrnn.diagnostics import compute_signals, find_units
from fastrnn.diagnostics.units import column_ranks, correlations, roc_areas


def test_line_position_and_indentation():
    found = compute_signals("ab\n  c d\n\n\tx")
    assert found["line position"].tolist() == [1, 2, 0, 1, 2, 3, 4, 5, 0, 0, 1, 2]
    assert found["indentation"].tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 0, 0, 1, 1]


def test_quotes_brackets_and_words():
    found = compute_signals('a "b" “c” f(x[1]) ) d')
    inside = {
        "quotes": "..xx..xx.............",
        "brackets": "...........xxxxx.....",
        "word": "x..x...x..x.x.x.....x",
    }
    for name, shown in inside.items():
        assert found[name].tolist() == [c == "x" for c in shown], name


def test_empty_lines_and_document_ends_close_quotes_and_brackets():
    text = 'a "b(\nc\n\nd "e(f'
    found = compute_signals(text)
    assert found["quotes"].tolist() == [c == "x" for c in "..xxxxxx...xxxx"]
    assert found["brackets"].tolist() == [c == "x" for c in "....xxxx.....xx"]
    cut = compute_signals(text, starts=[13])
    assert cut["quotes"].tolist() == [c == "x" for c in "..xxxxxx...xx.."]
    assert cut["line position"].tolist()[11:] == [3, 4, 1, 2]


def test_signals_of_words_are_those_after_the_word():
    found = compute_signals(["the", "cat", ".", "\n", "\ufffd"])
    assert found["line position"].tolist() == [3, 6, 7, 0, 1]
    assert found["word"].tolist() == [True, True, False, False, True]


def test_correlation_equals_pearsons(rng):
    values, signal = rng.normal(size=(50, 4)).astype(np.float32), rng.normal(size=50)
    values[:, 2] = 0.25
    values[:, 3] = -2 * signal + 1
    expected = [np.corrcoef(values[:, j], signal)[0, 1] for j in (0, 1)]
    np.testing.assert_allclose(correlations(values, signal), [*expected, 0, -1], atol=1e-6)


def test_auc_is_the_share_of_ordered_pairs(rng):
    values, signal = rng.integers(4, size=(40, 3)) / 3, rng.random(40) < 0.3
    areas = roc_areas(column_ranks(values), signal)
    for j in range(3):
        yes, no = values[signal, j][:, None], values[~signal, j][None]
        assert areas[j] == pytest.approx(((yes > no) + 0.5 * (yes == no)).mean())


def test_search_finds_the_correlated_unit(rng):
    text = 'he said "yes, it is" and (so)\n  went home\n' * 20
    known = compute_signals(text)
    values = rng.normal(size=(2, len(text), 6)).astype(np.float32)
    values[1, :, 4] = np.tanh(1 - known["line position"] / 20)
    values[0, :, 3] = known["quotes"] - 0.5
    values[1, :, 0] = np.where(known["word"], -1, 1) + rng.normal(scale=0.5, size=len(text))
    found = find_units(values, known, most=3)
    assert all(len(matches) == 3 for matches in found.values())
    best = {name: matches[0] for name, matches in found.items()}
    assert (best["line position"].layer, best["line position"].unit, best["line position"].measure) == (1, 4, "r")
    assert best["line position"].value < -0.95
    assert (best["quotes"].layer, best["quotes"].unit, best["quotes"].value) == (0, 3, 1.0)
    assert (best["word"].layer, best["word"].unit, best["word"].measure) == (1, 0, "auc")
    assert best["word"].value < 0.05
    strengths = [match.strength for match in found["brackets"]]
    assert strengths == sorted(strengths, reverse=True)
    assert {match.layer for matches in find_units(values, known, layers=[0]).values() for match in matches} == {0}


def test_constant_signal_correlates_with_no_unit(rng):
    found = find_units(rng.normal(size=(1, 3, 2)), compute_signals("abc"))
    assert not found["quotes"]
    assert not found["word"]
    assert not found["indentation"]
    assert found["line position"]
