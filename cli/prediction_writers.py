"""Format predictions of a task model: the input format with an added column, or JSON."""

import csv
import io
import itertools
import json
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fastrnn.task_specs import TASK_SPECS

from .formatting import digits
from .output import to_json

if TYPE_CHECKING:
    from fastrnn.data.examples.example import Example, ExampleSet
    from fastrnn.data.examples.series import Series
    from fastrnn.inference.predictors import Prediction, TaskModel


class PredictionWriter:
    """Formats the predictions of a run of the command, each in the format of its input file.

    Files with the same columns become one table: their header is written once, and records are counted on.

    Args:
        model: The model that predicts.
        sure: Whether to add a column with the probability of each prediction.
    """

    def __init__(self, model: "TaskModel", sure: bool) -> None:
        self._model = model
        self._sure = sure
        self._header = ""
        self._count = 0

    def format(self, found: Iterable["Prediction"], records: "ExampleSet") -> Iterator[str]:
        """Yield the predictions of one file, which ``records`` describes."""
        output = TASK_SPECS[self._model.task].output
        assert output is not None
        if output == "numbers":
            yield from self._format_table(found, records)
            return
        has_header = output != "tags"  # the lines between tagged sentences are comments
        for answer in found:
            if not answer.record.is_blank:
                yield _FORMATTERS[output](answer, records, self._sure)
            elif has_header and answer.record.raw.strip():
                yield self._once(_format_header(answer.record.raw, records.delimiter, self._sure))
            else:
                yield answer.record.raw + "\n"

    def _format_table(self, found: Iterable["Prediction"], records: "ExampleSet") -> Iterator[str]:
        """Yield CSV rows: the input row and the predictions, with P(1) if `sure`; one row per step for arrays."""
        outputs = self._model.vocabulary.outputs
        assert outputs is not None
        before = records.header or ("record", "step")
        names = list(outputs.names) or [f"y{i}" for i in range(outputs.size)]
        header = self._once(_csv([*before, *_unused_names(names, before, self._sure)]))
        for answer in found:
            rows = [list(map(digits, step, outputs.deviation)) for step in answer.value]
            if self._sure:
                shares = zip(rows, answer.probability, strict=True)
                rows = [[*row, *(f"{p:.4f}" for p in step)] for row, step in shares]
            if records.header:
                lines = [f"{answer.record.raw},{_csv(rows[0])}"]
            else:
                lines = [_csv([str(self._count), str(step), *row]) for step, row in enumerate(rows)]
            yield header + "".join(lines)
            header = ""
            self._count += 1

    def _once(self, header: str) -> str:
        """Return a header, or nothing if the file before has the same."""
        is_new = header != self._header
        self._header = header
        return header if is_new else ""


def format_json(model: "TaskModel", found: Iterable["Prediction"], sure: bool) -> Iterator[str]:
    """Yield one JSON object per example. ``sure`` adds the probability of every label."""
    spec = TASK_SPECS[model.task]
    for answer in found:
        record = answer.record
        if record.is_blank:
            if spec.output != "tags" and not record.raw.strip():
                yield to_json({"text": record.raw, spec.json_key: None}) + "\n"
            continue
        result: dict[str, Any] = {}
        if isinstance(record.x, str):
            result["text"] = record.x
        elif spec.output == "tags":
            result["tokens"] = record.x
        result[spec.json_key] = answer.value if isinstance(answer.value, (str, list)) else answer.value.tolist()
        if answer.probability is not None:
            result["probability"] = _plain(answer.probability)
        if answer.logprob is not None:
            result["logprob"] = answer.logprob
        if sure and answer.probabilities is not None:
            result["labels"] = list(model.vocabulary.labels)
            result["probabilities"] = _plain(answer.probabilities)
        yield to_json(result) + "\n"


def format_forecasts(model: "TaskModel", records: Sequence["Example"], ahead: Sequence[Any]) -> Iterator[str]:
    """Yield forecasts (m, C) as one CSV table.

    Columns: the file if there are several series, dates if the series has them, then the values with enough digits
    to resolve their spread.
    """
    for number, (record, rows) in enumerate(zip(records, ahead, strict=True)):
        series = record.x
        dates = series.dates_after(len(rows))
        names = [*([series.date or "date"] if dates is not None else []), *series.columns]
        file = [record.place.file] if len(records) > 1 else []
        if number == 0:
            yield _csv([*([_unused_name("file", names)] if file else []), *names])
        spread = _spread(model, series)
        for i, row in enumerate(rows):
            date = [] if dates is None else [dates[i]]
            yield _csv([*file, *date, *map(digits, row, spread)])


