"""Optimizers against written-out formulas, and clipping."""

import copy
import json
import math
import pickle
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn.utils import clip_grad_norm_
from minigrad.serialization import load_file, save_file

SHAPES = [(3, 2), (4,), (1,)]


def gradients(steps, shapes=SHAPES, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda s: np.asarray(rng.standard_normal(s)).astype(dtype)  # noqa: E731
    return [[draw(s) for s in shapes] for _ in range(steps)]


def parameters(dtype="float64", shapes=SHAPES, seed=5):
    rng = np.random.default_rng(seed)
    return [nn.Parameter(np.asarray(rng.standard_normal(s)).astype(dtype)) for s in shapes]


def run(optimizer, params, steps):
    for gs in steps:
        for p, g in zip(params, gs):
            p.grad = None if g is None else mg.tensor(np.array(g))
        optimizer.step()
    return [p.detach().numpy().copy() for p in params]


def sgd(x, gs, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    """Equations of Sutskever et al. 2013 as PyTorch documents them; scalars and arrays alike."""
    v = None
    for g in gs:
        g = g + weight_decay * x
        if momentum:
            v = g if v is None else momentum * v + (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        x = x - lr * g
    return x


def moments(gs, betas):
    """t, g, m and v of Kingma & Ba 2015, step by step."""
    m, v = 0, 0
    for t, g in enumerate(gs, 1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        yield t, g, m, v


def penalised(x, gs, weight_decay):
    """The gradients with weight decay as an L2 penalty, each asked for after the step before."""
    for g in gs:
        yield g + weight_decay * x[0]


def adam(x, gs, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False):
    """Algorithm 1 of Kingma & Ba 2015, weight decay as an L2 penalty; Reddi et al. 2018."""
    x, largest = [x], 0
    for t, _, m, v in moments(penalised(x, gs, weight_decay), betas):
        largest = np.maximum(largest, v)
        m_hat, v_hat = m / (1 - betas[0] ** t), (largest if amsgrad else v) / (1 - betas[1] ** t)
        x[0] = x[0] - lr * m_hat / (np.sqrt(v_hat) + eps)
    return x[0]


def adamw(x, gs, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    """Algorithm 2 of Loshchilov & Hutter 2019."""
    for t, _, m, v in moments(gs, betas):
        step = m / (1 - betas[0] ** t) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
        x = x - lr * (step + weight_decay * x)
    return x


def adamax(x, gs, lr=2e-3, betas=(0.9, 0.999), eps=1e-8):
    """Algorithm 2 of Kingma & Ba 2015."""
    u = 0
    for t, g, m, _ in moments(gs, betas):
        u = np.maximum(betas[1] * u, abs(g) + eps)
        x = x - lr / (1 - betas[0] ** t) * m / u
    return x


def nadam(x, gs, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, momentum_decay=4e-3):
    """Algorithm 8 of Dozat 2016 with its schedule of momenta; their product is kept in float32."""
    mu = lambda t: betas[0] * (1 - 0.5 * 0.96 ** (t * momentum_decay))  # noqa: E731
    product = np.float32(1)
    for t, g, m, v in moments(gs, betas):
        product *= np.float32(mu(t))
        g_part = (1 - mu(t)) * g / (1 - float(product))
        m_part = mu(t + 1) * m / (1 - float(product) * mu(t + 1))
        x = x - lr * (g_part + m_part) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return x


def radam(x, gs, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    """Algorithm 2 of Liu et al. 2020; eps is added to the root of v itself."""
    end = 2 / (1 - betas[1]) - 1
    for t, _, m, v in moments(gs, betas):
        rho = end - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
        scale = 1.0
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * end / ((end - 4) * (end - 2) * rho))
            scale = r * math.sqrt(1 - betas[1] ** t) / (np.sqrt(v) + eps)
        x = x - lr * m / (1 - betas[0] ** t) * scale
    return x


def adagrad(x, gs, lr=1e-2, lr_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    """Figure 1 of Duchi et al. 2011, its diagonal form."""
    total = initial_accumulator_value
    for t, g in enumerate(gs):
        total = total + g**2
        x = x - lr / (1 + t * lr_decay) * g / (np.sqrt(total) + eps)
    return x


def rmsprop(x, gs, lr=1e-2, alpha=0.99, eps=1e-8, momentum=0.0, centered=False):
    """Equations 38 to 41 of Graves 2013, with eps outside the root and lr outside the momentum."""
    v = mean = step = 0
    for g in gs:
        v, mean = alpha * v + (1 - alpha) * g**2, alpha * mean + (1 - alpha) * g
        step = momentum * step + g / (np.sqrt(v - mean**2 if centered else v) + eps)
        x = x - lr * step
    return x


def adadelta(x, gs, lr=1.0, rho=0.9, eps=1e-6):
    """Algorithm 1 of Zeiler 2012."""
    v = u = 0
    for g in gs:
        v = rho * v + (1 - rho) * g**2
        d = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d**2
        x = x - lr * d
    return x


def rprop(x, gs, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    """Riedmiller & Braun 1993 without backtracking, number by number."""
    out = np.array(x, ndmin=1, dtype="float64")
    for i in np.ndindex(out.shape):
        size, before = lr, 0.0
        for g in gs:
            g = float(np.reshape(g, out.shape)[i])
            if g * before > 0:
                size = min(size * etas[1], step_sizes[1])
            elif g * before < 0:
                size, g = max(size * etas[0], step_sizes[0]), 0.0
            out[i] -= np.sign(g) * size
            before = g
    return out.reshape(np.shape(x))


def asgd(x, gs, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0.0):
    """Section 2 of Bottou 2010; the rate is kept in float32."""
    eta = np.float32(lr)
    for t, g in enumerate(gs, 1):
        g = g + weight_decay * x
        x = (1 - lambd * float(eta)) * x - float(eta) * g
        eta = np.float32(lr / (1 + lambd * lr * t) ** alpha)
    return x


RULES = [
    (optim.SGD, sgd, dict(lr=0.1)),
    (optim.SGD, sgd, dict(lr=0.0)),
    (optim.SGD, sgd, dict(lr=0.1, weight_decay=0.3)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.9)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.9, dampening=0.4)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.9, nesterov=True)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.5, nesterov=True, weight_decay=0.2)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.5, dampening=0.3, weight_decay=0.2)),
    (optim.Adam, adam, dict()),
    (optim.Adam, adam, dict(lr=0.1)),
    (optim.Adam, adam, dict(lr=0.1, betas=(0.5, 0.8))),
    (optim.Adam, adam, dict(lr=0.1, betas=(0.0, 0.0))),
    (optim.Adam, adam, dict(lr=0.1, eps=0.5)),
    (optim.Adam, adam, dict(lr=0.1, weight_decay=0.2)),
    (optim.Adam, adam, dict(lr=0.1, betas=(0.5, 0.8), amsgrad=True)),
    (optim.AdamW, adamw, dict()),
    (optim.AdamW, adamw, dict(lr=0.1, weight_decay=0.3)),
    (optim.Adamax, adamax, dict()),
    (optim.Adamax, adamax, dict(lr=0.1, betas=(0.5, 0.8), eps=0.1)),
    (optim.NAdam, nadam, dict()),
    (optim.NAdam, nadam, dict(lr=0.1, betas=(0.5, 0.8), momentum_decay=0.1)),
    (optim.RAdam, radam, dict()),
    (optim.RAdam, radam, dict(lr=0.1, betas=(0.5, 0.9), eps=0.1)),
    (optim.Adagrad, adagrad, dict()),
    (optim.Adagrad, adagrad, dict(lr=0.1, lr_decay=0.1, initial_accumulator_value=0.3)),
    (optim.RMSprop, rmsprop, dict()),
    (optim.RMSprop, rmsprop, dict(alpha=0.8, momentum=0.5, eps=0.1)),
    (optim.RMSprop, rmsprop, dict(alpha=0.8, centered=True, momentum=0.5, eps=0.1)),
    (optim.Adadelta, adadelta, dict()),
    (optim.Adadelta, adadelta, dict(lr=0.5, rho=0.7, eps=1e-3)),
    (optim.Rprop, rprop, dict()),
    (optim.Rprop, rprop, dict(lr=0.1, etas=(0.3, 1.5), step_sizes=(0.05, 0.3))),
    (optim.ASGD, asgd, dict()),
    (optim.ASGD, asgd, dict(lr=0.1, lambd=0.1, alpha=0.5, weight_decay=0.1)),
]
RULE_IDS = [f"{rule.__name__}-{options}" for rule, _, options in RULES]


@pytest.mark.parametrize("rule, formula, options", RULES, ids=RULE_IDS)
@pytest.mark.parametrize("shape", [(3, 2), (4,), (), (0,)], ids=str)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-11), ("float32", 2e-5)])
def test_the_rule_is_the_formula(rule, formula, options, shape, dtype, tolerance):
    params, steps = parameters(dtype, [shape]), gradients(20, [shape], dtype)
    start = params[0].detach().numpy().astype("float64")
    (end,) = run(rule(params, **options), params, steps)
    expected = formula(start, [g.astype("float64") for (g,) in steps], **options)
    assert (end.shape, end.dtype) == (shape, dtype)
    np.testing.assert_allclose(end, expected, rtol=tolerance, atol=tolerance)


