"""`minigrad.autograd`: grad, Function, functional, hooks and modes against formulas."""

import contextlib
import gc
import sys
import threading
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad import autograd, nn
from minigrad.autograd import Function, Variable, functional, gradcheck, gradgradcheck
from minigrad.autograd.function import once_differentiable

rng = np.random.default_rng(0)


@contextlib.contextmanager
def without_gc():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def shallow(room=80):
    """So few frames left that nothing may recurse along a graph."""
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + room)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def leaf(values):
    return mg.tensor(values, dtype=mg.float64, requires_grad=True)


def close(a, b, **tolerance):
    np.testing.assert_allclose(np.asarray(a.detach()), np.asarray(b), **{"rtol": 1e-9, **tolerance})


# grad


def test_grad_of_several_outputs_is_the_sum():
    x, y = leaf([1.0, 2.0]), leaf([3.0])
    gx, gy = autograd.grad([(x * y).sum(), (x**2).sum()], [x, y])
    close(gx, [3 + 2, 3 + 4])
    close(gy, [3])
    assert x.grad is None and y.grad is None


def test_batched_grad_is_the_vectors_one_by_one():
    x = leaf(rng.standard_normal((3, 2)))
    y = (x.tanh() @ x.mT).sum(1)
    weights = mg.tensor(rng.standard_normal((5, 3)))
    (batched,) = autograd.grad(y, x, weights, retain_graph=True, is_grads_batched=True)
    assert batched.shape == (5, 3, 2)
    for w, g in zip(weights, batched):
        close(g, autograd.grad(y, x, w, retain_graph=True)[0])


def test_batched_grad_rebuilds_the_jacobian():
    A = mg.tensor(rng.standard_normal((4, 3)))
    x = leaf(rng.standard_normal(3))
    (J,) = autograd.grad(A @ x, x, mg.eye(4, dtype=mg.float64), is_grads_batched=True)
    close(J, A)


def test_materialized_and_unused():
    x, y = leaf([1.0]), leaf([2.0, 3.0])
    assert autograd.grad(x.sum(), [x, y], allow_unused=True)[1] is None
    zeros = autograd.grad(x.sum(), [x, y], materialize_grads=True)[1]
    assert zeros.tolist() == [0, 0] and zeros.dtype == mg.float64
    with pytest.raises(RuntimeError, match="input 1, of shape \\(2,\\), was not used"):
        autograd.grad(x.sum(), [x, y])
    with pytest.raises(ValueError, match="allow_unused"):
        autograd.grad(x.sum(), [x, y], allow_unused=False, materialize_grads=True)


def test_backward_into_chosen_inputs_leaves_the_others():
    x, y = leaf([1.0]), leaf([2.0])
    h = x * y
    (h**2).sum().backward(inputs=[x, h])
    close(x.grad, [2 * 2 * 2])  # 2h·y
    close(h.grad, [4])
    assert y.grad is None


@pytest.mark.parametrize("retained", [False, True])
def test_backward_into_a_computed_tensor_counts_once(retained):
    x = leaf([3.0])
    h = x * 2
    if retained:
        h.retain_grad()
    h.sum().backward(inputs=[h, x])
    assert h.grad.tolist() == [1] and x.grad.tolist() == [2]


def test_hooks_act_on_a_gradient_that_is_asked_for():
    x = leaf([1.0])
    h = x * 3
    h.register_hook(lambda g: g * 5)
    y = h.sum()
    assert autograd.grad(y, h, retain_graph=True)[0].tolist() == [5]
    assert autograd.grad(y, [x, h], retain_graph=True)[0].tolist() == [15]
    y.backward(inputs=[h])
    assert h.grad.tolist() == [5]


# Function


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Product(Function):
    """Inputs, an intermediate and a number are kept; two outputs."""

    @staticmethod
    def forward(ctx, a, b, power=1):
        s = a.sigmoid()
        ctx.save_for_backward(a, b, s)
        ctx.power = power
        ctx.seen = ctx.needs_input_grad
        return s * b**power, a + b

    @staticmethod
    def backward(ctx, g, h):
        assert ctx.seen == ctx.needs_input_grad
        a, b, s = ctx.saved_tensors
        ga = g * s * (1 - s) * b**ctx.power + h if ctx.needs_input_grad[0] else None
        gb = g * s * ctx.power * b ** (ctx.power - 1) + h if ctx.needs_input_grad[1] else None
        return ga, gb, None


