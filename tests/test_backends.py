"""Backends: training on the strict stand-in, mixed and missing devices, a broken CuPy."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strict_backend import STRICT, StrictArray

import minigrad as mg
from minigrad import nn, optim

ROOT = Path(__file__).resolve().parent.parent
V, D, H, T, B = 11, 5, 4, 6, 3


class Model(nn.Module):
    """Embedding, a bidirectional LSTM of two layers, and the logits of every token."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(V, D, padding_idx=0)
        self.rnn = nn.LSTM(D, H, num_layers=2, bidirectional=True)
        self.head = nn.Linear(2 * H, V)

    def forward(self, ids, lengths):
        hs, (h, c) = self.rnn(self.embed(ids), lengths=lengths)
        return self.head(mg.tanh(hs) + h.sum(0).unsqueeze(0).mean(-1, keepdim=True)), c


def batch(device):
    rng = np.random.default_rng(0)
    lengths = np.array([6, 2, 4])
    ids = rng.integers(1, V, (T, B)) * (np.arange(T)[:, None] < lengths)
    return mg.tensor(ids, device=device), mg.tensor(np.roll(ids, -1, 0), device=device), lengths


def trained(device, optimizer, *, clip=True, lengths=True, steps=4):
    """Losses and parameters after a few steps, and the waits for the device in each."""
    mg.manual_seed(1)
    model = Model().to(device)
    steps_of = optimizer(model.parameters())
    losses, waits = [], []
    for _ in range(steps):
        src, tgt, given = batch(device)
        before = STRICT.downloads
        logits, c = model(src, given if lengths else None)
        loss = nn.functional.cross_entropy(
            logits.reshape(-1, V), tgt.reshape(-1), ignore_index=0, label_smoothing=0.1
        )
        loss = loss + (c * c).mean() * 0.01
        steps_of.zero_grad()
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        steps_of.step()
        waits.append(STRICT.downloads - before)
        assert loss.device == device
        losses.append(loss.item())
    return losses, {k: v.cpu().numpy() for k, v in model.state_dict().items()}, waits


