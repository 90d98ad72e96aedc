"""Packed sequences, and layers that take them."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import recurrent_checks as checks
import strict_backend  # noqa: F401  registers the device "strict"

import minigrad as mg
from minigrad import nn
from minigrad.nn.utils import rnn
from minigrad.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)
from minigrad.testing import gradcheck

CASES = [[4, 2, 1], [2, 4, 1], [3, 3], [1], [1, 2, 3, 4]]


def random(*shape, requires_grad=False):
    values = np.random.default_rng(0).standard_normal(shape)
    return mg.tensor(values, requires_grad=requires_grad)


def by_hand(x, lengths, order):
    """Step by step, in each step the sequences that are not over, in the order given."""
    return np.stack([x[t, b] for t in range(max(lengths)) for b in order if t < lengths[b]])


@pytest.mark.parametrize("lengths", CASES, ids=str)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("rest", [(), (2,), (2, 3)], ids=str)
def test_there_and_back(lengths, batch_first, rest):
    x = random(5, len(lengths), *rest)
    packed = pack_padded_sequence(
        x.transpose(0, 1) if batch_first else x, lengths, batch_first, enforce_sorted=False
    )
    order = sorted(range(len(lengths)), key=lambda b: -lengths[b])
    np.testing.assert_array_equal(packed.data.numpy(), by_hand(x.numpy(), lengths, order))
    assert packed.batch_sizes.tolist() == [sum(n > t for n in lengths) for t in range(max(lengths))]
    assert packed.sorted_indices.tolist() == order
    assert [order[i] for i in packed.unsorted_indices.tolist()] == list(range(len(lengths)))
    y, n = pad_packed_sequence(packed, batch_first, padding_value=7.0, total_length=6)
    y = (y.transpose(0, 1) if batch_first else y).numpy()
    assert n.tolist() == lengths and y.shape == (6, len(lengths), *rest)
    for b, n in enumerate(lengths):
        np.testing.assert_array_equal(y[:n, b], x.numpy()[:n, b])
        assert (y[n:, b] == 7).all()
    for b, one in enumerate(unpack_sequence(packed)):
        np.testing.assert_array_equal(one.numpy(), x.numpy()[: lengths[b], b])


@pytest.mark.parametrize("make", [list, tuple, np.array, mg.tensor])
def test_lengths_in_any_form(make):
    x = random(5, 3, 2)
    packed = pack_padded_sequence(x, make([5, 3, 2]))
    assert packed.sorted_indices is None and packed.unsorted_indices is None
    assert packed.batch_sizes.tolist() == [3, 3, 2, 1, 1]
    mixed = pack_padded_sequence(x, [mg.tensor(5), 3, mg.tensor(2)])
    np.testing.assert_array_equal(mixed.data.numpy(), packed.data.numpy())


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_a_list(batch_first, side):
    xs = [random(n, 2) for n in (2, 4, 1)]
    y = pad_sequence(xs, batch_first, -1.0, side)
    y = (y if batch_first else y.transpose(0, 1)).numpy()
    assert y.shape == (3, 4, 2)
    for row, x in zip(y, xs):
        n = len(x)
        real, rest = (row[4 - n :], row[: 4 - n]) if side == "left" else (row[:n], row[n:])
        np.testing.assert_array_equal(real, x.numpy())
        assert (rest == -1).all()
    if side == "right":
        y = mg.tensor(y)
        y = y if batch_first else y.transpose(0, 1)
        for x, again in zip(xs, unpad_sequence(y, mg.tensor([2, 4, 1]), batch_first)):
            np.testing.assert_array_equal(again.numpy(), x.numpy())


@pytest.mark.parametrize("order", [1, 2])
def test_gradients(order):
    x = random(4, 3, 2, requires_grad=True)

    def there_and_back(x):
        packed = pack_padded_sequence(x * x, [2, 4, 1], enforce_sorted=False)
        return packed.data, pad_packed_sequence(packed, True)[0]

    assert gradcheck(there_and_back, [x], order=order)
    assert gradcheck(
        lambda *xs: pad_sequence([x * x for x in xs], padding_side="left"),
        [random(n, 2, requires_grad=True) for n in (2, 3, 1)],
        order=order,
    )


def test_integers_are_packed_too():
    packed = pack_sequence([mg.tensor([1, 2]), mg.tensor([3, 4, 5])], enforce_sorted=False)
    assert packed.data.tolist() == [3, 1, 4, 2, 5] and packed.data.dtype == "int64"
    assert [x.tolist() for x in unpack_sequence(packed)] == [[1, 2], [3, 4, 5]]


def test_a_packed_sequence_is_a_tuple_that_converts():
    packed = pack_padded_sequence(random(3, 2, 2), [2, 3], enforce_sorted=False)
    data, batch_sizes, sorted_indices, unsorted_indices = packed
    assert data is packed.data and isinstance(packed, tuple)
    assert packed.to("cpu") is packed and packed.cpu() is packed and packed.double() is packed
    single = packed.float()
    assert type(single) is PackedSequence and single.data.dtype == "float32"
    assert single.batch_sizes is batch_sizes and not packed.is_cuda
    assert packed.half().data.dtype == "float16" and packed.long().data.dtype == "int64"
    assert packed.to(mg.float32).data.dtype == "float32"
    again = PackedSequence((data, batch_sizes), sorted_indices=sorted_indices)
    assert again.unsorted_indices.tolist() == unsorted_indices.tolist()
    assert rnn.invert_permutation(None) is None
    assert rnn.invert_permutation(mg.tensor([2, 0, 1])).tolist() == [1, 2, 0]


LAYERS = {
    "rnn": (nn.RNN, {}),
    "gru": (nn.GRU, {}),
    "lstm": (nn.LSTM, {}),
    "projected": (nn.LSTM, {"proj_size": 2}),
}


@pytest.mark.parametrize(
    "kind, bidirectional, batch_first, with_state",
    itertools.product(LAYERS, *[(False, True)] * 3),
)
def test_a_packed_batch_is_the_batch_with_lengths(kind, bidirectional, batch_first, with_state):
    make, options = LAYERS[kind]
    model = make(3, 4, 2, bidirectional=bidirectional, batch_first=batch_first, **options).double()
    lengths, x = [2, 5, 1, 3], random(5, 4, 3)
    n, state = 2 * (1 + bidirectional), None
    if with_state:
        state = random(n, 4, options.get("proj_size", 4))
        state = (state, random(n, 4, 4)) if make is nn.LSTM else state
    x = x.transpose(0, 1) if batch_first else x
    expected, last = model(x, state, lengths=lengths)
    packed = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    y, last_packed = model(packed, state)
    assert type(y) is PackedSequence and y.batch_sizes is packed.batch_sizes
    padded, n = pad_packed_sequence(y, batch_first)
    np.testing.assert_array_equal(padded.detach().numpy(), expected.detach().numpy())
    assert n.tolist() == lengths
    for a, b in zip(last, last_packed):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_gradients_through_a_packed_layer():
    model = nn.GRU(2, 2, bidirectional=True).double()

    def call(x, h):
        y, h = model(pack_padded_sequence(x, [1, 3], enforce_sorted=False), h)
        return y.data, h

    inputs = [random(3, 2, 2, requires_grad=True), random(2, 2, 2, requires_grad=True)]
    assert gradcheck(call, inputs)
    assert gradcheck(call, inputs, order=2, atol=1e-5)


def test_a_packed_sequence_brings_its_lengths():
    packed = pack_padded_sequence(mg.ones(3, 2, 2), [3, 2])
    with pytest.raises(ValueError, match="lengths"):
        nn.GRU(2, 2)(packed, lengths=[3, 2])


def test_lengths_beyond_the_time_steps():
    with pytest.raises(RuntimeError, match="1 to 3"):
        pack_padded_sequence(mg.ones(3, 2, 2), [4, 2])


def test_copies():
    packed = pack_padded_sequence(random(3, 2, 2), [2, 3], enforce_sorted=False)
    for again in (copy.copy(packed), packed._replace(data=packed.data * 2.0)):
        assert type(again) is PackedSequence
    assert pickle.loads(pickle.dumps(rnn.PackedSequence)) is PackedSequence


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
def test_on_another_backend(name):
    make, cell = getattr(nn, name), getattr(nn, f"{name}Cell")
    checks.check_backend(make, cell, pack_padded_sequence)
