"""Every module of nn on a device: outputs and all gradients are those on the CPU."""

import numpy as np
import pytest
from devices import DEVICES, TOLERANCES

import minigrad as mg
from minigrad import nn

B, T, I, H = 3, 4, 6, 8
ROWS, IMAGES = (B, I), (B, I, 7)
CLASSES, ONES = np.array([1, 0, 5]), np.array([1.0, -1.0, 1.0])
SIGNS = np.sign(np.random.default_rng(5).normal(size=ROWS))

# how a module is made, and the shapes of its inputs, or arrays that are given as they are
MODULES = {
    "Linear": (lambda: nn.Linear(I, H), ROWS),
    "Bilinear": (lambda: nn.Bilinear(I, I, H), ROWS, ROWS),
    "Embedding": (lambda: nn.Embedding(6, H, padding_idx=0), CLASSES),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(6, H), np.array([[1, 0, 5], [2, 2, 3]])),
    "Conv1d": (lambda: nn.Conv1d(I, H, 3, padding=1), IMAGES),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(I, H, 3, stride=2), IMAGES),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), IMAGES),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), IMAGES),
    "LayerNorm": (lambda: nn.LayerNorm(I), ROWS),
    "RMSNorm": (lambda: nn.RMSNorm(I), ROWS),
    "GroupNorm": (lambda: nn.GroupNorm(2, I), IMAGES),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(I), ROWS),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(I, affine=True), IMAGES),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(H, 2), *[(T, B, H)] * 3),
    "RNN": (lambda: nn.RNN(I, H, 2, bidirectional=True), (T, B, I)),
    "GRU": (lambda: nn.GRU(I, H, 2, bidirectional=True, dropout=0.2), (T, B, I)),
    "LSTM": (lambda: nn.LSTM(I, H, 2, proj_size=3, zoneout=0.1), (T, B, I)),
    "LSTM with all": (
        lambda: nn.LSTM(I, H, 2, peephole=True, layer_norm=True, recurrent_dropout=0.2,
                        dropout=0.1, variational=True, activation="softsign"),
        (T, B, I),
    ),
    "RNNCell": (lambda: nn.RNNCell(I, H), ROWS),
    "GRUCell": (lambda: nn.GRUCell(I, H), ROWS),
    "LSTMCell": (lambda: nn.LSTMCell(I, H), ROWS),
    "Dropout": (lambda: nn.Dropout(0.4), ROWS),
    "Dropout1d": (lambda: nn.Dropout1d(0.4), IMAGES),
    "AlphaDropout": (lambda: nn.AlphaDropout(0.4), ROWS),
    "FeatureAlphaDropout": (lambda: nn.FeatureAlphaDropout(0.4), IMAGES),
    "PReLU": (lambda: nn.PReLU(I), ROWS),
    "CrossEntropyLoss": (lambda: nn.CrossEntropyLoss(label_smoothing=0.1), ROWS, CLASSES),
    "NLLLoss": (lambda: nn.NLLLoss(), ROWS, CLASSES),
    "MultiMarginLoss": (lambda: nn.MultiMarginLoss(), ROWS, CLASSES),
    "MSELoss": (lambda: nn.MSELoss(), ROWS, ROWS),
    "L1Loss": (lambda: nn.L1Loss(), ROWS, ROWS),
    "SmoothL1Loss": (lambda: nn.SmoothL1Loss(), ROWS, ROWS),
    "HuberLoss": (lambda: nn.HuberLoss(), ROWS, ROWS),
    "BCEWithLogitsLoss": (lambda: nn.BCEWithLogitsLoss(), ROWS, (SIGNS + 1) / 2),
    "SoftMarginLoss": (lambda: nn.SoftMarginLoss(), ROWS, SIGNS),
    "HingeEmbeddingLoss": (lambda: nn.HingeEmbeddingLoss(), ROWS, SIGNS),
    "KLDivLoss": (lambda: nn.KLDivLoss(reduction="sum"), ROWS, abs(SIGNS)),
    "PoissonNLLLoss": (lambda: nn.PoissonNLLLoss(), ROWS, abs(SIGNS)),
    "MarginRankingLoss": (lambda: nn.MarginRankingLoss(), (B,), (B,), ONES),
    "CosineEmbeddingLoss": (lambda: nn.CosineEmbeddingLoss(), ROWS, ROWS, ONES),
    "TripletMarginLoss": (lambda: nn.TripletMarginLoss(), ROWS, ROWS, ROWS),
    **{
        name: (getattr(nn, name), ROWS)
        for name in (
            "CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid Mish "
            "RReLU ReLU ReLU6 SELU SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink"
        ).split()
    },
    **{
        name: (lambda name=name: getattr(nn, name)(2), IMAGES)
        for name in (
            "AdaptiveAvgPool1d AdaptiveMaxPool1d CircularPad1d ReflectionPad1d ReplicationPad1d "
            "ZeroPad1d LocalResponseNorm"
        ).split()
    },
    "ConstantPad1d": (lambda: nn.ConstantPad1d(2, 0.5), IMAGES),
    "LPPool1d": (lambda: nn.LPPool1d(2, 3), IMAGES),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), IMAGES),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 3)), ROWS),
    "Threshold": (lambda: nn.Threshold(0.1, 0.5), ROWS),
    "Softmin": (lambda: nn.Softmin(1), ROWS),
    "Dropout2d": (lambda: nn.Dropout2d(0.4), (B, I, 2, 2)),
    "AdaptiveLogSoftmaxWithLoss": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(I, 9, [3, 6]), ROWS, CLASSES,
    ),
    "BCELoss": (lambda: nn.BCELoss(), np.full(ROWS, 0.3), (SIGNS + 1) / 2),
    "CTCLoss": (
        lambda: nn.CTCLoss(), (5, 2, I), np.array([[1, 2], [3, 3]]), np.array([5, 4]),
        np.array([2, 2]),
    ),
    "CosineSimilarity": (nn.CosineSimilarity, ROWS, ROWS),
    "PairwiseDistance": (nn.PairwiseDistance, ROWS, ROWS),
    "GaussianNLLLoss": (lambda: nn.GaussianNLLLoss(), ROWS, ROWS, abs(SIGNS)),
    "MultiLabelMarginLoss": (
        lambda: nn.MultiLabelMarginLoss(), ROWS, np.array([[1, 2, -1, 0, 0, 0]] * B),
    ),
    "MultiLabelSoftMarginLoss": (lambda: nn.MultiLabelSoftMarginLoss(), ROWS, (SIGNS + 1) / 2),
    "TripletMarginWithDistanceLoss": (
        lambda: nn.TripletMarginWithDistanceLoss(), ROWS, ROWS, ROWS,
    ),
    **{
        name: (lambda name=name: getattr(nn, name)(H, 2, 16, 0.1), *[(T, B, H)] * count)
        for name, count in (("TransformerEncoderLayer", 1), ("TransformerDecoderLayer", 2))
    },
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(H, 2, 16), 2, enable_nested_tensor=False
        ), (T, B, H),
    ),
    "TransformerDecoder": (
        lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(H, 2, 16), 2),
        (T, B, H), (T, B, H),
    ),
    "Transformer": (lambda: nn.Transformer(H, 2, 1, 1, 16), (T, B, H), (T, B, H)),
    "GLU": (nn.GLU, ROWS),
    "Softmax": (lambda: nn.Softmax(1), ROWS),
    "LogSoftmax": (lambda: nn.LogSoftmax(1), ROWS),
    "Flatten": (nn.Flatten, IMAGES),
}  # fmt: skip


