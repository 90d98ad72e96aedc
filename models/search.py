"""Search: from the decoder's distributions to translations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import minigrad as mg
from datasets import BOS, EOS, PAD, Batch
from minigrad import Tensor
from minigrad.nn import functional as F

from .seq2seq import Memory, Seq2Seq, State

WINDOW = 64  # target steps scored at a time: a very long translation needs no more memory
NOT_FINITE = "the model's outputs are not finite numbers: train again, with a smaller learning rate"


class Hypothesis(NamedTuple):
    """A translation as token numbers, without <s> and </s>."""

    tokens: list[int]
    score: float  # what the search ranks by
    log_probability: float  # natural logarithm, of the tokens and </s>
    weights: np.ndarray | None  # (tokens and </s>, S), of attention; the mean of an ensemble


@dataclass(frozen=True)
class Search:
    """How translations are looked for.

    - `beam`: hypotheses kept at every step; 1 is greedy search
    - `length_penalty` α and `coverage_penalty` β of Wu et al. (2016): whole translations are ranked
      by log P / ((5 + length) / 6)^α + β Σ_source log min(Σ_target weights, 1), </s> included
    - `min_length`, in tokens, and `no_repeat`: no n-gram of this size twice, 0 for any; where the
      two leave nothing to say, the translation ends
    - `best`: how many hypotheses to return for a sentence, at most `beam`
    """

    beam: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    min_length: int = 0
    no_repeat: int = 0
    best: int = 1

    def __post_init__(self) -> None:
        for name, least in (("beam", 1), ("best", 1), ("min_length", 0), ("no_repeat", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} is {value!r}: expected a whole number from {least} on")
        for name in ("length_penalty", "coverage_penalty"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ValueError(f"{name} is {value!r}: expected a number of at least 0")
        if self.best > self.beam:
            raise ValueError(f"the {self.best} best of {self.beam} hypotheses: widen the beam")

    def score(self, log_probability: float, length: int, weights: np.ndarray | None) -> float:
        """The rank of a hypothesis of so many tokens, </s> included; weights (length, S)."""
        score = log_probability / ((5 + length) / 6) ** self.length_penalty
        if self.coverage_penalty and weights is not None:
            # a token that nobody attended to counts as 1e-9: rank, but never -inf
            score += self.coverage_penalty * float(np.log(np.clip(weights.sum(0), 1e-9, 1)).sum())
        return score

    def bound(self, log_probability: np.ndarray, limit: np.ndarray) -> np.ndarray:
        """The best score that a live hypothesis can still reach, with at most `limit` tokens."""
        return log_probability / ((6 + limit) / 6) ** self.length_penalty


class Decoding:
    """Models of one target vocabulary that hear the same tokens; the rows are hypotheses."""

    def __init__(self, models: Sequence[Seq2Seq], batch: Batch):
        self.models = models
        self.memories: list[Memory] = [model.encode(batch) for model in models]
        self.states: list[State] = [memory.start for memory in self.memories]

    def say(self, tokens: np.ndarray) -> tuple[Tensor, list[Tensor | None]]:
        """The next tokens (T, rows) -> logits of those after them (T, rows, V), for several models
        the logarithm of their mean probability, and each model's attention (rows, T, S).
        """
        said = [
            model.decoder(mg.as_tensor(tokens, device=model.device), state, memory)
            for model, state, memory in zip(self.models, self.states, self.memories)
        ]
        self.states = [decoded.state for decoded in said]
        logits = said[0].logits
        if len(said) > 1:
            each = mg.stack([F.log_softmax(decoded.logits, 2) for decoded in said])
            logits = mg.logsumexp(each, 0) - math.log(len(said))
        return logits, [decoded.weights for decoded in said]

    def keep(self, rows: np.ndarray, same_sentences: bool) -> None:
        """Go on with these rows, in this order; one may come several times."""
        self.states = [state.select(rows) for state in self.states]
        if not same_sentences:
            self.memories = [memory.select(rows) for memory in self.memories]


def search(
    models: Sequence[Seq2Seq],
    batch: Batch,
    limits: int | Sequence[int],
    how: Search = Search(),  # noqa: B008
    attention: bool = False,
) -> list[list[Hypothesis]]:
    """The best hypotheses of every sentence, best first, of at most `limits` tokens, one number or
    one for each sentence. Only the source of the batch is read.

    The most probable continuations take the places of a beam. One that has said </s> keeps its
    place, so that the beam of a sentence narrows; at the limit </s> is all that can be said. The
    search of a sentence ends when every place is kept or no live hypothesis can overtake the `best`
    finished ones. No sentence sees another. Raises FloatingPointError where a model says no
    numbers.
    """
    N = len(batch)
    limits = np.broadcast_to(np.asarray(limits), N)
    done: list[list[Hypothesis]] = [[] for _ in range(N)]
    places, goal = np.full(N, how.beam), np.full(N, -np.inf)  # left, and the score to overtake
    with mg.no_grad():
        decoding = Decoding(models, batch)
        sentence, total = np.arange(N), np.zeros(N)  # of every row; ascending
        tokens = np.full((1, N), BOS)
        said = np.empty((0, N), np.int64)  # (step, rows)
        seen: list[np.ndarray] = []  # attention of every step, and the row that it was in then
        origin = np.empty((0, N), np.int64)  # (step, rows)
        for step in range(int(limits.max()) + 1):
            logits, weights = decoding.say(tokens)
            looks = mean_weights(weights) if attention or how.coverage_penalty else None
            if looks is not None:
                seen.append(looks)  # (rows, S)
                origin = np.concatenate([origin, np.arange(len(sentence))[None, :]])
            scores, ids = candidates(logits[0], said, step >= limits[sentence], how)
            if not np.isfinite(scores[:, 0]).all():  # a row can always say something
                raise FloatingPointError(NOT_FINITE)
            rows, which = chosen(scores + total[:, None], sentence, places)
            tokens, total = ids[rows, which], total[rows] + scores[rows, which]
            ended = tokens == EOS
            for row, log_probability in zip(rows[ended], total[ended].tolist()):
                n = sentence[row]
                looked = None
                if seen:
                    looked = np.array([w[at] for w, at in zip(seen, origin[:, row])])
                    looked = looked[:, : batch.source_lengths[n]]
                score = how.score(log_probability, step + 1, looked)
                done[n].append(Hypothesis(said[:, row].tolist(), score, log_probability, looked))
                places[n] -= 1
                if len(done[n]) >= how.best:
                    goal[n] = sorted([h.score for h in done[n]])[-how.best]
            # who goes on: hypotheses that have not ended, of sentences that are not decided
            rows, tokens, total = rows[~ended], tokens[~ended], total[~ended]
            going = open_rows(sentence[rows], how.bound(total, limits[sentence[rows]]), goal)
            rows, tokens, total = rows[going], tokens[going][None, :], total[going]
            if not len(rows):
                break
            if not np.array_equal(rows, np.arange(len(sentence))):
                decoding.keep(rows, np.array_equal(sentence[rows], sentence))
                sentence, origin = sentence[rows], origin[:, rows]
            said = np.concatenate([said[:, rows], tokens])
    return [sorted(some, key=lambda h: -h.score)[: how.best] for some in done]


def mean_weights(weights: Sequence[Tensor | None]) -> np.ndarray | None:
    """The last step's attention (rows, S), the mean of the models that have one."""
    some = [w[:, -1].to_numpy() for w in weights if w is not None]
    return sum(some) / len(some) if some else None


