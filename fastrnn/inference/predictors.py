"""Models of the labelled tasks for use: what all have in common, and their predictions.

`fastrnn.tasks` has a subclass for each task.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from ..checkpoint.checkpoint import Checkpoint, load, spec_for
from ..checkpoint.run_dir import model_path
from ..data.examples.batching import StreamedItems, evaluation_batches, iter_chunks
from ..data.examples.dataset import Batch, EncodedDataset, EncodedExamples
from ..data.examples.example import Example, ExampleSet
from ..data.examples.from_python import iter_examples, step_to_example
from ..data.examples.numericalize import numericalize
from ..data.examples.readers.delimited import Fields
from ..data.examples.readers.formats import ReadOptions, Stream, open_examples, read_examples
from ..data.examples.schema import TaskSchema
from ..data.examples.sliding_windows import SlidingWindows
from ..data.examples.symbol_vocab import SymbolVocab
from ..data.text.files import Paths
from ..data.text.sources import Report, ignore_report
from ..errors import ConfigError, InputError, quote
from ..nn.matmul_mode import EXACT
from ..nn.models import build
from ..plain import check_path, check_whole
from ..task_specs import get_supervised_task, get_task
from .metrics import evaluate_examples

_CHUNK = 256  # examples predicted in one batch
_MAX_BEAMS = 1000
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction for one example. For a blank example all fields but ``example`` are None.

    Attributes:
        example: The example.
        value: tag: the tags; classify: the label; translate: the text; regress: numbers (T, K) in the
            units of the data, or bits.
        probability: The probability of the label, of each tag, or that each bit is 1 (T, K); else None.
        probabilities: The probabilities of all labels: classify (K,), tag (T, K).
        logprob: The log-probability of a translation and its end in nats, if it was requested.
    """

    example: Example
    value: Any
    probability: Any = None
    probabilities: Array | None = None
    logprob: float | None = None


def compute_probabilities(output: Array) -> tuple[Array, Any]:
    """Convert log-probabilities (..., K) to probabilities; also return the ids (...) of the likeliest labels."""
    return np.exp(output.astype(np.float64)), output.argmax(axis=-1)


