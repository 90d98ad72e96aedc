"""What minigrad counts on of a device's arrays. The table runs on the stand-in always and on CuPy
where there is a GPU: where CuPy raises, the stand-in must, and what CuPy gives, it must give.
"""

import numpy as np
import pytest
from devices import DEVICES

import minigrad as mg

HOST = np.arange(6, dtype=np.float32).reshape(2, 3)

# what is done with the module xp and x (2, 3) float32, and what it raises
RAISES = {
    "a NumPy operand": (lambda xp, x: x + HOST, TypeError),
    "a NumPy operand on the left": (lambda xp, x: HOST + x, TypeError),
    "a NumPy operand in place": (lambda xp, x: x.__iadd__(HOST), TypeError),
    "a list operand": (lambda xp, x: xp.add(x, [1.0, 2.0, 3.0]), TypeError),
    "a NumPy argument": (lambda xp, x: xp.exp(HOST), TypeError),
    "into NumPy by itself": (lambda xp, x: np.asarray(x), TypeError),
    "into an out of NumPy": (lambda xp, x: xp.exp(x, out=HOST.copy()), TypeError),
    "a NumPy array to concatenate": (lambda xp, x: xp.concatenate([x, HOST]), TypeError),
    "a truth value of many": (lambda xp, x: bool(x), ValueError),
    "a float of many": (lambda xp, x: float(x), (TypeError, ValueError)),
    "shapes that do not broadcast": (lambda xp, x: x + xp.ones(2), ValueError),
    "shapes that do not multiply": (lambda xp, x: x @ x, ValueError),
    "an out of another shape": (lambda xp, x: xp.exp(x, out=xp.empty(3, x.dtype)), ValueError),
    "another size": (lambda xp, x: x.reshape(4), ValueError),
    "float into integer in place": (lambda xp, x: xp.ones(3, int).__iadd__(0.5), TypeError),
    "where= of a sum": (lambda xp, x: x.sum(where=x > 0), TypeError),
    "initial= of a maximum": (lambda xp, x: xp.max(x, initial=0), TypeError),
    "out= of einsum": (lambda xp, x: xp.einsum("ij->i", x, out=xp.empty(2)), TypeError),
    "a dimension that is not there": (lambda xp, x: x.sum(axis=2), ValueError),
    "an index that is not there": (lambda xp, x: x[5], IndexError),
    "errstate": (lambda xp, x: xp.errstate(), AttributeError),
    "a stable sort": (lambda xp, x: xp.sort(x, stable=True), TypeError),
    "a mask of another size": (lambda xp, x: x[xp.ones(5, bool)], IndexError),
    "multiplied at": (lambda xp, x: xp.multiply.at(x, xp.zeros(2, int), x), NotImplementedError),
    "the largest at, of half precision": (
        lambda xp, x: xp.maximum.at(x.astype(np.float16), xp.zeros(2, int), 1),
        TypeError,
    ),
    "added at, of bytes": (
        lambda xp, x: xp.add.at(xp.ones(3, np.int8), xp.zeros(2, int), 1),
        TypeError,
    ),
    "batches of equations that broadcast": (
        lambda xp, x: xp.linalg.solve(xp.ones((2, 3, 3)), xp.ones((3, 1))),
        ValueError,
    ),
    "whether it may be written": (lambda xp, x: x.flags.writeable, AttributeError),
}

# and what it gives: shape, dtype, and the values of NumPy, which says the same
GIVES = {
    "a sum": (lambda xp, x: x.sum(), (), "float32"),
    "an element": (lambda xp, x: x[1, 2], (), "float32"),
    "a maximum": (lambda xp, x: xp.max(x), (), "float32"),
    "a dot product": (lambda xp, x: xp.dot(x[0], x[1]), (), "float32"),
    "an argmax": (lambda xp, x: x.argmax(1), (2,), "int64"),
    "a sum of integers": (lambda xp, x: xp.ones(3, np.int32).sum(), (), "int64"),
    "a sum of truth values": (lambda xp, x: (x > 2).sum(), (), "int64"),
    "a count along a dimension": (lambda xp, x: (x > 2).cumsum(axis=0), (2, 3), "int64"),
    "a mean": (lambda xp, x: x.mean(axis=0, keepdims=True), (1, 3), "float32"),
    "a Python float": (lambda xp, x: x * 0.5, (2, 3), "float32"),
    "a Python int": (lambda xp, x: 2 - x, (2, 3), "float32"),
    "a 0-d array": (lambda xp, x: x / x.sum(), (2, 3), "float32"),
    "a NumPy float64": (lambda xp, x: x * np.float64(0.5), (2, 3), "float64"),
    "int by int": (lambda xp, x: xp.ones(2, int) / 2, (2,), "float64"),
    "exp of integers": (lambda xp, x: xp.exp(xp.ones(2, int)), (2,), "float64"),
    "float16 stays": (lambda xp, x: xp.tanh(x.astype(np.float16)), (2, 3), "float16"),
    "a comparison": (lambda xp, x: x >= 3, (2, 3), "bool"),
    "the other": (lambda xp, x: ~(x >= 3), (2, 3), "bool"),
    "a choice": (lambda xp, x: xp.where(x > 2, x, 0), (2, 3), "float32"),
    "rows by an array": (lambda xp, x: x[xp.ones(4, int)], (4, 3), "float32"),
    "elements by a mask": (lambda xp, x: x[x > 2], (3,), "float32"),
    "a new dimension": (lambda xp, x: x[:, None, ::-1], (2, 1, 3), "float32"),
    "a product": (lambda xp, x: xp.matmul(x, x.T), (2, 2), "float32"),
    "rows together": (lambda xp, x: xp.stack([x[0], x[1]]), (2, 3), "float32"),
    "a narrow type": (lambda xp, x: x.astype(np.int32), (2, 3), "int32"),
    "what is broadcast": (lambda xp, x: xp.broadcast_to(x[0], (4, 3)), (4, 3), "float32"),
    "a maximum of NaN": (lambda xp, x: xp.maximum(x, np.nan), (2, 3), "float32"),
    "a zero divided": (lambda xp, x: x[0] / x[0], (3,), "float32"),
    "an empty sum": (lambda xp, x: x[:0].sum(axis=0), (3,), "float32"),
}


def written(change):
    """What a change in place leaves behind."""

    def made(xp, x):
        x = x.copy()
        change(xp, x)
        return x

    return made


CHANGES = {
    "a row": lambda xp, x: x.__setitem__(0, 7),
    "by a mask": lambda xp, x: x.__setitem__(x > 2, 0),
    "through a view": lambda xp, x: x[1].__imul__(2),
    "through a transpose": lambda xp, x: x.T.__iadd__(1),
    "where": lambda xp, x: xp.copyto(x, 0, where=x > 2),
    "with out=": lambda xp, x: xp.multiply(x, x, out=x),
    "added at": lambda xp, x: xp.add.at(x, xp.zeros(2, int), 1),
}
GIVES |= {name: (written(change), (2, 3), "float32") for name, change in CHANGES.items()}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("do, error", RAISES.values(), ids=RAISES)
def test_it_raises(do, error, device):
    backend = mg.backend_for(device)
    with pytest.raises(error):
        do(backend.xp, backend.upload(HOST.copy()))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("do, shape, dtype", GIVES.values(), ids=GIVES)
def test_it_gives(do, shape, dtype, device):
    backend = mg.backend_for(device)
    y = do(backend.xp, backend.upload(HOST.copy()))
    assert type(y) is backend.array_type and y.shape == shape and y.dtype == dtype
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(backend.download(y), do(np, HOST.copy()), rtol=1e-6)
