"""Rows of the table of ops: reductions, scans, order, shape, scatter, products, factors."""

import numpy as np
from ops_table import EMPTY, UNIT, WIDE, on, row

import minigrad as mg

# functions whose results are constants to the tape, or no tensors
CONSTANTS = """count_nonzero argsort unique unique_consecutive bincount bucketize searchsorted histc
nonzero argwhere isin broadcast_shapes numel is_same_size flat""".split()
CUBE = (2, 3, 2)


def put(x, index, values):
    y = x.copy()
    y[index] = values
    return y


def added(x, index, values):
    y = x.copy()
    np.add.at(y, index, values)
    return y


def p_norm(x, p, axis=None, keepdims=False):
    return (np.abs(x) ** p).sum(axis=axis, keepdims=keepdims) ** (1 / p)


# reductions

for name, reference in [
    ("var", lambda x, d, k: np.var(x, axis=d, keepdims=k, ddof=1)),
    ("std", lambda x, d, k: np.std(x, axis=d, keepdims=k, ddof=1)),
    ("prod", lambda x, d, k: np.prod(x, axis=d, keepdims=k)),
    ("nansum", lambda x, d, k: np.nansum(x, axis=d, keepdims=k)),
    ("nanmean", lambda x, d, k: np.nanmean(x, axis=d, keepdims=k)),
]:
    for dim, keep in [(0, False), (1, True), (-1, False)]:
        row(
            name,
            lambda x, f=reference, d=dim, k=keep: f(x, d, k),
            CUBE,
            dim=dim,
            keepdim=keep,
        )
    row(name, lambda x, f=reference: f(x, None, False), CUBE)
row("var", lambda x: x.var((0, 2)), CUBE, dim=(0, 2), correction=0)
row("var", lambda x: x.var(), WIDE, args=(False,), tag="biased")
row("prod", np.prod, UNIT)
row("prod", np.prod, EMPTY)
row("prod", lambda x: x.prod(1), (2, 4), domain="zeros", dim=1, tag="zeros")
row("var_mean", lambda x: (x.var(1, ddof=1), x.mean(1)), WIDE, dim=1)
row("std_mean", lambda x: (x.std(ddof=1), x.mean()), WIDE)
for p in (3, 1.5, 1):
    row("norm", lambda x, p=p: p_norm(x, p, 1), WIDE, p=p, dim=1)
row("norm", lambda x: np.abs(x).max(0), WIDE, domain="distinct", p=np.inf, dim=0)
row("norm", lambda x: np.abs(x).min(), (3,), domain="positive", p=-np.inf)
row("norm", lambda x: p_norm(x, 2, (0, 1), True), CUBE, dim=(0, 1), keepdim=True)
row("aminmax", lambda x: (x.min(1), x.max(1)), WIDE, domain="distinct", dim=1)
row("softmin", lambda x: np.exp(-x) / np.exp(-x).sum(1, keepdims=True), WIDE, dim=1)
row("sum", lambda x: x.sum(), WIDE, dim=())

# running, and in order

for dim in (0, 1, -1):
    row("cumsum", lambda x, d=dim: np.cumsum(x, d), WIDE, dim=dim)
    row("cumprod", lambda x, d=dim: np.cumprod(x, d), WIDE, dim=dim)
    row("logcumsumexp", lambda x, d=dim: np.log(np.cumsum(np.exp(x), d)), WIDE, dim=dim)
    row("diff", lambda x, d=dim: np.diff(x, axis=d), WIDE, dim=dim)
row("cumsum", lambda x: x, UNIT, dim=0)
row("cumsum", lambda x: x, EMPTY, dim=1)
row("cumprod", lambda x: np.cumprod(x, 1), (2, 5), domain="zeros", dim=1, tag="zeros")
row("diff", lambda x: np.diff(x, 2), (2, 4), n=2)


