"""How a layer is divided among the blocks and threads of a cooperative launch, and the launch.

A block has some units and some batch rows for a whole window and keeps the units' recurrent weights
in its shared memory (`persistent_matmul`). All blocks must be resident at once, since they wait for
each other after each step; registers and shared memory limit their number. Of the plans that fit,
`plan` prefers those whose weights stay in shared memory, then the fewest estimated cycles a step.
The estimate has never been compared with a measurement on a card.
"""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from ...errors import BackendError
from .jit import SIMULATED
from .target import AHEAD, SHARED_WITHOUT_OPT_IN, TARGET, Target

_COLUMNS = 4  # most sums of one row in a thread, gates times units: more would leave the registers
# Bytes of shared memory that CUDA takes for itself in each block, and the granularity in which a
# block takes it (cuda_occupancy.h of the CUDA toolkit: 128 or, on older cards, 256).
_TAKEN = 1024
_GRAIN = 256

# For the estimate.
_L2_BYTES_PER_CYCLE = 24  # that a multiprocessor reads: 5.5 TB/s of 132 at 1.75 GHz (H100)
_SCHEDULERS = 4  # of a multiprocessor
_WARPS_FOR_LATENCY = 2  # of a scheduler: one warp alone waits for its reads
_OVERHEAD = 1.5  # instructions for each multiply-add or load of the inner loop, counted in its SASS
_REFILL = 4  # cost of a weight that is read anew, relative to a state: its reads coalesce poorly

# Of each kernel, the launches (blocks, threads, bytes of shared memory) that are known to fit, and the
# most shared memory that has been allowed. Kernels are kept by the caches of `recurrence`, so their
# ids stay theirs.
_fitting: set[tuple[int, int, int, int]] = set()
_allowed: dict[int, int] = {}


class Tiling(NamedTuple):
    """The sizes that the kernels take as an argument, all integers.

    Args:
        batch: Batch rows, B.
        hidden: Units of the layer, H.
        depth: Terms of the product.
        units: Units of a block, a multiple of units_per_thread.
        rows: Batch rows of a block, a multiple of rows_per_thread.
        unit_blocks: Blocks that divide the units. Block n has the units n % unit_blocks and the
            rows n // unit_blocks.
        items: Places for threads in a block: its groups times k_split.
        k_resident: Terms of a column of weights in shared memory; less than depth: the weights are
            read anew in each turn, k_resident terms at a time.
        stride: Numbers from one group's columns to the next group's in shared memory.
    """

    batch: int
    hidden: int
    depth: int
    units: int
    rows: int
    unit_blocks: int
    items: int
    k_resident: int
    stride: int


class LaunchPlan(NamedTuple):
    """A launch. The first four fields are compiled into the kernel, see `persistent_matmul`.

    Args:
        units_per_thread: Units of a group of threads.
        rows_per_thread: Batch rows of a group of threads.
        k_split: Threads of a group; each adds up every k_split-th term.
        residency: Blocks of ``target.threads`` threads whose registers a multiprocessor must have
            room for. With 1 instead of 2 a thread has 255 registers instead of 128.
        blocks: Blocks of the grid.
        threads: Threads of a block.
        shared: Bytes of shared memory of a block.
        tiling: The sizes that the kernel takes as an argument.
    """

    units_per_thread: int
    rows_per_thread: int
    k_split: int
    residency: int
    blocks: int
    threads: int
    shared: int
    tiling: Tiling


class _Layer(NamedTuple):
    """A product with ``depth`` terms and ``gates`` columns for each of ``hidden`` units."""

    batch: int
    hidden: int
    gates: int
    depth: int
    itemsize: int


def units_together(gates: int) -> list[int]:
    """Return the possible units_per_thread: powers of 2 with at most `_COLUMNS` sums a row."""
    return [units for units in (4, 2, 1) if units * gates <= _COLUMNS] or [1]


@cache
def plan(batch: int, hidden: int, gates: int, depth: int, itemsize: int, target: Target = TARGET) -> LaunchPlan:
    """Return the plan for a product with ``depth`` terms and ``gates`` columns for each unit.

    Raises:
        BackendError: The layer is too wide to be divided.
    """
    layer = _Layer(batch, hidden, gates, depth, itemsize)
    # weights in shared memory come first: the estimate is not exact enough to decide about them
    best = min(
        _plans(layer, target),
        key=lambda plan: (plan.tiling.k_resident < depth, _cycles(plan, layer, target)),
        default=None,
    )
    if best is None:
        raise BackendError(f"a layer of {hidden} units is too wide for {target.name}; use fewer, or --device cpu")
    return best


