"""Optimizers and schedules held against PyTorch's, number for number."""

import copy
import itertools
import types
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
    mine, theirs = [getattr(m.optim, name)([m.ones(2, requires_grad=True)]) for m in (mg, torch)]
    assert repr(mine) == repr(theirs)
    assert mine.defaults == theirs.defaults
    a, b = mine.param_groups[0], theirs.param_groups[0]
    assert a.keys() == b.keys()
    assert list(mine.state_dict()) == list(theirs.state_dict())


# PyTorch's own table of optimizers

DATABASE = {
    info.name: info
    for info in common_optimizers.optim_db
    if info.name not in ("Adafactor", "Muon", "SparseAdam")  # not needed, or elsewhere
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
            with np.errstate(over="ignore"):  # LBFGS without a line search leaves the earth
                a = mine.step(closure(mine, x, w))
            b = theirs.step(closure(theirs, x_t, w_t))
            assert a.item() == pytest.approx(b.item(), rel=1e-6, abs=1e-9, nan_ok=True), given
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
    for values in first.state_dict()["state"].values():  # dtypes as before any loading
        for key, value in values.items():
            wanted = "float32" if key in ("step", "eta", "mu", "mu_product") else "float64"
            assert value.dtype == wanted, key
    for p, q in zip(mine, theirs):
        q.data.copy_(torch.tensor(p.detach().numpy().copy()))
    second = getattr(torch.optim, name)(theirs)
    second.load_state_dict(copy.deepcopy(as_torch(first.state_dict())))
    run(first, mine, steps[5:], mg.tensor)
    run(second, theirs, steps[5:], torch.tensor)
    assert_close(mine, theirs)
    layout(first.state_dict(), second.state_dict())


def layout(mine, theirs):
    """The same keys, the same entries with the same shapes, the same options."""
    assert mine["param_groups"] == theirs["param_groups"]
    assert mine["state"].keys() == theirs["state"].keys()
    for a, b in zip(mine["state"].values(), theirs["state"].values()):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_allclose(a[name].numpy(), b[name].numpy(), rtol=1e-5, atol=1e-9)
            assert a[name].numpy().shape == b[name].numpy().shape


# LBFGS


def regression(m, optimizer_options, dtype, steps):
    """The loss before each step of LBFGS on a small network, and the optimizer."""
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
    """Not for long: after 80 evaluations PyTorch itself, begun one rounding error away, is as far
    from itself as 1e-5.
    """
    steps = 8 if options.get("max_iter", 20) < 6 else 3
    mine, a = regression(mg, options, "float64", steps)
    theirs, b = regression(torch, options, "float64", steps)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    counts = [
        [o.state_dict()["state"][0][name] for name in ("func_evals", "n_iter")] for o in (a, b)
    ]
    assert counts[0] == counts[1]
    assert {*a.state_dict()["state"][0]} == {*b.state_dict()["state"][0]} - {"al"}


def test_lbfgs_in_float32_and_its_state():
    mine, a = regression(mg, {"line_search_fn": "strong_wolfe"}, "float32", 2)
    theirs, b = regression(torch, {"line_search_fn": "strong_wolfe"}, "float32", 2)
    np.testing.assert_allclose(mine, theirs, rtol=1e-3)
    assert a.state[a.param_groups[0]["params"][0]]["d"].dtype == "float32"


@pytest.mark.parametrize("options", [{"max_iter": 4}, {"line_search_fn": "strong_wolfe"}], ids=str)
def test_lbfgs_goes_on_from_pytorchs_state(options):
    rng = np.random.default_rng(0)
    a, start = rng.standard_normal((6, 6)), rng.standard_normal(6)
    a = a @ a.T + np.eye(6)

    def steps(m, state=None, at=start, n=2):
        x, matrix = m.nn.Parameter(m.tensor(np.array(at))), m.tensor(a)
        optimizer = m.optim.LBFGS([x], **{"max_iter": 4, **options})
        if state is not None:
            optimizer.load_state_dict(state)

        def closure():
            optimizer.zero_grad()
            loss = (x @ matrix @ x) + (x**4).sum()
            loss.backward()
            return loss

        losses = [optimizer.step(closure).item() for _ in range(n)]
        return losses, optimizer.state_dict(), x.detach().numpy()

    _, theirs, x = steps(torch)
    _, mine, y = steps(mg)
    expected = steps(torch, copy.deepcopy(theirs), x)[0]
    assert expected[1] < expected[0]
    np.testing.assert_allclose(steps(mg, as_arrays(theirs), x)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(steps(torch, as_torch(mine), y)[0], expected, rtol=1e-6)


# schedules

SCHEDULES = {
    "StepLR": [{"step_size": 3}, {"step_size": 1, "gamma": 0.9}],
    "MultiStepLR": [{"milestones": [3, 7, 7, 20]}, {"milestones": [0, 2], "gamma": 0.5}],
    "ConstantLR": [{}, {"factor": 0.5, "total_iters": 10}, {"total_iters": 0}],
    "LinearLR": [
        {},
        {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 15},
        {"end_factor": 0},
    ],
    "ExponentialLR": [{"gamma": 0.9}],
    "PolynomialLR": [{}, {"total_iters": 20, "power": 2.0}],
    "LambdaLR": [{"lr_lambda": lambda e: 0.9**e}, {"lr_lambda": [lambda e: e + 1, lambda e: 0.1]}],
    "MultiplicativeLR": [{"lr_lambda": lambda e: 0.9 + e / 100}],
    "CosineAnnealingLR": [{"T_max": 10}, {"T_max": 7, "eta_min": 0.01}, {"T_max": 100}],
    "CosineAnnealingWarmRestarts": [{"T_0": 5}, {"T_0": 3, "T_mult": 2, "eta_min": 0.01}],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4},
        {"base_lr": [0.01, 0.02], "max_lr": 0.1, "step_size_up": 4, "step_size_down": 7},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4, "mode": "triangular2"},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4, "mode": "exp_range", "gamma": 0.9},
        {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 4,
            "scale_fn": lambda x: 1 / (1 + x),
            "scale_mode": "iterations",
            "cycle_momentum": False,
        },
    ],
    "OneCycleLR": [
        {"max_lr": 0.5, "total_steps": 60},
        {"max_lr": [0.5, 0.2], "epochs": 10, "steps_per_epoch": 6, "pct_start": 0.4},
        {"max_lr": 0.5, "total_steps": 60, "three_phase": True, "anneal_strategy": "linear"},
        {"max_lr": 0.5, "total_steps": 60, "cycle_momentum": False, "final_div_factor": 10},
    ],
    "SWALR": [
        {"swa_lr": 0.01},
        {"swa_lr": [0.01, 0.3], "anneal_epochs": 4, "anneal_strategy": "linear"},
        {"swa_lr": 0.01, "anneal_epochs": 0},
    ],
}
CASES = [(name, options) for name, rows in SCHEDULES.items() for options in rows]
IDS = [f"{name}-{i}" for name, rows in SCHEDULES.items() for i in range(len(rows))]


