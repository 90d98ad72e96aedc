"""Changes in place: allowed where the gradient stays right, refused by name where it would not.

The oracle is the same program written without changes in place.
"""

import contextlib
import gc
import tracemalloc

import numpy as np
import pytest

import minigrad as mg
from minigrad import autograd, nn
from minigrad.nn import functional as F

rng = np.random.default_rng(0)


@contextlib.contextmanager
def without_gc():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def leaf(values):
    return mg.tensor(values, dtype=mg.float64, requires_grad=True)


def orders(y, *leaves):
    """y, its gradients, and those of the sum of their squares."""
    gs = autograd.grad((y * y).sum(), leaves, create_graph=True)
    hs = autograd.grad(sum((g * g).sum() for g in gs), leaves)
    return [t.detach().numpy() for t in (y, *gs, *hs)]


def agree(in_place, plain, *starts):
    """The two programs have the same value and the same derivatives of two orders."""
    leaves = [leaf(start) for start in starts]
    for mine, expected in zip(orders(in_place(*leaves), *leaves), orders(plain(*leaves), *leaves)):
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-12)


# twins


TWINS = {
    "exp_": (lambda x: x.exp_(), lambda x: x.exp()),
    "log_": (lambda x: x.log_(), lambda x: x.log()),
    "sqrt_": (lambda x: x.sqrt_(), lambda x: x.sqrt()),
    "tanh_": (lambda x: x.tanh_(), lambda x: x.tanh()),
    "sin_": (lambda x: x.sin_(), lambda x: x.sin()),
    "reciprocal_": (lambda x: x.reciprocal_(), lambda x: x.reciprocal()),
    "relu_": (lambda x: x.sub_(0.4).relu_(), lambda x: (x - 0.4).relu()),
    "mul_": (lambda x: x.mul_(3), lambda x: x * 3),
    "div_": (lambda x: x.div_(3), lambda x: x / 3),
    "pow_": (lambda x: x.pow_(3), lambda x: x**3),
    "+=": (lambda x: x.__iadd__(2), lambda x: x + 2),
    "**=": (lambda x: x.__ipow__(2), lambda x: x**2),
    "clamp_": (lambda x: x.clamp_(0.2, 0.6), lambda x: x.clamp(0.2, 0.6)),
    "addcmul_": (lambda x: x.addcmul_(mg.ones(3), mg.ones(3)), lambda x: x + 1),
    "masked_fill_": (lambda x: x.masked_fill_(x > 0.5, 2.0), lambda x: x.masked_fill(x > 0.5, 2.0)),
    "cumsum_": (lambda x: x.cumsum_(0), lambda x: x.cumsum(0)),
    "sigmoid of itself": (lambda x: x.mul_(x.sigmoid()), lambda x: x * x.sigmoid()),
    "times itself": (lambda x: x.mul_(x), lambda x: x * x),
    "over itself plus 1": (lambda x: x.div_(x + 1), lambda x: x / (x + 1)),
}


@pytest.mark.parametrize("twin, function", TWINS.values(), ids=TWINS)
def test_twins_compute_what_the_function_does(twin, function):
    start = [0.25, 0.5, 0.9]

    def changed(w):
        x = w * 1
        assert twin(x) is x
        return x

    agree(changed, lambda w: function(w * 1), start)


@pytest.mark.parametrize("twin, function", TWINS.values(), ids=TWINS)
def test_twins_through_a_view(twin, function):
    def changed(w):
        x = w * 2
        twin(x[1:])
        return x * w

    start = [0.1, 0.125, 0.25, 0.45]
    agree(changed, lambda w: mg.cat([w[:1] * 2, function(w[1:] * 2)]) * w, start)


@pytest.mark.parametrize("twin, function", TWINS.values(), ids=TWINS)
def test_twins_of_constants(twin, function):
    x = mg.tensor([0.25, 0.5, 0.9], dtype=mg.float64)
    expected = function(x.clone())
    assert twin(x) is x and not x.requires_grad
    np.testing.assert_allclose(x.numpy(), expected.numpy(), rtol=1e-12)


