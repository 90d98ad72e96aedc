"""The LSTM over a whole sequence as one op.

Inside, arrays are feature-major: gates × time × batch. The recurrent product `U @ h` with the batch
last is 1.1 to 1.5 times faster in OpenBLAS than `h @ Uᵀ` (benchmarks/products.py), and each gate is
one contiguous block.
"""

from __future__ import annotations

from .. import ops
from ..backend import backend_of
from ..op import raw
from .base import Fused


class LSTM(Fused):
    """Hidden states of a sequence, and the last hidden and cell state (Hochreiter & Schmidhuber
    1997, with the forget gate of Gers et al. 2000).

    - inputs: xs (T, B, I), h (B, H), c (B, H), w_ih (4H, I), w_hh (4H, H), b (4H); the gates are in
      the order i, f, g, o
    - outputs: hs (T, B, H), h (B, H), c (B, H)
    - `reverse` runs from the last step to the first
    - `active` (T, B), bool, on the host, or None: where it is false the state stays as it was and
      the output is zero, so that both directions begin and end at real tokens
    """

    def compose(self, xs, h, c, w_ih, w_hh, b):
        hs = [None] * len(xs)
        if self.active is not None:
            active = backend_of(raw(xs)).upload(self.active)
            xs = ops.where(active[:, :, None], xs, 0.0)  # NaN in the padding stays there
        for t in self.times(len(xs)):
            gates = xs[t] @ w_ih.T + h @ w_hh.T + b  # (B, 4H)
            i, f, g, o = ops.chunk(gates, 4, dim=1)
            c_new = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h_new = ops.sigmoid(o) * ops.tanh(c_new)
            if self.active is None:
                h, c, hs[t] = h_new, c_new, h_new
            else:
                on = active[t][:, None]
                h, c, hs[t] = (
                    ops.where(on, h_new, h),
                    ops.where(on, c_new, c),
                    ops.where(on, h_new, 0.0),
                )
        return ops.stack(hs), h, c

    def times(self, T: int) -> range:
        return range(T - 1, -1, -1) if self.reverse else range(T)

    def place_mask(self) -> None:
        """`mask`, the active steps on the device, and for each step the columns that must not
        move, or None: most steps have none.
        """
        self.mask = None if self.active is None else self.backend.upload(self.active)
        full = [True] if self.active is None else self.active.all(axis=1).tolist()
        self.idle = None if all(full) else [None if f else ~m for f, m in zip(full, self.mask)]

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

    def forward(self, xs, h, c, w_ih, w_hh, b):
        xp, (T, B, I), H = self.xp, xs.shape, h.shape[1]
        self.place_mask()
        w_hh = self.folded(w_hh)
        # the inputs' part of all gates of all steps in one product, (4H, TB)
        from_x = self.folded(w_ih) @ self.clean(xs).reshape(T * B, I).T
        from_x = from_x.reshape(4 * H, T, B)
        from_x += self.folded(b)[:, None, None]
        # training keeps every step, inference one: gates (i, f, o, g), cells before, tanh of cells
        kept = T if self.recorded else 1
        gates = xp.empty((kept, 4 * H, B), xs.dtype)
        cells = xp.empty((kept + 1, H, B), xs.dtype)
        tanhs = xp.empty((kept, H, B), xs.dtype)
        states = xp.empty((T, H, B), xs.dtype)
        h, c, scratch = h.T, c.T, xp.empty((H, B), xs.dtype)
        h0, step = h, 0
        cells[0] = c
        for n, t in enumerate(self.times(T)):
            step = n if self.recorded else 0
            a, tanh_c = gates[step], tanhs[step]
            before, after = cells[step], cells[step + 1]
            xp.matmul(w_hh, h, out=a)
            a += from_x[:, t]
            xp.tanh(a, out=a)
            a[: 3 * H] *= 0.5
            a[: 3 * H] += 0.5
            xp.multiply(a[H : 2 * H], before, out=after)
            xp.multiply(a[:H], a[3 * H :], out=scratch)
            after += scratch
            xp.tanh(after, out=tanh_c)
            h_new = states[t]
            xp.multiply(a[2 * H : 3 * H], tanh_c, out=h_new)
            idle = self.idle[t] if self.idle else None
            if idle is not None:
                xp.copyto(after, before, where=idle)
                xp.copyto(h_new, h, where=idle)
            h = h_new
            if not self.recorded:
                cells[0] = after
        c = cells[step + 1]
        self.kept = (gates, cells, tanhs, states, h0) if self.recorded else None
        hs = states.transpose(0, 2, 1).copy()  # (T, B, H); never a view, even of sizes of 1
        if self.mask is not None:
            xp.copyto(hs, 0, where=~self.mask[:, :, None])
        return hs, h.T.copy(), c.T.copy()

    def clean(self, xs):
        """Inputs with zeros where nothing is active: 0 × NaN of a padded row would spoil the weight
        gradients.
        """
        return xs if self.mask is None else self.xp.where(self.mask[:, :, None], xs, 0)

    def backward(self, gs, _ys, xs, h, c, w_ih, w_hh, b):
        xp, (T, B, I), H = self.xp, xs.shape, h.shape[1]
        gates, cells, tanhs, states, h0 = self.kept
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
        g_hs, dh, dc = gs[0].transpose(0, 2, 1), gs[1].T.copy(), gs[2].T.copy()
        if self.mask is not None:
            g_hs = xp.where(self.mask[:, None, :], g_hs, 0)
        da = xp.empty((4, H, T, B), xs.dtype)  # gradients of the gates' inputs: i, f, g, o
        w_back = w_hh.T
        scratch = xp.empty((H, B), xs.dtype)
        order = self.times(T)
        for n in range(T - 1, -1, -1):
            t = order[n]
            idle = self.idle[t] if self.idle else None
            if idle is not None:
                passed = xp.where(idle, dh, 0), xp.where(idle, dc, 0)
            dh += g_hs[t]
            xp.multiply(dh, into_cell[n], out=scratch)
            dc += scratch
            xp.multiply(slopes[n, :3], dc, out=da[:3, :, t])
            xp.multiply(slopes[n, 3], dh, out=da[3, :, t])
            dc *= f[n]
            if idle is not None:
                xp.copyto(da[:, :, t], 0, where=idle)
                xp.copyto(dc, passed[1], where=idle)
            xp.matmul(w_back, da[:, :, t].reshape(4 * H, B), out=dh)
            if idle is not None:
                dh += passed[0]
        da = da.reshape(4 * H, T * B)
        previous = xp.empty((T, B, H), xs.dtype)  # the hidden state that each step began with
        previous[order[0]] = h0.T
        inner = states.transpose(0, 2, 1)
        if self.reverse:
            previous[:-1] = inner[1:]
        else:
            previous[1:] = inner[:-1]
        need = self.needs
        d_xs = (da.T @ w_ih).reshape(T, B, I) if need[0] else None
        d_w_ih = da @ self.clean(xs).reshape(T * B, I) if need[3] else None
        d_w_hh = da @ previous.reshape(T * B, H) if need[4] else None
        return d_xs, dh.T, dc.T, d_w_ih, d_w_hh, da.sum(axis=1)


def lstm(xs, h, c, w_ih, w_hh, b, *, active=None, reverse=False):
    """One layer in one direction: see `LSTM` for the shapes. Raises RuntimeError for shapes that do
    not fit and ValueError for different dtypes.
    """
    T, B, I = xs.shape
    H = h.shape[1]
    expected = {"h": (B, H), "c": (B, H), "w_ih": (4 * H, I), "w_hh": (4 * H, H), "b": (4 * H,)}
    for (name, shape), x in zip(expected.items(), (h, c, w_ih, w_hh, b)):
        if tuple(x.shape) != shape:
            raise RuntimeError(
                f"lstm: {name} has shape {tuple(x.shape)}, expected {shape} for xs of {(T, B, I)}"
            )
        if x.dtype != xs.dtype:
            raise ValueError(f"lstm: {name} is {x.dtype}, xs is {xs.dtype}; convert one of them")
    if T == 0:
        raise RuntimeError("lstm: a sequence of length 0; expected at least one step")
    return LSTM(active=active, reverse=reverse)(xs, h, c, w_ih, w_hh, b)