def schedules(m):
    return types.SimpleNamespace(**{**vars(m.optim.lr_scheduler), "SWALR": m.optim.swa_utils.SWALR})


def two_groups(m, rule="SGD", **options):
    options = {"momentum": 0.5} if rule == "SGD" and not options else options
    params = [m.nn.Parameter(m.ones(1)) for _ in range(2)]
    return getattr(m.optim, rule)(
        [{"params": params[:1], "lr": 0.3}, {"params": params[1:]}], lr=0.1, **options
    )


def numbers(optimizer):
    keys = ("lr", "momentum", "betas", "initial_lr")
    return [[group[key] for key in keys if key in group] for group in optimizer.param_groups]


def flat(rows):
    return [
        float(x) for row in rows for x in (flat(row) if isinstance(row, list | tuple) else [row])
    ]


def followed(optimizer, scheduler, steps):
    rows = [numbers(optimizer), scheduler.get_last_lr()]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        rows += [numbers(optimizer), scheduler.get_last_lr()]
    return flat(rows)


@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize("name, options", CASES, ids=IDS)
def test_schedule(name, options, rule):
    sequences = []
    for m in (mg, torch):
        optimizer = two_groups(m, rule)
        sequences.append(followed(optimizer, getattr(schedules(m), name)(optimizer, **options), 40))
    assert sequences[0] == sequences[1]  # to the last bit


