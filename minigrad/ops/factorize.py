"""Inverses, determinants and factors of matrices, in batches."""

from __future__ import annotations

from typing import Any

from ..backend import is_array, module_of
from ..op import Op
from . import elementwise as ew
from .names import data_of, return_types
from .products import matmul, sum_to_shape
from .reduce import floats_only, over_nonzero
from .scatter import constant
from .shape import broadcast_shapes, cat, narrow, reshape, squeeze, transpose, unsqueeze
from .tiling import diag_embed


class Inv(Op):
    """y = x⁻¹,  dx = -yᵀ g yᵀ"""

    def forward(self, x):
        with self.backend.checking():
            return self.xp.linalg.inv(x)

    def backward(self, g, y, _x):
        return -matmul(matmul(mT(y), g), mT(y))


class Solve(Op):
    """y = a⁻¹ b for matrices,  db = a⁻ᵀ g,  da = -db yᵀ"""

    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        if a.shape[:-2] != b.shape[:-2]:  # CuPy broadcasts no batches
            batch = tuple(broadcast_shapes(a.shape[:-2], b.shape[:-2]))
            a, b = [self.xp.broadcast_to(x, batch + x.shape[-2:]) for x in (a, b)]
        with self.backend.checking():
            return self.xp.linalg.solve(a, b)

    def backward(self, g, y, a, _b):
        db = Solve()(mT(a), g)
        return sum_to_shape(-matmul(db, mT(y)), self.shapes[0]), sum_to_shape(db, self.shapes[1])


class Det(Op):
    """y = det x,  dx = g y x⁻ᵀ"""

    def forward(self, x):
        return self.xp.linalg.det(x)

    def backward(self, g, y, x):
        shape = (*data_of(g).shape, 1, 1)
        return reshape(g, shape) * reshape(y, shape) * mT(inv(x))


class LogDet(Op):
    """y = ln |det x|, and its sign;  dx = g x⁻ᵀ"""

    def forward(self, x):
        sign, y = self.xp.linalg.slogdet(x)
        return y, sign

    def backward(self, gs, _ys, x):
        return reshape(gs[0], (*data_of(gs[0]).shape, 1, 1)) * mT(inv(x))


class Cholesky(Op):
    """x = y yᵀ with y lower triangular;  dx = y⁻ᵀ Φ(yᵀ g) y⁻¹, made symmetric, where Φ takes the
    lower triangle and half of the diagonal
    """

    def forward(self, x):
        with self.backend.checking():
            return self.xp.linalg.cholesky(x)

    def backward(self, g, y, _x):
        inverse = inv(y)
        inner = halved_lower(matmul(mT(y), g))
        dx = matmul(matmul(mT(inverse), inner), inverse)
        return (dx + mT(dx)) * 0.5


class QR(Op):
    """x = q r;  dx = (dq + q S(M)) r⁻ᵀ with M = r drᵀ - dqᵀ q, where S copies the lower triangle up

    For matrices of full rank with at least as many rows as columns.
    """

    def forward(self, x):
        return tuple(self.xp.linalg.qr(x, mode="reduced"))

    def backward(self, gs, ys, _x):
        (dq, dr), (q, r) = gs, ys
        m = halved_lower(matmul(r, mT(dr)) - matmul(mT(dq), q))
        return matmul(dq + matmul(q, m + mT(m)), mT(inv(r)))


class Eigh(Op):
    """x = v diag(w) vᵀ for a symmetric x
    dx = v (diag(dw) + (vᵀ dv) / E) vᵀ  with  E[i, j] = w[j] - w[i]
    """

    def forward(self, x):
        return tuple(self.xp.linalg.eigh(x, self.half))

    def backward(self, gs, ys, _x):
        (dw, dv), (w, v) = gs, ys
        inner = diag_embed(dw) + over_gaps(matmul(mT(v), dv), w)
        dx = matmul(matmul(v, inner), mT(v))
        return (dx + mT(dx)) * 0.5


