"""Which optimizers and schedules there are, and what can be said about training."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import lr_scheduler

from .ranges import (
    Amount,
    Count,
    OptionError,
    Positive,
    Range,
    Share,
    Size,
    Words,
    check_ranges,
)

# all of the library but SparseAdam, which takes sparse gradients alone
OPTIMIZERS = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "sgd": optim.SGD,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
    "adadelta": optim.Adadelta,
    "adamax": optim.Adamax,
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "rprop": optim.Rprop,
    "asgd": optim.ASGD,
    "lbfgs": optim.LBFGS,
}

# name: (how it is made for a number of steps, when it moves, whether it needs to know the end); all
# but those that take functions or other schedules
SCHEDULES: dict[str, tuple[Callable | None, str, bool]] = {
    "constant": (None, "never", False),
    "linear": (lambda steps: partial(lr_scheduler.PolynomialLR, total_iters=steps), "step", True),
    "polynomial": (
        lambda steps: partial(lr_scheduler.PolynomialLR, total_iters=steps, power=2), "step", True
    ),
    "cosine": (lambda steps: partial(lr_scheduler.CosineAnnealingLR, T_max=steps), "step", True),
    "cosine-restarts": (
        lambda steps: partial(lr_scheduler.CosineAnnealingWarmRestarts, T_0=max(1, steps // 4)),
        "step",
        True,
    ),
    "one-cycle": (lambda steps: partial(lr_scheduler.OneCycleLR, total_steps=steps), "step", True),
    "cyclic": (lambda _: partial(lr_scheduler.CyclicLR, cycle_momentum=False), "step", False),
    "inverse-sqrt": (
        lambda _: partial(lr_scheduler.InverseSquareRootLR, warmup_steps=400), "step", False
    ),
    "step": (lambda _: partial(lr_scheduler.StepLR, step_size=1, gamma=0.5), "epoch", False),
    "multistep": (
        lambda _: partial(lr_scheduler.MultiStepLR, milestones=[5, 8], gamma=0.5), "epoch", False
    ),
    "exponential": (lambda _: partial(lr_scheduler.ExponentialLR, gamma=0.9), "epoch", False),
    "constant-factor": (lambda _: lr_scheduler.ConstantLR, "epoch", False),
    "linear-factor": (lambda _: lr_scheduler.LinearLR, "epoch", False),
    "plateau": (
        lambda _: partial(lr_scheduler.ReduceLROnPlateau, factor=0.5, patience=0), "metric", False
    ),
}  # fmt: skip

CRITERIA = {"loss": ("loss", -1), "bleu": ("bleu", 1), "exact": ("exact_match", 1)}
SAMPLING = "none", "constant", "linear", "inverse-sigmoid"
SAMPLING_BY = "token", "sentence"
AVERAGES = "none", "last", "best"
ON_NONFINITE = "raise", "skip"


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained; see train_seq2seq.py --help for what each means. Raises OptionError
    for values of another kind and out of range.
    """

    epochs: Size = 6
    max_steps: Size | None = None
    batch_size: Size = 64
    batch_tokens: Size | None = None
    accumulate: Size = 1
    optimizer: Annotated[str, Words(tuple(OPTIMIZERS))] = "adam"
    optimizer_options: dict = field(default_factory=dict)
    lr: Positive = 4e-3
    weight_decay: Amount = 0.0
    l1: Amount = 0.0
    schedule: Annotated[str, Words(tuple(SCHEDULES))] = "linear"
    schedule_options: dict = field(default_factory=dict)
    warmup: Count = 0
    clip_norm: Positive | None = 1.0
    clip_value: Positive | None = None
    on_nonfinite: Annotated[str, Words(ON_NONFINITE)] = "raise"
    patience: Size = 3
    stop_on: Annotated[str, Words(tuple(CRITERIA))] = "loss"
    average: Annotated[str, Words(AVERAGES)] = "none"
    average_count: Size = 5
    ema: Annotated[float, Range(float, 0, 0.999999)] = 0.0
    label_smoothing: Share = 0.0
    coverage_loss: Amount = 1.0
    bptt: Size | None = None
    encoder_bptt: Size | None = None
    sampling: Annotated[str, Words(SAMPLING)] = "none"
    sampling_rate: Annotated[float, Range(float, 0, 1)] = 0.25
    sampling_by: Annotated[str, Words(SAMPLING_BY)] = "token"
    save_every: Count = 1000
    seed: Count = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    def own_share(self, step: int, steps: int) -> float:
        """Scheduled sampling (Bengio et al. 2015): the share of tokens that the decoder hears from
        itself at a step: constant, growing linearly to the rate at the last step, or as the inverse
        sigmoid that reaches half of it in the middle.
        """
        if self.sampling == "none":
            return 0.0
        done = min(1.0, step / max(1, steps))
        if self.sampling == "linear":
            return self.sampling_rate * done
        if self.sampling == "inverse-sigmoid":
            return self.sampling_rate / (1 + math.exp(10 * (0.5 - done)))
        return self.sampling_rate


