"""Gradients of which only some rows are there: what an embedding with `sparse=True` gives its
weight.
"""

from __future__ import annotations

from typing import Any

from ..backend import backend_of
from ..dtypes import DTYPES, Size
from ..tensor import Tensor, wrap
from .indexing import add_rows, runs
from .writing import check_memory


class SparseRows(Tensor):
    """A matrix (V, ...) that is zero outside the rows `ids`, an array (n); their content is `rows`,
    an array (n, ...). An id that occurs twice counts twice, until `coalesce`.

    It has what a training loop asks of a gradient: sums with other gradients, products with
    numbers, norms, and PyTorch's `indices`, `values`, `to_dense`. Everything else needs `to_dense`
    and says so.
    """

    __slots__ = "ids", "rows", "coalesced", "_shape"
    is_sparse = True

    def __init__(self, ids: Any, rows: Any, shape: tuple, coalesced: bool = False):
        self.ids, self.rows, self.coalesced, self._shape = ids, rows, coalesced, Size(shape)
        self.creator, self.tracked, self.version = None, False, [0]
        self._grad = self.base = None

    # what it is

    @property
    def array(self) -> Any:
        raise NotImplementedError(
            f"this gradient holds only rows, {len(self.ids)} for a shape of {tuple(self._shape)}, "
            "and there is no such operation on it: use to_dense(), or an embedding with "
            "sparse=False"
        )

    @property
    def shape(self) -> Size:
        return self._shape

    @property
    def dtype(self) -> Any:
        return DTYPES[self.rows.dtype]

    @property
    def device(self) -> Any:
        return backend_of(self.rows).device

    @property
    def ndim(self) -> int:
        return len(self._shape)

    def dim(self) -> int:
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        return self._shape if dim is None else self._shape[dim]

    def numel(self) -> int:
        return self._shape.numel()

    def __len__(self) -> int:
        return self._shape[0]

    def sparse_dim(self) -> int:
        return 1

    def dense_dim(self) -> int:
        return self.ndim - 1

    def is_floating_point(self) -> bool:
        return self.rows.dtype.kind == "f"

    def is_coalesced(self) -> bool:
        """Whether every id occurs once, in order."""
        return self.coalesced

    def _nnz(self) -> int:
        return len(self.ids)

    def _indices(self) -> Tensor:
        """The ids, (1, n)."""
        return wrap(self.ids[None])

    def _values(self) -> Tensor:
        """The rows, (n, ...): their memory."""
        return wrap(self.rows, version=self.version)

    def indices(self) -> Tensor:
        """`_indices` of what is coalesced."""
        return self._once("indices")._indices()

    def values(self) -> Tensor:
        """`_values` of what is coalesced."""
        return self._once("values")._values()

    def _once(self, what: str) -> SparseRows:
        if not self.coalesced:
            raise RuntimeError(f"{what} of a gradient that is not coalesced: call coalesce() first")
        return self

    def __repr__(self) -> str:
        parts = f"indices={self._indices()!r}", f"values={self._values()!r}"
        lines = [part.replace("\n", "\n       ") for part in parts]
        lines.append(f"size={tuple(self._shape)}, nnz={len(self.ids)}, layout=sparse_coo)")
        return "tensor(" + ",\n       ".join(lines)

    # the same in another form

    def coalesce(self) -> SparseRows:
        """Every id once, in order; itself where that is so already."""
        return self if self.coalesced else self.detach().coalesce_()

    def coalesce_(self) -> SparseRows:
        """`coalesce` in place: afterwards nobody else holds its arrays."""
        if not self.coalesced:
            xp = backend_of(self.rows).xp
            order, ids, first, _ = runs(self.ids)
            place = xp.empty_like(order)
            new = xp.zeros(len(ids), order.dtype)
            new[1:] = ids[1:] != ids[:-1]
            place[order] = new.cumsum()
            rows = xp.zeros((len(first), *self.rows.shape[1:]), self.rows.dtype)
            add_rows(rows, place, self.rows, zeros=True)
            self.ids, self.rows, self.coalesced = ids[first], rows, True
        return self

    def to_dense(self, dtype: Any = None, *, masked_grad: Any = None) -> Tensor:
        """The whole matrix, with its zeros."""
        y = wrap(backend_of(self.rows).xp.zeros(tuple(self._shape), self.rows.dtype))
        add_rows(y.array, self.ids, self.rows, zeros=True)
        return y if dtype is None else y.to(dtype=dtype)

    def clone(self, *, memory_format: Any = None) -> SparseRows:
        return self._like(self.ids, self.rows.copy())

    def detach(self) -> SparseRows:
        """The same rows."""
        return self._like(self.ids, self.rows)

    data = property(detach)

    def to(self, *args: Any, **kwargs: Any) -> SparseRows:
        rows = wrap(self.rows).to(*args, **kwargs).array
        return self._like(backend_of(rows).place(self.ids), rows)

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("numpy() of a gradient that holds only rows: use to_dense().numpy()")

    def _like(self, ids: Any, rows: Any) -> SparseRows:
        return SparseRows(ids, rows, self._shape, self.coalesced)

    def __deepcopy__(self, memo: dict) -> SparseRows:
        return memo.setdefault(id(self), self._like(self.ids.copy(), self.rows.copy()))

    def __reduce_ex__(self, protocol: int) -> tuple:
        return SparseRows, (self.ids, self.rows, tuple(self._shape), self.coalesced)

    # arithmetic

    def add(self, other: Any, *, alpha: float = 1) -> SparseRows:
        """The sum with another gradient that holds only rows."""
        if not isinstance(other, SparseRows):
            raise RuntimeError("sparse + dense: write dense + sparse, or use to_dense()")
        if other._shape != self._shape:
            raise RuntimeError(f"a sum of {tuple(self._shape)} and {tuple(other._shape)}")
        xp, rows = backend_of(self.rows).xp, other.rows if alpha == 1 else other.rows * alpha
        ids = xp.concatenate((self.ids, other.ids))
        return SparseRows(ids, xp.concatenate((self.rows, rows)), self._shape)

    def __radd__(self, other: Any) -> Any:
        """dense + sparse, of Tensors or, in the engine, of arrays."""
        dense = other.array if isinstance(other, Tensor) else other
        if not hasattr(dense, "shape") or dense.shape != self._shape:
            raise RuntimeError(f"a gradient {tuple(self._shape)} can only be added to such a one")
        if isinstance(other, Tensor) and other.requires_grad:
            return other + self.to_dense()
        total = dense.copy()
        add_rows(total, self.ids, self.rows)
        return wrap(total) if isinstance(other, Tensor) else total

    def add_(self, other: Any, *, alpha: float = 1) -> SparseRows:
        return self._become(self.add(other, alpha=alpha))

    def mul(self, other: Any) -> SparseRows:
        """The product with a number or a tensor of one element."""
        return self._like(self.ids, self.rows * _number(other))

    def mul_(self, other: Any) -> SparseRows:
        return self._become(self.mul(other))

    def div(self, other: Any) -> SparseRows:
        """The quotient by a number or a tensor of one element."""
        return self._like(self.ids, self.rows / _number(other))

    def div_(self, other: Any) -> SparseRows:
        return self._become(self.div(other))

    def neg(self) -> SparseRows:
        return self.mul(-1)

    def sub(self, other: Any) -> SparseRows:
        return self.add(other, alpha=-1)

    def __rsub__(self, other: Any) -> Any:
        return self.neg().__radd__(other)

    __add__, __iadd__, __sub__, __neg__ = add, add_, sub, neg
    __mul__ = __rmul__ = mul
    __imul__, __truediv__, __itruediv__ = mul_, div, div_

    def zero_(self) -> SparseRows:
        return self._become(SparseRows(self.ids[:0], self.rows[:0], self._shape, True))

    def norm(self, p: float = 2) -> Tensor:
        """The p-norm of all elements."""
        return self.coalesce()._values().norm(p)

    def sum(self) -> Tensor:
        return self._values().sum()

    def requires_grad_(self, requires_grad: bool = True) -> SparseRows:
        if requires_grad:
            raise RuntimeError("a gradient that holds only rows cannot be differentiated")
        return self

    def _become(self, other: SparseRows) -> SparseRows:
        self.ids, self.rows, self.coalesced = other.ids, other.rows, other.coalesced
        self.changed()
        return self


