"""Softmax and cross-entropy in one op, from logits, so that no probability is ever rounded to zero
before its log.
"""

from __future__ import annotations

from .. import ops
from ..backend import CPU
from ..kernels import Long
from ..ops.indexing import PIECE
from ..ops.reduce import wide
from .base import Fused


class CrossEntropy(Fused):
    """Loss of each row: ln Σ eˣ - x[target], with label smoothing ε of Szegedy et al. 2016.

    x (N, V), target (N,) -> (N,); a row whose target is `ignore_index` has loss 0 and no gradient,
    and on the CPU costs nothing. With smoothing, and weights w (V,) of the classes, a third input,
    1 without:  (1 - ε) w[target] (lse - x[target]) + ε / V Σ w (lse - x),
    dx = a softmax x - (1 - ε) w[target] onehot - ε / V w  with  a = (1 - ε) w[target] + ε / V Σ w
    """

    def compose(self, x, target, *weight):
        ignored = target == self.ignore_index
        # whatever stands in an ignored row stays there
        x = ops.where(ignored.reshape(-1, 1), 0.0, x)
        log_p = ops.log_softmax(x, 1)
        classes = ops.where(ignored, 0, target).reshape(-1, 1)
        nll = -ops.gather(log_p, 1, classes).reshape(-1)
        for w in weight:
            nll, log_p = nll * w[classes.reshape(-1)], log_p * w
        loss = nll * (1 - self.smoothing) - log_p.mean(1) * self.smoothing
        return ops.masked_fill(loss, ignored, 0.0)

    def forward(self, x, target, *weight):
        xp = self.xp
        self.ignored = target == self.ignore_index
        self.classes = xp.where(self.ignored, 0, target)
        N, V = x.shape
        w = wide(weight[0] if weight else xp.ones(V, x.dtype))
        self.spread, self.own = w * (self.smoothing / V), w[self.classes] * (1 - self.smoothing)
        self.share = self.own + self.spread.sum()
        if kernels := self.backend.kernels_of(x.dtype):
            return self.launch(kernels, x)
        loss, self.exponentials = self.pass_over(x, keep=self.recorded)
        xp.copyto(loss, 0, where=self.ignored)
        return loss.astype(x.dtype, copy=False)

    def kernel_inputs(self, x):
        """The first arguments of both kernels."""
        spread = self.spread if self.smoothing else None
        classes = self.classes.astype(Long, copy=False)
        inputs = self.xp.ascontiguousarray(x), classes, self.ignored
        return Long(len(x)), x.shape[1], *inputs, self.own, self.share, spread

    def launch(self, kernels, x):
        N = len(x)
        loss, self.top, self.sums = (self.xp.empty(N, x.dtype) for _ in range(3))
        to = loss, self.top, self.sums
        kernels.rows("cross_entropy.cross_entropy_forward", x.dtype, N, *self.kernel_inputs(x), *to)
        return loss

    def launch_back(self, kernels, g, x):
        dx = self.xp.empty(x.shape, x.dtype)
        rest = self.top, self.sums, self.xp.ascontiguousarray(g), dx
        name = "cross_entropy.cross_entropy_backward"
        kernels.rows(name, x.dtype, len(x), *self.kernel_inputs(x), *rest)
        return dx

    def pass_over(self, x, keep):
        """The losses, and with `keep` e^(x - maximum), the only array as large as x; the sums of
        its rows are put aside.
        """
        xp, (N, V) = self.xp, x.shape
        kind = wide(x[:0]).dtype
        kept, at_once = None, N
        if self.backend is CPU:
            at_once = max(1, PIECE // V)
            kept = xp.flatnonzero(~self.ignored) if self.ignored.any() else None
        rows_of_all = N if kept is None else len(kept)
        # the logarithm apart from the maximum, which may be so large that the sum of both loses it
        loss, self.sums = xp.zeros(N, kind), xp.ones(N, kind)
        ones, numbers = xp.ones(V, kind), xp.arange(at_once)
        exponentials = xp.empty((N, V), kind) if keep else None
        for i in range(0, rows_of_all, at_once):
            rows = slice(i, i + at_once) if kept is None else kept[i : i + at_once]
            part = wide(x[rows])
            part = part - part.max(axis=1, keepdims=True)
            own = part[numbers[: len(part)], self.classes[rows]] * self.own[rows]
            if self.smoothing:
                own += part @ self.spread
            xp.exp(part, out=part)
            total = part @ ones  # sums of rows, by BLAS
            self.sums[rows], loss[rows] = total, xp.log(total) * self.share[rows] - own
            if keep:
                exponentials[rows] = part
        return loss, exponentials

    def backward(self, g, _y, x, target, *weight):
        if kernels := self.backend.kernels_of(x.dtype):
            return self.launch_back(kernels, g, x), None, *[None] * len(weight)
        # they become the gradient; another walk over a graph that was kept computes them again
        dx, self.exponentials = self.exponentials, None
        if dx is None:
            dx = self.pass_over(x, keep=True)[1]
        xp, (N, V) = self.xp, x.shape
        if self.backend is CPU:
            dx[self.ignored] = 0
        else:  # nobody waits to know how many they are
            xp.copyto(dx, 0, where=self.ignored[:, None])
        g = xp.where(self.ignored, 0, g)
        # a row that is ignored may hold NaN, and so may its sum
        scale = xp.where(self.ignored, 0, g * self.share / self.sums)[:, None]
        column = g[:, None]
        at_once = max(1, PIECE // V) if self.backend is CPU else N
        for i in range(0, N, at_once):
            part = dx[i : i + at_once]
            part *= scale[i : i + at_once]
            if self.smoothing:
                part -= column[i : i + at_once] * self.spread
        dx[xp.arange(N), self.classes] -= g * self.own
        return dx, None, *[None] * len(weight)


def cross_entropy(x, target, ignore_index=-100, smoothing=0.0, weight=None):
    """Losses (N,) of logits x (N, V) against class indices `target` (N,), weighted by class.

    Raises RuntimeError for a weight that requires a gradient.
    """
    if weight is not None and weight.requires_grad:
        raise RuntimeError("cross_entropy has no gradient for weight: pass weight.detach()")
    inputs = (x, target) if weight is None else (x, target, weight)
    return CrossEntropy(ignore_index=ignore_index, smoothing=smoothing)(*inputs)
