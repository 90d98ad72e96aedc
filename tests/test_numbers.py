"""Where Python asks a tensor for a number, and it is none."""

import pytest

import minigrad as mg

WRONG = [
    (lambda: float(mg.ones(2)), ValueError, r"one element.*\(2,\)"),
    (lambda: int(mg.zeros(0)), ValueError, r"one element.*\(0,\)"),
    (lambda: mg.ones(3).item(), RuntimeError, "one element"),
    (lambda: [1, 2][mg.tensor([0, 1])], TypeError, r"int64 of shape \(2,\)"),
    (lambda: range(mg.tensor(2.0)), TypeError, "float32"),
    (lambda: "a" in mg.ones(2), RuntimeError, "str"),
    (lambda: mg.ones(3).expand(2, 3).add_(1), RuntimeError, "clone"),
]


@pytest.mark.parametrize("call, error, text", WRONG)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_tensor_contains_its_numbers():
    x = mg.tensor([1, 2])
    assert 2 in x and 3 not in x and True in x and mg.tensor(1) in x