class TaskModel:
    """A trained model of a labelled task and its vocabulary. Not thread-safe.

    `load` returns the subclass of the model's task, such as `fastrnn.tasks.tag.TaggingModel`; methods of other tasks
    raise `ConfigError`. A model can be copied and pickled; a copy starts `step` from a zero state.

    Args:
        checkpoint: The checkpoint of a labelled task.
        threads: The number of threads; None for the default of this machine.
        exact: Sample (task generate) in float32 instead of with weights rounded to bfloat16.

    Attributes:
        config: The `Config` of the training run.
        task: "tag", "classify", "translate", "generate", "regress" or "forecast".
        vocabulary: The `TaskSchema`: symbols, labels, columns and scalers.
        model: The `SupervisedModel`.
        progress, corpus: Training progress and training data, as saved in the checkpoint.
    """

    # Whether `read_examples` and `open` take label and text, and whether `predict` takes a beam.
    _takes_fields: ClassVar[bool] = False
    _has_beam: ClassVar[bool] = False

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None, exact: bool = False) -> None:
        config = self.config = checkpoint.config
        if not isinstance(checkpoint.tokenizer, TaskSchema):
            raise ConfigError("a language model; use `fastrnn sample`, `eval`, `score` or `complete`")
        self.vocabulary = checkpoint.tokenizer
        self.task = config.task
        self.progress = checkpoint.progress
        self.corpus = checkpoint.corpus
        self.signature = spec_for(config, self.vocabulary)
        self.model: Any = build(config.replace(precision=config.dtype, threads=threads), self.signature, threads)
        self.model.parameters.assign(checkpoint.parameters)
        self._rounded = not exact
        self._settings = threads, exact
        self.reset()

    def __reduce__(self) -> tuple[Any, ...]:
        parameters = self.model.parameters.on_host()
        checkpoint = Checkpoint(self.config, self.vocabulary, parameters, {}, {}, self.progress, self.corpus)
        return type(self), (checkpoint, *self._settings)

    @classmethod
    def load(cls, path: str | os.PathLike[str], threads: int | None = None, exact: bool = False) -> Self:
        """Load a model of a labelled task.

        Args:
            path: A run folder (its best checkpoint is loaded) or a ``.safetensors`` file.
            threads: The number of threads; None for the default of this machine.
            exact: For task generate: sample in float32; by default weights are rounded to bfloat16.

        Returns:
            The model; from `TaskModel` itself, the subclass for the model's task.

        Raises:
            CheckpointError: The file is missing, unreadable, damaged or of another version.
            ConfigError: It is a language model, or a model of another task than that of this class.
        """
        checkpoint = load(model_path(check_path("path", path)))
        kind = get_task(checkpoint.config.task).predictor_class
        if isinstance(checkpoint.tokenizer, TaskSchema) and not issubclass(kind, cls):
            raise ConfigError(f"a model for {checkpoint.config.task}; load it with fastrnn.load")
        model: Self = (kind if issubclass(kind, cls) else cls)(checkpoint, threads, exact)
        return model

    @property
    def tokenizer(self) -> SymbolVocab:
        """The output vocabulary. Raises `ConfigError` for a task without text output."""
        if self.vocabulary.target is None:
            raise ConfigError(f"a model for {self.task} writes no text; use `fastrnn predict`")
        return self.vocabulary.target

    def read_examples(
        self, inputs: Paths, labels: str | None = None, needs_targets: bool = True, **options: Any
    ) -> ExampleSet:
        """Read data for this model into memory.

        Args:
            inputs: Files, folders, globs, or ``-`` for standard input.
            labels: The file of labels of idx files.
            needs_targets: Whether every example must have a target; False for prediction.
            **options: label: column or key of the label, by default that of the training, if present.
                text: column or key of the text, likewise.
                format: format of all files, by default by their names, else that of the training.
                missing: treatment of missing values of a series, by default that of the training.
                encoding: encoding of texts, by any of Python's names, by default UTF-8.
                report: function called with each remark on the data.

        Returns:
            The examples.

        Raises:
            InputError: The data is missing or malformed; the message names file and line.
            ConfigError: An option does not apply to this task.
        """
        return read_examples(
            inputs, self.task, labels=labels, needs_targets=needs_targets, **self._read_options(**options)
        )

    def open(self, inputs: Paths, **options: Any) -> list[Stream]:
        """Open data for this model and read it lazily, with or without targets.

        Blank lines are examples too (`Example.is_blank`), so that each line gets a prediction.

        Args:
            inputs: Files, folders, globs, or ``-`` for standard input.
            **options: As for `read_examples`.

        Returns:
            A `Stream` for each file.

        Raises:
            InputError: A file is missing or malformed.
        """
        return open_examples(inputs, ReadOptions(self.task, needs_targets=False, **self._read_options(**options)))

    def _read_options(
        self,
        label: str | None = None,
        text: str | None = None,
        format: str | None = None,
        missing: str | None = None,
        encoding: str | None = None,
        report: Report = ignore_report,
    ) -> dict[str, Any]:
        """The arguments of `ReadOptions` for this model; see `read_examples` for the parameters."""
        config = self.config
        # Column and format of the training may be absent here, so they are preferred and not required.
        known = frozenset(self.vocabulary.labels)
        if not self._takes_fields and (label is not None or text is not None):
            raise ConfigError(f"label and text are for classify and generate; this model is for {self.task}")
        required = label is not None or text is not None
        takes_text = self.vocabulary.tokens is not None
        fields = Fields(
            label or config.label, text or config.text, known=known, takes_text=takes_text, required=required
        )
        return {"model_columns": self.vocabulary.columns, "missing": missing or config.missing, "fields": fields,
                "format": format, "usual_format": config.format, "encoding": encoding,
                "report": report}  # fmt: skip

    def encode(self, examples: ExampleSet) -> EncodedDataset:
        """Convert examples to ids and scaled numbers.

        Labels that were not in the training data are kept in `EncodedExamples.unseen`.

        Raises:
            InputError: An example does not fit the model; the message names file and line.
        """
        return numericalize(examples, self.vocabulary, allow_unseen=True)

    def part(self, data: EncodedDataset, split: str) -> EncodedDataset:
        """Select a part of the training data as the training run split it.

        Args:
            data: The encoded training data.
            split: "all", "train" or "valid".

        Returns:
            The examples of that part.

        Raises:
            ConfigError: Another ``split``, or the training data was not split.
        """
        if split not in ("all", "train", "valid"):
            raise ConfigError(f"split is {quote(split)}; it must be all, train or valid")
        if split == "all":
            return data
        config = self.config
        if config.valid_file is not None or not config.valid:
            raise ConfigError("this model's training data was not split; leave out --split")
        train, valid = data.split(config.valid, config.seed)
        if valid is None:
            raise ConfigError("this data is too little to be split; leave out --split")
        found: EncodedDataset = train if split == "train" else valid
        return found

    @property
    def has_probabilities(self) -> bool:
        """Whether a `Prediction` of this model has a probability, or for translate a log-probability."""
        return True

    def predict(self, examples: Iterable[Any], beam: int = 1, logprobs: bool = False) -> Iterator[Prediction]:
        """Predict the outputs of examples, lazily and in order. For tag, classify, translate, regress.

        Args:
            examples: An `ExampleSet`, or examples or inputs: texts (classify, translate), lists of words
                (tag), arrays (T, F) or (F,) (regress).
            beam: The number of beams, 1 to 1000; 1 decodes greedily. For translate.
            logprobs: Also compute the log-probabilities of translations.

        Yields:
            A `Prediction` for each example.

        Raises:
            InputError: An example does not fit the model.
            ConfigError: The task is generate or forecast, or ``beam`` does not apply.
        """
        beam = check_whole("beam", beam, 1, _MAX_BEAMS)
        if beam > 1 and not self._has_beam:
            raise ConfigError(f"beam is for models for translate alone; this one is for {self.task}")
        like = examples if isinstance(examples, ExampleSet) else ExampleSet(self.task, [], needs_targets=False)
        is_read = isinstance(examples, ExampleSet | StreamedItems)
        asked = examples if is_read else iter_examples(examples, self.vocabulary)
        # Blank examples are not fed to the model, but keep their place in the order.
        for chunk in iter_chunks(asked, _CHUNK):
            filled = [example for example in chunk if not example.is_blank]
            filled_set = replace(like, items=filled, needs_targets=False)
            predictions = iter(self._predict(filled_set, beam, logprobs) if filled else ())
            yield from (Prediction(example, None) if example.is_blank else next(predictions) for example in chunk)

    def _predict(self, examples: ExampleSet, beam: int, logprobs: bool) -> list[Prediction]:
        predictions: list[Prediction | None] = [None] * len(examples)
        for batch in evaluation_batches(self.encode(examples)):
            outputs = self._predict_batch(batch, beam, logprobs)
            for row, output in zip(batch.rows, outputs, strict=True):
                # Batches are sorted by length; predictions come in the order of the examples.
                predictions[row] = self._make_prediction(examples.items[row], output)
        return [prediction for prediction in predictions if prediction is not None]

    def _predict_batch(self, batch: Batch, beam: int, logprobs: bool) -> Sequence[Any]:
        """Return the output for each example of a batch, without padding."""
        outputs: Sequence[Any] = self.model.predict(batch)
        return outputs

    def _make_prediction(self, example: Example, output: Any) -> Prediction:
        """Convert the output for one example to a prediction."""
        raise NotImplementedError

    def evaluate(self, examples: ExampleSet | EncodedDataset | Paths) -> dict[str, Any]:
        """Evaluate the model on examples with targets.

        Args:
            examples: An `ExampleSet`, encoded examples, or files to read.

        Returns:
            A dictionary with ``records``, ``positions`` (scored) and ``loss`` (mean nats, or half the squared
            error of scaled numbers), and by task:

            * tag, classify: ``accuracy``; ``labels`` (label -> precision, recall, f1, count); ``confusion``
              (K, K), rows the true labels; ``unseen`` (label -> count) if labels were not in the training
              data: these count as wrong and have no loss.
            * translate: ``exact``.
            * regress: ``mae`` and ``mse`` in the data's units, or for bits ``accuracy`` and ``exact``.
            * forecast: ``mae``, ``mse``, and the same of the baselines ``persistence`` and, if the dates
              allow it, ``yesterday``.

        Raises:
            InputError: The data is missing, malformed or does not fit the model.
        """
        if isinstance(examples, EncodedExamples | SlidingWindows):
            data: EncodedDataset = examples
        elif isinstance(examples, ExampleSet):
            data = self.encode(examples)
        else:
            data = self.encode(self.read_examples(examples))  # type: ignore[arg-type]

        task = get_supervised_task(self.task)
        metric = task.make_metric(data)
        predict = partial(task.predict_batch, self.model, self.vocabulary)
        found = evaluate_examples(self.model, evaluation_batches(data), metric, predict)
        assert found is not None
        if not found.chars:
            raise InputError(f"nothing can be scored: none of the {len(data):,} targets is known to the model")
        figures: dict[str, Any] = {"records": len(data), "positions": found.chars, "loss": found.nats, **found.metrics}
        return figures | task.compute_details(metric, data)

    # A subclass has those of the following methods that its task allows.

    def translate(self, lines: Iterable[str], beam: int = 1) -> Iterator[str]:
        """Translate lines. For translate, see `fastrnn.tasks.translate.TranslationModel`."""
        raise self._wrong_task("translate")

    def forecast(self, examples: ExampleSet, steps: int) -> list[Array]:
        """Forecast the continuation of series. For forecast, see `fastrnn.tasks.forecast.ForecastingModel`."""
        raise self._wrong_task("forecast")

    def sample_stream(self, *args: Any, **settings: Any) -> Iterator[list[str]]:
        """Sample texts piece by piece. For generate, see `fastrnn.tasks.generate.ConditionalModel`."""
        raise self._wrong_task("generate")

    def generate(self, *args: Any, **settings: Any) -> list[str]:
        """Sample texts. For generate, see `fastrnn.tasks.generate.ConditionalModel`."""
        raise self._wrong_task("generate")

    def step(self, x: Any) -> Array:
        """Feed one step of a sequence. For tag and regress, see `StepwiseModel`."""
        raise ConfigError(f"{self.task} predicts for a whole sequence; step is for tag and regress")

    def reset(self) -> None:
        """Reset the state of `step` to zero."""

    def _wrong_task(self, task: str) -> ConfigError:
        return ConfigError(f"this is a model for {self.task}, not for {task}; use `fastrnn predict` or `eval`")