# writing through an index


def test_rows_written_in_a_loop():
    def written(x, w):
        out, h = mg.zeros(6, 2, 3, dtype=mg.float64), mg.zeros(2, 3, dtype=mg.float64)
        for t in range(6):
            h = (x[t] + h @ w).tanh()
            out[t] = h
        return out

    def stacked(x, w):
        hs, h = [], mg.zeros(2, 3, dtype=mg.float64)
        for t in range(6):
            h = (x[t] + h @ w).tanh()
            hs.append(h)
        return mg.stack(hs)

    agree(written, stacked, rng.standard_normal((6, 2, 3)), rng.standard_normal((3, 3)) / 2)


def test_rows_written_from_rows_just_read():
    def written(w):
        out = mg.zeros(5, 2, dtype=mg.float64)
        out[0] = w
        for t in range(1, 5):
            out[t] = out[t - 1].clone() * w + t
        return out

    def stacked(w):
        rows = [w]
        for t in range(1, 5):
            rows.append(rows[-1] * w + t)
        return mg.stack(rows)

    agree(written, stacked, [0.5, -0.2])


WRITES = {
    "row": lambda x, y: x.__setitem__(1, y[0]),
    "chain": lambda x, y: x[1].__setitem__(2, y[0, 0]),
    "column": lambda x, y: x.__setitem__((slice(None), 1), y[:, 0]),
    "step": lambda x, y: x[::2].__setitem__((..., 0), y[:2, 1]),
    "transposed": lambda x, y: x.t()[0].copy_(y[:, 0]),
    "flattened": lambda x, y: x.view(-1)[2:5].mul_(y[:, 0]),
    "mask": lambda x, y: x.__setitem__(mg.tensor([True, False, True]), y[:2]),
    "element mask": lambda x, y: x.__setitem__(mg.eye(3).bool(), y[:, 0]),
    "integers": lambda x, y: x.__setitem__(mg.tensor([2, 0]), y[:2]),
    "list": lambda x, y: x.__setitem__([0, 2], y[0]),
    "pairs": lambda x, y: x.__setitem__((mg.tensor([0, 1]), mg.tensor([2, 2])), y[0, :2]),
    "mixed": lambda x, y: x.__setitem__((slice(1, None), mg.tensor([0, 2])), y[1:, :2]),
    "number": lambda x, y: x.__setitem__((0, slice(None)), 5.0),
    "broadcast": lambda x, y: x.__setitem__(slice(1, None), y[0]),
    "diagonal": lambda x, y: x.diagonal().mul_(y[:, 0]),
    "unbound": lambda x, y: [row.mul_(y[0]) for row in x.unbind()],
    "split": lambda x, y: x.split(2)[1].copy_(y[:1]),
    "shifted": lambda x, y: x[1:].add_(x[:-1]),
    "index_add_": lambda x, y: x.index_add_(0, mg.tensor([1, 1]), y[:2]),
    "scatter_": lambda x, y: x.scatter_(1, mg.tensor([[0], [2], [1]]), y),
    "index_put_": lambda x, y: x.index_put_((mg.tensor([1, 1]),), y[0], accumulate=True),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_gradients_of_writes(write):
    """Finite differences say what they are."""

    def function(w, v):
        x = w * 1
        write(x, v)
        return x

    v, w = leaf(rng.standard_normal((3, 3))), leaf(rng.standard_normal((3, 3)))
    assert autograd.gradcheck(function, (w, v))
    assert autograd.gradgradcheck(lambda w, v: function(w, v) ** 2, (w, v))


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writes_into_a_buffer_of_constants(write):
    """A zeros buffer joins the graph where a recorded value is written."""
    v = leaf(rng.standard_normal((3, 3)))
    assert autograd.gradcheck(lambda v: (lambda x: (write(x, v), x)[1])(mg.eye(3).double() * 2), v)


def test_chained_writes_reach_the_base():
    x = mg.zeros(2, 3, 4)
    x[1][0][2] = 1
    x[0][1] = mg.arange(4.0)
    x[0, 2][1:3] = 7
    x[1][1].fill_(3)
    x[1, 2, 3] += 2
    expected = np.zeros((2, 3, 4))
    expected[1, 0, 2], expected[0, 1], expected[0, 2, 1:3] = 1, np.arange(4), 7
    expected[1, 1], expected[1, 2, 3] = 3, 2
    assert x.tolist() == expected.tolist()


# views


def test_a_view_made_before_the_base_was_written_follows_it():
    w = leaf([1.0, 2.0, 3.0])
    x = w * 1
    view, flat = x[1:], x.view(3, 1)
    x.mul_(5)
    assert view.tolist() == [10, 15] and flat.requires_grad
    assert autograd.grad((view * view).sum() + flat.sum(), w)[0].tolist() == [5, 105, 155]


def test_a_view_of_a_buffer_joins_the_graph_with_it():
    w, buffer = leaf([1.0, 2.0]), mg.zeros(4, dtype=mg.float64)
    row = buffer[1:3]
    assert not row.requires_grad and row.is_leaf
    buffer[1:3] = w
    assert row.requires_grad and not row.is_leaf and row.grad_fn is not None
    assert autograd.grad((row * row).sum(), w)[0].tolist() == [2, 4]


def test_views_of_views_of_views():
    def changed(w):
        x = w * 1
        deep = x[1:].t()[0:2].unsqueeze(0)[0, :, 1:]  # columns 0 and 1 of the last row
        deep.mul_(w[0, 0])
        x[-1, 0] += 1
        return x

    def plain(w):
        last = w[2:] * mg.cat([w[:1, 0], w[:1, 0], mg.ones(1).double()])
        return mg.cat([w[:2], last + mg.tensor([[1.0, 0, 0]]).double()])

    agree(changed, plain, rng.standard_normal((3, 3)))


def test_what_was_computed_before_a_write_keeps_its_gradient():
    w = leaf([1.0, 2.0])
    x = w * 2
    total = x.sum() * 3  # needs no values
    x.zero_()
    x += w[0]
    assert autograd.grad(total + x.sum(), w)[0].tolist() == [6 + 2, 6]


def test_data_and_detach_share_memory_without_gradients():
    x = mg.zeros(3)
    x.data[0], x.detach()[1] = 5, 6
    x.data += 1
    assert x.tolist() == [6, 7, 1]
    p = leaf([1.0, 2.0])
    p.data.add_(mg.tensor([1.0, 1.0]), alpha=-0.5)
    p.data[0] = 7
    assert p.tolist() == [7, 1.5] and p.is_leaf and p.requires_grad
    p.data = mg.tensor([3.0, 4.0], dtype=mg.float64)
    (p * p).sum().backward()
    assert p.grad.tolist() == [6, 8]


# refused


def leaf_view(x):
    x[:1].add_(1)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.add_(1),
        lambda x: x.__iadd__(1),
        lambda x: x.__setitem__(0, 1.0),
        lambda x: x.__setitem__(x > 0, 1.0),
        lambda x: x.zero_(),
        lambda x: x.fill_(2),
        lambda x: x.copy_(mg.ones(2)),
        lambda x: x.exp_(),
        lambda x: F.relu(x, inplace=True),
        leaf_view,
    ],
)
def test_a_leaf_is_not_changed_while_recording(change):
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="leaf that requires grad.*no_grad"):
        change(x)
    assert x.tolist() == [1, 2] and x.is_leaf
    with mg.no_grad():
        change(x)
    assert x.tolist() != [1, 2] or change is None or x.is_leaf


