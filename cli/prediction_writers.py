"""Format predictions of a task model: the input format with an added column, or JSON."""

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fastrnn.data.examples.readers.delimited import make_unique_name
from fastrnn.task_specs import TASK_SPECS

from .formatting import digits
from .output import to_json

if TYPE_CHECKING:
    from fastrnn.data.examples.example import Example, ExampleSet
    from fastrnn.data.examples.series import Series
    from fastrnn.inference.predictors import Prediction, TaskModel


class PredictionWriter:
    """Formats the predictions of a run of the command, each in the format of its input file.

    Files with the same columns become one table: their header is written once, and examples are numbered on.

    Args:
        model: The model that predicts.
        with_probabilities: Whether to add a column with the probability of each prediction.
    """

    def __init__(self, model: "TaskModel", with_probabilities: bool) -> None:
        self._model = model
        self._with_probabilities = with_probabilities
        self._header = ""
        self._count = 0

    def format(self, predictions: Iterable["Prediction"], layout: "ExampleSet") -> Iterator[str]:
        """Yield the predictions of one file, which ``layout`` describes."""
        output = TASK_SPECS[self._model.task].output
        assert output is not None
        if output == "numbers":
            yield from self._format_table(predictions, layout)
            return
        may_have_header = output != "tags"  # the lines between tagged sentences are comments
        has_header = False
        for prediction in predictions:
            if not prediction.example.is_blank:
                yield _FORMATTERS[output](prediction, layout, self._with_probabilities)
            elif may_have_header and prediction.example.raw.strip():
                has_header = True
                yield self._once(_format_header(prediction.example.raw, layout, self._with_probabilities))
            else:
                yield prediction.example.raw + "\n"
        if not has_header:
            self._header = ""

    def _format_table(self, predictions: Iterable["Prediction"], layout: "ExampleSet") -> Iterator[str]:
        """Yield CSV rows: the input row and the predictions, with P(1) if requested; one row per step for arrays."""
        outputs = self._model.vocabulary.outputs
        assert outputs is not None
        before = layout.header or ("record", "step")
        names = list(outputs.names) or [f"y{i}" for i in range(outputs.size)]
        header = self._once(_csv([*before, *_unused_names(names, before, self._with_probabilities)]))
        for prediction in predictions:
            rows = [list(map(digits, step, outputs.deviation)) for step in prediction.value]
            if self._with_probabilities:
                shares = zip(rows, prediction.probability, strict=True)
                rows = [[*row, *(f"{p:.4f}" for p in step)] for row, step in shares]
            if layout.header:
                lines = [f"{prediction.example.raw},{_csv(rows[0])}"]
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


def format_json(model: "TaskModel", predictions: Iterable["Prediction"], with_probabilities: bool) -> Iterator[str]:
    """Yield one JSON object per example. ``with_probabilities`` adds the probability of every label."""
    spec = TASK_SPECS[model.task]
    for prediction in predictions:
        example = prediction.example
        if example.is_blank:
            if spec.output != "tags" and not example.raw.strip():
                yield to_json({"text": example.raw, spec.json_key: None}) + "\n"
            continue
        result: dict[str, Any] = {}
        if isinstance(example.x, str):
            result["text"] = example.x
        elif spec.output == "tags":
            result["tokens"] = example.x
        result[spec.json_key] = _plain(prediction.value)
        if prediction.probability is not None:
            result["probability"] = _plain(prediction.probability)
        if prediction.logprob is not None:
            result["logprob"] = prediction.logprob
        if with_probabilities and prediction.probabilities is not None:
            result["labels"] = list(model.vocabulary.labels)
            result["probabilities"] = _plain(prediction.probabilities)
        yield to_json(result) + "\n"


def format_forecasts(model: "TaskModel", examples: Sequence["Example"], ahead: Sequence[Any]) -> Iterator[str]:
    """Yield forecasts (m, C) as one CSV table.

    Columns: the file if there are several series, dates if the series has them, then the values with enough digits
    to resolve their spread.
    """
    for number, (example, rows) in enumerate(zip(examples, ahead, strict=True)):
        series = example.x
        dates = series.dates_after(len(rows))
        names = [*([series.date or "date"] if dates is not None else []), *series.columns]
        file = [example.place.file] if len(examples) > 1 else []
        if number == 0:
            yield _csv([*([_unused_name("file", names)] if file else []), *names])
        spread = _spread(model, series)
        for i, row in enumerate(rows):
            date = [] if dates is None else [dates[i]]
            yield _csv([*file, *date, *map(digits, row, spread)])