def test_the_first_step_of_adam_is_the_learning_rate():
    p = nn.Parameter(mg.zeros(3, dtype="float64"))
    run(optim.Adam([p], lr=0.01), [p], [[np.array([1e-3, -7.0, 1e5])]])
    np.testing.assert_allclose(p.detach().numpy(), [-0.01, 0.01, -0.01], rtol=1e-4)


@pytest.mark.parametrize("rule, formula, options", RULES, ids=RULE_IDS)
def test_a_step_changes_parameters_in_place_and_no_gradient(rule, formula, options):
    params = parameters()
    arrays, held = [p.array for p in params], gradients(2)
    optimizer = rule(params, **options)
    for gs in held:
        for p, g in zip(params, gs):
            p.grad = mg.tensor(g.copy())
        optimizer.step()
        for p, g in zip(params, gs):
            np.testing.assert_array_equal(p.grad.numpy(), g)
    assert all(p.array is a for p, a in zip(params, arrays))
    assert all(p.requires_grad and p.is_leaf for p in params)


@pytest.mark.parametrize("rule, formula, options", RULES, ids=RULE_IDS)
def test_gradients_that_live_on_are_not_kept_by_the_state(rule, formula, options):
    """zero_grad(set_to_none=False) writes into the gradient: momentum must not be that array."""
    params, steps = parameters(), gradients(6)
    expected = run(rule(params, **options), params, steps)
    params = parameters()
    optimizer = rule(params, **options)
    for gs in steps:
        optimizer.zero_grad(set_to_none=False)
        for p, g in zip(params, gs):
            if p.grad is None:
                p.grad = mg.zeros(p.shape, dtype="float64")
            assert not p.grad.numpy().any()
            p.grad.add_(mg.tensor(g))
        optimizer.step()
    for p, e in zip(params, expected):
        np.testing.assert_array_equal(p.detach().numpy(), e)


