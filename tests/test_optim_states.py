"""States in a fresh process, states by name, weights that are tied, penalties, refusals to clip."""

import math
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from strict_backend import STRICT  # noqa: F401

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import utils
from minigrad.nn.utils import l1_penalty, l2_penalty

ROOT = Path(__file__).resolve().parent.parent

# a program that trains, in one process or in two; the layers may be made in another order
PROGRAM = """
import sys
import numpy as np
import minigrad as mg
from minigrad import nn, optim

path, first, last, order, kind, named, tied = sys.argv[1:]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        for name in order:
            layer = nn.Embedding(5, 4) if name == "e" else nn.Linear(4, 5 if name == "o" else 4)
            setattr(self, name, layer)
        if tied == "tied":
            self.o.weight = self.e.weight

    def forward(self, x):
        return self.o(self.b(self.a(self.e(x)).tanh()).tanh())

mg.manual_seed(0)
net = Net()
with mg.no_grad():
    for name, p in sorted(net.named_parameters()):
        p.copy_(mg.tensor(np.cos(np.arange(p.numel()) + len(name)).reshape(p.shape)))
make = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.05, amsgrad=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
}[kind]
optimizer = make(net.named_parameters() if named == "named" else net.parameters())
if first != "0":
    saved = mg.load(path)
    net.load_state_dict(saved["net"])
    optimizer.load_state_dict(saved["optimizer"])
for step in range(int(first), int(last)):
    optimizer.zero_grad()
    x = mg.tensor(np.random.default_rng(step).integers(0, 5, 8))
    nn.functional.cross_entropy(net(x), (x + 1) % 5).backward()
    optimizer.step()
mg.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, path)
"""


def train(path, *arguments):
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(path), *map(str, arguments)],
        cwd=ROOT,
        check=True,
    )
    return mg.load(path)["net"]


@pytest.mark.parametrize(
    "kind, second_order, named, tied",
    [
        ("Adam", "eabo", "numbered", "untied"),
        ("Adam", "oabe", "named", "untied"),
        ("SGD", "boae", "named", "untied"),
        ("Adagrad", "eabo", "numbered", "tied"),
        ("Adam", "ebao", "named", "tied"),
    ],
)
def test_training_goes_on_in_a_fresh_process(kind, second_order, named, tied, tmp_path):
    """a and b have the same shapes: taken one for the other, nobody would complain."""
    straight = train(tmp_path / "straight", 0, 6, "eabo", kind, named, tied)
    train(tmp_path / "halves", 0, 3, "eabo", kind, named, tied)
    halves = train(tmp_path / "halves", 3, 6, second_order, kind, named, tied)
    assert straight.keys() == halves.keys()
    for name, x in straight.items():
        np.testing.assert_array_equal(halves[name].numpy(), x.numpy(), err_msg=name)


# by name, where there are names


def named(names, seed=0):
    rng = np.random.default_rng(seed)
    return [(name, nn.Parameter(rng.standard_normal(2))) for name in names]


def stepped(optimizer):
    for group in optimizer.param_groups:
        for name, p in zip(group["param_names"], group["params"]):
            p.grad = mg.full((2,), float(ord(name)), dtype="float64")
    optimizer.step()
    return optimizer


def averages(optimizer):
    return {
        name: optimizer.state[p]["exp_avg"].tolist()
        for group in optimizer.param_groups
        for name, p in zip(group["param_names"], group["params"])
    }


def test_states_are_matched_by_name():
    first = stepped(optim.Adam(named("abcd")))
    second = optim.Adam(named("dbac"))
    second.load_state_dict(first.state_dict())
    assert averages(second) == averages(first)
    assert second.param_groups[0]["param_names"] == list("dbac")
    assert second.state_dict()["state"].keys() == {0, 1, 2, 3}


def test_groups_are_matched_by_name():
    first = stepped(
        optim.Adam([{"params": named("ab"), "lr": 0.5}, {"params": named("cde"), "lr": 0.1}])
    )
    second = optim.Adam([{"params": named("ecd")}, {"params": named("ba")}])
    second.load_state_dict(first.state_dict())
    assert averages(second) == averages(first)
    assert [g["lr"] for g in second.param_groups] == [0.1, 0.5]


def test_other_names_are_matched_by_position_as_in_pytorch():
    first = stepped(optim.Adam(named("abc")))
    for other in ("xyz", "abz"):
        second = optim.Adam(named(other))
        second.load_state_dict(first.state_dict())
        assert list(averages(second).values()) == list(averages(first).values())
    unnamed = optim.Adam([p for _, p in named("abc")])
    unnamed.load_state_dict(first.state_dict())
    values = [unnamed.state[p]["exp_avg"].tolist() for p in unnamed.param_groups[0]["params"]]
    assert values == list(averages(first).values())
    with pytest.raises(ValueError, match="groups of"):
        optim.Adam(named("ab")).load_state_dict(first.state_dict())


