"""Policies for missing values of a series: refuse them, fill them in, or drop their rows."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..example import Location
from ..series import Series
from .csv_columns import describe_empty_cell
from .csv_table import Table

Positions = npt.NDArray[np.int64]


def impute(series: Series, policy: str | None, table: Table, lines: Positions) -> Series:
    """The series without missing values (NaN); a remark is added to the table.

    Rows before the first value of a column are always dropped.

    Args:
        series: The series, C columns of n rows.
        policy: "interpolate" (linearly between neighbours), "last" (repeat the value before), "drop" (the row), or
            None to raise `InputError`.
        table: The table that the series was read from.
        lines: Line number of each row (n,).
    """
    holes = np.isnan(series.values)
    if not holes.any():
        return series
    row, column = (int(i) for i in np.argwhere(holes)[0])
    name = series.columns[column]
    count = int(holes.sum())
    for i, other in enumerate(series.columns):
        if holes[:, i].all():
            raise Location(table.name).error(f"column {other!r} has no value; leave it out with --columns '!{other}'")
    if policy is None:
        more = "" if count == 1 else f" ({count:,} values are missing)"
        # Rows may be in reverse order by now, the table's are not: the line number finds the field.
        text = table.column(name)[int(np.flatnonzero(np.sort(lines) == lines[row])[0])]
        raise Location(table.name, int(lines[row])).error(
            f"column {name!r} has {describe_empty_cell(text)}, or choose --missing interpolate, last or drop{more}"
        )
    kept, values = _impute_values(series.values, holes, policy)
    if not len(kept):
        raise Location(table.name).error("no row has a value in every column; choose --missing interpolate or last")
    dropped = len(series) - len(kept)
    filled = int(holes[kept].sum())
    done = [] if not filled else [f"{filled:,} filled in ({policy})"]
    done += [] if not dropped else [f"{dropped:,} {'row' if dropped == 1 else 'rows'} left out"]
    noun = "value" if count == 1 else "values"
    table.remark(f"{count:,} missing {noun}, first in column {name!r} in line {lines[row]}: {', '.join(done)}")
    return replace(series, values=values).rows(kept)


def _impute_values(
    values: npt.NDArray[np.float64], holes: npt.NDArray[np.bool_], policy: str
) -> tuple[Positions, npt.NDArray[np.float64]]:
    """Indices of the rows to keep, and all values (n, C) with the missing ones filled in."""
    rows = np.arange(len(values))
    if policy == "drop":
        return np.flatnonzero(~holes.any(axis=1)), values
    found = values.copy()
    for i in range(values.shape[1]):
        there = np.flatnonzero(~holes[:, i])
        if policy == "interpolate":
            found[:, i] = np.where(holes[:, i], np.interp(rows, there, values[there, i]), values[:, i])
        else:
            # Index of the last present value at or before each row; rows before the first are dropped below.
            before = np.maximum(np.searchsorted(there, rows, "right") - 1, 0)
            found[:, i] = values[there[before], i]
    # Nothing comes before a column's first value, so the rows above the latest first value are dropped.
    return rows[int((~holes).argmax(axis=0).max()) :], found
