"""The supervised tasks: examples, their schema, the split, and batches."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ...config import Config
from ...config_checks import MAX_STEPS
from ...data.examples.batching import Batches, evaluation_batches
from ...data.examples.dataset import EncodedDataset, EncodedExamples, describe_unseen_labels
from ...data.examples.example import ExampleSet
from ...data.examples.from_python import check_example_set
from ...data.examples.numericalize import numericalize
from ...data.examples.readers.delimited import Fields
from ...data.examples.readers.formats import read_examples
from ...data.examples.schema import TaskSchema, select_training_examples
from ...data.examples.symbol_vocab import CHARS, choose_token_unit
from ...data.text.sources import Report
from ...distributed.communicator import SINGLE_PROCESS, Communicator
from ...inference.evaluation import Evaluate, Evaluation, Evaluator, Watch, describe_subset, never_stop
from ...inference.metrics import evaluate_examples
from ...nn.matmul_mode import EVALUATION_MODE
from ...nn.models import SupervisedModel, build
from ...nn.spec import model_spec
from ...task_specs import TASK_SPECS, get_supervised_task
from .. import autotune_tasks
from ..autotune import Plan
from ..callbacks import Callback
from ..time_budget import TimeBudget
from ..timing import median_step_seconds
from ..trainer import dropout_of

_MEASURED = 128  # examples whose evaluation is timed


class SupervisedTraining:
    """Examples, encoded and split (see `TrainingTask`).

    ``encoding``: schema of an old model to keep. Raises `InputError`.
    """

    group: Communicator = SINGLE_PROCESS

    def __init__(
        self, inputs: Sequence[str] | ExampleSet, config: Config, encoding: TaskSchema | None, callback: Callback
    ) -> None:
        examples = _read(inputs, config, encoding, callback.message)
        self.task = get_supervised_task(config.task)
        for line in self.task.collect_remarks(examples):
            callback.message(line)
        self.tokens, self._choices = _choose_tokens(examples, config)
        self.tokenizer = encoding or TaskSchema.build(examples, config.replace(tokens=self.tokens))
        whole = numericalize(examples, self.tokenizer)
        names = [] if isinstance(inputs, ExampleSet) else list(inputs)
        self.about: dict[str, Any] = {"inputs": names, "fingerprint": whole.fingerprint, "records": len(whole)}
        self.data: EncodedDataset = whole
        self.valid: EncodedDataset | None = None
        if config.valid_file is not None:
            valid = config.replace(labels=None)  # `labels` names the label file of the training data
            held_out = _read([config.valid_file], valid, self.tokenizer, callback.message, is_validation=True)
            for line in held_out.remarks:
                callback.message(line)
            self.valid = numericalize(held_out, self.tokenizer, allow_unseen=True)
            if isinstance(self.valid, EncodedExamples) and self.valid.unseen:
                callback.message(describe_unseen_labels(self.valid.unseen))
        elif config.valid:
            self.data, self.valid = whole.split(config.valid, config.seed)

    def report_unknown(self, callback: Callback) -> None:
        """Do nothing: unknown words and characters have an id of their own, so no data is dropped."""

    def describe(self, config: Config) -> list[str]:
        """Describe the data and the length of the run, one line each."""
        windows, valid = self.windows(config), len(self.valid) if self.valid else 0
        noun = TASK_SPECS[config.task].example_noun
        labels = f", {len(self.tokenizer.labels):,} labels" if self.tokenizer.labels else ""
        return [
            f"data {len(self.data):,} {noun}s to learn from, {valid:,} to validate on{labels}",
            f"{config.steps:,} {'step' if config.steps == 1 else 'steps'} of {windows.batch} {noun}s, "
            f"{windows.per_epoch:,} an epoch",
            *describe_subset(config.eval_size, valid, f"{noun}s"),
        ]

    def statistics(self, compares: bool) -> dict[str, Any]:
        """Return nothing: these tasks have no baseline by frequencies."""
        return {}

    def plan(self, config: Config, budget: TimeBudget) -> Plan:
        """Choose every setting that ``config`` leaves open."""
        config, sizes = autotune_tasks.complete_model(config, len(self.data))
        per_epoch = self.windows(config).per_epoch
        config, length = autotune_tasks.complete_length(
            config, per_epoch, self._valid_examples, budget, lambda: self._measure(config)
        )
        return Plan(config, (*self._choices, *sizes, *length))

    def model(self, config: Config) -> SupervisedModel:
        """Build a model for these examples, its parameters all zero."""
        return build(config, model_spec(self.tokenizer, config.task), config.threads)

    def out_bias(self, config: Config) -> None:
        """Return None: the bias of the output layer begins with zeros."""

    def windows(self, config: Config) -> Batches:
        """Return the training batches."""
        assert config.batch is not None
        return Batches(self.data, config.batch, config.seed, self.group.shard(min(config.batch, len(self.data))))

    def evaluator(self, model: SupervisedModel, config: Config) -> Evaluator | None:
        """Return the evaluator of a model in training; None without validation data."""
        if self.valid is None:
            return None
        size = min(config.eval_size or autotune_tasks.default_size(config, len(self.valid)), len(self.valid))
        during = self._evaluate(model.with_shared_parameters(), size, config.seed)
        if size == len(self.valid) and model.matmul_mode == EVALUATION_MODE:
            return Evaluator(during)
        whole = autotune_tasks.final_size(config, len(self.valid))
        return Evaluator(during, self._evaluate(model.with_shared_parameters(EVALUATION_MODE), whole, config.seed))

    def _evaluate(self, model: SupervisedModel, size: int, seed: int) -> Evaluate:
        """Return a function that evaluates ``model`` on ``size`` examples."""
        assert self.valid is not None
        whole = self.valid

        def evaluate(watch: Watch, seconds: float = math.inf) -> Evaluation | None:
            used, start = size, time.perf_counter()
            if seconds < math.inf:  # time a few examples first, to find how many fit
                few = whole.sample(min(size, _MEASURED), seed)
                found = evaluate_part(few, watch)
                if len(few) == size:
                    return found
                each = (time.perf_counter() - start) / len(few)
                # The smallest number over the ranks: all must evaluate the same examples to get the same loss. A rank
                # that a signal stopped takes part too, or the others would wait for it; 0 stops them as well.
                fitting = 0.0 if found is None else min(size, max(len(few), seconds / each))
                used = -int(self.group.all_reduce_max(-fitting)[0])
                if not used:
                    return None
            found = evaluate_part(whole if used == len(whole) else whole.sample(used, seed), watch)
            return found and dataclasses.replace(found, whole=used == len(whole))

        def evaluate_part(data: EncodedDataset, watch: Watch) -> Evaluation | None:
            batches = list(evaluation_batches(data))
            predict = partial(self.task.predict_batch, model, self.tokenizer)
            return evaluate_examples(model, batches, self.task.make_metric(data), predict, watch, len(batches))

        return evaluate

    def sample_function(self, model: SupervisedModel, config: Config) -> None:
        """Return None: no samples are shown while training."""

    def steps_of_epochs(self, config: Config, epochs: float) -> int:
        """Return the number of steps of ``epochs`` passes over the training data."""
        return autotune_tasks.steps_of_epochs(self.windows(config).per_epoch, epochs)

    def steps_within(self, config: Config, seconds_left: Callable[[], float]) -> int:
        """Time a few steps; return how many fit into the time left after that."""
        per_epoch = self.windows(config).per_epoch
        return autotune_tasks.length_within(
            config, per_epoch, self._valid_examples, MAX_STEPS, seconds_left, lambda: self._measure(config)
        ).steps

    def default_eval_every(self, config: Config) -> int:
        """Return the default number of steps between evaluations."""
        return autotune_tasks.default_eval_every(config, self.windows(config).per_epoch)

    def with_regularization(self, config: Config, given: Config) -> Config:
        """Return ``config``: here dropout and weight decay do not depend on the number of steps."""
        return config

    @property
    def _valid_examples(self) -> int:
        """Number of validation examples."""
        return len(self.valid) if self.valid else 0

    def _measure(self, config: Config) -> autotune_tasks.Costs:
        """Time a training step, and the evaluation of an example."""
        model = self.model(config)
        windows = self.windows(config)
        row_lo, row_hi = windows.batch_slice
        dropout = dropout_of(config)
        # Windows differ in length, so at least three are timed.
        step = median_step_seconds(model, config, windows.window, row_hi - row_lo, dropout, group=self.group, least=3)
        if not self.valid:
            return autotune_tasks.Costs(step, 0.0)
        few = min(len(self.valid), _MEASURED)
        evaluate = self._evaluate(model.with_shared_parameters(), few, config.seed)
        evaluate(never_stop)  # compiles
        start = time.perf_counter()
        evaluate(never_stop)
        return autotune_tasks.Costs(step, self.group.all_reduce_max((time.perf_counter() - start) / few)[0])


def _choose_tokens(examples: ExampleSet, config: Config) -> tuple[str, list[str]]:
    """Return the token unit of texts, and, if it was chosen here, a line with the reason."""
    if config.tokens is not None:
        return config.tokens, []
    texts = [item.x for item in select_training_examples(examples, config) if isinstance(item.x, str)]
    if not TASK_SPECS[config.task].chooses_tokens or not texts:
        return CHARS, []
    unit = choose_token_unit(texts)
    return unit.tokens, [f"tokens {unit.tokens}: {unit.reason}"]


def _read(
    inputs: Sequence[str] | ExampleSet,
    config: Config,
    vocabulary: TaskSchema | None,
    report: Report,
    is_validation: bool = False,
) -> ExampleSet:
    """Read examples.

    The columns and the format of a validation file may differ from those that the configuration names.
    """
    if isinstance(inputs, ExampleSet):
        check_example_set(inputs, config.task)
        return inputs
    return read_examples(
        inputs,
        config.task,
        columns=config.columns,
        labels=config.labels,
        model_columns=vocabulary.columns if vocabulary else None,
        missing=config.missing,
        fields=Fields(config.label, config.text, required=not is_validation),
        format=None if is_validation else config.format,
        usual_format=config.format,
        encoding=config.encoding,
        report=report,
    )
