"""The store of a sweep's trials: its lock is held while it is open, and only then."""

from pathlib import Path
from typing import Any

import pytest

from fastrnn.errors import OutputError
from fastrnn.sweep import runner
from fastrnn.sweep.space import Choice, Space
from fastrnn.sweep.trial_store import FileTrialStore

SPACE = Space({}, {"hidden": Choice((4, 6))}, ("t.txt",), 2, 1)


class Silent:
    """A callback that does nothing."""

    def on_trial_start(self, number: int, varied: dict[str, Any]) -> None: ...

    def on_trial_locked(self, number: int) -> None: ...

    def on_trial_end(self, record: dict[str, Any]) -> None: ...


def test_closed_store_can_be_opened_again(tmp_path: Path) -> None:
    store = FileTrialStore(tmp_path / "s", SPACE)
    with pytest.raises(OutputError, match="another process runs this sweep"):
        FileTrialStore(tmp_path / "s", SPACE)
    store.close()
    store.close()  # closing twice must not close a descriptor of another file
    FileTrialStore(tmp_path / "s", SPACE).close()


def test_damaged_results_do_not_keep_the_lock(tmp_path: Path) -> None:
    FileTrialStore(tmp_path / "s", SPACE).close()
    (tmp_path / "s" / "trials.jsonl").write_text("{")
    for _ in range(2):
        with pytest.raises(OutputError, match="damaged"):
            FileTrialStore(tmp_path / "s", SPACE)


class FakeTrial:
    """Stands in for `TrialProcess`: has ended with a result, or runs until it is stopped."""

    made: list["FakeTrial"]
    ends = True

    def __init__(self, number: int, varied: dict[str, Any], job: dict[str, Any]) -> None:
        self.number, self.varied, self.out = number, varied, job["out"]
        self.stopped = self.waited = False
        self.made.append(self)

    def has_ended(self) -> bool:
        return self.ends

    def stop(self) -> None:
        self.stopped = True

    def wait(self) -> None:
        self.waited = True

    def result(self) -> tuple[int, dict[str, Any]]:
        return 0, {"valid_nats": 1.0, "metrics": {}}


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> type[FakeTrial]:
    made: list[FakeTrial] = []
    monkeypatch.setattr(FakeTrial, "made", made, raising=False)
    monkeypatch.setattr(FakeTrial, "ends", True)
    monkeypatch.setattr(runner, "TrialProcess", FakeTrial)
    return FakeTrial


def test_sweep_runs_twice_in_one_process(tmp_path: Path, trials: type[FakeTrial]) -> None:
    folder = tmp_path / "s"
    first = runner.run(SPACE, FileTrialStore(folder, SPACE), folder, 2, Silent())
    again = runner.run(SPACE, FileTrialStore(folder, SPACE), folder, 2, Silent())
    assert first.trials == again.trials
    assert len(first.trials) == len(trials.made) == 2


def test_error_in_a_sweep_releases_the_lock_and_stops_the_trials(tmp_path: Path, trials: type[FakeTrial]) -> None:
    class FailsAtTheSecond(Silent):
        def on_trial_start(self, number: int, varied: dict[str, Any]) -> None:
            if number:
                raise ZeroDivisionError

    folder = tmp_path / "s"
    trials.ends = False
    with pytest.raises(ZeroDivisionError):
        runner.run(SPACE, FileTrialStore(folder, SPACE), folder, 2, FailsAtTheSecond())
    assert [(trial.stopped, trial.waited) for trial in trials.made] == [(True, True)]
    FileTrialStore(folder, SPACE).close()