# weights that are tied


class Tied(nn.Module):
    """A language model whose output layer is its embedding."""

    def __init__(self, tie=True):
        super().__init__()
        self.embedding, self.output = nn.Embedding(6, 3), nn.Linear(3, 6)
        if tie:
            self.output.weight = self.embedding.weight

    def forward(self, x):
        return self.output(self.embedding(x).tanh())


def loss_of(model):
    x = mg.tensor([0, 1, 2, 2, 5])
    return nn.functional.cross_entropy(model(x), (x + 1) % 6) * 20


def pair():
    """The model, and the same one untied."""
    mg.manual_seed(0)
    tied, untied = Tied(), Tied(tie=False)
    with mg.no_grad():
        for layer in (untied.embedding, untied.output):
            layer.weight.copy_(tied.embedding.weight)
        untied.output.bias.copy_(tied.output.bias)
    return tied, untied


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: optim.Adam(p, lr=0.1),
        lambda p: optim.Adagrad(p, lr=0.1),
    ],
)
def test_a_tied_weight_is_one_parameter(make, tmp_path):
    tied, untied = pair()
    assert [name for name, _ in tied.named_parameters()] == ["embedding.weight", "output.bias"]
    optimizer, reference = make(tied.parameters()), make(untied.parameters())
    for _ in range(4):
        for model, o in ((tied, optimizer), (untied, reference)):
            o.zero_grad()
            loss_of(model).backward()
        both = untied.embedding.weight.grad + untied.output.weight.grad
        untied.embedding.weight.grad = both
        untied.output.weight.grad = both.clone()
        np.testing.assert_allclose(
            tied.embedding.weight.grad.numpy(), both.numpy(), rtol=1e-5, atol=1e-6
        )
        parts = [both.numpy(), untied.output.bias.grad.numpy()]
        norm = utils.clip_grad_norm_(tied.parameters(), 0.5)
        expected = math.sqrt(sum(float((x.astype("float64") ** 2).sum()) for x in parts))
        assert norm.item() == pytest.approx(expected, rel=1e-5) and expected > 0.5
        for p in untied.parameters():
            p.grad.mul_(0.5 / (expected + 1e-6))
        optimizer.step()
        reference.step()
        np.testing.assert_allclose(
            tied.embedding.weight.detach().numpy(),
            untied.output.weight.detach().numpy(),
            rtol=1e-5,
            atol=1e-5,
        )
    assert tied.output.weight is tied.embedding.weight
    assert len(optimizer.state_dict()["state"]) == 2
    mg.save([tied.state_dict(), optimizer.state_dict()], tmp_path / "tied")
    weights, state = mg.load(tmp_path / "tied")
    assert {"embedding.weight", "output.weight", "output.bias"} == weights.keys()
    again = Tied()
    goes_on = make(again.parameters())
    again.load_state_dict(weights)
    goes_on.load_state_dict(state)
    assert again.output.weight is again.embedding.weight
    for model, o in ((tied, optimizer), (again, goes_on)):
        o.zero_grad()
        loss_of(model).backward()
        o.step()
    for a, b in zip(tied.parameters(), again.parameters()):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_an_average_of_a_tied_model_is_tied():
    tied, _ = pair()
    swa = optim.swa_utils
    average = swa.AveragedModel(tied, multi_avg_fn=swa.get_ema_multi_avg_fn(0.5))
    before = tied.embedding.weight.detach().numpy().copy()
    average.update_parameters(tied)
    with mg.no_grad():
        tied.embedding.weight.add_(2)
    average.update_parameters(tied)
    assert average.module.output.weight is average.module.embedding.weight
    np.testing.assert_allclose(
        average.module.output.weight.detach().numpy(), before + 1, rtol=1e-5, atol=1e-6
    )


# penalties

PENALTIES = [(l1_penalty, abs, np.sign), (l2_penalty, np.square, lambda w: 2 * w)]


