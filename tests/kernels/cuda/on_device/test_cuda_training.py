"""Optimisers, sampling and training on the GPU or its simulator against the CPU; checkpoints are
portable.
"""

import numpy as np
import pytest
from engine_cases import make_network
from random_cases import make_model, make_ngrams

import fastrnn
from fastrnn.checkpoint.checkpoint import load
from fastrnn.config import OPTIMIZERS, Config
from fastrnn.errors import BackendError
from fastrnn.inference.dynamic import DynamicSettings, evaluate_dynamic
from fastrnn.inference.sampling import Sampler, SamplingParams
from fastrnn.kernels import backend
from fastrnn.kernels.cpu.thread_pool import WHOLE
from fastrnn.nn.incremental import IncrementalDecoder
from fastrnn.nn.network import Network
from fastrnn.shapes import ModelShape
from fastrnn.training.api import resume, train
from fastrnn.training.optimizers import Optimizer

TEXT = "to be or not to be, that is it. " * 8
SETTINGS = {
    "cell": "lstm",
    "hidden": 3,
    "layers": 1,
    "batch": 2,
    "seq": 3,
    "lr": 1e-2,
    "valid": 0.0,
    "dropout": 0.2,
    "precision": "float32",
}
SETTINGS |= {"optimizer": "momentum", "schedule": "constant", "warmup": 0}  # AdamW blows up rounding at first


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name, rng):
    config = Config(optimizer=name, weight_decay=0.1, vocab_lr=2)
    found = {}
    size = Network(ModelShape("rnn", 1, 3, 5), threads=1).parameters.flat.size
    flat, gradients = rng.normal(size=size), rng.normal(size=(3, size))
    for device in ("cuda", "cpu"):
        network = Network(ModelShape("rnn", 1, 3, 5), threads=1, device=device)
        kernels = network.kernels
        kernels.copy(network.parameters.flat, flat)
        optimizer = Optimizer(network, config)
        norms = []
        for gradient in gradients:
            kernels.copy(network.gradients.flat, gradient)
            norms.append(optimizer.gradient_norm())
            optimizer.step(1e-2, norms[-1])
        found[device] = np.concatenate([kernels.to_host(network.parameters.flat), norms])
    np.testing.assert_allclose(found["cuda"], found["cpu"], rtol=1e-5, atol=1e-6)


def test_rows_of_ngrams_are_updated_alone(rng):
    """Only the rows of a window; and of them not the one whose gradient is zero."""
    ngrams, rows = make_ngrams(), np.array([1, 3, 4], np.int32)
    names = ("rnn.weight_ngram_l0", "rnn.weight_hh_l0")
    model, found = make_model("lstm-norm", 1, rng, 3, 6, ngrams), {}
    gradients = {name: rng.normal(size=array.shape) for name, array in model.parameters.items()}
    inactive = 5  # has a gradient all the same, which nothing reads
    gradients[names[0]][np.setdiff1d(np.arange(len(ngrams)), [*rows[1:], inactive])] = 0
    norm = np.sqrt(
        sum(np.square(array).sum() for array in gradients.values()) - np.square(gradients[names[0]][inactive]).sum()
    )
    for device in ("cuda", "cpu"):
        network = make_network(model, np.float32, device=device, ngrams=ngrams)
        optimizer = Optimizer(network, Config(weight_decay=0.1, vocab_lr=2))
        norms = []
        for _ in range(2):
            network.gradients.assign(gradients)
            network.ngram_embedding.active = network.kernels.to_device(rows)
            norms.append(optimizer.gradient_norm())
            optimizer.step(1e-2, norms[-1])
        network.ngram_embedding.clear(WHOLE)
        left = network.gradients.on_host()
        np.testing.assert_array_equal(np.flatnonzero(left[names[0]].any(axis=1)), inactive)
        assert not any(array.any() for name, array in left.items() if name != names[0])
        found[device] = network.parameters.on_host()
        assert norms == [pytest.approx(norm, 1e-5)] * 2
    for name in names:
        np.testing.assert_allclose(found["cuda"][name], found["cpu"][name], rtol=1e-5, atol=1e-6)
    changed = np.abs(found["cuda"][names[0]] - model.parameters[names[0]]).max(axis=1) > 1e-6
    np.testing.assert_array_equal(np.flatnonzero(changed), rows[1:])


def test_gradient_norm_of_nan_is_nan():
    network = Network(ModelShape("rnn", 1, 3, 5), threads=1, device="cuda")
    network.kernels.copy(network.gradients.flat, np.nan)
    assert np.isnan(Optimizer(network, Config()).gradient_norm())