def test_gradients_of_a_function():
    x, y = leaf(rng.standard_normal(3)), leaf(rng.random(3) + 0.5)
    assert gradcheck(Exp.apply, x)
    assert gradgradcheck(Exp.apply, x)
    assert gradcheck(Product.apply, (x, y, 3))
    assert gradcheck(Product.apply, (x, y.detach(), 2))
    assert gradcheck(Product.apply, (x.detach(), y))


def test_keyword_arguments_of_a_function():
    x, y = leaf([1.0, 2.0]), leaf([2.0, 3.0])
    a, _ = Product.apply(x, b=y, power=2)
    b, _ = Product.apply(x, y, 2)
    assert a.tolist() == b.tolist()
    for mine, theirs in zip(autograd.grad(a.sum(), [x, y]), autograd.grad(b.sum(), [x, y])):
        close(mine, theirs)
    with pytest.raises(TypeError, match="unknown"):
        Product.apply(x, y, unknown=2)


def test_third_derivative_through_a_function():
    x = leaf([0.5])
    g = Exp.apply(x * 2)
    for n in range(3):
        (g,) = autograd.grad(g.sum(), x, create_graph=True)
        close(g, [2 ** (n + 1) * np.exp(1)])


def test_a_function_called_like_a_function_says_how_to():
    with pytest.raises(RuntimeError, match="Exp.apply"):
        Exp()(leaf([1.0]))


def test_a_function_leaves_no_garbage():
    class Keeps(Function):
        @staticmethod
        def forward(ctx, x):
            y, z = x * 2, x * 3
            ctx.save_for_backward(x, y, z)
            ctx.mark_non_differentiable(z)
            return y, z

        @staticmethod
        def backward(ctx, g, _):
            x, y, z = ctx.saved_tensors
            return g * 2

    x = leaf(np.ones(10))
    with without_gc():
        for walk in (False, True):
            y, z = Keeps.apply(x)
            refs = [weakref.ref(y), weakref.ref(z), weakref.ref(y.grad_fn)]
            if walk:
                y.sum().backward()
            del y, z
            assert [ref() for ref in refs] == [None] * 3


def test_a_function_that_returns_integers_only():
    class Sign(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x > 0).long()

        @staticmethod
        def backward(ctx, g):
            return g

    y = Sign.apply(leaf([1.0, -1.0]))
    assert y.tolist() == [1, 0] and not y.requires_grad


def test_a_function_without_tensors():
    class Make(Function):
        @staticmethod
        def forward(ctx, n):
            return mg.ones(n)

        @staticmethod
        def backward(ctx, g):
            return None

    assert Make.apply(3).tolist() == [1, 1, 1]


@pytest.mark.parametrize("through_view", [False, True])
def test_a_function_that_changes_its_input(through_view):
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    w = leaf([1.0, 2.0, 3.0])
    x = w * 1
    part = x[1:] if through_view else x
    assert Double.apply(part) is part
    (x * x).sum().backward()
    expected = [2, 16, 24] if through_view else [8, 16, 24]
    assert w.grad.tolist() == expected
    with pytest.raises(RuntimeError, match="leaf that requires grad"):
        Double.apply(w)


def test_what_a_function_saved_and_was_changed_is_named():
    x = leaf([1.0])
    y = Exp.apply(x)
    with mg.no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError, match="_FunctionNode|Exp"):
        y.sum().backward()
    a, b = x * 1, leaf([2.0])
    s, _ = Product.apply(a, b)
    a.detach().zero_()
    with pytest.raises(RuntimeError, match="saved tensor 0.*changed in place"):
        s.sum().backward()


def test_a_second_walk_through_a_function_names_it():
    y = Exp.apply(leaf([1.0])).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="ExpBackward.*retain_graph"):
        y.backward()
    assert Exp.apply(leaf([1.0])).grad_fn.name() == "ExpBackward"


def wrong_function(result):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return result(g)

    return Wrong.apply


@pytest.mark.parametrize(
    "result, error, text",
    [
        (lambda g: (g, g), RuntimeError, "returned 2 gradients for 1 argument"),
        (lambda g: 2.0, TypeError, "returned a float as gradient 0"),
        (lambda g: g.expand(3, 3).sum(1)[:1], RuntimeError, r"shape \(1,\) for an input of shape"),
        (lambda g: mg.ones(5), RuntimeError, r"shape \(5,\) for an input of shape \(3,\)"),
    ],
)
def test_wrong_gradients_of_a_function(result, error, text):
    with pytest.raises(error, match=text):
        wrong_function(result)(leaf([1.0, 2.0, 3.0])).sum().backward()


