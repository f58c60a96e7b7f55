"""Answers of a task model as lines: in the format that they were asked in, a column added, or as JSON."""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .figures import digits
from .output import to_json

if TYPE_CHECKING:
    from fastrnn.answer import Answer
    from fastrnn.data.record import Record, Records
    from fastrnn.data.series import Series
    from fastrnn.task_model import TaskModel

_UPOS = 3  # the column of CoNLL-U that a tag belongs in


def written(model: "TaskModel", found: Iterable["Answer"], records: "Records", sure: bool) -> Iterator[str]:
    """The text of each answer, in the format of the file that its record comes from.

    ``records``: what is known of that file. ``sure``: with a further column, the probability of the answer.
    """
    from fastrnn.data.tagged import is_conllu

    if model.task == "regress":
        yield from _table(model, found, records, sure)
        return
    for answer in found:
        if model.task == "translate":
            yield "\t".join([answer.record.raw, answer.value, *([f"{answer.logprob:.4f}"] if sure else [])]) + "\n"
        elif model.task == "classify":
            yield _object(answer, sure) if answer.record.raw.lstrip().startswith("{") else _labelled(answer, sure)
        else:
            yield _conllu(answer, sure) if is_conllu(answer.record.raw) else _tagged(answer, sure)


def as_json(model: "TaskModel", found: Iterable["Answer"], sure: bool) -> Iterator[str]:
    """One JSON object a record. ``sure``: with the probability of every label."""
    for answer in found:
        record = answer.record
        asked = {"text": record.x} if isinstance(record.x, str) else {}
        name = {"classify": "label", "tag": "tags", "translate": "translation", "regress": "outputs"}[model.task]
        value = answer.value if isinstance(answer.value, (str, list)) else answer.value.tolist()
        said: dict[str, Any] = {**({"tokens": record.x} if model.task == "tag" else asked), name: value}
        if answer.probability is not None:
            said["probability"] = _plain(answer.probability)
        if answer.logprob is not None:
            said["logprob"] = answer.logprob
        if sure and answer.probabilities is not None:
            said["labels"] = list(model.vocabulary.labels)
            said["probabilities"] = _plain(answer.probabilities)
        yield to_json(said) + "\n"


def forecasts(model: "TaskModel", records: Sequence["Record"], ahead: Sequence[Any]) -> Iterator[str]:
    """Forecasts (m, C) as one CSV table: of several series the file, dates where the series has them, its columns,
    each with the digits that it needs."""
    for number, (record, rows) in enumerate(zip(records, ahead, strict=True)):
        series = record.x
        dates = series.dates_after(len(rows))
        names = [*([series.date or "date"] if dates is not None else []), *series.columns]
        file = [record.place.file] if len(records) > 1 else []
        if number == 0:
            yield _csv([*([_unused("file", names)] if file else []), *names])
        spread = _spread(model, series)
        for i, row in enumerate(rows):
            date = [] if dates is None else [dates[i]]
            yield _csv([*file, *date, *map(digits, row, spread)])


def forecasts_as_json(model: "TaskModel", records: Sequence["Record"], ahead: Sequence[Any]) -> Iterator[str]:
    """The same as one JSON object for each series, with all digits."""
    for record, rows in zip(records, ahead, strict=True):
        series = record.x
        dates = series.dates_after(len(rows))
        said: dict[str, Any] = {"file": record.place.file} if len(records) > 1 else {}
        said["columns"] = list(series.columns)
        if dates is not None:
            said["times"] = dates
        yield to_json({**said, "rows": _plain(rows)}) + "\n"


def _unused(name: str, names: Sequence[str]) -> str:
    """A column's name that none of the others has."""
    while name in names:
        name += "_"
    return name


def _spread(model: "TaskModel", series: "Series") -> list[float]:
    """How much each column differs from row to row: its deviation in the rows that are seen, if that is less."""
    assert model.vocabulary.inputs is not None
    latest = series.values[-model.vocabulary.seq :].std(axis=0).tolist()
    pairs = zip(latest, model.vocabulary.inputs.deviation, strict=True)
    return [min(now, usual) if now > 0 else usual for now, usual in pairs]


