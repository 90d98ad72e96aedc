"""The diagnostics name the right line, operand and variable, and cost nothing when they are off."""

import inspect
import math
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import strict_backend  # noqa: E402, F401

import minigrad as mg  # noqa: E402
from minigrad import autograd, nn, optim  # noqa: E402
from minigrad.nn import functional as F  # noqa: E402
from minigrad.op import Op  # noqa: E402

PLAIN = Op.__call__
HERE = Path(__file__).name
WATCHERS = [mg.detect_anomaly, mg.dtype_guard, mg.mutation_guard, mg.watch_graphs]
rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def everything_is_off_again():
    assert Op.__call__ is PLAIN
    yield
    assert Op.__call__ is PLAIN
    assert not mg.is_anomaly_enabled()


def leaf(values, dtype=mg.float64, **options):
    return mg.tensor(values, dtype=dtype, requires_grad=True, **options)


def line(back=0):
    """The number of the caller's line, less `back`."""
    return inspect.currentframe().f_back.f_lineno - back


def at(number):
    return re.escape(f"{HERE}:{number}:")


# on and off


@pytest.mark.parametrize("watcher", WATCHERS)
def test_off_by_default_and_after_the_block(watcher):
    with watcher():
        assert Op.__call__ is not PLAIN
        with watcher():
            (mg.ones(2) * 2).sum()
        assert Op.__call__ is not PLAIN
    assert Op.__call__ is PLAIN
    with pytest.raises(KeyError):
        with watcher():
            raise KeyError
    assert Op.__call__ is PLAIN


@pytest.mark.parametrize("watcher", WATCHERS)
def test_as_a_decorator(watcher):
    @watcher()
    def function(x):
        """A docstring."""
        assert Op.__call__ is not PLAIN
        return x * 2

    assert function(mg.ones(1)).tolist() == [2] and function.__doc__ == "A docstring."


@pytest.mark.parametrize("watcher", WATCHERS)
def test_numbers_are_the_same_under_a_watcher(watcher):
    lstm, x = nn.LSTM(3, 4), mg.randn(5, 2, 3)

    def gradients():
        y, _ = lstm(x)
        loss = F.cross_entropy(y.reshape(10, 4), mg.arange(10) % 4)
        return autograd.grad(loss, list(lstm.parameters()), create_graph=True)

    plain = gradients()
    with watcher():
        watched = gradients()
    for a, b in zip(plain, watched):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_only_the_thread_that_asked_is_watched():
    inside, done, errors = threading.Event(), threading.Event(), []

    def other():
        inside.wait(10)
        try:
            mg.zeros(2).log()  # an infinity: not our business
        except RuntimeError as error:
            errors.append(error)
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with mg.detect_anomaly():
        inside.set()
        done.wait(10)
        with pytest.raises(RuntimeError, match="infinity"):
            mg.zeros(2).log()
    thread.join()
    assert not errors


def test_one_thread_leaving_does_not_blind_another():
    first, second, seen = threading.Event(), threading.Event(), []

    def other():
        with mg.detect_anomaly():
            first.set()
            second.wait(10)
            try:
                mg.zeros(1).log()
            except RuntimeError:
                seen.append("found")

    thread = threading.Thread(target=other)
    with mg.detect_anomaly():
        thread.start()
        first.wait(10)
    second.set()
    thread.join()
    assert seen == ["found"]


# anomaly


@pytest.mark.parametrize(
    "compute, op, what",
    [
        (lambda x: x.log(), "Log", "an infinity"),
        (lambda x: (x - 1).log(), "Log", "NaN"),
        (lambda x: 1 / x, "Div|Reciprocal", "an infinity"),
        (lambda x: x / x, "Div", "NaN"),
        (lambda x: (x + 1000).exp(), "Exp", "an infinity"),
        (lambda x: (x - 1).sqrt(), "Sqrt", "NaN"),
    ],
)
def test_anomaly_in_the_forward_pass(compute, op, what):
    x = mg.tensor([0.0, 2.0])
    compute(x)
    with mg.detect_anomaly():
        with pytest.raises(RuntimeError, match=f"({op}) made {what} in its output 0.*{HERE}:"):
            compute(x)
        x + 1


def test_anomaly_names_the_line():
    x = mg.tensor([0.0, 2.0])
    with pytest.raises(RuntimeError, match=at(line(-3)) + r" y = \(x \* 2\)\.log\(\)"):
        with mg.detect_anomaly():
            x = x.abs()
            y = (x * 2).log()
            y.sum()


