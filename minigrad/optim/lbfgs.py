"""Limited-memory BFGS: a direction close to Newton's, from the last few gradients alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..backend import module_of
from ..modes import enable_grad
from ..tensor import Tensor, wrap
from .optimizer import Optimizer, ParamsT, number, options


class LBFGS(Optimizer):
    """x ← x + t d with d = -H g, H the estimate of the inverse Hessian from the last `history_size`
    steps and the changes of the gradient that they made (Liu & Nocedal 1989).

    One call of `step` makes up to `max_iter` such steps and up to `max_eval` calls (by default 1.25
    max_iter) of `closure`, which clears the gradients, computes the loss, calls `backward()` and
    returns the loss. It stops early when no element of the gradient is above `tolerance_grad`, or
    when the parameters or the loss change by less than `tolerance_change`. t is `lr`, or what
    `line_search_fn="strong_wolfe"` finds from there on: for losses that are the same whenever they
    are computed at the same place, so full batches and no dropout.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, options(locals()))

    def check(self, group):
        if self.param_groups:
            raise ValueError("LBFGS takes one group of parameters: its direction is one vector")
        if not 0 <= number(group["lr"], "lr") < math.inf:
            raise ValueError(f"lr is {group['lr']}, expected a number of at least 0")

    def step(self, closure: Callable[[], Any]) -> Any:
        """Up to `max_iter` steps; returns the loss before the first, as `closure` gave it."""
        group = self.param_groups[0]
        search, tolerance = group["line_search_fn"], group["tolerance_change"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError(f"line_search_fn is {search!r}, expected None or 'strong_wolfe'")
        state = self.state[self._params[0]]  # where PyTorch keeps it
        last_call = state.setdefault("func_evals", 0) + group["max_eval"]
        state.setdefault("n_iter", 0)

        def evaluate() -> tuple[Any, Any]:
            with enable_grad():
                loss = closure()
            state["func_evals"] += 1
            return loss, self._gradient()

        first_loss, g = evaluate()
        if _largest(g) <= group["tolerance_grad"]:
            return first_loss
        loss, memory = float(first_loss), Memory(state, group["history_size"])
        for i in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d, t = -g, min(1.0, 1 / float(abs(g).sum())) * number(group["lr"])
            else:
                d, t = memory.direction(g), number(group["lr"])
            memory.d, memory.t, memory.g, memory.loss = d, t, g, loss
            slope = _dot(g, d)
            if slope > -tolerance:
                break
            if search:
                line, origin = self._line(d, evaluate), Point(0.0, loss, g, slope)
                left = last_call - state["func_evals"]
                t, loss, g, _ = strong_wolfe(line, origin, t, tolerance / _largest(d), left)
                memory.t = t
            self._move(t, d)
            if i == group["max_iter"]:
                break
            if not search:
                loss, g = evaluate()
                loss = float(loss)
            if (
                state["func_evals"] >= last_call
                or _largest(g) <= group["tolerance_grad"]
                or _largest(d * t) <= tolerance
                or abs(loss - memory.loss) < tolerance
            ):
                break
        memory.save(state)
        return first_loss

    # all parameters as one vector

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    def _gradient(self) -> Any:
        xp = module_of(self._params[0].array)
        return xp.concatenate(
            [
                (xp.zeros_like(p.array) if p.grad is None else p.grad.to_dense().array).reshape(-1)
                for p in self._params
            ]
        )

    def _move(self, t: float, d: Any) -> None:
        start = 0
        for p in self._params:
            x = p.array
            x += t * d[start : start + x.size].reshape(x.shape)
            start += x.size
            p.changed()

    def _line(self, d: Any, evaluate: Callable) -> Callable[[float], Point]:
        here = [p.array.copy() for p in self._params]

        def at(t: float) -> Point:
            self._move(t, d)
            loss, g = evaluate()
            for p, array in zip(self._params, here):  # exactly back, which -t d would miss
                p.array[...] = array
                p.changed()
            return Point(t, float(loss), g, _dot(g, d))

        return at


class Memory:
    """The last steps s, the changes y of the gradient over them, and the place they led to."""

    def __init__(self, state: dict[str, Any], size: int):
        self.size = size
        self.ys = [y.array for y in state.get("old_dirs", [])]
        self.ss = [s.array for s in state.get("old_stps", [])]
        self.rhos = [float(rho) for rho in state.get("ro", [])]  # 1 / y·s
        self.scale = float(state.get("H_diag", 1))
        if "d" in state:
            self.d, self.g = state["d"].array, state["prev_flat_grad"].array
            self.t, self.loss = float(state["t"]), state["prev_loss"]

    def save(self, state: dict[str, Any]) -> None:
        """Under PyTorch's names."""
        state.update(
            d=wrap(self.d),
            t=self.t,
            old_dirs=[wrap(y) for y in self.ys],
            old_stps=[wrap(s) for s in self.ss],
            ro=self.rhos,
            H_diag=self.scale,
            prev_flat_grad=wrap(self.g),
            prev_loss=self.loss,
        )

    def direction(self, g: Any) -> Any:
        """-H g, the last step being learnt first (Nocedal & Wright 2006, algorithm 7.4)."""
        y, s = g - self.g, self.d * self.t
        product = _dot(y, s)
        if product > 1e-10:  # else the curvature is not positive, and H would not be
            for values, value in ((self.ys, y), (self.ss, s), (self.rhos, 1 / product)):
                values.append(value)
                del values[: -self.size]
            self.scale = product / _dot(y, y)
        q, alphas = -g, []
        for y, s, rho in zip(self.ys[::-1], self.ss[::-1], self.rhos[::-1]):
            alphas.append(_dot(s, q) * rho)
            q -= alphas[-1] * y
        q *= self.scale
        for y, s, rho, alpha in zip(self.ys, self.ss, self.rhos, alphas[::-1]):
            q += (alpha - _dot(y, q) * rho) * s
        return q


class Point(NamedTuple):
    """The loss f, its gradient g and its slope along the line, t steps away."""

    t: float
    f: float
    g: Any
    slope: float


def strong_wolfe(
    at: Callable[[float], Point],
    origin: Point,
    t: float,
    tolerance: float,
    max_evaluations: int,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> Point:
    """A point where the loss has come down enough and its slope is flat enough, tried from t on:
    first a bracket around such a point, then ever smaller ones (Nocedal & Wright 2006, algorithms
    3.5 and 3.6).
    """

    def too_high(point: Point) -> bool:
        return point.f > origin.f + c1 * point.t * origin.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -c2 * origin.slope

    before, point, trials = origin, at(t), 0
    while trials < max_evaluations:
        if too_high(point) or (trials > 1 and point.f >= before.f):
            break
        if flat(point):
            return point
        if point.slope >= 0:
            break
        bounds = point.t + 0.01 * (point.t - before.t), 10 * point.t
        before, point = point, at(cubic_minimum(before, point, bounds))
        trials += 1
    else:
        before = origin
    bracket = [before, point]
    low = 0 if before.f <= point.f else 1
    close = False  # whether the last trial, too, was at the edge of the bracket
    while trials < max_evaluations:
        left, right = sorted(end.t for end in bracket)
        if right - left < tolerance:
            break
        t, margin = cubic_minimum(*bracket, (left, right)), 0.1 * (right - left)
        at_edge = min(right - t, t - left) < margin
        if at_edge and (close or not left < t < right):
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            at_edge = False
        close = at_edge
        point = at(t)
        trials += 1
        if too_high(point) or point.f >= bracket[low].f:
            bracket[1 - low] = point
            low = 0 if bracket[0].f <= bracket[1].f else 1
            continue
        if flat(point):
            return point
        if point.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = point
    return bracket[low]


def cubic_minimum(a: Point, b: Point, bounds: tuple[float, float]) -> float:
    """Where the cubic through two points with their slopes is lowest, between the bounds."""
    lower, upper = bounds
    a, b = (a, b) if a.t <= b.t else (b, a)
    if a.t < b.t:
        theta = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
        square = theta * theta - a.slope * b.slope
        if square >= 0:
            root = math.sqrt(square)
            bottom = b.slope - a.slope + 2 * root
            if bottom:
                t = b.t - (b.t - a.t) * ((b.slope + root - theta) / bottom)
                return min(max(t, lower), upper)
    return (lower + upper) / 2


def _dot(x: Any, y: Any) -> float:
    return float(module_of(x).dot(x, y))


def _largest(x: Any) -> float:
    return float(abs(x).max())
