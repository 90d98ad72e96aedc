"""Reductions, order, shape, scatter and products: one expression on both libraries, and its
results, dtypes, gradients and types of errors compared.
"""

import re
import warnings

import numpy as np
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
mg_linalg = pytest.importorskip("minigrad.linalg")

INPUTS = {  # name: (shape, dtype), or the values
    "x": ((2, 3), "float64"),
    "y": ((2, 3), "float64"),
    "c": ((2, 3, 4), "float64"),
    "v": ((3,), "float64"),
    "s": ((), "float64"),
    "e": ((0, 3), "float64"),
    "m": ((3, 3), "float64"),
    "f": ((2, 3), "float32"),
    "h": ((300,), "float16"),
    "z": np.array([[0.0, 2.0, 3.0, 0.0], [1.5, 0.0, 2.0, 4.0]]),
    "n": np.array([[1.0, np.nan, 3.0], [np.nan, 0.5, -2.0]]),
    "ties": np.array([[2.0, 1.0, 2.0, 2.0], [0.0, 0.0, 1.0, -1.0]]),
    "i": np.array([[3, 1, 2], [0, 2, 2]]),
    "b": np.array([[True, False, True], [False, False, True]]),
    "u": np.array([3, 0, 255], np.uint8),
    "k": np.array([[0, 1, 1], [1, 0, 0]]),
    "one": np.array([1, 0]),
}
VALUES = """
x.sum()|x.sum(0)|x.sum((0, 1), True)|x.sum(dim=())|x.sum(axis=1, keepdims=True)|f.sum(dtype=torch.float64)
i.sum()|b.sum()|u.sum()|i.sum(dtype=torch.int32)|b.sum(1)|h.sum()|h.mean()|h.softmax(0)|h.std()|h.norm()|h.cumsum(0)
x.mean()|i.mean(dtype=torch.float32)|x.mean((0, 1))|n.nansum()|n.nanmean(1)|n.nansum(0, keepdim=True)
z.prod()|z.prod(0)|z.prod(1)|z.prod(1, keepdim=True)|i.prod()|b.prod(0)|e.prod(0)|s.prod()|z[0, :1].prod()
x.var()|x.var(0)|x.var(1, unbiased=False)|x.var(False)|x.var(dim=1, correction=0)|x.std(0, True, True)|x.std((0, 1))
torch.var_mean(x, 1)|torch.std_mean(x)|torch.std_mean(x, dim=0, keepdim=True)|(0 * x).std(0)
x.norm()|x.norm(1)|x.norm(3, 1)|x.norm(float('inf'), 0)|x.norm(p=-float('inf'))|x.norm(0)|x.norm(2, (0, 1), True)|m.norm('nuc')
x.norm(0.5, 1)|(0 * x).norm(1.5, 1)|torch.norm(x, p='fro', dim=1)|torch.norm(f, dtype=torch.float64)
ties.amax(1)|ties.amin()|ties.max()|ties.max(1)|ties.min(0, True)|torch.max(x, y)|x.min(other=y)|torch.aminmax(ties, dim=1)
ties.argmax()|ties.argmin(1)|i.argmax(1, keepdim=True)|x.argmax(keepdim=True)|s.argmax(0)|e.argmax(1)|n.argmax(1)|n.max(1)
b.all()|b.any(1)|u.all()|x.all(dim=(0, 1))|b.all(dim=())|e.all()|e.any(0)|i.count_nonzero()|i.count_nonzero(dim=1)
ties.median()|x.median(1)|n.median()|n.median(1)|n.nanmedian()|n.nanmedian(1)|i.median(0).values|i.mode(1)|torch.mode(ties)
z.quantile(0.4)|z.quantile(torch.tensor([0.2, 1.0], dtype=torch.float64), dim=1)|torch.nanquantile(n, 0.5, 1)|z.quantile(0.3, 0, True, interpolation='nearest')
z.quantile(0.6, interpolation='midpoint')|z.quantile(0.6, 1, interpolation='lower')|z.quantile(0.6, 1, interpolation='higher')
x.logsumexp(1)|x.logsumexp((0, 1))|i.logsumexp(0)|x.softmax(1)|x.log_softmax(-1)|i.softmax(1, dtype=torch.float32)|f.log_softmax(0, torch.float64)
x.cumsum(1)|i.cumsum(0)|b.cumsum(1)|z.cumprod(1)|i.cumprod(1)|s.cumsum(0)|e.cumsum(0)|f.cumsum(0, dtype=torch.float64)|x.logcumsumexp(1)
ties.cummax(1)|ties.cummin(0)|n.cummax(1)|torch.diff(z)|torch.diff(i, n=2)|torch.diff(b)|torch.diff(x, prepend=y, append=y, dim=0)
(300 * x).logcumsumexp(0)
x.sort()|ties.sort(dim=1, stable=True)|ties.sort(dim=1, descending=True, stable=True)|n.sort()|n.sort(descending=True)|s.sort()|i.sort(0).values
x.argsort(1)|x.argsort(descending=True)|x.msort()|x.topk(2)|x.topk(1, 0, largest=False)|s.topk(1)|c.topk(3, dim=2)|x.kthvalue(2)|x.kthvalue(1, 0, True)
i.unique()|i.unique(return_inverse=True)|i.unique(return_counts=True)|i.unique(return_inverse=True, return_counts=True, dim=1)|n.detach().unique()
torch.unique_consecutive(k, return_inverse=True, return_counts=True)|k.unique_consecutive(dim=0)|torch.unique(ties.detach(), dim=0)
i[0].bincount()|i[0].bincount(minlength=6)|i[0].bincount(v.detach())|i[0].bincount(f[0].detach())|torch.histc(x, 4, -1, 1)|torch.histc(x, 5)
torch.searchsorted(v.sort().values, x)|torch.searchsorted(z.sort().values, x, right=True)|torch.bucketize(x, v.sort().values, right=True)
i.nonzero()|b.nonzero(as_tuple=True)|s.nonzero()|torch.isin(i, k)|torch.isin(i, 2)|torch.isin(i, k, invert=True)
c.reshape(6, -1)|c.reshape((4, 6))|torch.reshape(c, (-1,))|c.view(2, 12)|c.view(-1, 4)|x.view_as(y)|x.reshape_as(c[:, :, 0])|f.view(torch.int32)|f.view(torch.int16)
c.permute(2, 0, 1)|c.permute((0, 2, 1))|torch.permute(c, dims=(1, 0, 2))|c.transpose(0, -1)|c.swapaxes(0, 1)|c.swapdims(1, 2)|x.t()|v.t()|c.movedim(0, 2)|c.movedim((0, 1), (1, 2))|c.moveaxis(-1, 0)
x[None].squeeze()|x[None, :, None].squeeze((0, 2))|x[None].squeeze(1)|s.squeeze(0)|x.unsqueeze(-1)|x.unsqueeze(1)|c.flatten()|c.flatten(1)|s.flatten()|c.unflatten(2, (2, -1))|c.ravel()
v.expand(2, 3)|v.expand(2, -1)|v.expand_as(x)|torch.broadcast_to(v, (2, 3))|torch.broadcast_tensors(x, v)|torch.atleast_2d(s, v)|torch.atleast_3d(x)|torch.atleast_1d(s)
x.repeat(2, 2)|x.repeat(2, 1, 2)|v.tile(2)|x.tile((2, 2, 1))|x.repeat_interleave(2)|x.repeat_interleave(2, dim=1)|x.repeat_interleave(i[0], 1)|torch.repeat_interleave(i[0])|x.repeat_interleave(torch.tensor([1, 2]), dim=0, output_size=3)
torch.cat([x, y])|torch.cat((x, y), dim=-1)|torch.cat([x, f], 0)|torch.cat([x, i], 1)|torch.cat([v[:0], x])|torch.concat([x, y], axis=1)|torch.stack([x, y], 1)|torch.stack((x, y), dim=-1)
torch.hstack([v, v])|torch.hstack((x, y))|torch.vstack([v, x])|torch.dstack([x, y])|torch.column_stack([v, v])|torch.block_diag(x, v, s)
c.split(2, 2)|c.split([1, 3], dim=2)|c.chunk(3, -1)|c.tensor_split(3, 2)|c.tensor_split((1, 3), dim=2)|c.hsplit(3)|c.vsplit(2)|torch.dsplit(c, [1])|c.unbind(1)|x.split(split_size=1)|torch.split(x, split_size_or_sections=1)
c.narrow(2, 1, 2)|c.select(1, -1)|c.flip(0, 2)|c.flip([1])|c.fliplr()|c.flipud()|c.roll(1)|c.roll((1, -2), (0, 2))|x.rot90()|x.rot90(2)|c.rot90(-1, (1, 2))
F.pad(x, (1, 2))|F.pad(x, (1, 0, 2, -1), value=3.0)|F.pad(c, (2, 1), mode='reflect')|F.pad(c, (2, 5), 'replicate')|F.pad(c, (3, 4), 'circular')|F.pad(i, (1, 1), value=9)
x.diag()|v.diag()|v.diag(-1)|c.diagonal()|c.diagonal(1, 1, 2)|x.diag_embed()|x.diag_embed(1, 0, 2)|x.diagflat()|c.unfold(2, 2, 1)|c.unfold(1, 3, 1)|c.unfold(2, 2, 2)
x.gather(1, k)|x.gather(0, k[:1])|s.gather(0, k[0, 0])|torch.gather(x, dim=1, index=k)|x.take(k)|x.take_along_dim(k, 1)|torch.take_along_dim(x, k[:, :1], dim=1)|x.take_along_dim(k)
x.scatter(1, k[:, :1], y[:, :1])|x.scatter(0, k[1:], 5.0)|x.scatter(1, k[:, 1:2], value=2.0)|x.scatter(0, k, y, reduce='add').detach()|x.scatter(1, k[:, :2], 3.0, reduce='multiply').detach()
x.scatter_add(1, k, y)|x.scatter_add(0, k[:, :2], y[:, :2])|i.scatter_add(0, k, i)
x.scatter_reduce(1, k, y, 'sum')|x.scatter_reduce(1, k, y, 'mean')|x.scatter_reduce(1, k, y, 'prod')|x.scatter_reduce(0, k, y, 'amax')|x.scatter_reduce(0, k, y, 'amin', include_self=False)
ties.scatter_reduce(1, k, ties[:, :3], 'amax')|z.scatter_reduce(1, k, z[:, :3], 'prod')|z.scatter_reduce(1, k, z[:, 1:], 'prod', include_self=False)|x.scatter_reduce(1, k, y, 'mean', include_self=False)|i.scatter_reduce(1, k, i, 'mean')
x.index_select(1, k[0])|x.index_select(0, k[0, 0])|x.index_add(0, one, y, alpha=2)|x.index_add(1, k[0], y)|x.index_copy(0, one, y)|x.index_fill(1, k[0], 7)|x.index_fill(0, one[:1], s)|torch.index_reduce(x, 0, one, y, 'amax')
torch.put(x, one, v[:2])|torch.put(x, k[0], v, accumulate=True)|x.index_put((one, one), v[:2])|x.index_put((k[0],), v, accumulate=True)|x.masked_select(b)|v.masked_select(b)|x.masked_scatter(b, y)
x.select_scatter(v, 0, 1)|c.select_scatter(x[:, :2].T.T.reshape(2, 2).repeat(1, 2), 1, -1)|torch.slice_scatter(c, c[:, :, :2] * 2, 2, 1, 3)|torch.diagonal_scatter(x, v[:2], 1)
x @ m|x @ v|v @ m|v @ v|c @ c.mT|x @ c|v @ c|c @ c[0, 0]|i @ i.T|x.mm(m)|c.bmm(c.mT)|x.mv(v)|v.dot(v)|torch.vdot(v, v)|x.inner(v)|v.outer(x[0])|h[:2].reshape(1, 2) @ h[:2].reshape(2, 1)
torch.addmm(v, x, m, beta=0.5, alpha=2)|torch.addmm(n[:, :1] * 0, x, m, beta=0)|torch.addmv(x[:, 0], x, v)|torch.baddbmm(s, c, c.mT)|torch.addbmm(v, c, c.mT)|torch.addr(x, x[:, 0], v, alpha=3)|torch.chain_matmul(x, m, m)
torch.einsum('ij,kj->ik', x, y)|torch.einsum('...i,ij', c.mT, m)|torch.einsum('ii->i', m)|torch.einsum('ij,ij', x, y)|torch.einsum('bij,bkj,k->bi', c, c, v)|torch.einsum(x, [0, 1], m, [1, 2])|torch.einsum('ij,jk', x[:, :1], m)|torch.einsum('aab->b', c[:, :2])
torch.tensordot(c, c, ([1, 2], [1, 2]))|torch.tensordot(x, m, 1)|torch.kron(x, v)|torch.cross(x, y, dim=1)|m.trace()|F.cosine_similarity(x, y)|F.cosine_similarity(c, c[0], dim=-1)|F.pairwise_distance(x, y)|torch.cdist(x, m)|torch.cdist(x, m, p=1)|m.matrix_power(3)|torch.matrix_power(m, -2)
m.det()|torch.inverse(m)|torch.slogdet(m)|torch.linalg.cholesky(m @ m.T + torch.eye(3, dtype=torch.float64))|torch.svd(x)[1]|torch.linalg.norm(x)|torch.linalg.norm(x, 1)|torch.linalg.norm(x, 'nuc')|torch.linalg.vector_norm(x, 3, 1)|torch.linalg.matrix_norm(c)
torch.linalg.inv(m)|torch.linalg.solve(m, x.T)|torch.linalg.solve(m, v)|torch.linalg.det(m)|torch.linalg.qr(m)[1].abs()|torch.linalg.svdvals(x)|torch.linalg.eigvalsh(m + m.T)|torch.linalg.pinv(x)|torch.linalg.multi_dot([x, m, v])|torch.linalg.matrix_rank(x)
"""  # noqa: E501
ERRORS = """
x.sum(2)|x.sum((0, 0))|x.sum(1.5)|x.amax(2)|e.amax(0)|e.amax()|e.max()|e.max(0)|e.argmax()|e.argmax(0)|e.median(0)|x.max((0, 1))|i.mean()|i.var()|i.norm()|i.softmax(0)|b.mean()
x.softmax(2)|x.std(unbiased=False, correction=1)|x.cumsum(2)|x.topk(4)|x.topk(-1)|x.sort(2)|x.kthvalue(0)|x.kthvalue(4)|i.bincount()|(i - 5)[0].bincount()|v.bincount()|i.quantile(0.5)|x.quantile(2.0)
torch.diff(s)|torch.diff(v, n=-1)|torch.norm(x, p='bad')|x.norm(dim=2)
x.reshape(4)|x.reshape(-1, -1)|x.reshape(-2, 3)|e.reshape(-1, 0)|x.t().view(6)|x.view(4)|x.permute(0)|x.permute(0, 0)|x.permute(0, 2)|x.transpose(0, 2)|c.t()|x.squeeze(2)|x.squeeze((0, 0))|x.unsqueeze(3)
x.movedim(0, (0, 1))|x.movedim((0, 0), (0, 1))|x.flatten(1, 0)|x.unflatten(1, (2, 2))|x.unflatten(1, ())|x.expand(3, 3)|x.expand(3)|x.expand(-1, 2, 3)|x.repeat(2)|x.repeat(-1, 2)
x.split(0)|x.split(-1)|x.split([1, 2])|x.split([-1, 3])|s.split(1)|s.chunk(1)|x.chunk(0)|x.tensor_split(0)|s.tensor_split(1)|s.unbind()|x.narrow(0, 1, 2)|x.narrow(0, 4, 0)|x.narrow(0, 0, -1)|x.select(0, 2)|s.select(0, 0)
x.flip(2)|x.flip((0, 0))|x.roll((1, 2), 0)|x.roll(1, 2)|x.roll((1, 2))|x.rot90(1, (0, 0))|v.rot90()|v.hsplit(2)|v.vsplit(2)|x.diagonal(0, 0, 0)|v.diagonal()|c.diag()|x.unfold(1, 4, 1)|x.unfold(1, 2, 0)
v.repeat_interleave(i[0, :2])|v.repeat_interleave(-1)|v.repeat_interleave(v)|torch.cat([])|torch.cat([x, c])|torch.cat([x, y], 2)|torch.cat([s, s])|torch.cat(x)|torch.cat(3)|torch.cat([1, 2])|torch.stack([])|torch.stack([x, v])|torch.vstack([])
torch.broadcast_tensors(x[:, :2], v)|torch.broadcast_shapes((2, 3), (4,))|F.pad(x, (1,))|F.pad(x, (1,) * 6)|F.pad(x, (3, 1), mode='reflect')|F.pad(x, (1, 1), mode='what')|F.pad(v, (1, 1), mode='reflect')
x.gather(0, i)|x.gather(0, k - 1)|x.gather(0, k[0])|x.gather(0, y)|x.gather(2, k)|x[:, :2].gather(0, k)|x.scatter(0, i, 1.0)|x.scatter(0, k, f)|x.scatter(0, k, y[:, :2])|x.scatter(0, k, y, reduce='bad')|x.scatter_add(0, i, y)|x.scatter_reduce(0, k, y, 'bad')
x.index_select(0, i[0])|x.index_select(0, one - 1)|x.index_select(0, k)|x.index_select(0, v)|x.index_add(0, i[0, :2], y)|x.index_add(0, one - 1, y)|x.index_add(0, one[:1], y)|x.index_add(0, one, f)|x.index_copy(0, i[0, :2], y)|x.index_fill(0, i[0], 1)|x.index_fill(0, one, v)
x.take(i + 9)|x.take(v)|torch.put(x, i[0] + 9, v)|torch.put(x, one, v)|x.take_along_dim(one, 0)|x.masked_select(i)|x.masked_scatter(b, v[:1])|x.masked_scatter(b, f)|x.masked_scatter(i, y)|x.select_scatter(v, 0, 5)|x.select_scatter(v[:2], 0, 0)|torch.slice_scatter(x, v, 0, 0, 1)|torch.diagonal_scatter(x, v)
x @ y|x @ s|x @ f.T|x.mm(v)|x.mm(y)|x.bmm(y)|c.bmm(c)|x.mv(v[:2])|v.mv(v)|v.dot(v[:2])|x.dot(v)|v.dot(f[0])|x.outer(v)|x.inner(m[:, :2])|torch.addmm(m, x, m)
torch.einsum('ij,jk', x, y)|torch.einsum('ij->il', x)|torch.einsum('ij', v)|torch.einsum('ij,jk', x)|torch.einsum('ij->ii', x)|torch.einsum('ii', x)|torch.einsum('i1', x)|torch.einsum('')|torch.einsum('i,i', v, f[0])
torch.tensordot(x, y, 1)|torch.cross(v, v[:2], dim=0)|v.trace()|x.matrix_power(2)|torch.inverse(x)|x.det()|torch.inverse(0 * m)|torch.linalg.cholesky(0 * m)|torch.linalg.solve(0 * m, v)
"""  # noqa: E501


