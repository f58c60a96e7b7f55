"""generate: texts for a given label, or for given numbers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..config import Config
from ..data.examples.dataset import EncodedDataset, Ragged
from ..data.examples.example import LARGEST, Example, ExampleSet, Location
from ..data.examples.from_python import check_array, check_text, to_float64
from ..data.examples.numericalize import LabelEncoder, encode_targets, require_text
from ..data.examples.readers import text_pairs
from ..data.examples.readers.delimited import ANY_FIELDS, Fields
from ..data.examples.readers.formats import Opener, open_with, open_with_fields, read_json_or
from ..data.examples.schema import (
    StandardScaler,
    TaskSchema,
    build_vocab,
    check_label,
    collect_labels,
    target_min_count,
)
from ..data.examples.symbol_vocab import END
from ..data.text.remarks import check_unknown
from ..data.text.sources import Source
from ..errors import ConfigError, InputError
from ..inference.predictors import Prediction, TaskModel
from ..inference.sampling import Prompt, Sampler, SamplingParams, check_amounts, check_texts
from ..nn.models import ConditionalGenerator
from ..nn.spec import ModelSpec, conditional_shapes
from ..shapes import Shapes
from . import SupervisedTask

Array = np.ndarray[Any, Any]


class ConditionalModel(TaskModel):
    """A trained model that generates texts for a label or for numbers."""

    _takes_fields = True

    def predict(self, examples: Iterable[Any], beam: int = 1, logprobs: bool = False) -> Iterator[Prediction]:
        raise ConfigError(
            "a model for generate makes no predictions; sample from it: `fastrnn sample MODEL --given LABEL`"
        )

    def sample_stream(
        self,
        count: int = 1,
        length: int = 500,
        *,
        given: Any = None,
        prime: str = "",
        seed: int = 0,
        stop: str | None = None,
        unknown: str = "error",
        **params: Any,
    ) -> Iterator[list[str]]:
        """Sample texts for a given label or numbers; yields their pieces as they are sampled.

        Args:
            count: The number of texts, sampled in parallel.
            length: The most symbols of each text.
            given: The label, or the numbers, that condition the texts.
            prime: The prompt that each text continues; it is not repeated.
            seed: The random seed; text i of a seed does not depend on ``count``.
            stop: End a text before the first occurrence of this string.
            unknown: "error" or "skip", for characters of the prompt that the vocabulary lacks.
            **params: The fields of `SamplingParams`.

        Yields:
            A list of ``count`` strings: the next piece of each text, possibly empty.

        Raises:
            ConfigError: An argument is out of range.
            InputError: The label is unknown, or the vocabulary lacks characters of the prompt.
        """
        count, length, seed = check_amounts(count, length, seed)
        check_texts(prime=prime, stop=stop)
        check_unknown(unknown)
        sampler = Sampler(self.model.decoder, self.tokenizer, rounded=self._rounded, end=END)
        # All texts share the initial state that the encoder computes from the input.
        start = {name: np.repeat(array, count, axis=1) for name, array in self._initial_state(given).items()}
        prompt = Prompt(prime, unknown, start)
        return sampler.stream(count, length, prompt, SamplingParams(**params), seed=seed, stop=stop)

    def generate(self, given: Any, count: int = 1, length: int = 500, **settings: Any) -> list[str]:
        """Sample ``count`` texts for a given label or numbers; other arguments as for `sample_stream`."""
        pieces = list(self.sample_stream(count, length, given=given, **settings))
        return ["".join(parts) for parts in zip(*pieces, strict=True)]

    def _initial_state(self, given: Any) -> dict[str, Array]:
        if given is None:
            known = ", ".join(self.vocabulary.labels[:12]) or "a list of numbers"
            raise ConfigError(f"this model generates from a given input; use --given (it knows {known})")
        if self.vocabulary.labels and not isinstance(given, str):
            raise InputError("this model generates from a label; give one of " + ", ".join(self.vocabulary.labels[:12]))
        x = given if isinstance(given, str) else to_float64(given, Location("given"))
        examples = ExampleSet(self.task, [Example(x, None, Location("given"))], needs_targets=False)
        start: dict[str, Array] = self.model.encode(self.encode(examples).batch(np.zeros(1, np.int64)))
        return start


def _read_class_file(source: Source, needs_targets: bool) -> Iterator[Example]:
    return text_pairs.swap_input_and_target(text_pairs.read_class_file(source, True))


def _read_tsv(source: Source, needs_targets: bool, fields: Fields = ANY_FIELDS) -> Iterator[Example]:
    return text_pairs.swap_input_and_target(text_pairs.read_labelled_tsv(source, True, fields))


def _read_json_or_tsv(source: Source, needs_targets: bool, fields: Fields) -> Iterator[Example]:
    return read_json_or(
        source,
        needs_targets,
        partial(text_pairs.read_conditioned_jsonl, fields=fields),
        partial(_read_tsv, fields=fields),
    )


_READERS: dict[str, Opener] = {
    ".tsv": open_with_fields(_read_tsv),
    ".jsonl": open_with_fields(text_pairs.read_conditioned_jsonl),
    ".ndjson": open_with_fields(text_pairs.read_conditioned_jsonl),
    ".txt": open_with(_read_class_file),
    "-": open_with_fields(_read_json_or_tsv),
}


class GenerateTask(SupervisedTask):
    """x: a label, or an array (K,); y: a text."""

    name = "generate"
    readers = _READERS
    reads_class_files = True
    required_fields = ("target",)
    either_fields = ("labels", "inputs")
    model_class = ConditionalGenerator
    predictor_class = ConditionalModel
    warmup_examples = (("x", "ab"), ("x", "a"))

    def adapt_documents(self, examples: Iterable[Example]) -> Iterable[Example]:
        return text_pairs.swap_input_and_target(iter(examples))

    def check_example(self, example: Example, place: Location, needs_target: bool) -> None:
        if isinstance(example.x, np.ndarray):
            check_array(example.x, 1, "what is given", place)
        else:
            check_label(example.x, place)
        if example.y is not None or needs_target:
            check_text(example.y, "its text", place)

    def build_schema(self, examples: ExampleSet, training: Sequence[Example], config: Config) -> TaskSchema:
        target = build_vocab(config, (example.y for example in training), target_min_count(config))
        if isinstance(training[0].x, str):
            labels = collect_labels((example.x, example.place) for example in examples.items)
            return TaskSchema(self.name, target=target, labels=labels)
        inputs = StandardScaler.fit([example.x[None] for example in training])
        return TaskSchema(self.name, target=target, inputs=inputs)

    def encode_parts(self, examples: ExampleSet, schema: TaskSchema, labels: LabelEncoder) -> dict[str, Any]:
        targets = encode_targets(examples, schema)
        if schema.labels:
            given = [np.array([schema.label_id(require_text(e), e.place)], np.int32) for e in examples.items]
            return {"x": Ragged.from_sequences(given), "has_steps": False, **targets}

        assert schema.inputs is not None
        for example in examples.items:
            if isinstance(example.x, str) or example.x.shape != (schema.inputs.size,):
                raise example.place.error(f'"given" must be a list of {schema.inputs.size} numbers here')
            # Written so that NaN fails, too.
            if not (np.abs(example.x) <= LARGEST).all():
                raise example.place.error(f'"given" must hold finite numbers, at most {LARGEST:g}')
        vectors = Ragged.from_sequences([example.x[None] for example in examples.items])
        return {"x": vectors, "has_steps": False, **targets}

    def model_spec(self, schema: TaskSchema) -> ModelSpec:
        # The condition is no sequence: its numbers, or labels as one-hot vectors, are read at once.
        given = schema.inputs.size if schema.inputs else len(schema.labels)
        return replace(super().model_spec(schema), features=0, labels=given)

    def parameter_shapes(self, config: Config, spec: ModelSpec) -> Shapes:
        return conditional_shapes(config, spec)

    def make_metric(self, data: EncodedDataset) -> None:
        """Return None: no text is the correct one."""


TASK = GenerateTask()
