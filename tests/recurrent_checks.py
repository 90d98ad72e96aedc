"""What every recurrent layer must show, for the tests of each: against its cell written out in
NumPy, one sentence and one step at a time, and against finite differences.
"""

import numpy as np

import minigrad as mg
from minigrad import nn
from minigrad.testing import composed, gradcheck

T, B, I, H = 5, 4, 3, 2
LENGTHS = {
    "none": None,
    "all full": [5, 5, 5, 5],
    "descending": [5, 4, 2, 1],
    "mixed": [2, 5, 1, 3],
    "nobody full": [3, 1, 2, 3],
    "with empty": [0, 5, 2, 0],
}
HOLES = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0]], dtype=bool)


def mask(lengths, T=T):
    return None if lengths is None else np.arange(T)[:, None] < np.array(lengths)[None]


MASKS = {**{name: mask(lengths) for name, lengths in LENGTHS.items()}, "holes": HOLES}
TOLERANCE = {"float32": 3e-5, "float64": 1e-11}


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def random(*shape, seed=1, dtype="float64", requires_grad=False):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return mg.tensor(values, requires_grad=requires_grad)


def leaves(shapes, dtype="float64"):
    return [random(*s, seed=n, dtype=dtype, requires_grad=True) for n, s in enumerate(shapes)]


def close(actual, expected, tolerance, what=""):
    actual, expected = (
        x.detach().numpy() if isinstance(x, mg.Tensor) else x for x in (actual, expected)
    )
    np.testing.assert_allclose(actual, expected, tolerance, tolerance, err_msg=what)


def written_out(cell, xs, h, weights, active=None, reverse=False):
    """One direction: h of shape (B, H), outputs (T, B, H) and the last h."""
    hs, last = np.zeros((*xs.shape[:2], h.shape[1])), np.zeros(h.shape)
    for b in range(xs.shape[1]):
        hidden = h[b].astype("float64")
        steps = range(len(xs))
        for t in reversed(steps) if reverse else steps:
            if active is None or active[t, b]:
                hs[t, b] = hidden = cell(xs[t, b].astype("float64"), hidden, *weights)
        last[b] = hidden
    return hs, last


def check_values(op, cell, shapes, active, reverse, dtype):
    xs = leaves(shapes, dtype)
    outputs = op(*xs, active=active, reverse=reverse)
    arrays = [x.detach().numpy().astype("float64") for x in xs]
    for y, e in zip(outputs, written_out(cell, *arrays[:2], arrays[2:], active, reverse)):
        assert y.dtype == dtype
        close(y, e, TOLERANCE[dtype])
    with mg.no_grad():
        for y, e in zip(op(*xs, active=active, reverse=reverse), outputs):
            np.testing.assert_array_equal(y.numpy(), e.detach().numpy())


def check_compose(op, shapes, active, reverse, dtype):
    """Values and gradients of the fused op and of its meaning."""
    results = []
    for way in (None, composed):
        xs = leaves(shapes, dtype)
        if way is None:
            outputs = op(*xs, active=active, reverse=reverse)
        else:
            with way():
                outputs = op(*xs, active=active, reverse=reverse)
        weights = [random(*y.shape, seed=50 + n, dtype=dtype) for n, y in enumerate(outputs)]
        results.append([*outputs, *mg.grad(outputs, xs, weights)])
    for n, (fast, slow) in enumerate(zip(*results)):
        assert fast.dtype == slow.dtype == dtype
        close(fast, slow, TOLERANCE[dtype], f"number {n}")


def check_derivatives(op, shapes, active, reverse, order):
    xs = leaves(shapes)
    assert gradcheck(
        lambda *xs: op(*xs, active=active, reverse=reverse), xs, order=order, atol=1e-5
    )


def check_backward_twice(op, shapes, active):
    """Nothing saved is destroyed, nothing given is changed, and each input may be alone."""
    xs = leaves(shapes)
    before = [x.detach().numpy().copy() for x in xs]
    outputs = op(*xs, active=active, reverse=True)
    weights = [random(*y.shape, seed=9) for y in outputs]
    first = mg.grad(outputs, xs, weights, retain_graph=True)
    copies = [g.numpy().copy() for g in first]
    with mg.no_grad():
        for y in outputs:
            y.mul_(0.0)  # outputs are nobody's memory
    second = mg.grad(outputs, xs, weights, retain_graph=True)
    for one, copy, two in zip(first, copies, second):
        np.testing.assert_array_equal(one.numpy(), copy)
        np.testing.assert_array_equal(two.numpy(), copy)
    for x, held in zip(xs, before):
        np.testing.assert_array_equal(x.detach().numpy(), held)
    for n, g in enumerate(copies):
        alone = [x.detach().requires_grad_(i == n) for i, x in enumerate(leaves(shapes))]
        outputs = op(*alone, active=active, reverse=True)
        (only,) = mg.grad(outputs, [alone[n]], weights)
        close(only, g, 1e-12)


