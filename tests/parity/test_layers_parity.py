"""The functions of nn.functional on the samples of PyTorch's operator database, in float64: values,
dtypes and gradients; and the looks, state and start of modules.
"""

import inspect
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
database = pytest.importorskip("torch.testing._internal.common_methods_invocations")

PREFIX = "nn.functional."
# what draws random numbers: only shapes and dtypes are compared
RANDOM = set("alpha_dropout dropout dropout2d feature_alpha_dropout rrelu gumbel_softmax".split())
# functions that are one of minigrad.ops, tested with the others there
ELSEWHERE = set("pad cosine_similarity pairwise_distance relu sigmoid tanh".split())
REASONS = {  # samples left out: by a function, a test of the sample, and why
    "interpolate": lambda args, kwargs: args[0].ndim != 3,  # images are out of scope
    "multi_head_attention_forward": lambda args, kwargs: True,  # dropout 0.5 in its only sample
    "scaled_dot_product_attention": lambda args, kwargs: kwargs.get("dropout_p", 0) > 0,
    "batch_norm": lambda args, kwargs: args[0].ndim == 1,  # one dimension has no channels
    "softmin": lambda args, kwargs: 0 in args[0].shape,
    "normalize": lambda args, kwargs: kwargs.get("p") == 0.0,  # the 0-"norm" has no gradient
    "triplet_margin_with_distance_loss": lambda args, kwargs: isinstance(
        kwargs.get("distance_function"), torch.nn.Module
    ),
}


def converted(value):
    if isinstance(value, torch.Tensor):
        return mg.tensor(value.detach().numpy().copy(), requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return getattr(mg, str(value).removeprefix("torch."))
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, (list, tuple)):
        return type(value)(converted(v) for v in value)
    if callable(value) and (getattr(value, "__module__", None) or "").startswith("torch"):
        return getattr(F, value.__name__)
    return value


def tensors(value, kind):
    if isinstance(value, kind):
        return [value]
    if isinstance(value, (list, tuple)):
        return [x for v in value for x in tensors(v, kind)]
    return []


def close(mine, theirs, what):
    assert tuple(mine.shape) == tuple(theirs.shape), what
    assert str(mine.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1], what
    mine, theirs = mine.detach().numpy(), theirs.detach().numpy()
    np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8, err_msg=what)


def check(op, name, sample):
    args, kwargs = [sample.input, *sample.args], sample.kwargs
    if REASONS.get(name, lambda *_: False)(args, kwargs):
        return
    my_args, my_kwargs = converted(args), {k: converted(v) for k, v in kwargs.items()}
    if name == "ctc_loss":  # PyTorch's gradient is right behind log_softmax only
        leaves = args[0], my_args[0]
        args[0], my_args[0] = args[0].log_softmax(-1), F.log_softmax(my_args[0], -1)
    else:
        leaves = None
    theirs = tensors(op(*args, **kwargs), torch.Tensor)
    if name in ("embedding", "embedding_bag"):  # the database has the weight first
        my_args[:2] = my_args[1::-1]
    mine = tensors(getattr(F, name)(*my_args, **my_kwargs), mg.Tensor)
    if name in ("embedding", "embedding_bag"):
        my_args[:2] = my_args[1::-1]
    assert len(mine) == len(theirs)
    if name in RANDOM:
        assert [tuple(x.shape) for x in mine] == [tuple(y.shape) for y in theirs]
        return
    for x, y in zip(mine, theirs):
        close(x, y, "output")
    rng = np.random.default_rng(0)
    seeds = [rng.standard_normal(tuple(y.shape)) for y in theirs]
    total = [(y * torch.tensor(g)).sum() for y, g in zip(theirs, seeds) if y.requires_grad]
    my_total = [(x * mg.tensor(g)).sum() for x, g in zip(mine, seeds) if x.requires_grad]
    assert len(total) == len(my_total)
    if not total:
        return
    inputs = [x for x in tensors([args, list(kwargs.values())], torch.Tensor) if x.requires_grad]
    my_inputs = tensors([my_args, list(my_kwargs.values())], mg.Tensor)
    my_inputs = [x for x in my_inputs if x.requires_grad]
    if leaves:
        inputs, my_inputs = [leaves[0]], [leaves[1]]
    expected = torch.autograd.grad(sum(total), inputs, allow_unused=True)
    for x, y in zip(mg.grad(sum(my_total), my_inputs, allow_unused=True), expected):
        if x is None or y is None:
            assert not any(g is not None and g.numpy().any() for g in (x, y)), "gradient: None"
        else:
            close(x, y, "gradient")


def ours(op):
    name = op.name.removeprefix(PREFIX)
    return op.name.startswith(PREFIX) and name not in ELSEWHERE and hasattr(F, name)


OPS = [op for op in database.op_db if ours(op) and torch.float64 in op.dtypes]


