"""Elementwise ops against PyTorch: dtypes over all pairs, kinks, errors, making tensors."""

import itertools
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402
from minigrad.nn import functional as F  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

NAMES = "bool uint8 int8 int16 int32 int64 float16 float32 float64".split()
NUMBERS = [True, 2, 1.5]
OPERANDS = [*NAMES, *(f"0-d {name}" for name in NAMES), *NUMBERS]
INF, NAN = float("inf"), float("nan")


def name_of(dtype):
    return str(dtype).split(".")[-1]


def operands(kind):
    """The same in PyTorch and here: a vector, a 0-d tensor, or a number."""
    if not isinstance(kind, str):
        return kind, kind
    values = np.array([1, 0, 3, 2]).astype(kind.removeprefix("0-d "))
    if kind.startswith("0-d "):
        values = values[2:3].reshape(())
    return torch.tensor(values), mg.tensor(values)


def test_promote_types_and_can_cast():
    for a, b in itertools.product(NAMES, repeat=2):
        theirs, ours = (getattr(torch, a), getattr(torch, b)), (getattr(mg, a), getattr(mg, b))
        assert name_of(mg.promote_types(*ours)) == name_of(torch.promote_types(*theirs))
        assert mg.can_cast(*ours) == torch.can_cast(*theirs), (a, b)


@pytest.mark.parametrize("default", ["float32", "float64"])
def test_result_type(default):
    torch.set_default_dtype(getattr(torch, default))
    mg.set_default_dtype(getattr(mg, default))
    try:
        for pair in itertools.product(OPERANDS, repeat=2):
            (t, m), (u, n) = map(operands, pair)
            assert name_of(mg.result_type(m, n)) == name_of(torch.result_type(t, u)), pair
    finally:
        torch.set_default_dtype(torch.float32)
        mg.set_default_dtype(mg.float32)


BINARY = """
add sub mul div floor_divide remainder fmod pow eq ne lt le gt ge logical_and logical_or
logical_xor bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift maximum
minimum fmax fmin atan2 hypot logaddexp xlogy copysign float_power rsub true_divide where
""".split()
NO_NUMBERS = set("maximum minimum fmax fmin atan2 hypot logaddexp logical_and logical_or".split())
NO_NUMBERS |= {"logical_xor"}


@pytest.mark.parametrize("name", BINARY)
def test_two_operands_of_all_dtypes(name):
    """Values and dtypes; where PyTorch raises, minigrad does, with a like error."""
    theirs, ours = getattr(torch, name), getattr(mg, name)
    if name == "where":
        chosen = [True, False, True, False]
        theirs = lambda a, b: torch.where(torch.tensor(chosen), a, b)  # noqa: E731
        ours = lambda a, b: mg.where(mg.tensor(chosen), a, b)  # noqa: E731
    for pair in itertools.product(OPERANDS, repeat=2):
        numbers = [not isinstance(kind, str) for kind in pair]
        if all(numbers) or (any(numbers) and name in NO_NUMBERS):
            continue
        if name in ("sub", "rsub") and any(kind is True for kind in pair):
            continue  # PyTorch refuses the number True, which is harmless
        (t, m), (u, n) = map(operands, pair)
        try:
            expected = theirs(t, u)
        except TypeError:
            continue  # PyTorch takes no number here
        except RuntimeError:
            with pytest.raises(RuntimeError):
                ours(m, n)
            continue
        y = ours(m, n)
        assert name_of(y.dtype) == name_of(expected.dtype), pair
        tolerance = 2e-3 if "16" in name_of(y.dtype) else 1e-6
        np.testing.assert_allclose(
            y.numpy(), expected.numpy(), rtol=tolerance, atol=tolerance, err_msg=str(pair)
        )


UNARY = """
neg positive abs sign floor ceil round trunc frac exp exp2 expm1 log log1p log2 log10 sqrt
rsqrt reciprocal square sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sigmoid
logit erf erfc erfinv sinc deg2rad rad2deg isnan isinf isfinite isposinf isneginf isreal
signbit nan_to_num logical_not bitwise_not relu relu6 leaky_relu elu selu celu gelu silu mish
softplus softsign softshrink hardshrink tanhshrink logsigmoid hardtanh hardsigmoid hardswish
""".split()
SPECIAL = [-INF, -100.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 3.0, 6.0, 100.0, INF, NAN]


def function(library, functional, name):
    return getattr(library, name, None) or getattr(functional, name)


@pytest.mark.parametrize("name", UNARY)
def test_one_operand_of_all_dtypes(name):
    theirs = function(torch, torch.nn.functional, name)
    ours = function(mg, F, name)
    for dtype in NAMES:
        kind = np.dtype(dtype).kind
        values = SPECIAL if kind == "f" else [0, 1, 3] if kind == "u" else [-2, 0, 1, 3]
        x = np.array(values).astype(dtype)
        if dtype == "float16" or name in ("gelu", "hardswish"):
            x = x[np.isfinite(x)]  # PyTorch makes NaN of an infinity here
        try:
            expected = theirs(torch.tensor(x))
        except (RuntimeError, TypeError):
            with pytest.raises((RuntimeError, TypeError)):
                ours(mg.tensor(x))
            continue
        y = ours(mg.tensor(x))
        assert name_of(y.dtype) == name_of(expected.dtype), dtype
        tolerance = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-13}.get(name_of(y.dtype), 0)
        np.testing.assert_allclose(
            y.numpy(), expected.numpy(), rtol=tolerance, atol=tolerance, err_msg=dtype
        )