def running(x, dim, extreme, reaches):
    y = extreme.accumulate(x, dim)
    places = np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
    return y, np.maximum.accumulate(np.where(reaches(x, y), places, 0), dim)


def ordered(x, dim, descending=False):
    i = np.argsort(-x if descending else x, dim, kind="stable")
    return np.take_along_axis(x, i, dim), i


def ranked(x, dim, rank, keepdims=False):
    """The element at a rank, and where it stands."""
    both = [np.take(a, [rank], dim) for a in ordered(x, dim)]
    return tuple([a if keepdims else a.squeeze(dim) for a in both])


row("cummax", lambda x: running(x, 1, np.maximum, np.greater_equal), (2, 5), dim=1,
    domain="distinct")  # fmt: skip
row("cummin", lambda x: running(x, 0, np.minimum, np.less_equal), (4, 2), dim=0, domain="distinct")
for dim, descending in [(0, False), (1, True), (-1, False)]:
    row(
        "sort",
        lambda x, d=dim, r=descending: ordered(x, d, r),
        (3, 4),
        domain="distinct",
        dim=dim,
        descending=descending,
    )
row("msort", lambda x: np.sort(x, 0), (4, 2), domain="distinct")
for largest in (True, False):
    row(
        "topk",
        lambda x, r=largest: tuple([a[:, :2] for a in ordered(x, 1, r)]),
        (3, 4),
        domain="distinct",
        args=(2,),
        largest=largest,
    )
    row(
        "topk",
        lambda x, r=largest: tuple([a[:3] for a in ordered(x, 0, r)]),
        (70,),
        domain="distinct",
        args=(3, 0, largest),
        tag="of many",
    )
row("kthvalue", lambda x: ranked(x, 1, 1), (3, 4), domain="distinct", args=(2, 1))
for name in ("median", "nanmedian"):
    row(name, lambda x: np.sort(x.ravel())[5], (3, 4), domain="distinct")
    row(name, lambda x: ranked(x, 0, 1, True), (4, 2), domain="distinct", dim=0, keepdim=True)
row("mode", lambda x: ranked(x, 1, 0), (2, 3), domain="distinct")
for name in ("quantile", "nanquantile"):
    row(name, lambda x: np.quantile(x, 0.3, axis=1), (2, 5), domain="distinct", args=(0.3, 1))
    row(name, lambda x: np.quantile(x, 0.7), (2, 5), domain="distinct", args=(0.7,))

# shape

