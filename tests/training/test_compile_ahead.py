"""Compilation of kernels before they are needed, in several processes at once."""

import json
import os
import signal
import subprocess
import sys
import time
import types

import numba
import pytest
from fakes import replace

from fastrnn import warmup
from fastrnn.config import ALL_CELLS, TASKS, Config
from fastrnn.kernels import backend
from fastrnn.kernels.cpu import ops
from fastrnn.training import compile_ahead

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
LSTM = Config(hidden=4, layers=1)


@pytest.fixture
def compiled(monkeypatch, tmp_path):
    """The calls of `_compile`, which does nothing, with an empty cache and two processors; no helper is started."""
    calls: list = []
    replace(monkeypatch, compile_ahead, "_compile", lambda settings, samples, number: calls.append((settings, samples)))
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: calls.append("helper") or Helper())
    fake = {**vars(ops), "KERNELS": tmp_path}
    replace(monkeypatch, compile_ahead, "default_processes", lambda: 2)
    replace(monkeypatch, backend, "load", lambda device: types.SimpleNamespace(**fake))
    return calls


class Helper:
    def wait(self, seconds): ...
    def kill(self): ...
    def communicate(self): ...


def test_compiled_kernels_are_not_compiled_again(compiled):
    compile_ahead.compile_for_run(LSTM, False)
    assert [type(call) for call in compiled] == [str, tuple]
    for config in (LSTM, LSTM.replace(hidden=7, lr=0.5, seed=3, batch=2)):
        compile_ahead.compile_for_run(config, False)
    assert len(compiled) == 2
    for other in (LSTM.replace(cell="gru"), LSTM.replace(hidden=600), LSTM.replace(layers=2), LSTM.replace(task="tag")):
        compile_ahead.compile_for_run(other, False)
        assert compiled.pop() != compiled[1]
    compile_ahead.compile_for_run(LSTM, True)
    assert compiled.pop() == (compiled[1][0], True)


def test_third_thread_runs_a_second_helper(compiled):
    compile_ahead.compile_for_run(LSTM.replace(threads=3), False)
    assert compiled[:2] == ["helper", "helper"]
    assert len(compiled) == 3
    compile_ahead.compile_for_run(LSTM.replace(cell="gru", threads=64), False)
    assert len(compiled) == 6
    compile_ahead.compile_for_run(LSTM.replace(task="classify", threads=64), False)
    assert len(compiled) == 8


def test_compiling_is_announced_only_where_something_is_compiled(compiled, monkeypatch):
    said = []
    monkeypatch.setattr(compile_ahead, "_REPORT_SECONDS", 0.01)
    monkeypatch.setattr(compile_ahead, "_compile", lambda *_: time.sleep(0.1))
    compile_ahead.compile_for_run(LSTM, False, said.append)
    assert said[0].startswith("compiling kernels: once")
    assert "0 kernels compiled" in said
    said.clear()
    compile_ahead.compile_for_run(LSTM, False, said.append)
    assert said == []


def test_single_cpu_compiles_before_the_run_is_planned_without_a_helper(compiled):
    """Compiled on first use, kernels would take the time of a short run, which then has a single step."""
    compile_ahead.compile_for_run(LSTM.replace(threads=1), False)
    assert [type(call) for call in compiled] == [tuple]
    compile_ahead.compile_for_run(LSTM.replace(threads=1), False)
    assert len(compiled) == 1


@pytest.mark.parametrize("ahead", [True, False])
def test_without_a_cache_kernels_that_depend_on_types_only_are_compiled_here(compiled, monkeypatch, ahead):
    fake = {**vars(ops), "KERNELS": None, "COMPILES_AHEAD": ahead}
    replace(monkeypatch, backend, "load", lambda device: types.SimpleNamespace(**fake))
    said = []
    compile_ahead.compile_for_run(LSTM, False, said.append)
    assert [type(call) for call in compiled] == [tuple] * ahead
    assert said == ["preparing kernels (compiling takes up to a minute where they are not in the cache)"]


