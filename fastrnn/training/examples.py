"""What a labelled task is trained on: records, their vocabulary, the split, and batches."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..config import Config
from ..data.batches import Batches, evaluation_batches
from ..data.dataset import Dataset, Examples, unseen_told
from ..data.encode import encode
from ..data.fields import Fields
from ..data.given import check_given
from ..data.line_ends import Tell
from ..data.record import Records
from ..data.records import read_records
from ..data.series import gaps_told
from ..data.symbols import CHARS
from ..data.units import choose_unit
from ..data.vocabulary import Vocabulary, training_items
from ..nn.models import TaskNetwork, build
from ..nn.products import PRECISE
from ..parallel.group import ALONE, Group
from . import auto_tasks
from .auto import Clock, Plan
from .evaluate import Evaluate, Evaluation, Evaluator, Watch, unwatched, validated_part
from .measure import answers, evaluate_records, measure_of
from .reporter import Reporter

_MEASURED = 128  # records whose validation is timed


class RecordMaterial:
    """Records, encoded and split. ``encoding``: an old model's vocabulary to keep. Raises `InputError`."""

    group: Group = ALONE

    def __init__(
        self, inputs: Sequence[str] | Records, config: Config, encoding: Vocabulary | None, reporter: Reporter
    ) -> None:
        records = _read(inputs, config, encoding, reporter.message)
        for line in records.remarks:
            reporter.message(line)
        if config.task == "forecast" and (leaps := gaps_told(records.items)) is not None:
            reporter.message(leaps)
        self.tokens, self._choices = _choose_tokens(records, config)
        self.tokenizer = encoding or Vocabulary.build(records, config.replace(tokens=self.tokens))
        whole = encode(records, self.tokenizer)
        names = [] if isinstance(inputs, Records) else list(inputs)
        self.about: dict[str, Any] = {"inputs": names, "fingerprint": whole.fingerprint, "records": len(whole)}
        self.data: Examples = whole
        self.valid: Examples | None = None
        if config.valid_file is not None:
            valid = config.replace(labels=None)  # those named belong to what is learnt from
            held = _read([config.valid_file], valid, self.tokenizer, reporter.message, is_validation=True)
            for line in held.remarks:
                reporter.message(line)
            self.valid = encode(held, self.tokenizer, allow_unseen=True)
            if isinstance(self.valid, Dataset) and self.valid.unseen:
                reporter.message(unseen_told(self.valid.unseen))
        elif config.valid:
            self.data, self.valid = whole.split(config.valid, config.seed)

    def tell_unknown(self, reporter: Reporter) -> None:
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
            *validated_part(config.eval_size, valid, f"{noun}s"),
        ]

    def statistics(self) -> dict[str, Any]:
        """Nothing is compared with frequencies."""
        return {}

    def plan(self, config: Config, clock: Clock) -> Plan:
        """What ``config`` leaves open."""
        config, sizes = auto_tasks.complete_model(config, len(self.data))
        per_epoch = self.windows(config).per_epoch
        config, length = auto_tasks.complete_length(
            config, per_epoch, self._validated, clock, lambda: self._measure(config)
        )
        return Plan(config, (*self._choices, *sizes, *length))

    def model(self, config: Config) -> TaskNetwork:
        """A model for these records, its parameters all zero."""
        return build(config, self.tokenizer.signature(config.task), config.threads)

    def windows(self, config: Config) -> Batches:
        """The batches of a run."""
        assert config.batch is not None
        return Batches(self.data, config.batch, config.seed, self.group.part(min(config.batch, len(self.data))))

    def evaluator(self, model: TaskNetwork, config: Config) -> Evaluator | None:
        """Validates a model that is being trained."""
        if self.valid is None:
            return None
        size = min(config.eval_size or auto_tasks.usual_size(config, len(self.valid)), len(self.valid))
        during = self._evaluate(model.sibling(), size, config.seed)
        if size == len(self.valid) and model.products == PRECISE:
            return Evaluator(during)
        whole = auto_tasks.final_size(config, len(self.valid))
        return Evaluator(during, self._evaluate(model.sibling(PRECISE), whole, config.seed))

    def _evaluate(self, model: TaskNetwork, size: int, seed: int) -> Evaluate:
        """Validates this model on so many records."""
        assert self.valid is not None
        whole = self.valid

        def evaluate(watch: Watch, seconds: float = math.inf) -> Evaluation | None:
            used, start = size, time.perf_counter()
            if seconds < math.inf:  # what a few records take says how many there is time for
                few = whole.some(min(size, _MEASURED), seed)
                if (found := judged(few, watch)) is None or len(few) == size:
                    return found
                each = (time.perf_counter() - start) / len(few)
                used = int(self.group.most(-min(size, max(len(few), seconds / each)))[0] * -1)
            found = judged(whole if used == len(whole) else whole.some(used, seed), watch)
            return found and dataclasses.replace(found, whole=used == len(whole))

        def judged(data: Examples, watch: Watch) -> Evaluation | None:
            batches = list(evaluation_batches(data))
            predict = answers(model, self.tokenizer)
            return evaluate_records(model, batches, measure_of(data), predict, watch, len(batches))

        return evaluate

    def drawing(self, model: TaskNetwork, config: Config) -> None:
        """Nothing is shown while training."""

    def steps_of_epochs(self, config: Config, epochs: float) -> int:
        """Steps in so many passes."""
        return auto_tasks.steps_of_epochs(self.windows(config).per_epoch, epochs)

    def steps_within(self, config: Config, seconds_left: Callable[[], float]) -> int:
        """Steps that fit into the time that is left."""
        per_epoch, most = self.windows(config).per_epoch, 1 << 40
        return auto_tasks.length_within(
            config, per_epoch, self._validated, most, seconds_left, lambda: self._measure(config)
        ).steps

    def eval_every(self, config: Config) -> int:
        """Steps between validations, where that is left open."""
        return auto_tasks.eval_every(config, self.windows(config).per_epoch)

    @property
    def _validated(self) -> int:
        """Records to validate on."""
        return len(self.valid) if self.valid else 0

    def _measure(self, config: Config) -> auto_tasks.Costs:
        """Seconds of a training step, and of the validation of a record."""
        model = self.model(config)
        step = auto_tasks.median_seconds(model, config, self.windows(config), self.group)
        if not self.valid:
            return auto_tasks.Costs(step, 0.0)
        few = min(len(self.valid), _MEASURED)
        evaluate = self._evaluate(model.sibling(), few, config.seed)
        evaluate(unwatched)  # compiles
        start = time.perf_counter()
        evaluate(unwatched)
        return auto_tasks.Costs(step, self.group.most((time.perf_counter() - start) / few)[0])


def _choose_tokens(records: Records, config: Config) -> tuple[str, list[str]]:
    """What texts are cut into, and in words why, where it was left open."""
    if config.tokens is not None:
        return config.tokens, []
    texts = [item.x for item in training_items(records, config) if isinstance(item.x, str)]
    if config.task != "classify" or not texts:
        return CHARS, []
    unit = choose_unit(texts)
    return unit.tokens, [f"tokens {unit.tokens}: {unit.reason}"]


def _read(
    inputs: Sequence[str] | Records,
    config: Config,
    vocabulary: Vocabulary | None,
    tell: Tell,
    is_validation: bool = False,
) -> Records:
    """The records of inputs. Of a validation file the columns and the format may be others than those named."""
    if isinstance(inputs, Records):
        check_given(inputs, config.task)
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
