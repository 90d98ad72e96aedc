"""Random programs of about twenty steps, run by PyTorch and here: the same values, the same
gradients, or both refuse. The steps change tensors in place, also through views, which is where the
two could differ.
"""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg

torch = pytest.importorskip("torch")

COMPUTE = {
    "sin": lambda lib, x, y: x.sin(),
    "tanh": lambda lib, x, y: x.tanh(),
    "sigmoid": lambda lib, x, y: x.sigmoid(),
    "square": lambda lib, x, y: x * x * 0.5,
    "relu": lambda lib, x, y: x.relu(),
    "add": lambda lib, x, y: x + y,
    "sub": lambda lib, x, y: x - 2 * y,
    "mul": lambda lib, x, y: x * y,
    "weighted": lambda lib, x, y: x.lerp(y, 0.3),
    "sum": lambda lib, x, y: x.sum(-1, keepdim=True),
    "matmul": lambda lib, x, y: x @ y,
    "softmax": lambda lib, x, y: x.softmax(-1),
    "clone": lambda lib, x, y: x.clone(),
    "rows": lambda lib, x, y: x[[1, 0, 1]],
    "cat": lambda lib, x, y: lib.cat([x, y]),
    "stack": lambda lib, x, y: lib.stack([x, y], -1),
    "where": lambda lib, x, y: lib.where(x > y, x, y),
    "second": lambda lib, x, y: x.unbind()[1] * 1,
    "half": lambda lib, x, y: x.chunk(2, -1)[0] * 1,
    "detach": lambda lib, x, y: x.detach(),
}
VIEWS = {
    "transpose": lambda lib, x, y: x.transpose(0, -1),
    "row": lambda lib, x, y: x[1],
    "column": lambda lib, x, y: x[..., 0],
    "rest": lambda lib, x, y: x[1:],
    "every other": lambda lib, x, y: x[..., ::2],
    "unsqueeze": lambda lib, x, y: x.unsqueeze(0),
    "squeeze": lambda lib, x, y: x.squeeze(),
    "flatten": lambda lib, x, y: x.view(-1),
    "reshape": lambda lib, x, y: x.reshape(-1, 2),
    "diagonal": lambda lib, x, y: x.diagonal(),
    "expand": lambda lib, x, y: x.expand(2, 3),
    "expand_as": lambda lib, x, y: x.expand_as(y),
}


def assign(x, index, value):
    x[index] = value
    return x


def unrecorded(lib, x, y):
    with lib.no_grad():
        return x.mul_(0.9)


def iadd(lib, x, y):
    x += y
    return x


IN_PLACE = {
    "add_": lambda lib, x, y: x.add_(y, alpha=0.5),
    "mul_": lambda lib, x, y: x.mul_(y),
    "sin_": lambda lib, x, y: x.sin_(),
    "tanh_": lambda lib, x, y: x.tanh_(),
    "scale_": lambda lib, x, y: x.mul_(0.7),
    "+=": iadd,
    "copy_": lambda lib, x, y: x.copy_(y),
    "zero_": lambda lib, x, y: x.zero_(),
    "fill_": lambda lib, x, y: x.fill_(0.3),
    "x[0] = y": lambda lib, x, y: assign(x, 0, y),
    "x[..., 1] = y": lambda lib, x, y: assign(x, (..., 1), y),
    "x[:, 1:] = y": lambda lib, x, y: assign(x, (slice(None), slice(1, None)), y),
    "x[[0, 1]] = y": lambda lib, x, y: assign(x, [0, 1], y),
    "x[mask] = 2": lambda lib, x, y: assign(x, x > 0.2, 2.0),
    "masked_fill_": lambda lib, x, y: x.masked_fill_(x < 0, 0.5),
    "index_add_": lambda lib, x, y: x.index_add_(0, lib.tensor([1, 0]), y),
    "no_grad": unrecorded,
    "behind the tape": lambda lib, x, y: x.detach().mul_(0.5),
    "data": lambda lib, x, y: x.data.mul_(1.5),
}
BESIDE_THE_TAPE = {
    "detach",
    "behind the tape",
    "no_grad",
}  # a difference of the loss sees through them
STEPS = {**COMPUTE, **VIEWS, **IN_PLACE}
steps = st.tuples(
    st.one_of(*[st.sampled_from(sorted(kind)) for kind in (COMPUTE, VIEWS, IN_PLACE)]),
    st.integers(0, 11),  # x and y, counted from the newest value
    st.integers(0, 11),
)
programs = st.lists(steps, min_size=4, max_size=20)

