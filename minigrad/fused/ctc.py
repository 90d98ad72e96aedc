"""Connectionist temporal classification as one op: the forward-backward algorithm in logarithms."""

from __future__ import annotations

import math

from .. import ops
from ..backend import module_of
from ..op import raw
from .base import Fused

NEVER = -1e30  # the logarithm of no probability; finite, so that differences of two are no NaN


class CTC(Fused):
    """Losses (N,) of log-probabilities x (T, N, C) for labels (N, S), both with lengths (N,)
    (Graves et al. 2006).

    α[t, s] = ln Σ e^(α[t - 1, s], α[t - 1, s - 1], α[t - 1, s - 2]) + x[t, label s], over the
    labels with a blank before, between and after them; s - 2 only where it skips a blank between
    different labels
    """

    def compose(self, x, labels, input_lengths, target_lengths):
        T, N = x.shape[:2]
        self.prepare(raw(x), *[raw(a) for a in (labels, input_lengths, target_lengths)])
        never = self.xp.full((N, 2), NEVER, raw(x).dtype)
        alpha = None
        for t in range(T):
            p = ops.gather(x[t], 1, self.states)  # (N, L)
            if alpha is None:
                alpha = ops.where(self.first, p, NEVER)
                continue
            before = ops.cat([never, alpha], 1)
            skipped = ops.where(self.skips, before[:, :-2], NEVER)
            new = p + ops.logsumexp(ops.stack([alpha, before[:, 1:-1], skipped]), 0)
            alpha = ops.where((t < self.input_lengths)[:, None], new, alpha)
        total = ops.logsumexp(ops.where(self.last, alpha, NEVER), 1)
        loss = ops.where(raw(total) < NEVER / 2, math.inf, -total)
        return ops.where(self.input_lengths == 0, self.of_nothing(raw(x).dtype), loss)

    def prepare(self, x, labels, input_lengths, target_lengths):
        """The states between blanks, and which are first, last, and reached by skipping a blank."""
        self.xp = xp = module_of(x)
        N, S = labels.shape
        self.states = xp.full((N, 2 * S + 1), self.blank, labels.dtype)
        self.states[:, 1::2] = labels
        place = xp.arange(2 * S + 1)
        self.first = place < 2
        ends = 2 * target_lengths[:, None]
        self.last = (place == ends) | (place == ends - 1)
        self.skips = self.states != self.blank
        self.skips[:, 2:] &= self.states[:, 2:] != self.states[:, :-2]
        self.skips[:, :2] = False
        self.input_lengths, self.target_lengths = input_lengths, target_lengths

    def of_nothing(self, dtype):
        """The loss where the input has no step."""
        return self.xp.where(self.target_lengths == 0, 0, math.inf).astype(dtype)

    def forward(self, x, labels, input_lengths, target_lengths):
        self.prepare(x, labels, input_lengths, target_lengths)
        xp, (T, N), L = self.xp, x.shape[:2], self.states.shape[1]
        self.p = xp.take_along_axis(x, xp.broadcast_to(self.states, (T, N, L)), axis=2)
        self.alphas = xp.full((T + 1, N, L + 2), NEVER, x.dtype)  # two states before the first
        end = alpha = xp.full((N, L), NEVER, x.dtype)
        for t in range(T):
            if t == 0:
                alpha = xp.where(self.first, self.p[0], NEVER)
            else:
                before = self.alphas[t - 1]
                skipped = xp.where(self.skips, before[:, :-2], NEVER)
                alpha = self.p[t] + self.log_sum(alpha, before[:, 1:-1], skipped)
            self.alphas[t, :, 2:] = alpha
            end = xp.where((t == self.input_lengths - 1)[:, None], alpha, end)
        total = xp.where(self.last, end, NEVER)
        top = total.max(axis=1, keepdims=True)
        self.total = top + xp.log(xp.exp(total - top).sum(axis=1, keepdims=True))  # (N, 1)
        loss = xp.where(self.total[:, 0] < NEVER / 2, math.inf, -self.total[:, 0]).astype(x.dtype)
        return xp.where(self.input_lengths == 0, self.of_nothing(x.dtype), loss)

    def log_sum(self, *terms):
        xp = self.xp
        top = xp.maximum(xp.maximum(terms[0], terms[1]), terms[2])
        return top + xp.log(sum(xp.exp(term - top) for term in terms))

    def backward(self, g, _y, x, labels, input_lengths, target_lengths):
        """-g times the probability of each state at each step, given the target."""
        xp, (T, N), L = self.xp, x.shape[:2], self.states.shape[1]
        after = xp.full((N, L + 2), NEVER, x.dtype)  # two states behind the last
        skips = xp.concatenate([self.skips[:, 2:], xp.zeros((N, 2), bool)[:, : min(L, 2)]], axis=1)
        possible = self.total > NEVER / 2
        dx = xp.zeros_like(x)
        rows = xp.arange(N)[:, None]
        for t in range(T - 1, -1, -1):
            # ln of the probability of all that follows state s at step t
            beta = self.log_sum(after[:, :-2], after[:, 1:-1], xp.where(skips, after[:, 2:], NEVER))
            is_end = (t == self.input_lengths - 1)[:, None]
            beta = xp.where(is_end, xp.where(self.last, 0, NEVER), beta)
            beta = xp.where((t < self.input_lengths)[:, None], beta, NEVER)
            weight = xp.exp(xp.minimum(self.alphas[t, :, 2:] + beta - self.total, 0))
            weight = xp.where(possible, weight, 0) * -g[:, None]
            self.backend.add_at(dx[t], (rows, self.states), weight.astype(x.dtype))
            after[:, :L] = beta + self.p[t]
        return dx, None, None, None


def ctc_loss(x, labels, input_lengths, target_lengths, blank=0):
    """Losses (N,) of log-probabilities x (T, N, C): see `CTC`."""
    return CTC(blank=blank)(x, labels, input_lengths, target_lengths)
