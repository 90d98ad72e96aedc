"""The CUDA kernels without a GPU: nvcc compiles them, and the same source, run on the CPU, agrees with the
ops on NumPy. No GPU code runs here.
"""

import itertools
import re
import shutil
import subprocess

import cpu_kernels
import numpy as np
import pytest
from strict_backend import STRICT

import minigrad as mg
from minigrad import nn
from minigrad.kernels import FOLDER

SOURCES = sorted(FOLDER.glob("*.cu"))
T, B, I, H = 4, 3, 2, 5
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU}
needs_a_compiler = pytest.mark.skipif(not cpu_kernels.COMPILER, reason="there is no g++")


@pytest.mark.skipif(not shutil.which("nvcc"), reason="there is no nvcc")
@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.name)
def test_nvcc_compiles_it_without_spilling(source, architecture, real, tmp_path):
    command = ["nvcc", f"-arch={architecture}", f"-DREAL={real}", "-cubin", "-Xptxas", "-v"]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out"), str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    spills = re.findall(r"(\d+) bytes spill", done.stderr)
    assert spills and set(spills) == {"0"}


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    return cpu_kernels.CpuKernels(tmp_path_factory.mktemp("kernels"))


def results(make, device, dtype, lengths, training, **options):
    """Outputs and gradients, of a layer with the same weights on each device."""
    mg.manual_seed(0)
    module = make(I, H, 2, bidirectional=True, dtype=dtype, **options).train(training).to(device)
    rng = np.random.default_rng(1)
    draw = lambda *shape: mg.tensor(rng.normal(size=shape).astype(dtype)).to(device)  # noqa: E731
    xs, parts = draw(T, B, I).requires_grad_(), [draw(4, B, H).requires_grad_() for _ in range(2)]
    state = tuple(parts) if make is nn.LSTM else parts[0]
    truncate = 2 if training else None
    ys, last = module(xs, state, lengths=lengths, truncate=truncate)
    outputs = [ys, *(last if isinstance(last, tuple) else (last,))]
    sum([(y * draw(*y.shape)).sum() for y in outputs]).backward()
    leaves = [xs, *parts[: len(outputs) - 1], *module.parameters()]
    return [x.detach().to_numpy() for x in outputs] + [x.grad.to_numpy() for x in leaves]


@needs_a_compiler
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-13)])
@pytest.mark.parametrize("lengths", [None, [4, 1, 0]], ids=str)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_kernels_agree_with_numpy(
    name, training, lengths, dtype, tolerance, kernels, monkeypatch
):
    options = {"recurrent_dropout": 0.4} if training else {}
    expected = results(LAYERS[name], "cpu", dtype, lengths, training, **options)
    monkeypatch.setattr(STRICT, "kernels", kernels)
    kernels.launched.clear()
    got = results(LAYERS[name], "strict", dtype, lengths, training, **options)
    directions = 4 * T  # of two layers
    assert kernels.launched == [
        *[f"recurrent.{name}_forward"] * directions, *[f"recurrent.{name}_backward"] * directions
    ]  # fmt: skip
    for a, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, e, tolerance, tolerance)


@needs_a_compiler
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-13)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_kernels_agree_with_numpy(
    weighted, smoothing, dtype, tolerance, kernels, monkeypatch
):
    rng = np.random.default_rng(0)
    logits = (30 * rng.normal(size=(7, 11))).astype(dtype)
    logits[2] = 1e4  # a row whose exponentials overflow without its maximum taken away
    classes, g = rng.integers(0, 11, 7), rng.normal(size=7).astype(dtype)
    classes[[1, 4]] = -100
    weights = rng.uniform(0.5, 2, 11).astype(dtype) if weighted else None

    def results(device):
        x = mg.tensor(logits).to(device).requires_grad_()
        weight = None if weights is None else mg.tensor(weights).to(device)
        target = mg.tensor(classes).to(device)
        loss = nn.functional.cross_entropy(
            x, target, weight, reduction="none", label_smoothing=smoothing
        )
        loss.backward(mg.tensor(g).to(device))
        return [loss.detach().to_numpy(), x.grad.to_numpy()]

    expected = results("cpu")
    monkeypatch.setattr(STRICT, "kernels", kernels)
    kernels.launched.clear()
    for a, e in zip(results("strict"), expected, strict=True):
        np.testing.assert_allclose(a, e, tolerance, tolerance)
    assert [name.rsplit("_", 1)[1] for name in kernels.launched] == ["forward", "backward"]


@needs_a_compiler
@pytest.mark.parametrize("padding", [None, 3, -1])
@pytest.mark.parametrize("shape", [(40,), (5, 8), (1,), (0,)], ids=str)
def test_the_embedding_kernel_agrees_with_numpy(shape, padding, kernels, monkeypatch):
    rng = np.random.default_rng(0)
    ids, g = rng.integers(0, 6, shape), rng.normal(size=(*shape, 7))

    def gradient(device):
        table = mg.zeros(6, 7, dtype="float64", device=device).requires_grad_()
        y = nn.functional.embedding(mg.tensor(ids).to(device), table, padding_idx=padding)
        y.backward(mg.tensor(g).to(device))
        return table.grad.to_numpy()

    expected = gradient("cpu")
    monkeypatch.setattr(STRICT, "kernels", kernels)
    kernels.launched.clear()
    np.testing.assert_allclose(gradient("strict"), expected, 1e-13, 1e-13)
    assert len(kernels.launched) == (ids.size > 0)
