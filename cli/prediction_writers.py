"""Answers of a task model as lines: in the format that they were asked in, a column added, or as JSON."""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .formatting import digits
from .output import to_json

if TYPE_CHECKING:
    from fastrnn.data.examples.example import Example, ExampleSet
    from fastrnn.data.examples.series import Series
    from fastrnn.inference.prediction import Prediction
    from fastrnn.inference.predictors import TaskModel

_JSON_KEYS = {"classify": "label", "tag": "tags", "translate": "translation", "regress": "outputs"}


def written(model: "TaskModel", found: Iterable["Prediction"], records: "ExampleSet", sure: bool) -> Iterator[str]:
    """The text of each answer, in the format of the file that its record comes from.

    ``records``: what is known of that file. ``sure``: with a further column, the probability of the answer.
    """
    from fastrnn.data.examples.readers.conll import ConlluRecord

    if model.task == "regress":
        yield from _table(model, found, records, sure)
        return
    for answer in found:
        if answer.record.is_blank:
            yield _blank(answer, records, sure)
        elif model.task == "translate":
            yield "\t".join([answer.record.raw, answer.value, *([f"{answer.logprob:.4f}"] if sure else [])]) + "\n"
        elif model.task == "classify" and answer.record.raw.lstrip().startswith("{"):
            yield _object(answer, sure)
        elif model.task == "classify":
            yield _labelled(answer, records, sure)
        else:
            yield _conllu(answer, sure) if isinstance(answer.record, ConlluRecord) else _tagged(answer, sure)


def as_json(model: "TaskModel", found: Iterable["Prediction"], sure: bool) -> Iterator[str]:
    """One JSON object a record. ``sure``: with the probability of every label."""
    for answer in found:
        record = answer.record
        if record.is_blank:
            if model.task != "tag" and not record.raw.strip():
                yield to_json({"text": record.raw, _JSON_KEYS[model.task]: None}) + "\n"
            continue
        asked = {"text": record.x} if isinstance(record.x, str) else {}
        name = _JSON_KEYS[model.task]
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


def forecasts(model: "TaskModel", records: Sequence["Example"], ahead: Sequence[Any]) -> Iterator[str]:
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


def forecasts_as_json(model: "TaskModel", records: Sequence["Example"], ahead: Sequence[Any]) -> Iterator[str]:
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


def _blank(answer: "Prediction", records: "ExampleSet", sure: bool) -> str:
    """A blank line, or the header that the reader has prepared, as it is."""
    raw = answer.record.raw
    return raw + (f"{records.delimiter}probability" if sure and raw.strip() else "") + "\n"


def _labelled(answer: "Prediction", records: "ExampleSet", sure: bool) -> str:
    """label TAB text; where a label is there already, the answer comes after the text. For an array the label alone."""
    record, label = answer.record, _field(answer.value, records.delimiter)
    more = [f"{answer.probability:.4f}"] if sure else []
    if not record.raw:
        fields = [label]
    elif record.y is None:
        fields = [label, record.raw]
    else:
        fields = [record.raw, label]
    return records.delimiter.join([*fields, *more]) + "\n"


def _field(text: str, delimiter: str) -> str:
    """A field of CSV, quoted where it must be; between tabs the text as it is."""
    if delimiter == "\t":
        return text
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow([text])
    return line.getvalue()


def _object(answer: "Prediction", sure: bool) -> str:
    """The object with the answer in it: its ``label``, or if it has one ``predicted``, or ``predicted_2`` ..."""
    said = json.loads(answer.record.raw)
    name = "label" if answer.record.y is None else _free_key("predicted", said)
    said[name] = answer.value
    if sure:
        said["probability" if "probability" not in said else _free_key(f"{name}_probability", said)] = (
            answer.probability
        )
    return to_json(said) + "\n"


def _tagged(answer: "Prediction", sure: bool) -> str:
    """The lines of a sequence between tabs, a token whole, the tag and its probability after what is there."""
    from fastrnn.data.examples.readers.conll import split_columns

    lines = []
    for line, tag, p in zip(answer.record.raw.split("\n"), answer.value, answer.probability, strict=True):
        fields = [field for field in split_columns(line) if field]
        lines.append("\t".join([*fields, tag, *([f"{p:.4f}"] if sure else [])]) + "\n")
    return "".join(lines) + "\n"


def _conllu(answer: "Prediction", sure: bool) -> str:
    """The sentence with its UPOS column filled in; the probability goes to the last column, MISC."""
    from fastrnn.data.examples.readers.conll import ConlluRecord

    assert isinstance(answer.record, ConlluRecord)
    columns = answer.record.columns
    tags = iter(zip(answer.value, answer.probability, strict=True))
    lines = []
    for line in answer.record.raw.split("\n"):
        fields = line.split("\t")
        if columns.is_word(line):
            fields[columns.upos], probability = next(tags)
            if sure and columns.misc is not None:
                note = f"Probability={probability:.4f}"
                fields[columns.misc] = note if fields[columns.misc] == "_" else f"{fields[columns.misc]}|{note}"
        lines.append("\t".join(fields) + "\n")
    return "".join(lines) + "\n"


def _table(model: "TaskModel", found: Iterable["Prediction"], records: "ExampleSet", sure: bool) -> Iterator[str]:
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