# at every kink, border and infinity the gradient is PyTorch's

DIFFERENTIABLE = [name for name in UNARY if not name.startswith(("is", "logical", "bit", "sign"))]


def gradients(library, op, *values):
    float64 = library.float64
    xs = [library.tensor(v, dtype=float64, requires_grad=True) for v in values]
    op(*xs).sum().backward()
    return [np.zeros(len(v)) if x.grad is None else x.grad.numpy() for x, v in zip(xs, values)]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient_everywhere(name):
    (expected,) = gradients(torch, function(torch, torch.nn.functional, name), SPECIAL)
    (g,) = gradients(mg, function(mg, F, name), SPECIAL)
    compared = np.isfinite(SPECIAL) & ~(np.signbit(SPECIAL) & (np.array(SPECIAL) == 0))
    rtol = 1e-7 if name == "hardsigmoid" else 1e-12  # PyTorch's sixth is one of float32
    np.testing.assert_allclose(g[compared], expected[compared], rtol=rtol, atol=1e-14)


PAIRS = np.array(list(itertools.product([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0], repeat=2))).T.tolist()


@pytest.mark.parametrize(
    "name",
    """add sub mul div pow maximum minimum fmax fmin atan2 hypot logaddexp xlogy remainder fmod
    clamp_min clamp_max copysign""".split(),
)
def test_gradient_of_two_operands_everywhere(name):
    expected = gradients(torch, getattr(torch, name), *PAIRS)
    for g, e in zip(gradients(mg, getattr(mg, name), *PAIRS), expected):
        np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-14)


def test_gradient_of_clamp_between_tensors():
    grid = np.array(list(itertools.product([1.0, 2.0, 3.0], repeat=3))).T.tolist()
    for g, e in zip(gradients(mg, mg.clamp, *grid), gradients(torch, torch.clamp, *grid)):
        np.testing.assert_array_equal(g, e)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin"])
def test_nan_beside_a_number(name):
    pair = [NAN, 1.0, NAN], [1.0, NAN, NAN]
    for g, e in zip(
        gradients(mg, getattr(mg, name), *pair), gradients(torch, getattr(torch, name), *pair)
    ):
        np.testing.assert_array_equal(g, e)


# programs that both libraries run: the same dtype, values and kind of error

