"""Rows of a table by number."""

from __future__ import annotations

from .. import ops
from .base import Fused


class Embedding(Fused):
    """y = weight[ids]: weight (V, D), ids of any shape S -> (*S, D); row `padding_idx` gets no
    gradient.
    """

    def compose(self, weight, ids):
        rows = weight[ids]
        if self.padding_idx is None:
            return rows
        pads = (ids == self.padding_idx).reshape((*ids.shape, 1))
        return ops.where(pads, rows.detach(), rows)

    def forward(self, weight, ids):
        return weight[ids]

    def backward(self, g, _y, weight, ids):
        rows = g.reshape(-1, weight.shape[1])
        dw = self.backend.add_rows(weight.shape, ids.reshape(-1), rows)
        if self.padding_idx is not None:
            dw[self.padding_idx] = 0
        return dw, None


def embedding(ids, weight, padding_idx=None):
    """Rows of `weight` (V, D) at `ids`, integers."""
    return Embedding(padding_idx=padding_idx)(weight, ids)
