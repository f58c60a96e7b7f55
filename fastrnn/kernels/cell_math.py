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
