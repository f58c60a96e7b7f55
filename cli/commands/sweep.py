"""``fastrnn sweep``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import command_base, options

if TYPE_CHECKING:
    from fastrnn.sweep.runner import SweepResult
    from fastrnn.sweep.trial_store import TrialRecord

JOBS, TRIALS = click.IntRange(1, 1024), click.IntRange(1)  # the number of trials is limited by `read_space`


@command_base.command("fastrnn sweep sweep.toml notes.txt --jobs 2")
@click.argument("config", type=options.PATH)
@click.argument("texts", metavar="[DATA]...", nargs=-1, type=options.TEXT)
@click.option("--out", type=options.FOLDER, help="Folder for the runs.  [default: runs/sweep-CONFIG]")
@options.value_option("--jobs", JOBS, "Trials to run at the same time; they share the CPUs.", "1")
@options.value_option("--trials", TRIALS, "Number of trials.", "the whole grid, or 20 with a range")
@click.option(
    "--journal", metavar="FILE", type=options.PATH,
    help="Optuna journal file on a shared disk; run this command on each machine.",
)  # fmt: skip
@click.option("--quiet", "-q", is_flag=True, help="Print only the results.")
@options.json_option
def command(
    config: str, texts: tuple[str, ...], out: str | None, jobs: int | None,
    trials: int | None, journal: str | None, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train many configurations and report the best run.

    CONFIG is a TOML file with the settings of `train`, in which a value may be a list or a range, and a table [sweep]
    that names the data and the number of trials:

    \b
      steps = 2000
      hidden = [128, 256]
      lr = {log = [1e-4, 1e-2]}
      dropout = {range = [0, 0.5]}
      [sweep]
      data = ["notes.txt"]
      trials = 20

    Lists alone are tried in every combination. Each trial has a run folder, as in `train`. Ctrl-C saves the running
    trials; the same command resumes them. Without DATA the built-in corpus python-reference is used.
    """
    from fastrnn.data.text.files import expand
    from fastrnn.sweep.runner import run
    from fastrnn.sweep.space import read_space
    from fastrnn.sweep.trial_store import FileTrialStore, TrialStore

    space = read_space(config, texts, trials)
    # Report a missing file once, not in every trial.
    expand(space.data, "bytes")
    folder = Path(out or f"runs/sweep-{Path(config).stem}")
    store: TrialStore
    if journal is None:
        store = FileTrialStore(folder, space)
    else:
        from fastrnn.sweep.optuna_store import OptunaTrialStore

        store = OptunaTrialStore(Path(journal), folder, space)
    progress = _Progress(space.trials, quiet)
    outcome = run(space, store, folder, jobs or 1, progress)
    _show(outcome, as_json, space.trials)
    if outcome.signal is not None:
        # As a shell reports a program that a signal has ended.
        click.get_current_context().exit(128 + outcome.signal)


class _Progress:
    """Print a line on standard error when a trial starts and when it ends."""

    def __init__(self, trials: int, quiet: bool) -> None:
        self._trials, self._quiet = trials, quiet

    def on_trial_start(self, number: int, varied: dict[str, Any]) -> None:
        from fastrnn.sweep.space import format_settings

        self._note(f"trial {number + 1} of {self._trials}  {format_settings(varied)}")

    def on_trial_locked(self, number: int) -> None:
        self._note(f"trial {number + 1}: another process is still running it; waiting for its result")

    def on_trial_end(self, record: "TrialRecord") -> None:
        self._note(f"trial {record['number'] + 1}: {_format_result(record)}")

    def _note(self, line: str) -> None:
        from .. import output

        if not self._quiet:
            output.note(line)


def _format_result(record: "TrialRecord") -> str:
    from ..formatting import metrics

    if "error" in record:
        return str(record["error"])
    part, nats = ("valid", record["valid_nats"])
    if nats is None:
        part, nats = "train", record["train_nats"]
    more = metrics(record.get("metrics") or {})
    return f"{part} {nats:.4f}  {more}".rstrip() if nats is not None else "nothing"


def _show(outcome: "SweepResult", as_json: bool, trials: int) -> None:
    from fastrnn.errors import InputError

    from .. import output

    if as_json:
        output.write_json({"best": outcome.best, "trials": outcome.trials})
    elif outcome.trials:
        _write_table(outcome.trials)
    if outcome.best is not None and not as_json:
        output.write(f"\nbest  {outcome.best['run']}\n")
    if outcome.signal is not None:
        output.note(f"stopped with {len(outcome.trials)} of {trials} trials done; run the same command to resume")
    elif (left := trials - len(outcome.trials)) > 0:
        output.note(f"{left} of {trials} trials are still running in other processes")
    elif outcome.best is None:
        raise InputError("every trial failed" + (f": {outcome.trials[0]['error']}" if outcome.trials else ""))


def _write_table(records: list["TrialRecord"]) -> None:
    from fastrnn.config import key_of

    from .. import output
    from ..formatting import duration, number

    # Every trial varies the same settings.
    names = list(records[0]["settings"])
    rows = [["trial", *map(key_of, names), "steps", "time", "result"]]
    for record in records:
        settings = [number(record["settings"].get(name)) for name in names]
        steps, seconds = record.get("steps"), record.get("seconds")
        shown = ["-" if steps is None else f"{steps:,}", duration(seconds)]
        rows.append([Path(record["run"]).name, *settings, *shown, _format_result(record)])
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(row, [*widths, 0], strict=True)]
        output.write("  ".join(cells).rstrip() + "\n")
