"""What the ops over whole sequences have in common: the loop over the steps, forward and back, and
what may happen to the state between two of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..backend import Backend, backend_for, backend_of
from ..op import raw
from ..ops.products import SMALL, THIN, weight_gradient
from ..tensor import wrap
from ..threads import get_num_threads
from .base import Fused

PIECE = 2**15  # numbers: the slopes of so many units fit the L2 cache together


class ActiveSteps:
    """Which steps of a padded batch are real: (T, B), bool, on the host, where it decides what has
    to be done, and on a device, where it is uploaded once for all layers and directions.
    """

    def __init__(self, host: np.ndarray):
        self.host = host
        self.full = host.all(axis=1).tolist()  # of each step
        self.placed: dict = {}

    def to(self, device: Any) -> ActiveSteps:
        """Itself, with what a layer on the device needs uploaded now."""
        self.on(backend_for(device))
        return self

    def on(self, backend: Backend) -> Any:
        found = self.placed.get(backend.device)
        if found is None:
            whole = all(self.full)
            found = backend.xp.ones(self.host.shape, bool) if whole else backend.upload(self.host)
            self.placed[backend.device] = found
        return found


class Recurrent(Fused):
    """One recurrent layer in one direction.

    - inputs: xs (T, B, I), the state, each part (B, size), then the weights: w_ih (., I),
      w_hh (., H), and the subclass's others
    - outputs: hs (T, B, H), the first part of the state after each step, and the last state
    - `reverse` runs from the last step to the first. Inputs and outputs are turned round at the
      border; in between there is one order, that of the steps
    - `active`, `ActiveSteps`, or what they are of, or None: where a step is not active the state
      stays as it was and the output is zero, so that both directions begin and end at real tokens
    - `truncate`: no gradient flows through the state from one window of so many active steps to the
      window before it (truncated backpropagation through time, Williams & Peng 1990)
    - `dropped` (B, H): factors of the hidden state where the recurrent product sees it, the same at
      every step (variational dropout, Gal & Ghahramani 2016)
    - `zoneout`: for each part of the state None, or a mask (T, B, size), true where the part keeps
      its old value, or, in evaluation, the mean of such a mask (Krueger et al. 2017)

    Inside, arrays are feature-major: gates × time × batch. The recurrent product `U @ h` with the
    batch last is 1.1 to 2 times faster in OpenBLAS than `h @ Uᵀ` (benchmarks/products.py), and
    each gate is one contiguous block.

    A subclass gives `cell`, one step in primitives, and the same by hand: `step` makes the new
    state of the product U h, `slopes` what a step's gradients are to be multiplied with, for
    several steps at once, and `step_back` the gradient of the product.
    """

    parts = 1
    active = truncate = dropped = None
    reverse = softsign = False
    zoneout: tuple = (None, None)

    def __init__(self, active=None, **options):
        super().__init__(**options)
        self.active = ActiveSteps(active) if type(active) is np.ndarray else active

    # the definition

    def cell(self, x, fed, *state_and_weights):
        """The state after one step, a tuple; `fed` is the hidden state as the products see it."""
        raise NotImplementedError

    def compose(self, xs, *inputs):
        state, weights = inputs[: self.parts], inputs[self.parts :]
        backend, T = backend_of(raw(xs)), len(xs)
        active = cuts = None
        if self.active is not None:
            active, cuts = self.active.on(backend), self.windows(self.active.host)
            xs = ops.where(active[:, :, None], xs, 0.0)  # NaN in the padding stays there
        hs = [None] * T
        for step in range(T):
            t = T - 1 - step if self.reverse else step
            if cuts is not None and cuts[step].any():
                cut = backend.upload(cuts[step][:, None])
                state = [ops.where(cut, wrap(raw(part)), part) for part in state]
            fed = state[0] if self.dropped is None else state[0] * self.dropped
            new = self.cell(xs[t], fed, *state, *weights)
            new = [self.zoned(z, t, old, n) for z, old, n in zip(self.zoneout, state, new)]
            hs[t] = new[0]
            if active is not None:
                on = active[t][:, None]
                new = [ops.where(on, after, before) for after, before in zip(new, state)]
                hs[t] = ops.where(on, hs[t], 0.0)
            state = new
        return ops.stack(hs), *state

    @staticmethod
    def zoned(zoneout, t, before, after):
        if zoneout is None:
            return after
        if isinstance(zoneout, float):
            return zoneout * before + (1 - zoneout) * after
        return ops.where(zoneout[t], before, after)

    def windows(self, active):
        """(T, B), in the order of the steps, true where a sentence's next window of `truncate`
        steps begins; None without.
        """
        if self.truncate is None:
            return None
        on = self.turned(active)
        before = on.cumsum(axis=0) - on
        return on & (before > 0) & (before % self.truncate == 0)

    # the same on arrays

    def forward(self, xs, *inputs):
        xp, (T, B, _), dtype = self.xp, xs.shape, xs.dtype
        state, (w_ih, w_hh, *more) = inputs[: self.parts], inputs[self.parts :]
        self.units, h = state[-1].shape[1], state[0]
        self.place(T, B)
        # a pass over the weights, to put them in order, pays where there are many columns: one step
        # of an LSTM with B = 8 and I = H = 200 takes 0.44 ms without it instead of 0.75
        self.kernels = self.kernels_for_it(dtype)
        self.thin = 2 * T * B <= xs.shape[2] + h.shape[1] and not self.kernels
        self.holds = self.mask is not None or any(z is not None for z in self.zoneout)
        w_ih, w_hh, b = self.forward_weights(w_ih, w_hh, *more)
        from_x = self.from_inputs(w_ih, b, xs)
        kept = T if self.recorded else 1  # training keeps every step, inference one
        self.gates = xp.empty((kept, self.blocks * self.units, B), dtype)
        self.states = states = xp.empty((T + 1, h.shape[1], B), dtype)
        self.fed = states if self.dropped is None else xp.empty((T, h.shape[1], B), dtype)
        self.scratch = xp.empty((self.units, B), dtype)
        states[0] = h.T
        rows, w_hh = len(w_hh), in_blocks(w_hh, B)
        self.prepare(kept, state[1:], *more)
        if self.kernels:
            products, launch = self.forward_kernel(from_x)
        for t in range(T):
            n = t % kept
            if self.dropped is not None:
                xp.multiply(states[t], self.dropped.T, out=self.fed[t])
            if self.kernels:
                xp.matmul(w_hh, self.fed[t], out=products[t % len(products)])
                launch(t)
                continue
            a = self.gates[n]
            if self.thin:
                a[:rows] = self.ordered((w_hh @ self.fed[t]).reshape(rows, B))
            else:
                xp.matmul(w_hh, self.fed[t], out=a[:rows].reshape(*w_hh.shape[:-1], B))
            self.step(t, n, a, from_x[:, t])
            if self.holds:
                self.hold(0, t, states[t], states[t + 1])
        return self.outputs(states[1:]), states[T].T.copy(), *self.last_others(T)

    def backward(self, gs, _ys, xs, *inputs):
        xp, (T, B, _), H, dtype = self.xp, xs.shape, self.units, xs.dtype
        w_ih, w_hh, *more = inputs[self.parts :]
        rows, G = len(w_hh), (self.gradient_blocks or self.blocks) * H
        g_hs, (dh, *d_others) = self.incoming(gs[0]), [g.T.copy() for g in gs[1:]]
        self.prepare_back(xs.shape, *more)
        # of a step, and of all: the product of a step is faster where its rows lie together
        d, da = xp.empty((G, B), dtype), xp.empty((G, T, B), dtype)
        of_h = d[:rows]
        w_back = in_blocks((w_hh if self.thin else self.ordered(w_hh)).T, B)
        back = dh.reshape(*w_back.shape[:-1], B)
        direct = held = passed = None
        if self.kernels:
            g_hs, passed = xp.ascontiguousarray(g_hs), xp.zeros((H, B), dtype)
            launch = self.backward_kernel(g_hs, dh, passed, d, da, *d_others)
        else:
            piece = max(1, min(T, PIECE // max(1, H * B)))
            slopes = xp.empty((piece, self.blocks + self.parts - 1, H, B), dtype)
        for t in range(T - 1, -1, -1):
            if self.kernels:
                launch(t)
            else:
                n = t % piece
                if n == piece - 1 or t == T - 1:
                    self.slopes(slice(t - n, t + 1), slopes[: n + 1])
                dh += g_hs[t]
                held = self.held(0, t, dh) if self.holds else None
                direct = self.step_back(t, slopes[n], d, dh, *d_others)
                da[:, t] = d
            xp.matmul(w_back, self.natural(of_h) if self.thin else of_h, out=back)
            if self.dropped is not None:
                dh *= self.dropped.T
            for more_of_it in (direct, held):
                if more_of_it is not None:
                    dh += more_of_it
            if self.truncate is not None:
                self.cut(t, dh, passed, *d_others)
        if passed is not None:  # the launches have added the others
            dh += passed
        da = da.reshape(G, T * B)
        d_xs, d_w_ih = self.input_gradients(self.x_side(da, G - len(w_ih)), xs, w_ih)
        d_w_hh = self.hidden_gradient(da[:rows])
        return d_xs, *[g.T for g in (dh, *d_others)], d_w_ih, d_w_hh, *self.other_gradients(da)

    # the same by kernels of a GPU: of a step, all that is not a product

    kernel = None  # the first word of their names in kernels/recurrent.cu

    def kernels_for_it(self, dtype):
        """Those of the device, where they know all options of the layer."""
        plain = not self.softsign and all(z is None for z in self.zoneout)
        return self.backend.kernels_of(dtype) if self.kernel and plain else None

    def ready(self, way, *arguments):
        """A launch, to be called with the number of a step."""
        T, (H, B), dtype = len(self.states) - 1, self.scratch.shape, self.scratch.dtype
        name = f"recurrent.{self.kernel}_{way}"
        return self.kernels.ready(name, dtype, H * B, H, B, T, *arguments, self.idle)

    def forward_kernel(self, from_x):
        """Where the products with h are to be put, step by step in turns, and the launch."""
        raise NotImplementedError

    def backward_kernel(self, g_hs, dh, passed, d, da, *d_others):
        raise NotImplementedError

    # what a subclass says of itself

    # The gates of a step are `blocks` of `units` rows each, the product with h the first of them;
    # of the rows of a step's gradient the first belong to the product with h, the last to that
    # with x.
    blocks = 1
    gradient_blocks = None  # as many as `blocks`

    def x_side(self, da, first):
        """The gradient of the products with x, (., TB)."""
        return da[first:]

    def forward_weights(self, w_ih, w_hh, b, *more):
        """What the products with x and h need; unless they are `thin`, with the rows of w_hh in
        the order of the gates.
        """
        return w_ih, w_hh, b

    def ordered(self, rows):
        """The rows of w_hh, or of a product with it, in the order of a step's gradients; `natural`
        is the way back.
        """
        return rows

    natural = ordered

    def prepare(self, kept, others, *weights):
        """Make room for what is kept beside the gates, for so many steps, from the parts of the
        first state beside h.
        """

    def last_others(self, T):
        """The parts of the last state, after T steps, beside h."""
        return ()

    def prepare_back(self, shape, *weights):
        """Make room for the gradients that are summed from step to step."""

    # the nonlinearities, in place

    def sigmoid_of_double(self, a):
        """σ(2a) = ½ tanh(a) + ½, safe at both ends."""
        self.xp.tanh(a, out=a)
        a *= 0.5
        a += 0.5

    def squash(self, a, out):
        """tanh, or softsign: a / (1 + |a|)."""
        if self.softsign:
            scratch = self.xp.absolute(a)
            scratch += 1
            self.xp.divide(a, scratch, out=out)
        else:
            self.xp.tanh(a, out=out)

    def squash_slope(self, y, out):
        """Its derivative, from its value."""
        xp = self.xp
        if self.softsign:
            xp.absolute(y, out=out)
            xp.subtract(1, out, out=out)
            out *= out
        else:
            xp.multiply(y, y, out=out)
            xp.subtract(1, out, out=out)

    # between two steps

    def turned(self, x):
        """An array with time first, from the order of time to that of the steps, or back."""
        return x[::-1] if self.reverse else x

    def place(self, T, B):
        """On the device and in the order of the steps: `mask`, the active steps, and `idle`, the
        columns that must not move, (T, B), None where all are active, and `cuts`, for each step
        those whose gradient ends, None for most steps.
        """
        self.mask, self.idle, self.cuts, self.full = None, None, [None] * T, None
        if self.active is None:
            return
        host, here = self.active.host, self.active.on(self.backend)
        self.full = self.turned(self.active.full)
        if not all(self.full):
            self.mask = self.turned(here)
            self.idle = ~self.mask
        if self.truncate is not None:
            some, cuts = self.windows(host).any(axis=1).tolist(), self.windows(here)
            self.cuts = [cuts[t] if any_ else None for t, any_ in enumerate(some)]

    def staying(self, part, t):
        """Where this part of the state keeps its old value at step t, or None, and the share that
        stays everywhere.
        """
        idle = None if self.idle is None or self.full[t] else self.idle[t]
        zoneout = self.zoneout[part]
        if zoneout is None or isinstance(zoneout, float):
            return idle, zoneout
        kept = self.turned(zoneout)[t].T
        return (kept if idle is None else kept | idle), None

    def hold(self, part, t, before, after):
        where, share = self.staying(part, t)
        if share is not None:
            after *= 1 - share
            after += share * before
        if where is not None:
            self.xp.copyto(after, before, where=where)

    def held(self, part, t, d):
        """From the gradient of a part after the step, d, to that of the part before `hold`, in
        place; returns what passes straight to the step before, or None.
        """
        xp, (where, share) = self.xp, self.staying(part, t)
        passed = None
        if where is not None:
            passed = xp.where(where, d, 0)
            xp.copyto(d, 0, where=where)
        if share is not None:
            passed = share * d if passed is None else passed + share * d
            d *= 1 - share
        return passed

    def cut(self, t, *d_state):
        if self.cuts[t] is not None:
            for d in [d for d in d_state if d is not None]:
                self.xp.copyto(d, 0, where=self.cuts[t])

    # all steps at once

    def rows(self, xs):
        """The inputs of all steps, (TB, I), with zeros where nothing is active: 0 × NaN of a padded
        row would spoil the weight gradients.
        """
        T, B, I = xs.shape
        xs = self.turned(xs)
        if self.mask is not None:
            xs = self.xp.where(self.mask[:, :, None], xs, 0)
        return xs.reshape(T * B, I)

    def from_inputs(self, w_ih, b, xs):
        """The inputs' part of the gates of all steps in one product, (., T, B)."""
        y = w_ih @ self.rows(xs).T
        y += b[:, None]
        return y.reshape(len(w_ih), *xs.shape[:2])

    def outputs(self, states):
        """hs (T, B, H) from the state after each step, (T, H, B)."""
        hs = self.turned(states).transpose(0, 2, 1).copy()  # never a view, even of sizes of 1
        if self.mask is not None:
            self.xp.copyto(hs, 0, where=~self.turned(self.mask)[:, :, None])
        return hs

    def incoming(self, g_hs):
        """The outputs' gradient, for each step (T, H, B), zero where nothing is active."""
        g = self.turned(g_hs).transpose(0, 2, 1)
        return g if self.mask is None else self.xp.where(self.mask[:, None, :], g, 0)

    def input_gradients(self, da, xs, w_ih):
        """Those of xs and of w_ih, from that of the products with x, (., TB)."""
        d_xs = d_w = None
        if self.needs[0]:
            d_xs = self.turned((da.T @ w_ih).reshape(xs.shape))
        if self.needs[self.parts + 1]:
            d_w = weight_gradient(da, self.rows(xs))
        return d_xs if d_xs is None else self.xp.ascontiguousarray(d_xs), d_w

    def hidden_gradient(self, da):
        """That of w_hh, from that of the products with h, (., TB): step t began with fed[t]."""
        if not self.needs[self.parts + 2]:
            return None
        T = len(self.states) - 1
        fed = self.fed[:T].transpose(0, 2, 1).reshape(da.shape[1], -1)
        if da.shape[1] <= THIN:  # not multiplied yet: its few columns are reordered instead
            return weight_gradient(self.natural(da), fed)
        return self.natural(da @ fed)