CALLS = """
T.tensor([1, 2], dtype=T.uint8) + (-1)
T.tensor([1, 2], dtype=T.int8) * 300
T.tensor([255], dtype=T.uint8) == -1
T.tensor([1, 2]) / 0
T.tensor([1, 2]) // 0
T.tensor([1, 2]) % 0
T.fmod(T.tensor([1, 2]), 0)
T.tensor([1.0, -1.0]) // 0
T.tensor([1.0, 2.0]) % 0
T.tensor([1, 2]) ** -1
T.tensor([1, -1, 2, 0]) ** T.tensor([-1, -3, -1, -2])
2 ** T.tensor([-1, 2])
T.tensor([1, 2]) ** 0.5
T.tensor([True, False]) - T.tensor([True, True])
1 - T.tensor([True, False])
-T.tensor([True])
T.tensor([True]) + T.tensor([True])
T.tensor([True]) & True
5 & T.tensor([4, 1])
T.tensor([1.0]) & 1
~T.tensor([1.0])
T.tensor([1, -5]) << 65
T.tensor([1, -5]) >> 70
T.tensor([1, -5]) << -1
T.tensor([-5, 5]) // 2
T.tensor([-5, 5]) % -3
-7 // T.tensor([2, -2])
T.div(T.tensor([-5, 5]), 2, rounding_mode="trunc")
T.div(T.tensor([-5.0, 5.0]), 2, rounding_mode="floor")
T.div(T.tensor([-5, 5]), 2, rounding_mode="up")
T.add(T.tensor([1]), 1, alpha=1.5)
T.sub(T.tensor([1.0]), 1, alpha=2)
T.add(T.tensor([1.0, 2.0]), T.tensor([1.0, 2.0, 3.0]))
T.exp(3.0)
T.clamp(T.tensor([1.0]))
T.clamp(T.tensor([1, 5]), 0.5, 2)
T.clamp(T.tensor([1.0, 5.0]), 3, 2)
T.tensor([1.0, 5.0]).clamp(max=T.tensor(2.0))
T.where(T.tensor([1.0]), 1, 2)
T.where(T.tensor([True, False]), 1, 2.5)
T.where(T.tensor([True, False]), T.tensor([1, 2]), 2.5)
T.tensor([1.0]).masked_fill(T.tensor([1]), 0.0)
T.tensor([1, 2]).masked_fill(T.tensor([True, False]), 1.5)
T.tensor([1, 2]).masked_fill(T.tensor([True, False]), T.tensor([1, 2]))
T.lerp(T.tensor([1.0]), T.tensor([1]), 0.5)
T.lerp(T.tensor([1]), T.tensor([1]), 0.5)
T.addcdiv(T.tensor([1]), T.tensor([1]), T.tensor([1]))
T.addcmul(T.tensor([1]), T.tensor([1]), T.tensor([2]), value=3)
T.round(T.tensor([2.5, -1.5, 0.123]), decimals=2)
T.round(T.tensor([2.5, -1.5, 3.5]))
T.isclose(T.tensor([NAN, INF, 1.0]), T.tensor([NAN, INF, 1.0 + 1e-9]))
T.isclose(T.tensor([NAN, INF]), T.tensor([NAN, INF]), equal_nan=True)
T.isclose(T.tensor([1]), T.tensor([1]), rtol=-1)
T.allclose(T.tensor([1.0]), T.tensor([1.1]), rtol=0.2)
T.equal(T.tensor([1.0, 2.0]), T.tensor([1.0, 2.0]))
T.equal(T.tensor([1.0]), T.tensor([1.0, 2.0]))
T.heaviside(T.tensor([-1.0, 0.0, NAN]), T.tensor(0.5))
T.heaviside(T.tensor([-1.0]), T.tensor(1))
T.nan_to_num(T.tensor([NAN, INF, -INF]), nan=1.0, neginf=-2.0)
T.logit(T.tensor([0.0, 0.5, 2.0]), eps=0.1)
T.nn.functional.gelu(T.tensor([1.0]), approximate="no")
T.nn.functional.softshrink(T.tensor([1.0]), -1.0)
T.nn.functional.glu(T.ones(3))
T.nn.functional.prelu(T.ones(2), T.ones(3))
T.nn.functional.hardtanh(T.ones(2), 1.0, -1.0)
T.tensor([[1], [1, 2]])
T.tensor(["a"])
T.tensor("a")
T.tensor(None)
T.tensor(2**70)
T.tensor([1, 2.5])
T.tensor([300], dtype=T.uint8)
T.full((2,), 300, dtype=T.uint8)
T.full((2,), True)
T.zeros(2.0)
T.zeros(-1)
T.zeros(2, pin_memory=True)
T.arange(0, 1, 0.3)
T.arange(0, 5.5, dtype=T.int64)
T.arange(0, 7, 2, dtype=T.float64)
T.arange(5, 0)
T.arange(0, 5, 0)
T.arange(NAN)
T.linspace(-1, 1, 6)
T.linspace(0, 10, 4, dtype=T.int64)
T.linspace(0, 1, -1)
T.logspace(-1, 1, 4)
T.eye(-1)
T.tril(T.ones(3))
T.tril_indices(3, 4, -1)
T.triu_indices(3, 4, 1)
T.cartesian_prod(T.arange(2), T.arange(3))
T.combinations(T.arange(4), 3)
T.scalar_tensor(True)
T.ones_like(3)
T.rand(2, dtype=T.int64)
T.bernoulli(T.tensor([2.0]))
T.multinomial(T.tensor([1.0, 2.0]), 3)
T.multinomial(T.tensor([1, 2]), 1)
T.normal(0.0, 1.0)
T.zeros(2, requires_grad=True).uniform_()
T.zeros(2).normal_(0, -1)
T.zeros(2).random_(5, 5)
T.randint(5, 5, (2,))
""".strip().splitlines()


def outcome(call, library):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            y = eval(call, {"T": library, "NAN": NAN, "INF": INF})
        except Exception as error:
            return error
    return y


@pytest.mark.parametrize("call", CALLS)
def test_calls(call):
    expected, y = outcome(call, torch), outcome(call, mg)
    if isinstance(expected, Exception):
        # an op says RuntimeError where PyTorch says NotImplementedError, which is one
        kind = RuntimeError if isinstance(expected, RuntimeError) else type(expected)
        assert isinstance(y, kind), repr(y)
    elif isinstance(expected, bool):
        assert y is expected
    else:
        assert not isinstance(y, Exception), repr(y)
        assert name_of(y.dtype) == name_of(expected.dtype)
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", ["erf", "erfc", "erfinv"])
def test_error_functions_to_the_last_digits(name):
    x = np.concatenate([np.linspace(-30, 30, 20001), np.geomspace(1e-300, 1, 2001)])
    x = np.tanh(x) if name == "erfinv" else x
    x = x[np.abs(x) < 1] if name == "erfinv" else x
    expected = getattr(torch, name)(torch.tensor(x)).numpy()
    y = getattr(mg, name)(mg.tensor(x)).numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-12 if name == "erfinv" else 2e-15, atol=1e-300)
    single = getattr(mg, name)(mg.tensor(x.astype(np.float32))).numpy()
    assert single.dtype == np.float32
