"""Products of matrices and vectors."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from ..backend import module_of
from ..op import Op
from ..tensor import Tensor
from . import elementwise as ew
from .names import data_of, flat, numpy_names, several
from .reduce import norm, sum_, sum_to
from .shape import (
    broadcast_tensors,
    checked_dim,
    expand,
    permute,
    reshape,
    squeeze,
    unsqueeze,
)
from .tiling import diagonal, roll


class Matmul(Op):
    """y = a b for matrices, batches broadcasting in front:  da = g bᵀ,  db = aᵀ g"""

    fresh = True
    bilinear = True

    def forward(self, a, b):
        return product(a, b)

    def backward(self, g, _y, a, b):
        needs_a, needs_b = self.needs
        times = matmul if isinstance(g, Tensor) else product
        da = times(g, turned(b)) if needs_a else None
        return da, weight_gradient(turned(a), g) if needs_b else None


THIN, WIDE, SMALL = 256, 1024, 10**6


class Product:
    """The gradient a b of a weight, not yet multiplied: a (n, k), b (k, m).

    A loop over steps with the same weights gives one of small k at every step. Those of a slot are
    put side by side and multiplied as one: with B = 8, weights of (800, 200) cost a step two passes
    over 640 kB for so little arithmetic. From `WIDE` columns on they are multiplied and summed.
    """

    __slots__ = "lefts", "rights", "wide", "sum", "dtype"

    def __init__(self, a: Any, b: Any):
        self.lefts, self.rights, self.wide = [a], [b], len(b)
        self.sum, self.dtype = None, a.dtype

    def add(self, other: Product) -> None:
        self.lefts += other.lefts
        self.rights += other.rights
        self.wide += other.wide
        if self.wide > WIDE:
            self.sum = self.whole()
            self.lefts, self.rights, self.wide = [], [], 0

    def whole(self, _shape: tuple | None = None) -> Any:
        if not self.lefts:
            return self.sum
        (a, *more), (b, *_) = self.lefts, self.rights
        if more:
            xp = module_of(a)
            a, b = xp.concatenate(self.lefts, axis=1), xp.concatenate(self.rights)
        y = product(a, b)
        if self.sum is not None:
            y += self.sum
        return y


def weight_gradient(a, b):
    """a b for (n, k) and (k, m), later where k is small; a differentiable product of tensors, and
    one of batches, at once.
    """
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return matmul(a, b)
    return Product(a, b) if a.ndim == b.ndim == 2 and len(b) <= THIN else product(a, b)


def turned(x):
    """The last two dimensions exchanged."""
    return x.T if x.ndim == 2 else x.swapaxes(-2, -1)


def product(a, b):
    """The product of two arrays; of half precision it is computed in single."""
    if a.dtype.char == "e":
        return (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float16)
    steps = b.strides
    if len(steps) == 2 == a.ndim and steps[0] < steps[1] and 1 < len(a) <= 64:
        if type(b) is np.ndarray:
            return product_with_transposed(a, b)
    return a @ b


def product_with_transposed(a, b):
    """`x @ w.T` for few rows x, which OpenBLAS does slowly as it stands: it is written as a product
    it does well.
    """
    rows = len(a)
    if rows * b.size <= SMALL:  # it has kernels of their own for products so small
        return (a.copy("F") if rows > 16 else a) @ b
    return a @ b if rows > 32 else (b.T @ a.T).T.copy()


def sum_to_shape(x, shape):
    return x if data_of(x).shape == shape else sum_to(x, shape)


def matmul(input, other):
    """The matrix product; a vector on the left is a row, on the right a column, and its dimension
    goes again.
    """
    x, y = data_of(input), data_of(other)
    if x.dtype != y.dtype:
        raise RuntimeError(f"matmul of {x.dtype} and {y.dtype}: convert one with .to(dtype=...)")
    if x.ndim > 1 < y.ndim:
        return Matmul()(input, other)
    if not x.ndim or not y.ndim:
        raise RuntimeError(
            f"matmul of shapes {x.shape} and {y.shape}: both need at least 1 dimension; "
            "use * for scalars"
        )
    if x.ndim == 1:
        input = unsqueeze(input, 0)
    if y.ndim == 1:
        other = unsqueeze(other, 1)
    out = Matmul()(input, other)
    shape = data_of(out).shape
    if x.ndim == 1:
        shape = shape[:-2] + shape[-1:]
    if y.ndim == 1:
        shape = shape[:-1]
    return reshape(out, shape)


# products that name the number of dimensions


def _expect(name: str, *pairs: Any) -> None:
    """RuntimeError where a tensor has another number of dimensions than its product is for."""
    for x, ndim in pairs:
        if data_of(x).ndim != ndim:
            raise RuntimeError(
                f"{name}: expected {ndim} dimensions, got shape {data_of(x).shape}: "
                "matmul and @ take other numbers"
            )


def _fits(name: str, a: Any, b: Any, at: int = -1, to: int = -1) -> None:
    if data_of(a).shape[at] != data_of(b).shape[to]:
        raise RuntimeError(
            f"{name} of shapes {data_of(a).shape} and {data_of(b).shape}: sizes differ"
        )


def mm(input, mat2):
    _expect("mm", (input, 2), (mat2, 2))
    return matmul(input, mat2)


def bmm(input, mat2):
    _expect("bmm", (input, 3), (mat2, 3))
    _fits("bmm", input, mat2, 0, 0)
    return matmul(input, mat2)


def mv(input, vec):
    _expect("mv", (input, 2), (vec, 1))
    return matmul(input, vec)


def dot(input, tensor=None, *, other=None):
    tensor = other if tensor is None else tensor
    _expect("dot", (input, 1), (tensor, 1))
    return matmul(input, tensor)


vdot = dot


def inner(input, other):
    """The products of the vectors in the last dimensions, for all pairs of others."""
    x, y = data_of(input), data_of(other)
    if x.dtype != y.dtype:
        raise RuntimeError(f"inner of {x.dtype} and {y.dtype}: convert one with .to(dtype=...)")
    if not x.ndim or not y.ndim:
        return input * other
    _fits("inner", input, other)
    return tensordot(input, other, ([-1], [-1]))


def outer(input, vec2):
    _expect("outer", (input, 1), (vec2, 1))
    return unsqueeze(input, 1) * vec2


ger = outer


def _plus(input, product, beta, alpha):
    """beta input + alpha product; an input of factor 0 counts as zeros, even where it is NaN."""
    shape = data_of(product).shape
    kind = data_of(input).dtype.kind
    if kind in "iub":
        beta, alpha = [bool(n) if kind == "b" else int(n) for n in (beta, alpha)]
    product = product if alpha == 1 else product * alpha
    if data_of(expand(input, shape)).dtype != data_of(product).dtype:
        raise RuntimeError(
            f"adding {data_of(product).dtype} to {data_of(input).dtype}: convert one"
        )
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta input + alpha mat1 mat2"""
    return _plus(input, mm(mat1, mat2), beta, alpha)


