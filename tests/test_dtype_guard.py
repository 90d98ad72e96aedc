"""What the dtype guard lets pass, and what not."""

import numpy as np
import pytest

import minigrad as mg

x = mg.ones(2, 2)

NUMBERS = [
    lambda: x / np.sqrt(2.0),
    lambda: x / np.array(2.0),
    lambda: np.float64(2) * x,
    lambda: x ** np.float64(2),
    lambda: x.clamp(np.float64(0)),
    lambda: x.masked_fill(x > 0, np.float64(1)),
    lambda: mg.where(x > 0, x, np.float64(0)),
]


@pytest.mark.parametrize("call", NUMBERS)
def test_numbers_of_numpy_are_numbers(call):
    with mg.dtype_guard():
        assert call().dtype == mg.float32


@pytest.mark.parametrize("other", [np.ones(2), mg.ones(2, dtype=mg.float64)])
def test_arrays_are_not(other):
    with pytest.raises(TypeError, match="operand 1 of Mul"), mg.dtype_guard():
        x * other


def test_a_training_step_passes():
    net = mg.nn.LSTM(3, 4)
    with mg.dtype_guard():
        y = net(mg.ones(5, 2, 3))[0]
        (y / 3.0 - 1).pow(2).mean().backward()
        mg.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        mg.optim.Adam(net.parameters()).step()
    assert net.weight_ih_l0.grad is not None
