"""Where tensors are born: values, dtypes, errors."""

import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops import legacy, new_empty, new_full, new_ones, new_tensor, new_zeros

X = mg.tensor([[1.0, 2.0]], dtype="float64")
I = mg.tensor([1, 2])
MADE = [
    ("numpy scalar", lambda: mg.tensor([np.float64(1.5)]), "float64", [1.5]),
    ("float32 scalar", lambda: mg.tensor([np.float32(1.5)]), "float32", [1.5]),
    ("int32 scalar", lambda: mg.tensor([np.int32(1)]), "int32", [1]),
    ("arrays in a list", lambda: mg.tensor([np.ones(2), [1, 2]]), "float64", [[1, 1], [1, 2]]),
    ("bool and int", lambda: mg.tensor([True, 2]), "int64", [1, 2]),
    ("bool and float", lambda: mg.tensor([True, 2.5]), "float32", [1, 2.5]),
    ("range", lambda: mg.tensor(range(3)), "int64", [0, 1, 2]),
    ("cut off", lambda: mg.tensor([1.9, -1.9], dtype=mg.int64), "int64", [1, -1]),
    ("wrapped", lambda: mg.tensor([-1], dtype=mg.uint8), "uint8", [255]),
    ("inner empty", lambda: mg.tensor([[]]), "float32", [[]]),
    ("big endian", lambda: mg.tensor(np.array([1, 2], ">i4")), "int32", [1, 2]),
    ("as_tensor", lambda: mg.as_tensor([1, 2], dtype=mg.float64), "float64", [1, 2]),
    ("asarray", lambda: mg.asarray([1.0, 2.0]), "float32", [1, 2]),
    ("asarray copy", lambda: mg.asarray(np.ones(2), copy=True), "float64", [1, 1]),
    ("scalar_tensor", lambda: mg.scalar_tensor(3), "float32", 3),
    ("scalar_tensor int", lambda: mg.scalar_tensor(3, dtype=mg.int32), "int32", 3),
    ("zeros 0-d", lambda: mg.zeros(*()), "float32", 0),
    ("zeros list", lambda: mg.zeros([2, 1]), "float32", [[0], [0]]),
    ("zeros size", lambda: mg.zeros(size=(2,)), "float32", [0, 0]),
    ("zeros of a tensor", lambda: mg.zeros(mg.tensor(2)), "float32", [0, 0]),
    ("zeros Size", lambda: mg.zeros(X.shape), "float32", [[0, 0]]),
    ("zeros float", lambda: mg.zeros(2, dtype=float), "float64", [0, 0]),
    ("ones usual", lambda: mg.ones(1, layout=mg.strided, pin_memory=False), "float32", [1]),
    ("empty", lambda: mg.empty(0, 3), "float32", np.zeros((0, 3))),
    ("full tensor", lambda: mg.full((2,), mg.tensor(3.0)), "float32", [3, 3]),
    ("full keyword", lambda: mg.full(size=(1,), fill_value=2, dtype=mg.int8), "int8", [2]),
    ("full wraps", lambda: mg.full((1,), -1, dtype=mg.uint8), "uint8", [255]),
    ("zeros_like", lambda: mg.zeros_like(X, dtype=mg.int32), "int32", [[0, 0]]),
    ("ones_like", lambda: mg.ones_like(X, memory_format=mg.preserve_format), "float64", [[1, 1]]),
    ("full_like int", lambda: mg.full_like(I, 2.7), "int64", [2, 2]),
    ("new_zeros", lambda: new_zeros(X, 2), "float64", [0, 0]),
    ("new_ones", lambda: new_ones(I, (2,)), "int64", [1, 1]),
    ("new_empty", lambda: new_empty(X, 0), "float64", []),
    ("new_full", lambda: new_full(X, (2,), 3), "float64", [3, 3]),
    ("new_tensor", lambda: new_tensor(I, [1.5]), "int64", [1]),
    ("new asked", lambda: new_tensor(I, [1.5], dtype=mg.float32), "float32", [1.5]),
    ("arange named", lambda: mg.arange(start=1, end=4), "int64", [1, 2, 3]),
    ("arange end", lambda: mg.arange(end=2), "int64", [0, 1]),
    ("arange tensors", lambda: mg.arange(mg.tensor(1), mg.tensor(3)), "int64", [1, 2]),
    ("arange down", lambda: mg.arange(1.0, 0.0, -0.5), "float32", [1, 0.5]),
    ("arange asked", lambda: mg.arange(2, dtype=mg.float64), "float64", [0, 1]),
    ("arange of floats as ints", lambda: mg.arange(0, 2.5, dtype=mg.int64), "int64", [0, 1]),
    ("linspace", lambda: mg.linspace(0, 1, 5), "float32", [0, 0.25, 0.5, 0.75, 1]),
    ("linspace one", lambda: mg.linspace(3, 9, steps=1), "float32", [3]),
    ("linspace none", lambda: mg.linspace(3, 9, 0), "float32", []),
    ("linspace ints", lambda: mg.linspace(0, 10, 4, dtype=mg.int64), "int64", [0, 3, 6, 10]),
    ("logspace", lambda: mg.logspace(0, 2, 3), "float32", [1, 10, 100]),
    ("logspace base", lambda: mg.logspace(0, 2, 3, 2), "float32", [1, 2, 4]),
    ("eye", lambda: mg.eye(2, 3, dtype=mg.bool), "bool", np.eye(2, 3)),
    ("tril_indices", lambda: mg.tril_indices(2, 3), "int64", [[0, 1, 1], [0, 0, 1]]),
    ("triu_indices", lambda: mg.triu_indices(3, 3, 1), "int64", [[0, 0, 1], [1, 2, 2]]),
    ("one_hot", lambda: mg.ops.one_hot(I), "int64", [[0, 1, 0], [0, 0, 1]]),
    ("one_hot wide", lambda: mg.ops.one_hot(I[:1], 4), "int64", [[0, 1, 0, 0]]),
    ("one_hot 0-d", lambda: mg.ops.one_hot(mg.tensor(1), num_classes=2), "int64", [0, 1]),
    ("combinations", lambda: mg.combinations(I, 1), "int64", [[1], [2]]),
    ("combinations with", lambda: mg.combinations(I, 2, True), "int64", [[1, 1], [1, 2], [2, 2]]),
    ("legacy nothing", lambda: legacy(mg.float32), "float32", []),
    ("legacy size", lambda: legacy(mg.float32, 2, 1) * 0, "float32", [[0], [0]]),
    ("legacy Size", lambda: legacy(mg.int64, X.shape) * 0, "int64", [[0, 0]]),
    ("legacy list", lambda: legacy(mg.int64, [1.5, 2]), "int64", [1, 2]),
    ("legacy tuple", lambda: legacy(mg.float32, (2, 3)), "float32", [2, 3]),
    ("legacy array", lambda: legacy(mg.float32, np.array([1, 2])), "float32", [1, 2]),
    ("legacy tensors", lambda: legacy(mg.float32, [I[0], 2]), "float32", [1, 2]),
    ("legacy bool", lambda: legacy(mg.bool, [1, 0]), "bool", [True, False]),
    ("legacy byte", lambda: legacy(mg.uint8, [-1]), "uint8", [255]),
    ("legacy default", lambda: legacy(None, [1]), "float32", [1]),
]


