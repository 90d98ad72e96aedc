"""Averages of a model's weights along its training, which often generalise better than the last
ones: exponential moving averages (Polyak & Juditsky 1992) and stochastic weight averaging (Izmailov
et al. 2018).
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

from ..backend import module_of
from ..modes import no_grad
from ..nn.module import Module
from ..ops import tensor
from ..tensor import Tensor
from .lr_scheduler import LRScheduler, _each
from .optimizer import Optimizer
from .pieces import Job, Scratch, apply


class AveragedModel(Module):
    """A copy of `model` whose weights are an average of those that `update_parameters` was shown.

        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.999))
        optimizer.step(); average.update_parameters(model)    # after every step
        average.eval()(x)                                     # evaluate; `model` trains on

    It is saved and loaded like any module; the averaged model alone is its `module`.
    avg_fn(average, current, n_averaged) gives the new average of one weight; multi_avg_fn changes a
    list of averages in place. The default is the plain mean. Buffers are copied, or averaged with
    `use_buffers`.
    """

    def __init__(
        self,
        model: Module,
        device: str | None = None,
        avg_fn: Callable[[Tensor, Tensor, Any], Tensor] | None = None,
        multi_avg_fn: Callable[[list[Tensor], list[Tensor], Any], None] | None = None,
        use_buffers: bool = False,
    ):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("give avg_fn or multi_avg_fn, not both")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the weights that `model` has now into the average."""
        pairs = [
            (own.detach(), new.detach().to(own.device))
            for own, new in zip(self._averaged(self.module), self._averaged(model), strict=True)
        ]
        if self.n_averaged.item() == 0:
            for own, new in pairs:
                own.copy_(new)
        elif self.avg_fn is not None:
            for own, new in pairs:
                own.copy_(self.avg_fn(own, new, self.n_averaged))
        elif pairs:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            update(*[list(part) for part in zip(*pairs)], self.n_averaged)
        if not self.use_buffers:
            for own, new in zip(_buffers(self.module), _buffers(model), strict=True):
                own.detach().copy_(new.detach())
        self.n_averaged.add_(1)

    def _averaged(self, model: Module) -> Iterable[Tensor]:
        return itertools.chain(model.parameters(), _buffers(model) if self.use_buffers else ())


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """average ← decay average + (1 - decay) current"""
    if not 0 <= decay <= 1:
        raise ValueError(f"decay is {decay}, expected a number from 0 to 1")
    return no_grad()(lambda average, current, _: decay * average + (1 - decay) * current)


def get_swa_avg_fn() -> Callable[[Tensor, Tensor, Any], Tensor]:
    """average ← average + (current - average) / (n + 1)"""
    return no_grad()(lambda average, current, n: average + (current - average) / (n + 1))


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[list, list, Any], None]:
    """The same as `get_ema_avg_fn`, in place on lists."""
    get_ema_avg_fn(decay)  # which refuses a decay that is none
    return _towards(lambda n: 1 - decay)


def get_swa_multi_avg_fn() -> Callable[[list, list, Any], None]:
    """The same as `get_swa_avg_fn`, in place on lists."""
    return _towards(lambda n: 1 / (float(n) + 1))


def _towards(weight: Callable[[Any], float]) -> Callable[[list, list, Any], None]:
    """average ← average + weight(n) (current - average)"""
    scratch = Scratch()

    def rule(x, y, _state, numbers, s):
        xp, (share,) = module_of(x), numbers
        xp.subtract(y, x, out=s)
        if share < 0.5:
            s *= share
            x += s
        else:  # exactly y where the share is 1
            s *= share - 1
            xp.add(y, s, out=x)

    @no_grad()
    def update(averages: list[Tensor], currents: list[Tensor], n: Any) -> None:
        share, jobs = weight(n), []
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                jobs.append(Job(average.array, current.array, {}, (share,)))
                average.changed()
            else:
                average.copy_(average + (current - average) * share)
        apply(rule, jobs, 1, scratch)

    return update


def _buffers(model: Module) -> list[Tensor]:
    return [buffer for _, buffer in model.named_buffers()]


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: str | None = None) -> None:
    """Compute the running statistics of all batch normalisations anew, from the inputs of a whole
    loader, which may give them alone or first in a tuple or list.
    """
    norms = [m for m in model.modules() if hasattr(m, "reset_running_stats")]
    if not norms:
        return
    before, momenta = model.training, [m.momentum for m in norms]
    model.train()
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # the plain mean over all batches
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
    model.train(before)


class SWALR(LRScheduler):
    """From the rate that it finds to `swa_lr` within `anneal_epochs`, and constant from then on."""

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ):
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy is {anneal_strategy!r}, expected 'cos' or 'linear'")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs is {anneal_epochs!r}, expected an integer from 0 on")
        for group, lr in zip(optimizer.param_groups, _each("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = lr
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        done = max(0, min(1, step / max(1, self.anneal_epochs)))
        return done if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * done)) / 2

    def _rates(self):
        step = self._step_count - 1 if self.anneal_epochs else max(1, self._step_count - 1)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            end = group["swa_lr"]
            start = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates
