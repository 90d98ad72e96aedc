"""Every recurrent layer with every combination of its options held against PyTorch: against its
layers where it has the option, else against a loop over the steps that autograd differentiates.
"""

import itertools

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")
TOLERANCE = {"float32": 2e-5, "float64": 1e-10}
T, B, I, H, P = 5, 4, 2, 3, 2
LENGTHS = [2, 4, 1, 3]  # nobody is as long as the array
KINDS = {
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "gru": ("GRU", {}),
    "lstm": ("LSTM", {}),
    "projected": ("LSTM", {"proj_size": P}),
}


def sizes_of(module):
    """Of the parts of the state."""
    hidden = [getattr(module, "proj_size", 0) or module.hidden_size]
    return hidden + [module.hidden_size] * ("LSTM" in type(module).__name__)


def both(values):
    return mg.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)


def twins(name, *args, dtype="float64", **options):
    """The same module on both sides, PyTorch's weights given to ours as NumPy arrays."""
    theirs = getattr(torch.nn, name)(*args, **options, dtype=getattr(torch, dtype))
    mine = getattr(nn, name)(*args, **options, dtype=dtype)
    assert repr(mine) == repr(theirs)
    arrays = {key: x.numpy() for key, x in theirs.state_dict().items()}
    shapes = {key: tuple(x.shape) for key, x in mine.state_dict().items()}
    assert list(shapes.items()) == [(key, x.shape) for key, x in arrays.items()]
    mine.load_state_dict(arrays)
    return mine, theirs


def flat(result):
    """y, (h, c) or y, h as a list; of a packed sequence its data."""
    y, state = result
    return [y.data if isinstance(y, tuple) else y, *as_parts(state)]


def as_parts(state):
    return list(state) if isinstance(state, tuple) else [state]


def as_state(parts):
    return None if parts is None else parts[0] if len(parts) == 1 else tuple(parts)


def derivatives(outputs, weights, leaves, params):
    """Name and array of the outputs and of the gradients of all leaves and parameters."""
    named = list(params)
    for x in [*leaves, *(p for _, p in named)]:
        x.grad = None
    sum((y * w).sum() for y, w in zip(outputs, weights, strict=True)).backward()
    results = [(f"output {n}", y) for n, y in enumerate(outputs)]
    results += [(f"gradient of leaf {n}", x.grad) for n, x in enumerate(leaves)]
    results += [(f"gradient of {name}", p.grad) for name, p in named]
    return [(name, None if x is None else x.detach().numpy()) for name, x in results]


def compare(mine, theirs, tolerance, what):
    for (name, a), (_, b) in zip(mine, theirs, strict=True):
        if a is None or b is None:
            # what cannot be reached has no gradient on one side and zeros on the other
            assert a is None or not a.any(), f"{what}: {name}"
            assert b is None or not b.any(), f"{what}: {name}"
            continue
        assert a.shape == b.shape and a.dtype == b.dtype, f"{what}: {name}"
        if not (abs(a - b) <= tolerance * (1 + abs(b))).all():
            np.testing.assert_allclose(a, b, tolerance, tolerance, err_msg=f"{what}: {name}")


def check(results, leaves, modules, rng, dtype, what):
    """Results of both sides: values, then gradients under random weights."""
    weights = [rng.standard_normal(tuple(y.shape)).astype(dtype) for y in results[1]]
    sides = []
    for side, tensor in enumerate((mg.tensor, torch.tensor)):
        ws = [tensor(w) for w in weights]
        params = modules[side].named_parameters()
        sides.append(derivatives(results[side], ws, [x[side] for x in leaves], params))
    compare(*sides, TOLERANCE[dtype], what)


# PyTorch's own options


def batched(module, x, hx, **_):
    return module(x, hx)


def packed(module, x, hx, lengths=LENGTHS, **options):
    side = mg if isinstance(x, mg.Tensor) else torch
    pack = side.nn.utils.rnn.pack_padded_sequence
    return module(pack(x, lengths, batch_first=module.batch_first, **options), hx)


def packed_sorted(module, x, hx):
    return packed(module, x, hx, [5, 4, 2, 1])


def packed_unsorted(module, x, hx):
    return packed(module, x, hx, enforce_sorted=False)


def with_lengths(module, x, hx):
    """Padded sentences with their lengths: PyTorch packs them and pads them again."""
    if isinstance(x, mg.Tensor):
        return module(x, hx, lengths=LENGTHS)
    y, state = packed(module, x, hx, enforce_sorted=False)
    pad = torch.nn.utils.rnn.pad_packed_sequence
    return pad(y, batch_first=module.batch_first, total_length=T)[0], state