@pytest.mark.parametrize("name, options", CASES, ids=IDS)
def test_schedule_begun_later(name, options):
    """As after loading an optimizer's state: rates and initial rates are there."""
    sequences = []
    for m in (mg, torch):
        optimizer = two_groups(m)
        for group in optimizer.param_groups:
            group.update(initial_lr=group["lr"], max_lr=0.5, min_lr=0.001)
            group.update(max_momentum=0.9, base_momentum=0.8, lr=group["lr"] * 0.9)
        scheduler = getattr(schedules(m), name)(optimizer, **options, last_epoch=5)
        sequences.append(followed(optimizer, scheduler, 20))
    assert sequences[0] == sequences[1]


@pytest.mark.parametrize("name, options", CASES, ids=IDS)
def test_schedule_at_a_given_epoch(name, options):
    sequences = []
    for m in (mg, torch):
        optimizer = two_groups(m)
        scheduler = getattr(schedules(m), name)(optimizer, **options)
        optimizer.step()
        rows = []
        for epoch in (1, 5, 2, 13, 30):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scheduler.step(epoch)
            rows.append(numbers(optimizer))
        sequences.append(flat(rows))
    np.testing.assert_allclose(*sequences, rtol=1e-12)


@pytest.mark.parametrize("name, options", CASES, ids=IDS)
def test_schedule_state_is_exchanged(name, options):
    def begun(m):
        optimizer = two_groups(m)
        return optimizer, getattr(schedules(m), name)(optimizer, **options)

    (a, mine), (b, theirs) = begun(mg), begun(torch)
    followed(a, mine, 7), followed(b, theirs, 7)
    for m, state, groups in ((mg, theirs, b), (torch, mine, a)):
        saved = copy.deepcopy(
            {k: v for k, v in state.state_dict().items() if not k.startswith("_scale_fn_ref")}
        )
        optimizer, scheduler = begun(m)
        scheduler.load_state_dict(saved)
        for group, other in zip(optimizer.param_groups, groups.param_groups):
            group.update({k: v for k, v in other.items() if k != "params"})
        optimizer.step()
        saved_at = followed(optimizer, scheduler, 9)
        expected = two_groups(torch)
        scheduler = getattr(schedules(torch), name)(expected, **options)
        followed(expected, scheduler, 7)
        np.testing.assert_allclose(saved_at, followed(expected, scheduler, 9), rtol=1e-12)


def warm_and_down(m, optimizer):
    s = m.optim.lr_scheduler
    return s.SequentialLR(
        optimizer,
        [
            s.LinearLR(optimizer, 0.1, total_iters=4),
            s.CosineAnnealingLR(optimizer, 10),
            s.StepLR(optimizer, 3),
        ],
        milestones=[4, 20],
    )


