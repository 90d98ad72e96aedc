"""The CUDA kernels without a GPU: nvcc compiles them, and the same source, run on the CPU, agrees
with the ops on NumPy. No GPU code runs here.
"""

import math
import re
import shutil
import subprocess
from functools import partial
from types import SimpleNamespace

import cpu_kernels
import numpy as np
import pytest
from cpu_kernels import FOLDER
from devices import GPU, TOLERANCES
from strict_backend import STRICT

import minigrad as mg
from minigrad import nn
from minigrad.kernels import REALS, THREADS, Doubles, Kernels, Long
from minigrad.ops.indexing import add_rows

SOURCES = sorted(FOLDER.glob("*.cu"))
T, B, I, H = 4, 3, 2, 5
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU}
needs_a_compiler = pytest.mark.skipif(not cpu_kernels.COMPILER, reason="there is no g++")


@pytest.mark.skipif(not shutil.which("nvcc"), reason="there is no nvcc")
@pytest.mark.parametrize("real", REALS.values())
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


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.name)
def test_cupys_own_compiler_takes_it(source, real):
    """NVRTC needs no GPU, and knows fewer headers and words than nvcc."""
    nvrtc = pytest.importorskip("cupy", reason="CuPy is not installed").cuda.nvrtc
    try:
        nvrtc.getVersion()
    except Exception as error:  # whatever its loader raises
        pytest.skip(f"CuPy finds no NVRTC: {error}")
    asked = []
    module = SimpleNamespace(RawModule=lambda code, options: asked.append((code, options)))
    Kernels(module, None).compiled(source.stem, real)
    ((code, options),) = asked
    program = nvrtc.createProgram(code, source.name, (), ())
    try:
        nvrtc.compileProgram(program, (*options, "-arch=sm_90", "-ftz=true"))  # CuPy adds the last
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    assert not nvrtc.getProgramLog(program).strip("\0\n")


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    return cpu_kernels.CpuKernels(tmp_path_factory.mktemp("kernels"))


# A kernel's work, by the ops it belongs to: outputs and gradients on a device


def layer(make, device, dtype="float64", lengths=(4, 1, 0), training=True):
    """A stack with the same weights on each device."""
    mg.manual_seed(0)
    module = make(I, H, 2, bidirectional=True, dtype=dtype, recurrent_dropout=0.4)
    module.train(training).to(device)
    rng = np.random.default_rng(1)
    draw = lambda *shape: mg.tensor(rng.normal(size=shape).astype(dtype)).to(device)  # noqa: E731
    xs, parts = draw(T, B, I).requires_grad_(), [draw(4, B, H).requires_grad_() for _ in range(2)]
    parts = parts if make is nn.LSTM else parts[:1]
    state = tuple(parts) if make is nn.LSTM else parts[0]
    ys, last = module(xs, state, lengths=lengths, truncate=2 if training else None)
    outputs = [ys, *(last if isinstance(last, tuple) else (last,))]
    sum([(y * draw(*y.shape)).sum() for y in outputs]).backward()
    leaves = [xs, *parts, *module.parameters()]
    return [x.detach().to_numpy() for x in outputs] + [x.grad.to_numpy() for x in leaves]


def inference(make, device, dtype="float64"):
    """Without a graph, with gates that are shut and gates that are wide open."""
    mg.manual_seed(0)
    module = make(I, H, dtype=dtype).to(device)
    xs = np.random.default_rng(1).normal(size=(T, B, I)).astype(dtype)
    xs[1, 0], xs[2, 1] = 1e4, -1e4
    with mg.no_grad():
        ys, last = module(mg.tensor(xs).to(device))
    return [x.to_numpy() for x in (ys, *(last if isinstance(last, tuple) else (last,)))]


