"""The translator's models: padding, order and company, truncated backpropagation, attention,
written out by hand.
"""

import dataclasses
import itertools
import tracemalloc

import numpy as np
import pytest

import minigrad as mg
from datasets import BOS, EOS, PAD, Batch
from models.attention import KINDS, Annotations, MultiHead
from models.objective import Objective, token_losses
from models.options import ATTENTIONS, CELLS, TIES, ModelOptions, OptionError
from models.search import search
from models.seq2seq import Seq2Seq, turned

SOURCES = TARGETS = 19

# what is put on top of every cell and attention: each option alone, and some together
EXTRAS = {
    "": {},
    "deep": {"layers": 2, "encoder_layers": 3, "encoder_hidden_size": 5},
    "shallow encoder": {"layers": 2, "encoder_layers": 1, "bidirectional": False},
    "as it is": {"bidirectional": False},
    "input feeding": {"input_feeding": True},
    "direct": {"direct_readout": True, "input_feeding": True},
    "coverage": {"coverage": True},
    "peeky": {"peeky": True},
    "reversed": {"reverse_source": True},
    "hidden only": {"hidden_only": True},
    "tied": {"tie": "target"},
    "all": {
        "layers": 2, "input_feeding": True, "coverage": True, "peeky": True, "tie": "all",
        "reverse_source": True,
    },
    "normed": {"layer_norm": True},
}  # fmt: skip


def valid_options():
    """Every cell × attention × extra that is not refused."""
    found = {}
    for cell, attention, (name, extra) in itertools.product(CELLS, ATTENTIONS, EXTRAS.items()):
        more = {"embedding_size": 6, "hidden_size": 8, "heads": 2}
        try:
            options = ModelOptions(cell=cell, attention=attention, **more, **extra)
        except OptionError:
            continue
        found[f"{cell} {attention} {name}".strip()] = options
    return found


VALID = valid_options()
of_all = pytest.mark.parametrize("options", VALID.values(), ids=VALID)
# each cell and attention, plain and with everything, and each extra once
SOME = {
    name: options
    for name, options in VALID.items()
    if name.count(" ") == 1 or name.endswith(" all") or name.startswith("lstm dot")
}
of_some = pytest.mark.parametrize("options", SOME.values(), ids=SOME)
names = "lstm dot", "lstm none", "gru additive all", "rnn general all", "lstm multi-head deep"
FEW = {name: VALID[name] for name in (*names, "lstm dot coverage")}
of_few = pytest.mark.parametrize("options", FEW.values(), ids=FEW)


def model_of(options=None, seed=0, **more):
    options = options or ModelOptions(embedding_size=6, hidden_size=8, **more)
    mg.manual_seed(seed)
    model = Seq2Seq(SOURCES, TARGETS, options).double()
    rng = np.random.default_rng(seed)
    for name, p in model.named_parameters():  # so that nothing is small or zero by chance
        p.array[...] = rng.uniform(-0.9, 0.9, p.shape)
        if "embedding" in name:
            p.array[PAD] = 0
    return model


def examples(n=6, seed=0, longest=9):
    rng = np.random.default_rng(seed)
    sizes = [(s, t) for s, t in rng.integers(1, longest, (n, 2))]
    return [
        (rng.integers(4, SOURCES, s).tolist(), rng.integers(4, TARGETS, t).tolist())
        for s, t in sizes
    ]


def wider(batch, source=3, target=4):
    """The same sentences with more padding."""
    add = lambda x, n: np.pad(x, ((0, n), (0, 0)), constant_values=PAD)  # noqa: E731
    return dataclasses.replace(
        batch,
        source=add(batch.source, source),
        target_in=add(batch.target_in, target),
        target_out=add(batch.target_out, target),
    )


def gradients(model, batch, **objective):
    model.zero_grad()
    loss = float(Objective(**objective).backward(model, batch))
    return loss, {n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None}


