"""Tensor's operators and methods: functions of `minigrad.ops`, the tensor their first argument."""

from __future__ import annotations

import weakref
from typing import Any, Callable, Iterator

import numpy as np

from . import backend as backends
from . import ops
from .backend import backend_for, is_array
from .dtypes import (
    DTYPES,
    dtype,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    bool_,
    of,
)
from .ops.shape import Permute
from .ops.writing import in_place, reshaped
from .hooks import Hooks, RemovableHandle
from .tensor import Tensor, _fill, wrap

METHODS = """
abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr adjoint all allclose amax amin
aminmax any arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere
as_strided asin asinh atan atan2 atanh baddbmm bernoulli bincount bitwise_and bitwise_left_shift
bitwise_not bitwise_or bitwise_right_shift bitwise_xor bmm broadcast_to bucketize ceil celu cholesky
cholesky_inverse cholesky_solve chunk clamp clamp_max clamp_min clip clone copysign corrcoef cos
cosh count_nonzero cov cross cummax cummin cumprod cumsum deg2rad det diag diag_embed diagflat
diagonal diagonal_scatter diff digamma dist div divide dot dsplit elu eq equal erf erfc erfinv exp
exp2 expand expand_as expm1 fix flatten flip fliplr flipud float_power floor floor_divide fmax fmin
fmod frac gather gcd ge gelu ger greater greater_equal gt hardshrink hardsigmoid hardswish hardtanh
heaviside histc hsplit hypot index_add index_copy index_fill index_put index_reduce index_select
inner inverse is_same_size isclose isfinite isin isinf isnan isneginf isposinf isreal kron kthvalue
lcm ldexp le leaky_relu lerp less less_equal lgamma log log10 log1p log2 log_softmax logaddexp
logaddexp2 logcumsumexp logdet logical_and logical_not logical_or logical_xor logit logsigmoid
logsumexp lt masked_fill masked_scatter masked_select matmul matrix_exp matrix_power max maximum
mean median min minimum mish mm mode moveaxis movedim msort mul multinomial multiply mv mvlgamma
nan_to_num nanmean nanmedian nanquantile nansum narrow narrow_copy ne neg negative new_empty
new_full new_ones new_tensor new_zeros nextafter nonzero norm not_equal outer permute pinverse
positive pow prelu prod put qr quantile rad2deg ravel reciprocal relu relu6 remainder renorm repeat
repeat_interleave reshape reshape_as roll rot90 round rsqrt scatter scatter_add scatter_reduce
select select_scatter selu sgn sigmoid sign signbit silu sin sinc sinh slice_scatter slogdet softmax
softplus softsign sort split split_with_sizes sqrt square squeeze std storage_offset sub subtract
sum sum_to_size svd swapaxes swapdims t take take_along_dim tan tanh tensor_split tile topk trace
transpose triangular_solve tril triu true_divide trunc unbind unflatten unfold unique
unique_consecutive unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze var vdot view view_as
vsplit xlogy
""".split()

# functions whose in-place twins exist: `exp_` computes `exp` and writes it back
IN_PLACE = """
abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr arccos arccosh arcsin arcsinh
arctan arctan2 arctanh asin asinh atan atan2 atanh baddbmm bitwise_and bitwise_left_shift
bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clip
copysign cos cosh cumprod cumsum deg2rad digamma div divide elu eq erf erfc erfinv exp exp2 expm1
fix float_power floor floor_divide fmod frac gcd ge greater greater_equal gt hardtanh heaviside
hypot index_add index_copy index_fill index_reduce lcm ldexp le leaky_relu lerp less less_equal
lgamma log log10 log1p log2 logical_and logical_not logical_or logical_xor logit lt masked_fill
masked_scatter mul multiply mvlgamma nan_to_num ne neg negative nextafter not_equal pow put rad2deg
reciprocal relu relu6 remainder renorm round rsqrt scatter scatter_add scatter_reduce selu sgn
sigmoid sign silu sin sinc sinh sqrt square sub subtract tan tanh tril triu true_divide trunc xlogy
""".split()

# in place they change the tensor's shape, not its memory
RESHAPED = "as_strided squeeze swapaxes swapdims t transpose unsqueeze".split()

