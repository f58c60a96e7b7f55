"""Models of the supervised tasks: gradients against central differences, and invariances."""

from dataclasses import replace

import numpy as np
import pytest
from engine_cases import assert_close, assert_same_bits
from gradients import check_gradients
from task_cases import (
    LENGTHS,
    ONE_WAY,
    READERS,
    SIGNATURES,
    B,
    H,
    K,
    T,
    V,
    make_batch,
    make_config,
    make_task,
    results,
    rows_of,
)

from fastrnn.cells import RECURRENT_CELLS
from fastrnn.data.examples.dataset import SplitBatch
from fastrnn.errors import ConfigError
from fastrnn.kernels.cpu.target import TARGET
from fastrnn.nn.models import build
from fastrnn.nn.network import Dropout, Stepper
from fastrnn.nn.parameters import EMBEDDING_STD, ONE_HOT_STD, initialise
from fastrnn.nn.spec import ModelSpec, parameter_shapes

DENSE = ["classify", "classify words", "classify numbers", "regress", "regress bits", "forecast"]
# every case with the LSTM, one way and both, and with the dense layer; one case of each kind with the other cells
CASES = [(case, "lstm", way) for case in SIGNATURES for way in (False, True) if not (way and case in ONE_WAY)]
CASES += [(case, "dense", False) for case in DENSE]
CASES += [(case, cell, True) for case in ("tag", "translate words") for cell in RECURRENT_CELLS if cell != "lstm"]
CASES += [("generate", cell, False) for cell in RECURRENT_CELLS if cell != "lstm"]
every_case = pytest.mark.parametrize(("case", "cell", "bidirectional"), CASES)
every_lstm = pytest.mark.parametrize(("case", "cell", "bidirectional"), [c for c in CASES if c[1] == "lstm"])


@pytest.mark.parametrize("keep", [1.0, 0.7])
@every_case
def test_gradients_match_central_differences(case, cell, bidirectional, keep, rng):
    model, batch = make_task(case, rng, cell, bidirectional), make_batch(case, rng)
    found = results(model, batch, keep_prob=keep, key=11)
    gradients = {name: found[name] for name in model.parameters}
    assert all(gradient.any() or cell == "rnn-relu" for gradient in gradients.values())  # few ReLUs may all be off
    # the letters' gradients are small: rounding is more of them
    tolerance = 1e-5 if case == "tag" else 1e-6
    check_gradients(
        lambda: model.train_step_gradients(batch, {}, Dropout(keep, 11)),
        dict(model.parameters),
        gradients,
        most=5,
        tolerance=tolerance,
    )


@every_case
def test_evaluation_losses_equal_training_losses(case, cell, bidirectional, rng):
    model, batch = make_task(case, rng, cell, bidirectional), make_batch(case, rng)
    total, scored = model.losses(batch)
    assert scored == batch.count > 0
    assert model.train_step_gradients(batch, {}) == pytest.approx(total / scored, rel=1e-14)
    assert model.initial_state(B) == {}


@every_lstm
def test_losses_follow_from_the_predictions(case, cell, bidirectional, rng):
    model, batch = make_task(case, rng, cell, bidirectional), make_batch(case, rng)
    prediction = model.predict(batch)
    if case.startswith("regress") or case == "forecast":
        scored = ~np.isnan(batch.y)
        y, found = batch.y[scored], prediction[scored]
        losses = -np.log(np.where(y == 1, found, 1 - found)) if "bits" in case else (found - y) ** 2 / 2
    else:
        targets = batch.y if batch.target_out is None else batch.target_out
        np.testing.assert_allclose(np.exp(prediction).sum(-1), 1, rtol=1e-12)
        losses = -np.take_along_axis(prediction, np.maximum(targets, 0)[..., None], -1)[..., 0][targets >= 0]
    assert model.losses(batch)[0] == pytest.approx(losses.sum(), rel=1e-11)


