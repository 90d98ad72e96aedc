"""Module: a tree of parameters, in the order of their definition."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from .. import dtypes
from ..backend import is_array
from ..hooks import Hooks, RemovableHandle
from ..modes import no_grad
from ..ops import as_tensor
from ..tensor import Tensor
from .hooks import Hook, call
from .parameter import Buffer, Parameter

_REGISTRIES = "_parameters", "_modules", "_buffers"
_HOOKS = tuple(
    f"_{kind}_hooks"
    for kind in """forward_pre forward backward_pre backward state_dict_pre state_dict
    load_state_dict_pre load_state_dict_post""".split()
)


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: names of the model that the state lacks, and the reverse."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


class Module:
    """Base of all layers and models: assign Parameters and Modules as attributes, define `forward`.

    Buffers (`register_buffer`, or a `Buffer` assigned) are saved with the parameters but not
    trained. Parameters, buffers and child modules live in `_parameters`, `_buffers` and `_modules`,
    each in the order of definition, and are read as attributes.
    """

    dump_patches = False
    _version = 1  # of the state's layout: `_load_from_state_dict` is given that of the saved state
    training: bool

    def __init__(self) -> None:
        vars(self).update(_empty())

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({**_empty(), **state})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not (
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
        ):
            return self.forward(*args, **kwargs)
        return call(self, args, kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def compile(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("minigrad has no compiler: call the module as it is")

    # attributes

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for registry in _REGISTRIES:
            if registry in own and name in own[registry]:
                return own[registry][name]
        careless = name.startswith("_") and name in _empty()
        hint = ": its __init__ must begin with super().__init__()" if careless else ""
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{hint}")

    def __setattr__(self, name: str, value: Any) -> None:
        own = vars(self)
        for registry, kind, registers, fits in _KINDS:
            if isinstance(value, registers):
                break
            if registry in own and name in own[registry]:
                if value is not None and not isinstance(value, fits):
                    raise TypeError(
                        f"cannot assign '{type(value).__name__}' as {kind} '{name}' "
                        f"(a {fits.__name__} or None expected)"
                    )
                own[registry][name] = value
                return
        else:
            super().__setattr__(name, value)
            return
        self._initialized(kind)
        own.pop(name, None)
        for other in _REGISTRIES:
            if other != registry:
                own[other].pop(name, None)
        self._non_persistent_buffers_set.discard(name)
        if registry == "_modules":
            self._modules[name] = value
        elif registry == "_parameters":
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value, value.persistent)

    def __delattr__(self, name: str) -> None:
        for registry in _REGISTRIES:
            if name in vars(self).get(registry, ()):
                del vars(self)[registry][name]
                self._non_persistent_buffers_set.discard(name)
                return
        try:
            super().__delattr__(name)
        except AttributeError:  # Python 3.10 names the attribute and nothing else
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}"
            ) from None

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    def _initialized(self, kind: str) -> None:
        if "_parameters" not in vars(self):
            raise AttributeError(
                f"cannot assign {kind} before Module.__init__() call: begin "
                f"{type(self).__name__}.__init__ with super().__init__()"
            )

    def _check_name(self, name: Any, kind: str, registry: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name or name == "":
            problem = 'contain "."' if name else 'be empty string ""'
            raise KeyError(f"{kind} name can't {problem}")
        if hasattr(self, name) and name not in registry:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None keeps the name free for one."""
        self._initialized("parameter")
        self._check_name(name, "parameter", self._parameters)
        if not (param is None or isinstance(param, Parameter)):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(nn.Parameter or None required)"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(
                f"cannot assign a computed tensor to parameter '{name}': parameters are leaves; "
                "compute from a parameter in forward() instead"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the state but is not trained; with `persistent=False` it
        stays out of the state dict.
        """
        self._initialized("buffer")
        self._check_name(name, "buffer", self._buffers)
        if not (tensor is None or isinstance(tensor, Tensor)):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(Tensor or None required)"
            )
        self._buffers[name] = tensor
        change = "discard" if persistent else "add"
        getattr(self._non_persistent_buffers_set, change)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module; None keeps the name free for one."""
        self._initialized("module")
        if not (module is None or isinstance(module, Module)):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name(name, "module", self._modules)
        self._modules[name] = module

    register_module = add_module

    # by dotted name

    def get_submodule(self, target: str) -> Module:
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` at a dotted name; `strict` takes only names that exist."""
        if not target:
            raise ValueError("cannot set the submodule without a target name")
        if not isinstance(module, Module):
            raise ValueError(f"{type(module).__name__} is not an nn.Module")
        *path, name = target.split(".")
        parent = self.get_submodule(".".join(path))
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def _get_tensor(self, target: str, registry: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in getattr(module, registry):
            raise AttributeError(f"`{name}` is not {what}")
        return getattr(module, name)

    def get_parameter(self, target: str) -> Parameter:
        return self._get_tensor(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        return self._get_tensor(target, "_buffers", "a buffer")

    # walking the tree: whatever has several names comes once, under the first

    def named_children(self) -> Iterator[tuple[str, Module]]:
        seen = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        return (child for _, child in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it; those in `memo` are left out."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from child.named_modules(memo, path, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def _named_members(
        self,
        get_members_fn: Callable[[Module], Any],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        below = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        seen: set[int] = set()
        for path, module in below if recurse else [(prefix, self)]:
            for name, member in get_members_fn(module):
                if member is not None and id(member) not in seen:
                    if remove_duplicate:
                        seen.add(id(member))
                    yield (f"{path}.{name}" if path else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Names and parameters, each parameter once even if it is tied to several names."""
        return self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        return self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (b for _, b in self.named_buffers(recurse=recurse))

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call `fn` with every module of the tree, children first."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # modes

    def train(self, mode: bool = True) -> Module:
        """Training mode (dropout on) for this module and all below it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Module:
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or make them zero."""
        for p in self.parameters():
            if set_to_none or p.grad is None:
                p.grad = None
            else:
                if p.grad.requires_grad:
                    p.grad = p.grad.detach()
                p.grad.zero_()

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    # places and types; the Parameter objects stay the same, so that optimizers keep working

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Module:
        """Replace every parameter's values, every gradient and every buffer by what `fn` makes of
        them.
        """
        if recurse:
            for child in self.children():
                child._apply(fn)
        for p in self._parameters.values():
            if p is not None:
                with no_grad():
                    new = fn(p)
                    if new is not p:
                        p.data = new
                    if p.grad is not None:
                        p.grad = fn(p.grad).requires_grad_(p.grad.requires_grad)
        for name, b in self._buffers.items():
            if b is not None:
                self._buffers[name] = fn(b)
        return self

    def to(
        self,
        *targets: Any,
        device: Any = None,
        dtype: Any = None,
        non_blocking: bool = False,
    ) -> Module:
        """Move or convert: `to(device)`, `to(dtype)`, `to(device, dtype)`, `to(tensor)`.

        A dtype is for floating-point tensors; counts and masks keep theirs. Every copy is complete
        when this returns, whatever `non_blocking` is.
        """
        for target in targets:
            if isinstance(target, Tensor):
                device, dtype = target.device, target.dtype
            elif target is None or isinstance(target, bool):
                continue  # non_blocking
            elif isinstance(target, int):
                device = f"cuda:{target}" if target else "cuda"
            elif isinstance(target, str) and not target.startswith(
                ("float", "int", "uint", "bool")
            ):
                device = target
            else:
                dtype = target
        if dtype is not None and not dtypes.of(dtype).is_floating_point:
            raise TypeError(
                f"nn.Module.to only accepts floating-point dtypes, but got desired dtype={dtype}"
            )
        return self._apply(
            lambda t: t.to(device=device, dtype=dtype if t.is_floating_point() else None)
        )

    def type(self, dst_type: Any) -> Module:
        """Convert all parameters and buffers, also those that are not floating-point."""
        return self._apply(lambda t: t.to(dtype=dst_type))

    def float(self) -> Module:
        return self.to(dtype="float32")

    def double(self) -> Module:
        return self.to(dtype="float64")

    def half(self) -> Module:
        return self.to(dtype="float16")

    def cpu(self) -> Module:
        return self.to(device="cpu")

    def cuda(self, device: Any = None) -> Module:
        return self.to("cuda" if device is None else device)

    def share_memory(self) -> Module:
        """Threads share all memory anyway, so there is nothing to do."""
        return self

    # state

    def get_extra_state(self) -> Any:
        """Override it, and `set_extra_state`, for state that is no tensor."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_extra_state()")

    def set_extra_state(self, state: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} defines no set_extra_state()")

    def _state_tensors(self) -> dict[str, Tensor]:
        """This module's own part of the state."""
        tensors = dict(self._parameters)
        for name, b in self._buffers.items():
            if name not in self._non_persistent_buffers_set:
                tensors[name] = b
        return {name: x for name, x in tensors.items() if x is not None}

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        for name, x in self._state_tensors().items():
            destination[prefix + name] = x if keep_vars else x.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + "_extra_state"] = self.get_extra_state()

    def state_dict(
        self, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Any]:
        """Parameters and buffers under their dotted names, sharing memory with the module.

        They are detached; with `keep_vars` they are the Parameters themselves.
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in list(self._state_dict_pre_hooks.values()):
            hook.function(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for hook in list(self._state_dict_hooks.values()):
            if hook.function(self, destination, prefix, metadata) is not None:
                raise RuntimeError("a state_dict post-hook must return None")
        return destination

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take this module's own part out of `state_dict`, whose names begin with `prefix`.

        What does not fit goes into the three lists. What does is not written before the whole tree
        has been looked at: `local_metadata["writes"]` gathers the calls.
        """
        for hook in list(self._load_state_dict_pre_hooks.values()):
            hook.function(
                self,
                state_dict,
                prefix,
                local_metadata,
                strict,
                missing_keys,
                unexpected_keys,
                error_msgs,
            )
        writes = local_metadata.setdefault("writes", [])
        assign = local_metadata.get("assign_to_params_buffers", False)
        own = self._state_tensors()
        for name, x in own.items():
            key = prefix + name
            if key not in state_dict:
                missing_keys.extend([key] if strict else [])
                continue
            try:
                value = _fitting(x, key, state_dict[key], assign)
            except (TypeError, ValueError, RuntimeError) as error:
                error_msgs.append(str(error))
            else:
                writes.append(
                    partial(setattr, self, name, value) if assign else partial(x.copy_, value)
                )
        extra = prefix + "_extra_state"
        has_extra = type(self).set_extra_state is not Module.set_extra_state
        if has_extra and extra in state_dict:
            writes.append(partial(self.set_extra_state, state_dict[extra]))
        elif has_extra and strict:
            missing_keys.append(extra)
        for key in state_dict if strict else ():
            if key.startswith(prefix) and not (has_extra and key == extra):
                name, *below = key[len(prefix) :].split(".", 1)
                if name not in (self._modules if below else own):
                    unexpected_keys.append(key)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values in, onto each parameter's device and dtype; nothing is changed if anything
        does not fit.

        With `assign` the given tensors themselves become the parameters. Raises RuntimeError with
        all missing, unexpected and wrongly shaped names; `strict=False` ignores missing and
        unexpected ones, which are returned.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"expected state_dict to be dict-like, got {type(state_dict)}")
        keys = IncompatibleKeys([], [])
        errors: list[str] = []
        writes: list[Callable[[], Any]] = []
        waiting: list[Callable[[], Any]] = []  # the post-hooks
        metadata = getattr(state_dict, "_metadata", {})

        def visit(module: Module, state: dict[str, Any], prefix: str) -> None:
            local = {
                **metadata.get(prefix[:-1], {}),
                "assign_to_params_buffers": assign,
                "writes": writes,
            }
            module._load_from_state_dict(state, prefix, local, True, *keys, errors)
            for name, child in module._modules.items():
                if child is not None:
                    inner = f"{prefix}{name}."
                    part = {k: v for k, v in state.items() if k.startswith(inner)}
                    visit(child, part, inner)
            for hook in module._load_state_dict_post_hooks.values():
                waiting.append(partial(hook.function, module, keys))

        visit(self, dict(state_dict), "")
        # a post-hook may strike names out of the lists, so they are judged after it
        _complain(self, errors, None if waiting or not strict else keys)
        with no_grad():
            for write in writes:
                write()
        for hook in waiting:
            if hook() is not None:
                raise RuntimeError("a load_state_dict post-hook must return None")
        _complain(self, errors, keys if strict else None)
        return keys

    # hooks; each registration returns a handle whose remove() undoes it

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """`hook(module, args)` before each forward; what it returns replaces the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)` and returns both, or None.
        """
        return RemovableHandle(self._forward_pre_hooks, Hook(hook, with_kwargs), first=prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """`hook(module, args, output)` after each forward; what it returns replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`; with `always_call` it runs
        also when forward raised.
        """
        return RemovableHandle(
            self._forward_hooks, Hook(hook, with_kwargs, always_call), first=prepend
        )

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """`hook(module, grad_output)` when the gradients of the outputs are known; it may return
        others.
        """
        return RemovableHandle(self._backward_pre_hooks, Hook(hook), first=prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """`hook(module, grad_input, grad_output)` when the gradients of the inputs are known; it
        may return others for the inputs.

        Both are tuples with one place for each positional argument and each output, None where
        there is no gradient.
        """
        return RemovableHandle(self._backward_hooks, Hook(hook), first=prepend)

    # the old name; the gradients are those of the whole module here too
    register_backward_hook = register_full_backward_hook

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(module, prefix, keep_vars)` before this module's state is collected."""
        return RemovableHandle(self._state_dict_pre_hooks, Hook(hook))

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata)` after it; it may change the state."""
        return RemovableHandle(self._state_dict_hooks, Hook(hook))

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)` before this module is loaded; it may rename keys of the state.
        """
        return RemovableHandle(self._load_state_dict_pre_hooks, Hook(hook))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`hook(module, incompatible_keys)` after this module is loaded; it may edit the lists."""
        return RemovableHandle(self._load_state_dict_post_hooks, Hook(hook))

    # looks

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """The arguments to show inside the parentheses."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({name}): {child!r}" for name, child in self._modules.items()]
        return _block(self._get_name(), extra.split("\n") if extra else [], children)


# registry, what it holds, what goes there when it is assigned, what may stand there
_KINDS = (
    ("_parameters", "parameter", Parameter, Parameter),
    ("_modules", "module", Module, Module),
    ("_buffers", "buffer", Buffer, Tensor),
)


def _empty() -> dict[str, Any]:
    """The attributes of a new module."""
    return {
        "training": True,
        **{registry: {} for registry in _REGISTRIES},
        "_non_persistent_buffers_set": set(),
        **{name: Hooks() for name in _HOOKS},
    }


def _block(name: str, extra: list[str], children: list[str]) -> str:
    """`name(...)`, on one line if there is only one line of extra, else indented."""
    if not children and len(extra) <= 1:
        return f"{name}({''.join(extra)})"
    lines = extra + [child.replace("\n", "\n  ") for child in children]
    return f"{name}(\n  " + "\n  ".join(lines) + "\n)"


def _fitting(x: Tensor, name: str, value: Any, assign: bool) -> Tensor:
    """`value` as what `x` can take over, or, with `assign`, as what can stand in its place."""
    if is_array(value):
        numbers = value.dtype in dtypes.DTYPES  # no text, no objects
    else:
        numbers = isinstance(value, Tensor) or hasattr(value, "__array__")
    if not numbers:
        raise TypeError(
            f'While copying the parameter named "{name}", expected a Tensor or an array from '
            f"checkpoint but received {type(value)}"
        )
    try:
        value = as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f'While copying the parameter named "{name}": {error}') from error
    if tuple(value.shape) != tuple(x.shape):
        raise RuntimeError(
            f"size mismatch for {name}: copying a param with shape {tuple(value.shape)} from "
            f"checkpoint, the shape in current model is {tuple(x.shape)}."
        )
    if not assign:
        return value.detach().to(device=x.device, dtype=x.dtype)
    if isinstance(x, Parameter) and not isinstance(value, Parameter):
        return Parameter(value, x.requires_grad)
    return value


def _complain(module: Module, errors: list[str], keys: IncompatibleKeys | None) -> None:
    """Raise RuntimeError with all that is wrong, if anything is."""
    lines = []
    for kind, names in zip(("Missing", "Unexpected"), keys or ()):
        if names:
            quoted = ", ".join(f'"{name}"' for name in names)
            lines.append(f"{kind} key(s) in state_dict: {quoted}. ")
    lines += errors
    if lines:
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(lines)
        )
