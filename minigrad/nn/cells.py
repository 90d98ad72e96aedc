"""One step of a recurrent layer, for loops that decide between the steps."""

from __future__ import annotations

import math
from typing import Any

from .. import fused, ops
from ..backend import backend_of
from ..dtypes import get_default_dtype
from ..ops import zeros
from ..tensor import Tensor, wrap
from . import init
from .module import Module, Parameter


class RNNCellBase(Module):
    """What the cells have in common: x (B, input_size), or (input_size), and the state h
    (B, hidden_size), or (hidden_size), None for zeros, give the next state.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates, options = num_chunks * hidden_size, {"device": device}
        options["dtype"] = dtype or get_default_dtype()
        self.weight_ih = Parameter(zeros(gates, input_size, **options))
        self.weight_hh = Parameter(zeros(gates, hidden_size, **options))
        self.bias_ih = Parameter(zeros(gates, **options)) if bias else None
        self.bias_hh = Parameter(zeros(gates, **options)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    @property
    def weights(self) -> list[Tensor]:
        biases = [] if self.bias_ih is None else [self.bias_ih, self.bias_hh]
        return [self.weight_ih, self.weight_hh, *biases]

    def step(self, x: Tensor, state: list[Tensor]) -> Any:
        """The next state from a batch."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self.run(input, [hx])

    def run(self, x: Tensor, state: list) -> Any:
        """One step from checked inputs; without a batch, a batch of one."""
        name = type(self).__name__
        if x.ndim not in (1, 2):
            raise ValueError(f"{name}: x has {x.ndim} dimensions, expected 1 or 2")
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: x has shape {tuple(x.shape)}, its last size must be {self.input_size}"
            )
        if x.dtype != self.weight_ih.dtype:
            raise RuntimeError(
                f"{name}: x is {x.dtype}, the weights are {self.weight_ih.dtype}; convert one"
            )
        shape = (*x.shape[:-1], self.hidden_size)
        if state[0] is None:
            nothing = wrap(backend_of(x.array).xp.zeros(shape, x.array.dtype))
            state = [nothing] * len(state)
        for h in state:
            if h.ndim not in (1, 2):
                raise ValueError(f"{name}: the state has {h.ndim} dimensions, expected 1 or 2")
            if tuple(h.shape) != shape or h.dtype != x.dtype:
                raise RuntimeError(
                    f"{name}: the state has shape {tuple(h.shape)} and is {h.dtype}, "
                    f"expected {shape} and {x.dtype}"
                )
        if x.ndim == 2:
            return self.step(x, state)
        y = self.step(ops.unsqueeze(x, 0), [ops.unsqueeze(h, 0) for h in state])
        return tuple([h.squeeze(0) for h in y]) if isinstance(y, tuple) else y.squeeze(0)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """h' = tanh(W x + b + U h + b'), or relu."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def step(self, x: Tensor, state: list[Tensor]) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"nonlinearity {self.nonlinearity!r}: expected 'tanh' or 'relu'")
        return fused.rnn_cell(x, *state, *self.weights, relu=self.nonlinearity == "relu")


class LSTMCell(RNNCellBase):
    """One step of an LSTM: takes the state (h, c), returns the next (h, c)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        if isinstance(hx, Tensor):
            raise TypeError("LSTMCell: the state must be a pair of tensors (h, c), or None")
        if hx is not None and len(hx) != 2:
            raise RuntimeError(f"LSTMCell: the state has {len(hx)} parts, expected a pair (h, c)")
        return self.run(input, [None, None] if hx is None else list(hx))

    def step(self, x: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor]:
        return fused.lstm_cell(x, *state, *self.weights)


class GRUCell(RNNCellBase):
    """One step of a GRU, in PyTorch's variant."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def step(self, x: Tensor, state: list[Tensor]) -> Tensor:
        return fused.gru_cell(x, *state, *self.weights)