def one_with_length(module, x, hx):
    """A single sequence of which the last steps are padding."""
    if isinstance(x, mg.Tensor):
        return module(x, hx, lengths=[3])
    y, state = module(x[:3], hx)
    return torch.nn.functional.pad(y, (0, 0, 0, T - 3)), state


FORMS = {
    "batched": batched,
    "unbatched": batched,
    "unbatched with its length": one_with_length,
    "packed, sorted": packed_sorted,
    "packed": packed_unsorted,
    "lengths": with_lengths,
}
# dropout between the layers and training: what is drawn differs, so nothing, or all, is dropped
DROPOUTS = (0.0, True), (0.4, False), (1.0, True)


def product_of(dtype):
    for layers, bias, batch_first, bidirectional, (dropout, training) in itertools.product(
        (1, 2, 3), (True, False), (False, True), (False, True), DROPOUTS
    ):
        if dropout and (layers == 1 or dtype == "float32"):
            continue
        if layers == 3 and (dropout == 1.0 or not bias or dtype == "float32"):
            continue
        options = dict(bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        yield layers, options | {"dropout": dropout}, training


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", KINDS)
def test_layer(kind, dtype):
    name, given = KINDS[kind]
    rng = np.random.default_rng(0)
    for layers, options, training in product_of(dtype):
        modules = twins(name, I, H, layers, **given, **options, dtype=dtype)
        for module in modules:
            module.train(training)
        n = layers * (1 + options["bidirectional"])
        for form, with_state in itertools.product(FORMS, (False, True)):
            if layers == 3 and not with_state:
                continue
            one = form.startswith("unbatched")
            shape = (T, I) if one else (B, T, I) if options["batch_first"] else (T, B, I)
            leaves = [both(rng.standard_normal(shape).astype(dtype))]
            states = [None, None]
            if with_state:
                shapes = [(n, s) if one else (n, B, s) for s in sizes_of(modules[1])]
                leaves += [both(rng.standard_normal(s).astype(dtype)) for s in shapes]
                states = [as_state(parts) for parts in zip(*leaves[1:])]
            results = [
                flat(FORMS[form](module, x, hx))
                for module, x, hx in zip(modules, leaves[0], states, strict=True)
            ]
            what = f"{kind} {dtype} {layers} layers {options} {training=} {form} {with_state=}"
            check(results, leaves, modules, rng, dtype, what)


CELLS = {
    "tanh": ("RNNCell", {}),
    "relu": ("RNNCell", {"nonlinearity": "relu"}),
    "gru": ("GRUCell", {}),
    "lstm": ("LSTMCell", {}),
}


@pytest.mark.parametrize("kind", CELLS)
def test_cell(kind):
    """Three steps, so that the state is fed back, and all of its parts count."""
    name, given = CELLS[kind]
    rng = np.random.default_rng(0)
    for dtype, bias, lead, with_state in itertools.product(
        TOLERANCE, (True, False), ((), (B,), (1,)), (False, True)
    ):
        modules = twins(name, I, H, bias, **given, dtype=dtype)
        leaves = [both(rng.standard_normal((*lead, I)).astype(dtype)) for _ in range(3)]
        states = [None, None]
        if with_state:
            parts = [both(rng.standard_normal((*lead, s)).astype(dtype))
                     for s in sizes_of(modules[1])]  # fmt: skip
            leaves += parts
            states = [as_state(p) for p in zip(*parts)]
        results = [[], []]
        for side, (module, state) in enumerate(zip(modules, states)):
            for x in leaves[:3]:
                state = module(x[side], state)
                results[side] += as_parts(state)
        check(results, leaves, modules, rng, dtype, f"{kind} {dtype} {bias=} {lead} {with_state=}")


ALL = KINDS | {f"{kind} cell": value for kind, value in CELLS.items()}


@pytest.mark.parametrize("kind", ALL)
def test_a_layer_starts_like_pytorchs(kind):
    """Every parameter is uniform within the same bounds, and the parameters differ."""
    name, given = ALL[kind]
    given = {key: 30 if key == "proj_size" else value for key, value in given.items()}
    if "Cell" not in name:
        given |= {"bidirectional": True, "num_layers": 2}
    mg.manual_seed(0)
    torch.manual_seed(0)
    sides = []
    for make in (getattr(nn, name), getattr(torch.nn, name)):
        parameters = {}
        for _ in range(3):
            for key, p in make(20, 60, **given).named_parameters():
                parameters.setdefault(key, []).append(p.detach().numpy().ravel())
        sides.append({key: np.concatenate(values) for key, values in parameters.items()})
    assert list(sides[0]) == list(sides[1])
    bound = 60**-0.5
    for values in sides:
        for key, value in values.items():
            assert bound * 0.97 < abs(value).max() <= bound, key
            # the largest distance of the distribution from the uniform one (Kolmogorov)
            steps = np.arange(len(value)) / len(value)
            distance = abs(np.sort(value) / bound / 2 + 0.5 - steps).max()
            assert distance < 1.95 / len(value) ** 0.5, key
        firsts = [float(value[0]) for value in values.values()]
        assert len(set(firsts)) == len(firsts)


@pytest.mark.parametrize("kind", ALL)
def test_weights_go_to_pytorch(kind):
    name, given = ALL[kind]
    mine, theirs = getattr(nn, name)(I, H, **given), getattr(torch.nn, name)(I, H, **given)
    theirs.load_state_dict({k: torch.tensor(x.numpy()) for k, x in mine.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((T, I)).astype("float32")
    x = x[:1] if "Cell" in name else x
    y, expected = mine(mg.tensor(x)), theirs(torch.tensor(x))
    while isinstance(y, tuple):
        y, expected = y[0], expected[0]
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), 1e-5, 1e-6)


# truncation: PyTorch's layers in the classical loop over windows


def windows(module, x, parts, size):
    """The whole stack over one window after the other, its state detached at each border."""
    time, ys = 1 if module.batch_first and x.dim() == 3 else 0, []
    for window in x.split(size, time):
        y, state = module(window, as_state(parts))
        ys.append(y)
        last = as_parts(state)
        parts = [part.detach() for part in last]
    return [torch.cat(ys, time), *last]


@pytest.mark.parametrize("kind", KINDS)
def test_truncation(kind):
    name, given = KINDS[kind]
    rng = np.random.default_rng(0)
    for layers, batch_first in itertools.product((1, 2, 3), (False, True)):
        options = dict(batch_first=batch_first)
        modules = twins(name, I, H, layers, **given, **options)
        for size, one, with_state in itertools.product(
            (1, 2, 3, T + 2), (False, True), (False, True)
        ):
            shape = (T, I) if one else (B, T, I) if batch_first else (T, B, I)
            shapes = [(layers, s) if one else (layers, B, s) for s in sizes_of(modules[1])]
            leaves = [both(rng.standard_normal(shape))]
            parts = [None, None]
            if with_state:
                leaves += [both(rng.standard_normal(s)) for s in shapes]
                parts = list(zip(*leaves[1:]))
            x = leaves[0]
            actual = flat(modules[0](x[0], as_state(parts[0]), truncate=size))
            for a, b in zip(actual, flat(modules[0](x[0], as_state(parts[0])))):
                np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), 1e-14, 1e-15)
            what = f"{kind} {layers} layers {options} {size=} {one=} {with_state=}"
            expected = windows(modules[1], x[1], parts[1], size)
            check([actual, expected], leaves, modules, rng, "float64", what)