@pytest.mark.parametrize("op", OPS, ids=[f"{op.name}-{op.variant_test_name}" for op in OPS])
def test_samples_agree(op):
    problems, count = [], 0
    torch.manual_seed(0)
    for sample in op.sample_inputs("cpu", torch.float64, requires_grad=op.supports_autograd):
        count += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if op.name == "nn.functional.interpolate" and "bi" in op.variant_test_name:
                continue
            try:
                check(op, op.name.removeprefix(PREFIX), sample)
            except Exception as error:
                text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                problems.append(f"{sample.args} {sample.kwargs}: {text}")
    if problems:
        pytest.fail(f"{len(problems)} of {count}:\n" + "\n".join(problems), pytrace=False)


REPRS = [
    "nn.ReLU()", "nn.ReLU(inplace=True)", "nn.ELU(0.5)", "nn.Hardtanh(-2, 2)", "nn.LeakyReLU(0.2)",
    "nn.Softplus()", "nn.GELU()", "nn.GELU('tanh')", "nn.Softmax(1)", "nn.Softmax()", "nn.GLU()",
    "nn.Threshold(0.1, 20)", "nn.PReLU(3)", "nn.Hardshrink(0.3)", "nn.Softshrink()", "nn.CELU()",
    "nn.RReLU()", "nn.SELU()", "nn.SiLU(True)", "nn.Mish()", "nn.Tanh()", "nn.LogSigmoid()",
    "nn.Hardswish()", "nn.Hardsigmoid()", "nn.ReLU6()", "nn.LogSoftmax(-1)", "nn.Softmin(0)",
    "nn.Dropout(0.3)", "nn.Dropout1d()", "nn.AlphaDropout(0.1, True)", "nn.Flatten()",
    "nn.Unflatten(1, (2, 3))", "nn.Identity(3)", "nn.Bilinear(1, 2, 3)",
    "nn.Embedding(3, 2, padding_idx=1, max_norm=2.0)", "nn.EmbeddingBag(3, 2, mode='sum')",
    "nn.Conv1d(4, 2, 3, padding='same')", "nn.Conv1d(4, 2, 3, 2, 1, 2, 2, False, 'circular')",
    "nn.ConvTranspose1d(4, 2, 3, 2, 1, 1)", "nn.MaxPool1d(2)", "nn.AvgPool1d(2, 1, 1)",
    "nn.AdaptiveAvgPool1d(3)", "nn.ConstantPad1d(1, 2.5)", "nn.ZeroPad1d(2)", "nn.RMSNorm(3)",
    "nn.ReflectionPad1d((1, 2))", "nn.LayerNorm((2, 3), bias=False)", "nn.BatchNorm1d(3)",
    "nn.InstanceNorm1d(3)", "nn.GroupNorm(1, 3)", "nn.MSELoss()", "nn.CrossEntropyLoss()",
    "nn.CTCLoss()", "nn.CosineSimilarity()", "nn.PairwiseDistance()", "nn.Upsample(4)",
]  # fmt: skip


@pytest.mark.parametrize("text", REPRS)
def test_a_module_looks_the_same(text):
    mine, theirs = eval(text, {"nn": nn}), eval(text, {"nn": torch.nn})
    assert repr(mine) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())


STARTS = [
    "nn.Linear(300, 200)", "nn.Bilinear(30, 20, 40)", "nn.Embedding(300, 200)",
    "nn.EmbeddingBag(300, 200)", "nn.Conv1d(40, 60, 5, groups=2)", "nn.ConvTranspose1d(40, 60, 5)",
    "nn.PReLU(9)", "nn.LayerNorm(9)", "nn.MultiheadAttention(64, 4, add_bias_kv=True)",
    "nn.MultiheadAttention(64, 4, kdim=32, vdim=48)", "nn.TransformerEncoderLayer(64, 4, 96)",
]  # fmt: skip


@pytest.mark.parametrize("text", STARTS)
def test_weights_start_from_the_same_distribution(text):
    torch.manual_seed(0), mg.manual_seed(0)
    mine = dict(eval(text, {"nn": nn}).named_parameters())
    theirs = dict(eval(text, {"nn": torch.nn}).named_parameters())
    assert list(mine) == list(theirs)
    for name, p in theirs.items():
        a, b = mine[name].detach().numpy().ravel(), p.detach().numpy().ravel()
        assert a.shape == b.shape and mine[name].shape == tuple(p.shape)
        spread = b.std() + 1e-12
        many = 5 / np.sqrt(len(a))
        assert abs(a.std() - b.std()) <= many * spread, name
        assert abs(a.mean() - b.mean()) <= 2 * many * spread, name
        assert np.abs(a).max() <= 1.5 * np.abs(b).max() + 1e-12, name


LOSSES = """
    CrossEntropyLoss NLLLoss BCELoss BCEWithLogitsLoss KLDivLoss PoissonNLLLoss MultiMarginLoss
    TripletMarginLoss SmoothL1Loss HingeEmbeddingLoss CosineEmbeddingLoss MarginRankingLoss
    HuberLoss MultiLabelSoftMarginLoss CTCLoss GaussianNLLLoss SoftMarginLoss MSELoss L1Loss
""".split()


@pytest.mark.parametrize("name", LOSSES)
def test_arguments_stand_where_pytorch_has_them(name):
    def parameters(kind):
        return [(p.name, p.default) for p in inspect.signature(kind).parameters.values()]

    assert parameters(getattr(nn, name)) == parameters(getattr(torch.nn, name))
