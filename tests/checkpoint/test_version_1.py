"""Models written by version 0.1.0 load and give the same samples, losses and predictions.

`version_1/` was written by version 0.1.0: an LSTM of 2 x 12 units trained for 60 steps on
"the cat sat on the mat and the dog lay on the log; " * 40, and a GRU of 8 units that separates texts
with a from texts with b.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

import fastrnn

FILES = Path(__file__).parent / "version_1"
TEXT = "the cat sat on the mat and the dog lay on the log; " * 40


def test_language_model_of_version_1_samples_and_scores_as_before():
    model = fastrnn.load(FILES / "language_model.safetensors")
    assert model.sample(40, prime="the ", seed=3, temperature=0.7) == " atd dd o cddght hn  yaat et oe ot l oo "
    scores = [line.logprob for line in model.score(["the cat sat", "the dog lay"])]
    np.testing.assert_allclose(scores, [-23.203695058822632, -24.949087381362915], rtol=1e-5)


def test_classifier_of_version_1_predicts_as_before():
    model = fastrnn.load(FILES / "classifier.safetensors")
    predictions = list(model.predict(["axab", "byba", "aaaa"]))
    assert [prediction.value for prediction in predictions] == ["x", "y", "x"]
    probabilities = [prediction.probability for prediction in predictions]
    np.testing.assert_allclose(probabilities, [0.9899707708460782, 0.9938025196477819, 0.9975342206539237], rtol=1e-5)


@pytest.mark.parametrize("name", ["last", "best"])
def test_run_of_version_1_resumes(tmp_path, name):
    shutil.copy(FILES / "language_model.safetensors", tmp_path / f"{name}.safetensors")
    text = tmp_path / "t.txt"
    text.write_text(TEXT)
    if name == "best":  # a run without its last checkpoint cannot go on
        with pytest.raises(fastrnn.FastRNNError):
            fastrnn.resume(tmp_path, {"steps": 80}, [str(text)])
        return
    result = fastrnn.resume(tmp_path, {"steps": 80}, [str(text)])
    assert result.steps == 80
    assert np.isfinite(result.train_nats)
