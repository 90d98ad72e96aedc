"""The rarer names against PyTorch: values, gradients, shapes, types of errors, state dicts."""

import copy
import warnings

import numpy as np
import pytest

import minigrad

torch = pytest.importorskip("torch")

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((2, 4, 5))
P, Q = rng.random((2, 4, 5)) + 0.1
SEQUENCE = rng.standard_normal((6, 2, 3))
BATCH = rng.standard_normal((2, 3, 7))
SQUARE = rng.standard_normal((3, 3)) + 3 * np.eye(3)
HALF = np.tril(SQUARE)
SIGNS = np.array([1.0, -1.0, 1.0, -1.0])


def weights(gates, biases=True, layers=1, directions=1, I=3, H=2):
    made = []
    for layer in range(layers):
        for _ in range(directions):
            width = I if not layer else H * directions
            made += [rng.standard_normal((gates * H, width)), rng.standard_normal((gates * H, H))]
            made += [rng.standard_normal(gates * H) for _ in range(2 * biases)]
    return made


STATE = rng.standard_normal((1, 2, 2))
STATES = rng.standard_normal((4, 2, 2))

# name: a function of the library and of leaves; the leaves
VALUES = {
    # the top level
    "dropout": (lambda t, x: t.dropout(x, 0.5, False), X),
    "feature_dropout": (lambda t, x: t.feature_dropout(x, 0.5, train=False), BATCH),
    "layer_norm": (lambda t, x, w: t.layer_norm(x, (5,), w), X, P[0]),
    "group_norm": (lambda t, x: t.group_norm(x, 3), BATCH),
    "rms_norm": (lambda t, x: t.rms_norm(x, (5,), eps=1e-5), X),
    "batch_norm": (
        lambda t, x, w, b: t.batch_norm(x, w, b, None, None, True, 0.1, 1e-5, False),
        *(X, P[0], Y[0]),
    ),
    "instance_norm": (
        lambda t, x: t.instance_norm(x, None, None, None, None, True, 0.1, 1e-5, False),
        BATCH,
    ),
    "kl_div": (lambda t, x, y: t.kl_div(x, y, 2), X, P),
    "bce": (
        lambda t, x, y: t.binary_cross_entropy_with_logits(x, y, None, None, 1),
        X,
        P.clip(0, 1),
    ),
    "cosine_embedding_loss": (
        lambda t, x, y: t.cosine_embedding_loss(x, y, t.tensor(SIGNS), 0.1, 0),
        *(X, Y),
    ),
    "hinge_embedding_loss": (
        lambda t, x: t.hinge_embedding_loss(x, t.tensor(np.sign(Y)), 1.0, 2),
        X,
    ),
    "margin_ranking_loss": (
        lambda t, x, y: t.margin_ranking_loss(x, y, t.tensor(np.sign(Y)), 0.5),
        *(X, Y),
    ),
    "triplet_margin_loss": (lambda t, x, y: t.triplet_margin_loss(x, y, y + 1, 1.0), X, Y),
    "poisson_nll_loss": (lambda t, x, y: t.poisson_nll_loss(x, y, True, False, 1e-8, 1), X, P),
    "ctc_loss": (
        lambda t, x: t.ctc_loss(
            t.log_softmax(x, 2), t.tensor([[1, 2], [2, 2]]), (6, 6), (2, 1), 0, 2
        ),
        SEQUENCE,
    ),
    "embedding": (lambda t, w: t.embedding(w, t.tensor([[1, 0], [3, 1]])), X),
    "conv1d": (lambda t, x, w: t.conv1d(x, w, padding=1), BATCH, rng.standard_normal((2, 3, 3))),
    "avg_pool1d": (lambda t, x: t.avg_pool1d(x, 2), BATCH),
    "max_pool1d": (lambda t, x: t.max_pool1d(x, 3, 2), BATCH),
    "max_pool1d_with_indices": (lambda t, x: t.max_pool1d_with_indices(x, 3), BATCH),
    "adaptive_max_pool1d": (lambda t, x: t.adaptive_max_pool1d(x, 3), BATCH),
    "constant_pad_nd": (lambda t, x: t.constant_pad_nd(x, (1, 2), 3.0), X),
    "norm_except_dim": (lambda t, x: t.norm_except_dim(x, 2, 0), X),
    "F.max_pool1d_with_indices": (
        lambda t, x: t.nn.functional.max_pool1d_with_indices(x, 2, 1),
        BATCH,
    ),
    "F.pdist": (lambda t, x: t.nn.functional.pdist(x), X),
    # recurrent layers without a module
    "lstm_cell": (
        lambda t, x, h, *w: t.lstm_cell(x, (h, h + 1), *w),
        SEQUENCE[0],
        STATE[0],
        *weights(4),
    ),
    "gru_cell": (lambda t, x, h, *w: t.gru_cell(x, h, *w), SEQUENCE[0], STATE[0], *weights(3)),
    "rnn_tanh_cell": (
        lambda t, x, h, *w: t.rnn_tanh_cell(x, h, *w),
        *(SEQUENCE[0], STATE[0], *weights(1)),
    ),
    "rnn_relu_cell": (
        lambda t, x, h, *w: t.rnn_relu_cell(x, h, *w),
        *(SEQUENCE[0], STATE[0], *weights(1)),
    ),
    "lstm": (
        lambda t, x, h, *w: t.lstm(x, (h, h), w, True, 1, 0.0, False, False, False),
        *(SEQUENCE, STATE, *weights(4)),
    ),
    "lstm of two layers and directions": (
        lambda t, x, h, *w: t.lstm(x.mT.mT, (h, h), w, False, 2, 0.0, True, True, False),
        *(SEQUENCE, STATES, *weights(4, False, 2, 2)),
    ),
    "gru": (
        lambda t, x, h, *w: t.gru(x.transpose(0, 1), h, w, True, 1, 0.0, False, False, True),
        *(SEQUENCE, STATE, *weights(3)),
    ),
    "rnn_tanh": (
        lambda t, x, h, *w: t.rnn_tanh(x, h, w, True, 1, 0.0, False, False, False),
        *(SEQUENCE, STATE, *weights(1)),
    ),
    "rnn_relu": (
        lambda t, x, h, *w: t.rnn_relu(x, h, w, True, 1, 0.0, False, False, False),
        *(SEQUENCE, STATE, *weights(1)),
    ),
    "lstm of packed data": (
        lambda t, x, h, *w: t.lstm(
            x.reshape(12, 3), t.tensor([2] * 6), (h, h), w, True, 1, 0.0, False, False
        ),
        *(SEQUENCE, STATE, *weights(4)),
    ),
    "gru of packed data": (
        lambda t, x, h, *w: t.gru(
            x.reshape(12, 3), t.tensor([2] * 6), h, w, True, 1, 0.0, False, False
        ),
        *(SEQUENCE, STATE, *weights(3)),
    ),
    # linear algebra
    "cond": (lambda t, x: [t.linalg.cond(x, p) for p in (None, 2, -2)], SQUARE),
    "lstsq": (lambda t, a, b: t.linalg.lstsq(a, b, driver="gelsd")[:3], X.T, Y.T),
    "inv_ex": (lambda t, a: t.linalg.inv_ex(a), SQUARE),
    "cholesky_ex": (lambda t, a: t.linalg.cholesky_ex(a @ a.mT, upper=True), SQUARE),
    "solve_triangular": (
        lambda t, a, b: t.linalg.solve_triangular(a, b, upper=False, unitriangular=True),
        *(HALF, SQUARE),
    ),
    "solve_triangular from the right": (
        lambda t, a, b: t.linalg.solve_triangular(a, b, upper=False, left=False),
        *(HALF, SQUARE),
    ),
    "linalg.matrix_exp": (lambda t, a: t.linalg.matrix_exp(a * 3), SQUARE),
    "linalg.vander": (lambda t, x: t.linalg.vander(x, N=4), X),
    "tensorinv": (lambda t, a: t.linalg.tensorinv(a.reshape(3, 1, 3)[:, :, :, None], 1), SQUARE),
    "tensorsolve": (lambda t, a, b: t.linalg.tensorsolve(a.reshape(3, 3, 1), b), SQUARE, X[0, :3]),
    # special functions
    **{
        f"special.{name}": (lambda t, x, n=name: getattr(t.special, n)(x), x)
        for name, x in {
            **dict.fromkeys("expit erf erfc exp2 expm1 ndtr log_ndtr entr sinc".split(), X * 4),
            **dict.fromkeys("psi digamma gammaln log1p logit ndtri entr".split(), P / 2),
        }.items()
    },
    "special.log_ndtr far": (lambda t, x: t.special.log_ndtr(x), X * 40),
    "special.xlog1py": (lambda t, x, y: t.special.xlog1py(x, y), X, P),
    "special.softmax": (lambda t, x: t.special.softmax(x, 1), X),
    "angle": (lambda t, x: t.angle(x), X),
}