def test_anomaly_in_the_backward_pass_names_the_line_of_the_forward_pass():
    x = leaf([0.0, 4.0])
    with mg.detect_anomaly():
        y = x.sqrt()
        made = line(1)
        loss = (y * 2).sum()
        with pytest.raises(RuntimeError, match="backward pass of Sqrt.*" + at(made)) as info:
            loss.backward()
    assert "infinity in the gradient of its input 0" in str(info.value)
    assert x.grad is None


def test_anomaly_in_the_backward_pass_outside_the_block():
    """The nodes made under it stay watched."""
    x = leaf([0.0, 4.0])
    with mg.detect_anomaly():
        loss = x.sqrt().sum()
    with pytest.raises(RuntimeError, match="backward pass of Sqrt"):
        loss.backward()


def test_anomaly_of_order_two():
    x = leaf([0.0, 4.0])
    with mg.detect_anomaly():
        (g,) = autograd.grad((x**1.5).sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="backward pass of"):
            g.sum().backward()


def test_anomaly_in_a_fused_layer():
    gru = nn.GRU(2, 3)
    with mg.no_grad():
        gru.weight_hh_l0.fill_(3e38)  # the new gate is 0 × infinity
        gru.weight_hh_l0[:6].fill_(-3e38)
    with mg.detect_anomaly():
        with pytest.raises(RuntimeError, match="GRU made NaN.*" + at(line(-1))):
            gru(mg.ones(4, 1, 2), mg.ones(1, 1, 3))


def test_anomaly_in_the_backward_pass_of_a_fused_layer():
    mg.manual_seed(0)
    lstm = nn.LSTM(2, 3)
    with mg.detect_anomaly():
        y, _ = lstm(mg.full((64, 8, 2), 3.0))
        made = line(1)
        with pytest.raises(RuntimeError, match="backward pass of LSTM.*" + at(made)):
            (y * 3e38).backward(mg.ones_like(y))


class Broken(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * math.nan


def test_anomaly_in_a_function():
    x = leaf([1.0])
    with mg.detect_anomaly():
        y = Broken.apply(x)
        made = line(1)
        with pytest.raises(RuntimeError, match=".*made NaN") as info:
            y.sum().backward()
    text = str(info.value)
    assert "Broken" in text or "Mul" in text
    assert f"{HERE}:{made}" in text or "g * math.nan" in text


def test_infinite_masks_are_no_anomaly():
    x = leaf(rng.standard_normal((2, 3)))
    mask = mg.tensor([[False, True, False], [True, False, False]])
    with mg.detect_anomaly():
        scores = x.masked_fill(mask, -math.inf)
        (scores.softmax(-1) ** 2).sum().backward()
        y = x * 1
        y[mask] = -math.inf
        F.log_softmax(y, -1)[:, 2].sum().backward()
        mg.full((2,), -math.inf).exp().sum()
        q = mg.rand(1, 4, 8)
        F.scaled_dot_product_attention(q, q, q, is_causal=True)
    assert np.isfinite(x.grad.numpy()).all()


def test_anomaly_without_the_check_and_as_a_switch():
    x = mg.zeros(2)
    with mg.detect_anomaly(check_nan=False):
        x.log()
    with mg.set_detect_anomaly(False):
        x.log()
    with mg.set_detect_anomaly(True):
        assert mg.is_anomaly_enabled()
        with pytest.raises(RuntimeError, match="infinity"):
            x.log()
        with mg.set_detect_anomaly(False):
            x.log()
        with pytest.raises(RuntimeError, match="infinity"):
            x.log()
    x.log()
    mg.autograd.set_detect_anomaly(True)
    try:
        assert mg.is_anomaly_enabled()
        with pytest.raises(RuntimeError, match="infinity"):
            x.log()
    finally:
        mg.autograd.set_detect_anomaly(False)
    x.log()
    assert mg.autograd.detect_anomaly is mg.detect_anomaly


def test_integers_are_never_an_anomaly():
    with mg.detect_anomaly():
        assert (mg.arange(5) * 2**62).dtype == mg.int64
        mg.tensor([True]).sum()


# dtypes


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("kind", ["tensor", "array"])
def test_dtype_guard_names_operand_and_line(swap, kind):
    x, offset = mg.ones(3), np.linspace(0, 1, 3)
    if kind == "tensor":
        offset = mg.from_numpy(offset)
    with mg.dtype_guard():
        x * 2.0 + np.float64(3) + np.sqrt(2)
        with pytest.raises(TypeError, match=f"operand {0 if swap else 1} of Add") as info:
            offset + x if swap else x + offset
    text = str(info.value)
    assert "'offset' of shape (3,)" in text and f"{HERE}:{line(2)}: offset + x" in text


def test_dtype_guard_lets_pass_what_stays_float32():
    x, scale = mg.ones(3), mg.tensor(2.0, dtype=mg.float64)
    with mg.dtype_guard():
        assert (x * scale).dtype == mg.float32  # a 0-d tensor does not promote
        assert (x > np.linspace(0, 1, 3)).dtype == mg.bool
        mg.ones(3).double() * mg.ones(3).double()
        nn.LSTM(3, 4)(mg.ones(2, 1, 3))[0].sum().backward()
        assert x.double().dtype == mg.float64


def test_dtype_guard_in_a_fused_layer_and_in_place():
    x, extra = mg.ones(3), np.ones(3)
    with mg.dtype_guard():
        with pytest.raises(TypeError, match="'extra'"):
            x += extra
        with pytest.raises(TypeError, match="float64"):
            mg.cat([x, mg.from_numpy(extra)])
        with pytest.raises(TypeError, match="float64"):
            mg.where(x > 0, x, mg.from_numpy(extra))


# mutations


def through_numpy(x):
    x.detach().numpy()[0] = 9


def through_data(x):
    x.data[0] = 9


def through_array(x):
    x.array[0] = 9


CHANGES = [through_numpy, through_data, through_array]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "op, kind", [(lambda w: w * w, "Mul saved as its input"), (lambda w: w.sin(), "Sin saved as")]
)
def test_mutation_guard_names_array_op_and_line(change, op, kind):
    weight = leaf([1.0, 2.0])
    with mg.mutation_guard():
        y = op(weight)
    change(weight)
    with pytest.raises(RuntimeError, match=kind + ".*was changed after the call") as info:
        y.sum().backward()
    assert f"{HERE}:" in str(info.value) and "op(weight)" not in str(info.value).split(":")[0]
    assert weight.grad is None


