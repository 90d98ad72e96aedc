"""The table of ops: what each differentiable function computes, written again in NumPy."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg

UNIT, WIDE, EMPTY = (), (2, 3), (0, 3)
ROWS: list["Row"] = []


class Row(NamedTuple):
    """One op on inputs of `shapes`, drawn from `domains`; `reference` is the same in NumPy.

    `op` is called with Tensors. Where it is None, `minigrad.<name>` is called, and the method of
    that name too, with `args` and `kwargs` behind the tensors.
    """

    name: str
    reference: Callable
    shapes: tuple
    domains: tuple
    op: Callable | None
    args: tuple
    kwargs: dict[str, Any]
    tag: str

    @property
    def id(self) -> str:
        shapes = " ".join("x".join(map(str, shape)) or "0d" for shape in self.shapes)
        params = [*map(str, self.args), *(f"{k}={v}" for k, v in self.kwargs.items())]
        return " ".join([self.name, self.tag, *params, shapes]).replace("  ", " ")

    def calls(self) -> list[Callable]:
        """The ways to call the op: as given, or as a function and as a method."""
        if self.op is not None:
            return [self.op]
        ways = [lambda *xs: getattr(mg, self.name)(*xs, *self.args, **self.kwargs)]
        if hasattr(mg.Tensor, self.name):
            ways.append(lambda x, *xs: getattr(x, self.name)(*xs, *self.args, **self.kwargs))
        return ways


def row(name, reference, *shapes, domain="any", op=None, args=(), tag="", **kwargs):
    domains = domain if isinstance(domain, tuple) else (domain,) * len(shapes)
    ROWS.append(Row(name, reference, shapes, domains, op, args, kwargs, tag))


def _uniform(rng, shape, low, high):
    return rng.uniform(low, high, shape)


def _signed(rng, shape):
    """Away from 0, where |x|, relu and 1 / x are not smooth."""
    return rng.uniform(0.3, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


def _distinct(rng, shape):
    """No two elements closer than 0.1, so that the largest stays the largest."""
    n = int(np.prod(shape))
    return (rng.permutation(n) * 0.1 - 0.05 * n + 0.02).reshape(shape)


def _with_zeros(rng, shape):
    return np.where(np.arange(int(np.prod(shape))).reshape(shape) % 2, _signed(rng, shape), 0.0)


DOMAINS = {
    "any": _signed,
    "positive": lambda rng, shape: _uniform(rng, shape, 0.3, 2.0),
    "distinct": _distinct,
    "zeros": _with_zeros,
    "large": lambda rng, shape: _signed(rng, shape) * 400,
}


def inputs_of(row, dtype="float64"):
    rng = np.random.default_rng([len(row.name), *map(ord, row.id)])
    drawn = [DOMAINS[d](rng, shape) for d, shape in zip(row.domains, row.shapes)]
    return [np.asarray(x, dtype=dtype) for x in drawn]


def on(x, values):
    """An index, mask or constant on the device of x."""
    return mg.tensor(values, device=x.device)


def stable_sigmoid(x):
    z = np.exp(-np.abs(x))
    return np.where(x > 0, 1, z) / (1 + z)


def exp_over_sum(x, dim):
    e = np.exp(x - np.max(x, axis=dim, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=dim, keepdims=True)


def log_sum_exp(x, dim, keepdim=False):
    return np.log(np.exp(x).sum(axis=dim, keepdims=keepdim))


# elementwise, one operand

for name, reference, domain in [
    ("neg", lambda x: -x, "any"),
    ("exp", np.exp, "any"),
    ("log", np.log, "positive"),
    ("sqrt", np.sqrt, "positive"),
    ("sin", np.sin, "any"),
    ("cos", np.cos, "any"),
    ("tanh", np.tanh, "any"),
    ("sigmoid", stable_sigmoid, "any"),
    ("relu", lambda x: np.where(x > 0, x, 0), "any"),
    ("abs", lambda x: np.where(x > 0, x, -x), "any"),
    ("clone", lambda x: x, "any"),
]:
    for shape in (WIDE, UNIT, EMPTY):
        row(name, reference, shape, domain=domain)

row("neg", lambda x: -x, WIDE, op=lambda x: -x, tag="operator")
row("abs", np.abs, WIDE, op=abs, tag="operator")
row("tanh", np.tanh, WIDE, domain="large", tag="large")
row("sigmoid", stable_sigmoid, WIDE, domain="large", tag="large")

for low, high in [(-1.0, 1.0), (None, 0.5), (-0.5, None)]:
    row("clamp", lambda x, a=low, b=high: np.clip(x, a, b), WIDE, args=(low, high))
row("clamp", lambda x: np.clip(x, -1, 1), UNIT, min=-1.0, max=1.0)
row("clamp", lambda x: np.clip(x, -1, 1), EMPTY, min=-1.0, max=1.0)

# elementwise, two operands

PAIRS = [
    (WIDE, WIDE),
    (WIDE, (3,)),
    ((2, 1), (1, 3)),
    (UNIT, WIDE),
    (WIDE, UNIT),
    (UNIT, UNIT),
    (EMPTY, (3,)),
    (EMPTY, UNIT),
    ((0, 3), (1, 3)),
    ((1,), (0,)),
]
for name, reference, domain, operator in [
    ("add", np.add, ("any", "any"), lambda a, b: a + b),
    ("sub", np.subtract, ("any", "any"), lambda a, b: a - b),
    ("mul", np.multiply, ("any", "any"), lambda a, b: a * b),
    ("div", np.divide, ("any", "any"), lambda a, b: a / b),
    ("pow", np.power, ("positive", "any"), lambda a, b: a**b),
    ("maximum", np.maximum, ("any", "any"), None),
    ("minimum", np.minimum, ("any", "any"), None),
]:
    for pair in PAIRS:
        row(name, reference, *pair, domain=domain)
    if operator is not None:
        row(name, reference, WIDE, (3,), domain=domain, op=operator, tag="operator")
    row(name, reference, WIDE, WIDE, domain="positive", tag="positive")

for tag, op in [
    ("number right", lambda x: x + 1.5),
    ("number left", lambda x: 1.5 + x),
    ("function", lambda x: mg.add(x, 1.5)),
]:
    row("add", lambda x: x + 1.5, WIDE, op=op, tag=tag)
row("sub", lambda x: x - 2, WIDE, op=lambda x: x - 2, tag="number right")
row("sub", lambda x: 2 - x, WIDE, op=lambda x: 2 - x, tag="number left")
row("mul", lambda x: x * -3, UNIT, op=lambda x: x * -3, tag="number right")
row("mul", lambda x: x * 0.5, WIDE, op=lambda x: 0.5 * x, tag="number left")
row("div", lambda x: x / 3, WIDE, op=lambda x: x / 3, tag="number right")
row("div", lambda x: 3 / x, WIDE, op=lambda x: 3 / x, tag="number left")

for exponent in (2, 3, 1, 0, -1, 2.0):
    row("pow", lambda x, n=exponent: x**n, WIDE, op=lambda x, n=exponent: x**n, tag=f"{exponent}")
for exponent in (0.5, 2.3, -1.7):
    row(
        "pow",
        lambda x, n=exponent: x**n,
        WIDE,
        domain="positive",
        op=lambda x, n=exponent: x**n,
        tag=f"{exponent}",
    )
for exponent in (0, 1, 2, 3, 4.0):
    row("pow", lambda x, n=exponent: x**n, WIDE, domain="zeros", args=(exponent,), tag="at 0")
row("pow", lambda x: x**2, UNIT, op=lambda x: x**2, tag="2")
row("pow", lambda x: x**2, EMPTY, op=lambda x: x**2, tag="2")
row("pow", lambda x: 2.5**x, WIDE, op=lambda x: 2.5**x, tag="number base")

MASK = np.array([[True, False, True], [False, False, True]])
for a, b in [(WIDE, WIDE), (WIDE, UNIT), (UNIT, UNIT), ((3,), (2, 1)), (EMPTY, EMPTY)]:
    mask = MASK[:0] if EMPTY in (a, b) else MASK
    row(
        "where",
        lambda a, b, m=mask: np.where(m, a, b),
        a,
        b,
        op=lambda a, b, m=mask: mg.where(on(a, m), a, b),
    )
row(
    "where",
    lambda x: np.where(MASK, x, 2),
    WIDE,
    op=lambda x: mg.where(on(x, MASK), x, 2.0),
    tag="number",
)
row(
    "where",
    lambda x: np.where(MASK, 2, x),
    WIDE,
    op=lambda x: mg.where(on(x, MASK), 2, x),
    tag="number first",
)
row(
    "where",
    lambda x: x,
    WIDE,
    op=lambda x: mg.where(on(x, True), x, 0.0),
    tag="0-d mask",
)
row(
    "masked_fill",
    lambda x: np.where(MASK, -7, x),
    WIDE,
    op=lambda x: x.masked_fill(on(x, MASK), -7.0),
)
row(
    "masked_fill",
    lambda x: np.where(MASK[0], -7, x),
    WIDE,
    op=lambda x: mg.masked_fill(x, on(x, MASK[0]), -7.0),
    tag="broadcast",
)

# reductions

DIMS = [(None, False), (0, False), (1, True), (-1, False), ((0, 2), False), ((-1, 0), True)]
REDUCTIONS = [("sum", np.sum), ("mean", np.mean), ("amax", np.max), ("amin", np.min)]
for name, reference in REDUCTIONS:
    domain = "distinct" if name.startswith("a") else "any"
    for dim, keep in DIMS:
        row(
            name,
            lambda x, f=reference, d=dim, k=keep: f(x, axis=d, keepdims=k),
            (2, 3, 2),
            domain=domain,
            dim=dim,
            keepdim=keep,
        )
    row(name, reference, UNIT, domain=domain)
    row(name, lambda x: x, UNIT, domain=domain, dim=0)
    row(name, lambda x, f=reference: f(x, axis=1), EMPTY, domain=domain, dim=1)
    row(
        name,
        lambda x, f=reference: f(x, axis=1, keepdims=True),
        WIDE,
        domain=domain,
        axis=1,
        keepdims=True,
    )
row("sum", np.sum, EMPTY)
row("sum", lambda x: x.sum(axis=0), EMPTY, dim=0)
row("sum", lambda x: x.sum(1), WIDE, args=(1,))
row("mean", lambda x: x.mean(1), WIDE, args=(1,))

for name, arg, reference in [("max", np.argmax, np.max), ("min", np.argmin, np.min)]:
    row(name, reference, WIDE, domain="distinct")
    row(name, reference, UNIT, domain="distinct")
    for dim, keep in [(0, False), (1, True), (-1, False)]:
        row(
            name,
            lambda x, f=reference, i=arg, d=dim, k=keep: (
                f(x, axis=d, keepdims=k),
                i(x, axis=d, keepdims=k),
            ),
            (2, 3, 2),
            domain="distinct",
            dim=dim,
            keepdim=keep,
        )
    row(name, np.maximum if name == "max" else np.minimum, WIDE, (3,), tag="of two")

for dim, keep in [(0, False), (1, True), (-1, False), ((0, 1), False)]:
    row("logsumexp", lambda x, d=dim, k=keep: log_sum_exp(x, d, k), WIDE, dim=dim, keepdim=keep)
row("logsumexp", lambda x: x, UNIT, dim=0)
row("logsumexp", lambda x: np.zeros(0), EMPTY, dim=1)
row("logsumexp", lambda x: np.full(2, -np.inf), (2, 0), dim=1)
for dim in (0, 1, -1):
    row("softmax", lambda x, d=dim: exp_over_sum(x, d), WIDE, dim=dim)
    row("log_softmax", lambda x, d=dim: np.log(exp_over_sum(x, d)), WIDE, dim=dim)
row("softmax", lambda x: exp_over_sum(x, 1), (2, 3, 2), args=(1,))
for name, value in [("softmax", 1.0), ("log_softmax", 0.0)]:
    row(name, lambda x, v=value: np.asarray(v), UNIT, dim=0)
    row(name, lambda x: x, EMPTY, dim=1)
    row(name, lambda x: x, (2, 0), dim=1)
for shape in (WIDE, (3,), UNIT):
    row("norm", lambda x: np.sqrt((x * x).sum()), shape)
row("sum_to", lambda x: x.sum(0), (2, 3), args=((3,),))
row("sum_to", lambda x: x.sum(1, keepdims=True), (2, 3), args=((2, 1),))
row("sum_to", lambda x: x.sum((0, 2)).reshape(1, 3, 1), (2, 3, 2), args=((1, 3, 1),))
row("sum_to", np.sum, (2, 3), args=((),))
row("sum_to", lambda x: np.zeros((1, 3)), EMPTY, args=((1, 3),))

# shape

for source, target in [
    ((2, 6), (3, 4)),
    ((2, 6), (-1, 3)),
    (UNIT, (1, 1)),
    ((1,), ()),
    (EMPTY, (3, 0)),
    ((2, 3), (-1,)),
]:
    row("reshape", lambda x, s=target: x.reshape(s), source, args=(target,))
row("reshape", lambda x: x.reshape(3, 2), WIDE, op=lambda x: x.reshape(3, 2), tag="spread")
row("view", lambda x: x.reshape(3, 2), WIDE, op=lambda x: x.contiguous().view(3, 2))
for dims in [(1, 2, 0), (2, 0, 1), (0, -1, 1)]:
    row("permute", lambda x, d=dims: x.transpose(d), (2, 3, 4), args=(dims,))
row("permute", lambda x: x.T, WIDE, op=lambda x: x.permute(1, 0), tag="spread")
for dims in [(0, 1), (0, -1), (-2, -1), (1, 1)]:
    row("transpose", lambda x, d=dims: np.swapaxes(x, *d), (2, 3, 4), args=dims)
row("transpose", lambda x: x.T, EMPTY, args=(0, 1))
for shape in (WIDE, (3,), UNIT, EMPTY):
    row("t", lambda x: x.T, shape)
row("T", lambda x: x.T, (2, 3, 4), op=lambda x: x.T)
row("mT", lambda x: np.swapaxes(x, 1, 2), (2, 3, 4), op=lambda x: x.mT)
for source, target in [
    ((1, 3), (2, 3)),
    ((3,), (2, 3)),
    (UNIT, (2, 2)),
    ((1,), (0,)),
    ((2, 1), (4, 2, 3)),
]:
    row("expand", lambda x, s=target: np.broadcast_to(x, s), source, args=(target,))
    row("broadcast_to", lambda x, s=target: np.broadcast_to(x, s), source, args=(target,))
row("expand", lambda x: np.broadcast_to(x, (4, 2)), (1, 2), op=lambda x: x.expand(4, -1), tag="-1")
row("squeeze", np.squeeze, (1, 3, 1))
row("squeeze", lambda x: x.reshape(3, 1), (1, 3, 1), args=(0,))
row("squeeze", lambda x: x, (1, 3, 1), args=(1,))
row("squeeze", lambda x: x.reshape(1, 3), (1, 3, 1), dim=-1)
for dim in (0, 1, 2, -1, -3):
    row("unsqueeze", lambda x, d=dim: np.expand_dims(x, d), WIDE, args=(dim,))
row("unsqueeze", lambda x: x.reshape(1), UNIT, args=(0,))
row("flatten", np.ravel, (2, 3, 2))
row("flatten", np.ravel, UNIT)
row("flatten", np.ravel, EMPTY)
row("flatten", lambda x: x.reshape(2, 6), (2, 3, 2), start_dim=1)
row("flatten", lambda x: x.reshape(6, 2), (2, 3, 2), args=(0, 1))
for dims in [(0,), (1, -1), (0, 1, 2)]:
    row("flip", lambda x, d=dims: np.flip(x, d), (2, 3, 2), args=(dims,))
row("flip", lambda x: x[::-1], WIDE, op=lambda x: x.flip(0), tag="spread")

for dim in (0, -1):
    row(
        "cat",
        lambda *xs, d=dim: np.concatenate(xs, d),
        (2, 3),
        (2, 3),
        (2, 3),
        op=lambda *xs, d=dim: mg.cat(xs, d),
        tag=f"dim {dim}",
    )
row("cat", lambda *x: np.concatenate(x), (2, 3), (1, 3), (0, 3),
    op=lambda *x: mg.cat(x), tag="sizes")
row("cat", lambda x: x, WIDE, op=lambda x: mg.cat([x]), tag="one")
row("cat", lambda x: np.concatenate([x, x]), WIDE, op=lambda x: mg.cat([x, x]), tag="itself")
for dim in (0, 1, -1):
    row(
        "stack",
        lambda *xs, d=dim: np.stack(xs, d),
        WIDE,
        WIDE,
        op=lambda *xs, d=dim: mg.stack(xs, d),
        tag=f"dim {dim}",
    )
row("stack", lambda *xs: np.stack(xs), UNIT, UNIT, op=lambda *xs: mg.stack(xs))
row("stack", lambda *xs: np.stack(xs), EMPTY, EMPTY, op=lambda *xs: mg.stack(xs))
row("split", lambda x: (x[:2], x[2:4], x[4:]), (5, 2), args=(2,))
row("split", lambda x: (x[:, :1], x[:, 1:]), (2, 5), args=([1, 4], 1))
row("split", lambda x: (x[:, :0], x), (2, 3), args=([0, 3], -1))
row("split", lambda x: (x,), EMPTY, args=(2,))
row("chunk", lambda x: (x[:2], x[2:4], x[4:]), (5, 2), args=(3,))
row("chunk", lambda x: tuple(np.split(x, 4, 1)), (2, 8), args=(4,), dim=1)
row("chunk", lambda x: (x[:1], x[1:]), (2, 2), args=(5,))
row("unbind", lambda x: (x[0], x[1]), WIDE)
row("unbind", lambda x: (x[:, 0], x[:, 1], x[:, 2]), WIDE, args=(-1,))
row("unbind", lambda x: tuple(x), (3,), tag="to 0-d")
row("unbind", lambda x: tuple(x), WIDE, op=lambda x: tuple(x), tag="iteration")

# indexing

PICK, AGAIN = np.array([2, 0, 3]), np.array([[1, 1, 0], [1, 3, 1]])
for tag, index in [
    ("int", 1),
    ("negative int", -1),
    ("two ints", (1, 2)),
    ("all ints", (1, 2, 0)),
    ("slice", slice(1, 3)),
    ("step", slice(0, 4, 2)),
    ("empty slice", slice(2, 2)),
    ("None", (None, 1)),
    ("None inside", (slice(None), None, 1)),
    ("Ellipsis", (..., 0)),
    ("Ellipsis alone", ...),
    ("everything", (slice(1, None), ..., None, -1)),
    ("empty tuple", ()),
]:
    row("index", lambda x, i=index: x[i], (4, 3, 2), op=lambda x, i=index: x[i], tag=tag)
for tag, make in [
    ("ids", lambda c: c(PICK)),
    ("duplicates", lambda c: c(AGAIN)),
    ("negative ids", lambda c: c(np.array([-1, 0, -1]))),
    ("no ids", lambda c: c(np.zeros(0, np.int64))),
    ("ids second", lambda c: (slice(None), c(np.array([1, 1, 2])))),
    ("two id arrays", lambda c: (c(PICK), c(np.array([1, 1, 2])))),
    ("duplicate pairs", lambda c: (c(np.array([1, 1, 0])), c(np.array([2, 2, 2])))),
    ("broadcast ids", lambda c: (c(AGAIN), c(np.array([[0], [2]])))),
    ("ids around a slice", lambda c: (c(PICK), slice(0, 2), c(np.array([1, 0, 1])))),
    ("ids and int", lambda c: (c(np.array([1, 1])), 2)),
    ("ids, None, slice", lambda c: (None, c(np.array([1, 1])), slice(None, None, 2))),
    ("0-d id", lambda c: c(np.array(2))),
    ("mask", lambda c: c(np.arange(24).reshape(4, 3, 2) % 5 == 0)),
    ("mask of rows", lambda c: c(np.array([True, False, True, True]))),
    ("mask of a dim", lambda c: (slice(None), c(np.array([True, False, True])))),
    ("empty mask", lambda c: c(np.zeros(4, bool))),
]:
    row(
        "index",
        lambda x, f=make: x[f(np.asarray)],
        (4, 3, 2),
        op=lambda x, f=make: x[f(lambda values: on(x, values))],
        tag=tag,
    )
row("index", lambda x: x[[2, 0, 2]], (4, 3), op=lambda x: x[[2, 0, 2]], tag="list")
row("index", lambda x: x[:, [1, 1]], (4, 3), op=lambda x: x[:, [1, 1]], tag="list second")
row("index", lambda x: x[0], (3,), op=lambda x: x[0], tag="to 0-d")
row("index", lambda x: x[None], UNIT, op=lambda x: x[None], tag="0-d None")
row("index", lambda x: x[...], UNIT, op=lambda x: x[...], tag="0-d Ellipsis")
row(
    "index",
    lambda x: x[np.array([1, 1])],
    (3,),
    op=lambda x: mg.index(x, on(x, [1, 1])),
    tag="function",
)
for dim, ids in [
    (0, [[1, 1, 0], [0, 1, 1], [0, 0, 0]]),
    (1, [[2, 2], [0, 1]]),
    (-1, [[2, 2, 2, 0], [0, 1, 0, 0]]),
]:
    row(
        "gather",
        lambda x, d=dim, i=ids: np.take_along_axis(x, np.array(i), d),
        (2, 3),
        op=lambda x, d=dim, i=ids: x.gather(d, on(x, i)),
        tag=f"dim {dim}",
    )
row(
    "gather",
    lambda x: x[np.arange(3)[:, None, None], np.array([[[1]], [[0]], [[1]]]), [[[0, 1]]]],
    (3, 2, 2),
    op=lambda x: mg.gather(x, 1, on(x, [[[1, 1]], [[0, 0]], [[1, 1]]])),
    tag="3-d",
)
row(
    "gather",
    lambda x: x[[[0]], [[2]]],
    (2, 3),
    op=lambda x: x.gather(1, on(x, [[2]])),
    tag="smaller index",
)
row(
    "embedding",
    lambda w: w[np.array([[1, 0, 1], [2, 1, 1]])],
    (3, 2),
    op=lambda w: mg.embedding(on(w, [[1, 0, 1], [2, 1, 1]]), w),
)

# products

for a, b in [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((5, 2, 3), (3, 2)),
    ((2, 3), (5, 3, 2)),
    ((2, 2, 3), (2, 3, 2)),
    ((2, 1, 2, 3), (3, 3, 2)),
    ((2, 2, 3), (3,)),
    ((3,), (2, 3, 2)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((0, 2, 3), (3, 2)),
]:
    row("matmul", np.matmul, a, b)
row("matmul", np.matmul, (2, 3), (3, 4), op=lambda a, b: a @ b, tag="operator")
row("matmul", lambda x: x @ x.T, (2, 3), op=lambda x: x @ x.T, tag="itself")
for name, a, b in [
    ("mm", (2, 3), (3, 2)),
    ("bmm", (2, 2, 3), (2, 3, 2)),
    ("mv", (2, 3), (3,)),
    ("dot", (3,), (3,)),
]:
    row(name, np.matmul, a, b, op=lambda a, b, n=name: getattr(a, n)(b))

# dtypes and copies

row("cast", lambda x: x, WIDE, args=("float64",))
row("cast", lambda x: x, UNIT, op=lambda x: x.to(dtype="float64"), tag="to")
row("contiguous", lambda x: x, WIDE, op=lambda x: x.contiguous())
row("contiguous", lambda x: x.T, WIDE, op=lambda x: x.T.contiguous(), tag="of a transpose")
row("to_device", lambda x: x, WIDE, op=lambda x: mg.to_device(x, x.device))
