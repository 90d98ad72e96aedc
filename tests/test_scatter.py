"""Positions along a dimension, views and products where the table of ops does not look."""

import pytest

import minigrad as mg

X = mg.zeros(2, 3)
AFTER, BEFORE = mg.tensor([[2, 0, 0]]), mg.tensor([[-1, 0, 0]])
OUTSIDE = [
    (lambda i: X.gather(0, i), RuntimeError),
    (lambda i: X.scatter(0, i, 1.0), RuntimeError),
    (lambda i: X.scatter_add(0, i, mg.ones(1, 3)), RuntimeError),
    (lambda i: X.scatter_reduce(0, i, mg.ones(1, 3), "amax"), RuntimeError),
    (lambda i: X.index_select(0, i[0]), IndexError),
    (lambda i: X.index_add(0, i[0], mg.ones(3, 3)), RuntimeError),
    (lambda i: X.index_copy(0, i[0], mg.ones(3, 3)), IndexError),
]


@pytest.mark.parametrize("index", [AFTER, BEFORE])
@pytest.mark.parametrize("call, kind", OUTSIDE)
def test_an_index_outside_is_an_error_and_never_wraps(call, kind, index):
    with pytest.raises(kind, match="outside 0 to 1"):
        call(index)


@pytest.mark.parametrize(
    "op",
    [
        lambda x, i: x.gather(0, i),
        lambda x, i: x.scatter(0, i, mg.ones(1, 3, requires_grad=True)),
        lambda x, i: x.scatter_add(0, i, mg.ones(1, 3, requires_grad=True)),
        lambda x, i: x.index_select(0, i[0]),
    ],
)
def test_an_index_that_changed_is_noticed(op):
    x, i = mg.rand(2, 3, requires_grad=True), mg.tensor([[0, 1, 0]])
    y = op(x, i).sum()
    i.fill_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_the_input_is_left_alone():
    x = mg.zeros(2, 3)
    i = mg.tensor([[0, 1, 0]])
    x.scatter(0, i, 1.0), x.scatter_add(0, i, mg.ones(1, 3)), x.index_fill(1, i[0], 7)
    assert x.sum().item() == 0


def test_ties_share_the_gradient():
    x, s = mg.tensor([2.0, 0.0], requires_grad=True), mg.tensor([2.0, 2.0, 1.0], requires_grad=True)
    y = x.scatter_reduce(0, mg.tensor([0, 0, 1]), s, "amax")
    y.backward(mg.tensor([3.0, 1.0]))
    assert x.grad.tolist() == [1, 0] and s.grad.tolist() == [1, 1, 1]


VIEWS = [
    lambda x: x.select(0, 1),
    lambda x: x.narrow(1, 1, 2),
    lambda x: x.chunk(2, 1)[1],
    lambda x: x.unbind(1)[0],
    lambda x: x.diagonal(1),
    lambda x: x.permute(1, 0),
    lambda x: x.view(-1),
    lambda x: x.unsqueeze(1).squeeze(1),
    lambda x: x.movedim(0, 1),
    lambda x: x.unfold(1, 2, 2),
]


@pytest.mark.parametrize("view", VIEWS)
def test_views_share_memory(view):
    x = mg.zeros(4, 4)
    part = view(x)
    part.fill_(1)
    assert x.sum().item() == part.numel() > 0


def test_a_view_that_would_be_a_copy_is_refused():
    with pytest.raises(RuntimeError, match="reshape"):
        mg.rand(2, 3).t().view(6)
    assert mg.rand(2, 3).t().reshape(6).shape == (6,)


def test_einsum_explains_what_does_not_fit():
    for equation, text in [
        ("ij,jk", "sizes 3 and 2"),
        ("ij,kl->m", "no input"),
        ("ijk,kl", "for 2 dimensions"),
        ("ij", "1 terms for 2"),
    ]:
        with pytest.raises(RuntimeError, match=text):
            mg.einsum(equation, mg.zeros(2, 3), mg.zeros(2, 3))


def test_products_of_integers_and_halves():
    a = mg.tensor([[1, 2], [3, 4]])
    assert (a @ a).tolist() == [[7, 10], [15, 22]] and mg.einsum("ij->j", a).tolist() == [4, 6]
    ones = mg.ones(1, 3000, dtype=mg.float16)
    assert (ones @ ones.mT).item() == 3000