def cross_entropy(device, dtype="float64", smoothing=0.2, weighted=True, ids="int64", far=1e8):
    rng = np.random.default_rng(0)
    logits = 30 * rng.normal(size=(7, 11))
    logits[2] += far  # a row whose exponentials overflow unless its maximum is taken away
    logits[3] -= far
    logits[1] = np.nan  # of a row that is ignored
    classes, g = rng.integers(0, 11, 7), mg.tensor(rng.normal(size=7).astype(dtype)).to(device)
    classes[[1, 4]] = -100
    weight = mg.tensor(rng.uniform(0.5, 2, 11).astype(dtype)).to(device) if weighted else None
    x = mg.tensor(logits.astype(dtype)).to(device).requires_grad_()
    loss = nn.functional.cross_entropy(
        x,
        mg.tensor(classes.astype(ids)).to(device),
        weight,
        reduction="none",
        label_smoothing=smoothing,
    )
    loss.backward(g)
    return [loss.detach().to_numpy(), x.grad.to_numpy()]


def embedding(device, dtype="float64", shape=(20, 8), padding=3):
    rng = np.random.default_rng(0)
    ids, g = mg.tensor(rng.integers(0, 6, shape)), rng.normal(size=(*shape, 7)).astype(dtype)
    table = mg.zeros(6, 7, dtype=dtype, device=device).requires_grad_()
    y = nn.functional.embedding(ids.to(device), table, padding_idx=padding)
    y.backward(mg.tensor(g).to(device))
    filled = mg.ones(6, 7, dtype=dtype, device=device)
    add_rows(filled.array, ids.to(device).array, mg.tensor(g).to(device).array)
    return [table.grad.to_numpy(), filled.to_numpy()]


def sent(device, dtype="float64"):
    """What is added at places of which some come several times; into an array that lies transposed
    and into one with gaps without the kernel.
    """
    rng = np.random.default_rng(0)
    draw = lambda *shape: mg.tensor(rng.normal(size=shape).astype(dtype)).to(device)  # noqa: E731
    ids = mg.tensor(rng.integers(0, 5, (40, 3))).to(device)
    x = draw(5, 3).requires_grad_()
    (x.gather(0, ids) * draw(40, 3)).sum().backward()
    y = draw(5, 3).index_add(0, ids[:, 0], draw(40, 3))
    found = [x.grad, y, draw(5, 3), draw(3, 5).T, draw(5, 6)[:, ::2]]
    for z in found[2:]:
        mg.backend_for(device).add_at(z.array, (ids[:, 0].array,), draw(40, 3).array)
    return [part.to_numpy() for part in found]


def largest(device, dtype="float64"):
    """The first of equals, and NaN before all; a row of nothing but -inf."""
    x = np.random.default_rng(0).normal(size=(5, 3, 9)).astype(dtype)
    x[1, 1], x[2, 0, ::3], x[3, :, 4], x[4] = -np.inf, np.inf, np.nan, np.round(x[4])
    x[3, 1, 0] = np.nan
    found = mg.topk(mg.tensor(x).to(device), 4)
    expected = np.lexsort((np.broadcast_to(np.arange(9), x.shape), -x, ~np.isnan(x)))[..., :4]
    ids = expected if device == "cpu" else found.indices.to_numpy()
    return [ids, np.take_along_axis(x, ids, -1), found.values.to_numpy()]


def dropout(device, dtype="float64", shape=(5, 7), p=0.3):
    mg.manual_seed(1)
    x = mg.ones(shape, dtype=dtype, device=device).requires_grad_()
    uploads = STRICT.uploads
    y = nn.functional.dropout(x, p)
    y.sum().backward()
    assert STRICT.uploads == uploads
    return [y.detach().to_numpy(), x.grad.to_numpy()]


def clipped(device, dtype="float64", most=0.7, scale=1.0):
    """A norm, and gradients scaled by it; one of them lies as a transpose."""
    rng, params = np.random.default_rng(0), []
    for shape in ((5, 3), (100_000,), (1,), (0, 4)):  # on a GPU many blocks
        g = mg.tensor((scale * rng.normal(size=shape)).astype(dtype)).to(device)
        params.append(nn.Parameter(mg.zeros(shape, dtype=dtype, device=device)))
        params[-1].grad = g
    params[0].grad = mg.tensor(rng.normal(size=(3, 5)).astype(dtype)).to(device).T
    downloads = STRICT.downloads
    total = nn.utils.get_total_norm([p.grad for p in params])
    norm = nn.utils.clip_grad_norm_(params, most)
    assert STRICT.downloads == downloads
    return [x.to_numpy() for x in (total, norm)] + [p.grad.to_numpy() for p in params]


