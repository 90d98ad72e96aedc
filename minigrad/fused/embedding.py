"""Rows of a table by number."""

from __future__ import annotations

from .. import ops
from .base import Fused


class Embedding(Fused):
    """y = weight[ids]: weight (V, D), ids of any shape S -> (*S, D); row `padding_idx` gets no
    gradient.
    """

    def compose(self, weight):
        if self.padding_idx is None:
            return weight[self.ids]
        pads = (self.ids == self.padding_idx)[..., None]
        rows = weight[self.ids]
        return ops.where(pads, rows.detach(), rows)

    def forward(self, weight):
        return weight[self.ids]

    def backward(self, g, _y, weight):
        D = weight.shape[1]
        ids, g = self.ids.reshape(-1), g.reshape(-1, D)
        dw = self.backend.add_rows(weight.shape, ids, g)
        if self.padding_idx is not None:
            dw[self.padding_idx] = 0
        return dw


def embedding(ids, weight, padding_idx=None):
    """Rows of `weight` (V, D) at `ids`, an integer array."""
    return Embedding(ids=ids, padding_idx=padding_idx)(weight)
