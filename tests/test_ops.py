"""Every op of the table: values, gradients, dtypes, layouts, and a stricter backend than CuPy."""

import inspect
import itertools
import math
import types

import numpy as np
import pytest
import rows_elementwise
import rows_shape
import rows_surface
from devices import DEVICES, TOLERANCES
from ops_table import DOMAINS, EMPTY, ROWS, UNIT, inputs_of
from strict_backend import STRICT

import minigrad as mg
from minigrad import methods, ops
from minigrad.testing import gradcheck

# what keeps its dtype whatever comes in is left out of the float32 tests
CASTS = {"cast", "float_power"}
table = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
float_table = pytest.mark.parametrize(
    "row", [row for row in ROWS if row.name not in CASTS], ids=lambda row: row.id
)
large_table = pytest.mark.parametrize(
    "row", [row for row in ROWS if any(math.prod(s) > 1 for s in row.shapes)], ids=lambda r: r.id
)


def several(ys):
    return tuple(ys) if isinstance(ys, tuple) else (ys,)


def leaves(arrays, device="cpu"):
    return [mg.tensor(x, device=device, requires_grad=True) for x in arrays]


def cotangents(ys):
    rng = np.random.default_rng(7)
    return [mg.tensor(rng.standard_normal(y.shape).astype(y.dtype), device=y.device) for y in ys]


def gradients(op, xs):
    ys = [y for y in several(op(*xs)) if y.dtype.kind == "f"]
    gs = mg.grad(ys, xs, cotangents(ys), allow_unused=True)
    return [np.zeros(x.shape, x.dtype) if g is None else g.cpu().numpy() for x, g in zip(xs, gs)]


def reference(row, arrays):
    with np.errstate(all="ignore"):
        return several(row.reference(*arrays))


def check_values(ys, expected, rtol, dtype=None):
    ys = several(ys)
    assert len(ys) == len(expected)
    for y, e in zip(ys, expected):
        assert y.shape == np.shape(e)
        if dtype is not None and y.dtype.kind == "f":
            assert y.dtype == dtype
        np.testing.assert_allclose(y.detach().cpu().numpy(), e, rtol=rtol, atol=rtol)


@table
def test_value(row):
    arrays = inputs_of(row)
    for call in row.calls():
        check_values(call(*leaves(arrays)), reference(row, arrays), 1e-12, "float64")


@table
def test_gradients_of_order_1_and_2(row):
    gradcheck(row.calls()[0], leaves(inputs_of(row)), order=2, eps=1e-5, atol=1e-6, rtol=1e-5)


@float_table
def test_float32_stays_float32_and_inputs_stay_untouched(row):
    arrays = inputs_of(row, "float32")
    for call in row.calls():
        xs = leaves(arrays)
        check_values(call(*xs), reference(row, arrays), 1e-5, "float32")
        exact = gradients(call, leaves(inputs_of(row)))
        for x, array, g, e in zip(xs, arrays, gradients(call, xs), exact):
            assert g.dtype == "float32" and g.shape == array.shape
            np.testing.assert_allclose(g, e, rtol=2e-4, atol=2e-4)
            assert x.to_numpy().tobytes() == array.tobytes()


@table
def test_inputs_and_weights_stay_untouched_at_order_2(row):
    arrays = inputs_of(row)
    xs = leaves(arrays)
    ys = [y for y in several(row.calls()[0](*xs)) if y.dtype.kind == "f"]
    ws = [w.requires_grad_() for w in cotangents(ys)]
    before = [w.to_numpy().copy() for w in ws]
    gs = mg.grad(ys, xs, ws, create_graph=True, allow_unused=True)
    gs = [g for g in gs if g is not None and g.requires_grad]
    if gs:
        mg.grad(gs, [*xs, *ws], cotangents(gs), allow_unused=True)
    for x, array in zip([*xs, *ws], [*arrays, *before], strict=True):
        assert x.to_numpy().tobytes() == array.tobytes()


def transposed(x):
    return np.ascontiguousarray(x.T).T


def strided(x):
    if not x.ndim:
        return x
    wide = np.full([2 * n for n in x.shape], np.nan, x.dtype)
    wide[tuple(slice(None, None, 2) for _ in x.shape)] = x
    return wide[tuple(slice(None, None, 2) for _ in x.shape)]


def backwards(x):
    return np.asarray(np.flip(np.flip(x).copy()))


