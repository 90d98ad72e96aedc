"""The GRU and its cell."""

import numpy as np
import pytest
import recurrent_checks as checks
from recurrent_checks import B, H, I, LENGTHS, MASKS, T, sigmoid

import minigrad as mg
from minigrad import fused, nn
from minigrad.testing import composed, gradcheck

SHAPES = (T, B, I), (B, H), (3 * H, I), (3 * H, H), (3 * H,), (3 * H,)
SMALL = (3, 2, 2), (2, 1), (3, 2), (3, 1), (3,), (3,)


def cell(x, h, w_ih, w_hh, b_ih, b_hh):
    H = len(h)
    a, b = w_ih @ x + b_ih, w_hh @ h + b_hh
    r, z = sigmoid(a[:H] + b[:H]), sigmoid(a[H : 2 * H] + b[H : 2 * H])
    n = np.tanh(a[2 * H :] + r * b[2 * H :])
    return (1 - z) * n + z * h


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("active", MASKS.values(), ids=MASKS)
def test_fused(active, reverse, dtype):
    checks.check_values(fused.gru, cell, SHAPES, active, reverse, dtype)
    checks.check_compose(fused.gru, SHAPES, active, reverse, dtype)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, [3, 1], [2, 0]], ids=str)
def test_finite_differences(lengths, reverse, order):
    checks.check_derivatives(fused.gru, SMALL, checks.mask(lengths, 3), reverse, order)


@pytest.mark.parametrize("active", [None, checks.mask([2, 5, 1, 3])], ids=["all", "some"])
def test_backward_destroys_nothing(active):
    checks.check_backward_twice(fused.gru, SHAPES, active)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_layer(lengths, batch_first, with_state):
    checks.check_layer(nn.GRU, cell, lengths, batch_first, with_state)


def test_padding_changes_nothing():
    checks.check_padding(nn.GRU)


def test_cell_is_the_layer_step_by_step():
    checks.check_cell((nn.GRU, nn.GRUCell), lambda h: h)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("biases", [0, 2])
def test_derivatives_of_the_cell(order, biases):
    xs = checks.leaves([(2, 2), (2, 2), (6, 2), (6, 2), *[(6,)] * biases])
    assert gradcheck(fused.gru_cell, xs, order=order, atol=1e-5)
    with composed():
        expected = fused.gru_cell(*xs)
    checks.close(fused.gru_cell(*xs), expected, 1e-13)


def test_a_weight_may_be_computed_by_the_program():
    checks.weight_drop(nn.GRU)


def test_saturated_gates_stay_finite():
    model = nn.GRU(2, 3)
    for p in model.parameters():
        p.array *= 1000
    x = mg.tensor(1000 * checks.random(6, 2, 2).numpy().astype("float32"), requires_grad=True)
    y, h = model(x)
    (y.sum() + h.sum()).backward()
    assert np.isfinite(y.detach().numpy()).all() and np.abs(y.detach().numpy()).max() <= 1
    assert all(np.isfinite(p.grad.numpy()).all() for p in [x, *model.parameters()])


def test_a_closed_update_gate_keeps_the_state():
    """z = 1 keeps h, z = 0 takes the candidate."""
    for z, expected in ((100.0, 3.0), (-100.0, np.tanh(1.0))):
        b = mg.tensor([0.0, z, 1.0])
        nothing = mg.zeros(3, 1)
        _, h = fused.gru(mg.zeros(1, 1, 1), mg.tensor([[3.0]]), nothing, nothing, b, mg.zeros(3))
        assert h.item() == pytest.approx(expected)


def test_shapes_that_do_not_fit():
    xs = checks.leaves(SHAPES)
    for position, name in enumerate(("w_ih", "w_hh", "b_ih", "b_hh"), 2):
        given = list(xs)
        given[position] = mg.zeros(*(n + 1 for n in xs[position].shape), dtype="float64")
        with pytest.raises(RuntimeError, match=rf"\b{name}\b"):
            fused.gru(*given)
    with pytest.raises(ValueError, match="float32"):
        fused.gru(*xs[:5], mg.zeros(3 * H))