def leaves(lib, arrays):
    return [lib.tensor(np.array(x), requires_grad=True) for x in arrays]


def flat(found):
    return (
        [x for part in found for x in flat(part)] if isinstance(found, (tuple, list)) else [found]
    )


def close(mine, theirs, rtol=1e-7):
    mine, theirs = mine.detach().numpy(), theirs.detach().numpy()
    assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
    np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=1e-10)


@pytest.mark.parametrize("name", VALUES)
def test_values_and_gradients(name):
    function, *arrays = VALUES[name]
    mine, theirs = leaves(minigrad, arrays), leaves(torch, arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, expected = flat(function(minigrad, *mine)), flat(function(torch, *theirs))
    assert len(ours) == len(expected)
    for a, b in zip(ours, expected):
        close(a, b)
        if b.requires_grad:
            seed = rng.standard_normal(b.shape)
            a.backward(minigrad.tensor(seed), retain_graph=True)
            b.backward(torch.tensor(seed), retain_graph=True)
    for x, y in zip(mine, theirs):
        if y.grad is None or not y.grad.any():
            assert x.grad is None or not x.grad.numpy().any()
        else:
            close(x.grad, y.grad, 1e-6)


SAME = {
    "range": lambda t: t.range(1, 4, 0.5),
    "gcd": lambda t: t.gcd(t.tensor([12, -7]), t.tensor([18, 0])),
    "unravel_index": lambda t: t.stack(t.unravel_index(t.tensor([[5, 0], [7, 23]]), (2, 3, 4))),
    "lcm_": lambda t: t.tensor([4, 6]).lcm_(t.tensor([6, 9])),
    "frombuffer": lambda t: t.frombuffer(bytearray(range(8)), dtype=t.int16, count=2, offset=2),
    "fill_diagonal_": lambda t: t.zeros(7, 3).fill_diagonal_(2.0, wrap=True),
    "as_strided": lambda t: t.arange(12.0).reshape(3, 4)[1:].as_strided((2, 3), (4, 1)),
    "as_strided offset": lambda t: t.arange(12.0).reshape(3, 4)[1:].as_strided((2,), (4,), 2),
    "as_strided transposed": lambda t: t.arange(6.0).reshape(2, 3).t().as_strided((3, 2), (2, 1)),
    "renorm_": lambda t: t.arange(6.0).reshape(2, 3).renorm_(2, 0, 1.0),
    "resize_as_": lambda t: t.arange(6.0).resize_as_(t.zeros(2, 2)),
    "cond": lambda t: t.stack([t.linalg.cond(t.tensor(SQUARE), p) for p in (1, "fro", "nuc")]),
    "matrix_rank": lambda t: t.linalg.matrix_rank(t.ones(3, 3)),
    "digamma at its poles": lambda t: t.digamma(t.tensor([0.0, -1.0, -2.0, 1.0])),
    "storage": lambda t: t.tensor(t.arange(6)[2:].untyped_storage().nbytes()),
    "storage_offset": lambda t: t.tensor(t.arange(6).reshape(2, 3)[1, 1:].storage_offset()),
    "polygamma_": lambda t: t.tensor([1.0, 2.5]).polygamma_(2),
}


@pytest.mark.parametrize("name", SAME)
def test_values(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        close(SAME[name](minigrad), SAME[name](torch), 1e-6)


WRONG = [
    lambda t: t.range(1, 0),
    lambda t: t.gcd(t.ones(1), t.ones(1)),
    lambda t: t.gcd(t.tensor([1]), 2),
    lambda t: t.nextafter(t.tensor([1]), t.tensor([2])),
    lambda t: t.zeros(3).as_strided((2, 2), (1,)),
    lambda t: t.zeros(3).as_strided((4,), (1,)),
    lambda t: t.zeros(3).as_strided((2,), (-1,)),
    lambda t: t.zeros(3).fill_diagonal_(1),
    lambda t: t.zeros(2, 3, 3).fill_diagonal_(1),
    lambda t: t.zeros(2, 3).sum_to_size(3, 3),
    lambda t: t.zeros(3).adjoint(),
    lambda t: t.zeros(2, 2, 2).H,
    lambda t: t.cov(t.zeros(2, 2, 2)),
    lambda t: t.zeros(2, 3).renorm(2, 5, 1.0),
    lambda t: t.zeros(3).renorm(2, 0, 1.0),
    lambda t: t.polygamma(-1, t.ones(1)),
    lambda t: t.linalg.solve_triangular(t.zeros(2, 3), t.zeros(2, 1), upper=True),
    lambda t: t.linalg.matrix_exp(t.zeros(2, 3)),
    lambda t: t.vander(t.zeros(2, 3)),
    lambda t: t.set_deterministic_debug_mode("no"),
    lambda t: t.nn.ParameterList()[0],
    lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(4, 10, []),
    lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(4, 10, [5, 3]),
    lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(4, 10, [10]),
    lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(4, 10, [5])(t.zeros(2, 4), t.tensor([1])),
    lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(4, 10, [5])(t.zeros(2, 4), t.tensor([1, 10])),
    lambda t: t.nn.utils.parametrize.remove_parametrizations(t.nn.Linear(2, 2), "weight"),
    lambda t: t.nn.utils.parametrize.register_parametrization(
        t.nn.Linear(2, 2), "nothing", t.nn.Tanh()
    ),
    lambda t: t.nn.utils.parametrizations.orthogonal(t.nn.Linear(2, 2), "bias"),
    lambda t: t.nn.utils.remove_spectral_norm(t.nn.Linear(2, 2)),
    lambda t: t.nn.utils.spectral_norm(t.nn.Linear(2, 2), n_power_iterations=0),
    lambda t: t.func.functional_call(t.nn.Linear(2, 2), {}, t.zeros(2), strict=True),
    lambda t: t.testing.assert_close(t.zeros(2), t.ones(2)),
    lambda t: t.Conv2d,
]


@pytest.mark.parametrize("call", WRONG)
def test_errors(call):
    kinds = []
    for lib in (minigrad, torch):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call(lib)
            kinds.append(None)
        except Exception as error:
            kinds.append(type(error))
    assert kinds[0] is kinds[1] is not None


# modules with the weights of PyTorch's


def twins(make):
    theirs = make(torch).double()
    mine = make(minigrad).double()
    state = {name: minigrad.tensor(x.numpy().copy()) for name, x in theirs.state_dict().items()}
    mine.load_state_dict(state)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    return mine, theirs


def compare(mine, theirs, call):
    for a, b in zip(flat(call(minigrad, mine)), flat(call(torch, theirs)), strict=True):
        close(a, b)
        if b.requires_grad:
            mine.zero_grad()
            theirs.zero_grad()
            a.sum().backward(retain_graph=True)
            b.sum().backward(retain_graph=True)
            for (name, x), (_, y) in zip(mine.named_parameters(), theirs.named_parameters()):
                if y.grad is None:
                    assert x.grad is None or not x.grad.numpy().any(), name
                else:
                    close(x.grad, y.grad, 1e-6)


INPUTS = rng.standard_normal((8, 16))
CLASSES = np.array([0, 3, 9, 4, 11, 5, 2, 19])


@pytest.mark.parametrize("bias", [True, False])
def test_adaptive_softmax(bias):
    mine, theirs = twins(
        lambda t: t.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 10], 2.0, head_bias=bias)
    )
    compare(mine, theirs, lambda t, m: tuple(m(t.tensor(INPUTS), t.tensor(CLASSES))))
    compare(mine, theirs, lambda t, m: tuple(m(t.tensor(INPUTS[0]), t.tensor(CLASSES[3]))))
    compare(mine, theirs, lambda t, m: m.log_prob(t.tensor(INPUTS)))
    compare(mine, theirs, lambda t, m: m.predict(t.tensor(INPUTS)))


