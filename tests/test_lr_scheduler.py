"""Schedules of the learning rate against the formulas that they are described by."""

import math

import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import lr_scheduler as schedules


def optimizer_of(*rates, rule=optim.SGD, **options):
    return rule([{"params": [nn.Parameter(mg.ones(1))], "lr": lr} for lr in rates], **options)


def followed(scheduler, optimizer, steps):
    """The rates of the first group in every epoch."""
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        assert scheduler.get_last_lr() == [g["lr"] for g in optimizer.param_groups]
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def cosine(share):
    return (1 + math.cos(math.pi * share)) / 2


def one_cycle(e, top=2.0, first=0.08, last=8e-6, peak=8, end=29):
    """Smith & Topin 2018 as PyTorch has it: peak at 0.3 · 30 - 1."""
    if e <= peak:
        return top + (first - top) * cosine(e / peak)
    return last + (top - last) * cosine((e - peak) / (end - peak))


def restarts(e, length=3, low=0.1):
    while e >= length:
        e, length = e - length, 2 * length
    return low + (1 - low) * cosine(e / length)


def triangle(e, up=4, down=2, low=0.5, high=2.0):
    e = e % (up + down)
    return low + (high - low) * (e / up if e <= up else (up + down - e) / down)


# (schedule, options, the rate at epoch e for a base rate of 1)
ROWS = [
    (schedules.StepLR, dict(step_size=4), lambda e: 0.1 ** (e // 4)),
    (schedules.StepLR, dict(step_size=1, gamma=0.5), lambda e: 0.5**e),
    (
        schedules.MultiStepLR,
        dict(milestones=[2, 5, 5], gamma=0.5),
        lambda e: 1 if e < 2 else 0.5 if e < 5 else 0.125,
    ),
    (schedules.ConstantLR, dict(factor=0.25, total_iters=6), lambda e: 0.25 if e < 6 else 1),
    (
        schedules.LinearLR,
        dict(start_factor=0.2, end_factor=0.8, total_iters=10),
        lambda e: 0.2 + 0.06 * min(e, 10),
    ),
    (schedules.ExponentialLR, dict(gamma=0.9), lambda e: 0.9**e),
    (schedules.PolynomialLR, dict(total_iters=8, power=2), lambda e: (1 - min(e, 8) / 8) ** 2),
    (schedules.LambdaLR, dict(lr_lambda=lambda e: 1 / (1 + e)), lambda e: 1 / (1 + e)),
    (
        schedules.MultiplicativeLR,
        dict(lr_lambda=lambda e: e / (e + 1)),
        lambda e: 1 / (e + 1),
    ),
    (schedules.CosineAnnealingLR, dict(T_max=7), lambda e: cosine(e / 7)),
    (
        schedules.CosineAnnealingLR,
        dict(T_max=5, eta_min=0.25),
        lambda e: 0.25 + 0.75 * cosine(e / 5),
    ),
    (schedules.CosineAnnealingWarmRestarts, dict(T_0=3, T_mult=2, eta_min=0.1), restarts),
    (
        schedules.CyclicLR,
        dict(base_lr=0.5, max_lr=2.0, step_size_up=4, step_size_down=2),
        triangle,
    ),
    (
        schedules.CyclicLR,
        dict(base_lr=0.5, max_lr=2.0, step_size_up=4, step_size_down=2, mode="triangular2"),
        lambda e: 0.5 + (triangle(e) - 0.5) / 2 ** (e // 6),
    ),
    (
        schedules.CyclicLR,
        dict(
            base_lr=0.5, max_lr=2.0, step_size_up=4, step_size_down=2, mode="exp_range", gamma=0.9
        ),
        lambda e: 0.5 + (triangle(e) - 0.5) * 0.9**e,
    ),
    (schedules.OneCycleLR, dict(max_lr=2.0, total_steps=30), one_cycle),
    (
        schedules.InverseSquareRootLR,
        dict(warmup_steps=5),
        lambda e: min((e + 1) / 5, math.sqrt(5 / (e + 1))),
    ),
    (
        optim.swa_utils.SWALR,
        dict(swa_lr=0.2, anneal_epochs=5),
        lambda e: 0.2 + 0.8 * cosine(min(e, 5) / 5),
    ),
]
IDS = [f"{kind.__name__}-{i}" for i, (kind, _, _) in enumerate(ROWS)]


@pytest.mark.parametrize("kind, options, formula", ROWS, ids=IDS)
def test_the_rate_is_the_formula(kind, options, formula):
    optimizer = optimizer_of(1.0, momentum=0.9)
    rates = followed(kind(optimizer, **options), optimizer, 25)
    assert rates == pytest.approx([formula(e) for e in range(26)], rel=1e-9, abs=1e-12)
    assert all(type(rate) in (float, int) for rate in rates)


@pytest.mark.parametrize("kind, options, formula", ROWS, ids=IDS)
def test_a_rate_that_is_a_tensor_is_changed_in_place(kind, options, formula):
    lr = mg.tensor(1.0)
    optimizer = optimizer_of(lr, momentum=0.9)
    scheduler = kind(optimizer, **options)
    for e in range(12):
        assert lr.item() == pytest.approx(formula(e), rel=1e-5, abs=1e-6)
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr


@pytest.mark.parametrize("kind, options, formula", ROWS, ids=IDS)
def test_a_loaded_schedule_goes_on(kind, options, formula):
    optimizer = optimizer_of(1.0, momentum=0.9)
    scheduler = kind(optimizer, **options)
    followed(scheduler, optimizer, 9)
    state = scheduler.state_dict()
    assert "optimizer" not in state and not any(callable(value) for value in state.values())
    other = optimizer_of(1.0, momentum=0.9)
    again = kind(other, **options)
    again.load_state_dict(state)
    other.load_state_dict(optimizer.state_dict())
    assert again.last_epoch == 9
    rates = followed(again, other, 12)
    assert rates == pytest.approx([formula(e) for e in range(9, 22)], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    "kind, options", [(kind, options) for kind, options, _ in ROWS[:-1]], ids=IDS[:-1]
)
def test_groups_keep_their_proportion(kind, options):
    optimizer = optimizer_of(1.0, 3.0, momentum=0.9)
    options = {k: [v, 3 * v] if k in ("base_lr", "max_lr") else v for k, v in options.items()}
    if "eta_min" in options:
        options["eta_min"] = 0.0
    scheduler = kind(optimizer, **options)
    assert scheduler.base_lrs == pytest.approx(
        [group["lr"] for group in optimizer.param_groups]
        if kind in (schedules.OneCycleLR, schedules.CyclicLR)
        else [1, 3]
    )
    for _ in range(12):
        optimizer.step()
        scheduler.step()
        a, b = [group["lr"] for group in optimizer.param_groups]
        assert b == pytest.approx(3 * a, rel=1e-9, abs=1e-15)


def test_the_rate_that_is_scheduled_is_the_rate_of_the_step():
    p = nn.Parameter(mg.tensor([0.0]))
    optimizer = optim.SGD([p], lr=1.0)
    scheduler = schedules.ExponentialLR(optimizer, 0.5)
    for _ in range(4):
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
        scheduler.step()
    assert p.item() == -(1 + 0.5 + 0.25 + 0.125)
    assert optimizer.param_groups[0]["initial_lr"] == 1.0 and scheduler.base_lrs == [1.0]


def test_the_momentum_goes_against_the_rate():
    for rule, key in ((optim.SGD, "momentum"), (optim.Adam, "betas")):
        optimizer = optimizer_of(1.0, rule=rule, **({"momentum": 0.9} if key == "momentum" else {}))
        scheduler = schedules.CyclicLR(optimizer, 0.1, 1.1, step_size_up=5)
        for _ in range(12):
            (group,) = optimizer.param_groups
            momentum = group["momentum"] if key == "momentum" else group["betas"][0]
            assert momentum == pytest.approx(0.9 - 0.1 * (group["lr"] - 0.1))
            optimizer.step()
            scheduler.step()


def test_one_after_the_other():
    optimizer = optimizer_of(1.0)
    warm = schedules.LinearLR(optimizer, 0.2, total_iters=4)
    down = schedules.ExponentialLR(optimizer, 0.5)
    scheduler = schedules.SequentialLR(optimizer, [warm, down], milestones=[4])
    expected = [0.2, 0.4, 0.6, 0.8, 1, 0.5, 0.25]
    assert followed(scheduler, optimizer, 6) == pytest.approx(expected)
    state = scheduler.state_dict()
    other = optimizer_of(1.0)
    parts = [schedules.LinearLR(other, 0.2, total_iters=4), schedules.ExponentialLR(other, 0.5)]
    again = schedules.SequentialLR(other, parts, milestones=[4])
    again.load_state_dict(state)
    other.load_state_dict(optimizer.state_dict())
    assert again._schedulers == parts  # the same objects, with their states
    assert followed(again, other, 2) == pytest.approx([0.25, 0.125, 0.0625])


def test_several_at_once():
    optimizer = optimizer_of(1.0)
    parts = [schedules.ConstantLR(optimizer, 0.1, 2), schedules.ExponentialLR(optimizer, 0.9)]
    scheduler = schedules.ChainedScheduler(parts)
    expected = [0.1, 0.09, 0.81, 0.729]
    assert followed(scheduler, optimizer, 3) == pytest.approx(expected)
    assert len(scheduler.state_dict()["_schedulers"]) == 2


# (options, metrics, the rate after each)
PLATEAUS = [
    (dict(patience=1, factor=0.5), [3, 2, 2, 2, 2, 2], [1, 1, 1, 0.5, 0.5, 0.25]),
    (dict(patience=0, factor=0.5, cooldown=2), [2, 2, 2, 2, 2], [1, 0.5, 0.5, 0.5, 0.25]),
    (dict(patience=0, factor=0.5, min_lr=0.4), [2, 2, 2, 2], [1, 0.5, 0.4, 0.4]),
    (dict(patience=0, factor=0.5, mode="max"), [1, 2, 1.5, 3], [1, 1, 0.5, 0.5]),
    (dict(patience=0, factor=0.5, threshold=0.1), [1, 0.95, 0.89], [1, 0.5, 0.5]),
    (
        dict(patience=0, factor=0.5, threshold=0.1, threshold_mode="abs"),
        [5, 4.95, 4.85],
        [1, 0.5, 0.5],
    ),
    (dict(patience=0, factor=0.5, eps=0.3), [1, 1, 1, 1], [1, 0.5, 0.5, 0.5]),
    (dict(patience=0, factor=0.5), [math.nan, math.nan], [0.5, 0.25]),
]


@pytest.mark.parametrize("options, metrics, expected", PLATEAUS, ids=range(len(PLATEAUS)))
def test_plateau(options, metrics, expected):
    optimizer = optimizer_of(1.0)
    scheduler = schedules.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for metric in metrics:
        scheduler.step(mg.tensor(metric))
        rates += scheduler.get_last_lr()
    assert rates == pytest.approx(expected)
    again = schedules.ReduceLROnPlateau(optimizer_of(1.0))
    again.load_state_dict(scheduler.state_dict())
    assert (again.best, again.mode) == (scheduler.best, scheduler.mode)


def test_plateau_and_a_group_that_was_added():
    optimizer = optimizer_of(1.0)
    scheduler = schedules.ReduceLROnPlateau(optimizer, patience=0, min_lr=0.4)
    fixed = schedules.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.4])
    optimizer.add_param_group({"params": [nn.Parameter(mg.ones(1))], "lr": 0.6})
    for _ in range(2):
        scheduler.step(1.0)
    assert scheduler.get_last_lr() == [0.4, 0.4]
    fixed.step(1.0)
    with pytest.raises(RuntimeError, match="min_lr"):
        fixed.step(1.0)


class Steps:
    """A callable with a state of its own."""

    def __init__(self):
        self.factor = 0.5

    def __call__(self, epoch):
        return self.factor**epoch


@pytest.mark.parametrize("kind", [schedules.LambdaLR, schedules.MultiplicativeLR])
def test_callable_objects_are_saved_and_functions_are_not(kind):
    optimizer = optimizer_of(1.0, 1.0)
    scheduler = kind(optimizer, [Steps(), lambda e: 1.0])
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [{"factor": 0.5}, None]
    state["lr_lambdas"][0]["factor"] = 0.25
    scheduler.load_state_dict(state)
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.25, 1.0]


