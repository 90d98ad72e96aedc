"""Ready-made parametrizations: a direction and a length, an orthogonal matrix, a largest singular
value of 1.
"""

from __future__ import annotations

from typing import Any

from ... import ops
from ...backend import backend_of
from ...linalg import solve
from ...modes import no_grad
from ...tensor import Tensor, wrap
from ..functional import normalize
from ..module import Module
from .parametrize import register_parametrization
from .weight_norm import norm_except_dim


class _WeightNorm(Module):
    """g v / ‖v‖"""

    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        return v * (g / norm_except_dim(v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train the length and the direction of a weight apart (Salimans & Kingma 2016).

    The norm is taken for each index of `dim`, or over the whole weight with dim=None.
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _Orthogonal(Module):
    """A matrix with orthogonal rows or columns, from one without conditions: by the exponential of
    a skew matrix A, by Cayley's (1 - A/2)⁻¹ (1 + A/2), or as a product of reflections; times
    `base`.
    """

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool = True):
        super().__init__()
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        n, k = X.shape[-2:]
        wide = n < k
        if wide:
            X, n, k = X.mT, k, n
        if self.orthogonal_map == "householder":
            Q = _reflections(X)
        else:
            X = ops.tril(X)
            if n != k:
                X = ops.cat([X, X.new_zeros((*X.shape[:-1], n - k))], -1)
            A = X - X.mT
            if self.orthogonal_map == "matrix_exp":
                Q = ops.matrix_exp(A)
            else:
                one = ops.eye(n, dtype=A.dtype, device=A.device)
                Q = solve(one - 0.5 * A, one + 0.5 * A)
            Q = Q[..., :k]
        if "base" in self._buffers and self.base is not None:
            Q = self.base @ Q
        return Q.mT if wide else Q

    def right_inverse(self, Q: Tensor) -> Tensor:
        if Q.shape != self.shape:
            raise ValueError(f"a matrix of shape {tuple(Q.shape)}, expected {tuple(self.shape)}")
        tall = Q.mT if Q.shape[-2] < Q.shape[-1] else Q
        n, k = tall.shape[-2:]
        if "base" not in self._buffers:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "without use_trivialization only the householder map can start from a matrix"
                )
            start = _to_reflections(tall)
            return start.mT if tall is not Q else start
        if n != k:
            tall = ops.cat([tall, ops.randn(*tall.shape[:-1], n - k, dtype=Q.dtype)], -1)
        self.base = _nearest_orthogonal(tall)
        start = ops.zeros_like(Q)
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)  # of which all three maps make the identity
        return start


def _reflections(X: Tensor) -> Tensor:
    """The first columns of the product of the reflections 1 - τ v vᵀ, where the v stand below the
    diagonal of X, with 1 on it, and the diagonal has the signs of the columns.
    """
    n, k = X.shape[-2:]
    A = ops.tril(X, -1)
    tau = 2.0 / (1.0 + ops.sum(A * A, -2))
    eye = ops.eye(n, k, dtype=X.dtype, device=X.device)
    V, Q = A + eye, ops.expand(eye, X.shape)
    for i in reversed(range(k)):
        v = V[..., i : i + 1]
        Q = Q - tau[..., i : i + 1, None] * (v @ (v.mT @ Q))
    return Q * ops.unsqueeze(ops.diagonal(X, 0, -2, -1).int(), -2)


def _to_reflections(Q: Tensor) -> Tensor:
    """The X of which `_reflections` makes Q, or what Q's columns become made orthogonal."""
    raw, tau = backend_of(Q.array).xp.linalg.qr(Q.array, mode="raw")
    X, tau = wrap(raw.swapaxes(-1, -2).copy()), wrap(tau)
    signs = ops.sign(ops.diagonal(X, 0, -2, -1))
    X.diagonal(dim1=-2, dim2=-1).copy_(ops.where(tau == 0, -signs, signs))
    return X


def _nearest_orthogonal(A: Tensor) -> Tensor:
    """A itself if it is orthogonal, else the factor of A = Q R with the signs of R's diagonal."""
    one = ops.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    if ops.allclose(A.mT @ A, one, atol=10 * A.shape[-1] * 1.2e-7):
        return A.clone()
    Q, R = ops.qr(A)
    return Q * ops.unsqueeze(ops.sign(ops.diagonal(R, 0, -2, -1)), -2)


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Keep a matrix orthogonal while it is trained (Lezcano-Casado 2019): its columns, or its rows
    if it is wider than high.

    `orthogonal_map` is "matrix_exp" (the default for square matrices), "cayley" or "householder".
    With `use_trivialization` the map is taken around the present matrix.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor) or weight.ndim < 2:
        raise ValueError(f"{type(module).__name__} has no matrix {name!r}")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f"orthogonal_map {orthogonal_map!r}: expected matrix_exp, cayley, householder"
        )
    made = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return register_parametrization(module, name, made, unsafe=True)


class PowerMethod:
    """The largest singular value of a weight as a matrix, by the power method, from vectors that
    are kept from one call to the next.
    """

    @staticmethod
    def matrix(weight: Tensor, dim: int) -> Tensor:
        if dim:
            weight = ops.permute(weight, (dim, *[d for d in range(weight.ndim) if d != dim]))
        return ops.flatten(weight, 1)

    @staticmethod
    def step(W: Tensor, u: Tensor, v: Tensor, times: int, eps: float) -> None:
        """Turn u and v, in place, to the singular vectors."""
        with no_grad():
            for _ in range(times):
                u.copy_(normalize(W.detach() @ v, dim=0, eps=eps))
                v.copy_(normalize(W.detach().mT @ u, dim=0, eps=eps))


class _SpectralNorm(Module):
    """W / σ(W)"""

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float):
        super().__init__()
        if n_power_iterations <= 0:
            raise ValueError(f"n_power_iterations is {n_power_iterations}, expected at least 1")
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(f"dim {dim} of a weight of {weight.ndim} dimensions")
        self.dim, self.eps = dim % weight.ndim, eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            W = PowerMethod.matrix(weight.detach(), self.dim)
            for name, size in zip(("_u", "_v"), W.shape):
                start = ops.randn(size, dtype=W.dtype, device=W.device)
                self.register_buffer(name, normalize(start, dim=0, eps=eps))
            PowerMethod.step(W, self._u, self._v, 15, eps)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        W = PowerMethod.matrix(weight, self.dim)
        if self.training:
            PowerMethod.step(W, self._u, self._v, self.n_power_iterations, self.eps)
        return weight / ops.vdot(self._u.clone(), W @ self._v.clone())

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value (Miyato et al. 2018), found by so many steps of
    the power method at each call in training mode. `dim` counts the outputs: 0, or 1 for transposed
    convolutions.
    """
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{type(module).__name__} has no tensor {name!r}")
    if dim is None:
        dim = 1 if "ConvTranspose" in type(module).__name__ else 0
    made = _SpectralNorm(weight, n_power_iterations, dim, eps)
    return register_parametrization(module, name, made)