def addmv(input, mat, vec, *, beta=1, alpha=1):
    """beta input + alpha mat vec"""
    return _plus(input, mv(mat, vec), beta, alpha)


def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """beta input + alpha vec1 vec2ᵀ"""
    return _plus(input, outer(vec1, vec2), beta, alpha)


def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta input + alpha batch1 batch2, for batches of matrices"""
    return _plus(input, bmm(batch1, batch2), beta, alpha)


def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta input + alpha Σ batch1 batch2, summed over the batch"""
    return _plus(input, sum_(bmm(batch1, batch2), 0), beta, alpha)


def multi_dot(tensors, *, out=None):
    """The product of two or more matrices, in the order that costs least; the first and the last
    may be vectors.
    """
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot of {len(tensors)} tensors: expected at least two")
    for i, x in enumerate(tensors):
        if data_of(x).ndim != 2 and (data_of(x).ndim != 1 or 0 < i < len(tensors) - 1):
            raise RuntimeError(f"multi_dot: tensor {i} has shape {data_of(x).shape}, no matrix")
    shapes = [data_of(x).shape for x in tensors]
    first, last = shapes[0], shapes[-1]
    sizes = [first[0] if len(first) == 2 else 1, *[shape[0] for shape in shapes[1:]]]
    sizes.append(last[1] if len(last) == 2 else 1)
    best = {(i, i): (0, i) for i in range(len(tensors))}  # cost, and where to cut
    for width in range(1, len(tensors)):
        for i in range(len(tensors) - width):
            j = i + width
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )

    def part(i, j):
        k = best[i, j][1]
        return tensors[i] if i == j else matmul(part(i, k), part(k + 1, j))

    return part(0, len(tensors) - 1)


