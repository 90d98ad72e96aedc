"""What the gates of a decoder do, unit by unit: the cells written out once more, in NumPy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad as mg
from datasets import UNK, Batch

if TYPE_CHECKING:
    from .seq2seq import Seq2Seq
    from .translator import Translation, Translator


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * a)


def lstm(x: np.ndarray, h: np.ndarray, c: np.ndarray, w: dict[str, np.ndarray]) -> dict:
    """The cell of nn.LSTM, with layer normalisation where it has its weights."""

    def normed(y: np.ndarray, gain: str) -> np.ndarray:
        if gain not in w:
            return y
        return (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5) * w[gain]

    a = normed(x @ w["weight_ih"].T, "norm_ih") + normed(h @ w["weight_hh"].T, "norm_hh")
    i, f, g, o = np.split(a + w["bias_ih"] + w["bias_hh"], 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    h = o * np.tanh(normed(c, "norm_c") + w.get("norm_bias_c", 0))
    return {"i": i, "f": f, "o": o, "g": g, "c": c, "h": h}


def gru(x: np.ndarray, h: np.ndarray, w: dict[str, np.ndarray]) -> dict:
    """The cell of nn.GRU."""
    x_r, x_z, x_n = np.split(x @ w["weight_ih"].T + w["bias_ih"], 3, axis=1)
    h_r, h_z, h_n = np.split(h @ w["weight_hh"].T + w["bias_hh"], 3, axis=1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    return {"r": r, "z": z, "n": n, "h": (1 - z) * n + z * h}


def rnn(x: np.ndarray, h: np.ndarray, w: dict[str, np.ndarray]) -> dict:
    """The cell of nn.RNN."""
    a = x @ w["weight_ih"].T + w["bias_ih"] + h @ w["weight_hh"].T + w["bias_hh"]
    return {"h": np.tanh(a)}


WRITTEN_OUT = {"lstm": lstm, "gru": gru, "rnn": rnn}
GATES = "ifozr"  # from 0 to 1; the others have a sign


def gates_of(translator: Translator, source: str, translation: Translation) -> dict:
    """The `gates` of the translator, of the first model of an ensemble, while it says this."""
    ids = {token: n for n, token in enumerate(translator.target.tokens)}
    said = [ids.get(piece, UNK) for piece in translation.target[:-1]]
    return gates(translator.model, Batch.of([(translator.example(source)[0], said)]))


def means(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Over the units, (T,): of gates their values, of what has a sign, |named|, the magnitudes."""
    return {
        name if name in GATES else f"|{name}|": (x if name in GATES else np.abs(x)).mean(1)
        for name, x in found.items()
    }


def gates(model: Seq2Seq, batch: Batch) -> dict[str, np.ndarray]:
    """What happens in the top layer of the decoder, unit by unit, while it says the target of the
    batch's one sentence: each (T, H), float64, computed from the layer's weights.
    """
    x, before, _ = steps_of_top_layer(model, batch)
    layer = model.decoder.rnn
    top = f"_l{layer.num_layers - 1}"
    weights = {
        name.removesuffix(top): p.detach().to_numpy().astype(np.float64)
        for name, p in layer.named_parameters()
        if name.endswith(top)
    }
    return WRITTEN_OUT[model.options.cell](x, *before, weights)


def steps_of_top_layer(
    model: Seq2Seq, batch: Batch
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """What the decoder's top layer hears at every step (T, I), and the parts of its state (T, H)
    before and after, float64: taken from the layer at work, whatever is fed into it.
    """
    calls: list[tuple] = []
    model.eval()
    with mg.no_grad():
        memory = model.encode(batch)
        state, target = memory.start, mg.as_tensor(batch.target_in, device=model.device)
        handle = model.decoder.rnn.register_forward_hook(lambda *call: calls.append(call[1:]))
        try:
            for t in range(len(target)):  # one call a step shows the state in between
                state = model.decoder(target[t : t + 1], state, memory).state
        finally:
            handle.remove()

    def parts(state: Any) -> list:
        return list(state) if isinstance(state, tuple) else [state]

    def rows(tensors: Iterable[Any]) -> np.ndarray:
        return np.array([x[-1, 0].to_numpy() for x in tensors], np.float64)

    # in evaluation nothing is dropped between layers: the layer below gives what this one hears
    stacked = model.decoder.rnn.num_layers > 1
    heard = rows(parts(last)[0][:-1] if stacked else x for (x, _), (_, last) in calls)
    before = [rows(step) for step in zip(*[parts(state) for (_, state), _ in calls])]
    after = [rows(step) for step in zip(*[parts(last) for _, (_, last) in calls])]
    return heard, before, after
