"""Search against brute force, against a beam search as a newcomer would write it, and against
greedy search written out.
"""

import dataclasses
import functools
import itertools
import math

import numpy as np
import pytest

import minigrad as mg
from datasets import BOS, EOS, PAD, UNK, Batch
from models import search as module
from models.options import ATTENTIONS, CELLS, ModelOptions
from models.search import Search, forced, search
from models.seq2seq import Seq2Seq
from devices import DEVICES

SOURCES, TARGETS = 9, 7
WORDS = [UNK, *range(4, TARGETS)]

KINDS = {
    f"{cell} {attention}": {"cell": cell, "attention": attention}
    for cell in CELLS
    for attention in ATTENTIONS
} | {
    "input feeding": {"cell": "gru", "attention": "additive", "input_feeding": True},
    "coverage": {"attention": "general", "coverage": True, "input_feeding": True},
    "deep": {"layers": 2, "encoder_layers": 1, "peeky": True, "reverse_source": True},
    "tied": {"cell": "rnn", "attention": "none", "tie": "target", "layers": 2},
}
FEW = "lstm dot", "rnn none", "input feeding", "coverage", "gru multi-head", "deep"


@functools.cache
def model_of(kind="lstm dot", seed=0, targets=TARGETS, ends=0.0):
    """Double precision, large weights: every step depends on the ones before. `ends` is added to
    the logit of </s>.
    """
    mg.manual_seed(seed)
    options = ModelOptions(embedding_size=4, hidden_size=6, heads=2, **KINDS[kind])
    model = Seq2Seq(SOURCES, targets, options).double().eval()
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        p.array[...] = rng.uniform(-1.5, 1.5, p.shape)
    model.decoder.output.bias.array[EOS] += ends
    return model


def sources(n=5, seed=0, longest=6):
    rng = np.random.default_rng(seed)
    return [rng.integers(4, SOURCES, size).tolist() for size in rng.integers(1, longest, n)]


def batch_of(sources, targets=None):
    return Batch.of(list(zip(sources, targets or [[]] * len(sources))))


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


class Oracle:
    """What models say after a prefix, by teacher forcing of one sentence; the mean of their
    probabilities and of their attention.
    """

    def __init__(self, models, source):
        self.models, self.source, self.known = models, source, {}
        self.weights = functools.cache(lambda tokens: self.all_of(tokens)[1])

    def all_of(self, target):
        """Log-probabilities (T, V) after every prefix of the target, and weights (T, S) or None."""
        each, weights = [], []
        batch = batch_of([self.source], [target])
        with mg.no_grad():
            for model in self.models:
                memory = model.encode(batch)
                said = model.decoder(mg.as_tensor(batch.target_in), memory.start, memory)
                each.append(np.exp(log_softmax(said.logits.numpy()[:, 0])))
                if said.weights is not None:
                    weights.append(said.weights.numpy()[0])
        return np.log(np.mean(each, 0)), np.mean(weights, 0) if weights else None

    def __call__(self, prefix):
        if tuple(prefix) not in self.known:
            for n, row in enumerate(self.all_of(prefix)[0]):
                self.known[tuple(prefix[:n])] = row
        return self.known[tuple(prefix)]


def allowed(prefix, limit, how, vocabulary=TARGETS):
    """What may follow."""
    if len(prefix) >= limit:
        return [EOS]
    n, some = how.no_repeat, [UNK, *range(4, vocabulary)]
    if n:
        grams = {tuple(prefix[at : at + n]) for at in range(len(prefix) - n + 1)}
        tail = prefix[len(prefix) - n + 1 :] if n <= len(prefix) + 1 else None
        some = [w for w in some if tail is None or (*tail, w) not in grams]
    if len(prefix) >= how.min_length:
        some = [*some, EOS]
    return some or [EOS]


def rank(oracle, tokens, log_probability, how):
    """Wu et al. (2016), equation 14."""
    score = log_probability / ((5 + len(tokens) + 1) / 6) ** how.length_penalty
    if how.coverage_penalty:
        attended = oracle.weights(tuple(tokens))
        for column in attended.T if attended is not None else []:
            score += how.coverage_penalty * math.log(min(max(column.sum(), 1e-9), 1))
    return score


def brute_force(oracle, limit, how):
    """Every sequence that may be said, best first."""
    found = []
    for length in range(limit + 1):
        for tokens in itertools.product(WORDS, repeat=length):
            whole, total = [*tokens, EOS], 0.0
            for n, token in enumerate(whole):
                if token not in allowed(whole[:n], limit, how):
                    break
                total += oracle(whole[:n])[token]
            else:
                found.append((list(tokens), rank(oracle, tokens, total, how), total))
    return sorted(found, key=lambda one: -one[1])


