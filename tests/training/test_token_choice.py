"""Automatic choice of the token unit: made when training starts, reported, saved in the run."""

import json
import random
import tomllib
from pathlib import Path

import numpy as np
import pytest
from checkpoint_samples import sealed, take_apart
from click.testing import CliRunner
from test_training import StopAt, assert_same_bits

from fastrnn.checkpoint.checkpoint import from_bytes, load
from fastrnn.config import Config
from fastrnn.data.text.corpus import corpus_from_text
from fastrnn.errors import ConfigError
from fastrnn.training.api import resume, train
from fastrnn_cli.group import program

SMALL = Config(hidden=8, batch=8, steps=6, lr=0.01, dropout=0.3, threads=1, eval_every=3)
RNG = random.Random(3)
SYLLABLES = ["ka", "lo", "mi", "ra", "tu", "ven", "no", "sil", "da", "pe"]
LEXICON = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in ("", "s", "n", "ri")]
WEIGHTS = [1 / (rank + 9) for rank in range(len(LEXICON))]


def sentence() -> str:
    return " ".join(RNG.choices(LEXICON, WEIGHTS, k=10))


SENTENCES = "".join(f"{'ab'[i % 2]}\t{sentence()}\n" for i in range(300))
NAMES = "".join(f"{'ab'[i % 2]}\t{RNG.choice(LEXICON)}\n" for i in range(300))


def write(folder: Path, text: str, name: str = "x.tsv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def trained(data: str, out: Path, *options: str, env: dict[str, str] | None = None) -> str:
    """What the command says while it trains."""
    words = ["train", "--task", "classify", data, "--out", str(out), *options]
    small = ["--hidden", "8", "--steps", "2", "--threads", "1"]
    done = CliRunner().invoke(program, [*words, *small], env=env)
    assert done.exit_code == 0, done.stderr
    return done.stderr


def kept(run: Path) -> str:
    """The unit in the run's configuration file, which is that of its models."""
    tokens: str = tomllib.loads((run / "config.toml").read_text())["tokens"]
    for name in ("best", "last"):
        model = load(run / f"{name}.safetensors")
        assert model.config.tokens == tokens
        assert model.tokenizer.tokens is None or model.tokenizer.tokens.unit == tokens
    return tokens


@pytest.mark.parametrize(
    ("text", "tokens", "why"),
    [(SENTENCES, "words", "10 words in the median text, and "), (NAMES, "chars", "the median text has 1 word")],
    ids=["sentences", "names"],
)
def test_chosen_token_unit_is_reported_and_saved(tmp_path, text, tokens, why):
    said = trained(write(tmp_path, text), tmp_path / "run")
    assert f"\ntokens {tokens}: {why}" in said
    assert kept(tmp_path / "run") == tokens


@pytest.mark.parametrize("way", ["option", "variable", "file"])
@pytest.mark.parametrize(("text", "tokens"), [(SENTENCES, "chars"), (NAMES, "words")], ids=["sentences", "names"])
def test_given_token_unit_is_used(tmp_path, text, tokens, way):
    settings = write(tmp_path, f'tokens = "{tokens}"\n', "settings.toml")
    options = {"option": ["--tokens", tokens], "variable": [], "file": ["--config", settings]}[way]
    env = {"FASTRNN_TOKENS": tokens} if way == "variable" else None
    said = trained(write(tmp_path, text), tmp_path / "run", *options, env=env)
    assert "\ntokens " not in said
    assert kept(tmp_path / "run") == tokens


def test_arrays_have_no_token_unit(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((20, 3, 2), np.float32), y=np.arange(20) % 2)
    assert "\ntokens " not in trained(str(tmp_path / "x.npz"), tmp_path / "run")
    assert kept(tmp_path / "run") == "chars"


def test_token_unit_is_chosen_from_the_training_part(tmp_path):
    valid = write(tmp_path, NAMES, "valid.tsv")
    train([write(tmp_path, SENTENCES)], SMALL.replace(task="classify", valid_file=valid), tmp_path / "run")
    assert kept(tmp_path / "run") == "words"


def test_run_with_a_chosen_token_unit_resumes_to_the_same_bits(tmp_path):
    files, settings = [write(tmp_path, SENTENCES)], SMALL.replace(task="classify")
    train(files, settings, tmp_path / "whole")
    assert train(files, settings, tmp_path / "parts", callback=StopAt(4)).stopped == "signal"
    assert resume(tmp_path / "parts").stopped == "done"
    train(files, settings.replace(tokens="words"), tmp_path / "given")
    whole, parts, given = (load(tmp_path / run / "last.safetensors") for run in ("whole", "parts", "given"))
    assert_same_bits(whole.parameters, parts.parameters)
    assert_same_bits(whole.parameters, given.parameters)
    assert kept(tmp_path / "parts") == "words"


def test_token_unit_of_init_from_is_used(tmp_path):
    files = [write(tmp_path, SENTENCES)]
    train(files, SMALL.replace(task="classify", tokens="chars"), tmp_path / "old")
    train(files, Config(task="classify", steps=2, threads=1), tmp_path / "new", init_from=tmp_path / "old")
    assert kept(tmp_path / "new") == "chars"
    words = Config(task="classify", steps=2, threads=1, tokens="words")
    with pytest.raises(ConfigError, match="tokens is words, but the model to start from has chars"):
        train(files, words, tmp_path / "no", init_from=tmp_path / "old")


@pytest.mark.parametrize("task", ["generate", "translate", "language-model"])
def test_other_tasks_use_characters(tmp_path, task):
    train([write(tmp_path, SENTENCES)], SMALL.replace(task=task, seq=8), tmp_path / "run")
    assert load(tmp_path / "run" / "last.safetensors").config.tokens == "chars"


def test_corpus_keeps_its_token_unit(tmp_path):
    corpus = corpus_from_text(SENTENCES, tokens="words", min_count=1)
    assert train(corpus, SMALL.replace(seq=8), tmp_path / "run").tokens == "words"
    assert load(tmp_path / "run" / "last.safetensors").config.tokens == "words"


def test_model_file_without_a_token_unit_has_characters(tmp_path):
    train([write(tmp_path, NAMES)], SMALL.replace(task="classify"), tmp_path / "run")
    whole = (tmp_path / "run" / "last.safetensors").read_bytes()
    header, body = take_apart(whole)
    config = json.loads(header["__metadata__"]["config"])
    del config["tokens"]
    header["__metadata__"]["config"] = json.dumps(config)
    again = from_bytes(sealed(header, body), "model")
    assert again.config == from_bytes(whole, "model").config