def _plans(layer: _Layer, target: Target) -> Iterator[LaunchPlan]:
    """Plans whose blocks are all resident at once; preferred first among equals."""
    # a power of 2 that the batch fills: a weight that is read serves so many rows
    rows_per_thread = min(target.rows, 1 << layer.batch.bit_length() - 1)
    row_groups = -(-layer.batch // rows_per_thread)
    most_threads = [target.threads >> n for n in range(3) if target.threads >> n >= target.warp]
    row_parts = [1 << n for n in range(row_groups.bit_length())]
    # every way to divide rows and units over the multiprocessors: some tens of plans, tried once for a
    # shape of layer
    for units_per_thread, most, parts in product(units_together(layer.gates), most_threads, row_parts):
        rows = -(-row_groups // parts) * rows_per_thread
        row_blocks = -(-layer.batch // rows)
        for resident in range(1, target.resident_threads // most + 1):
            unit_blocks = resident * target.multiprocessors // row_blocks
            if unit_blocks:
                units = -(-layer.hidden // (unit_blocks * units_per_thread)) * units_per_thread
                found = _fit(layer, units_per_thread, rows_per_thread, units, rows, most, resident, target)
                if found:
                    yield found


def _fit(
    layer: _Layer,
    units_per_thread: int,
    rows_per_thread: int,
    units: int,
    rows: int,
    most_threads: int,
    resident: int,
    target: Target,
) -> LaunchPlan | None:
    """Return the plan with as many terms as fit when a multiprocessor has ``resident`` blocks."""
    # Few items: more threads share a sum, up to a warp, as long as the block has no second turn.
    groups = units // units_per_thread * (rows // rows_per_thread)
    k_split = units_per_thread * rows_per_thread
    while k_split < target.warp and 2 * k_split * groups <= most_threads:
        k_split *= 2
    items = groups * k_split
    threads = min(-(-items // target.warp) * target.warp, most_threads)

    # Terms are read in rounds of k_split * AHEAD. Neighbouring groups differ by k_split banks.
    padding = k_split % target.warp
    together = max(k_split * AHEAD, target.warp)
    exchange = rows_per_thread * (threads + 1)
    # what one of ``resident`` blocks may take of a multiprocessor's shared memory, in numbers
    available = min(target.block_shared, target.shared // resident // _GRAIN * _GRAIN - _TAKEN) // layer.itemsize
    columns = units * layer.gates
    unit_groups = units // units_per_thread
    terms = max(0, available - exchange - unit_groups * padding) // columns // together * together
    k_resident = min(terms, -(-layer.depth // together) * together)
    if not k_resident:
        return None

    stride = units_per_thread * layer.gates * k_resident + padding
    shared = (unit_groups * stride + exchange) * layer.itemsize
    unit_blocks = -(-layer.hidden // units)
    blocks = unit_blocks * -(-layer.batch // rows)
    tiling = Tiling(layer.batch, layer.hidden, layer.depth, units, rows, unit_blocks, items, k_resident, stride)
    residency = -(-_blocks_per_multiprocessor(blocks, target) * threads // target.threads)
    return LaunchPlan(units_per_thread, rows_per_thread, k_split, residency, blocks, threads, shared, tiling)


def _blocks_per_multiprocessor(blocks: int, target: Target) -> int:
    return -(-blocks // target.multiprocessors)


def _cycles(plan: LaunchPlan, layer: _Layer, target: Target) -> float:
    """Return the estimated cycles of one step: arithmetic, reads of states, and of weights."""
    tiling = plan.tiling
    resident = _blocks_per_multiprocessor(plan.blocks, target)
    # a block with more items than threads takes them in turns
    turns = -(-tiling.items // plan.threads)
    columns = plan.units_per_thread * layer.gates
    rows = plan.rows_per_thread

    instructions = _OVERHEAD * layer.depth / plan.k_split * (rows * columns + rows + columns)
    instructions += columns * (rows + plan.k_split)  # the exchange
    # a scheduler issues one instruction a cycle for all its warps
    warps = max(resident * plan.threads / target.warp / _SCHEDULERS, _WARPS_FOR_LATENCY)
    states = resident * tiling.rows * layer.depth * layer.itemsize / _L2_BYTES_PER_CYCLE
    weights = 0.0
    if tiling.k_resident < layer.depth:
        weights = _REFILL * resident * turns * tiling.units * layer.gates * layer.depth * layer.itemsize
        weights /= _L2_BYTES_PER_CYCLE
    return turns * instructions * warps + states + weights


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
