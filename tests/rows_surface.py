"""Rows for the rarer functions: gamma, factored matrices, statistics, views by strides."""

import math

import numpy as np
from ops_table import EMPTY, UNIT, WIDE, row

import minigrad as mg
from minigrad import scope


def digamma(x):
    """By recurrence to x + 200, where three terms of the series are exact."""
    z = x + 200.0
    near = sum(1.0 / (x + k) for k in range(200))
    return np.log(z) - 1 / (2 * z) - 1 / (12 * z**2) + 1 / (120 * z**4) - near


def trigamma(x):
    z = x + 200.0
    near = sum((x + k) ** -2.0 for k in range(200))
    return 1 / z + 1 / (2 * z**2) + 1 / (6 * z**3) - 1 / (30 * z**5) + near


lgamma = np.vectorize(math.lgamma, otypes=["float64"])


row("digamma", digamma, WIDE, domain="positive")
row("digamma", lambda x: digamma(1 + x) + np.pi / np.tan(np.pi * x), WIDE, domain="positive",
    op=lambda x: mg.digamma(-x), tag="reflected")  # fmt: skip
row("polygamma", digamma, WIDE, domain="positive", op=lambda x: mg.polygamma(0, x), tag="0")
row("polygamma", trigamma, WIDE, domain="positive", op=lambda x: x.polygamma(1), tag="1")
row(
    "mvlgamma",
    lambda x: lgamma(x + 1) + lgamma(x + 0.5) + 0.5 * np.log(np.pi),
    WIDE,
    domain="positive",
    op=lambda x: mg.mvlgamma(x + 1, 2),
)

# matrices


def lower(x):
    """A lower triangular matrix with a large diagonal, of any."""
    if isinstance(x, mg.Tensor):
        return mg.tril(x) + 3 * mg.eye(3, dtype=x.dtype, device=x.device)
    return np.tril(x) + 3 * np.eye(3)


def spectral(x):
    w, v = np.linalg.eigh(x + x.swapaxes(-1, -2))
    return (v * np.exp(w)[..., None, :]) @ v.swapaxes(-1, -2)


for shape in ((3, 3), (2, 3, 3)):
    row(
        "cholesky_solve",
        lambda b, x: np.linalg.solve(lower(x) @ lower(x).swapaxes(-1, -2), b),
        (3, 2),
        shape,
        op=lambda b, x: mg.cholesky_solve(b, lower(x)),
    )
    row(
        "cholesky_inverse",
        lambda x: np.linalg.inv(lower(x) @ lower(x).swapaxes(-1, -2)),
        shape,
        op=lambda x: mg.cholesky_inverse(lower(x)),
    )
    row(
        "triangular_solve",
        lambda b, x: (np.linalg.solve(lower(x), b), lower(x)),
        (3, 2),
        shape,
        op=lambda b, x: mg.triangular_solve(b, lower(x), upper=False),
    )
    row("matrix_exp", spectral, shape, op=lambda x: mg.matrix_exp(x + x.mT))
row("vander", lambda x: np.vander(x), (3,))
row(
    "vander",
    lambda x: np.vander(x, 4, True),
    (3,),
    op=lambda x: mg.vander(x, 4, True),
    tag="rising",
)

# statistics

row("dist", lambda a, b: np.linalg.norm(a - b), WIDE, WIDE)
row("dist", lambda a, b: np.abs(a - b).sum(), WIDE, (3,), args=(1,))
row(
    "renorm",
    lambda x: x * np.minimum(1, 0.5 / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-7)),
    WIDE,
    args=(2, 0, 0.5),
)
for shape in (WIDE, (3,)):
    row("cov", np.cov, shape)
row("cov", lambda x: np.cov(x, ddof=0), WIDE, correction=0)
row("corrcoef", np.corrcoef, WIDE)
row("trapezoid", lambda y: (y[:, 1:] + y[:, :-1]).sum(1) / 2, WIDE)
row("trapz", lambda y: (y[1:] + y[:-1]).sum(0), WIDE, dx=2.0, dim=0)
row(
    "trapezoid",
    lambda y, x: ((y[:, 1:] + y[:, :-1]) * np.diff(x) / 2).sum(1),
    WIDE,
    (3,),
    tag="places",
)
row("cumulative_trapezoid", lambda y: np.cumsum(y[:, 1:] + y[:, :-1], 1) / 2, WIDE)
row("gradient", lambda x: tuple(np.gradient(x)), WIDE)
row("gradient", lambda x: (np.gradient(x, 0.5, axis=1),), WIDE, spacing=0.5, dim=1)
row("gradient", lambda x: (np.gradient(x, edge_order=2),), (4,), edge_order=2)
row(
    "gradient",
    lambda x: (np.gradient(x, np.array([0.0, 1.0, 4.0]), axis=1),),
    WIDE,
    op=lambda x: mg.gradient(x, spacing=[mg.tensor([0.0, 1.0, 4.0])], dim=1),
    tag="uneven",
)

# shapes

row("adjoint", lambda x: x.swapaxes(-1, -2), (2, 3, 4))
row("narrow_copy", lambda x: x[:, 1:3], WIDE, args=(1, 1, 2))
row("sum_to_size", lambda x: x.sum(0, keepdims=True), WIDE, args=(1, 3))
row("sum_to_size", lambda x: x.sum(), WIDE, op=lambda x: x.sum_to_size(()))
row("unsafe_chunk", lambda x: (x[:1], x[1:]), WIDE, args=(2,))
row("unsafe_split_with_sizes", lambda x: (x[:1], x[1:]), WIDE, args=([1, 1],))
row("unsafe_split", lambda x: (x[:1], x[1:]), WIDE, args=(1,))
for size, stride, offset in [((2, 2), (3, 1), 1), ((3, 3), (1, 1), 0), ((2, 4), (1, 0), 2)]:
    row(
        "as_strided",
        lambda x, a=size, s=stride, o=offset: x.ravel()[
            o + s[0] * np.arange(a[0])[:, None] + s[1] * np.arange(a[1])
        ],
        WIDE,
        op=lambda x, a=(size, stride, offset): mg.as_strided(x.reshape(-1).contiguous(), *a),
        tag=f"{size} {stride}",
    )
row(
    "as_strided",
    lambda x: x,
    EMPTY,
    op=lambda x: mg.as_strided(x.reshape(-1).contiguous(), EMPTY, (3, 1)),
)
row("as_strided", lambda x: x, UNIT, op=lambda x: mg.as_strided(x + 0, (), ()))

# no derivative, or none of their own: tested in test_surface.py and tests/parity
CONSTANTS = """
gcd lcm nextafter unravel_index matrix_rank storage_offset range frombuffer fill_diagonal_ storage
untyped_storage dim_order is_set_to resize_as_ resize is_complex is_conj is_neg is_inference
is_distributed is_pinned is_coalesced is_nonzero is_signed angle conj conj_physical conj_physical_
resolve_conj resolve_neg to_dense polygamma_
""".split()
CONSTANTS += scope.listed(scope.METHODS)
