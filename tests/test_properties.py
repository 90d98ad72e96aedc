"""Properties that hold for any program, any shapes and any index, on generated cases."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

import minigrad as mg

settings.register_profile("properties", deadline=None, derandomize=True, database=None)
PROPERTY = settings(settings.get_profile("properties"), max_examples=60)


def numbers(seed, shape):
    """Numbers away from 0 and from each other, so that nothing ties and nothing is divided by 0."""
    line = np.linspace(0.3, 1.6, int(np.prod(shape))) + 0.011 * (seed % 10)
    return np.random.default_rng(seed).permuted(line).reshape(shape)


# programs of primitives, all smooth


ONE = [
    mg.exp, mg.sin, mg.tanh, mg.sigmoid, mg.sqrt, mg.log1p, lambda x: x**3, lambda x: 1 / x,
    lambda x: x.softmax(-1), lambda x: x.logsumexp(0, keepdim=True), lambda x: x.cumsum(0),
    lambda x: x.mean(-1, keepdim=True), lambda x: x.t().contiguous().view(2, 3),
    lambda x: x[[1, 0]], lambda x: x.flip(0),
    lambda x: x.prod(0, keepdim=True), lambda x: x.norm(dim=1, keepdim=True),
    lambda x: (x @ x.mT) @ x, lambda x: x.var(0, keepdim=True),
]  # fmt: skip
TWO = [
    mg.add, mg.sub, mg.mul, mg.div, mg.hypot, mg.atan2, mg.logaddexp,
    lambda x, y: x @ y.mT @ x, lambda x, y: mg.lerp(x, y, 0.3),
    lambda x, y: mg.cat([x, y])[1:3], lambda x, y: abs(x) ** y,
]  # fmt: skip
step = st.tuples(st.integers(0, len(ONE) + len(TWO) - 1), st.integers(0, 4))
steps = st.lists(step, min_size=1, max_size=6)


def program(steps, *inputs):
    """Every step makes a value of shape (2, 3) of one or two that there are."""
    values = list(inputs)
    for which, back in steps:
        x, y = values[-1], values[-1 - back % len(values)]
        y = ONE[which](x) if which < len(ONE) else TWO[which - len(ONE)](x, y)
        values.append(mg.sigmoid(y) + 0.2 + 0 * values[0])  # stays positive, of shape (2, 3), tame
    return values[-1]


def leaves(seed):
    return [mg.tensor(numbers(seed + i, (2, 3)), requires_grad=True) for i in range(2)]


@PROPERTY
@given(steps, st.integers(0, 99))
def test_vjp_is_linear_in_the_cotangent(steps, seed):
    xs = leaves(seed)
    y = program(steps, *xs)
    u, v = [mg.tensor(numbers(seed + i, (2, 3))) for i in (5, 6)]

    def pulled(g):
        return [
            x.numpy() for x in mg.autograd.grad(y, xs, g, retain_graph=True, materialize_grads=True)
        ]

    for both, one, other in zip(pulled(2 * u - 0.7 * v), pulled(u), pulled(v)):
        np.testing.assert_allclose(both, 2 * one - 0.7 * other, rtol=1e-9, atol=1e-12)


@PROPERTY
@given(steps, st.integers(0, 99))
def test_gradients_of_gradients_are_differences_of_gradients(steps, seed):
    weights = mg.tensor(numbers(seed + 7, (2, 3)))
    along = [numbers(seed + i, (2, 3)) - 1 for i in (8, 9)]

    def slope(xs, create_graph=False):
        """The derivative of a weighted sum of the program's outcome along a direction."""
        loss = (program(steps, *xs) * weights).sum()
        gs = mg.autograd.grad(loss, xs, create_graph=create_graph, materialize_grads=True)
        return sum((g * mg.tensor(d)).sum() for g, d in zip(gs, along))

    xs = leaves(seed)
    second = mg.autograd.grad(slope(xs, create_graph=True), xs, materialize_grads=True)
    exact = sum(float((g * mg.tensor(d)).sum()) for g, d in zip(second, along))
    eps = 1e-5
    ends = []
    for sign in (1, -1):
        moved = [mg.tensor(x.detach().numpy() + sign * eps * d, requires_grad=True)
                 for x, d in zip(xs, along)]  # fmt: skip
        ends.append(float(slope(moved)))
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * eps), exact, rtol=2e-4, atol=2e-6)


