"""The LSTM over a whole sequence as one op."""

from __future__ import annotations

from .. import ops
from .cells import lstm_step
from .recurrent import Recurrent, check

EPS = 1e-5  # of layer normalisation


class LSTM(Recurrent):
    """Hidden states of a sequence, and the last hidden and cell state (Hochreiter & Schmidhuber
    1997, with the forget gate of Gers et al. 2000).

    - inputs: xs (T, B, I), h (B, H), c (B, H), w_ih (4H, I), w_hh (4H, H), b (4H); the gates are in
      the order i, f, g, o
    - with `projected` there is a further input w_hr (P, H): the hidden state is projected to P
      numbers (Sak et al. 2014); then h is (B, P) and w_hh (4H, P)
    - with `peephole` there is a further input w_ch (3H): the gates i and f see the cell before the
      step, o the cell after it (Gers & Schmidhuber 2000)
    - `softsign` in place of tanh
    - outputs: hs (T, B, H), h (B, H), c (B, H)
    """

    parts, blocks = 2, 4
    projected = peephole = False

    def folded(self, w):
        """i, f, o halved: σ(a) = ½ tanh(½ a) + ½, so the halving costs one pass over the weights
        instead of one over the gates of every step. Few columns are halved themselves.
        """
        H, out = self.units, self.xp.multiply(w, 0.5)
        out[2 * H : 3 * H] = w[2 * H : 3 * H]
        return out

    def forward_weights(self, w_ih, w_hh, b, *more):
        self.halve = self.thin
        as_they_are = self.thin or self.kernels
        return (w_ih, w_hh, b) if as_they_are else tuple(map(self.folded, (w_ih, w_hh, b)))

    @property
    def kernel(self):
        return None if self.projected or self.peephole else "lstm"

    def options(self, more):
        """w_hr and w_ch, or None."""
        more = list(more)
        return more.pop(0) if self.projected else None, more.pop() if self.peephole else None

    def cell(self, x, fed, h, c, w_ih, w_hh, b, *more):
        w_hr, w_ch = self.options(more)
        a = x @ w_ih.T + fed @ w_hh.T + b
        h, c = lstm_step(a, c, w_ch, self.softsign)
        return (h if w_hr is None else h @ w_hr.T), c

    def prepare(self, kept, others, _b, *more):
        xp, (c,), (H, B) = self.xp, others, self.scratch.shape
        self.w_hr, w_ch = self.options(more)
        self.cells = xp.empty((kept + 1, H, B), c.dtype)
        self.squashed = xp.empty((kept, H, B), c.dtype)
        self.cells[0] = c.T
        if self.peephole:
            self.w_ch = w_ch.reshape(3, H, 1)
            self.half_w_ch = 0.5 * self.w_ch

    def last_others(self, T):
        return (self.cells[T % len(self.cells)].T.copy(),)

    def step(self, t, n, a, from_x):
        xp, H, scratch = self.xp, self.units, self.scratch
        i, f, g, o = (a[k * H : (k + 1) * H] for k in range(4))
        before, after = self.cells[t % len(self.cells)], self.cells[(t + 1) % len(self.cells)]
        squashed = self.squashed[n]
        a += from_x
        if self.halve:
            a[: 2 * H] *= 0.5
            o *= 0.5
        if self.peephole:
            i += self.half_w_ch[0] * before
            f += self.half_w_ch[1] * before
        self.sigmoid_of_double(a[: 2 * H])
        self.squash(g, out=g)
        xp.multiply(f, before, out=after)
        xp.multiply(i, g, out=scratch)
        after += scratch
        self.squash(self.seen(n, after), out=squashed)
        if self.peephole:
            o += self.half_w_ch[2] * after
        self.sigmoid_of_double(o)
        xp.multiply(o, squashed, out=scratch if self.projected else self.states[t + 1])
        if self.projected:
            xp.matmul(self.w_hr, scratch, out=self.states[t + 1])
        if self.holds:
            self.hold(1, t, before, after)

    def forward_kernel(self, from_x):
        kept = len(self.gates), self.gates, from_x, self.cells, self.squashed, self.states
        return self.gates, self.ready("forward", *kept)

    def backward_kernel(self, g_hs, dh, passed, d, da, dc):
        kept = self.gates, self.cells, self.squashed
        return self.ready("backward", *kept, g_hs, dh, passed, d, da, dc)

    def seen(self, n, c):
        """The cell as the output gate lets it out."""
        return c

    def seen_back(self, t, g):
        return g

    def slopes(self, steps, out):
        """i, f, g to be multiplied by dc, o by dh; the last, by dh, gives what flows into c."""
        xp, H = self.xp, self.units
        a = self.gates[steps]
        i, f, g, o = (a[:, k * H : (k + 1) * H] for k in range(4))
        s_i, s_f, s_g, s_o, s_c = (out[:, k] for k in range(5))
        for gate, slope, partner in (
            (i, s_i, g),
            (f, s_f, self.cells[:-1][steps]),
            (o, s_o, self.squashed[steps]),
        ):
            xp.subtract(1, gate, out=slope)
            slope *= gate
            slope *= partner
        for value, slope, gate in ((g, s_g, i), (self.squashed[steps], s_c, o)):
            self.squash_slope(value, out=slope)
            slope *= gate

    def prepare_back(self, shape, b, *more):
        T, B, _ = shape
        if self.projected:
            self.d_projected = self.xp.empty((len(self.w_hr), T, B), b.dtype)
        if self.peephole:
            self.d_w_ch = self.xp.zeros((3, self.units, B), b.dtype)

    def step_back(self, t, slopes, d, dh, dc):
        xp, H, scratch = self.xp, self.units, self.scratch
        f, before = self.gates[t, H : 2 * H], self.cells[t]
        d = d.reshape(4, H, -1)
        if self.projected:
            self.d_projected[:, t] = dh
            dh = self.w_hr.T @ dh
        passed = self.held(1, t, dc) if self.holds else None
        dc += self.seen_back(t, xp.multiply(slopes[4], dh, out=scratch))
        xp.multiply(slopes[3], dh, out=d[3])
        if self.peephole:
            i, g = self.gates[t, :H], self.gates[t, 2 * H : 3 * H]
            self.d_w_ch[2] += d[3] * (f * before + i * g)
            dc += self.w_ch[2] * d[3]
        xp.multiply(slopes[:3], dc, out=d[:3])
        dc *= f
        if self.peephole:
            self.d_w_ch[:2] += d[:2] * before
            dc += self.w_ch[0] * d[0]
            dc += self.w_ch[1] * d[1]
        if passed is not None:
            dc += passed

    def other_gradients(self, da):
        """Those of b, w_hr and w_ch."""
        grads = [da.sum(axis=1)]
        if self.projected:
            o = self.gates[:, 3 * self.units :]
            unprojected = (o * self.squashed).transpose(0, 2, 1).reshape(da.shape[1], -1)
            grads.append(self.d_projected.reshape(-1, da.shape[1]) @ unprojected)
        if self.peephole:
            grads.append(self.d_w_ch.sum(axis=2).reshape(-1))
        return grads