def format_forecasts_json(model: "TaskModel", examples: Sequence["Example"], ahead: Sequence[Any]) -> Iterator[str]:
    """Yield one JSON object per series, with full precision."""
    for example, rows in zip(examples, ahead, strict=True):
        series = example.x
        dates = series.dates_after(len(rows))
        result: dict[str, Any] = {"file": example.place.file} if len(examples) > 1 else {}
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


def _format_header(raw: str, layout: "ExampleSet", with_probabilities: bool) -> str:
    """Format the header that the reader has prepared, with a column of probabilities if requested."""
    names = raw.split(layout.delimiter)
    # The names in a CSV may be quoted; `layout.header` has them without the marks.
    more = [make_unique_name("probability", [*names, *layout.header])] if with_probabilities else []
    return layout.delimiter.join([*names, *more]) + "\n"


def _format_translation(prediction: "Prediction", layout: "ExampleSet", with_probabilities: bool) -> str:
    """Format source TAB translation."""
    more = [f"{prediction.logprob:.4f}"] if with_probabilities else []
    return "\t".join([prediction.example.raw, prediction.value, *more]) + "\n"


def _format_label(prediction: "Prediction", layout: "ExampleSet", with_probabilities: bool) -> str:
    """Format label TAB text. Put the label after the text if the input has a label; print it alone for arrays.

    An example in JSON stays JSON.
    """
    from fastrnn.data.examples.example import JsonExample

    if isinstance(prediction.example, JsonExample):
        return _format_json_object(prediction, with_probabilities)
    example, label = prediction.example, _field(prediction.value, layout.delimiter)
    more = [f"{prediction.probability:.4f}"] if with_probabilities else []
    if not example.raw:
        fields = [label]
    elif example.y is None:
        fields = [label, example.raw]
    else:
        fields = [example.raw, label]
    return layout.delimiter.join([*fields, *more]) + "\n"


def _field(text: str, delimiter: str) -> str:
    """Quote a CSV field if needed; tab-separated fields stay unchanged."""
    if delimiter == "\t":
        return text
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow([text])
    return line.getvalue()


def _format_json_object(prediction: "Prediction", with_probabilities: bool) -> str:
    """Add the prediction to the object as ``label``, or as ``predicted``, ``predicted_2`` ... if it has a label."""
    result = json.loads(prediction.example.raw)
    name = "label" if prediction.example.y is None else make_unique_name("predicted", result)
    result[name] = prediction.value
    if with_probabilities:
        result["probability" if "probability" not in result else make_unique_name(f"{name}_probability", result)] = (
            prediction.probability
        )
    return to_json(result) + "\n"


def _format_tags(prediction: "Prediction", layout: "ExampleSet", with_probabilities: bool) -> str:
    """Format a sequence as tab-separated lines, with the tag and its probability appended; CoNLL-U stays CoNLL-U."""
    from fastrnn.data.examples.readers.conll import ConlluExample, split_columns

    if isinstance(prediction.example, ConlluExample):
        return _format_conllu(prediction, with_probabilities)
    lines = []
    for line, tag, p in zip(prediction.example.raw.split("\n"), prediction.value, prediction.probability, strict=True):
        fields = [field for field in split_columns(line) if field]
        lines.append("\t".join([*fields, tag, *([f"{p:.4f}"] if with_probabilities else [])]) + "\n")
    return "".join(lines) + "\n"


def _format_conllu(prediction: "Prediction", with_probabilities: bool) -> str:
    """Fill in the UPOS column of a sentence; the probability goes into the MISC column."""
    from fastrnn.data.examples.readers.conll import ConlluExample

    assert isinstance(prediction.example, ConlluExample)
    columns = prediction.example.columns
    tags = iter(zip(prediction.value, prediction.probability, strict=True))
    lines = []
    for line in prediction.example.raw.split("\n"):
        fields = line.split("\t")
        if columns.is_word(line):
            fields[columns.upos], probability = next(tags)
            if with_probabilities and columns.misc is not None:
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


def _unused_names(names: list[str], taken: Sequence[str], with_probabilities: bool) -> list[str]:
    """Return unused column names, also for probabilities if requested: y, y_predicted, y_predicted_2 ..."""
    suffixes = itertools.chain(("", "_predicted"), (f"_predicted_{n}" for n in itertools.count(2)))
    candidates = ([name + suffix for name in names] for suffix in suffixes)
    if with_probabilities:
        candidates = ([*found, *(f"{name}_probability" for name in found)] for found in candidates)
    return next(found for found in candidates if len({*found, *taken}) == len(found) + len(set(taken)))


def _csv(fields: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
