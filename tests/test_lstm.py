"""The LSTM against a cell written out by hand, `compose`, and finite differences."""

import numpy as np
import pytest
import recurrent_checks as checks

import minigrad as mg
from minigrad import fused, nn
from minigrad.fused.lstm import LSTM as FusedLSTM
from minigrad.nn import functional as F
from minigrad.testing import gradcheck

NAMES = ("xs", "h", "c", "w_ih", "w_hh", "b")
LENGTHS = {
    "none": None,
    "all full": [5, 5, 5, 5],
    "descending": [5, 4, 2, 1],
    "ascending": [1, 2, 4, 5],
    "mixed": [2, 5, 1, 3],
    "nobody full": [3, 1, 2, 3],
    "with empty": [0, 5, 2, 0],
}


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def written_out(xs, h, c, w_ih, w_hh, b, lengths=None, reverse=False):
    """One direction in float64, sentence by sentence and step by step: no mask, no batch."""
    T, B, _ = xs.shape
    H = h.shape[1]
    hs, h_n, c_n = np.zeros((T, B, H)), np.zeros((B, H)), np.zeros((B, H))
    for n in range(B):
        hidden, cell = h[n].astype(np.float64), c[n].astype(np.float64)
        steps = range(T if lengths is None else lengths[n])
        for t in reversed(steps) if reverse else steps:
            a = w_ih.astype(np.float64) @ xs[t, n] + w_hh.astype(np.float64) @ hidden + b
            i, f, g, o = a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(cell)
            hs[t, n] = hidden
        h_n[n], c_n[n] = hidden, cell
    return hs, h_n, c_n


def written_out_stack(model, x, lengths=None, state=None):
    """nn.LSTM in evaluation, time first, from its state dict alone, by PyTorch's names."""
    p = {name: value.numpy().astype(np.float64) for name, value in model.state_dict().items()}
    B, H = x.shape[1], model.hidden_size
    h_n, c_n = [], []
    for layer in range(model.num_layers):
        outputs = []
        for suffix in [f"l{layer}", f"l{layer}_reverse"][: 1 + model.bidirectional]:
            n = len(h_n)
            h, c = (np.zeros((B, H)),) * 2 if state is None else (state[0][n], state[1][n])
            zero = np.zeros(4 * H)
            b = p.get(f"bias_ih_{suffix}", zero) + p.get(f"bias_hh_{suffix}", zero)
            weights = p[f"weight_ih_{suffix}"], p[f"weight_hh_{suffix}"]
            y, h, c = written_out(x, h, c, *weights, b, lengths, suffix.endswith("reverse"))
            outputs.append(y)
            h_n.append(h)
            c_n.append(c)
        x = np.concatenate(outputs, axis=2)
    return x, np.stack(h_n), np.stack(c_n)


def arguments(T=5, B=4, I=3, H=2, dtype="float64", seed=0, requires_grad=True):
    rng = np.random.default_rng(seed)
    shapes = (T, B, I), (B, H), (B, H), (4 * H, I), (4 * H, H), (4 * H,)
    return [mg.tensor(rng.standard_normal(s).astype(dtype), requires_grad=requires_grad)
            for s in shapes]


def mask(lengths, T=5):
    return None if lengths is None else np.arange(T)[:, None] < np.array(lengths)[None]


def seeds(outputs, seed=7):
    rng = np.random.default_rng(seed)
    return [mg.tensor(rng.standard_normal(y.shape).astype(y.dtype)) for y in outputs]


def close(actual, expected, tolerance):
    actual = actual.detach().numpy() if isinstance(actual, mg.Tensor) else actual
    expected = expected.detach().numpy() if isinstance(expected, mg.Tensor) else expected
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def model_of(*args, dtype="float64", seed=0, **kwargs):
    mg.manual_seed(seed)
    model = nn.LSTM(*args, **kwargs).to(dtype=dtype)
    for p in model.parameters():
        p.array *= 2  # gates away from one half
    return model


def random(*shape, seed=1, dtype="float64", requires_grad=False):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return mg.tensor(values, requires_grad=requires_grad)


TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_fused_is_the_written_out_cell(lengths, reverse, dtype):
    xs = arguments(dtype=dtype)
    outputs = fused.lstm(*xs, active=mask(lengths), reverse=reverse)
    expected = written_out(*[x.detach().numpy() for x in xs], lengths, reverse)
    for y, e in zip(outputs, expected):
        assert y.dtype == dtype
        close(y, e, TOLERANCE[dtype])