def in_blocks(w, columns):
    """w (m, k), for products with (k, columns): on one thread as blocks of rows, (n, m / n, k).

    Where the processor has AVX-512, OpenBLAS has kernels of their own for up to 10⁶
    multiplications: (512, 128) · (128, 64) takes 44 µs in 8 blocks instead of 69, (1024, 256) ·
    (256, 20) 86 instead of 113. Blocks of fewer than 64 rows lose that again.
    """
    m, k = w.shape
    if m * k * columns > SMALL and type(w) is np.ndarray and get_num_threads() == 1:
        for n in range(2, m // 64 + 1):
            if m % n == 0 and m // n * k * columns <= SMALL:
                return w.reshape(n, m // n, k)
    return w


def check(name: str, xs, expected: dict, given: tuple) -> None:
    """RuntimeError for shapes that do not fit, ValueError for different dtypes."""
    for (what, shape), x in zip(expected.items(), given):
        if tuple(x.shape) != shape:
            raise RuntimeError(
                f"{name}: {what} has shape {tuple(x.shape)}, expected {shape} "
                f"for xs of {tuple(xs.shape)}"
            )
        if x.dtype != xs.dtype:
            raise ValueError(f"{name}: {what} is {x.dtype}, xs is {xs.dtype}; convert one of them")
    if not xs.shape[0]:
        raise RuntimeError(f"{name}: a sequence of length 0; expected at least one step")