def slow_beam(oracle, limit, how, vocabulary=TARGETS):
    """Beam search that never stops early."""
    live, done = [([], 0.0)], []
    while live:
        every = []
        for tokens, total in live:
            row = oracle(tokens)
            every += [
                ([*tokens, t], total + row[t]) for t in allowed(tokens, limit, how, vocabulary)
            ]
        every = sorted(every, key=lambda one: -one[1])[: how.beam - len(done)]
        live = [one for one in every if one[0][-1] != EOS]
        for tokens, total in every:
            if tokens[-1] == EOS:
                done.append((tokens[:-1], rank(oracle, tokens[:-1], total, how), total))
    return sorted(done, key=lambda one: -one[1])[: how.best]


def assert_found(found, expected):
    assert [h.tokens for h in found] == [tokens for tokens, _, _ in expected]
    np.testing.assert_allclose([h.score for h in found], [s for _, s, _ in expected], rtol=1e-9)
    np.testing.assert_allclose(
        [h.log_probability for h in found], [p for _, _, p in expected], rtol=1e-9
    )


HOWS = {
    "plain": {},
    "length penalty": {"length_penalty": 0.8},
    "strong length penalty": {"length_penalty": 3.0},
    "coverage penalty": {"coverage_penalty": 0.7},
    "both penalties": {"length_penalty": 1.0, "coverage_penalty": 0.4},
    "minimum": {"min_length": 2},
    "no unigram twice": {"no_repeat": 1},
    "no bigram twice": {"no_repeat": 2, "min_length": 1},
    "no unigram twice but many": {"no_repeat": 1, "min_length": 9},
    "everything": {
        "length_penalty": 1.3, "coverage_penalty": 0.2, "min_length": 2, "no_repeat": 2,
    },
}  # fmt: skip
of_hows = pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)


@pytest.fixture(scope="module")
def oracle():
    return Oracle([model_of()], [4, 8, 5])


@of_hows
@pytest.mark.parametrize("best", [1, 85])
def test_a_beam_wide_enough_finds_what_brute_force_finds(how, best, oracle):
    how = Search(beam=85, best=best, **how)
    (found,) = search(oracle.models, batch_of([oracle.source]), 3, how)
    assert_found(found, brute_force(oracle, 3, how)[:best])


@pytest.mark.parametrize("kind", FEW)
@pytest.mark.parametrize("beam, best", [(1, 1), (2, 1), (4, 3)])
def test_a_narrow_beam_is_a_plainly_written_one(kind, beam, best):
    some, model = sources(3, seed=beam), model_of(kind, seed=beam)
    limits = [3 + n for n in range(len(some))]
    oracles = [Oracle([model], source) for source in some]
    for how in HOWS.values():
        how = Search(beam=beam, best=best, **how)
        for found, oracle, limit in zip(
            search([model], batch_of(some), limits, how), oracles, limits
        ):
            assert_found(found, slow_beam(oracle, limit, how))


@pytest.mark.parametrize("beam", [2, 9, 60])
def test_many_words_and_beams_of_every_width(beam):
    some, model, how = sources(3), model_of(targets=60), Search(beam, 0.6, best=min(beam, 10))
    for source, found in zip(some, search([model], batch_of(some), 5, how)):
        assert_found(found, slow_beam(Oracle([model], source), 5, how, 60))


@pytest.mark.parametrize("ends", [-3.0, 0.0, 3.0])
@pytest.mark.parametrize("length_penalty", [0.0, 0.5, 2.0])
def test_stopping_early_loses_nothing_and_stops(monkeypatch, ends, length_penalty):
    model, some, limit = model_of(ends=ends), sources(4), 8
    steps = []
    say = module.Decoding.say
    monkeypatch.setattr(
        module.Decoding, "say", lambda self, tokens: steps.append(tokens) or say(self, tokens)
    )
    for beam, best in ((3, 1), (4, 3)):
        how = Search(beam, length_penalty, best=best)
        for source in some:
            steps.clear()
            (found,) = search([model], batch_of([source]), limit, how)
            assert_found(found, slow_beam(Oracle([model], source), limit, how))
            # once `best` are found, a live one goes on only if it could still be better
            assert len(steps) <= limit + 1
            if ends == 3.0 and length_penalty == 0:
                assert len(steps) < limit


