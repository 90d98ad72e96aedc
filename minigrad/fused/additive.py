"""The scores of additive attention, without the many passes over (B, T, S, H) numbers."""

from __future__ import annotations

from .. import ops
from ..backend import CPU
from ..ops.indexing import PIECE
from .base import Fused


class AdditiveScores(Fused):
    """y[b, t, s] = v·tanh(q[b, t] + k[b, s]): q (B, T, H), k (B, S, H), v (H,) -> (B, T, S).

    With u = (1 - tanh²) v g:  dq = Σₛ u,  dk = Σₜ u,  dv = Σ g tanh. On the CPU it goes through a
    few sentences at a time, which stay in the cache from one pass to the next.
    """

    def compose(self, q, k, v):
        return (ops.unsqueeze(q, 2) + ops.unsqueeze(k, 1)).tanh() @ v

    def pieces(self, B, T, S, H):
        at_once = max(1, PIECE // max(1, T * S * H)) if self.backend is CPU else max(1, B)
        return [slice(i, min(B, i + at_once)) for i in range(0, B, at_once)]

    def forward(self, q, k, v):
        xp, (B, T, H), S = self.xp, q.shape, k.shape[1]
        y = xp.empty((B, T, S), q.dtype)
        parts = self.pieces(B, T, S, H)
        kept = B if self.recorded else max([part.stop - part.start for part in parts], default=0)
        self.squashed = xp.empty((kept, T, S, H), q.dtype)
        for part in parts:
            x = self.squashed[part if self.recorded else slice(part.stop - part.start)]
            xp.add(q[part][:, :, None], k[part][:, None], out=x)
            xp.tanh(x, out=x)
            xp.matmul(x.reshape(-1, H), v, out=y[part].reshape(-1))  # one product, not B · T
        if not self.recorded:
            self.squashed = None
        return y

    def backward(self, g, _y, q, k, v):
        xp, (B, T, H), S = self.xp, q.shape, k.shape[1]
        dq, dk, dv = xp.empty(q.shape, q.dtype), xp.empty(k.shape, k.dtype), xp.zeros_like(v)
        for part in self.pieces(B, T, S, H):
            x, weight = self.squashed[part], g[part]
            dv += weight.reshape(-1) @ x.reshape(-1, H)
            u = x * x
            xp.subtract(1, u, out=u)
            u *= v
            u *= weight[..., None]
            u.sum(axis=2, out=dq[part])
            u.sum(axis=1, out=dk[part])
        return dq, dk, dv


def additive_scores(queries, keys, v):
    """v·tanh(q + k) of every query and key of a sentence, the scores of additive attention
    (Bahdanau et al. 2015): queries (B, T, H), keys (B, S, H), v (H,) -> (B, T, S).

    Raises RuntimeError for shapes or dtypes that do not fit.
    """
    shapes = [tuple(x.shape) for x in (queries, keys, v)]
    fits = [len(shape) for shape in shapes] == [3, 3, 1]
    fits = fits and shapes[0][0] == shapes[1][0] and shapes[0][2] == shapes[1][2] == shapes[2][0]
    if not fits or not queries.dtype == keys.dtype == v.dtype:
        raise RuntimeError(
            f"additive_scores: got shapes {shapes[0]}, {shapes[1]}, {shapes[2]} of "
            f"{queries.dtype}, {keys.dtype}, {v.dtype}, expected (B, T, H), (B, S, H), (H,) of one"
        )
    return AdditiveScores()(queries, keys, v)
