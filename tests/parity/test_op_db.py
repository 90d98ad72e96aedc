"""PyTorch's own database of operators and samples, run here.

Every operator is called as a function, as a method, in place and as a Python operator, wherever
PyTorch has that form, on the samples of the database: the same values, dtypes and shapes, the same
sharing of memory, the same gradients, and errors of the same type. What does not agree is listed,
with reasons, in `op_db_skips.py`. As a script it reports: `python tests/parity/test_op_db.py topk`.
"""

import contextlib
import functools
import importlib.util
import sys
import types
import unittest
import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest

import minigrad as mg

from op_db_skips import DISAGREE, ELSEWHERE, NAMED

torch = pytest.importorskip("torch")
if importlib.util.find_spec("expecttest") is None:  # the database's package imports it, unused here
    sys.modules["expecttest"] = types.ModuleType("expecttest")
    sys.modules["expecttest"].TestCase = unittest.TestCase
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    database = pytest.importorskip("torch.testing._internal.common_methods_invocations")
# the samples' seed: the database looks through the whole stack for the name of its own test
sys.modules["torch.testing._internal.common_utils"].extract_test_fn = lambda: None

MOST = 200  # samples of one operator and dtype; only pooling and `unique` have more
RANDOM = """
randn randn_like rand_like randint randint_like normal normal.number_mean normal.in_place uniform
exponential geometric cauchy log_normal bernoulli multinomial nn.functional.dropout
nn.functional.dropout2d nn.functional.dropout3d nn.functional.alpha_dropout
nn.functional.feature_alpha_dropout.with_train nn.functional.rrelu
""".split()
UNFILLED = ["empty", "empty_like", "new_empty", "resize_", "resize_as_"]
SHORTENED: set[str] = set()


def name_of(info):
    return ".".join(filter(None, (info.name, info.variant_test_name)))


# from PyTorch to minigrad


class OutOfScope(Exception):
    """The sample asks for something that minigrad leaves out: complex numbers, sparse tensors, ...
    """


class TorchHere:
    """minigrad in the place of `torch` in the database's own wrappers of operators."""

    def __getattr__(self, name):
        return getattr(mg, name)


def rebound(function):
    """A function of the database that calls minigrad where it said torch."""
    scope = dict(
        function.__globals__, torch=TorchHere(), wrapper_set_seed=lambda op, *a, **k: op(*a, **k)
    )
    code = function.__code__
    twin = types.FunctionType(
        code, scope, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def resolved(path):
    found = mg
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def function_here(info):
    """minigrad's function for an entry of the database, None where there is none."""
    if info.name.startswith("__"):
        return getattr(mg.Tensor, info.name, None)
    if isinstance(info.op, types.FunctionType) and info.op.__module__.startswith("torch.testing"):
        has = resolved(info.name) or any(
            hasattr(mg.Tensor, n) for n in (info.name, info.name + "_")
        )
        return rebound(info.op) if has else None
    return resolved(info.name)


def form_here(form):
    """minigrad's method for PyTorch's."""
    if isinstance(form, functools.partial):  # relu with inplace=True
        return functools.partial(getattr(mg.nn.functional, form.func.__name__), **form.keywords)
    if isinstance(form, types.FunctionType) and form.__module__.startswith("torch.testing"):
        return rebound(form)
    name = form.__name__
    method = getattr(mg.Tensor, name, None)
    if method is None:
        raise AttributeError(f"Tensor.{name} does not exist")
    return method


def dtype_here(dtype):
    name = str(dtype).removeprefix("torch.")
    if not hasattr(mg, name):
        raise OutOfScope(f"{name} does not exist here")
    return getattr(mg, name)


def mapped(value, leaf):
    """`value` with its leaves replaced, through lists, tuples and dicts."""
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, (list, tuple)):
        return type(value)([mapped(v, leaf) for v in value])
    if isinstance(value, dict):
        return {k: mapped(v, leaf) for k, v in value.items()}
    return leaf(value)