@pytest.mark.parametrize("rule, formula, options", RULES, ids=RULE_IDS)
def test_a_parameter_without_a_gradient_is_skipped(rule, formula, options):
    params, steps = parameters(), gradients(6)
    start = [p.detach().numpy().copy() for p in params]
    for k in (1, 3, 4):
        steps[k][1] = None  # its own count of steps must not go on
    for gs in steps:
        gs[2] = None
    optimizer = rule(params, **options)
    ends = run(optimizer, params, steps)
    for i in range(2):
        expected = formula(start[i], [gs[i] for gs in steps if gs[i] is not None], **options)
        np.testing.assert_allclose(ends[i], expected, rtol=1e-11)
    np.testing.assert_array_equal(ends[2], start[2])
    known = {n for n, values in optimizer.state_dict()["state"].items() if values}
    if rule is not optim.Adagrad:  # whose state is there from the beginning
        assert known in ({0, 1}, set())


def as_they_are(state, path):
    return state


def through_files(state, path):
    """Numbers as JSON, arrays as safetensors: keys become text and tuples lists."""
    arrays, numbers = {}, {}
    for n, values in state["state"].items():
        for name, value in values.items():
            if value.shape:
                arrays[f"{n}.{name}"] = value
            else:
                numbers.setdefault(n, {})[name] = value.item()
    save_file(arrays, path)
    text = json.dumps({"numbers": numbers, "groups": state["param_groups"]})
    loaded = json.loads(text)
    entries = {n: dict(values) for n, values in loaded["numbers"].items()}
    for key, x in load_file(path).items():
        n, name = key.split(".")
        entries.setdefault(n, {})[name] = x.numpy()
    return {"state": entries, "param_groups": loaded["groups"]}


def as_arrays(state, path):
    entries = {
        n: {name: value.numpy() for name, value in values.items()}
        for n, values in state["state"].items()
    }
    return {**state, "state": entries}


def pickled(state, path):
    return pickle.loads(pickle.dumps(state))


@pytest.mark.parametrize("way", [as_they_are, through_files, as_arrays, pickled])
@pytest.mark.parametrize("rule, formula, options", RULES, ids=RULE_IDS)
def test_a_loaded_state_goes_on_identically(rule, formula, options, way, tmp_path):
    params, steps = parameters(), gradients(10)
    straight = run(rule(params, **options), params, steps)
    params = parameters()
    first = rule(params, **options)
    run(first, params, steps[:4])
    state = way(first.state_dict(), tmp_path / "state.safetensors")
    second = rule(params, lr=123.0)  # its options come from the state
    second.load_state_dict(state)
    for actual, expected in zip(run(second, params, steps[4:]), straight):
        np.testing.assert_array_equal(actual, expected)


