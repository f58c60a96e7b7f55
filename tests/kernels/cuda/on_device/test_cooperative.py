"""What happens before a cooperative launch on a card, with a stand-in for the compiled kernel."""

import pytest

from fastrnn.errors import BackendError
from fastrnn.kernels.cuda import launch_plan
from fastrnn.kernels.cuda.launch_plan import LaunchPlan, Tiling


class Compiled:
    """A kernel of numba-cuda of which ``fitting`` blocks are resident at once."""

    def __init__(self, fitting, *sizes):
        self.fitting = fitting
        self.sizes = sizes
        self.compiled = []
        self.launched = []

    def typeof_pyval(self, value):
        return type(value)

    def compile(self, types):
        self.compiled.append(types)
        return self

    def max_cooperative_grid_blocks(self, threads, shared):
        assert threads == 256
        assert shared in self.sizes
        return self.fitting

    def __getitem__(self, sizes):
        return lambda *args: self.launched.append((sizes, args))


def plan(shared):
    tiling = Tiling(64, 512, 512, 16, 16, 32, 256, 512, 2056)
    return LaunchPlan(1, 8, 8, 1, 128, 256, shared, tiling)


@pytest.fixture
def allowed(monkeypatch):
    """The sizes of shared memory that were asked for."""
    sizes = []
    monkeypatch.setattr(launch_plan, "SIMULATED", False)
    monkeypatch.setattr(launch_plan, "_fitting", set())
    monkeypatch.setattr(launch_plan, "_allowed", {})
    monkeypatch.setattr(launch_plan, "allow_shared_memory", lambda kernel, size: sizes.append(size))
    return sizes


@pytest.mark.parametrize(("shared", "asked"), [(48 * 1024, []), (48 * 1024 + 1, [48 * 1024 + 1])])
def test_shared_memory_beyond_48_kib_is_asked_for_once(shared, asked, allowed):
    compiled = Compiled(128, shared)
    for _ in range(2):
        launch_plan.launch_cooperative(compiled, plan(shared), 1.5, 2)
    assert allowed == asked
    assert compiled.compiled == [(float, int, Tiling)]
    assert compiled.launched == [((128, 256, 0, shared), (1.5, 2, plan(shared).tiling))] * 2


def test_a_smaller_plan_does_not_reduce_what_a_kernel_may_have(allowed):
    compiled = Compiled(128, 100_000, 60_000)
    for shared in (100_000, 60_000, 100_000):
        launch_plan.launch_cooperative(compiled, plan(shared))
    assert allowed == [100_000]


def test_a_grid_that_does_not_fit_is_not_launched(allowed):
    """Otherwise CUDA's own error would not say what to change."""
    compiled = Compiled(127, 1000)
    with pytest.raises(BackendError, match="can run 127 blocks of this layer at once, but it needs 128; use fewer"):
        launch_plan.launch_cooperative(compiled, plan(1000))
    assert not compiled.launched