@pytest.mark.parametrize("make, dtype, values", [m[1:] for m in MADE], ids=[m[0] for m in MADE])
def test_creation(make, dtype, values):
    x = make()
    assert x.dtype == dtype and x.device == "cpu" and not x.requires_grad
    np.testing.assert_array_equal(x.numpy(), np.array(values))


ERRORS = [
    ("ragged", lambda: mg.tensor([[1], [1, 2]]), ValueError, "length 1 at dim 1.*got 2"),
    ("deep", lambda: mg.tensor([[[1], [2]], [[1], [1, 2]]]), ValueError, "at dim 2.*got 2"),
    ("number beside list", lambda: mg.tensor([[1], 2]), TypeError, "number"),
    ("list beside number", lambda: mg.tensor([1, [2]]), TypeError, "sequence"),
    ("text", lambda: mg.tensor("a"), TypeError, "U1"),
    ("None", lambda: mg.tensor(None), RuntimeError, "NoneType"),
    ("None inside", lambda: mg.tensor([1, None]), RuntimeError, "NoneType"),
    ("object", lambda: mg.tensor(object()), RuntimeError, "object"),
    ("set", lambda: mg.tensor({1}), RuntimeError, "set"),
    ("too large", lambda: mg.tensor(2**70), ValueError, "int64"),
    ("complex", lambda: mg.tensor([1j]), TypeError, "complex"),
    ("complex function", lambda: mg.ops.complex(X, X), RuntimeError, "complex"),
    ("out of range", lambda: mg.tensor([300], dtype=mg.uint8), RuntimeError, "fit uint8"),
    ("int grad", lambda: mg.tensor([1], requires_grad=True), RuntimeError, "floating"),
    ("from_numpy text", lambda: mg.from_numpy(np.array(["a"])), TypeError, "U1"),
    ("from_numpy list", lambda: mg.from_numpy([1]), TypeError, "list"),
    ("asarray copy", lambda: mg.asarray([1.0], copy=False), ValueError, "copy"),
    ("as_tensor object", lambda: mg.as_tensor(np.array([1], object)), TypeError, "object"),
    ("zeros float", lambda: mg.zeros(2.0), TypeError, "integers"),
    ("zeros negative", lambda: mg.zeros(2, -1), RuntimeError, "negative"),
    ("pinned", lambda: mg.zeros(2, pin_memory=True), RuntimeError, "pin_memory"),
    ("keyword", lambda: mg.zeros(2, nonsense=1), TypeError, "nonsense"),
    ("full", lambda: mg.full((2,), 300, dtype=mg.uint8), RuntimeError, "fit uint8"),
    ("ones_like", lambda: mg.ones_like(3), TypeError, "int"),
    ("arange nothing", lambda: mg.arange(), TypeError, "end"),
    ("arange 0", lambda: mg.arange(0, 5, 0), RuntimeError, "step"),
    ("arange away", lambda: mg.arange(5, 0), RuntimeError, "never"),
    ("arange nan", lambda: mg.arange(float("nan")), RuntimeError, "finite"),
    ("linspace", lambda: mg.linspace(0, 1, -1), RuntimeError, "steps"),
    ("eye", lambda: mg.eye(-1), RuntimeError, "negative"),
    ("tril", lambda: mg.tril(mg.zeros(3)), RuntimeError, "2 dimensions"),
    ("meshgrid", lambda: mg.meshgrid(X, X, indexing="ij"), RuntimeError, "vectors"),
    ("meshgrid dtypes", lambda: mg.meshgrid(X[0], I, indexing="ij"), RuntimeError, "one dtype"),
    ("meshgrid indexing", lambda: mg.meshgrid(I, indexing="a"), RuntimeError, "indexing"),
    ("one_hot float", lambda: mg.ops.one_hot(X), RuntimeError, "int64"),
    ("one_hot negative", lambda: mg.ops.one_hot(-I), RuntimeError, "start at 0"),
    ("one_hot few", lambda: mg.ops.one_hot(I, 2), RuntimeError, "class 2 of 2"),
    ("one_hot empty", lambda: mg.ops.one_hot(I[:0]), RuntimeError, "empty"),
    ("legacy float", lambda: legacy(None, 2.0), TypeError, "float"),
    ("legacy bool", lambda: legacy(None, True), TypeError, "bool"),
    ("legacy dtype", lambda: legacy(mg.int64, X), TypeError, "float64"),
    ("legacy sizes", lambda: legacy(None, 2, 3.0), TypeError, "integers"),
]