def test_a_state_dict_is_the_state_and_loading_copies_it():
    params = parameters()
    optimizer = optim.Adam(params, lr=0.1)
    run(optimizer, params, gradients(2))
    saved = optimizer.state_dict()
    assert saved["state"][0]["exp_avg"] is optimizer.state[params[0]]["exp_avg"]
    held = copy.deepcopy(saved)
    optimizer.load_state_dict(saved)
    run(optimizer, params, gradients(2, seed=3))
    optimizer.param_groups[0]["lr"] = 7.0
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], held["state"][0]["exp_avg"])
    assert saved["param_groups"] == held["param_groups"]
    assert saved["param_groups"][0]["params"] == [0, 1, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["param_groups"][0]["params"].append(3),
        lambda s: s["param_groups"].append(s["param_groups"][0]),
        lambda s: s["state"][1].update(exp_avg=np.zeros(99)),
    ],
    ids=["too many parameters", "too many groups", "wrong shape"],
)
def test_a_state_that_does_not_fit_changes_nothing(change):
    params = parameters()
    optimizer = optim.Adam(params, lr=0.1)
    run(optimizer, params, gradients(2))
    state = copy.deepcopy(optimizer.state_dict())
    before = copy.deepcopy(optimizer.state_dict())
    change(state)
    state["param_groups"][0]["lr"] = 7.0
    with pytest.raises(ValueError):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for n in before["state"]:
        for name, value in before["state"][n].items():
            np.testing.assert_array_equal(after["state"][n][name], value)


def test_groups_with_options_of_their_own():
    params, steps = parameters(), gradients(5)
    start = [p.detach().numpy().copy() for p in params]
    optimizer = optim.SGD(
        [{"params": params[:1], "lr": 0.5}, {"params": params[1], "momentum": 0.9}], lr=0.1
    )
    optimizer.add_param_group({"params": [params[2]], "weight_decay": 0.3})
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.1, 0.1]
    ends = run(optimizer, params, steps)
    options = [dict(lr=0.5), dict(lr=0.1, momentum=0.9), dict(lr=0.1, weight_decay=0.3)]
    for i in range(3):
        expected = sgd(start[i], [gs[i] for gs in steps], **options[i])
        np.testing.assert_allclose(ends[i], expected, rtol=1e-12)


def test_a_learning_rate_changed_between_steps():
    (p,), steps = parameters(shapes=[(3,)]), gradients(4, [(3,)])
    x = p.detach().numpy().copy()
    optimizer = optim.SGD([p], lr=0.1)
    for lr, gs in zip((0.1, 0.2, 0.0, 0.4), steps):
        optimizer.param_groups[0]["lr"] = lr
        x = x - lr * gs[0]
        run(optimizer, [p], [gs])
    np.testing.assert_allclose(p.detach().numpy(), x, rtol=1e-12)


def computed():
    return [mg.ones(2, requires_grad=True) * 2]


def twice():
    return parameters()[:1] * 2


ERRORS = [
    (lambda: optim.SGD([]), ValueError, "no parameters"),
    (lambda: optim.Adam(iter(())), ValueError, "no parameters"),
    (lambda: optim.SGD(computed()), ValueError, "leaf"),
    (lambda: optim.SGD([np.ones(2)]), TypeError, "Tensor"),
    (lambda: optim.SGD(parameters()[0]), TypeError, "one Tensor"),
    (lambda: optim.SGD({"params": parameters()}), TypeError, "Tensor"),
    (lambda: optim.SGD([{"params": set(parameters())}]), TypeError, "set"),
    (lambda: optim.SGD([{"params": parameters()}, parameters()[0]]), TypeError, "dict"),
    (lambda: optim.SGD([("a", parameters()[0]), parameters()[0]]), ValueError, "name"),
    (lambda: optim.SGD([{"params": parameters()}, {"params": [("a", parameters()[0])]}]),
     ValueError, "name"),
    (lambda: optim.SGD(twice()), UserWarning, "twice"),
    (lambda: optim.Adam([{"params": p} for p in twice()]), ValueError, "two groups"),
    (lambda: optim.SGD(parameters(), lr=mg.tensor([0.1, 0.2])), ValueError, "lr"),
    (lambda: optim.Adam(parameters(), betas=(0.9, mg.tensor(0.9))), ValueError, "beta"),
    (lambda: optim.Adam(parameters(), differentiable=True), NotImplementedError, "differentiable"),
    (lambda: optim.SGD(parameters(), differentiable=True), NotImplementedError, "differentiable"),
    (lambda: optim.Adam(parameters(), capturable=True), NotImplementedError, "capturable"),
    (lambda: optim.Adam(parameters(), foreach=True, fused=True), RuntimeError, "foreach"),
    (lambda: optim.Adam(parameters(), lr=mg.tensor(0.1), foreach=True), ValueError, "foreach"),
    (lambda: optim.RMSprop(parameters(), alpha=-1), ValueError, "alpha"),
    (lambda: optim.Adadelta(parameters(), rho=1.1), ValueError, "rho"),
    (lambda: optim.Rprop(parameters(), etas=(1.0, 0.5)), ValueError, "etas"),
    (lambda: optim.LBFGS([{"params": p} for p in parameters()]), ValueError, "one group"),
    (lambda: optim.LBFGS(parameters(), lr=-1), ValueError, "lr"),
    (lambda: optim.LBFGS(parameters(), line_search_fn="x").step(lambda: 0), RuntimeError, "'x'"),
    (lambda: optim.LBFGS(parameters()).step(), TypeError, "closure"),
    (lambda: optim.Optimizer(parameters(), {"lr": optim.optimizer.required}), ValueError, "lr"),
    (lambda: optim.Optimizer(parameters(), {}).step(), NotImplementedError, "step"),
    (lambda: optim.SGD(parameters(), lr=-0.1), ValueError, "lr"),
    (lambda: optim.SGD(parameters(), lr=math.nan), ValueError, "lr"),
    (lambda: optim.Adam(parameters(), lr=math.inf), ValueError, "lr"),
    (lambda: optim.Adam(parameters(), lr=-1.0), ValueError, "lr"),
    (lambda: optim.Adam([{"params": parameters(), "lr": -1.0}]), ValueError, "lr"),
    (lambda: optim.Adam(parameters(), betas=(1.0, 0.9)), ValueError, "beta"),
    (lambda: optim.Adam(parameters(), betas=(0.9, 1.0)), ValueError, "beta"),
    (lambda: optim.Adam(parameters(), betas=(-0.1, 0.9)), ValueError, "beta"),
    (lambda: optim.Adam(parameters(), betas=(0.9, math.nan)), ValueError, "beta"),
    (lambda: optim.Adam(parameters(), eps=-1e-8), ValueError, "eps"),
    (lambda: optim.Adam(parameters(), weight_decay=-1.0), ValueError, "weight_decay"),
    (lambda: optim.SGD(parameters(), weight_decay=-1.0), ValueError, "weight_decay"),
    (lambda: optim.SGD(parameters(), momentum=-0.5), ValueError, "momentum"),
    (lambda: optim.SGD(parameters(), momentum=math.nan), ValueError, "momentum"),
    (lambda: optim.SGD(parameters(), nesterov=True), ValueError, "nesterov"),
    (lambda: optim.SGD(parameters(), momentum=0.9, dampening=0.1, nesterov=True),
     ValueError, "nesterov"),
]  # fmt: skip