def norm_of_sums(device, dtype="float64"):
    """The last step of a norm, of more sums than a block has threads."""
    if device == "cpu":
        return [np.sqrt(2048.0)]
    kernels, dtype = mg.backend_for(device).kernels, np.dtype(dtype)
    sums, result = mg.ones(2048, dtype="float64", device=device), mg.zeros(2, dtype="float64")
    result = result.to(device)
    given = 2048, Doubles(sums.array), np.float64(1), Doubles(result.array)
    kernels.rows("clip.finish_norm", dtype, 1, *given)
    return [result[0].to_numpy()]


def norm_of_slices(device, dtype="float64"):
    """Of so many that one table does not hold them, out of one array: beyond a slice lies another
    number.
    """
    row = mg.tensor(np.random.default_rng(0).normal(size=400).astype(dtype)).to(device)
    slices = [row[4 * n : 4 * n + n % 4] for n in range(1, 90)]
    return [nn.utils.get_total_norm(slices).to_numpy()]


SHAPES = [(5, 3), (1,), (0, 4), (700,), (2, 2), *[(2,)] * 70]  # more than one launch takes


def adam(device, dtype="float64", **options):
    """Parameters that are not all at the same step, the first with gradients that lie transposed;
    the last without gaps no more.
    """
    rng, params = np.random.default_rng(0), []
    draw = lambda *shape: mg.tensor(rng.normal(size=shape).astype(dtype)).to(device)  # noqa: E731
    for shape in SHAPES:
        params.append(nn.Parameter(draw(*shape)))
    params[-1].data = draw(2, 4)[:, ::2]
    optimizer = mg.optim.Adam(params, lr=0.1, **options)
    for step in range(4):
        for n, p in enumerate(params):
            p.grad = None if n == 4 and step == 1 else draw(*p.shape[::-1]).T
        optimizer.step()
    states = [optimizer.state[p] for p in params]
    found = [p.detach() for p in params]
    found += [state[name] for state in states for name in optimizer.arrays if name in state]
    return [x.to_numpy() for x in found]


def compare(kernels, monkeypatch, work, dtype="float64"):
    """The kernels against NumPy; returns which of them ran."""
    expected = work("cpu", dtype)
    kernels.launched.clear()
    with monkeypatch.context() as during:
        during.setattr(STRICT, "kernels", kernels)
        got = work("strict", dtype)
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    for a, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, e, tolerance, tolerance)
    return list(kernels.launched)


of_both = pytest.mark.parametrize("dtype", ["float32", "float64"])


@needs_a_compiler
@of_both
@pytest.mark.parametrize("lengths", [None, (4, 1, 0)], ids=str)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_kernels_agree_with_numpy(name, training, lengths, dtype, kernels, monkeypatch):
    work = partial(layer, LAYERS[name], lengths=lengths, training=training)
    steps = 4 * T  # of two layers in two directions
    expected = ["drop_factors"] * 4 * training
    expected += [f"{name}_forward"] * steps + [f"{name}_backward"] * steps
    assert compare(kernels, monkeypatch, work, dtype) == expected


@needs_a_compiler
@of_both
@pytest.mark.parametrize("name", LAYERS)
def test_without_a_graph(name, dtype, kernels, monkeypatch):
    ran = compare(kernels, monkeypatch, partial(inference, LAYERS[name]), dtype)
    assert ran == [f"{name}_forward"] * T


@needs_a_compiler
def test_a_hidden_bias_with_gaps(kernels, monkeypatch):
    def work(device, dtype):
        mg.manual_seed(0)
        module = nn.GRU(I, H, dtype=dtype).to(device)
        wide = mg.zeros(3 * H, 2, dtype=dtype, device=device)
        wide[:, 0] = module.bias_hh_l0.detach()
        module.bias_hh_l0.data = wide[:, 0]
        ys, _ = module(mg.ones(T, B, I, dtype=dtype, device=device))
        return [ys.detach().to_numpy()]

    assert compare(kernels, monkeypatch, work) == ["gru_forward"] * T


