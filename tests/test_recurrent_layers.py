"""The recurrent layers with every option: what must not change their results, what is drawn, what
is refused, and higher derivatives. The layers' own numbers are the measure, PyTorch is not needed.
"""

import copy
import itertools
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import fused, nn
from minigrad.testing import check_padding, gradcheck

T, B, I, H, P = 5, 4, 2, 3, 2
LENGTHS = [2, 5, 0, 4]
SQUASHES = {"tanh": {}, "softsign": {"activation": "softsign"}}
KINDS = {
    **{f"rnn {s}": (nn.RNN, {"nonlinearity": s}) for s in ("tanh", "relu", "softsign")},
    **{f"gru {s}": (nn.GRU, given) for s, given in SQUASHES.items()},
    **{
        " ".join(["lstm", s, *chosen]): (nn.LSTM, {**given, **dict(chosen.items())})
        for s, given in SQUASHES.items()
        for n in range(4)
        for chosen in map(
            dict,
            itertools.combinations(
                {"proj_size": P, "peephole": True, "layer_norm": True}.items(), n
            ),
        )
    },
}
NOISES = {
    "nothing drawn": {},
    "hidden dropout": {"recurrent_dropout": 0.4},
    "zoneout": {"zoneout": 0.3},
    "all": {"recurrent_dropout": 0.3, "zoneout": 0.4, "dropout": 0.3, "variational": True},
}
BASIC = {kind: KINDS[kind] for kind in ("rnn tanh", "rnn relu", "gru tanh", "lstm tanh")}
# each option alone and all of them, on the layers that have it
VARIANTS = {
    f"{kind}, {noise}": (make, {**given, **NOISES[noise]})
    for kind, (make, given) in KINDS.items()
    for noise in NOISES
    if noise in ("nothing drawn", "all") or kind in BASIC
}
VARIANTS["lstm, zoneout of the cell"] = nn.LSTM, {"zoneout": (0.5, 0.0)}
VARIANTS["lstm, zoneout of the hidden state"] = nn.LSTM, {"zoneout": (0.0, 0.5)}
VARIANTS["lstm, forget bias"] = nn.LSTM, {"forget_bias": 1.0}
VARIANTS["lstm, peephole, layer norm, no bias"] = (
    nn.LSTM,
    {"peephole": True, "layer_norm": True, "bias": False},
)
of_kinds = pytest.mark.parametrize("make, options", KINDS.values(), ids=KINDS)
of_variants = pytest.mark.parametrize("make, options", VARIANTS.values(), ids=VARIANTS)


def layer(make, options, layers=2, dtype="float64", seed=0, **more):
    mg.manual_seed(seed)
    options = {**options, **more}
    if layers == 1:
        options = {k: v for k, v in options.items() if k not in ("dropout", "variational")}
    module = make(I, H, layers, dtype=dtype, **options)
    for p in module.parameters():
        with mg.no_grad():
            p.add_(mg.randn(p.shape, dtype=p.dtype) * 0.5)  # far from linear, gains are not one
    return module


def sizes_of(module):
    return [getattr(module, "proj_size", 0) or H] + [H] * isinstance(module, nn.LSTM)


