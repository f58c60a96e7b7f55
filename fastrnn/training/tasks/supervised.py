"""What a labelled task is trained on: records, their vocabulary, the split, and batches."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from ...config import Config
from ...data.examples.batching import Batches, evaluation_batches
from ...data.examples.dataset import EncodedDataset, EncodedExamples, describe_unseen_labels
from ...data.examples.example import ExampleSet
from ...data.examples.numericalize import numericalize
from ...data.examples.readers.dispatch import read_records
from ...data.examples.readers.fields import Fields
from ...data.examples.schema import TaskSchema, select_training_examples
from ...data.examples.series import describe_gaps
from ...data.examples.symbol_vocab import CHARS
from ...data.examples.token_unit import choose_token_unit
from ...data.examples.validation import check_example_set
from ...data.text.line_ends import Tell
from ...distributed.communicator import SINGLE_PROCESS, Communicator
from ...inference.evaluation import Evaluate, Evaluation, Evaluator, Watch, describe_subset, never_stop
from ...inference.metrics import evaluate_examples, make_predictor, metric_for
from ...nn.matmul_mode import EVALUATION_MODE
from ...nn.models import SupervisedModel, build
from ...nn.spec import model_spec
from .. import autotune_tasks
from ..autotune import Plan, TimeBudget
from ..callbacks import Callback

_MEASURED = 128  # records whose validation is timed


class SupervisedTask:
    """Records, encoded and split. ``encoding``: an old model's vocabulary to keep. Raises `InputError`."""

    group: Communicator = SINGLE_PROCESS

    def __init__(
        self, inputs: Sequence[str] | ExampleSet, config: Config, encoding: TaskSchema | None, callback: Callback
    ) -> None:
        records = _read(inputs, config, encoding, callback.message)
        for line in records.remarks:
            callback.message(line)
        if config.task == "forecast" and (leaps := describe_gaps(records.items)) is not None:
            callback.message(leaps)
        self.tokens, self._choices = _choose_tokens(records, config)
        self.tokenizer = encoding or TaskSchema.build(records, config.replace(tokens=self.tokens))
        whole = numericalize(records, self.tokenizer)
        names = [] if isinstance(inputs, ExampleSet) else list(inputs)
        self.about: dict[str, Any] = {"inputs": names, "fingerprint": whole.fingerprint, "records": len(whole)}
        self.data: EncodedDataset = whole
        self.valid: EncodedDataset | None = None
        if config.valid_file is not None:
            valid = config.replace(labels=None)  # those named belong to what is learnt from
            held = _read([config.valid_file], valid, self.tokenizer, callback.message, is_validation=True)
            for line in held.remarks:
                callback.message(line)
            self.valid = numericalize(held, self.tokenizer, allow_unseen=True)
            if isinstance(self.valid, EncodedExamples) and self.valid.unseen:
                callback.message(describe_unseen_labels(self.valid.unseen))
        elif config.valid:
            self.data, self.valid = whole.split(config.valid, config.seed)

    def tell_unknown(self, callback: Callback) -> None:
        """Unknown words and characters have an id of their own: nothing is left out."""

    def describe(self, config: Config) -> list[str]:
        """The data and the length of a run on it, in words."""
        windows, valid = self.windows(config), len(self.valid) if self.valid else 0
        noun = "window" if config.task == "forecast" else "record"
        labels = f", {len(self.tokenizer.labels):,} labels" if self.tokenizer.labels else ""
        return [
            f"data {len(self.data):,} {noun}s to learn from, {valid:,} to validate on{labels}",
            f"{config.steps:,} {'step' if config.steps == 1 else 'steps'} of {windows.batch} {noun}s, "
            f"{windows.per_epoch:,} an epoch",
            *describe_subset(config.eval_size, valid, f"{noun}s"),
        ]

    def statistics(self) -> dict[str, Any]:
        """Nothing is compared with frequencies."""
        return {}

    def plan(self, config: Config, clock: TimeBudget) -> Plan:
        """What ``config`` leaves open."""
        config, sizes = autotune_tasks.complete_model(config, len(self.data))
        per_epoch = self.windows(config).per_epoch
        config, length = autotune_tasks.complete_length(
            config, per_epoch, self._validated, clock, lambda: self._measure(config)
        )
        return Plan(config, (*self._choices, *sizes, *length))

    def model(self, config: Config) -> SupervisedModel:
        """A model for these records, its parameters all zero."""
        return build(config, model_spec(self.tokenizer, config.task), config.threads)

    def windows(self, config: Config) -> Batches:
        """The batches of a run."""
        assert config.batch is not None
        return Batches(self.data, config.batch, config.seed, self.group.shard(min(config.batch, len(self.data))))

    def evaluator(self, model: SupervisedModel, config: Config) -> Evaluator | None:
        """Validates a model that is being trained."""
        if self.valid is None:
            return None
        size = min(config.eval_size or autotune_tasks.usual_size(config, len(self.valid)), len(self.valid))
        during = self._evaluate(model.with_shared_parameters(), size, config.seed)
        if size == len(self.valid) and model.matmul_mode == EVALUATION_MODE:
            return Evaluator(during)
        whole = autotune_tasks.final_size(config, len(self.valid))
        return Evaluator(during, self._evaluate(model.with_shared_parameters(EVALUATION_MODE), whole, config.seed))

    def _evaluate(self, model: SupervisedModel, size: int, seed: int) -> Evaluate:
        """Validates this model on so many records."""
        assert self.valid is not None
        whole = self.valid

        def evaluate(watch: Watch, seconds: float = math.inf) -> Evaluation | None:
            used, start = size, time.perf_counter()
            if seconds < math.inf:  # what a few records take says how many there is time for
                few = whole.sample(min(size, _MEASURED), seed)
                if (found := judged(few, watch)) is None or len(few) == size:
                    return found
                each = (time.perf_counter() - start) / len(few)
                used = int(self.group.all_reduce_max(-min(size, max(len(few), seconds / each)))[0] * -1)
            found = judged(whole if used == len(whole) else whole.sample(used, seed), watch)
            return found and dataclasses.replace(found, whole=used == len(whole))

        def judged(data: EncodedDataset, watch: Watch) -> Evaluation | None:
            batches = list(evaluation_batches(data))
            predict = make_predictor(model, self.tokenizer)
            return evaluate_examples(model, batches, metric_for(data), predict, watch, len(batches))

        return evaluate

    def drawing(self, model: SupervisedModel, config: Config) -> None:
        """Nothing is shown while training."""

    def steps_of_epochs(self, config: Config, epochs: float) -> int:
        """Steps in so many passes."""
        return autotune_tasks.steps_of_epochs(self.windows(config).per_epoch, epochs)

    def steps_within(self, config: Config, seconds_left: Callable[[], float]) -> int:
        """Steps that fit into the time that is left."""
        per_epoch, most = self.windows(config).per_epoch, 1 << 40
        return autotune_tasks.length_within(
            config, per_epoch, self._validated, most, seconds_left, lambda: self._measure(config)
        ).steps

    def eval_every(self, config: Config) -> int:
        """Steps between validations, where that is left open."""
        return autotune_tasks.eval_every(config, self.windows(config).per_epoch)

    @property
    def _validated(self) -> int:
        """Records to validate on."""
        return len(self.valid) if self.valid else 0

    def _measure(self, config: Config) -> autotune_tasks.Costs:
        """Seconds of a training step, and of the validation of a record."""
        model = self.model(config)
        step = autotune_tasks.median_seconds(model, config, self.windows(config), self.group)
        if not self.valid:
            return autotune_tasks.Costs(step, 0.0)
        few = min(len(self.valid), _MEASURED)
        evaluate = self._evaluate(model.with_shared_parameters(), few, config.seed)
        evaluate(never_stop)  # compiles
        start = time.perf_counter()
        evaluate(never_stop)
        return autotune_tasks.Costs(step, self.group.all_reduce_max((time.perf_counter() - start) / few)[0])


def _choose_tokens(records: ExampleSet, config: Config) -> tuple[str, list[str]]:
    """What texts are cut into, and in words why, where it was left open."""
    if config.tokens is not None:
        return config.tokens, []
    texts = [item.x for item in select_training_examples(records, config) if isinstance(item.x, str)]
    if config.task != "classify" or not texts:
        return CHARS, []
    unit = choose_token_unit(texts)
    return unit.tokens, [f"tokens {unit.tokens}: {unit.reason}"]


def _read(
    inputs: Sequence[str] | ExampleSet,
    config: Config,
    vocabulary: TaskSchema | None,
    tell: Tell,
    is_validation: bool = False,
) -> ExampleSet:
    """The records of inputs. Of a validation file the columns and the format may be others than those named."""
    if isinstance(inputs, ExampleSet):
        check_example_set(inputs, config.task)
        return inputs
    return read_records(
        inputs,
        config.task,
        columns=config.columns,
        labels=config.labels,
        exact=vocabulary.columns if vocabulary else None,
        missing=config.missing,
        fields=Fields(config.label, config.text, required=not is_validation),
        format=None if is_validation else config.format,
        usual_format=config.format,
        tell=tell,
    )
