"""Updates in pieces and in rows of small parameters: the same numbers, and no memory."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from test_optim import RULE_IDS, RULES, gradients, parameters, run

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import pieces

# beside pieces of 8 and rows of arrays up to 4: one piece, several, a rest, rows, single ones
SHAPES = [(3, 7), (8,), (2, 2), (1,), (), (2, 8), (0,), (17,), (4,), (3,), (2,)]


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 8)
    monkeypatch.setattr(pieces, "SMALL", 4)


@pytest.mark.parametrize("rule, formula, options", RULES, ids=RULE_IDS)
@pytest.mark.parametrize("maximize", [False, True])
def test_pieces_and_rows_give_the_formula(rule, formula, options, maximize, tiny):
    params, steps = parameters(shapes=SHAPES), gradients(12, SHAPES)
    starts = [p.detach().numpy().copy() for p in params]
    for k in (2, 5):
        steps[k][3] = steps[k][9] = None  # those in a row are not all at the same step
    ends = run(rule(params, **options, maximize=maximize), params, steps)
    sign = -1 if maximize else 1
    for i, (end, start) in enumerate(zip(ends, starts)):
        expected = formula(start, [sign * gs[i] for gs in steps if gs[i] is not None], **options)
        np.testing.assert_allclose(end, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("rule, formula, options", RULES, ids=RULE_IDS)
def test_memory_in_any_order(rule, formula, options, tiny):
    """Parameters and gradients that are transposed or have gaps."""
    rng = np.random.default_rng(0)
    starts = [rng.standard_normal(shape) for shape in ((6, 5), (5, 6), (2, 4), (2, 2))]
    arrays = [
        starts[0].copy(),
        np.asfortranarray(starts[1]),
        np.repeat(starts[2], 2, axis=1)[:, ::2],
        np.asfortranarray(starts[3]),
    ]
    params = [nn.Parameter(a) for a in arrays]
    for p, a in zip(params, arrays):
        p.data = mg.from_numpy(a)
    optimizer, given = rule(params, **options), []
    for _ in range(5):
        given.append([rng.standard_normal(a.shape) for a in arrays])
        for p, g in zip(params, given[-1]):
            p.grad = mg.from_numpy(np.asfortranarray(g))
        optimizer.step()
    for i, (p, start) in enumerate(zip(params, starts)):
        expected = formula(start, [gs[i] for gs in given], **options)
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-11, atol=1e-11)
        assert p.array is arrays[i] or np.shares_memory(p.array, arrays[i])


def test_parameters_of_one_array_are_changed_one_after_the_other():
    """As PyTorch does, which goes from one to the next; here they would lie in one row."""
    a, b = nn.Parameter(mg.tensor([1.0, 2.0])), nn.Parameter(mg.zeros(2))
    b.data = a.data
    optimizer = optim.SGD([a, b], lr=0.25)
    a.grad, b.grad = mg.ones(2), mg.ones(2)
    optimizer.step()
    assert a.tolist() == [0.5, 1.5]


def test_a_row_of_several_dtypes():
    params = [nn.Parameter(mg.ones(3, dtype=t)) for t in ("float32", "float64", "float32")]
    optimizer = optim.Adam(params, lr=0.1)
    for p in params:
        p.grad = mg.ones(3, dtype=p.dtype)
    optimizer.step()
    assert [p.dtype.itemsize for p in params] == [4, 8, 4]
    for p in params:
        np.testing.assert_allclose(p.detach().numpy(), 0.9, rtol=1e-6)


KINDS = [
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1, dampening=0),
    lambda p: optim.Adam(p, amsgrad=True, weight_decay=0.1, maximize=True),
    lambda p: optim.AdamW(p),
    lambda p: optim.RMSprop(p, centered=True, momentum=0.5),
    lambda p: optim.Adagrad(p),
    lambda p: optim.Adadelta(p),
    lambda p: optim.Adamax(p),
    lambda p: optim.NAdam(p),
    lambda p: optim.RAdam(p),
    lambda p: optim.ASGD(p),
]


def peak_of(act):
    tracemalloc.start()
    act()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("make", KINDS)
def test_a_step_takes_no_memory_the_size_of_the_model(make):
    params = [nn.Parameter(mg.zeros(1 << 18)), *[nn.Parameter(mg.zeros(5)) for _ in range(9)]]
    for p in params:
        p.grad = mg.ones(*p.shape)
    optimizer = make(params)
    optimizer.step()
    assert peak_of(optimizer.step) < 1e5 < params[0].array.nbytes


def test_scratch_is_neither_copied_nor_stored():
    params, steps = parameters(), gradients(2)
    optimizer = optim.Adam(params)
    run(optimizer, params, steps)
    assert len(pickle.dumps(optimizer)) < 10_000
    assert "_scratch" not in vars(copy.deepcopy(optimizer))


# averages of weights


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99, 1.0])
def test_a_moving_average_is_the_formula(decay, tiny):
    utils = optim.swa_utils
    model = nn.ParameterList([nn.Parameter(x) for x in gradients(1, SHAPES)[0]])
    average = utils.AveragedModel(model, multi_avg_fn=utils.get_ema_multi_avg_fn(decay))
    expected = None
    for new in gradients(6, SHAPES, seed=1):
        for p, x in zip(model, new):
            p.data.copy_(mg.tensor(x))
        average.update_parameters(model)
        if expected is None:
            expected = new
        else:
            expected = [decay * e + (1 - decay) * x for e, x in zip(expected, new)]
    for p, e in zip(average.parameters(), expected):
        np.testing.assert_allclose(p.detach().numpy(), e, rtol=1e-12)


@pytest.mark.parametrize("make", ["get_ema_multi_avg_fn", "get_swa_multi_avg_fn"])
def test_an_average_takes_no_memory_the_size_of_the_model(make):
    model = nn.Linear(512, 512)
    utils = optim.swa_utils
    average = utils.AveragedModel(model, multi_avg_fn=getattr(utils, make)())
    for _ in range(2):
        average.update_parameters(model)
    assert peak_of(lambda: average.update_parameters(model)) < 1e5 < model.weight.array.nbytes


def test_an_average_of_integers():
    update = optim.swa_utils.get_ema_multi_avg_fn(0.5)
    average, current = mg.tensor([0, 4, 7]), mg.tensor([4, 8, 7])
    update([average], [current], 1)
    assert average.tolist() == [2, 6, 7] and average.dtype == mg.int64


def test_evaluating_with_averages_and_training_on(tmp_path):
    """The average neither follows a step before it is shown one nor disturbs the training."""
    utils = optim.swa_utils

    def trained(steps, watched):
        mg.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
        optimizer = optim.Adam(model.parameters(), lr=0.05)
        average = utils.AveragedModel(model, multi_avg_fn=utils.get_ema_multi_avg_fn(0.8))
        x = mg.tensor(np.random.default_rng(0).standard_normal((20, 3)).astype("float32"))
        y, seen = x.sum(1, keepdim=True), []
        for _ in range(steps):
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()
            if watched:
                average.update_parameters(model)
                with mg.no_grad():
                    seen.append(((average.eval()(x) - y) ** 2).mean().item())
        return model, average, x, seen

    (plain, *_), (model, average, x, seen) = trained(30, False), trained(30, True)
    for a, b in zip(plain.parameters(), model.parameters()):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    assert model.training and not average.training
    assert seen[-1] < seen[0] / 4
    mg.save(average.state_dict(), tmp_path / "average")
    again = utils.AveragedModel(model, multi_avg_fn=utils.get_ema_multi_avg_fn(0.8)).eval()
    again.load_state_dict(mg.load(tmp_path / "average"))
    for a in (average, again):
        a.update_parameters(model)
    assert again.n_averaged.item() == 31
    np.testing.assert_array_equal(again(x).detach().numpy(), average(x).detach().numpy())
    model.load_state_dict(average.module.state_dict())  # what is shipped in the end