OPTIMIZERS = {
    "Adam": lambda params: optim.Adam(params, lr=0.05, weight_decay=0.01),
    "SGD": lambda params: optim.SGD(params, lr=0.5),
    "SGD momentum": lambda params: optim.SGD(params, lr=0.2, momentum=0.9, weight_decay=0.01),
    "SGD Nesterov": lambda params: optim.SGD(params, lr=0.2, momentum=0.9, nesterov=True),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_equals_numpy(optimizer):
    losses, params, _ = trained("cpu", optimizer)
    strict_losses, strict_params, _ = trained("strict", optimizer)
    np.testing.assert_allclose(strict_losses, losses, rtol=1e-6)
    assert losses[-1] < losses[0] and len(params) == 19
    for name, value in params.items():
        assert strict_params[name].dtype == value.dtype == "float32"
        np.testing.assert_allclose(strict_params[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lengths", [False, True])
def test_a_step_does_not_wait_for_the_device(lengths):
    _, _, waits = trained("strict", OPTIMIZERS["Adam"], clip=False, lengths=lengths)
    assert waits == [0] * 4


def test_clipping_waits_once_for_each_gradient_at_most():
    _, params, with_clip = trained("strict", OPTIMIZERS["Adam"], lengths=False)
    assert max(with_clip) <= len(params)


def test_dropout_draws_the_same_numbers_on_every_device():
    x = mg.ones(40, 5)
    results = []
    for device in ("cpu", "strict"):
        y = nn.functional.dropout(x.to(device), 0.4, generator=mg.Generator(3))
        results.append(y.cpu().numpy())
    np.testing.assert_array_equal(*results)
    assert 0 < (results[0] == 0).sum() < 200


def test_inference_on_the_strict_backend():
    mg.manual_seed(1)
    model = Model()
    src, _, lengths = batch("cpu")
    with mg.no_grad():
        expected = model(src, lengths)[0].numpy()
        got = model.to("strict")(src.to("strict"), lengths)[0].cpu().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)


def test_lstm_differentiated_twice_on_the_strict_backend():
    results = []
    for device in ("cpu", "strict"):
        mg.manual_seed(2)
        rnn = nn.LSTM(2, 3, dtype="float64", device=device)
        x = mg.randn(3, 2, 2, dtype="float64", device=device)
        y, _ = rnn(x, lengths=[3, 1])
        params = list(rnn.parameters())
        gs = mg.grad((y * y).sum(), params, create_graph=True)
        total = gs[0].sin().sum()
        for g in gs[1:]:
            total = total + g.sin().sum()
        results.append([g.cpu().numpy() for g in mg.grad(total, params)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_state_dict_and_optimizer_state_move_between_devices(tmp_path):
    pytest.importorskip("safetensors")
    mg.manual_seed(1)
    model = Model().to("strict")
    adam = optim.Adam(model.parameters())
    src, tgt, lengths = batch("strict")
    model(src, lengths)[0].sum().backward()
    adam.step()
    mg.serialization.save_file(model.state_dict(), tmp_path / "model.safetensors")
    assert {p.device for p in model.parameters()} == {"strict"}, "saving moved the live model"
    here = Model()
    here.load_state_dict(mg.serialization.load_file(tmp_path / "model.safetensors"))
    assert {p.device for p in here.parameters()} == {"cpu"}
    for p, q in zip(model.parameters(), here.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach().cpu().numpy(), q.detach().numpy())
    model.load_state_dict(here.state_dict())
    assert {p.device for p in model.parameters()} == {"strict"}, "loading moved the live model"
    again = optim.Adam(model.parameters())
    again.load_state_dict(adam.state_dict())
    for state in again.state.values():
        assert type(state["exp_avg"].array) is StrictArray


# moving


def test_round_trip_with_gradients():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x.to("strict")
    assert y.device == "strict" and y.dtype == x.dtype and y.requires_grad
    z = (y * y).cpu() * x
    assert z.device == "cpu" and z.tolist() == [1, 8]
    z.sum().backward()
    assert x.grad.device == "cpu" and x.grad.tolist() == [3, 12]
    assert x.to("cpu") is x and y.to("strict") is y


def test_round_trip_at_order_2():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = (x.to("strict") ** 3).cpu().sum()
    (g,) = mg.grad(y, x, create_graph=True)
    (h,) = mg.grad(g.sum(), x)
    assert h.device == "cpu" and h.tolist() == [6, 12]


def test_gradient_lives_where_its_tensor_lives():
    x = mg.tensor([1.0, 2.0], device="strict", requires_grad=True)
    x.cpu().sum().backward()
    assert x.grad.device == "strict" and x.grad.cpu().tolist() == [1, 1]
    unused, used = mg.ones(2, device="strict", requires_grad=True).split(1)
    used.cpu().backward(mg.ones(1))


def test_the_border_to_the_host():
    x = mg.tensor([[1.0, 2.0]], device="strict")
    with pytest.raises(TypeError, match="strict.*cpu"):
        x.numpy()
    with pytest.raises(TypeError):
        np.asarray(x)
    assert x.tolist() == [[1, 2]] and x[0, 1].item() == 2 and float(x.sum()) == 3
    assert "device='strict'" in repr(x)
    before = STRICT.uploads, STRICT.downloads
    mg.zeros(2, device="strict")
    mg.full((2,), 3, device="strict")
    assert (STRICT.uploads, STRICT.downloads) == before
    mg.arange(2, device="strict")
    assert (STRICT.uploads, STRICT.downloads) == (before[0] + 1, before[1])
    x.sum().item()
    assert STRICT.downloads == before[1] + 1


def test_copy_crosses_the_border():
    for here, there in (("cpu", "strict"), ("strict", "cpu"), ("strict", "strict")):
        x = mg.zeros(2, 2, device=here)
        x.copy_(mg.ones(2, 2, device=there))
        assert x.device == here and x.tolist() == [[1, 1], [1, 1]]


def test_like_and_random_are_born_on_the_device():
    x = mg.ones(2, device="strict")
    for y in (mg.zeros_like(x), mg.full_like(x, 3), x.clone(), x.detach(), x.data):
        assert y.device == "strict"
    for make in (mg.rand, mg.randn, mg.zeros, mg.ones):
        assert make(2, device="strict").device == "strict"
    assert mg.arange(2, device="strict").device == mg.eye(2, device="strict").device == "strict"


# mixed and unknown devices

X, Y = mg.ones(2, 2), mg.ones(2, 2, device="strict")
IDS = mg.tensor([0, 1], device="strict")
MIXED = {
    "add": lambda: X + Y,
    "sub": lambda: Y - X,
    "pow": lambda: X**Y,
    "matmul": lambda: X @ Y,
    "eq": lambda: X == Y,
    "lt": lambda: Y < X,
    "cat": lambda: mg.cat([X, Y]),
    "stack": lambda: mg.stack([Y, X]),
    "maximum": lambda: mg.maximum(X, Y),
    "where": lambda: mg.where(X > 0, X, Y),
    "where mask": lambda: mg.where(X > 0, Y, 0.0),
    "where mask only": lambda: mg.where(Y > 0, X, 0.0),
    "masked_fill": lambda: X.masked_fill(Y > 0, 0.0),
    "gather": lambda: X.gather(1, Y.long()),
    "index": lambda: X[IDS],
    "embedding": lambda: nn.functional.embedding(IDS, X),
    "cross_entropy": lambda: nn.functional.cross_entropy(X, IDS),
    "linear": lambda: nn.Linear(2, 2)(Y),
    "lstm": lambda: nn.LSTM(2, 2)(Y[None]),
    "assignment": lambda: mg.zeros(2, 2).__setitem__(0, Y[0]),
    "array": lambda: X + Y.array,
    "gradient": lambda: (Y * Y.detach().requires_grad_()).backward(X),
}


@pytest.mark.parametrize("call", MIXED.values(), ids=MIXED)
def test_mixed_devices_are_an_error_that_names_both(call):
    with pytest.raises(RuntimeError) as caught:
        call()
    assert "cpu" in str(caught.value) and "strict" in str(caught.value)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:-1", "cuda:", "", "CPU", "strict:1"])
def test_unknown_devices(name):
    with pytest.raises(RuntimeError, match="unknown device.*known: cpu"):
        mg.zeros(1, device=name)
    with pytest.raises(RuntimeError, match="unknown device"):
        mg.zeros(1).to(name)


def has_gpu():
    return mg.backend_for("auto").device != "cpu"


def test_cuda_without_a_gpu_says_what_is_missing():
    if has_gpu():
        pytest.skip("this machine has a GPU")
    for name in ("cuda", "cuda:0", "cuda:1"):
        reason = f"device '{name}' cannot be used: .*(CuPy|cupy|CUDA)"
        with pytest.raises(RuntimeError, match=reason):
            mg.zeros(2, device=name)
    with pytest.raises(RuntimeError, match="cannot be used"):
        nn.Linear(2, 2).to("cuda")


def test_auto_gives_a_device_that_works():
    x = mg.ones(2, 2, device="auto", requires_grad=True)
    (x @ x).sum().backward()
    assert x.grad.cpu().tolist() == [[4, 4], [4, 4]]
    assert x.device == mg.backend_for("auto").device


# the stand-in is as strict as it says


def strict(values):
    return STRICT.upload(np.asarray(values, dtype=float))


REFUSED = {
    "operand": lambda: strict([1, 2]) + np.ones(2),
    "reflected operand": lambda: np.ones(2) + strict([1, 2]),
    "in place": lambda: strict([1, 2]).__iadd__(np.ones(2)),
    "function": lambda: STRICT.xp.maximum(strict([1, 2]), np.ones(2)),
    "NumPy's function": lambda: np.maximum(strict([1, 2]), 1),
    "asarray": lambda: np.asarray(strict([1, 2])),
    "upload behind its back": lambda: STRICT.xp.asarray(np.ones(2)),
    "list of arrays": lambda: STRICT.xp.concatenate([strict([1]), np.ones(1)]),
    "list index": lambda: strict([1, 2])[[0]],
    "NumPy index": lambda: strict([1, 2])[np.array([0])],
    "NumPy index in a tuple": lambda: strict([[1, 2]])[:, np.array([0])],
    "NumPy value": lambda: strict([1, 2]).__setitem__(0, np.ones(())),
    "pickle": lambda: pickle.dumps(strict([1])),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_the_strict_backend_refuses(call):
    with pytest.raises(TypeError):
        call()


def test_the_strict_backend_checks_ids():
    x, ids = strict([1, 2, 3]), lambda *i: STRICT.upload(np.array(i))
    with pytest.raises(ValueError, match="twice"):
        x[ids(0, 1, 0)] = strict([5, 6, 5])
    with pytest.raises(IndexError):
        x[ids(0, 3)] = 5.0
    with pytest.raises(IndexError):
        x[ids(3)]
    x[ids(0, 2, 0)] = 5.0
    STRICT.xp.add.at(x, ids(1, 1), 1.0)
    assert x.tolist() == [5, 4, 5]


def test_the_strict_backend_has_0d_results_and_poisoned_memory():
    x = strict([1, 2])
    for y in (x.sum(), x[0], STRICT.xp.max(x), x.max() * 2.0):
        assert type(y) is StrictArray and y.shape == ()
    assert np.isnan(STRICT.download(STRICT.xp.empty(3))).all()
    assert STRICT.download(STRICT.xp.empty_like(x.astype("int64"))).max() > 2**60


# importing


def run(code, *, path=()):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    code = """
import sys, minigrad
print([name for name in ("cupy", "torch", "safetensors", "matplotlib") if name in sys.modules])
"""
    assert run(code).strip() == "[]"


DOCTOR = "import runpy; runpy.run_module('minigrad.doctor', run_name='__main__')"
WORKING = """
__version__ = "14.1"
class ndarray:
    def __init__(self, *shape): pass
    sum = get = lambda self: self
zeros = ndarray
class cuda:
    is_available = staticmethod(lambda: True)
    class Device:
        def __init__(self, index): pass
        use = __enter__ = __exit__ = lambda self, *_: None
    class runtime:
        getDeviceCount = staticmethod(lambda: 1)
        driverGetVersion = runtimeGetVersion = staticmethod(lambda: 12040)
        getDeviceProperties = staticmethod(
            lambda n: {"name": b"A GPU", "major": 9, "minor": 0, "totalGlobalMem": 3 * 2**29})
"""
BROKEN = {
    "import fails": ("raise ImportError('libcudart.so.12 not found')", "libcudart.so.12"),
    "import fails strangely": ("raise OSError('bad library')", "bad library"),
    "no driver": (
        "class cuda:\n    is_available = staticmethod(lambda: False)",
        "no CUDA driver or no GPU",
    ),
    "no such GPU": (
        """
class cuda:
    is_available = staticmethod(lambda: True)
    class runtime:
        getDeviceCount = staticmethod(lambda: 0)
""",
        r"0 GPU",
    ),
    "driver too old": (
        """
import contextlib
class cuda:
    is_available = staticmethod(lambda: True)
    Device = staticmethod(lambda index: contextlib.nullcontext())
    class runtime:
        getDeviceCount = staticmethod(lambda: 1)
class ndarray:
    pass
def zeros(*shape):
    raise RuntimeError("cudaErrorInsufficientDriver")
""",
        "cudaErrorInsufficientDriver",
    ),
}


@pytest.mark.parametrize("source, reason", BROKEN.values(), ids=BROKEN)
def test_a_broken_cupy(source, reason, tmp_path):
    (tmp_path / "cupy.py").write_text(source, encoding="utf-8")
    code = """
import sys, minigrad as mg
assert "cupy" not in sys.modules
x = mg.ones(2, device="auto", requires_grad=True)
x.sum().backward()
print(x.device, x.grad.tolist())
try:
    mg.ones(2, device="cuda")
except RuntimeError as error:
    print(error)
"""
    first, second = run(code, path=[tmp_path]).splitlines()
    assert first == "cpu [1.0, 1.0]"
    assert second.startswith("device 'cuda' cannot be used: ") and reason in second


def test_the_doctor_says_what_there_is(tmp_path):
    said = dict(line.split(None, 1) for line in run(DOCTOR).splitlines())
    assert said["minigrad"] == mg.__version__ and np.__version__ in said["NumPy"]
    assert f"on {mg.get_num_threads()} thread" in said["NumPy"]
    assert ("can be used" if has_gpu() else "cannot be used: ") in said["cuda"]
    (tmp_path / "cupy.py").write_text(WORKING, encoding="utf-8")
    said = run(DOCTOR, path=[tmp_path])
    for line in (
        "CuPy          14.1",
        "CUDA driver   12.4",
        "GPU 0         A GPU, compute capability 9.0, 1.5 GiB",
        "cuda          can be used: cuda:0",
    ):
        assert line in said.splitlines()


@pytest.mark.parametrize("source, reason", BROKEN.values(), ids=BROKEN)
def test_the_doctor_of_a_broken_cupy(source, reason, tmp_path):
    (tmp_path / "cupy.py").write_text(source, encoding="utf-8")
    last = run(DOCTOR, path=[tmp_path]).splitlines()[-1]
    assert last.startswith("cuda") and "cannot be used: " in last and reason in last
