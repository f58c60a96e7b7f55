"""Missing values of a series: refused, or filled in, or their rows left out."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..example import Location
from ..series import Series
from .csv import what_is_missing
from .csv_table import Table

Positions = npt.NDArray[np.int64]


def fill(series: Series, policy: str | None, table: Table, lines: Positions) -> Series:
    """The series without missing values (NaN), and a remark on what was done.

    ``policy``: None raises `InputError`; "interpolate" draws a line between the values around; "last" repeats the value
    before; "drop" leaves out the row. Rows before the first value of a column are left out in any case. ``lines``: of
    each row.
    """
    holes = np.isnan(series.values)
    if not holes.any():
        return series
    row, column = (int(i) for i in np.argwhere(holes)[0])
    name, count = series.columns[column], int(holes.sum())
    for i, other in enumerate(series.columns):
        if holes[:, i].all():
            raise Location(table.name).error(f"column {other!r} has no value; leave it out with --columns '!{other}'")
    if policy is None:
        more = "" if count == 1 else f" ({count:,} values are missing)"
        text = table.column(name)[int(np.flatnonzero(np.sort(lines) == lines[row])[0])]
        raise Location(table.name, int(lines[row])).error(
            f"column {name!r} has {what_is_missing(text)}, or choose --missing interpolate, last or drop{more}"
        )
    kept, values = _filled(series.values, holes, policy)
    if not len(kept):
        raise Location(table.name).error("no row has a value in every column; choose --missing interpolate or last")
    dropped = len(series) - len(kept)
    filled = int(holes[kept].sum())
    done = [] if not filled else [f"{filled:,} filled in ({policy})"]
    done += [] if not dropped else [f"{dropped:,} {'row' if dropped == 1 else 'rows'} left out"]
    noun = "value" if count == 1 else "values"
    table.remark(f"{count:,} missing {noun}, first in column {name!r} in line {lines[row]}: {', '.join(done)}")
    return replace(series, values=values).rows(kept)


def _filled(
    values: npt.NDArray[np.float64], holes: npt.NDArray[np.bool_], policy: str
) -> tuple[Positions, npt.NDArray[np.float64]]:
    """The rows that are kept, and all values (n, C) with those that were missing in them."""
    rows = np.arange(len(values))
    if policy == "drop":
        return np.flatnonzero(~holes.any(axis=1)), values
    found = values.copy()
    for i in range(values.shape[1]):
        there = np.flatnonzero(~holes[:, i])
        if policy == "interpolate":
            found[:, i] = np.where(holes[:, i], np.interp(rows, there, values[there, i]), values[:, i])
        else:
            before = np.maximum(np.searchsorted(there, rows, "right") - 1, 0)
            found[:, i] = values[there[before], i]
    return rows[int((~holes).argmax(axis=0).max()) :], found
