"""Names: PyTorch's spellings of imports, its rarer functions, and what is left out on purpose."""

import math
import pickle
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import scope
from minigrad.nn import functional as F
from minigrad.nn.utils import parametrizations, parametrize

IMPORTS = (
    """
import torch.cuda
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init
import torch.optim as optim
import torch.optim.lr_scheduler as schedules
import torch.autograd as autograd
import torch.utils.data as data
import torch.backends.cudnn as cudnn
import torch.nn.utils.parametrize as P
import torch.distributions as D
import torch.linalg as LA
import torch.cuda.amp
import torch.fft
import torch.multiprocessing as mp
import torch.onnx
from torch import Tensor, device, dtype, nn, optim
from torch.amp import GradScaler, autocast
from torch.autograd import Function, Variable, gradcheck
from torch.autograd.anomaly_mode import detect_anomaly
from torch.autograd.function import Function
from torch.autograd.functional import jacobian
from torch.autograd.grad_mode import no_grad
from torch.autograd.gradcheck import gradcheck, gradgradcheck
from torch.autograd.variable import Variable
from torch.backends import cudnn
from torch.cuda import FloatTensor
from torch.cuda.amp import GradScaler, autocast
from torch.distributions import Categorical, constraints, transforms
from torch.distributions.categorical import Categorical
from torch.distributions.kl import kl_divergence
from torch.distributions.multivariate_normal import MultivariateNormal
from torch.distributions.normal import Normal
from torch.func import functional_call
from torch.jit import script
from torch.linalg import norm
from torch.nn import functional as F, init
from torch.nn.functional import relu, softmax
from torch.nn.init import xavier_uniform_
from torch.nn.modules import Module
from torch.nn.modules.adaptive import AdaptiveLogSoftmaxWithLoss
from torch.nn.modules.linear import Linear
from torch.nn.modules.module import Module
from torch.nn.modules.rnn import LSTM
from torch.nn.parallel import DataParallel
from torch.nn.parameter import Parameter
from torch.nn.utils import clip_grad_norm_, skip_init, spectral_norm
from torch.nn.utils.clip_grad import clip_grad_norm_
from torch.nn.utils.convert_parameters import parameters_to_vector
from torch.nn.utils.parametrizations import orthogonal, weight_norm
from torch.nn.utils.rnn import *
from torch.nn.utils.rnn import pack_padded_sequence
from torch.nn.utils.stateless import functional_call
from torch.nn.utils.weight_norm import weight_norm
from torch.optim import Adam, lr_scheduler
from torch.optim.adam import Adam
from torch.optim.lr_scheduler import StepLR
from torch.optim.optimizer import Optimizer
from torch.optim.swa_utils import AveragedModel
from torch.random import fork_rng, manual_seed
from torch.serialization import load, save
from torch.special import expit
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torch.utils.data.dataloader import DataLoader, default_collate
from torch.utils.data.dataset import Dataset, random_split
from torch.utils.data.sampler import Sampler, SubsetRandomSampler
from torch.version import __version__
""".strip()
    .replace("torch", "minigrad")
    .splitlines()
)


@pytest.mark.parametrize("line", IMPORTS)
def test_spellings_of_imports(line):
    exec(line, {})


def test_each_import_is_enough_by_itself():
    """In a process of its own: `import minigrad.backends.cudnn` before minigrad is there."""
    for line in ("import minigrad.backends.cudnn as cudnn; cudnn.benchmark = True",
                 "from minigrad.nn.utils.clip_grad import clip_grad_norm_"):  # fmt: skip
        subprocess.run([sys.executable, "-c", line], check=True)


# in place functions, and those of nn.functional, at the top level


def test_functions_in_place():
    x = mg.tensor([-1.0, 4.0])
    assert mg.relu_(x) is x and mg.sqrt_(x) is x and x.tolist() == [0, 2]
    assert mg.sigmoid_(mg.zeros(2)).tolist() == [0.5, 0.5]