@pytest.mark.parametrize("layout", [transposed, strided, backwards])
@large_table
def test_memory_layout_does_not_matter(row, layout):
    arrays = inputs_of(row)
    xs = [mg.from_numpy(layout(x)).requires_grad_() for x in arrays]
    call = row.calls()[0]
    check_values(call(*xs), reference(row, arrays), 1e-12)
    for g, e in zip(gradients(call, xs), gradients(call, leaves(arrays))):
        np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-12)


@large_table
def test_broadcast_inputs(row):
    """Inputs whose elements share memory, as `expand` makes them: stride 0, read-only."""
    if {"distinct"} & set(row.domains):
        pytest.skip("needs elements that differ")
    arrays = [np.broadcast_to(x[:1], x.shape) if x.ndim else x for x in inputs_of(row)]
    xs = [mg.from_numpy(x).requires_grad_() for x in arrays]
    check_values(row.calls()[0](*xs), reference(row, arrays), 1e-12)
    copies = leaves([x.copy() for x in arrays])
    for g, e in zip(gradients(row.calls()[0], xs), gradients(row.calls()[0], copies)):
        np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-12)


LOOKS = "0-d id", "mask", "mask of rows", "mask of a dim", "empty mask"


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@float_table
def test_on_a_device(row, dtype, device):
    if row.name == "cast" and dtype == "float32":
        return
    arrays, rtol = inputs_of(row, dtype), TOLERANCES[device][dtype]
    for call in row.calls():
        xs = leaves(arrays, device)
        before = STRICT.downloads
        ys = call(*xs)
        floats = [y for y in several(ys) if y.dtype.kind == "f"]
        gs = mg.grad(floats, xs, cotangents(floats), allow_unused=True)
        # a tensor as an integer has to be looked at, as in PyTorch, and how much a mask picks
        looks = row.name in ("to_device", "matrix_exp", "masked_select") or row.tag in LOOKS
        assert STRICT.downloads == before or looks, "an op looked at values"
        for y in several(ys):
            assert y.device == device or row.name == "to_device"
        check_values(ys, reference(row, arrays), rtol, dtype)
        for g, e in zip(gs, gradients(call, leaves(arrays))):
            g = np.zeros_like(e) if g is None else g.cpu().numpy()
            assert g.dtype == dtype
            np.testing.assert_allclose(g, e, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("device", DEVICES)
@float_table
def test_second_derivatives_on_a_device(row, device):
    results, tolerance = [], TOLERANCES[device]["float64"]
    for here in ("cpu", device):
        xs = leaves(inputs_of(row), here)
        ys = [y for y in several(row.calls()[0](*xs)) if y.dtype.kind == "f"]
        ws = [w.requires_grad_() for w in cotangents(ys)]
        gs = mg.grad(ys, xs, ws, create_graph=True, allow_unused=True)
        gs = [g for g in gs if g is not None and g.requires_grad]
        seconds = mg.grad(gs, [*xs, *ws], cotangents(gs), allow_unused=True) if gs else ()
        results.append([g if g is None else g.cpu().numpy() for g in seconds])
    for a, b in zip(*results, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# the table is complete

CONSTANTS = "argmax argmin all any".split()
# in test_engine, test_inplace, test_autograd, test_tensor
OTHER_FUNCTIONS = (
    """copy_ fill_ zero_ region_of set_item index_put_ from_dlpack to_dlpack""".split()
)
OTHER_METHODS = """argmax argmin all any size dim ndimension numel nelement element_size stride
data_ptr
    is_floating_point is_contiguous contiguous follow to_numpy numpy item tolist to type type_as cpu
    cuda get_device float double half long int short char byte bool requires_grad_ detach detach_
    backward changed new set_ resize_ apply_ map_ is_shared share_memory_ pin_memory
    register_hook register_post_accumulate_grad_hook retain_grad""".split()
IN_PLACE = {f"{name}_" for name in methods.IN_PLACE + methods.RESHAPED}


def test_every_differentiable_function_has_a_row():
    have = {row.name for row in ROWS}
    public = {
        name
        for name, value in vars(ops).items()
        if isinstance(value, types.FunctionType) and not name.startswith("_")
    }
    constants = {*rows_elementwise.CONSTANTS, *rows_shape.CONSTANTS, *rows_surface.CONSTANTS}
    assert public - have - constants - {*CONSTANTS, *OTHER_FUNCTIONS} == set()


def test_every_tensor_method_has_a_row():
    have = {row.name for row in ROWS}
    known = {
        name
        for name, value in inspect.getmembers(mg.Tensor, inspect.isfunction)
        if not name.startswith("_")
    }
    constants = {*rows_elementwise.CONSTANTS, *rows_shape.CONSTANTS, *rows_surface.CONSTANTS}
    assert known - have - constants - IN_PLACE - {*OTHER_METHODS, *OTHER_FUNCTIONS} == set()


IN_PLACE_ROWS = {row.name: row for row in ROWS if row.op is None and row.name in methods.IN_PLACE}


@pytest.mark.parametrize("name", IN_PLACE_ROWS)
def test_the_twin_in_place_does_the_same(name):
    row = IN_PLACE_ROWS[name]
    twin = getattr(mg.Tensor, f"{name}_")
    xs, ys = leaves(inputs_of(row)), leaves(inputs_of(row))
    expected = getattr(mg, name)(xs[0] * 1, *xs[1:], *row.args, **row.kwargs)
    start = ys[0] * 1
    if expected.shape != start.shape:
        with pytest.raises(RuntimeError, match="in place"):
            twin(start, *ys[1:], *row.args, **row.kwargs)
        return
    memory = start.array
    made = twin(start, *ys[1:], *row.args, **row.kwargs)
    assert made is start and made.array is memory
    np.testing.assert_array_equal(made.to_numpy(), expected.to_numpy())
    if expected.requires_grad:
        expected.sum().backward()
        made.sum().backward()
        for x, y in zip(xs, ys):
            assert (x.grad is None) == (y.grad is None)
            assert x.grad is None or x.grad.tolist() == y.grad.tolist()


# ties, kinks and borders, by written formula


def gradient_at(op, *values):
    xs = [mg.tensor(v, dtype="float64", requires_grad=True) for v in values]
    op(*xs).sum().backward()
    return [x.grad.tolist() for x in xs]


KINKS = [
    ("relu", mg.relu, [[-1.0, 0.0, 1.0]], [[0, 0, 1]]),
    ("abs", mg.abs, [[-1.0, 0.0, 1.0]], [[-1, 0, 1]]),
    ("clamp", lambda x: x.clamp(-1, 1), [[-2.0, -1.0, 0.0, 1.0, 2.0]], [[0, 1, 1, 1, 0]]),
    ("maximum", mg.maximum, [[1.0, 2.0, 3.0], [1.0, 5.0, 0.0]], [[0.5, 0, 1], [0.5, 1, 0]]),
    ("minimum", mg.minimum, [[1.0, 2.0, 3.0], [1.0, 5.0, 0.0]], [[0.5, 1, 0], [0.5, 0, 1]]),
    ("amax", lambda x: mg.amax(x, 0), [[2.0, 1.0, 2.0, 2.0]], [[1 / 3, 0, 1 / 3, 1 / 3]]),
    ("amin", lambda x: mg.amin(x, 0), [[1.0, 1.0, 2.0]], [[0.5, 0.5, 0]]),
    ("max", lambda x: mg.max(x), [[2.0, 1.0, 2.0]], [[0.5, 0, 0.5]]),
    ("max dim", lambda x: mg.max(x, 0).values, [[1.0, 2.0, 2.0]], [[0, 1, 0]]),
    ("min dim", lambda x: mg.min(x, 0).values, [[1.0, 1.0, 2.0]], [[1, 0, 0]]),
    ("pow", mg.pow, [[0.0, 0.0, 0.0, 2.0], [2.0, 1.0, 0.0, 0.0]],
     [[0, 1, 0, 0], [0, 0, 0, math.log(2)]]),
    ("norm", mg.norm, [[3.0, 4.0]], [[0.6, 0.8]]),
]  # fmt: skip


@pytest.mark.parametrize("op, values, expected", [k[1:] for k in KINKS], ids=[k[0] for k in KINKS])
def test_gradient_where_it_is_a_convention(op, values, expected):
    for given, want in zip(gradient_at(op, *values), expected, strict=True):
        np.testing.assert_allclose(given, want, rtol=1e-14)


def test_norm_of_zeros_has_gradient_zero():
    assert gradient_at(mg.norm, [0.0, 0.0]) == [[0, 0]]


def test_power_keeps_the_exponent_in_float64():
    x = mg.tensor([3.0], dtype="float64", requires_grad=True)
    (x**2.3).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2.3 * 3.0**1.3, rtol=1e-15)


# numbers that overflow

HUGE = np.array([[-1000.0, 0.0, 1000.0], [1000.0, 1000.0, -1000.0]], np.float32)
STABLE = [
    ("sigmoid", mg.sigmoid, [[0, 0.5, 1], [1, 1, 0]]),
    ("softmax", lambda x: mg.softmax(x, 1), [[0, 0, 1], [0.5, 0.5, 0]]),
    ("logsumexp", lambda x: mg.logsumexp(x, 1), [1000, 1000 + math.log(2)]),
    ("log_softmax", lambda x: mg.log_softmax(x, 1),
     [[-2000, -1000, 0], [-math.log(2), -math.log(2), -2000 - math.log(2)]]),
    ("tanh", mg.tanh, [[-1, 0, 1], [1, 1, -1]]),
]  # fmt: skip


@pytest.mark.parametrize("op", [mg.softmax, mg.log_softmax, mg.logsumexp])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_stays_visible(op, bad):
    """NaN makes NaN; so does inf, but for a sum, which it makes infinite."""
    y = op(mg.tensor([[0.0, bad, 1.0], [0.0, 1.0, 2.0]]), 1).numpy()
    if op is mg.logsumexp and bad == math.inf:
        assert y[0] == math.inf
    else:
        assert np.isnan(y[0]).any()
    assert np.isfinite(y[1]).all()


@pytest.mark.parametrize("device", ["cpu", *DEVICES])
@pytest.mark.parametrize("op, expected", [s[1:] for s in STABLE], ids=[s[0] for s in STABLE])
def test_stable_at_1000(op, expected, device):
    x = mg.tensor(HUGE, device=device, requires_grad=True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = op(x)
        (g,) = mg.grad(y, x, mg.ones_like(y), create_graph=True)
        mg.grad(g, x, mg.ones_like(g), allow_unused=True)
    np.testing.assert_allclose(y.detach().cpu().numpy(), expected, rtol=1e-6, atol=1e-30)
    assert y.dtype == "float32" and np.isfinite(g.detach().cpu().numpy()).all()


@pytest.mark.parametrize("value, expected", [(-np.inf, -np.inf), (np.inf, np.inf)])
def test_logsumexp_of_infinities(value, expected):
    with np.errstate(all="ignore"):
        assert mg.tensor([value, value]).logsumexp(0).item() == expected


def threes(a):
    """3 where a is positive, else 0: integers."""
    return (a > 0).long() * 3


# constants to the tape

A = np.array([[1.0, -2.0, 0.0], [np.inf, 2.0, np.nan]], np.float32)
B = np.array([1.0, 2.0, 0.0], np.float32)
CONSTANT_ROWS = [
    ("eq", lambda a, b: a == b, np.equal, 2, "bool"),
    ("ne", lambda a, b: a != b, np.not_equal, 2, "bool"),
    ("lt", lambda a, b: a < b, np.less, 2, "bool"),
    ("le", lambda a, b: a <= b, np.less_equal, 2, "bool"),
    ("gt", lambda a, b: a > b, np.greater, 2, "bool"),
    ("ge", lambda a, b: a >= b, np.greater_equal, 2, "bool"),
    ("eq function", mg.eq, np.equal, 2, "bool"),
    ("lt number", lambda a: a < 1, lambda a: a < 1, 1, "bool"),
    ("gt number left", lambda a: 1 > a, lambda a: a < 1, 1, "bool"),
    ("and", lambda a, b: (a > 0) & (b > 0), lambda a, b: (a > 0) & (b > 0), 2, "bool"),
    ("or", lambda a, b: (a > 0) | (b > 0), lambda a, b: (a > 0) | (b > 0), 2, "bool"),
    ("not", lambda a: ~(a > 0), lambda a: ~(a > 0), 1, "bool"),
    ("logical_not", mg.logical_not, np.logical_not, 1, "bool"),
    ("integer and", lambda a: threes(a) & 2, lambda a: (a > 0) * 3 & 2, 1, "int64"),
    ("integer or", lambda a: mg.bitwise_or(threes(a), 4), lambda a: (a > 0) * 3 | 4, 1, "int64"),
    ("integer not", lambda a: ~threes(a), lambda a: ~((a > 0) * 3), 1, "int64"),
    ("bitwise_not", lambda a: mg.bitwise_not(a > 0), lambda a: ~(a > 0), 1, "bool"),
    ("bitwise_and", lambda a: mg.bitwise_and(a > 0, True), lambda a: a > 0, 1, "bool"),
    ("isfinite", mg.isfinite, np.isfinite, 1, "bool"),
    ("argmax", lambda a: a[:1].argmax(), lambda a: np.argmax(a[:1]), 1, "int64"),
    ("argmax dim", lambda a: mg.argmax(a, 1), lambda a: np.argmax(a, 1), 1, "int64"),
    ("argmin", lambda a: a.argmin(0, True), lambda a: np.argmin(a, 0, keepdims=True), 1, "int64"),
    ("argmin dim", lambda a: mg.argmin(a, -1), lambda a: np.argmin(a, -1), 1, "int64"),
    ("all", lambda a: (a == a).all(), lambda a: (a == a).all(), 1, "bool"),
    ("all dim", lambda a: mg.all(a == a, 1), lambda a: (a == a).all(1), 1, "bool"),
    ("any", lambda a: (a != a).any(), lambda a: (a != a).any(), 1, "bool"),
    ("any dim", lambda a: (a > 0).any(0, True), lambda a: (a > 0).any(0, keepdims=True), 1, "bool"),
]  # fmt: skip


@pytest.mark.parametrize("device", ["cpu", *DEVICES])
@pytest.mark.parametrize(
    "op, expected, count, dtype", [r[1:] for r in CONSTANT_ROWS], ids=[r[0] for r in CONSTANT_ROWS]
)
def test_constants(op, expected, count, dtype, device):
    arrays = (A, B)[:count]
    y = op(*leaves(arrays, device))
    assert isinstance(y, mg.Tensor) and y.device == device
    assert not y.requires_grad and y.is_leaf
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.cpu().numpy(), expected(*arrays))


def test_constants_of_empty_and_0d():
    assert mg.zeros(0).all().item() is True
    assert mg.zeros(0).any().item() is False
    assert mg.tensor(3.0).argmax().item() == 0
    assert (mg.tensor(3.0) == 3).item() is True
    assert (mg.zeros(0, 3) == mg.zeros(3)).shape == (0, 3)


# where tensors are born

MADE = [
    ("float", lambda: mg.tensor(1.5), "float32", 1.5),
    ("int", lambda: mg.tensor(2), "int64", 2),
    ("bool", lambda: mg.tensor(True), "bool", True),
    ("floats", lambda: mg.tensor([[1.0, 2.0]]), "float32", [[1, 2]]),
    ("int and float", lambda: mg.tensor([1, 2.5]), "float32", [1, 2.5]),
    ("ints", lambda: mg.tensor([1, 2]), "int64", [1, 2]),
    ("bools", lambda: mg.tensor([True, False]), "bool", [True, False]),
    ("nothing", lambda: mg.tensor([]), "float32", []),
    ("float64 array", lambda: mg.tensor(np.ones(2)), "float64", [1, 1]),
    ("float16 array", lambda: mg.tensor(np.ones(2, np.float16)), "float16", [1, 1]),
    ("int32 array", lambda: mg.tensor(np.arange(2, dtype=np.int32)), "int32", [0, 1]),
    ("float64 scalar", lambda: mg.tensor(np.float64(1.5)), "float64", 1.5),
    ("tensors", lambda: mg.tensor([mg.tensor(1.0), mg.tensor(2.0)]), "float32", [1, 2]),
    ("asked", lambda: mg.tensor([1, 2], dtype=mg.float16), "float16", [1, 2]),
    ("as_tensor", lambda: mg.as_tensor([1.0]), "float32", [1]),
    ("as_tensor dtype", lambda: mg.as_tensor(np.ones(1), dtype="int32"), "int32", [1]),
    ("from_numpy", lambda: mg.from_numpy(np.ones(2)), "float64", [1, 1]),
    ("zeros", lambda: mg.zeros(2, 1), "float32", [[0], [0]]),
    ("zeros tuple", lambda: mg.zeros((2,)), "float32", [0, 0]),
    ("zeros 0-d", lambda: mg.zeros(()), "float32", 0),
    ("zeros int", lambda: mg.zeros(2, dtype=mg.int64), "int64", [0, 0]),
    ("ones", lambda: mg.ones(2), "float32", [1, 1]),
    ("full float", lambda: mg.full((2,), 1.5), "float32", [1.5, 1.5]),
    ("full int", lambda: mg.full((2,), 3), "int64", [3, 3]),
    ("full bool", lambda: mg.full((2,), True), "bool", [True, True]),
    ("full asked", lambda: mg.full((2,), 3, dtype="float64"), "float64", [3, 3]),
    ("eye", lambda: mg.eye(2), "float32", [[1, 0], [0, 1]]),
    ("eye wide", lambda: mg.eye(1, 3), "float32", [[1, 0, 0]]),
    ("arange", lambda: mg.arange(3), "int64", [0, 1, 2]),
    ("arange from", lambda: mg.arange(2, 8, 3), "int64", [2, 5]),
    ("arange down", lambda: mg.arange(3, 0, -1), "int64", [3, 2, 1]),
    ("arange float", lambda: mg.arange(0, 1, 0.25), "float32", [0, 0.25, 0.5, 0.75]),
    ("arange float end", lambda: mg.arange(2.0), "float32", [0, 1]),
    ("zeros_like", lambda: mg.zeros_like(mg.arange(2)), "int64", [0, 0]),
    ("ones_like", lambda: mg.ones_like(mg.rand(2)), "float32", [1, 1]),
    ("ones_like asked", lambda: mg.ones_like(mg.rand(2), dtype="float64"), "float64", [1, 1]),
    ("full_like", lambda: mg.full_like(mg.zeros(2), 3), "float32", [3, 3]),
]  # fmt: skip


@pytest.mark.parametrize("make, dtype, values", [m[1:] for m in MADE], ids=[m[0] for m in MADE])
def test_creation(make, dtype, values):
    x = make()
    assert x.dtype == dtype and x.device == "cpu" and not x.requires_grad
    np.testing.assert_array_equal(x.numpy(), np.array(values))


RANDOM = [
    ("rand", lambda g, d: mg.rand(500, generator=g, device=d), "float32"),
    ("rand tuple", lambda g, d: mg.rand((20, 25), generator=g, device=d), "float32"),
    ("randn", lambda g, d: mg.randn(500, generator=g, device=d), "float32"),
    ("randn 64", lambda g, d: mg.randn(500, generator=g, device=d, dtype="float64"), "float64"),
    ("randint", lambda g, d: mg.randint(3, 9, (500,), generator=g, device=d), "int64"),
    ("randint high", lambda g, d: mg.randint(6, (500,), generator=g, device=d), "int64"),
    ("randperm", lambda g, d: mg.randperm(500, generator=g, device=d), "int64"),
]


@pytest.mark.parametrize("name, draw, dtype", RANDOM, ids=[r[0] for r in RANDOM])
def test_random(name, draw, dtype):
    g = mg.Generator(5)
    first, second = draw(g, "cpu"), draw(g, "cpu")
    x = first.numpy()
    assert x.dtype == dtype and x.size == 500
    assert not np.array_equal(x, second.numpy())
    again = draw(mg.Generator(5), "strict")
    assert again.device == "strict" and np.array_equal(again.cpu().numpy(), x)
    if name.startswith("randn"):
        assert abs(x.mean()) < 0.2 and abs(x.std() - 1) < 0.15
    elif name.startswith("randint"):
        assert set(x.tolist()) == set(range(3, 9) if name == "randint" else range(6))
    elif name == "randperm":
        assert sorted(x.tolist()) == list(range(500))
    else:
        assert x.min() >= 0 and x.max() < 1 and abs(x.mean() - 0.5) < 0.06


def test_generator_state_can_be_saved_and_restored():
    g = mg.Generator(1)
    mg.rand(3, generator=g)
    state = g.get_state()
    a = mg.rand(3, generator=g).numpy()
    g.set_state(state)
    assert np.array_equal(mg.rand(3, generator=g).numpy(), a)
    mg.manual_seed(4)
    a = mg.randn(3).numpy()
    mg.manual_seed(4)
    assert np.array_equal(mg.randn(3).numpy(), a)


def test_tensor_copies_and_from_numpy_shares():
    array = np.zeros(2)
    copy, shared = mg.tensor(array), mg.from_numpy(array)
    array[0] = 5
    assert copy.tolist() == [0, 0] and shared.tolist() == [5, 0]
    x = mg.tensor([1.0])
    assert mg.as_tensor(x) is x
    with pytest.warns(UserWarning, match="clone"):
        y = mg.tensor(x)
    x.fill_(3)
    assert y.tolist() == [1]


@pytest.mark.parametrize("data", ["text", [[1], [1, 2]], object(), [1j]])
def test_tensor_refuses_what_is_not_numbers(data):
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        mg.tensor(data)


# type promotion: Python numbers by type, 0-d tensors as "0 dtype"

# fmt: skip
f16, f32, f64, i8, i32, i64, u8, b = "float16 float32 float64 int8 int32 int64 uint8 bool".split()
PROMOTION = [
    # tensor with tensor: the larger of the higher kind
    (f32, f32, f32), (f32, f64, f64), (f16, f32, f32), (f32, i64, f32), (f16, i64, f16),
    (f64, i8, f64), (f32, b, f32), (i32, i64, i64), (i8, u8, "int16"), (i64, b, i64), (u8, b, u8),
    (u8, i64, i64), (i8, i32, i32),
    # tensor with number
    (f32, 1, f32), (f32, 1.5, f32), (f32, True, f32), (f16, 1.5, f16), (f64, 1.5, f64),
    (i64, 1, i64), (i64, 1.5, f32), (i32, 1, i32), (i8, 1.5, f32), (u8, 1, u8), (i32, True, i32),
    (b, 1, i64), (b, 1.5, f32),
    # tensor with a 0-d tensor of the same or a lower kind: the dimension wins
    (f32, "0 float64", f32), (f16, "0 float64", f16), (f32, "0 int64", f32), (i32, "0 int64", i32),
    (u8, "0 int64", u8), (i64, "0 bool", i64), (f16, "0 float32", f16),
    # a 0-d tensor of a higher kind wins
    (i64, "0 float32", f32), (i64, "0 float64", f64), (i32, "0 float16", f16), (b, "0 int32", i32),
    (b, "0 float64", f64),
    # 0-d tensors among themselves, and with numbers
    ("0 float32", "0 float64", f64), ("0 int64", "0 float32", f32), ("0 int32", "0 int64", i64),
    ("0 float32", 1.5, f32), ("0 float64", 1.5, f64), ("0 int64", 1.5, f32), ("0 bool", 1, i64),
    ("0 float16", 1, f16),
]  # fmt: skip


def operand(kind, device="cpu"):
    if not isinstance(kind, str):
        return kind
    shape = () if kind.startswith("0 ") else (2,)
    return mg.ones(shape, dtype=kind.removeprefix("0 "), device=device)


PROMOTING = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "where": lambda a, b: mg.where(mg.tensor([True, False]), a, b),
}


