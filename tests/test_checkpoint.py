"""Recomputation: the same numbers as without it, for the memory of one segment."""

import gc
import tracemalloc

import numpy as np
import pytest

import minigrad as mg
from minigrad import autograd, nn
from minigrad.nn import functional as F
from minigrad.utils.checkpoint import checkpoint, checkpoint_sequential

rng = np.random.default_rng(0)


def leaf(*shape):
    return mg.tensor(rng.standard_normal(shape) / 2, requires_grad=True)


def same(function, args, leaves, **kwargs):
    """Values and derivatives of two orders agree with the plain call, bit for bit."""
    results = []
    for call in (function, lambda *a, **k: checkpoint(function, *a, **k)):
        mg.manual_seed(3)
        ys = call(*args, **kwargs)
        ys = [y for y in (ys if isinstance(ys, tuple) else (ys,)) if isinstance(y, mg.Tensor)]
        loss = sum((y * y).sum() for y in ys)
        first = autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)
        gs = autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
        square = sum((g * g).sum() for g in gs if g is not None)
        second = autograd.grad(square, leaves, retain_graph=True, allow_unused=True)
        results.append([*ys, *first, *gs, *second])
    for plain, mine in zip(*results):
        assert (plain is None) == (mine is None)
        if plain is not None:
            np.testing.assert_array_equal(mine.detach().numpy(), plain.detach().numpy())


def test_values_and_gradients():
    x, w = leaf(3, 4), leaf(4, 4)
    same(lambda a, b: (a @ b).tanh().exp(), (x, w), [x, w])
    same(lambda a: (a @ w).tanh() @ w, (x,), [x, w])  # w is not given, only used
    same(lambda a: a * 2, (x,), [x])
    same(lambda a, n, *, scale, shift=None: a**n * scale, (x, 3), [x], scale=2.0)
    same(lambda a, b=None: a.sin() * b, (x,), [x, w], b=w[:3])
    same(lambda a: (a.exp(), (a @ w).sum(), a.argmax(), "text"), (x,), [x, w])


def test_modules_and_fused_layers():
    for layer in (nn.LSTM(4, 3), nn.GRU(4, 3), nn.RNN(4, 3), nn.LSTM(4, 3, 2, bidirectional=True)):
        layer.double()
        x = leaf(5, 2, 4)
        same(lambda a, layer=layer: layer(a)[0], (x,), [x, *layer.parameters()])
    block = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 4)).double()
    x = leaf(3, 4)
    same(block, (x,), [x, *block.parameters()])


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_second_derivatives_of_fused_layers(layer):
    mg.manual_seed(0)
    rnn, x = layer(2, 3).double(), leaf(4, 2, 2)

    def second(function):
        (g,) = autograd.grad((function(x) ** 2).sum(), x, create_graph=True)
        return autograd.grad((g**2).sum(), [x, *rnn.parameters()])

    plain = second(lambda x: rnn(x)[0])
    for a, b in zip(plain, second(lambda x: checkpoint(lambda y: rnn(y)[0], x))):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


def test_state_as_a_tuple():
    cell = nn.LSTMCell(3, 4).double()
    x, h, c = leaf(2, 3), leaf(2, 4), leaf(2, 4)
    same(lambda x, state: cell(x, state), (x, (h * 1, c * 1)), [x, h, c, *cell.parameters()])


def test_the_second_call_draws_the_same_random_numbers():
    x = leaf(20, 20)
    same(lambda a: F.dropout(a, 0.5) @ F.dropout(a, 0.3), (x,), [x])
    same(lambda a: a * mg.rand(20).double() + mg.randn(20).double(), (x,), [x])


def test_the_random_stream_goes_on_as_without_backward():
    x, draws = leaf(5), []
    for walk in (True, False):
        mg.manual_seed(0)
        y = checkpoint(lambda a: F.dropout(a, 0.5), x)
        if walk:
            y.sum().backward()
        draws.append(mg.rand(3).tolist())
    assert draws[0] == draws[1]


def test_without_the_state_of_the_generator():
    x = mg.ones(1000, requires_grad=True)
    y = checkpoint(lambda a: a * mg.rand(1000), x, preserve_rng_state=False)
    y.sum().backward()
    assert (x.grad != y.detach()).any()


def test_nested():
    x, w = leaf(3, 4), leaf(4, 4)

    def inner(a, n):
        return (a @ w).tanh() * n

    def middle(a):
        return checkpoint(inner, checkpoint(inner, a, 2), 3).sin() * a

    same(lambda a: checkpoint(middle, a * 2).exp(), (x,), [x, w])
    same(lambda a: checkpoint(inner, a, 1) + checkpoint(middle, a), (x,), [x, w])


def test_an_output_that_nobody_keeps():
    x = leaf(3)
    y, z = checkpoint(lambda a: (a.exp(), a.sin().cos()), x)
    del z
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(x.detach().numpy()))