def full_backward(model, batch):
    """Full backpropagation as a newcomer would write it."""
    model.zero_grad()
    loss = token_losses(model(batch), mg.tensor(batch.target_out)).sum() / batch.target_tokens
    loss.backward()
    return float(loss), {
        n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None
    }


def assert_same(a, b, **tolerance):
    assert a[0] == pytest.approx(b[0], rel=1e-12)
    assert a[1].keys() == b[1].keys()
    for name in a[1]:
        np.testing.assert_allclose(a[1][name], b[1][name], err_msg=name, **tolerance)


# every combination


@of_all
def test_every_parameter_learns(options):
    model, batch = model_of(options), Batch.of(examples())
    _, grads = gradients(model, batch, smoothing=0.1)
    for name, p in model.named_parameters():
        assert name in grads and np.abs(grads[name]).max() > 0, name


@of_some
def test_more_padding_changes_nothing(options):
    model, batch = model_of(options), Batch.of(examples())
    assert_same(gradients(model, wider(batch)), gradients(model, batch), rtol=0, atol=1e-12)
    assert said(model, wider(batch)) == said(model, batch)


@of_some
def test_permuting_the_batch_changes_nothing(options):
    model, made = model_of(options), examples()
    order = [3, 0, 5, 1, 4, 2]
    batch, shuffled = Batch.of(made), Batch.of([made[n] for n in order])
    assert_same(gradients(model, shuffled), gradients(model, batch), rtol=0, atol=1e-12)
    translations = said(model, batch)
    assert said(model, shuffled) == [translations[n] for n in order]


@of_some
def test_a_sentence_alone_is_translated_as_in_company(options):
    model, made = model_of(options), examples(8, seed=5)
    together = said(model, Batch.of(made))
    assert [said(model, Batch.of([example]))[0] for example in made] == together


@of_all
def test_all_steps_at_once_are_the_steps_one_by_one(options):
    """With nothing heard from itself, the loop over the steps is the decoder at once."""
    model, batch = model_of(options), Batch.of(examples())
    memory = model.encode(batch)
    target, nothing = mg.tensor(batch.target_in), np.zeros(batch.target_in.shape, bool)
    at_once = model.decoder(target, memory.start, memory)
    stepwise = model.decoder(target, memory.start, memory, nothing)
    np.testing.assert_allclose(
        at_once.logits.detach().numpy(), stepwise.logits.detach().numpy(), atol=1e-12
    )
    if at_once.weights is not None:
        np.testing.assert_allclose(
            at_once.weights.detach().numpy(), stepwise.weights.detach().numpy(), atol=1e-12
        )


def said(model, batch, limit=12):
    return [found[0].tokens for found in search([model], batch, limit)]


# truncated backpropagation


@of_few
@pytest.mark.parametrize("extra", [0, 1, 50])
def test_a_window_of_the_target_length_gives_full_backpropagation_exactly(options, extra):
    model, batch = model_of(options), Batch.of(examples())
    window = len(batch.target_in) + extra
    got = gradients(model, batch, window=window, encoder_window=window, coverage=0)
    assert_same(got, full_backward(model, batch), rtol=0, atol=1e-13)


def truncated_by_hand(model, batch, window):
    """The same windows in one graph: the decoder step by step, its state cut at the borders."""
    model.zero_grad()
    memory = model.encode(batch)
    state, losses = memory.start, []
    for t in range(len(batch.target_in)):
        if t and t % window == 0:
            state = state.detached()
        logits, state, _, _ = model.decoder(mg.tensor(batch.target_in[t : t + 1]), state, memory)
        losses.append(token_losses(logits, mg.tensor(batch.target_out[t : t + 1])).sum())
    loss = mg.stack(losses).sum() / batch.target_tokens
    loss.backward()
    return float(loss), {
        n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None
    }


