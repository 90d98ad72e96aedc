"""Batches: the one place that pads, shifts, masks and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .text import BOS, EOS, PAD

Example = tuple[list[int], list[int]]  # token numbers of source and target, without special symbols


@dataclass(frozen=True)
class Batch:
    """Sentence pairs, time first: a column is a sentence, padded at its end.

    source (S, B) ends with </s>. target_in (T, B) begins with <s>, target_out (T, B) ends with
    </s>: what the decoder is given and what it must say next.
    """

    source: np.ndarray
    source_lengths: np.ndarray  # (B,), </s> included
    target_in: np.ndarray
    target_out: np.ndarray
    target_tokens: int  # real target tokens, </s> included: what losses are divided by

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Batch:
        sources = [[*source, EOS] for source, _ in examples]
        targets_in = [[BOS, *target] for _, target in examples]
        targets_out = [[*target, EOS] for _, target in examples]
        return cls(
            padded(sources),
            np.array([len(s) for s in sources]),
            padded(targets_in),
            padded(targets_out),
            sum(map(len, targets_out)),
        )

    def __len__(self) -> int:
        return self.source.shape[1]


def padded(sentences: Sequence[Sequence[int]]) -> np.ndarray:
    """Sentences as the columns of an int64 array (longest, number of sentences)."""
    out = np.full((max(map(len, sentences), default=0), len(sentences)), PAD, np.int64)
    for column, sentence in enumerate(sentences):
        out[: len(sentence), column] = sentence
    return out


def sorted_batches(examples: Sequence[Example], size: int) -> Iterator[tuple[list[int], Batch]]:
    """All examples once, longest first, with their positions: for evaluation, where the order does
    not matter.
    """
    order = sorted(
        range(len(examples)), key=lambda n: (-len(examples[n][0]), -len(examples[n][1]), n)
    )
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield chosen, Batch.of([examples[n] for n in chosen])


def bucketed_batches(
    examples: Sequence[Example], size: int, rng: np.random.Generator, pool: int = 50
) -> list[Batch]:
    """One shuffled epoch. Sentences of about equal length share a batch, which keeps padding to a
    few per cent.

    `pool` batches of a random order are sorted by length and cut, then the batches are shuffled:
    similar lengths meet, but never the same neighbours in every epoch.
    """
    order = rng.permutation(len(examples))
    groups = []
    for start in range(0, len(order), size * pool):
        some = sorted(
            order[start : start + size * pool],
            key=lambda n: (len(examples[n][1]), len(examples[n][0])),
        )
        groups += [some[at : at + size] for at in range(0, len(some), size)]
    return [Batch.of([examples[n] for n in groups[g]]) for g in rng.permutation(len(groups))]
