"""How the weights of a model begin, where not as each layer begins by itself."""

from __future__ import annotations

import minigrad as mg
from minigrad import Tensor, nn

RECURRENT = nn.LSTM, nn.GRU, nn.RNN


def initialise(model: nn.Module, how: str) -> None:
    """Draw the matrices of all linear and recurrent layers, gate by gate; biases are 0, but for
    those of forget gates. Embeddings stay, and so does an output layer that is one.

    - "lecun": normal, of variance 1 / inputs (LeCun et al. 1998)
    - "xavier": uniform, of variance 2 / (inputs + outputs) (Glorot & Bengio 2010)
    - "orthogonal": orthogonal from state to state (Saxe et al. 2014), the others as "xavier"
    """
    kept = {id(one.weight) for one in model.modules() if isinstance(one, nn.Embedding)}
    with mg.no_grad():
        for layer in model.modules():
            recurrent = isinstance(layer, RECURRENT)
            if not recurrent and not isinstance(layer, nn.Linear):
                continue
            for name, p in layer.named_parameters():
                if name.startswith("bias"):
                    p.zero_()
                elif name.startswith("weight") and id(p) not in kept:
                    gates = len(p) // layer.hidden_size if recurrent else 1
                    for gate in p.chunk(gates):
                        draw(gate, how, "_hh_" in name)
            if isinstance(layer, nn.LSTM) and layer.forget_bias is not None:
                nn.init.forget_bias_(layer, layer.forget_bias)


def draw(matrix: Tensor, how: str, between_states: bool) -> None:
    if how == "lecun":
        nn.init.kaiming_normal_(matrix, nonlinearity="linear")
    elif how == "orthogonal" and between_states:
        nn.init.orthogonal_(matrix)
    else:
        nn.init.xavier_uniform_(matrix)
