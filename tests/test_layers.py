"""Layers as functions and modules, against formulas in NumPy and finite differences."""

import copy
import math

import devices
import numpy as np
import pytest


import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.testing import gradcheck

RNG = np.random.default_rng(0)


def random(*shape, requires_grad=False, dtype="float64", shift=0.0):
    array = np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype) + shift
    return mg.tensor(array.astype(dtype), requires_grad=requires_grad)


def values(x):
    return x.detach().numpy().copy()


def correlation(x, w, stride, padding, dilation, groups):
    """y[n, o, i] = Σ w[o, c, j] x[n, c, i stride + j dilation - padding], written out."""
    (N, _, L), (O, per_group, k) = x.shape, w.shape
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding)))
    n = (L + 2 * padding - dilation * (k - 1) - 1) // stride + 1
    y = np.zeros((N, O, n))
    for o in range(O):
        first = o // (O // groups) * per_group
        for i in range(n):
            at = i * stride + np.arange(k) * dilation
            y[:, o, i] = (x[:, first : first + per_group][:, :, at] * w[o]).sum((1, 2))
    return y


CONVOLUTIONS = [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1), (3, 1, 2, 2)]


@pytest.mark.parametrize("stride, padding, dilation, groups", CONVOLUTIONS)
def test_conv1d_is_the_sum(stride, padding, dilation, groups):
    x, w, b = random(2, 4, 9), random(6, 4 // groups, 3), random(6)
    y = F.conv1d(x, w, b, stride, padding, dilation, groups)
    expected = correlation(values(x), values(w), stride, padding, dilation, groups)
    np.testing.assert_allclose(values(y), expected + values(b)[:, None], atol=1e-12)


@pytest.mark.parametrize("stride, padding, dilation, groups", CONVOLUTIONS)
def test_conv_transpose1d_is_the_adjoint(stride, padding, dilation, groups):
    """<conv(x, w), y> = <x, conv_transpose(y, w)>"""
    x, w = random(2, 4, 12), random(6, 4 // groups, 3)
    y = F.conv1d(x, w, None, stride, padding, dilation, groups)
    g = mg.tensor(RNG.standard_normal(tuple(y.shape)))
    extra = 12 - ((y.shape[2] - 1) * stride - 2 * padding + dilation * 2 + 1)
    back = F.conv_transpose1d(g, w, None, stride, padding, extra, groups, dilation)
    assert back.shape == x.shape
    np.testing.assert_allclose((values(y) * values(g)).sum(), (values(x) * values(back)).sum())


def test_same_padding_keeps_the_length():
    for k in (1, 2, 3, 4):
        layer = nn.Conv1d(3, 2, k, padding="same", dtype=mg.float64)
        assert layer(random(2, 3, 7)).shape == (2, 2, 7)
    with pytest.raises(ValueError, match="stride 1"):
        nn.Conv1d(3, 2, 3, stride=2, padding="same")


X = random(2, 4, 7, requires_grad=True)
GRADIENTS = {
    "conv1d": (lambda x, w: F.conv1d(x, w, stride=2, padding=1, groups=2), X, random(2, 2, 3)),
    "conv_transpose1d": (lambda x, w: F.conv_transpose1d(x, w, stride=2, padding=1), X,
                         random(4, 2, 3)),
    "max_pool1d": (lambda x: F.max_pool1d(x, 3, 2, 1), X),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1, True, False), X),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 3), X),
    "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x, 3), X),
    "interpolate": (lambda x: F.interpolate(x, 11, mode="linear"), X),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (7,), w, b), X, random(7), random(7)),
    "rms_norm": (lambda x, w: F.rms_norm(x, (7,), w), X, random(7)),
    "group_norm": (lambda x, w: F.group_norm(x, 2, w), X, random(4)),
    "batch_norm": (lambda x, w: F.batch_norm(x, None, None, w, training=True), X, random(4)),
    "instance_norm": (lambda x: F.instance_norm(x), X),
    "bilinear": (F.bilinear, random(5, 3), random(5, 2), random(4, 3, 2), random(4)),
    "scaled_dot_product_attention": (lambda q, k, v: F.scaled_dot_product_attention(
        q, k, v, is_causal=True), random(2, 4, 3), random(2, 4, 3, shift=0.2), random(2, 4, 5)),
    "binary_cross_entropy": (lambda x: F.binary_cross_entropy(
        F.sigmoid(x), (x.detach() > 0).double()), X),
    "embedding_bag": (lambda w: F.embedding_bag(
        mg.tensor([0, 2, 1, 1]), w, mg.tensor([0, 0, 3]), mode="mean"), random(3, 2)),
    "embedding_bag max": (lambda w: F.embedding_bag(
        mg.tensor([[0, 2], [1, 1]]), w, mode="max"), random(3, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("order", [1, 2])
def test_finite_differences(name, order):
    function, *inputs = GRADIENTS[name]
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    assert gradcheck(function, inputs, order=order, atol=1e-4, rtol=1e-4)


def test_pooling_by_hand():
    x = mg.tensor([[[1.0, 5.0, 2.0, 4.0, 3.0]]])
    y, where = F.max_pool1d(x, 2, return_indices=True)
    assert y.tolist() == [[[5, 4]]] and where.tolist() == [[[1, 3]]]
    assert F.max_pool1d(x, 2, ceil_mode=True).tolist() == [[[5, 4, 3]]]
    assert F.avg_pool1d(x, 2).tolist() == [[[3, 3]]]
    assert F.avg_pool1d(x, 3, 2, 1, count_include_pad=False).tolist()[0][0][0] == 3
    np.testing.assert_allclose(values(F.adaptive_avg_pool1d(x, 2)), [[[8 / 3, 3]]], rtol=1e-6)


def test_norms_standardise():
    x = random(8, 6, 5) * 3 + 2
    for y, axes in (
        (nn.LayerNorm((6, 5), dtype=mg.float64)(x), (1, 2)),
        (nn.BatchNorm1d(6, dtype=mg.float64)(x), (0, 2)),
        (nn.InstanceNorm1d(6)(x), (2,)),
    ):
        np.testing.assert_allclose(values(y).mean(axes), 0, atol=1e-10)
        np.testing.assert_allclose(values(y).var(axes), 1, rtol=1e-3)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics(momentum):
    layer = nn.BatchNorm1d(3, momentum=momentum, dtype=mg.float64)
    batches = [RNG.standard_normal((10, 3)) * 2 + 1 for _ in range(3)]
    mean, var = np.zeros(3), np.ones(3)
    for n, batch in enumerate(batches, 1):
        layer(mg.tensor(batch))
        share = momentum or 1 / n
        mean = (1 - share) * mean + share * batch.mean(0)
        var = (1 - share) * var + share * batch.var(0, ddof=1)
    np.testing.assert_allclose(values(layer.running_mean), mean)
    np.testing.assert_allclose(values(layer.running_var), var)
    assert layer.num_batches_tracked.item() == 3
    y = layer.eval()(mg.tensor(batches[0]))
    np.testing.assert_allclose(values(y), (batches[0] - mean) / np.sqrt(var + 1e-5))


def test_attention_of_a_row_that_may_read_nothing_is_zero():
    q = random(2, 3, 4, requires_grad=True)
    mask = mg.tensor([[True, False, True], [False] * 3, [True] * 3])
    y = F.scaled_dot_product_attention(q, q, q, mask)
    y.sum().backward()
    assert (values(y)[:, 1] == 0).all() and np.isfinite(values(q.grad)).all()


def test_attention_does_not_see_padding():
    layer = nn.MultiheadAttention(4, 2, batch_first=True, dtype=mg.float64)
    x = random(2, 5, 4)
    array = values(x)
    array[:, 3:] = 7.0
    padding = mg.tensor([[False] * 3 + [True] * 2] * 2)
    y, weights = layer(x, x, x, key_padding_mask=padding)
    other = mg.tensor(array)
    z, _ = layer(x, other, other, key_padding_mask=padding)
    np.testing.assert_allclose(values(y), values(z))
    assert (values(weights)[:, :, 3:] == 0).all()
    np.testing.assert_allclose(values(weights).sum(-1), 1)


def test_transformer_decoder_is_causal():
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True).eval()
    src, tgt = random(2, 4, 8, dtype="float32"), random(2, 5, 8, dtype="float32")
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    first = values(model(src, tgt, tgt_mask=mask))
    array = values(tgt)
    array[:, 3:] = 9.0
    second = values(model(src, mg.tensor(array), tgt_mask=mask))
    np.testing.assert_allclose(first[:, :3], second[:, :3], atol=1e-5)
    assert np.abs(first[:, 3:] - second[:, 3:]).max() > 1e-3


def test_max_norm_shortens_the_rows_that_are_read():
    table = nn.Embedding(4, 3, max_norm=1.0)
    table.weight.data.copy_(mg.tensor(np.full((4, 3), 2.0, "float32")))
    y = table(mg.tensor([1, 1, 3]))
    np.testing.assert_allclose(np.linalg.norm(values(y), axis=1), 1, rtol=1e-5)
    lengths = np.linalg.norm(values(table.weight), axis=1)
    np.testing.assert_allclose(lengths, [2 * math.sqrt(3), 1, 2 * math.sqrt(3), 1], rtol=1e-5)


def test_gradients_by_frequency():
    w = random(4, 2, requires_grad=True)
    F.embedding(mg.tensor([1, 1, 1, 2]), w, scale_grad_by_freq=True).sum().backward()
    np.testing.assert_allclose(values(w.grad), [[0, 0], [1, 1], [1, 1], [0, 0]])


def test_from_pretrained():
    rows = random(3, 2)
    table = nn.Embedding.from_pretrained(rows)
    np.testing.assert_array_equal(values(table.weight), values(rows))
    assert not table.weight.requires_grad
    assert nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=1).padding_idx == 1


