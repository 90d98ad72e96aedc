"""A Tensor as an object of Python and NumPy: conversions, copies, formats, hashing."""

import copy
import math
import operator
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

DTYPES = "float16 float32 float64 int8 int16 int32 int64 uint8 bool".split()


# NumPy


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_goes_to_numpy_and_back(name):
    array = np.array([[0, 1], [1, 0]]).astype(name)
    x = mg.from_numpy(array)
    assert x.dtype == getattr(mg, name) and x.dtype == np.dtype(name) and x.numpy() is array
    for back in (np.asarray(x), np.array(x), x.numpy(), x.to_numpy()):
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)
    assert np.array(x, dtype=np.float64).dtype == np.float64
    assert np.array(x) is not array and x.tolist() == array.tolist()
    assert type(x[0, 1].item()) is type(array[0, 1].item())
    assert np.zeros(2, dtype=x.dtype).dtype == array.dtype and np.dtype(x.dtype) == array.dtype


CONVERSIONS = {
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "char": "int8",
    "short": "int16",
    "int": "int32",
    "long": "int64",
    "byte": "uint8",
    "bool": "bool",
}


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("method, target", CONVERSIONS.items())
def test_conversions(source, method, target):
    array = np.array([0, 1, 2]).astype(source)
    x = mg.from_numpy(array)
    for y in (getattr(x, method)(), x.to(getattr(mg, target)), x.type(getattr(mg, target))):
        assert y.dtype == getattr(mg, target)
        np.testing.assert_array_equal(y.numpy(), array.astype(target))
    assert (getattr(x, method)() is x) == (source == target)


OPERATORS = [
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv),
    *(operator.mod, operator.pow, operator.lt, operator.le, operator.gt, operator.ge),
    *(operator.eq, operator.ne),
]


@pytest.mark.parametrize("operate", OPERATORS)
@pytest.mark.parametrize("kind", ["array", "scalar", "0-d array", "integers"])
def test_numpy_on_either_side(operate, kind):
    a = np.array([[1.0, 2.0], [3.0, 5.0]])
    other = {
        "array": np.array([[2.0, 2.0], [1.0, 4.0]]),
        "scalar": np.float64(2.0),
        "0-d array": np.array(2.0),
        "integers": np.array([2, 3]),
    }[kind]
    x = mg.from_numpy(a)
    for y, expected in ((operate(x, other), operate(a, other)), (operate(other, x), None)):
        expected = operate(other, a) if expected is None else expected
        assert type(y) is mg.Tensor
        np.testing.assert_allclose(y.numpy(), expected)
        assert y.dtype == expected.dtype
    w = mg.from_numpy(a).requires_grad_()
    y = operate(other, w)
    assert y.requires_grad == (y.dtype == mg.float64)


@pytest.mark.parametrize("operate", [operator.and_, operator.or_, operator.xor])
def test_integer_operators_with_numpy(operate):
    a, b = np.array([6, 3]), np.array([3, 5])
    for y in (operate(mg.from_numpy(a), b), operate(a, mg.from_numpy(b))):
        assert type(y) is mg.Tensor and y.tolist() == operate(a, b).tolist()


def test_matrix_product_with_numpy():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    for y in (mg.from_numpy(a) @ b, a @ mg.from_numpy(b)):
        assert type(y) is mg.Tensor and y.tolist() == (a @ b).tolist()


def test_numpys_scalars_do_not_promote():
    x = mg.ones(2)
    for number in (np.float64(2), np.sqrt(2), np.int64(3)):
        for y in (x * number, number * x, x + number, number - x, number / x):
            assert type(y) is mg.Tensor and y.dtype == mg.float32