@pytest.mark.parametrize("kind", KINDS)
def test_width_one_is_greedy_search(kind):
    model, some = model_of(kind, seed=3), sources(6)
    found = search([model], batch_of(some), 8)
    for source, (one,) in zip(some, found):
        memory = model.encode(batch_of([source]))
        state, token, said, total = memory.start, BOS, [], 0.0
        with mg.no_grad():
            while token != EOS:
                decoded = model.decoder(mg.tensor([[token]]), state, memory)
                state, row = decoded.state, log_softmax(decoded.logits.numpy()[0, 0])
                possible = np.where(np.isin(np.arange(TARGETS), [PAD, BOS]), -np.inf, row)
                token = EOS if len(said) == 8 else int(possible.argmax())
                total += row[token]
                said.append(token)
        assert one.tokens == said[:-1]
        assert one.score == one.log_probability == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_and_attention_are_those_of_forced_decoding(kind):
    model, some = model_of(kind, seed=1), sources(4)
    how = Search(beam=4, best=4, min_length=1)
    pairs = []
    for source, found in zip(some, search([model], batch_of(some), 7, how, attention=True)):
        assert found == sorted(found, key=lambda h: -h.score)
        pairs += [(source, hypothesis) for hypothesis in found]
    log_p, weights = forced(
        [model], batch_of([source for source, _ in pairs], [h.tokens for _, h in pairs])
    )
    for column, (source, hypothesis) in enumerate(pairs):
        T, S = len(hypothesis.tokens) + 1, len(source) + 1
        assert hypothesis.log_probability == pytest.approx(log_p[:, column].sum(), rel=1e-12)
        assert not log_p[T:, column].any()
        if weights is None:
            assert hypothesis.weights is None and model.options.attention == "none"
            continue
        assert hypothesis.weights.shape == (T, S)
        np.testing.assert_allclose(hypothesis.weights.sum(1), 1, rtol=1e-12)
        np.testing.assert_allclose(weights[column, :T, :S], hypothesis.weights, atol=1e-12)


def test_forced_decoding_of_a_long_translation_is_teacher_forcing():
    rng = np.random.default_rng(0)
    targets = [rng.integers(4, TARGETS, size).tolist() for size in (2 * module.WINDOW + 3, 2, 64)]
    for kind in ("lstm dot", "coverage", "rnn none"):
        model, batch = model_of(kind), batch_of(sources(3), targets)
        log_p, weights = forced([model], batch)
        with mg.no_grad():
            rows = log_softmax(model(batch).numpy())
        own = np.take_along_axis(rows, batch.target_out[..., None], 2)[..., 0]
        np.testing.assert_allclose(log_p, own * (batch.target_out != PAD), rtol=1e-10)
        assert (weights is None) == (kind == "rnn none")
        shape = (3, len(batch.target_out), len(batch.source))
        assert weights is None or weights.shape == shape


@pytest.mark.parametrize("kind", FEW)
def test_no_sentence_sees_another(kind):
    model, some = model_of(kind, seed=2), sources(9, seed=4)
    how = Search(3, 0.7, best=3, coverage_penalty=0.0 if kind == "rnn none" else 0.3)
    together = search([model], batch_of(some), 7, how, attention=True)
    backwards = search([model], batch_of(some[::-1]), 7, how, attention=True)[::-1]
    for n, source in enumerate(some):
        (alone,) = search([model], batch_of([source]), 7, how, attention=True)
        for found in (together[n], backwards[n]):
            assert [h.tokens for h in found] == [h.tokens for h in alone]
            for h, one in zip(found, alone):
                assert h.score == pytest.approx(one.score, rel=1e-12)
                if one.weights is not None:
                    np.testing.assert_allclose(h.weights, one.weights, atol=1e-12)


@of_hows
def test_an_ensemble_says_the_mean_of_the_probabilities(how):
    models = [model_of("lstm dot", 1), model_of("rnn none", 2), model_of("gru additive", 3)]
    some, how = sources(3), Search(beam=3, best=3, **how)
    for source, found in zip(some, search(models, batch_of(some), 4, how, attention=True)):
        oracle = Oracle(models, source)
        assert_found(found, slow_beam(oracle, 4, how))
        for h in found:
            np.testing.assert_allclose(h.weights, oracle.weights(tuple(h.tokens)), atol=1e-12)


