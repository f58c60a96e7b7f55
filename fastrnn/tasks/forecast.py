"""forecast: the next rows of a time series."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..config import Config
from ..data.examples.batching import evaluation_batches
from ..data.examples.dataset import EncodedDataset
from ..data.examples.example import Example, ExampleSet, Location
from ..data.examples.readers import series as series_reader
from ..data.examples.readers.csv_table import Table
from ..data.examples.readers.formats import Opener, ReadOptions, Stream, make_table_set
from ..data.examples.schema import StandardScaler, TaskSchema
from ..data.examples.series import Series, describe_gaps
from ..data.examples.sliding_windows import SlidingWindows, make_windows
from ..data.text.sources import Source
from ..errors import ConfigError, InputError, quote
from ..inference.metrics import Metric, RegressionError
from ..inference.predictors import Prediction, TaskModel
from ..nn.models import FinalOutputModel
from ..nn.spec import ModelSpec, per_step_shapes
from ..plain import check_whole
from ..shapes import Shapes
from . import SupervisedTask

_MAX_STEPS = 1_000_000
Array = np.ndarray[Any, Any]


class ForecastingModel(TaskModel):
    """A trained model that continues time series."""

    def predict(self, examples: Iterable[Any], beam: int = 1, logprobs: bool = False) -> Iterator[Prediction]:
        raise ConfigError("a model for forecast continues series; use `TaskModel.forecast`")

    def forecast(self, examples: ExampleSet, steps: int) -> list[Array]:
        """Forecast the continuation of series.

        Beyond the model's horizon its own predictions are the inputs.

        Args:
            examples: The series.
            steps: The number of rows to forecast.

        Returns:
            An array (steps, C) for each series, in the units of the data.

        Raises:
            InputError: There is no series, or one does not fit the model.
            ConfigError: ``steps`` is out of range.
        """
        steps = check_whole("steps", steps, 1, _MAX_STEPS)
        if not isinstance(examples, ExampleSet):
            advice = "give model.read_examples(FILE, needs_targets=False)"
            raise InputError(f"{quote(examples)} is not an ExampleSet; {advice}")
        if not examples.items:
            raise InputError("no series was given; give at least one")
        windows = self.encode(replace(examples, needs_targets=False))
        assert isinstance(windows, SlidingWindows)

        # Each pass forecasts one horizon and appends it to the inputs of the next.
        parts: list[Array] = []
        latest = windows.latest()
        for _ in range(0, steps, windows.schema.horizon):
            batches = evaluation_batches(latest)  # in the order of the series, because their windows are equally long
            found = [latest.inverse_transform(self.model.predict(batch), batch.rows) for batch in batches]
            parts.append(np.concatenate(found))
            latest = latest.extend(parts[-1])
        return list(np.concatenate(parts, axis=1)[:, :steps])


def _open_series(source: Source, options: ReadOptions) -> Stream:
    table = Table(source)
    columns = options.model_columns or series_reader.choose_forecast_columns(table, options.columns)
    example = series_reader.read_series(table, columns, options.missing)
    return Stream(make_table_set(table, columns, options), iter([example]))


_READERS: dict[str, Opener] = {".csv": _open_series, "-": _open_series}


class ForecastTask(SupervisedTask):
    """x: a `Series`, whose windows are the examples; y: None."""

    name = "forecast"
    readers = _READERS
    required_fields = ("inputs", "horizon", "seq")
    optional_fields = ("date", "date_order")
    splits_in_time = True
    model_class = FinalOutputModel
    predictor_class = ForecastingModel

    def collect_remarks(self, examples: ExampleSet) -> tuple[str, ...]:
        gaps = describe_gaps(examples.items)
        return examples.remarks if gaps is None else (*examples.remarks, gaps)

    def check_example(self, example: Example, place: Location, needs_target: bool) -> None:
        if not isinstance(example.x, Series):
            raise place.error(f"{quote(example.x)} where a Series is needed")

    def build_schema(self, examples: ExampleSet, training: Sequence[Example], config: Config) -> TaskSchema:
        # Validation is the end of each series, unless it has its own file: fit the scaler to the part before.
        valid = 0 if config.valid_file is not None else config.valid
        series = [example.x for example in training]
        past = [one.values[: max(1, int((1 - valid) * len(one)))] for one in series]
        return TaskSchema(
            self.name,
            inputs=StandardScaler.fit(past, series[0].columns, predicted=True),
            horizon=config.horizon or 1,
            seq=config.seq,
            date=series[0].date,
            date_order=series[0].date_order,
        )

    def encode(self, examples: ExampleSet, schema: TaskSchema, allow_unseen: bool) -> SlidingWindows:
        return make_windows(examples, schema)

    def model_spec(self, schema: TaskSchema) -> ModelSpec:
        columns = schema.inputs.size if schema.inputs else 0
        return replace(super().model_spec(schema), labels=schema.horizon * columns)

    def parameter_shapes(self, config: Config, spec: ModelSpec) -> Shapes:
        return per_step_shapes(config, spec)

    def make_metric(self, data: EncodedDataset) -> RegressionError:
        assert isinstance(data, SlidingWindows)
        windows = data
        return RegressionError(
            lambda batch, found: windows.inverse_transform(found, batch.rows) - windows.actual(batch.rows)
        )

    def compute_details(self, metric: Metric | None, data: EncodedDataset) -> dict[str, Any]:
        """Return the errors of two naive forecasts: the last value, and, with dates, the same hour yesterday."""
        assert isinstance(data, SlidingWindows)
        windows = data
        # An error means little by itself: a model must beat forecasts that cost nothing.
        baselines = {"persistence": windows.persistence}
        if (period := windows.season_length()) is not None:
            baselines["yesterday"] = lambda rows: windows.seasonal_naive(rows, period)
        found = {}
        for name, forecast in baselines.items():
            errors = RegressionError(lambda batch, predicted: predicted - windows.actual(batch.rows))
            for batch in evaluation_batches(windows):
                errors.add(batch, forecast(batch.rows))
            found[name] = errors.metrics()
        return found


TASK = ForecastTask()
