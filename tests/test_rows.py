"""Gradients of embedding tables: dense, added row by row, and with the rows alone."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import functional as F
from minigrad.nn.utils import clip_grad_norm_, clip_grad_value_
from minigrad.ops.indexing import add_rows


def ids_of(kind, n, V, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "even":
        return rng.integers(0, V, n)
    if kind == "frequent":
        return rng.zipf(1.3, n) % V
    if kind == "from the end":
        return rng.integers(-V, V, n)
    return {"one": np.full(n, V // 2), "once": np.arange(n) % V, "none": np.zeros(0, int)}[kind]


@pytest.mark.parametrize("kind", ["even", "frequent", "from the end", "one", "once", "none"])
@pytest.mark.parametrize("V, D, n", [(40, 9, 700), (700, 16, 600), (5, 3, 20), (30, 200, 65)])
@pytest.mark.parametrize("zeros", [True, False])
def test_adding_rows(kind, V, D, n, zeros):
    ids = ids_of(kind, n, V)
    rows = np.random.default_rng(1).standard_normal((len(ids), D))
    table = np.zeros((V, D)) if zeros else np.random.default_rng(2).standard_normal((V, D))
    for skip in (None, 2):
        expected, found = table.copy(), table.copy()
        for i, row in zip(ids, rows):
            if i % V != skip:
                expected[i] += row
        add_rows(found, ids, rows, skip, zeros)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_rows_that_have_rows_of_their_own():
    x = mg.randn(30, 4, 5, dtype=mg.float64, requires_grad=True)
    ids = mg.tensor(ids_of("frequent", 300, 30).reshape(3, 100))
    g = mg.randn(3, 100, 4, 5, dtype=mg.float64)
    x[ids].backward(g)
    expected = np.zeros((30, 4, 5))
    np.add.at(expected, ids.numpy(), g.numpy())
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-12)


def test_a_tied_table_gets_both_gradients():
    table = nn.Embedding(50, 20, padding_idx=3, dtype=mg.float64)
    ids = mg.tensor(ids_of("frequent", 300, 50))
    (table(ids) @ table.weight.T).sum().backward()
    found, table.weight.grad = table.weight.grad.numpy(), None
    w = table.weight.detach().numpy()
    expected = np.tile(w[ids.numpy()].sum(0), (50, 1))
    np.add.at(expected, ids.numpy()[ids.numpy() != 3], w.sum(0))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_large_gradient_costs_one_table():
    """and not a second one for the sum with the other use of a tied table."""
    import tracemalloc

    V, D = 2000, 100
    w = mg.randn(V, D, requires_grad=True)
    y = F.embedding(mg.tensor(ids_of("even", 200, V)), w).sum() + (w * 2.0).sum()
    tracemalloc.start()
    y.backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert w.grad.shape == (V, D)
    assert peak < 3.2 * V * D * 4  # ones for the sum, twice them, and the rows


# the rows alone


def sparse_grad(seed=0, V=7, D=3, **options):
    layer = nn.Embedding(V, D, sparse=True, dtype=mg.float64, **options)
    ids = mg.tensor(ids_of("even", 12, V, seed).reshape(3, 4))
    (layer(ids) ** 2).sum().backward()
    sparse, layer.weight.grad, layer.sparse = layer.weight.grad, None, False
    (layer(ids) ** 2).sum().backward()
    return sparse, layer.weight.grad.numpy()


@pytest.mark.parametrize("padding", [None, 0, 4])
def test_they_are_the_dense_gradient(padding):
    sparse, dense = sparse_grad(padding_idx=padding)
    assert sparse.is_sparse and not sparse.is_coalesced() and sparse.shape == (7, 3)
    np.testing.assert_allclose(sparse.to_dense().numpy(), dense)
    once = sparse.coalesce()
    assert once.is_coalesced() and once.coalesce() is once
    assert once.indices().numpy().tolist() == [sorted(set(sparse._indices().numpy()[0]))]
    np.testing.assert_allclose(once.values().numpy(), dense[once.indices().numpy()[0]])
    assert "nnz" in repr(once)


def test_arithmetic():
    a, A = sparse_grad(0)
    b, B = sparse_grad(1)
    for found, expected in (
        (a + b, A + B),
        (a - 2 * b, A - 2 * B),
        (-a / 4, -A / 4),
        (mg.tensor(A) + b, A + B),
        (mg.tensor(A) - b, A - B),
        (a.clone().add_(b).mul_(3), 3 * (A + B)),
        (copy.deepcopy(a), A),
        (pickle.loads(pickle.dumps(a)), A),
        (a.to(mg.float64), A),
        (a.clone().zero_(), 0 * A),
    ):
        found = found.to_dense() if found.is_sparse else found
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(a.norm().item(), np.linalg.norm(A))
    np.testing.assert_allclose(a.sum().item(), A.sum())


@pytest.mark.parametrize(
    "use",
    [
        lambda g: g.exp(),
        lambda g: g[0],
        lambda g: g * mg.ones(7, 3),
        lambda g: g + mg.ones(7, 3),
        lambda g: g.indices(),
        lambda g: mg.ones(2, 3) + g,
        lambda g: g.requires_grad_(),
    ],
)
def test_what_it_cannot_do_says_so(use):
    with pytest.raises(RuntimeError, match="to_dense|coalesce|differentiated|can only be added"):
        use(sparse_grad()[0])


def test_it_does_not_share_the_memory_of_what_it_came_from():
    layer = nn.Embedding(7, 3, sparse=True)
    y, ids = None, mg.tensor([1, 2, 2])
    y = layer(ids)
    g = mg.ones(3, 3)
    y.backward(g)
    g.mul_(5)
    ids.zero_()
    layer.weight.grad._values().mul_(2)
    assert g.sum().item() == 45
    assert layer.weight.grad.to_dense().sum(1).tolist() == [0, 6, 12, 0, 0, 0, 0]


def test_a_second_derivative_is_dense():
    w = mg.randn(7, 3, dtype=mg.float64, requires_grad=True)
    ids = mg.tensor([1, 1, 4])
    y = (F.embedding(ids, w, sparse=True) ** 3).sum()
    (g,) = mg.autograd.grad(y, w, create_graph=True)
    g.pow(2).sum().backward()
    counts = np.bincount(ids.numpy(), minlength=7)[:, None]
    # g = 3 n w², and the derivative of its square 36 n² w³
    np.testing.assert_allclose(
        w.grad.to_dense().numpy(), 36 * counts**2 * w.detach().numpy() ** 3, atol=1e-12
    )


@pytest.mark.parametrize("p", [1, 2, float("inf")])
def test_clipping_counts_and_scales_the_rows(p):
    (a, A), B = sparse_grad(), np.arange(4.0)
    x, y = mg.zeros(7, 3, dtype=mg.float64), mg.zeros(4, dtype=mg.float64)
    x.grad, y.grad = a, mg.tensor(B)
    norm = clip_grad_norm_([x, y], 0.5, p)
    expected = np.linalg.norm([*A.ravel(), *B], p)
    np.testing.assert_allclose(norm.item(), expected)
    np.testing.assert_allclose(x.grad.to_dense().numpy(), A * 0.5 / expected, rtol=1e-5)
    np.testing.assert_allclose(y.grad.numpy(), B * 0.5 / expected, rtol=1e-5)


def test_clipping_by_value():
    a, A = sparse_grad()
    x = mg.zeros(7, 3, dtype=mg.float64)
    x.grad = a
    clip_grad_value_([x], 0.3)
    np.testing.assert_allclose(x.grad.to_dense().numpy(), np.clip(A, -0.3, 0.3))


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "SparseAdam"])
def test_an_optimizer_changes_only_these_rows(name):
    layer = nn.Embedding(100, 3, sparse=True)
    before = layer.weight.detach().clone()
    optimizer = getattr(optim, name)(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(mg.tensor([[5, 7, 5]])).pow(2).sum().backward()
        optimizer.step()
    changed = (layer.weight != before).any(1).numpy()
    assert np.flatnonzero(changed).tolist() == [5, 7]
    assert layer.weight.grad._nnz() == 3


def test_other_optimizers_refuse():
    layer = nn.Embedding(5, 3, sparse=True)
    layer(mg.tensor([1])).sum().backward()
    for name in ("Adam", "AdamW", "RMSprop"):
        with pytest.raises(RuntimeError, match="sparse=False"):
            getattr(optim, name)(layer.parameters()).step()
    layer = nn.Embedding(5, 3)
    layer(mg.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="dense"):
        optim.SparseAdam(layer.parameters()).step()


def test_hooks_see_the_rows():
    w = mg.randn(6, 2, requires_grad=True)
    seen = []
    w.register_hook(lambda g: (seen.append(g.is_sparse), g * 2)[1])
    w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.is_sparse))
    F.embedding(mg.tensor([1, 1]), w, sparse=True).sum().backward()
    assert seen == [True, True]
    assert w.grad.to_dense().sum().item() == 8