@every_lstm
def test_batch_equals_its_examples_one_by_one(case, cell, bidirectional, rng):
    model, batch = make_task(case, rng, cell, bidirectional, precision="float32"), make_batch(case, rng)
    whole = model.predict(batch)
    for b, n in enumerate(batch.lengths):
        alone, together = model.predict(rows_of(batch, [b])), whole[b : b + 1]
        if whole.ndim == 3:
            steps = slice(None) if batch.target_in is not None else slice(T - n, None)
            together = whole[steps, b : b + 1]
        np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "both"])
@pytest.mark.parametrize("case", READERS)
def test_padding_changes_nothing(case, bidirectional, rng):
    """Nor does it have a gradient: its content changes no bit of any result."""
    model, batch = make_task(case, rng, "gru", bidirectional, precision="float32"), make_batch(case, rng)
    x, padding = batch.x.copy(), np.arange(T)[:, None] < T - LENGTHS
    x[padding] = 3
    plain, other = results(model, batch), results(model, replace(batch, x=x))
    if case in ("tag", "regress", "regress bits"):
        plain["prediction"][padding] = other["prediction"][padding] = 0
    assert_same_bits(other, plain)


@every_lstm
def test_any_number_of_threads_gives_the_same_bits(case, cell, bidirectional, rng):
    models = [
        make_task(case, np.random.default_rng(3), cell, bidirectional, precision="float32", threads=n)
        for n in (1, 2, 7)
    ]
    batch = make_batch(case, rng)
    one, two, seven = (results(model, batch, keep_prob=0.6, key=9) for model in models)
    assert_same_bits(two, one)
    assert_same_bits(seven, one)


@every_lstm
def test_batches_of_other_sizes_have_no_effect(case, cell, bidirectional, rng):
    model, batch = make_task(case, rng, cell, bidirectional), make_batch(case, rng)
    plain = results(model, batch, keep_prob=0.6, key=9)
    for rows in ([1, 2], [0], [3]):
        results(model, rows_of(batch, rows))
    assert_same_bits(results(model, batch, keep_prob=0.6, key=9), plain)


@every_lstm
def test_model_with_shared_parameters_has_its_own_arrays(case, cell, bidirectional, rng):
    model, batch = make_task(case, rng, cell, bidirectional), make_batch(case, rng)
    plain, sibling = results(model, batch), model.with_shared_parameters()
    sibling.train_step_gradients(rows_of(batch, [1]), {})
    assert_same_bits(dict(model.gradients), {name: plain[name] for name in model.gradients})
    assert_same_bits(results(sibling, batch), plain)
    model.parameters["out.bias"][0] += 1
    assert sibling.losses(batch) == model.losses(batch)
    assert sibling.losses(batch)[0] != plain["total"]


@every_lstm
def test_without_targets_loss_and_gradient_are_zero(case, cell, bidirectional, rng):
    model, batch = make_task(case, rng, cell, bidirectional), make_batch(case, rng)
    name = "y" if batch.target_out is None else "target_out"
    targets = getattr(batch, name)
    nothing = np.full_like(targets, np.nan if targets.dtype.kind == "f" else -1)
    found = results(model, replace(batch, **{name: nothing}))
    assert found["loss"] == found["total"] == 0
    assert not any(found[parameter].any() for parameter in model.parameters)


@pytest.mark.parametrize("case", ["classify", "generate", "forecast", "tag"])
def test_unidirectional_outputs_depend_on_no_later_input(case, rng):
    """The output of one direction depends on no later input; a summary depends on the whole row."""
    model, batch = make_task(case, rng), make_batch(case, rng)
    found = model.predict(batch)
    if case == "generate":
        changed = replace(batch, target_in=np.where(np.arange(len(batch.target_in))[:, None] == 5, 1, batch.target_in))
        assert (model.predict(changed)[:5] == found[:5]).all()
        assert (model.predict(changed)[5:] != found[5:]).any()
    elif case == "tag":
        x, words = batch.x.copy(), batch.word_of.copy()
        x[-1, 0], words[-1, 0] = x[-2, 0], words[-2, 0]
        again = model.predict(replace(batch, x=x, word_of=words))
        assert (again[:-1] == found[:-1]).all()
        assert (again[-1, 0] != found[-1, 0]).any()
    else:
        x = batch.x.copy()
        x[0] = x[0] + 1 if case == "forecast" else (x[0] + 1) % V
        again = model.predict(replace(batch, x=x))
        np.testing.assert_array_equal((again != found).any(axis=1), LENGTHS == T)


