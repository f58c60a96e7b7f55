"""The interface between networks and a device's kernels, and the functions that load a device.

A device is the module ``fastrnn.kernels.<device>.ops``, which provides the members of `Backend`.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from ..cells import CELLS
from ..errors import BackendError
from ..task_specs import TASK_SPECS

Array = Any  # a NumPy array on the CPU, a device array on CUDA


class Target(Protocol):
    """Properties of a device's hardware, for choosing a matmul mode and for reports."""

    @property
    def name(self) -> str:
        """Name of the vector unit or of the card."""

    @property
    def bfloat16_dot(self) -> bool:
        """Whether products of bfloat16 pairs are available."""

    @property
    def bfloat16_fast(self) -> bool:
        """Whether bfloat16 products are the default."""

    @property
    def bfloat16_needs(self) -> str:
        """The hardware that bfloat16 products need, for error messages."""

    @property
    def rounded(self) -> bool:
        """Whether weights can be rounded to bfloat16 for inference."""

    @property
    def amx(self) -> bool:
        """Whether AMX tile registers are available."""


class Memory(Protocol):
    """Arrays of a device: the part of `Backend` that parameters need."""

    def zeros(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """C-contiguous zeros on the device."""

    def copy(self, to: Array, values: Any) -> None:
        """``to[...] = values``; either may be on the host or on the device."""

    def copy_state(self, to: Array, n: int, values: Array, m: int, lo: int, hi: int) -> None:
        """to (N, B, H)[n, lo:hi] = values (M, B, H)[m, lo:hi], without views of device arrays."""

    def clear(self, array: Array, lo: int, hi: int) -> None:
        """array[lo:hi] = 0."""

    def clone(self, array: Array) -> Array:
        """A copy on the same device."""

    def to_device(self, array: Array) -> Array:
        """The array on the device."""

    def to_host(self, array: Array) -> Array:
        """The array as a NumPy array, not necessarily a copy."""

    def synchronize(self) -> None:
        """Wait until all work started on the device is done."""


class Backend(Memory, Protocol):
    """Kernels and constants of a device.

    T time steps, B batch rows, H hidden units, F input features, V tokens or outputs, G gates. P is
    the number of gate columns (see `fastrnn.kernels.cpu.recurrence`). A kernel works on the rows,
    columns or blocks ``lo`` to ``hi`` of its arrays, given by its last two arguments; on the CPU
    the threads of a `Pool` divide them, a device with its own threads ignores them. Arguments that belong
    together are bundles of `fastrnn.kernels.arguments`. Arrays called ``d...`` are gradients.
    Gradients of parameters are added to; gradients of activations are overwritten.
    """

    BARRIER: bool
    """Whether threads can wait for each other inside a kernel."""
    BLOCK: int
    """Elements of a block of the flat parameter array, the unit of work of the optimisers."""
    CELLS: Mapping[str, Callable[..., Any]]
    """Name of a cell -> NamedTuple class of its arrays: gates (T, B, P), h (T+1, B, H), c (T+1, B, H or 0)."""
    COMPILES_AHEAD: bool
    """Whether kernels depend on types only, so that they can be compiled before the sizes of a model are known."""
    KERNELS: Path | None
    """Folder of the cached compiled kernels; None if there is none."""
    PEAK: tuple[int, int, int, int]
    """Arguments rows, k, n, repeats of `multiply_repeatedly` that reach the peak."""
    PROCESSES: bool
    """Whether several processes can train one model."""
    TARGET: Target
    UNIT_BLOCK: int
    """Threads divide the units of a normed cell at multiples of this number."""
    TASKS: bool
    """Whether supervised tasks run on this device."""
    Pool: Callable[..., Any]
    """Pool(threads): the threads that call kernels; see `fastrnn.kernels.cpu.thread_pool`."""

    # --- threads ---

    def default_threads(self) -> int:
        """Default number of threads (CPU only)."""

    def barriers(self, threads: int) -> np.ndarray[Any, Any]:
        """Counters of a barrier for ``threads`` threads inside `generate`."""

    def abort(self, counts: Any) -> None:
        """Release all threads that wait at these barriers."""

    # --- packed weights ---

    def packed_size(self, k: int, n: int, dtype: np.dtype[Any]) -> int:
        """Elements of a packed (k, n) matrix, with padding."""

    def panels(self, n: int, dtype: np.dtype[Any]) -> int:
        """Units of work of `pack`: micro-panels of a matrix with n columns."""

    pack: Callable[..., None]
    """(matrix (R, C), gate_order (G,), rows of a gate, transposed, packed, lo, hi): pack panels lo..hi."""

    def multiply_repeatedly(self, packed: Array, rows: int, k: int, n: int, repeats: int) -> None:
        """Multiply zeros (rows, k) with packed (k, n) ``repeats`` times, to measure the peak."""

    # --- recurrent layer ---

    table_forward: Callable[..., None]
    """(table (V, P), w_ih (G*H, V), b_ih (G*H,), b_hh (G*H,), gate_order (G,), one_hot, lo, hi): input table."""
    table_backward: Callable[..., None]
    """(dtable (V, P), dw_ih (G*H, V), db_ih (G*H,), db_hh (G*H,), gate_order (G,), one_hot, lo, hi)."""
    layer_forward: Callable[..., None]
    """(cell, y (T, B, H), `LayerInput`, `LayerWeights`, resets (T, B) or empty, lo, hi).

    Saved for backward: gate values in ``cell.gates``, states in ``cell.h`` and ``cell.c``.
    """
    layer_backward: Callable[..., None]
    """(cell, dx (T, B, F), `LayerWeights` transposed, `OutputGradients`, resets, lo, hi).

    Replaces ``cell.gates`` by the gradients of the pre-activations, which `layer_gradient` reads.
    """
    layer_gradient: Callable[..., None]
    """(`LayerGradients`, cell, `LayerInput`, packed_like, lo, hi)."""
    norm_gradient: Callable[..., None]
    """(dgain (G*H,), dbias (G*H,), vector_sums (B, 2*G*H), lo, hi): sums over the rows, added."""
    generate: Callable[..., None]
    """(tuple of `DecoderLayer`, `DecoderOutput`, `SampledTokens`, `SamplingSettings`, `BarrierPart`, lo, hi)."""
    dropout: Callable[..., None]
    """(out (T, B, H), x (T, B, H), key uint32, keep, first row in the batch, rows of the batch, lo, hi)."""

    # --- output layer and losses ---

    output_forward: Callable[..., None]
    """(logits (T, B, V), y (T, B, H), w (H, V), bias (V,), lo, hi)."""
    output_loss: Callable[..., None]
    """(logits (T, B, V) -> their gradients, dy (T, B, H), `OutputLayer`, y (T, B, H), `Targets`, lo, hi)."""
    weight_gradient: Callable[..., None]
    """(dw (V, F), dz (K, V), x (K, F), packed_like, lo, hi): dw += dz^T x."""
    bias_backward: Callable[..., None]
    """(db (V,), dz (K, V), lo, hi): db += column sums of dz."""

    # --- optimisers, on flat arrays (N,) ---

    sums_of_squares: Callable[..., None]
    """(g (N,), sums (blocks,) float64, lo, hi)."""
    sgd: Callable[..., None]
    """(p, g, moments (), decay, `PlainSettings`, lo, hi)."""
    momentum: Callable[..., None]
    """(p, g, moments (m,), decay, `DecayingSettings`, lo, hi)."""
    rmsprop: Callable[..., None]
    """(p, g, moments (v,), decay, `DecayingSettings`, lo, hi)."""
    adagrad: Callable[..., None]
    """(p, g, moments (v,), decay, `PlainSettings`, lo, hi)."""
    adamw: Callable[..., None]
    """(p, g, moments (m, v), decay, `AdamWSettings`, lo, hi)."""
    adamw_rows: Callable[..., None]
    """(p (N, R), g, moments, decay, rows, settings, lo, hi): as ``adamw`` for rows[lo:hi]."""
    sums_of_rows: Callable[..., None]
    """(g (N, R), rows, sums, lo, hi): the sum of squares of each of rows[lo:hi]."""
    clear_rows: Callable[..., None]
    """(g (N, R), rows, lo, hi): rows[lo:hi] = 0."""

    # --- supervised tasks: only if TASKS ---

    embedding_forward: Callable[..., None]
    """(x (T, B, F), at, table (V, E), ids (T, B), lo, hi): x[..., at : at + E] = table[ids]."""
    embedding_backward: Callable[..., None]
    """(dtable (V, E), dx (T, B, F), at, ids (T, B), lo, hi)."""
    linear_backward: Callable[..., None]
    """(dx (T, B, F), dz (T, B, K), w_back (K, F), lo, hi)."""
    tanh_forward: Callable[..., None]
    """(h (T, B, H), lo, hi), in place."""
    tanh_backward: Callable[..., None]
    """(dz (T, B, H), h (T, B, H), dy (T, B, H), lo, hi)."""
    gather: Callable[..., None]
    """(out (T, B, F), x (T, B, F), reversal (T, B), lo, hi): reverse each row within its length."""
    gather_add: Callable[..., None]
    """Like `gather`, but adds to out."""
    join: Callable[..., None]
    """(y (T, B, 2H), forward (T, B, H), backward (T, B, H), reversal (T, B), lo, hi)."""
    split: Callable[..., None]
    """(dforward (T, B, H), dbackward (T, B, H), dy (T, B, 2H), reversal (T, B), lo, hi)."""
    pool_sequence: Callable[..., None]
    """(out (1, B, W or 2W), y (T, B, W), lengths (B,), half, lo, hi)."""
    pool_backward: Callable[..., None]
    """(dy (T, B, W), dout (1, B, W or 2W), lengths (B,), half, lo, hi)."""
    squared_error: Callable[..., None]
    """(z (T, B, K) -> its gradient, y (T, B, K), scale, losses (T, B), lo, hi)."""
    binary_cross_entropy: Callable[..., None]
    """(z (T, B, K) -> its gradient, y (T, B, K), scale, losses (T, B), lo, hi)."""
    log_softmax: Callable[..., None]
    """(z (T, B, K), lo, hi), in place."""
    probabilities: Callable[..., None]
    """(z (T, B, K), lo, hi): sigmoid, in place."""


def load(device: str = "cpu") -> Backend:
    """Import the kernels of a device.

    Raises `BackendError` if the device is not available. Never falls back to another device.
    """
    # before the import, whose own error would name a module and not the remedy
    if device == "cuda":
        _check_cuda()
    check_compiler()
    return cast(Backend, importlib.import_module(f"fastrnn.kernels.{device}.ops"))


def check_compiler() -> None:
    """Raise `BackendError` if Numba's JIT is disabled: parts of the kernels exist only as compiled
    code.
    """
    from numba.core import config

    if config.DISABLE_JIT:
        raise BackendError("fastrnn needs Numba's compiler, which NUMBA_DISABLE_JIT turns off; unset NUMBA_DISABLE_JIT")


def check(device: str, task: str = "language-model", processes: int = 1, cell: str = "lstm") -> None:
    """Raise `BackendError` if the device is unavailable or cannot run this task, this number of
    processes or this cell.
    """
    kernels = load(device)
    if TASK_SPECS[task].is_supervised and not kernels.TASKS:
        raise BackendError(f"device {device} runs language models only; use --device cpu for {task}")
    if processes > 1 and not kernels.PROCESSES:
        raise BackendError(f"device {device} trains in one process only; start without MPI, or use --device cpu")
    check_cell(device, cell)


def check_cell(device: str, cell: str) -> None:
    """Raise `BackendError` if the device does not run this cell."""
    if CELLS[cell].is_recurrent and cell not in load(device).CELLS:
        raise BackendError(f"device {device} does not run cell {cell}; use --device cpu or another cell")


def _check_cuda() -> None:
    """Raise `BackendError` that names the missing component and how to install it."""
    # numba-cuda only: Numba's built-in numba.cuda is deprecated
    reason: str | None = "device cuda needs numba-cuda, which is not installed"
    if importlib.util.find_spec("numba_cuda") is not None:
        reason = importlib.import_module("fastrnn.kernels.cuda.jit").why_unavailable()
    if reason is not None:
        raise BackendError(
            f"{reason}; pip install 'fastrnn[cuda12]' ('fastrnn[cuda13]' where `nvidia-smi` shows CUDA 13), "
            "or use --device cpu"
        )