def check_layer(make, cell, lengths, batch_first, with_state):
    """Two layers in both directions, from the state dict alone, by PyTorch's names."""
    mg.manual_seed(0)
    model = make(I, H, 2, batch_first=batch_first, bidirectional=True).double()
    p = {name: x.numpy() for name, x in model.state_dict().items()}
    x = random(T, B, I)
    state = random(4, B, H, seed=2) if with_state else None
    y, h = model(x.transpose(0, 1) if batch_first else x, state, lengths=lengths)
    close(y.transpose(0, 1) if batch_first else y, *stack(p, cell, x, state, lengths)[:1], 1e-11)
    close(h, stack(p, cell, x, state, lengths)[1], 1e-11)


def stack(p, cell, x, state, lengths):
    x, last = x.numpy(), []
    for layer in range(2):
        outputs = []
        for suffix in (f"l{layer}", f"l{layer}_reverse"):
            h = np.zeros((B, H)) if state is None else state.numpy()[len(last)]
            names = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
            weights = [p[f"{name}_{suffix}"] for name in names]
            y, h = written_out(cell, x, h, weights, mask(lengths), suffix.endswith("reverse"))
            outputs.append(y)
            last.append(h)
        x = np.concatenate(outputs, axis=2)
    return x, np.stack(last)


def check_padding(make):
    """NaN in the padding, more padding: outputs and gradients stay as they are."""
    lengths = [2, 5, 0, 4]
    mg.manual_seed(0)
    model = make(I, H, 2, bidirectional=True).double()
    results = []
    for spoilt, extra in ((0.0, 0), (np.nan, 0), (1e3, 3)):
        x = random(T, B, I).numpy().copy()
        x[~mask(lengths)] = spoilt
        x = mg.tensor(np.concatenate([x, np.full((extra, B, I), spoilt)]), requires_grad=True)
        model.zero_grad()
        y, h = model(x, lengths=lengths)
        (
            (y[:T] * random(T, B, 2 * H, seed=3)).sum() + (h * random(4, B, H, seed=4)).sum()
        ).backward()
        assert (y.detach().numpy()[T:] == 0).all() and (x.grad.numpy()[T:] == 0).all()
        grads = [p.grad for p in model.parameters()]
        results.append([y[:T], h, x.grad[:T], *grads])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            close(b, a, 1e-11)


def check_cell(make, step, states=1):
    """The cell, step by step, is the layer; biases and a missing batch are optional."""
    for bias in (True, False):
        mg.manual_seed(0)
        layer, cell = make[0](I, H, bias=bias).double(), make[1](I, H, bias).double()
        cell.load_state_dict({k[:-3]: v for k, v in layer.state_dict().items()})
        x = random(T, B, I)
        expected, _ = layer(x)
        state, alone = None, None
        for t in range(T):
            state, alone = cell(x[t], state), cell(x[t, 1], alone)
            close(step(state), expected[t], 1e-12)
            close(step(alone), expected[t, 1], 1e-12)


def weight_drop(make, *args):
    """A program that deletes a weight and puts a computed tensor in its place at every call."""
    mg.manual_seed(0)
    rnn = make(I, H, *args).double()
    raw = nn.Parameter(rnn.weight_hh_l0.detach().clone())
    x = random(T, B, I)
    expected = rnn(x)[0].detach().numpy()
    del rnn.weight_hh_l0
    rnn.weight_hh_l0_raw = raw
    assert "weight_hh_l0" not in rnn.state_dict() and "weight_hh_l0_raw" in rnn.state_dict()
    for factor in (1.0, 0.5):
        rnn.weight_hh_l0 = raw * factor
        y, _ = rnn(x)
        assert np.allclose(y.detach().numpy(), expected) == (factor == 1.0)
        raw.grad = None
        y.sum().backward()
        assert np.abs(raw.grad.numpy()).max() > 0


def check_backend(make, cell, packed):
    """The layer, packed too, and its cell on the stand-in backend, which refuses NumPy's arrays."""
    results = []
    for device in ("cpu", "strict"):
        mg.manual_seed(0)
        model = make(I, H, 2, bidirectional=True).double().to(device=device)
        one = cell(I, H).double().to(device=device)
        x = random(T, B, I).to(device).requires_grad_()
        y, last = model(packed(x, [2, 5, 1, 3], enforce_sorted=False))
        state = one(x[1], one(x[0]))
        last = [part for s in (last, state) for part in (s if isinstance(s, tuple) else [s])]
        sum([(part * part).sum() for part in last], (y.data * y.data).sum()).backward()
        params = [*model.parameters(), *one.parameters()]
        norm = nn.utils.clip_grad_norm_(params, 0.1)
        nn.utils.clip_grad_value_(params, 0.01)
        results.append([y.data, *last, x.grad, norm, *[p.grad for p in params]])
        assert all(r.device == device for r in results[-1])
    for a, b in zip(*results):
        close(b.to_numpy(), a.detach().numpy(), 1e-12)