@pytest.mark.parametrize("penalty, value, gradient", PENALTIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_penalty_is_the_formula(penalty, value, gradient, dtype):
    arrays = [np.array([[1.5, -2.0, 0.0], [-0.0, 3.0, -1e-3]], dtype), np.array(-4.0, dtype)]
    params = [nn.Parameter(a.copy()) for a in arrays]
    total = penalty(p for p in params)
    assert total.shape == () and total.dtype == dtype
    assert total.item() == pytest.approx(sum(value(a).sum() for a in arrays), rel=1e-6)
    (0.5 * total).backward()
    for p, a in zip(params, arrays):
        np.testing.assert_allclose(p.grad.numpy(), 0.5 * gradient(a), rtol=1e-6)
        assert p.grad.dtype == dtype
    assert penalty(params[1]).item() == pytest.approx(float(value(arrays[1])))
    assert penalty([]).item() == 0
    with pytest.raises(TypeError, match="tuple"):
        penalty(nn.Linear(1, 1).named_parameters())


def test_weight_decay_is_half_of_the_l2_penalty():
    ends = []
    for decay in (0.3, 0):
        mg.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = optim.Adam(model.parameters(), lr=0.1, weight_decay=decay)
        for _ in range(5):
            optimizer.zero_grad()
            loss = (model(mg.ones(1, 3)) ** 2).sum()
            if not decay:
                loss = loss + 0.3 / 2 * l2_penalty(model.parameters())
            loss.backward()
            optimizer.step()
        ends.append(model.weight.detach().numpy())
    np.testing.assert_allclose(*ends, rtol=1e-5)


def test_an_l1_penalty_leaves_few_weights():
    """Of five inputs two matter; the others' weights stay within a step of 0."""
    rng = np.random.default_rng(0)
    x = mg.tensor(rng.standard_normal((100, 5)))
    y, w = x[:, :1] * 2.0 - x[:, 1:2], nn.Parameter(mg.tensor(rng.standard_normal((5, 1))))
    optimizer = optim.SGD([w], lr=0.01)
    for _ in range(800):
        optimizer.zero_grad()
        (((x @ w - y) ** 2).mean() + 0.1 * l1_penalty(w)).backward()
        optimizer.step()
    found = abs(w.detach().numpy().ravel())
    assert found[:2].min() > 0.8 and found[2:].max() < 0.002


# gradients that are not finite


def with_gradients(*arrays, device="cpu"):
    params = [nn.Parameter(mg.zeros(*np.shape(a), device=device)) for a in arrays]
    for p, a in zip(params, arrays):
        p.grad = mg.tensor(np.array(a, "float32")).to(device)
    return params


CLIPPING = [
    lambda p, **policy: utils.clip_grad_norm_(p, 1.0, **policy),
    lambda p, **policy: utils.clip_grad_value_(p, 1.0, **policy),
]


@pytest.mark.parametrize("clip", CLIPPING, ids=["norm", "value"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("device", ["cpu", "strict"])
def test_a_policy_for_gradients_that_are_not_finite(clip, bad, device):
    arrays = [[3.0, 4.0], [[1.0, bad], [bad, 2.0]], [5.0]]
    params = [nn.Parameter(mg.zeros(2).to(device)), *with_gradients(*arrays, device=device)]
    with pytest.raises(RuntimeError, match=r"2 elements of number 2, of shape \(2, 2\)\).*skip"):
        clip(params, nonfinite="raise")
    for p, a in zip(params[1:], arrays):
        np.testing.assert_array_equal(p.grad.to_numpy(), np.array(a, "float32"))
    optimizer = optim.Adam(params, lr=0.1)
    with pytest.warns(UserWarning, match="2 elements of number 2.*no step"):
        norm = clip(params, nonfinite="skip")
    assert norm is None or not math.isfinite(norm.item())
    assert all(p.grad is None for p in params)
    optimizer.step()
    assert not any(p.to_numpy().any() for p in params) and not any(optimizer.state.values())


@pytest.mark.parametrize("clip", CLIPPING, ids=["norm", "value"])
def test_a_policy_changes_nothing_for_finite_gradients(clip):
    for policy in ("raise", "skip"):
        plain, careful = with_gradients([3.0, 4.0], [0.1]), with_gradients([3.0, 4.0], [0.1])
        clip(plain)
        clip(careful, nonfinite=policy)
        for p, q in zip(plain, careful):
            np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())
    with pytest.raises(ValueError, match="'ignore'"):
        clip(plain, nonfinite="ignore")


def test_a_norm_beyond_every_float_is_not_finite_either():
    p = nn.Parameter(mg.zeros(2, dtype="float64"))
    p.grad = mg.tensor(np.array([1e300, 1e300]))
    with pytest.raises(RuntimeError, match="norm of the gradients is inf"):
        utils.clip_grad_norm_([p], 1.0, nonfinite="raise")


def test_the_norm_of_transposed_gradients():
    array = np.arange(12.0).reshape(3, 4)
    p = nn.Parameter(mg.zeros(4, 3, dtype="float64"))
    p.grad = mg.from_numpy(array.copy().T)
    assert utils.clip_grad_norm_([p], 1.0).item() == pytest.approx(np.linalg.norm(array))
    np.testing.assert_allclose(
        p.grad.numpy(), array.T / math.sqrt(506), rtol=1e-6
    )
