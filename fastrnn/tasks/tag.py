"""tag: a label for each word of a sequence."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..config import Config
from ..data.examples.dataset import Ragged
from ..data.examples.example import Example, ExampleSet, Location
from ..data.examples.from_python import check_words, describe_value
from ..data.examples.numericalize import LabelEncoder, all_have_targets
from ..data.examples.readers import conll
from ..data.examples.readers.formats import Opener, ReadOptions, Stream, make_stream, open_with
from ..data.examples.schema import TaskSchema, check_label, collect_labels
from ..data.examples.symbol_vocab import SymbolVocab
from ..data.text.sources import Source
from ..inference.predictors import Prediction, StepwiseModel, compute_probabilities
from ..nn.models import SupervisedModel, SymbolTagger, Tagger
from ..nn.spec import ModelSpec, embedding_shapes, per_step_shapes, spelling_stack
from ..shapes import Shapes, stack_shapes
from . import LabelTask

Array = np.ndarray[Any, Any]


class TaggingModel(StepwiseModel):
    """A trained model that tags words. `step` returns the probabilities (K,) of one word's tags."""

    def _make_prediction(self, example: Example, output: Array) -> Prediction:
        probabilities, best = compute_probabilities(output)
        best_probabilities = probabilities[np.arange(len(best)), best]
        labels = self.vocabulary.labels
        return Prediction(example, [labels[i] for i in best], best_probabilities.tolist(), probabilities)

    def _convert_step(self, output: Array) -> Array:
        probabilities: Array = np.exp(output)
        return probabilities

    _takes_fields = True


def _open_two_columns(source: Source, options: ReadOptions) -> Stream:
    return make_stream(conll.read_two_columns(source, options.needs_targets, options.fields.known), source, options)


def _open_standard_input(source: Source, options: ReadOptions) -> Stream:
    examples = conll.read_conllu_or_two_columns(source, options.needs_targets, options.fields.known)
    return make_stream(examples, source, options)


_COLUMN_ENDINGS = (".txt", ".tsv", ".conll", ".bio", ".iob", ".iob2", ".bioes", ".iobes")
_READERS: dict[str, Opener] = {
    ".conllu": open_with(conll.read_conllu),
    ".conllup": open_with(conll.read_conllu_plus),
    **dict.fromkeys(_COLUMN_ENDINGS, _open_two_columns),
    "-": _open_standard_input,
}


class TagTask(LabelTask):
    """x: words; y: their tags. Words of several characters are also read character by character."""

    name = "tag"
    readers = _READERS
    required_fields = ("tokens", "labels")
    optional_fields = ("characters",)
    model_class = Tagger
    predictor_class = TaggingModel
    # Words of different lengths, so that padding is covered.
    warmup_examples = ((["ab", "c"], ["x", "y"]), (["ab"], ["x"]))

    def check_example(self, example: Example, place: Location, needs_target: bool) -> None:
        check_words(example.x, "words", place)
        if example.y is not None or needs_target:
            check_words(example.y, "tags", place)
            if len(example.x) != len(example.y):
                raise place.error(f"{len(example.x)} words and {len(example.y)} tags; give each word its tag")
            for tag in example.y:
                check_label(tag, place)

    def name_input(self, schema: TaskSchema) -> str:
        return "word list"

    def convert_input(self, value: Any, schema: TaskSchema, place: Location) -> Example:
        if not isinstance(value, list | tuple) or not value or not all(isinstance(w, str) and w for w in value):
            raise place.error(f"{describe_value(value)} where a list of words is needed")
        return Example(list(value), None, place)

    def convert_input_step(self, value: Any, schema: TaskSchema, place: Location) -> Example:
        if not isinstance(value, str) or not value:
            raise place.error(f"{describe_value(value)} where a word is needed")
        return Example([value], None, place)

    def build_schema(self, examples: ExampleSet, training: Sequence[Example], config: Config) -> TaskSchema:
        sentences = [example.x for example in training]
        # Words of one character have no spelling to read.
        characters = None
        if any(len(word) > 1 for sentence in sentences for word in sentence):
            characters = SymbolVocab.build("chars", (w for s in sentences for w in s), config.min_count)
        return TaskSchema(
            self.name,
            tokens=SymbolVocab.build("tokens", sentences, config.min_count),
            characters=characters,
            labels=collect_labels((tag, example.place) for example in examples.items for tag in example.y or ()),
        )

    def encode_parts(self, examples: ExampleSet, schema: TaskSchema, labels: LabelEncoder) -> dict[str, Any]:
        assert schema.tokens is not None
        items = examples.items
        parts: dict[str, Any] = {"x": Ragged.from_sequences([schema.tokens.to_ids(e.x) for e in items], np.int32)}

        if all_have_targets(examples):
            tags = [[labels.to_id(tag, partial(conll.locate_word, e, i)) for i, tag in enumerate(e.y)] for e in items]
            parts["y"] = Ragged.from_sequences([np.array(ids, np.int32) for ids in tags])

        # Each distinct word is spelled once; `word` is its index at each step.
        if schema.characters is not None:
            word_ids: dict[str, int] = {}
            words = [np.array([word_ids.setdefault(word, len(word_ids)) for word in e.x], np.int32) for e in items]
            parts["word"] = Ragged.from_sequences(words)
            parts["spelling"] = Ragged.from_sequences([schema.characters.to_ids(word) for word in word_ids], np.int32)
        return parts

    def choose_model(self, spec: ModelSpec) -> type[SupervisedModel]:
        return Tagger if spec.characters else SymbolTagger

    def parameter_shapes(self, config: Config, spec: ModelSpec) -> Shapes:
        if not spec.characters:
            return per_step_shapes(config, spec)
        spelling = stack_shapes(spelling_stack(config, spec))
        return {**embedding_shapes(config, spec), **spelling, **per_step_shapes(config, spec)}


TASK = TagTask()
