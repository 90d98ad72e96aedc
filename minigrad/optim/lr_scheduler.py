"""Schedules of the learning rate, after PyTorch: call `step()` after the optimizer's, once an epoch
or once a batch, whichever the schedule counts.

Most of them change the rate that they find, so that several can act on one optimizer together.
"""

from __future__ import annotations

import math
import types
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from ..tensor import Tensor
from .optimizer import Optimizer, number


class LRScheduler:
    """Base of all schedules, also of your own: give `get_lr`, the rates of all groups at
    `last_epoch`, from `base_lrs` or from what the groups have now.

    `last_epoch` counts the steps; the rates it started from are kept in the groups as `initial_lr`.
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        self.optimizer = _checked(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _copy(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"group {i} has no 'initial_lr': load the optimizer's state before going on "
                    f"from last_epoch={last_epoch}, or start with last_epoch=-1"
                )
        self.base_lrs = _values(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        vars(optimizer).setdefault("_opt_called", False)
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[float | Tensor]:
        """The rates of all groups at `last_epoch`; only `step` may ask for them."""
        if not self._get_lr_called_within_step:
            warnings.warn("get_lr() is for step() alone: use get_last_lr()", stacklevel=2)
        return self._rates()

    def _rates(self) -> list[float | Tensor]:
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr()")

    def get_last_lr(self) -> list[float | Tensor]:
        """The rates of all groups, as the last `step` left them."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch, or to a given one where the schedule has a formula for that."""
        if self._step_count == 1 and not vars(self.optimizer).get("_opt_called"):
            warnings.warn(
                "lr_scheduler.step() was called before optimizer.step(): the first rate of the "
                "schedule is skipped; call optimizer.step() first",
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warnings.warn("step(epoch) is deprecated: call step()", stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = self.get_lr
        if epoch is not None:
            rates = getattr(self, "_get_closed_form_lr", rates)
        self._set(rates)

    def _set(self, rates: Callable[[], list]) -> None:
        self._get_lr_called_within_step = True
        try:
            values = rates()
        finally:
            self._get_lr_called_within_step = False
        for group, lr in zip(self.optimizer.param_groups, values, strict=True):
            _put(group, lr)
        self._last_lr = _values(self.optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, and functions."""
        return {name: _stored(value) for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; the optimizer's state is to be loaded after this."""
        for name, value in state_dict.items():
            setattr(self, name, _restored(getattr(self, name, None), value))


_LRScheduler = LRScheduler  # the name that older programs import


class _Scaled(LRScheduler):
    """Base of the schedules that multiply what they find by `_ratio()`; `_scale()` is the product
    of all ratios up to `last_epoch`.
    """

    def _rates(self):
        ratio = self._ratio()
        return [group["lr"] * ratio for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self):
        scale = self._scale()
        return [base * scale for base in self.base_lrs]


class StepLR(_Scaled):
    """Times gamma every `step_size` epochs."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ):
        if not step_size > 0:
            raise ValueError(f"step_size is {step_size}, expected a number of epochs above 0")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _ratio(self):
        return self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else 1

    def _scale(self):
        return self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(_Scaled):
    """Times gamma at every milestone, twice at one that is given twice."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ):
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _ratio(self):
        return self.gamma ** self.milestones[self.last_epoch]

    def _scale(self):
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)


class ConstantLR(_Scaled):
    """Times `factor` for the first `total_iters` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        self.factor, self.total_iters = _share("factor", factor), total_iters
        super().__init__(optimizer, last_epoch)

    def _ratio(self):
        if self.last_epoch == 0:
            return self.factor
        return 1 / self.factor if self.last_epoch == self.total_iters else 1

    def _scale(self):
        return self.factor if self.last_epoch < self.total_iters else 1


class LinearLR(_Scaled):
    """From `start_factor` to `end_factor` of the rate in equal steps over `total_iters` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if start_factor == 0:
            raise ValueError("start_factor is 0, from which no ratio leads on: give a small one")
        self.start_factor = _share("start_factor", start_factor)
        self.end_factor = _share("end_factor", end_factor)
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _ratio(self):
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1
        rise = self.end_factor - self.start_factor
        return 1 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)

    def _scale(self):
        rise = self.end_factor - self.start_factor
        done = min(self.total_iters, self.last_epoch) / max(1, self.total_iters)
        return self.start_factor + rise * done


class ExponentialLR(_Scaled):
    """Times gamma every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _ratio(self):
        return 1 if self._is_initial else self.gamma

    def _scale(self):
        return self.gamma**self.last_epoch


class PolynomialLR(_Scaled):
    """Times (1 - epoch / total_iters)^power, 0 at the end."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def _ratio(self):
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1
        left = [1 - epoch / self.total_iters for epoch in (self.last_epoch, self.last_epoch - 1)]
        return (left[0] / left[1]) ** self.power

    def _scale(self):
        done = min(self.total_iters, self.last_epoch) / max(1, self.total_iters)
        return (1 - done) ** self.power


class InverseSquareRootLR(_Scaled):
    """Up to the full rate in equal steps over `warmup_steps`, then down with 1 / √step (Vaswani et
    al. 2017, whose own rate at the top is (d_model · warmup_steps)^-½). PyTorch does not have it.
    """

    def __init__(self, optimizer: Optimizer, warmup_steps: int, last_epoch: int = -1):
        if warmup_steps < 1:
            raise ValueError(f"warmup_steps is {warmup_steps}, expected at least 1")
        self.warmup_steps = warmup_steps
        super().__init__(optimizer, last_epoch)

    def _ratio(self):
        if self._is_initial and self.last_epoch:
            return 1
        return self._at(self.last_epoch) / (self._at(self.last_epoch - 1) or 1)

    def _scale(self):
        return self._at(self.last_epoch)

    def _at(self, epoch: int) -> float:
        share = (epoch + 1) / self.warmup_steps  # epoch 0 is the first step, whose rate is not 0
        return share if share < 1 else share**-0.5


class LambdaLR(LRScheduler):
    """The initial rate times lr_lambda(epoch), with one function for all groups or one for each."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ):
        self.lr_lambdas = _each("lr_lambda", _checked(optimizer), lr_lambda)
        super().__init__(optimizer, last_epoch)

    def _rates(self):
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas)]


class MultiplicativeLR(LRScheduler):
    """Times lr_lambda(epoch) in every step, with one function for all groups or one for each."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ):
        self.lr_lambdas = _each("lr_lambda", _checked(optimizer), lr_lambda)
        for f in self.lr_lambdas:
            if not callable(f):
                raise TypeError(f"lr_lambda is a {type(f).__name__}, expected a function")
        super().__init__(optimizer, last_epoch)

    def _rates(self):
        rates = _values(self.optimizer)
        if self._is_initial:
            return rates
        return [lr * f(self.last_epoch) for lr, f in zip(rates, self.lr_lambdas)]


class CosineAnnealingLR(LRScheduler):
    """Half a cosine down to `eta_min` over `T_max` epochs, and up again (Loshchilov & Hutter
    2017).
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _height(self, epoch: int) -> float:
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def _rates(self):
        rates, epoch, low = _values(self.optimizer), self.last_epoch, self.eta_min
        if self._is_initial:
            return rates
        if self._step_count == 1 and epoch > 0:
            return self._get_closed_form_lr()
        if (epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # up from the bottom: no ratio
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [lr + (base - low) * rise for lr, base in zip(rates, self.base_lrs)]
        ratio = self._height(epoch) / self._height(epoch - 1)
        return [low + (lr - low) * ratio for lr in rates]

    def _get_closed_form_lr(self):
        height, low = self._height(self.last_epoch), self.eta_min
        return [low + (base - low) * height / 2 for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine down to `eta_min` over T_0 epochs, then from the top over T_0 · T_mult, and so
    on (Loshchilov & Hutter 2017). `step(epoch)` takes fractions of an epoch.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ):
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}, expected an integer of at least 1")
        if not isinstance(eta_min, (int, float)):
            raise ValueError(f"eta_min is a {type(eta_min).__name__}, expected a number")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        self.T_i, self.T_cur = T_0, last_epoch  # the length of this descent, and how much is done
        super().__init__(optimizer, last_epoch)

    def _rates(self):
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch, self.T_cur = self.last_epoch + 1, self.T_cur + 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
        elif epoch < 0:
            raise ValueError(f"epoch is {epoch}, expected at least 0")
        elif epoch < self.T_0:
            self.T_cur, self.T_i = epoch, self.T_0
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            growth = self.T_mult - 1
            restarts = int(math.log(epoch / self.T_0 * growth + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**restarts - 1) / growth
            self.T_i = self.T_0 * self.T_mult**restarts
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr)


class _Cycle(LRScheduler):
    """Base of the schedules that turn the momentum, or Adam's first beta, against the rate."""

    def _find_momentum(self, base: Any, most: Any, start: bool) -> tuple[list, list]:
        optimizer = self.optimizer
        if not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ValueError(
                f"{type(optimizer).__name__} has neither momentum nor betas: pass "
                "cycle_momentum=False"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        bases = _each("base_momentum", optimizer, base)
        tops = _each("max_momentum", optimizer, most)
        for group, low, high in zip(optimizer.param_groups, bases, tops):
            if start:
                self._put_momentum(group, high)
                group.update(max_momentum=high, base_momentum=low)
        return bases, tops

    def _put_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CyclicLR(_Cycle):
    """Up from `base_lr` to `max_lr` in `step_size_up` steps and down again, over and over (Smith
    2017).

    The height is the same in every cycle ("triangular"), halved after each ("triangular2"),
    gamma^step ("exp_range"), or scale_fn of the number of the cycle or of the step, which
    `scale_mode` says: "cycle" or "iterations".
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ):
        self.optimizer, start = _checked(optimizer), last_epoch == -1
        base_lrs = _each("base_lr", optimizer, base_lr)
        if start:
            for group, lr in zip(optimizer.param_groups, base_lrs):
                _put(group, lr)
        self.max_lrs = _each("max_lr", optimizer, max_lr)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        if scale_fn is None:
            if mode not in ("triangular", "triangular2", "exp_range"):
                raise ValueError(
                    f"mode is {mode!r}, expected 'triangular', 'triangular2' or 'exp_range'"
                )
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.mode, self.gamma, self.scale_mode = mode, gamma, scale_mode
        self._scale_fn_custom = scale_fn
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._find_momentum(
                base_momentum, max_momentum, start
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        return 0.5 ** (x - 1) if self.mode == "triangular2" else self.gamma**x

    def _rates(self):
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x, top = 1 + self.last_epoch / self.total_size - cycle, self.step_ratio
        height = x / top if x <= top else (x - 1) / (top - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            limits = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums)
            for group, low, high in limits:
                self._put_momentum(group, high - (high - low) * height * scale)
        return [
            low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs)
        ]


class OneCycleLR(_Cycle):
    """Once up from max_lr / div_factor to max_lr and down to 1 / final_div_factor of where it
    began, while the momentum goes the other way (Smith & Topin 2018). Step after every batch.

    The way up takes `pct_start` of all steps, total_steps or epochs · steps_per_epoch; with
    `three_phase` the first way down is as long and the rest goes to the end.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 10000.0,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        self.optimizer = _checked(optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("give total_steps, or both epochs and steps_per_epoch")
            total_steps = _count("epochs", epochs) * _count("steps_per_epoch", steps_per_epoch)
        self.total_steps = _count("total_steps", total_steps)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start is {pct_start!r}, expected a float from 0 to 1")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy is {anneal_strategy!r}, expected 'cos' or 'linear'")
        self._anneal_func_type = anneal_strategy
        ends = [pct_start * total_steps - 1, total_steps - 1]
        rates, momenta = ["initial_lr", "max_lr", "min_lr"], ["max", "base", "max"]
        if three_phase:
            ends.insert(1, 2 * pct_start * total_steps - 2)
            rates.insert(2, "initial_lr")
            momenta.append("max")
        self._schedule_phases = [
            {
                "end_step": end,
                "start_lr": rates[i],
                "end_lr": rates[i + 1],
                "start_momentum": f"{momenta[i]}_momentum",
                "end_momentum": f"{momenta[i + 1]}_momentum",
            }
            for i, end in enumerate(ends)
        ]
        start = last_epoch == -1
        for group, top in zip(optimizer.param_groups, _each("max_lr", optimizer, max_lr)):
            if start:
                first = top / div_factor
                group.update(initial_lr=first, max_lr=top, min_lr=first / final_div_factor)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._find_momentum(base_momentum, max_momentum, start)
        super().__init__(optimizer, last_epoch)

    def _between(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))

    def _rates(self):
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"step {step} of a schedule of {self.total_steps}: give it as many total_steps as "
                "it will have"
            )
        begin = 0.0
        for phase in self._schedule_phases:
            if step <= phase["end_step"] or phase is self._schedule_phases[-1]:
                break
            begin = phase["end_step"]
        share = (step - begin) / (phase["end_step"] - begin)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                limits = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._put_momentum(group, self._between(*limits, share))
        return rates