def _labelled(answer: "Answer", sure: bool) -> str:
    """label TAB text; where a label is there already, the answer comes after the text. For an array the label alone."""
    record, more = answer.record, [f"{answer.probability:.4f}"] if sure else []
    if not record.raw:
        fields = [answer.value]
    elif record.y is None:
        fields = [answer.value, record.raw]
    else:
        fields = [record.raw, answer.value]
    return "\t".join([*fields, *more]) + "\n"


def _object(answer: "Answer", sure: bool) -> str:
    """The object with the answer in it: its ``label``, or if it has one ``predicted``, or ``predicted_2`` ..."""
    said = json.loads(answer.record.raw)
    name = "label" if answer.record.y is None else _free_key("predicted", said)
    said[name] = answer.value
    if sure:
        said["probability" if "probability" not in said else _free_key(f"{name}_probability", said)] = (
            answer.probability
        )
    return to_json(said) + "\n"


def _tagged(answer: "Answer", sure: bool) -> str:
    lines = answer.record.raw.split("\n")
    said = zip(lines, answer.value, answer.probability, strict=True)
    return (
        "".join("\t".join([*line.split(), tag, *([f"{p:.4f}"] if sure else [])]) + "\n" for line, tag, p in said) + "\n"
    )


def _conllu(answer: "Answer", sure: bool) -> str:
    """The sentence with its UPOS column filled in; the probability goes to MISC."""
    tags = iter(zip(answer.value, answer.probability, strict=True))
    lines = []
    for line in answer.record.raw.split("\n"):
        fields = line.split("\t")
        if not line.startswith("#") and fields[0].isdecimal():
            fields[_UPOS], probability = next(tags)
            if sure:
                note = f"Probability={probability:.4f}"
                fields[-1] = note if fields[-1] == "_" else f"{fields[-1]}|{note}"
        lines.append("\t".join(fields) + "\n")
    return "".join(lines) + "\n"


def _table(model: "TaskModel", found: Iterable["Answer"], records: "Records", sure: bool) -> Iterator[str]:
    """CSV: the row that was read, and what is predicted, bits if ``sure`` with P(1); for arrays a row a step."""
    outputs = model.vocabulary.outputs
    assert outputs is not None
    before = records.header or ("record", "step")
    names = list(outputs.names) or [f"y{i}" for i in range(outputs.size)]
    header = _csv([*before, *_free(names, before, sure)])
    for number, answer in enumerate(found):
        rows = [list(map(digits, step, outputs.deviation)) for step in answer.value]
        if sure:
            rows = [[*row, *(f"{p:.4f}" for p in step)] for row, step in zip(rows, answer.probability, strict=True)]
        if records.header:
            lines = [f"{answer.record.raw},{_csv(rows[0])}"]
        else:
            lines = [_csv([str(number), str(step), *row]) for step, row in enumerate(rows)]
        yield (header if number == 0 else "") + "".join(lines)


def _free(names: list[str], taken: Sequence[str], sure: bool) -> list[str]:
    """Names for new columns that are not taken: y, y_predicted, y_predicted_2 ...; if ``sure`` their probabilities'."""
    suffixes = itertools.chain(("", "_predicted"), (f"_predicted_{n}" for n in itertools.count(2)))
    candidates = ([name + suffix for name in names] for suffix in suffixes)
    if sure:
        candidates = ([*found, *(f"{name}_probability" for name in found)] for found in candidates)
    return next(found for found in candidates if len({*found, *taken}) == len(found) + len(set(taken)))


def _free_key(name: str, taken: Mapping[str, Any]) -> str:
    """This name, or the first of name_2, name_3 ... that is not taken."""
    names = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(2)))
    return next(found for found in names if found not in taken)


def _csv(fields: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
