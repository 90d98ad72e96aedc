"""testing.gradcheck: right rules pass to every order, wrong ones are found and named."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import autograd
from minigrad.testing import GradcheckError, gradcheck, gradgradcheck


def leaf(*shape, seed=0, dtype=np.float64):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return mg.tensor(values).requires_grad_()


def wrong(slope):
    """x³ whose first derivative is `slope(x)`."""

    class Cube(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * slope(x)

    return Cube.apply


RIGHT = [
    (mg.tanh, leaf(3, 2)),
    (lambda x: x.softmax(1), (leaf(3, 4),)),
    (mg.matmul, [leaf(2, 3), leaf(3, 2)]),
    (lambda x, n, y: (x * n, x.amax(0), y), (leaf(3, 2), 4, mg.ones(2))),
    (lambda x, y: x * y, (leaf(3), mg.ones(3))),
    (lambda x: (x > 0, x * 2), leaf(4)),
    (lambda x: x.detach() * 0, leaf(3)),
    (mg.exp, leaf()),
    (mg.exp, leaf(0, 3)),
    (wrong(lambda x: 3 * x**2), leaf(5)),
]


@pytest.mark.parametrize("options", [{}, {"order": 2}, {"order": 3}], ids=str)
@pytest.mark.parametrize("func, inputs", RIGHT)
def test_right_gradients_pass(func, inputs, options):
    assert gradcheck(func, inputs, **options) is True


@pytest.mark.parametrize("func, inputs", RIGHT)
def test_right_second_derivatives_pass(func, inputs):
    assert gradgradcheck(func, inputs) is True


WRONG = [
    (wrong(lambda x: 3.1 * x**2), leaf(5)),
    (wrong(lambda x: 3 * x.detach()), leaf(5)),
    (wrong(lambda x: x * math.nan), leaf(5)),
    (lambda x: x.detach() * 2, leaf(5)),
    (lambda x: x * x.detach(), leaf(5)),
]


@pytest.mark.parametrize("func, inputs", WRONG)
def test_wrong_gradients_are_found(func, inputs):
    for error in (AssertionError, RuntimeError, GradcheckError):
        with pytest.raises(error, match="the gradient of input 0 is wrong"):
            gradcheck(func, inputs)
    assert gradcheck(func, inputs, raise_exception=False) is False


def test_a_wrong_second_derivative_is_found():
    """The rule is right where the second derivative cannot see it: x is a constant to the tape."""
    cut = wrong(lambda x: 3 * x.detach() ** 2)
    x = leaf(4)
    assert gradcheck(cut, x)
    assert not gradgradcheck(cut, x, raise_exception=False)
    assert not gradcheck(cut, x, order=2, raise_exception=False)
    with pytest.raises(GradcheckError):
        gradgradcheck(cut, x)


def test_the_worst_element_and_the_input_are_named():
    def func(a, b):
        return a * 2 + mg.cat([b[:1], b[1:].detach()])

    with pytest.raises(GradcheckError, match=r"gradient of input 1 is wrong, most at \(1,\): 0, f"):
        gradcheck(func, (leaf(2), leaf(2, seed=1)))


def test_tolerances():
    nearly = wrong(lambda x: 3.0001 * x**2)
    x = mg.ones(3, dtype=mg.float64, requires_grad=True)
    assert gradcheck(nearly, x, rtol=1e-3)
    assert not gradcheck(nearly, x, raise_exception=False)
    assert gradcheck(nearly, x, rtol=0, atol=1e-3)
    assert not gradcheck(nearly, x, rtol=0, atol=1e-5, raise_exception=False)
    # at a kink the step decides: central differences of |x| at 0.001 see both sides
    kink = mg.tensor([1e-3], dtype=mg.float64, requires_grad=True)
    assert gradcheck(mg.abs, kink)
    assert not gradcheck(mg.abs, kink, eps=0.1, raise_exception=False)


def test_given_grad_outputs():
    x = leaf(3)
    w = leaf(3, seed=1)
    assert gradgradcheck(mg.tanh, x, w)
    assert gradgradcheck(mg.tanh, (x,), [w.detach()])
    assert w.grad is None and x.grad is None


def test_inputs_without_gradient_and_of_low_precision():
    for check in (gradcheck, gradgradcheck):
        with pytest.raises(ValueError, match="no input requires a gradient"):
            check(mg.tanh, mg.ones(3))
        with pytest.raises(ValueError, match="input 0 is .*float32; finite differences need"):
            check(mg.tanh, leaf(3, dtype=np.float32))


@pytest.mark.parametrize("option", ["check_batched_grad", "check_forward_ad", "masked"])
def test_an_option_that_would_change_nothing_is_refused(option):
    with pytest.raises(TypeError, match=option):
        gradcheck(mg.tanh, leaf(2), **{option: False})


def test_fast_mode_checks_one_random_direction():
    calls = []

    def counted(x):
        calls.append(x)
        return (x**3).sum()

    assert autograd.gradcheck(counted, leaf(20, 20), fast_mode=True)
    assert len(calls) == 4
    for func, inputs in WRONG:
        with pytest.raises(GradcheckError, match="is wrong, in a random direction"):
            autograd.gradcheck(func, inputs, fast_mode=True)
    for func, inputs in RIGHT:
        assert autograd.gradcheck(func, inputs, fast_mode=True)
        assert autograd.gradgradcheck(func, inputs, fast_mode=True)


def test_a_gradient_that_is_not_the_same_twice():
    count = iter(range(1, 100))
    drifting = wrong(lambda x: 3 * x**2 * (1 + 1e-6 * next(count)))
    x = leaf(3)
    with pytest.raises(GradcheckError, match="computed twice, is not the same"):
        autograd.gradcheck(drifting, x)
    assert autograd.gradcheck(drifting, x, nondet_tol=1e-3)


def test_outputs_of_every_kind():
    x = leaf(3)
    with pytest.raises(GradcheckError):  # a second output that was cut off
        gradcheck(lambda x: (x * 2, x.detach()), x)
    assert gradcheck(lambda x: (x * 2, 3, None), x)
    with pytest.raises(ValueError, match="2 grad_outputs for 1 outputs"):
        gradgradcheck(mg.tanh, x, (x, x))