def test_gate_order_by_saturating_one_gate_at_a_time():
    H, big = 1, 100.0
    one, nothing = np.zeros((1, 1)), np.zeros((1, 1, 1))
    for i, f, g, o, c0, expected in [
        (1, -1, 1, 1, 3.0, 1.0),  # input open, forget closed: the cell is the candidate
        (-1, 1, 1, 1, 3.0, 3.0),  # forget open, input closed: the cell stays
        (1, 1, -1, 1, 3.0, 2.0),  # both open: 3 + tanh(-big)
        (-1, -1, 1, 1, 3.0, 0.0),  # both closed: nothing is left
    ]:
        b = mg.tensor(big * np.array([i, f, g, o], dtype=float))
        w = mg.tensor(np.zeros((4 * H, 1)))
        _, h, c = fused.lstm(*map(mg.tensor, (nothing, one, one + c0)), w, w, b)
        assert c.item() == pytest.approx(expected, abs=1e-12)
        assert h.item() == pytest.approx(np.tanh(expected), abs=1e-12)
    b = mg.tensor(np.array([-big, big, big, -big]))  # output closed
    _, h, c = fused.lstm(*map(mg.tensor, (nothing, one, one + 3)), w, w, b)
    assert (h.item(), c.item()) == (pytest.approx(0, abs=1e-12), pytest.approx(3))


HOLES = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0]], dtype=bool)
MASKS = {**{name: mask(lengths) for name, lengths in LENGTHS.items()}, "holes": HOLES}


@pytest.mark.parametrize("dtype, tolerance", [("float32", 3e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("active", MASKS.values(), ids=MASKS)
def test_fused_is_compose_in_values_and_gradients(active, reverse, dtype, tolerance):
    results = []
    for call in (
        lambda *xs: fused.lstm(*xs, active=active, reverse=reverse),
        lambda *xs: composed(xs, active, reverse),
    ):
        xs = arguments(dtype=dtype)
        outputs = call(*xs)
        results.append([*outputs, *mg.grad(outputs, xs, seeds(outputs))])
    for name, fast, slow in zip(("hs", "h_n", "c_n", *NAMES), *results):
        assert fast.dtype == slow.dtype == dtype, name
        close(fast, slow, tolerance)


def composed(xs, active, reverse):
    op = FusedLSTM(active=active, reverse=reverse, projected=len(xs) > 6)
    op.xp = np
    return op.compose(*xs)


@pytest.mark.parametrize("used", [(0,), (1,), (2,), (0, 1), (1, 2)])
@pytest.mark.parametrize("reverse", [False, True])
def test_unused_outputs_count_as_zeros(used, reverse):
    gradients = []
    for call in (fused.lstm, composed):
        xs = arguments()
        active = mask([2, 5, 1, 3])
        outputs = (
            fused.lstm(*xs, active=active, reverse=reverse)
            if call is fused.lstm
            else composed(xs, active, reverse)
        )
        outputs = [outputs[n] for n in used]
        gradients.append(mg.grad(outputs, xs, seeds(outputs)))
    for fast, slow in zip(*gradients):
        close(fast, slow, 1e-12)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, [3, 1], [2, 0]], ids=str)
def test_finite_differences(lengths, reverse, order):
    xs = arguments(T=3, B=2, I=2, H=1 if order == 2 else 2)
    active = mask(lengths, 3)
    assert gradcheck(
        lambda *xs: fused.lstm(*xs, active=active, reverse=reverse), xs, order=order, atol=1e-5
    )


@pytest.mark.parametrize("needed", range(6), ids=NAMES)
def test_each_input_may_be_the_only_one_that_needs_a_gradient(needed):
    xs = arguments()
    outputs = fused.lstm(*xs, active=mask([2, 5, 1, 3]))
    expected = mg.grad(outputs, [xs[needed]], seeds(outputs))[0]
    for i, x in enumerate(xs):
        x.requires_grad_(i == needed)
    outputs = fused.lstm(*xs, active=mask([2, 5, 1, 3]))
    mg.autograd.backward(outputs, seeds(outputs))
    close(xs[needed].grad, expected, 1e-12)
    assert all(x.grad is None for i, x in enumerate(xs) if i != needed)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, [2, 5, 1, 3]], ids=str)