CONFLICTS = {
    "square": (lambda h: h * h, lambda h, y: h.add_(1), "Mul needs its input"),
    "sin": (lambda h: h.sin(), lambda h, y: h.__setitem__(0, 0.0), "Sin needs its input 0"),
    "exp": (lambda h: h.exp(), lambda h, y: y.mul_(2), "Exp needs its output 0"),
    "sigmoid": (lambda h: h.sigmoid(), lambda h, y: y.detach().zero_(), "Sigmoid needs its output"),
    "view": (lambda h: h[:1].sin(), lambda h, y: h.zero_(), "Sin needs its input 0"),
    "matmul": (lambda h: h @ h, lambda h, y: h.add_(1), "Matmul needs its input|needs its input"),
    "through a view": (lambda h: h.tanh(), lambda h, y: y[1:].add_(1), "Tanh needs its output 0"),
    "twice": (lambda h: h.cos(), lambda h, y: (h.add_(1), h.add_(1)), "changed in place 2 time"),
}


@pytest.mark.parametrize("op, change, text", CONFLICTS.values(), ids=CONFLICTS)
def test_a_change_of_what_a_rule_needs_is_named(op, change, text):
    x = leaf([1.0, 2.0])
    h = x * 1
    y = op(h)
    change(h, y)
    with pytest.raises(RuntimeError, match=f"{text}.*"):
        y.sum().backward()
    assert x.grad is None


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: mg.zeros(1, 3).expand(2, 3).add_(1), "several elements share"),
        (lambda: (leaf([1.0]) * 1).expand(3).add_(1.0), "several elements share"),
        (lambda: mg.ones(1).add_(mg.ones(3)), "shape"),
        (lambda: mg.ones(1, dtype=mg.int64).add_(0.5), "int64"),
        (lambda: mg.ones(1, dtype=mg.int64).__itruediv__(2), "int64"),
        (lambda: mg.zeros(3).__setitem__(slice(0, 2), mg.ones(3)), "shape"),
        (lambda: mg.zeros(3).double().__setitem__(slice(0, 2), leaf([1.0, 2.0, 3.0])), "shape"),
        (lambda: mg.zeros(3).copy_(mg.ones(2)), "shape"),
    ],
)
def test_what_does_not_fit_is_refused(call, text):
    with pytest.raises(RuntimeError, match=text):
        call()