def _number(factor: Any) -> float:
    if isinstance(factor, Tensor) and not factor.is_sparse and factor.numel() == 1:
        return factor.item()
    if isinstance(factor, (int, float)):
        return float(factor)
    raise NotImplementedError(
        f"a gradient that holds only rows, times a {type(factor).__name__}: only numbers; "
        "use to_dense()"
    )


def rows_of(g: Any, ids: Any, shape: tuple, skip: int | None, owned: bool) -> SparseRows:
    """The gradient (V, ...) of a table of which rows were read, from those of the rows; row `skip`
    gets none. `owned` says that nobody else holds `g`.
    """
    ids, rows = ids.reshape(-1), g.reshape(ids.size, *shape[1:])
    if skip is not None:
        kept = ids != skip
        ids, rows = ids[kept], rows[kept]
    else:
        ids, rows = ids.copy(), rows if owned else rows.copy()
    return SparseRows(ids, rows, shape)


def accumulated(total: Tensor, g: Tensor) -> Tensor:
    """total + g in the memory of `total` where that can hold it."""
    if total.is_sparse:
        return total.add_(g) if g.is_sparse else g + total
    check_memory(total.array)
    if g.is_sparse:
        add_rows(total.array, g.ids, g.rows)
    else:
        total.array += g.array
    total.changed()
    return total