def test_data_parallel():
    mine, theirs = twins(lambda t: t.nn.DataParallel(t.nn.Linear(16, 2)))
    compare(mine, theirs, lambda t, m: m(t.tensor(INPUTS)))


PARAMETRIZED = {
    "weight_norm": lambda u, m: u.parametrizations.weight_norm(m),
    "weight_norm of all": lambda u, m: u.parametrizations.weight_norm(m, dim=None),
    "spectral_norm": lambda u, m: u.parametrizations.spectral_norm(m, n_power_iterations=2),
    "old spectral_norm": lambda u, m: u.spectral_norm(m),
    "orthogonal": lambda u, m: u.parametrizations.orthogonal(m),
    "exponential": lambda u, m: u.parametrizations.orthogonal(m, orthogonal_map="matrix_exp"),
    "cayley": lambda u, m: u.parametrizations.orthogonal(m, orthogonal_map="cayley"),
    "householder": lambda u, m: u.parametrizations.orthogonal(m, orthogonal_map="householder"),
    "householder without base": lambda u, m: u.parametrizations.orthogonal(
        m, orthogonal_map="householder", use_trivialization=False
    ),
}


@pytest.mark.parametrize("shape", [(16, 16), (16, 4), (16, 20)])
@pytest.mark.parametrize("name", PARAMETRIZED)
def test_parametrized_weights(name, shape):
    def make(t):
        return PARAMETRIZED[name](t.nn.utils, t.nn.Linear(*shape))

    mine, theirs = twins(make)
    for train in (True, False):
        mine.train(train)
        theirs.train(train)
        compare(mine, theirs, lambda t, m: m(t.tensor(INPUTS)))
    for state in (copy.deepcopy(theirs.state_dict()),):
        assert {k: tuple(v.shape) for k, v in state.items()} == {
            k: tuple(v.shape) for k, v in mine.state_dict().items()
        }