def test_an_index_out_of_range_is_an_index_error():
    for value in (1.0, leaf([1.0]).sum()):
        with pytest.raises(IndexError):
            mg.zeros(3, dtype=mg.float64)[3] = value


# what programs do


def test_a_loss_that_is_changed_in_place():
    """loss /= n and loss += term: neither needs what the loss was."""
    logits, w = leaf(rng.standard_normal((4, 3))), leaf([2.0])
    target = mg.tensor([0, 2, 1, 1])
    loss = F.cross_entropy(logits, target)
    loss /= 4
    loss += (w**2).sum()
    loss *= 2
    plain = (F.cross_entropy(logits, target) / 4 + (w**2).sum()) * 2
    for g, expected in zip(autograd.grad(loss, [logits, w]), autograd.grad(plain, [logits, w])):
        np.testing.assert_allclose(g.numpy(), expected.numpy(), rtol=1e-12)


def test_scores_that_are_scaled_and_then_masked():
    def masked(q, k):
        scores = q @ k.t() / 2
        scores[mg.tensor([[False, True, False]] * 3)] = float("-inf")
        scores += 1
        return scores.softmax(-1)

    def plain(q, k):
        scores = q @ k.t() / 2
        return scores.masked_fill(mg.tensor([False, True, False]), float("-inf")).softmax(-1)

    agree(masked, plain, rng.standard_normal((3, 2)), rng.standard_normal((3, 2)))


