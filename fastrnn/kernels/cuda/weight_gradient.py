"""Weight gradients of a whole window:  dW = sum over k of dgates[k]^T x[k],  k = (time step, batch
row).
"""

from .arguments import Matrix, ProductShape
from .jit import cuda, kernel, launch
from .matmul import multiply
from .memory import copy
from .ngrams import add_gradients
from .packing import uses_bfloat16
from .reductions import sum_columns

_MOST_SEARCHED = 1024  # rows of a table for which every sum searches all ids; beyond, atomic additions in any order


@kernel
def _gather_table(dtable, gates, ids):
    """dtable[v] = sum of gates[t, b] with ids[t, b] = v: deterministic, but each element searches
    all ids.
    """
    T, B, P = gates.shape
    V = dtable.shape[0]
    for i in range(cuda.grid(1), V * P, cuda.gridsize(1)):
        v, column = i // P, i % P
        # one thread adds up one element in order of t and b: no atomic additions, so the same bits each time
        total = dtable.dtype.type(0)
        for t in range(T):
            for b in range(B):
                if ids[t, b] == v:
                    total += gates[t, b, column]
        dtable[v, column] = total


@kernel
def _scatter_table(dtable, gates, ids):
    """dtable[ids[t, b]] += gates[t, b] by atomic additions: fast for many rows, in no fixed order."""
    _, B, P = gates.shape
    for i in range(cuda.grid(1), gates.size, cuda.gridsize(1)):
        k, column = i // P, i % P
        t, b = k // B, k % B
        cuda.atomic.add(dtable, (ids[t, b], column), gates[t, b, column])


def layer_gradient(gradients, cell, inputs, packed_like, col_lo, col_hi):
    """Add to dw_ih (G*H, F), dw_hh (G*H, H) and dngram_rows (N, G*H); overwrite dtable (V, P).

    See `fastrnn.kernels.cpu.weight_gradient`.
    """
    dw_ih, dw_hh, dtable, dngram_rows = gradients
    ids, x = inputs.ids, inputs.x
    gate_width = dw_hh.shape[0]
    T, B, P = cell.gates.shape
    H, F = cell.h.shape[2], x.shape[2]
    # dtable[v] = sum of the gate gradients of the steps that were fed token v
    if dtable.shape[0] == 1:
        sum_columns(dtable, cell.gates, T * B, False)
    elif dtable.shape[0] <= _MOST_SEARCHED:
        launch(_gather_table, dtable.size, dtable, cell.gates, ids)
    else:
        copy(dtable, 0)
        launch(_scatter_table, cell.gates.size, dtable, cell.gates, ids)
    add_gradients(dngram_rows, cell.gates, inputs)
    as_bfloat16 = uses_bfloat16(packed_like)

    # dw_hh += dgates[:, :, -G*H:]^T h[:-1]; terms are all (t, b)
    shape = ProductShape(gate_width, H, T * B, accumulate=True, transposed=True)
    dgates = Matrix(cell.gates, P - gate_width, P)
    multiply(Matrix(dw_hh, 0, H), dgates, Matrix(cell.h, 0, H), shape, as_bfloat16)
    if F:
        # dw_ih[rows of the gate] += dgates[:, :, block]^T x
        shape = ProductShape(H, F, T * B, accumulate=True, transposed=True)
        for block, gate in enumerate(inputs.gate_order.tolist()):
            dgates = Matrix(cell.gates, block * H, P)
            multiply(Matrix(dw_ih, gate * H * F, F), dgates, Matrix(x, 0, F), shape, as_bfloat16)


def weight_gradient(dw, dz, x, packed_like, row_lo, row_hi):
    """Add dw (V, F) = sum_k dz[k]^T x[k] for dz (K, V), x (K, F)."""
    K, V = dz.shape
    F = x.shape[1]
    shape = ProductShape(V, F, K, accumulate=True, transposed=True)
    multiply(Matrix(dw, 0, F), Matrix(dz, 0, V), Matrix(x, 0, F), shape, uses_bfloat16(packed_like))
