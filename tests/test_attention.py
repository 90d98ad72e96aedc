"""What attention says of shapes that do not fit."""

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F

x = mg.ones(3, 2, 4)  # (length, sentences, features)
layer = nn.MultiheadAttention(4, 2)


def attend(q, k, v, mask=None):
    return F.scaled_dot_product_attention(mg.ones(*q), mg.ones(*k), mg.ones(*v), mask)


WRONG = [
    (lambda: attend((3, 4), (5, 3), (5, 4)), RuntimeError, r"attention.*\(5, 3\)"),
    (lambda: attend((3, 4), (5, 4), (6, 4)), RuntimeError, r"attention.*\(6, 4\)"),
    (lambda: attend((3, 4), (5, 4), (5, 4), mg.zeros(3, 4)), RuntimeError, r"mask.*\(..., 3, 5\)"),
    (lambda: layer(x, x, x, attn_mask=mg.zeros(2, 2)), RuntimeError, r"attn_mask.*\(3, 3\)"),
    (
        lambda: layer(x, x, x, key_padding_mask=mg.zeros(3, 2)),
        AssertionError,
        r"key_padding_mask.*\(3, 2\).*\(2, 3\)",
    ),
]


@pytest.mark.parametrize("call, error, text", WRONG)
def test_errors_name_what_does_not_fit(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("shape", [(5,), (3, 1), (1, 1), (2, 3, 5), (2, 1, 1, 5)])
def test_masks_are_broadcast(shape):
    found = attend((2, 3, 4), (2, 5, 4), (2, 5, 4), mg.zeros(*shape))
    assert (found == 1).all()