@pytest.mark.parametrize("n", [1, 2])
def test_once_differentiable(n):
    class Square(Function):
        @staticmethod
        def forward(ctx, x, y=None):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            assert not mg.is_grad_enabled()
            (x,) = ctx.saved_tensors
            g = mg.from_numpy(2 * g.detach().numpy() * x.detach().numpy())
            return g if n == 1 else (g, None)

    x = leaf([3.0])
    arguments = (x,) if n == 1 else (x, None)
    (g,) = autograd.grad(Square.apply(*arguments).sum(), x)
    assert g.tolist() == [6]
    (g,) = autograd.grad(Square.apply(*arguments).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        autograd.grad(g.sum(), x, allow_unused=True)


def test_functions_in_threads():
    x, results = leaf([1.0, 2.0]), []

    def work():
        y = Exp.apply(x)
        results.append(autograd.grad(y.sum(), x)[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for g in results:
        close(g, np.exp([1.0, 2.0]))


# Variable


def test_variable():
    x = mg.ones(2)
    v = Variable(x, requires_grad=True)
    v.data[0] = 5
    assert x.tolist() == [5, 1] and v.requires_grad and v.is_leaf
    assert isinstance(x, Variable) and isinstance(nn.Parameter(x), Variable)
    assert not isinstance(3.0, Variable)
    assert not Variable(leaf([1.0]) * 2).requires_grad
    assert Variable(mg.tensor([1, 2]), volatile=True).tolist() == [1, 2]
    with pytest.raises(TypeError, match="Variable takes a Tensor"):
        Variable([1.0])
    from minigrad.autograd.variable import Variable as the_same

    assert the_same is Variable


# functional


def quadratic(A):
    return lambda x: x @ A @ x / 2


def test_products_with_the_hessian_of_a_quadratic():
    A = rng.standard_normal((4, 4))
    S = (A + A.T) / 2
    f, x, v = quadratic(mg.tensor(A)), leaf(rng.standard_normal(4)), mg.tensor([1.0, 2, -1, 0.5])
    v = v.double()
    close(functional.hessian(f, x), S)
    for product in (functional.hvp, functional.vhp):
        y, Hv = product(f, x, v)
        close(Hv, S @ v.numpy())
        close(y, f(x.detach()))
    close(functional.jacobian(f, x), S @ x.detach().numpy())


def test_products_with_a_jacobian_agree_with_it():
    A, B = mg.tensor(rng.standard_normal((3, 4))), mg.tensor(rng.standard_normal((2, 4)))
    x, y = mg.tensor(rng.standard_normal(4)), mg.tensor(rng.standard_normal(3))

    def f(a, b):
        return (A @ a.tanh()) * b, (B @ a).exp()

    (Jaa, Jab), (Jba, Jbb) = functional.jacobian(f, (x, y))
    a, b = x.numpy(), y.numpy()
    slope = 1 - np.tanh(a) ** 2
    close(Jaa, b[:, None] * A.numpy() * slope)
    close(Jab, np.diag(A.numpy() @ np.tanh(a)))
    close(Jba, np.exp(B.numpy() @ a)[:, None] * B.numpy())
    close(Jbb, np.zeros((2, 3)))
    v, u = mg.tensor(rng.standard_normal(4)), mg.tensor(rng.standard_normal(3))
    _, (p, q) = functional.jvp(f, (x, y), (v, u))
    close(p, Jaa.numpy() @ v.numpy() + Jab.numpy() @ u.numpy())
    close(q, Jba.numpy() @ v.numpy())
    s, t = mg.tensor(rng.standard_normal(3)), mg.tensor(rng.standard_normal(2))
    _, (p, q) = functional.vjp(f, (x, y), (s, t))
    close(p, s.numpy() @ Jaa.numpy() + t.numpy() @ Jba.numpy())
    close(q, s.numpy() @ Jab.numpy())


def test_functional_of_batches_and_higher_derivatives():
    x = leaf(rng.standard_normal((2, 3)))
    J = functional.jacobian(lambda t: (t**2).sum(1), x, create_graph=True)
    expected = np.zeros((2, 2, 3))
    for i in range(2):
        expected[i, i] = 2 * x.detach().numpy()[i]
    close(J, expected)
    (g,) = autograd.grad((J**2).sum(), x)
    close(g, 8 * x.detach().numpy())
    assert gradcheck(lambda t: functional.hessian(lambda s: (s**4).sum(), t, create_graph=True), x)


def test_functional_of_an_lstm():
    lstm = nn.LSTM(2, 3).double()
    x = mg.tensor(rng.standard_normal((4, 1, 2)))
    v = mg.tensor(rng.standard_normal((4, 1, 2)))
    f = lambda t: lstm(t)[0][-1].sum()  # noqa: E731
    H = functional.hessian(f, x).numpy().reshape(8, 8)
    close(functional.hvp(f, x, v)[1].reshape(-1), H @ v.numpy().reshape(-1), rtol=1e-7)
    np.testing.assert_allclose(H, H.T, rtol=1e-9, atol=1e-12)


def test_functional_does_not_recurse():
    def deep(x):
        for _ in range(5_000):
            x = x * 0.999 + 0.001
        return x

    x, v = mg.tensor([1.0, 2.0]).double(), mg.tensor([1.0, -1.0]).double()
    slope = 0.999**5_000
    with without_gc(), shallow():
        close(functional.jacobian(deep, x), slope * np.eye(2))
        close(functional.jvp(deep, x, v)[1], slope * v.numpy())
        close(functional.vjp(deep, x, v)[1], slope * v.numpy())
        f = lambda t: (deep(t) ** 2).sum()  # noqa: E731
        close(functional.hvp(f, x, v)[1], 2 * slope**2 * v.numpy())
        close(functional.hessian(f, x), 2 * slope**2 * np.eye(2))


def test_functional_works_under_no_grad_and_leaves_nothing_behind():
    x = leaf([1.0, 2.0])
    with mg.no_grad():
        J = functional.jacobian(lambda t: t**2, x)
    close(J, np.diag([2.0, 4.0]))
    assert x.grad is None and not J.requires_grad


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda F, x: F.hessian(lambda t: t, x), "one element"),
        (lambda F, x: F.hvp(lambda t: t * 1, x, x), "one element"),
        (lambda F, x: F.vjp(lambda t: t, x), "v can be left out only"),
        (lambda F, x: F.jvp(lambda t: t, x, mg.ones(3)), "v has shapes"),
        (lambda F, x: F.jacobian(lambda t: mg.ones(2), x, strict=True), "strict"),
        (lambda F, x: F.jacobian(lambda a, b: a * 2, (x, x), strict=True), "strict"),
        (lambda F, x: F.hvp(lambda t: t.sum(), x, x, strict=True), "strict"),
    ],
)
def test_errors_of_functional(call, text):
    with pytest.raises(RuntimeError, match=text):
        call(functional, mg.tensor([1.0, 2.0]))