def test_processes_of_a_group_compile_without_helpers_in_different_orders(monkeypatch, compiled):
    numbers = []
    replace(monkeypatch, compile_ahead, "_compile", lambda settings, samples, number: numbers.append(number))
    compile_ahead.compile_for_run(LSTM.replace(threads=8), False, rank=0)
    compile_ahead.compile_for_run(LSTM.replace(cell="gru"), False, rank=4)
    compile_ahead.compile_for_run(LSTM.replace(task="classify"), False, rank=1)
    assert numbers == [0, 1, 0, 1, 0]
    assert "helper" not in compiled


def test_failed_start_of_the_helper_is_harmless(compiled, monkeypatch):
    def refuse(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    compile_ahead.compile_for_run(LSTM, False)
    assert len(compiled) == 1


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_helper_ends_with_its_parent(tmp_path):
    """However that ends: a batch system kills."""
    code = (
        "import time; from fastrnn.training import compile_ahead; from fastrnn.config import Config\n"
        "with compile_ahead._start_helper(Config(hidden=4, threads=1), True, 1) as helper:\n"
        "    print(helper.pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "FASTRNN_KERNELS": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    helper = int(parent.stdout.readline())
    time.sleep(1.0)
    os.kill(helper, 0)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    end = time.monotonic() + 30
    while _runs(helper):
        assert time.monotonic() < end
        time.sleep(0.05)


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return not state.strip().startswith("Z") and state.strip() != ""


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("task", ["language-model", "classify", "forecast"])
def test_each_process_compiles_alone(task, number):
    compile_ahead._compile(LSTM.replace(task=task, hidden=8, threads=1, precision="float32"), True, number)


RECORD = """
import json, sys
from fastrnn.kernels.cpu import disk_cache

names, load = set(), disk_cache.KernelCache.load_overload

def record(cache, types, context):
    names.add(cache._path(cache._index_key(types, context.codegen())).name)
    return load(cache, types, context)

disk_cache.KernelCache.load_overload = record
import fastrnn
from fastrnn.kernels import backend
from fastrnn.training import compile_ahead

class Sampling(fastrnn.Callback):
    samples = True

text, out, layers, *orders = sys.argv[1:]
config = fastrnn.Config(steps=3, seq=16, batch=4, hidden=256, layers=int(layers), dropout=0.1, threads=1)
if orders:
    settings = compile_ahead._settings(config, backend.load("cpu"))
    for number in orders:
        compile_ahead._compile(settings, True, int(number))
else:
    fastrnn.train([text], config, out=out, callback=Sampling())
print(json.dumps(sorted(names)))
"""


def test_what_is_compiled_ahead_is_what_a_run_needs(tmp_path):
    """A kernel too many or too few costs a first run ten seconds. The run chooses one layer or two after compiling."""
    text = tmp_path / "text.txt"
    text.write_text("the sea is calm tonight, the tide is full\n" * 60)

    def kernels(layers: str, *orders: str) -> list[str]:
        command = [sys.executable, "-c", RECORD, str(text), str(tmp_path / "run"), layers, *orders]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(ran.stdout.splitlines()[-1])

    needed = kernels("1")
    assert len(needed) > 10
    assert kernels("2", "0") == needed
    by_helpers = kernels("2", "1", "2")
    assert any("generate" in name for name in by_helpers)
    assert set(by_helpers) <= set(needed)


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_warming_up_covers_every_cell(cell, monkeypatch):
    """What it runs is replaced; the settings that it makes are checked as those of any run."""
    ran: list[str] = []
    replace(monkeypatch, warmup, "compile_language_model", lambda config: ran.append(config.task))
    replace(monkeypatch, warmup, "compile_task", lambda config, **_: ran.append(config.task))
    said = list(warmup.warmup((cell,), "float32"))
    assert said[0].startswith(cell)
    assert len(said) == len(set(said))
    every = {task for task in TASKS if task != "forecast"}  # which has the kernels of regress
    assert set(ran) == (every if cell != "dense" else {"regress", "classify"})