@pytest.mark.parametrize("call, kind, text", [e[1:] for e in ERRORS], ids=[e[0] for e in ERRORS])
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_memory_is_shared_where_pytorch_shares_it():
    array = np.zeros(2, np.float32)
    shared = [mg.from_numpy(array), mg.as_tensor(array), mg.asarray(array)]
    shared.append(legacy(mg.float32, shared[0]))
    copies = [mg.tensor(array), mg.asarray(array, copy=True), new_tensor(X, array)]
    array[0] = 5
    assert [x[0].item() for x in shared] == [5] * 4 and [x[0].item() for x in copies] == [0] * 3
    assert mg.as_tensor(shared[0]) is shared[0]


def test_requires_grad():
    for x in [
        mg.tensor([1.0], requires_grad=True),
        mg.zeros(2, requires_grad=True),
        mg.full((2,), 1.0, requires_grad=True),
        mg.zeros_like(X, requires_grad=True),
        new_ones(X, 2, requires_grad=True),
        mg.linspace(0, 1, 3, requires_grad=True),
        mg.asarray([1.0], requires_grad=True),
        mg.eye(2, requires_grad=True),
    ]:
        assert x.requires_grad and x.is_leaf


def test_warnings():
    with pytest.warns(UserWarning, match="indexing"):
        grid = mg.meshgrid(I, I)
    assert grid[0].tolist() == [[1, 1], [2, 2]]
    with pytest.warns(UserWarning, match="clone"):
        assert mg.tensor(X).tolist() == X.tolist()


def test_meshgrid_of_numbers():
    a, b = mg.meshgrid(mg.tensor(1.0), mg.tensor([2.0, 3.0]), indexing="ij")
    assert a.tolist() == [[1, 1]] and b.tolist() == [[2, 3]]


def test_default_dtype():
    def inside():
        mg.set_default_dtype(mg.float64)
        found = [
            mg.tensor(1.5), mg.zeros(1), mg.full((1,), 2.0), mg.arange(2.0), mg.rand(1),
            mg.exp(mg.tensor(1)), mg.tensor(1) + 1.5, mg.tensor(1) / 2, mg.linspace(0, 1, 2),
        ]  # fmt: skip
        dtypes.extend(x.dtype for x in found)

    dtypes = []
    thread = threading.Thread(target=inside)  # the default belongs to the thread
    thread.start()
    thread.join()
    assert len(dtypes) == 9 and set(dtypes) == {mg.float64} or mg.tensor(1.5).dtype == mg.float64
    mg.set_default_dtype(mg.float32)


def test_on_another_device():
    from strict_backend import STRICT

    x = mg.zeros(2, device="strict")
    for y in [
        mg.ones_like(x),
        new_zeros(x, 3),
        mg.arange(3, device="strict"),
        mg.ops.one_hot(mg.arange(3, device="strict"), 3),
        mg.tril(mg.ones(2, 2, device="strict")),
        mg.randn_like(x),
    ]:
        assert y.device == "strict" and type(y.array) is STRICT.array_type
    assert mg.ones_like(x, device="cpu").device == "cpu"
    with pytest.warns(UserWarning, match="clone"):
        assert mg.tensor(x).device == "strict"
