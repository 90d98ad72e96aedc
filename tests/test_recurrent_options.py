"""Every option of the recurrent ops, in every combination, against their definition in primitives
and finite differences; the definition itself against a loop in NumPy.
"""

import itertools

import numpy as np
import pytest

import minigrad as mg
from minigrad import fused
from minigrad.testing import composed, gradcheck

T, B, I, H, P = 6, 3, 2, 4, 3
ACTIVE = np.arange(T)[:, None] < np.array([6, 2, 4])[None]
FULL = np.ones((T, B), bool)
HOLES = np.random.default_rng(5).random((T, B)) < 0.6


def leaf(rng, *shape):
    return mg.tensor(rng.standard_normal(shape), requires_grad=True)


def lstm(rng, projected=False, peephole=False, norms=False):
    out = P if projected else H
    shapes = [(T, B, I), (B, out), (B, H), (4 * H, I), (4 * H, out), (4 * H,)]
    inputs = [leaf(rng, *shape) for shape in shapes]
    extra = {}
    if projected:
        extra["w_hr"] = leaf(rng, P, H)
    if peephole:
        extra["w_ch"] = leaf(rng, 3 * H)
    if norms:
        extra["norms"] = [leaf(rng, n) for n in (4 * H, 4 * H, H, H)]
    names, flat = list(extra), []
    for value in extra.values():
        flat += value if isinstance(value, list) else [value]

    def call(*xs, **options):
        rest = list(xs[6:])
        given = {name: rest if name == "norms" else rest.pop(0) for name in names}
        return fused.lstm(*xs[:6], **given, **options)

    return call, inputs + flat, (out, H)


def gru(rng):
    shapes = [(T, B, I), (B, H), (3 * H, I), (3 * H, H), (3 * H,), (3 * H,)]
    return fused.gru, [leaf(rng, *shape) for shape in shapes], (H,)


def rnn(rng, relu=False):
    shapes = [(T, B, I), (B, H), (H, I), (H, H), (H,)]

    def call(*xs, **options):
        return fused.rnn(*xs, relu=relu, **options)

    return call, [leaf(rng, *shape) for shape in shapes], (H,)


KINDS = {
    "rnn": lambda rng: rnn(rng),
    "rnn relu": lambda rng: rnn(rng, relu=True),
    "gru": lambda rng: gru(rng),
    "lstm": lambda rng: lstm(rng),
    **{
        "lstm " + "+".join(names): lambda rng, names=names: lstm(rng, **dict.fromkeys(names, True))
        for n in (1, 2, 3)
        for names in itertools.combinations(("projected", "peephole", "norms"), n)
    },
}
TIMES = {"full": None, "lengths": ACTIVE, "holes": HOLES}
ZONEOUTS = "none", "drawn", "mean"


def options_of(rng, sizes, active, reverse, truncate, dropped, zoneout, squash="tanh"):
    if truncate is not None and active is None:
        active = FULL
    options = {"active": active, "reverse": reverse, "truncate": truncate}
    if dropped:
        options["dropped"] = (rng.random((B, sizes[0])) < 0.7) / 0.7
    if zoneout == "drawn":
        options["zoneout"] = tuple(rng.random((T, B, size)) < 0.4 for size in sizes)
    elif zoneout == "mean":
        options["zoneout"] = tuple(0.3 - 0.2 * n for n in range(len(sizes)))
    if squash == "softsign":
        options["softsign"] = True
    return options


