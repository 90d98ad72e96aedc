"""Batches own shift, padding and counts; an epoch holds every example once, and can be resumed."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import BOS, EOS, PAD, Batch, Batches
from datasets import bucketed_batches, epoch_batches, sorted_batches


def test_batch_shifts_pads_and_counts():
    batch = Batch.of([([7, 8], [9]), ([5], [6, 7, 8])])
    assert batch.source.T.tolist() == [[7, 8, EOS], [5, EOS, PAD]]
    assert batch.source_lengths.tolist() == [3, 2]
    assert batch.target_in.T.tolist() == [[BOS, 9, PAD, PAD], [BOS, 6, 7, 8]]
    assert batch.target_out.T.tolist() == [[9, EOS, PAD, PAD], [6, 7, 8, EOS]]
    assert batch.target_tokens == 6
    assert len(batch) == 2


def examples(n, longest=30, seed=1):
    """Pairs that are known by their first source token, of lengths 1 to longest - 1."""
    rng = np.random.default_rng(seed)
    return [
        ([10 + i] * rng.integers(1, longest), [10 + i] * rng.integers(1, longest)) for i in range(n)
    ]


def same(a, b):
    return len(a) == len(b) and all(
        np.array_equal(getattr(x, name), getattr(y, name))
        for x, y in zip(a, b)
        for name in ("source", "source_lengths", "target_in", "target_out", "target_tokens")
    )


@pytest.mark.parametrize("n", [1, 7, 64, 501])
def test_batches_hold_every_example_once(n):
    made, rng = examples(n), np.random.default_rng(0)
    for batches in (
        bucketed_batches(made, 8, rng),
        epoch_batches(made, rng, tokens=100),
        epoch_batches(made, rng, size=4, tokens=100),
        [batch for _, batch in sorted_batches(made, 8)],
    ):
        known = sorted(first for batch in batches for first in batch.source[0])
        assert known == [10 + i for i in range(n)]
        assert sum(len(batch) for batch in batches) == n


lengths = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60)
limit = st.none() | st.integers(1, 150)


@settings(deadline=None)
@given(lengths, limit, limit, st.integers(1, 5))
def test_an_epoch_keeps_its_limits_and_loses_nothing(lengths, size, tokens, pool):
    made = [([5] * source, [6] * target) for source, target in lengths]
    if size is None and tokens is None:
        size = 3
    batches = epoch_batches(made, np.random.default_rng(0), size=size, tokens=tokens, pool=pool)
    assert sorted(n for group in batches.groups for n in group) == list(range(len(made)))
    for group, batch in zip(batches.groups, batches, strict=True):
        assert len(batch) == len(group) > 0
        assert batch.source_lengths.tolist() == [len(made[n][0]) + 1 for n in group]
        assert (batch.target_out != PAD).sum(0).tolist() == [len(made[n][1]) + 1 for n in group]
        assert size is None or len(batch) <= size
        area = max(batch.source.size, batch.target_out.size)
        assert tokens is None or area <= tokens or len(batch) == 1


def test_a_budget_is_used():
    """Batches are about as full as they may be, and pad little."""
    batches = epoch_batches(examples(3000), np.random.default_rng(0), tokens=2000)
    area = [max(batch.source.size, batch.target_out.size) for batch in batches]
    assert np.mean(area) > 0.85 * 2000
    padding = sum((b.target_out == PAD).sum() for b in batches)
    assert padding < 0.05 * sum(b.target_out.size for b in batches)
    assert len({len(batch) for batch in batches}) > 5  # short sentences are many to a batch


def test_sentences_beyond_the_budget_are_batches_of_their_own():
    made = [([5] * n, [6] * n) for n in (3, 200, 4, 300, 5)]
    batches = epoch_batches(made, np.random.default_rng(0), tokens=3 * 6)  # </s> included
    assert sorted(map(sorted, batches.groups)) == [[0, 2, 4], [1], [3]]


def test_buckets_are_those_of_the_definition():
    """Pools of a permutation, sorted, cut, and in the order of a second permutation."""
    made, rng, other = examples(500), np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(2):
        batches = bucketed_batches(made, 8, rng, pool=5)
        order = other.permutation(500)
        groups = []
        for start in range(0, 500, 40):
            pool = sorted(
                order[start : start + 40], key=lambda n: (len(made[n][1]), len(made[n][0]))
            )
            groups += [pool[at : at + 8] for at in range(0, len(pool), 8)]
        assert batches.groups == [groups[g] for g in other.permutation(len(groups))]
    assert rng.bit_generator.state == other.bit_generator.state


def test_buckets_pad_little_and_change_between_epochs():
    made, rng = examples(2000), np.random.default_rng(0)
    first, second = (bucketed_batches(made, 32, rng) for _ in range(2))
    padding = np.mean([(batch.target_out == PAD).mean() for batch in first])
    # 2,000 random lengths from 1 to 29 in random batches would have about 0.48
    assert padding < 0.05
    assert {tuple(b.source[0]) for b in first} != {tuple(b.source[0]) for b in second}
    assert same(first, bucketed_batches(made, 32, np.random.default_rng(0)))


@pytest.mark.parametrize("limits", [{"size": 16}, {"tokens": 300}])
@pytest.mark.parametrize("done", [0, 1, 5, "all"])
def test_an_epoch_can_be_gone_on_with(limits, done):
    """From a state that was JSON, by a program that has drawn nothing before."""
    made, rng = examples(200), np.random.default_rng(7)
    epoch_batches(made, rng, **limits)
    second = epoch_batches(made, rng, **limits)
    done = len(second) if done == "all" else done
    saved = json.dumps({"state": second.state, "done": done})
    third = epoch_batches(made, rng, **limits)

    found, fresh = json.loads(saved), np.random.default_rng()
    fresh.bit_generator.state = found["state"]
    rest = epoch_batches(made, fresh, **limits)[found["done"] :]
    assert len(rest) == len(second) - done and same(rest, list(second)[done:])
    assert rest.state == second.state  # a second stop saves the same
    assert same(epoch_batches(made, fresh, **limits), third)


def test_batches_are_made_when_they_are_asked_for(monkeypatch):
    made, of = [], Batch.of
    monkeypatch.setattr(Batch, "of", lambda some: made.append(len(some)) or of(some))
    batches = epoch_batches(examples(100), np.random.default_rng(0), size=10)
    rest = batches[3:]
    assert len(batches) == 10 and len(rest) == 7 and isinstance(rest, Batches) and made == []
    assert len(batches[-1]) == 10 and made == [10]
    assert len(next(iter(rest))) == 10 and made == [10, 10]
    assert same([rest[0], rest[-1]], [batches[3], batches[9]])
    with pytest.raises(IndexError):
        batches[10]


@pytest.mark.parametrize(
    "limits", [{}, {"size": 0}, {"tokens": 0}, {"size": 4, "tokens": -1}, {"size": None}]
)
def test_an_epoch_without_a_limit_is_refused(limits):
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    with pytest.raises(ValueError, match="at least 1"):
        epoch_batches(examples(3), rng, **limits)
    assert rng.bit_generator.state == before


def test_no_examples_make_no_batches():
    assert len(epoch_batches([], np.random.default_rng(0), tokens=10)) == 0
    assert len(epoch_batches([], np.random.default_rng(0), size=10)) == 0
    assert list(sorted_batches([], 4)) == []
