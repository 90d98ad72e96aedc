"""Module, Parameter, hooks and containers, against what their definitions say."""

import copy
import pickle
import warnings
from collections import OrderedDict

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.testing import gradcheck


def values(x):
    return x.detach().numpy().copy()


class Net(nn.Module):
    """Of everything one: parameters, one of them tied, buffers, children, one of them shared."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(mg.ones(2))
        self.register_parameter("absent", None)
        self.register_buffer("count", mg.zeros(3))
        self.register_buffer("cache", mg.ones(1), persistent=False)
        self.register_buffer("nothing", None)
        self.first = nn.Linear(2, 2)
        self.second = nn.Linear(2, 2)
        self.second.weight = self.first.weight
        self.again = self.first
        self.note = "text"

    def forward(self, x):
        return self.second(self.first(x)) * self.scale


# registration


def test_registries():
    net = Net()
    assert list(net._parameters) == ["scale", "absent"]
    assert list(net._buffers) == ["count", "cache", "nothing"]
    assert list(net._modules) == ["first", "second", "again"]
    assert net.absent is None and net.nothing is None
    assert not {"scale", "count", "first"} & set(vars(net)) and vars(net)["note"] == "text"
    assert {"scale", "count", "first", "note", "forward"} <= set(dir(net))
    assert "0" not in dir(nn.Sequential(nn.Dropout()))


def test_an_attribute_changes_its_kind():
    net = Net()
    net.note = nn.Parameter(mg.ones(1))  # from plain to parameter, to module, to gone
    assert "note" not in vars(net) and "note" in net._parameters
    net.register_buffer("b", mg.zeros(1))
    net.b = nn.Parameter(mg.ones(1))
    assert "b" not in net._buffers and "b" in net._parameters
    net.c = nn.Linear(1, 1)
    net.c = nn.Parameter(mg.ones(1))
    assert "c" not in net._modules and net.c.shape == (1,)
    net.absent = nn.Parameter(mg.ones(4))
    assert list(net._parameters)[:2] == ["scale", "absent"] and net.absent.shape == (4,)
    net.count = mg.ones(5)  # a tensor replaces a buffer
    assert net._buffers["count"].shape == (5,) and "count" not in vars(net)
    net.table = nn.Buffer(mg.ones(2), persistent=False)
    assert net.table.shape == (2,) and "table" not in net.state_dict()
    net.table = nn.Buffer(mg.ones(2))
    assert "table" in net.state_dict()
    net.plain = mg.ones(2)
    assert vars(net)["plain"].shape == (2,)
    for name in ("plain", "count", "scale", "first", "table"):
        delattr(net, name)
        assert not hasattr(net, name)
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'plain'"):
        del net.plain
    net.first, net.absent = None, None
    assert [n for n, _ in net.named_children()] == ["second", "again"]


WRONG = {
    "tensor for a parameter": (lambda m: setattr(m, "scale", mg.ones(2)), TypeError, "scale"),
    "number for a parameter": (lambda m: setattr(m, "scale", 1.0), TypeError, "Parameter"),
    "module for a parameter": (lambda m: setattr(m, "scale", nn.Dropout()), TypeError, "scale"),
    "number for a module": (lambda m: setattr(m, "first", 1), TypeError, "Module"),
    "number for a buffer": (lambda m: setattr(m, "count", 1), TypeError, "Tensor"),
    "register a tensor": (lambda m: m.register_parameter("w", mg.ones(1)), TypeError, "Parameter"),
    "name with a dot": (lambda m: m.register_parameter("a.b", None), KeyError, "contain"),
    "empty name": (lambda m: m.register_buffer("", None), KeyError, "empty"),
    "number as a name": (lambda m: m.add_module(3, nn.Dropout()), TypeError, "string"),
    "name of a method": (lambda m: m.add_module("forward", None), KeyError, "already exists"),
    "name of a buffer": (lambda m: m.register_parameter("count", None), KeyError, "already"),
    "number as a buffer": (lambda m: m.register_buffer("b", 3), TypeError, "buffer 'b'"),
    "number as a module": (lambda m: m.add_module("b", 3), TypeError, "int is not a Module"),
    "a computed tensor": (lambda m: setattr(m, "p", computed()), ValueError, "leaves"),
    "no attribute": (lambda m: m.what, AttributeError, "'Net' object has no attribute 'what'"),
    "no parameter": (lambda m: m.get_parameter("first.what"), AttributeError, "what"),
    "no such parameter": (lambda m: m.get_parameter("count"), AttributeError, "not an nn.Param"),
    "no buffer": (lambda m: m.get_buffer("scale"), AttributeError, "not a buffer"),
    "no module": (lambda m: m.get_submodule("first.weight"), AttributeError, "not an nn.Module"),
    "set nothing": (lambda m: m.set_submodule("", nn.Dropout()), ValueError, "name"),
    "set a number": (lambda m: m.set_submodule("first", 3), ValueError, "Module"),
    "set strictly": (lambda m: m.set_submodule("f", m, strict=True), AttributeError, "`f`"),
    "mode": (lambda m: m.train(1), ValueError, "boolean"),
    "to integers": (lambda m: m.to(mg.int64), TypeError, "int64"),
    "state": (lambda m: m.load_state_dict([1]), TypeError, "dict-like"),
    "compile": (lambda m: m.compile(), NotImplementedError, "as it is"),
    "forward": (lambda m: nn.Module()(1), NotImplementedError, 'required "forward" function'),
    "arguments": (lambda m: nn.Module(3), TypeError, "argument"),
}


def computed():
    p = nn.Parameter(mg.ones(1))
    p.creator = (p * 2).creator  # as if it came from an op
    return p


@pytest.mark.parametrize("act, error, text", WRONG.values(), ids=WRONG)
def test_misuse_is_named_and_changes_nothing(act, error, text):
    net = Net()
    before = list(net.state_dict())
    with pytest.raises(error, match=text):
        act(net)
    assert list(net.state_dict()) == before and net.training


def test_a_module_without_super_init_says_so():
    class Careless(nn.Module):
        def __init__(self):
            self.size = 3

        def forward(self, x):
            return x

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Careless()(1)
    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        list(Careless().parameters())


def test_plain_attributes_may_come_before_super_init():
    class Early(nn.Module):
        def __init__(self):
            self.size = 3
            super().__init__()
            self.weight = nn.Parameter(mg.ones(self.size))

    assert Early().size == 3 and len(list(Early().parameters())) == 1


# walking


def test_walking_sees_everything_once():
    net = Net()
    names = ["scale", "first.weight", "first.bias", "second.bias"]
    assert [n for n, _ in net.named_parameters()] == names
    assert len(list(net.parameters())) == 4
    assert [n for n, _ in net.named_parameters("net", recurse=False)] == ["net.scale"]
    every = [n for n, _ in net.named_parameters(remove_duplicate=False)]
    tied = ["second.weight", "second.bias", "again.weight", "again.bias"]
    assert every == [*names[:3], *tied]
    assert [n for n, _ in net.named_buffers()] == ["count", "cache"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "second"]
    assert [n for n, _ in net.named_modules(prefix="x")] == ["x", "x.first", "x.second"]
    assert len(list(net.modules(remove_duplicate=False))) == 4
    assert [n for n, _ in net.named_children()] == ["first", "second"]
    assert [b.shape for b in net.buffers(recurse=False)] == [(3,), (1,)]
    assert net.get_submodule("") is net and net.get_submodule("again") is net.first
    assert net.get_parameter("first.weight") is net.second.weight
    assert net.get_buffer("count") is net.count
    inner = nn.Dropout()
    net.set_submodule("first", nn.Sequential(nn.Dropout()))
    net.set_submodule("first.0", inner)
    assert net.first[0] is inner


def test_apply_goes_children_first():
    seen = []
    net = nn.Sequential(nn.Sequential(nn.Dropout()), nn.Linear(1, 1))
    assert net.apply(seen.append) is net
    assert [type(m).__name__ for m in seen] == ["Dropout", "Sequential", "Linear", "Sequential"]


def test_train_asks_the_children():
    class Frozen(nn.Linear):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(Frozen(1, 1), nn.Dropout())
    assert net.train() is net and not net[0].training and net[1].training
    assert net.eval() is net and not net[1].training


def test_zero_grad_in_both_ways():
    net = nn.Linear(2, 2)
    net(mg.ones(2)).sum().backward()
    held = net.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.weight.grad is held and (held.numpy() == 0).all()
    net.zero_grad()
    assert net.weight.grad is None


# types and places


@pytest.mark.parametrize(
    "convert",
    [
        lambda m: m.to(mg.float64),
        lambda m: m.to("cpu", mg.float64),
        lambda m: m.double(),
        lambda m: m.half().double(),
        lambda m: m.to(mg.zeros(1, dtype=mg.float64)),
        lambda m: m.to(dtype=mg.float64),
        lambda m: m.to("cpu", mg.float64, True),
        lambda m: m.to("cpu", dtype=mg.float64),
        lambda m: m.to(device="cpu", dtype=mg.float64, non_blocking=True),
    ],
)
def test_conversions(convert):
    net = Net()
    net.register_buffer("mask", mg.tensor([True]))
    before = list(net.parameters())
    net(mg.ones(2)).sum().backward()
    optimizer = optim.SGD(net.parameters(), lr=0.5)
    assert convert(net) is net
    assert all(p is q for p, q in zip(net.parameters(), before))
    assert {str(x.dtype) for x in net.parameters()} == {str(mg.zeros(1, dtype="float64").dtype)}
    assert net.count.dtype == "float64" and net.mask.dtype == "bool"
    assert net.second.weight is net.first.weight
    w, g = values(net.scale), values(net.scale.grad)
    assert g.dtype == np.float64
    optimizer.step()
    np.testing.assert_allclose(values(net.scale), w - 0.5 * g)
    assert net(mg.ones(2, dtype="float64")).dtype == "float64"
    assert net.cpu().float().share_memory().scale.dtype == "float32"
    assert net.to() is net and net.to(device=None).scale.dtype == "float32"


@pytest.mark.parametrize("place", [0, "cuda:0", mg.device("cuda")], ids=str)
def test_a_place_that_is_missing_changes_nothing(place, monkeypatch):
    monkeypatch.setattr("minigrad.backend.CuPyBackend.detect", lambda backend: "no GPU here")
    net = Net()
    for move in (net.to, net.cuda, lambda d: net.to(device=d)):
        with pytest.raises(RuntimeError, match="cuda"):
            move(place)
    assert net.scale.device == "cpu"


def test_an_overridden_apply_reaches_more():
    class Remembers(nn.Module):
        def __init__(self):
            super().__init__()
            self.state = mg.ones(2)

        def _apply(self, fn, recurse=True):
            super()._apply(fn, recurse)
            self.state = fn(self.state)
            return self

    assert nn.Sequential(Remembers()).double()[0].state.dtype == "float64"


# state


def test_state_dict_arguments():
    net = Net()
    names = ["scale", "count", "first.weight", "first.bias", "second.weight", "second.bias",
             "again.weight", "again.bias"]  # fmt: skip
    state = net.state_dict()
    assert type(state) is OrderedDict and list(state) == names
    assert state._metadata["first"] == {"version": 1}
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert not state["scale"].requires_grad
    given = {}
    assert net.first.state_dict(destination=given, prefix="a.") is given
    assert list(given) == ["a.weight", "a.bias"]
    state["scale"].fill_(7)
    assert (values(net.scale) == 7).all()  # the state shares memory


def test_load_state_dict_says_everything_at_once():
    net = nn.Sequential(nn.Linear(2, 3))
    state = {"0.weight": mg.ones(4, 2), "1.weight": mg.ones(1), "x": [1]}
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)
    assert str(error.value).split("\n\t") == [
        "Error(s) in loading state_dict for Sequential:",
        'Missing key(s) in state_dict: "0.bias". ',
        'Unexpected key(s) in state_dict: "1.weight", "x". ',
        "size mismatch for 0.weight: copying a param with shape (4, 2) from checkpoint, "
        "the shape in current model is (3, 2).",
    ]
    with pytest.raises(RuntimeError, match='"0.bias".*list'):
        net.load_state_dict({"0.weight": mg.ones(3, 2), "0.bias": [1.0, 2, 3]})


def test_load_state_dict_returns_the_keys():
    net = nn.Linear(2, 3)
    result = net.load_state_dict(net.state_dict())
    assert str(result) == repr(result) == "<All keys matched successfully>"
    missing, unexpected = result = net.load_state_dict({"other": 1}, strict=False)
    assert (missing, unexpected) == (["weight", "bias"], ["other"])
    assert result.missing_keys is missing and "'other'" in str(result)


def test_load_with_assign_takes_the_tensors_themselves():
    net = nn.Linear(2, 3)
    state = {"weight": mg.ones(3, 2, dtype="float64"), "bias": nn.Parameter(mg.zeros(3))}
    net.load_state_dict(state, assign=True)
    assert net.weight.dtype == "float64" and net.weight.requires_grad
    assert isinstance(net.weight, nn.Parameter) and net.bias is state["bias"]
    state["weight"].fill_(3)
    assert (values(net.weight) == 3).all()


def test_extra_state():
    class Counts(nn.Module):
        steps = 0

        def get_extra_state(self):
            return {"steps": self.steps}

        def set_extra_state(self, state):
            self.steps = state["steps"]

    a, b = nn.Sequential(Counts()), nn.Sequential(Counts())
    a[0].steps = 5
    assert a.state_dict() == {"0._extra_state": {"steps": 5}}
    b.load_state_dict(a.state_dict())
    assert b[0].steps == 5
    with pytest.raises(RuntimeError, match="Missing.*_extra_state"):
        b.load_state_dict({})


def test_old_names_can_be_translated_by_an_override_and_by_a_hook():
    class Renamed(nn.Linear):
        _version = 2

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
            if local_metadata.get("version", 1) < 2 and prefix + "w" in state_dict:
                state_dict[prefix + "weight"] = state_dict.pop(prefix + "w")
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    net = nn.Sequential(Renamed(2, 1))
    state = {"0.w": mg.ones(1, 2), "0.bias": mg.zeros(1)}
    net.load_state_dict(state)
    assert (values(net[0].weight) == 1).all() and "0.w" in state

    def rename(module, state_dict, prefix, *args):
        state_dict[prefix + "bias"] = state_dict.pop(prefix + "b")

    handle = net[0].register_load_state_dict_pre_hook(rename)
    net.load_state_dict({"0.w": mg.ones(1, 2), "0.b": mg.ones(1)})
    assert (values(net[0].bias) == 1).all()
    handle.remove()
    with pytest.raises(RuntimeError, match="Unexpected.*0.b"):
        net.load_state_dict({"0.w": mg.ones(1, 2), "0.b": mg.ones(1)})


def test_state_hooks():
    net, log = nn.Sequential(nn.Linear(1, 1)), []
    net[0].register_state_dict_pre_hook(lambda m, prefix, keep: log.append((prefix, keep)))

    def drop(module, state, prefix, metadata):
        del state[prefix + "bias"]

    net[0].register_state_dict_post_hook(drop)
    state = net.state_dict()
    assert list(state) == ["0.weight"] and log == [("0.", False)]
    with pytest.raises(RuntimeError, match="Missing"):
        net.load_state_dict(state)

    def forgive(module, keys):
        log.append(values(net[0].weight).item())
        keys.missing_keys.clear()

    net.register_load_state_dict_post_hook(forgive)
    state["0.weight"] = mg.full((1, 1), 3.0)
    net.load_state_dict(state)
    assert log[-1] == 3.0  # called when the values are there


# forward hooks


class Scale(nn.Module):
    def forward(self, x, factor=1.0):
        return x * factor


def test_forward_hooks_replace_and_are_removed():
    net, x, log = Scale(), mg.tensor([1.0]), []
    pre = net.register_forward_pre_hook(lambda m, args: args[0] + 1)
    post = net.register_forward_hook(lambda m, args, y: y * 10)
    net.register_forward_hook(lambda m, args, y: log.append((m, len(args), y.item())))
    assert net(x).item() == 20 and log == [(net, 1, 20)]
    pre.remove()
    pre.remove()
    assert net(x).item() == 10
    post.remove()
    with net.register_forward_pre_hook(lambda m, args: (args[0], 5.0)):
        assert net(x).item() == 5
    assert net(x, factor=2.0).item() == 2


def test_hooks_with_kwargs():
    net, x = Scale(), mg.tensor([1.0])
    net.register_forward_pre_hook(
        lambda m, a, k: (a, {"factor": k["factor"] + 1}), with_kwargs=True
    )
    net.register_forward_hook(lambda m, a, k, y: y + k["factor"], with_kwargs=True)
    assert net(x, factor=2.0).item() == 6
    net.register_forward_pre_hook(lambda m, a, k: a, with_kwargs=True)
    with pytest.raises(RuntimeError, match="pair"):
        net(x, factor=2.0)


def test_the_order_of_hooks():
    net, log = Scale(), []
    for name, prepend in (("a", False), ("b", False), ("c", True)):
        net.register_forward_hook(lambda *_, name=name: log.append(name), prepend=prepend)
    net(mg.ones(1))
    assert log == ["c", "a", "b"]


def test_a_hook_that_is_always_called():
    class Fails(nn.Module):
        def forward(self, x):
            raise KeyError("x")

    net, log = Fails(), []
    net.register_forward_hook(lambda *_: log.append("never"))
    net.register_forward_hook(lambda *_: log.append("always"), always_call=True)
    with pytest.raises(KeyError):
        net(1)
    assert log == ["always"]
    net.register_forward_hook(lambda *_: 1 / 0, always_call=True)
    with pytest.raises(KeyError), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net(1)
    assert "division" in str(caught[0].message)


# backward hooks


class Product(nn.Module):
    def forward(self, a, b, c=None):
        return a * b, a + b, "text"


def test_a_backward_hook_sees_the_gradients():
    net, log = Product(), []
    net.register_full_backward_hook(lambda m, gi, go: log.append((m, gi, go)))
    net.register_full_backward_pre_hook(lambda m, go: log.append(go))
    a, b = mg.tensor([2.0], requires_grad=True), mg.tensor([3.0])
    y, unused, text = net(a, b, c=a)
    assert text == "text" and y.item() == 6
    (y * 5).sum().backward()
    (go, (module, gi, go2)) = log
    assert module is net and len(gi) == 2 and gi[1] is None and go[1:] == (None, None)
    assert gi[0].item() == 15 and go[0].item() == go2[0].item() == 5 and a.grad.item() == 15


def test_a_backward_hook_replaces_the_gradients():
    net = nn.Linear(1, 1)
    net.weight.data.array[...] = 3
    x = mg.tensor([[2.0]], requires_grad=True)
    net.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10,))
    net.register_full_backward_pre_hook(lambda m, go: go[0] * 7)
    net.register_backward_hook(lambda m, gi, go: [gi[0] + 1])
    net(x).sum().backward()
    assert x.grad.item() == 3 * 7 * 10 + 1 and net.weight.grad.item() == 14


def test_a_backward_hook_without_gradients_of_inputs():
    net, log = nn.Linear(1, 1), []
    net.register_full_backward_hook(lambda m, gi, go: log.append((gi, go[0].item())))
    net(mg.ones(1)).sum().backward()
    assert log == [((None,), 1.0)]
    with mg.no_grad():
        assert not net(mg.ones(1)).requires_grad
    net.register_full_backward_hook(lambda m, gi, go: go)
    with pytest.raises(RuntimeError, match="no input"):
        net(mg.ones(1)).sum().backward()


def test_a_backward_hook_with_the_wrong_number_of_gradients():
    net = nn.Linear(1, 1)
    net.register_full_backward_hook(lambda m, gi, go: gi + gi)
    with pytest.raises(RuntimeError, match="2 gradients.*expected 1"):
        net(mg.ones(1, requires_grad=True)).sum().backward()


def test_a_gradient_beside_the_output_is_named():
    class Leaks(nn.Module):
        def forward(self, x):
            self.inner = x * 2
            return x * 3

    net = Leaks()
    net.register_full_backward_hook(lambda m, gi, go: None)
    net(mg.ones(1, requires_grad=True))
    with pytest.raises(RuntimeError, match="Leaks"):
        net.inner.sum().backward()


def test_hooks_on_a_recurrent_layer_and_a_second_backward():
    net, shapes = nn.LSTM(2, 3), []
    net.register_full_backward_hook(lambda m, gi, go: shapes.append((gi[0].shape, go[0].shape)))
    x = mg.randn(4, 1, 2).requires_grad_()
    loss = net(x)[0].sum()
    loss.backward(retain_graph=True)
    once = values(x.grad)
    loss.backward()
    np.testing.assert_allclose(values(x.grad), 2 * once)
    assert shapes == [((4, 1, 2), (4, 1, 3))] * 2


def test_watched_modules_can_be_differentiated_twice():
    net = nn.Linear(2, 2).double()
    net.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    x = mg.tensor([[0.3, 0.4]], dtype="float64", requires_grad=True)
    (g,) = mg.grad((net(x) ** 3).sum(), x, create_graph=True)
    (gg,) = mg.grad(g.sum(), x)
    y, w = values(net(x)), values(net.weight)
    np.testing.assert_allclose(values(g), 2 * (3 * y**2) @ w)
    np.testing.assert_allclose(values(gg), 2 * 2 * (6 * y * w.sum(1)) @ w)
    free = nn.Linear(2, 2).double()
    free.register_full_backward_hook(lambda m, gi, go: None)
    assert gradcheck(lambda x: free(x) ** 3, (x,))


# copies


class Hooked(Net):
    def __init__(self):
        super().__init__()
        self.register_forward_hook(double)


def double(module, args, output):
    return output * 2


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_whole_and_independent(again):
    net = Hooked().eval()
    other = again(net)
    x = mg.ones(1, 2)
    np.testing.assert_array_equal(values(net(x)), values(other(x)))
    assert other.second.weight is other.first.weight and other.again is other.first
    assert other.first.weight is not net.first.weight and not other.training
    assert isinstance(other.scale, nn.Parameter) and other.scale.requires_grad
    assert [n for n, _ in other.named_parameters()] == [n for n, _ in net.named_parameters()]
    with mg.no_grad():
        other.first.weight.fill_(5.0)
    assert not (values(net.first.weight) == 5).any()
    other.register_forward_hook(double)
    assert len(net._forward_hooks) == 1


def test_a_state_from_an_older_class_is_completed():
    net = Net()
    state = {k: v for k, v in vars(net).items() if not k.endswith("_hooks")}
    other = Net.__new__(Net)
    other.__setstate__(state)
    assert other(mg.ones(2)).shape == (2,)


# Parameter


def test_parameter():
    data = mg.ones(2)
    p = nn.Parameter(data)
    data.fill_(3)
    assert (p.detach().numpy() == 3).all() and p.requires_grad and p.is_leaf  # one memory
    assert isinstance(p, mg.Tensor) and type(p * 2) is mg.Tensor
    assert repr(p) == "Parameter containing:\ntensor([3., 3.], requires_grad=True)"
    assert nn.Parameter is nn.parameter.Parameter and nn.Parameter().shape == (0,)
    frozen = nn.Parameter(mg.tensor([1, 2]), requires_grad=False)
    assert not frozen.requires_grad and not nn.Parameter(p, requires_grad=False).requires_grad
    with pytest.raises(RuntimeError, match="floating"):
        nn.Parameter(mg.tensor([1, 2]))
    for q in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        assert type(q) is nn.Parameter and not q.requires_grad and q is not frozen
    p.mark = "no decay"
    assert p.mark == "no decay"
    b = copy.deepcopy(nn.Buffer(mg.ones(1), persistent=False))
    assert type(b) is nn.Buffer and not b.persistent and not b.requires_grad


def test_module_names_of_older_programs():
    assert nn.modules.Module is nn.Module and nn.modules.module.Module is nn.Module
    from minigrad.nn.modules import Linear

    assert Linear is nn.Linear


# containers


def linears(n):
    return [nn.Linear(1, 1) for _ in range(n)]


def test_sequential():
    a, b, c = linears(3)
    net = nn.Sequential(a, b, c)
    x = mg.ones(1)
    np.testing.assert_array_equal(values(net(x)), values(c(b(a(x)))))
    assert len(net) == 3 and list(net) == [a, b, c] and net[-1] is c and net[0] is a
    assert type(net[1:]) is nn.Sequential and list(net[1:]) == [b, c]
    assert list(net[1:]._modules) == ["1", "2"]
    named = nn.Sequential(OrderedDict([("one", a), ("two", b)]))
    assert named.one is a and named[1] is b and list(named.state_dict())[0] == "one.weight"
    named[0] = c
    assert named.one is c
    assert net.append(b) is net and list(net) == [a, b, c, b]
    assert net.pop() is b
    del net[0]
    assert list(net._modules) == ["0", "1"] and list(net) == [b, c]
    assert list(net.insert(0, a)) == [a, b, c] and list(net._modules) == ["0", "1", "2"]
    assert list(net.extend([a, b])) == [a, b, c, a, b]
    del net[3:]
    assert list(net + named) == [a, b, c, c, b] and list(nn.Sequential(a, b) * 2) == [a, b, a, b]
    net += nn.Sequential(b)
    assert list(net) == [a, b, c, b] and list(2 * nn.Sequential(a)) == [a, a]
    net *= 2
    assert len(net) == 8
    for wrong, error in (
        (lambda: net[8], IndexError),
        (lambda: net["0"], TypeError),
        (lambda: net + 3, ValueError),
        (lambda: nn.Sequential(3), TypeError),
        (lambda: net.insert(9, a), IndexError),
        (lambda: net.insert(0, 3), TypeError),
        (lambda: net(1, 2), TypeError),
        (lambda: net * 0, ValueError),
        (lambda: net.extend(3), TypeError),
    ):
        with pytest.raises(error):
            wrong()
    assert len(net) == 8


def test_module_list():
    a, b, c = linears(3)
    modules = nn.ModuleList([a, b])
    assert modules.append(c) is modules and list(modules) == [a, b, c]
    assert type(modules[:2]) is nn.ModuleList and list(modules[1:]._modules) == ["0", "1"]
    modules.insert(1, c)
    assert list(modules) == [a, c, b, c] and modules.pop(1) is c and modules[-1] is c
    modules[0] = b
    del modules[-1]
    assert list(modules) == [b, b] and len(modules) == 2 and c not in modules
    modules += [a]
    assert list(modules + [c]) == [b, b, a, c] and len(modules) == 3
    assert [n for n, _ in modules.named_parameters()] == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]
    with pytest.raises(NotImplementedError):
        modules(1)
    with pytest.raises(TypeError):
        modules.append(3)
    with pytest.raises(TypeError):
        nn.ModuleList(3)
    assert len(nn.ModuleList()) == 0 and len(nn.ModuleList(nn.Dropout() for _ in range(2))) == 2


def test_module_dict():
    a, b, c = linears(3)
    modules = nn.ModuleDict({"x": a, "y": b})
    modules["z"] = c
    assert list(modules) == ["x", "y", "z"] and list(modules.values()) == [a, b, c]
    assert "y" in modules and "w" not in modules and len(modules) == 3 and modules["z"] is c
    assert modules.pop("x") is a and list(modules.items()) == [("y", b), ("z", c)]
    modules.update([("w", a)])
    modules.update({"y": c})
    assert list(modules.keys()) == ["y", "z", "w"] and modules.y is c
    del modules["y"]
    assert len(list(modules.parameters())) == 4
    assert modules != nn.ModuleDict(modules) and hash(modules) == hash(modules)
    modules.clear()
    assert len(modules) == 0
    with pytest.raises(KeyError):
        modules["x"]
    with pytest.raises(TypeError):
        modules["x"] = 3
    with pytest.raises(TypeError):
        nn.ModuleDict(3)


def test_parameter_list():
    p = nn.Parameter(mg.zeros(1))
    values_ = nn.ParameterList([mg.ones(2), p, 3])
    assert isinstance(values_[0], nn.Parameter) and values_[1] is p and values_[-1] == 3
    assert list(values_.state_dict()) == ["0", "1"] and len(values_) == 3
    values_.append(mg.ones(1)).extend([p])
    values_ += [p]
    values_[0] = mg.zeros(2)
    assert len(values_) == 6 and (values(values_[0]) == 0).all()
    assert isinstance(values_[1:3], nn.ParameterList) and list(values_[1:3]) == [p, 3]
    assert [v.shape for v in values_ if isinstance(v, nn.Parameter)][0] == (2,)
    for wrong, error in (
        (lambda: values_[6], IndexError),
        (lambda: values_(1), RuntimeError),
        (lambda: values_.extend(3), TypeError),
    ):
        with pytest.raises(error):
            wrong()


def test_parameter_dict():
    p = nn.Parameter(mg.zeros(1))
    values_ = nn.ParameterDict({"a": mg.ones(2), "b": p, "c": 3})
    assert isinstance(values_["a"], nn.Parameter) and values_["b"] is p and values_.c == 3
    assert list(values_) == ["a", "b", "c"] and list(reversed(values_)) == ["c", "b", "a"]
    assert list(values_.state_dict()) == ["a", "b"] and "c" in values_ and len(values_) == 3
    assert values_.setdefault("d", p) is p and values_.get("e", 1) == 1 and values_.get("e") is None
    assert values_.popitem() == ("d", p) and values_.pop("c") == 3
    assert list(values_ | {"z": p}) == ["a", "b", "z"] and list({"z": p} | values_)[0] == "z"
    values_ |= {"y": p}
    assert list(values_.copy()) == ["a", "b", "y"]
    assert list(values_.fromkeys(["k"], p).values()) == [p]
    del values_["a"]
    assert not hasattr(values_, "a") and [n for n, _ in values_.named_parameters()] == ["b"]
    with pytest.raises(KeyError):
        values_["a"]
    with pytest.raises(RuntimeError):
        values_()


def test_reprs_of_containers():
    a = nn.Linear(1, 1)
    line = "Linear(in_features=1, out_features=1, bias=True)"
    assert repr(nn.ModuleList()) == "ModuleList()"
    assert repr(nn.ModuleList([a, a, nn.Embedding(2, 1)])) == (
        f"ModuleList(\n  (0-1): 2 x {line}\n  (2): Embedding(2, 1)\n)"
    )
    inner = nn.ModuleList([nn.Sequential(a), nn.Sequential(a)])
    assert repr(inner) == f"ModuleList(\n  (0-1): 2 x Sequential(\n    (0): {line}\n  )\n)"

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.empty = a, nn.Sequential()
            self.register_module("none", None)

        def extra_repr(self):
            return "one\ntwo"

    assert repr(Both()) == (
        f"Both(\n  one\n  two\n  (a): {line}\n  (empty): Sequential()\n  (none): None\n)"
    )
