"""The translator of `models/` as one would write it for PyTorch, with the options that published
recipes use, and its search: what `training_step.py` and `translating.py` measure against.
Parameters have the same names on both sides.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from datasets import BOS, EOS, PAD, Batch
from models.options import ModelOptions

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
State = tuple[Tensor, ...]


def run(rnn: nn.Module, x: Tensor, state: State) -> tuple[Tensor, State]:
    ys, last = rnn(x, state if len(state) > 1 else state[0])
    return ys, last if isinstance(last, tuple) else (last,)


class Encoder(nn.Module):
    def __init__(self, vocabulary: int, o: ModelOptions):
        super().__init__()
        H, layers = o.hidden_size, o.layers
        self.embedding = nn.Embedding(vocabulary, o.embedding_size, padding_idx=PAD)
        self.dropout = nn.Dropout(o.dropout)
        between = o.dropout if layers > 1 else 0.0
        self.rnn = CELLS[o.cell](
            o.embedding_size, H, layers, dropout=between, bidirectional=o.bidirectional
        )
        self.directions = 1 + o.bidirectional
        parts = (1 + (o.cell == "lstm")) if o.bidirectional else 0
        self.bridges = nn.ModuleList([nn.Linear(2 * H, H) for _ in range(parts)])

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[State, Tensor]:
        """source (S, B) -> the decoder's first state, and outputs (S, B, D)."""
        embedded = self.dropout(self.embedding(source))
        packed = pack_padded_sequence(embedded, lengths, enforce_sorted=False)
        ys, last = self.rnn(packed)
        last = last if isinstance(last, tuple) else (last,)
        if len(self.bridges):
            last = tuple(
                torch.tanh(bridge(torch.cat([part[0::2], part[1::2]], 2)))
                for bridge, part in zip(self.bridges, last)
            )
        return last, pad_packed_sequence(ys)[0]


class Attention(nn.Module):
    """Dot, general or additive."""

    def __init__(self, kind: str, hidden: int, annotation: int):
        super().__init__()
        self.kind = kind
        same = kind == "dot" and hidden == annotation
        self.keys = nn.Identity() if same else nn.Linear(annotation, hidden, bias=False)
        if kind == "additive":
            self.query = nn.Linear(hidden, hidden)
            self.energy = nn.Linear(hidden, 1, bias=False)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, padding: Tensor) -> Tensor:
        """queries (B, T, H), keys (B, S, H), values (B, S, ·), padding (B, 1, S) -> (B, T, ·)."""
        if self.kind == "additive":
            both = self.query(queries).unsqueeze(2) + keys.unsqueeze(1)
            scores = self.energy(torch.tanh(both)).squeeze(3)
        else:
            scores = torch.bmm(queries, keys.transpose(1, 2))  # (B, T, S)
        return torch.bmm(F.softmax(scores.masked_fill(padding, -1e9), dim=2), values)


class Decoder(nn.Module):
    def __init__(self, vocabulary: int, o: ModelOptions, annotation: int):
        super().__init__()
        E, H = o.embedding_size, o.hidden_size
        self.feeding = o.input_feeding
        self.embedding = nn.Embedding(vocabulary, E, padding_idx=PAD)
        self.dropout = nn.Dropout(o.dropout)
        with_attention = o.attention != "none"
        self.attention = Attention(o.attention, H, annotation) if with_attention else None
        read = H
        if with_attention:
            read += H if o.attention == "dot" else annotation
        direct = o.direct_readout or not with_attention and (o.tie == "none" or read == E)
        self.size = R = read if direct else E if o.tie != "none" else H
        self.combine = None if direct else nn.Linear(read, R)
        between = o.dropout if o.layers > 1 else 0.0
        heard = E + (R if o.input_feeding else 0)
        self.rnn = CELLS[o.cell](heard, H, o.layers, dropout=between)
        self.output = nn.Linear(R, vocabulary)
        if o.tie != "none":
            self.output.weight = self.embedding.weight

    def forward(self, target: Tensor, state: State, ys: Tensor, padding: Tensor) -> Tensor:
        """target (T, B), the encoder's outputs ys (S, B, D) -> logits (T, B, V)."""
        memory = ()
        if self.attention is not None:
            ys = ys.transpose(0, 1)
            keys = self.attention.keys(ys)  # (B, S, H)
            memory = keys, keys if self.attention.kind == "dot" else ys, padding
        x = self.dropout(self.embedding(target))
        if not self.feeding:
            hs, _ = run(self.rnn, x, state)
            return self.output(self.dropout(self.read(hs, memory)))
        fed, read = x.new_zeros(1, x.shape[1], self.size), []
        for x_t in x.split(1):
            h, state = run(self.rnn, torch.cat([x_t, fed], 2), state)
            fed = self.read(h, memory)
            read.append(fed)
        return self.output(self.dropout(torch.cat(read)))

    def read(self, hs: Tensor, memory: tuple) -> Tensor:
        if self.attention is not None:
            context = self.attention(hs.transpose(0, 1), *memory).transpose(0, 1)
            hs = torch.cat([context, hs], 2)
        return hs if self.combine is None else torch.tanh(self.combine(hs))