class ReduceLROnPlateau(LRScheduler):
    """Times `factor`, not below `min_lr`, when the metric given to `step` has not become better for
    more than `patience` epochs; then it waits for `cooldown` epochs before it counts again.

    Better is below best · (1 - threshold) or best - threshold (`threshold_mode` "rel", "abs"), with
    `mode="max"` above best · (1 + threshold) or best + threshold. Changes up to `eps` are not made.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ):
        if factor >= 1:
            raise ValueError(f"factor is {factor}, expected a number below 1")
        if mode not in ("min", "max"):
            raise ValueError(f"mode is {mode!r}, expected 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode is {threshold_mode!r}, expected 'rel' or 'abs'")
        self.optimizer, self.factor = _checked(optimizer), factor
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = _each("min_lr", optimizer, min_lr)
        self.patience, self.cooldown, self.eps = patience, cooldown, eps
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.last_epoch, self._last_lr = 0, _values(optimizer)
        self._reset()

    def _reset(self) -> None:
        self.best, self.cooldown_counter, self.num_bad_epochs = self.mode_worse, 0, 0

    @property
    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def is_better(self, a: float, best: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        relative = self.threshold_mode == "rel"
        bound = best * (1 + sign * self.threshold) if relative else best + sign * self.threshold
        return a > bound if self.mode == "max" else a < bound

    def step(self, metrics: Any, epoch: int | None = None) -> None:
        """Count an epoch that ended with this metric, a number or a Tensor of one element."""
        if epoch is not None:
            warnings.warn("step(metrics, epoch) is deprecated: call step(metrics)", stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        current = float(metrics)
        self.num_bad_epochs += 1
        if self.is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        if self.in_cooldown:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = _values(self.optimizer)

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):  # a group was added since
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"min_lr was given for {len(self.min_lrs)} groups, the optimizer has "
                    f"{len(groups)} now: give min_lrs one for each"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs):
            old = float(group["lr"])
            new = max(old * self.factor, least)
            if old - new > self.eps:
                _put(group, new)


class _Combined(LRScheduler):
    """Base of the schedules made of schedules, all of one optimizer."""

    def _gather(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        if not schedulers:
            raise ValueError(f"{type(self).__name__} was given no schedules")
        self.optimizer = optimizer or schedulers[0].optimizer
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"schedule {i} is a {type(scheduler).__name__}, no schedule")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"schedule {i} wants a metric: step ReduceLROnPlateau by itself")
            if scheduler.optimizer is not self.optimizer:
                raise ValueError(f"schedule {i} belongs to another optimizer than the first")
        self._schedulers = schedulers


class SequentialLR(_Combined):
    """One schedule after the other: the next one begins at each milestone."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ):
        self._gather(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"{len(schedulers)} schedules follow each other at {len(schedulers) - 1} "
                f"milestones, {len(milestones)} were given"
            )
        self._milestones, self.last_epoch = milestones, last_epoch + 1
        for group in optimizer.param_groups:  # each schedule has made its first step: undo them
            _put(group, group["initial_lr"])
        self._undo(self)
        first = self._schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def _undo(self, scheduler: LRScheduler) -> None:
        if hasattr(scheduler, "_schedulers"):
            for part in scheduler._schedulers:
                self._undo(part)
        elif hasattr(scheduler, "last_epoch"):
            scheduler.last_epoch -= 1

    def step(self) -> None:
        self.last_epoch += 1
        scheduler = self._schedulers[bisect_right(self._milestones, self.last_epoch)]
        if self.last_epoch in self._milestones:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Combined):
    """Several schedules at once: each changes what the one before it has left."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        self._gather(schedulers, optimizer)
        self._last_lr = _values(self.optimizer)

    def step(self) -> None:
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = _values(self.optimizer)


def _checked(optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"expected an optimizer, got a {type(optimizer).__name__}")
    return optimizer


def _each(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group, from a list of them or from one for all."""
    groups = optimizer.param_groups
    values = list(value) if isinstance(value, (list, tuple)) else [value] * len(groups)
    if len(values) != len(groups):
        raise ValueError(f"{name} has {len(values)} values, the optimizer {len(groups)} groups")
    return [_copy(value) for value in values]