@needs_a_compiler
def test_half_precision_goes_on_without_kernels(kernels, monkeypatch):
    """Layers with dropout, loss and embedding: no kernel knows float16."""
    for work in (
        partial(layer, nn.LSTM),
        partial(layer, nn.GRU),
        partial(cross_entropy, far=1e3),
        embedding,
    ):
        expected = work("cpu", "float16")
        kernels.launched.clear()
        with monkeypatch.context() as during:
            during.setattr(STRICT, "kernels", kernels)
            got = work("strict", "float16")
        assert kernels.launched == []
        for a, e in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, e, 1e-2, 1e-2)


@needs_a_compiler
@of_both
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_kernels_agree_with_numpy(weighted, smoothing, dtype, kernels, monkeypatch):
    work = partial(cross_entropy, smoothing=smoothing, weighted=weighted)
    expected = ["cross_entropy_forward", "cross_entropy_backward"]
    assert compare(kernels, monkeypatch, work, dtype) == expected


@needs_a_compiler
def test_a_class_that_does_not_exist_has_no_loss(kernels):
    """The stand-in would refuse it before; a GPU reads on."""
    put = lambda x, dtype: STRICT.upload(np.array(x, dtype))  # noqa: E731
    logits, classes = put([[0, 0]] * 4, "float64"), put([1, 2, -1, 10**12], "int64")
    ones, none = put([1] * 4, "float64"), put([0] * 4, "bool")
    loss, top, total = (STRICT.xp.empty(4, np.float64) for _ in range(3))
    given = Long(4), 2, logits, classes, none, ones, ones, None, loss, top, total
    kernels.rows("cross_entropy.cross_entropy_forward", loss.dtype, 4, *given)
    np.testing.assert_allclose(STRICT.download(loss), [math.log(2), math.nan, math.nan, math.nan])


@needs_a_compiler
def test_narrow_class_numbers_and_a_wide_share(kernels, monkeypatch):
    compare(kernels, monkeypatch, partial(cross_entropy, ids="int32"))
    compare(kernels, monkeypatch, partial(cross_entropy, smoothing=np.float64(0.1)), "float32")


def test_a_launch_hands_on_what_a_kernel_reads():
    launched = []

    class Module:
        def __init__(self, code, options):
            assert "KERNEL embedding_add" in code and "-DREAL=float" in options

        def get_function(self, name):
            return lambda *launch: launched.append((name, *launch))

    launch = Kernels(SimpleNamespace(RawModule=Module), lambda x: x.ctypes.data)
    x = np.zeros(3, np.float32)
    launch("embedding.embedding_add", x.dtype, 600, 3, None, Long(5), x)
    ((name, blocks, threads, given),) = launched
    assert (name, blocks, threads) == ("embedding_add", (3,), (256,))
    assert [type(one) for one in given] == [np.int32, np.uint64, np.int64, np.ndarray]
    again = launch.ready("embedding.embedding_add", x.dtype, 10**9, x)
    again(7)
    name, blocks, threads, given = launched[-1]
    assert (name, blocks, threads, given[0] is x) == ("embedding_add", (2048,), (256,), True)
    assert [type(one) for one in given] == [np.ndarray, np.int32] and given[1] == 7
    with pytest.raises(TypeError, match="a kernel for float32 was given float64"):
        launch("embedding.embedding_add", x.dtype, 600, np.zeros(3))
    with pytest.raises(TypeError, match="a kernel was given an array of strides"):
        launch("embedding.embedding_add", x.dtype, 600, x[::2])


def test_a_block_has_no_more_threads_than_there_is_room_for():
    header = (FOLDER / "kernels.h").read_text(encoding="utf-8")
    assert f"enum {{ WIDTH = {THREADS} }};" in header and THREADS & (THREADS - 1) == 0


