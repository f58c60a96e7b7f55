"""Scalar mathematics of the recurrent cells, shared by all devices.

Each function takes a device's own sigmoid and tanh and returns ``(forward, backward)``, one time
step of one hidden unit. Each device compiles the pair (`fastrnn.kernels.cpu.lstm`,
`fastrnn.kernels.cuda.cells`, ...); its loops load the operands and store the results.

    forward(pre-activations, previous state)   -> gates, to replace the pre-activations; new state
    backward(gates, states, d_h, ...)          -> gradients of the pre-activations; the part of the previous state's
                                                  gradient that does not pass through W_hh

Names: ``a_*`` is a pre-activation, ``d_h`` the total gradient of the step's output, ``d_c_after``
the gradient of its cell state from the next step. ``one`` and ``zero`` are constants of the
operands' type: a literal would promote the expression to float64.
"""

from collections.abc import Callable
from typing import Any

Pair = tuple[Callable[..., Any], Callable[..., Any]]

NORM_EPSILON = 1e-5  # added to the mean of squares of a norm
# Units whose squares are added together first; the sums of the blocks are added in order. Threads
# that divide the units of a normed layer do so at the ends of blocks, so that the bits stay the same.
UNIT_BLOCK = 64


def unit_blocks(units: int) -> int:
    """Return the number of blocks of `UNIT_BLOCK` units; the last one may be smaller."""
    return -(-units // UNIT_BLOCK)


def lstm(sigmoid: Any, tanh: Any) -> Pair:
    """Long short-term memory; equations in `fastrnn.kernels.cpu.lstm`."""

    def forward(a_i, a_f, a_g, a_o, c_prev):
        i = sigmoid(a_i)
        f = sigmoid(a_f)
        g = tanh(a_g)
        o = sigmoid(a_o)
        c = f * c_prev + i * g
        return i, f, g, o, c, o * tanh(c)

    def backward(i, f, g, o, c_prev, d_h, d_c_after, one):
        # c is recomputed: that is cheaper than storing and reloading it
        tanh_c = tanh(f * c_prev + i * g)
        d_c = d_c_after + d_h * o * (one - tanh_c * tanh_c)
        d_i = d_c * g * i * (one - i)
        d_f = d_c * c_prev * f * (one - f)
        d_g = d_c * i * (one - g * g)
        d_o = d_h * tanh_c * o * (one - o)
        return d_i, d_f, d_g, d_o, d_c * f

    return forward, backward


def rms_norm() -> Pair:
    """RMS norm of a gate's pre-activations over the units (Zhang and Sennrich 2019), with a gain and a bias after it.

    n = a / rms, rms = sqrt(mean of a^2 + epsilon); ``inverse`` is 1 / rms. ``d_n`` is the gradient of n,
    ``projection`` the mean of d_n * n divided by rms.
    """

    def forward(a, inverse, gain, bias):
        return gain * (a * inverse) + bias

    def backward(a, inverse, d_n, projection):
        return inverse * (d_n - a * projection)

    return forward, backward


def clamped_lstm(sigmoid: Any, tanh: Any) -> Pair:
    """LSTM whose input gate is at most 1 - f, without tanh of c; equations in `fastrnn.kernels.cpu.lstm_norm`.

    ``z_*`` are the normed pre-activations. The gates are computed again in the backward step: the
    kernels keep the pre-activations before the norm.
    """

    def forward(z_i, z_f, z_g, z_o, c_prev, one):
        i = sigmoid(z_i)
        f = sigmoid(z_f)
        g = tanh(z_g)
        rest = one - f
        # written so that NaN propagates: rest < i is false if i is NaN
        c = f * c_prev + (rest if rest < i else i) * g
        return c, sigmoid(z_o) * c

    def backward(z_i, z_f, z_g, z_o, c_prev, d_h, d_c_after, one, zero):
        i = sigmoid(z_i)
        f = sigmoid(z_f)
        g = tanh(z_g)
        o = sigmoid(z_o)
        rest = one - f
        clamped = rest < i
        used = rest if clamped else i
        d_c = d_c_after + d_h * o
        d_used = d_c * g
        # min(i, 1 - f) is i, or else 1 - f: its gradient goes to one of the two gates
        d_i = zero if clamped else d_used * i * (one - i)
        d_f = (d_c * c_prev - (d_used if clamped else zero)) * f * rest
        d_g = d_c * used * (one - g * g)
        d_o = d_h * (f * c_prev + used * g) * o * (one - o)
        return d_i, d_f, d_g, d_o, d_c * f

    return forward, backward


def gru(sigmoid: Any, tanh: Any) -> Pair:
    """torch.nn.GRU; equations in `fastrnn.kernels.cpu.gru`. ``n_x`` and ``n_h``: the candidate's
    two products.
    """

    def forward(n_x, a_r, a_z, n_h, h_prev, one):
        r = sigmoid(a_r)
        z = sigmoid(a_z)
        n = tanh(n_x + r * n_h)
        return n, r, z, (one - z) * n + z * h_prev

    def backward(n, r, z, n_h, h_prev, d_h, one):
        # d_n is the gradient of n's pre-activation n_x + r * n_h, and so that of n_x
        d_n = d_h * (one - z) * (one - n * n)
        return d_n, d_n * n_h * r * (one - r), d_h * (h_prev - n) * z * (one - z), d_n * r, d_h * z

    return forward, backward


def simplified_gru(sigmoid: Any, tanh: Any) -> Pair:
    """Gated recurrent unit of the lectures; equations in `fastrnn.kernels.cpu.gru`."""

    def forward(a_u, a_n, h_prev, one):
        u = sigmoid(a_u)
        n = tanh(a_n)
        return u, n, u * n + (one - u) * h_prev

    def backward(u, n, h_prev, d_h, one):
        return d_h * (n - h_prev) * u * (one - u), d_h * u * (one - n * n), d_h * (one - u)

    return forward, backward


def tanh_rnn(sigmoid: Any, tanh: Any) -> Pair:
    """Elman network with tanh; equations in `fastrnn.kernels.cpu.rnn`."""

    def forward(a, zero):
        return tanh(a)

    def backward(h, d_h, zero, one):
        return d_h * (one - h * h)

    return forward, backward


def relu_rnn(sigmoid: Any, tanh: Any) -> Pair:
    """Elman network with ReLU; equations in `fastrnn.kernels.cpu.rnn`."""

    def forward(a, zero):
        # written so that NaN propagates: a < 0 is false for NaN
        return zero if a < zero else a

    def backward(h, d_h, zero, one):
        return d_h if h > zero else zero

    return forward, backward
