"""Encoder, attention and decoder: a translator (Sutskever et al. 2014; attention after Luong et al.
2015).

Dimension letters: S source steps, T target steps, B sentences, E embedding, H hidden, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import minigrad as mg
from datasets import PAD, Batch
from minigrad import Tensor, nn
from minigrad.nn import functional as F

State = tuple[Tensor, Tensor]  # hidden and cell, (layers, B, H) each


class Memory(NamedTuple):
    """What the decoder sees of the source."""

    state: State  # where the decoder begins
    keys: Tensor | None  # (B, S, H), None without attention
    padding: Tensor | None  # (B, 1, S), true where there is no token

    def detached(self) -> Memory:
        """The same values as leaves of a new graph: windows of the target collect their gradients
        here.
        """
        leaves = [x.detach().requires_grad_() for x in self.tensors()]
        return Memory(
            (leaves[0], leaves[1]), leaves[2] if self.keys is not None else None, self.padding
        )

    def tensors(self) -> list[Tensor]:
        return [*self.state] + ([] if self.keys is None else [self.keys])


class Encoder(nn.Module):
    """Bidirectional LSTM over the source; a bridge from its last states to the decoder's first."""

    def __init__(
        self,
        vocabulary: int,
        embedding: int,
        hidden: int,
        layers: int,
        dropout: float,
        attention: bool,
    ):
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(
            embedding, hidden, layers, dropout=between, bidirectional=True, forget_bias=1
        )
        self.bridge_h = nn.Linear(2 * hidden, hidden)
        self.bridge_c = nn.Linear(2 * hidden, hidden)
        self.keys = nn.Linear(2 * hidden, hidden, bias=False) if attention else None

    def forward(self, source: Tensor, lengths: Tensor) -> Memory:
        """source (S, B) and its B lengths -> Memory."""
        S, B = source.shape
        # (S, B, 2H), (2·layers, B, H)
        ys, last = self.lstm(self.dropout(self.embedding(source)), lengths=lengths)
        state = tuple(
            [self.bridge(bridge, x) for bridge, x in zip((self.bridge_h, self.bridge_c), last)]
        )
        if self.keys is None:
            return Memory(state, None, None)
        keys = self.keys(ys).transpose(0, 1)  # (B, S, H)
        return Memory(state, keys, (source == PAD).transpose(0, 1).reshape(B, 1, S))

    def bridge(self, linear: nn.Linear, last: Tensor) -> Tensor:
        """The two directions of each layer, (2·layers, B, H), as one state (layers, B, H)."""
        B = last.shape[1]
        both = (
            last.reshape(self.layers, 2, B, self.hidden)
            .transpose(1, 2)
            .reshape(self.layers, B, 2 * self.hidden)
        )
        return linear(both).tanh()


class Attention(nn.Module):
    """Dot-product attention: a weighted mean of the keys, joined with the query."""

    def __init__(self, hidden: int):
        super().__init__()
        self.combine = nn.Linear(2 * hidden, hidden)

    def forward(self, queries: Tensor, keys: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
        """queries (T, B, H), keys (B, S, H), padding (B, 1, S) -> vectors (T, B, H), and weights
        (B, T, S).
        """
        scores = queries.transpose(0, 1) @ keys.transpose(1, 2)  # (B, T, S)
        # a finite floor, not -inf: a row that is all padding gets equal weights and no NaN
        weights = F.softmax(scores.masked_fill(padding, -1e9), 2)
        context = (weights @ keys).transpose(0, 1)  # (T, B, H)
        return self.combine(mg.cat([context, queries], 2)).tanh(), weights


class Decoder(nn.Module):
    """LSTM over the target so far; attention, where there is any, follows it, so all steps run as
    one sequence.
    """

    def __init__(
        self,
        vocabulary: int,
        embedding: int,
        hidden: int,
        layers: int,
        dropout: float,
        attention: bool,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(embedding, hidden, layers, dropout=between, forget_bias=1)
        self.attention = Attention(hidden) if attention else None
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, target: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """target (T, B), the tokens so far -> logits of the next ones (T, B, V), and the state
        after them.
        """
        ys, state = self.lstm(self.dropout(self.embedding(target)), state)  # (T, B, H)
        if self.attention is not None:
            ys, _ = self.attention(ys, memory.keys, memory.padding)
        return self.output(self.dropout(ys)), state


class Seq2Seq(nn.Module):
    """Source tokens in, logits of target tokens out."""

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        embedding_size: int = 64,
        hidden_size: int = 128,
        layers: int = 1,
        dropout: float = 0.0,
        attention: bool = True,
    ):
        super().__init__()
        sizes = embedding_size, hidden_size, layers, dropout, attention
        self.encoder = Encoder(source_vocabulary, *sizes)
        self.decoder = Decoder(target_vocabulary, *sizes)

    @property
    def device(self) -> str:
        return self.decoder.output.weight.device

    def encode(self, batch: Batch) -> Memory:
        source = mg.as_tensor(batch.source, device=self.device)
        return self.encoder(source, batch.source_lengths)

    def forward(self, batch: Batch) -> Tensor:
        """Teacher forcing: logits (T, B, V) of every target token from the true ones before it."""
        memory = self.encode(batch)
        logits, _ = self.decoder(
            mg.as_tensor(batch.target_in, device=self.device), memory.state, memory
        )
        return logits


def token_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihoods (T, B) of the target tokens; 0 at padding."""
    T, B, V = logits.shape
    losses = F.cross_entropy(
        logits.reshape(T * B, V), target.reshape(T * B), ignore_index=PAD, reduction="none"
    )
    return losses.reshape(T, B)


def backward_in_windows(model: Seq2Seq, batch: Batch, window: int | None = None) -> float:
    """Truncated backpropagation through time over the target; returns the mean loss per real target
    token.

    The decoder runs in windows of `window` steps (None: one window). Each window's graph ends at
    the state it began with, is differentiated, and goes before the next is built, so memory is
    bounded by the window. The state passes between windows by value. The source is encoded once and
    receives the gradients of all windows together. A window of the target's length or more gives
    the gradient of full backpropagation (Williams & Peng 1990; Sutskever 2013).
    """
    memory = model.encode(batch)
    leaves = memory.detached()
    state, total = leaves.state, 0.0
    target_in = mg.as_tensor(batch.target_in, device=model.device)
    target_out = mg.as_tensor(batch.target_out, device=model.device)
    T = len(batch.target_in)
    window = T if window is None else window
    for start in range(0, T, window):
        steps = slice(start, start + window)
        logits, state = model.decoder(target_in[steps], state, leaves)
        loss = token_losses(logits, target_out[steps]).sum() / batch.target_tokens
        loss.backward()
        total += loss.detach()
        state = tuple([s.detach() for s in state])
    # one walk back through the encoder, with everything that arrived at its outputs
    pairs = [
        (x, leaf.grad)
        for x, leaf in zip(memory.tensors(), leaves.tensors())
        if leaf.grad is not None
    ]
    mg.autograd.backward([x for x, _ in pairs], [g for _, g in pairs])
    return float(total)