def format_forecasts_json(model: "TaskModel", records: Sequence["Example"], ahead: Sequence[Any]) -> Iterator[str]:
    """Yield one JSON object per series, with full precision."""
    for record, rows in zip(records, ahead, strict=True):
        series = record.x
        dates = series.dates_after(len(rows))
        result: dict[str, Any] = {"file": record.place.file} if len(records) > 1 else {}
        result["columns"] = list(series.columns)
        if dates is not None:
            result["times"] = dates
        yield to_json({**result, "rows": _plain(rows)}) + "\n"


def _unused_name(name: str, names: Sequence[str]) -> str:
    """Append underscores until the column name is unique."""
    while name in names:
        name += "_"
    return name


def _spread(model: "TaskModel", series: "Series") -> list[float]:
    """Return the standard deviation per column: of the input window, or of the training data if smaller."""
    assert model.vocabulary.inputs is not None
    latest = series.values[-model.vocabulary.seq :].std(axis=0).tolist()
    pairs = zip(latest, model.vocabulary.inputs.deviation, strict=True)
    return [min(now, usual) if now > 0 else usual for now, usual in pairs]


def _format_header(raw: str, delimiter: str, sure: bool) -> str:
    """Format the header that the reader has prepared, with a column of probabilities if ``sure``."""
    names = raw.split(delimiter)
    return delimiter.join([*names, *([_unused_key("probability", names)] if sure else [])]) + "\n"


def _format_translation(answer: "Prediction", records: "ExampleSet", sure: bool) -> str:
    """Format source TAB translation."""
    return "\t".join([answer.record.raw, answer.value, *([f"{answer.logprob:.4f}"] if sure else [])]) + "\n"


def _format_label(answer: "Prediction", records: "ExampleSet", sure: bool) -> str:
    """Format label TAB text. Put the label after the text if the input has a label; print it alone for arrays.

    An example in JSON stays JSON.
    """
    from fastrnn.data.examples.example import JsonExample

    if isinstance(answer.record, JsonExample):
        return _format_json_object(answer, sure)
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
    """Quote a CSV field if needed; tab-separated fields stay unchanged."""
    if delimiter == "\t":
        return text
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow([text])
    return line.getvalue()


def _format_json_object(answer: "Prediction", sure: bool) -> str:
    """Add the prediction to the object as ``label``, or as ``predicted``, ``predicted_2`` ... if it has a label."""
    result = json.loads(answer.record.raw)
    name = "label" if answer.record.y is None else _unused_key("predicted", result)
    result[name] = answer.value
    if sure:
        result["probability" if "probability" not in result else _unused_key(f"{name}_probability", result)] = (
            answer.probability
        )
    return to_json(result) + "\n"


def _format_tags(answer: "Prediction", records: "ExampleSet", sure: bool) -> str:
    """Format a sequence as tab-separated lines, with the tag and its probability appended; CoNLL-U stays CoNLL-U."""
    from fastrnn.data.examples.readers.conll import ConlluRecord, split_columns

    if isinstance(answer.record, ConlluRecord):
        return _format_conllu(answer, sure)
    lines = []
    for line, tag, p in zip(answer.record.raw.split("\n"), answer.value, answer.probability, strict=True):
        fields = [field for field in split_columns(line) if field]
        lines.append("\t".join([*fields, tag, *([f"{p:.4f}"] if sure else [])]) + "\n")
    return "".join(lines) + "\n"


def _format_conllu(answer: "Prediction", sure: bool) -> str:
    """Fill in the UPOS column of a sentence; the probability goes into the MISC column."""
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


# Kind of output (`TaskSpec.output`) -> function that formats one prediction; `PredictionWriter` formats "numbers".
_FORMATTERS: dict[str, Callable[["Prediction", "ExampleSet", bool], str]] = {
    "label": _format_label,
    "tags": _format_tags,
    "text": _format_translation,
}


def _unused_names(names: list[str], taken: Sequence[str], sure: bool) -> list[str]:
    """Return unused column names: y, y_predicted, y_predicted_2 ...; with ``sure`` also for probabilities."""
    suffixes = itertools.chain(("", "_predicted"), (f"_predicted_{n}" for n in itertools.count(2)))
    candidates = ([name + suffix for name in names] for suffix in suffixes)
    if sure:
        candidates = ([*found, *(f"{name}_probability" for name in found)] for found in candidates)
    return next(found for found in candidates if len({*found, *taken}) == len(found) + len(set(taken)))


def _unused_key(name: str, taken: Container[str]) -> str:
    """Return the name, or the first of name_2, name_3 ... that is unused."""
    names = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(2)))
    return next(found for found in names if found not in taken)


def _csv(fields: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
