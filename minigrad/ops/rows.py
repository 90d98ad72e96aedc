"""The rows of an embedding table: reading them, and adding to them, each the other's adjoint."""

from __future__ import annotations

from ..op import Op
from ..tensor import Tensor
from .elementwise import eq, masked_fill
from .indexing import Part
from .sparse import rows_of


class Rows(Op):
    """y = table[ids], the rows of a table (V, D) at ids of any shape S: (*S, D)

    Row `padding_idx` is read and gets no gradient. With `sparse` the gradient of a leaf holds the
    rows alone.
    """

    fresh = reuses = True
    sparse = False

    def forward(self, table, ids):
        self.shape = table.shape
        return table[ids]

    def backward(self, g, _y, _table, ids):
        if isinstance(g, Tensor):
            return AddRows(shape=self.shape, padding_idx=self.padding_idx)(g, ids), None
        if self.sparse and isinstance(self.needs[0][0], Tensor):
            return rows_of(g, ids, self.shape, self.padding_idx, self.owns), None
        return Part(g, (ids,), distinct=False, skip=self.padding_idx), None


class AddRows(Op):
    """Zeros of `shape` (V, D) with the rows of g added at ids: the adjoint of reading rows there"""

    def forward(self, g, ids):
        return Part(g, (ids,), distinct=False, skip=self.padding_idx).whole(self.shape)

    def backward(self, g, _y, _g, ids):
        rows = Rows(padding_idx=None)(g, ids)
        if self.padding_idx is not None:
            pads = eq(ids, self.padding_idx)
            rows = masked_fill(rows, pads.reshape((*pads.shape, 1)), 0.0)
        return rows, None


def embedding(ids, table, padding_idx=None, sparse=False):
    """Rows of `table` (V, D) at ids, integers of any shape."""
    return Rows(padding_idx=padding_idx, sparse=sparse)(table, ids)