PRODUCT = list(
    itertools.product(
        TIMES.values(), (False, True), (None, 1, 2), (False, True), ZONEOUTS, ("tanh", "softsign")
    )
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_combination_is_its_definition(kind):
    for number, combination in enumerate(PRODUCT):
        rng = np.random.default_rng(number)
        op, inputs, sizes = KINDS[kind](rng)
        options = options_of(rng, sizes, *combination)
        results = []
        for twin in (False, True):
            if twin:
                with composed():
                    outputs = op(*inputs, **options)
            else:
                outputs = op(*inputs, **options)
            seeds = [mg.tensor(np.cos(np.arange(y.numel()) + n).reshape(y.shape))
                     for n, y in enumerate(outputs)]  # fmt: skip
            results.append([*outputs, *mg.grad(outputs, inputs, seeds)])
        with mg.no_grad():
            inference = op(*inputs, **options)
        for n, (fast, slow) in enumerate(zip(*results, strict=True)):
            np.testing.assert_allclose(
                fast.detach().numpy(), slow.detach().numpy(), 1e-9, 1e-11,
                err_msg=f"{kind} {combination} result {n}",
            )  # fmt: skip
        for kept, lost in zip(results[0], inference):
            np.testing.assert_array_equal(kept.detach().numpy(), lost.numpy())


# the definition, sentence by sentence and step by step


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def norm(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def cell_of(kind, squash):
    """(x, fed, state, weights) -> the new state, of one sentence, as the papers write it."""
    squash = np.tanh if squash == "tanh" else lambda a: a / (1 + abs(a))

    def rnn(x, fed, state, w, u, b):
        a = w @ x + u @ fed + b
        return (np.maximum(a, 0) if kind == "rnn relu" else squash(a),)

    def gru(x, fed, state, w, u, b, b_h):
        (r_x, z_x, n_x), (r_h, z_h, n_h) = np.split(w @ x + b, 3), np.split(u @ fed + b_h, 3)
        r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
        return (z * state[0] + (1 - z) * squash(n_x + r * n_h),)

    def lstm(x, fed, state, w, u, b, *more):
        more, c = list(more), state[1]
        w_hr = more.pop(0) if "projected" in kind else None
        see = np.split(more.pop(0), 3) if "peephole" in kind else (0, 0, 0)
        if "norms" in kind:
            n_ih, n_hh, n_c, b_c = more
            a = n_ih * norm(w @ x) + n_hh * norm(u @ fed) + b
        else:
            a = w @ x + u @ fed + b
        i, f, g, o = np.split(a, 4)
        c_new = sigmoid(f + see[1] * c) * c + sigmoid(i + see[0] * c) * squash(g)
        seen = n_c * norm(c_new) + b_c if "norms" in kind else c_new
        h = sigmoid(o + see[2] * c_new) * squash(seen)
        return (h if w_hr is None else w_hr @ h), c_new

    return {"rnn": rnn, "gru": gru, "lst": lstm}[kind[:3]]


def written_out(cell, parts, inputs, active, reverse, dropped=None, zoneout=None):
    xs, state, weights = inputs[0], inputs[1 : 1 + parts], inputs[1 + parts :]
    hs, last = np.zeros((T, B, state[0].shape[1])), [part.copy() for part in state]
    for b in range(B):
        now = [part[b] for part in state]
        for t in reversed(range(T)) if reverse else range(T):
            if active is not None and not active[t, b]:
                continue
            fed = now[0] if dropped is None else now[0] * dropped[b]
            new = cell(xs[t, b], fed, now, *weights)
            for n, z in enumerate(zoneout or (0.0,) * parts):
                share = z if isinstance(z, float) else z[t, b]
                now[n] = share * now[n] + (1 - share) * new[n]
            hs[t, b] = now[0]
        for n, part in enumerate(now):
            last[n][b] = part
    return [hs, *last]


@pytest.mark.parametrize("squash", ["tanh", "softsign"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_combination_is_the_written_out_loop(kind, squash):
    for number, combination in enumerate(itertools.product(
        TIMES.values(), (False, True), (False, True), ZONEOUTS
    )):  # fmt: skip
        active, reverse, dropped, zoneout = combination
        rng = np.random.default_rng(number)
        op, inputs, sizes = KINDS[kind](rng)
        options = options_of(rng, sizes, active, reverse, None, dropped, zoneout, squash)
        outputs = op(*inputs, **options)
        arrays = [x.detach().numpy() for x in inputs]
        for name in ("truncate", "softsign"):
            options.pop(name, None)
        expected = written_out(cell_of(kind, squash), len(sizes), arrays, **options)
        for y, e in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(
                y.detach().numpy(), e, 1e-10, 1e-12, err_msg=f"{kind} {combination}"
            )


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("zoneout", ZONEOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_finite_differences(kind, zoneout, order, monkeypatch):
    """Of what has no `truncate`, whose gradient is not the derivative."""
    monkeypatch.setitem(globals(), "T", 3)
    monkeypatch.setitem(globals(), "B", 2)
    monkeypatch.setitem(globals(), "H", 3)
    monkeypatch.setitem(globals(), "P", 2)
    rng = np.random.default_rng(3)
    op, inputs, sizes = KINDS[kind](rng)
    active = np.array([[1, 1], [1, 0], [1, 0]], bool)
    squash = "softsign" if "norms" in kind or kind == "gru" else "tanh"
    options = options_of(rng, sizes, active, True, None, True, zoneout, squash)
    assert gradcheck(lambda *xs: op(*xs, **options), inputs, order=order, atol=1e-5)


@pytest.mark.parametrize("squash", ["tanh", "softsign"])
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_truncation_is_one_call_a_window_with_the_state_detached(kind, reverse, dropped, squash):
    """The classical loop of truncated backpropagation, each sentence alone and without padding."""
    for truncate, (name, active) in itertools.product((1, 2, 4, 9), list(TIMES.items())[:2]):
        rng = np.random.default_rng(truncate)
        op, inputs, sizes = KINDS[kind](rng)
        options = options_of(rng, sizes, None, reverse, None, dropped, "none", squash)
        time = {"truncate": truncate, "active": FULL if active is None else active}
        y = op(*inputs, **{**options, **time})[0]
        weights = mg.tensor(rng.standard_normal(y.shape))
        actual = mg.grad((y * weights).sum(), inputs)
        total = 0.0
        for b in range(B):
            length = T if active is None else int(active[:, b].sum())
            alone = {**options}
            if dropped:
                alone["dropped"] = options["dropped"][b : b + 1]
            state = [part[b : b + 1] for part in inputs[1 : 1 + len(sizes)]]
            starts = range(0, length, truncate)
            for start in starts:
                window = slice(start, min(start + truncate, length))
                if reverse:
                    window = slice(max(0, length - start - truncate), length - start)
                xs = inputs[0][window, b : b + 1]
                hs, *state = op(xs, *state, *inputs[1 + len(sizes) :], **alone)
                total = total + (hs * weights[window, b : b + 1]).sum()
                state = [part.detach() for part in state]
        for n, (a, e) in enumerate(zip(actual, mg.grad(total, inputs), strict=True)):
            np.testing.assert_allclose(
                a.numpy(), e.numpy(), 1e-9, 1e-11, err_msg=f"{kind} {truncate} {name} input {n}"
            )