def test_a_table_holds_what_a_kernel_reads():
    kernels = Kernels(SimpleNamespace(), lambda x: x.ctypes.data)
    tensors = [(np.zeros(n % 3, np.float32), None, np.zeros(n % 3, np.float32)) for n in range(66)]
    (count, first), (rest, last) = kernels.tables(np.dtype(np.float32), tensors)
    assert (count, rest, first.nbytes, first.shape) == (63, 3, 8 * 65 + 8 * 5 * 64, (1,))
    assert first["start"][0].tolist() == [n // 3 * 3 + (0, 0, 1)[n % 3] for n in range(64)] + [63]
    assert last["start"][0].tolist() == [0, 1] + [3] * 63
    for n, (x, _, y) in enumerate(tensors[:64]):
        assert first["at"][0, :3, n].tolist() == [x.ctypes.data, 0, y.ctypes.data]
    for wrong, why in (
        (np.zeros(3), "expected 3 numbers of float32: 3 of float64"),
        (np.zeros(2, np.float32), "expected 3 numbers of float32: 2 of float32"),
        (np.zeros((3, 2), np.float32)[:, 0], r"a kernel was given an array of strides \(8,\)"),
    ):
        with pytest.raises(TypeError, match=why):
            list(kernels.tables(np.dtype(np.float32), [(np.zeros(3, np.float32), wrong)]))


@needs_a_compiler
@of_both
@pytest.mark.parametrize("padding", [None, 3, -1])
@pytest.mark.parametrize("shape", [(400,), (5, 8), (1,), (0,)], ids=str)
def test_the_embedding_kernel_agrees_with_numpy(shape, padding, dtype, kernels, monkeypatch):
    work = partial(embedding, shape=shape, padding=padding)
    ran = compare(kernels, monkeypatch, work, dtype)
    assert ran == ["embedding_add"] * 2 * (math.prod(shape) > 0)


@needs_a_compiler
@of_both
def test_the_largest_of_every_row(dtype, kernels, monkeypatch):
    assert compare(kernels, monkeypatch, largest, dtype) == ["largest"]


@needs_a_compiler
@of_both
def test_what_is_sent_to_places_is_added_in_order(dtype, kernels, monkeypatch):
    assert compare(kernels, monkeypatch, sent, dtype) == ["embedding_add"] * 3


@needs_a_compiler
@of_both
@pytest.mark.parametrize("p", [0.3, 1e-12, 1 - 1e-12, np.float64(0.5), mg.tensor(0.5)])
@pytest.mark.parametrize("shape", [(5, 7), (1,), (8,), (3, 5, 17), (40, 70), (0,)], ids=str)
def test_dropout_is_the_same_on_every_device(shape, p, dtype, kernels, monkeypatch):
    """Bit for bit, against NumPy's own Philox."""
    ours, theirs = dropout("cpu", dtype, shape, p), []
    with monkeypatch.context() as during:
        during.setattr(STRICT, "kernels", kernels)
        theirs = dropout("strict", dtype, shape, p)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@needs_a_compiler
@of_both
@pytest.mark.parametrize("most", [0.7, 1e6, 0.0, 315.0])  # the norm is 316
def test_clipping_kernels_agree_with_numpy(most, dtype, kernels, monkeypatch):
    ran = compare(kernels, monkeypatch, partial(clipped, most=most), dtype)
    assert ran == ["add_squares", "finish_norm"] * 2 + ["scale"]
    assert compare(kernels, monkeypatch, norm_of_slices, dtype)[-1] == "finish_norm"
    assert compare(kernels, monkeypatch, norm_of_sums, dtype) == ["finish_norm"]


@needs_a_compiler
def test_a_gradient_given_twice_is_scaled_twice(kernels, monkeypatch):
    def work(device, dtype):
        p = nn.Parameter(mg.zeros(2, dtype=dtype, device=device))
        p.grad = mg.tensor([3.0, 4.0], dtype=dtype, device=device)
        norm = nn.utils.clip_grad_norm_([p, p], 1.0)
        return [norm.to_numpy(), p.grad.to_numpy()]

    assert compare(kernels, monkeypatch, work) == []


@needs_a_compiler
def test_gradients_with_gaps_are_clipped_without_kernels(kernels, monkeypatch):
    monkeypatch.setattr(STRICT, "kernels", kernels)
    p = nn.Parameter(mg.zeros(3, 2, device="strict"))
    p.grad = mg.ones(3, 4, device="strict")[:, ::2]
    nn.utils.clip_grad_norm_([p], 1.0)
    np.testing.assert_allclose(p.grad.to_numpy(), np.full((3, 2), 6**-0.5), 1e-5)


@needs_a_compiler
def test_a_norm_over_two_devices(kernels, monkeypatch):
    monkeypatch.setattr(STRICT, "kernels", kernels)
    both = [mg.tensor([3.0]), mg.tensor([4.0]).to("strict")]
    assert nn.utils.get_total_norm(both).item() == 5


@needs_a_compiler
def test_clipping_kernels_at_the_ends_of_the_range(kernels, monkeypatch):
    """Squares that leave the range of float32, and a NaN, which spoils all gradients."""
    compare(kernels, monkeypatch, partial(clipped, scale=1e30), "float32")
    monkeypatch.setattr(STRICT, "kernels", kernels)
    p = nn.Parameter(mg.zeros(3, device="strict"))
    p.grad = mg.tensor([1.0, math.nan, 2.0]).to("strict")
    assert math.isnan(nn.utils.clip_grad_norm_([p], 1.0).item())
    assert np.isnan(p.grad.to_numpy()).all()


@needs_a_compiler
@of_both
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"amsgrad": True},
        {"weight_decay": 0.005},
        {"weight_decay": 0.1, "maximize": True},
        {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
        {"betas": (0.5, 0.9), "eps": 0.1},
        {"betas": (0, 0)},
        {"eps": np.float64(0.1), "betas": (np.float64(0.5), np.float32(0.9))},
    ],
    ids=str,
)
def test_the_adam_kernel_agrees_with_numpy(options, dtype, kernels, monkeypatch):
    ran = compare(kernels, monkeypatch, partial(adam, **options), dtype)
    # two tables; after the second step a parameter is one step behind, which betas of 0 do not see
    assert ran == ["adam"] * (2 + 2 + 2 * (2 if options.get("betas") == (0, 0) else 3))