def test_embedding_takes_the_table_first():
    table, ids = mg.randn(4, 2), mg.tensor([3, 1])
    assert mg.equal(mg.embedding(table, ids), F.embedding(ids, table))


@pytest.mark.filterwarnings("ignore:kl_div")
def test_losses_know_reductions_by_number():
    x, y = mg.randn(3, 4).log_softmax(1), mg.rand(3, 4)
    for number, word in enumerate(("none", "mean", "sum")):
        assert mg.equal(mg.kl_div(x, y, number), F.kl_div(x, y, reduction=word))
    assert mg.equal(mg.kl_div(x, y), F.kl_div(x, y, reduction="none"))


# what a tensor says about itself


def test_questions():
    x = mg.arange(6.0).reshape(2, 3)
    assert x.itemsize == 4 and x.nbytes == 24 and x.layout is mg.strided and x.is_cpu
    assert not (x.is_sparse or x.is_quantized or x.is_meta or x.is_mps or x.is_complex())
    assert not (x.is_conj() or x.is_neg() or x.is_inference() or x.is_pinned())
    assert x.is_signed() and not x.to(mg.uint8).is_signed() and x.name is None
    assert x.H.shape == x.mH.shape == x.adjoint().shape == (3, 2)
    assert x.real is x and x.conj() is x and mg.real(x) is x
    assert mg.get_device(x) == -1 and mg.pi == math.pi and mg.newaxis is None
    assert mg.isnan(mg.tensor(mg.nan)) and mg.tensor(mg.inf).isinf()
    with pytest.warns(UserWarning, match="volatile"):
        assert x.volatile is False
    with pytest.warns(UserWarning, match="resize"):
        assert x.resize(3, 2).shape == (3, 2)
    with pytest.raises(RuntimeError, match="2-D"):
        mg.ones(2, 2, 2).H


def test_storage():
    x = mg.arange(6.0).reshape(2, 3)
    row = x[1]
    assert row.storage_offset() == 3 and x.storage_offset() == 0
    assert row.storage().data_ptr() == x.storage().data_ptr() == x.data_ptr()
    assert row.untyped_storage().nbytes() == x.untyped_storage().size() == 24
    assert row.storage().tolist() == x.flatten().tolist() and len(row.storage()) == 6
    assert mg.is_storage(x.storage()) and not mg.is_storage(x)
    assert x.is_set_to(x.view(2, 3)) and not x.is_set_to(x.clone())
    assert x.mT.dim_order() == (1, 0)


def test_as_strided_is_a_view():
    x = mg.zeros(2, 3)
    x.as_strided((2,), (4,)).fill_(1.0)
    assert x.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert x[1].as_strided((2,), (1,)).tolist() == [0, 1]
    w = mg.zeros(4, requires_grad=True)
    h = w * 1
    h.as_strided((2,), (2,), 1).mul_(3.0)
    h.sum().backward()
    assert w.grad.tolist() == [1, 3, 1, 3]
    for wrong in (dict(size=(2, 2), stride=(1,)), dict(size=(7,), stride=(1,))):
        with pytest.raises(RuntimeError, match="as_strided"):
            x.as_strided(**wrong)


def test_fill_diagonal():
    assert mg.zeros(2, 3).fill_diagonal_(1).tolist() == [[1, 0, 0], [0, 1, 0]]
    tall = mg.zeros(5, 2)
    assert tall.clone().fill_diagonal_(1).sum() == 2
    assert tall.fill_diagonal_(1, wrap=True).nonzero().tolist() == [[0, 0], [1, 1], [3, 0], [4, 1]]
    assert mg.zeros(3, 3, 3).fill_diagonal_(2).sum() == 6
    w = mg.ones(2, 2, requires_grad=True)
    (w * 1).fill_diagonal_(0).sum().backward()
    assert w.grad.tolist() == [[0, 1], [1, 0]]