class SVD(Op):
    """x = u diag(s) vᵀ with u and v reduced; the gradient: Townsend, Differentiating the SVD"""

    def forward(self, x):
        return tuple(self.xp.linalg.svd(x, full_matrices=False))

    def backward(self, gs, ys, _x):
        (du, ds, dvh), (u, s, vh) = gs, ys
        row, column = unsqueeze(s, -2), unsqueeze(s, -1)

        def skew(a):
            return over_gaps(a - mT(a), s * s)

        inner = skew(matmul(mT(u), du)) * row + column * skew(matmul(vh, mT(dvh)))
        dx = matmul(matmul(u, inner + diag_embed(ds)), vh)
        if data_of(u).shape[-2] > data_of(u).shape[-1]:
            du = du / row
            dx = dx + matmul(du - matmul(u, matmul(mT(u), du)), vh)
        if data_of(vh).shape[-1] > data_of(vh).shape[-2]:
            dvh = dvh / column
            dx = dx + matmul(u, dvh - matmul(matmul(dvh, mT(vh)), vh))
        return dx


class Pinv(Op):
    """y = the pseudoinverse of x;
    dx = -yᵀ g yᵀ + (1 - x y) gᵀ y yᵀ + yᵀ y gᵀ (1 - y x)  (Golub and Pereyra)
    """

    def forward(self, x):
        u, s, vh = self.xp.linalg.svd(x, full_matrices=False)
        small = s <= _least(s, self.atol, self.rtol, x.shape[-2:])
        over = self.xp.where(small, 0, 1 / self.xp.where(small, 1, s)).astype(x.dtype)
        return self.xp.matmul(vh.swapaxes(-1, -2) * over[..., None, :], u.swapaxes(-1, -2))

    def backward(self, g, y, x):
        yt, gt = mT(y), mT(g)
        first, last = matmul(gt, matmul(y, yt)), matmul(matmul(yt, y), gt)
        return (
            first
            - matmul(x, matmul(y, first))
            + last
            - matmul(matmul(last, y), x)
            - matmul(matmul(yt, g), yt)
        )


def mT(x):
    return transpose(x, -2, -1)


def halved_lower(x):
    """The lower triangle, and half of the diagonal."""
    array = data_of(x)
    ones = module_of(array).ones(array.shape[-2:], array.dtype)
    xp = module_of(array)
    return x * (xp.tril(ones) - 0.5 * xp.eye(array.shape[-1], dtype=array.dtype))


def over_gaps(x, w):
    """x[i, j] / (w[j] - w[i]), 0 where they are equal."""
    gaps = unsqueeze(w, -2) - unsqueeze(w, -1)
    return over_nonzero(x, gaps)


def _square(input: Any, name: str) -> None:
    floats_only(input, name)
    shape = data_of(input).shape
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise RuntimeError(f"{name} of shape {shape}: expected square matrices")


def _matrices(input: Any, name: str) -> None:
    floats_only(input, name)
    if data_of(input).ndim < 2:
        raise RuntimeError(f"{name} of shape {data_of(input).shape}: expected matrices")


def inv(A):
    """The inverse; RuntimeError where there is none."""
    _square(A, "inv")
    return Inv()(A)


def inverse(input):
    return inv(input)


def solve(A, B, *, left=True):
    """X with A X = B (X A = B unless `left`); B may be a vector, or a batch of them."""
    _square(A, "solve")
    if data_of(A).dtype != data_of(B).dtype:
        raise RuntimeError(f"solve of {data_of(A).dtype} and {data_of(B).dtype}: convert one")
    if not left:
        return mT(solve(mT(A), mT(B)))
    a, b = data_of(A).shape, data_of(B).shape
    vector = len(b) == 1 or (len(a) - 1 == len(b) and b == a[:-1])
    if b[-1 if vector else -2] != a[-1]:
        raise RuntimeError(f"solve of shapes {a} and {b}: sizes differ")
    y = Solve()(A, unsqueeze(B, -1) if vector else B)
    return squeeze(y, -1) if vector else y


def det(A):
    """The determinant; its gradient needs an inverse."""
    _square(A, "det")
    return Det()(A)


