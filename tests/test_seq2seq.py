"""The translator: truncated backpropagation, padding, permutation, attention, search."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

import minigrad as mg
from datasets import BOS, EOS, PAD, Batch
from models.search import greedy_search
from models.seq2seq import Attention, Seq2Seq, backward_in_windows, token_losses

SOURCES, TARGETS = 23, 19
MODELS = [(attention, layers) for attention in (True, False) for layers in (1, 2)]


def model_of(attention=True, layers=1, seed=0, dtype="float64"):
    mg.manual_seed(seed)
    model = Seq2Seq(SOURCES, TARGETS, 6, 8, layers, attention=attention).to(dtype=dtype)
    for (
        name,
        p,
    ) in (
        model.named_parameters()
    ):  # away from the symmetric start, so that nothing is small by chance
        p.array *= 2 if "weight" in name else 1
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


def gradients(model, batch, window=None):
    for p in model.parameters():
        p.grad = None
    loss = backward_in_windows(model, batch, window)
    return loss, {
        name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None
    }


def full_backward(model, batch):
    """Full backpropagation as a newcomer would write it."""
    for p in model.parameters():
        p.grad = None
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


@pytest.mark.parametrize("attention, layers", MODELS)
@pytest.mark.parametrize("extra", [0, 1, 50])
def test_a_window_of_the_target_length_gives_full_backpropagation_exactly(attention, layers, extra):
    model, batch = model_of(attention, layers), Batch.of(examples())
    window = len(batch.target_in) + extra
    assert_same(gradients(model, batch, window), full_backward(model, batch), rtol=0, atol=1e-14)


def truncated_by_hand(model, batch, window):
    """The same windows in one graph: the decoder step by step, its state cut at the borders."""
    for p in model.parameters():
        p.grad = None
    memory = model.encode(batch)
    state, losses = memory.state, []
    for t in range(len(batch.target_in)):
        if t and t % window == 0:
            state = tuple(mg.tensor(s.detach().numpy()) for s in state)
        logits, state = model.decoder(mg.tensor(batch.target_in[t : t + 1]), state, memory)
        losses.append(token_losses(logits, mg.tensor(batch.target_out[t : t + 1])).sum())
    loss = mg.stack(losses).sum() / batch.target_tokens
    loss.backward()
    return float(loss), {
        n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None
    }


@pytest.mark.parametrize("attention, layers", MODELS)
@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_a_shorter_window_gives_the_gradients_of_the_written_out_truncation(
    attention, layers, window
):
    model, batch = model_of(attention, layers), Batch.of(examples(8, seed=3))
    assert len(batch.target_in) == 8  # so a window of 3 or 5 leaves a short one at the end
    got = gradients(model, batch, window)
    assert_same(got, truncated_by_hand(model, batch, window), rtol=1e-9, atol=1e-13)
    full = full_backward(model, batch)[1]["decoder.lstm.weight_hh_l0"]
    assert not np.allclose(got[1]["decoder.lstm.weight_hh_l0"], full, rtol=1e-3)


def test_every_window_reaches_the_encoder_through_attention():
    model, batch = model_of(), Batch.of(examples())
    assert np.abs(gradients(model, batch, 1)[1]["encoder.lstm.weight_ih_l0_reverse"]).max() > 0


def test_the_decoders_graph_is_bounded_by_the_window():
    model = model_of(dtype="float32")
    long = Batch.of(
        [([5, 6, 7], list(np.random.default_rng(0).integers(4, TARGETS, 600))) for _ in range(8)]
    )

    def peak(window):
        backward_in_windows(model, long, window)  # gradients exist from here on
        tracemalloc.start()
        backward_in_windows(model, long, window)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(10) < peak(None) / 10
    assert peak(10) < peak(20) < peak(100)


@pytest.mark.parametrize("attention, layers", MODELS)
def test_more_padding_changes_nothing(attention, layers):
    model, batch = model_of(attention, layers), Batch.of(examples())
    for window in (None, 2):
        assert_same(
            gradients(model, wider(batch), window),
            gradients(model, batch, window),
            rtol=0,
            atol=1e-13,
        )
    assert greedy_search(model, wider(batch), 12) == greedy_search(model, batch, 12)


@pytest.mark.parametrize("attention, layers", MODELS)
def test_permuting_the_batch_changes_nothing(attention, layers):
    model, made = model_of(attention, layers), examples()
    order = [3, 0, 5, 1, 4, 2]
    batch, shuffled = Batch.of(made), Batch.of([made[n] for n in order])
    assert_same(gradients(model, shuffled), gradients(model, batch), rtol=0, atol=1e-13)
    translations = greedy_search(model, batch, 12)
    assert greedy_search(model, shuffled, 12) == [translations[n] for n in order]


@pytest.mark.parametrize("attention, layers", MODELS)
def test_a_sentence_alone_is_translated_as_in_company(attention, layers):
    model, made = model_of(attention, layers), examples(8, seed=5)
    together = greedy_search(model, Batch.of(made), 12)
    assert [greedy_search(model, Batch.of([example]), 12)[0] for example in made] == together


def test_greedy_search_says_the_most_probable_token_of_the_whole_prefix():
    """Each token again, from the full distribution given everything said before it."""
    model = model_of(seed=2)
    for source, _ in examples(5, seed=8):
        said = greedy_search(model, Batch.of([(source, [])]), 10)[0]
        for n in range(len(said) + (len(said) < 10)):
            logits = model(Batch.of([(source, said[:n])])).detach().numpy()[-1, 0]
            assert logits.argmax() == (said[n] if n < len(said) else EOS)


def test_greedy_search_ends_at_the_end_of_sentence_and_at_the_limit():
    model = model_of()
    model.decoder.output.bias.array[EOS] = 100
    assert greedy_search(model, Batch.of(examples()), 10) == [[]] * 6
    model.decoder.output.bias.array[EOS] = -100
    model.decoder.output.bias.array[PAD] = -100
    assert [len(ids) for ids in greedy_search(model, Batch.of(examples()), 10)] == [10] * 6


def test_a_limit_of_its_own_for_each_sentence():
    model, made = model_of(), examples()
    for banned in (EOS, PAD):
        model.decoder.output.bias.array[banned] = -100
    limits = [3, 1, 7, 2, 5, 4]
    together = greedy_search(model, Batch.of(made), limits)
    assert [len(ids) for ids in together] == limits
    for example, limit, ids in zip(made, limits, together):
        assert greedy_search(model, Batch.of([example]), limit) == [ids]


def test_attention_is_a_weighted_mean_over_real_tokens():
    mg.manual_seed(0)
    attention = Attention(4).double()
    rng = np.random.default_rng(0)
    queries, keys = rng.standard_normal((3, 2, 4)), rng.standard_normal((2, 5, 4))
    padding = np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]], bool).reshape(2, 1, 5)
    got, weights = attention(mg.tensor(queries), mg.tensor(keys), mg.tensor(padding))
    W, b = attention.combine.weight.detach().numpy(), attention.combine.bias.detach().numpy()
    for sentence, length in ((0, 3), (1, 5)):
        for step in range(3):
            e = np.exp(keys[sentence, :length] @ queries[step, sentence])
            p = e / e.sum()
            np.testing.assert_allclose(
                weights.detach().numpy()[sentence, step, :length], p, rtol=1e-10
            )
            expected = np.tanh(
                W @ np.concatenate([p @ keys[sentence, :length], queries[step, sentence]]) + b
            )
            np.testing.assert_allclose(got.detach().numpy()[step, sentence], expected, rtol=1e-10)
    assert (weights.detach().numpy()[0, :, 3:] == 0).all()


def test_a_row_that_is_all_padding_makes_no_nan():
    attention = Attention(4)
    got, weights = attention(
        mg.randn(1, 1, 4), mg.randn(1, 3, 4), mg.tensor(np.ones((1, 1, 3), bool))
    )
    assert np.isfinite(got.detach().numpy()).all() and np.isfinite(weights.detach().numpy()).all()


def test_a_loss_is_the_mean_over_real_tokens():
    model, batch = model_of(), Batch.of(examples())
    logits = model(batch).detach().numpy()
    total = count = 0
    for t, b in np.ndindex(*batch.target_out.shape):
        if batch.target_out[t, b] != PAD:
            x = logits[t, b]
            total += np.log(np.exp(x).sum()) - x[batch.target_out[t, b]]
            count += 1
    assert backward_in_windows(model, batch) == pytest.approx(total / count, rel=1e-12)
    assert count == batch.target_tokens == sum(len(t) + 1 for _, t in examples())


def test_the_model_learns_to_reverse():
    """Reversing short sequences needs the whole path from source to target."""
    rng = np.random.default_rng(0)
    for seed in (0, 1):
        mg.manual_seed(seed)
        model = Seq2Seq(12, 12, 16, 32)
        optimizer = mg.optim.Adam(model.parameters(), lr=0.01)

        def make(n):
            sources = [rng.integers(4, 12, rng.integers(2, 6)).tolist() for _ in range(n)]
            return [(source, source[::-1]) for source in sources]

        for _ in range(250):
            optimizer.zero_grad()
            backward_in_windows(model, Batch.of(make(64)))
            mg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        unseen = make(200)
        model.eval()
        right = [a == b for a, (_, b) in zip(greedy_search(model, Batch.of(unseen), 10), unseen)]
        assert np.mean(right) >= 0.95, (seed, np.mean(right))


def test_dropout_is_off_when_translating():
    mg.manual_seed(0)
    model = Seq2Seq(SOURCES, TARGETS, 6, 8, dropout=0.5).eval()
    batch = Batch.of(examples())
    assert (model(batch).detach().numpy() == model(batch).detach().numpy()).all()
    model.train()
    assert (model(batch).detach().numpy() != model(batch).detach().numpy()).any()


def test_the_first_token_the_decoder_hears_is_the_beginning():
    assert (Batch.of(examples()).target_in[0] == BOS).all()
