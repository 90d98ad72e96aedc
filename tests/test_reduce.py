"""Reductions, scans and order where the table of ops does not look: dtypes, ties, extremes."""

import math

import numpy as np
import pytest

import minigrad as mg

BOOL, BYTE, INT, HALF = (mg.ones(4, dtype=d) for d in ("bool", "uint8", "int32", "float16"))
DTYPES = [
    (mg.sum, BOOL, "int64"),
    (mg.sum, BYTE, "int64"),
    (mg.prod, BOOL, "int64"),
    (mg.sum, HALF, "float16"),
    (mg.all, BYTE, "uint8"),
    (mg.any, HALF, "bool"),
    (mg.amax, BOOL, "bool"),
    (mg.argmax, HALF, "int64"),
    (mg.count_nonzero, HALF, "int64"),
    (lambda x: x.cumsum(0), INT, "int64"),
    (lambda x: x.cumprod(0, dtype=mg.float32), INT, "float32"),
    (lambda x: x.sum(dtype=mg.int32), INT, "int32"),
    (lambda x: x.mean(dtype=mg.float64), INT, "float64"),
    (lambda x: x.logsumexp(0), INT, "float32"),
    (lambda x: x.softmax(0, dtype=mg.float64), INT, "float64"),
    (lambda x: x.bincount(), INT, "int64"),
    (lambda x: x.topk(2).values, INT, "int32"),
]


@pytest.mark.parametrize("op, x, dtype", DTYPES)
def test_dtypes(op, x, dtype):
    assert op(x).dtype == dtype


def test_half_precision_is_added_up_in_single():
    x = mg.full((4000,), 0.5, dtype=mg.float16)
    assert x.sum().item() == 2000 and x.mean().item() == 0.5
    assert x.cumsum(0)[-1].item() == 2000
    assert (mg.full((10,), 300.0, dtype=mg.float16)).norm().item() == pytest.approx(948.5, abs=1)


@pytest.mark.parametrize("name", ["sum", "prod", "amax", "var", "logsumexp", "norm"])
def test_numpys_names_of_arguments(name):
    x = mg.rand(2, 3)
    a, b = getattr(x, name)(axis=1, keepdims=True), getattr(x, name)(dim=1, keepdim=True)
    assert a.shape == (2, 1) and a.tolist() == b.tolist()


def test_several_results_have_names_and_print():
    result = mg.tensor([[1.0, 3.0], [2.0, 0.0]]).max(1)
    assert result.values.tolist() == [3, 2] and result.indices.tolist() == [1, 0]
    assert repr(result) == (
        "minigrad.return_types.max(\nvalues=tensor([3., 2.]),\nindices=tensor([1, 0]))"
    )
    values, indices = mg.sort(mg.tensor([2, 1]))
    assert values.tolist() == [1, 2] and indices.tolist() == [1, 0]


def test_equal_elements_keep_their_order():
    x = mg.tensor([1.0, 0.0, 1.0, 0.0])
    assert x.argsort().tolist() == [1, 3, 0, 2]
    assert x.argsort(descending=True).tolist() == [0, 2, 1, 3]


def test_nan_is_the_largest():
    x = mg.tensor([1.0, math.nan, 2.0])
    assert x.argmax().item() == 1 and math.isnan(x.max().item())
    assert x.sort(descending=True).indices.tolist() == [1, 2, 0]
    assert math.isnan(x.median().item()) and x.nanmedian().item() == 1


def test_product_with_zeros_has_its_gradient_to_order_2():
    x = mg.tensor([2.0, 0.0, 3.0], requires_grad=True)
    (g,) = mg.grad(x.prod(), x, create_graph=True)
    assert g.tolist() == [0, 6, 0]
    assert mg.grad(g.sum(), x)[0].tolist() == [3, 5, 2]


def test_running_results_are_stable():
    x = mg.tensor([1000.0, -1000.0, 1000.0], dtype=mg.float64, requires_grad=True)
    y = x.logcumsumexp(0)
    assert y.tolist() == pytest.approx([1000, 1000, 1000 + math.log(2)])
    y.sum().backward()
    assert x.grad.tolist() == pytest.approx([2.5, 0, 0.5])


def test_spread_of_one_element_is_nan():
    with np.errstate(all="ignore"):
        assert math.isnan(mg.ones(1).var().item())
    x = mg.ones(3, requires_grad=True)
    x.std().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_unique_counts_and_rebuilds():
    x = mg.tensor([[3, 1], [1, 3]])
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 3] and counts.tolist() == [2, 2]
    assert values[inverse].tolist() == x.tolist()
    assert mg.unique_consecutive(mg.tensor([1, 1, 2, 1])).tolist() == [1, 2, 1]


WRONG = [
    (lambda: mg.rand(2, 3).sum((0, 0)), RuntimeError, "once"),
    (lambda: mg.zeros(0, 3).max(), RuntimeError, "no elements"),
    (lambda: mg.zeros(0, 3).amax(0), IndexError, "no elements"),
    (lambda: mg.arange(3).softmax(0), NotImplementedError, "float"),
    (lambda: mg.arange(3).std(), RuntimeError, "float"),
    (lambda: mg.rand(3).topk(4), RuntimeError, "topk: 4 of 3"),
    (lambda: mg.rand(3).std(unbiased=True, correction=1), TypeError, "not both"),
    (lambda: mg.tensor([-1]).bincount(), RuntimeError, "not negative"),
]


@pytest.mark.parametrize("call, kind, text", WRONG)
def test_errors_say_what_is_wrong(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