def test_a_schedule_of_your_own():
    """As published programs write Noam's."""

    class Noam(schedules._LRScheduler):
        def __init__(self, optimizer, warmup, last_epoch=-1):
            self.warmup = warmup
            super().__init__(optimizer, last_epoch)

        def get_lr(self):
            n = max(1, self._step_count)
            return [b * min(n**-0.5, n * self.warmup**-1.5) for b in self.base_lrs]

    optimizer, other = optimizer_of(2.0), optimizer_of(2.0 / math.sqrt(4))
    mine = followed(Noam(optimizer, 4), optimizer, 10)
    own = followed(schedules.InverseSquareRootLR(other, 4), other, 10)
    assert mine == pytest.approx(own)
    with pytest.raises(NotImplementedError, match="get_lr"):
        schedules.LRScheduler(optimizer)


def test_going_on_from_an_epoch():
    optimizer = optimizer_of(1.0)
    optimizer.param_groups[0].update(initial_lr=1.0, lr=0.25)
    scheduler = schedules.LambdaLR(optimizer, lambda e: 0.5**e, last_epoch=2)
    assert scheduler.last_epoch == 3 and scheduler.get_last_lr() == [0.125]
    with pytest.raises(KeyError, match="initial_lr"):
        schedules.StepLR(optimizer_of(1.0), 2, last_epoch=3)