# broadcasting


BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power,
    "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin,
    "atan2": np.arctan2, "hypot": np.hypot, "logaddexp": np.logaddexp, "remainder": np.remainder,
    "fmod": np.fmod, "copysign": np.copysign, "xlogy": lambda a, b: a * np.log(b),
    "floor_divide": np.floor_divide, "eq": np.equal, "lt": np.less, "ge": np.greater_equal,
    "logical_and": np.logical_and, "where": lambda a, b: np.where(a > b, a, b),
}  # fmt: skip


@PROPERTY
@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), st.integers(0, 99))
def test_broadcasting(shapes, seed):
    arrays = [numbers(seed + i, shape) for i, shape in enumerate(shapes.input_shapes)]
    weights = numbers(seed + 2, shapes.result_shape)
    for name, reference in BINARY.items():
        f = getattr(mg, name) if name != "where" else lambda a, b: mg.where(a > b, a, b)
        xs = [mg.tensor(a, requires_grad=True) for a in arrays]
        y = f(*xs)
        assert tuple(y.shape) == shapes.result_shape
        np.testing.assert_allclose(y.detach().numpy(), reference(*arrays), rtol=1e-12, err_msg=name)
        if not y.requires_grad:
            continue
        # each input repeated by hand: what broadcasting must give is the sum over the repetitions
        full = [mg.tensor(np.broadcast_to(a, y.shape).copy(), requires_grad=True) for a in arrays]
        y.backward(mg.tensor(weights))
        f(*full).backward(mg.tensor(weights))
        for x, a, whole in zip(xs, arrays, full):
            g = whole.grad.numpy()
            g = g.sum(axis=tuple(range(g.ndim - a.ndim)))
            g = g.sum(axis=tuple(i for i, n in enumerate(a.shape) if n == 1), keepdims=True)
            np.testing.assert_allclose(x.grad.numpy(), g, rtol=1e-9, atol=1e-12, err_msg=name)


# indexing


@st.composite
def indices(draw, shape):
    """An index of a tensor of this shape in PyTorch's forms, and NumPy's two steps that mean the
    same: integers, slices and None first, then all arrays at once.
    """
    index, first, second = [], [], []

    def add(part, basic, *advanced):
        index.append(part)
        first.append(basic)
        second.extend(advanced)

    length = draw(st.integers(1, 3))  # of the index arrays
    begin = draw(st.integers(0, len(shape)))
    end = draw(st.integers(begin, len(shape)))
    dims = list(range(begin))
    if draw(st.booleans()):
        dims += [Ellipsis, *range(end, len(shape))]
    for dim in dims:
        if draw(st.integers(0, 4)) == 0:
            add(None, None, slice(None))
        if dim is Ellipsis:
            index.append(Ellipsis)
            first += [slice(None)] * (end - begin)
            second += [slice(None)] * (end - begin)
            continue
        n = shape[dim]
        kind = draw(st.sampled_from(["integer", "slice", "slice", "array", "array", "mask"]))
        if kind == "integer":
            i = draw(st.integers(-n, n - 1))
            add(draw(st.sampled_from([i, np.int64(i), mg.tensor(i)])), i)
        elif kind == "slice":
            bounds = st.none() | st.integers(-n - 1, n + 1)
            part = slice(draw(bounds), draw(bounds), draw(st.none() | st.integers(1, 3)))
            add(part, part, slice(None))
        else:
            if kind == "array":
                ids = draw(st.lists(st.integers(-n, n - 1), min_size=length, max_size=length))
            else:  # it must broadcast with the arrays
                chosen = draw(st.permutations(range(n)))[: length if length <= n else 1]
                ids = [i in chosen for i in range(n)]
            form = draw(st.sampled_from([mg.tensor, np.array, list]))
            add(form(ids), slice(None), np.array(ids))
    whole = index[0] if len(index) == 1 and draw(st.booleans()) else tuple(index)
    return whole, (*first, Ellipsis), (*second, Ellipsis)


shapes = array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