@pytest.mark.parametrize("name", PROMOTING)
@pytest.mark.parametrize("x, y, expected", PROMOTION)
def test_promotion(name, x, y, expected):
    op = PROMOTING[name]
    assert op(operand(x), operand(y)).dtype == expected
    assert op(operand(y), operand(x)).dtype == expected


@pytest.mark.parametrize("x, y, expected", PROMOTION)
def test_promotion_on_the_strict_backend(x, y, expected):
    assert (operand(x, "strict") + operand(y, "strict")).dtype == expected


@pytest.mark.parametrize("x, y, expected", PROMOTION)
def test_promotion_of_division_is_floating(x, y, expected):
    expected = expected if expected.startswith("float") else f32
    assert (operand(x) / operand(y)).dtype == expected


@pytest.mark.parametrize("x, y, expected", [r for r in PROMOTION if isinstance(r[1], str)])
def test_promotion_of_result_type(x, y, expected):
    assert mg.result_type(operand(x).array, operand(y).array) == expected


@pytest.mark.parametrize(
    "x, y, expected",
    [r for r in PROMOTION if isinstance(r[1], str) and "0" not in (r[0][0], r[1][0])],
)
def test_promotion_of_cat(x, y, expected):
    assert mg.cat([operand(x), operand(y)]).dtype == expected
    assert mg.stack([operand(x), operand(y)]).dtype == expected