FUNCTIONS = {
    "sqrt": np.sqrt,
    "exp": np.exp,
    "abs": np.abs,
    "argmax": np.argmax,
    "cumsum": np.cumsum,
    "sort": np.sort,
    "clip": lambda x: np.clip(x, 2, 5),
    "round": np.round,
    "reshape": lambda x: np.reshape(x, (2, 2)),
    "transpose": np.transpose,
    "maximum": lambda x: np.maximum(x, 3.0),
    "dot": lambda x: np.dot(x, x),
    "where": lambda x: np.where(x > 2, x, 0),
    "stack": lambda x: np.stack([x, x]),
    "concatenate": lambda x: np.concatenate([x, x]),
    "norm": np.linalg.norm,
    "array of tensors": lambda x: np.array([x[0], x[1]]),
    "list": lambda x: np.mean([x[0], x[1]]),
    "index": lambda x: np.arange(10.0)[x.astype(int) if hasattr(x, "astype") else x.long()],
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_of_numpy(function):
    array = np.array([4.0, 9.0, 1.0, 2.5])
    np.testing.assert_allclose(np.asarray(function(mg.from_numpy(array))), function(array))


def test_a_graph_is_never_lost_silently():
    w = mg.ones(2, requires_grad=True)
    for lose in (lambda: w.numpy(), lambda: np.asarray(w), lambda: np.sqrt(w), lambda: np.array(w)):
        with pytest.raises(RuntimeError, match="detach"):
            lose()
    assert w.detach().numpy().tolist() == [1, 1] == w.numpy(force=True).tolist()
    with pytest.raises(BufferError, match="detach"):
        np.from_dlpack(w)


def test_memory_is_shared_by_dlpack():
    x = mg.arange(6.0).reshape(2, 3)
    theirs = np.from_dlpack(x)
    x[0, 0] = 7
    assert theirs[0, 0] == 7
    array = np.zeros(3)
    y = mg.from_dlpack(array)
    y[1] = 5
    assert array.tolist() == [0, 5, 0] and y.dtype == mg.float64
    z = mg.utils.dlpack.from_dlpack(mg.ones(2))
    assert z.tolist() == [1, 1]
    with pytest.raises(TypeError, match="DLPack"):
        mg.from_dlpack([1, 2])


# Python


def test_a_tensor_of_one_element_is_a_number():
    for x in (mg.tensor(2), mg.tensor([2]), mg.tensor([[2.0]])):
        assert float(x) == 2 and int(x) == 2 and bool(x) and x.item() == 2
        assert math.sqrt(x) == math.sqrt(2) and round(float(x)) == 2
    assert int(mg.tensor(-2.9)) == -2 and not mg.tensor(0.0) and abs(mg.tensor(-1)) == 1
    two = mg.tensor([2])
    assert "abc"[two] == "c" and [1, 2, 3][two] == 3 and range(9)[two] == 2
    assert list(range(two)) == [0, 1] and [0] * two == [0, 0]
    assert mg.arange(5)[two].tolist() == [2] and mg.arange(5)[: mg.tensor(2)].tolist() == [0, 1]
    with pytest.raises(TypeError, match="index"):
        [1, 2, 3][mg.tensor(1.0)]
    for convert in (float, int):
        with pytest.raises(ValueError, match=r"\(2,\)"):
            convert(mg.ones(2))
    for convert in (bool, lambda x: x.item()):
        with pytest.raises(RuntimeError, match=r"\(2,\)"):
            convert(mg.ones(2))


FORMATS = [
    (lambda x: f"{x:.4f}", "3.1416"),
    (lambda x: f"{x:8.2f}|", "    3.14|"),
    (lambda x: "%d" % x, "3"),
    (lambda x: "%.2f and %s" % (x, "more"), "3.14 and more"),
    (lambda x: "%5.1f|" % x, "  3.1|"),
    (lambda x: "{:.3f}".format(x), "3.142"),
    (lambda x: "{0:e}".format(x), "3.141590e+00"),
    (lambda x: "{:.1%}".format(x), "314.2%"),
    (lambda x: format(x, "+.1f"), "+3.1"),
]


@pytest.mark.parametrize("form, expected", FORMATS)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_formats(form, expected, requires_grad):
    assert form(mg.tensor(3.14159, requires_grad=requires_grad)) == expected


def test_formats_without_a_specification():
    assert f"{mg.tensor(3)}" == "3" and "{}".format(mg.tensor(True)) == "True"
    assert f"{mg.tensor([1.0, 2.0])}" == "tensor([1., 2.])" == str(mg.tensor([1.0, 2.0]))
    assert f"{mg.tensor(7):d}{mg.tensor(5):03d}" == "7005"
    with pytest.raises(TypeError):
        f"{mg.ones(2):.2f}"


def test_iteration_unpacking_and_membership():
    x = mg.tensor([[1, 2], [3, 4]])
    a, b = x
    assert a.tolist() == [1, 2] and len(x) == 2 and [r.tolist() for r in x] == x.tolist()
    first, *rest = mg.arange(4)
    assert first == 0 and len(rest) == 3 and [*mg.tensor([3, 4])] == [3, 4]
    assert 3 in x and 5 not in x and mg.tensor(4) in x
    assert reversed(mg.tensor([1, 2])).tolist() == [2, 1]
    assert dict(zip("ab", mg.tensor([1, 2])))["b"] == 2
    assert sum(mg.tensor([1, 2, 3])) == 6 and max(mg.tensor([1, 5, 2])) == 5
    assert sorted([mg.tensor(2), mg.tensor(1)])[0] == 1
    for call in (len, list, iter):
        with pytest.raises(TypeError, match="0-d"):
            call(mg.tensor(1))
    with pytest.raises(RuntimeError, match="str"):
        "a" in x
    for row in x:  # views: writing through them reaches x
        row += 1
    assert x.tolist() == [[2, 3], [4, 5]]


def test_tensors_are_keys_by_identity():
    a, b = mg.ones(2), mg.ones(2)
    table = {a: "a", b: "b"}
    assert table[a] == "a" and table[b] == "b" and len({a, b, a}) == 2
    assert hash(a) == hash(a) and mg.ones(2) not in table
    assert a in [a] and (a == b).tolist() == [True, True]
    assert (a == None) is False and (a != "text") is True  # noqa: E711
    a.add_(1)
    assert table[a] == "a"


def test_the_engine_never_compares_tensors(monkeypatch):
    """Its tables are keyed by tensors, and == of tensors is elementwise."""

    def compared(self, other):
        raise AssertionError("compared")

    monkeypatch.setattr(mg.Tensor, "__eq__", compared)
    leaves = [mg.ones(2, requires_grad=True) for _ in range(3000)]
    total = sum((x * 2).sum() for x in leaves)
    gs = mg.autograd.grad(total, leaves, create_graph=True)
    assert all(g.tolist() == [2, 2] for g in gs)
    optimizer = mg.optim.Adam(leaves)
    total.backward()
    optimizer.step()


def test_user_attributes():
    x = mg.ones(2, requires_grad=True)
    x.note, x._flag = "bias", True
    assert copy.deepcopy(x).note == "bias" and pickle.loads(pickle.dumps(x)).note == "bias"
    assert (x * 2).__dict__ == {} and not hasattr(x.detach(), "note")


# copies


class Marked(nn.Parameter):
    """A user's parameter class."""


@pytest.mark.parametrize("make", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_keep_class_flags_and_values(make):
    for x in (
        mg.tensor([1.0, 2.0], dtype=mg.float64, requires_grad=True),
        mg.tensor([[1], [2]]),
        mg.tensor(True),
        mg.zeros(0, 3),
        nn.Parameter(mg.ones(2), requires_grad=False),
        nn.Parameter(mg.ones(2)),
        Marked(mg.ones(2)),
        mg.ones(3, 2).t(),
    ):
        y = make(x)
        assert type(y) is type(x) and y.requires_grad == x.requires_grad and y.is_leaf
        assert y.dtype == x.dtype and y.shape == x.shape and y.tolist() == x.tolist()
        with mg.no_grad():
            y.fill_(0)
        assert x.tolist() == make(x).tolist() and (x.numel() == 0 or x.any())


@pytest.mark.parametrize("make", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_one_tensor_twice_stays_one(make):
    x = mg.ones(2, requires_grad=True)
    a, b = make([x, x])
    assert a is b and a is not x
    model = nn.ModuleDict({"embedding": nn.Embedding(4, 3), "out": nn.Linear(3, 4, bias=False)})
    model["out"].weight = model["embedding"].weight
    twin = make(model)
    assert twin["out"].weight is twin["embedding"].weight
    assert len(list(twin.parameters())) == 1


def test_a_deep_copy_has_a_gradient_of_its_own():
    x = mg.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    y = copy.deepcopy(x)
    y.grad.zero_()
    assert x.grad.tolist() == [3, 3] and y.grad.tolist() == [0, 0]
    assert pickle.loads(pickle.dumps(x)).grad is None
    with pytest.raises(RuntimeError, match="leaves"):
        copy.deepcopy(x * 2)


# dtypes, sizes, devices


def test_dtype_objects():
    assert mg.float32 is mg.float and mg.int64 is mg.long and mg.double == mg.float64
    assert {mg.float32: 1}[mg.float] == 1 and hash(mg.int8) == hash(np.dtype("int8"))
    assert mg.float32 == np.float32 == mg.float32 and mg.int64 != np.int32 and mg.bool == bool
    assert repr(mg.float16) == "minigrad.float16" and mg.uint8.itemsize == 1
    assert pickle.loads(pickle.dumps(mg.float32)) is mg.float32
    assert copy.deepcopy({"d": mg.int32})["d"] is mg.int32
    assert isinstance(mg.ones(1).dtype, mg.dtype)
    assert [d.is_floating_point for d in (mg.float16, mg.int8, mg.bool)] == [True, False, False]
    assert mg.float32 != "nonsense" and mg.float32 != None  # noqa: E711
    with pytest.raises(TypeError, match="not supported"):
        mg.ones(2, dtype="complex64")


def test_limits():
    info = mg.finfo(mg.float32)
    assert (info.bits, info.eps, info.max) == (32, 2.0**-23, float(np.finfo("f4").max))
    assert info.tiny == info.smallest_normal == 2.0**-126 and info.min == -info.max
    assert mg.finfo().dtype == "float32" and mg.finfo(mg.float16).resolution == 0.001
    assert (mg.iinfo(mg.int8).min, mg.iinfo(mg.uint8).max) == (-128, 255)
    for call in (lambda: mg.finfo(mg.int32), lambda: mg.iinfo(mg.float32)):
        with pytest.raises(TypeError, match="info"):
            call()


def test_default_dtype():
    assert mg.get_default_dtype() is mg.float32
    try:
        mg.set_default_dtype(mg.float64)
        assert mg.tensor(1.5).dtype == mg.float64 == mg.zeros(2).dtype == mg.rand(1).dtype
        assert mg.tensor(1).dtype == mg.int64 and nn.Linear(2, 2).weight.dtype == mg.float64
        assert (mg.ones(2, dtype=mg.int64) / 2).dtype == mg.float64
    finally:
        mg.set_default_dtype(mg.float32)
    assert mg.tensor(1.5).dtype == mg.float32
    with pytest.raises(TypeError):
        mg.set_default_dtype(mg.int64)


def test_sizes():
    size = mg.ones(2, 3, 4).size()
    assert isinstance(size, mg.Size) and isinstance(size, tuple) and size == (2, 3, 4)
    assert size.numel() == 24 and isinstance(size[1:], mg.Size) and size[-1] == 4
    for other in (size[:1] + (7,), (7,) + size[:1], size * 2, 2 * size):
        assert isinstance(other, mg.Size)
    assert repr(size) == "minigrad.Size([2, 3, 4])" and hash(size) == hash((2, 3, 4))
    assert type(pickle.loads(pickle.dumps(size))) is mg.Size is type(copy.deepcopy(size))
    assert mg.zeros(size).shape == size == mg.zeros(*size).shape
    assert mg.ones(2, 3).size(-1) == 3 == mg.ones(2, 3).size(dim=1)
    with pytest.raises(IndexError):
        mg.ones(2).size(5)


def test_devices():
    cpu = mg.device("cpu")
    assert mg.ones(1).device == cpu == "cpu" and cpu.type == "cpu" and cpu.index is None
    cuda = mg.device("cuda", 1)
    assert cuda == mg.device("cuda:1") and cuda.index == 1 and str(cuda) == "cuda:1"
    assert repr(cuda) == "device(type='cuda', index=1)" and {cpu: 1}[mg.device("cpu")] == 1
    assert pickle.loads(pickle.dumps(cuda)) == cuda and mg.device(cuda) == cuda != cpu
    x = mg.ones(2)
    assert x.to(cpu) is x and x.cpu() is x and not x.is_cuda and x.get_device() == -1
    assert mg.zeros(1, device=cpu).device == cpu
    for name in ("nonsense", "cuda:x", ""):
        with pytest.raises(RuntimeError):
            mg.device(name)


# constructors of old, and type()


CONSTRUCTORS = {
    "HalfTensor": "float16",
    "FloatTensor": "float32",
    "DoubleTensor": "float64",
    "CharTensor": "int8",
    "ShortTensor": "int16",
    "IntTensor": "int32",
    "LongTensor": "int64",
    "ByteTensor": "uint8",
    "BoolTensor": "bool",
}


@pytest.mark.parametrize("name, kind", CONSTRUCTORS.items())
def test_constructors_of_old(name, kind):
    cls, dtype = getattr(mg, name), getattr(mg, kind)
    array = np.array([[1, 0], [0, 1]]).astype(kind)
    for x in (cls([[1, 0], [0, 1]]), cls(array), cls(([1, 0], [0, 1]))):
        assert x.dtype == dtype and x.tolist() == array.tolist()
    assert cls(2, 3).shape == (2, 3) and cls(4).shape == (4,) and cls().shape == (0,)
    assert cls(mg.Size([2, 1])).shape == (2, 1) and cls((1, 0)).shape == (2,)
    x = mg.from_numpy(array)
    assert isinstance(x, cls) and not isinstance(
        x, mg.LongTensor if kind != "int64" else mg.IntTensor
    )
    assert x.type() == f"minigrad.{name}"
    ones = mg.ones(2)
    for y in (ones.type(cls), ones.type(f"torch.{name}"), ones.type(name), ones.type(dtype)):
        assert y.dtype == dtype
    assert ones.type(x.type()).dtype == dtype == ones.type_as(x).dtype
    assert x.new([1]).dtype == dtype == x.new_zeros(3).dtype == x.new_tensor([1]).dtype


def test_tensor_the_class():
    assert mg.Tensor([1, 2]).dtype == mg.float32 and mg.Tensor(2, 3).shape == (2, 3)
    assert mg.Tensor(np.array([1, 2])).tolist() == [1, 2] and mg.Tensor().shape == (0,)
    assert isinstance(nn.Parameter(mg.ones(1)), mg.Tensor) and mg.is_tensor(mg.ones(1))
    assert mg.ones(1).type(mg.Tensor).dtype == mg.float32


# setters


def test_data():
    x = mg.ones(2, requires_grad=True)
    data = x.data
    assert not data.requires_grad and data.is_leaf
    data[0] = 5
    assert x.tolist() == [5, 1]
    y = mg.tensor([7.0, 8.0])
    x.data = y
    y[0] = 0
    assert x.tolist() == [0, 8] and x.requires_grad and x.is_leaf
    x.data = mg.ones(3)  # another shape is allowed, as in PyTorch
    assert x.shape == (3,)
    for wrong, error in ((3.0, TypeError), (mg.ones(2, dtype=mg.int64), RuntimeError)):
        with pytest.raises(error):
            x.data = wrong


def test_grad():
    x = mg.ones(2, requires_grad=True)
    assert x.grad is None
    x.grad = mg.tensor([1.0, 2.0])
    x.grad.mul_(2)
    assert x.grad.tolist() == [2, 4]
    for wrong, error in ((1.0, TypeError), (mg.ones(3), RuntimeError), (mg.ones(2).double(), None)):
        with pytest.raises(error or RuntimeError):
            x.grad = wrong
    x.grad = None
    assert x.grad is None
    x.grad = mg.ones(2)
    del x.grad
    assert x.grad is None


def test_requires_grad():
    x = mg.ones(2)
    x.requires_grad = True
    assert x.requires_grad_(False) is x and not x.requires_grad
    with pytest.raises(RuntimeError, match="floating"):
        mg.ones(2, dtype=mg.int64).requires_grad = True
    h = x.requires_grad_() * 2
    with pytest.raises(RuntimeError, match="detach"):
        h.requires_grad = False
    assert h.requires_grad_() is h