@pytest.mark.parametrize("make, error, message", ERRORS, ids=range(len(ERRORS)))
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_group_that_is_refused_is_not_added():
    params = parameters()
    optimizer = optim.SGD(params[:2], lr=0.1)
    for group in ({"params": params[1:]}, {"params": params[2:], "lr": -1.0}):
        with pytest.raises(ValueError):
            optimizer.add_param_group(group)
        assert len(optimizer.param_groups) == 1


def test_parameters_may_come_from_a_generator_with_names_or_alone_in_a_group():
    layer = nn.Linear(2, 3)
    assert len(optim.SGD(layer.parameters()).param_groups[0]["params"]) == 2
    assert len(optim.SGD([{"params": layer.weight}]).param_groups[0]["params"]) == 1
    assert len(optim.SGD(p for p in layer.parameters()).param_groups[0]["params"]) == 2
    optimizer = optim.SGD(layer.named_parameters())
    assert optimizer.param_groups[0]["params"] == list(layer.parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def test_zero_grad():
    params = parameters()
    optimizer = optim.SGD(params)
    run(optimizer, params, gradients(1))
    optimizer.zero_grad(set_to_none=False)
    assert all(not p.grad.numpy().any() for p in params)
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)
    optimizer.zero_grad(set_to_none=False)
    assert all(p.grad is None for p in params)


def test_a_closure_is_recorded_and_its_loss_returned():
    p = nn.Parameter(mg.tensor([3.0]))
    optimizer = optim.SGD([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with mg.no_grad():
        assert optimizer.step(closure).item() == 9
    assert p.item() == 0
    assert optimizer.step() is None


def test_backward_after_a_step_is_refused():
    layer, x = nn.Linear(2, 2), mg.ones(2, requires_grad=True)
    loss = layer(x).sum()
    loss.backward(retain_graph=True)
    optim.SGD(layer.parameters(), lr=0.1).step()
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.02),
        lambda p: optim.SGD(p, lr=0.02, momentum=0.8),
        lambda p: optim.SGD(p, lr=0.02, momentum=0.8, nesterov=True),
        lambda p: optim.Adam(p, lr=0.1),
        lambda p: optim.Adagrad(p, lr=1.0),
        lambda p: optim.RMSprop(p, lr=0.001, momentum=0.5),
        lambda p: optim.Rprop(p),
        lambda p: optim.ASGD(p, lr=0.02, lambd=0.0, alpha=0.0),
        lambda p: optim.Adamax(p, lr=0.1),
        lambda p: optim.NAdam(p, lr=0.01),
        lambda p: optim.RAdam(p, lr=0.1),
    ],
    ids="SGD momentum nesterov Adam Adagrad RMSprop Rprop ASGD Adamax NAdam RAdam".split(),
)
def test_a_quadratic_bowl(make):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((4, 4))
    a, b = mg.tensor(a @ a.T + np.eye(4)), mg.tensor(rng.standard_normal(4))
    x = nn.Parameter(mg.zeros(4, dtype="float64"))
    optimizer = make([x])
    for _ in range(2000):
        optimizer.zero_grad()
        ((x @ a @ x) / 2.0 - b @ x).backward()
        optimizer.step()
    np.testing.assert_allclose(x.detach().numpy(), np.linalg.solve(a.numpy(), b.numpy()), atol=1e-4)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_solves_a_quadratic_bowl_in_one_call(search):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((6, 6))
    a, b = mg.tensor(a @ a.T + np.eye(6)), mg.tensor(rng.standard_normal(6))
    x, y = [nn.Parameter(mg.zeros(3, dtype="float64")) for _ in range(2)]
    optimizer = optim.LBFGS([x, y], max_iter=60, line_search_fn=search, tolerance_change=1e-14)
    calls = 0

    def closure():
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        z = mg.cat([x, y])
        loss = (z @ a @ z) / 2.0 - b @ z
        loss.backward()
        return loss

    with mg.no_grad():  # the closure is recorded all the same
        assert optimizer.step(closure).item() == 0
    found = np.concatenate([p.detach().numpy() for p in (x, y)])
    np.testing.assert_allclose(found, np.linalg.solve(a.numpy(), b.numpy()), atol=1e-6)
    state = optimizer.state_dict()["state"]
    assert list(state) == [0] and state[0]["func_evals"] == calls
    assert x.dtype == "float64" and state[0]["d"].dtype == "float64"


