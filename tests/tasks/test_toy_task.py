"""How to add a task: a toy task, which counts letters, in this one file."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import fastrnn
from fastrnn.config import Config
from fastrnn.data.examples.dataset import EncodedDataset, EncodedExamples, Ragged
from fastrnn.data.examples.example import Example, ExampleSet, Location, read_lines
from fastrnn.data.examples.from_python import check_text
from fastrnn.data.examples.numericalize import LabelEncoder, all_have_targets, encode_texts
from fastrnn.data.examples.readers.formats import open_with
from fastrnn.data.examples.schema import StandardScaler, TaskSchema, build_vocab
from fastrnn.data.text.sources import Source
from fastrnn.inference.metrics import RegressionError
from fastrnn.inference.predictors import Prediction, StepwiseModel
from fastrnn.nn.models import PerStepModel
from fastrnn.nn.spec import ModelSpec, per_step_shapes
from fastrnn.shapes import Shapes
from fastrnn.task_specs import TASK_SPECS, TaskSpec, TrainingDefaults
from fastrnn.tasks import SupervisedTask
from fastrnn_cli.group import program

Array = NDArray[Any]

# The toy task: how many a's a text has. Files have lines of text, tab, number.

SPEC = TaskSpec(
    module=__name__,
    formats=("count",),
    has_numeric_loss=True,
    defaults=TrainingDefaults(dropout=0.0, steps=300, epochs=30),
    output="text",
    json_key="count",
)


class CountingModel(StepwiseModel):
    """A trained model that counts; `step` returns the count (1,) so far."""

    @property
    def has_probabilities(self) -> bool:
        return False

    def _make_prediction(self, example: Example, output: Array) -> Prediction:
        return Prediction(example, str(round(float(self._convert_step(output[-1])[0]))))

    def _convert_step(self, output: Array) -> Array:
        assert self.vocabulary.outputs is not None
        return self.vocabulary.outputs.inverse_transform(output)


def read_counts(source: Source, needs_targets: bool) -> Iterator[Example]:
    for place, line in read_lines(source):
        text, _, count = line.partition("\t")
        if needs_targets and not count.isdecimal():
            raise place.error("no count; write text, tab, number")
        yield Example(text, int(count) if count else None, place, line)


class CountTask(SupervisedTask):
    """x: a text; y: the number of its a's. The network predicts the count so far at each character."""

    name = "count"
    readers = dict.fromkeys((".count", "-"), open_with(read_counts))
    required_fields = ("tokens", "outputs")
    model_class = PerStepModel
    predictor_class = CountingModel
    warmup_examples = (("ab", 1), ("a", 1))

    def check_example(self, example: Example, place: Location, needs_target: bool) -> None:
        check_text(example.x, "its text", place)

    def convert_input_step(self, value: Any, schema: TaskSchema, place: Location) -> Example:
        return self.convert_input(value, schema, place)

    def build_schema(self, examples: ExampleSet, training: Sequence[Example], config: Config) -> TaskSchema:
        outputs = StandardScaler.fit([np.array([[float(example.y)]]) for example in training], predicted=True)
        tokens = build_vocab(config, (example.x for example in training), config.min_count)
        return TaskSchema(self.name, tokens=tokens, outputs=outputs)

    def encode_parts(self, examples: ExampleSet, schema: TaskSchema, labels: LabelEncoder) -> dict[str, Any]:
        parts: dict[str, Any] = {"x": encode_texts(examples, schema)}
        if all_have_targets(examples):
            counts = [np.cumsum([c == "a" for c in e.x])[:, None].astype(np.float64) for e in examples.items]
            parts["y"] = Ragged.from_sequences(counts)
        return parts

    def model_spec(self, schema: TaskSchema) -> ModelSpec:
        assert schema.tokens is not None
        return ModelSpec(self.name, tokens=schema.tokens.size, labels=1)

    def parameter_shapes(self, config: Config, spec: ModelSpec) -> Shapes:
        return per_step_shapes(config, spec)

    def make_metric(self, data: EncodedDataset) -> RegressionError:
        outputs = data.schema.outputs
        assert outputs is not None
        assert isinstance(data, EncodedExamples)
        examples = data
        return RegressionError(lambda batch, found: outputs.inverse_transform(found) - examples.actual(batch.rows))


TASK = CountTask()


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder with data and settings of the toy task, which is added to the table."""
    monkeypatch.setitem(TASK_SPECS, "count", SPEC)
    monkeypatch.chdir(tmp_path)
    texts = ["".join(rng.choice(list("ab"), rng.integers(1, 9))) for _ in range(200)]
    Path("texts.count").write_text("".join(f"{text}\t{text.count('a')}\n" for text in texts))
    Path("count.toml").write_text('task = "count"\nhidden = 12\nsteps = 200\nlr = 0.02\nthreads = 1\ncell = "gru"\n')
    return tmp_path


def invoke(*args: str, text: str | None = None) -> str:
    """Run a command that must succeed; return what it prints."""
    done = CliRunner().invoke(program, args, input=text)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_a_task_in_one_file_trains_evaluates_and_predicts(files: Path) -> None:
    trained = json.loads(invoke("train", "texts.count", "--config", "count.toml", "--out", "run", "--json"))
    assert trained["valid_bits"] is None
    assert trained["mae"] < 0.4

    evaluation = json.loads(invoke("eval", "run", "texts.count", "--json"))
    assert evaluation["records"] == 200
    assert evaluation["mae"] < 0.4
    assert "mean absolute error" in invoke("eval", "run", "texts.count")

    assert invoke("predict", "run", text="aab\nbb\nababa\n") == "aab\t2\nbb\t0\nababa\t3\n"
    assert invoke("predict", "run", "--json", text="aab\n") == '{"text": "aab", "count": "2"}\n'
    assert "count" in invoke("info", "run")

    model = fastrnn.load("run")
    assert isinstance(model, CountingModel)
    assert [round(float(model.step(c)[0])) for c in "aba"] == [1, 1, 2]
    with pytest.raises(fastrnn.FastRNNError, match="this is a model for count, not for translate"):
        model.translate(["a"])
    assert TASK_SPECS["count"].supports_dense_cell
