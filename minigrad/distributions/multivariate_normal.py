from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..linalg import solve_triangular
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .kl import register_kl
from .utils import lazy_property


class MultivariateNormal(Distribution):
    """Vectors (..., D) with mean `loc` and a covariance L Lᵀ, given as `covariance_matrix`, as its
    inverse `precision_matrix` or as its factor `scale_tril` L.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        given = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        given = {name: x for name, x in given.items() if x is not None}
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional")
        if len(given) != 1:
            raise ValueError(f"exactly one of covariance, precision, scale_tril; got {list(given)}")
        ((name, matrix),) = given.items()
        if matrix.ndim < 2:
            raise ValueError(f"{name} must be at least two-dimensional")
        D = loc.shape[-1]
        batch = ops.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = ops.expand(loc, (*batch, D))
        vars(self)[name] = ops.expand(matrix, (*batch, D, D))
        super().__init__(batch, (D,), validate_args=validate_args)

    @lazy_property
    def scale_tril(self) -> Tensor:
        if "covariance_matrix" in vars(self):
            return ops.cholesky(self.covariance_matrix)
        # of P = M Mᵀ with M upper triangular, M⁻ᵀ is lower triangular and the factor of P⁻¹
        flipped = ops.cholesky(ops.flip(self.precision_matrix, (-2, -1)))
        M = ops.flip(flipped, (-2, -1))
        eye = ops.eye(M.shape[-1], dtype=M.dtype, device=M.device)
        return solve_triangular(M.mT, ops.expand(eye, M.shape), upper=False)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self.scale_tril @ self.scale_tril.mT

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return ops.cholesky_inverse(self.scale_tril)

    @property
    def mean(self) -> Tensor:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        return ops.sum(self.scale_tril**2, -1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        noise = ops.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + ops.squeeze(self.scale_tril @ ops.unsqueeze(noise, -1), -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """-½ |L⁻¹ (x - μ)|² - ln |L| - ½ D ln 2π"""
        self._validate_sample(value)
        half = self._log_det(self.scale_tril)
        D = self._event_shape[0]
        return (
            -0.5 * (D * math.log(2 * math.pi) + _squares(self.scale_tril, value - self.loc)) - half
        )

    @staticmethod
    def _log_det(L: Tensor) -> Tensor:
        return ops.sum(ops.log(ops.diagonal(L, 0, -2, -1)), -1)

    def entropy(self) -> Tensor:
        D = self._event_shape[0]
        entropy = 0.5 * D * (1.0 + math.log(2 * math.pi)) + self._log_det(self.scale_tril)
        return ops.expand(entropy, self._batch_shape)


def _squares(L: Tensor, x: Tensor) -> Tensor:
    """|L⁻¹ x|², for batches of both that broadcast."""
    z = solve_triangular(L, ops.unsqueeze(x, -1), upper=False)
    return ops.sum(ops.squeeze(z, -1) ** 2, -1)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal_multivariate_normal(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError(f"events of shape {p.event_shape} and {q.event_shape}")
    half = q._log_det(q.scale_tril) - p._log_det(p.scale_tril)
    inner = solve_triangular(q.scale_tril, p.scale_tril, upper=False)
    traces = ops.sum(ops.sum(inner**2, -1), -1)
    return half + 0.5 * (traces + _squares(q.scale_tril, q.loc - p.loc) - p.event_shape[0])