rng = np.random.default_rng(0)
LEAVES = [rng.uniform(-1, 1, shape) for shape in [(2, 3), (2, 3), (3,), (2, 1)]]
# where a program ends without a word on who is right: PyTorch refuses operands that overlap, which
# are read before they are written here; what expand() repeats is never written to here; PyTorch
# notices an index out of bounds when a part is written; the layout of a result may differ
ENDS = "single memory location", "read-only", "expanded", "out of bounds", "Use .reshape("


def start(lib, leaves):
    made = [lib.tensor(x, dtype=lib.float64, requires_grad=True) for x in leaves]
    return made, [*made, *[x * 1 for x in made], lib.zeros(2, 3, dtype=lib.float64)]


def attempt(function, *args):
    try:
        return function(*args), None
    except (RuntimeError, IndexError) as error:
        return None, error


def take(lib, step, values):
    name, at, apart = step
    x, y = [values[k] for k in at]
    return STEPS[name](lib, x, y * 1 if apart else y)


def loss_of(values):
    return sum((x * (i + 1)).sum() for i, x in enumerate(values[-3:]))


def run(program):
    """Both at once, step by step: (leaves, values) of both, and the steps that neither refused."""
    (theirs, them), (ours, us), taken = start(torch, LEAVES), start(mg, LEAVES), []
    for name, i, j in program:
        at = [-1 - i % len(them), -1 - j % len(them)]
        x, y = [them[k] for k in at]
        # what is written and what is read may be one tensor, but not two views of one memory
        one_memory = x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
        step = name, at, x is not y and one_memory and name in IN_PLACE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected, error = attempt(take, torch, step, them)
        result, own = attempt(take, mg, step, us)
        if name not in COMPUTE and any(words in f"{error} {own}" for words in ENDS):
            return None
        assert (own is None) == (error is None), f"{name}: {own!r} instead of {error!r}"
        if error is not None:
            continue
        taken.append(step)
        them.append(expected)
        us.append(result)
        for x, t in zip(us, them):
            assert tuple(x.shape) == tuple(t.shape), name
            assert x.requires_grad == t.requires_grad and x.is_leaf == t.is_leaf, name
            np.testing.assert_allclose(x.detach().numpy(), t.detach().numpy(), 1e-9, 1e-12)
    return (theirs, them), (ours, us), taken


def numerical(taken, leaves):
    """The gradients by differences, with PyTorch computing the values."""

    def value(leaves):
        with torch.no_grad():
            made, values = start(torch, leaves)
            for step in taken:
                values.append(take(torch, step, values))
            return float(loss_of(values))

    eps, gradients = 1e-6, []
    for n, leaf in enumerate(leaves):
        gradient = np.zeros_like(leaf)
        for place in np.ndindex(leaf.shape):
            moved = [leaf.copy() for leaf in leaves]
            moved[n][place] += eps
            high = value(moved)
            moved[n][place] -= 2 * eps
            gradient[place] = (high - value(moved)) / (2 * eps)
        gradients.append(gradient)
    return gradients


@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(programs)
def test_same_values_and_gradients_or_both_refuse(program):
    ran = run(program)
    if ran is None:
        return
    (theirs, them), (ours, us), taken = ran
    names = {name for name, _, _ in taken}
    their_loss, our_loss = loss_of(them), loss_of(us)
    assert our_loss.requires_grad == their_loss.requires_grad
    if not their_loss.requires_grad or "data" in names:  # nobody counts what is written there
        return
    _, error = attempt(their_loss.backward)
    _, own = attempt(our_loss.backward)
    if own is not None:
        assert error is not None and type(own) is RuntimeError, f"{own!r}"
        return
    tolerance = 1e-9
    if error is None:
        gradients = [None if t.grad is None else t.grad.numpy() for t in theirs]
    elif names & BESIDE_THE_TAPE:
        return
    else:  # allowed where the gradient stays right
        gradients, tolerance = numerical(taken, LEAVES), 1e-6
    for x, expected in zip(ours, gradients):
        expected = np.zeros(x.shape) if expected is None else expected
        got = np.zeros(x.shape) if x.grad is None else x.grad.numpy()
        np.testing.assert_allclose(got, expected, 1e-6, tolerance)
