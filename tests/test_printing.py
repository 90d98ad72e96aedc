"""What a tensor prints: the layout, the notes and the settings."""

import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, printing

SHOWN = [  # array, text
    (np.float32(1.5), "tensor(1.5000)"),
    (np.float32(2), "tensor(2.)"),
    (np.array([1.0, -20.0], "f4"), "tensor([  1., -20.])"),
    (np.array([1.0, np.nan, np.inf], "f4"), "tensor([1., nan, inf])"),
    (np.array([1e-5, 1.0], "f4"), "tensor([1.0000e-05, 1.0000e+00])"),
    (np.array([0.0, -0.0], "f4"), "tensor([0., -0.])"),
    (np.array([[1, -10], [3, 4]]), "tensor([[  1, -10],\n        [  3,   4]])"),
    (np.array([True, False]), "tensor([ True, False])"),
    (np.array([1], "i4"), "tensor([1], dtype=minigrad.int32)"),
    (np.array([0.5], "f8"), "tensor([0.5000], dtype=minigrad.float64)"),
    (np.zeros(0, "f4"), "tensor([])"),
    (np.zeros(0, "i8"), "tensor([], dtype=minigrad.int64)"),
    (np.zeros((2, 0), "f4"), "tensor([], size=(2, 0))"),
    (np.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
    (np.ones((1, 2, 1), "f4"), "tensor([[[1.],\n         [1.]]])"),
]


@pytest.fixture(autouse=True)
def default_options():
    yield
    printing.set_printoptions(profile="default")


@pytest.mark.parametrize("array, text", SHOWN, ids=[text[:40] for _, text in SHOWN])
def test_values(array, text):
    assert printing.format_tensor(mg.from_numpy(np.asarray(array))) == text


def test_edges_of_every_long_dimension():
    lines = printing.format_tensor(mg.zeros(50, 50)).split("\n")
    assert lines[3].strip() == "...," and len(lines) == 7
    assert lines[0] == "tensor([[0., 0., 0.,  ..., 0., 0., 0.],"


def test_history():
    x = mg.ones(2, requires_grad=True)
    assert printing.format_tensor(x) == "tensor([1., 1.], requires_grad=True)"
    y = x + 1
    assert printing.format_tensor(y) == "tensor([2., 2.], grad_fn=<AddBackward0>)"
    text = printing.format_tensor(nn.Parameter(mg.ones(1)))
    assert text == "Parameter containing:\ntensor([1.], requires_grad=True)"


def test_a_device():
    class Tensor:
        device, requires_grad, grad_fn = "cuda", False, None

        def to_numpy(self):
            return np.ones(1, np.float32)

    assert printing.format_tensor(Tensor()) == "tensor([1.], device='cuda:0')"


def test_a_long_note_gets_its_own_line():
    x = mg.zeros(20, dtype=np.float64, requires_grad=True)
    assert printing.format_tensor(x).split("\n")[-1] == (
        "       dtype=minigrad.float64, requires_grad=True)"
    )


def test_settings_of_one_block_and_one_thread():
    x = mg.tensor([1.23456])
    with printing.printoptions(precision=2):
        assert printing.format_tensor(x) == "tensor([1.23])"
        seen = []
        thread = threading.Thread(target=lambda: seen.append(printing.format_tensor(x)))
        thread.start()
        thread.join()
        assert seen == ["tensor([1.2346])"]
    assert printing.format_tensor(x) == "tensor([1.2346])"
    printing.set_printoptions(profile="short")
    assert printing.get_printoptions()["precision"] == 2
    with pytest.raises(ValueError, match="short"):
        printing.set_printoptions(profile="long")
