"""Weight normalisation."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn.utils import remove_weight_norm, weight_norm

pytestmark = pytest.mark.filterwarnings("ignore:PyTorch is to remove")


def norms(w, dim):
    if dim is None:
        return np.sqrt((w * w).sum())
    others = tuple(d for d in range(w.ndim) if d != dim)
    return np.sqrt((w * w).sum(axis=others, keepdims=True))


@pytest.mark.parametrize("dim", [0, 1, None])
def test_length_and_direction(dim):
    mg.manual_seed(0)
    layer = nn.Linear(3, 2).double()
    w, x = layer.weight.to_numpy().copy(), mg.ones(4, 3, dtype="float64")
    before = layer(x).to_numpy()
    assert weight_norm(layer, dim=dim) is layer
    assert [n for n, _ in layer.named_parameters()] == ["bias", "weight_g", "weight_v"]
    np.testing.assert_allclose(layer.weight_g.to_numpy(), norms(w, dim), rtol=1e-12)
    np.testing.assert_allclose(layer(x).to_numpy(), before, rtol=1e-12)
    with mg.no_grad():
        layer.weight_g.mul_(2.0)
        layer.weight_v.mul_(5.0)  # the direction's length means nothing
    y = layer(x)
    np.testing.assert_allclose(layer.weight.to_numpy(), 2 * w, rtol=1e-12)
    y.sum().backward()
    v, g = layer.weight_v.grad.to_numpy(), layer.weight_g.grad.to_numpy()
    assert np.abs(g).max() > 0.1
    across = (v * layer.weight_v.to_numpy()).sum(axis=None if dim is None else 1 - dim)
    np.testing.assert_allclose(across, 0, atol=1e-12)
    assert remove_weight_norm(layer) is layer
    assert {n for n, _ in layer.named_parameters()} == {"bias", "weight"}
    np.testing.assert_allclose(layer(x).to_numpy(), y.to_numpy(), rtol=1e-12)


def test_a_recurrent_weight():
    layer, x = nn.LSTM(2, 3), mg.ones(4, 1, 2)
    before = layer(x)[0].to_numpy()
    weight_norm(layer, "weight_hh_l0")
    y, _ = layer(x)
    np.testing.assert_allclose(y.to_numpy(), before, rtol=1e-5)
    y.sum().backward()
    assert layer.weight_hh_l0_v.grad.shape == (12, 3) and layer.weight_hh_l0_g.shape == (12, 1)


def test_misuse():
    layer = weight_norm(nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match="already"):
        weight_norm(layer)
    with pytest.raises(ValueError, match="not normalised"):
        remove_weight_norm(layer, "bias")
    with pytest.warns(FutureWarning):
        weight_norm(nn.Linear(2, 2))