@pytest.mark.parametrize(
    "drawing",
    [
        SamplingParams(greedy=True),
        SamplingParams(0.7, top_k=3),
        SamplingParams(1.2, top_p=0.8),
        SamplingParams(1.5, min_p=0.1),
    ],
)
def test_samples_equal_the_cpu(drawing, rng):
    model, found = make_model("gru", 2, rng, 3, 6), []
    model.parameters["out.weight"] *= 4
    for device in ("cuda", "cpu"):
        sampler = Sampler(make_network(model, np.float32, device=device), None, rounded=False)
        blocks = sampler.tokens(2, 6, np.array([1, 4]), drawing, 3)
        found.append(np.concatenate(list(blocks)))
    np.testing.assert_array_equal(*found)


def test_ngrams_are_read_while_sampling(rng):
    """Also in the second call, which begins with the tokens of the first."""
    ngrams, found = make_ngrams(), []
    model = make_model("lstm-norm", 2, rng, 3, 6, ngrams)
    model.parameters["out.weight"] *= 4
    model.parameters["out.bias"][:] = 0
    model.parameters["rnn.weight_ngram_l0"] *= 3  # so that tokens depend on them
    uniforms = np.random.default_rng(1).random((11, 3))
    for device in ("cuda", "cpu"):
        network = make_network(model, np.float32, device=device, ngrams=ngrams)
        decoder = IncrementalDecoder(network, network.parameters["out.bias"])
        decoder.set_state(network.initial_state(3), np.array([1, 2, 1]))
        tokens = np.tile(np.array([[0], [1], [2]], np.int32), (1, 3))
        drawn = [np.zeros((n, 3), np.int32) for n in (5, 6)]
        decoder.generate(np.zeros((3, 3)), (0.0, 0, 1.0, 0.0), tokens, 3)
        for part, random in zip(drawn, (uniforms[:5], uniforms[5:]), strict=True):
            decoder.generate(random, (1.0, 0, 1.0, 0.0), part)
        found.append(np.concatenate([*drawn, decoder.get_state()["before"][0].T]))
    np.testing.assert_array_equal(*found)


def run(folder, device, steps=2, **more):
    text = folder.parent / "text.txt"
    text.write_text(TEXT)
    return train([str(text)], Config(device=device, steps=steps, **SETTINGS | more), out=folder)


def weights(folder):
    return load(folder / "last.safetensors").parameters


@pytest.mark.parametrize("more", [{}, {"cell": "lstm-norm", "ngrams": 9}])
def test_checkpoints_load_on_the_other_device(more, tmp_path):
    run(tmp_path / "cpu", "cpu", steps=4, **more)
    expected = weights(tmp_path / "cpu")
    for first, second in (("cuda", "cpu"), ("cpu", "cuda")):
        folder = tmp_path / f"{first} first" / "run"
        folder.parent.mkdir()
        run(folder, first, **more)
        assert load(folder / "last.safetensors").config.device == first
        resume(folder, {"steps": 4, "device": second})
        for name, array in weights(folder).items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
        assert fastrnn.load(folder).sample(5, seed=1)


@pytest.mark.parametrize("more", [{}, {"cell": "lstm-norm", "ngrams": 9}])
def test_training_equals_the_cpu(more, tmp_path):
    found = []
    for device in ("cpu", "cuda"):
        folder = tmp_path / device / "run"
        folder.parent.mkdir()
        result = run(folder, device, **more)
        found.append({"nats": np.array(result.train_nats), **weights(folder)})
    assert not more or found[0]["rnn.weight_ngram_l0"].any()
    for name, array in found[0].items():
        np.testing.assert_allclose(found[1][name], array, rtol=1e-5, atol=1e-6, err_msg=name)


def test_dynamic_evaluation_equals_the_cpu(rng):
    corpus = fastrnn.corpus_from_text(TEXT[:33])
    model = make_model("lstm", 1, rng, 3, corpus.tokenizer.size)
    settings = DynamicSettings(lr=0.03, decay=0.05, seq=8)
    found = {}
    for device in ("cuda", "cpu"):
        network = make_network(model, np.float32, device=device)
        found[device] = evaluate_dynamic(network, corpus, settings).nats
        np.testing.assert_array_equal(
            network.kernels.to_host(network.parameters["out.weight"]), model.parameters["out.weight"].astype(np.float32)
        )
    assert found["cuda"] == pytest.approx(found["cpu"], rel=1e-5)


def test_several_processes_are_refused():
    with pytest.raises(BackendError, match="in one process only; start without MPI, or use --device cpu"):
        backend.check("cuda", processes=2)
    backend.check("cpu", "tag", processes=2)


def test_supervised_tasks_are_refused():
    from fastrnn.data.examples.example import Example, ExampleSet, Location

    examples = ExampleSet("classify", [Example("ab", "x", Location("here")), Example("c", "y", Location("here"))] * 8)
    with pytest.raises(BackendError, match="language models only; use --device cpu for classify"):
        train(examples, Config(task="classify", device="cuda", steps=1, hidden=3))
