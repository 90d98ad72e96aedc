"""Clipping, norms of gradients, and parameters as a vector."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import utils


def with_gradients(*arrays):
    params = [nn.Parameter(mg.zeros(np.shape(a), dtype=a.dtype)) for a in arrays]
    for p, a in zip(params, arrays):
        p.grad = mg.tensor(a)
    return params


def arrays(dtype="float64"):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s).astype(dtype) for s in ((3, 4), (5,), ())]


P_NORMS = [1, 2, 3.0, 0.5, "inf", math.inf]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", P_NORMS)
def test_the_norm_is_that_of_all_elements(p, dtype):
    given = arrays(dtype)
    params = with_gradients(*given)
    everything = np.concatenate([g.ravel() for g in given]).astype("float64")
    expected = np.linalg.norm(everything, float(p))
    norm = utils.clip_grad_norm_(params, expected / 2, p)
    assert isinstance(norm, mg.Tensor) and norm.shape == () and norm.dtype == dtype
    assert not norm.requires_grad
    assert norm.item() == pytest.approx(expected, rel=1e-5)
    after = utils.get_total_norm([q.grad for q in params], p)
    assert after.item() == pytest.approx(expected / 2, rel=1e-5)
    assert all(q.grad.dtype == dtype for q in params)


def test_a_norm_below_the_limit_changes_nothing():
    params = with_gradients(*arrays())
    utils.clip_grad_norm_(params, 1e3)
    for p, g in zip(params, arrays()):
        np.testing.assert_array_equal(p.grad.numpy(), g)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite(bad):
    given = arrays()
    given[1][2] = bad
    params = with_gradients(*given)
    with pytest.raises(RuntimeError, match="error_if_nonfinite=False"):
        utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    with pytest.raises(RuntimeError):
        utils.get_total_norm([p.grad for p in params], error_if_nonfinite=True)
    for p, g in zip(params, given):
        np.testing.assert_array_equal(p.grad.numpy(), g)
    assert not math.isfinite(utils.clip_grad_norm_(params, 1.0).item())
    assert math.isnan(params[1].grad.numpy()[2])
    others = params[0].grad.numpy()  # NaN times anything, or 0 times a number
    assert np.isnan(others).all() if math.isnan(bad) else (others == 0).all()


def test_what_may_be_passed():
    model = nn.Linear(2, 3)
    assert utils.clip_grad_norm_(model.parameters(), 1.0).item() == 0  # no gradients yet
    assert utils.clip_grad_norm_([], 1.0).item() == 0
    assert utils.get_total_norm([]).item() == 0
    with pytest.warns(UserWarning, match="empty"):
        assert utils.clip_grad_norm_((p for p in ()), 1.0).item() == 0
    (p,) = with_gradients(np.array([3.0, 4.0]))
    assert utils.clip_grad_norm_(p, 1.0).item() == pytest.approx(5)
    assert utils.clip_grad_norm_((q for q in [p, nn.Parameter(mg.zeros(2))]), 9.0).item() > 0.99
    for function in (utils.clip_grad_norm_, utils.clip_grad_value_):
        with pytest.raises(TypeError, match="not named_parameters"):
            function(model.named_parameters(), 1.0)
    with pytest.raises(TypeError, match="int"):
        utils.clip_grad_norm_([3], 1.0)


def test_the_old_name():
    params = with_gradients(np.array([3.0, 4.0]))
    with pytest.warns(FutureWarning, match="clip_grad_norm_"):
        assert utils.clip_grad_norm(params, 1.0).item() == pytest.approx(5)
    np.testing.assert_allclose(params[0].grad.numpy(), [0.6, 0.8], rtol=1e-5)


def test_the_halves_make_the_whole():
    whole, halves = with_gradients(*arrays()), with_gradients(*arrays())
    utils.clip_grad_norm_(whole, 0.5)
    utils.clip_grads_with_norm_(halves, 0.5, utils.get_total_norm([p.grad for p in halves]))
    for a, b in zip(whole, halves):
        np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


def test_clipping_by_value():
    params = with_gradients(np.array([-3.0, 0.5, 2.0, math.nan, math.inf], dtype="float32"))
    memory = params[0].grad.numpy()
    assert utils.clip_grad_value_(params, 1) is None
    np.testing.assert_array_equal(memory, np.array([-1, 0.5, 1, math.nan, 1], dtype="float32"))
    utils.clip_grad_value_(params[0], 0.25)
    assert memory.max(initial=0, where=~np.isnan(memory)) == 0.25


def test_clipping_counts_as_a_change():
    """A gradient that a recorded operation has read may not change unseen."""
    x = mg.tensor([3.0, 4.0], requires_grad=True)
    p = nn.Parameter(mg.zeros(2))
    p.grad = mg.tensor([3.0, 4.0])
    y = (x * p.grad).sum()
    utils.clip_grad_norm_([p], 1.0)
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()


def test_parameters_as_a_vector_and_back():
    mg.manual_seed(0)
    model = nn.Linear(2, 3)
    vector = utils.parameters_to_vector(model.parameters())
    np.testing.assert_array_equal(
        vector.detach().numpy(), np.concatenate([p.to_numpy().ravel() for p in model.parameters()])
    )
    (vector * vector).sum().backward()
    for p in model.parameters():
        np.testing.assert_allclose(p.grad.numpy(), 2 * p.to_numpy())
    given = mg.arange(9).float()
    utils.vector_to_parameters(given, model.parameters())
    assert model.weight.tolist() == [[0, 1], [2, 3], [4, 5]] and model.bias.tolist() == [6, 7, 8]
    assert model.weight.requires_grad
    with pytest.raises(RuntimeError, match="too few"):
        utils.vector_to_parameters(mg.zeros(4), model.parameters())
    with pytest.raises(TypeError):
        utils.vector_to_parameters([1.0], [])
