"""Softmax and cross-entropy in one op, from logits, so that no probability is ever rounded to zero
before its log.
"""

from __future__ import annotations

from .. import ops
from ..backend import CPU
from ..ops.indexing import PIECE
from ..ops.reduce import wide
from .base import Fused


class CrossEntropy(Fused):
    """Loss of each row: ln Σ eˣ - x[target], with label smoothing ε of Szegedy et al. 2016.

    x (N, V), target (N,) -> (N,); a row whose target is `ignore_index` has loss 0 and no gradient,
    and on the CPU costs nothing. With smoothing:  (1 - ε) (lse - x[target]) + ε (lse - mean x),
    dx = softmax x - (1 - ε) onehot - ε / V
    """

    def compose(self, x, target):
        ignored = target == self.ignore_index
        # whatever stands in an ignored row stays there
        x = ops.where(ignored.reshape(-1, 1), 0.0, x)
        log_p = ops.log_softmax(x, 1)
        classes = ops.where(ignored, 0, target).reshape(-1, 1)
        nll = -ops.gather(log_p, 1, classes).reshape(-1)
        loss = nll * (1 - self.smoothing) - log_p.mean(1) * self.smoothing
        return ops.masked_fill(loss, ignored, 0.0)

    def forward(self, x, target):
        xp = self.xp
        self.ignored = target == self.ignore_index
        self.classes = xp.where(self.ignored, 0, target)
        loss, self.exponentials = self.pass_over(x, keep=self.recorded)
        xp.copyto(loss, 0, where=self.ignored)
        return loss.astype(x.dtype, copy=False)

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
            own = part[numbers[: len(part)], self.classes[rows]]
            if self.smoothing:
                own = own * (1 - self.smoothing) + part @ ones * (self.smoothing / V)
            xp.exp(part, out=part)
            total = part @ ones  # sums of rows, by BLAS
            self.sums[rows], loss[rows] = total, xp.log(total) - own
            if keep:
                exponentials[rows] = part
        return loss, exponentials

    def backward(self, g, _y, x, target):
        # they become the gradient; another walk over a graph that was kept computes them again
        dx, self.exponentials = self.exponentials, None
        if dx is None:
            dx = self.pass_over(x, keep=True)[1]
        xp, (N, V) = self.xp, x.shape
        dx[self.ignored] = 0
        g = xp.where(self.ignored, 0, g)
        scale, spread = (g / self.sums)[:, None], (g * (self.smoothing / V))[:, None]
        at_once = max(1, PIECE // V) if self.backend is CPU else N
        for i in range(0, N, at_once):
            part = dx[i : i + at_once]
            part *= scale[i : i + at_once]
            if self.smoothing:
                part -= spread[i : i + at_once]
        dx[xp.arange(N), self.classes] -= g * (1 - self.smoothing)
        return dx, None


def cross_entropy(x, target, ignore_index=-100, smoothing=0.0):
    """Losses (N,) of logits x (N, V) against class indices `target` (N,)."""
    return CrossEntropy(ignore_index=ignore_index, smoothing=smoothing)(x, target)
