"""`train(init_from=...)`: unknown characters are reported, and a mostly unknown text is refused."""

from pathlib import Path

import pytest

import fastrnn
from fastrnn.data.text.corpus import corpus_from_text
from fastrnn.errors import InputError
from fastrnn.training.callbacks import Callback

LATIN = "the rain falls on the plain. " * 40
GREEK = "η βροχή πέφτει στην πεδιάδα. " * 40
SMALL = fastrnn.Config(hidden=4, batch=4, seq=8, steps=2, threads=1, precision="float32")


class Listen(Callback):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    fastrnn.train(corpus_from_text(LATIN), SMALL, folder / "chars")
    fastrnn.train(corpus_from_text(LATIN, tokens="words"), SMALL.replace(tokens="words"), folder / "words")
    return folder


def tune(old: Path, text: str, folder: Path, **settings: str | float) -> list[str]:
    """What is said when a model goes on with this text."""
    (folder / "new.txt").write_text(text)
    listen = Listen()
    fastrnn.train(folder / "new.txt", SMALL.replace(**settings), folder / "new", init_from=old, callback=listen)
    return listen.said


def test_text_of_another_script_is_refused_with_its_share_and_its_characters(old: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        tune(old / "chars", GREEK, tmp_path)
    message = str(caught.value)
    assert "79% of the text (920 of 1,160 characters) is unknown to the model to start from" in message
    assert "'η' (" in message
    assert "train a new model without --init-from" in message
    assert not (tmp_path / "new").exists()


def test_text_of_unknown_characters_alone_is_refused(old: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the model knows none of its 150 characters: .* are unknown to it"):
        tune(old / "chars", "ΑΒΓ" * 50, tmp_path)


@pytest.mark.parametrize(("unknown", "refused"), [(99, False), (100, False), (101, True)])
def test_limit_of_unknown_characters_is_a_tenth(old: Path, tmp_path: Path, unknown: int, refused: bool) -> None:
    text = "Ж" * unknown + "then a rain " * 75
    if refused:
        with pytest.raises(InputError, match=r"10% of the text \(101 of 1,001"):
            tune(old / "chars", text, tmp_path)
        return
    said = tune(old / "chars", text, tmp_path)
    share = f"left out {unknown} of {unknown + 900:,} ({unknown / (unknown + 900):.2%})"
    assert f"{share}, because the old model does not know them: 'Ж' ({unknown} times)" in said


def test_mostly_unknown_words_are_refused_and_few_are_reported(old: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1,120 of 1,440 words are unknown to the old model: <UNK>; train a new model"):
        tune(old / "words", "alles fließt dahin und nichts bleibt hier. \n" * 160, tmp_path, tokens="words")
    said = tune(old / "words", "the rain falls on the house. \n" * 90, tmp_path, tokens="words")
    assert "90 of 720 words are unknown to the old model: <UNK>" in said


def test_corpus_with_another_vocabulary_is_refused(old: Path, tmp_path: Path) -> None:
    """Of the same size, so that its weights would fit, and mean other characters."""
    known = fastrnn.load(old / "chars").tokenizer
    other = corpus_from_text("".join(chr(0x3B1 + i) for i in range(known.size)) * 20)
    assert other.tokenizer.size == known.size
    with pytest.raises(InputError, match="this corpus has another vocabulary than the model"):
        fastrnn.train(other, SMALL, tmp_path / "new", init_from=old / "chars")
    fastrnn.train(corpus_from_text(LATIN, tokenizer=known), SMALL, tmp_path / "new", init_from=old / "chars")


def test_run_that_skipped_characters_can_be_resumed(old: Path, tmp_path: Path) -> None:
    tune(old / "chars", "Ж" + LATIN, tmp_path)
    assert fastrnn.resume(tmp_path / "new", {"steps": 4}).steps == 4


def test_learning_rate_of_old_weights_is_lower_than_that_of_new_ones(old: Path, tmp_path: Path) -> None:
    said = tune(old / "chars", LATIN, tmp_path)
    assert "lr 0.004: lower than for a new model, to keep what the weights know" in said
    config = fastrnn.load(tmp_path / "new").config
    assert (config.lr, config.vocab_lr, config.beta1, config.weight_decay) == (0.004, 1.0, 0.9, 0.0)
    assert fastrnn.load(old / "chars").config.lr > 0.004
    (tmp_path / "other").mkdir()
    tune(old / "chars", LATIN, tmp_path / "other", lr=0.01)
    assert fastrnn.load(tmp_path / "other/new").config.lr == 0.01


@pytest.mark.parametrize(("slow_units", "reset_every"), [(0.25, 32), (0.0, 0)])
def test_resets_are_chosen_by_the_slow_units_of_the_old_model(
    tmp_path: Path, slow_units: float, reset_every: int
) -> None:
    fastrnn.train(corpus_from_text(LATIN), SMALL.replace(slow_units=slow_units), tmp_path / "old")
    tune(tmp_path / "old", LATIN, tmp_path)
    config = fastrnn.load(tmp_path / "new").config
    assert (config.slow_units, config.reset_every) == (slow_units, reset_every)