# what minigrad adds: a loop over the steps, from the documented formulas alone


def squash_of(module):
    names = {"tanh": torch.tanh, "relu": torch.relu, "softsign": torch.nn.functional.softsign}
    return names[getattr(module, "nonlinearity", None) or getattr(module, "activation", "tanh")]


def normalised(x, gain, bias=0.0):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * gain + bias


def step(module, p, x, fed, state):
    """One step of a batch: `fed` is what the recurrent product sees of the hidden state."""
    squash, zero = squash_of(module), torch.zeros(())
    b_ih, b_hh = p.get("bias_ih", zero), p.get("bias_hh", zero)
    from_x, from_h = x @ p["weight_ih"].T, fed @ p["weight_hh"].T
    if module.mode.startswith("RNN"):
        return [squash(from_x + b_ih + from_h + b_hh)]
    if module.mode == "GRU":
        r_x, z_x, n_x = (from_x + b_ih).chunk(3, -1)
        r_h, z_h, n_h = (from_h + b_hh).chunk(3, -1)
        r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
        return [(1 - z) * squash(n_x + r * n_h) + z * state[0]]
    if "norm_ih" in p:
        from_x, from_h = normalised(from_x, p["norm_ih"]), normalised(from_h, p["norm_hh"])
    i, f, g, o = (from_x + from_h + b_ih + b_hh).chunk(4, -1)
    c = state[1]
    see_i, see_f, see_o = p["weight_ch"].chunk(3) if "weight_ch" in p else (zero, zero, zero)
    c = torch.sigmoid(f + see_f * c) * c + torch.sigmoid(i + see_i * c) * squash(g)
    out = normalised(c, p["norm_c"], p.get("norm_bias_c", zero)) if "norm_c" in p else c
    h = torch.sigmoid(o + see_o * c) * squash(out)
    return [h @ p["weight_hr"].T if "weight_hr" in p else h, c]