CONTAINERS = set(
    "DataParallel Identity Module ModuleDict ModuleList ParameterDict ParameterList RNNBase "
    "RNNCellBase Sequential".split()
)


def test_every_module_is_in_the_table():
    kinds = {name: getattr(nn, name) for name in dir(nn)}
    modules = {
        name
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, nn.Module)
    }
    assert modules - CONTAINERS == set(MODULES) - {"LSTM with all"}


def flat(y):
    return [y] if isinstance(y, mg.Tensor) else [part for one in y for part in flat(one)]


def results(make, inputs, device, dtype):
    mg.manual_seed(0)
    module, rng = make().to(dtype=dtype), np.random.default_rng(0)
    xs = []
    for given in inputs:
        drawn = rng.normal(size=given) if isinstance(given, tuple) else given
        x = mg.tensor(drawn if drawn.dtype.kind == "i" else drawn.astype(dtype)).to(device)
        wanted = x.dtype.kind == "f" and (isinstance(given, tuple) or not xs)
        xs.append(x.requires_grad_(wanted))
    module.to(device)
    ys = flat(module(*xs))
    assert all(y.device == device for y in ys)
    sum(
        (y * mg.tensor(rng.normal(size=y.shape).astype(dtype)).to(device)).sum() for y in ys
    ).backward()
    grads = [x.grad for x in (*xs, *module.parameters()) if x.grad is not None]
    assert grads
    return [x.detach().cpu().numpy() for x in (*ys, *grads, *module.buffers())]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("make, inputs", [(m, i) for m, *i in MODULES.values()], ids=MODULES)
def test_a_module_gives_the_same(make, inputs, dtype, device):
    tolerance = 10 * TOLERANCES[device][dtype]
    here, there = (results(make, inputs, where, dtype) for where in ("cpu", device))
    for one, other in zip(here, there, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(other, one, tolerance, tolerance)
