"""Tiny models learn tiny tasks to a stated accuracy, from several seeds."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.nn import functional as F
from minigrad.nn.utils import clip_grad_norm_

SEEDS = [0, 1, 2]


class Recurrent(nn.Module):
    """Tokens (T, B) and lengths -> logits of every step (T, B, classes), or of the last state."""

    def __init__(self, tokens, hidden, classes, bidirectional=False, last=True, **options):
        super().__init__()
        self.embedding = nn.Embedding(tokens, 8)
        self.rnn = nn.LSTM(8, hidden, bidirectional=bidirectional, **options)
        self.output = nn.Linear(hidden * (1 + bidirectional), classes)
        self.last = last

    def forward(self, tokens, lengths=None):
        y, (h, _) = self.rnn(self.embedding(tokens), lengths=lengths)
        return self.output(h[-1] if self.last else y)


def train(model, batches, steps, lr, accuracy=1.0):
    """Adam with clipping until `accuracy` on ten batches in a row; returns that last accuracy."""
    optimizer = optim.Adam(model.parameters(), lr=lr)
    recent = []
    for _ in range(steps):
        tokens, target, lengths = batches()
        logits = model(mg.tensor(tokens), lengths)
        logits, target = logits.reshape(-1, logits.shape[-1]), target.reshape(-1)
        loss = F.cross_entropy(logits, mg.tensor(target))
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent = [*recent[-9:], correct(logits, target)]
        if len(recent) == 10 and np.mean(recent) >= accuracy:
            break
    return np.mean(recent)


def correct(logits, target):
    real = target != -100
    return (logits.detach().numpy().argmax(-1) == target)[real].mean()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rule", [optim.SGD, optim.Adam])
def test_logistic_regression(rule, seed):
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)
    centres = np.array([[2, 0], [-2, 1], [0, -3]], dtype="float32")
    target = rng.integers(0, 3, 400)
    x = mg.tensor(centres[target] + 0.5 * rng.standard_normal((400, 2)).astype("float32"))
    model = nn.Linear(2, 3)
    optimizer = rule(model.parameters(), lr=0.2)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model(x[:200]), mg.tensor(target[:200])).backward()
        optimizer.step()
    assert correct(model(x[200:]), target[200:]) >= 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_recall_of_the_first_token_over_a_distance_of_15(seed):
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)

    def batches(B=32):
        tokens = rng.integers(4, 8, (16, B))
        tokens[0] = rng.integers(0, 4, B)
        return tokens, tokens[0].copy(), None

    model = Recurrent(8, 32, 4, forget_bias=1.0)
    train(model, batches, 1500, 0.005)
    tokens, target, _ = batches(500)
    with mg.no_grad():
        assert correct(model(mg.tensor(tokens)), target) >= 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_parity_of_bit_strings_of_different_lengths(seed):
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)

    def batches(B=64):
        lengths = rng.integers(1, 7, B)
        bits = rng.integers(0, 2, (6, B))  # the bits beyond a string are noise
        real = np.arange(6)[:, None] < lengths
        return bits, (bits * real).sum(0) % 2, lengths

    model = Recurrent(2, 16, 2)
    train(model, batches, 800, 0.03)
    bits, target, lengths = batches(500)
    with mg.no_grad():
        assert correct(model(mg.tensor(bits), lengths), target) >= 0.95


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_token_to_come_is_known_to_the_backward_direction_only(bidirectional, seed):
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)

    def batches(B=32):
        lengths = rng.integers(2, 7, B)
        tokens = rng.integers(0, 4, (6, B))
        target = np.full((6, B), -100)
        target[:-1] = tokens[1:]
        target[np.arange(6)[:, None] >= lengths - 1] = -100  # nothing comes after the last one
        return tokens, target, lengths

    model = Recurrent(4, 12, 4, bidirectional, last=False)
    train(model, batches, 200, 0.03)
    tokens, target, lengths = batches(300)
    with mg.no_grad():
        accuracy = correct(model(mg.tensor(tokens), lengths), target)
    assert accuracy >= 0.95 if bidirectional else accuracy < 0.4  # chance is 1/4


@pytest.mark.parametrize("seed", SEEDS)
def test_two_layers_with_dropout_and_smoothing_remember_a_table(seed):
    """Overfitting on purpose: 20 random pairs of input and answer."""
    mg.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokens, target = rng.integers(0, 10, (4, 20)), rng.integers(0, 5, 20)
    model = Recurrent(10, 24, 5, num_layers=2, dropout=0.1, generator=mg.Generator(seed))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        F.cross_entropy(model(mg.tensor(tokens)), mg.tensor(target), label_smoothing=0.1).backward()
        optimizer.step()
    model.eval()
    assert correct(model(mg.tensor(tokens)), target) >= 0.95