def test_backward_twice_destroys_nothing(lengths, reverse):
    xs = arguments()
    before = [x.detach().numpy().copy() for x in xs]
    outputs = fused.lstm(*xs, active=mask(lengths), reverse=reverse)
    given = seeds(outputs)
    values = [y.detach().numpy().copy() for y in outputs]
    weights = [g.numpy().copy() for g in given]
    first = mg.grad(outputs, xs, given, retain_graph=True)
    copies = [g.numpy().copy() for g in first]
    second = mg.grad(outputs, xs, given, retain_graph=True)
    for one, copy, two in zip(first, copies, second):
        np.testing.assert_array_equal(one.numpy(), copy)
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    for held, now in zip(before + values + weights, [*xs, *outputs, *given]):
        np.testing.assert_array_equal(held, now.detach().numpy())


def test_backward_through_a_released_graph_says_so():
    xs = arguments()
    hs, _, _ = fused.lstm(*xs)
    loss = hs.sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        loss.backward()


def test_a_weight_changed_before_backward_is_noticed():
    xs = arguments()
    hs, _, _ = fused.lstm(*xs)
    with mg.no_grad():
        xs[4].mul_(2.0)
    with pytest.raises(RuntimeError, match="in place"):
        hs.sum().backward()


# the layer


CONFIGURATIONS = [
    dict(num_layers=layers, bidirectional=both, bias=bias)
    for layers in (1, 2, 3)
    for both in (False, True)
    for bias in (True, False)
]


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda c: "-".join(map(str, c.values())))
@pytest.mark.parametrize("lengths", [None, [5, 5, 5], [2, 5, 1], [0, 3, 4]], ids=str)
@pytest.mark.parametrize("given_state", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_layer_is_the_written_out_stack(config, lengths, given_state, batch_first):
    model = model_of(3, 4, batch_first=batch_first, **config)
    x = random(5, 3, 3)
    n = config["num_layers"] * (1 + config["bidirectional"])
    state = (random(n, 3, 4, seed=2), random(n, 3, 4, seed=3)) if given_state else None
    arrays = None if state is None else [s.numpy() for s in state]
    y, (h, c) = model(x.transpose(0, 1) if batch_first else x, state, lengths=lengths)
    y = y.transpose(0, 1) if batch_first else y
    for actual, expected in zip((y, h, c), written_out_stack(model, x.numpy(), lengths, arrays)):
        close(actual, expected, 1e-11)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("given_state", [False, True])
def test_one_sentence_without_a_batch(bidirectional, batch_first, given_state):
    model = model_of(3, 4, 2, bidirectional=bidirectional, batch_first=batch_first)
    n = 2 * (1 + bidirectional)
    x, state = random(5, 3), None
    if given_state:
        state = random(n, 4, seed=2), random(n, 4, seed=3)
    y, (h, c) = model(x, state)
    assert (y.shape, h.shape, c.shape) == ((5, 4 * (1 + bidirectional)), (n, 4), (n, 4))
    arrays = None if state is None else [s.numpy()[:, None] for s in state]
    expected = written_out_stack(model, x.numpy()[:, None], None, arrays)
    for actual, e in zip((y.unsqueeze(1), h.unsqueeze(1), c.unsqueeze(1)), expected):
        close(actual, e, 1e-11)


def gradients_of(model, x, lengths):
    """Outputs, states, and the gradients of x and of every weight, as arrays by name."""
    x = mg.tensor(x, requires_grad=True)
    for p in model.parameters():
        p.grad = None
    y, (h, c) = model(x, lengths=lengths)
    rng = np.random.default_rng(3)
    T = max(lengths)
    weights = rng.standard_normal((T, *y.shape[1:])), rng.standard_normal(h.shape)
    loss = (y[:T] * mg.tensor(weights[0])).sum() + ((h + 2.0 * c) * mg.tensor(weights[1])).sum()
    loss.backward()
    named = {name: p.grad.numpy() for name, p in model.named_parameters()}
    return {"y": y.detach().numpy(), "h": h.detach().numpy(), "c": c.detach().numpy(),
            "x": x.grad.numpy(), **named}


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [[2, 5, 1], [3, 3, 2], [0, 4, 1]], ids=str)
def test_nan_in_the_padding_changes_nothing(lengths, bidirectional):
    model = model_of(3, 4, 2, bidirectional=bidirectional)
    x = random(5, 3, 3).numpy()
    clean = gradients_of(model, x, lengths)
    spoilt = x.copy()
    spoilt[~mask(lengths)] = np.nan
    dirty = gradients_of(model, spoilt, lengths)
    for name in clean:
        np.testing.assert_array_equal(clean[name], dirty[name], err_msg=name)
    assert (clean["x"][~mask(lengths)] == 0).all()
    assert (clean["y"][~mask(lengths)] == 0).all()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_nan_in_the_padding_changes_no_differentiable_gradient(bidirectional):
    lengths = [2, 5, 1]
    model = model_of(3, 4, bidirectional=bidirectional)
    x = random(5, 3, 3).numpy()
    expected = gradients_of(model, x, lengths)
    x[~mask(lengths)] = np.nan
    y, (h, c) = model(mg.tensor(x), lengths=lengths)
    rng = np.random.default_rng(3)
    weights = rng.standard_normal(y.shape), rng.standard_normal(h.shape)
    loss = (y * mg.tensor(weights[0])).sum() + ((h + 2.0 * c) * mg.tensor(weights[1])).sum()
    for (name, _), g in zip(
        model.named_parameters(), mg.grad(loss, list(model.parameters()), create_graph=True)
    ):
        np.testing.assert_allclose(g.detach().numpy(), expected[name], 1e-11, 1e-11, err_msg=name)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("extra", [1, 7])