ONE = [
    ("exp", mg.exp, f32), ("log", mg.log, f32), ("sqrt", mg.sqrt, f32), ("sin", mg.sin, f32),
    ("cos", mg.cos, f32), ("tanh", mg.tanh, f32), ("sigmoid", mg.sigmoid, f32),
    ("relu", mg.relu, i64), ("abs", mg.abs, i64), ("neg", mg.neg, i64), ("sum", mg.sum, i64),
    ("amax", mg.amax, i64), ("sign", mg.sign, i64), ("square", lambda x: x**2, i64),
    ("root", lambda x: x**0.5, f32), ("clamp", lambda x: x.clamp(0, 1), i64),
    ("clamp float", lambda x: x.clamp(0.5, 1.5), f32),
    ("logsumexp", lambda x: x.logsumexp(0), f32),
    ("softmax", lambda x: x.float().softmax(0), f32), ("unary minus", lambda x: -x, i64),
]  # fmt: skip


@pytest.mark.parametrize("op, expected", [r[1:] for r in ONE], ids=[r[0] for r in ONE])
def test_integers_into_functions(op, expected):
    assert op(mg.tensor([1, 2])).dtype == expected


@pytest.mark.parametrize("dtype", [b, u8, i8, i32])
def test_sums_of_small_integers_are_int64(dtype):
    x = mg.ones(300, dtype=dtype).sum()
    assert x.dtype == "int64" and x.item() == 300