def test_whole_numbers():
    a, b = mg.tensor([12, 7, 0]), mg.tensor([18, 21, 5])
    assert mg.gcd(a, b).tolist() == [6, 7, 5] and mg.lcm(a, b).tolist() == [36, 21, 0]
    places = mg.unravel_index(mg.tensor([5, 0, 7]), (2, 4))
    assert [p.tolist() for p in places] == [[1, 0, 1], [1, 0, 3]]
    after = mg.nextafter(mg.tensor(1.0), mg.tensor(2.0)).item()
    assert after == float(np.nextafter(np.float32(1), np.float32(2)))


def test_tensors_made_otherwise():
    with pytest.warns(UserWarning, match="arange"):
        assert mg.range(1, 2, 0.5).tolist() == [1, 1.5, 2]
    assert mg.frombuffer(b"abc", dtype=mg.uint8).tolist() == [97, 98, 99]
    assert mg.frombuffer(np.arange(4.0), dtype=mg.float64, offset=16).tolist() == [2, 3]
    assert mg.resize_as_(mg.arange(3.0), mg.zeros(2, 2)).tolist() == [[0, 1], [2, 0]]


# settings and devices


def test_wishes_are_remembered():
    mg.set_float32_matmul_precision("high")
    assert mg.get_float32_matmul_precision() == "high"
    mg.set_float32_matmul_precision("highest")
    with pytest.warns(UserWarning, match="precision"):
        mg.set_float32_matmul_precision("low")
    mg.set_deterministic_debug_mode("warn")
    assert mg.are_deterministic_algorithms_enabled() and mg.get_deterministic_debug_mode() == 1
    assert mg.is_deterministic_algorithms_warn_only_enabled()
    mg.set_deterministic_debug_mode(0)
    assert not mg.are_deterministic_algorithms_enabled()
    mg.set_warn_always(True)
    assert mg.is_warn_always_enabled()
    mg.set_warn_always(False)
    assert mg.set_flush_denormal(True) is False


def test_switches_of_libraries():
    cudnn = mg.backends.cudnn
    with cudnn.flags(enabled=False, benchmark=True):
        assert cudnn.benchmark and not cudnn.enabled
    assert cudnn.enabled and not cudnn.benchmark
    with pytest.warns(UserWarning, match="no such switch: fastest"):
        cudnn.fastest = True
    del cudnn.fastest


def test_device_as_a_context():
    with mg.device("cpu") as place:
        assert mg.zeros(1).device == place == "cpu"
        with mg.device("cpu"):
            pass
    assert mg.get_default_device() == "cpu"


no_gpu = pytest.mark.skipif(mg.cuda.is_available(), reason="answers without a GPU")


@no_gpu
def test_gpus_that_are_not_there():
    for name in ("device_count", "memory_allocated", "memory_reserved", "max_memory_allocated"):
        assert getattr(mg.cuda, name)() == 0
    assert mg.cuda.get_rng_state_all() == [] and not mg.cuda.is_initialized()
    assert mg.cuda.memory_stats() == {} and mg.cuda.memory_summary() == ""
    mg.cuda.empty_cache()
    mg.cuda.reset_peak_memory_stats()
    mg.cuda.set_device(-1)
    mg.cuda.ipc_collect()
    with mg.cuda.device(-1), mg.cuda.device(None):
        pass
    for call in (
        lambda: mg.cuda.set_device(0),
        lambda: mg.cuda.get_device_properties(0),
        lambda: mg.cuda.get_device_capability(),
        lambda: mg.cuda.mem_get_info(),
        lambda: mg.cuda.init(),
        lambda: mg.cuda.device(0).__enter__(),
    ):
        with pytest.raises(RuntimeError, match="cuda"):
            call()
    with pytest.raises(NotImplementedError, match="in order"):
        mg.cuda.Event(enable_timing=True)