for names, reference, shape, args in [
    ("reshape_as", lambda x: x.reshape(3, 2), WIDE, (mg.zeros(3, 2),)),
    ("expand_as", lambda x: np.broadcast_to(x, (2, 3)), (1, 3), (mg.zeros(2, 3),)),
    ("ravel", np.ravel, CUBE, ()),
    ("unflatten", lambda x: x.reshape(2, 2, 3), (2, 6), (1, (2, -1))),
    ("swapaxes swapdims", lambda x: x.transpose(2, 1, 0), CUBE, (0, -1)),
    ("movedim moveaxis", lambda x: x.transpose(1, 2, 0), CUBE, (0, -1)),
    ("movedim", lambda x: np.moveaxis(x, (0, 1), (2, 0)), CUBE, ((0, 1), (2, 0))),
    ("squeeze", lambda x: x.reshape(3), (1, 3, 1), ((0, 2),)),
    ("repeat", lambda x: np.tile(x, (2, 1, 2)), WIDE, ((2, 1, 2),)),
    ("tile", lambda x: np.tile(x, 2), WIDE, (2,)),
    ("repeat_interleave", lambda x: np.repeat(x, 2), WIDE, (2,)),
    ("repeat_interleave", lambda x: np.repeat(x, 3, 1), WIDE, (3, 1)),
    ("fliplr", np.fliplr, WIDE, ()),
    ("flipud", np.flipud, WIDE, ()),
    ("roll", lambda x: np.roll(x, 2), WIDE, (2,)),
    ("roll", lambda x: np.roll(x, (1, -1), (0, 1)), WIDE, ((1, -1), (0, 1))),
    ("rot90", np.rot90, WIDE, ()),
    ("rot90", lambda x: np.rot90(x, 3), WIDE, (3,)),
    ("narrow", lambda x: x[:, 1:3], (2, 4), (1, 1, 2)),
    ("narrow", lambda x: x[-2:], (4, 2), (0, -2, 2)),
    ("select", lambda x: x[:, 1], WIDE, (1, -2)),
    ("select", lambda x: x[2], (3,), (0, 2)),
    ("split_with_sizes", lambda x: (x[:, :1], x[:, 1:]), WIDE, ([1, 2], 1)),
    ("tensor_split", lambda x: tuple(np.array_split(x, 3)), (5, 2), (3,)),
    ("tensor_split hsplit", lambda x: tuple(np.split(x, [1, 3])), (5,), ([1, 3],)),
    ("vsplit", lambda x: tuple(np.vsplit(x, 2)), (4, 2), (2,)),
    ("dsplit", lambda x: tuple(np.dsplit(x, 2)), CUBE, (2,)),
    ("atleast_1d", np.atleast_1d, UNIT, ()),
    ("atleast_2d", np.atleast_2d, (3,), ()),
    ("atleast_3d", np.atleast_3d, WIDE, ()),
    ("diag", np.diag, (3,), ()),
    ("diag", lambda x: np.diag(x, 1), WIDE, (1,)),
    ("diagonal", lambda x: x.diagonal(-1, 0, 1), (3, 2, 2), (-1,)),
    ("diagonal", lambda x: x.diagonal(1, 2, 1), CUBE, (1, 2, 1)),
    ("diag_embed", lambda x: np.stack([np.diag(r, 1) for r in x]), WIDE, (1,)),
    ("diagflat", np.diagflat, WIDE, ()),
    ("unfold", lambda x: np.stack([x[:, 0:3], x[:, 2:5]], 1), (2, 6), (1, 3, 2)),
    ("unfold", lambda x: x.reshape(2, 3, 2), (2, 6), (1, 2, 2)),
    ("pad", lambda x: np.pad(x, ((0, 0), (1, 2)), constant_values=7), WIDE,
     ((1, 2), "constant", 7.0)),
    ("constant_pad_nd", lambda x: np.pad(x, ((0, 0), (1, 2))), WIDE, ((1, 2),)),
    ("pad", lambda x: np.pad(x, ((1, 0), (0, 0)))[:, 1:], WIDE, ((-1, 0, 1, 0),)),
    ("pad", lambda x: np.pad(x, ((0, 0), (2, 1)), "reflect"), WIDE, ((2, 1), "reflect")),
    ("pad", lambda x: np.pad(x, ((0, 0), (2, 1)), "edge"), WIDE, ((2, 1), "replicate")),
    ("pad", lambda x: np.pad(x, ((0, 0), (2, 1)), "wrap"), WIDE, ((2, 1), "circular")),
]:  # fmt: skip
    for name in names.split():
        tensors = any(isinstance(a, mg.Tensor) for a in args)
        row(
            name,
            reference,
            shape,
            op=(lambda x, n=name, a=args: getattr(mg, n)(x, a[0].to(x.device)))
            if tensors
            else None,
            args=() if tensors else args,
            tag="other" if tensors else "",
        )
COUNTS = np.array([2, 0, 1])
row(
    "repeat_interleave",
    lambda x: np.repeat(x, COUNTS, 1),
    WIDE,
    op=lambda x: mg.repeat_interleave(x, on(x, COUNTS), 1, output_size=3),
    tag="counts",
)
row("view_as", lambda x: x.reshape(3, 2), WIDE,
    op=lambda x: x.contiguous().view_as(mg.zeros(3, 2)))  # fmt: skip