def slogdet(A):
    """The sign of the determinant and the logarithm of its size."""
    _square(A, "slogdet")
    logabsdet, sign = LogDet()(A)
    return return_types.slogdet(sign, logabsdet)


def logdet(input):
    """The logarithm of the determinant, NaN where that is negative."""
    sign, y = slogdet(input)
    return ew.where(ew.lt(sign, 0), float("nan"), y)


def cholesky(input, upper=False):
    """The lower triangular factor of a symmetric positive definite matrix, or its transpose."""
    _square(input, "cholesky")
    y = Cholesky()(input)
    return mT(y) if upper else y


def qr(A, mode="reduced"):
    """Q with orthogonal columns and R upper triangular, "reduced" to the smaller size."""
    _matrices(A, "qr")
    if mode != "reduced":
        raise RuntimeError(f"qr mode {mode!r}: only 'reduced' exists here")
    rows, columns = data_of(A).shape[-2:]
    if rows >= columns:
        return return_types.qr(*QR()(A))
    Q, R = QR()(narrow(A, -1, 0, rows))
    rest = matmul(mT(Q), narrow(A, -1, rows, columns - rows))
    return return_types.qr(Q, cat([R, rest], -1))


def svd(A, full_matrices=True):
    """U, the singular values S from the largest down, and the transpose of V.

    What U and Vh have beyond the smaller size is a constant to the tape.
    """
    _matrices(A, "svd")
    U, S, Vh = SVD()(A)
    rows, columns = data_of(A).shape[-2:]
    if full_matrices and rows != columns:
        full = module_of(data_of(A)).linalg.svd(data_of(A), full_matrices=True)
        if rows > columns:
            U = cat([U, constant(full[0][..., columns:], A)], -1)
        else:
            Vh = cat([Vh, constant(full[2][..., rows:, :], A)], -2)
    return return_types.svd(U, S, Vh)


def thin_svd(input, some=True, compute_uv=True):
    """U, S and V, not transposed: what PyTorch has under the name `svd` outside of `linalg`."""
    U, S, Vh = svd(input, not some)
    return return_types.thin_svd(U, S, mT(Vh))


def svdvals(A):
    return svd(A, full_matrices=False).S


def eigh(A, UPLO="L"):
    """The eigenvalues, from the smallest up, and eigenvectors of a symmetric matrix."""
    _square(A, "eigh")
    return return_types.eigh(*Eigh(half=UPLO)(A))


def eigvalsh(A, UPLO="L"):
    return eigh(A, UPLO).eigenvalues


def _least(x, atol, rtol, shape):
    """The singular values up to which one counts as 0."""
    xp = module_of(x)
    if rtol is None:
        rtol = 0.0 if atol is not None else max(shape) * float(xp.finfo(x.dtype).eps)
    largest = x.max(axis=-1, keepdims=True) if x.size else xp.zeros((*x.shape[:-1], 1), x.dtype)
    rtol, atol = [
        0.0 if least is None else data_of(least)[..., None] if is_array(data_of(least)) else least
        for least in (rtol, atol)
    ]
    return xp.maximum(largest * rtol, atol)


def pinv(A, *, atol=None, rtol=None, hermitian=False):
    """The pseudoinverse: singular values up to max(atol, rtol times the largest) count as 0."""
    _matrices(A, "pinv")
    return Pinv(atol=atol, rtol=rtol)(_symmetric(A) if hermitian else A)


def pinverse(input, rcond=1e-15):
    return pinv(input, rtol=rcond)


def matrix_rank(A, tol=None, *, atol=None, rtol=None, hermitian=False):
    """How many singular values are larger than max(atol, rtol times the largest)."""
    _matrices(A, "matrix_rank")
    x = data_of(svdvals(_symmetric(A) if hermitian else A))
    least = _least(x, atol if tol is None else tol, rtol, data_of(A).shape[-2:])
    return constant((x > least).sum(axis=-1), A)


def _symmetric(A):
    """A matrix of which only the lower triangle is read."""
    lower = halved_lower(A)
    return lower + mT(lower)