def test_lbfgs_in_a_valley():
    """Rosenbrock's function, from where he starts; plain descent takes thousands of steps."""
    p = nn.Parameter(mg.tensor([-1.2, 1.0]).double())
    optimizer = optim.LBFGS([p], line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def closure():
        optimizer.zero_grad()
        x, y = p
        loss = (1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    np.testing.assert_allclose(p.detach().numpy(), [1, 1], atol=1e-5)


def test_lbfgs_counts_a_parameter_without_gradient_as_flat():
    x, unused = nn.Parameter(mg.tensor([3.0, 4.0])), nn.Parameter(mg.ones(2))
    optimizer = optim.LBFGS([unused, x], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert abs(x.detach().numpy()).max() < 1e-3 and unused.tolist() == [1, 1]
    assert x.dtype == "float32"


# one optimizer with every kind of state
STATEFUL = [
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
    lambda p: optim.RMSprop(p, centered=True, momentum=0.5),
    lambda p: optim.NAdam(p),
    lambda p: optim.ASGD(p, t0=1),
]


@pytest.mark.parametrize("make", STATEFUL)
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copied_optimizer_goes_on_with_copied_parameters(make, clone):
    params, steps = parameters(), gradients(8)
    optimizer = make(params)
    run(optimizer, params, steps[:4])
    twins, twin = clone((params, optimizer))
    assert twin.param_groups[0]["params"][0] is twins[0]
    straight = run(optimizer, params, steps[4:])
    for actual, expected in zip(run(twin, twins, steps[4:]), straight):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("make", STATEFUL)
def test_the_state_may_be_walked_and_moved(make):
    """As programs do after loading a state, to bring it to their device."""
    params, steps = parameters(), gradients(8)
    expected = run(make(params), params, steps)
    params = parameters()
    optimizer = make(params)
    run(optimizer, params, steps[:4])
    for state in optimizer.state.values():
        for name, value in state.items():
            assert isinstance(value, mg.Tensor), name
            state[name] = value.clone().to("cpu")
    for actual, e in zip(run(optimizer, params, steps[4:]), expected):
        np.testing.assert_array_equal(actual, e)


def test_the_state_of_an_unknown_parameter_is_empty():
    optimizer = optim.SGD(parameters(), lr=0.1)
    assert optimizer.state[nn.Parameter(mg.ones(1))] == {}


def test_maximize_climbs():
    p = nn.Parameter(mg.tensor([1.0]))
    optimizer = optim.SGD([p], lr=0.5, maximize=True)
    (-((p - 3.0) ** 2)).sum().backward()
    optimizer.step()
    assert p.item() == 3


@pytest.mark.parametrize("lr", [mg.tensor(0.5), mg.tensor([0.5])], ids=["0-d", "1-d"])
def test_the_rate_may_be_a_tensor(lr):
    p = nn.Parameter(mg.tensor([1.0, 2.0]))
    optimizer = optim.SGD([p], lr=lr)
    optimizer.param_groups[0]["lr"] /= 2
    p.sum().backward()
    optimizer.step()
    assert p.tolist() == [0.75, 1.75]


def test_a_parameter_given_twice_is_changed_twice_as_in_pytorch():
    p = nn.Parameter(mg.tensor([1.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = optim.SGD([p, p], lr=0.25)
    p.sum().backward()
    optimizer.step()
    assert p.item() == 0.5
    assert optimizer.state_dict()["param_groups"][0]["params"] == [0, 0]


def test_weights_that_are_tied_are_stepped_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight

    model = Tied()
    before = model.a.weight.detach().numpy().copy()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    model.b.weight.sum().backward()
    optimizer.step()
    np.testing.assert_allclose(model.a.weight.detach().numpy(), before - 1, rtol=1e-6)


def test_an_optimizer_of_your_own():
    """As published programs write them: `step` under no_grad, state in self.state[p]."""

    class Signs(optim.Optimizer):
        def __init__(self, params, lr=optim.optimizer.required):
            super().__init__(params, dict(lr=lr))

        def __setstate__(self, state):
            super().__setstate__(state)
            for group in self.param_groups:
                group.setdefault("extra", 1)

        @mg.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state["count"] = state.get("count", 0) + 1
                    state["rows"] = mg.zeros(7)
                    p.data.add_(-group["lr"] * p.grad.data.sign())

    with pytest.raises(ValueError, match="lr"):
        Signs(parameters())
    p = nn.Parameter(mg.tensor([1.0, -1.0]))
    optimizer = Signs([p], lr=0.5)
    (p * p).sum().backward()
    optimizer.step()
    assert p.tolist() == [0.5, -0.5]
    again = Signs([p], lr=0.1)
    again.load_state_dict(optimizer.state_dict())
    assert again.state[p]["count"] == 1 and again.state[p]["rows"].shape == (7,)
    assert again.param_groups[0]["extra"] == 1 and again.param_groups[0]["lr"] == 0.5


def test_hooks():
    seen = []
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1)
    note = lambda text: lambda *args: seen.append((text, *args[1:2]))  # noqa: E731
    handles = [
        optimizer.register_step_pre_hook(note("before")),
        optimizer.register_step_post_hook(note("after")),
        optimizer.register_state_dict_pre_hook(note("second")),
        optimizer.register_state_dict_pre_hook(note("first"), prepend=True),
        optimizer.register_load_state_dict_post_hook(note("loaded")),
    ]
    run(optimizer, params, gradients(1))
    assert seen == [("before", ()), ("after", ())]
    seen.clear()
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == [("first",), ("second",), ("loaded",)]
    for handle in handles:
        handle.remove()
    run(optimizer, params, gradients(1))
    assert len(seen) == 3
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: state["inner"])
    optimizer.load_state_dict({"inner": optimizer.state_dict()})
    assert optimizer.state_dict()["more"] == 1
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((lambda: 5,), {}))
    assert optimizer.step() == 5
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 5)
    with pytest.raises(RuntimeError, match="hook"):
        optimizer.step()


def test_text():
    optimizer = optim.SGD([{"params": parameters(), "lr": 0.5}], lr=0.1, momentum=0.9)
    assert repr(optimizer).splitlines()[:4] == [
        "SGD (",
        "Parameter Group 0",
        "    dampening: 0",
        "    differentiable: False",
    ]
    assert "    lr: 0.5" in repr(optimizer) and repr(optimizer).endswith(")")
    assert optimizer.defaults["lr"] == 0.1 and optimizer.defaults["momentum"] == 0.9


def test_zero_grad_cuts_a_gradient_with_a_graph():
    p = nn.Parameter(mg.tensor([2.0]))
    (p**3).sum().backward(create_graph=True)
    optim.SGD([p]).zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0] and not p.grad.requires_grad


# averages of weights


@pytest.mark.parametrize("kind", ["mean", "ema", "ema in place"])
def test_averaged_weights(kind):
    utils, model = optim.swa_utils, nn.Linear(2, 2)
    options = {
        "mean": {},
        "ema": {"avg_fn": utils.get_ema_avg_fn(0.75)},
        "ema in place": {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.75)},
    }[kind]
    average, expected, n = utils.AveragedModel(model, **options), None, 0
    for step in range(4):
        with mg.no_grad():
            model.weight.copy_(mg.full((2, 2), float(step * step)))
        average.update_parameters(model)
        new = step * step
        if n == 0:
            expected = new
        elif kind == "mean":
            expected += (new - expected) / (n + 1)
        else:
            expected = 0.75 * expected + 0.25 * new
        n += 1
    np.testing.assert_allclose(average.module.weight.detach().numpy(), expected, rtol=1e-6)
    assert average.n_averaged.item() == 4
    assert average(mg.ones(1, 2)).shape == (1, 2)
    assert average.module.weight is not model.weight
    assert average.module.weight.dtype == "float32"


