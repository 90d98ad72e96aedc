"""The tokenizer loses nothing; the vocabulary and the batches own symbols, shift and counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import BOS, EOS, PAD, UNK, Batch, Vocabulary, detokenize, tokenize
from datasets.batching import bucketed_batches, sorted_batches

TOKENS = [
    ("The cats were full.", ["The", "cats", "were", "full", "￭."]),
    (
        "Est-ce que l'ami n'a pas d'idée ?",
        ["Est", "￭-￭", "ce", "que", "l'￭", "ami", "n'￭", "a", "pas", "d'￭", "idée", "?"],
    ),
    ('Don\'t (ever) say "no"!', ["Don'￭", "t", "(￭", "ever", "￭)", "say", '"￭', "no", '￭"', "￭!"]),
    ("3,5 km", ["3", "￭,￭", "5", "km"]),
    ("", []),
]


@pytest.mark.parametrize("text, tokens", TOKENS)
def test_tokens(text, tokens):
    assert tokenize(text) == tokens
    assert detokenize(tokens) == text


@pytest.mark.parametrize(
    "text",
    [
        "a\u00a0b",
        "a  b",
        "中文，好吗？",
        "e\u0301té",
        "😀 👩‍👩‍👧 !",
        "￭",
        "x￭ ￭y ￭￭",
        "\\￭ \\j \\",
        "_a_b_",
        "a\tb\u2028c",
        "l’ami d'",
        "'quoted' dogs' tails",
    ],
)
def test_awkward_text_comes_back(text):
    assert detokenize(tokenize(text)) == text


@given(st.text())
def test_any_text_comes_back(text):
    assert detokenize(tokenize(text)) == text.strip(" ")


def test_vocabulary_orders_by_frequency_then_alphabet():
    vocabulary = Vocabulary.build(["b a b", "c a b"])
    assert vocabulary.tokens == ["<pad>", "<unk>", "<s>", "</s>", "b", "a", "c"]
    assert vocabulary.encode("a b zebra c") == [5, 4, UNK, 6]
    assert vocabulary.decode([BOS, 5, 4, UNK, 6, EOS, 5, PAD]) == "a b <unk> c"


def test_vocabulary_limits():
    texts = ["a a a b b c"]
    assert Vocabulary.build(texts, max_size=2).types == ["a", "b"]
    assert Vocabulary.build(texts, min_count=2).types == ["a", "b"]


def test_a_special_symbol_in_a_text_is_text():
    vocabulary = Vocabulary.build(["</s> <pad>"])
    ids = vocabulary.encode("</s> <pad>")
    assert min(ids) > EOS
    assert vocabulary.decode(ids) == "</s> <pad>"


def test_vocabulary_refuses_a_token_twice():
    with pytest.raises(ValueError, match="'a'"):
        Vocabulary(["a", "b", "a"])


def test_batch_shifts_pads_and_counts():
    batch = Batch.of([([7, 8], [9]), ([5], [6, 7, 8])])
    assert batch.source.T.tolist() == [[7, 8, EOS], [5, EOS, PAD]]
    assert batch.source_lengths.tolist() == [3, 2]
    assert batch.target_in.T.tolist() == [[BOS, 9, PAD, PAD], [BOS, 6, 7, 8]]
    assert batch.target_out.T.tolist() == [[9, EOS, PAD, PAD], [6, 7, 8, EOS]]
    assert batch.target_tokens == 6
    assert len(batch) == 2


def examples(n):
    rng = np.random.default_rng(1)
    return [([10 + i] * rng.integers(1, 30), [10 + i] * rng.integers(1, 30)) for i in range(n)]


@pytest.mark.parametrize("n", [1, 7, 64, 501])
def test_batches_hold_every_example_once(n):
    made = examples(n)
    for batches in (
        bucketed_batches(made, 8, np.random.default_rng(0)),
        [batch for _, batch in sorted_batches(made, 8)],
    ):
        assert sorted(first for batch in batches for first in batch.source[0]) == [
            10 + i for i in range(n)
        ]
        assert sum(len(batch) for batch in batches) == n


def test_buckets_pad_little_and_change_between_epochs():
    made, rng = examples(2000), np.random.default_rng(0)
    first, second = (bucketed_batches(made, 32, rng) for _ in range(2))
    padding = np.mean([(batch.target_out == PAD).mean() for batch in first])
    # 2,000 random lengths from 1 to 29 in random batches would have about 0.48
    assert (
        padding < 0.05
    )
    assert {tuple(b.source[0]) for b in first} != {tuple(b.source[0]) for b in second}
    again = bucketed_batches(made, 32, np.random.default_rng(0))
    assert all((a.source == b.source).all() for a, b in zip(first, again))