def standardised(x, xp):
    """x (n, ...) with mean 0 and variance 1 along its first axis, in place; returns what it was
    divided by, inverted.
    """
    x -= x.mean(axis=0)
    scale = xp.square(x).mean(axis=0)
    scale += EPS
    xp.sqrt(scale, out=scale)
    xp.divide(1, scale, out=scale)
    x *= scale
    return scale


def standardised_back(d, y, scale):
    """The gradient d of y = standardised(x) becomes that of x, in place."""
    d -= d.mean(axis=0) + y * (d * y).mean(axis=0)
    d *= scale


class NormLSTM(LSTM):
    """The LSTM with layer normalisation (Ba et al. 2016): what comes from x, what comes from h, and
    the cell on its way out each have mean 0 and variance 1 over the units before gains and biases.

    Four further, last inputs: the gains of W x and U h, (4H) each, gain and bias of the cell, (H).
    Rows of a step's gradient: that of U h, then that of the gates.
    """

    gradient_blocks = 8
    kernel = None

    def cell(self, x, fed, h, c, w_ih, w_hh, b, *more):
        *more, n_ih, n_hh, n_c, b_c = more
        w_hr, w_ch = self.options(more)

        def norm(x):
            x = x - x.mean(1, keepdim=True)
            return x / ops.sqrt((x * x).mean(1, keepdim=True) + EPS)

        a = norm(x @ w_ih.T) * n_ih + norm(fed @ w_hh.T) * n_hh + b
        h, c = lstm_step(a, c, w_ch, self.softsign, lambda c: norm(c) * n_c + b_c)
        return (h if w_hr is None else h @ w_hr.T), c

    def forward_weights(self, w_ih, w_hh, b, *more):
        n_ih, n_hh, n_c, b_c = more[-4:]
        self.halve = False
        self.gains = [n[:, None] for n in (n_ih, n_hh, n_c)]
        self.half_gains = [self.folded(n)[:, None] for n in (n_ih, n_hh)]
        self.b_c = b_c[:, None]
        return w_ih, w_hh, self.folded(b)

    def from_inputs(self, w_ih, b, xs):
        y = w_ih @ self.rows(xs).T
        self.scale_x, self.normed_x = standardised(y, self.xp), y
        y = y * self.half_gains[0]
        y += b[:, None]
        return y.reshape(len(w_ih), *xs.shape[:2])

    def prepare(self, kept, others, b, *more):
        super().prepare(kept, others, b, *more[:-4])
        (H, B), dtype = self.scratch.shape, self.scratch.dtype
        self.normed_h = self.xp.empty((kept, 4 * H, B), dtype)
        self.normed_c = self.xp.empty((kept, H, B), dtype)
        self.scale_h, self.scale_c = (self.xp.empty((kept, B), dtype) for _ in range(2))

    def step(self, t, n, a, from_x):
        self.scale_h[n] = standardised(a, self.xp)
        self.normed_h[n] = a
        a *= self.half_gains[1]
        super().step(t, n, a, from_x)

    def seen(self, n, c):
        y = self.normed_c[n]
        y[...] = c
        self.scale_c[n] = standardised(y, self.xp)
        return y * self.gains[2] + self.b_c

    def seen_back(self, t, g):
        y = self.normed_c[t]
        self.d_b_c += g
        self.d_n_c += g * y
        g = g * self.gains[2]
        standardised_back(g, y, self.scale_c[t])
        return g

    def prepare_back(self, shape, b, *more):
        super().prepare_back(shape, b, *more[:-4])
        H, B = self.scratch.shape
        self.d_n_hh = self.xp.zeros((4 * H, B), b.dtype)
        self.d_n_c, self.d_b_c = self.xp.zeros((2, H, B), b.dtype)

    def step_back(self, t, slopes, d, dh, dc):
        from_h, gates, y = d[: len(d) // 2], d[len(d) // 2 :], self.normed_h[t]
        super().step_back(t, slopes, gates, dh, dc)
        self.d_n_hh += gates * y
        self.xp.multiply(gates, self.gains[1], out=from_h)
        standardised_back(from_h, y, self.scale_h[t])

    def x_side(self, da, rows):
        da = da[rows:]
        self.d_n_ih = (da * self.normed_x).sum(axis=1)
        da = da * self.gains[0]
        standardised_back(da, self.normed_x, self.scale_x)
        return da

    def other_gradients(self, da):
        norms = self.d_n_hh.sum(axis=1), self.d_n_c.sum(axis=1), self.d_b_c.sum(axis=1)
        return [*super().other_gradients(da[len(da) // 2 :]), self.d_n_ih, *norms]


def lstm(xs, h, c, w_ih, w_hh, b, w_hr=None, w_ch=None, norms=None, **options):
    """One layer in one direction: see `LSTM` and, with the four `norms`, `NormLSTM` for the shapes,
    and `Recurrent` for the options. Raises RuntimeError for shapes that do not fit and ValueError
    for different dtypes.
    """
    (_, B, I), P = xs.shape, h.shape[1]
    H = P if w_hr is None else w_hr.shape[1]
    expected = {"h": (B, P), "c": (B, H), "w_ih": (4 * H, I), "w_hh": (4 * H, P), "b": (4 * H,)}
    inputs = [h, c, w_ih, w_hh, b]
    for name, weight, shape in (("w_hr", w_hr, (P, H)), ("w_ch", w_ch, (3 * H,))):
        if weight is not None:
            expected[name] = shape
            inputs.append(weight)
    if norms is not None:
        shapes = {"n_ih": (4 * H,), "n_hh": (4 * H,), "n_c": (H,), "b_c": (H,)}
        expected |= shapes
        inputs += norms
    check("lstm", xs, expected, inputs)
    options |= {"projected": w_hr is not None, "peephole": w_ch is not None}
    return (LSTM if norms is None else NormLSTM)(**options)(xs, *inputs)