def one_direction(module, p, x, state, lengths, size, reverse, numbers):
    """Of `numbers` the next group is for the hidden elements to drop, then zoneout of h and c."""
    steps, (drop, zones) = x.shape[0], probabilities(module)
    drawn = iter(next(numbers) if module.training and (drop or any(zones)) else ())
    factor = 1.0
    if module.training and drop:
        factor = (next(drawn) >= drop).to(x.dtype) / (1 - drop)
    shares = list(zones)  # of the old value: the mean of what is drawn
    if module.training:
        shares = [next(drawn) < zone if zone else torch.zeros(steps) for zone in zones]
    ys = [None] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        # where each sentence stands, counted from where this direction begins
        place = lengths - 1 - t if reverse else torch.full_like(lengths, t)
        active = (t < lengths).unsqueeze(1)
        if size is not None:
            border = (active[:, 0] & (place > 0) & (place % size == 0)).unsqueeze(1)
            state = [torch.where(border, part.detach(), part) for part in state]
        new = step(module, p, x[t], state[0] * factor, state)
        held = [share[t] if module.training else share for share in shares]
        held = [torch.as_tensor(share, dtype=x.dtype) for share in held]
        new = [share * old + (1 - share) * n for share, old, n in zip(held, state, new)]
        state = [torch.where(active, n, old) for n, old in zip(new, state)]
        ys[t] = torch.where(active, state[0], torch.zeros(()))
    return torch.stack(ys), state


def probabilities(module):
    """Of dropping hidden elements, and of zoneout for each part of the state."""
    zone = module.zoneout
    if module.mode == "LSTM":  # given as a pair: of the cell and of the hidden state
        zones = zone[::-1] if isinstance(zone, tuple) else (zone, zone)
    else:
        zones = (zone,)
    return module.recurrent_dropout, zones


def written_out(module, params, x, parts, lengths, size, numbers):
    """The stack, time first; `numbers` are the random numbers in the order of their use."""
    last = [[] for _ in parts]
    directions = ["", "_reverse"][: 1 + module.bidirectional]
    for layer in range(module.num_layers):
        outputs = []
        for direction in directions:
            suffix = f"_l{layer}{direction}"
            p = {k.removesuffix(suffix): v for k, v in params.items() if k.endswith(suffix)}
            state = [part[len(last[0])] for part in parts]
            y, state = one_direction(
                module, p, x, state, lengths, size, direction == "_reverse", numbers
            )
            outputs.append(y)
            for into, part in zip(last, state):
                into.append(part)
        x = torch.cat(outputs, -1)
        if module.variational and module.training and layer + 1 < module.num_layers:
            x = x * (next(numbers)[0] >= module.dropout) / (1 - module.dropout)
    return [x, *map(torch.stack, last)]


SQUASHES = {"tanh": {}, "softsign": {"activation": "softsign"}}
EXTENDED = {
    **{f"rnn {s}": ("RNN", {"nonlinearity": s}) for s in ("tanh", "relu", "softsign")},
    **{f"gru {s}": ("GRU", given) for s, given in SQUASHES.items()},
    **{
        " ".join(["lstm", s, *extra]): ("LSTM", {**given, **extra})
        for s, given in SQUASHES.items()
        for n in range(4)
        for chosen in itertools.combinations(
            {"proj_size": P, "peephole": True, "layer_norm": True}.items(), n
        )
        for extra in [dict(chosen)]
    },
}
# hidden dropout, zoneout, training; a zoneout of two numbers is meant for an LSTM
NOISES = [
    (0.0, 0.0, True),
    (0.4, 0.0, True),
    (0.0, (0.5, 0.2), True),
    (0.3, 0.4, True),
    (0.3, (0.6, 0.0), True),
    (0.4, (0.1, 0.7), False),
]
SHORT = 4