def test_mutation_guard_names_the_variable():
    weight = leaf([1.0, 2.0])
    with mg.mutation_guard():
        y = (weight * weight).sum()
        made = line(1)
    weight.data[0] = 5
    with pytest.raises(RuntimeError, match="'weight' .*" + at(made)):
        y.backward()


def test_mutation_guard_sees_the_array_given_to_from_numpy():
    array = rng.standard_normal(4)
    x, w = mg.from_numpy(array), leaf(np.ones(4))
    with mg.mutation_guard():
        y = (x * w).sum()
    array[2] += 1e-9
    with pytest.raises(RuntimeError, match="Mul saved as its input 0, of shape \\(4,\\)"):
        y.backward()


def test_mutation_guard_sees_outputs_and_exchanges():
    x = leaf([1.0, 2.0, 3.0])
    with mg.mutation_guard():
        y = x.exp()
        z = y.sum()
    y.array[:] = y.array[::-1].copy()  # the same numbers in another order
    with pytest.raises(RuntimeError, match="Exp saved as its output 0"):
        z.backward()


@pytest.mark.parametrize("what", ["input", "weight", "index"])
def test_mutation_guard_in_fused_layers_and_lookups(what):
    lstm, table = nn.LSTM(3, 4), nn.Embedding(10, 3)
    ids = np.array([[1, 2], [3, 4], [5, 6]])
    with mg.mutation_guard():
        x = table(mg.from_numpy(ids))
        y, _ = lstm(x)
        loss = y.sum()
    changed = {"input": x.array, "weight": lstm.weight_hh_l0.array, "index": ids}[what]
    changed[0] += 1
    text = (
        "saved as its input" if what != "index" else "(AddRows|Rows|Embedding).*saved as its input"
    )
    with pytest.raises(RuntimeError, match=text):
        loss.backward()


def test_mutation_guard_lets_pass_what_nobody_needs():
    x = leaf([1.0, 2.0])
    with mg.mutation_guard():
        y = (x + 1).sum()
        x.data[0] = 7
        y.backward()
        z = (x * x).sum()
        z.backward()
    assert x.grad.tolist() == [1 + 14, 1 + 4]


def test_mutation_guard_on_another_backend():
    x = mg.tensor([1.0, 2.0], device="strict", requires_grad=True)
    with mg.mutation_guard():
        y = (x * x).sum()
        z = x.exp().sum()
    y.backward(retain_graph=True)
    x.array[0] = 5.0
    with pytest.raises(RuntimeError, match="Mul saved as its input"):
        y.backward()
    z.backward()


