"""Gradients that hold only rows, next to PyTorch's."""

import copy

import numpy as np
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")
torch.sparse.check_sparse_tensor_invariants.disable()  # unset, its Adagrad warns

SIDES = (mg, torch)
IDS = [[1, 2, 1], [5, 1, 6]]


def table(m, sparse=True, **options):
    values = np.random.default_rng(0).standard_normal((7, 3))
    return m.nn.Embedding(7, 3, sparse=sparse, _weight=m.tensor(values), **options)


def read(m, layer, ids=IDS, power=2):
    (layer(m.tensor(ids)) ** power).sum().backward()
    return layer.weight.grad


def values(x):
    if isinstance(x, (mg.Tensor, torch.Tensor)):
        return (x.to_dense() if x.is_sparse else x).detach().numpy()
    return x


def both(f):
    """What f does on both sides: the kind of error, or the result and whether it is sparse."""
    found = []
    for m in SIDES:
        try:
            y = f(m)
        except Exception as error:
            found.append(next(k for k in (NotImplementedError, RuntimeError, TypeError, ValueError)
                              if isinstance(error, k)))  # fmt: skip
        else:
            found.append((getattr(y, "is_sparse", None), values(y)))
    return found


USES = {
    "whole": lambda m, g: g,
    "coalesced": lambda m, g: g.coalesce(),
    "ids": lambda m, g: g._indices(),
    "rows": lambda m, g: g._values(),
    "coalesced ids": lambda m, g: g.coalesce().indices(),
    "coalesced rows": lambda m, g: g.coalesce().values(),
    "ids too early": lambda m, g: g.indices(),
    "rows too early": lambda m, g: g.values(),
    "flag": lambda m, g: (g.is_coalesced(), g.coalesce().is_coalesced()),
    "sizes": lambda m, g: (*g.shape, *g.size(), g.size(1), g.numel(), g.dim(), len(g)),
    "dims": lambda m, g: (g._nnz(), g.sparse_dim(), g.dense_dim(), g.ndim),
    "kind": lambda m, g: (str(g.dtype)[-7:], str(g.device), g.requires_grad, g.is_leaf),
    "norm": lambda m, g: g.norm(),
    "1-norm": lambda m, g: g.norm(1),
    "sum": lambda m, g: g.sum(),
    "sparse + sparse": lambda m, g: g + g * 3,
    "sparse - sparse": lambda m, g: g - g.coalesce() * 3,
    "dense + sparse": lambda m, g: m.ones(7, 3, dtype=m.float64) + g,
    "dense - sparse": lambda m, g: m.ones(7, 3, dtype=m.float64) - 2 * g,
    "sparse + dense": lambda m, g: g + m.ones(7, 3, dtype=m.float64),
    "sparse + other size": lambda m, g: g + read(m, m.nn.Embedding(8, 3, sparse=True)),
    "quotient": lambda m, g: g / 3,
    "times a tensor": lambda m, g: g * m.tensor(2.0, dtype=m.float64),
    "negative": lambda m, g: -g,
    "in place": lambda m, g: g.clone().mul_(2).add_(g),
    "augmented": lambda m, g: augmented(g),
    "zeros": lambda m, g: g.clone().zero_(),
    "emptied": lambda m, g: g.clone().zero_()._nnz(),
    "clone": lambda m, g: g.clone().detach().data,
    "double": lambda m, g: g.to(m.float32),
    "exp": lambda m, g: g.exp(),
    "max": lambda m, g: g.max(),
    "numpy": lambda m, g: g.numpy(),
}


def augmented(g):
    y = g.clone()
    y *= 4
    y /= 3
    y += g
    return y


@pytest.mark.parametrize("name", USES)
def test_a_use(name):
    ours, theirs = both(lambda m: USES[name](m, read(m, table(m))))
    if isinstance(theirs, type):
        assert ours is theirs
        return
    assert ours[0] == theirs[0]
    if isinstance(theirs[1], tuple):
        assert ours[1] == theirs[1]
    else:
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)
        assert ours[1].dtype == theirs[1].dtype if hasattr(theirs[1], "dtype") else True


@pytest.mark.parametrize("options", [{}, {"padding_idx": 1}, {"max_norm": 1.0}], ids=str)
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_two_backward_passes_add_up(options, first, second):
    def run(m):
        layer = table(m, first, **options)
        read(m, layer)
        layer.sparse = second
        return read(m, layer, [3, 1], power=3)

    ours, theirs = both(run)
    assert ours[0] == theirs[0] == (first and second)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)