# some arguments are looked at only when they are used: a rehearsal shows them before training
REFUSALS = TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError


def new_optimizer(model: nn.Module, o: TrainingOptions) -> optim.Optimizer:
    """Raises OptionError for what the optimizer does not take."""
    try:
        small = rehearsal()
        made_optimizer(small, o).step(lambda: stepped_on(small))
        return made_optimizer(model, o)
    except REFUSALS as error:
        raise OptionError(f"--optimizer {o.optimizer}: {error}") from error


# arguments of optimizers and schedules that are not for the user of a script
TAKEN = (
    "params", "optimizer", "lr", "foreach", "fused", "capturable", "differentiable", "last_epoch",
    "verbose",
)  # fmt: skip


def check_kinds(made: Callable, given: dict[str, Any]) -> None:
    """ValueError for an argument that there is not, or of another kind than its default: what would
    be taken as true, or refused deep inside.
    """
    parameters = inspect.signature(made).parameters
    for name, value in given.items():
        if name not in parameters:
            takes = ", ".join(one for one in parameters if one not in TAKEN)
            raise ValueError(f"it has no {name}; it takes {takes}")
        default = parameters[name].default
        number, wanted = isinstance(value, (int, float)) and not isinstance(value, bool), ""
        if isinstance(default, bool):
            wanted = "" if isinstance(value, bool) else "true or false"
        elif isinstance(default, (int, float)):
            wanted = "" if number else "a number"
        elif isinstance(default, str):
            wanted = "" if isinstance(value, str) else "a word"
        elif isinstance(default, (tuple, list)):
            fits = isinstance(value, (tuple, list))
            if fits and isinstance(default, tuple):
                fits = len(value) == len(default)
            shown = ",".join(map(str, default))
            wanted = "" if fits else f"a list like [{shown}]"
        if wanted:
            raise ValueError(f"{name} is {value!r}, expected {wanted}")


def made_optimizer(model: nn.Module, o: TrainingOptions) -> optim.Optimizer:
    decay = {"weight_decay": o.weight_decay} if o.weight_decay else {}
    check_kinds(OPTIMIZERS[o.optimizer], o.optimizer_options | decay)
    # named, so that a state finds its parameters again
    named = model.named_parameters()
    return OPTIMIZERS[o.optimizer](named, lr=o.lr, **decay, **o.optimizer_options)


def rehearsal() -> nn.Module:
    with mg.random.fork_rng():
        small = nn.Linear(2, 2)
    stepped_on(small)
    return small


def stepped_on(small: nn.Module) -> mg.Tensor:
    small.zero_grad()
    loss = (small(mg.ones(1, 2)) ** 2).sum()
    loss.backward()
    return loss


def new_schedule(optimizer: optim.Optimizer, o: TrainingOptions, steps: int) -> Any:
    """Of the learning rate over so many steps, None where it stays. Raises OptionError for what the
    schedule does not take.
    """
    metric = [1.0] * (SCHEDULES[o.schedule][1] == "metric")
    try:
        trial = made_schedule(made_optimizer(rehearsal(), o), o, steps)
        with warnings.catch_warnings():  # of steps without the optimizer's
            warnings.simplefilter("ignore")
            for _ in range(min(steps, 9) if trial is not None else 0):
                trial.step(*metric)
        return made_schedule(optimizer, o, steps)
    except REFUSALS as error:
        raise OptionError(f"--schedule {o.schedule}: {error}") from error


def made_schedule(optimizer: optim.Optimizer, o: TrainingOptions, steps: int) -> Any:
    make, given, warm = SCHEDULES[o.schedule][0], dict(o.schedule_options), o.warmup
    if o.schedule == "one-cycle":
        given.setdefault("max_lr", o.lr)
    if o.schedule == "cyclic":
        given = {"base_lr": o.lr / 10, "max_lr": o.lr} | given
    if o.schedule == "plateau":
        given = {"mode": "min" if CRITERIA[o.stop_on][1] < 0 else "max"} | given
    if o.schedule == "inverse-sqrt" and warm:
        given, warm = {"warmup_steps": warm} | given, 0
    if make is None and given:
        raise TypeError(f"it takes no arguments, {', '.join(given)} was given")
    main = None
    if make is not None:
        schedule = make(max(1, steps - warm))
        check_kinds(schedule, given)
        main = schedule(optimizer, **given)
    if not warm:
        return main
    rising = lr_scheduler.LinearLR(optimizer, 1 / (warm + 1), total_iters=warm)
    if main is None:
        return rising
    return lr_scheduler.SequentialLR(optimizer, [rising, main], milestones=[warm])