def test_word_dropout_depends_on_the_key(rng):
    """Some words of a training batch are replaced by the unknown word, which is trained that way."""
    model, batch = make_task("tag", rng), make_batch("tag", rng)
    batch = replace(batch, x=np.where(batch.x == 1, 2, batch.x))
    assert not results(model, batch)["embed.weight"][1].any()
    dropped = [key for key in range(20) if results(model, batch, keep_prob=0.9, key=key)["embed.weight"][1].any()]
    assert 3 < len(dropped) < 20


def test_decoder_is_a_language_model_that_starts_from_a_state(rng):
    for case in ("generate numbers", "translate"):
        model, batch = make_task(case, rng), make_batch(case, rng)
        state, predictions = model.encode(batch), model.predict(batch)
        assert all(array.shape == (2, B, H) for array in state.values())
        decoder = Stepper(model.decoder)
        steps = [decoder.logits(row[None].copy(), state) for row in batch.target_in]
        shifted = np.stack(steps) - predictions
        np.testing.assert_allclose(shifted, np.broadcast_to(shifted[..., :1], shifted.shape), atol=1e-11)


def test_unidirectional_translation_passes_the_state_on_unchanged(rng):
    assert not any("bridge" in name for name in make_task("translate", rng).parameters)
    shapes = parameter_shapes(make_config("translate", bidirectional=True), SIGNATURES["translate"])
    assert shapes["bridge.c_l1.weight"] == (H, 2 * H)


def test_names_and_shapes():
    shapes = parameter_shapes(make_config("tag", bidirectional=True), SIGNATURES["tag"])
    half = (H + 1) // 2
    assert shapes["embed.weight"] == (V, H)
    assert shapes["chars.weight_ih_l0_reverse"] == (4 * half, 10)
    assert shapes["rnn.weight_ih_l0"] == (4 * H, H + 2 * half)
    assert shapes["rnn.weight_ih_l1_reverse"] == (4 * H, 2 * H)
    assert shapes["out.weight"] == (K, 2 * H)
    shapes = parameter_shapes(make_config("generate"), SIGNATURES["generate"])
    assert shapes["given.c.weight"] == (2 * H, K)
    assert shapes["decoder.weight_ih_l0"] == (4 * H, V)
    text = ModelSpec("language-model", tokens=V)
    assert next(iter(parameter_shapes(make_config("language-model"), text))) == "rnn.weight_ih_l0"