COMBINED = {
    "sequential": warm_and_down,
    "restarts": lambda m, o: m.optim.lr_scheduler.SequentialLR(
        o,
        [
            m.optim.lr_scheduler.ConstantLR(o, 0.5, 3),
            m.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 4, 2),
        ],
        milestones=[5],
    ),
    "chained": lambda m, o: m.optim.lr_scheduler.ChainedScheduler(
        [m.optim.lr_scheduler.LinearLR(o, 0.2), m.optim.lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "sequence of chains": lambda m, o: m.optim.lr_scheduler.SequentialLR(
        o,
        [
            m.optim.lr_scheduler.ChainedScheduler(
                [m.optim.lr_scheduler.LinearLR(o), m.optim.lr_scheduler.ExponentialLR(o, 0.9)]
            ),
            m.optim.lr_scheduler.PolynomialLR(o, 20),
        ],
        milestones=[6],
    ),
}


@pytest.mark.parametrize("name", COMBINED)
def test_combined_schedules(name):
    sequences, states = [], []
    for m in (mg, torch):
        optimizer = two_groups(m)
        with warnings.catch_warnings():  # both find that the first chain is begun twice
            warnings.simplefilter("ignore")
            scheduler = COMBINED[name](m, optimizer)
        sequences.append(followed(optimizer, scheduler, 40))
        states.append(scheduler.state_dict())
    assert sequences[0] == sequences[1]
    assert states[0].keys() >= states[1].keys() - {"_get_lr_called_within_step", "_is_initial"}


PLATEAUS = [
    {"patience": 2},
    {"patience": 0, "factor": 0.5},
    {"patience": 1, "cooldown": 3},
    {"patience": 1, "mode": "max"},
    {"patience": 1, "mode": "max", "threshold_mode": "abs", "threshold": 0.2},
    {"patience": 1, "threshold_mode": "abs", "threshold": 0.2},
    {"patience": 1, "min_lr": 0.02},
    {"patience": 1, "min_lr": [0.02, 0.05]},
    {"patience": 0, "eps": 0.01},
]


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_plateau(options):
    metrics = np.round(np.random.default_rng(0).standard_normal(40).cumsum() / 3, 1)
    sequences, states = [], []
    for m in (mg, torch):
        optimizer = two_groups(m)
        scheduler = m.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        rows = []
        for metric in metrics:
            scheduler.step(m.tensor(metric))
            rows.append([*scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.best])
        sequences.append(flat(rows))
        states.append(scheduler.state_dict())
    assert sequences[0] == sequences[1]
    assert states[0] == states[1]


WRONG = {
    "no optimizer": lambda m: m.optim.lr_scheduler.StepLR(3, 1),
    "no initial rate": lambda m: m.optim.lr_scheduler.StepLR(two_groups(m), 1, last_epoch=3),
    "lambdas": lambda m: m.optim.lr_scheduler.LambdaLR(two_groups(m), [lambda e: 1]),
    "no function": lambda m: m.optim.lr_scheduler.MultiplicativeLR(two_groups(m), 3),
    "factor": lambda m: m.optim.lr_scheduler.ConstantLR(two_groups(m), 2.0),
    "start": lambda m: m.optim.lr_scheduler.LinearLR(two_groups(m), 0),
    "end": lambda m: m.optim.lr_scheduler.LinearLR(two_groups(m), 0.5, 2),
    "T_0": lambda m: m.optim.lr_scheduler.CosineAnnealingWarmRestarts(two_groups(m), 0),
    "T_mult": lambda m: m.optim.lr_scheduler.CosineAnnealingWarmRestarts(two_groups(m), 1, 0),
    "negative epoch": lambda m: m.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        two_groups(m), 2
    ).step(-1),
    "mode of a cycle": lambda m: m.optim.lr_scheduler.CyclicLR(two_groups(m), 0.1, 1, mode="x"),
    "momentum": lambda m: m.optim.lr_scheduler.CyclicLR(two_groups(m, "Adagrad", eps=1), 0.1, 1),
    "total": lambda m: m.optim.lr_scheduler.OneCycleLR(two_groups(m), 1),
    "no steps": lambda m: m.optim.lr_scheduler.OneCycleLR(two_groups(m), 1, total_steps=0),
    "share": lambda m: m.optim.lr_scheduler.OneCycleLR(two_groups(m), 1, 9, pct_start=2.0),
    "anneal": lambda m: m.optim.lr_scheduler.OneCycleLR(two_groups(m), 1, 9, anneal_strategy="x"),
    "too many steps": lambda m: followed(
        o := two_groups(m), m.optim.lr_scheduler.OneCycleLR(o, 1, 9), 10
    ),
    "plateau's factor": lambda m: m.optim.lr_scheduler.ReduceLROnPlateau(two_groups(m), factor=1),
    "plateau's mode": lambda m: m.optim.lr_scheduler.ReduceLROnPlateau(two_groups(m), "x"),
    "min_lr": lambda m: m.optim.lr_scheduler.ReduceLROnPlateau(two_groups(m), min_lr=[1]),
    "no schedules": lambda m: m.optim.lr_scheduler.ChainedScheduler([]),
    "two optimizers": lambda m: m.optim.lr_scheduler.ChainedScheduler(
        [m.optim.lr_scheduler.StepLR(two_groups(m), 1) for _ in range(2)]
    ),
    "a plateau in a sequence": lambda m: m.optim.lr_scheduler.SequentialLR(
        o := two_groups(m), [m.optim.lr_scheduler.ReduceLROnPlateau(o)], []
    ),
    "milestones": lambda m: m.optim.lr_scheduler.SequentialLR(
        o := two_groups(m), [m.optim.lr_scheduler.StepLR(o, 1)], [3]
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_of_a_schedule_has_pytorchs_type(name):
    with pytest.raises(Exception) as theirs:  # noqa: B017
        WRONG[name](torch)
    with pytest.raises(theirs.type):
        WRONG[name](mg)


@pytest.mark.parametrize(
    "act",
    [
        lambda m, o: m.optim.lr_scheduler.StepLR(o, 1).step(),
        lambda m, o: (s := m.optim.lr_scheduler.StepLR(o, 1), o.step(), s.step(1)),
        lambda m, o: m.optim.lr_scheduler.StepLR(o, 1).get_lr(),
        lambda m, o: (o.step(), m.optim.lr_scheduler.StepLR(o, 1).step()),
    ],
    ids=["order", "epoch", "get_lr", "order after an earlier step"],
)
def test_warnings_of_schedules(act):
    for m in (torch, mg):
        with pytest.warns(UserWarning):
            act(m, two_groups(m))


def test_every_name_of_pytorch_is_here():
    for mine, theirs in (
        (optim, torch.optim),
        (lr_scheduler, torch.optim.lr_scheduler),
        (optim.swa_utils, torch.optim.swa_utils),
    ):
        missing = {name for name in theirs.__all__ if not hasattr(mine, name)}
        # not recurrent work's, for tracing
        others = {"Adafactor", "Muon", "swap_in_optimizer_params_and_state"}
        assert missing <= others


# averages of weights

AVERAGES = {
    "mean": lambda u: {},
    "ema": lambda u: {"avg_fn": u.get_ema_avg_fn(0.9)},
    "ema of lists": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9)},
    "mean of lists": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
    "mean one by one": lambda u: {"avg_fn": u.get_swa_avg_fn(), "use_buffers": True},
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averaged_model(name):
    rng = np.random.default_rng(0)
    results = []
    draws = [rng.standard_normal((2, 3)) for _ in range(5)]
    for m in (mg, torch):
        model = m.nn.Linear(3, 2, bias=False).double()
        average = m.optim.swa_utils.AveragedModel(model, **AVERAGES[name](m.optim.swa_utils))
        for w in draws:
            model.weight.data.copy_(m.tensor(w))
            average.update_parameters(model)
        assert int(average.n_averaged) == 5
        results.append(average(m.tensor(np.ones((1, 3)))).detach().numpy())
        assert list(average.state_dict()) == ["n_averaged", "module.weight"]
    np.testing.assert_allclose(*results, rtol=1e-4)  # PyTorch takes 1 / n in float32
