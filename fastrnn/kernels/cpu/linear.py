"""Backward pass of a linear layer, and tanh of the plain layer, for a range of batch rows.

z = W x + b        dx = W^T dz
h = tanh(z)        dz = (1 - h^2) dh

Forward: `output_losses.output_forward`; dW: `weight_gradient.weight_gradient`; db:
`output_losses.bias_backward`.
"""

from .activations import tanh
from .blocks import PackedMatrix, StepBlock, flat
from .jit import kernel
from .matmul import multiply, product_memory


@kernel
def linear_backward(dz, w, dx, row_lo, row_hi):
    """dx (T, B, F) of rows row_lo..row_hi from dz (T, B, K) and w (K, F), the packed transpose of
    the forward weight.
    """
    T, B, K = dz.shape
    F = dx.shape[2]
    memory = product_memory(dx, w, K, T * (row_hi - row_lo))
    # dx[:, rows] = dz[:, rows] W
    from_dz = StepBlock(flat(dz), row_lo * K, B * K, K)
    to_dx = StepBlock(flat(dx), row_lo * F, B * F, F)
    multiply(to_dx, from_dz, PackedMatrix(w, K, F), T, row_hi - row_lo, 0, memory)


@kernel
def tanh_forward(h, row_lo, row_hi):
    """Apply tanh to rows row_lo..row_hi of h (T, B, H) in place."""
    for t in range(h.shape[0]):
        for b in range(row_lo, row_hi):
            row = h[t, b]
            for j in range(row.size):
                row[j] = tanh(row[j])


@kernel
def tanh_backward(dz, h, dy, row_lo, row_hi):
    """Rows row_lo..row_hi of dz (T, B, H) from h, which is saved for backward, and its gradient dy,
    both (T, B, H).
    """
    one = h.dtype.type(1)
    for t in range(h.shape[0]):
        for b in range(row_lo, row_hi):
            to, row, from_above = dz[t, b], h[t, b], dy[t, b]
            for j in range(row.size):
                to[j] = from_above[j] * (one - row[j] * row[j])
