"""translate: a text for a text."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..config import Config
from ..data.examples.dataset import Batch, EncodedDataset
from ..data.examples.example import Example, ExampleSet, Location
from ..data.examples.from_python import check_text
from ..data.examples.numericalize import LabelEncoder, encode_targets, encode_texts
from ..data.examples.readers import text_pairs
from ..data.examples.readers.formats import Opener, open_with
from ..data.examples.schema import TaskSchema, build_vocab, target_min_count
from ..inference.decoding import decode_batch, log_probabilities, max_target_lengths
from ..inference.metrics import ExactMatch
from ..inference.predictors import Prediction, TaskModel
from ..nn.models import EncoderDecoder
from ..nn.spec import ModelSpec, encoder_decoder_shapes
from ..shapes import Shapes
from . import SupervisedTask

Array = np.ndarray[Any, Any]


class TranslationModel(TaskModel):
    """A trained model that translates texts."""

    _has_beam = True

    def translate(self, lines: Iterable[str], beam: int = 1) -> Iterator[str]:
        """Translate lines.

        Args:
            lines: The texts to translate.
            beam: The number of beams, 1 to 1000; 1 decodes greedily.

        Returns:
            An iterator of a translation for each line.

        Raises:
            InputError: A line is empty.
        """
        return (prediction.value for prediction in self.predict(lines, beam))

    def _predict_batch(self, batch: Batch, beam: int, logprobs: bool) -> list[tuple[str, float | None]]:
        ids = decode_batch(self.model, self.tokenizer, batch, beam)
        texts = [self.tokenizer.decode(column) for column in ids.T]
        if not logprobs:
            return [(text, None) for text in texts]
        found = log_probabilities(self.model.decoder, self.model.encode(batch), ids, max_target_lengths(batch))
        return list(zip(texts, found.tolist(), strict=True))

    def _make_prediction(self, example: Example, output: Any) -> Prediction:
        text, logprob = output
        return Prediction(example, text, logprob=logprob)


_READERS: dict[str, Opener] = dict.fromkeys((".tsv", ".txt", "-"), open_with(text_pairs.read_tsv_pairs))


class TranslateTask(SupervisedTask):
    """x: a source text; y: its translation."""

    name = "translate"
    readers = _READERS
    required_fields = ("tokens", "target")
    model_class = EncoderDecoder
    predictor_class = TranslationModel
    warmup_examples = (("ab", "c"), ("a", "c"))

    def check_example(self, example: Example, place: Location, needs_target: bool) -> None:
        check_text(example.x, "its text", place)
        if example.y is not None or needs_target:
            check_text(example.y, "its translation", place)

    def build_schema(self, examples: ExampleSet, training: Sequence[Example], config: Config) -> TaskSchema:
        return TaskSchema(
            self.name,
            tokens=build_vocab(config, (example.x for example in training), config.min_count),
            target=build_vocab(config, (example.y for example in training), target_min_count(config)),
        )

    def encode_parts(self, examples: ExampleSet, schema: TaskSchema, labels: LabelEncoder) -> dict[str, Any]:
        return {"x": encode_texts(examples, schema), **encode_targets(examples, schema)}

    def parameter_shapes(self, config: Config, spec: ModelSpec) -> Shapes:
        return encoder_decoder_shapes(config, spec)

    def make_metric(self, data: EncodedDataset) -> ExactMatch:
        return ExactMatch()

    def predict_batch(self, model: Any, schema: TaskSchema, batch: Batch) -> Array:
        """Return the decoded ids (S, B)."""
        assert schema.target is not None
        return decode_batch(model, schema.target, batch)


TASK = TranslateTask()