def listed(text):
    return [part.strip() for line in text.strip().splitlines() for part in line.split("|")]


def drawn(name):
    spec = INPUTS[name]
    if isinstance(spec, np.ndarray):
        return spec
    shape, dtype = spec
    rng = np.random.default_rng(sum(map(ord, name)))
    return np.asarray(rng.standard_normal(shape), dtype)


def leaves(expression, make):
    """The inputs that an expression names; floating ones require gradients."""
    names = sorted(set(re.findall(r"(?<![\w.'])[a-z]+(?![\w'])", expression)) & set(INPUTS))
    return {n: make(drawn(n).copy(), drawn(n).dtype.kind == "f") for n in names}


class Mine:
    """minigrad under PyTorch's roof: `torch.linalg` and `F` as a program would import them."""

    linalg = mg_linalg

    def __getattr__(self, name):
        return getattr(mg, name)


class MyF:
    pad, cosine_similarity = staticmethod(mg.ops.pad), staticmethod(mg.cosine_similarity)
    pairwise_distance = staticmethod(mg.pairwise_distance)


def run(expression, library, functional, make):
    xs = leaves(expression, make)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return xs, eval(expression, {"torch": library, "F": functional, **xs})


def mine(expression):
    return run(expression, Mine(), MyF, lambda x, g: mg.tensor(x, requires_grad=g))