@needs_a_compiler
def test_a_parameter_given_twice_takes_two_steps(kernels, monkeypatch):
    def work(device, dtype):
        p = nn.Parameter(mg.ones(3, dtype=dtype, device=device))
        with pytest.warns(UserWarning, match="given twice"):
            optimizer = mg.optim.Adam([p, p], lr=0.1)
        p.grad = mg.tensor([1.0, -2.0, 3.0], dtype=dtype).to(device)
        optimizer.step()
        return [p.detach().to_numpy()]

    assert compare(kernels, monkeypatch, work) == ["adam"]


@needs_a_compiler
def test_a_rule_of_ones_own_is_followed(kernels, monkeypatch):
    class Halving(mg.optim.Adam):
        def update(self, x, g, state, numbers, s):
            x *= 0.5

    class Waiting(mg.optim.AdamW):
        def moments(self, g, state, betas, s):
            m, v = super().moments(g, state, betas, s)
            return 0 * m, v

    monkeypatch.setattr(STRICT, "kernels", kernels)
    for kind, end in ((Halving, 0.5), (Waiting, 0.75)):
        p = nn.Parameter(mg.ones(2, device="strict"))
        p.grad = mg.ones(2, device="strict")
        kind([p], lr=0.25, weight_decay=0.0 if kind is Halving else 1.0).step()
        assert p.tolist() == [end, end]


@needs_a_compiler
@pytest.mark.parametrize("device", ["cpu", "strict"])
def test_the_share_of_a_gradient_is_that_of_doubles(device, kernels, monkeypatch):
    """1 - β of a β near 1: in float32 the difference has three digits."""
    monkeypatch.setattr(STRICT, "kernels", kernels)
    p = nn.Parameter(mg.zeros(1, device=device))
    p.grad = mg.ones(1, device=device)
    optimizer = mg.optim.Adam([p], betas=(0.9999, 0.99999))
    optimizer.step()
    moments = [optimizer.state[p][name].item() for name in ("exp_avg", "exp_avg_sq")]
    assert moments == pytest.approx([1e-4, 1e-5], rel=1e-6)


@needs_a_compiler
def test_weights_that_are_not_finite_are_not_decayed_to_nan(kernels, monkeypatch):
    def work(device, dtype):
        p = nn.Parameter(mg.tensor([math.inf, 1.0], dtype=dtype).to(device))
        optimizer = mg.optim.Adam([p], lr=0.1)
        p.grad = mg.ones(2, dtype=dtype, device=device)
        optimizer.step()
        return [p.detach().to_numpy()]

    compare(kernels, monkeypatch, work)


