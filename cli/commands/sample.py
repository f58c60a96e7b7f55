"""``fastrnn sample``."""

import io
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from fastrnn.task_specs import TASK_SPECS, list_tasks_with_command_option

from .. import command_base, options, output
from ..completion import complete_label
from ..formatting import plural
from ..options import on_command_line
from ..output import note

if TYPE_CHECKING:
    from fastrnn.data.text.tokenizers import Tokenizer

# option, type, help text, and the default of `LanguageModel.sample_stream`
SETTINGS: tuple[tuple[str, click.IntRange | type, str, str], ...] = (
    ("--length", click.IntRange(min=0), "Number of characters (or bytes, or words) to generate.", "500"),
    ("--temperature", float, "Sampling temperature: lower is more conservative, higher more diverse.", "1.0"),
    ("--top-k", int, "Sample from the k most probable tokens; 0 disables.", "0"),
    ("--top-p", float, "Nucleus sampling: smallest set of tokens with this total probability; 1 disables.", "1.0"),
    ("--min-p", float, "Exclude tokens below this fraction of the highest probability; 0 disables.", "0.0"),
    ("--seed", int, "Random seed.", "0"),
    ("--count", click.IntRange(min=1), "Number of samples, generated as one batch.", "1"),
)


def sampling_options(function: Any) -> Any:
    """Add one option for each of `SETTINGS`."""
    for name, kind, text, default in reversed(SETTINGS):
        function = options.value_option(name, kind, text, default, "Sampling")(function)
    return function


@command_base.command("fastrnn sample runs/try --length 200 --temperature 0.8 --seed 7")
@options.newest_model_argument
@sampling_options
@click.option(
    "--greedy",
    is_flag=True,
    cls=options.SectionOption,
    section="Sampling",
    help="Choose the most probable token.",
)
@click.option(
    "--no-unk",
    is_flag=True,
    cls=options.SectionOption,
    section="Sampling",
    help="Never sample <UNK> (word models).",
)
@click.option(
    "--stop",
    metavar="TEXT",
    cls=options.SectionOption,
    section="Sampling",
    callback=options.unescape_callback,
    help="Stop a sample before this text (\\n and \\t allowed).",
)
@click.option(
    "--given",
    metavar="LABEL",
    shell_complete=complete_label,
    help="Input of a model for generate: a label, or comma-separated numbers.",
)
@click.option(
    "--prime", metavar="TEXT", callback=options.unescape_callback, help="Text to continue (\\n, \\t and \\\\ allowed)."
)
@click.option("--prime-file", metavar="FILE", type=options.INPUT, help="File with the text to continue (-: stdin).")
@options.unknown_option
@click.option("--exact", is_flag=True, help="Sample in float32, without rounding to bfloat16.")
@click.option(
    "--jsonl", "as_jsonl", is_flag=True, help='Print each sample as one JSON object a line: {"index", "text", "seed"}.'
)
@click.option(
    "--out", metavar="FILE", type=options.PATH, help="Output file, written atomically.  [default: standard output]"
)
@click.option("--raw", is_flag=True, help="Print control characters as they are.")
@options.config_options("encoding", "threads", section="Options")
@click.pass_context
def command(
    context: click.Context,
    /,
    model: str,
    prime_file: str | None,
    threads: int | None,
    exact: bool,
    as_jsonl: bool,
    out: str | None,
    raw: bool,
    **values: Any,
) -> None:
    """Generate text from a model.

    MODEL is a run folder or a model file; by default the newest run in runs. The text, starting with --prime, is
    written to standard output while it is generated; the same seed gives the same text. On a terminal, control
    characters are escaped unless --raw is given. A model for generate prints one sample per line, with line breaks as
    \\n. The output of a model of bytes ends with a complete character.
    """
    _check_options(context)
    output.check_output(out)
    from fastrnn.inference.load import load

    from ..inputs import check_encoding_option, read_whole

    loaded = load(model, threads=threads, exact=exact)
    settings = options.drop_unset({name: value for name, value in values.items() if name != "encoding"})
    writes_lines = TASK_SPECS[loaded.config.task].is_supervised
    if not settings["no_unk"]:
        del settings["no_unk"]
    elif writes_lines or loaded.tokenizer.unknown is None:
        raise click.UsageError("--no-unk is for language models of words; this model never writes <UNK>")
    if "stop" in settings:
        _check_stop(settings["stop"], loaded.tokenizer)
    if "given" in settings:
        settings["given"] = _given(settings["given"], loaded)
    if prime_file is not None:
        check_encoding_option(context, values, loaded.tokenizer.kind)
        settings["prime"] = read_whole(prime_file, loaded.tokenizer.kind, values["encoding"])
    chunks = loaded.sample_stream(**settings)
    shown = _decode_prime(loaded.tokenizer, settings)
    count = settings.get("count", 1)
    if as_jsonl:
        pieces = _json_lines(chunks, shown, count, settings.get("seed", 0))
    else:
        pieces = _lines(chunks, shown, count) if writes_lines else _texts(chunks, shown, count)
    if out is None or out == "-":
        _print(pieces, raw)
        return
    text = "".join(pieces)  # sampled here
    output.save(out, (text if text.endswith("\n") else text + "\n").encode(), plural(count, "sample"))


