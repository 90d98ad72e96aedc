"""Optimizer: groups of parameters with their options, and the state of each parameter.

Updates are computed in one way, in place on the raw arrays. `foreach` and `fused`, which choose
among PyTorch's ways to the same numbers, are taken, so that its programs run, and make no
difference.
"""

from __future__ import annotations

import copy
import functools
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..backend import is_array, module_of
from ..dtypes import float64, get_default_dtype
from ..hooks import Hooks, RemovableHandle
from ..modes import enable_grad, no_grad
from ..tensor import Tensor, wrap
from .pieces import Job, Scratch, apply

ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
required = object()  # a default for an option that every group must give
_HOOKS = "step_pre step_post state_dict_pre state_dict_post load_pre load_post".split()


def _or(result: Any, otherwise: Any) -> Any:
    return otherwise if result is None else result


def _hooked(step: Callable) -> Callable:
    @functools.wraps(step)
    def with_hooks(self, *args, **kwargs):
        for hook in self._registered("step_pre"):
            given = _or(hook(self, args, kwargs), (args, kwargs))
            if not isinstance(given, tuple) or len(given) != 2:
                raise RuntimeError(
                    f"a hook before step() returned {given!r}, expected None or (args, kwargs)"
                )
            args, kwargs = given
        result = step(self, *args, **kwargs)
        if "_opt_called" in vars(self):
            self._opt_called = True  # a schedule wants to know
        for hook in self._registered("step_post"):
            hook(self, args, kwargs)
        return result

    return with_hooks


