"""Streams, slow units, learning rate, dropout and weight decay of a language model, from text, size and length.

The experiments behind the rules are in docs/internals/autotuning.md.
"""

import math
from typing import Any

from ..cells import CELLS
from ..config import USUAL_BETA1, Config
from ..data.text.bptt import windows_per_epoch

_MOST_GROUPS = 16  # streams for each row of a step
_LEAST_WINDOWS = 32  # of a stream
_RESET_WINDOWS = 32
_MOST_NGRAMS, _TOKENS_PER_NGRAM, _MOST_NGRAM_EPOCHS = 8_000, 125, 4.4
_NGRAM_WEIGHTS_PER_STEP = 2500
_BETA1 = 0.7  # of Adam, where the learning rate is chosen here
_VOCAB_LR, _VOCAB_STEPS, _MOST_VOCAB_LR = 2.0, 4000, 4.0  # `vocab_lr` of a run of so many steps, and of the shortest
USUAL = {"vocab_lr": 1.0, "beta1": USUAL_BETA1}
# Choice of a normed cell's weight decay: see `default_weight_decay`.
_FEWEST_AVERAGES, _MOST_AVERAGES = 0.3, 4.5
_MOST_DECAY = 0.3


def default_streams(config: Config, tokens: int) -> int:
    """Choose the streams of a training text of ``tokens`` tokens, of which each step reads ``config.batch``.

    The next steps then learn from other parts of the text, so that the weights do not follow its subject. A stream
    begins each epoch without context; so it has some windows at least. From the trials "Streams and windows" of
    docs/internals/autotuning.md.
    """
    assert config.batch is not None
    return config.batch * max(1, min(_MOST_GROUPS, tokens // config.batch // config.seq // _LEAST_WINDOWS))


def default_reset_every(config: Config) -> int:
    """Choose after how many windows of a stream its state is set to zero; 0: never.

    A unit that forgets slowly still holds values from before many updates of the weights. Without resets the model
    learns to rely on them; an evaluation and a sample begin with zeros. From the trials "Slow units" of
    docs/internals/autotuning.md.
    """
    return _RESET_WINDOWS if config.slow_units else 0


def choose_streams(config: Config, tokens: int) -> tuple[Config, list[str]]:
    """Choose the streams of a text, the slow units and the resets of the state; also returns lines on the choices."""
    lines = []
    if config.streams is None:
        config = config.replace(streams=default_streams(config, tokens))
        if config.streams != config.batch:
            lines.append(f"streams {config.streams:,}: read {config.batch} at a time, from all over the text")
    if config.slow_units is None:
        config = config.replace(slow_units=CELLS[config.cell].slow_units)
        if config.slow_units:
            lines.append(f"slow_units {config.slow_units:g}: the share of units that forget slowly at the start")
    if config.reset_every is None:
        config = config.replace(reset_every=default_reset_every(config))
        if config.reset_every:
            lines.append(f"reset_every {config.reset_every}: a stream's state is set to zero after so many windows")
    return config, lines


def may_read_ngrams(config: Config) -> bool:
    """Whether a language model reads n-grams, by its configuration or by default."""
    if config.ngrams is not None:
        return config.ngrams > 0
    return CELLS[config.cell].reads_ngrams and config.tokens != "words"


def default_ngrams(config: Config, tokens: int) -> int:
    """Choose how many n-grams a model reads that ``config.steps`` train on a text of ``tokens`` tokens; 0: none.

    Fewer where the text is read often, since rare n-grams overfit, and none from 4.4 epochs on; and fewer
    in a short run, whose checkpoints would take longer to write than is gained. From the trials "N-grams" of
    docs/internals/autotuning.md.
    """
    if not may_read_ngrams(config):
        return 0
    assert config.steps is not None
    epochs = max(1.0, count_epochs(config, tokens))
    share = min(1.0, max(0.0, _MOST_NGRAM_EPOCHS - epochs)) / epochs
    writable = config.steps * _NGRAM_WEIGHTS_PER_STEP // ngram_weights(config.replace(ngrams=1))
    return min(_MOST_NGRAMS, writable, int(share * tokens / _TOKENS_PER_NGRAM))


def ngram_weights(config: Config) -> int:
    """Return the number of weights of the n-grams of ``config``."""
    assert config.hidden is not None
    return CELLS[config.cell].gate_count * config.hidden * (config.ngrams or 0)


def default_learning_rate(config: Config, tokens: int) -> float:
    """Choose the peak learning rate for ``config.steps`` on a training text of ``tokens``.

    Only Adam's was searched, and its rise where a text is not read once only for a normed cell. From the trials
    "Learning rate" of docs/internals/autotuning.md.
    """
    assert config.hidden is not None
    assert config.layers is not None
    cell = CELLS[config.cell]
    if config.optimizer != "adamw":
        return fine_tuning_rate(config)
    rate = cell.text_learning_rate * min(math.sqrt(2), math.sqrt(256 / config.hidden)) / config.layers**0.25
    if cell.is_normed:
        rate *= min(2.0, max(1.0, count_epochs(config, tokens) ** -0.5))
    return float(f"{rate:.2g}")


def with_learning_settings(config: Config, tokens: int) -> Config:
    """Set ``lr``, ``vocab_lr``, ``beta1`` and ``out_bias`` where ``config`` leaves them open.

    Where ``lr`` is given, it holds for all parameters (the n-gram embedding has half of it), and the others are the
    usual ones, as in other programs. In a short run the rows of a table are read a few times only, so that they need a
    higher rate. From the trials "Learning rate", "Momentum and the rate of tables" and "Output bias" of
    docs/internals/autotuning.md.
    """
    assert config.steps is not None
    chosen: dict[str, Any] = {"lr": default_learning_rate(config, tokens), "out_bias": "zero"} | USUAL
    if config.lr is None:
        chosen |= {"out_bias": "unigram"}
        if config.optimizer == "adamw":
            by_length = _VOCAB_LR * math.sqrt(_VOCAB_STEPS / config.steps)
            chosen |= {"vocab_lr": float(f"{min(_MOST_VOCAB_LR, max(1.0, by_length)):.2g}"), "beta1": _BETA1}
    return config.replace(**{name: value for name, value in chosen.items() if getattr(config, name) is None})


def fine_tuning_rate(config: Config) -> float:
    """Choose the peak learning rate for a model that has learned already: one that keeps what its weights know."""
    rates = {"adamw": 4e-3, "rmsprop": 1e-3, "adagrad": 1e-2, "momentum": 0.1, "sgd": 1.0}
    return scale_rate(rates[config.optimizer], config, 512)


def scale_rate(rate: float, config: Config, hidden: int) -> float:
    """Scale the learning rate of one LSTM layer of at most ``hidden`` units to the model of ``config``."""
    assert config.hidden is not None
    assert config.layers is not None
    rate *= CELLS[config.cell].learning_rate_factor
    return rate * min(1.0, math.sqrt(hidden / config.hidden)) / math.sqrt(config.layers)


def matrices_per_gate(config: Config) -> int:
    """Return the number of weight matrices (H, H) of a gate in all layers; the first has a table for its input."""
    assert config.layers is not None
    return 2 * config.layers - 1


def count_epochs(config: Config, tokens: int) -> float:
    """Return how often ``config.steps`` read a training text of ``tokens``."""
    assert config.steps is not None
    assert config.batch is not None
    return config.steps * config.batch * config.seq / tokens


def steps_of_epochs(config: Config, epochs: float, tokens: int) -> int:
    """Return the number of steps of ``epochs`` passes over a training text of ``tokens``."""
    assert config.batch is not None
    per_epoch = windows_per_epoch(tokens, config.batch, config.seq, config.streams or config.batch)
    return max(1, math.ceil(epochs * max(1, per_epoch)))


def _overfitting(config: Config, tokens: int) -> float:
    """Estimate how far a run of ``config.steps`` overfits its training text of ``tokens``: from 0, not at all, to 1.

    It rises with the number of epochs, and is lower for a model with fewer recurrent weights than the text has tokens:
    for one layer by the root of their ratio, for more by the ratio.
    """
    assert config.hidden is not None
    epochs = count_epochs(config, tokens)
    weights = CELLS[config.cell].gate_count * matrices_per_gate(config) * config.hidden**2
    ratio = min(1.0, weights / tokens)
    return math.log2(max(epochs, 1.0)) / 5 * (math.sqrt(ratio) if config.layers == 1 else ratio)


def default_weight_decay(config: Config, tokens: int) -> float:
    """Return the default weight decay for ``config.steps`` at ``config.lr`` on a training text of ``tokens``.

    That of the cell. A normed cell, whose norm undoes the scale of its weights, bears more, and it helps where the run
    overfits: steps * lr * decay is 9 times `_overfitting`, at most 4.5. Weights are averages over the last
    1 / (lr * decay) updates (Wang and Aitchison 2024), so that is a fixed part of the run. From the trials "Weight
    decay" of docs/internals/autotuning.md.
    """
    assert config.steps is not None
    if config.optimizer != "adamw":
        return 0.0
    if not CELLS[config.cell].is_normed or not config.lr:
        return CELLS[config.cell].text_weight_decay
    averages = max(_FEWEST_AVERAGES, min(_MOST_AVERAGES, 9 * _overfitting(config, tokens)))
    return float(f"{min(_MOST_DECAY, averages / (config.steps * config.lr)):.2g}")


def default_dropout(config: Config, tokens: int) -> tuple[float, float]:
    """Choose the dropout rates of units and of recurrent weights for ``config.steps`` on a training text of ``tokens``.

    Both rise with `_overfitting`, and are divided by the number of layers. Weights are dropped only in cells with
    gates, and only in runs that overfit much. From the trials "Dropout" and "Layers" of docs/internals/autotuning.md.
    """
    assert config.layers is not None
    overfitting = _overfitting(config, tokens)
    recurrent = 0.35 * max(0.0, overfitting - 0.15) if CELLS[config.cell].is_gated else 0.0
    return round(min(0.5, 0.6 * overfitting) / config.layers, 2), round(min(0.25, recurrent) / config.layers, 2)


def with_regularization(config: Config, given: Config, tokens: int) -> Config:
    """Set the dropout rates and the weight decay that ``given`` leaves open to those for ``config.steps``.

    See `default_dropout` and `default_weight_decay`. Where only the dropout rate of units is given, that of weights is
    0.
    """
    units, recurrent = default_dropout(config, tokens)
    if given.dropout is None:
        config = config.replace(dropout=units)
    if given.weight_dropout is None:
        config = config.replace(weight_dropout=recurrent if chooses_weight_dropout(given) else 0.0)
    if given.weight_decay is None:
        config = config.replace(weight_decay=default_weight_decay(config, tokens))
    return config


def chooses_weight_dropout(given: Config) -> bool:
    """Whether the rate of recurrent weights is automatic: not where only the rate of units is given."""
    return given.weight_dropout is None and given.dropout is None