@no_gpu
def test_mixed_precision_that_is_off():
    model, x = mg.nn.Linear(2, 1), mg.ones(3, 2)
    optimizer = mg.optim.SGD(model.parameters(), 0.1)
    with pytest.warns(UserWarning, match="disabled"):
        scaler = mg.cuda.amp.GradScaler()
    with pytest.warns(UserWarning, match="disabled"):
        context = mg.autocast("cuda", dtype=mg.float16)
    with context, mg.amp.autocast("cpu", enabled=False), mg.cuda.amp.autocast(enabled=False):
        loss = model(x).sum()
    before = model.weight.detach().clone()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert (
        not mg.equal(before, model.weight) and scaler.get_scale() == 1 and not scaler.is_enabled()
    )
    scaler.load_state_dict(scaler.state_dict())
    with pytest.raises(NotImplementedError, match="mixed precision"):
        mg.autocast("cpu")


def test_anomalies_under_autograds_name():
    with pytest.raises(Exception, match="line|NaN|nan"):
        with mg.autograd.detect_anomaly():
            mg.sqrt(mg.tensor(-1.0, requires_grad=True)).backward()


# modules


def test_data_parallel_calls_the_module():
    inner = mg.nn.LSTM(2, 3)
    model, x = mg.nn.DataParallel(inner), mg.randn(4, 1, 2)
    assert mg.equal(model(x)[0], inner(x)[0])
    assert all(name.startswith("module.") for name in model.state_dict())
    assert mg.equal(mg.nn.parallel.data_parallel(inner, x)[0], inner(x)[0])


def test_functional_call():
    model, x = mg.nn.Sequential(mg.nn.Linear(2, 2), mg.nn.Tanh()), mg.randn(3, 2)
    own = dict(model.named_parameters())
    other = {name: (p.detach() * 2).requires_grad_() for name, p in own.items()}
    y = mg.func.functional_call(model, other, (x,))
    weight, bias = other["0.weight"], other["0.bias"]
    np.testing.assert_allclose(y.tolist(), (x @ weight.T + bias).tanh().tolist(), rtol=1e-6)
    y.sum().backward()
    assert weight.grad is not None and own["0.weight"].grad is None
    assert dict(model.named_parameters())["0.weight"] is own["0.weight"]
    assert mg.equal(mg.func.functional_call(model, {"nothing": x}, x), model(x))
    with pytest.raises(RuntimeError, match="missing"):
        mg.func.functional_call(model, {"0.weight": weight}, x, strict=True)


class Doubled(mg.nn.Module):
    def forward(self, x):
        return 2 * x

    def right_inverse(self, x):
        return x / 2


def test_parametrize():
    layer = mg.nn.Linear(2, 2)
    optimizer, weight = mg.optim.SGD(layer.parameters(), 1.0), layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert parametrize.is_parametrized(layer) and parametrize.is_parametrized(layer, "weight")
    assert mg.allclose(layer.weight, weight) and type(layer).__name__ == "ParametrizedLinear"
    assert "parametrizations.weight.original" in layer.state_dict()
    layer(mg.ones(1, 2)).sum().backward()
    optimizer.step()
    assert mg.allclose(layer.weight, weight - 4)  # twice the gradient, twice the step
    layer.weight = weight
    assert mg.allclose(layer.weight, weight)
    with parametrize.cached():
        assert layer.weight is layer.weight
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is mg.nn.Linear and isinstance(layer.weight, mg.nn.Parameter)
    assert mg.allclose(layer.weight, weight) and not parametrize.is_parametrized(layer)
    with pytest.raises(ValueError, match="not parametrized"):
        parametrize.remove_parametrizations(layer, "weight")
    with pytest.raises(ValueError, match="no parameter"):
        parametrize.register_parametrization(layer, "nothing", Doubled())


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)])
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
def test_orthogonal_weights_stay_orthogonal(kind, shape):
    layer = parametrizations.orthogonal(mg.nn.Linear(*shape[::-1]), orthogonal_map=kind)
    optimizer = mg.optim.SGD(layer.parameters(), 0.3)
    for _ in range(3):
        layer(mg.randn(5, shape[1])).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    W = layer.weight.detach().numpy()
    one = W @ W.T if shape[0] < shape[1] else W.T @ W
    np.testing.assert_allclose(one, np.eye(min(shape)), atol=1e-4)