class StepwiseModel(TaskModel):
    """Base class for tasks with an output for each step: they can also be fed step by step."""

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None, exact: bool = False) -> None:
        self._stepper: Any = None  # the model and the state of `step`, from the first step on
        self._state: Any = None
        super().__init__(checkpoint, threads, exact)

    def _predict_batch(self, batch: Batch, beam: int, logprobs: bool) -> Sequence[Any]:
        # Outputs are (T, B, K), with the padding before each example.
        outputs = self.model.predict(batch)
        return [outputs[len(outputs) - length :, b] for b, length in enumerate(batch.lengths)]

    def reset(self) -> None:
        """Reset the state of `step` to zero."""
        self._stepper = None

    def step(self, x: Any) -> Array:
        """Feed one step of a sequence; the state is carried to the next call.

        A sequence fed step by step gives the same outputs as `predict`.

        Args:
            x: A word (tag) or numbers of shape (F,) (regress).

        Returns:
            Shape (K,) float64: P(tag); the outputs in the units of the data; or the probabilities of bits.

        Raises:
            InputError: ``x`` does not fit the model.
            ConfigError: A bidirectional model needs the whole sequence.
        """
        if self.config.bidirectional:
            raise ConfigError("a bidirectional model needs the whole sequence; use predict")
        example = step_to_example(x, self.vocabulary)
        batch = self.encode(ExampleSet(self.task, [example], needs_targets=False)).batch(np.zeros(1, np.int64))
        if self._stepper is None:
            # Exact, and with arrays of its own: windows of one step would make `predict` allocate its arrays anew.
            self._stepper = self.model.with_shared_parameters(EXACT)
            self._stepper.pack_once()
            self._state = self._stepper.encoder.stack.zero_state(1)
        return self._convert_step(self._stepper.predict(batch, self._state)[0, 0].astype(np.float64))

    def _convert_step(self, output: Array) -> Array:
        """Convert the output (K,) of a step to the result of `step`."""
        raise NotImplementedError