@settings(PROPERTY, max_examples=300)
@given(st.data())
def test_reading_through_any_index(data):
    shape = data.draw(shapes)
    index, first, second = data.draw(indices(shape))
    a = numbers(0, shape)
    x = mg.tensor(a, requires_grad=True)
    y = x[index]
    expected = a[first][second]
    assert tuple(y.shape) == expected.shape
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    # where each element comes from: the gradient counts
    origins = np.arange(a.size).reshape(shape)[first][second]
    weights = numbers(1, expected.shape)
    y.backward(mg.tensor(weights))
    counted = np.zeros(a.size)
    np.add.at(counted, origins.reshape(-1), weights.reshape(-1))
    np.testing.assert_allclose(x.grad.numpy(), counted.reshape(shape), rtol=1e-12)


@settings(PROPERTY, max_examples=300)
@given(st.data())
def test_writing_through_any_index(data):
    shape = data.draw(shapes)
    index, first, second = data.draw(indices(shape))
    a = numbers(0, shape)
    origins = np.arange(a.size).reshape(shape)
    target = origins[first][second].shape
    part = data.draw(st.sampled_from([target, target[1:], (1,) * len(target), ()]))
    values = -numbers(1, part)
    # what lies where in the end: an element of the input, or one of the values
    view = origins[first]
    view[second] = -1 - np.arange(values.size).reshape(part)
    x, v = mg.tensor(a, requires_grad=True), mg.tensor(values, requires_grad=True)
    y = x * 1
    y[index] = v
    everything = np.concatenate([a.reshape(-1), values.reshape(-1)[::-1]])
    np.testing.assert_array_equal(y.detach().numpy(), everything[origins])
    weights = numbers(2, shape)
    met = np.arange(a.size).reshape(shape)[first][second]
    if np.unique(met).size < met.size:
        return  # which of two values written to one place stays, and gets the gradient, is open
    y.backward(mg.tensor(weights))
    counted = np.zeros(everything.size)
    np.add.at(counted, origins.reshape(-1), weights.reshape(-1))
    np.testing.assert_allclose(x.grad.numpy(), counted[: a.size].reshape(shape), rtol=1e-12)
    np.testing.assert_allclose(v.grad.numpy(), counted[a.size :][::-1].reshape(part), rtol=1e-12)


# views and writes through them


VIEWS = [
    lambda x: x[1], lambda x: x[..., 0], lambda x: x[1:], lambda x: x[..., ::2], lambda x: x[None],
    lambda x: x.T, lambda x: x.squeeze(), lambda x: x.swapaxes(0, -1), lambda x: x[:, 1:3],
    lambda x: x.reshape(-1) if contiguous(x) else x[...],
    lambda x: x.reshape(2, -1) if contiguous(x) else x[:1],
]  # fmt: skip


def contiguous(x):
    return x.flags.c_contiguous if isinstance(x, np.ndarray) else x.is_contiguous()


@settings(PROPERTY, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, len(VIEWS)), st.integers(0, 9), st.integers(0, 9)),
                min_size=1, max_size=15))  # fmt: skip
def test_views_and_writes_through_them(steps):
    """NumPy has the same views: it runs the program on the values and on the names of the elements,
    of which the gradients then count.
    """
    a = numbers(0, (3, 4))
    x = mg.tensor(a, requires_grad=True)
    tensors, arrays, names = [x * 1], [a.copy()], [np.arange(a.size).reshape(a.shape)]
    for which, i, j in steps:
        i, j = i % len(tensors), j % len(tensors)
        if which < len(VIEWS):
            try:
                view = VIEWS[which](arrays[i])
            except (IndexError, ValueError):
                continue
            if not view.ndim:
                continue
            for values, made in (
                (tensors, VIEWS[which](tensors[i])),
                (arrays, view),
                (names, VIEWS[which](names[i])),
            ):
                values.append(made)
        else:
            source = arrays[j].copy()
            try:
                np.broadcast_to(source, arrays[i].shape)
            except ValueError:
                continue
            arrays[i][...] = source
            names[i][...] = names[j].copy()
            tensors[i].copy_(tensors[j].clone())
    weights = [numbers(k, array.shape) for k, array in enumerate(arrays)]
    counted = np.zeros(a.size)
    for tensor, array, name, w in zip(tensors, arrays, names, weights):
        np.testing.assert_array_equal(tensor.detach().numpy(), array)
        np.add.at(counted, name.reshape(-1), w.reshape(-1))
    sum((t * mg.tensor(w)).sum() for t, w in zip(tensors, weights)).backward()
    np.testing.assert_allclose(x.grad.numpy(), counted.reshape(a.shape), rtol=1e-12)
