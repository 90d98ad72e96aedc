"""Optimizers and schedules held against PyTorch's, number for number."""

import copy
import itertools
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import lr_scheduler

torch = pytest.importorskip("torch")
common_optimizers = pytest.importorskip("torch.testing._internal.common_optimizers")

SHAPES = [(3, 4), (5,), ()]

# every option with a value besides its default; the product of all is tested
OPTIONS = {
    "SGD": {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1, "nesterov": True},
    "ASGD": {"lambd": 0.1, "alpha": 0.5, "t0": 20, "weight_decay": 0.1},
    "Adagrad": {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 0.1},
    "RMSprop": {"alpha": 0.9, "eps": 0.1, "weight_decay": 0.1, "momentum": 0.5, "centered": True},
    "Adadelta": {"rho": 0.5, "eps": 0.01, "weight_decay": 0.1},
    "Rprop": {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.05)},
    "Adam": {
        "betas": (0.5, 0.8),
        "eps": 0.1,
        "weight_decay": 0.1,
        "amsgrad": True,
        "decoupled_weight_decay": True,
    },
    "AdamW": {"betas": (0.5, 0.8), "eps": 0.1, "weight_decay": 0.1, "amsgrad": True},
    "Adamax": {"betas": (0.5, 0.8), "eps": 0.1, "weight_decay": 0.1},
    "NAdam": {
        "betas": (0.5, 0.8),
        "eps": 0.1,
        "weight_decay": 0.1,
        "momentum_decay": 0.1,
        "decoupled_weight_decay": True,
    },
    "RAdam": {
        "betas": (0.5, 0.8),
        "eps": 0.1,
        "weight_decay": 0.1,
        "decoupled_weight_decay": True,
    },
}
EVERYWHERE = {"lr": 0.05, "maximize": True}


def combinations(name):
    table = {**EVERYWHERE, **OPTIONS[name]}
    for chosen in itertools.product((False, True), repeat=len(table)):
        options = {key: value for (key, value), use in zip(table.items(), chosen) if use}
        if not options.get("nesterov") or ("momentum" in options and "dampening" not in options):
            yield options


def pairs(dtype="float64", shapes=SHAPES, seed=0):
    rng = np.random.default_rng(seed)
    values = [np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in shapes]
    return (
        [nn.Parameter(np.array(v)) for v in values],
        [torch.nn.Parameter(torch.tensor(v)) for v in values],
    )


def gradients(steps, dtype="float64", shapes=SHAPES, seed=1):
    rng = np.random.default_rng(seed)
    draw = lambda shape: np.asarray(rng.standard_normal(shape)).astype(dtype)  # noqa: E731
    return [[draw(shape) for shape in shapes] for _ in range(steps)]


def run(optimizer, params, steps, tensor):
    for gs in steps:
        for p, g in zip(params, gs):
            p.grad = tensor(g.copy())
        optimizer.step()


def assert_close(mine, theirs, rtol=1e-6, atol=1e-9):
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(
            a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol, strict=True
        )


@pytest.mark.parametrize("name", OPTIONS)
def test_every_combination_of_options(name):
    steps = gradients(50)
    for options in combinations(name):
        mine, theirs = pairs()
        run(getattr(optim, name)(mine, **options), mine, steps, mg.tensor)
        run(getattr(torch.optim, name)(theirs, **options), theirs, steps, torch.tensor)
        try:
            assert_close(mine, theirs)
        except AssertionError as error:
            raise AssertionError(f"{name} with {options}") from error


@pytest.mark.parametrize("name", OPTIONS)
def test_float32(name):
    steps = gradients(20, "float32")
    for options in ({}, OPTIONS[name] | ({"dampening": 0} if name == "SGD" else {})):
        mine, theirs = pairs("float32")
        run(getattr(optim, name)(mine, **options), mine, steps, mg.tensor)
        run(getattr(torch.optim, name)(theirs, **options), theirs, steps, torch.tensor)
        assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [*OPTIONS, "LBFGS"])