def candidates(
    logits: Tensor, said: np.ndarray, at_limit: np.ndarray, how: Search
) -> tuple[np.ndarray, np.ndarray]:
    """The best next tokens of every row: log-probabilities, float64, and ids, (rows, k) each. The
    logits are used up.
    """
    rows, V = logits.shape
    normalizer = mg.logsumexp(logits, 1, keepdim=True)
    logits[:, PAD] = -math.inf
    logits[:, BOS] = -math.inf
    if at_limit.any() or len(said) < how.min_length or how.no_repeat:
        forbidden = np.zeros((rows, V), bool)
        forbidden[:, EOS] = len(said) < how.min_length
        if how.no_repeat:
            for row, column in enumerate(said.T.tolist()):
                forbidden[row, repeating(column, how.no_repeat)] = True
        forbidden[:, [PAD, BOS]] = True
        nothing_else = at_limit | forbidden.all(1)
        forbidden[nothing_else] = np.arange(V) != EOS
        logits = logits.masked_fill(mg.as_tensor(forbidden, device=logits.device), -math.inf)
    if how.beam == 1:
        ids = logits.argmax(1, keepdim=True)
        values = logits.gather(1, ids)
    else:
        values, ids = logits.topk(min(how.beam, V), 1)
    return (values - normalizer).to_numpy().astype(np.float64), ids.to_numpy()


