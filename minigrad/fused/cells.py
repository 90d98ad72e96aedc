"""One step of a recurrent layer: the formulas, and each as one op for decoders that go step by
step.
"""

from __future__ import annotations

from .. import ops
from .base import Fused


def lstm_step(a, c, w_ch=None, softsign=False, seen=lambda c: c):
    """The next hidden and cell state from the gates' inputs a (B, 4H), in the order i, f, g, o,
    with the peephole weights (3H) of i, f, o; `seen` is what happens to the cell on its way out.
    """
    squash = ops.softsign if softsign else ops.tanh
    i, f, g, o = ops.chunk(a, 4, dim=1)
    if w_ch is not None:
        see_i, see_f, see_o = ops.chunk(w_ch, 3)
        i, f = i + see_i * c, f + see_f * c
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * squash(g)
    if w_ch is not None:
        o = o + see_o * c
    return ops.sigmoid(o) * squash(seen(c)), c


def gru_step(from_x, from_h, h, softsign=False):
    """The next hidden state from the input's and the state's part of the gates (B, 3H): r, z, n."""
    r_x, z_x, n_x = ops.chunk(from_x, 3, dim=1)
    r_h, z_h, n_h = ops.chunk(from_h, 3, dim=1)
    r, z = ops.sigmoid(r_x + r_h), ops.sigmoid(z_x + z_h)
    n = (ops.softsign if softsign else ops.tanh)(n_x + r * n_h)
    return n + z * (h - n)


def rnn_step(a, relu, softsign=False):
    return ops.relu(a) if relu else ops.softsign(a) if softsign else ops.tanh(a)


class Cell(Fused):
    """One step; the biases, two or none, come last."""

    def gates(self, x, w, bias):
        """x Wᵀ + b in one new array."""
        y = self.xp.matmul(x, w.T)
        for b in bias:
            y += b
        return y

    def halved(self, a):
        """σ in place, from a tanh, which is safe at both ends."""
        a *= 0.5
        self.xp.tanh(a, out=a)
        a *= 0.5
        a += 0.5

    def products(self, da, w, x, at_x, at_w):
        """The gradients of x and w from that of x Wᵀ."""
        return da @ w if self.needs[at_x] else None, da.T @ x if self.needs[at_w] else None


class RNNCell(Cell):
    """h' = tanh(W x + b + U h + b'), or relu: x (B, I), h (B, H), w_ih (H, I), w_hh (H, H)"""

    def compose(self, x, h, w_ih, w_hh, *biases):
        return rnn_step(sum(biases, x @ w_ih.T + h @ w_hh.T), self.relu)

    def forward(self, x, h, w_ih, w_hh, *biases):
        a = self.gates(x, w_ih, biases)
        a += self.xp.matmul(h, w_hh.T)
        return self.xp.maximum(a, 0, out=a) if self.relu else self.xp.tanh(a, out=a)

    def backward(self, g, y, x, h, w_ih, w_hh, *biases):
        da = g * (y > 0) if self.relu else g * (1 - y * y)
        dx, d_w_ih = self.products(da, w_ih, x, 0, 2)
        dh, d_w_hh = self.products(da, w_hh, h, 1, 3)
        return dx, dh, d_w_ih, d_w_hh, *(da.sum(axis=0) for _ in biases)


