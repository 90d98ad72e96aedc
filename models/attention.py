"""Attention: for every query a weighted mean of what the encoder left at the source tokens.

Dimension letters: B sentences, S source steps, T queries, H hidden, D annotation (of the encoder).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import minigrad as mg
from minigrad import Tensor, nn
from minigrad.nn import functional as F


class Annotations(NamedTuple):
    """What the queries of a batch are compared with, computed once."""

    keys: Tensor  # (B, S, H); with heads (B, heads, S, H / heads)
    values: Tensor  # (B, S, value_size); with heads as the keys
    padding: Tensor  # (B, 1, S), true where there is no token


class Attention(nn.Module):
    """softmax(scores) values. A subclass says what the scores are; they differ in nothing else.

    With `coverage` the scores also see the sum of the weights of the steps before: linear in it
    here, inside the tanh of the additive one (Tu et al. 2016; See et al. 2017).
    """

    def __init__(self, hidden: int, annotation: int, coverage: bool = False):
        super().__init__()
        self.value_size = annotation
        self.covered = nn.Parameter(mg.zeros(self.coverage_weights(hidden))) if coverage else None

    def coverage_weights(self, _hidden: int) -> int:
        return 1

    def annotations(self, ys: Tensor, padding: Tensor) -> Annotations:
        """From the encoder's outputs (B, S, D)."""
        return Annotations(self.keys(ys), ys, padding)

    def scores(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        scores = queries @ keys.transpose(1, 2)  # (B, T, S)
        return scores if coverage is None else scores + coverage * self.covered

    def forward(
        self, queries: Tensor, annotations: Annotations, coverage: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Queries (B, T, H), coverage (B, 1, S) -> contexts (B, T, value_size), and weights
        (B, T, S).
        """
        keys, values, padding = annotations
        weights = masked_softmax(self.scores(queries, keys, coverage), padding)
        return weights @ values, weights


def masked_softmax(scores: Tensor, padding: Tensor) -> Tensor:
    # a finite floor, not -inf: a row that is all padding gets equal weights and no NaN
    return F.softmax(scores.masked_fill(padding, -1e9), -1)


class Dot(Attention):
    """score = q·k (Luong et al. 2015). Annotations of another size than the queries are projected,
    and the context is of these.
    """

    def __init__(self, hidden: int, annotation: int, coverage: bool = False):
        super().__init__(hidden, annotation, coverage)
        self.value_size = hidden
        same = hidden == annotation
        self.keys = nn.Identity() if same else nn.Linear(annotation, hidden, bias=False)

    def annotations(self, ys: Tensor, padding: Tensor) -> Annotations:
        keys = self.keys(ys)
        return Annotations(keys, keys, padding)


class General(Attention):
    """score = q·W y (Luong et al. 2015)."""

    def __init__(self, hidden: int, annotation: int, coverage: bool = False):
        super().__init__(hidden, annotation, coverage)
        self.keys = nn.Linear(annotation, hidden, bias=False)


class Additive(Attention):
    """score = v·tanh(W q + U y + b) (Bahdanau et al. 2015)."""

    def __init__(self, hidden: int, annotation: int, coverage: bool = False):
        super().__init__(hidden, annotation, coverage)
        self.keys = nn.Linear(annotation, hidden, bias=False)
        self.query = nn.Linear(hidden, hidden)
        self.energy = nn.Linear(hidden, 1, bias=False)

    def coverage_weights(self, hidden: int) -> int:
        return hidden

    def scores(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        if coverage is not None:
            keys = keys + coverage.transpose(1, 2) * self.covered
        return F.additive_scores(self.query(queries), keys, self.energy.weight.reshape(-1))


class MultiHead(Attention):
    """Scaled dot products in `heads` subspaces (Vaswani et al. 2017); returns the mean of their
    weights.
    """

    def __init__(self, hidden: int, annotation: int, heads: int):
        super().__init__(hidden, annotation)
        self.heads, self.value_size = heads, hidden
        self.query = nn.Linear(hidden, hidden)
        self.keys, self.values = nn.Linear(annotation, hidden), nn.Linear(annotation, hidden)

    def split(self, x: Tensor) -> Tensor:
        """(B, N, H) -> (B, heads, N, H / heads)"""
        B, N, H = x.shape
        return x.reshape(B, N, self.heads, H // self.heads).transpose(1, 2)

    def annotations(self, ys: Tensor, padding: Tensor) -> Annotations:
        return Annotations(self.split(self.keys(ys)), self.split(self.values(ys)), padding)

    def forward(
        self, queries: Tensor, annotations: Annotations, coverage: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        keys, values, padding = annotations
        B, T, H = queries.shape
        scores = self.split(self.query(queries)) @ keys.transpose(2, 3)  # (B, heads, T, S)
        weights = masked_softmax(scores / math.sqrt(H // self.heads), padding.unsqueeze(1))
        context = (weights @ values).transpose(1, 2).reshape(B, T, H)
        return context, weights.mean(1)


KINDS = {"dot": Dot, "general": General, "additive": Additive}