def test_mean_of_integers_is_an_error():
    with pytest.raises(RuntimeError, match="mean of int64.*floating"):
        mg.arange(3).mean()


def test_gradient_has_the_dtype_of_its_input():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = mg.tensor([1.0, 2.0], dtype="float64", requires_grad=True)
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == ("float32", "float64")
    x.grad = None
    (x * mg.arange(2)).sum().backward()
    assert x.grad.dtype == "float32" and x.grad.tolist() == [0, 1]
    x.grad = None
    mg.cat([x, mg.arange(2)]).sum().backward()
    assert x.grad.dtype == "float32"


def test_cast_has_the_dtype_asked_for_and_a_gradient_of_the_old():
    for src, dst in itertools.product((f16, f32, f64), repeat=2):
        x = mg.tensor([1.5, -2.0], dtype=src, requires_grad=True)
        y = mg.cast(x, dst)
        assert y.dtype == dst and y.tolist() == [1.5, -2.0]
        (y * 3).sum().backward()
        assert x.grad.dtype == src and x.grad.tolist() == [3, 3]
    assert mg.tensor([1.7, -1.7]).long().tolist() == [1, -1]
    assert mg.tensor([0.0, 2.0]).bool().tolist() == [False, True]
    assert not mg.tensor([1.0], requires_grad=True).long().requires_grad


