"""Batches: the one place that pads, shifts, masks and counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

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


class Batches(Sequence[Batch]):
    """Batches of some examples, each made when it is asked for; a slice is Batches again.

    groups: the positions of the examples in each. state: the generator's before it drew the order,
    as JSON data. Training that was stopped after n batches goes on with
    `rng.bit_generator.state = state`, then `epoch_batches(...)[n:]`: exactly the rest of the epoch,
    and the generator stands where the next one begins.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        groups: Sequence[Sequence[int]],
        state: dict[str, Any] | None = None,
    ):
        self.examples, self.groups, self.state = examples, groups, state

    def __len__(self) -> int:
        return len(self.groups)

    @overload
    def __getitem__(self, index: int) -> Batch:
        """A batch, made now."""

    @overload
    def __getitem__(self, index: slice) -> Batches:
        """Some of the batches, none of them made."""

    def __getitem__(self, index: int | slice) -> Batch | Batches:
        if isinstance(index, slice):
            return Batches(self.examples, self.groups[index], self.state)
        return Batch.of([self.examples[n] for n in self.groups[index]])


def epoch_batches(
    examples: Sequence[Example],
    rng: np.random.Generator,
    *,
    size: int | None = None,
    tokens: int | None = None,
    pool: int = 50,
) -> Batches:
    """One shuffled epoch: every example once, in batches of at most `size` sentences, at most
    `tokens` tokens, or both.

    Tokens are counted with padding, on the longer side: (longest sentence, its </s> included) times
    sentences. A sentence longer than that is a batch by itself. Sentences of about equal length
    share a batch, which keeps padding to a few per cent: `pool` batches of a random order are
    sorted by length and cut, then the batches are shuffled. Similar lengths meet, but never the
    same neighbours in every epoch. Raises ValueError without a limit, or for one below 1.
    """
    limits = [limit for limit in (size, tokens) if limit is not None]
    if not limits or min(limits) < 1:
        raise ValueError(f"size={size}, tokens={tokens}: expected one of them, at least 1")
    state = rng.bit_generator.state
    widths = [max(map(len, example)) + 1 for example in examples]
    together = size or len(examples) or 1  # sentences in a batch, about
    if tokens is not None and examples:
        together = min(together, max(1, tokens * len(widths) // sum(widths)))
    order = rng.permutation(len(examples)).tolist()
    groups: list[list[int]] = []
    for start in range(0, len(order), together * pool):
        some = sorted(
            order[start : start + together * pool],
            key=lambda n: (len(examples[n][1]), len(examples[n][0])),
        )
        groups += _cut(some, widths, size or math.inf, tokens or math.inf)
    return Batches(examples, [groups[g] for g in rng.permutation(len(groups))], state)


def _cut(
    order: Iterable[int], widths: Sequence[int], size: float, tokens: float
) -> Iterator[list[int]]:
    """Neighbours in the order, as many as the limits allow."""
    group: list[int] = []
    width = 0
    for n in order:
        width = max(width, widths[n])
        if group and (len(group) == size or width * (len(group) + 1) > tokens):
            yield group
            group, width = [], widths[n]
        group.append(n)
    if group:
        yield group


def bucketed_batches(
    examples: Sequence[Example], size: int, rng: np.random.Generator, pool: int = 50
) -> Batches:
    """`epoch_batches` by sentences."""
    return epoch_batches(examples, rng, size=size, pool=pool)