def twins(*values):
    """Fresh leaves of PyTorch's with the values of a sample, and the same in minigrad."""
    memo, theirs, ours = {}, [], []

    def fresh(x):
        if not isinstance(x, torch.Tensor):
            return x
        if id(x) not in memo:
            if x.layout != torch.strided or x.is_complex() or x.device.type != "cpu":
                raise OutOfScope("sparse and complex tensors, other devices")
            if x.ndim > 64:
                raise OutOfScope("NumPy has at most 64 dimensions")
            dtype_here(x.dtype)
            copy = relaid(x)
            memo[id(x)] = copy.requires_grad_(x.requires_grad), x
            theirs.append(copy)
        return memo[id(x)][0]

    def twin(x):
        if isinstance(x, torch.Tensor):
            if id(x) not in memo:
                copy = mg.from_numpy(relaid_array(x))
                memo[id(x)] = copy.requires_grad_(x.requires_grad), x
                ours.append(copy)
            return memo[id(x)][0]
        if isinstance(x, torch.dtype):
            return dtype_here(x)
        if isinstance(x, torch.device):
            return str(x)
        if isinstance(x, complex):
            raise OutOfScope("complex numbers")
        if callable(x) or isinstance(x, (torch.layout, torch.memory_format)):
            raise OutOfScope(f"an argument {x}")
        return x

    values = mapped(list(values), fresh)
    return values, mapped(values, twin), theirs, ours


def relaid(x):
    """A copy with the same strides."""
    x = x.detach()
    if x.is_contiguous():
        return x.clone()
    storage = x.untyped_storage().clone()
    return torch.empty(0, dtype=x.dtype).set_(storage, x.storage_offset(), x.shape, x.stride())


def relaid_array(x):
    x = x.detach()
    if x.is_contiguous():
        return x.numpy(force=True).copy()
    whole = torch.empty(0, dtype=x.dtype).set_(x.untyped_storage()).numpy().copy()
    size = x.element_size()
    strides = [n * size for n in x.stride()]
    return np.ndarray(tuple(x.shape), whole.dtype, whole, x.storage_offset() * size, strides)


DROPPED = {
    "layout": [torch.strided],
    "pin_memory": [False],
    "memory_format": [torch.contiguous_format, torch.preserve_format],
    "sparse": [False],
}


def plain(kwargs):
    """Keyword arguments without those that only say the default of what minigrad leaves out."""
    for name, defaults in DROPPED.items():
        if kwargs.get(name) is not None and kwargs[name] not in defaults:
            raise OutOfScope(f"{name}={kwargs[name]}")
    if kwargs.get("out") is not None:
        raise OutOfScope("out=")
    return {k: v for k, v in kwargs.items() if k not in DROPPED}


# comparing


TOLERANCES = {"float64": 1e-7, "float32": 2e-4, "float16": 2e-3}


def close(ours, theirs):
    tolerance = TOLERANCES.get(theirs.dtype.name, 0)
    return ours.shape == theirs.shape and np.allclose(
        ours, theirs, tolerance, tolerance, equal_nan=True
    )