# gradcheck


def test_gradcheck_takes_pytorchs_arguments():
    x = leaf([0.3, 0.4])
    assert gradcheck(mg.exp, x, eps=1e-6, atol=1e-4, rtol=1e-3, fast_mode=True, nondet_tol=1e-8)
    assert gradcheck(mg.exp, [x], check_undefined_grad=False, check_batched_grad=True)
    assert gradgradcheck(mg.exp, x, check_rev_over_rev=True, gen_non_contig_grad_outputs=True)
    assert gradgradcheck(mg.sin, x, mg.ones(2, dtype=mg.float64))
    assert gradgradcheck(lambda t: t * 2, x)
    with pytest.raises(TypeError, match="no option tol"):
        gradcheck(mg.exp, x, tol=1)


def test_gradcheck_finds_what_is_wrong():
    wrong, x = wrong_function(lambda g: g * 3), leaf([0.3, 0.4])
    assert not gradcheck(wrong, x, raise_exception=False)
    with pytest.raises(autograd.GradcheckError, match="input 0 is wrong"):
        gradcheck(wrong, x)
    with pytest.raises(RuntimeError, match="input 0 is wrong"):
        gradcheck(lambda t: t.detach() * 2, x)
    assert not gradgradcheck(lambda t: wrong(t) * t, x, raise_exception=False)
    with pytest.raises(ValueError, match="float64"):
        gradcheck(mg.exp, mg.ones(2, requires_grad=True))
    with pytest.raises(ValueError, match="no input"):
        gradcheck(mg.exp, mg.ones(2))


# hooks


def test_order_of_hooks():
    x, seen = leaf([1.0]), []
    h = x * 2
    handles = [h.register_hook(lambda g, n=n: seen.append(n)) for n in range(3)]
    handles[1].remove()
    x.register_hook(lambda g: seen.append("leaf"))
    x.register_post_accumulate_grad_hook(lambda t: seen.append(("after", t.grad.item())))
    h.sum().backward()
    assert seen == [0, 2, "leaf", ("after", 2)]


def test_retain_grad_sees_what_the_hooks_made():
    x = leaf([1.0])
    h = x * 2
    h.retain_grad()
    h.register_hook(lambda g: g * 10)
    h.sum().backward()
    assert h.grad.tolist() == [10] and x.grad.tolist() == [20]
    assert h.retains_grad and not x.retains_grad