@pytest.mark.parametrize(
    "act, message",
    [
        (lambda o, s: s.step(), "before optimizer.step"),
        (lambda o, s: (o.step(), s.step(3)), "deprecated"),
        (lambda o, s: s.get_lr(), "get_last_lr"),
    ],
    ids=["order", "epoch", "get_lr"],
)
def test_warnings(act, message):
    optimizer = optimizer_of(1.0)
    with pytest.warns(UserWarning, match=message):
        act(optimizer, schedules.StepLR(optimizer, 2))


def test_no_warning_where_the_order_is_right():
    """Warnings are errors in these tests."""
    optimizer = optimizer_of(1.0)
    optimizer.step()
    first = schedules.StepLR(optimizer, 2)
    optimizer.step()
    first.step()
    schedules.StepLR(optimizer, 2).step()  # the optimizer has stepped under a schedule before
    first.step()


ERRORS = [
    (lambda o: schedules.StepLR("x", 1), TypeError, "optimizer"),
    (lambda o: schedules.LambdaLR(o, [len, len]), ValueError, "lr_lambda"),
    (lambda o: schedules.MultiplicativeLR(o, 3), TypeError, "function"),
    (lambda o: schedules.ConstantLR(o, 2.0), ValueError, "factor"),
    (lambda o: schedules.LinearLR(o, 0.0), ValueError, "start_factor"),
    (lambda o: schedules.LinearLR(o, 0.5, -1), ValueError, "end_factor"),
    (lambda o: schedules.InverseSquareRootLR(o, 0), ValueError, "warmup_steps"),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, 2.5), ValueError, "T_0"),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 0), ValueError, "T_mult"),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, eta_min="0"), ValueError, "eta_min"),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, 2).step(-1), ValueError, "epoch"),
    (lambda o: schedules.CyclicLR(o, 0.1, 1, mode="x"), ValueError, "mode"),
    (lambda o: schedules.CyclicLR(o, [0.1, 0.2], 1), ValueError, "base_lr"),
    (lambda o: schedules.CyclicLR(optimizer_of(1.0, rule=optim.Adagrad), 0.1, 1), ValueError,
     "cycle_momentum"),
    (lambda o: schedules.OneCycleLR(o, 1.0), ValueError, "total_steps"),
    (lambda o: schedules.OneCycleLR(o, 1.0, epochs=3, steps_per_epoch=0), ValueError, "steps_per"),
    (lambda o: schedules.OneCycleLR(o, 1.0, 9, pct_start=2.0), ValueError, "pct_start"),
    (lambda o: schedules.OneCycleLR(o, 1.0, 9, anneal_strategy="x"), ValueError, "anneal"),
    (lambda o: followed(schedules.OneCycleLR(o, 1.0, 9), o, 10), ValueError, "step 10"),
    (lambda o: schedules.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor"),
    (lambda o: schedules.ReduceLROnPlateau(o, "x"), ValueError, "mode"),
    (lambda o: schedules.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold_mode"),
    (lambda o: schedules.ChainedScheduler([]), ValueError, "no schedules"),
    (lambda o: schedules.ChainedScheduler([schedules.StepLR(o, 1), 3]), TypeError, "schedule 1"),
    (lambda o: schedules.ChainedScheduler([schedules.ReduceLROnPlateau(o)]), ValueError, "metric"),
    (lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 1)], [3]), ValueError, "milestones"),
    (lambda o: schedules.SequentialLR(o, [schedules.StepLR(optimizer_of(1.0), 1)], []), ValueError,
     "another optimizer"),
    (lambda o: optim.swa_utils.SWALR(o, 0.1, anneal_strategy="x"), ValueError, "anneal_strategy"),
    (lambda o: optim.swa_utils.SWALR(o, 0.1, anneal_epochs=-1), ValueError, "anneal_epochs"),
]  # fmt: skip


@pytest.mark.parametrize("act, error, message", ERRORS, ids=range(len(ERRORS)))
def test_errors(act, error, message):
    with pytest.raises(error, match=message):
        act(optimizer_of(1.0, momentum=0.5))
