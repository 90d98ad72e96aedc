"""Optimizers against written-out formulas, and clipping."""

import json
import math

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


def adam(x, gs, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """Algorithm 1 of Kingma & Ba 2015, weight decay as an L2 penalty."""
    m, v = 0, 0
    for t, g in enumerate(gs, 1):
        g = g + weight_decay * x
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        x = x - lr * m_hat / (np.sqrt(v_hat) + eps)
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


@pytest.mark.parametrize("rule", [optim.SGD, optim.Adam])
def test_a_parameter_without_a_gradient_is_skipped(rule):
    options = dict(lr=0.1, momentum=0.9) if rule is optim.SGD else dict(lr=0.1)
    formula = sgd if rule is optim.SGD else adam
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
    assert set(optimizer.state_dict()["state"]) == {0, 1}


def as_they_are(state, path):
    return state


def through_files(state, path):
    """Numbers as JSON, arrays as safetensors: keys become text and tuples lists."""
    arrays, numbers = {}, {}
    for n, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                arrays[f"{n}.{name}"] = value
            else:
                numbers.setdefault(n, {})[name] = value
    save_file(arrays, path)
    text = json.dumps({"numbers": numbers, "groups": state["param_groups"]})
    loaded = json.loads(text)
    entries = {n: dict(values) for n, values in loaded["numbers"].items()}
    for key, x in load_file(path).items():
        n, name = key.split(".")
        entries.setdefault(n, {})[name] = x.numpy()
    return {"state": entries, "param_groups": loaded["groups"]}


def as_tensors(state, path):
    """Arrays as Tensors, as load_file returns them."""
    entries = {
        n: {k: mg.tensor(v) if isinstance(v, np.ndarray) else v for k, v in values.items()}
        for n, values in state["state"].items()
    }
    return {**state, "state": entries}


@pytest.mark.parametrize("way", [as_they_are, through_files, as_tensors])
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


def test_a_state_dict_is_a_copy_in_both_directions():
    params = parameters()
    optimizer = optim.Adam(params, lr=0.1)
    run(optimizer, params, gradients(2))
    saved = optimizer.state_dict()
    held = saved["state"][0]["exp_avg"].copy()
    run(optimizer, params, gradients(2, seed=3))
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], held)
    optimizer.load_state_dict(saved)
    run(optimizer, params, gradients(2, seed=3))
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], held)
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
    state = optimizer.state_dict()
    before = optimizer.state_dict()
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
    (lambda: optim.SGD([np.ones(2)]), (ValueError, TypeError), "Tensor"),
    (lambda: optim.SGD(twice()), ValueError, "twice"),
    (lambda: optim.Adam([{"params": p} for p in twice()]), ValueError, "twice"),
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


def test_parameters_may_come_from_a_generator_or_alone():
    layer = nn.Linear(2, 3)
    assert len(optim.SGD(layer.parameters()).param_groups[0]["params"]) == 2
    assert len(optim.SGD(layer.weight).param_groups[0]["params"]) == 1
    assert len(optim.SGD(p for p in layer.parameters()).param_groups[0]["params"]) == 2


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
    ],
    ids=["SGD", "momentum", "nesterov", "Adam"],
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


# clipping


def with_gradients(*arrays):
    params = [nn.Parameter(mg.zeros(np.shape(a))) for a in arrays]
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