def chain_matmul(*matrices):
    matrices = flat(matrices)
    return multi_dot(matrices) if len(matrices) > 1 else matrices[0]


def matrix_power(input, n):
    """The product of `n` times the matrix, its inverse for negative n."""
    shape = data_of(input).shape
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise RuntimeError(f"matrix_power of shape {shape}: expected square matrices")
    if n < 0:
        from .factorize import inv

        return matrix_power(inv(input), -n)
    if n == 0:
        x = data_of(input)
        return input * 0 + module_of(x).eye(shape[-1], dtype=x.dtype)
    half = matrix_power(input, n // 2) if n > 1 else None
    if half is None:
        return input
    whole = matmul(half, half)
    return matmul(whole, input) if n % 2 else whole


# contractions


class Contract(Op):
    """Two operands with a label for each dimension: products, summed over the labels that are not
    in `out`. Each label of an operand is in the other one or in `out`, so the gradient of either is
    the contraction of g with the other.
    """

    bilinear = True

    def forward(self, a, b):
        la, lb, out = self.labels
        both = [i for i in la if i in lb]
        batch, summed = [i for i in both if i in out], [i for i in both if i not in out]
        left, right = [i for i in la if i not in lb], [i for i in lb if i not in la]
        sizes = {**dict(zip(la, a.shape)), **dict(zip(lb, b.shape))}
        a = folded(a, la, (batch, left, summed), sizes)
        b = folded(b, lb, (batch, summed, right), sizes)
        order = batch + left + right
        y = product(a, b).reshape([sizes[i] for i in order])
        return y.transpose([order.index(i) for i in out])

    def backward(self, g, _y, a, b):
        la, lb, out = self.labels
        da = Contract(labels=(out, lb, la))(g, b) if self.needs[0] else None
        db = Contract(labels=(la, out, lb))(a, g) if self.needs[1] else None
        return da, db


def folded(x, labels, groups, sizes):
    """The dimensions in groups, each as one."""
    x = x.transpose([labels.index(i) for group in groups for i in group])
    shape = []
    for group in groups:
        n = 1
        for i in group:
            n *= sizes[i]
        shape.append(n)
    return x.reshape(shape)


def einsum(equation, *operands):
    """Products of operands summed over the labels that are not in the output: "bij,bjk->bik".

    Takes an ellipsis, repeated labels (a diagonal), no output (all labels that occur once, sorted),
    and labels as lists of ints: `einsum(a, [0, 1], b, [1, 2], [0, 2])`. Sizes of 1 broadcast.
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    operands = list(flat(operands))
    if not operands:
        raise ValueError("einsum needs an equation and at least one operand")
    inputs, out = _labels(equation, tuple([data_of(x).ndim for x in operands]))
    sizes = _sizes(equation, inputs, operands)
    terms = [_each_label_once(x, labels, sizes) for x, labels in zip(operands, inputs)]
    while len(terms) > 1:
        (a, la), (b, lb) = terms[:2]
        later = {i for _, labels in terms[2:] for i in labels} | set(out)
        a, la = _without(a, la, {*lb, *later})
        b, lb = _without(b, lb, {*la, *later})
        union = la + tuple([i for i in lb if i not in la])
        keep = out if len(terms) == 2 else tuple([i for i in union if i in later])
        keep = tuple([i for i in keep if i in union])
        if data_of(a).dtype != data_of(b).dtype:
            raise RuntimeError(f"einsum of {data_of(a).dtype} and {data_of(b).dtype}: convert one")
        terms[:2] = [(Contract(labels=(la, lb, keep))(a, b), keep)]
    ((y, labels),) = terms
    y, labels = _without(y, labels, set(out))
    missing = [i for i in out if i not in labels]  # of size 1 everywhere
    y = permute(y, [labels.index(i) for i in out if i in labels])
    return reshape(y, [sizes[i] for i in out]) if missing else y


def _from_lists(arguments: tuple) -> tuple[str, list]:
    arguments = list(arguments)
    out = arguments.pop() if len(arguments) % 2 else None
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    def text(labels):
        return "".join(["..." if i is Ellipsis else letters[i] for i in labels])

    equation = ",".join(map(text, arguments[1::2]))
    return equation if out is None else f"{equation}->{text(out)}", arguments[::2]


@lru_cache(maxsize=256)
def _labels(equation: str, ndims: tuple[int, ...]) -> tuple[list[tuple], tuple]:
    """The labels of each operand and of the output; an ellipsis stands for labels 0, 1, ... counted
    from its right end.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise RuntimeError(f"einsum {equation!r} has {len(terms)} terms for {len(ndims)} operands")
    inputs = []
    for term, ndim in zip(terms, ndims):
        named = term.replace("...", "", 1)
        rest = ndim - len(named)
        if not all([c.isascii() and c.isalpha() for c in named]):
            raise RuntimeError(f"einsum {equation!r}: {term!r} may have letters and one ellipsis")
        if rest < 0 or (rest and "..." not in term):
            raise RuntimeError(f"einsum {equation!r}: {term!r} for {ndim} dimensions")
        before, _, after = term.partition("...")
        inputs.append((*before, *(range(rest - 1, -1, -1) if "..." in term else ()), *after))
    widest = max((i + 1 for labels in inputs for i in labels if isinstance(i, int)), default=0)
    ellipsis = tuple(range(widest - 1, -1, -1))
    letters = [c for labels in inputs for c in labels if isinstance(c, str)]
    if not arrow:
        return inputs, (*ellipsis, *sorted(c for c in set(letters) if letters.count(c) == 1))
    before, dots, after = right.partition("...")
    named = before + after
    if not set(named) <= set(letters) or len(set(named)) < len(named):
        raise RuntimeError(f"einsum {equation!r}: an output label is no input's, or occurs twice")
    return inputs, (*before, *(ellipsis if dots else ()), *after)


def _sizes(equation, inputs, operands):
    sizes: dict = {}
    for labels, x in zip(inputs, operands):
        mine: dict = {}
        for label, n in zip(labels, data_of(x).shape):
            if mine.setdefault(label, n) != n:
                raise RuntimeError(
                    f"einsum {equation!r}: label {label} twice in {data_of(x).shape}"
                )
            if sizes.setdefault(label, n) != n:
                if 1 not in (n, sizes[label]):
                    raise RuntimeError(
                        f"einsum {equation!r}: label {label} has sizes {sizes[label]} and {n}"
                    )
                sizes[label] = max(n, sizes[label]) if 0 not in (n, sizes[label]) else 0
    return sizes


def _each_label_once(x, labels, sizes):
    """Diagonals for repeated labels, and no dimension of size 1 that others broadcast."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            x = diagonal(x, 0, i, j)
            labels = tuple([c for k, c in enumerate(labels) if k not in (i, j)]) + (label,)
    shape = data_of(x).shape
    drop = [i for i, label in enumerate(labels) if shape[i] == 1 != sizes[label]]
    if drop:
        x = squeeze(x, drop)
        labels = tuple([label for i, label in enumerate(labels) if i not in drop])
    return x, labels


def _without(x, labels, needed):
    """The labels that nothing else needs summed away."""
    dims = [i for i, label in enumerate(labels) if label not in needed]
    if not dims:
        return x, labels
    return sum_(x, dims), tuple([label for label in labels if label in needed])


def tensordot(a, b, dims=2):
    """Products summed over the last `dims` dimensions of a and the first of b, or two lists."""
    na, nb = data_of(a).ndim, data_of(b).ndim
    dims = data_of(dims).tolist() if not isinstance(dims, (int, tuple, list)) else dims
    if isinstance(dims, int):
        if not 0 <= dims <= min(na, nb):
            raise RuntimeError(f"tensordot over {dims} dimensions of {na} and {nb}")
        dims = [*range(na - dims, na)], [*range(dims)]
    da, db = [[checked_dim(i, ndim) for i in several(given)] for given, ndim in zip(dims, (na, nb))]
    if len(da) != len(db):
        raise RuntimeError(f"tensordot over {da} and {db}: give as many of each")
    for i, j in zip(da, db):
        n, m = data_of(a).shape[i], data_of(b).shape[j]
        if n == 1 != m:  # a size of 1 broadcasts, so the other is summed
            b = sum_(b, j, True)
        elif m == 1 != n:
            a = sum_(a, i, True)
        else:
            _fits("tensordot", a, b, i, j)
    if data_of(a).dtype != data_of(b).dtype:
        raise RuntimeError(f"tensordot of {data_of(a).dtype} and {data_of(b).dtype}: convert one")
    la = tuple(range(na))
    lb = tuple([da[db.index(j)] if j in db else na + j for j in range(nb)])
    out = tuple([i for i in la if i not in da] + [i for i in lb if i >= na])
    return Contract(labels=(la, lb, out))(a, b)


def kron(input, other):
    """Every element of the input times the whole of other."""
    x, y = data_of(input).shape, data_of(other).shape
    ndim = max(len(x), len(y))
    x, y = (1,) * (ndim - len(x)) + x, (1,) * (ndim - len(y)) + y
    a = reshape(input, [size for n in x for size in (n, 1)])
    b = reshape(other, [size for n in y for size in (1, n)])
    return reshape(a * b, [n * m for n, m in zip(x, y)])


# vectors


@numpy_names
def cross(input, other, dim=None):
    """The cross product along `dim`, by default the first of size 3."""
    x = data_of(input)
    if dim is None:
        if 3 not in x.shape:
            raise RuntimeError(f"cross: no dimension of size 3 in {x.shape}")
        dim = x.shape.index(3)
    if x.ndim != data_of(other).ndim:
        raise RuntimeError(
            f"cross of shapes {x.shape} and {data_of(other).shape}: dimensions differ"
        )
    dim = checked_dim(dim, x.ndim)
    if x.shape[dim] != 3 or data_of(other).shape[dim] != 3:
        raise RuntimeError(
            f"cross of {x.shape} and {data_of(other).shape}: size 3 along {dim} needed"
        )
    a, b = broadcast_tensors(input, other)
    return roll(a, -1, dim) * roll(b, -2, dim) - roll(a, -2, dim) * roll(b, -1, dim)


def trace(input):
    """The sum of the diagonal of a matrix."""
    _expect("trace", (input, 2))
    return sum_(diagonal(input))


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors along `dim`; lengths count at least `eps`."""
    for x in (x1, x2):
        if data_of(x).dtype.kind != "f":
            raise RuntimeError(f"cosine_similarity of {data_of(x).dtype}: convert to a float first")
    x1, x2 = broadcast_tensors(x1, x2)
    a = x1 / ew.clamp(norm(x1, 2, dim, True), min=eps)
    b = x2 / ew.clamp(norm(x2, 2, dim, True), min=eps)
    return sum_(a * b, dim)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The length of x1 - x2 + eps along the last dimension."""
    return norm(x1 - x2 + eps, p, -1, keepdim)


def cdist(x1, x2, p=2.0, compute_mode=None):
    """The distances of all pairs of rows; its gradient is 0 where two are equal."""
    a, b = data_of(x1), data_of(x2)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise RuntimeError(f"cdist of shapes {a.shape} and {b.shape}: rows of one length needed")
    return norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, -1)


def pdist(input, p=2.0):
    """The distances of all pairs of different rows, as a vector."""
    _expect("pdist", (input, 2))
    from .scatter import pick

    x = data_of(input)
    pairs = [*combinations(range(x.shape[0]), 2)]
    place = module_of(x).asarray
    first, second = [place([pair[k] for pair in pairs], dtype=np.int64) for k in (0, 1)]
    return norm(pick(input, 0, first) - pick(input, 0, second), p, -1)


def bilinear(input1, input2, weight, bias=None):
    """y[o] = x1ᵀ weight[o] x2 + bias[o]"""
    y = einsum("...i,oij,...j->...o", input1, weight, input2)
    return y if bias is None else y + bias


def vecdot(x, y, *, dim=-1):
    """The products of vectors along `dim`, the others broadcasting."""
    return sum_(x * y, dim)