EVERY = {
    **{f"{name} {lengths}": partial(layer, LAYERS[name], lengths=lengths)
       for name in LAYERS for lengths in (None, (4, 1, 0))},
    "lstm inference": partial(inference, nn.LSTM),
    "gru inference": partial(inference, nn.GRU),
    "cross-entropy": cross_entropy,
    "embedding": embedding,
    "what is sent": sent,
    "largest": largest,
    "dropout": dropout,
    "clipping": clipped,
    "norm": norm_of_slices,
    "norm of sums": norm_of_sums,
    "adam": adam,
    "amsgrad": partial(adam, amsgrad=True),
    "adam with decay": partial(adam, weight_decay=0.1, maximize=True),
}  # fmt: skip


@pytest.mark.gpu
@of_both
@pytest.mark.parametrize("name", EVERY)
def test_kernels_on_a_gpu_agree_with_numpy(name, dtype):
    tolerance = 10 * TOLERANCES[GPU][dtype]
    for a, e in zip(EVERY[name](GPU, dtype), EVERY[name]("cpu", dtype), strict=True):
        np.testing.assert_allclose(a, e, tolerance, tolerance)


# a kernel with a fault must not pass

MUTANTS = [
    ("recurrent", "f * c_before[n] + i * g", "f * c_before[n] + i"),
    ("recurrent", "c_after[n] = stays ? c_before[n] : c", "c_after[n] = c"),
    ("recurrent", "h_after[n] = stays ? h_before[n] : o * s", "h_after[n] = o * s"),
    ("recurrent", "idle && idle[t * B + b]", "idle && idle[b]"),
    ("recurrent", "from_x + unit * row + t * B + b", "from_x + unit * row + t * B"),
    ("recurrent", "cells + (t + 1) % (kept + 1) * N", "cells + t % (kept + 1) * N"),
    ("recurrent", "g_h += t * N", "g_h += 0"),
    ("recurrent", "dh[n] + passed[n]", "dh[n]"),
    ("recurrent", "total * o * (1 - s * s)", "total * o * (1 - s)"),
    ("recurrent", "d_c * c_before[n] * f * (1 - f)", "d_c * c_before[n] * f"),
    ("recurrent", "if (!stays) dc[n]", "dc[n]"),
    ("recurrent", "passed[n] = stays ? total : 0;", "passed[n] = 0;"),
    ("recurrent", "passed[n] + g_h[n]", "passed[n]"),
    ("recurrent", "tanh(r * m + x[2 * H * row])", "tanh(m + x[2 * H * row])"),
    ("recurrent", "z * (h_before[n] - new_);", "z * h_before[n];"),
    ("recurrent", "d_n * m * r * (1 - r)", "d_n * r * (1 - r)"),
    ("recurrent", "passed[n] = stays ? total : total * z", "passed[n] = total * z"),
    ("cross_entropy", "exp(row[v] - most)", "exp(row[v])"),
    ("cross_entropy", "REAL most = row[0];", "REAL most = 0;"),
    ("cross_entropy", "share[n] * log(sum) -", "share[n] * (most + log(sum)) - share[n] * most -"),
    ("cross_entropy", "if (spread) smooth +=", "if (spread) smooth ="),
    ("cross_entropy", "loss[n] = ignored[n] ? 0 :", "loss[n] ="),
    ("cross_entropy", "dx[n * V + v] = ignored[n] ? 0 :", "dx[n * V + v] ="),
    ("cross_entropy", "if (v == classes[n]) d -=", "if (v != classes[n]) d -="),
    ("cross_entropy", "share[n] / total[n]", "1 / total[n]"),
    ("cross_entropy", "n += gridDim.x", "n += 1 + gridDim.x"),
    ("cross_entropy", "v += blockDim.x", "v += 1 + blockDim.x"),
    ("embedding", "id == skip || ", ""),
    ("embedding", "REAL sum = table[id * D + d];", "REAL sum = 0;"),
    ("embedding", "m < N && ids[m]", "m < N && m < first + 16 && ids[m]"),
    ("embedding", "ids[first - 1] == id", "ids[first - 1] > id"),
    ("embedding", "rows[order[m] * D + d]", "rows[m * D + d]"),
    ("topk", "if (nan_a != nan_b) return nan_a;", ""),
    ("topk", "before(last, one) && ", ""),
    ("topk", "(), -1}", "(), 0}"),
    ("topk", "v += blockDim.x", "v += 1 + blockDim.x"),
    ("dropout", "philox(block + 1", "philox(block"),
    ("dropout", "32 * (n % 2)", "0"),
    ("dropout", "c.w[3] ^ k1", "c.w[3]"),
    ("dropout", "round < 10", "round < 9"),
    ("dropout", "? 0 : scale", "? 0 : 1"),
    ("dropout", "8 * block + n < N", "8 * block + n < N - 1"),
    ("clip", "sums[blockIdx.x] += mine", "sums[blockIdx.x] = mine"),
    ("clip", ">= 1 ? 1 :", ">= 2 ? 1 :"),
    ("clip", "n < count", "n < 1"),
    ("clip", "n += blockDim.x) mine", "n += count) mine"),
    ("clip", "if (factor == 1)", "if (factor > 0.99)"),
    ("clip", "most / (norm + 1e-6);", "most / norm;"),
    ("clip", "norm = sqrt(mine)", "norm = mine"),
    ("clip", "*= (REAL)factor", "*= 1"),
    ("clip", "all.at[0][t][place - all.start[t]];", "all.at[0][t][0];"),
    ("adam", "d * d * new2", "d * new2"),
    ("adam", "v * old2", "v * old1"),
    ("adam", "d = sign * all", "d = all"),
    ("adam", "decay != 0", "decay > 0.01"),
    ("adam", "if (decay != 0) d +=", "if (decay != 0) d -="),
    ("adam", "x = x * shrink", "x = x"),
    ("adam", "place - all.start[t]", "(place - all.start[t]) / 2"),
    ("adam", "size = largest[n] = Larger()(largest[n], size)", "largest[n] = size"),
    ("adam", "sqrt(size) + eps", "sqrt(size + eps)"),
    ("kernels.h", "tanh((REAL)0.5 * x) + (REAL)0.5", "tanh((REAL)0.5 * x) * (x > -30) + (REAL)0.5"),
    ("kernels.h", "half > 0; half /= 2", "half > 1; half /= 2"),
    ("kernels.h", "step > 0; step /= 2", "step > 1; step /= 2"),
    ("kernels.h", "start[t + step] <= n", "start[t + step] < n"),
    ("kernels.h", "return start[TENSORS]", "return start[TENSORS] - 1"),
    ("kernels.h", "n += (Long)blockDim.x * gridDim.x", "n += (Long)blockDim.x"),
    ("kernels.h", "(REAL)0.5 * x) + (REAL)0.5", "(REAL)0.5 * x)"),
]