# already in place, and functions of no other twin
FILLERS = """
bernoulli_ cauchy_ copy_ exponential_ fill_ fill_diagonal_ geometric_ index_put_ log_normal_ normal_
random_ uniform_ zero_
""".split()

OPERATORS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}
PLAIN = {  # without reflected and in-place forms
    "eq": "eq",
    "ne": "ne",
    "lt": "lt",
    "le": "le",
    "gt": "gt",
    "ge": "ge",
    "neg": "neg",
    "pos": "positive",
    "abs": "abs",
    "invert": "bitwise_not",
}


def _scalar_first(function: Any, scalar: str) -> Any:
    """The method of old with the factor in front, `p.add_(-lr, g)`, beside today's, `alpha=-lr`."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if len(args) == function.__code__.co_argcount and not isinstance(args[0], Tensor):
            kwargs[scalar], args = args[0], args[1:]
        return function(self, *args, **kwargs)

    method.__name__, method.__doc__ = function.__name__, function.__doc__
    return method


def _reflected(function: Any) -> Any:
    def reflected(self: Tensor, other: Any) -> Any:
        try:
            return function(other, self)
        except TypeError:
            if isinstance(other, (list, tuple, str, bytes)):
                return NotImplemented  # `[0] * n` repeats the list, also where n is a tensor
            raise

    return reflected


for _name in METHODS + FILLERS:
    setattr(Tensor, _name, getattr(ops, _name))
for _name in IN_PLACE:
    setattr(Tensor, f"{_name}_", in_place(getattr(ops, _name)))
for _name, _scalar in {
    "add": "alpha",
    "sub": "alpha",
    "addcmul": "value",
    "addcdiv": "value",
}.items():
    setattr(Tensor, _name, _scalar_first(getattr(ops, _name), _scalar))
    setattr(Tensor, f"{_name}_", in_place(_scalar_first(getattr(ops, _name), _scalar)))
for _name in RESHAPED:
    setattr(Tensor, f"{_name}_", reshaped(getattr(ops, _name)))
for _operator, _name in OPERATORS.items():
    setattr(Tensor, f"__{_operator}__", getattr(ops, _name))
    setattr(Tensor, f"__r{_operator}__", _reflected(getattr(ops, _name)))
    setattr(Tensor, f"__i{_operator}__", in_place(getattr(ops, _name)))
for _operator, _name in PLAIN.items():
    setattr(Tensor, f"__{_operator}__", getattr(ops, _name))
Tensor.__rdiv__ = Tensor.__rtruediv__  # Python 2's name, which PyTorch kept


def _equal(function: Any) -> Any:
    """== and != with what is no number: not elementwise, and never an error."""

    def compare(self: Tensor, other: Any) -> Any:
        numbers = isinstance(other, (Tensor, bool, int, float, np.generic)) or is_array(other)
        return function(self, other) if numbers else NotImplemented

    return compare


Tensor.__eq__, Tensor.__ne__ = _equal(ops.eq), _equal(ops.ne)
Tensor.__getitem__ = ops.index
Tensor.__setitem__ = ops.set_item


def method(function: Any) -> Any:
    """Attach what has no function of its own."""
    name = (function.fget if isinstance(function, property) else function).__name__
    setattr(Tensor, name, function)
    return function


# as a number, as a sequence, as text


@method
def __bool__(self: Tensor) -> bool:
    if self.array.size != 1:
        raise RuntimeError(
            f"truth value of a tensor of shape {tuple(self.shape)} is ambiguous: "
            "use .any() or .all()"
        )
    return bool(self.item())


def _one(x: Tensor) -> float | int | bool:
    """The number that the only element of a tensor is, where Python asks for a number."""
    if x.array.size != 1:
        raise ValueError(
            f"only a tensor of one element is a number, this one has shape {tuple(x.shape)}"
        )
    return x.item()


@method
def __float__(self: Tensor) -> float:
    return float(_one(self))


@method
def __int__(self: Tensor) -> int:
    return int(_one(self))


@method
def __index__(self: Tensor) -> int:
    if self.dtype.kind not in "iub" or self.array.size != 1:
        raise TypeError(
            "only an integer tensor of one element can be an index, this one is "
            f"{self.dtype} of shape {tuple(self.shape)}"
        )
    return int(self.item())


@method
def __len__(self: Tensor) -> int:
    if not self.array.ndim:
        raise TypeError("len() of a 0-d tensor")
    return self.array.shape[0]


@method
def __format__(self: Tensor, spec: str) -> str:
    if self.array.ndim == 0 or (spec and self.array.size == 1):
        return format(self.item(), spec)
    return object.__format__(self, spec)


@method
def __iter__(self: Tensor) -> Iterator[Tensor]:
    if not self.array.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(ops.unbind(self))


@method
def __contains__(self: Tensor, element: Any) -> bool:
    found = self == element
    if not isinstance(found, Tensor):
        raise RuntimeError(f"a tensor contains numbers, not a {type(element).__name__}")
    return bool(found.any())


@method
def __reversed__(self: Tensor) -> Tensor:
    """The elements of the first dimension, last first."""
    return ops.flip(self, 0) if self.array.ndim else self


@method
def where(self: Tensor, condition: Any, other: Any) -> Tensor:
    """This tensor where the condition is true, `other` elsewhere."""
    return ops.where(condition, self, other)


# shape


@method
@property
def T(self: Tensor) -> Tensor:
    """The dimensions in reverse order."""
    return Permute(tuple(range(self.array.ndim - 1, -1, -1)))(self)


@method
@property
def mT(self: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    return ops.transpose(self, -2, -1)


@method
def size(self: Tensor, dim: int | None = None) -> Any:
    return self.shape if dim is None else self.array.shape[dim]


@method
def dim(self: Tensor) -> int:
    return self.array.ndim


@method
def numel(self: Tensor) -> int:
    return self.array.size


Tensor.nelement, Tensor.ndimension = Tensor.numel, Tensor.dim


@method
def stride(self: Tensor, dim: int | None = None) -> Any:
    """Steps in memory from one element to the next, in elements."""
    strides = tuple(n // self.array.itemsize for n in self.array.strides)
    return strides if dim is None else strides[dim]


@method
def element_size(self: Tensor) -> int:
    return self.array.itemsize


@method
def is_contiguous(self: Tensor) -> bool:
    return self.array.flags.c_contiguous


@method
def contiguous(self: Tensor) -> Tensor:
    return self if self.array.flags.c_contiguous else ops.clone(self)


@method
def data_ptr(self: Tensor) -> int:
    """Where in memory the first element is."""
    return backend_for(self.device).address(self.array)


# dtypes and devices


@method
def to(
    self: Tensor,
    *targets: Any,
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
) -> Tensor:
    """Another device, dtype, or both; positional arguments are told apart by what they are."""
    flags = [target for target in targets if isinstance(target, bool)]  # non_blocking, copy
    copy = copy or flags[1:] == [True]
    for target in targets:
        if isinstance(target, Tensor):
            device, dtype = target.device, target.dtype
        elif isinstance(target, bool):
            continue
        elif isinstance(target, str) and not target.startswith(("float", "int", "uint", "bool")):
            device = target
        else:
            dtype = target
    x = self
    if device is not None and backend_for(device).device != self.device:
        x = ops.to_device(x, device)
    if dtype is not None and of(dtype) != x.dtype:
        x = ops.cast(x, of(dtype).dtype)
    return ops.clone(x) if copy and x is self else x


def _conversion(name: str, target: dtype) -> None:
    def convert(self: Tensor) -> Tensor:
        return to(self, dtype=target)

    convert.__name__ = name
    convert.__doc__ = f"The same values as {target}."
    setattr(Tensor, name, convert)


for _name, _dtype in {
    "half": float16,
    "float": float32,
    "double": float64,
    "char": int8,
    "short": int16,
    "int": int32,
    "long": int64,
    "byte": uint8,
    "bool": bool_,
}.items():
    _conversion(_name, _dtype)


@method
def cpu(self: Tensor) -> Tensor:
    return to(self, "cpu")


@method
def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    return to(
        self, "cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device
    )


@method
def type_as(self: Tensor, other: Tensor) -> Tensor:
    return to(self, other)


@method
@property
def is_cuda(self: Tensor) -> bool:
    return str(self.device).startswith("cuda")


@method
def get_device(self: Tensor) -> int:
    """The GPU's number; -1 on the CPU."""
    return getattr(self.device, "index", None) or (0 if self.is_cuda else -1)