row("broadcast_tensors", lambda a, b: tuple(np.broadcast_arrays(a, b)), (2, 1), (3,))
for name, reference, shape in [
    ("concat", np.concatenate, WIDE),
    ("concatenate", np.concatenate, WIDE),
    ("hstack", np.hstack, WIDE),
    ("hstack", np.hstack, (2,)),
    ("vstack", np.vstack, (3,)),
    ("row_stack", np.vstack, WIDE),
    ("dstack", np.dstack, WIDE),
    ("column_stack", np.column_stack, (3,)),
]:
    row(
        name,
        lambda *xs, f=reference: f(xs),
        shape,
        shape,
        op=lambda *xs, n=name: getattr(mg, n)(xs),
    )
row("cat", lambda a, b: b, (0,), WIDE, op=lambda *xs: mg.cat(xs), tag="empty vector")
row("block_diag", lambda a, b: np.block([[a, np.zeros((2, 2))], [np.zeros((1, 3)), b[None]]]),
    WIDE, (2,))  # fmt: skip

# scatter; the index of gather, and places where each element is met once

INDEX = np.array([[0, 1, 1], [1, 1, 0]])
ONCE = np.array([[0, 1, 2], [2, 0, 1]])
AT = INDEX, np.arange(3)
PICKED = np.array([2, 0, 2])
MASK = np.array([[True, False, True], [False, False, True]])


def hits(x, src, reduce, include_self=True):
    """What arrives at each place along dimension 0, reduced."""
    y = np.empty_like(x)
    for i, j in np.ndindex(*x.shape):
        found = [src[k, j] for k in range(2) if INDEX[k, j] == i]
        found = ([x[i, j]] if include_self or not found else []) + found
        y[i, j] = reduce(found)
    return y


row("scatter", lambda x, s: put(x, (np.arange(2)[:, None], ONCE), s), WIDE, WIDE,
    op=lambda x, s: x.scatter(1, on(x, ONCE), s))  # fmt: skip
row("scatter", lambda x: put(x, (np.arange(2)[:, None], ONCE[:, :2]), 7.0), WIDE,
    op=lambda x: mg.scatter(x, 1, on(x, ONCE[:, :2]), 7.0), tag="number")  # fmt: skip
row("scatter", lambda x, s: added(x, AT, s), WIDE, WIDE,
    op=lambda x, s: mg.scatter(x, 0, on(x, INDEX), s, reduce="add"), tag="add")  # fmt: skip
row("scatter_add", lambda x, s: added(x, AT, s), WIDE, WIDE,
    op=lambda x, s: x.scatter_add(0, on(x, INDEX), s))  # fmt: skip
row("scatter_add", lambda x, s: added(x, (INDEX[:1], np.arange(3)), s[:1]), WIDE, WIDE,
    op=lambda x, s: x.scatter_add(0, on(x, INDEX[:1]), s), tag="smaller index")  # fmt: skip
for name, reduce in [
    ("sum", sum),
    ("mean", np.mean),
    ("prod", np.prod),
    ("amax", max),
    ("amin", min),
]:
    for include in (True, False):
        row(
            "scatter_reduce",
            lambda x, s, f=reduce, i=include: hits(x, s, f, i),
            (3, 3),
            WIDE,
            op=lambda x, s, n=name, i=include: mg.scatter_reduce(
                x, 0, on(x, INDEX), s, n, include_self=i
            ),
            tag=f"{name} {include}",
        )
for name, reduce in [
    ("mean", lambda xs: np.mean(xs, 0)),
    ("prod", lambda xs: np.prod(xs, 0)),
    ("amax", lambda xs: np.max(xs, 0)),
]:
    row(
        "index_reduce",
        lambda x, s, f=reduce: put(x, 1, f([x[1], s[0], s[1]])),
        WIDE,
        WIDE,
        op=lambda x, s, n=name: mg.index_reduce(x, 0, on(x, [1, 1]), s, n),
        tag=name,
    )
