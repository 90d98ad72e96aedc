"""Module, containers and saved states held against PyTorch's, one program run on both."""

import io
import warnings
from collections import OrderedDict

import numpy as np
import pytest

import minigrad as mg
from minigrad.serialization import load, save

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


def net(m):
    class Inner(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.b = m.nn.Parameter(m.ones(2))
            self.register_buffer("seen", m.zeros(1))
            self.register_buffer("cache", m.zeros(1), persistent=False)
            self.a = m.nn.Parameter(m.ones(1))

        def forward(self, x):
            return x * self.a

        def extra_repr(self):
            return "size=1"

    class Net(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = m.nn.ModuleList([m.nn.Linear(2, 2) for _ in range(3)])
            self.layers.append(m.nn.Linear(2, 4))
            self.scale = m.nn.Parameter(m.ones(1))
            self.inner = m.nn.Sequential(OrderedDict(first=Inner(), second=m.nn.LSTM(2, 3)))
            self.by_name = m.nn.ModuleDict({"x": Inner(), "y": self.layers[0]})
            self.loose = m.nn.ParameterList([m.ones(2, 3), m.ones(1)])
            self.named = m.nn.ParameterDict({"p": m.ones(2)})
            self.tied = m.nn.Linear(2, 2)
            self.tied.weight = self.layers[1].weight
            self.register_parameter("absent", None)
            self.empty = m.nn.Sequential()

    return Net()


def raised(act):
    try:
        return act()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


ANSWERS = {
    "parameters": lambda m, n: [(k, tuple(p.shape)) for k, p in n.named_parameters()],
    "all parameters": lambda m, n: [k for k, _ in n.named_parameters("n", remove_duplicate=False)],
    "own parameters": lambda m, n: [k for k, _ in n.named_parameters(recurse=False)],
    "buffers": lambda m, n: [k for k, _ in n.named_buffers()],
    "modules": lambda m, n: [(k, type(x).__name__) for k, x in n.named_modules()],
    "all modules": lambda m, n: [k for k, _ in n.named_modules(remove_duplicate=False)],
    "children": lambda m, n: [k for k, _ in n.named_children()],
    "state": lambda m, n: [(k, tuple(x.shape)) for k, x in n.state_dict().items()],
    "state with a prefix": lambda m, n: list(n.state_dict(prefix="x.")),
    "metadata": lambda m, n: list(n.state_dict()._metadata.items()),
    "repr": lambda m, n: repr(n).replace("torch.FloatTensor", "float32")
    .replace("torch.float32", "float32").replace("minigrad.float32", "float32"),
    "apply": lambda m, n: _applied(n),
    "names": lambda m, n: [x for x in dir(n) if not x.startswith("_") and x in ("absent", "tied")],
    "keys": lambda m, n: str(n.load_state_dict(n.state_dict())),
    "loose keys": lambda m, n: str(n.tied.load_state_dict({"x": m.ones(1)}, strict=False)),
    "all errors": lambda m, n: raised(
        lambda: n.tied.load_state_dict({"weight": m.ones(3), "x": m.ones(1), "y.z": m.ones(1)})
    ).replace("torch.Size([3])", "(3,)").replace("torch.Size([2, 2])", "(2, 2)"),
    "no attribute": lambda m, n: raised(lambda: n.what),
    "no forward": lambda m, n: raised(lambda: n(1)),
    "no submodule": lambda m, n: raised(lambda: n.get_submodule("tied.what")),
    "no such submodule": lambda m, n: raised(lambda: n.get_submodule("scale")),
    "a dot": lambda m, n: raised(lambda: n.register_buffer("a.b", None)),
    "exists": lambda m, n: raised(lambda: n.register_buffer("scale", None)),
    "not a module": lambda m, n: raised(lambda: n.add_module("x", 3)),
    "mode": lambda m, n: raised(lambda: n.train("yes")),
    "index": lambda m, n: raised(lambda: n.layers[7]),
    "called list": lambda m, n: raised(lambda: n.loose(1)),
    "slices": lambda m, n: (list(n.inner[1:]._modules), list(n.layers[1:]._modules)),
}  # fmt: skip


def _applied(n):
    seen = []
    n.apply(lambda module: seen.append(type(module).__name__))
    return seen


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_module_answers_as_pytorchs(answer):
    assert answer(mg, net(mg)) == answer(torch, net(torch))


TYPES = {
    "tensor for a parameter": lambda m, n: setattr(n, "scale", m.ones(1)),
    "module for a parameter": lambda m, n: setattr(n, "scale", m.nn.Linear(1, 1)),
    "number for a module": lambda m, n: setattr(n, "tied", 1),
    "number for a buffer": lambda m, n: setattr(n.inner.first, "seen", 1),
    "number as a name": lambda m, n: n.register_parameter(1, None),
    "tensor as a parameter": lambda m, n: n.register_parameter("x", m.ones(1)),
    "array as a buffer": lambda m, n: n.register_buffer("x", np.ones(1)),
    "integers": lambda m, n: n.to(m.int64),
    "no parameter": lambda m, n: n.get_parameter("tied"),
    "no buffer": lambda m, n: n.get_buffer("scale"),
    "set nowhere": lambda m, n: n.set_submodule("", n.tied),
    "set strictly": lambda m, n: n.set_submodule("tied.x", n.tied, True),
    "state of a list": lambda m, n: n.load_state_dict([]),
    "delete nothing": lambda m, n: delattr(n, "what"),
    "index of text": lambda m, n: n.layers["0"],
    "sum": lambda m, n: n.inner + 3,
    "no times": lambda m, n: n.inner * 0,
    "insert far": lambda m, n: n.inner.insert(9, n.tied),
    "append a number": lambda m, n: n.layers.append(3),
    "extend by a number": lambda m, n: n.layers.extend(3),
    "key": lambda m, n: n.by_name["q"],
    "update by a number": lambda m, n: n.by_name.update(3),
    "parameter of integers": lambda m, n: m.nn.Parameter(m.arange(2)),
    "arguments": lambda m, n: m.nn.Module(1),
}


@pytest.mark.parametrize("act", TYPES.values(), ids=TYPES)
def test_a_module_refuses_as_pytorchs(act):
    kinds = [raised(lambda m=m: act(m, net(m))).split(":")[0] for m in (mg, torch)]
    assert kinds[0] == kinds[1] != "None"


def hooked(m):
    """What all hooks see, in order, and the gradients they leave."""

    class Product(m.nn.Module):
        def forward(self, a, b, c=None):
            return a * b, a + b, "text"

    log = []

    def shown(gs):
        return [None if g is None else g.tolist() for g in gs]

    # PyTorch shows zeros for a tensor that requires no grad beside one that does; here it is None
    module = Product()
    module.register_full_backward_hook(lambda _, gi, go: log.append((shown(gi), shown(go))))
    module.register_full_backward_hook(lambda _, gi, go: (gi[0] * 2, None))
    module.register_full_backward_hook(
        lambda _, gi, go: log.append(("first", shown(gi))), prepend=True
    )
    module.register_full_backward_pre_hook(lambda _, go: log.append(("pre", shown(go))))
    module.register_full_backward_pre_hook(lambda _, go: (go[0] + 1, go[1], None))
    module.register_forward_hook(lambda _, args, out: log.append(("forward", len(args), len(out))))
    module.register_forward_pre_hook(lambda _, args: log.append(("before", len(args))))
    a, b = m.tensor([2.0, 1.0], requires_grad=True), m.tensor([3.0, 5.0], requires_grad=True)
    y, z, _ = module(a, b, c=3)
    y.sum().backward()
    log.append(a.grad.tolist())
    y, z, _ = module(a, b)
    (y.sum() + 2 * z.sum()).backward()
    log.append(a.grad.tolist())
    with m.no_grad():
        module(a, b)
    layer = m.nn.LSTM(2, 3)
    layer.register_full_backward_hook(
        lambda _, gi, go: log.append([g if g is None else tuple(g.shape) for g in gi + go])
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns where no input requires grad
        layer(m.ones(4, 1, 2))[0].sum().backward()
    layer(m.ones(4, 1, 2, requires_grad=True))[0].sum().backward()
    return log


def test_hooks_see_what_pytorchs_see():
    assert hooked(mg) == hooked(torch)


def test_a_state_travels_both_ways(tmp_path):
    from safetensors.torch import load_file as torch_load
    from safetensors.torch import save_file as torch_save

    torch.manual_seed(0)
    mine, theirs = net(mg), net(torch)
    torch_save({k: x.clone() for k, x in theirs.state_dict().items()}, tmp_path / "theirs")
    assert "matched" in str(mine.load_state_dict(load(tmp_path / "theirs")))
    for (name, a), b in zip(mine.state_dict().items(), theirs.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)
    save(mine.double().state_dict(), tmp_path / "mine")
    other = net(torch).double()
    assert "matched" in str(other.load_state_dict(torch_load(tmp_path / "mine")))
    for a, b in zip(mine.state_dict().values(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    fresh = net(mg)  # a state of the other library itself
    fresh.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(
        fresh.state_dict()["tied.weight"].numpy(), theirs.state_dict()["tied.weight"].numpy()
    )


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickle"])
def test_a_file_of_torch_save_is_refused_with_advice(zipped, tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "x", _use_new_zipfile_serialization=zipped)
    for weights_only in (True, False):
        with pytest.raises(ValueError, match="safetensors.torch.save_file"):
            load(tmp_path / "x", weights_only=weights_only)


def program(m, save, load):
    """A program that saves and loads in all the usual ways; what it gets back."""
    model = m.nn.Sequential(m.nn.Linear(2, 1))
    got = []
    for obj in (
        model.state_dict(),
        {"model": model.state_dict(), "epoch": 3, "history": [0.1, (1, None)], 5: {1: "x"}},
        [m.ones(1), m.zeros(0), m.tensor(True)],
        m.nn.Parameter(m.ones(2)),
        m.ones(2, requires_grad=True),
    ):
        buffer = io.BytesIO()
        save(obj, buffer)
        buffer.seek(0)
        got.append(skeleton(load(buffer, map_location="cpu")))
    for wrong in (None, True):
        buffer = io.BytesIO()
        save(model, buffer)
        buffer.seek(0)
        got.append(raised(lambda: load(buffer, weights_only=wrong)).split(":")[0])
        buffer.seek(0)
        got.append(repr(load(buffer, weights_only=False)))
    return got


def skeleton(x):
    if isinstance(x, dict):
        return type(x).__name__, [(k, skeleton(v)) for k, v in x.items()]
    if isinstance(x, (list, tuple)):
        return type(x).__name__, [skeleton(v) for v in x]
    if isinstance(x, (mg.Tensor, torch.Tensor)):
        return type(x).__name__, tuple(x.shape), x.requires_grad
    return x


def test_saving_and_loading_as_pytorch_does():
    assert program(mg, save, load) == program(torch, torch.save, torch.load)