KEEP_NOTHING = {
    "x / 2": lambda x: x / 2,
    "2 / x": lambda x: 2 / x,
    "x / c": lambda x: x / mg.full((3,), 2.0, dtype=mg.float64),
    "c / x": lambda x: mg.ones(3, dtype=mg.float64) / x,
    "x ** 3": lambda x: x**3,
    "x @ w": lambda x: x @ mg.eye(3, dtype=mg.float64),
    "softmax + 0": lambda x: x.softmax(0) + 0,
    "norm": lambda x: x / x.norm(),
    "linear": lambda x: F.linear(x, mg.eye(3, dtype=mg.float64)),
    "where": lambda x: mg.where(x > 0.5, x, 0.0),
    "dropout": lambda x: F.dropout(x, 0.5),
    "cat": lambda x: mg.cat([x, x]),
    "mse": lambda x: F.mse_loss(x, mg.zeros(3, dtype=mg.float64)),
}


@pytest.mark.parametrize("op", KEEP_NOTHING.values(), ids=KEEP_NOTHING)
def test_results_that_no_rule_needs_may_be_changed(op):
    mg.manual_seed(0)
    w = leaf([0.25, 0.5, 0.75])
    y = op(w)
    (expected,) = autograd.grad(y.sum(), w, retain_graph=True)
    y += 1
    y *= 2
    np.testing.assert_allclose(autograd.grad(y.sum(), w)[0].numpy(), 2 * expected.numpy())


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_outputs_of_recurrent_layers_may_be_changed(kind):
    mg.manual_seed(0)
    rnn = getattr(nn, kind)(2, 3).double()
    x = leaf(rng.standard_normal((4, 2, 2)))
    plain, _ = rnn(x)
    (expected,) = autograd.grad((plain * 3).sum(), x)
    y, _ = rnn(x)
    y *= 3
    np.testing.assert_allclose(autograd.grad(y.sum(), x)[0].numpy(), expected.numpy(), rtol=1e-12)


def test_a_hand_written_step():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    for _ in range(3):
        (w * w).sum().backward()
        with mg.no_grad():
            w -= 0.25 * w.grad
            w.grad.zero_()
    assert w.tolist() == [0.125, 0.25] and w.is_leaf and w.grad.tolist() == [0, 0]


# hooks and retain_grad


def test_hooks_before_and_after_a_write():
    w, seen = leaf([1.0, 2.0]), []
    x = w * 1
    x.register_hook(lambda g: seen.append(("before", g.tolist())))
    x.mul_(3)
    x.register_hook(lambda g: seen.append(("after", g.tolist())))
    (x * x).sum().backward()
    assert seen == [("after", [6, 12]), ("before", [18, 36])]


@pytest.mark.parametrize("change", [lambda x: x.mul_(3), lambda x: x[:].mul_(3)])
def test_retain_grad_follows_the_tensor(change):
    w = leaf([1.0, 2.0])
    x = w * 1
    x.retain_grad()
    change(x)
    (x * x).sum().backward()
    assert x.grad.tolist() == [6, 12] and w.grad.tolist() == [18, 36]


# memory


def test_writes_leave_no_garbage():
    w = leaf(np.full(100, 0.5))

    def step():
        out = mg.zeros(10, 100, dtype=mg.float64)
        h = w * 1
        for t in range(10):
            h = h * w
            h += 0.1
            out[t] = h
            out[t][:3].mul_(2)
        out.sum().backward()
        w.grad = None

    with without_gc():
        step()
        tracemalloc.start()
        try:
            step()
            sizes = [tracemalloc.get_traced_memory()[0]]
            for _ in range(3):
                for _ in range(20):
                    step()
                sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    # the least of three: Python's table of interned strings moves now and then, 1 MB at once
    grown = min(after - before for before, after in zip(sizes, sizes[1:]))
    assert grown < 20_000
    assert gc.collect() < 50


def test_an_abandoned_graph_of_writes_goes_with_its_last_name():
    w = leaf(np.ones(10))
    with without_gc():
        gc.collect()
        for _ in range(20):
            out = mg.zeros(5, 10, dtype=mg.float64)
            row = out[2]
            for t in range(5):
                out[t] = w * t
            row.mul_(2)
        del out, row
        assert gc.collect() < 20
