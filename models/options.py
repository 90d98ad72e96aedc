"""What a translator can be built of, and which combinations make sense."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

from .ranges import Layers, OptionError, Range, Share, Size, Words, check_ranges

CELLS = "lstm", "gru", "rnn"
ATTENTIONS = "none", "dot", "general", "additive", "multi-head"
TIES = "none", "target", "all"
INITS = "default", "lecun", "xavier", "orthogonal"


@dataclass(frozen=True)
class ModelOptions:
    """The shape of a model, apart from its vocabularies.

    - `cell`: "lstm", "gru" or "rnn", of encoder and decoder
    - `embedding_size`, `hidden_size` (in each direction), `layers`: of encoder and decoder;
      `encoder_hidden_size`, `encoder_layers` where the encoder's differ, 0 where they do not
    - `bidirectional`: the encoder also reads from the end; `reverse_source`: it reads the source
      backwards (Sutskever et al. 2014)
    - `hidden_only`: the decoder takes over the hidden state alone, and its cell begins at zero, as
      in Saitoh's "Deep Learning from Scratch 2" (2018): LSTM only
    - `attention`: "none"; Luong et al. (2015): "dot" and "general"; Bahdanau et al. (2015):
      "additive"; Vaswani et al. (2017): "multi-head", with `heads` heads
    - `direct_readout`: the output layer sees state and context side by side, as in that book, not
      an attentional vector made of them
    - `input_feeding`: the decoder hears its last attentional vector (Luong et al. 2015)
    - `coverage`: scores know what has been attended to (Tu et al. 2016; See et al. 2017)
    - `peeky`: the decoder hears the encoder's last state at every step, and so does its output
      (Cho et al. 2014)
    - `tie`: "target": the output layer is the target embedding (Press & Wolf 2017); "all": the
      source embedding too, over a joint vocabulary
    - `dropout` of the embeddings, between layers and of the output; `embedding_dropout`,
      `output_dropout` where these differ; `annotation_dropout` of the encoder's outputs that
      attention reads; `recurrent_dropout` of the states, the same at every step (Gal & Ghahramani
      2016), and `variational`: so is that between layers
    - `layer_norm` in the cells (Ba et al. 2016), `forget_bias` of their forget gates: LSTM only
    - `init`: "default", as each layer begins by itself, or what `initialise` knows;
      `embedding_std`: the standard deviation of the first embeddings, by default 1, and one over
      the root of `embedding_size` for an embedding that is the output layer, too
    """

    cell: Annotated[str, Words(CELLS)] = "lstm"
    embedding_size: Size = 64
    hidden_size: Size = 128
    layers: Layers = 1
    encoder_hidden_size: Annotated[int, Range(int, 0, 10**9)] = 0
    encoder_layers: Annotated[int, Range(int, 0, 100)] = 0
    bidirectional: bool = True
    reverse_source: bool = False
    hidden_only: bool = False
    attention: Annotated[str, Words(ATTENTIONS)] = "dot"
    heads: Size = 4
    direct_readout: bool = False
    input_feeding: bool = False
    coverage: bool = False
    peeky: bool = False
    tie: Annotated[str, Words(TIES)] = "none"
    dropout: Share = 0.0
    embedding_dropout: Share | None = None
    output_dropout: Share | None = None
    annotation_dropout: Share = 0.0
    recurrent_dropout: Share = 0.0
    variational: bool = False
    layer_norm: bool = False
    forget_bias: Annotated[float, Range(float, -100, 100)] = 1.0
    init: Annotated[str, Words(INITS)] = "default"
    embedding_std: Annotated[float, Range(float, 1e-6, 100)] | None = None

    def __post_init__(self) -> None:
        """Raises OptionError for values out of range and for options that do not go together."""
        check_ranges(self)
        for wrong, why in self.conflicts():
            if wrong:
                raise OptionError(why)

    def conflicts(self) -> list[tuple[bool, str]]:
        """What does not go together, and why."""
        without = self.attention == "none"
        return [
            (
                without and self.input_feeding,
                "input feeding passes the attentional vector on: it needs an attention",
            ),
            (
                without and self.direct_readout,
                "a direct readout is of state and context: it needs an attention",
            ),
            (
                self.direct_readout and self.tie != "none",
                "an output layer that is the target embedding needs a vector of its size: a direct "
                "readout does not go with tie",
            ),
            (
                without and self.coverage,
                "coverage sums up attention weights: it needs an attention",
            ),
            (
                without and self.annotation_dropout > 0,
                "annotation dropout is of what attention reads: it needs an attention",
            ),
            (
                self.coverage and self.attention == "multi-head",
                "coverage is of one set of weights: take another attention than multi-head",
            ),
            (
                self.attention == "multi-head" and self.hidden_size % self.heads != 0,
                f"{self.heads} heads do not divide the hidden size {self.hidden_size}",
            ),
            (
                self.layer_norm and self.cell != "lstm",
                f"layer normalisation is for the cell lstm, not for {self.cell}",
            ),
            (
                self.hidden_only and self.cell != "lstm",
                f"the hidden state is all that a {self.cell} has: hidden_only is for the lstm",
            ),
            (
                self.variational and not (self.dropout and self.stacked),
                "variational dropout is between layers: it needs --dropout and two layers or more",
            ),
        ]

    @property
    def stacked(self) -> bool:
        """Whether encoder or decoder has several layers."""
        return max(self.layers, self.encoder_layers) > 1

    @property
    def stepwise(self) -> bool:
        """Whether a step of the decoder needs what attention gave at the step before."""
        return self.input_feeding or self.coverage

    @classmethod
    def of(cls, values: dict[str, Any]) -> ModelOptions:
        """From a run directory. Raises OptionError where a name is unknown."""
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise OptionError(f"unknown model options: {', '.join(sorted(unknown))}")
        return cls(**values)
