"""Encoder and decoder: a translator (Sutskever et al. 2014; attention after Luong et al. 2015).

Dimension letters: S source steps, T target steps, B sentences, E embedding, H hidden, D annotation,
R readout, V vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from datasets import PAD, Batch
from minigrad import Tensor, nn
from minigrad.nn.recurrent import ActiveSteps, Masks, active_steps

from .attention import KINDS, Annotations, MultiHead
from .initialise import initialise
from .options import ModelOptions, OptionError

Parts = tuple[Tensor, ...]  # of a state, (layers, B, H) each: h, and for an LSTM c


class State(NamedTuple):
    """Where a decoder stands between two tokens."""

    rnn: Parts
    fed: Tensor | None = None  # (1, B, R), the last attentional vector, with input feeding
    coverage: Tensor | None = None  # (B, 1, S), the sum of the weights so far, with coverage
    said: Tensor | None = None  # (1, B), its own last token, where it hears itself

    def detached(self) -> State:
        """The same values, without history."""
        return State(tuple([x.detach() for x in self.rnn]), *map(_detached, self[1:]))

    def select(self, rows: np.ndarray) -> State:
        """The state of these sentences, in this order; one may come several times."""
        return State(
            tuple([x[:, rows] for x in self.rnn]),
            None if self.fed is None else self.fed[:, rows],
            None if self.coverage is None else self.coverage[rows],
        )


class Source(NamedTuple):
    """The sources of a batch on their device, with all that the encoder uploads."""

    tokens: Tensor  # (S, B)
    lengths: ActiveSteps | None
    order: tuple[Tensor, Tensor] | None  # in which they are read


class Memory(NamedTuple):
    """What the decoder knows of the source."""

    start: State
    annotations: Annotations | None  # with attention
    peek: Tensor | None  # (1, B, H), the encoder's last state, for a Peeky decoder
    masks: Masks  # of the decoder's variational dropout, the same for a sentence

    def cut(self) -> tuple[Memory, list[tuple[Tensor, Tensor]]]:
        """The same values as leaves of a new graph, where windows of the target collect their
        gradients, and the pairs of a tensor and its leaf.
        """
        pairs: list[tuple[Tensor, Tensor]] = []
        return _cut(self, pairs), pairs

    def select(self, rows: np.ndarray) -> Memory:
        """The memory of these sentences, in this order; one may come several times. `start` is over
        by then, and stays.
        """
        annotations = self.annotations
        if annotations is not None:
            annotations = Annotations(*[x[rows] for x in annotations])
        peek = None if self.peek is None else self.peek[:, rows]
        return Memory(self.start, annotations, peek, self.masks)


class Decoded(NamedTuple):
    logits: Tensor  # (T, B, V)
    state: State  # after the last token
    weights: Tensor | None  # (B, T, S), of attention
    overlap: Tensor | None  # (T, B), how much was attended to again, with coverage


def _detached(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.detach()


def _cut(x: Any, pairs: list) -> Any:
    if isinstance(x, Tensor) and x.requires_grad:
        leaf = x.detach().requires_grad_()
        pairs.append((x, leaf))
        return leaf
    if isinstance(x, tuple):
        parts = [_cut(part, pairs) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return x


def recurrent(options: ModelOptions, input_size: int, hidden: int, layers: int, **more: Any) -> Any:
    """The stack of layers that the options ask for."""
    kinds = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
    more["dropout"] = options.dropout if layers > 1 else 0.0
    more["variational"] = options.variational and layers > 1
    more["recurrent_dropout"] = options.recurrent_dropout
    if options.cell == "lstm":
        more |= {"layer_norm": options.layer_norm, "forget_bias": options.forget_bias}
    return kinds[options.cell](input_size, hidden, layers, **more)


def run(rnn: Any, x: Tensor, state: Parts | None, **more: Any) -> tuple[Tensor, Parts]:
    """A recurrent layer whose state is a tuple whatever the cell."""
    if state is not None and len(state) == 1:
        (state,) = state
    ys, last = rnn(x, state, **more)
    return ys, last if isinstance(last, tuple) else (last,)


def chosen(special: float | None, general: float) -> float:
    return general if special is None else special


class Encoder(nn.Module):
    """Reads the source, from both ends or from one; a bridge makes the decoder's first state."""

    def __init__(self, vocabulary: int, options: ModelOptions):
        super().__init__()
        o = options
        hidden, layers = o.encoder_hidden_size or o.hidden_size, o.encoder_layers or o.layers
        self.embedding = nn.Embedding(vocabulary, o.embedding_size, padding_idx=PAD)
        self.dropout = nn.Dropout(chosen(o.embedding_dropout, o.dropout))
        self.rnn = recurrent(o, o.embedding_size, hidden, layers, bidirectional=o.bidirectional)
        self.annotation_dropout = nn.Dropout(o.annotation_dropout)
        self.directions = 1 + o.bidirectional
        self.size, self.layers, self.reverse = self.directions * hidden, o.layers, o.reverse_source
        self.hidden_only, parts = o.hidden_only, 1 + (o.cell == "lstm" and not o.hidden_only)
        if self.size == o.hidden_size and layers == o.layers:
            parts = 0  # the decoder takes the states over as they are
        self.bridges = nn.ModuleList([nn.Linear(self.size, o.hidden_size) for _ in range(parts)])

    def source(self, batch: Batch) -> Source:
        """Upload the sources of a batch."""
        device, order = self.embedding.weight.device, None
        if self.reverse:
            order = turned(len(batch.source), batch.source_lengths)
            order = tuple(mg.as_tensor(part, device=device) for part in order)
        lengths = active_steps(batch.source_lengths, *batch.source.shape)
        tokens = mg.as_tensor(batch.source, device=device)
        return Source(tokens, lengths if lengths is None else lengths.to(device), order)

    def forward(self, source: Source, truncate: int | None = None) -> tuple[Tensor, Parts]:
        """Outputs (S, B, D), and a state for the decoder."""
        tokens, lengths, order = source
        x = self.dropout(self.embedding(tokens if order is None else tokens[order]))
        ys, last = run(self.rnn, x, None, lengths=lengths, truncate=truncate)
        if order is not None:
            ys = ys[order]  # an output stands where its token does
        if len(self.bridges):
            last = tuple(map(self.bridge, last, self.bridges))
        if self.hidden_only:
            last = last[0], mg.zeros_like(last[0])
        return self.annotation_dropout(ys), last

    def bridge(self, last: Tensor, linear: nn.Linear) -> Tensor:
        """Both directions of each layer as one state. Decoder and encoder layers meet from the top;
        a deeper decoder takes the lowest several times.
        """
        n, B, H = last.shape
        layers = n // self.directions
        last = last.reshape(layers, self.directions, B, H).transpose(1, 2)
        last = last.reshape(layers, B, self.size)
        used = [last[max(0, layers - self.layers + n)] for n in range(self.layers)]
        return linear(mg.stack(used)).tanh()