def test_one_hot():
    assert F.one_hot(mg.tensor([1, 0])).tolist() == [[0, 1], [1, 0]]
    assert F.one_hot(mg.tensor([[2]]), 4).tolist() == [[[0, 0, 1, 0]]]
    with pytest.raises(RuntimeError, match="num_classes"):
        F.one_hot(mg.tensor([3]), 3)


def test_dropouts():
    mg.manual_seed(0)
    x = mg.ones(200, 50, 4)
    y = values(F.dropout1d(x, 0.3))
    assert set(np.unique(y)) <= {0.0, np.float32(1 / 0.7)}
    assert (y == y[:, :, :1]).all()  # whole channels
    assert abs((y == 0).mean() - 0.3) < 0.03
    noise = mg.tensor(RNG.standard_normal((300, 300)))
    z = values(F.alpha_dropout(noise, 0.4, training=True))
    assert abs(z.mean()) < 0.03 and abs(z.std() - 1) < 0.03
    inplace = mg.ones(50)
    assert F.dropout(inplace, 0.5, inplace=True) is inplace and (values(inplace) == 0).any()


def test_inplace_activations_write_into_their_input():
    x = mg.tensor([-1.0, 2.0], requires_grad=True)
    h = x * 1
    y = F.relu(h, inplace=True)
    assert y is h and h.tolist() == [0, 2]
    y.sum().backward()
    assert x.grad.tolist() == [0, 1]
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(True), nn.Linear(4, 1))
    model(mg.ones(2, 3)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("ndim, dim", [(1, 0), (2, 1), (3, 0), (4, 1)])
def test_softmax_without_dim_warns_and_guesses(ndim, dim):
    x = random(*[3] * ndim)
    with pytest.warns(UserWarning, match="dim"):
        y = F.softmax(x)
    np.testing.assert_allclose(values(y).sum(dim), 1)
    assert F.log_softmax(x, dim, dtype=mg.float32).dtype == mg.float32


def test_gumbel_softmax():
    mg.manual_seed(0)
    logits = mg.tensor(np.log([[0.2, 0.5, 0.3]] * 4000), requires_grad=True)
    hard = F.gumbel_softmax(logits, hard=True)
    np.testing.assert_allclose(values(hard).mean(0), [0.2, 0.5, 0.3], atol=0.03)
    np.testing.assert_allclose(np.sort(values(hard), 1)[:, ::-1], [[1, 0, 0]] * 4000, atol=1e-6)
    (hard * mg.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert (values(logits.grad) != 0).any()


def test_the_lookup_of_what_is_left_out_says_what_there_is():
    with pytest.raises(AttributeError, match="Conv1d"):
        nn.Conv2d
    with pytest.raises(AttributeError, match="no attribute"):
        nn.Convolution


def test_modules_survive_a_deep_copy():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0)
    x = random(3, 1, 4, dtype="float32")
    twin = copy.deepcopy(layer)
    np.testing.assert_array_equal(values(layer(x)), values(twin(x)))
    assert twin.linear1.weight is not layer.linear1.weight


def test_float32_stays_float32():
    x = random(2, 4, 8, dtype="float32")
    layers = [
        nn.Conv1d(4, 2, 3), nn.ConvTranspose1d(4, 2, 3), nn.BatchNorm1d(4), nn.LayerNorm(8),
        nn.RMSNorm(8), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4), nn.AvgPool1d(2), nn.MaxPool1d(2),
        nn.AdaptiveAvgPool1d(3), nn.PReLU(), nn.GLU(), nn.Dropout1d(), nn.AlphaDropout(),
        nn.TransformerEncoderLayer(8, 2, 8), nn.Upsample(5, mode="linear"), nn.Softsign(),
    ]  # fmt: skip
    for layer in layers:
        y = layer(x)
        assert y.dtype == mg.float32, layer
        y.sum().backward() if y.requires_grad else None
        assert all(p.grad.dtype == mg.float32 for p in layer.parameters()), layer