def with_a_fault(build, faulty, old, new):
    """Kernels with one text in place of another; `faulty` is a kernels' file or the header."""

    def change(file, text):
        assert faulty != file or old in text
        return text.replace(old, new)

    return cpu_kernels.CpuKernels(build, change)


WORKS = {
    "recurrent": [partial(work, make) for work in (layer, inference) for make in LAYERS.values()],
    "cross_entropy": [cross_entropy],
    "embedding": [embedding],
    "topk": [largest],
    "dropout": [dropout],
    "clip": [
        clipped,
        partial(clipped, most=315.0),
        partial(clipped, most=400.0),
        norm_of_slices,
        norm_of_sums,
    ],
    "adam": [
        adam,
        partial(adam, amsgrad=True, eps=0.1),
        partial(adam, weight_decay=0.005, maximize=True),
        partial(adam, weight_decay=0.1, decoupled_weight_decay=True),
    ],
    "kernels.h": [
        partial(layer, nn.LSTM),
        partial(inference, nn.LSTM),
        cross_entropy,
        norm_of_slices,
    ],
}


@needs_a_compiler
@pytest.mark.parametrize("file, old, new", MUTANTS, ids=[old for _, old, _ in MUTANTS])
def test_a_fault_is_noticed(file, old, new, monkeypatch, tmp_path):
    faulty = with_a_fault(tmp_path, file, old, new)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        for work in WORKS[file]:
            compare(faulty, monkeypatch, work)