class Seq2Seq(nn.Module):
    def __init__(self, source: int, target: int, options: ModelOptions):
        super().__init__()
        self.encoder = Encoder(source, options)
        annotation = self.encoder.directions * options.hidden_size
        self.decoder = Decoder(target, options, annotation)
        if options.tie == "all":
            self.encoder.embedding.weight = self.decoder.embedding.weight

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        state, ys = self.encoder(source, lengths)
        padding = (source == PAD).transpose(0, 1).unsqueeze(1)  # (B, 1, S)
        return self.decoder(target, state, ys, padding)


def loss_of(model: Seq2Seq, batch: Batch) -> Tensor:
    """The mean over all real target tokens."""
    device = model.decoder.output.weight.device
    source, target_in, target_out = (
        torch.from_numpy(array).to(device)
        for array in (batch.source, batch.target_in, batch.target_out)
    )
    logits = model(source, torch.from_numpy(batch.source_lengths), target_in)
    return F.cross_entropy(logits.flatten(0, 1), target_out.flatten(), ignore_index=PAD)


def search(model: Seq2Seq, batch: Batch, limits: np.ndarray, beam: int) -> Tensor:
    """Beam search; the log-probability of the best hypothesis of each sentence, (B,).

    A hypothesis that has ended keeps its place and its score, and says padding.
    """
    limits = torch.from_numpy(limits)
    source, lengths = torch.from_numpy(batch.source), torch.from_numpy(batch.source_lengths)
    B, decoder = source.shape[1], model.decoder
    state, ys = model.encoder(source, lengths)
    ys = ys.transpose(0, 1).repeat_interleave(beam, 0)
    keys = decoder.attention.keys(ys)
    padding = (source == PAD).transpose(0, 1).unsqueeze(1).repeat_interleave(beam, 0)
    memory = keys, keys if decoder.attention.kind == "dot" else ys, padding
    state = tuple(part.repeat_interleave(beam, 1) for part in state)
    # at first all hypotheses of a sentence are the same: only one may go on
    scores = torch.full((B, beam), -math.inf)
    scores[:, 0] = 0
    tokens, ended = torch.full((1, B * beam), BOS), torch.zeros(B, beam, dtype=torch.bool)
    first = (torch.arange(B) * beam).unsqueeze(1)
    for step in range(int(limits.max()) + 1):
        hs, state = run(decoder.rnn, decoder.embedding(tokens), state)
        log_p = F.log_softmax(decoder.output(decoder.read(hs, memory))[0], 1).view(B, beam, -1)
        log_p[:, :, [PAD, BOS]] = -math.inf
        only_end = (step >= limits).view(B, 1, 1) & (torch.arange(log_p.shape[2]) != EOS)
        log_p.masked_fill_(only_end, -math.inf)
        V = log_p.shape[2]
        log_p[ended] = -math.inf
        log_p[..., PAD].masked_fill_(ended, 0)
        totals = (scores.unsqueeze(2) + log_p).view(B, -1)
        # the places of hypotheses that have ended are taken: they come first
        taken = ended.unsqueeze(2).expand(-1, -1, V).reshape(B, -1) & (totals > -math.inf)
        best = totals.masked_fill(taken, math.inf).topk(beam).indices
        scores, rows, said = totals.gather(1, best), best // V, best % V
        ended = ended.gather(1, rows)
        ended |= said == EOS
        if ended.all():
            break
        if beam > 1:
            order = (first + rows).flatten()
            state = tuple(part[:, order] for part in state)
        tokens = said.view(1, -1)
    return scores.max(1).values