class Optimizer:
    """Base of all optimizers, also of your own: give `step`.

    `params` are Tensors, (name, Tensor) pairs, or dicts {"params": ..., option: value} with options
    of their own; `defaults` are the options of a group that does not say otherwise. `state[p]`
    is a dict of what the optimizer remembers about the parameter p.
    """

    scalars: tuple[str, ...] = ("step",)  # entries of the state that are numbers, as 0-d Tensors
    arrays: tuple[str, ...] = ()  # entries that have the shape of their parameter

    def __init__(self, params: ParamsT, defaults: dict[str, Any]):
        if isinstance(params, Tensor):
            raise TypeError("params is one Tensor, expected an iterable of them: [tensor]")
        entries = list(params)
        if not entries:
            raise ValueError("the optimizer was given no parameters")
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self._hooks = {kind: Hooks() for kind in _HOOKS}
        for group in entries if isinstance(entries[0], dict) else [{"params": entries}]:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "step" in vars(cls):
            cls.step = _hooked(cls.step)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Train further parameters; what `param_group` does not say, it gets from the defaults.

        Raises TypeError for what is no ordered collection of Tensors, and ValueError for computed
        Tensors, for parameters of another group and for options out of their range.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"a parameter group is a dict, this is a {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError("params is a set, which has no order of its own: give a list")
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        if names and len(names) < len(params):
            raise ValueError("some parameters have names and some do not: name all or none")
        params = [p[1] if isinstance(p, tuple) else p for p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"an optimizer trains Tensors, this is a {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(
                    f"an optimizer trains leaf Tensors; this one, of shape {tuple(p.shape)}, was "
                    "computed: give what it was computed from, or detach() it"
                )
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"the option {name} is required: give it here or in every group")
            param_group.setdefault(name, default)
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        if len({id(p) for p in params}) < len(params):
            warnings.warn(
                "a parameter was given twice in one group: every step will change it twice",
                stacklevel=3,
            )
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for p in params:
            if id(p) in known:
                raise ValueError(f"a parameter of shape {tuple(p.shape)} was given in two groups")
        if any(("param_names" in group) != bool(names) for group in self.param_groups):
            raise ValueError("some groups have names and some do not: name all or none")
        self.check(param_group)
        self.param_groups.append(param_group)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense, by name."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, once; returns what `closure` returns."""
        raise NotImplementedError(f"{type(self).__name__} defines no step()")

    def zero_grad(self, set_to_none: bool = True) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p.grad is None:
                    p.grad = None
                else:
                    if p.grad.requires_grad:  # from backward(create_graph=True)
                        p.grad = p.grad.detach()
                    with no_grad():
                        p.grad.zero_()

    def __repr__(self) -> str:
        groups = []
        for i, group in enumerate(self.param_groups):
            options = [f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params"]
            groups.append(f"Parameter Group {i}\n" + "".join(options))
        return f"{type(self).__name__} (\n" + "\n".join(groups) + ")"

    # the state, to be stored and to go on from

    def state_dict(self) -> dict[str, Any]:
        """State and options with the parameters by number; the Tensors are the optimizer's own."""
        for hook in self._registered("state_dict_pre"):
            hook(self)
        params = [p for group in self.param_groups for p in group["params"]]
        numbers: dict[int, int] = {}
        for n, p in enumerate(params):
            numbers.setdefault(id(p), n)
        groups = []
        for group in self.param_groups:
            options = {name: value for name, value in group.items() if name != "params"}
            groups.append({**options, "params": [numbers[id(p)] for p in group["params"]]})
        state = {numbers.get(id(key), key): values for key, values in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._registered("state_dict_post"):
            result = _or(hook(self, result), result)
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a copy of what `state_dict` gave for the same parameters in the same order.

        In any order where both optimizers were given names, the same ones in each group. Arrays and
        lists will do for Tensors, text for numbers of parameters. Raises ValueError where sizes
        differ; then nothing has changed.
        """
        state_dict = dict(state_dict)
        for hook in self._registered("load_pre"):
            state_dict = _or(hook(self, state_dict), state_dict)
        saved = self._in_own_order(state_dict["param_groups"])
        sizes = [len(g["params"]) for g in saved]
        own = [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(
                f"the state is for groups of {sizes} parameters, this optimizer has groups of {own}"
            )
        numbers = [str(n) for group in saved for n in group["params"]]
        params = dict(zip(numbers, [p for group in self.param_groups for p in group["params"]]))
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, values in state_dict["state"].items():
            p = params.get(str(key))
            if p is None:
                state[key] = values
            else:
                state[p] = {name: self._loaded(p, name, v) for name, v in values.items()}
        groups = [
            {**group, **copy.deepcopy(new), "params": group["params"]}
            for group, new in zip(self.param_groups, saved)
        ]
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in self._registered("load_post"):
            hook(self)

    def _in_own_order(self, saved: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The saved groups and the parameters in them in the order of this optimizer's names, if
        there are any and they are the saved ones.
        """
        by_names = {frozenset(group.get("param_names", ())): group for group in saved}
        found = []
        for group in self.param_groups:
            names = group.get("param_names", ())
            match = by_names.pop(frozenset(names), None) if names else None
            if match is None or len(match["params"]) != len(names):
                return saved
            numbers = dict(zip(match["param_names"], match["params"]))
            params = [numbers[name] for name in names]
            found.append({**match, "params": params, "param_names": list(names)})
        return saved if by_names else found

    def _loaded(self, p: Tensor, name: str, value: Any) -> Any:
        """A copy of one entry of the state where p is, in p's dtype if it is no count."""
        if isinstance(value, dict):
            return {key: self._loaded(p, key, part) for key, part in value.items()}
        if isinstance(value, (list, tuple)) and name not in self.arrays:
            return type(value)([self._loaded(p, "", part) for part in value])
        if isinstance(value, Tensor) or is_array(value):
            value = (value if isinstance(value, Tensor) else wrap(value)).to_numpy()
        elif hasattr(value, "__array__") or name in self.arrays:
            value = np.asarray(value)
        elif name in self.scalars:
            return wrap(scalar(value))
        if not isinstance(value, np.ndarray):
            return value
        if name in self.arrays and value.shape != tuple(p.shape):
            raise ValueError(
                f"state {name!r} has shape {value.shape}, its parameter {tuple(p.shape)}"
            )
        if name in self.scalars:
            return wrap(value.copy())
        floating = p.array.dtype if p.is_floating_point() else None
        return wrap(np.array(value, dtype=floating)).to(p.device)

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("defaults", "state", "param_groups")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        vars(self).setdefault("_hooks", {kind: Hooks() for kind in _HOOKS})

    # hooks

    def _registered(self, kind: str) -> list[Callable]:
        # wrappers of optimizers are often written without a call of super().__init__()
        return list(vars(self).get("_hooks", {}).get(kind, {}).values())

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """hook(optimizer, args, kwargs) before every step; may return new (args, kwargs)."""
        return RemovableHandle(self._hooks["step_pre"], hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """hook(optimizer, args, kwargs) after every step."""
        return RemovableHandle(self._hooks["step_post"], hook)

    def register_state_dict_pre_hook(
        self, hook: Callable, prepend: bool = False
    ) -> RemovableHandle:
        """hook(optimizer) before `state_dict`."""
        return RemovableHandle(self._hooks["state_dict_pre"], hook, first=prepend)

    def register_state_dict_post_hook(
        self, hook: Callable, prepend: bool = False
    ) -> RemovableHandle:
        """hook(optimizer, state_dict) after `state_dict`; may return another one."""
        return RemovableHandle(self._hooks["state_dict_post"], hook, first=prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable, prepend: bool = False
    ) -> RemovableHandle:
        """hook(optimizer, state_dict) before loading; may return another one."""
        return RemovableHandle(self._hooks["load_pre"], hook, first=prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable, prepend: bool = False
    ) -> RemovableHandle:
        """hook(optimizer) after loading."""
        return RemovableHandle(self._hooks["load_post"], hook, first=prepend)


class PerParameter(Optimizer):
    """Base of the optimizers that treat each parameter by itself: give `update`, the rule for one.

    The gradient that a rule sees has `maximize` and `weight_decay` in it already.
    """

    scratch = 1  # arrays that `update` is given for what it computes on its way

    def check(self, group):
        for name in _FROM_ZERO & group.keys():
            if not 0 <= number(group[name], name) < math.inf:
                raise ValueError(f"{name} is {group[name]}, expected a number of at least 0")
        for name in _NOT_HERE & group.keys():
            if group[name]:
                raise NotImplementedError(
                    f"{name}={group[name]}: steps are neither recorded nor captured here; leave it "
                    "out, or write a differentiable update with autograd.grad(create_graph=True)"
                )
        if group.get("foreach") and group.get("fused"):
            raise RuntimeError("foreach and fused exclude each other: leave both out")
        if "betas" in group:
            betas = group["betas"]
            kinds = {isinstance(beta, Tensor) for beta in betas}
            if len(betas) != 2 or len(kinds) > 1 or not all(0 <= number(b) < 1 for b in betas):
                raise ValueError(f"betas are {betas}, expected two numbers from 0 to below 1")
            group["betas"] = tuple(number(beta) for beta in betas)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, once; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with np.errstate(all="ignore"):  # a step to infinity is seen in the loss, as in PyTorch
            for group in self.param_groups:
                given = [p for p in group["params"] if p.grad is not None]
                self._advance([p for p in given if not p.grad.is_sparse], group)
                for p in given:
                    if p.grad.is_sparse:
                        self.update_rows(p, p.grad.coalesce(), group)
                        p.changed()
        return loss

    def _advance(self, params: list[Tensor], group: dict[str, Any]) -> None:
        lr, decay = number(group["lr"]), number(group.get("weight_decay", 0))
        ascend, names, shrink = group["maximize"], self.entries(group), 1.0
        if group.get("decoupled_weight_decay"):
            decay, shrink = 0, 1 - lr * decay

        def rule(x, g, state, numbers, *scratch):
            """The update, after what all optimizers do alike."""
            xp, own = module_of(x), scratch[-1]
            if decay:
                xp.multiply(x, decay, out=own)
                g = xp.subtract(own, g, out=own) if ascend else xp.add(g, own, out=own)
            elif ascend:
                g = xp.negative(g, out=own)
            if shrink != 1:
                x *= shrink
            self.update(x, g, state, numbers, *scratch[: self.scratch])

        rows = self.scratch + bool(decay or ascend)
        scratch = vars(self).setdefault("_scratch", Scratch())
        jobs = self.launch([self._job(p, lr, names, group) for p in params], decay, ascend, shrink)
        apply(rule, jobs, rows, scratch)
        for p in params:
            p.changed()

    def _job(self, p: Tensor, lr: float, names: Sequence[str], group: dict[str, Any]) -> Job:
        x, state = p.array, self.state[p] if names or self.scalars else {}
        for name in self.scalars:
            if name not in state:
                state[name] = wrap(self.start(name, x, group))
        numbers = self.numbers({name: t.array for name, t in state.items()}, lr, group)
        for name in names:
            if name not in state:
                state[name] = wrap(self.start(name, x, group))
        return Job(x, p.grad.array, {name: state[name].array for name in names}, numbers)

    def entries(self, group: dict[str, Any]) -> Sequence[str]:
        """Which of the `arrays` the options of the group make use of."""
        return self.arrays

    def start(self, name: str, x: Any, group: dict[str, Any]) -> Any:
        """An entry of the state of the parameter x before its first step, as an array."""
        return scalar(0) if name in self.scalars else module_of(x).zeros_like(x)

    def numbers(self, state: dict[str, Any], lr: float, group: dict[str, Any]) -> tuple:
        """What the rule wants to know about this step of one parameter; counts it in the state.

        Before the first step there are no `arrays` in the state.
        """
        return (lr,)

    def update(self, x: Any, g: Any, state: dict[str, Any], numbers: tuple, *scratch: Any) -> None:
        """Change x and the arrays of its state by the gradient, in place; `g` stays as it is.

        Element by element: the arrays are those of a parameter, a piece of them, chosen rows, or
        those of several parameters in a row. The class says how many `scratch` arrays there are.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update()")

    def launch(self, jobs: list[Job], decay: float, ascend: bool, shrink: float) -> list[Job]:
        """Do together what a GPU has a kernel for; returns the others. x becomes `shrink` x, and
        `decay` x is added to the gradient, whose sign changes first to `ascend`.
        """
        return jobs

    def update_rows(self, p: Tensor, g: Any, group: dict[str, Any]) -> None:
        """Change p by a gradient that holds only rows, each once: `g.ids` and `g.rows`."""
        raise RuntimeError(
            f"{type(self).__name__} does not take sparse gradients, which SGD, Adagrad and "
            "SparseAdam do: use one of them for this parameter, or sparse=False in its embedding"
        )


_FROM_ZERO = set("lr lr_decay weight_decay momentum momentum_decay eps alpha".split())
_FROM_ZERO |= {"initial_accumulator_value"}
_NOT_HERE = {"differentiable", "capturable"}


def options(arguments: dict[str, Any]) -> dict[str, Any]:
    """The defaults of a group: all arguments of a constructor, its locals(), but the parameters."""
    return {
        name: value
        for name, value in arguments.items()
        if name not in ("self", "params", "__class__")
    }


def number(value: Any, name: str = "this option") -> float:
    """A number that may have been given as a Tensor of one element."""
    if not isinstance(value, Tensor):
        return float(value)  # of NumPy's float64, too, which would widen float32 arrays
    if value.array.size != 1:
        raise ValueError(f"{name} is a Tensor of shape {tuple(value.shape)}, expected one element")
    return value.item()


def scalar(value: float) -> np.ndarray:
    """A number of the state: on the host, so that reading it waits for no GPU."""
    wide = get_default_dtype() == float64
    return np.array(value, dtype=np.float64 if wide else np.float32)


def count(state: dict[str, Any], name: str = "step") -> float:
    """The number of this step, counted in the state."""
    state[name] += 1
    return float(state[name])


def mix(average: Any, new: Any, beta: float, scratch: Any, xp: Any) -> None:
    """average ← β average + (1 - β) new, without new memory; `new` may be the scratch."""
    average *= beta
    xp.multiply(new, 1 - beta, out=scratch)
    average += scratch