def test_a_model_twice_is_the_model():
    model, some, how = model_of(), sources(4), Search(beam=3, best=3, length_penalty=0.5)
    once, twice = (search([model] * n, batch_of(some), 6, how) for n in (1, 2))
    for one, other in zip(once, twice):
        assert_found(other, [(h.tokens, h.score, h.log_probability) for h in one])
    batch = batch_of(some, [[4, 5]] * 4)
    np.testing.assert_allclose(forced([model], batch)[0], forced([model] * 2, batch)[0], rtol=1e-12)


def test_limits():
    model, some = model_of(ends=-20.0), sources(4)
    found = search([model], batch_of(some), [0, 1, 5, 2], Search(2, best=2))
    assert [[len(h.tokens) for h in hypotheses] for hypotheses in found] == [
        [0], [1, 1], [5, 5], [2, 2],
    ]  # fmt: skip
    # what is not long enough ends at the limit all the same
    for hypotheses in search([model], batch_of(some), 3, Search(2, min_length=10)):
        assert [len(h.tokens) for h in hypotheses] == [3]
    model = model_of(ends=20.0)
    for hypotheses in search([model], batch_of(some), 9, Search(3, min_length=4, best=3)):
        assert {len(h.tokens) for h in hypotheses} == {4}


def test_a_vocabulary_without_words():
    model = model_of(targets=4)
    (found,) = search([model], batch_of([[4]]), 3, Search(9, no_repeat=1, best=9))
    assert sorted(h.tokens for h in found) == [[], [UNK]]
    (found,) = search([model], batch_of([[4]]), 3, Search(3, no_repeat=1, min_length=3))
    assert [h.tokens for h in found] == [[UNK]]  # nothing is left to say


def test_without_attention_there_is_no_coverage():
    model, some = model_of("rnn none"), sources(3)
    plain, covered = (
        search([model], batch_of(some), 5, Search(3, coverage_penalty=c)) for c in (0.0, 5.0)
    )
    assert plain == covered


def test_the_score_by_hand():
    how = Search(beam=2, length_penalty=2.0, coverage_penalty=3.0)
    weights = np.array([[0.5, 0.4, 0.1], [0.9, 0.0, 0.1]])
    expected = -6 / (7 / 6) ** 2 + 3 * (math.log(1) + math.log(0.4) + math.log(0.2))
    assert how.score(-6.0, 2, weights) == pytest.approx(expected, rel=1e-12)
    assert how.score(-6.0, 2, None) == pytest.approx(-6 / (7 / 6) ** 2, rel=1e-12)
    assert math.isfinite(how.score(-6.0, 2, weights * [1, 0, 1]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"beam": 0}, {"beam": 2.0}, {"best": 2}, {"best": 0, "beam": 3}, {"min_length": -1},
        {"no_repeat": -1}, {"length_penalty": -1}, {"length_penalty": math.nan},
        {"coverage_penalty": math.inf}, {"beam": True},
    ],
)  # fmt: skip
def test_a_search_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="best" if wrong == {"best": 2} else next(iter(wrong))):
        Search(**wrong)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("beam", [1, 3, 20])
def test_a_model_that_says_no_numbers_is_named(value, beam):
    model = Seq2Seq(SOURCES, 30, ModelOptions(embedding_size=4, hidden_size=6))
    model.decoder.output.bias.array[5] = value
    with pytest.raises(FloatingPointError, match="finite"):
        search([model], batch_of(sources()), 5, Search(beam))
    with pytest.raises(FloatingPointError, match="finite"):
        forced([model], batch_of(sources(2), [[4], [5, 6]]))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", FEW)
def test_on_another_device(kind, device):
    some, model = sources(3), model_of(kind)
    more = {"coverage_penalty": 0.5} if model.decoder.attention is not None else {}
    hows = [Search(), Search(3, 0.6, best=2, no_repeat=2, min_length=1, **more), Search(20)]
    state = model.state_dict()
    there = Seq2Seq(SOURCES, TARGETS, dataclasses.replace(model.options)).double().eval()
    there.load_state_dict(state)
    there.to(device=device)
    for how in hows:
        for models, others in (([model], [there]), ([model] * 2, [there] * 2)):
            here = search(models, batch_of(some), 5, how, attention=True)
            found = search(others, batch_of(some), 5, how, attention=True)
            for one, other in zip(here, found):
                assert_found(other, [(h.tokens, h.score, h.log_probability) for h in one])
    batch = batch_of(some, [[4], [5, 6, 4], []])
    np.testing.assert_allclose(forced([model], batch)[0], forced([there], batch)[0], rtol=1e-12)