@pytest.mark.parametrize("kind", EXTENDED)
def test_options(kind):
    """What a kernel sees in every combination; the form of the call and of the stack in turns."""
    name, given = EXTENDED[kind]
    rng = np.random.default_rng(0)
    turns = np.random.default_rng(1)
    for number, (noise, size, padded, bidirectional) in enumerate(itertools.product(
        NOISES, (None, 1, 2), (False, True), (False, True)
    )):  # fmt: skip
        hidden, zoneout, training = noise
        if name != "LSTM" and isinstance(zoneout, tuple):
            zoneout = zoneout[0]
        layers, bias, batch_first, variational, with_state, packs = (
            int(turns.choice([1, 2])), *(bool(x) for x in turns.random(5) < 0.5)
        )  # fmt: skip
        form = "packed" if padded and packs else "lengths" if padded else "batched"
        if not padded and number % 5 == 0:
            form = "unbatched"
        options = {"bidirectional": bidirectional, "bias": bias, "batch_first": batch_first}
        options |= {"recurrent_dropout": hidden, "zoneout": zoneout}
        if variational and layers == 2:
            options |= {"variational": True, "dropout": 0.3}
        what = f"{kind} {layers} layers {options} {training=} truncate={size} {form} {with_state=}"
        module = getattr(nn, name)(I, H, layers, **given, **options, dtype="float64")
        module.train(training)
        for p in module.parameters():
            with mg.no_grad():
                p.copy_(mg.tensor(rng.standard_normal(tuple(p.shape))))
        recorded = record(module, rng)
        check_written_out(module, form, size, with_state, recorded, rng, what)


def record(module, rng):
    """From now on the module gets its random numbers from here. What it got: a list for each
    direction of each layer, and for each dropout between layers, that draws anything. What is the
    same at every step is drawn first for all, the states before what is between.
    """
    groups, masks = [], [[]]

    def factors(p, *shape):
        into = groups[-1] if groups else masks[0]
        into.append(rng.random(shape))
        return mg.tensor((into[-1] >= p) / max(1 - p, 1e-9))

    def apart(method, kept):
        def call(*args):
            if not groups:  # all masks are there
                n = module.num_layers * module.directions if module.recurrent_dropout else 0
                masks[:] = iter(masks[0][:n]), iter(masks[0][n:])
            groups.append([mask for mask in [next(masks[kept], None)] if mask is not None])
            return method(*args)

        return call

    module.factors = factors
    module.noise, module.between = apart(module.noise, 0), apart(module.between, 1)
    return groups


def check_written_out(module, form, size, with_state, recorded, rng, what):
    batch = 1 if form == "unbatched" else 3
    lengths = [2, 4, 1] if form in ("lengths", "packed") else [SHORT] * batch
    n = module.num_layers * (1 + module.bidirectional)
    values = [rng.standard_normal((SHORT, batch, I))]
    values += [rng.standard_normal((n, batch, s)) for s in sizes_of(module)]
    kept = 1 + (len(values) - 1) * with_state
    x, *parts = leaves = [mg.tensor(v, requires_grad=True) for v in values[:kept]]
    if form == "unbatched":
        x, parts = x[:, 0], [part[:, 0] for part in parts]
    elif module.batch_first:
        x = x.transpose(0, 1)
    hx = as_state(parts) if with_state else None
    pad = {"batch_first": module.batch_first, "total_length": SHORT}
    if form == "packed":
        u = nn.utils.rnn
        x = u.pack_padded_sequence(x, lengths, batch_first=module.batch_first, enforce_sorted=False)
        y, state = module(x, hx, truncate=size)
        outputs = [u.pad_packed_sequence(y, **pad)[0], *as_parts(state)]
    else:
        given = lengths if form == "lengths" else None
        outputs = flat(module(x, hx, lengths=given, truncate=size))
    if form == "unbatched":
        outputs = [y.unsqueeze(1) for y in outputs]
    elif module.batch_first:
        outputs[0] = outputs[0].transpose(0, 1)

    theirs = [torch.tensor(v, requires_grad=True) for v in values]
    if not with_state:
        theirs[1:] = [torch.zeros_like(part) for part in theirs[1:]]
    params = {
        name: torch.tensor(p.numpy(), requires_grad=True) for name, p in module.state_dict().items()
    }
    numbers = iter([[torch.tensor(x) for x in group] for group in recorded if group])
    expected = written_out(
        module, params, theirs[0], theirs[1:], torch.tensor(lengths), size, numbers
    )
    assert next(numbers, None) is None, f"{what}: more was drawn than is used"
    weights = [rng.standard_normal(tuple(y.shape)) for y in expected]
    compare(
        derivatives(outputs, map(mg.tensor, weights), leaves, module.named_parameters()),
        derivatives(expected, map(torch.tensor, weights), theirs[:kept], params.items()),
        1e-9,
        what,
    )