@pytest.mark.parametrize("shape", [(4, 4), (4, 2), (2, 4)])
def test_an_orthogonal_start_is_kept(shape):
    """The same weight before and after in both, where the weight is orthogonal already."""
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0][: shape[1], : shape[0]]
    for kind in ("matrix_exp", "cayley", "householder"):
        for trivial in (True, False) if kind == "householder" else (True,):
            made = []
            for t in (minigrad, torch):
                layer = t.nn.Linear(*shape).double()
                layer.weight.data.copy_(t.tensor(Q))
                t.nn.utils.parametrizations.orthogonal(
                    layer, orthogonal_map=kind, use_trivialization=trivial
                )
                made.append(layer.weight)
            close(*made)


def test_functional_call_with_tied_weights():
    class Tied(torch.nn.Module):
        pass

    def make(t):
        model = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.Linear(2, 2)).double()
        model[1].weight = model[0].weight
        return model

    mine, theirs = make(minigrad), make(torch)
    mine.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    for tie in (True, False):
        close(
            *[
                t.func.functional_call(
                    m, {"0.weight": t.ones(2, 2).double()}, t.tensor(X[:, :2]), tie_weights=tie
                )
                for t, m in ((minigrad, mine), (torch, theirs))
            ]
        )


def test_inference_mode_is_known():
    for t in (minigrad, torch):
        assert not t.is_inference_mode_enabled()
        with t.inference_mode():
            assert t.is_inference_mode_enabled() and not t.is_grad_enabled()
            with t.inference_mode(False):
                assert not t.is_inference_mode_enabled() and t.is_grad_enabled()
            assert t.is_inference_mode_enabled()
        assert not t.is_inference_mode_enabled()