@pytest.mark.parametrize("old", [True, False])
def test_spectral_norm_is_one(old):
    mg.manual_seed(0)
    norm = mg.nn.utils.spectral_norm if old else parametrizations.spectral_norm
    layer = norm(mg.nn.Linear(4, 3), n_power_iterations=30)
    y = layer(mg.randn(2, 4))
    np.testing.assert_allclose(np.linalg.norm(layer.weight.detach().numpy(), 2), 1, rtol=1e-4)
    y.sum().backward()
    trained = layer.weight_orig if old else layer.parametrizations.weight.original
    assert trained.grad is not None
    if old:
        assert {"weight_orig", "weight_u", "weight_v"} <= set(layer.state_dict())
        mg.nn.utils.remove_spectral_norm(layer)
        assert isinstance(layer.weight, mg.nn.Parameter) and "weight_u" not in layer.state_dict()


def test_a_recurrent_weight_may_be_computed():
    layer = mg.nn.LSTM(2, 3)
    parametrizations.weight_norm(layer, "weight_hh_l0")
    y, _ = layer(mg.randn(4, 1, 2))
    y.sum().backward()
    assert layer.parametrizations.weight_hh_l0.original0.grad.shape == (12, 1)


def test_assert_close():
    close = mg.testing.assert_close
    close([1.0, {"a": mg.ones(2)}], [1.0, {"a": mg.ones(2) + 1e-7}])
    close(mg.tensor(mg.nan), mg.tensor(mg.nan), equal_nan=True)
    for a, b in [
        (mg.ones(2), mg.ones(3)),
        (mg.ones(2), mg.ones(2).double()),
        (mg.ones(2), mg.tensor([1.0, 1.1])),
        ([1], [1, 2]),
        (mg.tensor(mg.nan), mg.tensor(mg.nan)),
    ]:
        with pytest.raises(AssertionError, match="differ"):
            close(a, b)


# what is left out says so


@pytest.mark.parametrize("name", sorted(scope.listed(scope.NAMES)))
def test_names_out_of_scope(name):
    with pytest.raises(
        AttributeError, match="there is|there are|not supported|out of scope|has no"
    ):
        getattr(mg, name)


@pytest.mark.parametrize("name", sorted(scope.listed(scope.METHODS)))
def test_methods_out_of_scope(name):
    reason = scope.listed(scope.METHODS)[name]
    with pytest.raises(NotImplementedError) as caught:
        getattr(mg.ones(2), name)()
    assert reason in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize("name", sorted(scope.listed(scope.MODULES)))
def test_modules_out_of_scope(name):
    module = getattr(mg, name)
    assert sys.modules[f"minigrad.{name}"] is module
    assert module.is_available() is False
    with pytest.raises(NotImplementedError) as caught:
        module.anything(1, 2)
    assert scope.listed(scope.MODULES)[name] in str(caught.value)

    class Derived(module.SomeClass):
        pass

    assert not isinstance(1, module.SomeClass)
    with pytest.raises(NotImplementedError):
        Derived()


@pytest.mark.parametrize(
    "home, name",
    [
        (mg.nn, "Conv2d"),
        (mg.nn, "LazyLinear"),
        (mg.nn, "SyncBatchNorm"),
        (F, "conv2d"),
        (F, "grid_sample"),
        (mg.func, "vmap"),
    ],
)
def test_layers_out_of_scope(home, name):
    with pytest.raises(AttributeError, match="out of scope|there are no|one device"):
        getattr(home, name)


@pytest.mark.parametrize("home", [mg, mg.nn, F, mg.func, mg.optim, mg.distributions, mg.linalg])
def test_other_names_are_plain_errors(home):
    assert not hasattr(home, "no_such_name")


def test_submodules_pickle_and_warn_nobody():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code = textwrap.dedent("import minigrad, inspect; inspect.getmodule(inspect)")
        subprocess.run([sys.executable, "-c", code], check=True)
    assert pickle.loads(pickle.dumps(mg.device("cpu"))) == mg.device("cpu")
