"""The GRU over a whole sequence as one op."""

from __future__ import annotations

from .cells import gru_step
from .recurrent import Recurrent, check


class GRU(Recurrent):
    """Hidden states of a sequence, and the last one (Cho et al. 2014, in the form that multiplies
    by the reset gate after the product: one product then serves all gates).

    inputs: xs (T, B, I), h (B, H), w_ih (3H, I), w_hh (3H, H), b_ih (3H), b_hh (3H); the gates are
    in the order r, z, n
    """

    def cell(self, x, h, w_ih, w_hh, b_ih, b_hh):
        return (gru_step(x @ w_ih.T + b_ih, h @ w_hh.T + b_hh, h),)

    def forward(self, xs, h, w_ih, w_hh, b_ih, b_hh):
        xp, (T, B, _), H = self.xp, xs.shape, h.shape[1]
        self.place_mask(T)
        # r and z halved: σ(a) = ½ tanh(½ a) + ½
        w_ih, w_hh, b = w_ih.copy(), xp.concatenate([w_hh[2 * H :], w_hh[: 2 * H]]), b_ih.copy()
        b[: 2 * H] += b_hh[: 2 * H]
        w_ih[: 2 * H] *= 0.5
        w_hh[H:] *= 0.5
        b[: 2 * H] *= 0.5
        from_x, b_hn = self.from_inputs(w_ih, b, xs), b_hh[2 * H :, None]
        # training keeps every step, inference one: m = U_n h + b_n, r, z, n
        kept = T if self.recorded else 1
        gates = xp.empty((kept, 4 * H, B), xs.dtype)
        states = xp.empty((T + 1, H, B), xs.dtype)
        states[0] = h.T
        for t in range(T):
            a, h, h_new = gates[t if self.recorded else 0], states[t], states[t + 1]
            m, r, z, n = a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            xp.matmul(w_hh, h, out=a[: 3 * H])
            m += b_hn
            both = a[H : 3 * H]
            both += from_x[: 2 * H, t]
            xp.tanh(both, out=both)
            both *= 0.5
            both += 0.5
            xp.multiply(r, m, out=n)
            n += from_x[2 * H :, t]
            xp.tanh(n, out=n)
            xp.subtract(h, n, out=h_new)
            h_new *= z
            h_new += n
            if self.idle[t] is not None:
                xp.copyto(h_new, h, where=self.idle[t])
        self.kept = (gates, states) if self.recorded else None
        return self.outputs(states[1:]), states[T].T.copy()

    def backward(self, gs, _ys, xs, h, w_ih, w_hh, b_ih, b_hh):
        xp, (T, B, _) = self.xp, xs.shape
        gates, states = self.kept
        H = states.shape[1]
        m, r, z, n = (gates[:, k * H : (k + 1) * H] for k in range(4))  # (T, H, B)
        # every gradient of a step is a slope times dh, so the slopes of all steps come first; the
        # order m, r, z, n makes both what flows into h and what flows into x one block
        slopes = xp.empty((T, 4, H, B), xs.dtype)
        keep = 1 - z
        xp.multiply(keep, 1 - n * n, out=slopes[:, 3])
        xp.multiply(slopes[:, 3], r, out=slopes[:, 0])
        xp.multiply(slopes[:, 0], m, out=slopes[:, 1])
        slopes[:, 1] *= 1 - r
        xp.multiply(states[:T] - n, z, out=slopes[:, 2])
        slopes[:, 2] *= keep
        if self.mask is not None:
            idle = ~self.mask[:, None, :]
            xp.copyto(slopes, 0, where=idle[:, None])
            z = xp.where(idle, 1, z)
        g_hs, dh = self.incoming(gs[0]), gs[1].T.copy()
        da = xp.empty((4, H, T, B), xs.dtype)
        w_back = xp.concatenate([w_hh[2 * H :], w_hh[: 2 * H]]).T
        scratch = xp.empty((H, B), xs.dtype)
        for t in range(T - 1, -1, -1):
            dh += g_hs[t]
            xp.multiply(slopes[t], dh, out=da[:, :, t])
            xp.matmul(w_back, da[:3, :, t].reshape(3 * H, B), out=scratch)
            dh *= z[t]
            dh += scratch
        da = da.reshape(4 * H, T * B)
        d_xs, d_w_ih = self.input_gradients(da[H:], xs, w_ih, 2)
        d_w_hh = self.hidden_gradient(da[: 3 * H], states, 3)
        if d_w_hh is not None:
            d_w_hh = xp.concatenate([d_w_hh[H:], d_w_hh[:H]])
        d_b = da.sum(axis=1)
        d_b_hh = xp.concatenate([d_b[H : 3 * H], d_b[:H]])
        return d_xs, dh.T, d_w_ih, d_w_hh, d_b[H:], d_b_hh


def gru(xs, h, w_ih, w_hh, b_ih, b_hh, *, active=None, reverse=False):
    """One layer in one direction: see `GRU` for the shapes. Raises RuntimeError for shapes that do
    not fit and ValueError for different dtypes.
    """
    (_, B, I), H = xs.shape, h.shape[1]
    expected = {"h": (B, H), "w_ih": (3 * H, I), "w_hh": (3 * H, H)}
    expected |= {"b_ih": (3 * H,), "b_hh": (3 * H,)}
    check("gru", xs, expected, (h, w_ih, w_hh, b_ih, b_hh))
    return GRU(active=active, reverse=reverse)(xs, h, w_ih, w_hh, b_ih, b_hh)
