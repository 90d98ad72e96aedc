"""Recurrent layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import fused, ops
from ..backend import backend_of
from ..ops import zeros
from ..ops.random import Generator
from ..tensor import Tensor, wrap
from . import functional as F
from . import init
from .module import Module, Parameter


class LSTM(Module):
    """A stack of LSTM layers (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

    The call takes x (T, B, input_size), or (B, T, input_size) with batch_first, or (T, input_size)
    for one sequence, and optionally (h_0, c_0), each (num_layers * directions, B, hidden_size). It
    returns the hidden states of the last layer (T, B, directions * hidden_size) and (h_n, c_n)
    shaped like (h_0, c_0).

    `lengths`, B integers from 0 to T in any order: the state that comes out is the one at each
    sentence's last token, the backward direction begins there, and outputs beyond it are zero.
    `forget_bias` sets the forget gates' bias; None leaves it as PyTorch starts it.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = "float32",
        *,
        forget_bias: float | None = None,
        generator: Generator | None = None,
    ):
        super().__init__()
        for name, value in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
        ):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"LSTM: {name} is {value!r}, expected a whole number of at least 1"
                )
        F.check_probability(dropout)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.generator = bidirectional, generator
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else hidden_size * self.directions
            for suffix in self.suffixes(layer):
                shapes = {
                    "weight_ih": (4 * hidden_size, inputs),
                    "weight_hh": (4 * hidden_size, hidden_size),
                }
                if bias:
                    shapes |= {"bias_ih": (4 * hidden_size,), "bias_hh": (4 * hidden_size,)}
                for name, shape in shapes.items():
                    setattr(
                        self,
                        f"{name}_{suffix}",
                        Parameter(zeros(shape, device=device, dtype=dtype)),
                    )
        self.reset_parameters()
        if forget_bias is not None:
            if not bias:
                raise ValueError("LSTM: forget_bias needs bias=True")
            init.forget_bias_(self, forget_bias)

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def suffixes(self, layer: int) -> list[str]:
        """PyTorch's names of a layer's directions: l0, l0_reverse."""
        return [f"l{layer}", f"l{layer}_reverse"][: self.directions]

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None, *, lengths: Any = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if x.ndim == 2:  # one sentence without a batch
            state = state and tuple([s.unsqueeze(1) for s in state])
            dim = 0 if self.batch_first else 1
            y, state = self.forward(x.unsqueeze(dim), state, lengths=lengths)
            return y.squeeze(dim), tuple([s.squeeze(1) for s in state])
        order = "(B, T" if self.batch_first else "(T, B"
        if x.ndim != 3:
            raise ValueError(f"LSTM: x has shape {tuple(x.shape)}, expected {order}, input_size)")
        if x.shape[2] != self.input_size:
            raise RuntimeError(
                f"LSTM: x has shape {tuple(x.shape)}, expected {order}, {self.input_size})"
            )
        x = x.transpose(0, 1) if self.batch_first else x
        T, B, _ = x.shape
        hs, cs = self.initial_state(x, B) if state is None else self.checked_state(state, B)
        active = active_steps(lengths, T, B)
        h_n, c_n = [], []
        for layer in range(self.num_layers):
            if layer:
                x = F.dropout(x, self.dropout, self.training, self.generator)
            outputs = []
            for direction, suffix in enumerate(self.suffixes(layer)):
                n = layer * self.directions + direction
                w_ih = getattr(self, f"weight_ih_{suffix}")
                w_hh = getattr(self, f"weight_hh_{suffix}")
                if self.bias:
                    b = getattr(self, f"bias_ih_{suffix}") + getattr(self, f"bias_hh_{suffix}")
                else:
                    b = wrap(backend_of(x.array).xp.zeros(4 * self.hidden_size, x.dtype))
                y, h, c = fused.lstm(
                    x, hs[n], cs[n], w_ih, w_hh, b, active=active, reverse=direction == 1
                )
                outputs.append(y)
                h_n.append(h)
                c_n.append(c)
            x = outputs[0] if len(outputs) == 1 else ops.cat(outputs, 2)
        return (x.transpose(0, 1) if self.batch_first else x), (ops.stack(h_n), ops.stack(c_n))

    def initial_state(self, x: Tensor, B: int) -> tuple[Tensor, Tensor]:
        shape = (self.num_layers * self.directions, B, self.hidden_size)
        return tuple([wrap(backend_of(x.array).xp.zeros(shape, x.dtype)) for _ in "hc"])

    def checked_state(self, state: tuple[Tensor, Tensor], B: int) -> tuple[Tensor, Tensor]:
        shape = (self.num_layers * self.directions, B, self.hidden_size)
        if len(state) != 2 or not all(isinstance(s, Tensor) for s in state):
            raise TypeError("LSTM: the state must be a pair of tensors (h_0, c_0), or None")
        for name, s in zip(("h_0", "c_0"), state):
            if tuple(s.shape) != shape:
                raise RuntimeError(f"LSTM: {name} has shape {tuple(s.shape)}, expected {shape}")
        return state

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        parts += [
            f"{k}={getattr(self, k)}"
            for k, default in defaults.items()
            if getattr(self, k) != default
        ]
        return ", ".join(parts)


def active_steps(lengths: Any, T: int, B: int) -> np.ndarray | None:
    """Lengths as a host array (T, B), bool, true at real tokens; None when all are T."""
    if lengths is None:
        return None
    lengths = lengths.to_numpy() if isinstance(lengths, Tensor) else np.asarray(lengths)
    if lengths.shape != (B,) or lengths.dtype.kind not in "iu":
        raise RuntimeError(
            f"lengths must be {B} integers, one for each sentence, "
            f"got {lengths.dtype} {lengths.shape}"
        )
    if B and not 0 <= lengths.min() <= lengths.max() <= T:
        raise RuntimeError(
            f"lengths run from {lengths.min()} to {lengths.max()}, expected 0 to {T}"
        )
    if (lengths == T).all():
        return None
    return np.arange(T)[:, None] < lengths[None, :]