def test_more_padding_changes_nothing(extra, bidirectional):
    lengths = [2, 5, 1]
    model = model_of(3, 4, 2, bidirectional=bidirectional)
    x = random(5, 3, 3).numpy()
    padded = np.concatenate([x, np.full((extra, 3, 3), 1e3)])
    short, long = gradients_of(model, x, lengths), gradients_of(model, padded, lengths)
    assert (long["y"][5:] == 0).all() and (long["x"][5:] == 0).all()
    for name in short:
        actual = long[name][:5] if name in ("x", "y") else long[name]
        np.testing.assert_allclose(actual, short[name], rtol=1e-11, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_permuting_the_batch_permutes_the_results(bidirectional):
    lengths, order = np.array([2, 5, 1, 4, 0]), np.array([3, 0, 4, 2, 1])
    model = model_of(3, 4, 2, bidirectional=bidirectional)
    x = random(5, 5, 3)
    y, (h, c) = model(x, lengths=lengths)
    permuted, (h2, c2) = model(x[:, order], lengths=lengths[order])
    for one, other in ((y, permuted), (h, h2), (c, c2)):
        close(one[:, order], other, 1e-12)


def test_reverse_begins_at_the_last_real_token():
    model = model_of(3, 4, bidirectional=True)
    x, lengths = random(6, 2, 3), [6, 3]
    y, (h, c) = model(x, lengths=lengths)
    alone, (h1, c1) = model(x[:3, 1:])
    close(y[:3, 1:], alone, 1e-12)
    close(h[:, 1:], h1, 1e-12)
    close(c[:, 1:], c1, 1e-12)
    close(h[1, 1], y[0, 1, 4:], 0)  # backward: its last state belongs to the first token
    close(h[0, 1], y[2, 1, :4], 0)  # forward: to the last real one
    changed = x.numpy().copy()
    changed[2, 1] += 1  # the last real token of the short sentence
    again, _ = model(mg.tensor(changed), lengths=lengths)
    assert (np.abs(again.detach().numpy() - y.detach().numpy())[:3, 1, 4:] > 0).all()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_length_zero_leaves_the_state_and_gives_zeros(bidirectional):
    model = model_of(3, 4, 2, bidirectional=bidirectional)
    n = 2 * (1 + bidirectional)
    h0, c0 = random(n, 3, 4, seed=2, requires_grad=True), random(n, 3, 4, seed=3)
    x = random(5, 3, 3, requires_grad=True)
    y, (h, c) = model(x, (h0, c0), lengths=[0, 5, 0])
    for b in (0, 2):
        np.testing.assert_array_equal(h.detach().numpy()[:, b], h0.detach().numpy()[:, b])
        np.testing.assert_array_equal(c.detach().numpy()[:, b], c0.numpy()[:, b])
        assert (y.detach().numpy()[:, b] == 0).all()
    weights = random(*h.shape, seed=5)
    (h * weights).sum().backward()
    np.testing.assert_array_equal(h0.grad.numpy()[:, [0, 2]], weights.numpy()[:, [0, 2]])
    assert (x.grad.numpy()[:, [0, 2]] == 0).all() and (x.grad.numpy()[:, 1] != 0).any()


def test_every_sentence_may_be_empty():
    model = model_of(3, 4, 2, bidirectional=True)
    y, (h, c) = model(random(5, 3, 3), lengths=[0, 0, 0])
    (y.sum() + h.sum() + c.sum()).backward()
    assert not y.detach().numpy().any() and not h.detach().numpy().any()
    assert all(not p.grad.numpy().any() for p in model.parameters())


@pytest.mark.parametrize(
    "make", [list, tuple, np.array, mg.tensor, lambda v: np.array(v, dtype=np.int32)]
)
def test_lengths_may_be_a_list_an_array_or_a_tensor(make):
    model, x = model_of(3, 4), random(5, 3, 3)
    y, _ = model(x, lengths=make([2, 5, 1]))
    close(y, written_out_stack(model, x.numpy(), [2, 5, 1])[0], 1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("lengths", [None, [2, 5, 1], [0, 3, 3]], ids=str)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_inference_gives_the_values_of_recorded_mode(bidirectional, lengths, dtype):
    model = model_of(3, 4, 2, bidirectional=bidirectional, dtype=dtype)
    x = random(5, 3, 3, dtype=dtype)
    recorded, (h, c) = model(x, lengths=lengths)
    with mg.no_grad():
        plain, (h1, c1) = model(x, lengths=lengths)
    for one, other in ((recorded, plain), (h, h1), (c, c1)):
        assert one.requires_grad and not other.requires_grad
        np.testing.assert_array_equal(one.detach().numpy(), other.numpy())


def test_long_sequence():
    model = model_of(2, 3, bidirectional=True)
    x = random(500, 2, 2, requires_grad=True)
    lengths = [500, 377]
    y, (h, c) = model(x, lengths=lengths)
    expected = written_out_stack(model, x.detach().numpy(), lengths)
    for actual, e in zip((y, h, c), expected):
        close(actual, e, 1e-10)
    (y * random(*y.shape, seed=4)).sum().backward()
    assert np.isfinite(x.grad.numpy()).all() and np.abs(x.grad.numpy()).max() > 1e-3


def test_long_sequence_in_pieces_is_the_sequence():
    model = model_of(2, 3, 2)
    x = random(60, 2, 2)
    whole, (h, c) = model(x)
    pieces, state = [], None
    for start in range(0, 60, 25):
        y, state = model(x[start : start + 25], state)
        pieces.append(y)
    close(mg.cat(pieces), whole, 1e-12)
    close(state[0], h, 1e-12)
    close(state[1], c, 1e-12)


SIZES_OF_ONE = [(1, 1, 1, 1), (5, 1, 3, 4), (4, 3, 2, 1), (5, 1, 2, 1), (1, 3, 2, 4)]


@pytest.mark.parametrize("T, B, I, H", SIZES_OF_ONE)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("shorter", [None, 1, 3])
def test_sizes_of_one(T, B, I, H, bidirectional, shorter):
    """A transpose of an array with a size of 1 is contiguous: a view where a copy was meant."""
    model = model_of(I, H, 2, bidirectional=bidirectional)
    x = random(T, B, I)
    lengths = None if shorter is None else [max(T - shorter, 0)] + [T] * (B - 1)
    y, (h, c) = model(x, lengths=lengths)
    for actual, e in zip((y, h, c), written_out_stack(model, x.numpy(), lengths)):
        close(actual, e, 1e-12)
    if shorter is None:
        assert gradcheck(lambda x: model(x)[0], [random(T, B, I, requires_grad=True)])


@pytest.mark.parametrize("B, H", [(1, 3), (3, 1), (2, 3)])
@pytest.mark.parametrize("output", [0, 1, 2])
def test_changing_an_output_never_changes_a_gradient_silently(output, B, H):
    xs = arguments(T=4, B=B, H=H)
    outputs = fused.lstm(*xs)
    weights = seeds(outputs)
    expected = mg.grad(outputs, xs, weights, retain_graph=True)
    with mg.no_grad():
        outputs[output].mul_(0.0)
    for actual, e in zip(mg.grad(outputs, xs, weights), expected):
        close(actual, e, 1e-12)


def test_inputs_that_are_views_and_not_contiguous():
    model = model_of(3, 4)
    x = random(5, 3, 6)
    y, _ = model(x[:, :, ::2])
    close(y, written_out_stack(model, x.numpy()[:, :, ::2])[0], 1e-12)


def test_saturated_gates_stay_finite():
    model = nn.LSTM(2, 3, bidirectional=True)
    for p in model.parameters():
        p.array *= 1000
    x = mg.tensor(1000 * np.random.default_rng(0).standard_normal((6, 2, 2)).astype("float32"),
                  requires_grad=True)
    y, (h, c) = model(x)
    (y.sum() + c.sum()).backward()
    assert np.isfinite(y.detach().numpy()).all() and np.abs(y.detach().numpy()).max() <= 1
    assert all(np.isfinite(p.grad.numpy()).all() for p in [x, *model.parameters()])


# parameters


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("value", [1.0, 0.0, 2.5])
def test_forget_bias_is_applied_once(bidirectional, value):
    H = 5
    model = nn.LSTM(3, H, 2, bidirectional=bidirectional, forget_bias=value)
    p = {name: x.numpy() for name, x in model.state_dict().items()}
    for suffix in ("l0", "l1", "l0_reverse", "l1_reverse")[: 2 + 2 * bidirectional]:
        total = p[f"bias_ih_{suffix}"] + p[f"bias_hh_{suffix}"]
        np.testing.assert_array_equal(total[H : 2 * H], np.full(H, value, "float32"))
        assert (total[:H] != value).all() and (total[2 * H :] != value).all()


def test_forget_bias_left_out_is_as_in_pytorch():
    mg.manual_seed(0)
    model = nn.LSTM(3, 400)
    bias = model.bias_ih_l0.to_numpy() + model.bias_hh_l0.to_numpy()
    assert abs(bias[400:800].mean()) < 0.01  # U(-1/20, 1/20) twice


def test_initial_weights_are_uniform_within_one_over_root_hidden():
    mg.manual_seed(0)
    for name, p in nn.LSTM(30, 25, 2, bidirectional=True).named_parameters():
        values = p.to_numpy()
        assert values.dtype == "float32" and np.abs(values).max() <= 0.2, name
        assert np.abs(values).max() > 0.18, name
        assert values.std() == pytest.approx(0.4 / np.sqrt(12), rel=0.15), name


def test_parameters_have_the_published_names_shapes_and_order():
    model = nn.LSTM(3, 4, 2, bidirectional=True)
    expected = {
        "weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4),
        "bias_ih_l0": (16,), "bias_hh_l0": (16,),
        "weight_ih_l0_reverse": (16, 3), "weight_hh_l0_reverse": (16, 4),
        "bias_ih_l0_reverse": (16,), "bias_hh_l0_reverse": (16,),
        "weight_ih_l1": (16, 8), "weight_hh_l1": (16, 4),
        "bias_ih_l1": (16,), "bias_hh_l1": (16,),
        "weight_ih_l1_reverse": (16, 8), "weight_hh_l1_reverse": (16, 4),
        "bias_ih_l1_reverse": (16,), "bias_hh_l1_reverse": (16,),
    }  # fmt: skip
    assert [(n, p.shape) for n, p in model.named_parameters()] == list(expected.items())
    names = [name for name, _ in nn.LSTM(3, 4, 2, bias=False).named_parameters()]
    assert names == ["weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1"]


# dropout


def dropped(**kwargs):
    return model_of(3, 4, 2, dropout=0.5, **kwargs)


def test_dropout_only_in_training():
    model, x = dropped(), random(5, 3, 3)
    expected = written_out_stack(model, x.numpy())[0]
    close(model.eval()(x)[0], expected, 1e-12)
    assert np.abs(model.train()(x)[0].detach().numpy() - expected).max() > 1e-3


def test_dropout_is_between_the_layers_and_not_after_the_last():
    x = random(5, 3, 3)
    two = dropped().train()
    y, (h, c) = two(x)
    expected = written_out_stack(two, x.numpy())
    close(h[0], expected[1][0], 1e-12)  # the first layer is not touched
    close(c[0], expected[2][0], 1e-12)
    close(y[-1], h[1], 0)
    assert (y.detach().numpy() != 0).all()
    with pytest.warns(UserWarning, match="num_layers=1"):
        one = model_of(3, 4, 1, dropout=0.9).train()
    close(one(x)[0], written_out_stack(one, x.numpy())[0], 1e-12)


def test_dropout_masks_the_input_of_the_next_layer():
    model = model_of(3, 4, 2, dropout=1.0).train()
    x = random(5, 3, 3)
    y, _ = model(x)
    silent = model_of(3, 4, 2)
    silent.weight_ih_l1.array[...] = 0  # as if the first layer said nothing
    close(y, written_out_stack(silent, x.numpy())[0], 1e-12)


def test_a_seeded_generator_gives_the_same_run():
    x = random(5, 3, 3)
    runs = []
    for seed in (5, 5, 6):
        model = dropped(generator=mg.Generator(seed)).train()
        mg.manual_seed(seed + len(runs))  # the default generator must not matter
        runs.append([model(x)[0].detach().numpy() for _ in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0][0] != runs[0][1]).any() and (runs[0][0] != runs[2][0]).any()


def test_gradients_flow_through_the_mask_that_was_used():
    model = dropped(generator=mg.Generator(3)).train()

    def function(x):
        model.generator.manual_seed(3)
        return model(x)[0]

    assert gradcheck(function, [random(3, 2, 3, requires_grad=True)])


def test_bidirectional_pieces_are_two_layers_run_by_hand():
    """A second way to the same numbers: flip the input of a forward layer."""
    model, forward = model_of(3, 4, bidirectional=True), model_of(3, 4)
    state = model.state_dict()
    forward.load_state_dict(
        {name: state[f"{name}_reverse"] for name in forward.state_dict()}
    )
    x = random(5, 2, 3)
    y, (h, _) = model(x)
    flipped, (h1, _) = forward(x.flip(0))
    close(y[:, :, 4:], flipped.flip(0), 1e-12)
    close(h[1:], h1, 1e-12)


def test_cross_entropy_over_a_padded_batch_is_the_mean_over_real_tokens():
    model, lengths = model_of(3, 4), [2, 5, 1]
    x = random(5, 3, 3)
    targets = np.random.default_rng(0).integers(0, 4, (5, 3))
    targets[~mask(lengths)] = -100
    y, _ = model(x, lengths=lengths)
    loss = F.cross_entropy(y.reshape(15, 4), mg.tensor(targets.reshape(-1)))
    logits = written_out_stack(model, x.numpy(), lengths)[0]
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    nll = [-np.log(p[t, b, targets[t, b]]) for b in range(3) for t in range(lengths[b])]
    assert loss.item() == pytest.approx(np.mean(nll), rel=1e-12)


# errors


CONSTRUCTIONS = [
    (dict(hidden_size=0), ValueError, "hidden_size"),
    (dict(hidden_size=-3), ValueError, "hidden_size"),
    (dict(input_size=0), ValueError, "input_size"),
    (dict(num_layers=0), ValueError, "num_layers"),
    (dict(hidden_size=2.5), (ValueError, TypeError), "hidden_size"),
    (dict(dropout=2), ValueError, "dropout"),
    (dict(dropout=-0.1), ValueError, "dropout"),
    (dict(dropout=float("nan")), ValueError, "dropout"),
    (dict(bias=False, forget_bias=1.0), ValueError, "bias"),
]


@pytest.mark.parametrize("options, error, message", CONSTRUCTIONS, ids=lambda v: str(v))
def test_construction_errors(options, error, message):
    with pytest.raises(error, match=message):
        nn.LSTM(**{"input_size": 3, "hidden_size": 4, **options})


CALLS = [
    ("wrong input size", (5, 3, 2), {}, "3"),
    ("four dimensions", (5, 3, 3, 3), {}, "shape"),
    ("one dimension", (3,), {}, "shape"),
    ("no steps", (0, 3, 3), {}, "length 0|at least one"),
    ("h of another batch", (5, 3, 3), dict(hx=((1, 2, 4), (1, 3, 4))), "h_0"),
    ("h of another size", (5, 3, 3), dict(hx=((1, 3, 5), (1, 3, 4))), "h_0"),
    ("c of another layer count", (5, 3, 3), dict(hx=((1, 3, 4), (2, 3, 4))), "c_0"),
    ("state of a batch without one", (5, 3), dict(hx=((1, 3, 4), (1, 3, 4))), None),
    ("too long", (5, 3, 3), dict(lengths=[5, 6, 1]), "lengths"),
    ("negative", (5, 3, 3), dict(lengths=[5, -1, 1]), "lengths"),
    ("too few", (5, 3, 3), dict(lengths=[5, 1]), "lengths"),
    ("too many", (5, 3, 3), dict(lengths=[5, 1, 1, 1]), "lengths"),
    ("floats", (5, 3, 3), dict(lengths=[5.0, 1.0, 2.0]), "lengths"),
    ("two-dimensional", (5, 3, 3), dict(lengths=[[5, 1, 2]]), "lengths"),
    ("bools", (5, 3, 3), dict(lengths=[True, True, True]), "lengths"),
    ("a number", (5, 3, 3), dict(lengths=5), "lengths"),
]


@pytest.mark.parametrize("name, shape, options, message", CALLS, ids=[c[0] for c in CALLS])
def test_call_errors(name, shape, options, message):
    options = dict(options)
    if "hx" in options:
        options["hx"] = tuple(mg.zeros(s) for s in options["hx"])
    with pytest.raises((RuntimeError, ValueError, TypeError), match=message):
        nn.LSTM(3, 4)(mg.zeros(shape), **options)


@pytest.mark.parametrize("position", range(1, 6), ids=NAMES[1:])
def test_fused_names_the_argument_that_does_not_fit(position):
    xs = arguments()
    xs[position] = mg.zeros(*(n + 1 for n in xs[position].shape), dtype="float64")
    if position == 1:  # h gives H: then everything else is wrong
        xs[1] = mg.zeros(5, 2, dtype="float64")
    with pytest.raises(RuntimeError, match=rf"\b{NAMES[position]}\b"):
        fused.lstm(*xs)


# projection


def projected_arguments(T=5, B=4, I=3, H=3, P=2, dtype="float64"):
    shapes = (T, B, I), (B, P), (B, H), (4 * H, I), (4 * H, P), (4 * H,), (P, H)
    return [random(*s, seed=n, dtype=dtype, requires_grad=True) for n, s in enumerate(shapes)]


@pytest.mark.parametrize("dtype, tolerance", [("float32", 3e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("active", MASKS.values(), ids=MASKS)
def test_projected_is_compose(active, reverse, dtype, tolerance):
    results = []
    for call in (
        lambda *xs: fused.lstm(*xs, active=active, reverse=reverse),
        lambda *xs: composed(xs, active, reverse),
    ):
        xs = projected_arguments(dtype=dtype)
        outputs = call(*xs)
        results.append([*outputs, *mg.grad(outputs, xs, seeds(outputs))])
    for name, fast, slow in zip(("hs", "h_n", "c_n", *NAMES, "w_hr"), *results):
        assert fast.dtype == slow.dtype == dtype, name
        close(fast, slow, tolerance)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, [3, 1], [2, 0]], ids=str)
def test_finite_differences_with_a_projection(lengths, reverse, order):
    xs, active = projected_arguments(3, 2, 1, 2, 1), mask(lengths, 3)
    assert gradcheck(
        lambda *xs: fused.lstm(*xs, active=active, reverse=reverse), xs, order=order, atol=1e-5
    )


def test_a_projection_that_drops_nothing_is_the_plain_layer():
    xs = arguments(H=3)
    plain = fused.lstm(*xs)
    projected = fused.lstm(*xs, mg.tensor(np.eye(3)))
    for a, b in zip(plain, projected):
        close(a, b, 1e-12)


def test_projected_layer_has_the_published_names_and_shapes():
    model = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert list(shapes)[:5] == [
        f"{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    ]
    assert shapes["weight_hh_l0"] == (16, 2) and shapes["weight_hr_l1_reverse"] == (2, 4)
    assert shapes["weight_ih_l1"] == (16, 4)
    y, (h, c) = model(mg.ones(5, 3, 3), lengths=[2, 5, 0])
    assert (y.shape, h.shape, c.shape) == ((5, 3, 4), (4, 3, 2), (4, 3, 4))
    assert repr(model) == "LSTM(3, 4, proj_size=2, num_layers=2, bidirectional=True)"


# the cell, and weights that the program computes


def test_cell_is_the_layer_step_by_step():
    checks.check_cell((nn.LSTM, nn.LSTMCell), lambda state: state[0])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("biases", [0, 2])
def test_derivatives_of_the_cell(order, biases):
    xs = checks.leaves([(2, 2), (2, 1), (2, 1), (4, 2), (4, 1), *[(4,)] * biases])
    assert gradcheck(fused.lstm_cell, xs, order=order, atol=1e-5)
    with mg.testing.composed():
        expected = fused.lstm_cell(*xs)
    for a, b in zip(fused.lstm_cell(*xs), expected):
        close(a, b, 1e-13)


def test_a_weight_may_be_computed_by_the_program():
    checks.weight_drop(nn.LSTM)


def test_the_forget_gates_may_be_set_through_the_list_of_names():
    model = nn.LSTM(3, 4, 2, bidirectional=True)
    for names in model._all_weights:
        for name in (n for n in names if "bias" in n):
            model.state_dict()[name][4:8] = 1.0
    for weights in model.all_weights:
        assert weights[2].tolist()[4:8] == weights[3].tolist()[4:8] == [1] * 4


@pytest.mark.parametrize("make", [tuple, list])
def test_the_state_may_be_a_tuple_or_a_list(make):
    model, x = model_of(3, 4), random(5, 3, 3)
    state = random(1, 3, 4, seed=2), random(1, 3, 4, seed=3)
    close(model(x, make(state))[0], model(x, hx=state)[0], 0)
    with pytest.raises(TypeError, match="pair"):
        model(x, state[0])