@pytest.mark.parametrize("init", ["uniform", "orthogonal"])
@every_case
def test_every_weight_is_set(case, cell, bidirectional, init):
    model = build(make_config(case, cell, bidirectional, hidden=32), SIGNATURES[case])
    model.parameters.flat[:] = np.nan
    initialise(model.parameters, model.shape, init, np.random.default_rng(1))
    assert np.isfinite(model.parameters.flat).all()
    for name, array in model.parameters.items():
        if ("bias_ih" in name and cell == "lstm") or ".bias_l" in name:
            np.testing.assert_array_equal(array, np.repeat([0, 1, 0, 0], array.size // 4))
        elif "bias" in name:
            assert not array.any()
        elif name == "embed.weight":
            small = case.startswith("classify")
            assert array.std() == pytest.approx(EMBEDDING_STD if small else ONE_HOT_STD, rel=0.3)
        else:
            assert array.any()


def test_invalid_models_are_rejected():
    with pytest.raises(ConfigError, match="dense has no direction"):
        build(make_config("classify", "dense", True), SIGNATURES["classify"])
    with pytest.raises(ConfigError, match="letter by letter"):
        build(make_config("tag", "dense"), SIGNATURES["tag"])
    with pytest.raises(ConfigError, match="no model of its own"):
        build(make_config("tag"), ModelSpec("language-model", tokens=3))


@pytest.mark.parametrize("case", SIGNATURES)
def test_nan_is_propagated(case, rng):
    """One NaN among the weights, in any array, makes the loss NaN."""
    bidirectional = case not in ONE_WAY
    model, batch = make_task(case, rng, "lstm", bidirectional, precision="float32"), make_batch(case, rng)
    good = model.parameters.flat.copy()
    for name, array in model.parameters.items():
        model.parameters.flat[...] = good
        array[...] = np.nan
        assert np.isnan(model.train_step_gradients(batch, {})), name


@every_lstm
def test_bfloat16_products_are_close_to_the_exact_ones(case, cell, bidirectional, rng):
    if not TARGET.bfloat16_dot:
        pytest.skip("this processor has no bfloat16 products")
    batch = make_batch(case, rng)
    exact, rounded = (
        results(make_task(case, np.random.default_rng(4), cell, bidirectional, precision=precision), batch)
        for precision in ("float32", "bfloat16")
    )
    assert rounded["loss"] == pytest.approx(exact["loss"], rel=0.02)
    assert rounded["loss"] != exact["loss"]
    assert_close(rounded, exact, 0.1)


@every_lstm
def test_batch_in_parts_gives_the_loss_and_gradient_of_the_whole(case, cell, bidirectional, rng):
    model, batch = make_task(case, rng, cell, bidirectional), make_batch(case, rng)
    parts = SplitBatch(tuple(rows_of(batch, rows) for rows in ([1, 3], [0], [2])))

    assert parts.count == batch.count
    assert_close(compute_gradients(model, parts), compute_gradients(model, batch), 1e-11)


def test_parts_of_a_batch_have_the_dropout_of_their_rows(rng):
    model, batch = make_task("regress", rng), make_batch("regress", rng)
    x, y, lengths = batch.x, np.zeros_like(batch.y), np.full(B, T)
    parts = SplitBatch(
        tuple(replace(batch, x=x[:, rows], y=y[:, rows], lengths=lengths[rows]) for rows in (slice(0, 3), slice(3, 4)))
    )
    whole = compute_gradients(model, replace(batch, y=y, lengths=lengths), 0.6, 5)

    assert_close(compute_gradients(model, parts, 0.6, 5), whole, 1e-11)


def test_long_words_in_groups_of_their_own_change_nothing(rng):
    model, batch = make_task("tag", rng), make_batch("tag", rng)
    apart = split_words(batch)

    assert_close(results(model, apart), results(model, batch), 1e-11)


def test_gradients_match_central_differences_with_long_words_in_groups_of_their_own(rng):
    model, batch = make_task("tag", rng), split_words(make_batch("tag", rng))
    gradients = compute_gradients(model, batch, 0.7, 11)
    gradients.pop("loss")
    check_gradients(
        lambda: model.train_step_gradients(batch, {}, Dropout(0.7, 11)),
        dict(model.parameters),
        gradients,
        most=5,
        tolerance=1e-5,
    )


def split_words(batch):
    """Return the batch with the spelling of its words in three arrays."""
    (letters,) = batch.spelling
    assert letters.shape[1] > 3
    return replace(batch, spelling=(letters[:, :2], letters[:, 2:3], letters[:, 3:]))


def compute_gradients(model, window, keep_prob=1.0, key=0):
    """Return the loss and the gradients of a batch, by name."""
    loss = np.array(model.train_step_gradients(window, {}, Dropout(keep_prob, key)))
    return {"loss": loss} | {name: array.copy() for name, array in model.gradients.items()}