def _check_options(context: click.Context) -> None:
    """Raise `click.UsageError` for options that contradict each other; warn about those without effect."""
    if context.params["stop"] == "":
        note("--stop has no effect: its text is empty")
    given = on_command_line(context, "greedy", "temperature", "top_k", "top_p", "min_p")
    if "--greedy" in given and len(given) > 1:
        raise click.UsageError(f"--greedy takes the most probable token, so {given[1]} has no effect; leave one out")
    if "--greedy" in given:
        for option in on_command_line(context, "seed"):
            note(f"{option} has no effect: --greedy takes the most probable token")
        if (context.params["count"] or 1) > 1:
            note("--greedy writes the same text --count times")
    if context.params["prime_file"] is not None and context.params["prime"] is not None:
        raise click.UsageError("--prime and --prime-file both set the prompt; leave one out")
    if context.params["prime_file"] is None:
        for option in on_command_line(context, "encoding"):
            note(f"{option} has no effect: it is that of --prime-file")
    for name in ("as_jsonl", "out"):
        if on_command_line(context, "raw") and (others := on_command_line(context, name)):
            note(f"--raw has no effect: {others[0]} writes no control characters to a terminal")


def _given(text: str, model: Any) -> Any:
    """Parse the value of ``--given``: a label, or numbers for a model trained on vectors."""
    if "given" not in TASK_SPECS[model.config.task].command_options:
        tasks = " or ".join(list_tasks_with_command_option("given"))
        raise click.UsageError(f"--given is for models for {tasks}; this one is for {model.config.task}")
    if model.vocabulary.labels:
        return text
    size = model.vocabulary.inputs.size
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != size or not all(map(math.isfinite, numbers)):
        many = "one number" if size == 1 else f"{size} numbers with commas between"
        raise click.UsageError(f"--given {text}: this model writes from {many}")
    return numbers


def _decode_prime(tokenizer: "Tokenizer", settings: dict[str, Any]) -> str:
    """Return the prompt as the model reads it. Raises `InputError` for unknown characters, before any output."""
    prime: str = settings.get("prime", "")
    ids = tokenizer.encode(prime, settings["unknown"])
    return prime if tokenizer.kind == "words" else tokenizer.decode(ids)


def _check_stop(stop: str, tokenizer: "Tokenizer") -> None:
    """Warn about a ``--stop`` text that can never be generated."""
    from fastrnn.data.text.remarks import describe_chars

    # Words are not checked: a stop text may also begin or end within a known one.
    if tokenizer.kind != "chars":
        return
    lacked = {c: stop.count(c) for c in stop if not len(tokenizer.encode(c, "skip"))}
    if lacked:
        note(f"no sample will stop: the model does not know {describe_chars(lacked)} of --stop")
    elif "\n\n" in stop and len(tokenizer.encode("\r", "skip")):
        note(r"this model knows lines that end with \r\n: if no sample stops, give --stop '\r\n\r\n'")


def _texts(chunks: Iterable[list[str]], prime: str, count: int) -> Iterator[str]:
    """Yield the first sample while it is generated, then the others; number several samples."""
    others = [io.StringIO() for _ in range(count - 1)]
    yield (f"--- 1 ---\n{prime}" if others else prime)
    for first, *rest in chunks:
        yield first
        for buffer, text in zip(others, rest, strict=True):
            buffer.write(text)
    for number, buffer in enumerate(others, start=2):
        yield f"\n--- {number} ---\n{prime}{buffer.getvalue()}"


def _lines(chunks: Iterable[list[str]], prime: str, count: int) -> Iterator[str]:
    """Yield each sample on one line; line breaks are escaped as ``\\n``, with a note on standard error."""
    told = False
    for text in _whole(chunks, prime, count):
        line = text.replace("\r", "\\r").replace("\n", "\\n")
        if line != text and not told:
            note(r"line breaks within samples are written as \n; --jsonl keeps them as they are")
            told = True
        yield line + "\n"


def _whole(chunks: Iterable[list[str]], prime: str, count: int) -> list[str]:
    samples = [io.StringIO() for _ in range(count)]
    for chunk in chunks:
        for buffer, text in zip(samples, chunk, strict=True):
            buffer.write(text)
    return [prime + buffer.getvalue() for buffer in samples]


def _json_lines(chunks: Iterable[list[str]], prime: str, count: int, seed: int) -> Iterator[str]:
    from ..output import to_json

    for index, text in enumerate(_whole(chunks, prime, count)):
        yield to_json({"index": index, "text": text, "seed": seed}) + "\n"


def _print(pieces: Iterator[str], raw: bool) -> None:
    end = ""
    for piece in pieces:
        output.write(piece, raw)
        end = piece[-1:] or end
    # The prompt of the shell, or a text appended to the file, begins a new line.
    if end != "\n":
        output.write("\n")
