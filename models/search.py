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
    - `length_penalty` α and `coverage_penalty` β of Wu et al. (2016): hypotheses are ranked by
      log P / ((5 + length) / 6)^α + β Σ_source log min(Σ_target weights, 1)
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
    """Models of one target vocabulary that say the same tokens; the rows are hypotheses."""

    def __init__(self, models: Sequence[Seq2Seq], batch: Batch):
        self.models = models
        self.memories: list[Memory] = [model.encode(batch) for model in models]
        self.states: list[State] = [memory.start for memory in self.memories]

    def say(self, tokens: np.ndarray) -> tuple[Tensor, list[Tensor | None]]:
        """The next tokens (T, rows) -> log-probabilities of those after them (T, rows, V), of the
        mean of the models' probabilities, and each model's attention (rows, T, S).
        """
        said = [
            model.decoder(mg.as_tensor(tokens, device=model.device), state, memory)
            for model, state, memory in zip(self.models, self.states, self.memories)
        ]
        self.states = [decoded.state for decoded in said]
        each = [F.log_softmax(decoded.logits, 2) for decoded in said]
        together = each[0]
        if len(each) > 1:
            together = mg.logsumexp(mg.stack(each), 0) - math.log(len(each))
        return together, [decoded.weights for decoded in said]

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

    A hypothesis that has said </s> keeps its place in the beam, so that the beam of a sentence
    narrows; at the limit </s> is all that can be said. The search ends when every place is taken or
    no live hypothesis can overtake the `best` finished ones. No sentence sees another.
    """
    N = len(batch)
    limits = np.broadcast_to(np.asarray(limits), N)
    done: list[list[Hypothesis]] = [[] for _ in range(N)]
    with mg.no_grad():
        decoding = Decoding(models, batch)
        sentence, total = np.arange(N), np.zeros(N)  # of every row
        said, seen = np.full((0, N), BOS), []  # tokens (step, rows), and where each looked
        tokens = np.full((1, N), BOS)
        for step in range(int(limits.max(initial=-1)) + 1):
            log_p, weights = decoding.say(tokens)
            looks = mean_weights(weights) if attention or how.coverage_penalty else None
            if looks is not None:
                seen.append(looks)  # (rows, S)
            scores, ids = candidates(log_p[0], said, step >= limits[sentence], how)
            scores = scores + total[:, None]  # (rows, k)
            # the best of every sentence, as many as its beam has places
            k = scores.shape[1]
            owner = np.repeat(sentence, k)
            order = np.lexsort((-scores.ravel(), owner))
            owner = owner[order]
            rank = np.arange(len(order)) - np.searchsorted(owner, owner)
            places = np.array([how.beam - len(hypotheses) for hypotheses in done])
            order = order[(rank < places[owner]) & (scores.ravel()[order] > -np.inf)]
            rows, tokens, total = order // k, ids.ravel()[order], scores.ravel()[order]
            ended = tokens == EOS
            for row, log_probability in zip(rows[ended], total[ended]):
                n = sentence[row]
                looked = None
                if seen:
                    looked = np.array([w[row] for w in seen])[:, : batch.source_lengths[n]]
                score = how.score(float(log_probability), step + 1, looked)
                ids = said[:, row].tolist()
                done[n].append(Hypothesis(ids, score, float(log_probability), looked))
            # who goes on: hypotheses that have not ended, of sentences that are not decided
            rows, tokens, total = rows[~ended], tokens[~ended], total[~ended]
            going = ~decided(sentence[rows], total, done, limits, how)
            rows, tokens, total = rows[going], tokens[going][None, :], total[going]
            if not len(rows):
                break
            if not np.array_equal(rows, np.arange(len(sentence))):
                decoding.keep(rows, np.array_equal(sentence[rows], sentence))
                seen = [w[rows] for w in seen]
            sentence = sentence[rows]
            said = np.concatenate([said[:, rows], tokens])
    return [sorted(some, key=lambda h: -h.score)[: how.best] for some in done]


def mean_weights(weights: Sequence[Tensor | None]) -> np.ndarray | None:
    """The last step's attention (rows, S), the mean of the models that have one."""
    some = [w[:, -1].to_numpy() for w in weights if w is not None]
    return sum(some) / len(some) if some else None


def candidates(
    log_p: Tensor, said: np.ndarray, at_limit: np.ndarray, how: Search
) -> tuple[np.ndarray, np.ndarray]:
    """The best next tokens of every row: log-probabilities, float64, and ids, (rows, k) each."""
    rows, V = log_p.shape
    forbidden = None
    if at_limit.any() or len(said) < how.min_length or how.no_repeat:
        forbidden = np.zeros((rows, V), bool)
        forbidden[:, EOS] = len(said) < how.min_length
        if how.no_repeat:
            for row, column in enumerate(said.T.tolist()):
                forbidden[row, repeating(column, how.no_repeat)] = True
        forbidden[:, [PAD, BOS]] = True
        nothing_else = at_limit | forbidden.all(1)
        forbidden[nothing_else] = np.arange(V) != EOS
        forbidden = mg.as_tensor(forbidden, device=log_p.device)
    else:
        forbidden = mg.as_tensor(np.isin(np.arange(V), [PAD, BOS]), device=log_p.device)
    log_p = log_p.masked_fill(forbidden, -math.inf)
    if how.beam == 1:
        ids = log_p.argmax(1, keepdim=True)
        values = log_p.gather(1, ids)
    else:
        values, ids = log_p.topk(min(how.beam, V), 1)
    return values.to_numpy().astype(np.float64), ids.to_numpy()


def repeating(said: list[int], n: int) -> list[int]:
    """The tokens that would end an n-gram which was said before."""
    start = said[len(said) - n + 1 :]
    return [said[at + n - 1] for at in range(len(said) - n + 1) if said[at : at + n - 1] == start]


def decided(
    sentence: np.ndarray, total: np.ndarray, done: list, limits: np.ndarray, how: Search
) -> np.ndarray:
    """For every live row whether its sentence needs no more search."""
    can_reach = how.bound(total, limits[sentence])
    decided = np.zeros(len(sentence), bool)
    for n in np.unique(sentence):
        mine = sentence == n
        finished = sorted([h.score for h in done[n]], reverse=True)
        enough = len(finished) >= how.best and finished[how.best - 1] >= can_reach[mine].max()
        decided[mine] = enough or len(finished) >= how.beam
    return decided


def forced(models: Sequence[Seq2Seq], batch: Batch) -> tuple[np.ndarray, np.ndarray | None]:
    """Log-probabilities (T, B), float64, of the batch's own target tokens, 0 at padding, and the
    mean attention (B, T, S).
    """
    with mg.no_grad():
        log_p, weights = Decoding(models, batch).say(batch.target_in)
        target = mg.as_tensor(batch.target_out, device=log_p.device)
        own = log_p.gather(2, target.unsqueeze(2)).squeeze(2)
    some = [w.to_numpy() for w in weights if w is not None]
    values = np.where(batch.target_out == PAD, 0.0, own.to_numpy().astype(np.float64))
    return values, sum(some) / len(some) if some else None