@pytest.mark.parametrize("kind", ["leaf used twice", "both kinds", "computed", "hook", "grad"])
def test_inside_one_graph(kind):
    def run(m):
        layer = table(m)
        w, ids = layer.weight, m.tensor(IDS)
        if kind == "hook":
            w.register_hook(lambda g: g * 2)
        y = layer(ids).pow(2).sum()
        if kind == "leaf used twice":
            y = y + layer(m.tensor([6, 0])).pow(3).sum()
        if kind == "both kinds":
            y = y * (w * w).sum()
        if kind == "computed":
            y = m.nn.functional.embedding(ids, w * 2, sparse=True).pow(2).sum()
        if kind == "grad":
            return m.autograd.grad(y, w)[0]
        y.backward()
        return w.grad

    ours, theirs = both(run)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)
    assert ours[0] == theirs[0] or kind == "computed"  # the product's rule would need it dense


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags(mode):
    def run(m):
        values = np.random.default_rng(0).standard_normal((7, 3))
        layer = m.nn.EmbeddingBag(7, 3, mode=mode, sparse=True, _weight=m.tensor(values))
        return read(m, layer)

    ours, theirs = both(run)
    if mode == "max":
        assert ours is theirs is ValueError
        return
    assert ours[0] is theirs[0] is True
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)


OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"maximize": True}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"momentum": 0.9, "dampening": 0.2}),
    ("SGD", {"weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.2, "eps": 1e-3}),
    ("Adagrad", {"maximize": True}),
    ("Adagrad", {"weight_decay": 0.1}),
    ("SparseAdam", {}),
    ("SparseAdam", {"betas": (0.5, 0.7), "eps": 1e-3}),
    ("SparseAdam", {"maximize": True}),
    *[(name, {}) for name in "Adam AdamW Adamax NAdam RAdam RMSprop Rprop Adadelta ASGD".split()],
]


def trained(m, name, options, steps=50):
    layer, rng = table(m), np.random.default_rng(3)
    optimizer = getattr(m.optim, name)(layer.parameters(), lr=0.05, **options)
    for step in range(steps):
        optimizer.zero_grad(set_to_none=step % 2 == 0)
        read(m, layer, rng.integers(0, 7, (2, 1 + step % 3)).tolist())
        if step == steps // 2:
            again = getattr(m.optim, name)(layer.parameters(), lr=0.01, **options)
            again.load_state_dict(optimizer.state_dict())
            optimizer = again
        optimizer.step()
    return layer.weight


@pytest.mark.parametrize("name, options", OPTIMIZERS, ids=str)
def test_fifty_steps(name, options):
    ours, theirs = both(lambda m: trained(m, name, options))
    if isinstance(theirs, type):
        assert ours is theirs
    else:
        np.testing.assert_allclose(ours[1], theirs[1], atol=1e-9)


@pytest.mark.parametrize("options", [{"lr": 0}, {"eps": 0}, {"betas": (1, 0.9)}], ids=str)
def test_sparse_adam_refuses(options):
    ours, theirs = both(lambda m: m.optim.SparseAdam([m.ones(2)], **options))
    assert ours is theirs is ValueError


def test_sparse_adam_refuses_dense_gradients():
    def run(m):
        layer = table(m, sparse=False)
        read(m, layer)
        m.optim.SparseAdam(layer.parameters()).step()

    assert both(run) == [RuntimeError, RuntimeError]


def test_a_state_goes_from_one_to_the_other():
    for name in ("Adagrad", "SparseAdam"):
        layers = {m: table(m) for m in SIDES}
        optimizers = {m: getattr(m.optim, name)(layers[m].parameters(), lr=0.1) for m in SIDES}
        for m in SIDES:
            read(m, layers[m])
            optimizers[m].step()
        state = optimizers[torch].state_dict()
        before = copy.deepcopy(state)
        for entry in state["state"].values():
            for key, value in entry.items():
                entry[key] = value.numpy().copy() if isinstance(value, torch.Tensor) else value
        optimizers[mg].load_state_dict(state)
        optimizers[torch].load_state_dict(before)
        for m in SIDES:
            layers[m].zero_grad()
            read(m, layers[m], [0, 2, 2])
            optimizers[m].step()
        np.testing.assert_allclose(
            values(layers[mg].weight), values(layers[torch].weight), rtol=1e-9
        )