def test_averages_of_what_makes_no_sense():
    with pytest.raises(ValueError, match="decay"):
        optim.swa_utils.get_ema_avg_fn(1.5)
    with pytest.raises(AssertionError, match="avg_fn"):
        f = optim.swa_utils.get_swa_avg_fn()
        optim.swa_utils.AveragedModel(nn.Linear(1, 1), avg_fn=f, multi_avg_fn=f)


def test_statistics_of_normalisations_are_computed_anew():
    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.momentum, self.seen = 0.1, []

        def reset_running_stats(self):
            self.seen = []

        def forward(self, x):
            assert self.training and self.momentum is None and not mg.is_grad_enabled()
            self.seen.append(x)
            return x

    norm = Norm().eval()
    optim.swa_utils.update_bn([(1, 2), [3], 4], norm)
    assert norm.seen == [1, 3, 4] and norm.momentum == 0.1 and not norm.training
    optim.swa_utils.update_bn(iter(()), nn.Linear(1, 1))


# clipping


def with_gradients(*arrays):
    params = [nn.Parameter(mg.zeros(np.shape(a), dtype=a.dtype)) for a in arrays]
    for p, a in zip(params, arrays):
        p.grad = mg.tensor(np.array(a))
    return params


def total(params):
    squares = [(p.grad.numpy().astype("float64") ** 2).sum() for p in params if p.grad is not None]
    return math.sqrt(sum(squares))