row("index_select", lambda x: x[:, PICKED], WIDE,
    op=lambda x: x.index_select(1, on(x, PICKED)))  # fmt: skip
row("index_add", lambda x, s: added(x, (slice(None), PICKED), 2 * s), WIDE, WIDE,
    op=lambda x, s: x.index_add(1, on(x, PICKED), s, alpha=2))  # fmt: skip
row("index_copy", lambda x, s: put(x, (slice(None), PICKED[:2]), s), WIDE, (2, 2),
    op=lambda x, s: x.index_copy(1, on(x, PICKED[:2]), s))  # fmt: skip
row("index_fill", lambda x: put(x, (slice(None), PICKED), 7.0), WIDE,
    op=lambda x: x.index_fill(1, on(x, PICKED), 7.0))  # fmt: skip
row("index_put", lambda x, s: put(x, (np.array([1, 0]), np.array([0, 2])), s), WIDE, (2,),
    op=lambda x, s: mg.index_put(x, (on(x, [1, 0]), on(x, [0, 2])), s))  # fmt: skip
row("take", lambda x: x.ravel()[[5, 0, -2]], WIDE, op=lambda x: mg.take(x, on(x, [5, 0, -2])))
row("put", lambda x, s: put(x.ravel(), [5, 0], s).reshape(2, 3), WIDE, (2,),
    op=lambda x, s: mg.put(x, on(x, [5, 0]), s))  # fmt: skip
row("take_along_dim", lambda x: np.take_along_axis(x, np.array([[2], [0]]), 1), WIDE,
    op=lambda x: mg.take_along_dim(x, on(x, [[2], [0]]), 1))  # fmt: skip
row("masked_select", lambda x: x[MASK], WIDE, op=lambda x: x.masked_select(on(x, MASK)))
row("masked_scatter", lambda x, s: put(x, MASK, s.ravel()[:3]), WIDE, (2, 2),
    op=lambda x, s: x.masked_scatter(on(x, MASK), s))  # fmt: skip
row("select_scatter", lambda x, s: put(x, (slice(None), 1), s), WIDE, (2,), args=(1, 1))
row("slice_scatter", lambda x, s: put(x, slice(0, 4, 2), s), (4, 2), (2, 2), args=(0, 0, 4, 2))
row("diagonal_scatter", lambda x, s: put(x, ([0, 1], [1, 2]), s), WIDE, (2,), args=(1,))

# products

for name, reference, *shapes in [
    ("mm", np.matmul, (2, 3), (3, 4)),
    ("bmm", np.matmul, CUBE, (2, 2, 3)),
    ("mv", np.matmul, (4, 3), (3,)),
    ("dot", np.matmul, (4,), (4,)),
    ("vdot", np.matmul, (3,), (3,)),
    ("inner", np.inner, CUBE, (4, 2)),
    ("outer", np.outer, (2,), (3,)),
    ("ger", np.outer, (2,), (3,)),
    ("addmm", lambda c, a, b: 0.5 * c + 2 * (a @ b), (2,), (2, 3), (3, 2)),
    ("addmv", lambda c, a, b: 0.5 * c + 2 * (a @ b), (2,), (2, 3), (3,)),
    ("addr", lambda c, a, b: 0.5 * c + 2 * np.outer(a, b), WIDE, (2,), (3,)),
    ("baddbmm", lambda c, a, b: 0.5 * c + 2 * (a @ b), (3, 3), CUBE, (2, 2, 3)),
    ("addbmm", lambda c, a, b: 0.5 * c + 2 * (a @ b).sum(0), (3, 3), CUBE, (2, 2, 3)),
    ("kron", np.kron, WIDE, (2, 1)),
    ("cross", np.cross, WIDE, WIDE),
    ("trace", np.trace, WIDE),
    ("bilinear", lambda a, b, w: np.einsum("bi,oij,bj->bo", a, w, b), (2, 3), (2, 4), (2, 3, 4)),
    ("pairwise_distance", lambda a, b: np.sqrt(((a - b + 1e-6) ** 2).sum(-1)), WIDE, WIDE),
    ("cdist", lambda a, b: np.sqrt(((a[:, None] - b) ** 2).sum(-1)), (2, 3), (4, 3)),
    ("pdist", lambda a: np.sqrt(((a[[0, 0, 1]] - a[[1, 2, 2]]) ** 2).sum(-1)), (3, 2)),
]:
    factors = {"beta": 0.5, "alpha": 2} if name.startswith(("add", "badd")) else {}
    row(name, reference, *shapes, **factors)