def test_a_hook_may_keep_and_change_what_it_gets():
    x, kept = leaf([1.0, 2.0]), []
    h = x * 2

    def hook(g):
        kept.append(g)
        return g.mul_(3)

    h.register_hook(hook)
    (h.sum() * 2).backward()
    h2 = x * 1
    h2.register_hook(kept.append)
    (h2 * h2).sum().backward()
    assert kept[0].tolist() == [6, 6]
    assert kept[1].tolist() == [2, 4]
    assert x.grad.tolist() == [12 + 2, 12 + 4]


def test_hooks_are_part_of_the_recorded_gradient():
    x = leaf([2.0])
    h = x**2
    h.register_hook(lambda g: g * x)  # dL/dx = x · 2x
    (g,) = autograd.grad(h.sum(), x, create_graph=True)
    (second,) = autograd.grad(g.sum(), x)
    assert g.tolist() == [8] and second.tolist() == [8]  # 2x², 4x


def test_a_hook_that_raises_leaves_the_modes_and_gradients_alone():
    x = leaf([2.0])
    h = x * 2

    def hook(g):
        raise KeyError("stop")

    h.register_hook(hook)
    with pytest.raises(KeyError, match="stop"):
        h.sum().backward()
    assert x.grad is None and mg.is_grad_enabled()


@pytest.mark.parametrize(
    "result, error", [(1.0, TypeError), (mg.ones(3), RuntimeError), ([1], TypeError)]
)
def test_a_hook_that_returns_nonsense(result, error):
    h = leaf([2.0]) * 2
    h.register_hook(lambda g: result)
    with pytest.raises(error, match="a hook"):
        h.sum().backward()


# modes


MODES = {
    "no_grad": (lambda: mg.no_grad(), False),
    "enable_grad": (lambda: mg.enable_grad(), True),
    "inference_mode": (lambda: mg.inference_mode(), False),
    "inference_mode(False)": (lambda: mg.inference_mode(False), True),
    "set_grad_enabled(False)": (lambda: mg.set_grad_enabled(False), False),
    "set_grad_enabled(True)": (lambda: mg.set_grad_enabled(True), True),
}


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("make, on", MODES.values(), ids=MODES)
def test_modes_as_manager_decorator_and_on_generators(make, on, outer):
    def body(n):
        """A docstring."""
        for _ in range(n):
            yield mg.is_grad_enabled()

    with mg.set_grad_enabled(outer):
        with make():
            assert mg.is_grad_enabled() == on
        assert mg.is_grad_enabled() == outer
        assert make()(mg.is_grad_enabled)() == on
        generator = make()(body)
        assert generator.__doc__ == "A docstring."
        for inside in generator(3):
            assert inside == on and mg.is_grad_enabled() == outer
        with pytest.raises(KeyError):
            with make():
                raise KeyError
        assert mg.is_grad_enabled() == outer


def test_modes_without_parentheses():
    for mode, on in ((mg.no_grad, False), (mg.enable_grad, True), (mg.inference_mode, False)):

        @mode
        def ask():
            return mg.is_grad_enabled()

        assert ask() == on and ask.__name__ == "ask"


def test_a_generator_is_sent_to_thrown_into_and_closed_under_its_mode():
    seen = []

    @mg.no_grad()
    def echo():
        got = None
        try:
            while True:
                try:
                    got = yield got
                    seen.append(mg.is_grad_enabled())
                except ValueError as error:
                    got = str(error)
                    seen.append(mg.is_grad_enabled())
        finally:
            seen.append(mg.is_grad_enabled())

    generator = echo()
    assert next(generator) is None
    assert generator.send(3) == 3
    assert generator.throw(ValueError("four")) == "four"
    generator.close()
    assert seen == [False] * 3 and mg.is_grad_enabled()


def test_inference_mode_is_known():
    assert not mg.is_inference_mode_enabled()
    with mg.inference_mode():
        assert mg.is_inference_mode_enabled()
        with mg.inference_mode(False):
            assert not mg.is_inference_mode_enabled()
        assert mg.is_inference_mode_enabled()
    assert not mg.is_inference_mode_enabled()


def test_modes_belong_to_their_thread():
    inside, after = threading.Event(), threading.Event()
    seen = []

    def other():
        inside.wait(10)
        seen.append(mg.is_grad_enabled())
        with mg.no_grad():
            after.set()
        seen.append(mg.is_grad_enabled())

    thread = threading.Thread(target=other)
    thread.start()
    with mg.no_grad():
        inside.set()
        after.wait(10)
        assert not mg.is_grad_enabled()
    thread.join()
    assert seen == [True, True]