def repeating(said: list[int], n: int) -> list[int]:
    """The tokens that would end an n-gram which was said before."""
    start = said[len(said) - n + 1 :]
    return [said[at + n - 1] for at in range(len(said) - n + 1) if said[at : at + n - 1] == start]


def chosen(
    scores: np.ndarray, sentence: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best candidates (rows, k) of every sentence, as many as it has places: rows and columns,
    sentence by sentence, best first.
    """
    N, k = len(places), scores.shape[1]
    if k == 1:  # one row a sentence
        rows = np.flatnonzero(scores[:, 0] > -np.inf)
        return rows, np.zeros_like(rows)
    first = np.searchsorted(sentence, np.arange(N))  # row of every sentence
    width = int(np.bincount(sentence).max())
    table = np.full((N, width, k), -np.inf)  # sorting short rows is faster than one long one
    table[sentence, np.arange(len(sentence)) - first[sentence]] = scores
    table = table.reshape(N, width * k)
    order = np.argsort(-table, axis=1, kind="stable")[:, : places.max()]
    possible = np.take_along_axis(table, order, 1) > -np.inf
    n, rank = np.nonzero(possible & (np.arange(order.shape[1]) < places[:, None]))
    return first[n] + order[n, rank] // k, order[n, rank] % k


def open_rows(sentence: np.ndarray, can_reach: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """For every live row whether one of its sentence can still pass the sentence's goal."""
    best = np.full(len(goal), -np.inf)
    np.maximum.at(best, sentence, can_reach)
    return (best > goal)[sentence]


def forced(models: Sequence[Seq2Seq], batch: Batch) -> tuple[np.ndarray, np.ndarray | None]:
    """Log-probabilities (T, B), float64, of the batch's own target tokens, 0 at padding, and the
    mean attention (B, T, S). Raises FloatingPointError where a model says no numbers.
    """
    own, looks = [], []
    with mg.no_grad():
        decoding = Decoding(models, batch)
        for start in range(0, len(batch.target_in), WINDOW):
            logits, weights = decoding.say(batch.target_in[start : start + WINDOW])
            target = mg.as_tensor(batch.target_out[start : start + WINDOW], device=logits.device)
            log_p = F.log_softmax(logits, 2).gather(2, target.unsqueeze(2)).squeeze(2)
            own.append(log_p.to_numpy().astype(np.float64))
            some = [w.to_numpy() for w in weights if w is not None]
            looks.append(sum(some) / len(some) if some else None)
    values = np.where(batch.target_out == PAD, 0.0, np.concatenate(own))
    if not np.isfinite(values).all():
        raise FloatingPointError(NOT_FINITE)
    return values, None if looks[0] is None else np.concatenate(looks, 1)