def theirs(expression):
    return run(
        expression, torch, torch.nn.functional, lambda x, g: torch.tensor(x, requires_grad=g)
    )


def several(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


def weighted(ys, library):
    """A scalar of all results that have a gradient, with unequal weights."""
    total = 0.0
    for y in ys:
        if y.requires_grad:
            w = np.cos(np.arange(y.numel(), dtype="float64")).reshape(tuple(y.shape))
            total = total + (y.double() * library.tensor(w)).sum()
    return total


@pytest.mark.parametrize("expression", listed(VALUES))
def test_values_dtypes_and_gradients(expression):
    with np.errstate(all="ignore"):
        xs, ys = mine(expression)
        us, vs = theirs(expression)
        ys, vs = several(ys), several(vs)
        assert len(ys) == len(vs)
        for y, v in zip(ys, vs):
            assert tuple(y.shape) == tuple(v.shape)
            assert str(np.dtype(y.dtype)) == str(v.dtype).removeprefix("torch.")
            tolerance = {"float16": 2e-3, "float32": 1e-5}.get(str(np.dtype(y.dtype)), 1e-9)
            np.testing.assert_allclose(
                y.detach().numpy(), v.detach().numpy(), rtol=tolerance, atol=tolerance
            )
        assert [y.requires_grad for y in ys] == [v.requires_grad for v in vs]
        if not any(v.requires_grad for v in vs):
            return
        weighted(ys, mg).backward()
        weighted(vs, torch).backward()
        for name, x in xs.items():
            # what a result does not depend on has no gradient here, or zeros there
            g, h = [
                np.zeros(drawn(name).shape, drawn(name).dtype) if u.grad is None else u.grad.numpy()
                for u in (x, us[name])
            ]
            tolerance = {"float16": 2e-3, "float32": 1e-5}.get(str(g.dtype), 1e-8)
            np.testing.assert_allclose(g, h, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("expression", listed(ERRORS))
def test_types_of_errors(expression):
    with pytest.raises(Exception) as expected:
        theirs(expression)
    kind = next(
        k
        for k in (IndexError, NotImplementedError, TypeError, ValueError, RuntimeError)
        if isinstance(expected.value, k)
    )
    with pytest.raises(kind):
        mine(expression)


VIEWS = listed("""
c[0]|c.view(6, 4)|c.reshape(2, 12)|c.permute(2, 0, 1)|c.transpose(0, 1)|c.mT|c.movedim(0, 2)
c[:1].squeeze(0)|c.unsqueeze(1)|c.flatten(1)|c.unflatten(2, (2, 2))|c.select(1, 0)|c.view_as(c)
c.narrow(2, 1, 2)|c.split(2, 2)[1]|c.chunk(2, 2)[0]|c.unbind(1)[2]|c.diagonal(0, 1, 2)
c.diagonal(-1, 2, 1)|c.tensor_split(3, 1)[1]|c.unfold(2, 2, 2)|c.swapaxes(0, 2)
""")


@pytest.mark.parametrize("expression", VIEWS)
def test_writing_into_a_view_reaches_the_base(expression):
    results = []
    for library, x in ((mg, mg.tensor(drawn("c"))), (torch, torch.tensor(drawn("c")))):
        part = eval(expression, {"torch": library, "c": x})
        part.fill_(7.0)
        results.append((x.numpy().copy(), part.numpy().copy()))
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)


SINGLE = [view for view in VIEWS if not re.search("split|chunk|unbind", view)]  # PyTorch refuses


@pytest.mark.parametrize("expression", SINGLE)
def test_recorded_writing_into_a_view(expression):
    grads = []
    for library in (mg, torch):
        x = library.tensor(drawn("c"), requires_grad=True)
        y = library.tensor(2.0, dtype=library.float64, requires_grad=True)
        base = x * 3.0
        part = eval(expression, {"torch": library, "c": base})
        part.copy_(y.expand_as(part))
        weighted([base * base], library).backward()
        grads += [(x.grad.numpy(), y.grad.numpy())]
    for a, b in zip(*grads):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_results_with_names_print_as_theirs():
    assert str(mg.tensor([1.0, 3.0]).max(0)) == str(torch.tensor([1.0, 3.0]).max(0)).replace(
        "torch", "minigrad"
    )
    assert mg.ones(2, 2).sort().values.shape == (2, 2)