def test_outputs_walked_one_by_one():
    x, calls = leaf(3), []

    def function(a):
        calls.append(1)
        h = a.exp()
        return h.sin(), h.cos()

    y, z = checkpoint(function, x)
    y.sum().backward(retain_graph=True)
    z.sum().backward()
    h = np.exp(x.detach().numpy())
    np.testing.assert_allclose(x.grad.numpy(), (np.cos(h) - np.sin(h)) * h)
    assert len(calls) == 2  # the arrays are there after the first walk


def test_the_function_runs_again_only_where_a_gradient_flows():
    x, calls = leaf(3), []

    def function(a):
        calls.append(mg.is_grad_enabled())
        return a.exp()

    checkpoint(function, x)
    with mg.no_grad():
        assert not checkpoint(function, x).requires_grad
    assert not checkpoint(function, mg.ones(2)).requires_grad
    assert calls == [True, False, True]
    y = checkpoint(function, x)
    with mg.no_grad():
        (y.detach() * 2).sum()
    y.sum().backward()
    assert calls == [True, False, True, True, True]


def test_hooks_inside_and_outside():
    x, seen = leaf(2), []

    def function(a):
        return a * 2

    y = checkpoint(function, x)
    y.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
    y.retain_grad()
    x.register_hook(lambda g: seen.append(g.tolist()))
    y.sum().backward()
    assert seen == [[1, 1], [20, 20]] and y.grad.tolist() == [10, 10]


def test_sequential():
    layers = nn.Sequential(*[nn.Linear(4, 4) for _ in range(5)]).double()
    x = leaf(2, 4)
    for segments in (1, 2, 3, 5):
        y = checkpoint_sequential(layers, segments, x, use_reentrant=False)
        np.testing.assert_array_equal(y.detach().numpy(), layers(x).detach().numpy())
        gs = autograd.grad(y.sum(), [x, *layers.parameters()])
        expected = autograd.grad(layers(x).sum(), [x, *layers.parameters()])
        for g, e in zip(gs, expected):
            np.testing.assert_array_equal(g.numpy(), e.numpy())
    with pytest.raises(ValueError, match="6 segments for 5 functions"):
        checkpoint_sequential(layers, 6, x)


# what goes wrong


def test_a_function_that_does_something_else_the_second_time():
    x, calls = leaf(3), []

    def other_ops(a):
        calls.append(1)
        return a.exp() if len(calls) % 2 else a.sin()

    def other_shapes(a):
        calls.append(1)
        return (a[: 1 + len(calls) % 2] * 2).sum()

    for function in (other_ops, other_shapes):
        y = checkpoint(function, x)
        with pytest.raises(RuntimeError, match="did not do the same operations"):
            y.sum().backward()
        calls.clear()


@pytest.mark.parametrize("what", ["argument", "parameter", "view of a parameter"])
def test_what_changed_before_the_second_call_is_seen(what):
    """Silently, the gradient would be that of another function."""
    x, w = leaf(3, 3), leaf(3, 3)
    y = checkpoint(lambda a: (a @ w).tanh(), x)
    with mg.no_grad():
        (x if what == "argument" else w if what == "parameter" else w[0]).add_(1)
    with pytest.raises(RuntimeError, match="checkpoint.*changed in place"):
        y.sum().backward()


def test_an_output_may_be_changed():
    """Its values are made again."""
    x = leaf(3)
    y = checkpoint(lambda a: a.exp(), x)
    with mg.no_grad():
        y.mul_(2)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(x.detach().numpy()))


def test_a_function_that_raises_leaves_modes_and_generator_alone():
    x, calls = leaf(3), []

    def function(a):
        calls.append(1)
        if len(calls) > 1:
            raise KeyError("stop")
        return F.dropout(a, 0.5)

    mg.manual_seed(0)
    y = checkpoint(function, x)
    after = mg.default_generator.get_state()
    with pytest.raises(KeyError, match="stop"):
        y.sum().backward()
    assert mg.is_grad_enabled() and mg.default_generator.get_state().tolist() == after.tolist()


# memory


def peak(run):
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.mark.parametrize("nested", [False, True])
def test_a_loop_of_2000_steps_needs_the_memory_of_a_segment(nested):
    w = mg.tensor(rng.standard_normal((32, 32)) / 8, dtype=mg.float32, requires_grad=True)
    start = mg.ones(64, 32)  # 8 KiB a step

    def steps(h, n):
        for _ in range(n):
            h = (h @ w).tanh()
        return h

    def nest(h):
        for _ in range(10):
            h = checkpoint(steps, h, 20)
        return h

    def plain():
        steps(start, 2000).sum().backward()

    def saving():
        h = start
        for _ in range(10 if nested else 40):
            h = checkpoint(nest, h) if nested else checkpoint(steps, h, 50)
        h.sum().backward()

    full, expected = peak(plain), w.grad
    w.grad = None
    assert peak(saving) < full / 4
    np.testing.assert_array_equal(w.grad.numpy(), expected.numpy())


def test_nothing_is_left_behind():
    x = leaf(50)

    def step():
        h = x
        for _ in range(5):
            h = checkpoint(lambda a: a.sin() * x, h)
        h.sum().backward()
        x.grad = None

    step()
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            step()
        assert gc.collect() < 50
    finally:
        gc.enable()
