"""Optimisers, sampling and training on the GPU or its simulator against the CPU; checkpoints are
portable.
"""

import numpy as np
import pytest
from engine_cases import make_network
from random_cases import make_model

import fastrnn
from fastrnn.checkpoint.checkpoint import load
from fastrnn.config import OPTIMIZERS, Config
from fastrnn.errors import BackendError
from fastrnn.inference.dynamic import DynamicSettings, evaluate_dynamic
from fastrnn.inference.sampling import Sampler, SamplingParams
from fastrnn.kernels import backend
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


def run(folder, device, steps=2):
    text = folder.parent / "text.txt"
    text.write_text(TEXT)
    return train([str(text)], Config(device=device, steps=steps, **SETTINGS), out=folder)


def weights(folder):
    return load(folder / "last.safetensors").parameters


def test_checkpoints_load_on_the_other_device(tmp_path):
    run(tmp_path / "cpu", "cpu", steps=4)
    expected = weights(tmp_path / "cpu")
    for first, second in (("cuda", "cpu"), ("cpu", "cuda")):
        folder = tmp_path / f"{first} first" / "run"
        folder.parent.mkdir()
        run(folder, first)
        assert load(folder / "last.safetensors").config.device == first
        resume(folder, {"steps": 4, "device": second})
        for name, array in weights(folder).items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
        assert fastrnn.load(folder).sample(5, seed=1)


def test_training_equals_the_cpu(tmp_path):
    found = []
    for device in ("cpu", "cuda"):
        folder = tmp_path / device / "run"
        folder.parent.mkdir()
        result = run(folder, device)
        found.append({"nats": np.array(result.train_nats), **weights(folder)})
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

    records = ExampleSet("classify", [Example("ab", "x", Location("here")), Example("c", "y", Location("here"))] * 8)
    with pytest.raises(BackendError, match="language models only; use --device cpu for classify"):
        train(records, Config(task="classify", device="cuda", steps=1, hidden=3))
