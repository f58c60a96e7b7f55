"""regress: numbers, or bits, for each step of a sequence of numbers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..config import Config
from ..data.examples.dataset import EncodedDataset, EncodedExamples, Ragged
from ..data.examples.example import Example, ExampleSet, Location
from ..data.examples.from_python import check_array
from ..data.examples.numericalize import LabelEncoder, all_have_targets, encode_outputs, encode_steps
from ..data.examples.readers import arrays, csv_columns
from ..data.examples.readers.csv_table import Table
from ..data.examples.readers.formats import Opener, ReadOptions, Stream, ending_of, make_table_set, open_arrays
from ..data.examples.schema import StandardScaler, TaskSchema, fit_inputs
from ..data.text.sources import Source
from ..inference.metrics import BinaryAccuracy, Metric, RegressionError
from ..inference.predictors import Prediction, StepwiseModel
from ..nn.models import PerStepModel
from ..nn.spec import ModelSpec, per_step_shapes
from ..shapes import Shapes
from . import SupervisedTask

Array = np.ndarray[Any, Any]
_NUMBERS = np.ones((2, 1), np.float32)


class RegressionModel(StepwiseModel):
    """A trained model that predicts numbers or bits.

    `step` returns the outputs (K,) of one step in the units of the data, or the probabilities of bits.
    """

    @property
    def has_probabilities(self) -> bool:
        return self.vocabulary.binary

    def _make_prediction(self, example: Example, output: Array) -> Prediction:
        assert self.vocabulary.outputs is not None
        if self.vocabulary.binary:
            return Prediction(example, (output > 0.5).astype(np.int64), output)
        return Prediction(example, self.vocabulary.outputs.inverse_transform(output))

    def _convert_step(self, output: Array) -> Array:
        if self.vocabulary.binary or self.vocabulary.outputs is None:
            return output
        return self.vocabulary.outputs.inverse_transform(output)


def _open_table(source: Source, options: ReadOptions) -> Stream:
    # Prediction handles the rows of a pipe as they arrive, so it cannot scan them all first.
    table = Table(source, whole=options.needs_targets or ending_of(source.name) != "-")
    columns = options.model_columns or csv_columns.choose_regression_columns(table, options.columns)
    examples = csv_columns.read_regression_rows(table, columns, options.needs_targets)
    return Stream(make_table_set(table, columns, options), examples)


_READERS: dict[str, Opener] = {
    ".csv": _open_table,
    ".npz": open_arrays(arrays.make_regression_examples),
    "-": _open_table,
}


class RegressTask(SupervisedTask):
    """x: an array (T, F); y: an array (T, K), NaN where not scored."""

    name = "regress"
    readers = _READERS
    required_fields = ("inputs", "outputs")
    optional_fields = ("binary",)
    model_class = PerStepModel
    predictor_class = RegressionModel
    warmup_examples = ((_NUMBERS, _NUMBERS / 2), (_NUMBERS[:1], _NUMBERS[:1] / 2))

    def check_example(self, example: Example, place: Location, needs_target: bool) -> None:
        check_array(example.x, 2, "its inputs", place)
        if example.y is not None or needs_target:
            check_array(example.y, 2, "its targets", place, allow_nan=True)
            if len(example.x) != len(example.y):
                raise place.error(f"{len(example.x)} steps of inputs and {len(example.y)} of targets; give as many")

    def build_schema(self, examples: ExampleSet, training: Sequence[Example], config: Config) -> TaskSchema:
        targets = [example.y for example in training]
        values = np.unique(np.concatenate([t[~np.isnan(t)] for t in targets]))
        if not values.size:
            raise examples.items[0].place.error("no target at all; give each example what is to be predicted")

        # Targets of 0 and 1 (-1: not scored) are bits.
        is_binary = set(values.tolist()) <= {-1.0, 0.0, 1.0} and 0.0 in values
        if is_binary:
            outputs = StandardScaler.identity(targets[0].shape[1], examples.outputs)
        else:
            outputs = StandardScaler.fit(targets, examples.outputs, predicted=True)
        inputs = fit_inputs(training, examples.inputs)
        return TaskSchema(self.name, inputs=inputs, outputs=outputs, binary=is_binary)

    def encode_parts(self, examples: ExampleSet, schema: TaskSchema, labels: LabelEncoder) -> dict[str, Any]:
        parts: dict[str, Any] = {"x": encode_steps(examples, schema)}
        if all_have_targets(examples):
            outputs = [encode_outputs(example, schema) for example in examples.items]
            parts["y"] = Ragged.from_sequences(outputs, np.float64)
        return parts

    def model_spec(self, schema: TaskSchema) -> ModelSpec:
        return replace(super().model_spec(schema), labels=schema.outputs.size if schema.outputs else 0)

    def parameter_shapes(self, config: Config, spec: ModelSpec) -> Shapes:
        return per_step_shapes(config, spec)

    def make_metric(self, data: EncodedDataset) -> Metric:
        if data.schema.binary:
            return BinaryAccuracy()
        outputs = data.schema.outputs
        assert outputs is not None
        assert isinstance(data, EncodedExamples)
        examples = data
        return RegressionError(lambda batch, found: outputs.inverse_transform(found) - examples.actual(batch.rows))


TASK = RegressTask()