ERRORS = [
    (lambda: F.linear(mg.ones(2, 3), mg.ones(4, 2)), RuntimeError),
    (lambda: F.conv1d(mg.ones(1, 2, 5), mg.ones(3, 3, 2)), RuntimeError),
    (lambda: F.conv1d(mg.ones(1, 2, 5), mg.ones(3, 2, 9)), RuntimeError),
    (lambda: F.max_pool1d(mg.ones(1, 2, 5), 2, padding=2), RuntimeError),
    (lambda: F.layer_norm(mg.ones(2, 3), (4,)), RuntimeError),
    (lambda: F.batch_norm(mg.ones(1, 3), None, None, training=True), ValueError),
    (lambda: nn.BatchNorm1d(3)(mg.ones(3)), ValueError),
    (lambda: nn.GroupNorm(2, 3), ValueError),
    (lambda: nn.MultiheadAttention(5, 2), AssertionError),
    (lambda: nn.MultiheadAttention(4, 2)(*[mg.ones(4)] * 3), AssertionError),
    (lambda: nn.ReLU(1, 2), TypeError),
    (lambda: nn.ReLU(slope=1), TypeError),
    (lambda: nn.Unflatten("a", (1, 2)), TypeError),
    (lambda: F.embedding_bag(mg.tensor([1]), mg.ones(2, 2)), ValueError),
]


