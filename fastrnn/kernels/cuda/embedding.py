"""Input of a layer that needs no matrix product: rows of a table, or the biases alone.

See `fastrnn.kernels.cpu.embedding`. One thread per element of the table.
"""

from .jit import cuda, kernel, launch
from .memory import constant


@kernel
def _table_forward(table, w_ih, b_ih, b_hh, gate_order, one_hot):
    V, P = table.shape
    gate_width = b_ih.size
    H = gate_width // gate_order.size
    # neighbouring threads have neighbouring columns of a row, so that writes coalesce
    for i in range(cuda.grid(1), V * P, cuda.gridsize(1)):
        v, column = i // P, i % P
        total = table.dtype.type(0)
        # the first G blocks of columns take W_ih and b_ih in the cell's order, the last G b_hh in torch.nn's
        if column < gate_width:
            row = gate_order[column // H] * H + column % H
            total += b_ih[row]
            if one_hot:
                total += w_ih[row, v]
        if column >= P - gate_width:
            total += b_hh[column - (P - gate_width)]
        table[v, column] = total


def table_forward(table, w_ih, b_ih, b_hh, gate_order, one_hot, col_lo, col_hi):
    """table (V, P) from w_ih (G*H, V); if not ``one_hot``, table (1, P) from the biases alone."""
    launch(_table_forward, table.size, table, w_ih, b_ih, b_hh, constant(gate_order), one_hot)


@kernel
def _bias_backward(dtable, db_ih, db_hh, gate_order):
    """db_ih and db_hh (G*H,) += column sums of dtable; one thread per column."""
    V, P = dtable.shape
    gate_width = db_ih.size
    H = gate_width // gate_order.size
    # a thread adds up its column in order: the sum does not depend on the launch
    for column in range(cuda.grid(1), P, cuda.gridsize(1)):
        total = dtable.dtype.type(0)
        for v in range(V):
            total += dtable[v, column]
        if column < gate_width:
            db_ih[gate_order[column // H] * H + column % H] += total
        if column >= P - gate_width:
            db_hh[column - (P - gate_width)] += total


@kernel
def _weights_backward(dtable, dw_ih, gate_order):
    """dw_ih (G*H, V) += dtable[:, :G*H]^T, rows in torch.nn's order."""
    V, gate_width = dtable.shape[0], dw_ih.shape[0]
    H = gate_width // gate_order.size
    for i in range(cuda.grid(1), V * gate_width, cuda.gridsize(1)):
        v, column = i // gate_width, i % gate_width
        dw_ih[gate_order[column // H] * H + column % H, v] += dtable[v, column]


def table_backward(dtable, dw_ih, db_ih, db_hh, gate_order, one_hot, col_lo, col_hi):
    """Add the table's gradient dtable (V, P) to dw_ih and the biases."""
    V, P = dtable.shape
    launch(_bias_backward, P, dtable, db_ih, db_hh, constant(gate_order))
    if one_hot:
        launch(_weights_backward, V * db_ih.size, dtable, dw_ih, constant(gate_order))
