"""The plain recurrent network, with tanh and with relu, and its cell."""

from functools import partial

import numpy as np
import pytest
import recurrent_checks as checks
from recurrent_checks import B, H, I, LENGTHS, MASKS, T

from minigrad import fused, nn
from minigrad.testing import composed, gradcheck

SHAPES = (T, B, I), (B, H), (H, I), (H, H), (H,)
SMALL = (3, 2, 2), (2, 2), (2, 2), (2, 2), (2,)
relu = pytest.mark.parametrize("relu", [False, True], ids=["tanh", "relu"])


def cell_of(relu):
    def cell(x, h, w_ih, w_hh, b, b_hh=0.0):
        a = w_ih @ x + w_hh @ h + b + b_hh
        return np.maximum(a, 0) if relu else np.tanh(a)

    return cell


def layer_of(relu):
    return partial(nn.RNN, nonlinearity="relu" if relu else "tanh")


@relu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("active", MASKS.values(), ids=MASKS)
def test_fused(active, reverse, dtype, relu):
    op = partial(fused.rnn, relu=relu)
    checks.check_values(op, cell_of(relu), SHAPES, active, reverse, dtype)
    checks.check_compose(op, SHAPES, active, reverse, dtype)


@relu
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, [3, 1], [2, 0]], ids=str)
def test_finite_differences(lengths, reverse, order, relu):
    op = partial(fused.rnn, relu=relu)
    checks.check_derivatives(op, SMALL, checks.mask(lengths, 3), reverse, order)


@relu
@pytest.mark.parametrize("active", [None, checks.mask([2, 5, 1, 3])], ids=["all", "some"])
def test_backward_destroys_nothing(active, relu):
    checks.check_backward_twice(partial(fused.rnn, relu=relu), SHAPES, active)


@relu
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_layer(lengths, batch_first, with_state, relu):
    checks.check_layer(layer_of(relu), cell_of(relu), lengths, batch_first, with_state)


@relu
def test_padding_changes_nothing(relu):
    checks.check_padding(layer_of(relu))


@relu
def test_cell_is_the_layer_step_by_step(relu):
    cell = partial(nn.RNNCell, nonlinearity="relu" if relu else "tanh")
    checks.check_cell((layer_of(relu), cell), lambda h: h)


@relu
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("biases", [0, 2])
def test_derivatives_of_the_cell(order, biases, relu):
    xs = checks.leaves([(2, 2), (2, 2), (2, 2), (2, 2), *[(2,)] * biases])
    op = partial(fused.rnn_cell, relu=relu)
    assert gradcheck(op, xs, order=order, atol=1e-5)
    with composed():
        expected = op(*xs)
    checks.close(op(*xs), expected, 1e-13)


def test_a_weight_may_be_computed_by_the_program():
    checks.weight_drop(nn.RNN)


def test_the_identity_with_relu_adds_up():
    """Le et al. 2015: with the identity as recurrent weight, positive inputs are summed."""
    rnn = nn.RNN(1, 1, nonlinearity="relu", bias=False)
    for p in rnn.parameters():
        nn.init.ones_(p)
    y, h = rnn(checks.mg.ones(4, 2, 1))
    assert y[:, 0, 0].tolist() == [1, 2, 3, 4] and h.tolist() == [[[4], [4]]]


def test_dropout_of_one_layer_warns():
    for make in (nn.RNN, nn.GRU, nn.LSTM):
        with pytest.warns(UserWarning, match="num_layers=1"):
            make(2, 3, dropout=0.5)


def test_the_base_has_no_forward():
    with pytest.raises(NotImplementedError):
        nn.RNNBase("GRU", 2, 3)(checks.random(2, 1, 2, dtype="float32"))


@pytest.mark.parametrize("make", [nn.RNN, nn.GRU, nn.LSTM])
def test_dtype_of_the_layer(make):
    assert make(2, 3).weight_ih_l0.dtype == "float32"
    assert make(2, 3, dtype="float64").weight_ih_l0.dtype == "float64"
    y, _ = make(2, 3, dtype="float64")(checks.random(4, 1, 2))
    assert y.dtype == "float64"
