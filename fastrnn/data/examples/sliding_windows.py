"""Windows over series: what forecast learns from, and the numbers in the series' own units.

Letters: T steps seen (``seq``), h steps predicted (``horizon``), C columns, B windows. What is predicted is the change
from a window's last row, so that a model which says nothing says that nothing changes; the input has the changes up to
that row and, at every step, its level (on ETTh1, C = 1, 24 hours: mean squared error 2.63 so, 2.80 with absolute
numbers in and out, 2.82 with changes alone).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .dataset import Batch
from .example import ExampleSet, Location
from .schema import TaskSchema
from .series import Series, calendar, steps_in_a_day
from .split import sample_rows

Array = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SlidingWindows:
    """n windows over series laid end to end in ``values`` (rows, C), own units, with ``dates`` (rows, 0 or 4).

    ``first`` (n,): the row at which each window starts. ``bounds``: the rows at which series start, and the end.
    """

    schema: TaskSchema
    series: tuple[Series, ...]
    values: Array
    dates: Array
    bounds: Positions
    first: Positions

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> Positions:
        return np.full(len(self), self.schema.seq, np.int64)

    @property
    def sizes(self) -> Positions:
        return self.lengths

    @property
    def padded_lengths(self) -> Sequence[Positions]:
        return [self.lengths]

    @property
    def fingerprint(self) -> str:
        digest = hashlib.blake2b(json.dumps(self.schema.to_mapping(), sort_keys=True).encode(), digest_size=16)
        for array in (self.values, self.dates, self.bounds, self.first):
            digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
        return digest.hexdigest()

    def batch(self, rows: Positions) -> Batch:
        """x (T, B, 2*C + 4): changes up to the last row, its level, the calendar. y (B, h*C): changes from there, NaN
        where the future is not known."""
        scaling, seq = self.schema.inputs, self.schema.seq
        assert scaling is not None
        at = self.first[rows] + np.arange(seq)[:, None]
        last = self.values[at[-1]]
        deviation = np.array(scaling.deviation)
        level = np.broadcast_to(scaling.transform(last), (seq, *last.shape))
        x = np.concatenate([(self.values[at] - last) / deviation, level, self.dates[at]], axis=2)
        y = (self.actual(rows) - last[:, None]) / deviation
        lengths = np.full(len(rows), seq, np.int64)
        return Batch(x=x.astype(np.float32), lengths=lengths, rows=rows, y=y.reshape(len(rows), -1).astype(np.float32))

    def inverse_transform(self, predicted: Array, rows: Positions) -> Array:
        """A model's answers (B, h*C) for these windows in the series' own units, (B, h, C) float64."""
        scaling = self.schema.inputs
        assert scaling is not None
        last = self.values[self.first[rows] + self.schema.seq - 1]
        steps = predicted.astype(np.float64).reshape(len(rows), self.schema.horizon, scaling.size)
        found: Array = steps * np.array(scaling.deviation) + last[:, None]
        return found

    def actual(self, rows: Positions) -> Array:
        """What came, (B, h, C) in the series' own units; NaN beyond the end of a series."""
        at = self._ahead(rows)
        end = self.bounds[np.searchsorted(self.bounds, self.first[rows], "right")]
        found: Array = self.values[np.minimum(at, len(self.values) - 1)]
        found[at >= end[:, None]] = np.nan
        return found

    def persistence(self, rows: Positions) -> Array:
        """The forecast that nothing changes: the last row, (B, h, C)."""
        last = self.values[self.first[rows] + self.schema.seq - 1]
        return np.repeat(last[:, None], self.schema.horizon, axis=1)

    def season(self) -> int | None:
        """Rows in a day, where the dates tell and a window sees a whole day."""
        rows = steps_in_a_day(self.series[0])
        return rows if rows is not None and rows <= self.schema.seq else None

    def seasonal(self, rows: Positions, period: int) -> Array:
        """The forecast that the last ``period`` rows come again, (B, h, C): with a day, "the same hour yesterday"."""
        at = self._ahead(rows)
        ahead = np.arange(self.schema.horizon)
        found: Array = self.values[at - period * (1 + ahead // period)]
        return found

    def split(self, valid: float, seed: int) -> tuple["SlidingWindows", "SlidingWindows | None"]:
        """By time: windows whose horizon lies in the last part of their series validate, others that end before it
        train; what straddles the border does neither."""
        starts = self.bounds[np.searchsorted(self.bounds, self.first, "right") - 1]
        ends = self.bounds[np.searchsorted(self.bounds, self.first, "right")]
        border = starts + np.maximum(1, ((1 - valid) * (ends - starts)).astype(np.int64))
        ahead = self.first + self.schema.seq
        held, train = ahead >= border, ahead + self.schema.horizon <= border
        if not held.any() or not train.any():
            return self, None
        return self.take(np.flatnonzero(train)), self.take(np.flatnonzero(held))

    def take(self, rows: Positions) -> "SlidingWindows":
        """Some of the windows, in this order."""
        return _with_first(self, self.first[rows])

    def sample(self, count: int, seed: int) -> "SlidingWindows":
        """At most ``count`` windows, drawn by the seed."""
        return self.take(sample_rows(len(self), count, seed))

    def latest(self) -> "SlidingWindows":
        """The last window of each series, whose horizon is still to come."""
        return _with_first(self, self.bounds[1:] - self.schema.seq)

    def continued(self, values: Array) -> "SlidingWindows":
        """The latest windows after each series has gone on with ``values`` (series, m, C), as was predicted."""
        longer = [one.continued(v) for one, v in zip(self.series, values, strict=True)]
        return _over(longer, self.schema).latest()

    def _ahead(self, rows: Positions) -> Positions:
        """The rows (B, h) to be predicted."""
        return self.first[rows][:, None] + self.schema.seq + np.arange(self.schema.horizon)


def windows(records: ExampleSet, schema: TaskSchema) -> SlidingWindows:
    """Every window of every series. With ``records.answers`` each has its whole horizon, else a series may have no more
    rows than a window. Raises `InputError` for a series that is too short or has other columns."""
    assert schema.inputs is not None
    least = schema.seq + (schema.horizon if records.answers else 0)
    for record in records.items:
        if record.x.columns != schema.inputs.names or record.x.date != schema.date:
            raise record.place.error("other columns than those the model was trained on; give the same")
        _check_length(record.x, least, schema, record.place)
    return _over([record.x for record in records.items], schema)


def _check_length(series: Series, least: int, schema: TaskSchema, place: Location) -> None:
    if len(series) < least:
        if least == schema.seq:
            raise place.error(f"{len(series)} rows; to go on from its end the model needs at least the last {least}")
        raise place.error(
            f"{len(series)} rows; a window of {schema.seq} and a horizon of {schema.horizon} need at least "
            f"{least}: give more rows, or train with a smaller --seq or --horizon"
        )


def _over(series: list[Series], schema: TaskSchema) -> SlidingWindows:
    bounds = np.concatenate([[0], np.cumsum([len(one) for one in series])]).astype(np.int64)
    span = schema.seq + schema.horizon
    first = [np.arange(start, stop - span + 1) for start, stop in pairwise(bounds.tolist())]
    dates = [np.zeros((len(one), 0)) if one.wall is None else calendar(one.wall) for one in series]
    values = np.concatenate([one.values for one in series])
    return SlidingWindows(schema, tuple(series), values, np.concatenate(dates), bounds, np.concatenate(first))


def _with_first(windows: SlidingWindows, first: Positions) -> SlidingWindows:
    w = windows
    return SlidingWindows(w.schema, w.series, w.values, w.dates, w.bounds, first)
