"""Recurrent layers, cells, packed sequences and clipping held against PyTorch, over the product of
their options.
"""

import itertools
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn.utils import rnn

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
T, B, I, H, P = 5, 4, 3, 4, 2
LENGTHS = [2, 5, 1, 5]

KINDS = {
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "projected": ("LSTM", {"proj_size": P}),
    "gru": ("GRU", {}),
}
INPUTS = ["padded", "one sequence", "packed", "packed sorted"]
PRODUCT = list(
    itertools.product(KINDS, (1, 2), (False, True), (False, True), (True, False), INPUTS)
)


def close(mine, theirs, dtype="float64", what=""):
    mine, theirs = mine.detach().numpy(), theirs.detach().numpy()
    assert mine.shape == theirs.shape and mine.dtype == theirs.dtype, what
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance, err_msg=what)


def pair(rng, *shape, dtype="float64"):
    """The same random leaf on both sides."""
    x = rng.standard_normal(shape).astype(dtype)
    return mg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)


def twins(name, *args, dtype="float64", **options):
    """The same module on both sides, with PyTorch's weights."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*args, **options).to(getattr(torch, dtype))
    mine = getattr(nn, name)(*args, **options).to(dtype=dtype)
    assert repr(mine) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    mine.load_state_dict({name: x.numpy() for name, x in theirs.state_dict().items()})
    return mine, theirs


def compare(mine, theirs, leaves, modules, dtype, rng):
    """Outputs, then the gradients of all leaves and weights, with random weights."""
    loss_m, loss_t = 0.0, 0.0
    for n, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        close(a, b, dtype, f"output {n}")
        w = rng.standard_normal(tuple(b.shape)).astype(dtype)
        loss_m, loss_t = loss_m + (a * mg.tensor(w)).sum(), loss_t + (b * torch.tensor(w)).sum()
    loss_m.backward()
    loss_t.backward()
    for n, (a, b) in enumerate(leaves):
        close(a.grad, b.grad, dtype, f"gradient of leaf {n}")
    named = zip(modules[0].named_parameters(), modules[1].parameters(), strict=True)
    for (name, a), b in named:
        close(a.grad, b.grad, dtype, f"gradient of {name}")


def flat(result):
    """y, (h, c) or y, h as a list; of a packed sequence its data."""
    y, state = result
    state = list(state) if isinstance(state, tuple) else [state]
    return [getattr(y, "data", y) if isinstance(y, tuple) else y, *state]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind, layers, bidirectional, batch_first, bias, given", PRODUCT)
def test_layer(kind, layers, bidirectional, batch_first, bias, given, dtype):
    name, options = KINDS[kind]
    rng = np.random.default_rng(0)
    options = options | dict(bidirectional=bidirectional, batch_first=batch_first, bias=bias)
    modules = twins(name, I, H, layers, dtype=dtype, **options)
    one = given == "one sequence"
    shape = (T, I) if one else (B, T, I) if batch_first else (T, B, I)
    n = layers * (1 + bidirectional)
    sizes = ([options.get("proj_size", H)] + [H] * (name == "LSTM")) if name == "LSTM" else [H]
    for with_state in (False, True):
        x = pair(rng, *shape, dtype=dtype)
        states, leaves = [None, None], [x]
        if with_state:
            parts = [pair(rng, *((n, s) if one else (n, B, s)), dtype=dtype) for s in sizes]
            leaves += parts
            states = [tuple(p) if name == "LSTM" else p[0] for p in zip(*parts)]
        results = []
        for module, x_, hx, pack in zip(
            modules,
            x,
            states,
            (rnn.pack_padded_sequence, torch.nn.utils.rnn.pack_padded_sequence),
        ):
            module.zero_grad()
            if given == "packed":
                x_ = pack(x_, LENGTHS, batch_first=batch_first, enforce_sorted=False)
            elif given == "packed sorted":
                x_ = pack(x_, sorted(LENGTHS)[::-1], batch_first=batch_first)
            results.append(module(x_, hx) if with_state else module(x_))
        if given.startswith("packed"):
            for a, b in zip(results[0][0][1:], results[1][0][1:]):
                assert (a is None) == (b is None)
                assert a is None or a.tolist() == b.tolist()
        compare(*map(flat, results), leaves, modules, dtype, rng)


CELLS = {
    "tanh": ("RNNCell", {}),
    "relu": ("RNNCell", {"nonlinearity": "relu"}),
    "lstm": ("LSTMCell", {}),
    "gru": ("GRUCell", {}),
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bias, batch, with_state", itertools.product(*[(True, False)] * 3))
def test_cell(kind, bias, batch, with_state, dtype):
    name, options = CELLS[kind]
    rng = np.random.default_rng(0)
    modules = twins(name, I, H, bias, dtype=dtype, **options)
    lead = (B,) if batch else ()
    xs = [pair(rng, *lead, I, dtype=dtype) for _ in range(3)]
    states, leaves = [None, None], list(xs)
    if with_state:
        parts = [pair(rng, *lead, H, dtype=dtype) for _ in range(1 + (kind == "lstm"))]
        leaves += parts
        states = [tuple(p) if kind == "lstm" else p[0] for p in zip(*parts)]
    results = []
    for side, module in enumerate(modules):
        state, seen = states[side], []
        for x in xs:
            state = module(x[side], state) if state is not None else module(x[side])
            seen += list(state) if kind == "lstm" else [state]
        results.append(seen)
    compare(*results, leaves, modules, dtype, rng)


@pytest.mark.parametrize("kind", KINDS)
def test_names_shapes_and_attributes(kind):
    name, options = KINDS[kind]
    mine, theirs = twins(name, I, H, 2, bidirectional=True, dropout=0.5, **options)
    assert [tuple(p.shape) for p in mine.parameters()] == [
        tuple(p.shape) for p in theirs.parameters()
    ]
    assert mine._all_weights == theirs._all_weights
    assert [[tuple(w.shape) for w in ws] for ws in mine.all_weights] == [
        [tuple(w.shape) for w in ws] for ws in theirs.all_weights
    ]
    assert mine.flatten_parameters() is None
    for attribute in "mode input_size hidden_size num_layers bias batch_first dropout".split():
        assert getattr(mine, attribute) == getattr(theirs, attribute), attribute
    assert (mine.bidirectional, mine.proj_size) == (theirs.bidirectional, theirs.proj_size)


def test_arguments_by_position():
    for name, args in {
        "RNN": (I, H, 2, "relu", False, True, 0.5, True),
        "GRU": (I, H, 2, False, True, 0.5, True),
        "LSTM": (I, H, 2, False, True, 0.5, True, P),
        "RNNCell": (I, H, False, "relu"),
        "LSTMCell": (I, H, False),
        "GRUCell": (I, H, False),
    }.items():
        twins(name, *args)


# packing


def both_packed(lengths, batch_first, enforce_sorted, rest=(2,)):
    rng = np.random.default_rng(0)
    shape = (len(lengths), 6) if batch_first else (6, len(lengths))
    x = pair(rng, *shape, *rest)
    options = dict(batch_first=batch_first, enforce_sorted=enforce_sorted)
    mine = rnn.pack_padded_sequence(x[0], lengths, **options)
    return x, mine, torch.nn.utils.rnn.pack_padded_sequence(x[1], lengths, **options)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[6, 4, 1], [2, 5, 1, 3], [1], [4, 4], [3, 6, 2, 5, 4, 1]])
@pytest.mark.parametrize("rest", [(), (2,), (2, 3)])
@pytest.mark.parametrize("total", [None, 8])
@pytest.mark.parametrize("padding_value", [0.0, -1.5])
def test_packing_and_padding(lengths, batch_first, rest, total, padding_value):
    is_sorted = sorted(lengths, reverse=True) == lengths
    x, mine, theirs = both_packed(lengths, batch_first, is_sorted, rest)
    close(mine.data, theirs.data)
    for a, b in zip(mine[1:], theirs[1:]):
        assert (a is None) == (b is None)
        assert a is None or (a.tolist() == b.tolist() and a.dtype == "int64")
    options = dict(batch_first=batch_first, padding_value=padding_value, total_length=total)
    y, n = rnn.pad_packed_sequence(mine, **options)
    y_t, n_t = torch.nn.utils.rnn.pad_packed_sequence(theirs, **options)
    close(y, y_t)
    assert n.tolist() == n_t.tolist() and n.dtype == "int64"
    w = np.random.default_rng(1).standard_normal(y.shape)
    ((y * y) * mg.tensor(w)).sum().backward()
    ((y_t * y_t) * torch.tensor(w)).sum().backward()
    close(x[0].grad, x[1].grad)
    for a, b in zip(rnn.unpack_sequence(mine), torch.nn.utils.rnn.unpack_sequence(theirs)):
        close(a, b)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
def test_pad_sequence(batch_first, side):
    rng = np.random.default_rng(0)
    pairs = [pair(rng, n, 2) for n in (3, 1, 4)]
    options = dict(batch_first=batch_first, padding_value=7.0, padding_side=side)
    mine = rnn.pad_sequence([a for a, _ in pairs], **options)
    theirs = torch.nn.utils.rnn.pad_sequence([b for _, b in pairs], **options)
    close(mine, theirs)
    w = rng.standard_normal(mine.shape)
    (mine * mg.tensor(w)).sum().backward()
    (theirs * torch.tensor(w)).sum().backward()
    for a, b in pairs:
        close(a.grad, b.grad)
    ints = [[1, 2], [3], [4, 5, 6]]
    mine = rnn.pad_sequence([mg.tensor(v) for v in ints], True, 9)
    assert mine.tolist() == [[1, 2, 9], [3, 9, 9], [4, 5, 6]] and mine.dtype == "int64"


def u(m):
    return m.nn.utils.rnn


ERRORS = {
    "length 0": lambda m: u(m).pack_padded_sequence(m.ones(5, 3), [5, 3, 0]),
    "unsorted": lambda m: u(m).pack_padded_sequence(m.ones(5, 3), [3, 5, 1]),
    "too few lengths": lambda m: u(m).pack_padded_sequence(m.ones(5, 3), [3, 1]),
    "no lengths": lambda m: u(m).pack_padded_sequence(m.ones(5, 3), []),
    "one dimension": lambda m: u(m).pack_padded_sequence(m.ones(5), [5]),
    "two-dimensional lengths": lambda m: u(m).pack_padded_sequence(m.ones(5, 2), [[5, 3]]),
    "negative length": lambda m: u(m).pack_padded_sequence(m.ones(5, 2), [5, -1], False, False),
    "short total": lambda m: u(m).pad_packed_sequence(
        u(m).pack_padded_sequence(m.ones(5, 2), [5, 3]), total_length=4
    ),
    "pad nothing": lambda m: u(m).pad_sequence([]),
    "pack nothing": lambda m: u(m).pack_sequence([]),
    "pad a number": lambda m: u(m).pad_sequence(3),
    "pad scalars": lambda m: u(m).pad_sequence([m.ones(())]),
    "pad widths": lambda m: u(m).pad_sequence([m.ones(3, 2), m.ones(2, 3)]),
    "padding side": lambda m: u(m).pad_sequence([m.ones(3)], padding_side="up"),
    "pack unsorted": lambda m: u(m).pack_sequence([m.ones(2), m.ones(3)]),
    "unpad too few": lambda m: u(m).unpad_sequence(m.ones(5, 3), m.tensor([5, 3])),
    "half a packed sequence": lambda m: u(m).PackedSequence(m.ones(3)),
    "packed width": lambda m: m.nn.GRU(3, 2)(u(m).pack_padded_sequence(m.ones(5, 2, 4), [5, 3])),
    "packed dimensions": lambda m: m.nn.GRU(3, 2)(u(m).pack_padded_sequence(m.ones(5, 2), [5, 3])),
    "packed state": lambda m: m.nn.GRU(4, 2)(
        u(m).pack_padded_sequence(m.ones(5, 2, 4), [5, 3]), m.ones(1, 3, 2)
    ),
    "gru width": lambda m: m.nn.GRU(3, 2)(m.ones(5, 1, 4)),
    "gru dimensions": lambda m: m.nn.GRU(3, 2)(m.ones(3)),
    "gru state": lambda m: m.nn.GRU(3, 2)(m.ones(5, 1, 3), m.ones(1, 2, 2)),
    "gru state of one": lambda m: m.nn.GRU(3, 2)(m.ones(5, 3), m.ones(1, 1, 2)),
    "gru state without batch": lambda m: m.nn.GRU(3, 2)(m.ones(5, 1, 3), m.ones(1, 2)),
    "gru no steps": lambda m: m.nn.GRU(3, 2)(m.ones(0, 1, 3)),
    "gru dtype": lambda m: m.nn.GRU(3, 2)(m.ones(5, 1, 3).double()),
    "rnn integers": lambda m: m.nn.RNN(3, 2)(m.tensor([[[1, 2, 3]]])),
    "state dtype": lambda m: m.nn.RNN(3, 2)(m.ones(5, 1, 3), m.ones(1, 1, 2).double()),
    "nonlinearity": lambda m: m.nn.RNN(3, 2, nonlinearity="sigmoid"),
    "projected gru": lambda m: m.nn.GRU(3, 2, proj_size=1),
    "projected rnn": lambda m: m.nn.RNN(3, 2, proj_size=1),
    "projection too wide": lambda m: m.nn.LSTM(3, 2, proj_size=2),
    "negative projection": lambda m: m.nn.LSTM(3, 2, proj_size=-1),
    "bias": lambda m: m.nn.LSTM(3, 2, bias=1),
    "batch_first": lambda m: m.nn.LSTM(3, 2, batch_first=1),
    "float input size": lambda m: m.nn.LSTM(3.0, 2),
    "float hidden size": lambda m: m.nn.GRU(3, 2.0),
    "float layers": lambda m: m.nn.GRU(3, 2, 1.5),
    "no input": lambda m: m.nn.GRU(0, 2),
    "no hidden": lambda m: m.nn.GRU(3, 0),
    "no layers": lambda m: m.nn.GRU(3, 2, 0),
    "bool dropout": lambda m: m.nn.GRU(3, 2, 2, dropout=True),
    "dropout of 2": lambda m: m.nn.GRU(3, 2, 2, dropout=2),
    "unknown mode": lambda m: m.nn.RNNBase("X", 3, 2),
    "base": lambda m: m.nn.RNNBase("LSTM", 3, 2)(m.ones(5, 1, 3)),
    "cell dimensions": lambda m: m.nn.LSTMCell(3, 2)(m.ones(5, 1, 3)),
    "cell width": lambda m: m.nn.LSTMCell(3, 2)(m.ones(5, 4)),
    "cell state": lambda m: m.nn.LSTMCell(3, 2)(m.ones(5, 3), (m.ones(4, 2),) * 2),
    "cell state width": lambda m: m.nn.GRUCell(3, 2)(m.ones(5, 3), m.ones(5, 3)),
    "cell state dimensions": lambda m: m.nn.GRUCell(3, 2)(m.ones(5, 3), m.ones(1, 5, 2)),
    "cell of a tensor": lambda m: m.nn.LSTMCell(3, 2)(m.ones(5, 3), m.ones(5, 2)),
    "cell of half a state": lambda m: m.nn.LSTMCell(3, 2)(m.ones(5, 3), (m.ones(5, 2),)),
    "cell dtype": lambda m: m.nn.GRUCell(3, 2)(m.ones(5, 3).double()),
    "cell nonlinearity": lambda m: m.nn.RNNCell(3, 2, nonlinearity="x")(m.ones(5, 3)),
    "vector of lists": lambda m: m.nn.utils.vector_to_parameters([1.0], []),
    "vector too short": lambda m: m.nn.utils.vector_to_parameters(
        m.ones(3), m.nn.Linear(2, 2).parameters()
    ),
    "vector of nothing": lambda m: m.nn.utils.parameters_to_vector([]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_has_pytorchs_type(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as theirs:  # noqa: B017
            ERRORS[name](torch)
        with pytest.raises(type(theirs.value)):
            ERRORS[name](mg)


# clipping


@pytest.mark.parametrize("norm_type", [1, 2, 3.0, 0.5, "inf", float("inf"), float("-inf"), 0])
@pytest.mark.parametrize("max_norm", [0, 0.1, 3, 1e9])
@pytest.mark.parametrize("bad", [None, float("nan"), float("inf")])
def test_clip_grad_norm(max_norm, norm_type, bad):
    rng = np.random.default_rng(0)
    pairs = [pair(rng, 3, 4), pair(rng, 5), pair(rng, 2)]
    for n, (a, b) in enumerate(pairs[:2]):
        g = rng.standard_normal(tuple(b.shape))
        if bad is not None and n == 1:
            g[2] = bad
        a.grad, b.grad = mg.tensor(g), torch.tensor(g)
    mine, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    norm = nn.utils.clip_grad_norm_(mine, max_norm, norm_type)
    norm_t = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    close(norm, norm_t)
    for a, b in pairs[:2]:
        close(a.grad, b.grad)
    close(
        nn.utils.get_total_norm([a.grad for a in mine[:2]], norm_type),
        torch.nn.utils.get_total_norm([b.grad for b in theirs[:2]], norm_type),
    )


def test_vectors_of_parameters():
    mine, theirs = twins("GRU", I, H)
    vec = nn.utils.parameters_to_vector(mine.parameters())
    vec_t = torch.nn.utils.parameters_to_vector(theirs.parameters())
    close(vec, vec_t)
    nn.utils.vector_to_parameters(vec * 2.0, mine.parameters())
    torch.nn.utils.vector_to_parameters(vec_t * 2.0, theirs.parameters())
    for a, b in zip(mine.parameters(), theirs.parameters()):
        close(a, b)
