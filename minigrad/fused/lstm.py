"""The LSTM over a whole sequence as one op."""

from __future__ import annotations

from .cells import lstm_step
from .recurrent import Recurrent, check


class LSTM(Recurrent):
    """Hidden states of a sequence, and the last hidden and cell state (Hochreiter & Schmidhuber
    1997, with the forget gate of Gers et al. 2000).

    - inputs: xs (T, B, I), h (B, H), c (B, H), w_ih (4H, I), w_hh (4H, H), b (4H); the gates are in
      the order i, f, g, o
    - with a further input w_hr (P, H) the hidden state is projected to P numbers (Sak et al. 2014);
      then h is (B, P) and w_hh (4H, P)
    - outputs: hs (T, B, H), h (B, H), c (B, H)
    """

    parts = 2

    def cell(self, x, h, c, w_ih, w_hh, b, *w_hr):
        h, c = lstm_step(x @ w_ih.T + h @ w_hh.T + b, c)
        return (h @ w_hr[0].T if w_hr else h), c

    def folded(self, w):
        """Rows in the order i, f, o, g with i, f, o halved: σ(a) = ½ tanh(½ a) + ½, so one tanh
        serves all gates.
        """
        H = w.shape[0] // 4
        out = self.xp.empty_like(w)
        self.xp.multiply(w[: 2 * H], 0.5, out=out[: 2 * H])
        self.xp.multiply(w[3 * H :], 0.5, out=out[2 * H : 3 * H])
        out[3 * H :] = w[2 * H : 3 * H]
        return out

    def forward(self, xs, h, c, w_ih, w_hh, b, *w_hr):
        xp, (T, B, _), H = self.xp, xs.shape, c.shape[1]
        self.place_mask(T)
        from_x = self.from_inputs(self.folded(w_ih), self.folded(b), xs)
        w_hh = self.folded(w_hh)
        # training keeps every step, inference one: gates (i, f, o, g), cells before, tanh of cells
        kept = T if self.recorded else 1
        gates = xp.empty((kept, 4 * H, B), xs.dtype)
        cells = xp.empty((kept + 1, H, B), xs.dtype)
        tanhs = xp.empty((kept, H, B), xs.dtype)
        states = xp.empty((T + 1, h.shape[1], B), xs.dtype)
        scratch = xp.empty((H, B), xs.dtype)
        states[0], cells[0] = h.T, c.T
        for t in range(T):
            n = t if self.recorded else 0
            a, tanh_c = gates[n], tanhs[n]
            before, after, h, h_new = cells[n], cells[n + 1], states[t], states[t + 1]
            xp.matmul(w_hh, h, out=a)
            a += from_x[:, t]
            xp.tanh(a, out=a)
            a[: 3 * H] *= 0.5
            a[: 3 * H] += 0.5
            xp.multiply(a[H : 2 * H], before, out=after)
            xp.multiply(a[:H], a[3 * H :], out=scratch)
            after += scratch
            xp.tanh(after, out=tanh_c)
            xp.multiply(a[2 * H : 3 * H], tanh_c, out=scratch if w_hr else h_new)
            if w_hr:
                xp.matmul(w_hr[0], scratch, out=h_new)
            idle = self.idle[t]
            if idle is not None:
                xp.copyto(after, before, where=idle)
                xp.copyto(h_new, h, where=idle)
            if not self.recorded:
                cells[0] = after
        self.kept = (gates, cells, tanhs, states) if self.recorded else None
        return self.outputs(states[1:]), states[T].T.copy(), cells[n + 1].T.copy()

    def backward(self, gs, _ys, xs, h, c, w_ih, w_hh, b, *w_hr):
        xp, (T, B, _) = self.xp, xs.shape
        gates, cells, tanhs, states = self.kept
        H = tanhs.shape[1]
        i, f, o, g = (gates[:, k * H : (k + 1) * H] for k in range(4))  # (T, H, B)
        # what does not depend on the incoming gradient, for all steps in few passes: the slopes of
        # the gates by their inputs, i, f, g to be multiplied by dc and o by dh
        slopes = xp.empty((T, 4 * H, B), xs.dtype)
        xp.multiply(g * i, 1 - i, out=slopes[:, :H])
        xp.multiply(cells[:T] * f, 1 - f, out=slopes[:, H : 2 * H])
        xp.multiply(i, 1 - g * g, out=slopes[:, 2 * H : 3 * H])
        xp.multiply(tanhs * o, 1 - o, out=slopes[:, 3 * H :])
        into_cell = o * (1 - tanhs * tanhs)
        slopes = slopes.reshape(T, 4, H, B)
        g_hs, dh, dc = self.incoming(gs[0]), gs[1].T.copy(), gs[2].T.copy()
        da = xp.empty((4, H, T, B), xs.dtype)  # gradients of the gates' inputs: i, f, g, o
        if w_hr:
            d_projected = xp.empty((len(w_hr[0]), T, B), xs.dtype)
        w_back = w_hh.T
        scratch = xp.empty((H, B), xs.dtype)
        for t in range(T - 1, -1, -1):
            idle = self.idle[t]
            if idle is not None:
                passed = xp.where(idle, dh, 0), xp.where(idle, dc, 0)
            dh += g_hs[t]
            dm = dh
            if w_hr:
                d_projected[:, t] = dh if idle is None else xp.where(idle, 0, dh)
                dm = w_hr[0].T @ dh
            xp.multiply(dm, into_cell[t], out=scratch)
            dc += scratch
            xp.multiply(slopes[t, :3], dc, out=da[:3, :, t])
            xp.multiply(slopes[t, 3], dm, out=da[3, :, t])
            dc *= f[t]
            if idle is not None:
                xp.copyto(da[:, :, t], 0, where=idle)
                xp.copyto(dc, passed[1], where=idle)
            xp.matmul(w_back, da[:, :, t].reshape(4 * H, B), out=dh)
            if idle is not None:
                dh += passed[0]
        da = da.reshape(4 * H, T * B)
        d_xs, d_w_ih = self.input_gradients(da, xs, w_ih, 3)
        d_w_hh = self.hidden_gradient(da, states, 4)
        grads = d_xs, dh.T, dc.T, d_w_ih, d_w_hh, da.sum(axis=1)
        if not w_hr:
            return grads
        unprojected = (o * tanhs).transpose(0, 2, 1).reshape(T * B, H)
        return *grads, d_projected.reshape(-1, T * B) @ unprojected


def lstm(xs, h, c, w_ih, w_hh, b, w_hr=None, *, active=None, reverse=False):
    """One layer in one direction: see `LSTM` for the shapes. Raises RuntimeError for shapes that do
    not fit and ValueError for different dtypes.
    """
    (_, B, I), P = xs.shape, h.shape[1]
    H = P if w_hr is None else w_hr.shape[1]
    expected = {"h": (B, P), "c": (B, H), "w_ih": (4 * H, I), "w_hh": (4 * H, P), "b": (4 * H,)}
    inputs = [h, c, w_ih, w_hh, b]
    if w_hr is not None:
        expected["w_hr"] = P, H
        inputs.append(w_hr)
    check("lstm", xs, expected, inputs)
    return LSTM(active=active, reverse=reverse)(xs, *inputs)
