"""Softmax and cross-entropy in one op, from logits, so that no probability is ever rounded to zero
before its log.
"""

from __future__ import annotations

from .. import ops
from .base import Fused


class CrossEntropy(Fused):
    """Loss of each row: ln Σ eˣ - x[target], with label smoothing ε of Szegedy et al. 2016.

    x (N, V) -> (N,); a row whose target is `ignore_index` has loss 0 and no gradient. With
    smoothing:  (1 - ε) (lse - x[target]) + ε (lse - mean x),  dx = softmax x - (1 - ε) onehot - ε /
    V
    """

    def prepare(self, xp, V):
        self.ignored = self.target == self.ignore_index
        return xp.where(self.ignored, 0, self.target)

    def compose(self, x):
        target = self.prepare(self.xp, x.shape[1])
        log_p = ops.log_softmax(x, 1)
        nll = -ops.gather(log_p, 1, target[:, None]).reshape(-1)
        loss = nll * (1 - self.smoothing) - log_p.mean(1) * self.smoothing
        return ops.masked_fill(loss, self.ignored, 0.0)

    def forward(self, x):
        xp, (N, V) = self.xp, x.shape
        target = self.prepare(xp, V)
        top = x.max(axis=1, keepdims=True)
        self.lse = (
            xp.log(xp.exp(x - top).sum(axis=1, keepdims=True)) + top
        )  # (N, 1); the logits are kept, no softmax
        rows = xp.arange(N)
        loss = (self.lse[:, 0] - x[rows, target]) * (1 - self.smoothing)
        if self.smoothing:
            loss += (self.lse[:, 0] - x.mean(axis=1)) * self.smoothing
        xp.copyto(loss, 0, where=self.ignored)
        return loss

    def backward(self, g, _y, x):
        xp, (N, V) = self.xp, x.shape
        dx = x - self.lse
        xp.exp(dx, out=dx)
        if self.smoothing:
            dx -= self.smoothing / V
        target = xp.where(self.ignored, 0, self.target)
        dx[xp.arange(N), target] -= 1 - self.smoothing
        dx *= g[:, None]
        xp.copyto(dx, 0, where=self.ignored[:, None])
        return dx


def cross_entropy(x, target, ignore_index=-100, smoothing=0.0):
    """Losses (N,) of logits x (N, V) against class indices `target` (N,), an array."""
    return CrossEntropy(target=target, ignore_index=ignore_index, smoothing=smoothing)(x)