# errors at the border

ERRORS = [
    ("dim", lambda: mg.zeros(2, 3).sum(2), IndexError, r"dimension 2.*2 dimensions"),
    ("transpose", lambda: mg.zeros(2, 3).transpose(0, 2), IndexError, "dimension 2"),
    ("unsqueeze", lambda: mg.zeros(2).unsqueeze(3), IndexError, "dimension 3"),
    ("softmax", lambda: mg.zeros(2).softmax(1), IndexError, "dimension 1"),
    ("t", lambda: mg.zeros(2, 2, 2).t(), RuntimeError, "at most 2"),
    ("split", lambda: mg.zeros(4).split([1, 2]), RuntimeError, "add up to 4"),
    ("cat", lambda: mg.cat([]), ValueError, "empty list"),
    ("stack", lambda: mg.stack([]), RuntimeError, "empty list"),
    ("reshape", lambda: mg.zeros(4).reshape(3), RuntimeError, r"Reshape\(float32 \(4,\)\)"),
    ("index", lambda: mg.zeros(4)[4], IndexError, "4"),
    ("ids", lambda: mg.zeros(4)[mg.tensor([5])], IndexError, "5"),
    ("matmul", lambda: mg.zeros(2, 3) @ mg.zeros(2, 3), RuntimeError, r"\(2, 3\).*\(2, 3\)"),
    ("matmul 0-d", lambda: mg.zeros(2) @ mg.tensor(1.0), RuntimeError, "at least 1 dimension"),
    ("matmul dtypes", lambda: mg.zeros(2) @ mg.zeros(2, dtype="float64"), RuntimeError, "float64"),
    ("text", lambda: mg.add(mg.zeros(2), "a"), TypeError, "str"),
    ("iteration", lambda: list(mg.tensor(1.0)), TypeError, "0-d"),
    ("len", lambda: len(mg.tensor(1.0)), TypeError, "0-d"),
]  # fmt: skip


@pytest.mark.parametrize("call, kind, text", [e[1:] for e in ERRORS], ids=[e[0] for e in ERRORS])
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_the_table_itself_covers_0d_and_empty():
    assert len({row.id for row in ROWS}) == len(ROWS)
    for domain in DOMAINS:
        assert any(domain in row.domains for row in ROWS)
    for shape in (UNIT, EMPTY):
        assert sum(shape in row.shapes for row in ROWS) > 20
