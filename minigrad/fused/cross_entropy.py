"""Softmax and cross-entropy in one op, from logits, so that no probability is ever rounded to zero
before its log.
"""

from __future__ import annotations

from .. import ops
from .base import Fused


class CrossEntropy(Fused):
    """Loss of each row: ln Σ eˣ - x[target], with label smoothing ε of Szegedy et al. 2016.

    x (N, V), target (N,) -> (N,); a row whose target is `ignore_index` has loss 0 and no gradient.
    With smoothing:  (1 - ε) (lse - x[target]) + ε (lse - mean x),
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
        xp, N = self.xp, len(x)
        self.ignored = target == self.ignore_index
        self.classes = xp.where(self.ignored, 0, target)
        # the logits are kept and two numbers a row, no softmax; the logarithm apart from the
        # maximum, which may be so large that the sum of both would lose it
        self.top = x.max(axis=1, keepdims=True)
        self.log_sum = xp.log(xp.exp(x - self.top).sum(axis=1, keepdims=True))
        top, log_sum = self.top[:, 0], self.log_sum[:, 0]
        loss = (log_sum - (x[xp.arange(N), self.classes] - top)) * (1 - self.smoothing)
        if self.smoothing:
            loss += (log_sum - (x.mean(axis=1) - top)) * self.smoothing
        xp.copyto(loss, 0, where=self.ignored)
        return loss

    def backward(self, g, _y, x, target):
        xp, (N, V) = self.xp, x.shape
        dx = x - self.top
        dx -= self.log_sum
        xp.exp(dx, out=dx)
        if self.smoothing:
            dx -= self.smoothing / V
        dx[xp.arange(N), self.classes] -= 1 - self.smoothing
        dx *= g[:, None]
        xp.copyto(dx, 0, where=self.ignored[:, None])
        return dx, None


def cross_entropy(x, target, ignore_index=-100, smoothing=0.0):
    """Losses (N,) of logits x (N, V) against class indices `target` (N,)."""
    return CrossEntropy(ignore_index=ignore_index, smoothing=smoothing)(x, target)