class LSTMCell(Cell):
    """The next hidden and cell state: x (B, I), h and c (B, H), w_ih (4H, I), w_hh (4H, H)"""

    def compose(self, x, h, c, w_ih, w_hh, *biases):
        return lstm_step(sum(biases, x @ w_ih.T + h @ w_hh.T), c)

    def forward(self, x, h, c, w_ih, w_hh, *biases):
        xp, H = self.xp, h.shape[1]
        a = self.gates(x, w_ih, biases)
        a += xp.matmul(h, w_hh.T)
        i, f, g, o = (a[:, k * H : (k + 1) * H] for k in range(4))
        self.halved(a[:, : 2 * H])
        xp.tanh(g, out=g)
        self.halved(o)
        c = f * c
        c += i * g
        tanh_c = xp.tanh(c)
        self.kept = (i, f, g, o, tanh_c) if self.recorded else None
        return o * tanh_c, c

    def backward(self, gs, _ys, x, h, c, w_ih, w_hh, *biases):
        xp, (i, f, g, o, tanh_c), H = self.xp, self.kept, h.shape[1]
        dh = gs[0]
        dc = dh * o
        dc *= 1 - tanh_c * tanh_c
        dc += gs[1]
        da = xp.empty((len(h), 4 * H), h.dtype)
        xp.multiply(dc * g, i * (1 - i), out=da[:, :H])
        xp.multiply(dc * c, f * (1 - f), out=da[:, H : 2 * H])
        xp.multiply(dc * i, 1 - g * g, out=da[:, 2 * H : 3 * H])
        xp.multiply(dh * tanh_c, o * (1 - o), out=da[:, 3 * H :])
        dx, d_w_ih = self.products(da, w_ih, x, 0, 3)
        dh, d_w_hh = self.products(da, w_hh, h, 1, 4)
        dc *= f
        return dx, dh, dc, d_w_ih, d_w_hh, *(da.sum(axis=0) for _ in biases)


class GRUCell(Cell):
    """The next hidden state: x (B, I), h (B, H), w_ih (3H, I), w_hh (3H, H)"""

    def compose(self, x, h, w_ih, w_hh, *biases):
        return gru_step(sum(biases[:1], x @ w_ih.T), sum(biases[1:], h @ w_hh.T), h)

    def forward(self, x, h, w_ih, w_hh, *biases):
        xp, H = self.xp, h.shape[1]
        a, m = self.gates(x, w_ih, biases[:1]), self.gates(h, w_hh, biases[1:])
        r, z, n = (a[:, k * H : (k + 1) * H] for k in range(3))
        a[:, : 2 * H] += m[:, : 2 * H]
        m = m[:, 2 * H :]
        self.halved(a[:, : 2 * H])
        n += r * m
        xp.tanh(n, out=n)
        self.kept = (r, z, n, m) if self.recorded else None
        y = h - n
        y *= z
        y += n
        return y

    def backward(self, g, _y, x, h, w_ih, w_hh, *biases):
        xp, (r, z, n, m), H = self.xp, self.kept, h.shape[1]
        da = xp.empty((len(h), 4 * H), h.dtype)  # m, r, z, n: what h sees, and what x sees
        keep = 1 - z
        xp.multiply(g * keep, 1 - n * n, out=da[:, 3 * H :])
        xp.multiply(da[:, 3 * H :], r, out=da[:, :H])
        xp.multiply(da[:, :H], m * (1 - r), out=da[:, H : 2 * H])
        xp.multiply(g * (h - n), z * keep, out=da[:, 2 * H : 3 * H])
        in_x, in_h = da[:, H:], xp.concatenate([da[:, H : 3 * H], da[:, :H]], axis=1)
        dx, d_w_ih = self.products(in_x, w_ih, x, 0, 2)
        dh, d_w_hh = self.products(in_h, w_hh, h, 1, 3)
        if dh is not None:
            dh += g * z
        return dx, dh, d_w_ih, d_w_hh, *(d.sum(axis=0) for d, _ in zip((in_x, in_h), biases))


def rnn_cell(x, h, w_ih, w_hh, *biases, relu=False):
    return RNNCell(relu=relu)(x, h, w_ih, w_hh, *biases)


def lstm_cell(x, h, c, w_ih, w_hh, *biases):
    return LSTMCell()(x, h, c, w_ih, w_hh, *biases)


def gru_cell(x, h, w_ih, w_hh, *biases):
    return GRUCell()(x, h, w_ih, w_hh, *biases)