@of_few
@pytest.mark.parametrize("window", [1, 3, 5])
def test_a_shorter_window_gives_the_gradients_of_the_written_out_truncation(options, window):
    model, batch = model_of(options), Batch.of(examples(8, seed=3))
    assert len(batch.target_in) == 8  # so a window of 3 or 5 leaves a short one at the end
    got = gradients(model, batch, window=window, coverage=0)
    assert_same(got, truncated_by_hand(model, batch, window), rtol=1e-9, atol=1e-13)
    full = full_backward(model, batch)[1]["decoder.rnn.weight_hh_l0"]
    assert not np.allclose(got[1]["decoder.rnn.weight_hh_l0"], full, rtol=1e-3)


def test_a_window_of_the_source_cuts_the_encoder_alone():
    model, batch = model_of(), Batch.of(examples())
    full, cut = gradients(model, batch), gradients(model, batch, encoder_window=2)
    assert cut[0] == full[0]
    for name in full[1]:
        same = np.allclose(cut[1][name], full[1][name], rtol=1e-9)
        assert same == (not name.startswith(("encoder.rnn", "encoder.embedding"))), name


def test_every_window_reaches_the_encoder_through_attention():
    model, batch = model_of(), Batch.of(examples())
    grads = gradients(model, batch, window=1)[1]
    assert np.abs(grads["encoder.rnn.weight_ih_l0_reverse"]).max() > 0


def test_the_decoders_graph_is_bounded_by_the_window():
    model = model_of().float()
    long = Batch.of(
        [([5, 6, 7], list(np.random.default_rng(0).integers(4, TARGETS, 600))) for _ in range(8)]
    )

    def peak(window):
        Objective(window).backward(model, long)  # gradients exist from here on
        tracemalloc.start()
        Objective(window).backward(model, long)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(10) < peak(None) / 10
    assert peak(10) < peak(20) < peak(100)


# the parts


def annotations_of(attention, ys, lengths):
    padding = np.arange(ys.shape[1])[None, None, :] >= np.array(lengths)[:, None, None]
    return attention.annotations(mg.tensor(ys), mg.tensor(padding))


def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def score_by_hand(kind, attention, query, y):
    weight = lambda layer: layer.weight.detach().numpy()  # noqa: E731
    if kind == "dot":
        return query @ weight(attention.keys) @ y
    if kind == "general":
        return query @ weight(attention.keys) @ y
    inside = weight(attention.query) @ query + attention.query.bias.detach().numpy()
    return weight(attention.energy)[0] @ np.tanh(inside + weight(attention.keys) @ y)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_is_a_weighted_mean_over_real_tokens(kind):
    mg.manual_seed(0)
    attention = KINDS[kind](4, 3).double()
    rng = np.random.default_rng(0)
    queries, ys, lengths = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 3)), (3, 5)
    context, weights = attention(mg.tensor(queries), annotations_of(attention, ys, lengths))
    for b, length in enumerate(lengths):
        for t in range(3):
            scores = [score_by_hand(kind, attention, queries[b, t], y) for y in ys[b, :length]]
            p = softmax(np.array(scores))
            np.testing.assert_allclose(weights.detach().numpy()[b, t, :length], p, rtol=1e-10)
            values = ys[b, :length]
            if kind == "dot":  # of another size than the queries: projected
                values = values @ attention.keys.weight.detach().numpy().T
            np.testing.assert_allclose(context.detach().numpy()[b, t], p @ values, rtol=1e-10)
    assert (weights.detach().numpy()[0, :, 3:] == 0).all()


