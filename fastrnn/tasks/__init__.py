"""`Task` and `SupervisedTask`: the interface between a task and the packages that read, train, evaluate and predict."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..config import Config
from ..data.examples.dataset import Batch, EncodedDataset, EncodedExamples
from ..data.examples.example import Example, ExampleSet, Location
from ..data.examples.from_python import convert_step_numbers, convert_text_or_numbers
from ..data.examples.numericalize import LabelEncoder
from ..data.examples.readers.formats import Opener
from ..data.examples.schema import TaskSchema
from ..data.text.sources import Report
from ..inference.language_model import LanguageModel
from ..inference.metrics import ConfusionMatrix, Metric
from ..inference.predictors import TaskModel
from ..nn.models import SupervisedModel
from ..nn.spec import ModelSpec, get_schema_sizes
from ..shapes import Shapes

Array = np.ndarray[Any, Any]


class Task:
    """The interface of every task, besides its `fastrnn.task_specs.TaskSpec`.

    Attributes:
        name: Key in `fastrnn.task_specs.TASK_SPECS`.
        predictor_class: Class of a trained model for use, created from a checkpoint.
    """

    name: ClassVar[str]
    predictor_class: ClassVar[type[LanguageModel] | type[TaskModel]]


class SupervisedTask(Task):
    """A task whose data are examples with targets. All code of one task is in the module of its subclass.

    Attributes:
        readers: Ending of a file name (without .gz) -> function that opens such a file; "-" is standard input.
        reads_class_files: Whether a .txt file, or a folder of them, may hold the examples of one label.
        required_fields: Fields of `TaskSchema` that the task needs.
        either_fields: Fields of which it needs exactly one.
        optional_fields: Fields that it may have.
        splits_in_time: Whether the end of each example validates, instead of a random part of the examples.
        model_class: Class of the network, see `choose_model`.
        predictor_class: Class of a trained model for use.
        warmup_examples: Two (input, target) pairs of different lengths, whose training compiles all kernels of the
            task; empty if those of another task suffice.
    """

    readers: ClassVar[Mapping[str, Opener]]
    reads_class_files: ClassVar[bool] = False
    required_fields: ClassVar[tuple[str, ...]]
    either_fields: ClassVar[tuple[str, ...]] = ()
    optional_fields: ClassVar[tuple[str, ...]] = ()
    splits_in_time: ClassVar[bool] = False
    model_class: ClassVar[type[SupervisedModel]]
    predictor_class: ClassVar[type[TaskModel]]
    warmup_examples: ClassVar[tuple[tuple[Any, Any], ...]] = ()

    # Reading

    def adapt_documents(self, examples: Iterable[Example]) -> Iterable[Example]:
        """Convert (text, label) examples of class folders to those of the task."""
        return examples

    def report_suspicious(self, items: Sequence[Example], report: Report) -> None:
        """Report examples with targets that were probably read otherwise than the user meant."""

    def collect_remarks(self, examples: ExampleSet) -> tuple[str, ...]:
        """Return remarks on examples for the user."""
        return examples.remarks

    def check_example(self, example: Example, place: Location, needs_target: bool) -> None:
        """Check an example made in Python. Raises `InputError`."""
        raise NotImplementedError

    def name_input(self, schema: TaskSchema) -> str:
        """Return what messages call one input from Python."""
        return "text" if schema.tokens is not None else "array"

    def convert_input(self, value: Any, schema: TaskSchema, place: Location) -> Example:
        """Convert an input from Python to an example without target. Raises `InputError`."""
        return convert_text_or_numbers(value, schema, place)

    def convert_input_step(self, value: Any, schema: TaskSchema, place: Location) -> Example:
        """Convert one step of an input from Python likewise."""
        return convert_step_numbers(value, schema, place)

    # Schema and encoding

    def parameter_shapes(self, config: Config, spec: ModelSpec) -> Shapes:
        """Return parameter name -> shape, in the order of the flat array; ``config.hidden`` is set."""
        raise NotImplementedError

    def build_schema(self, examples: ExampleSet, training: Sequence[Example], config: Config) -> TaskSchema:
        """Build the schema: vocabularies and scalers from the training examples, labels from all.

        Raises `InputError` for data that no model can learn from.
        """
        raise NotImplementedError

    def encode(self, examples: ExampleSet, schema: TaskSchema, allow_unseen: bool) -> EncodedDataset:
        """Encode examples, see `fastrnn.data.examples.numericalize.numericalize`."""
        places = tuple(example.place for example in examples.items)
        labels = LabelEncoder(schema, examples.needs_targets, allow_unseen)
        return EncodedExamples(schema, places, **self.encode_parts(examples, schema, labels), unseen=labels.unseen)

    def encode_parts(self, examples: ExampleSet, schema: TaskSchema, labels: LabelEncoder) -> dict[str, Any]:
        """Return the fields of `EncodedExamples` that hold inputs and targets."""
        raise NotImplementedError

    # Model

    def model_spec(self, schema: TaskSchema) -> ModelSpec:
        """Return the sizes of a model for data with this schema."""
        return get_schema_sizes(schema)

    def choose_model(self, spec: ModelSpec) -> type[SupervisedModel]:
        """Return the class of the network."""
        return self.model_class

    # Evaluation

    def make_metric(self, data: EncodedDataset) -> Metric | None:
        """Return a new metric for these examples; None for a task that has no correct answers."""
        raise NotImplementedError

    def predict_batch(self, model: Any, schema: TaskSchema, batch: Batch) -> Array:
        """Return the argument of `Metric.add` for a batch."""
        predicted: Array = np.asarray(model.predict(batch))
        return predicted

    def compute_details(self, metric: Metric | None, data: EncodedDataset) -> dict[str, Any]:
        """Return what an evaluation reports besides the figures of the metric."""
        return {}


class LabelTask(SupervisedTask):
    """Base of the tasks whose targets are labels: they are judged by a confusion matrix."""

    def make_metric(self, data: EncodedDataset) -> ConfusionMatrix:
        unseen = len(data.unseen) if isinstance(data, EncodedExamples) else 0
        return ConfusionMatrix(len(data.schema.labels), unseen)

    def compute_details(self, metric: Metric | None, data: EncodedDataset) -> dict[str, Any]:
        assert isinstance(metric, ConfusionMatrix)
        details: dict[str, Any] = {
            "labels": dict(zip(data.schema.labels, metric.label_scores(), strict=True)),
            "confusion": metric.counts.tolist(),
        }
        if isinstance(data, EncodedExamples) and metric.unseen.any():
            counts = zip(data.unseen, metric.unseen.sum(axis=1).tolist(), strict=True)
            details["unseen"] = {label: count for label, count in counts if count}
        return details