def turned(S: int, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each token comes from when the words of every sentence are read backwards: </s> and
    padding keep their places. Twice is once back.
    """
    step, words = np.arange(S)[:, None], lengths[None, :] - 1
    return np.where(step < words, words - 1 - step, step), np.arange(len(lengths))[None, :]


class Decoder(nn.Module):
    """Says the target, token by token. What it says is read out of its state, of the context where
    there is attention, and of the encoder's last state where it is Peeky.
    """

    def __init__(self, vocabulary: int, options: ModelOptions, annotation: int):
        super().__init__()
        o, E, H = options, options.embedding_size, options.hidden_size
        self.options = options
        self.embedding = nn.Embedding(vocabulary, E, padding_idx=PAD)
        self.embedding_dropout = nn.Dropout(chosen(o.embedding_dropout, o.dropout))
        self.dropout = nn.Dropout(chosen(o.output_dropout, o.dropout))
        if o.attention == "none":
            self.attention = None
        elif o.attention == "multi-head":
            self.attention = MultiHead(H, annotation, o.heads)
        else:
            self.attention = KINDS[o.attention](H, annotation, o.coverage)

        attended = 0 if self.attention is None else self.attention.value_size
        read = H + attended + (H if o.peeky else 0)
        direct = o.direct_readout or not attended and (o.tie == "none" or read == E)
        self.readout_size = R = read if direct else E if o.tie != "none" else H
        self.combine = None if direct else nn.Linear(read, R)
        heard = E + (H if o.peeky else 0) + (R if o.input_feeding else 0)
        self.rnn = recurrent(o, heard, H, o.layers)
        self.output = nn.Linear(R, vocabulary)
        if o.tie != "none":
            self.output.weight = self.embedding.weight

    def start(self, rnn: Parts, annotations: Annotations | None) -> State:
        """The state before the first token."""
        h, fed, coverage = rnn[0], None, None
        if self.options.input_feeding:
            fed = h.new_zeros(1, h.shape[1], self.readout_size)
        if self.options.coverage:
            coverage = h.new_zeros(annotations.padding.shape)
        return State(rnn, fed, coverage)

    def forward(
        self, target: Tensor, state: State, memory: Memory, own: Tensor | None = None
    ) -> Decoded:
        """target (T, B), the tokens so far -> logits of the next ones, and the state after them.

        Where `own` (T, B), bool, is true, the decoder hears its own last token instead (scheduled
        sampling; Bengio et al. 2015), but for the very first.
        """
        if self.options.stepwise or own is not None:
            return self.steps(target, state, memory, own)
        x = self.heard(target, memory)
        hs, rnn = run(self.rnn, x, state.rnn, masks=memory.masks)  # (T, B, H)
        ys, weights = self.read(hs, memory, None)
        return Decoded(self.output(self.dropout(ys)), State(rnn), weights, None)

    def steps(self, target: Tensor, state: State, memory: Memory, own: Tensor | None) -> Decoded:
        """The same one token after the other."""
        rnn, fed, coverage, said = state
        x = self.heard(target, memory) if own is None else None
        logits, ys, weights, overlaps = [], [], [], []
        for t in range(len(target)):
            if own is None:
                x_t = x[t : t + 1]
            else:
                token = target[t : t + 1]
                if said is not None:
                    token = mg.where(own[t : t + 1], said, token)
                x_t = self.heard(token, memory)
            if fed is not None:
                x_t = mg.cat([x_t, fed], 2)
            h, rnn = run(self.rnn, x_t, rnn, masks=memory.masks)
            y, w = self.read(h, memory, coverage)
            if fed is not None:
                fed = y
            if coverage is not None:
                overlaps.append(mg.minimum(w, coverage).sum(2).transpose(0, 1))  # (1, B)
                coverage = coverage + w
            if own is not None:
                logits.append(self.output(self.dropout(y)))
                said = logits[-1].detach().argmax(2)
            ys.append(y)
            weights.append(w)
        out = mg.cat(logits) if logits else self.output(self.dropout(mg.cat(ys)))
        return Decoded(
            out,
            State(rnn, fed, coverage, said),
            None if self.attention is None else mg.cat(weights, 1),
            mg.cat(overlaps) if overlaps else None,
        )

    def heard(self, target: Tensor, memory: Memory) -> Tensor:
        """Embeddings (T, B, E), with the encoder's last state where the decoder is Peeky."""
        x = self.embedding_dropout(self.embedding(target))
        if memory.peek is None:
            return x
        return mg.cat([x, memory.peek.expand(len(target), -1, -1)], 2)

    def read(
        self, hs: Tensor, memory: Memory, coverage: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """From states (T, B, H) what the output layer sees (T, B, R), and the attention's weights
        (B, T, S).
        """
        parts, weights = [hs], None
        if self.attention is not None:
            queries = hs.transpose(0, 1)
            context, weights = self.attention(queries, memory.annotations, coverage)
            parts.insert(0, context.transpose(0, 1))
        if memory.peek is not None:
            parts.append(memory.peek.expand(len(hs), -1, -1))
        ys = mg.cat(parts, 2) if len(parts) > 1 else hs
        return (ys if self.combine is None else self.combine(ys).tanh()), weights


class Seq2Seq(nn.Module):
    """Source tokens in, logits of target tokens out.

    Raises OptionError when all embeddings are to be tied and the vocabularies differ in size.
    """

    def __init__(
        self, source_vocabulary: int, target_vocabulary: int, options: ModelOptions | None = None
    ):
        super().__init__()
        self.options = options = options or ModelOptions()
        self.encoder = Encoder(source_vocabulary, options)
        self.decoder = Decoder(target_vocabulary, options, self.encoder.size)
        if options.init != "default":
            initialise(self, options.init)
        # as rows of an output layer, embeddings of size 1 would make logits of size √E
        tied = None if options.tie == "none" else 1 / options.embedding_size**0.5
        for embedding, own in ((self.encoder.embedding, None), (self.decoder.embedding, tied)):
            std = own if options.embedding_std is None else options.embedding_std
            if std is not None:
                nn.init.normal_(embedding.weight, std=std)
                with mg.no_grad():
                    embedding.weight[PAD] = 0
        if options.tie == "all":
            if source_vocabulary != target_vocabulary:
                raise OptionError(
                    f"all embeddings are one: source and target need one joint vocabulary, not "
                    f"{source_vocabulary} and {target_vocabulary} types"
                )
            self.encoder.embedding.weight = self.decoder.embedding.weight

    @property
    def device(self) -> str:
        return self.decoder.output.weight.device

    def encode(self, source: Batch | Source, truncate: int | None = None) -> Memory:
        """With `truncate`, the gradient ends after so many steps of the source (truncated
        backpropagation through time).
        """
        if isinstance(source, Batch):
            source = self.encoder.source(source)
        ys, rnn = self.encoder(source, truncate)
        annotations = None
        if self.decoder.attention is not None:
            padding = (source.tokens == PAD).transpose(0, 1).unsqueeze(1)  # (B, 1, S)
            annotations = self.decoder.attention.annotations(ys.transpose(0, 1), padding)
        return Memory(
            self.decoder.start(rnn, annotations),
            annotations,
            rnn[0][-1:] if self.options.peeky else None,
            self.decoder.rnn.draw_masks(source.tokens.shape[1]),
        )

    def forward(self, batch: Batch) -> Tensor:
        """Teacher forcing: logits (T, B, V) of every target token from the true ones before it."""
        memory = self.encode(batch)
        target = mg.as_tensor(batch.target_in, device=self.device)
        return self.decoder(target, memory.start, memory).logits