row("cosine_similarity", lambda a, b: (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1)),
    WIDE, WIDE)  # fmt: skip
row("tensordot", lambda a, b: np.tensordot(a, b, 1), CUBE, (2, 4), dims=1)
row("chain_matmul", lambda a, b, c: a @ b @ c, (2, 3), (3, 4), (4, 2))
for n in (0, 1, 3):
    row("matrix_power", lambda x, n=n: np.linalg.matrix_power(x, n), (3, 3), args=(n,))
for equation, *shapes in [
    ("ij,jk", (2, 3), (3, 4)),
    ("bij,bjk->bki", (2, 3, 2), (2, 2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("ij->", (2, 3)),
    ("ij,j,jk->k", (2, 3), (3,), (3, 2)),
    ("...i,...i->...", (2, 3), (2, 3)),
    ("b...i,ij->...bj", (2, 3, 4), (4, 2)),
    ("i,j->ij", (2,), (3,)),
    ("iij,j->i", (2, 2, 3), (3,)),
    ("ij,kl->k", (2, 3), (2, 2)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("ij->ji", EMPTY),
]:
    row(
        "einsum",
        lambda *xs, e=equation: np.einsum(e, *xs),
        *shapes,
        op=lambda *xs, e=equation: mg.einsum(e, *xs),
        tag=equation,
    )
row("einsum", lambda a, b: a @ b, (2, 1), (1, 3),
    op=lambda a, b: mg.einsum(a, [0, 1], b, [1, 2], [0, 2]), tag="lists")  # fmt: skip
row("einsum", lambda a, b: a[:, 0] * b.sum(), (2, 1), (3, 1),
    op=lambda a, b: mg.einsum("ij,jk->i", a, b), tag="size 1")  # fmt: skip

# factors, of matrices that are well conditioned


def spd(x):
    """A symmetric positive definite matrix made of any."""
    eye = mg.eye(3, dtype=x.dtype, device=x.device) if isinstance(x, mg.Tensor) else np.eye(3)
    return x @ x.swapaxes(-1, -2) + eye


for name, op, reference in [
    ("cholesky", mg.cholesky, np.linalg.cholesky),
    ("inverse", mg.inverse, np.linalg.inv),
    ("det", mg.det, np.linalg.det),
    ("logdet", mg.logdet, lambda x: np.linalg.slogdet(x)[1]),
    ("slogdet", mg.slogdet, lambda x: tuple(np.linalg.slogdet(x))),
]:
    for shape in ((3, 3), (2, 3, 3)):
        row(name, lambda x, f=reference: f(spd(x)), shape, op=lambda x, f=op: f(spd(x)))
row("matrix_power", lambda x: np.linalg.matrix_power(spd(x), -2), (3, 3),
    op=lambda x: mg.matrix_power(spd(x), -2), tag="-2")  # fmt: skip
row("pinverse", np.linalg.pinv, (3, 2))
row("qr", lambda x: tuple(np.linalg.qr(x)), (3, 2))
row("svd", lambda x: np.linalg.svd(spd(x))[1], (3, 3), op=lambda x: mg.svd(spd(x)).S)
