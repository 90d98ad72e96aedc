"""Initialisers that test_nn.py does not cover: truncated, sparse, identity kernels, old names."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import init


def blank(*shape):
    return nn.Parameter(mg.zeros(*shape))


def values(x):
    return x.detach().numpy()


def test_trunc_normal():
    mg.manual_seed(0)
    x = values(init.trunc_normal_(blank(200, 200), 1.0, 2.0, -1.0, 4.0))
    assert x.min() >= -1 and x.max() <= 4
    low, high = -1.0, 1.5  # the bounds in standard deviations

    def density(v):
        return math.exp(-v * v / 2) / math.sqrt(2 * math.pi)

    mass = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    expected = 1 + 2 * (density(low) - density(high)) / mass
    assert abs(x.mean() - expected) < 0.03
    with pytest.warns(UserWarning, match="std"):
        init.trunc_normal_(blank(2), 10.0, 0.1, -1.0, 1.0)


def test_sparse():
    mg.manual_seed(0)
    x = values(init.sparse_(blank(50, 20), 0.3, std=2.0))
    np.testing.assert_array_equal((x == 0).sum(0), 15)
    assert 1.7 < x[x != 0].std() < 2.3


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_passes_the_input_through(groups):
    w = init.dirac_(blank(4, 4 // groups, 3), groups)
    x = mg.randn(2, 4, 7)
    y = nn.functional.conv1d(x, w, padding=1, groups=groups)
    np.testing.assert_allclose(values(y), values(x), rtol=1e-6)


def test_gain_of_selu():
    assert init.calculate_gain("selu") == 0.75
    assert init.calculate_gain("conv1d") == 1
    with pytest.raises(ValueError):
        init.calculate_gain("sine")


def test_the_tape_sees_nothing():
    x = blank(3, 3)
    init.xavier_normal_(x)
    assert x.is_leaf and x.requires_grad
    y = x * x
    init.zeros_(x)
    with pytest.raises(RuntimeError, match="changed"):
        y.sum().backward()


OLD = """uniform normal constant eye xavier_uniform xavier_normal kaiming_uniform kaiming_normal
    orthogonal""".split()


@pytest.mark.parametrize("name", OLD)
def test_old_names_warn_and_work(name):
    arguments = (3.0,) if name == "constant" else ()
    with pytest.warns(FutureWarning, match=f"{name}_"):
        x = getattr(init, name)(blank(4, 4), *arguments)
    assert (values(x) != 0).any()


def test_fans():
    assert init._calculate_fan_in_and_fan_out(blank(5, 3, 2)) == (6, 10)
    with pytest.raises(ValueError):
        init._calculate_fan_in_and_fan_out(blank(5))


def test_nothing_to_fill():
    with pytest.warns(UserWarning, match="nothing"):
        init.kaiming_uniform_(blank(0, 3))
