"""The translator of `models/seq2seq.py` as one would write it for PyTorch: what
`training_step.py` measures against.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from datasets import PAD, Batch


class Encoder(nn.Module):
    def __init__(self, vocabulary: int, embedding: int, hidden: int, dropout: float):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.LSTM(embedding, hidden, bidirectional=True)
        self.bridges = nn.ModuleList([nn.Linear(2 * hidden, hidden) for _ in "hc"])

    def forward(self, source: Tensor, lengths: Tensor) -> tuple:
        """source (S, B) -> the decoder's first state, (1, B, H) twice, and outputs (S, B, 2H)."""
        embedded = self.dropout(self.embedding(source))
        packed = pack_padded_sequence(embedded, lengths, enforce_sorted=False)
        ys, (h, c) = self.rnn(packed)
        ys, _ = pad_packed_sequence(ys)  # (S, B, 2H)
        h = torch.tanh(self.bridges[0](torch.cat([h[0], h[1]], 1)))
        c = torch.tanh(self.bridges[1](torch.cat([c[0], c[1]], 1)))
        return (h.unsqueeze(0), c.unsqueeze(0)), ys


class Attention(nn.Module):
    def __init__(self, hidden: int):
        super().__init__()
        self.keys = nn.Linear(2 * hidden, hidden, bias=False)

    def forward(self, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        """queries (T, B, H), keys (B, S, H), padding (B, 1, S) -> contexts (T, B, H)."""
        scores = torch.bmm(queries.transpose(0, 1), keys.transpose(1, 2))  # (B, T, S)
        weights = F.softmax(scores.masked_fill(padding, -1e9), dim=2)
        return torch.bmm(weights, keys).transpose(0, 1)


class Decoder(nn.Module):
    def __init__(self, vocabulary: int, embedding: int, hidden: int, dropout: float):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.LSTM(embedding, hidden)
        self.attention = Attention(hidden)
        self.combine = nn.Linear(2 * hidden, hidden)
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, target: Tensor, state: tuple, ys: Tensor, padding: Tensor) -> Tensor:
        """target (T, B), the encoder's outputs ys (S, B, 2H) -> logits (T, B, V)."""
        keys = self.attention.keys(ys.transpose(0, 1))  # (B, S, H)
        hs, _ = self.rnn(self.dropout(self.embedding(target)), state)
        context = self.attention(hs, keys, padding)
        return self.output(self.dropout(torch.tanh(self.combine(torch.cat([context, hs], 2)))))


class Seq2Seq(nn.Module):
    def __init__(self, source: int, target: int, embedding: int, hidden: int, dropout: float):
        super().__init__()
        self.encoder = Encoder(source, embedding, hidden, dropout)
        self.decoder = Decoder(target, embedding, hidden, dropout)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        state, ys = self.encoder(source, lengths)
        padding = (source == PAD).transpose(0, 1).unsqueeze(1)  # (B, 1, S)
        return self.decoder(target, state, ys, padding)


def loss_of(model: Seq2Seq, batch: Batch) -> Tensor:
    """The mean over all real target tokens."""
    source, lengths, target_in, target_out = (
        torch.from_numpy(array)
        for array in (batch.source, batch.source_lengths, batch.target_in, batch.target_out)
    )
    logits = model(source, lengths, target_in)
    return F.cross_entropy(logits.flatten(0, 1), target_out.flatten(), ignore_index=PAD)
