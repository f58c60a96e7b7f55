"""A trained model of a labelled task to use: load, predict, evaluate, generate, translate, forecast, step."""

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
from ..data.text.decoding import check_unknown
from ..data.text.files import Paths
from ..data.text.line_ends import Tell, silent
from ..errors import ConfigError, InputError
from ..message import quoted
from ..nn.models import build
from ..plain import check_path, check_whole
from .decoding import log_probabilities
from .metrics import longest, written
from .prediction import Prediction, prediction_for
from .sampling import Sampler, SamplingParams, check_amounts, check_texts
from .task_evaluation import evaluate_task

_CHUNK = 256  # records that are predicted side by side
_MOST_STEPS, _MOST_BEAMS = 1_000_000, 1000
Array = np.ndarray[Any, Any]


class TaskModel:
    """A model and its vocabulary. Not for two threads at once.

    It can be copied and pickled; a copy has forgotten what `step` was fed.
    """

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None, exact: bool = False) -> None:
        config = self.config = checkpoint.config
        if not isinstance(checkpoint.tokenizer, TaskSchema):
            raise ConfigError("a language model; use `fastrnn sample`, `eval`, `score` or `complete`")
        self.vocabulary, self.task = checkpoint.tokenizer, config.task
        self.progress, self.corpus = checkpoint.progress, checkpoint.corpus
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
        """From a run folder (its best model) or a file. Raises `CheckpointError`.

        ``exact`` is for generate alone: texts are drawn in float32, nothing rounded to bfloat16.
        """
        return cls(load(model_path(check_path("path", path))), threads, exact)

    @property
    def tokenizer(self) -> SymbolVocab:
        """The symbols that the model writes. Raises `ConfigError` for a task that writes no text."""
        if self.vocabulary.target is None:
            raise ConfigError(f"a model for {self.task} writes no text; use `fastrnn predict`")
        return self.vocabulary.target

    def records(self, inputs: Paths, labels: str | None = None, answers: bool = True, **reading: Any) -> ExampleSet:
        """Read what this model takes from files, folders, globs or ``-``.

        ``reading``: ``label``, ``text``, ``format``, ``missing`` and ``tell``, see `_reading`. Raises `InputError`.
        """
        return read_records(inputs, self.task, labels=labels, answers=answers, **self._reading(**reading))

    def open(self, inputs: Paths, **reading: Any) -> list[Stream]:
        """The same, opened and read as they are asked for, answers or none; a `Stream` for each file.

        Blank lines are records too (`Example.is_blank`), so that there is an answer for each line.
        """
        return open_records(inputs, ReadOptions(self.task, answers=False, **self._reading(**reading)))

    def _reading(
        self,
        label: str | None = None,
        text: str | None = None,
        format: str | None = None,
        missing: str | None = None,
        tell: Tell = silent,
    ) -> dict[str, Any]:
        """How data for this model is read.

        Args:
            label: Column or key of the label; None for that of the training, if the data has it.
            text: Column or key of the text, likewise.
            format: Format of all files; None for what their names tell, else that of the training.
            missing: What is done about missing values of a series; None for what the model's training did.
            tell: Is told what the user should know about the data.
        """
        config, known = self.config, frozenset(self.vocabulary.labels)
        if self.task not in ("classify", "tag") and (label is not None or text is not None):
            raise ConfigError(f"label and text are for classify; this model is for {self.task}")
        required = label is not None or text is not None
        takes_text = self.vocabulary.tokens is not None
        fields = Fields(
            label or config.label, text or config.text, known=known, takes_text=takes_text, required=required
        )
        return {"exact": self.vocabulary.columns, "missing": missing or config.missing, "fields": fields,
                "format": format, "usual_format": config.format, "tell": tell}  # fmt: skip

    def encode(self, records: ExampleSet) -> EncodedDataset:
        """Records as the model sees them; labels that it has not learnt are kept apart (`EncodedExamples.unseen`).

        Raises `InputError` that names file and line.
        """
        return numericalize(records, self.vocabulary, allow_unseen=True)

    def part(self, data: EncodedDataset, split: str) -> EncodedDataset:
        """All of the examples, or those that the model's own training cut off as "train" or "valid".

        Raises `ConfigError` where it cut nothing off.
        """
        if split not in ("all", "train", "valid"):
            raise ConfigError(f"split is {quoted(split)}; it must be all, train or valid")
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
        """The answer to each record, in the order given, as chunks are read. For tag, classify, translate, regress.

        ``records``: an `ExampleSet`, or a list of examples or inputs: texts (classify, translate), lists of
        words (tag), arrays (T, F) or (F,) (regress). ``beam``: how many translations are kept at each step;
        ``logprobs``: tell how probable they are. Raises `InputError`, `ConfigError`.
        """
        if self.task == "generate":
            raise ConfigError(
                "a model for generate answers nothing; draw from it: `fastrnn sample MODEL --given LABEL`"
            )
        if self.task == "forecast":
            raise ConfigError("a forecast goes on from the end of a series; use `TaskModel.forecast`")
        beam = check_whole("beam", beam, 1, _MOST_BEAMS)
        if beam > 1 and self.task != "translate":
            raise ConfigError(f"beam is for models for translate alone; this one is for {self.task}")
        like = records if isinstance(records, ExampleSet) else ExampleSet(self.task, [], answers=False)
        asked = records if isinstance(records, ExampleSet | StreamedItems) else iter_examples(records, self.vocabulary)
        for chunk in iter_chunks(asked, _CHUNK):
            filled = [record for record in chunk if not record.is_blank]
            answers = iter(self._predict(replace(like, items=filled, answers=False), beam, logprobs) if filled else ())
            yield from (Prediction(record, None) if record.is_blank else next(answers) for record in chunk)

    def _predict(self, records: ExampleSet, beam: int, logprobs: bool) -> list[Prediction]:
        found: list[Prediction | None] = [None] * len(records)
        translates = self.task == "translate"
        for batch in evaluation_batches(self.encode(records)):
            output: Any = self._translated(batch, beam, logprobs) if translates else self.model.predict(batch)
            for b, row in enumerate(batch.rows):
                steps = output[len(output) - batch.lengths[b] :, b] if self.task in ("tag", "regress") else output[b]
                found[row] = prediction_for(self.vocabulary, records.items[row], steps)
        return [answer for answer in found if answer is not None]

    def _translated(self, batch: Batch, beam: int, logprobs: bool) -> list[tuple[str, float | None]]:
        ids = written(self.model, self.tokenizer, batch, beam)
        texts = [self.tokenizer.decode(column) for column in ids.T]
        if not logprobs:
            return [(text, None) for text in texts]
        found = log_probabilities(self.model.decoder, self.model.encode(batch), ids, longest(batch))
        return list(zip(texts, found.tolist(), strict=True))

    def translate(self, lines: Iterable[str], beam: int = 1) -> Iterator[str]:
        """Each line in the other language. Raises `InputError` for an empty one."""
        self._only("translate")
        return (answer.value for answer in self.predict(lines, beam))

    def evaluate(self, records: ExampleSet | EncodedDataset | Paths) -> dict[str, Any]:
        """How well the model does on records with answers, or on files of them; see `evaluate_task`."""
        if isinstance(records, EncodedExamples | SlidingWindows):
            return evaluate_task(self.model, records)
        given = records if isinstance(records, ExampleSet) else self.records(records)  # type: ignore[arg-type]
        return evaluate_task(self.model, self.encode(given))

    def forecast(self, records: ExampleSet, steps: int) -> list[Array]:
        """The next ``steps`` rows (steps, C) of each series, in its own units.

        Past the horizon the model runs free: what it said is taken for what came. Raises `InputError`.
        """
        self._only("forecast")
        steps = check_whole("steps", steps, 1, _MOST_STEPS)
        if not isinstance(records, ExampleSet):
            raise InputError(f"{quoted(records)} is no Records; give model.records(FILE, answers=False)")
        if not records.items:
            raise InputError("no series was given; give at least one")
        windows = self.encode(replace(records, answers=False))
        assert isinstance(windows, SlidingWindows)
        parts: list[Array] = []
        latest = windows.latest()
        while sum(part.shape[1] for part in parts) < steps:
            batches = evaluation_batches(latest)  # the series in their order: their windows are equally long
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
        **drawing: Any,
    ) -> Iterator[list[str]]:
        """Pieces of ``count`` texts for what is ``given`` (a label, or numbers), as they are drawn.

        Each has at most ``length`` symbols; otherwise as `LanguageModel.sample_stream`. Raises `InputError` for a
        label that is unknown.
        """
        self._only("generate")
        count, length, seed = check_amounts(count, length, seed)
        check_texts(prime=prime, stop=stop)
        check_unknown(unknown)
        assert self.vocabulary.target is not None
        sampler = Sampler(self.model.decoder, self.vocabulary.target, rounded=self._rounded, end=END)
        start = {name: np.repeat(array, count, axis=1) for name, array in self._start(given).items()}
        return sampler.stream(
            count, length, prime, SamplingParams(**drawing), seed=seed, stop=stop, unknown=unknown, state=start
        )

    def generate(self, given: Any, count: int = 1, length: int = 500, **settings: Any) -> list[str]:
        """``count`` new texts for what is given; settings as for `sample_stream`."""
        pieces = list(self.sample_stream(count, length, given=given, **settings))
        return ["".join(parts) for parts in zip(*pieces, strict=True)]

    def _start(self, given: Any) -> dict[str, Array]:
        if given is None:
            known = ", ".join(self.vocabulary.labels[:12]) or "a list of numbers"
            raise ConfigError(f"this model writes from something given; use --given (it knows {known})")
        if self.vocabulary.labels and not isinstance(given, str):
            raise InputError("this model writes from a label; give one of " + ", ".join(self.vocabulary.labels[:12]))
        x = given if isinstance(given, str) else to_float64(given, Location("given"))
        records = ExampleSet(self.task, [Example(x, None, Location("given"))], answers=False)
        start: dict[str, Array] = self.model.encode(self.encode(records).batch(np.zeros(1, np.int64)))
        return start

    def reset(self) -> None:
        """Forget what `step` was fed."""
        self._stepper: Any = None

    def step(self, x: Any) -> Array:
        """The answer to one step, the state kept: x is a word (tag) or numbers (F,) (regress).

        P(tag) (K,), or the outputs (K,) in their own units, of bits their probabilities. A whole sequence, step by
        step, gives what `predict` gives. Raises `InputError` for something else, `ConfigError` for tasks and models
        that need the whole sequence.
        """
        if self.task not in ("tag", "regress"):
            raise ConfigError(f"{self.task} answers a whole sequence; step is for tag and regress")
        if self.config.bidirectional:
            raise ConfigError("a bidirectional model needs the whole sequence; use predict")
        record = step_to_example(x, self.vocabulary)
        batch = self.encode(ExampleSet(self.task, [record], answers=False)).batch(np.zeros(1, np.int64))
        if self._stepper is None:
            self._stepper = self.model.with_shared_parameters("exact")
            self._state = self._stepper.encoder.stack.zero_state(1)
        output: Array = self._stepper.predict(batch, self._state)[0, 0].astype(np.float64)
        if self.task == "tag":
            return np.exp(output)
        if self.vocabulary.binary or self.vocabulary.outputs is None:
            return output
        return self.vocabulary.outputs.inverse_transform(output)

    def _only(self, task: str) -> None:
        if self.task != task:
            raise ConfigError(f"this is a model for {self.task}, not for {task}")
