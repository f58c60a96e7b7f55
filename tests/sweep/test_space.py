"""Search spaces: grids, subsets of grids, ranges, and invalid files."""

import math

import pytest

from fastrnn.errors import ConfigError
from fastrnn.sweep.space import Space, read_space


def space(tmp_path, text: str, **more) -> Space:
    path = tmp_path / "s.toml"
    path.write_text(text)
    return read_space(path, **more)


def test_lists_make_a_grid(tmp_path):
    found = space(tmp_path, 'steps = 5\nhidden = [8, 16]\ncell = ["rnn", "gru", "lstm"]\n[sweep]\ndata = "a.txt"\n')
    assert found.fixed == {"steps": 5}
    assert found.data == ("a.txt",)
    assert found.trials == found.grid_size == 6
    pairs = [(s["hidden"], s["cell"]) for s in map(found.settings, range(6))]
    assert pairs == [(8, "rnn"), (8, "gru"), (8, "lstm"), (16, "rnn"), (16, "gru"), (16, "lstm")]
    assert found.config(found.settings(4)).cell == "gru"


def test_part_of_a_grid_has_no_trial_twice(tmp_path):
    found = space(tmp_path, "hidden = [1, 2, 3, 4, 5]\nlayers = [1, 2, 3, 4]\n[sweep]\ntrials = 12\n")
    tried = {tuple(found.settings(n).values()) for n in range(12)}
    assert len(tried) == 12
    assert tried == {tuple(found.settings(n).values()) for n in range(12)}


def test_trials_beyond_the_grid_size_give_the_whole_grid(tmp_path):
    assert space(tmp_path, "hidden = [1, 2]\n", trials=9).trials == 2


def test_values_of_ranges_lie_within_their_ends(tmp_path):
    text = "lr = {log = [1e-4, 1e-2]}\ndropout = {range = [0, 0.5]}\nhidden = {log = [8, 512]}\nlayers = [1, 2]\n"
    found = space(tmp_path, text)
    assert (found.trials, found.grid_size) == (20, None)
    drawn = [found.settings(n) for n in range(400)]
    assert drawn == [found.settings(n) for n in range(400)]
    assert all(1e-4 <= s["lr"] <= 1e-2 and 0 <= s["dropout"] <= 0.5 and 8 <= s["hidden"] <= 512 for s in drawn)
    assert all(type(s["hidden"]) is int and type(s["dropout"]) is float for s in drawn)
    middle = sorted(math.log10(s["lr"]) for s in drawn)[200]
    assert abs(middle + 3) < 0.2  # half of them below the geometric mean
    assert {s["layers"] for s in drawn} == {1, 2}
    other = space(tmp_path, text + "[sweep]\nseed = 2\n")
    assert other.settings(0) != found.settings(0)


def test_command_line_overrides_the_sweep_file(tmp_path):
    found = space(tmp_path, 'lr = {log = [1e-4, 1e-2]}\n[sweep]\ndata = ["a"]\ntrials = 7\n', data=("b",), trials=3)
    assert (found.data, found.trials) == (("b",), 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hidden = 8\n", "nothing varies"),
        ("hiden = [8, 16]\n", "did you mean hidden"),
        ("hidden = []\n", "empty list"),
        ('hidden = [8, "x"]\n', "hidden must be a whole number"),
        ("hidden = [8, 0]\n", "hidden is 0"),
        ("hidden = {log = [8.5, 16]}\n", "hidden must be a whole number"),
        ("lr = {lin = [1e-4, 1e-2]}\n", "is not a range"),
        ("lr = {log = [1e-4]}\n", "is not a range"),
        ("lr = {log = [1e-4, 1e-2], range = [0, 1]}\n", "is not a range"),
        ("lr = {log = [0, 1e-2]}\n", "a number greater than 0"),
        ("lr = {range = [0.5, 0.1]}\n", "to a greater one"),
        ("lr = {range = [0.1, nan]}\n", "to a greater one"),
        ("lr = {range = [0.5, 50.0]}\n", "lr is 50"),
        ('cell = ["lstm", "dense"]\n', "cell dense keeps no state"),
        ("hidden = [8, 16]\nsweep = 3\n", "sweep must be a table"),
        ("hidden = [8, 16]\n[sweep]\ntrails = 3\n", "did you mean trials"),
        ("hidden = [8, 16]\n[sweep]\ntrials = 0\n", "trials in [sweep] must be a whole number"),
        ("hidden = [8, 16]\n[sweep]\ndata = [1]\n", "data in [sweep] must be a file"),
        ('hidden = [8, 16]\n[sweep]\ndata = "-"\n', "standard input can be read once only"),
        ('hidden = [8, 16]\ntask = "tag"\n', "task tag needs data"),
        ("seed = {range = [0, 100]}\n[sweep]\ntrials = 20000\n", "at most 10,000"),
        ("hidden = [8, 16\n", "not TOML"),
    ],
)
def test_invalid_sweep_file_is_an_error_of_one_line(tmp_path, text, why):
    with pytest.raises(ConfigError) as caught:
        space(tmp_path, text)
    assert why in str(caught.value)
    assert "s.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_sweep_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read this sweep"):
        read_space(tmp_path / "none.toml")