@pytest.mark.parametrize("shape", [(), (0,), (3, 2), (2, 0, 3)])
@pytest.mark.parametrize("dtype", [mg.float16, mg.float32, mg.float64])
def test_mutation_guard_of_every_shape(shape, dtype):
    x = mg.ones(shape, dtype=dtype, requires_grad=True)
    with mg.mutation_guard():
        (x * x).sum().backward()
        (x * x).mT.sum().backward() if len(shape) > 1 else None


# graphs alive


def model_and_batch():
    return nn.Linear(3, 2), mg.randn(4, 3)


def test_no_graph_is_alive_after_a_clean_step():
    model, x = model_and_batch()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with mg.watch_graphs() as graphs:
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(x).pow(2).mean()
            loss.backward()
            optimizer.step()
            total = loss.item()
        del loss
        assert graphs.alive() == [] and str(graphs) == "no graph is alive"
    assert total > 0


def test_a_list_of_losses_is_found():
    model, x = model_and_batch()
    losses = []
    with mg.watch_graphs() as graphs:
        for _ in range(3):
            loss = model(x).pow(2).mean()
            losses.append(loss)
            made = line(2)
        del loss
        alive = graphs.alive()
        text = str(graphs)
    assert len(alive) == 3
    assert {graph.holder for graph in alive} == {f"losses[{i}]" for i in range(3)}
    assert all(f"{HERE}:{made}" in graph.line for graph in alive)
    assert all(graph.ops == 3 and graph.nbytes > 0 and not graph.released for graph in alive)
    assert "3 graph(s) alive" in text and "held by losses[1]" in text


def test_a_graph_that_was_walked_says_so():
    model, x = model_and_batch()
    with mg.watch_graphs() as graphs:
        loss = model(x).sum()
        loss.backward()
        (graph,) = graphs.alive()
    assert graph.released and graph.holder == "loss" and "walked already" in str(graph)


def test_a_hidden_state_that_was_not_detached_is_found():
    lstm, state = nn.LSTM(3, 4), None
    with mg.watch_graphs() as graphs:
        for _ in range(4):
            y, state = lstm(mg.randn(2, 1, 3), state)
        del y
        (graph,) = graphs.alive()
        assert graph.ops >= 4 and graph.holder.startswith("state[")
        state = tuple(s.detach() for s in state)
        assert graphs.alive() == []


class Trainer:
    def __init__(self):
        self.history = {"loss": []}


def test_holders_inside_objects():
    trainer, (model, x) = Trainer(), model_and_batch()
    with mg.watch_graphs() as graphs:
        trainer.history["loss"].append(model(x).sum())
        (graph,) = graphs.alive()
    assert graph.holder == "trainer.history['loss'][0]"


def test_watching_graphs_keeps_none_alive():
    with mg.watch_graphs() as graphs:
        for _ in range(3):
            (leaf(np.ones(3)) * 2).sum()
        assert graphs.alive() == []


# explanations


def test_contributions_sum_to_the_gradient():
    w = leaf(rng.standard_normal(3))
    x = mg.tensor(rng.standard_normal((5, 3)))
    loss = ((x * w).tanh().sum() + (w**2).sum() + w[1] + (w.exp() * w).sum()).sum()
    explanation = mg.explain(w, loss)
    loss.backward()
    np.testing.assert_allclose(explanation.grad, w.grad.numpy(), rtol=1e-12)
    total = sum(c.grad for c in explanation.contributions)
    np.testing.assert_allclose(total, w.grad.numpy(), rtol=1e-12)
    assert explanation.norm == pytest.approx(np.linalg.norm(w.grad.numpy()))
    assert len(explanation.contributions) == 5
    for c in explanation.contributions:
        assert c.norm == pytest.approx(np.linalg.norm(c.grad))


@pytest.mark.parametrize("seed", range(10))
def test_contributions_in_random_graphs(seed):
    r = np.random.default_rng(seed)
    w = leaf(r.standard_normal((2, 1)))
    pool = [w, mg.tensor(r.standard_normal((2, 3)))]
    for _ in range(8):
        a, b = (pool[int(i)] for i in r.integers(len(pool), size=2))
        pool.append([a * b, a + b, a.tanh(), a.sin() * w, w - a][int(r.integers(5))])
    loss = sum(p.sum() for p in pool)
    explanation = mg.explain(w, output=loss)
    (g,) = autograd.grad(loss, w)
    np.testing.assert_allclose(explanation.grad, g.numpy(), rtol=1e-9)