@method
def __dlpack__(self: Tensor, **options: Any) -> Any:
    """The memory for another array library; BufferError where that would lose the graph."""
    if self.requires_grad:
        raise BufferError("DLPack of a tensor that requires grad: use tensor.detach()")
    return self.array.__dlpack__(**options)


@method
def __dlpack_device__(self: Tensor) -> tuple:
    return self.array.__dlpack_device__()


# to the host


@method
def to_numpy(self: Tensor) -> np.ndarray:
    """The values as a NumPy array, from any device, with or without a graph."""
    return backends.to_numpy(self.array)


@method
def numpy(self: Tensor, *, force: bool = False) -> np.ndarray:
    """The values as a NumPy array that shares memory; RuntimeError where that would lose the
    graph, unless `force`.
    """
    if force:
        return self.to_numpy()
    if self.requires_grad:
        raise RuntimeError("numpy() on a tensor that requires grad: use tensor.detach().numpy()")
    if backends.backend_of(self.array) is not backends.CPU:
        raise TypeError(f"numpy() on a tensor on {self.device}: use tensor.cpu().numpy()")
    return self.array


@method
def __array__(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    return np.array(self.numpy(), dtype=dtype, copy=copy)


@method
def __array_wrap__(
    self: Tensor, array: np.ndarray, context: Any = None, scalar: bool = False
) -> Any:
    """What a NumPy function made of a Tensor becomes a Tensor again, as in PyTorch."""
    return wrap(np.asarray(array)) if array.dtype in DTYPES else array


@method
def item(self: Tensor) -> float | int | bool:
    if self.array.size != 1:
        raise RuntimeError(
            f"item() needs a tensor of one element, this one has shape {tuple(self.shape)}"
        )
    return self.to_numpy().item()


@method
def tolist(self: Tensor) -> Any:
    return self.to_numpy().tolist()


# the memory


@property
def _data(self: Tensor) -> Tensor:
    """The same memory, outside the graph; changes through it are not tracked, as in PyTorch."""
    return wrap(self.array)


@_data.setter
def _data(self: Tensor, other: Tensor) -> None:
    if not isinstance(other, Tensor):
        raise TypeError(f"data must be a Tensor, got {type(other).__name__}")
    if self.tracked and not other.is_floating_point():
        raise RuntimeError(f"data of {other.dtype} cannot take gradients")
    self.array = other.array


Tensor.data = _data


@method
def new(self: Tensor, *content: Any) -> Tensor:
    """A tensor of this one's dtype and device, of a size or with a content: PyTorch's old way."""
    return ops.legacy(self.dtype, *content, device=self.device)


@method
def set_(self: Tensor, source: Tensor) -> Tensor:
    """Show another tensor's memory from now on."""
    self.data = source
    self.changed()
    return self


@method
def resize_(self: Tensor, *size: Any) -> Tensor:
    """Another size; the elements stay in order, new ones are 0."""
    shape = ops.zeros(*size, dtype=self.dtype).array.shape
    host = np.resize(self.to_numpy(), shape) if self.array.size else np.zeros(shape, self.dtype)
    host.reshape(-1)[self.array.size :] = 0
    self.array = backend_for(self.device).upload(host)
    self.changed()
    return self


@method
def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Each element becomes what the function makes of it, one by one: slow, and only on the CPU."""
    if self.requires_grad:
        raise RuntimeError("apply_ of a tensor that requires grad has no gradient: use its ops")
    flat = [callable(value) for value in self.numpy().reshape(-1).tolist()]
    return self.copy_(ops.tensor(flat, dtype=self.dtype).reshape(self.shape))


@method
def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Each element becomes what the function makes of it and of the other tensor's element."""
    if self.requires_grad:
        raise RuntimeError("map_ of a tensor that requires grad has no gradient: use its ops")
    pairs = zip(self.numpy().reshape(-1).tolist(), tensor.numpy().reshape(-1).tolist())
    flat = [callable(a, b) for a, b in pairs]
    return self.copy_(ops.tensor(flat, dtype=self.dtype).reshape(self.shape))


@method
def is_shared(self: Tensor) -> bool:
    """False: memory is not shared between processes."""
    return False


@method
def share_memory_(self: Tensor) -> Tensor:
    raise RuntimeError("memory is not shared between processes: send tensors through a queue")


@method
def pin_memory(self: Tensor) -> Tensor:
    """The tensor itself: CuPy copies from ordinary memory."""
    return self


# the graph


@property
def _grad(self: Tensor) -> Tensor | None:
    """The gradient added up so far, a Tensor of the same shape, or None."""
    return self._grad


@_grad.setter
def _grad(self: Tensor, value: Tensor | None) -> None:
    if value is not None:
        if not isinstance(value, Tensor):
            raise TypeError(f"a gradient is a Tensor or None, not a {type(value).__name__}")
        if value.shape != self.array.shape or value.dtype != self.dtype:
            raise RuntimeError(
                f"a gradient of shape {tuple(value.shape)} and {value.dtype} was assigned to a "
                f"tensor of shape {tuple(self.shape)} and {self.dtype}"
            )
    self._grad = value


@_grad.deleter
def _grad(self: Tensor) -> None:
    self._grad = None


Tensor.grad = _grad


@method
@property
def output_nr(self: Tensor) -> int:
    """Which output of its op this tensor is."""
    return self.creator[1] if self.creator else 0


@method
def detach_(self: Tensor) -> Tensor:
    """Cut this tensor off from what it was computed from."""
    if self.base is not None:
        raise RuntimeError("detach_() of a view: use detach()")
    self.creator, self.tracked = None, False
    return self


@method
@property
def _version(self: Tensor) -> int:
    return self.version[0]


# hooks


@method
def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> Any:
    """Call `hook` with this tensor's gradient whenever it is computed; what it returns takes the
    gradient's place, unless that is None. Returns a handle with `remove()`.
    """
    if not self.requires_grad:
        raise RuntimeError("a hook needs a tensor that requires grad: nothing would call it")
    if self.creator is None:
        self.hooks = hooks = Hooks() if self.hooks is None else self.hooks
    else:
        op, index = self.creator
        op.hooks = op.hooks or {}
        hooks = op.hooks.setdefault(index, Hooks())
    return RemovableHandle(hooks, hook)


@method
def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> Any:
    """Call `hook` with this leaf each time after a gradient was added to its `.grad`."""
    if not self.requires_grad or not self.is_leaf:
        raise RuntimeError("a post-accumulate hook needs a leaf that requires grad")
    self.after_hooks = Hooks() if self.after_hooks is None else self.after_hooks
    return RemovableHandle(self.after_hooks, hook)


@method
def retain_grad(self: Tensor) -> None:
    """Keep the gradient of this computed tensor in `.grad`, as of a leaf."""
    if not self.requires_grad:
        raise RuntimeError("retain_grad() needs a tensor that requires grad")
    if self.creator is not None:
        self.retained = True
        op, index = self.creator
        op.hooks, op.retained = op.hooks or {}, op.retained or {}
        op.retained[index] = weakref.ref(self)  # the node must not hold its output


@method
@property
def retains_grad(self: Tensor) -> bool:
    return self.retained and self.creator is not None


# copies of the whole object


@method
def __reduce_ex__(self: Tensor, protocol: int) -> tuple:
    return rebuild, (type(self), self.to_numpy(), str(self.device), self.tracked, vars(self))


@method
def __deepcopy__(self: Tensor, memo: dict) -> Tensor:
    if not self.is_leaf:
        raise RuntimeError(
            "only leaves can be deep-copied: a computed tensor would take its graph along; "
            "use detach().clone()"
        )
    if id(self) not in memo:
        copy = rebuild(type(self), self.array.copy(), None, self.tracked, vars(self))
        memo[id(self)] = copy
        if self._grad is not None:
            copy._grad = self._grad.__deepcopy__(memo)
    return memo[id(self)]


def rebuild(
    cls: type, array: Any, device: str | None, requires_grad: bool, attributes: dict
) -> Any:
    """A copy of a Tensor or of one of its subclasses, from its parts."""
    if device is not None:
        array = backend_for(device).upload(array)
    x = object.__new__(cls)
    _fill(x, array, None, None)
    x.tracked = requires_grad
    vars(x).update({k: v for k, v in attributes.items() if not k.endswith("hooks")})
    return x