def float32(*values):
    return np.array(values, dtype="float32")


@pytest.mark.parametrize("max_norm", [1.0, 6.5, 13.0, 100.0, math.inf])
def test_clipping_scales_all_gradients_together(max_norm):
    params = with_gradients(float32(3, 4), float32([12]), float32())  # the norm is 13
    norm = clip_grad_norm_(params, max_norm)
    assert float(norm) == pytest.approx(13.0)
    assert total(params) == pytest.approx(min(13.0, max_norm), rel=1e-5)
    direction = np.concatenate([p.grad.numpy().ravel() for p in params]) / total(params)
    np.testing.assert_allclose(direction, np.array([3, 4, 12]) / 13, rtol=1e-5)
    if max_norm > 13:
        np.testing.assert_array_equal(params[0].grad.numpy(), [3, 4])


SIZES = [1e20, 1e30, 1e38, 1e-10, 1e-18, 1e-25, 1e-38, 0.0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("others", [[], [1.0]], ids=["alone", "beside 1"])
def test_norms_that_float32_cannot_square(size, others):
    arrays = [float32(size, -size, size), *[float32(o) for o in others]]
    params = with_gradients(*arrays)
    held = [a.copy() for a in arrays]
    expected = math.sqrt(3 * float(np.float32(size)) ** 2 + len(others))
    assert float(clip_grad_norm_(params, 10.0)) == pytest.approx(expected, rel=1e-6)
    assert total(params) == pytest.approx(min(expected, 10.0), rel=1e-4)
    if expected <= 10:
        for p, a in zip(params, held):
            np.testing.assert_array_equal(p.grad.numpy(), a)


def test_many_tiny_gradients_are_not_lost():
    params = with_gradients(np.full(10_000, 1e-25, "float32"))
    assert float(clip_grad_norm_(params, 1.0)) == pytest.approx(1e-23, rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_a_norm_that_is_not_finite(bad, place):
    arrays = [float32(3, 4), float32(5)]
    arrays[place][-1] = bad
    params = with_gradients(*arrays)
    with pytest.raises(RuntimeError, match="nan|inf"):
        clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    for p, a in zip(params, arrays):
        np.testing.assert_array_equal(p.grad.numpy(), a)
    assert not math.isfinite(clip_grad_norm_(params, 1.0))
    assert math.isnan(params[place].grad.numpy()[-1])


@pytest.mark.parametrize("max_norm", [-1, math.nan, -math.inf])
def test_max_norm_must_not_be_negative(max_norm):
    params = with_gradients(float32(3, 4))
    with pytest.raises(ValueError, match="max_norm"):
        clip_grad_norm_(params, max_norm)
    np.testing.assert_array_equal(params[0].grad.numpy(), [3, 4])


def test_clipping_nothing():
    assert float(clip_grad_norm_([], 1.0)) == 0
    assert float(clip_grad_norm_(nn.Linear(2, 3).parameters(), 1.0)) == 0


def test_clipping_one_tensor_and_tensors_without_gradient():
    (p,) = with_gradients(float32(3, 4))
    assert float(clip_grad_norm_(p, 1.0)) == pytest.approx(5)
    assert float(clip_grad_norm_([p, nn.Parameter(mg.zeros(2))], 0.5)) == pytest.approx(1, rel=1e-5)
    assert total([p]) == pytest.approx(0.5, rel=1e-5)


def test_gradients_of_one_loss_are_clipped_once_each():
    """a + b has the same gradient on both sides; were it one array, it would be scaled twice."""
    a, b = nn.Parameter(mg.zeros(3)), nn.Parameter(mg.zeros(3))
    (a + b).backward(mg.tensor([2.0, 0.0, 0.0]))
    assert float(clip_grad_norm_([a, b], 1.0)) == pytest.approx(math.sqrt(8))
    for p in (a, b):
        np.testing.assert_allclose(p.grad.numpy(), [1 / math.sqrt(2), 0, 0], rtol=1e-5)


def test_clipping_leaves_float32_alone():
    params = with_gradients(float32(30, 40), np.array([50.0]))
    clip_grad_norm_(params, 0.1)
    assert [p.grad.dtype.name for p in params] == ["float32", "float64"]
