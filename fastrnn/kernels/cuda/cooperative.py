"""Cooperative launches: all blocks of the grid are resident at once and can wait for each other."""

from typing import Any

from ...errors import BackendError
from .jit import SIMULATED
from .launch_plan import LaunchPlan
from .target import SHARED_WITHOUT_OPT_IN, TARGET

# Of each kernel, the launches (blocks, threads, bytes of shared memory) that are known to fit, and the
# most shared memory that has been allowed. Kernels are kept by the caches of `recurrence`, so their
# ids stay theirs.
_fitting: set[tuple[int, int, int, int]] = set()
_allowed: dict[int, int] = {}


def launch_cooperative(compiled: Any, plan: LaunchPlan, *args: Any) -> None:
    """Launch a `jit.cooperative` kernel with these arguments and, last, the plan's tiling.

    Raises:
        BackendError: The blocks of the plan cannot all be resident at once.
    """
    args = (*args, plan.tiling)
    if not SIMULATED:
        _prepare(compiled, plan, args)
    compiled[plan.blocks, plan.threads, 0, plan.shared](*args)


def _prepare(compiled: Any, plan: LaunchPlan, args: tuple[Any, ...]) -> None:
    """Compile, allow the block its shared memory, and check that the grid fits; once for a plan."""
    launch = (id(compiled), plan.blocks, plan.threads, plan.shared)
    if launch in _fitting:
        return
    kernel = compiled.compile(tuple(compiled.typeof_pyval(arg) for arg in args))
    # A smaller plan must not take from a larger one of the same kernel what it was allowed.
    if plan.shared > _allowed.get(id(compiled), SHARED_WITHOUT_OPT_IN):
        allow_shared_memory(kernel, plan.shared)
        _allowed[id(compiled)] = plan.shared
    fitting = kernel.max_cooperative_grid_blocks(plan.threads, plan.shared)
    if fitting < plan.blocks:
        raise BackendError(
            f"{TARGET.name} can run {fitting} blocks of this layer at once, but it needs {plan.blocks}; "
            "use fewer --hidden, or --device cpu"
        )
    _fitting.add(launch)


def allow_shared_memory(kernel: Any, size: int) -> None:
    """Let the blocks of a compiled kernel have ``size`` bytes of dynamic shared memory.

    CUDA refuses a launch with more than 48 KiB without this, and numba-cuda has no option for it.
    """
    from cuda.bindings import driver as binding
    from numba.cuda.cudadrv.driver import driver

    function = kernel._codelibrary.get_cufunc()
    attribute = binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    driver.cuKernelSetAttribute(attribute, size, function.handle, function.device.id)