def test_what_broadcasting_summed_is_reported():
    b, x = leaf([1.0, 2.0, 3.0]), mg.ones(4, 5, 3).double()
    loss = (x + b).sum()
    (c,) = mg.explain(b).contributions
    assert c.op == "Add" and c.index == 1 and c.shape == (4, 5, 3) and c.summed == (0, 1)
    assert c.grad.tolist() == [20, 20, 20] and "summed over dimension(s) 0, 1" in str(c)
    column = leaf(np.ones((4, 1)))
    other = (x[0, :4, :].expand(4, 3) * column).sum()
    (c,) = mg.explain(column).contributions
    assert c.summed == (1,) and c.index == 1
    del loss, other


def test_lines_are_known_under_a_watcher():
    w = leaf([1.0, 2.0])
    with mg.watch_graphs():
        y = w * 3
        made = line(1)
        loss = y.sum()
    assert f"{HERE}:{made}: y = w * 3" in str(mg.explain(w, loss))
    loss.backward()


def numbers_of(chain):
    """For each line `dL/dv = formula = a·b + c·d = total`: the factors and the total."""
    for text in chain[2:]:
        parts = text.split("(")[0].split(" = ")
        pairs = [tuple(map(float, term.split("·"))) for term in parts[2].split(" + ")]
        yield parts[0].strip(), pairs, float(parts[3])


def test_the_chain_rule_in_numbers():
    x = leaf(0.7)
    loss = (x * 2).sin() * x + x.exp()
    explanation = mg.explain(x)
    lines = list(numbers_of(explanation.chain))
    assert lines[-1][0] == "dL/dx"
    for _, pairs, total in lines:
        assert sum(a * b for a, b in pairs) == pytest.approx(total, rel=1e-4, abs=1e-5)
    slope = 2 * math.cos(1.4) * 0.7 + math.sin(1.4) + math.exp(0.7)
    assert lines[-1][2] == pytest.approx(slope, rel=1e-5)
    loss.backward()
    assert x.grad.item() == pytest.approx(slope)


def test_the_chain_rule_with_a_zero_in_it():
    x = leaf(0.0)
    loss = (x * x) * x
    lines = list(numbers_of(mg.explain(x, loss).chain))
    assert lines[-1][2] == 0
    for _, pairs, total in lines:
        assert sum(a * b for a, b in pairs) == pytest.approx(total)


def test_explaining_leaves_the_graph_as_it_was():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: g * 2)
    h = x.exp()
    h.retain_grad()
    loss = h.sum()
    before = mg.explain(x, loss).grad
    assert mg.explain(h, loss).grad.tolist() == [1, 1]
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([1, 2]))
    assert h.grad.tolist() == [1, 1]
    np.testing.assert_allclose(before, np.exp([1, 2]))


def test_explaining_through_fused_layers():
    lstm = nn.LSTM(2, 3)
    loss = lstm(mg.randn(4, 1, 2))[0].pow(2).sum()
    explanation = mg.explain(lstm.weight_ih_l0)
    loss.backward()
    np.testing.assert_allclose(explanation.grad, lstm.weight_ih_l0.grad.numpy(), rtol=1e-5)
    assert [c.op for c in explanation.contributions] == ["LSTM"]


def test_errors_of_explain():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="does not require grad"):
        mg.explain(mg.ones(2))
    with pytest.raises(RuntimeError, match="0 scalars depend"):
        mg.explain(x)
    scalars = x.sum(), x.prod()
    b = scalars[1]
    with pytest.raises(RuntimeError, match="2 scalars depend.*output="):
        mg.explain(x)
    assert mg.explain(x, output=b).grad.tolist() == [2, 1]
    with pytest.raises(RuntimeError):
        mg.explain(x, output=mg.ones(()))
    with pytest.raises(RuntimeError):
        mg.explain(x, output=leaf([1.0]).sum())
    b.backward()
    with pytest.raises(RuntimeError):
        mg.explain(x, output=b)


def test_explained_contributions_of_products_are_not_added_up_in_place():
    w, x = leaf(rng.standard_normal((3, 3))), mg.tensor(rng.standard_normal((3, 3)))
    loss = ((x @ w).sum() * 2.0 + (w @ x).sum() + (x @ w @ x).sum()).sum()
    explanation = mg.explain(w, loss)
    loss.backward()
    np.testing.assert_allclose(explanation.grad, w.grad.numpy(), rtol=1e-12)
