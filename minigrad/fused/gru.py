"""The GRU over a whole sequence as one op."""

from __future__ import annotations

from .cells import gru_step
from .recurrent import Recurrent, check


class GRU(Recurrent):
    """Hidden states of a sequence, and the last one (Cho et al. 2014, in the form that multiplies
    by the reset gate after the product: one product then serves all gates).

    - inputs: xs (T, B, I), h (B, H), w_ih (3H, I), w_hh (3H, H), b_ih (3H), b_hh (3H); the gates
      are in the order r, z, n
    - `softsign` in place of tanh

    Inside, the blocks are m, r, z, n with m = U_n h + b_n: what h sees is the first three of them,
    what x sees the last three.
    """

    blocks, kernel = 4, "gru"

    def cell(self, x, fed, h, w_ih, w_hh, b_ih, b_hh):
        return (gru_step(x @ w_ih.T + b_ih, fed @ w_hh.T + b_hh, h, self.softsign),)

    def ordered(self, rows):
        H = self.units
        return self.xp.concatenate([rows[2 * H :], rows[: 2 * H]])

    def forward_weights(self, w_ih, w_hh, b_ih, b_hh):
        """r and z halved: σ(a) = ½ tanh(½ a) + ½. Few columns are halved themselves."""
        H = self.units
        b = b_ih.copy()
        b[: 2 * H] += b_hh[: 2 * H]
        if self.thin or self.kernels:
            return w_ih, w_hh, b
        w_ih, w_hh = w_ih.copy(), self.ordered(w_hh)
        for w in (w_ih[: 2 * H], w_hh[H:], b[: 2 * H]):
            w *= 0.5
        return w_ih, w_hh, b

    def natural(self, d):
        return self.xp.concatenate([d[self.units :], d[: self.units]])

    def prepare(self, _kept, _others, _b_ih, b_hh):
        self.b_hn = b_hh[2 * self.units :, None]

    def step(self, t, n, a, from_x):
        xp, H, h, h_new = self.xp, self.units, self.states[t], self.states[t + 1]
        m, r, z, n = (a[k * H : (k + 1) * H] for k in range(4))
        m += self.b_hn
        a[H : 3 * H] += from_x[: 2 * H]
        if self.thin:
            a[H : 3 * H] *= 0.5
        self.sigmoid_of_double(a[H : 3 * H])
        xp.multiply(r, m, out=n)
        n += from_x[2 * H :]
        self.squash(n, out=n)
        xp.subtract(h, n, out=h_new)
        h_new *= z
        h_new += n

    def forward_kernel(self, from_x):
        H, B = self.scratch.shape
        products = self.xp.empty((1, 3 * H, B), self.scratch.dtype)
        b_hn = self.xp.ascontiguousarray(self.b_hn)
        kept = len(self.gates), products, self.gates, from_x, b_hn, self.states
        return products, self.ready("forward", *kept)

    def backward_kernel(self, g_hs, dh, passed, d, da):
        return self.ready("backward", self.gates, self.states, g_hs, dh, passed, d, da)

    def slopes(self, steps, out):
        """All to be multiplied by dh."""
        xp, H, a = self.xp, self.units, self.gates[steps]
        m, r, z, n = (a[:, k * H : (k + 1) * H] for k in range(4))
        s_m, s_r, s_z, s_n = (out[:, k] for k in range(4))
        xp.subtract(1, z, out=s_m)
        xp.subtract(self.states[:-1][steps], n, out=s_z)
        s_z *= z
        s_z *= s_m
        self.squash_slope(n, out=s_n)
        s_n *= s_m
        xp.multiply(s_n, r, out=s_m)
        xp.subtract(1, r, out=s_r)
        s_r *= m
        s_r *= s_m

    def step_back(self, t, slopes, d, dh):
        H = self.units
        self.xp.multiply(slopes, dh, out=d.reshape(4, H, -1))
        return self.xp.multiply(dh, self.gates[t, 2 * H : 3 * H], out=self.scratch)

    def other_gradients(self, da):
        d_b = da.sum(axis=1)
        return d_b[self.units :], self.natural(d_b[: 3 * self.units])


def gru(xs, h, w_ih, w_hh, b_ih, b_hh, **options):
    """One layer in one direction: see `GRU` for the shapes, and `Recurrent` for the options. Raises
    RuntimeError for shapes that do not fit and ValueError for different dtypes.
    """
    (_, B, I), H = xs.shape, h.shape[1]
    expected = {"h": (B, H), "w_ih": (3 * H, I), "w_hh": (3 * H, H)}
    expected |= {"b_ih": (3 * H,), "b_hh": (3 * H,)}
    check("gru", xs, expected, (h, w_ih, w_hh, b_ih, b_hh))
    return GRU(**options)(xs, h, w_ih, w_hh, b_ih, b_hh)
