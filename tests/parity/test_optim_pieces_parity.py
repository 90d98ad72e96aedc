"""Large and small parameters together, 50 steps beside PyTorch; states under names."""

import copy

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import pieces

torch = pytest.importorskip("torch")

SHAPES = [(pieces.PIECE + 7,), (3, 5), (257, 300), (4,), (), (pieces.SMALL,), (2, 3)]

KINDS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    ("AdamW", {"lr": 0.01}),
    ("RMSprop", {}),
    ("Adagrad", {}),
    ("Adadelta", {}),
]


@pytest.mark.parametrize("name, options", KINDS, ids=str)
def test_fifty_steps(name, options):
    rng = np.random.default_rng(0)
    values = [np.asarray(rng.standard_normal(shape)) for shape in SHAPES]
    mine = [nn.Parameter(np.array(v)) for v in values]
    theirs = [torch.nn.Parameter(torch.tensor(v)) for v in values]
    a = getattr(optim, name)(mine, **options)
    b = getattr(torch.optim, name)(theirs, **options)
    gradients = [np.asarray(rng.standard_normal(shape)) for shape in SHAPES]
    for step in range(50):
        for i, g in enumerate(gradients):
            g = np.roll(g, step) * (1 + step % 3)
            skipped = i == 3 and step % 4 == 0
            mine[i].grad = None if skipped else mg.tensor(g)
            theirs[i].grad = None if skipped else torch.tensor(g)
        for m, params in ((mg, mine), (torch, theirs)):
            m.nn.utils.clip_grad_norm_(params, 20.0)
        a.step()
        b.step()
    for p, q in zip(mine, theirs):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-6, atol=1e-9)


def test_named_parameters_have_pytorchs_layout():
    states = []
    for m in (mg, torch):
        layers = m.nn.Sequential(m.nn.Embedding(4, 3), m.nn.Linear(3, 4))
        layers[1].weight = layers[0].weight
        optimizer = m.optim.Adam(layers.named_parameters(), lr=0.1)
        layers(m.tensor([1, 2])).sum().backward()
        optimizer.step()
        states.append(optimizer.state_dict())
    mine, theirs = states
    assert mine["param_groups"] == theirs["param_groups"]
    assert mine["state"].keys() == theirs["state"].keys() == {0, 1}


@pytest.mark.parametrize("first, second", [(mg, torch), (torch, mg)], ids=["to", "from"])
def test_the_same_names_in_the_same_order_as_in_pytorch(first, second):
    def optimizer(m, names):
        params = [(n, m.nn.Parameter(m.ones(2) * i)) for i, n in enumerate(names)]
        return m.optim.Adam(params, lr=0.1)

    a, b = optimizer(first, "abc"), optimizer(second, "abc")
    for i, p in enumerate(a.param_groups[0]["params"]):
        p.grad = first.ones(2) * i
    a.step()
    state = copy.deepcopy(a.state_dict())
    make = torch.tensor if second is torch else mg.tensor
    for values in state["state"].values():
        for name, x in values.items():
            values[name] = make(np.array(x.numpy()))
    b.load_state_dict(state)
    for i, p in enumerate(b.param_groups[0]["params"]):
        np.testing.assert_allclose(b.state[p]["exp_avg"].numpy(), 0.1 * i, rtol=1e-6)
    assert b.param_groups[0]["param_names"] == list("abc")


@pytest.mark.parametrize("decay", [0.2, 0.9])
def test_moving_averages(decay):
    ends = []
    for m in (mg, torch):
        rng, utils = np.random.default_rng(0), m.optim.swa_utils
        model = m.nn.Linear(300, 250).double()
        average = utils.AveragedModel(model, multi_avg_fn=utils.get_ema_multi_avg_fn(decay))
        for _ in range(4):
            for p in model.parameters():
                p.data.copy_(m.tensor(rng.standard_normal(tuple(p.shape))))
            average.update_parameters(model)
        ends.append([p.detach().numpy() for p in average.parameters()])
    for a, b in zip(*ends):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