def test_signature_groups_and_text(name):
    mine, theirs = [
        getattr(m.optim, name)([m.ones(2, requires_grad=True)]) for m in (mg, torch)
    ]
    assert repr(mine) == repr(theirs)
    assert mine.defaults == theirs.defaults
    a, b = mine.param_groups[0], theirs.param_groups[0]
    assert a.keys() == b.keys()
    assert list(mine.state_dict()) == list(theirs.state_dict())


# PyTorch's own table of optimizers

DATABASE = {
    info.name: info
    for info in common_optimizers.optim_db
    if info.name not in ("Adafactor", "Muon", "SparseAdam")  # not here
}


def translated(value):
    if isinstance(value, torch.Tensor):
        p = mg.tensor(value.detach().numpy().copy())
        return nn.Parameter(p) if value.requires_grad else p
    if isinstance(value, dict):
        return {key: translated(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(translated(part) for part in value)
    return value


def test_the_whole_database_is_here():
    assert set(DATABASE) == {*OPTIONS, "LBFGS"}


@pytest.mark.parametrize("name", DATABASE)
def test_inputs_of_the_database(name):
    for given in DATABASE[name].optim_inputs_func(device="cpu"):
        if given.kwargs.get("capturable"):
            continue  # for CUDA graphs alone
        inputs = np.linspace(-1, 1, 12).reshape(4, 3)
        x, x_t, w = mg.tensor(inputs), torch.tensor(inputs), nn.Parameter(np.ones(3))
        w_t = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
        mine = getattr(optim, name)([w], **translated(given.kwargs))
        theirs = getattr(torch.optim, name)([w_t], **given.kwargs)

        def closure(optimizer, x, w):
            def loss():
                optimizer.zero_grad()
                value = ((x @ w).exp() - 2.0).pow(2).sum()
                value.backward()
                return value

            return loss

        for _ in range(5):
            a = mine.step(closure(mine, x, w))
            b = theirs.step(closure(theirs, x_t, w_t))
            assert a.item() == pytest.approx(b.item(), rel=1e-6, abs=1e-9), given
            assert_close([w], [w_t])


@pytest.mark.parametrize("name", DATABASE)
def test_errors_of_the_database(name):
    function = DATABASE[name].optim_error_inputs_func
    params = [torch.nn.Parameter(torch.ones(2, 1))]
    for given in function(device="cpu", dtype=torch.float32):
        arguments = given.optimizer_error_input
        if given.error_type is UserWarning:
            context = pytest.warns(UserWarning)
        else:
            context = pytest.raises(given.error_type)
        with context:
            cases = arguments.params if arguments.params is not None else params
            if given.error_on is not common_optimizers.OptimizerErrorEnum.CONSTRUCTION_ERROR:
                raise AssertionError(f"{name}: an error of a kind that was not there: {given}")
            made = {}  # the same parameter must stay the same one

            def same(value, made=made):
                if isinstance(value, torch.Tensor):
                    return made.setdefault(id(value), translated(value))
                if isinstance(value, (list, tuple)):
                    return type(value)(same(part) for part in value)
                if isinstance(value, dict):
                    return {key: same(part) for key, part in value.items()}
                return value

            getattr(optim, name)(same(cases), **translated(arguments.kwargs))


# state dicts


def as_torch(value):
    if isinstance(value, mg.Tensor):
        return torch.tensor(value.numpy())
    if isinstance(value, dict):
        return {key: as_torch(part) for key, part in value.items()}
    return [as_torch(part) for part in value] if isinstance(value, list) else value


def as_arrays(value):
    if isinstance(value, torch.Tensor):
        return value.detach().numpy().copy()
    if isinstance(value, dict):
        return {key: as_arrays(part) for key, part in value.items()}
    return [as_arrays(part) for part in value] if isinstance(value, list) else value


def as_lists(value):
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: as_lists(part) for key, part in value.items()}
    return value


@pytest.mark.parametrize("translate", [as_arrays, as_lists, translated])
@pytest.mark.parametrize("name", OPTIONS)
def test_state_of_pytorch_is_continued(name, translate):
    options = OPTIONS[name] | ({"dampening": 0} if name == "SGD" else {})
    steps = gradients(10)
    mine, theirs = pairs()
    first = getattr(torch.optim, name)(theirs, **options)
    run(first, theirs, steps[:5], torch.tensor)
    for p, q in zip(mine, theirs):
        p.data.copy_(mg.tensor(q.detach().numpy().copy()))
    second = getattr(optim, name)(mine)
    second.load_state_dict(translate(first.state_dict()))
    run(first, theirs, steps[5:], torch.tensor)
    run(second, mine, steps[5:], mg.tensor)
    assert_close(mine, theirs)
    layout(second.state_dict(), first.state_dict())


@pytest.mark.parametrize("name", OPTIONS)
def test_pytorch_continues_our_state(name):
    options = OPTIONS[name] | ({"dampening": 0} if name == "SGD" else {})
    steps = gradients(10)
    mine, theirs = pairs()
    first = getattr(optim, name)(mine, **options)
    run(first, mine, steps[:5], mg.tensor)
    for p, q in zip(mine, theirs):
        q.data.copy_(torch.tensor(p.detach().numpy().copy()))
    second = getattr(torch.optim, name)(theirs)
    second.load_state_dict(copy.deepcopy(as_torch(first.state_dict())))
    run(first, mine, steps[5:], mg.tensor)
    run(second, theirs, steps[5:], torch.tensor)
    assert_close(mine, theirs)
    layout(first.state_dict(), second.state_dict())


def layout(mine, theirs):
    """The same keys, the same entries with the same shapes and dtypes, the same options."""
    assert mine["param_groups"] == theirs["param_groups"]
    assert mine["state"].keys() == theirs["state"].keys()
    for a, b in zip(mine["state"].values(), theirs["state"].values()):
        assert a.keys() == b.keys()
        for name in a:
            assert (tuple(a[name].shape), a[name].numpy().dtype) == (
                tuple(b[name].shape),
                b[name].numpy().dtype,
            )
            np.testing.assert_allclose(a[name].numpy(), b[name].numpy(), rtol=1e-5, atol=1e-9)


# LBFGS


def regression(m, optimizer_options, dtype, steps=8):
    """Losses of a small network fitted by LBFGS, and the number of evaluations."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((20, 3)).astype(dtype), rng.standard_normal((20, 1)).astype(dtype)
    weights = [rng.standard_normal(s).astype(dtype) for s in ((3, 4), (4,), (4, 1))]
    x, y = m.tensor(x), m.tensor(y)
    params = [m.nn.Parameter(m.tensor(w)) for w in weights]
    optimizer = m.optim.LBFGS(params, **optimizer_options)
    losses = []

    def closure():
        optimizer.zero_grad()
        w, b, v = params
        loss = (((x @ w + b).tanh() @ v - y) ** 2).mean()
        loss.backward()
        return loss

    for _ in range(steps):
        losses.append(optimizer.step(closure).item())
    return losses, optimizer


LBFGS = [
    {},
    {"lr": 0.1},
    {"max_iter": 5, "history_size": 3},
    {"max_iter": 1},
    {"max_eval": 7},
    {"tolerance_grad": 0.1},
    {"tolerance_change": 0.01},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "history_size": 2},
    {"line_search_fn": "strong_wolfe", "lr": 10.0},
    {"line_search_fn": "strong_wolfe", "lr": 1e-3},
    {"line_search_fn": "strong_wolfe", "max_eval": 4},
    {"line_search_fn": "strong_wolfe", "tolerance_change": 0.01},
    {"line_search_fn": "strong_wolfe", "max_iter": 3},
]


@pytest.mark.parametrize("options", LBFGS, ids=str)
def test_lbfgs_follows_the_same_path(options):
    with np.errstate(all="ignore"):
        mine, a = regression(mg, options, "float64")
    theirs, b = regression(torch, options, "float64")
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    counts = [
        [o.state_dict()["state"][0][name] for name in ("func_evals", "n_iter")] for o in (a, b)
    ]
    assert counts[0] == counts[1]
    assert {*a.state_dict()["state"][0]} == {*b.state_dict()["state"][0]} - {"al"}