def test_multi_head_attention_is_the_librarys():
    """nn.MultiheadAttention with the same weights, before its output layer."""
    mg.manual_seed(0)
    mine = MultiHead(8, 8, 2).double()
    theirs = mg.nn.MultiheadAttention(8, 2, batch_first=True, bias=True).double()
    with mg.no_grad():
        theirs.in_proj_weight.copy_(
            mg.cat([mine.query.weight, mine.keys.weight, mine.values.weight])
        )
        theirs.in_proj_bias.copy_(mg.cat([mine.query.bias, mine.keys.bias, mine.values.bias]))
        theirs.out_proj.weight.copy_(mg.eye(8).double())
        theirs.out_proj.bias.zero_()
    rng = np.random.default_rng(0)
    queries, ys = mg.tensor(rng.standard_normal((2, 3, 8))), rng.standard_normal((2, 5, 8))
    annotations = annotations_of(mine, ys, (3, 5))
    context, weights = mine(queries, annotations)
    y = mg.tensor(ys)
    expected, their_weights = theirs(queries, y, y, key_padding_mask=annotations.padding[:, 0])
    np.testing.assert_allclose(context.detach().numpy(), expected.detach().numpy(), atol=1e-12)
    their_weights = their_weights.detach().numpy()
    np.testing.assert_allclose(weights.detach().numpy(), their_weights, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_coverage_is_the_sum_of_the_weights_so_far(kind):
    options = ModelOptions(attention=kind, coverage=True, embedding_size=6, hidden_size=8)
    model, batch = model_of(options), Batch.of(examples())
    memory = model.encode(batch)
    decoded = model.decoder(mg.tensor(batch.target_in), memory.start, memory)
    weights = decoded.weights.detach().numpy()  # (B, T, S)
    np.testing.assert_allclose(decoded.state.coverage.detach().numpy()[:, 0], weights.sum(1))
    before = np.cumsum(weights, 1) - weights
    overlap = np.minimum(weights, before).sum(2).T  # (T, B)
    np.testing.assert_allclose(decoded.overlap.detach().numpy(), overlap, atol=1e-12)
    plain, more = (gradients(model, batch, coverage=c)[0] for c in (0.0, 0.5))
    real = batch.target_out != PAD
    assert more - plain == pytest.approx(0.5 * overlap[real].sum() / batch.target_tokens)


def test_a_row_that_is_all_padding_makes_no_nan():
    for kind in KINDS.values():
        attention = kind(4, 4)
        padding = mg.tensor(np.ones((1, 1, 3), bool))
        annotations = Annotations(mg.randn(1, 3, 4), mg.randn(1, 3, 4), padding)
        context, weights = attention(mg.randn(1, 1, 4), annotations)
        assert np.isfinite(context.detach().numpy()).all()
        assert np.isfinite(weights.detach().numpy()).all()


def test_words_are_turned_round_and_the_end_stays():
    lengths = np.array([3, 1, 5])  # </s> included
    source = np.array([[5, 6, EOS, 0, 0], [EOS, 0, 0, 0, 0], [7, 8, 9, 10, EOS]]).T
    order = turned(5, lengths)
    expected = [[6, 5, EOS, 0, 0], [EOS, 0, 0, 0, 0], [10, 9, 8, 7, EOS]]
    assert source[order].T.tolist() == expected
    assert (source[order][order] == source).all()


def test_a_reversed_source_is_the_reversed_sentence_and_attention_stays_in_place():
    plain = model_of(attention="none")
    reverse = model_of(attention="none", reverse_source=True)
    made = examples()
    backwards = [(source[::-1], target) for source, target in made]
    np.testing.assert_array_equal(
        reverse(Batch.of(made)).detach().numpy(), plain(Batch.of(backwards)).detach().numpy()
    )
    plain, reverse = model_of(), model_of(reverse_source=True)
    target = mg.tensor(Batch.of(made).target_in)
    weights = []
    for model, some in ((reverse, made), (plain, backwards)):
        memory = model.encode(Batch.of(some))
        weights.append(model.decoder(target, memory.start, memory).weights.detach().numpy())
    for b, (source, _) in enumerate(made):
        n = len(source)
        np.testing.assert_allclose(weights[0][b, :, :n], weights[1][b, :, :n][:, ::-1])


def test_the_cell_of_a_decoder_may_begin_at_zero():
    for more in ({}, {"bidirectional": False}):
        whole, half = model_of(**more), model_of(hidden_only=True, **more)
        half.load_state_dict(whole.state_dict(), strict=False)
        batch = Batch.of(examples())
        states = [model.encode(batch).start.rnn for model in (whole, half)]
        np.testing.assert_array_equal(states[0][0].detach().numpy(), states[1][0].detach().numpy())
        assert np.abs(states[0][1].detach().numpy()).min() > 0
        assert (states[1][1].detach().numpy() == 0).all()


@pytest.mark.parametrize("peeky", [False, True])
@mg.no_grad()
def test_a_direct_readout_is_of_context_and_state_as_they_are(peeky):
    model = model_of(attention="general", direct_readout=True, peeky=peeky)
    batch = Batch.of(examples())
    memory, target = model.encode(batch), mg.tensor(batch.target_in)
    decoded = model.decoder(target, memory.start, memory)
    hs, _ = model.decoder.rnn(model.decoder.heard(target, memory), memory.start.rnn)
    context = decoded.weights.numpy() @ memory.annotations.values.numpy()
    parts = [context.swapaxes(0, 1), hs.numpy()]
    if peeky:
        parts.append(np.repeat(memory.peek.numpy(), len(hs), axis=0))
    weight, bias = model.decoder.output.parameters()
    expected = np.concatenate(parts, axis=2) @ weight.detach().numpy().T + bias.detach().numpy()
    np.testing.assert_allclose(decoded.logits.numpy(), expected, rtol=1e-9)


def test_tied_weights_are_one():
    model = model_of(tie="target")
    assert model.decoder.output.weight is model.decoder.embedding.weight
    assert model.encoder.embedding.weight is not model.decoder.embedding.weight
    model = model_of(tie="all")
    assert model.encoder.embedding.weight is model.decoder.embedding.weight
    names = [name for name, _ in model.named_parameters()]
    assert sum("embedding" in name or "output.weight" in name for name in names) == 1
    with pytest.raises(OptionError, match="joint vocabulary, not 5 and 6 types"):
        Seq2Seq(5, 6, ModelOptions(tie="all"))


def test_the_decoder_hears_itself_where_it_is_told_to():
    """Each row by hand: the true token, or the most probable one of the step before."""
    for options in FEW.values():
        model, batch = model_of(options), Batch.of(examples())
        model.eval()
        memory = model.encode(batch)
        own = np.random.default_rng(1).random(batch.target_in.shape) < 0.5
        heard = mg.tensor(batch.target_in), memory.start, memory, mg.tensor(own)
        got = model.decoder(*heard)
        state, before = memory.start, None
        for t, true in enumerate(batch.target_in):
            heard = true if before is None else np.where(own[t], before, true)
            one = model.decoder(mg.tensor(heard[None]), state, memory)
            logits, state = one.logits.detach().numpy(), one.state
            np.testing.assert_allclose(got.logits.detach().numpy()[t], logits[0], atol=1e-12)
            before = logits[0].argmax(1)


@pytest.mark.parametrize("window", [None, 2])
def test_variational_dropout_is_the_same_in_all_windows_and_steps(window):
    """The mask is one draw for a sentence; the next sentences get another."""
    options = ModelOptions(
        embedding_size=6, hidden_size=8, recurrent_dropout=0.5, input_feeding=True
    )
    model, batch = model_of(options), Batch.of(examples())
    seen = []
    run = model.decoder.rnn.forward

    def watched(x, state, masks):
        seen.append(masks.states[0].numpy())
        return run(x, state, masks=masks)

    model.decoder.rnn.forward = watched
    gradients(model, batch, window=window)
    assert len(seen) == len(batch.target_in) and set(np.unique(seen[0])) == {0.0, 2.0}
    assert all((mask == seen[0]).all() for mask in seen)
    gradients(model, batch, window=window)
    assert not (seen[-1] == seen[0]).all()


# losses


def test_a_loss_is_the_mean_over_real_tokens():
    model, batch = model_of(), Batch.of(examples())
    logits = model(batch).detach().numpy()
    total = count = 0
    for t, b in np.ndindex(*batch.target_out.shape):
        if batch.target_out[t, b] != PAD:
            x = logits[t, b]
            total += np.log(np.exp(x).sum()) - x[batch.target_out[t, b]]
            count += 1
    assert gradients(model, batch)[0] == pytest.approx(total / count, rel=1e-12)
    assert count == batch.target_tokens == sum(len(t) + 1 for _, t in examples())


def test_smoothing_spreads_over_all_types_but_padding():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((3, 2, 7))
    target = np.array([[4, 5], [EOS, 6], [PAD, EOS]])
    got = token_losses(mg.tensor(logits), mg.tensor(target), 0.3).numpy()
    for t, b in np.ndindex(3, 2):
        log_p = np.log(softmax(logits[t, b]))
        truth = np.full(7, 0.3 / 6)
        truth[PAD] = 0
        truth[target[t, b]] += 0.7
        expected = 0 if target[t, b] == PAD else -(truth @ log_p)
        assert got[t, b] == pytest.approx(expected, rel=1e-10)


def test_batches_that_make_one_step_are_one_batch():
    model, made = model_of(), examples()
    whole = gradients(model, Batch.of(made))
    model.zero_grad()
    parts = [Batch.of(made[:2]), Batch.of(made[2:])]
    tokens = sum(part.target_tokens for part in parts)
    loss = sum(float(Objective().backward(model, p, tokens=tokens)) for p in parts)
    grads = {n: p.grad.numpy() for n, p in model.named_parameters()}
    assert_same((loss, grads), whole, rtol=1e-9, atol=1e-13)


# the whole


def test_the_model_learns_to_reverse():
    """Reversing short sequences needs the whole path from source to target."""
    rng = np.random.default_rng(0)
    for seed in (0, 1):
        mg.manual_seed(seed)
        model = Seq2Seq(12, 12, ModelOptions(embedding_size=16, hidden_size=32))
        optimizer = mg.optim.Adam(model.parameters(), lr=0.01)

        def make(n):
            sources = [rng.integers(4, 12, rng.integers(2, 6)).tolist() for _ in range(n)]
            return [(source, source[::-1]) for source in sources]

        for _ in range(250):
            optimizer.zero_grad()
            Objective().backward(model, Batch.of(make(64)))
            mg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        unseen = make(200)
        model.eval()
        right = [a == b for a, (_, b) in zip(said(model, Batch.of(unseen)), unseen)]
        assert np.mean(right) >= 0.95, (seed, np.mean(right))


def test_dropout_is_off_when_translating():
    model = model_of(dropout=0.5, recurrent_dropout=0.5).eval()
    batch = Batch.of(examples())
    assert (model(batch).detach().numpy() == model(batch).detach().numpy()).all()
    model.train()
    assert (model(batch).detach().numpy() != model(batch).detach().numpy()).any()


def test_the_first_token_the_decoder_hears_is_the_beginning():
    assert (Batch.of(examples()).target_in[0] == BOS).all()


REFUSED = {
    "input feeding without attention": ({"attention": "none", "input_feeding": True}, "input feed"),
    "coverage without attention": ({"attention": "none", "coverage": True}, "coverage"),
    "readout without attention": ({"attention": "none", "direct_readout": True}, "an attention"),
    "readout with a tie": ({"direct_readout": True, "tie": "target"}, "not go with tie"),
    "coverage of many heads": ({"attention": "multi-head", "coverage": True}, "multi-head"),
    "heads that do not divide": (
        {"attention": "multi-head", "heads": 3, "hidden_size": 8}, "3 heads do not divide .* 8"
    ),
    "norm of a GRU": ({"cell": "gru", "layer_norm": True}, "lstm, not for gru"),
    "hidden state of a GRU": ({"cell": "gru", "hidden_only": True}, "all that a gru has"),
    "variational with one layer": ({"variational": True, "dropout": 0.1}, "two layers"),
    "variational without dropout": ({"variational": True, "layers": 2}, "--dropout"),
    "an unknown cell": ({"cell": "mgu"}, "'mgu': expected one of lstm, gru, rnn"),
    "an unknown attention": ({"attention": "local"}, "'local': expected one of none"),
    "an unknown tie": ({"tie": "some"}, "'some': expected one of"),
    "a size of zero": ({"hidden_size": 0}, "hidden_size is 0"),
    "a size with a fraction": ({"layers": 1.5}, "layers is 1.5"),
    "a dropout of one": ({"dropout": 1.0}, "dropout is 1.0"),
    "a dropout of nan": ({"output_dropout": float("nan")}, "output_dropout is nan"),
    "embeddings of no size": ({"embedding_std": 0.0}, "embedding_std is 0.0: .* from 1e-06"),
    "a flag that is a word": ({"peeky": "no"}, "peeky is 'no'"),
}  # fmt: skip


@pytest.mark.parametrize("options, why", REFUSED.values(), ids=REFUSED)
def test_options_that_do_not_go_together_are_refused(options, why):
    with pytest.raises(OptionError, match=why):
        ModelOptions(**options)


def test_what_is_refused_is_refused_for_every_tie():
    for tie in TIES:
        with pytest.raises(OptionError):
            ModelOptions(attention="none", coverage=True, tie=tie)


# how weights begin


@pytest.mark.parametrize("cell, gates", [("lstm", 4), ("gru", 3), ("rnn", 1)])
@pytest.mark.parametrize("init", ["lecun", "xavier", "orthogonal"])
def test_weights_begin_gate_by_gate_as_the_papers_say(cell, gates, init):
    mg.manual_seed(0)
    more = {"forget_bias": 3.0} if cell == "lstm" else {}
    sizes = {"embedding_size": 60, "hidden_size": 80}
    model = Seq2Seq(50, 70, ModelOptions(cell=cell, init=init, tie="target", **sizes, **more))
    for name, p in model.named_parameters():
        layer, x = name.rsplit(".", 1)[-1], p.detach().numpy().astype(np.float64)
        if "embedding" in name or name.endswith("output.weight"):
            assert 0.1 < x.std() < 1.1  # normal; of size 1 / √60 where it is tied
        elif layer.startswith("bias"):
            forget = x[80:160] if cell == "lstm" and "rnn" in name else x[:0]
            assert np.isin(forget, [0, 3]).all()
            assert not np.delete(x, range(80, 80 + len(forget))).any()
        else:
            for block in np.split(x, gates if "rnn" in name else 1):
                outputs, inputs = block.shape
                if init == "orthogonal" and "_hh_" in name:
                    np.testing.assert_allclose(block @ block.T, np.eye(80), atol=1e-5)
                    continue
                variance = 1 / inputs if init == "lecun" else 2 / (inputs + outputs)
                assert block.var() == pytest.approx(variance, rel=0.1)
                largest = abs(block).max() / variance**0.5
                assert (
                    largest > 3 if init == "lecun" else largest == pytest.approx(3**0.5, rel=0.02)
                )
    biases = [p for n, p in model.named_parameters() if "rnn.bias" in n]
    if cell == "lstm":
        assert sum(float((p == 3).sum()) for p in biases) == 3 * 80


@pytest.mark.parametrize("tie", TIES)
@pytest.mark.parametrize("std", [None, 0.01])
def test_embeddings_begin_as_large_as_they_should(tie, std):
    """Of size 1, or 1 / √100 where they are the output layer; or as they are asked for."""
    mg.manual_seed(0)
    model = Seq2Seq(300, 300, ModelOptions(embedding_size=100, tie=tie, embedding_std=std))
    own = {"encoder": 0.1 if tie == "all" else 1, "decoder": 1 if tie == "none" else 0.1}
    for name, expected in own.items():
        weight = getattr(model, name).embedding.weight.detach().numpy()
        assert weight[1:].std() == pytest.approx(std or expected, rel=0.02)
        assert not weight[PAD].any()