def disagreement(ours, theirs, random):
    """What is different between two results, or None."""
    if isinstance(theirs, torch.Tensor):
        if not isinstance(ours, mg.Tensor):
            return f"a {type(ours).__name__} instead of a Tensor"
        if ours.dtype.name != str(theirs.dtype).removeprefix("torch."):
            return f"{ours.dtype} instead of {theirs.dtype}"
        if tuple(ours.shape) != tuple(theirs.shape):
            return f"shape {tuple(ours.shape)} instead of {tuple(theirs.shape)}"
        if ours.requires_grad != theirs.requires_grad:
            return f"requires_grad is {ours.requires_grad}"
        if random:
            return None
        expected = theirs.numpy(force=True)
        got = ours.detach().numpy()
        if not close(got, expected):
            return f"values {got.ravel()[:4]} ... instead of {expected.ravel()[:4]} ..."
        return None
    if isinstance(theirs, (tuple, list)):
        if not isinstance(ours, (tuple, list)) or len(ours) != len(theirs):
            return f"{type(ours).__name__} instead of {len(theirs)} results"
        fields = [
            f for f in dir(theirs) if not f.startswith("_") and hasattr(type(theirs), "n_fields")
        ]
        for field in fields:
            if (
                field not in ("count", "index")
                and not field.startswith("n_")
                and not hasattr(ours, field)
            ):
                return f"no field {field}"
        found = (disagreement(a, b, random) for a, b in zip(ours, theirs))
        return next(filter(None, found), None)
    if isinstance(theirs, torch.dtype):
        return None if str(ours).endswith(str(theirs).removeprefix("torch.")) else f"{ours}"
    if isinstance(theirs, float):
        return (
            None
            if random or np.isclose(ours, theirs, equal_nan=True)
            else f"{ours} instead of {theirs}"
        )
    return None if random or ours == theirs else f"{ours} instead of {theirs}"


def tensors(value, kind):
    if isinstance(value, kind):
        return [value]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in tensors(v, kind)]
    return []


def shared(outs, inputs, start):
    """Which outputs show the memory of which input, by addresses of their storage."""
    return [[start(o) == start(i) for i in inputs] for o in outs]


def memory_start(x):
    """The address of the array that owns what a tensor shows."""
    array = x.detach().array
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.__array_interface__["data"][0]


@contextlib.contextmanager
def quiet():
    """Warnings are not what is compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Failure(Exception):
    pass


def check_form(what, theirs_form, ours_form, in_place, sample, random, process, order):
    """One form of the operator on one sample: values, then gradients up to `order`."""
    values = [sample.input, list(sample.args), plain(sample.kwargs)]
    theirs_in, ours_in, theirs_leaves, ours_leaves = twins(*values)
    their_first, our_first = theirs_in[0], ours_in[0]
    if in_place:  # a leaf that requires grad cannot be changed
        their_first, our_first = their_first.clone(), our_first.clone()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = theirs_form(their_first, *theirs_in[1], **theirs_in[2])
    except Exception as error:
        try:
            ours_form(our_first, *ours_in[1], **ours_in[2])
        except Exception as own:
            if not same_kind(own, error):
                raise Failure(f"{what}: {brief(own)} instead of {brief(error)}") from own
            return
        raise Failure(f"{what}: no {brief(error)}")
    try:
        ours = ours_form(our_first, *ours_in[1], **ours_in[2])
    except Exception as error:
        if beyond(error):
            raise OutOfScope(str(error)) from error
        raise Failure(f"{what}: {brief(error)}") from error
    if in_place and (ours is not our_first):
        raise Failure(f"{what}: another object")
    different = disagreement(ours, theirs, random)
    if different:
        raise Failure(f"{what}: {different}")
    their_outs, our_outs = tensors(theirs, torch.Tensor), tensors(ours, mg.Tensor)
    expected = shared(
        their_outs, theirs_leaves, lambda t: t.untyped_storage().data_ptr() if t.numel() else id(t)
    )
    got = shared(our_outs, ours_leaves, lambda t: memory_start(t) if t.numel() else id(t))
    if expected != got and not in_place:
        raise Failure(f"{what}: memory shared {got} instead of {expected}")
    if random or not order:
        return
    theirs, ours = process(theirs), process(ours)
    their_outs, our_outs = tensors(theirs, torch.Tensor), tensors(ours, mg.Tensor)
    their_leaves = [t for t in theirs_leaves if t.requires_grad]
    our_leaves = [t for t in ours_leaves if t.requires_grad]
    generator = np.random.default_rng(0)
    for n in range(1, order + 1):
        chosen = [i for i, t in enumerate(their_outs) if t.requires_grad]
        if not chosen or not their_leaves:
            return
        their_outs, our_outs = [their_outs[i] for i in chosen], [our_outs[i] for i in chosen]
        cotangents = [np.asarray(generator.standard_normal(tuple(t.shape))) for t in their_outs]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = torch.autograd.grad(
                    their_outs,
                    their_leaves,
                    [torch.tensor(c, dtype=t.dtype) for c, t in zip(cotangents, their_outs)],
                    create_graph=n < order,
                    allow_unused=True,
                )
        except (RuntimeError, NotImplementedError):
            return  # nothing to compare with
        try:
            ours = mg.autograd.grad(
                our_outs,
                our_leaves,
                [mg.tensor(c, dtype=t.dtype) for c, t in zip(cotangents, our_outs)],
                create_graph=n < order,
                allow_unused=True,
            )
        except Exception as error:
            raise Failure(f"{what}: gradient {n}: {brief(error)}") from error
        for their, our, leaf in zip(theirs, ours, their_leaves):
            expected = np.zeros(leaf.shape) if their is None else their.numpy(force=True)
            got = np.zeros(leaf.shape) if our is None else our.detach().numpy()
            if not close(got, expected):
                raise Failure(
                    f"{what}: gradient {n}: {got.ravel()[:4]} instead of {expected.ravel()[:4]}"
                )
        both = [(a, b) for a, b in zip(theirs, ours) if a is not None and b is not None]
        both = [(a, b) for a, b in both if a.requires_grad and b.requires_grad]
        their_outs, our_outs = [a for a, _ in both], [b for _, b in both]


def brief(error):
    return f"{type(error).__name__}({str(error)[:100]!r})"


def same_kind(own, error):
    """Whether an error is of PyTorch's type, or of one below it."""
    kind = type(error)
    while kind.__module__.startswith("torch"):  # what PyTorch defines itself has a built-in base
        kind = kind.__mro__[1]
    return isinstance(own, kind)