def _copy(lr: Any) -> Any:
    return lr.clone() if isinstance(lr, Tensor) else lr


def _values(optimizer: Optimizer, name: str = "lr") -> list[Any]:
    return [_copy(group[name]) for group in optimizer.param_groups]


def _put(group: dict[str, Any], lr: Any) -> None:
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(number(lr))
    else:
        group["lr"] = lr


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}, expected a number from 0 to 1")
    return value


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}, expected an integer of at least 1")
    return value


_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType)


def _stored(value: Any) -> Any:
    """What can be saved: schedules and callable objects as their attributes, functions as None."""
    if isinstance(value, LRScheduler):
        return value.state_dict()
    if isinstance(value, _FUNCTIONS):
        return None
    if isinstance(value, (list, tuple)):
        return [_stored(part) for part in value]
    if isinstance(value, Counter):
        return dict(value)
    return dict(vars(value)) if callable(value) else value


def _restored(own: Any, saved: Any) -> Any:
    if isinstance(own, LRScheduler):
        own.load_state_dict(saved)
        return own
    if callable(own):
        vars(own).update(saved or {})
        return own
    if isinstance(own, Counter):
        return Counter({int(key): n for key, n in saved.items()})
    if isinstance(own, (list, tuple)) and len(own) == len(saved):
        return [_restored(*pair) for pair in zip(own, saved)]
    return saved
