"""Module and the layers without time, the losses and the initialisers, against formulas."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import fused, nn, optim
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.testing import composed, gradcheck


def random(*shape, seed=1, dtype="float64", requires_grad=False):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return mg.tensor(values, requires_grad=requires_grad)


def values(x):
    return x.detach().numpy().copy()


# Module


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.second = nn.Parameter(mg.ones(2))
        self.register_buffer("count", mg.zeros(3))
        self.first = nn.Parameter(mg.ones(1))

    def forward(self, x):
        return x * self.first


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(2, 3)
        self.scale = nn.Parameter(mg.ones(()))
        self.inner = Inner()
        self.drop = nn.Dropout(0.3)
        self.note = "not a parameter"
        self.constant = mg.ones(4, requires_grad=True)  # a Tensor, but no Parameter

    def forward(self, x):
        return self.last(x) * self.scale


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.output = nn.Linear(3, 5, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, ids):
        return self.output(self.embedding(ids))


PARAMETERS = ["scale", "last.weight", "last.bias", "inner.second", "inner.first"]


def test_parameters_in_the_order_of_their_definition():
    names = [name for name, _ in Inner().named_parameters()]
    assert names == ["second", "first"]
    names = [name for name, _ in Outer().named_parameters()]
    assert names == PARAMETERS  # a module's own before those of its children, as in PyTorch
    assert [p.shape for p in Outer().parameters()] == [(), (3, 2), (3,), (2,), (1,)]
    assert all(p.requires_grad and p.is_leaf for p in Outer().parameters())


def test_modules_and_children_by_name():
    model = Outer()
    assert [name for name, _ in model.named_modules()] == ["", "last", "inner", "drop"]
    assert [name for name, _ in model.named_children()] == ["last", "inner", "drop"]
    assert list(model.modules())[0] is model
    assert [type(m).__name__ for m in model.children()] == ["Linear", "Inner", "Dropout"]


def test_state_dict_has_parameters_and_buffers():
    model = Outer()
    assert set(model.state_dict()) == {*PARAMETERS, "inner.count"}
    assert [name for name, _ in model.named_buffers()] == ["inner.count"]
    assert not any(x.requires_grad for x in model.state_dict().values())


def test_buffers_are_saved_but_not_trained():
    model, other = Inner(), Inner()
    assert all(p is not model.count for p in model.parameters())
    model.count.array[...] = 7
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.count.numpy(), [7, 7, 7])


def test_tied_parameters_are_one_parameter_under_two_names():
    model = Tied()
    assert [name for name, _ in model.named_parameters()] == ["embedding.weight"]
    assert len(list(model.parameters())) == 1
    assert set(model.state_dict()) == {"embedding.weight", "output.weight"}
    ids = mg.tensor([1, 2])
    model(ids).sum().backward()
    w = values(model.embedding.weight)
    expected = np.zeros((5, 3))
    expected += w[[1, 2]].sum(0)  # as the output layer
    expected[[1, 2]] += w.sum(0)  # as the table
    np.testing.assert_allclose(values(model.embedding.weight.grad), expected, rtol=1e-5, atol=1e-6)
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1e9)
    assert norm.item() == pytest.approx(np.sqrt((expected**2).sum()), rel=1e-5)  # counted once
    optim.SGD(model.parameters(), lr=1.0).step()
    np.testing.assert_allclose(values(model.output.weight), w - expected, rtol=1e-5, atol=1e-5)


def test_tied_parameters_stay_tied_after_loading_and_converting():
    model, other = Tied(), Tied()
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(values(other.output.weight), values(model.embedding.weight))
    other.to(dtype="float64")
    assert other.output.weight is other.embedding.weight
    assert other.output.weight.dtype == "float64"


def test_a_parameter_assigned_again_replaces_the_old_one():
    model = nn.Linear(2, 3)
    model.weight = nn.Parameter(mg.zeros(3, 2))
    assert [name for name, _ in model.named_parameters()] == ["weight", "bias"]
    np.testing.assert_array_equal(values(model(mg.ones(2))), values(model.bias))


def test_train_and_eval_reach_every_module():
    model = Outer()
    assert model.training and model.drop.training
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    assert model.train() is model
    assert all(m.training for m in model.modules())
    model.inner.eval()
    assert model.training and not model.inner.training
    assert not model.train(False).drop.training


def test_zero_grad_and_requires_grad():
    model = nn.Linear(2, 3)
    model(mg.ones(2)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert model.requires_grad_(False) is model
    assert not model(mg.ones(2)).requires_grad
    model.requires_grad_()
    assert model(mg.ones(2)).requires_grad


@pytest.mark.parametrize("make", [lambda: nn.Linear(2, 2), lambda: nn.Parameter(mg.ones(1))])
def test_missing_super_init_is_named(make):
    class Careless(nn.Module):
        def __init__(self):
            self.part = make()

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Careless()


def test_missing_forward_is_named():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty"):
        Empty()(1)


def test_call_passes_arguments_on():
    class Passes(nn.Module):
        def forward(self, *args, **kwargs):
            return args, kwargs

    assert Passes()(1, 2, a=3) == ((1, 2), {"a": 3})


REPRS = [
    (lambda: nn.Linear(3, 4), "Linear(in_features=3, out_features=4, bias=True)"),
    (lambda: nn.Linear(3, 4, False), "Linear(in_features=3, out_features=4, bias=False)"),
    (lambda: nn.Embedding(5, 3), "Embedding(5, 3)"),
    (lambda: nn.Embedding(5, 3, padding_idx=-1), "Embedding(5, 3, padding_idx=4)"),
    (lambda: nn.LSTM(3, 4), "LSTM(3, 4)"),
    (lambda: nn.LSTM(3, 4, 2, batch_first=True, dropout=0.5, bidirectional=True),
     "LSTM(3, 4, num_layers=2, batch_first=True, dropout=0.5, bidirectional=True)"),
    (lambda: nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
    (Tied, "Tied(\n  (embedding): Embedding(5, 3)\n"
     "  (output): Linear(in_features=3, out_features=5, bias=False)\n)"),
]  # fmt: skip


@pytest.mark.parametrize("make, text", REPRS, ids=[text[:20] for _, text in REPRS])
def test_repr(make, text):
    assert repr(make()) == text


def test_repr_of_nested_modules_is_indented():
    model = Outer()
    model.inner.deep = Tied()
    assert "  (inner): Inner(\n    (deep): Tied(\n      (embedding): Embedding(5, 3)" in repr(model)


@pytest.mark.parametrize(
    "convert",
    [lambda m: m.to(dtype="float64"), lambda m: m.to(mg.float64), lambda m: m.double()],
)
def test_conversion_keeps_the_parameter_objects(convert):
    model = Outer()
    model(mg.ones(2)).sum().backward()
    before = list(model.parameters())
    held = [values(p).copy() for p in before]
    assert convert(model) is model
    for p, old, value in zip(model.parameters(), before, held):
        assert p is old and p.dtype == "float64" and p.is_leaf and p.requires_grad
        assert p.grad is None or p.grad.dtype == "float64"
        np.testing.assert_array_equal(values(p), value)
    assert model.inner.count.dtype == "float64"
    assert model(mg.ones(2, dtype="float64")).dtype == "float64"


def test_conversion_to_a_float_leaves_integer_buffers_alone():
    model = nn.Module()
    model.register_buffer("steps", mg.tensor([1, 2]))
    model.register_buffer("mask", mg.tensor([True, False]))
    model.to(dtype="float64")
    assert (model.steps.dtype, model.mask.dtype) == ("int64", "bool")


def test_state_dict_round_trip():
    mg.manual_seed(1)
    model, other = Outer(), Outer()
    state = {name: x.clone() for name, x in model.state_dict().items()}
    identity = list(other.parameters())
    other.load_state_dict(state)
    for name, x in other.state_dict().items():
        np.testing.assert_array_equal(x.numpy(), state[name].numpy())
    assert all(p is q for p, q in zip(other.parameters(), identity))
    x = random(4, 2, dtype="float32")
    np.testing.assert_array_equal(values(model(x)), values(other(x)))
    state["scale"].array[...] = 9  # values are copied in, not shared
    assert other.scale.item() == 1


def test_loading_takes_arrays_and_keeps_the_dtype():
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": np.array([3.0])})
    assert model.weight.dtype == "float32" and model.weight.requires_grad
    np.testing.assert_array_equal(values(model(mg.ones(2))), [6.0])


def fresh(**changes):
    state = {"weight": np.full((3, 2), 5.0), "bias": np.full(3, 5.0), **changes}
    return {name: x for name, x in state.items() if x is not None}


MISFITS = [
    ("missing", fresh(bias=None), ["Missing", "bias"]),
    ("unexpected", fresh(extra=np.ones(1)), ["Unexpected", "extra"]),
    ("transposed", fresh(weight=np.ones((2, 3))), ["weight", "(2, 3)", "(3, 2)"]),
    ("broadcastable", fresh(bias=np.ones(1)), ["bias", "(1,)", "(3,)"]),
    ("last one", fresh(bias=np.ones(4)), ["bias", "(4,)"]),
    ("everything", {"w": np.ones(2), "bias": np.ones(2)}, ["w", "weight", "bias", "(2,)"]),
    ("nothing", {}, ["weight", "bias"]),
]


@pytest.mark.parametrize("state, words", [m[1:] for m in MISFITS], ids=[m[0] for m in MISFITS])
def test_a_state_that_does_not_fit_changes_nothing(state, words):
    model = nn.Linear(2, 3)
    before = {name: x.numpy().copy() for name, x in model.state_dict().items()}
    with pytest.raises(RuntimeError) as error:
        model.load_state_dict(state)
    assert all(word in str(error.value) for word in [*words, "Linear"])
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x.numpy(), before[name])


def test_a_state_that_holds_no_numbers_changes_nothing():
    model = nn.Linear(2, 3)
    before = {name: x.numpy().copy() for name, x in model.state_dict().items()}
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        model.load_state_dict(fresh(bias=np.array(["a", "b", "c"])))
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x.numpy(), before[name])


def test_loading_not_strictly():
    model = nn.Linear(2, 3)
    bias = values(model.bias).copy()
    model.load_state_dict({"weight": np.full((3, 2), 5.0), "other": np.ones(1)}, strict=False)
    assert (values(model.weight) == 5).all()
    np.testing.assert_array_equal(values(model.bias), bias)
    with pytest.raises(RuntimeError, match="bias"):
        model.load_state_dict({"weight": np.zeros((3, 2)), "bias": np.ones(9)}, strict=False)
    assert (values(model.weight) == 5).all()


# Linear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3), (2, 0, 3), (5, 4, 2, 3)])
def test_linear_is_the_formula(shape, bias):
    layer, x = nn.Linear(3, 4, bias).double(), random(*shape)
    expected = x.numpy() @ values(layer.weight).T + (values(layer.bias) if bias else 0)
    y = layer(x)
    assert y.shape == (*shape[:-1], 4)
    np.testing.assert_allclose(values(y), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 3)])
def test_linear_gradients(shape):
    inputs = [random(*s, seed=i, requires_grad=True) for i, s in enumerate((shape, (2, 3), (2,)))]
    assert gradcheck(F.linear, inputs, order=2, atol=1e-5)


@pytest.mark.parametrize("shape", [(2,), (2, 4), (3, 2), (2, 3, 4), ()])
def test_linear_of_a_wrong_size(shape):
    with pytest.raises(RuntimeError, match="3|dim"):
        nn.Linear(3, 4)(mg.ones(shape))


def test_linear_starts_uniform_within_one_over_root_inputs():
    mg.manual_seed(0)
    layer = nn.Linear(100, 400)
    for p in layer.parameters():
        assert np.abs(values(p)).max() <= 0.1 and np.abs(values(p)).max() > 0.095
        assert values(p).std() == pytest.approx(0.2 / math.sqrt(12), rel=0.1)


def test_the_seed_decides_the_initial_weights():
    weights = []
    for seed in (1, 1, 2):
        mg.manual_seed(seed)
        weights.append(values(nn.Linear(3, 4).weight))
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).all()


# Embedding


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 0), (2, 2, 2)])
def test_embedding_reads_rows(shape, dtype):
    table = nn.Embedding(7, 3)
    ids = np.random.default_rng(0).integers(0, 7, shape).astype(dtype)
    y = table(mg.tensor(ids))
    assert y.shape == (*shape, 3)
    np.testing.assert_array_equal(values(y), values(table.weight)[ids])


def test_duplicate_ids_add_their_gradients():
    table = nn.Embedding(5, 2).double()
    ids = np.array([[3, 1, 3], [3, 0, 0]])
    g = random(2, 3, 2)
    table(mg.tensor(ids)).backward(g)
    expected = np.zeros((5, 2))
    for place in np.ndindex(ids.shape):
        expected[ids[place]] += g.numpy()[place]
    np.testing.assert_allclose(values(table.weight.grad), expected, rtol=1e-12)
    table(mg.tensor([3])).backward(mg.ones(1, 2, dtype="float64"))  # a second call accumulates
    expected[3] += 1
    np.testing.assert_allclose(values(table.weight.grad), expected, rtol=1e-12)


def test_many_ids_in_few_rows():
    table = nn.Embedding(3, 4).double()
    ids, g = np.random.default_rng(1).integers(0, 2, 5000), random(5000, 4)
    table(mg.tensor(ids)).backward(g)
    onehot = np.eye(3)[ids]
    np.testing.assert_allclose(values(table.weight.grad), onehot.T @ g.numpy(), 1e-9, 1e-9)


@pytest.mark.parametrize("padding_idx", [0, 3, -1, -5])
def test_the_padding_row_stays_zero_during_training(padding_idx):
    table = nn.Embedding(5, 3, padding_idx=padding_idx)
    row, ids = padding_idx % 5, mg.tensor([0, 1, 2, 3, 4, 4, 0])
    assert table.padding_idx == row and (values(table.weight)[row] == 0).all()
    start = values(table.weight).copy()
    for optimizer in (optim.SGD(table.parameters(), lr=0.1), optim.Adam(table.parameters())):
        for _ in range(3):
            optimizer.zero_grad()
            ((table(ids) - 1.0) ** 2).sum().backward()
            g = values(table.weight.grad)
            assert (g[row] == 0).all() and (np.delete(g, row, 0) != 0).all()
            optimizer.step()
    assert (values(table.weight)[row] == 0).all()
    assert (np.delete(values(table.weight) != start, row, 0)).all()


def test_a_padding_row_that_is_not_zero_is_read_but_not_trained():
    weight = random(4, 2, requires_grad=True)
    y = F.embedding(mg.tensor([1, 2, 1]), weight, padding_idx=-3)
    np.testing.assert_array_equal(values(y), values(weight)[[1, 2, 1]])
    y.sum().backward()
    np.testing.assert_array_equal(values(weight.grad), [[0, 0], [0, 0], [1, 1], [0, 0]])


@pytest.mark.parametrize("padding_idx", [None, 1])
def test_embedding_gradients(padding_idx):
    ids = mg.tensor([[0, 2], [2, 1]])
    weight = random(4, 2, requires_grad=True)

    def function(w):
        y = F.embedding(ids, w, padding_idx)
        return y * y if padding_idx is None else y[:, 0] * y[:, 0]  # 1, the padding, left out

    assert gradcheck(function, [weight], order=2, atol=1e-5)


def test_differentiable_gradient_of_an_embedding_leaves_the_padding_out():
    weight = random(4, 2, requires_grad=True)
    y = F.embedding(mg.tensor([0, 1, 1, 3]), weight, 1)
    (g,) = mg.grad((y * y).sum(), weight, create_graph=True)
    expected = 2 * values(weight)
    expected[[1, 2]] = 0
    np.testing.assert_allclose(values(g), expected, rtol=1e-12)


EMBEDDING_ERRORS = [
    ([-1], IndexError, "-1"),
    ([0, 5], IndexError, "5"),
    ([2**40], IndexError, str(2**40)),
    ([1.0], (TypeError, RuntimeError), "integer"),
    ([True], (TypeError, RuntimeError), "integer"),
]


@pytest.mark.parametrize("ids, error, message", EMBEDDING_ERRORS, ids=str)
def test_embedding_errors(ids, error, message):
    with pytest.raises(error, match=message):
        nn.Embedding(5, 3)(mg.tensor(ids))


@pytest.mark.parametrize("padding_idx", [5, -6])
def test_a_padding_index_outside_the_table(padding_idx):
    with pytest.raises((ValueError, AssertionError), match="padding_idx"):
        nn.Embedding(5, 3, padding_idx=padding_idx)


# Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_expectation(p):
    mg.manual_seed(0)
    y = values(nn.Dropout(p)(mg.ones(300, 300)))
    assert set(np.unique(y)) == {0, np.float32(1 / (1 - p))}
    sigma = math.sqrt(p / (1 - p)) / 300  # of the mean of 90000 elements
    assert y.mean() == pytest.approx(1, abs=4 * sigma)
    assert (y == 0).mean(0).std() < 0.05  # spread over rows and columns alike
    assert (y == 0).mean(1).std() < 0.05


def test_the_mask_of_forward_is_the_mask_of_backward():
    x = random(20, 30, requires_grad=True)
    y, g = nn.Dropout(0.4)(x), random(20, 30, seed=5)
    y.backward(g)
    kept = values(y) != 0
    assert 0 < kept.mean() < 1
    np.testing.assert_allclose(values(y)[kept], values(x)[kept] / 0.6, rtol=1e-12)
    np.testing.assert_allclose(values(x.grad), g.numpy() * kept / 0.6, rtol=1e-12)


def test_every_call_draws_a_new_mask():
    drop = nn.Dropout(0.5)
    assert (values(drop(mg.ones(100))) != values(drop(mg.ones(100)))).any()


@pytest.mark.parametrize("p, training", [(0.0, True), (0.7, False), (1.0, False), (0.0, False)])
def test_dropout_as_the_identity(p, training):
    x = random(5, 6, requires_grad=True)
    y = nn.Dropout(p).train(training)(x)
    np.testing.assert_array_equal(values(y), values(x))
    (y * y).sum().backward()
    np.testing.assert_allclose(values(x.grad), 2 * values(x))


def test_dropout_whose_scale_leaves_float16():
    for dropout in (F.dropout, F.alpha_dropout):
        y = dropout(mg.ones(50, dtype="float16"), 0.99999, True)
        assert y.isfinite().all()
    assert F.dropout(mg.ones(50), 1 - 1e-12).count_nonzero() == 0


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_dropout_of_what_has_no_fractions(dtype):
    with pytest.raises(RuntimeError, match=f"dropout of .*{dtype}"):
        F.dropout(mg.ones(3, dtype=dtype))


def test_dropout_of_everything():
    x = random(5, 6, requires_grad=True)
    y = nn.Dropout(1.0)(x)
    y.sum().backward()
    assert (values(y) == 0).all() and (values(x.grad) == 0).all()


@pytest.mark.parametrize("p", [-0.1, 1.1, 2, float("nan"), float("inf")])
@pytest.mark.parametrize("make", [nn.Dropout, lambda p: F.dropout(mg.ones(2), p)])
def test_dropout_outside_0_to_1(make, p):
    with pytest.raises(ValueError, match="0"):
        make(p)


def test_dropout_with_a_generator_can_be_repeated():
    runs = [nn.Dropout(0.5, generator=mg.Generator(s))(mg.ones(64)).numpy() for s in (3, 3, 4)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


# cross-entropy


def formula(x, target, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """-Σ q ln p with q = (1 - ε) onehot + ε / V, row by row in float64."""
    losses = []
    for row, t in zip(x.astype(np.float64), target):
        if t == ignore_index:
            losses.append(0.0)
            continue
        log_p = row - row.max() - np.log(np.exp(row - row.max()).sum())
        q = np.full(len(row), label_smoothing / len(row))
        q[t] += 1 - label_smoothing
        losses.append(-(q * log_p).sum())
    if reduction == "none":
        return np.array(losses)
    count = (target != ignore_index).sum() if reduction == "mean" else 1
    return sum(losses) / count


TARGETS = {
    "none ignored": ([3, 0, 4, 1, 1, 2], -100),
    "some ignored": ([3, -100, 4, -100, 1, 2], -100),
    "class 0 ignored": ([3, 0, 4, 0, 0, 2], 0),
    "-1 ignored": ([-1, 0, -1, 1, 1, 2], -1),
}


@pytest.mark.parametrize("target, ignore_index", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-12)])
def test_cross_entropy_is_the_formula(target, ignore_index, reduction, smoothing, dtype, tolerance):
    x, target = random(6, 5, dtype=dtype), np.array(target)
    options = dict(ignore_index=ignore_index, reduction=reduction, label_smoothing=smoothing)
    expected = formula(x.numpy(), target, **options)
    module = nn.CrossEntropyLoss(**options)(x, mg.tensor(target))
    function = F.cross_entropy(x, mg.tensor(target), **options)
    for loss in (module, function):
        assert loss.dtype == dtype and loss.shape == np.shape(expected)
        np.testing.assert_allclose(loss.numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("order", [1, 2])
def test_cross_entropy_finite_differences(reduction, smoothing, order):
    target = mg.tensor([2, -100, 0])
    assert gradcheck(
        lambda x: F.cross_entropy(x, target, reduction=reduction, label_smoothing=smoothing),
        [random(3, 4, requires_grad=True)],
        order=order,
    )


def composed_cross_entropy(x, target, smoothing):
    with composed():
        y = fused.cross_entropy(x, target, smoothing=smoothing)
    assert y.grad_fn.name() != "CrossEntropy"
    return y


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_fused_cross_entropy_is_compose(smoothing):
    target = np.array([2, -100, 0, 3])
    x, g = random(4, 5, requires_grad=True), random(4, seed=2)
    results = [
        (y.detach().numpy(), mg.grad(y, x, g)[0].numpy())
        for y in (
            fused.cross_entropy(x, target, smoothing=smoothing),
            composed_cross_entropy(x, target, smoothing),
        )
    ]
    for fast, slow in zip(*results):
        np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-14)


def test_one_sample_without_a_batch():
    x = random(5, requires_grad=True)
    for reduction in ("mean", "sum", "none"):
        loss = F.cross_entropy(x, mg.tensor(3), reduction=reduction)
        assert loss.shape == ()
        assert loss.item() == pytest.approx(formula(values(x)[None], [3], reduction="sum"))
    loss.backward()
    p = np.exp(values(x)) / np.exp(values(x)).sum()
    np.testing.assert_allclose(values(x.grad), p - np.eye(5)[3], rtol=1e-10)


EXTREMES = [
    ([1000.0, -1000.0], 0, 0.0, [0, 0]),
    ([1000.0, -1000.0], 1, 2000.0, [1, -1]),
    ([-1000.0, -1000.0], 0, math.log(2), [-0.5, 0.5]),
    ([1000.0, 1000.0], 1, math.log(2), [0.5, -0.5]),
    ([3e38, -1.0], 0, 0.0, [0, 0]),
]


@pytest.mark.parametrize("logits, target, loss, gradient", EXTREMES, ids=str)
def test_extreme_logits_in_float32(logits, target, loss, gradient):
    x = mg.tensor([logits], requires_grad=True)
    y = F.cross_entropy(x, mg.tensor([target]))
    y.backward()
    assert y.item() == pytest.approx(loss, rel=1e-6)
    np.testing.assert_allclose(values(x.grad), [gradient], atol=1e-6)


@pytest.mark.parametrize("logits", [[1000.0, -1000.0, 0.0], [-1000.0, 1000.0, 1000.0]], ids=str)
def test_extreme_logits_with_smoothing(logits):
    x = mg.tensor([logits], requires_grad=True)
    y = F.cross_entropy(x, mg.tensor([0]), label_smoothing=0.1)
    y.backward()
    expected = formula(np.array([logits]), np.array([0]), label_smoothing=0.1)
    assert y.item() == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(values(x.grad)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("create_graph", [False, True])
def test_ignored_rows_have_no_loss_and_no_gradient(bad, smoothing, create_graph):
    x = random(4, 3).numpy().copy()
    target = np.array([1, -100, 2, -100])
    real = target >= 0
    expected = formula(x[real], target[real], label_smoothing=smoothing)
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    q = (1 - smoothing) * np.eye(3)[np.where(real, target, 0)] + smoothing / 3
    gradient = np.where(real[:, None], (p - q) / 2, 0)
    x[~real] = bad
    x = mg.tensor(x, requires_grad=True)
    with np.errstate(all="ignore"):  # inf - inf in the ignored rows may be computed
        loss = F.cross_entropy(x, mg.tensor(target), label_smoothing=smoothing)
        (g,) = mg.grad(loss, x, create_graph=create_graph)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(values(g), gradient, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("N", [3, 0])
def test_a_mean_over_no_row_is_nan_and_a_sum_zero(N):
    x, target = random(N, 4, requires_grad=True), mg.tensor(np.full(N, -100))
    assert math.isnan(F.cross_entropy(x, target).item())
    total = F.cross_entropy(x, target, reduction="sum")
    assert total.item() == 0
    total.backward()
    np.testing.assert_array_equal(values(x.grad), np.zeros((N, 4)))
    assert F.cross_entropy(x, target, reduction="none").shape == (N,)


def test_smoothing_moves_the_minimum_off_certainty():
    target, V, smoothing = mg.tensor([0]), 4, 0.2
    q = np.full(V, smoothing / V)
    q[0] += 1 - smoothing
    x = mg.tensor(np.log(q)[None], requires_grad=True)  # p = q is the minimum
    loss = F.cross_entropy(x, target, label_smoothing=smoothing)
    loss.backward()
    assert loss.item() == pytest.approx(-(q * np.log(q)).sum())  # the entropy of q
    np.testing.assert_allclose(values(x.grad), 0, atol=1e-12)


def test_arguments_are_left_as_they_were():
    x, target = random(4, 3, requires_grad=True), mg.tensor([1, -100, 2, 0])
    before = values(x).copy(), target.numpy().copy()
    F.cross_entropy(x, target, label_smoothing=0.1).backward()
    np.testing.assert_array_equal(values(x), before[0])
    np.testing.assert_array_equal(target.numpy(), before[1])


LOSS_ERRORS = [
    ("class too large", (2, 3), [0, 3], {}, IndexError, "3"),
    ("negative class", (2, 3), [0, -1], {}, IndexError, "-1"),
    ("-100 when another is ignored", (2, 3), [0, -100], dict(ignore_index=0), IndexError, "-100"),
    ("fewer targets", (2, 3), [0], {}, (RuntimeError, ValueError), r"\(2, 3\)"),
    ("three dimensions", (2, 3, 4), [0, 1], {}, (RuntimeError, ValueError), "flatten"),
    ("targets in two dimensions", (2, 3), [[0, 1]], {}, (RuntimeError, ValueError), None),
    ("float targets", (2, 3), [0.0, 1.0], {}, (TypeError, RuntimeError), "integer"),
    ("smoothing above 1", (2, 3), [0, 1], dict(label_smoothing=1.1), RuntimeError, "1"),
    ("smoothing below 0", (2, 3), [0, 1], dict(label_smoothing=-0.1), RuntimeError, "0"),
    ("unknown reduction", (2, 3), [0, 1], dict(reduction="average"), ValueError, "average"),
]  # fmt: skip


# fmt: skip
@pytest.mark.parametrize(
    "shape, target, options, error, message", [e[1:] for e in LOSS_ERRORS],
    ids=[e[0] for e in LOSS_ERRORS],
)
def test_cross_entropy_errors(shape, target, options, error, message):
    with pytest.raises(error, match=message):
        F.cross_entropy(mg.ones(shape), mg.tensor(target), **options)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mean_squared_error(reduction):
    a, b = random(3, 4), random(3, 4, seed=2)
    squares = (a.numpy() - b.numpy()) ** 2
    expected = {"mean": squares.mean(), "sum": squares.sum(), "none": squares}[reduction]
    np.testing.assert_allclose(F.mse_loss(a, b, reduction=reduction).numpy(), expected, rtol=1e-12)


# initialisers


def blank(*shape, dtype="float32"):
    return nn.Parameter(mg.zeros(shape, dtype=dtype))


WEIGHT = (200, 300)  # fan_out 200, fan_in 300
UNIFORMS = [
    ("uniform", lambda x: init.uniform_(x, -2.0, 3.0), -2, 3),
    ("uniform 0 1", init.uniform_, 0, 1),
    ("xavier", init.xavier_uniform_, -math.sqrt(6 / 500), math.sqrt(6 / 500)),
    ("xavier gain", lambda x: init.xavier_uniform_(x, gain=2.0),
     -2 * math.sqrt(6 / 500), 2 * math.sqrt(6 / 500)),
    ("kaiming", init.kaiming_uniform_, -math.sqrt(6 / 300), math.sqrt(6 / 300)),
    ("kaiming relu", lambda x: init.kaiming_uniform_(x, nonlinearity="relu"),
     -math.sqrt(6 / 300), math.sqrt(6 / 300)),
    ("kaiming fan_out", lambda x: init.kaiming_uniform_(x, mode="fan_out", nonlinearity="linear"),
     -math.sqrt(3 / 200), math.sqrt(3 / 200)),
    ("kaiming √5", lambda x: init.kaiming_uniform_(x, a=math.sqrt(5)),
     -1 / math.sqrt(300), 1 / math.sqrt(300)),
]  # fmt: skip
NORMALS = [
    ("normal", lambda x: init.normal_(x, 2.0, 0.5), 2, 0.5),
    ("normal 0 1", init.normal_, 0, 1),
    ("xavier", init.xavier_normal_, 0, math.sqrt(2 / 500)),
    ("xavier gain", lambda x: init.xavier_normal_(x, gain=3.0), 0, 3 * math.sqrt(2 / 500)),
    ("kaiming", init.kaiming_normal_, 0, math.sqrt(2 / 300)),
    ("kaiming tanh", lambda x: init.kaiming_normal_(x, nonlinearity="tanh"),
     0, 5 / 3 / math.sqrt(300)),
    ("kaiming fan_out", lambda x: init.kaiming_normal_(x, mode="fan_out", nonlinearity="relu"),
     0, math.sqrt(2 / 200)),
]  # fmt: skip


@pytest.mark.parametrize("fill, low, high", [u[1:] for u in UNIFORMS], ids=[u[0] for u in UNIFORMS])
def test_uniform_initialisers(fill, low, high):
    mg.manual_seed(0)
    x = blank(*WEIGHT)
    assert fill(x) is x and x.dtype == "float32" and x.requires_grad and x.is_leaf
    span, v = high - low, values(x).astype("float64")
    assert v.min() >= low - 1e-6 and v.max() <= high + 1e-6
    quantiles = np.quantile(v, [0.001, 0.25, 0.5, 0.75, 0.999])
    expected = low + span * np.array([0.001, 0.25, 0.5, 0.75, 0.999])
    np.testing.assert_allclose(quantiles, expected, atol=0.01 * span)


@pytest.mark.parametrize("fill, mean, std", [n[1:] for n in NORMALS], ids=[n[0] for n in NORMALS])
def test_normal_initialisers(fill, mean, std):
    mg.manual_seed(0)
    x = blank(*WEIGHT)
    assert fill(x) is x and x.dtype == "float32"
    z = (values(x).astype("float64") - mean) / std
    quantiles = np.quantile(z, [0.0228, 0.1587, 0.5, 0.8413, 0.9772])
    np.testing.assert_allclose(quantiles, [-2, -1, 0, 1, 2], atol=0.05)


def test_fans_of_more_than_two_dimensions():
    mg.manual_seed(0)
    x = init.xavier_uniform_(blank(20, 30, 4))  # fan_in 30 · 4, fan_out 20 · 4
    assert np.abs(values(x)).max() == pytest.approx(math.sqrt(6 / 200), rel=0.01)


@pytest.mark.parametrize("shape", [(6, 6), (4, 7), (7, 4), (3, 2, 4), (9, 2, 3), (1, 1), (1, 5)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal(shape, gain):
    x = blank(*shape, dtype="float64")
    assert init.orthogonal_(x, gain) is x
    m = values(x).reshape(shape[0], -1) / gain
    product = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
    np.testing.assert_allclose(product, np.eye(min(m.shape)), atol=1e-12)


def test_orthogonal_is_uniform_over_rotations_and_reflections():
    signs = [np.sign(np.linalg.det(values(init.orthogonal_(blank(3, 3))))) for _ in range(60)]
    firsts = [values(init.orthogonal_(blank(3, 3)))[0, 0] for _ in range(200)]
    assert 10 < (np.array(signs) > 0).sum() < 50
    assert abs(np.mean(firsts)) < 0.2  # an uncorrected QR has a negative diagonal


def test_constants():
    x = blank(2, 3)
    for fill, value in (
        (init.ones_, 1),
        (init.zeros_, 0),
        (lambda x: init.constant_(x, 2.5), 2.5),
    ):
        assert fill(x) is x
        np.testing.assert_array_equal(values(x), np.full((2, 3), value, "float32"))
    for shape in ((2, 3), (3, 3), (3, 2)):
        x = blank(*shape)
        assert init.eye_(x) is x
        np.testing.assert_array_equal(values(x), np.eye(*shape))


GAINS = {"linear": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2)}


def test_gains():
    for name, gain in GAINS.items():
        assert init.calculate_gain(name) == pytest.approx(gain)
    assert init.calculate_gain("leaky_relu") == pytest.approx(math.sqrt(2 / (1 + 0.01**2)))
    assert init.calculate_gain("leaky_relu", 0.2) == pytest.approx(math.sqrt(2 / 1.04))
    assert init.calculate_gain("leaky_relu", 0) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_forget_bias(bidirectional):
    rnn = nn.LSTM(3, 4, 2, bidirectional=bidirectional)
    others = {n: values(p).copy() for n, p in rnn.named_parameters()}
    assert init.forget_bias_(rnn, 1.5) is rnn
    for name, p in rnn.named_parameters():
        after = values(p)
        if "bias" in name:
            partner = dict(rnn.named_parameters())[name.replace("_ih_", "_hh_")]
            if "_ih_" in name:
                np.testing.assert_array_equal((after + values(partner))[4:8], np.full(4, 1.5))
            np.testing.assert_array_equal(np.delete(after, range(4, 8)),
                                          np.delete(others[name], range(4, 8)))
        else:
            np.testing.assert_array_equal(after, others[name])


DRAWS = [
    init.uniform_, init.normal_, init.xavier_uniform_, init.xavier_normal_,
    init.kaiming_uniform_, init.kaiming_normal_, init.orthogonal_,
]  # fmt: skip


@pytest.mark.parametrize("fill", DRAWS, ids=lambda f: f.__name__)
def test_initialisers_with_a_generator_can_be_repeated(fill):
    runs = [values(fill(blank(4, 5), generator=mg.Generator(seed))) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()
    mg.manual_seed(8)
    one = values(fill(blank(4, 5)))
    mg.manual_seed(8)
    np.testing.assert_array_equal(one, values(fill(blank(4, 5))))


def test_an_initialiser_after_forward_is_noticed_by_backward():
    layer, x = nn.Linear(2, 2), mg.ones(2, requires_grad=True)
    loss = layer(x).sum()
    init.ones_(layer.weight)
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


INIT_ERRORS = [
    (lambda: init.xavier_uniform_(blank(3)), "2 dimensions"),
    (lambda: init.xavier_normal_(blank(3)), "2 dimensions"),
    (lambda: init.kaiming_uniform_(blank(3)), "2 dimensions"),
    (lambda: init.kaiming_normal_(blank()), "2 dimensions"),
    (lambda: init.orthogonal_(blank(3)), "2 dimensions"),
    (lambda: init.eye_(blank(3)), "2 dimensions"),
    (lambda: init.eye_(blank(3, 3, 3)), "2 dimensions"),
    (lambda: init.calculate_gain("gelu"), "gelu"),
    (lambda: init.kaiming_uniform_(blank(3, 3), mode="fan_avg"), "fan_avg"),
    (lambda: init.kaiming_normal_(blank(3, 3), nonlinearity="what"), "what"),
]


@pytest.mark.parametrize("call, message", INIT_ERRORS, ids=range(len(INIT_ERRORS)))
def test_initialiser_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# float32 stays float32, float64 stays float64


def pieces(dtype):
    """name: (module, its inputs); every output, gradient and optimizer state must be `dtype`."""
    x = random(4, 3, dtype=dtype, requires_grad=True)
    ids, target = mg.tensor([1, 0, 2, 2]), mg.tensor([0, 2, -100, 1])
    seq = random(4, 2, 3, dtype=dtype, requires_grad=True)
    options = dict(dtype=dtype)
    return {
        "Linear": (nn.Linear(3, 2, **options), (x,)),
        "Linear without bias": (nn.Linear(3, 2, bias=False, **options), (seq,)),
        "Embedding": (nn.Embedding(4, 3, padding_idx=0, **options), (ids,)),
        "Dropout": (nn.Dropout(0.5), (x,)),
        "Dropout of all": (nn.Dropout(1.0), (x,)),
        "CrossEntropyLoss": (nn.CrossEntropyLoss(), (x, target)),
        "smoothed sum": (nn.CrossEntropyLoss(reduction="sum", label_smoothing=0.1), (x, target)),
        "smoothed none": (nn.CrossEntropyLoss(reduction="none", label_smoothing=0.1), (x, target)),
        "LSTM": (nn.LSTM(3, 2, 2, dropout=0.5, bidirectional=True, **options), (seq,)),
        "LSTM without bias": (nn.LSTM(3, 2, bias=False, batch_first=True, **options), (seq,)),
        "LSTM with forget bias": (nn.LSTM(3, 2, forget_bias=1.0, **options), (seq,)),
    }


def flattened(y):
    return [y] if isinstance(y, mg.Tensor) else [part for piece in y for part in flattened(piece)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", pieces("float32"))
def test_dtype_is_kept_everywhere(name, create_graph, dtype):
    module, inputs = pieces(dtype)[name]
    outputs = flattened(module(*inputs))
    if isinstance(module, nn.LSTM):
        outputs += flattened(module(*inputs, lengths=[2] * inputs[0].shape[not module.batch_first]))
    assert {y.dtype.name for y in outputs} == {dtype}
    leaves = [*module.parameters(), *[x for x in inputs if x.requires_grad]]
    loss = sum((y.sum() for y in outputs), mg.tensor(0.0, dtype=dtype))
    loss.backward(create_graph=create_graph)
    assert {x.grad.dtype.name for x in leaves} == {dtype}
    nn.utils.clip_grad_norm_(leaves, 1e-3)
    assert {x.grad.dtype.name for x in leaves} == {dtype}


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "SGD with dampening": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    "Adam": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers_keep_the_dtype(make, dtype):
    p = nn.Parameter(random(3, 2, dtype=dtype))
    optimizer = make([p])
    for _ in range(3):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
    state = optimizer.state_dict()["state"][0]
    arrays = [v for v in state.values() if isinstance(v, mg.Tensor) and v.shape]
    assert {p.dtype.name, p.grad.dtype.name, *[v.dtype.name for v in arrays]} == {dtype}
    assert arrays