@pytest.mark.parametrize("call, error", ERRORS)
def test_errors(call, error):
    with pytest.raises(error):
        call()


IDS = mg.tensor([[1, 0, 2]])
ELSEWHERE = {
    "conv1d": lambda x, to: F.conv1d(x, to(random(6, 2, 3)), None, 2, 1, 1, 2),
    "conv_transpose1d": lambda x, to: F.conv_transpose1d(x, to(random(4, 2, 3)), stride=2),
    "max_pool1d": lambda x, to: F.max_pool1d(x, 3, 2, 1),
    "avg_pool1d": lambda x, to: F.avg_pool1d(x, 3, 2, 1),
    "adaptive_max_pool1d": lambda x, to: F.adaptive_max_pool1d(x, 3),
    "interpolate": lambda x, to: F.interpolate(x, 5, mode="linear"),
    "batch_norm": lambda x, to: F.batch_norm(x, to(mg.zeros(4)), to(mg.ones(4)), training=True),
    "embedding": lambda x, to: F.embedding(to(IDS), x[0], 0, 1.0, 2.0, True),
    "embedding_bag": lambda x, to: F.embedding_bag(to(IDS), x[0], mode="max"),
    "cross_entropy": lambda x, to: F.cross_entropy(
        x, to(mg.tensor([[1] * 8, [0] * 8])), to(random(4)), label_smoothing=0.1
    ),
    "ctc_loss": lambda x, to: F.ctc_loss(
        F.log_softmax(x, -1), to(mg.tensor([[1]] * 4)), [2] * 4, [1] * 4
    ),
    "multilabel_margin_loss": lambda x, to: F.multilabel_margin_loss(
        x[:, :, 0], to(mg.tensor([[0, -1, 1, 2], [1, 2, -1, 0]]))
    ),
    "attention": lambda x, to: F.scaled_dot_product_attention(x, x, x, is_causal=True),
}


@pytest.mark.parametrize("device", devices.DEVICES)
@pytest.mark.parametrize("name", ELSEWHERE)
def test_another_device_gives_the_same(name, device):
    results = []
    for here in ("cpu", device):
        x = random(2, 4, 8).to(here).requires_grad_()
        y = ELSEWHERE[name](
            x, lambda t, here=here: t.double().to(here) if t.dtype.kind == "f" else t.to(here)
        )
        if name != "embedding":  # which has changed its table in place
            y.sum().backward()
        results.append((y, x.grad))
    for one, other in zip(*results):
        if one is not None:
            np.testing.assert_allclose(values(one), other.detach().cpu().numpy(), rtol=1e-10)
