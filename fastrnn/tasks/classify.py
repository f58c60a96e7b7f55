"""classify: one label for a text or for a sequence of numbers."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any

import numpy as np

from ..config import Config
from ..data.examples.dataset import IGNORED
from ..data.examples.example import Example, ExampleSet, Location
from ..data.examples.from_python import check_array, check_text
from ..data.examples.numericalize import LabelEncoder, encode_steps, encode_texts
from ..data.examples.readers import arrays, text_pairs
from ..data.examples.readers.delimited import Fields
from ..data.examples.readers.formats import (
    FOLDERS,
    Opener,
    ReadOptions,
    Stream,
    make_stream,
    open_arrays,
    open_labelled_table,
    open_with,
    open_with_fields,
    read_json_or,
    starts_with_table,
)
from ..data.examples.schema import TaskSchema, build_vocab, check_label, collect_labels, fit_inputs
from ..data.text.compression import strip_suffix
from ..data.text.sources import Report, Source, peek
from ..errors import quote
from ..inference.predictors import Prediction, TaskModel, compute_probabilities
from ..nn.models import Classifier
from ..nn.spec import ModelSpec, embedding_shapes, per_step_shapes
from ..shapes import Shapes
from . import LabelTask

_MANY_EXAMPLES = 20  # examples from which on labels that mostly occur once are suspicious
_MANY_FILES = 10  # class files from which on each may be one example rather than a class
Array = np.ndarray[Any, Any]


class ClassificationModel(TaskModel):
    """A trained model that classifies texts or sequences of numbers."""

    _takes_fields = True

    def _make_prediction(self, example: Example, output: Array) -> Prediction:
        probabilities, best = compute_probabilities(output)
        label = self.vocabulary.labels[int(best)]
        return Prediction(example, label, float(probabilities[best]), probabilities)


def _open_standard_input(source: Source, options: ReadOptions) -> Stream:
    """Open a table if the first line is that of one, JSON if it starts with a brace or bracket, else TSV."""
    start, source = peek(source)
    if starts_with_table(start, options):
        return open_labelled_table(source, options)
    return make_stream(_read_json_or_tsv(source, options.needs_targets, options.fields), source, options)


def _read_json_or_tsv(source: Source, needs_targets: bool, fields: Fields) -> Iterator[Example]:
    return read_json_or(
        source,
        needs_targets,
        partial(text_pairs.read_labelled_json, fields=fields),
        partial(text_pairs.read_labelled_tsv, fields=fields),
    )


_READERS: dict[str, Opener] = {
    ".tsv": open_with_fields(text_pairs.read_labelled_tsv),
    ".jsonl": open_with_fields(text_pairs.read_labelled_jsonl),
    ".ndjson": open_with_fields(text_pairs.read_labelled_jsonl),
    ".json": open_with_fields(text_pairs.read_labelled_json),
    ".txt": open_with(text_pairs.read_class_file),
    "-": _open_standard_input,
    ".csv": open_labelled_table,
    ".npz": open_arrays(arrays.make_classification_examples),
    ".idx": open_arrays(arrays.make_classification_examples),
}


class ClassifyTask(LabelTask):
    """x: a text, or an array (T, F); y: a label."""

    name = "classify"
    readers = _READERS
    reads_class_files = True
    required_fields = ("labels",)
    either_fields = ("tokens", "inputs")
    model_class = Classifier
    predictor_class = ClassificationModel
    warmup_examples = (("ab", "x"), ("a", "y"))

    def report_suspicious(self, items: Sequence[Example], report: Report) -> None:
        """Report class files about as many as the examples: files may be the examples, and folders the classes."""
        files = {item.place.file for item in items}
        if len(files) >= _MANY_FILES and len(items) < 2 * len(files):
            labels = len({item.y for item in items})
            if labels > len(files) // 2:
                report(
                    f"{len(files):,} files give {labels:,} labels: each file is one class, named after the file, and "
                    f"each line an example; if folders are the classes, give their parent, or use --format {FOLDERS}"
                )
        distinct = {item.y for item in items}
        if len(items) >= _MANY_EXAMPLES and len(distinct) > len(items) / 2:
            report(
                f"{len(distinct):,} labels in {len(items):,} examples: most occur once and cannot be learned; "
                "a line is label, tab, text"
            )

    def check_example(self, example: Example, place: Location, needs_target: bool) -> None:
        if isinstance(example.x, np.ndarray):
            check_array(example.x, 2, "its numbers", place)
        else:
            check_text(example.x, "its text", place)
        if example.y is not None or needs_target:
            check_label(example.y, place)

    def build_schema(self, examples: ExampleSet, training: Sequence[Example], config: Config) -> TaskSchema:
        labels = collect_labels((example.y, example.place) for example in examples.items if example.y is not None)
        if len(labels) < 2:
            place = examples.items[0].place
            if PurePath(strip_suffix(place.file)).stem.strip() == labels[0]:
                raise place.error(
                    f"every line has the label {quote(labels[0])}, the name of the file; classify reads a file for "
                    "each label, or label, tab, text from a file named .tsv"
                )
            raise place.error("every example has the same label; classify needs at least two labels")
        if isinstance(training[0].x, str):
            tokens = build_vocab(config, (example.x for example in training), config.min_count)
            return TaskSchema(self.name, tokens=tokens, labels=labels)
        return TaskSchema(self.name, inputs=fit_inputs(training, examples.inputs), labels=labels)

    def encode_parts(self, examples: ExampleSet, schema: TaskSchema, labels: LabelEncoder) -> dict[str, Any]:
        ids = [IGNORED if e.y is None else labels.to_id(e.y, partial(_place_of, e)) for e in examples.items]
        x = encode_steps(examples, schema) if schema.tokens is None else encode_texts(examples, schema)
        return {"x": x, "label": np.array(ids, np.int32)}

    def parameter_shapes(self, config: Config, spec: ModelSpec) -> Shapes:
        # Two summaries: the final outputs and the mean over time.
        return {**embedding_shapes(config, spec), **per_step_shapes(config, spec, summaries=2)}


def _place_of(example: Example) -> Location:
    return example.place


TASK = ClassifyTask()
