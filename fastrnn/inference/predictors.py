"""Models of the labelled tasks for use: load, predict, evaluate, generate, translate, forecast, step."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..checkpoint.checkpoint import Checkpoint, load, spec_for
from ..checkpoint.run_dir import model_path
from ..data.examples.batching import evaluation_batches
from ..data.examples.dataset import Batch, EncodedDataset, EncodedExamples
from ..data.examples.example import Example, ExampleSet, Location
from ..data.examples.from_python import iter_examples, step_to_example, to_float64
from ..data.examples.numericalize import numericalize
from ..data.examples.readers.dispatch import ReadOptions, Stream, open_records, read_records
from ..data.examples.readers.fields import Fields
from ..data.examples.schema import TaskSchema
from ..data.examples.sliding_windows import SlidingWindows
from ..data.examples.streaming import StreamedItems, iter_chunks
from ..data.examples.symbol_vocab import END, SymbolVocab
from ..data.text.files import Paths
from ..data.text.remarks import check_unknown
from ..data.text.sources import Report, ignore_report
from ..errors import ConfigError, InputError, quote
from ..nn.matmul_mode import EXACT
from ..nn.models import build
from ..plain import check_path, check_whole
from .decoding import log_probabilities
from .metrics import decode_batch, max_target_lengths
from .prediction import Prediction, make_prediction
from .sampling import Sampler, SamplingParams, check_amounts, check_texts
from .task_evaluation import evaluate_task

_CHUNK = 256  # examples predicted in one batch
_MAX_STEPS = 1_000_000
_MAX_BEAMS = 1000
Array = np.ndarray[Any, Any]


class TaskModel:
    """A trained model of a labelled task and its vocabulary. Not thread-safe.

    It can be copied and pickled; a copy starts `step` from a zero state.

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
    def load(cls, path: str | os.PathLike[str], threads: int | None = None, exact: bool = False) -> "TaskModel":
        """Load a model of a labelled task.

        Args:
            path: A run folder (its best checkpoint is loaded) or a ``.safetensors`` file.
            threads: The number of threads; None for the default of this machine.
            exact: For task generate: sample in float32; by default weights are rounded to bfloat16.

        Returns:
            The model.

        Raises:
            CheckpointError: The file is missing, unreadable, damaged or of another version.
            ConfigError: It is a language model.
        """
        return cls(load(model_path(check_path("path", path))), threads, exact)

    @property
    def tokenizer(self) -> SymbolVocab:
        """The output vocabulary. Raises `ConfigError` for a task without text output."""
        if self.vocabulary.target is None:
            raise ConfigError(f"a model for {self.task} writes no text; use `fastrnn predict`")
        return self.vocabulary.target

    def records(self, inputs: Paths, labels: str | None = None, answers: bool = True, **options: Any) -> ExampleSet:
        """Read data for this model into memory.

        Args:
            inputs: Files, folders, globs, or ``-`` for standard input.
            labels: The file of labels of idx files.
            answers: Whether the data has targets.
            **options: label: column or key of the label, by default that of the training, if present.
                text: column or key of the text, likewise.
                format: format of all files, by default by their names, else that of the training.
                missing: treatment of missing values of a series, by default that of the training.
                report: function called with each remark on the data.

        Returns:
            The examples.

        Raises:
            InputError: The data is missing or malformed; the message names file and line.
            ConfigError: An option does not apply to this task.
        """
        return read_records(inputs, self.task, labels=labels, answers=answers, **self._read_options(**options))

    def open(self, inputs: Paths, **options: Any) -> list[Stream]:
        """Open data for this model and read it lazily, with or without targets.

        Blank lines are examples too (`Example.is_blank`), so that each line gets an answer.

        Args:
            inputs: Files, folders, globs, or ``-`` for standard input.
            **options: As for `records`.

        Returns:
            A `Stream` for each file.

        Raises:
            InputError: A file is missing or malformed.
        """
        return open_records(inputs, ReadOptions(self.task, answers=False, **self._read_options(**options)))

    def _read_options(
        self,
        label: str | None = None,
        text: str | None = None,
        format: str | None = None,
        missing: str | None = None,
        report: Report = ignore_report,
    ) -> dict[str, Any]:
        """The arguments of `ReadOptions` for this model; see `records` for the parameters."""
        config = self.config
        known = frozenset(self.vocabulary.labels)
        if self.task not in ("classify", "tag") and (label is not None or text is not None):
            raise ConfigError(f"label and text are for classify; this model is for {self.task}")
        required = label is not None or text is not None
        takes_text = self.vocabulary.tokens is not None
        fields = Fields(
            label or config.label, text or config.text, known=known, takes_text=takes_text, required=required
        )
        return {"exact": self.vocabulary.columns, "missing": missing or config.missing, "fields": fields,
                "format": format, "usual_format": config.format, "report": report}  # fmt: skip

    def encode(self, records: ExampleSet) -> EncodedDataset:
        """Convert examples to ids and scaled numbers.

        Labels that were not in the training data are kept in `EncodedExamples.unseen`.

        Raises:
            InputError: An example does not fit the model; the message names file and line.
        """
        return numericalize(records, self.vocabulary, allow_unseen=True)

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

    def predict(self, records: Iterable[Any], beam: int = 1, logprobs: bool = False) -> Iterator[Prediction]:
        """Predict the outputs of examples, lazily and in order. For tag, classify, translate, regress.

        Args:
            records: An `ExampleSet`, or examples or inputs: texts (classify, translate), lists of words
                (tag), arrays (T, F) or (F,) (regress).
            beam: The number of beams, 1 to 1000; 1 decodes greedily. For translate.
            logprobs: Also compute the log-probabilities of translations.

        Yields:
            A `Prediction` for each example.

        Raises:
            InputError: An example does not fit the model.
            ConfigError: The task is generate or forecast, or ``beam`` does not apply.
        """
        if self.task == "generate":
            raise ConfigError(
                "a model for generate makes no predictions; sample from it: `fastrnn sample MODEL --given LABEL`"
            )
        if self.task == "forecast":
            raise ConfigError("a model for forecast continues series; use `TaskModel.forecast`")
        beam = check_whole("beam", beam, 1, _MAX_BEAMS)
        if beam > 1 and self.task != "translate":
            raise ConfigError(f"beam is for models for translate alone; this one is for {self.task}")
        like = records if isinstance(records, ExampleSet) else ExampleSet(self.task, [], answers=False)
        asked = records if isinstance(records, ExampleSet | StreamedItems) else iter_examples(records, self.vocabulary)
        # Blank examples are not fed to the model, but keep their place in the order.
        for chunk in iter_chunks(asked, _CHUNK):
            filled = [record for record in chunk if not record.is_blank]
            answers = iter(self._predict(replace(like, items=filled, answers=False), beam, logprobs) if filled else ())
            yield from (Prediction(record, None) if record.is_blank else next(answers) for record in chunk)

    def _predict(self, records: ExampleSet, beam: int, logprobs: bool) -> list[Prediction]:
        found: list[Prediction | None] = [None] * len(records)
        translates = self.task == "translate"
        for batch in evaluation_batches(self.encode(records)):
            output: Any = self._translate_batch(batch, beam, logprobs) if translates else self.model.predict(batch)
            # Outputs of tag and regress are (T, B, K), with the padding before each example.
            for b, row in enumerate(batch.rows):
                steps = output[len(output) - batch.lengths[b] :, b] if self.task in ("tag", "regress") else output[b]
                found[row] = make_prediction(self.vocabulary, records.items[row], steps)
        return [answer for answer in found if answer is not None]

    def _translate_batch(self, batch: Batch, beam: int, logprobs: bool) -> list[tuple[str, float | None]]:
        ids = decode_batch(self.model, self.tokenizer, batch, beam)
        texts = [self.tokenizer.decode(column) for column in ids.T]
        if not logprobs:
            return [(text, None) for text in texts]
        found = log_probabilities(self.model.decoder, self.model.encode(batch), ids, max_target_lengths(batch))
        return list(zip(texts, found.tolist(), strict=True))

    def translate(self, lines: Iterable[str], beam: int = 1) -> Iterator[str]:
        """Translate lines.

        Args:
            lines: The texts to translate.
            beam: The number of beams, 1 to 1000; 1 decodes greedily.

        Returns:
            An iterator of a translation for each line.

        Raises:
            InputError: A line is empty.
            ConfigError: The model is not for translate.
        """
        self._require_task("translate")
        return (answer.value for answer in self.predict(lines, beam))

    def evaluate(self, records: ExampleSet | EncodedDataset | Paths) -> dict[str, Any]:
        """Evaluate the model on examples with targets.

        Args:
            records: An `ExampleSet`, encoded examples, or files to read.

        Returns:
            The metrics of the task, see `evaluate_task`.

        Raises:
            InputError: The data is missing, malformed or does not fit the model.
        """
        if isinstance(records, EncodedExamples | SlidingWindows):
            return evaluate_task(self.model, records)
        given = records if isinstance(records, ExampleSet) else self.records(records)  # type: ignore[arg-type]
        return evaluate_task(self.model, self.encode(given))

    def forecast(self, records: ExampleSet, steps: int) -> list[Array]:
        """Forecast the continuation of series.

        Beyond the model's horizon its own predictions are the inputs.

        Args:
            records: The series.
            steps: The number of rows to forecast.

        Returns:
            An array (steps, C) for each series, in the units of the data.

        Raises:
            InputError: There is no series, or one does not fit the model.
            ConfigError: The model is not for forecast.
        """
        self._require_task("forecast")
        steps = check_whole("steps", steps, 1, _MAX_STEPS)
        if not isinstance(records, ExampleSet):
            raise InputError(f"{quote(records)} is not an ExampleSet; give model.records(FILE, answers=False)")
        if not records.items:
            raise InputError("no series was given; give at least one")
        windows = self.encode(replace(records, answers=False))
        assert isinstance(windows, SlidingWindows)

        # Each pass forecasts one horizon and appends it to the inputs of the next.
        parts: list[Array] = []
        latest = windows.latest()
        while sum(part.shape[1] for part in parts) < steps:
            batches = evaluation_batches(latest)  # in the order of the series, because their windows are equally long
            found = [latest.inverse_transform(self.model.predict(batch), batch.rows) for batch in batches]
            parts.append(np.concatenate(found))
            latest = latest.extend(parts[-1])
        return list(np.concatenate(parts, axis=1)[:, :steps])

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
            ConfigError: The model is not for generate, or an argument is out of range.
            InputError: The label is unknown, or the vocabulary lacks characters of the prompt.
        """
        self._require_task("generate")
        count, length, seed = check_amounts(count, length, seed)
        check_texts(prime=prime, stop=stop)
        check_unknown(unknown)
        assert self.vocabulary.target is not None
        sampler = Sampler(self.model.decoder, self.vocabulary.target, rounded=self._rounded, end=END)
        # All texts share the initial state that the encoder computes from the input.
        start = {name: np.repeat(array, count, axis=1) for name, array in self._initial_state(given).items()}
        return sampler.stream(
            count, length, prime, SamplingParams(**params), seed=seed, stop=stop, unknown=unknown, state=start
        )

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
        records = ExampleSet(self.task, [Example(x, None, Location("given"))], answers=False)
        start: dict[str, Array] = self.model.encode(self.encode(records).batch(np.zeros(1, np.int64)))
        return start

    def reset(self) -> None:
        """Reset the state of `step` to zero."""
        self._stepper: Any = None

    def step(self, x: Any) -> Array:
        """Feed one step of a sequence; the state is carried to the next call. For tag and regress.

        A sequence fed step by step gives the same outputs as `predict`.

        Args:
            x: A word (tag) or numbers of shape (F,) (regress).

        Returns:
            Shape (K,) float64: P(tag); the outputs in the units of the data; or the probabilities of bits.

        Raises:
            InputError: ``x`` does not fit the model.
            ConfigError: The task or a bidirectional model needs the whole sequence.
        """
        if self.task not in ("tag", "regress"):
            raise ConfigError(f"{self.task} answers a whole sequence; step is for tag and regress")
        if self.config.bidirectional:
            raise ConfigError("a bidirectional model needs the whole sequence; use predict")
        record = step_to_example(x, self.vocabulary)
        batch = self.encode(ExampleSet(self.task, [record], answers=False)).batch(np.zeros(1, np.int64))
        if self._stepper is None:
            self._stepper = self.model.with_shared_parameters(EXACT)
            self._state = self._stepper.encoder.stack.zero_state(1)
        output: Array = self._stepper.predict(batch, self._state)[0, 0].astype(np.float64)
        if self.task == "tag":
            return np.exp(output)
        if self.vocabulary.binary or self.vocabulary.outputs is None:
            return output
        return self.vocabulary.outputs.inverse_transform(output)

    def _require_task(self, task: str) -> None:
        if self.task != task:
            raise ConfigError(f"this is a model for {self.task}, not for {task}")