# running


class Result(NamedTuple):
    agreed: int
    failures: list  # (dtype or "errors", number of the sample, what is different)
    left_out: Counter  # reasons


def forms(info):
    """The forms in which PyTorch has an operator: (name, PyTorch's, minigrad's, in place)."""
    function = function_here(info)
    yield "function", info.op, function, False
    for what, theirs, in_place in (
        ("method", info.get_method(), False),
        ("in place", info.get_inplace(), True),
        ("operator", info.get_operator(), False),
        ("in-place operator", info.get_inplace_operator(), True),
    ):
        if theirs is None:
            continue
        if "operator" in what:
            yield what, theirs, theirs, in_place
            continue
        yield what, theirs, form_here(theirs), in_place


def dtypes_of(info):
    wanted = [torch.float64, torch.int64, torch.bool, torch.float32]
    return [d for d in wanted if d in info.dtypes]


def samples_of(info, dtype):
    grad = dtype == torch.float64 and info.supports_autograd
    try:
        found = list(info.sample_inputs("cpu", dtype, requires_grad=grad))
    except (NotImplementedError, RuntimeError):  # the database itself has none of this dtype
        return []
    if len(found) > MOST:
        SHORTENED.add(name_of(info))
        found = found[:: -(-len(found) // MOST)]
    return found


@functools.cache
def run(name):
    info = INFOS[name]
    agreed, failures, left_out = 0, [], Counter()
    random = name in RANDOM
    with quiet():
        for dtype in dtypes_of(info):
            short = str(dtype).removeprefix("torch.")
            for i, sample in enumerate(samples_of(info, dtype)):
                order = 0
                if dtype == torch.float64 and info.supports_autograd and not random:
                    order = 2 if i < 2 and info.supports_gradgrad else 1
                process = sample.output_process_fn_grad or (lambda y: y)
                dropped = sample.kwargs.get("dropout_p", 0) > 0 or (
                    "attention" in name and sample.kwargs.get("training")
                )
                unfilled = random or name in UNFILLED or dropped
                try:
                    for form in forms(info):
                        last = order if form[0] in ("function", "in place") else 0
                        check_form(*form, sample, unfilled, process, last)
                    agreed += 1
                except OutOfScope as reason:
                    left_out[str(reason)] += 1
                except Exception as error:
                    failures.append(
                        (short, i, str(error) if isinstance(error, Failure) else brief(error))
                    )
        if info.error_inputs_func is not None:
            for i, case in enumerate(info.error_inputs("cpu")):
                try:
                    check_error(info, case)
                    agreed += 1
                except OutOfScope as reason:
                    left_out[str(reason)] += 1
                except Exception as error:
                    failures.append(("errors", i, str(error)))
    return Result(agreed, failures, left_out)


def beyond(error):
    """Whether minigrad's error says that it leaves this out on purpose."""
    return isinstance(error, NotImplementedError) and "out of scope" in str(error)


def check_error(info, case):
    sample = case.sample_input
    theirs, ours, _, _ = twins(sample.input, list(sample.args), plain(sample.kwargs))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            info.op(theirs[0], *theirs[1], **theirs[2])
    except Exception as error:
        expected = error
    else:
        return  # what it refuses is gone with the argument that was left out
    try:
        function_here(info)(ours[0], *ours[1], **ours[2])
    except Exception as own:
        if not same_kind(own, expected):
            raise Failure(f"{brief(own)} instead of {brief(expected)}") from own
    else:
        raise Failure(f"no {brief(expected)}")


def chosen():
    """The named operators, and the others of the database that exist here."""
    infos = {}
    for info in database.op_db:
        name = name_of(info)
        if not dtypes_of(info):
            continue
        if name in NAMED or (name not in ELSEWHERE and "_" != name[0] and function_here(info)):
            infos[name] = info
    return infos


ABSENT = {*mg.scope.modules, *mg.scope.listed(mg.scope.METHODS)}  # there, to say that they are not
INFOS = {n: info for n, info in chosen().items() if not ABSENT & {n.split(".")[0], info.name}}


@pytest.mark.parametrize("name", sorted(INFOS))
def test_operator(name):
    result = run(name)
    assert result.agreed or result.left_out
    counts = Counter(kind for kind, _, _ in result.failures)
    _, listed = DISAGREE.get(name, ("", {}))
    assert counts == listed, "\n".join(map(str, result.failures[:20]))


def test_names_are_the_databases():
    names = {name_of(info) for info in database.op_db}
    assert not [n for n in (*NAMED, *DISAGREE, *ELSEWHERE) if n not in names]


def test_share_that_agrees():
    for names in (NAMED, list(INFOS)):
        results = [run(name) for name in names]
        agreed = sum(result.agreed for result in results)
        failed = sum(len(result.failures) for result in results)
        print(f"{agreed} of {agreed + failed} samples of {len(names)} operators agree")
        assert agreed >= 0.98 * (agreed + failed)
    for name, (reason, numbers) in DISAGREE.items():
        print(f"{sum(numbers.values())} of {name}: {reason}")
    for reason, number in sum((result.left_out for result in results), Counter()).most_common():
        print(f"{number} left out: {reason}")


if __name__ == "__main__":  # a report
    names = sys.argv[1:] or sorted(INFOS)
    results = {name: run(name) for name in names}
    for name, result in results.items():
        if result.failures:
            print(f"{name}: {result.agreed} agree, {len(result.failures)} do not")
            seen = Counter()
            for kind, i, what in result.failures:
                seen[what[:60]] += 1
                seen[kind] += 1
                if seen[what[:60]] < 2 and seen[kind] < 6:
                    print(f"    {kind}[{i}] {what}")
    agreed = sum(r.agreed for r in results.values())
    failed = sum(len(r.failures) for r in results.values())
    print(
        agreed,
        failed,
        agreed / (agreed + failed),
        sum((r.left_out for r in results.values()), Counter()),
    )
    print(SHORTENED)