def values(*shape, seed=1, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def first_state(module, batch=B, dtype="float64"):
    """The parts of a state as arrays."""
    n = module.num_layers * (1 + module.bidirectional)
    return [values(n, batch, s, seed=7 + k, dtype=dtype) for k, s in enumerate(sizes_of(module))]


def as_state(parts):
    return parts[0] if len(parts) == 1 else tuple(parts)


def as_parts(state):
    return list(state) if isinstance(state, tuple) else [state]


def arrays(tensors):
    return [x.detach().numpy().copy() for x in tensors]


def same(actual, expected, what, tolerance=1e-11):
    for n, (a, e) in enumerate(zip(actual, expected, strict=True)):
        np.testing.assert_allclose(a, e, tolerance, tolerance, err_msg=f"{what}, result {n}")


def factors_of(uniform, p, dtype="float64"):
    """What dropout multiplies with, 0 with probability p."""
    return mg.tensor((uniform >= p) / max(1 - p, 1e-9), dtype=dtype)


def one_seed_each(module, ids):
    """From now on the numbers drawn for a sentence depend on its id alone, not on its batch."""
    calls = itertools.count()

    def factors(p, *shape):
        call, steps = next(calls), shape[:-2]
        columns = []
        for b in ids:
            rng = np.random.default_rng([b, call])
            columns.append(
                rng.random((*[20] * len(steps), shape[-1]))[: steps[0] if steps else None]
            )
        return factors_of(np.stack(columns, axis=-2), p)

    module.factors = factors


def run(module, x, parts, lengths, truncate, y_weights, state_weights, ids):
    """Outputs, last state and the gradients of x, the state and the parameters."""
    one_seed_each(module, ids)
    x = mg.tensor(x, requires_grad=True)
    parts = [mg.tensor(part, requires_grad=True) for part in parts]
    y, state = module(x, as_state(parts), lengths=lengths, truncate=truncate)
    results = [y, *as_parts(state)]
    weights = [y_weights, *state_weights]
    loss = sum((r * mg.tensor(w)).sum() for r, w in zip(results, weights, strict=True))
    grads = mg.grad(loss, [x, *parts, *module.parameters()])
    return arrays(results), arrays(grads[: 1 + len(parts)]), arrays(grads[1 + len(parts) :])


@of_variants
def test_a_sentence_knows_nothing_of_its_batch(make, options):
    """More padding, NaN in the padding, another order, each sentence by itself: all the same."""
    rng = np.random.default_rng(0)
    for truncate, bidirectional, training in itertools.product(
        (None, 2), (False, True), (True, False)
    ):
        module = layer(make, options, bidirectional=bidirectional).train(training)
        what = f"{truncate=} {bidirectional=} {training=}"
        x, parts = values(T, B, I), first_state(module)
        width = (1 + bidirectional) * sizes_of(module)[0]
        y_w, state_w = (
            rng.standard_normal((T, B, width)),
            [rng.standard_normal(p.shape) for p in parts],
        )
        ids = list(range(B))
        outputs, own, shared = run(module, x, parts, LENGTHS, truncate, y_w, state_w, ids)
        for b, length in enumerate(LENGTHS):
            assert not outputs[0][length:, b].any() and not own[0][length:, b].any(), what
            if length == 0:
                for last, first in zip(outputs[1:], parts):
                    np.testing.assert_array_equal(last[:, b], first[:, b])

        spoilt = x.copy()
        for b, length in enumerate(LENGTHS):
            spoilt[length:, b] = np.nan
        again = run(module, spoilt, parts, LENGTHS, truncate, y_w, state_w, ids)
        for a, e in zip(again, (outputs, own, shared)):
            same(a, e, f"{what} NaN", 1e-14)

        longer = np.concatenate([x, np.full((2, B, I), 1e3)])
        more = np.concatenate([y_w, np.ones((2, B, width))])
        again = run(module, longer, parts, LENGTHS, truncate, more, state_w, ids)
        for n in (0, 1):
            assert not again[n][0][T:].any(), f"{what} more padding"
            again[n][0] = again[n][0][:T]
        for a, e in zip(again, (outputs, own, shared)):
            same(a, e, f"{what} more padding")

        order = [2, 0, 3, 1]
        others = run(
            module, x[:, order], [p[:, order] for p in parts], [LENGTHS[b] for b in order],
            truncate, y_w[:, order], [w[:, order] for w in state_w], order,
        )  # fmt: skip
        same(others[0], [a[:, order] for a in outputs], f"{what} another order")
        same(others[1], [a[:, order] for a in own], f"{what} another order")
        same(others[2], shared, f"{what} another order")

        total = [0.0] * len(shared)
        for b, length in enumerate(LENGTHS):
            if length == 0:
                continue
            one = slice(b, b + 1)
            alone = run(
                module, x[:length, one], [p[:, one] for p in parts], None,
                truncate, y_w[:length, one], [w[:, one] for w in state_w], [b],
            )  # fmt: skip
            for a, e in ((alone[0], outputs), (alone[1], own)):
                e = [e[0][:length, one], *[part[:, one] for part in e[1:]]]
                same(a, e, f"{what} sentence {b} alone")
            total = [t + g for t, g in zip(total, alone[2])]
        same(total, shared, f"{what} sum over the sentences")


def turn(x):
    """Each sentence of (T, B, ...) from its end."""
    x = x.copy()
    for b, length in enumerate(LENGTHS):
        x[:length, b] = x[:length, b][::-1].copy()
    return x


@of_variants
def test_the_backward_direction_is_the_forward_one_on_turned_sentences(make, options):
    for truncate, training in itertools.product((None, 2), (True, False)):
        module = layer(make, options, 1, bidirectional=True).train(training)
        forward = layer(make, options, 1).train(training)
        state = module.state_dict()
        forward.load_state_dict({name: state[f"{name}_reverse"] for name in forward.state_dict()})
        x, parts = values(T, B, I), first_state(module)
        results = []
        for m, way in ((module, lambda x: x), (forward, turn)):

            def factors(p, *shape, way=way):  # for each token the same
                numbers = values(*shape, seed=shape[-1]) % 1
                return factors_of(way(numbers) if len(shape) == 3 else numbers, p)

            m.factors = factors
            leaf = mg.tensor(way(x), requires_grad=True)
            hx = as_state([mg.tensor(p[-m.bidirectional - 1 :][-1:]) for p in parts])
            if m is module:
                hx = as_state([mg.tensor(p) for p in parts])
            y, last = m(leaf, hx, lengths=LENGTHS, truncate=truncate)
            y = y[..., -sizes_of(m)[0] :]
            weight = dict(m.named_parameters())["weight_hh_l0" + "_reverse" * m.bidirectional]
            loss = (y * mg.tensor(way(values(*y.shape, seed=5)))).sum()
            g_x, g_w = arrays(mg.grad(loss, [leaf, weight]))
            y, *last = arrays([y, *[part[-1] for part in as_parts(last)]])
            results.append([way(y), *last, way(g_x), g_w])
        same(*results, f"{truncate=} {training=}")


@of_variants
def test_form_of_the_call(make, options):
    """Batch first, packed, a single sequence: the same numbers in another arrangement."""
    for truncate, training in itertools.product((None, 2), (True, False)):
        what = f"{truncate=} {training=}"
        module = layer(make, options, bidirectional=True).train(training)
        other = layer(make, options, bidirectional=True, batch_first=True).train(training)
        lengths = [2, 5, 1, 4]
        x, parts = mg.tensor(values(T, B, I)), [mg.tensor(p) for p in first_state(module)]

        def call(m, x, parts=parts, ids=range(B), truncate=truncate, **time):
            one_seed_each(m, ids)
            y, state = m(x, as_state(parts), truncate=truncate, **time)
            return [y, *as_parts(state)]

        expected = arrays(call(module, x, lengths=lengths))
        y, *state = call(other, x.transpose(0, 1), lengths=np.array(lengths))
        same(arrays([y.transpose(0, 1), *state]), expected, f"{what} batch first")
        pack, pad = nn.utils.rnn.pack_padded_sequence, nn.utils.rnn.pad_packed_sequence
        order = sorted(range(B), key=lambda b: -lengths[b])
        for ids in (range(B), order):  # a packed batch may be drawn for in its sorted order
            y, *state = call(module, pack(x, lengths, enforce_sorted=False), ids=ids)
            got = arrays([pad(y)[0], *state])
            if np.allclose(got[0], expected[0]):
                break
        same(got, expected, f"{what} packed")
        one = call(module, x[:, 1], [p[:, 1] for p in parts], ids=[1])
        same(arrays(one), [e[:, 1] for e in expected], f"{what} one sequence")


@of_kinds
def test_slopes_of_a_few_steps_at_a_time(make, options, monkeypatch):
    """However many fit into the cache, the gradients are the same to the last bit."""
    module = layer(make, {**options, **NOISES["all"]}, bidirectional=True)
    rest = first_state(module), LENGTHS, 2
    weights = values(T, B, 2 * sizes_of(module)[0]), [np.ones_like(part) for part in rest[0]]
    expected = run(module, values(T, B, I), *rest, *weights, range(B))
    for steps in (1, 2, 3):
        monkeypatch.setattr(fused.recurrent, "PIECE", steps * H * B)
        for a, e in zip(run(module, values(T, B, I), *rest, *weights, range(B)), expected):
            same(a, e, f"{steps} steps", 0)


@of_kinds
def test_products_in_blocks_of_rows_are_the_products(make, options, monkeypatch):
    mg.manual_seed(0)
    module = make(I, 128, bidirectional=True, dtype="float64", **options)
    x, shapes = mg.tensor(values(T, B, I)), []

    def results(threads):
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", threads)
        module.zero_grad()
        y, _ = module(x)
        y.square().sum().backward()
        return [y.detach().numpy(), *(p.grad.numpy().copy() for p in module.parameters())]

    in_blocks = fused.recurrent.in_blocks
    monkeypatch.setattr(fused.recurrent, "SMALL", 2**15)
    monkeypatch.setattr(
        fused.recurrent, "in_blocks", lambda *w: shapes.append(in_blocks(*w).shape) or in_blocks(*w)
    )
    whole = results("2")
    assert {len(shape) for shape in shapes} == {2}
    for got, expected in zip(results("1"), whole):
        same(got, expected, "in blocks")
    rows = {shape[1] for shape in shapes if len(shape) == 3}
    assert rows == {64} or "proj_size" in options


# modes, dtypes, copies


@of_variants
def test_recording_changes_nothing(make, options):
    for training, lengths in itertools.product((True, False), (None, LENGTHS)):
        module = layer(make, options, bidirectional=True).train(training)
        parts = [mg.tensor(p) for p in first_state(module)]
        x = mg.tensor(values(T, B, I), requires_grad=True)
        results = []
        for recording in (True, False):
            one_seed_each(module, range(B))
            with mg.set_grad_enabled(recording):
                y, state = module(x, as_state(parts), lengths=lengths)
            assert y.requires_grad == recording
            results.append(arrays([y, *as_parts(state)]))
        for a, e in zip(*results, strict=True):
            np.testing.assert_array_equal(a, e)


@of_variants
def test_float32_stays(make, options):
    for training, truncate in itertools.product((True, False), (None, 2)):
        module = layer(make, options, dtype="float32", bidirectional=True).train(training)
        exact = layer(make, options, bidirectional=True).train(training)
        exact.load_state_dict(module.state_dict())
        parts = [mg.tensor(p, requires_grad=True) for p in first_state(module, dtype="float32")]
        x = mg.tensor(values(T, B, I, dtype="float32"), requires_grad=True)
        results = []
        for m, dtype in ((module, mg.float32), (exact, mg.float64)):
            mg.manual_seed(0)
            numbers = iter([np.random.default_rng(n) for n in range(99)])
            m.factors = lambda p, *shape, dtype=dtype, numbers=numbers: factors_of(
                next(numbers).random(shape), p, dtype
            )
            y, state = m(
                x.to(dtype), as_state([p.to(dtype) for p in parts]),
                lengths=LENGTHS, truncate=truncate,
            )  # fmt: skip
            outputs = [y, *as_parts(state)]
            leaves = [x, *parts, *m.parameters()]
            grads = mg.grad(sum((o * o).sum() for o in outputs), leaves)
            assert {o.dtype for o in outputs} == {dtype}
            assert [g.dtype for g in grads] == [leaf.dtype for leaf in leaves]
            results.append(arrays([*outputs, *grads]))
        same(*results, f"{training=} {truncate=}", 2e-3)


@of_variants
def test_copies_and_state_dicts(make, options, tmp_path):
    module = layer(make, options, bidirectional=True)
    x = mg.tensor(values(T, B, I))
    mg.save(module.state_dict(), tmp_path / "weights")
    fresh = layer(make, options, seed=5, bidirectional=True)
    fresh.load_state_dict(mg.load(tmp_path / "weights"))
    copies = [copy.deepcopy(module), pickle.loads(pickle.dumps(module)), fresh]
    for training in (True, False):
        results = []
        for m in [module, *copies]:
            mg.manual_seed(3)
            results.append(m.train(training)(x)[0].detach().numpy())
        for other in results[1:]:
            np.testing.assert_array_equal(other, results[0])
    with mg.no_grad():
        for p in copies[0].parameters():
            p.zero_()
    assert all(p.detach().numpy().any() for p in module.parameters())
    for name in options:
        assert getattr(copies[0], name) == getattr(module, name) == options[name]


class Tagger(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(7, I, dtype="float64"), rnn

    def forward(self, tokens, lengths):
        y, state = self.rnn(self.embedding(tokens), lengths=lengths, truncate=self.truncate)
        return y, as_parts(state)[0]


@of_kinds
def test_check_padding(make, options):
    lengths = np.array([3, 1, 4])
    tokens = np.random.default_rng(0).integers(1, 7, (4, 3)) * (np.arange(4)[:, None] < lengths)
    for truncate in (None, 2):
        rnn = layer(make, {**options, **NOISES["all"]}, bidirectional=True)
        tagger = Tagger(rnn)
        tagger.truncate = truncate
        assert check_padding(tagger, (mg.tensor(tokens), mg.tensor(lengths)))


# what is drawn


def adder(make=nn.RNN, **options):
    """relu(x + h): each number of the output says what was done to the state."""
    rnn = make(50, 50, nonlinearity="relu", bias=False, **options)
    for p in rnn.parameters():
        nn.init.eye_(p)
    return rnn


def near(share, p, n):
    assert abs(share - p) < 4.5 * (p * (1 - p) / n) ** 0.5, (share, p)


@mg.no_grad()
def test_hidden_dropout_is_the_same_at_every_step():
    mg.manual_seed(0)
    rnn = adder(recurrent_dropout=0.2, bidirectional=True)
    y, _ = rnn(mg.zeros(3, 400, 50), mg.ones(2, 400, 50))
    y = y.numpy()
    forward, backward = y[:, :, :50], y[::-1, :, 50:]
    for ys in (forward, backward):
        near((ys[0] == 0).mean(), 0.2, ys[0].size)
        near((ys[0] == 0).mean(1).std() ** 2 * 50 / 0.16 / 2, 0.5, 400)  # independent draws
        for t in range(3):
            np.testing.assert_allclose(ys[t], np.where(ys[0] == 0, 0, 1.25 ** (t + 1)), 1e-5)
    near(((forward[0] == 0) == (backward[0] == 0)).mean(), 0.68, forward[0].size)
    again = rnn(mg.zeros(3, 400, 50), mg.ones(2, 400, 50))[0].numpy()
    near(((again[0, :, :50] == 0) == (forward[0] == 0)).mean(), 0.68, forward[0].size)
    y, _ = rnn.eval()(mg.zeros(3, 400, 50), mg.ones(2, 400, 50))
    assert (y.numpy() == 1).all()


def test_the_product_of_the_gru_keeps_the_state_that_it_mixes_in():
    """Only what the recurrent product sees is dropped."""
    gru = nn.GRU(3, 4, recurrent_dropout=1.0)
    alone = nn.GRU(3, 4)
    weights = gru.state_dict()
    weights["weight_hh_l0"] = mg.zeros(12, 4)
    alone.load_state_dict(weights)
    x, h = mg.randn(5, 2, 3), mg.randn(1, 2, 4)
    for a, e in zip(gru(x, h), alone(x, h)):
        np.testing.assert_allclose(a.detach().numpy(), e.detach().numpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("variational", [False, True])
@mg.no_grad()
def test_dropout_between_the_layers(variational):
    mg.manual_seed(0)
    rnn = adder(num_layers=3, dropout=0.2, variational=variational)
    for n in range(3):
        getattr(rnn, f"weight_hh_l{n}").zero_()
    y = rnn(mg.ones(4, 400, 50))[0].numpy()
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1.25**2, 1e-5)
    near(kept[0].mean(), 0.64, kept[0].size)
    if variational:
        assert (kept == kept[0]).all()
    else:
        near((kept[1] == kept[0]).mean(), 0.64**2 + 0.36**2, kept[0].size)
    # nothing is dropped of the last layer's output, and nothing in evaluation
    rnn = adder(num_layers=1, recurrent_dropout=0.0)
    assert (rnn(mg.ones(1, 400, 50))[0].numpy() == 1).all()
    rnn = adder(num_layers=3, dropout=0.2, variational=variational).eval()
    for n in range(3):
        getattr(rnn, f"weight_hh_l{n}").zero_()
    assert (rnn(mg.ones(4, 400, 50))[0].numpy() == 1).all()


@mg.no_grad()
def test_zoneout_is_drawn_at_every_step():
    mg.manual_seed(0)
    rnn = adder(zoneout=0.2, bidirectional=True)
    x = mg.ones(4, 400, 50)
    y = rnn(x)[0].numpy()
    for ys in (y[:, :, :50], y[::-1, :, 50:]):
        steps = np.diff(ys, axis=0, prepend=0)
        assert set(np.unique(steps)) == {0.0, 1.0}
        for kept in steps == 0:
            near(kept.mean(), 0.2, kept.size)
        near((steps[0] == steps[1]).mean(), 0.68, steps[0].size)
    near(((y[0, :, :50] == 0) == (y[-1, :, 50:] == 0)).mean(), 0.68, 20000)
    rnn.eval()
    np.testing.assert_allclose(rnn(x)[0].numpy()[:, 0, 0], 0.8 * np.arange(1, 5), 1e-5)


@mg.no_grad()
def test_zoneout_of_a_pair_is_of_the_cell_and_of_the_hidden_state():
    """A cell that adds 1 a step, seen through a gate that is wide open."""
    mg.manual_seed(0)
    rnn = nn.LSTM(1, 300, zoneout=(0.2, 0.6))
    state = {name: mg.zeros(*p.shape) for name, p in rnn.state_dict().items()}
    state["bias_ih_l0"] = mg.full((1200,), 100.0)
    rnn.load_state_dict(state)
    _, (h, c) = rnn(mg.zeros(1, 100, 1))
    near((c == 0).float().mean().item(), 0.2, 30000)
    near((h == 0).float().mean().item(), 0.6, 30000)
    near(((c == 0) & (h == 0)).float().mean().item(), 0.12, 30000)
    np.testing.assert_allclose(h.numpy()[h.numpy() != 0], np.tanh(1), 1e-5)  # of the new cell
    _, (h, c) = rnn.eval()(mg.zeros(1, 1, 1))
    np.testing.assert_allclose(c.numpy()[0, 0, 0], 0.8, 1e-5)
    np.testing.assert_allclose(h.numpy()[0, 0, 0], 0.4 * np.tanh(1), 1e-5)


@of_kinds
def test_full_zoneout_keeps_the_first_state(make, options):
    for training, lengths in itertools.product((True, False), (None, LENGTHS)):
        module = layer(make, options, zoneout=1.0, bidirectional=True).train(training)
        parts = first_state(module)
        x = mg.tensor(values(T, B, I), requires_grad=True)
        y, state = module(x, as_state([mg.tensor(p) for p in parts]), lengths=lengths)
        for last, first in zip(as_parts(state), parts):
            np.testing.assert_array_equal(last.detach().numpy(), first)
        expected = np.broadcast_to(np.concatenate(parts[0][2:], -1), y.shape)
        if lengths is not None:
            expected = expected * (np.arange(T)[:, None] < lengths)[..., None]
        np.testing.assert_array_equal(y.detach().numpy(), expected)
        assert not mg.grad((y * y).sum(), x)[0].numpy().any()


@of_kinds
def test_evaluation_takes_the_mean_of_zoneout(make, options):
    """Of one step: p times the state that is kept and 1 - p times the new one."""
    pairs = [(0.3, 0.3), (0.2, 0.6), (0.0, 1.0)] if make is nn.LSTM else [(0.3, 0.3)]
    for of_c, of_h in pairs:
        zoneout = (of_c, of_h) if make is nn.LSTM else of_h
        module = layer(make, options, 1, zoneout=zoneout, bidirectional=True).eval()
        plain = layer(make, options, 1, bidirectional=True)
        x, parts = mg.tensor(values(1, B, I)), first_state(module)
        state = as_state([mg.tensor(p) for p in parts])
        new = arrays(as_parts(plain(x, state)[1]))
        got = arrays(as_parts(module(x, state)[1]))
        for p, g, old, n in zip((of_h, of_c), got, parts, new):
            np.testing.assert_allclose(g, p * old + (1 - p) * n, 1e-12)


@of_variants
def test_seeds(make, options):
    """Evaluation is the same every time, training for the same seed; a generator is its own."""
    draws = bool({"recurrent_dropout", "zoneout", "dropout"} & set(options))
    g = mg.Generator()
    x = mg.tensor(values(T, B, I))
    module = layer(make, options, bidirectional=True, generator=g)
    theirs = layer(make, options, bidirectional=True)

    def outputs(m, seed=None):
        if seed is not None:
            mg.manual_seed(seed)
        return m(x)[0].detach().numpy()

    assert (outputs(theirs, 1) == outputs(theirs, 1)).all()
    assert (outputs(theirs, 1) == outputs(theirs, 2)).all() != draws
    assert (outputs(theirs) == outputs(theirs)).all() != draws
    results = []
    for seed, of_all in ((1, 1), (1, 2), (2, 1)):
        g.manual_seed(seed)
        mg.manual_seed(of_all)
        before = mg.get_rng_state().numpy().copy()
        results.append(outputs(module))
        assert (mg.get_rng_state().numpy() == before).all()
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all() != draws
    module.eval()
    before = mg.get_rng_state().numpy().copy(), g.get_state().numpy().copy()
    assert (outputs(module) == outputs(module)).all()
    after = mg.get_rng_state().numpy(), g.get_state().numpy()
    assert all((a == b).all() for a, b in zip(before, after))


# forget bias


@pytest.mark.parametrize("value", [0.0, 1, 5.0, -2.5])
def test_forget_bias_is_applied_once(value):
    """Although there are two bias vectors; in every layer and direction, and in no other gate."""
    for more in ({}, {"proj_size": P}, {"layer_norm": True, "peephole": True}):
        module = nn.LSTM(I, H, 2, bidirectional=True, forget_bias=value, **more)
        weights = module.state_dict()
        for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
            pair = [weights[f"bias_{side}_{suffix}"].numpy() for side in ("ih", "hh")]
            assert (sum(pair)[H : 2 * H] == value).all()
            for bias in pair:
                others = np.delete(bias, np.s_[H : 2 * H])
                assert (abs(others) <= H**-0.5).all() and len(set(others)) == 3 * H
    mg.manual_seed(0)
    module, plain = nn.LSTM(I, H, forget_bias=None), nn.LSTM(I, H)
    free = plain.bias_ih_l0.detach().numpy()[H : 2 * H]
    assert len(set(free)) == H and module.forget_bias is None


def test_parameters_start_again_with_the_forget_bias():
    module = nn.LSTM(I, H, forget_bias=5.0, layer_norm=True)
    with mg.no_grad():
        for p in module.parameters():
            p.fill_(7.0)
    module.reset_parameters()
    bias = module.bias_ih_l0 + module.bias_hh_l0
    assert bias[H : 2 * H].tolist() == [5.0] * H and (bias[:H] < 2).all()
    assert (module.norm_c_l0 == 1).all() and (module.norm_bias_c_l0 == 0).all()
    assert (module.norm_ih_l0 == 1).all() and (module.norm_hh_l0 == 1).all()


# errors

L = nn.LSTM
X = mg.zeros(T, 2, I)
ERRORS = {
    **{
        f"truncate={k}": (
            lambda k=k: nn.GRU(I, H)(X, truncate=k), (ValueError, TypeError), "truncate"
        )
        for k in (0, -1, 2.5, "3", True, mg.tensor(2))
    },
    **{
        f"lengths={n}": (lambda n=n: nn.GRU(I, H)(X, lengths=n), RuntimeError, "lengths")
        for n in (
            [3], [3, 2, 1], [-1, 3], [T + 1, 2], [1.5, 2], [[1, 2]], 3, [True, False],
            mg.tensor([1.0, 2.0]),
        )
    },
    "lengths of a packed sequence": (
        lambda: nn.RNN(I, H)(nn.utils.rnn.pack_padded_sequence(X, [5, 3]), lengths=[5, 3]),
        ValueError, "lengths",
    ),
    "length of a single sequence": (
        lambda: nn.RNN(I, H)(X[:, 0], lengths=[5, 3]), RuntimeError, "lengths"
    ),
    "zoneout of 2": (lambda: L(I, H, zoneout=2.0), ValueError, "2.0.* from 0 to 1"),
    "negative zoneout": (lambda: nn.RNN(I, H, zoneout=-0.1), ValueError, "-0.1.* from 0 to 1"),
    "zoneout of nan": (lambda: L(I, H, zoneout=float("nan")), ValueError, "nan.* from 0 to 1"),
    "zoneout of a bool": (lambda: L(I, H, zoneout=True), (ValueError, TypeError), "zoneout"),
    "zoneout of a string": (lambda: L(I, H, zoneout="a"), (ValueError, TypeError), "zoneout"),
    "zoneout of three": (lambda: L(I, H, zoneout=(0.1, 0.2, 0.3)), ValueError, "zoneout.*two"),
    "zoneout of a pair of one": (lambda: L(I, H, zoneout=(0.1,)), ValueError, "zoneout.*two"),
    "a pair of one for a GRU": (lambda: nn.GRU(I, H, zoneout=(0.1,)), ValueError, "zoneout"),
    "generator of a number": (lambda: L(I, H, generator=3), TypeError, "generator is 3"),
    "peephole of a number": (lambda: L(I, H, peephole=1), TypeError, "peephole is 1"),
    "layer norm of a string": (lambda: L(I, H, layer_norm="no"), TypeError, "layer_norm is 'no'"),
    "forget bias of a string": (lambda: L(I, H, forget_bias="a"), TypeError, "forget_bias is 'a'"),
    "one of the pair": (lambda: L(I, H, zoneout=(0.1, 2.0)), ValueError, "2.0.* from 0 to 1"),
    "a pair for a GRU": (lambda: nn.GRU(I, H, zoneout=(0.1, 0.2)), ValueError, "zoneout.*LSTM"),
    "a pair for an RNN": (lambda: nn.RNN(I, H, zoneout=(0.1, 0.2)), ValueError, "zoneout.*LSTM"),
    "negative hidden dropout": (
        lambda: L(I, H, recurrent_dropout=-0.1), ValueError, "-0.1.* from 0 to 1"
    ),
    "hidden dropout of 1.5": (
        lambda: L(I, H, recurrent_dropout=1.5), ValueError, "1.5.* from 0 to 1"
    ),
    "hidden dropout of a string": (
        lambda: nn.GRU(I, H, recurrent_dropout="a"), (ValueError, TypeError), "recurrent_dropout"
    ),
    "variational without dropout": (lambda: L(I, H, 2, variational=True), ValueError, "dropout"),
    "variational of a number": (
        lambda: L(I, H, 2, dropout=0.1, variational=1), (ValueError, TypeError), "variational"
    ),
    "activation of an LSTM": (lambda: L(I, H, activation="relu"), ValueError, "relu.*softsign"),
    "activation of a GRU": (lambda: nn.GRU(I, H, activation=None), ValueError, "softsign"),
    "nonlinearity": (lambda: nn.RNN(I, H, nonlinearity="gelu"), ValueError, "gelu"),
    "activation of an RNN": (lambda: nn.RNN(I, H, activation="tanh"), TypeError, "activation"),
    "forget bias without bias": (
        lambda: L(I, H, forget_bias=1, bias=False), ValueError, "forget_bias.*bias"
    ),
    "forget bias of a GRU": (lambda: nn.GRU(I, H, forget_bias=1), TypeError, "forget_bias"),
    "peephole of a GRU": (lambda: nn.GRU(I, H, peephole=True), TypeError, "peephole"),
    "layer norm of an RNN": (lambda: nn.RNN(I, H, layer_norm=True), TypeError, "layer_norm"),
    "by position": (
        lambda: L(I, H, 1, True, False, 0.0, False, 0, None, None, 1.0), TypeError, "positional"
    ),
    "lengths by position": (lambda: L(I, H)(X, None, [1, 2]), TypeError, "positional"),
}  # fmt: skip


@pytest.mark.parametrize("call, error, text", ERRORS.values(), ids=ERRORS)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


# derivatives of higher order


@of_variants
def test_a_recorded_derivative_is_the_derivative(make, options):
    """With `create_graph=True` it goes through the definition, in both directions."""
    for truncate, training in itertools.product((None, 2), (True, False)):
        module = layer(make, options, 1, bidirectional=True).train(training)
        call, parts = fixed(module), first_state(module)
        leaves = [mg.tensor(a, requires_grad=True) for a in (values(T, B, I), *parts)]
        leaves += list(module.parameters())
        n = 1 + len(parts)
        results = []
        for recorded in (False, True):
            time = {"lengths": LENGTHS, "truncate": truncate}
            outputs = call(leaves[0], leaves[1:n], leaves[n:], **time)
            weights = [mg.tensor(values(*y.shape, seed=k)) for k, y in enumerate(outputs)]
            loss = sum((w * y).sum() for w, y in zip(weights, outputs))
            grads = mg.grad(loss, leaves, create_graph=recorded)
            assert all(g.requires_grad == recorded for g in grads)
            results.append(arrays(grads))
        same(*results, f"{truncate=} {training=}", 1e-10)


def fixed(module, seed=0):
    """Draws the same numbers in every call."""
    rng, cache = np.random.default_rng(seed), {}

    def factors(p, *shape):
        n = next(count)
        if n not in cache:
            cache[n] = rng.random(shape)
        return factors_of(cache[n], p)

    module.factors = factors
    count = itertools.count()

    def call(x, parts, params, **time):
        nonlocal count
        count = itertools.count()
        names = [name for name, _ in module.named_parameters()]
        weights = dict(zip(names, params, strict=True))
        y, state = mg.func.functional_call(module, weights, (x, as_state(parts)), time)
        return [y, *as_parts(state)]

    return call


@of_kinds
def test_finite_differences(make, options):
    """Along one random direction for the input, the state and each parameter."""
    module = layer(make, {**options, **NOISES["all"]}, 1)
    call = fixed(module, seed=1)
    points = [values(3, 2, I), *first_state(module, 2), *arrays(module.parameters())]
    ways = [mg.tensor(values(*point.shape, seed=40 + k)) for k, point in enumerate(points)]
    points, n = [mg.tensor(point) for point in points], len(first_state(module)) + 1

    def function(along):
        xs = [point + s * way for point, s, way in zip(points, along, ways)]
        outputs = call(xs[0], xs[1:n], xs[n:], lengths=[3, 1])
        weights = (mg.tensor(values(*y.shape, seed=80)) for y in outputs)
        return sum((y * y * w).sum() for y, w in zip(outputs, weights))

    for training in (True, False):
        module.train(training)
        at = mg.zeros(len(points), dtype=mg.float64, requires_grad=True)
        assert gradcheck(function, at, order=2, atol=2e-5)  # and of order 1


@of_kinds
def test_second_derivatives_of_truncation(make, options):
    """Those of the loop over windows with the state detached between."""
    for layers, size, training in ((1, 1, True), (1, 2, False), (2, 3, True)):
        noise = {"recurrent_dropout": 0.3} if training else {"zoneout": 0.4}
        module = layer(make, {**options, **noise}, layers).train(training)
        call = fixed(module)
        parts = first_state(module)
        results = []
        for loop in (False, True):
            leaves = [mg.tensor(a, requires_grad=True) for a in (values(T, B, I), *parts)]
            leaves += [p.detach().clone().requires_grad_() for p in module.parameters()]
            n = 1 + len(parts)
            x, state, params = leaves[0], leaves[1:n], leaves[n:]
            if loop:
                ys = []
                for start in range(0, T, size):
                    y, *last = call(x[start : start + size], state, params)
                    state = [part.detach() for part in last]
                    ys.append(y)
                outputs = [mg.cat(ys), *last]
            else:
                outputs = call(x, state, params, truncate=size)
            weights = [mg.tensor(values(*y.shape, seed=30 + k)) for k, y in enumerate(outputs)]
            loss = sum((w * y * y).sum() for w, y in zip(weights, outputs))
            first = mg.grad(loss, leaves, create_graph=True)
            weights = [mg.tensor(values(*g.shape, seed=60 + k)) for k, g in enumerate(first)]
            second = mg.grad(sum((w * g).sum() for w, g in zip(weights, first)), leaves)
            results.append(arrays([*outputs, *first, *second]))
        same(*results, f"{layers=} {size=} {training=}", 1e-9)
