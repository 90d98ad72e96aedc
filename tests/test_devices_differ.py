"""Where CuPy has not what NumPy has, or would wait: the same results, and nobody waits."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from devices import DEVICES
from strict_backend import STRICT

import minigrad as mg
from minigrad import kernels
from minigrad.nn import functional as F
from minigrad.nn.utils import get_total_norm

INDICES = {
    "ids": np.array([2, 0, 2, 2, 1, 0]),
    "from the end": np.array([-1, 2, -1, 0]),
    "once": np.array([1]),
    "none": np.zeros(0, np.int64),
}
COMBINED = {"add": sum, "multiply": np.prod, "maximum": np.max, "minimum": np.min}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int8", "bool"])
@pytest.mark.parametrize("ids", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("name", COMBINED)
def test_what_is_sent_to_one_place_is_combined(name, ids, dtype, device):
    rng, backend = np.random.default_rng(0), mg.backend_for(device)
    if dtype == "bool" and name == "multiply":
        pytest.skip("of bools there is no product")
    x, values = (rng.integers(0, 4, size=(n, 2)).astype(dtype) for n in (3, len(ids)))
    array = backend.upload(x.T.copy()).T  # not as it lies in memory
    backend.at(name, array, (backend.upload(ids),), backend.upload(values))
    for row in range(3):
        sent = [x[row], *values[ids % 3 == row]]
        for column in range(2):
            expected = COMBINED[name]([one[column] for one in sent])
            assert backend.download(array)[row, column] == np.asarray(expected).astype(dtype)


PLACES = {
    "rows": lambda put: (put([2, 0, 2]),),
    "negative": lambda put: (put([-1, 1, -1]),),
    "two": lambda put: (put([0, 1, 0]), put([2, 3, 2])),
    "they broadcast": lambda put: (put([[0], [1]]), put([2, 2, 0])),
    "a slice": lambda put: (slice(1, None), put([1, 1, 2])),
    "a step back": lambda put: (slice(None, None, -1), put([0, 0])),
    "an ellipsis": lambda put: (..., put([3, 3])),
    "a new dimension": lambda put: (None, put([1, 1])),
    "one number": lambda put: (1, put([2, 2])),
    "no array": lambda put: (slice(0, 2), 3),
    "a mask": lambda put: (put([True, False, True]),),
    "nothing": lambda put: (put(np.zeros(0, np.int64)),),
}
LAYOUTS = {
    "whole": lambda x: x,
    "transposed": lambda x: x.T.copy().T,
    "backwards": lambda x: x[::-1],
    "with gaps": lambda x: x.repeat(2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("name", ["add", "maximum"])
def test_what_is_sent_to_places_of_every_kind(name, places, layout, dtype, device):
    rng, backend = np.random.default_rng(0), mg.backend_for(device)
    x = rng.integers(0, 9, (3, 4)).astype(dtype)
    array, expected = layout(backend.upload(x)), layout(x).copy()
    here, there = (places(put) for put in (np.asarray, lambda n: backend.upload(np.asarray(n))))
    for shape in (x[here].shape, x[here].shape[1:], ()):  # whole, and what is broadcast
        values = rng.integers(0, 9, shape).astype(dtype)
        getattr(np, name).at(expected, here, values)
        backend.at(name, array, there, backend.upload(values))
    np.testing.assert_array_equal(backend.download(array), expected)


@pytest.mark.parametrize("device", DEVICES)
def test_nan_is_the_largest_of_what_is_sent(device):
    backend = mg.backend_for(device)
    array = backend.upload(np.zeros(2, np.float32))
    ids, values = np.array([0, 0, 1]), np.array([np.nan, 1, 2], np.float16)
    array = array.astype(np.float16)
    backend.at("maximum", array, (backend.upload(ids),), backend.upload(values))
    np.testing.assert_array_equal(backend.download(array), [np.nan, 2])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "shapes", [((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 2)), ((1, 3, 3), (4, 3, 1))]
)
def test_batches_of_equations_broadcast(shapes, device):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape) for shape in shapes)
    a = a + 4 * np.eye(3)
    xs = [mg.tensor(x, device=device) for x in (a, b)]
    np.testing.assert_allclose(mg.linalg.solve(*xs).cpu().numpy(), np.linalg.solve(a, b), rtol=1e-9)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("what", [mg.linalg.inv, mg.linalg.cholesky])
def test_what_no_matrix_has_is_an_error(what, device):
    with pytest.raises(RuntimeError):
        what(mg.tensor([[0.0, 0.0], [0.0, -1.0]], device=device))


@pytest.mark.parametrize("device", DEVICES)
def test_a_strided_view_shows_its_base(device):
    x = mg.arange(6.0, device=device).requires_grad_()
    y = x * 1
    view = y.as_strided((3,), (2,), 1)
    view.mul_(10)
    (y * mg.arange(6.0, device=device)).sum().backward()
    assert y.tolist() == [0, 10, 2, 30, 4, 50] and x.grad.tolist() == [0, 10, 2, 30, 4, 50]
    assert (y[2:].storage_offset(), view.storage_offset(), view[1:].storage_offset()) == (2, 1, 3)
    z = mg.zeros(4, device=device)
    before = z._version
    z.as_strided((2,), (1,)).fill_(1)
    assert z._version > before and z.clone().as_strided((2,), (1,)).tolist() == [1, 1]


@pytest.mark.parametrize("device", DEVICES)
def test_a_value_that_does_not_fit_is_an_error_in_words(device):
    with pytest.raises(RuntimeError, match="writing into a tensor of shape"):
        mg.zeros(2, 3, device=device)[0] = mg.zeros(2, device=device)


@pytest.mark.parametrize("device", ["cpu", *DEVICES])
def test_a_mean_loss_has_the_type_of_the_logits(device):
    x = mg.zeros(2, 3, dtype="float16", device=device)
    loss = F.cross_entropy(x, mg.tensor([0, 1]).to(device))
    assert loss.dtype == mg.float16 and loss.item() == pytest.approx(np.log(3), abs=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_weights_are_counted(device):
    ids, weights = mg.tensor([1, 3, 1, 0]).to(device), mg.tensor([0.5, 1, 2, 3]).to(device)
    assert mg.bincount(ids, weights, minlength=6).tolist() == [3, 2.5, 0, 1, 0, 0]
    assert mg.bincount(ids[:0], weights[:0], minlength=2).tolist() == [0, 0]


@pytest.mark.parametrize("device", DEVICES)
def test_a_row_that_is_read_twice_is_shortened_once(device):
    table = mg.ones(4, 3, dtype="float64", device=device)
    read = F.embedding(mg.tensor([1, 1, 2]).to(device), table, max_norm=1.0)
    np.testing.assert_allclose(read.cpu().numpy(), np.full((3, 3), 3**-0.5), 1e-6)
    assert table[0].tolist() == [1, 1, 1]


def half_losses():
    logits = mg.ones(4, 5, device="strict").half().requires_grad_()
    target = mg.tensor([1, -100, 0, 4], device="strict")
    F.cross_entropy(logits, target, reduction="sum").backward()


def half_rows():
    table = mg.ones(5, 3, device="strict").half().requires_grad_()
    F.embedding(mg.tensor([[0, 1], [1, 4]], device="strict"), table, padding_idx=0).sum().backward()
    return table.grad


def masked_attention():
    q = mg.ones(2, 3, 4, device="strict").requires_grad_()
    mask = mg.tensor(np.array([[True, False, True], [False] * 3, [True] * 3]), device="strict")
    F.scaled_dot_product_attention(q, q, q, attn_mask=mask).sum().backward()


def largest_of_each():
    x = mg.zeros(4, device="strict").requires_grad_()
    ids = mg.tensor([0, 0, 3], device="strict")
    x.scatter_reduce(0, ids, mg.ones(3, device="strict"), "prod").sum().backward()


def largest_gradient():
    xs = [mg.full((n,), -n, dtype="float32", device="strict") for n in (0, 3, 2)]
    return get_total_norm(xs, np.inf)


WORK = half_losses, half_rows, masked_attention, largest_of_each, largest_gradient


@pytest.mark.parametrize("work", WORK)
def test_nobody_waits(work):
    before = STRICT.downloads
    work()
    assert STRICT.downloads == before


def test_the_largest_of_all_gradients():
    assert largest_gradient().item() == 3


def test_the_row_of_padding_gets_no_gradient():
    assert half_rows().cpu().tolist() == [[0] * 3, [2] * 3, [0] * 3, [0] * 3, [1] * 3]


def test_a_changed_header_is_another_compilation(tmp_path, monkeypatch):
    shutil.copytree(kernels.FOLDER, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(kernels, "FOLDER", str(tmp_path))
    asked = []
    module = SimpleNamespace(RawModule=lambda code, options: asked.append((code, options)))
    for text in ("", "", "// changed"):
        with open(tmp_path / "kernels.h", "a", encoding="utf-8") as header:
            header.write(text)
        kernels.Kernels(module, id).compiled("adam", "f")
    assert asked[0] == asked[1] != asked[2]
