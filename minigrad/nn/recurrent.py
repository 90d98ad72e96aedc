"""Recurrent layers over whole sequences."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any, NamedTuple

import numpy as np

from .. import fused, ops
from ..backend import backend_of
from ..dtypes import get_default_dtype
from ..fused.recurrent import ActiveSteps
from ..ops import zeros
from ..ops.random import Generator, drop_factors
from ..tensor import Tensor, wrap
from . import functional as F
from . import init
from .module import Module, Parameter
from .utils.rnn import PackedSequence, pack_like, pad_packed_sequence

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "RNN_SOFTSIGN": 1, "GRU": 3, "LSTM": 4}


class Masks(NamedTuple):
    """The factors of dropout that is the same at every step, 0 or 1 / (1 - p); None without it."""

    states: list[Tensor | None]  # of each layer and direction, (B, size)
    between: list[Tensor | None]  # before each layer but the first, (B, directions * size)


class RNNBase(Module):
    """What RNN, GRU and LSTM have in common: a stack of layers, each in one or two directions.

    The call takes x (T, B, input_size), or (B, T, input_size) with batch_first, or (T, input_size)
    for one sequence, or a PackedSequence, and optionally the first state. It returns the hidden
    states of the last layer (T, B, directions * hidden_size) and the last state of every layer. A
    state is h (num_layers * directions, B, hidden_size), for an LSTM a pair (h, c) of such.

    The call takes further, by name:

    - `lengths`, B integers from 0 to T in any order: the state that comes out is the one at each
      sentence's last token, the backward direction begins there, and outputs beyond it are zero.
      On a GPU they are uploaded, at every call, but for `active_steps(lengths, T, B).to(device)`
    - `truncate`, a number of steps: no gradient flows through the state from one window of so many
      steps of a sentence to the window before it (truncated backpropagation through time, Williams
      & Peng 1990); the values stay as they are
    - `masks`, what `draw_masks(B)` gave: a sequence that comes in several calls, as a decoder's
      steps do, sees the same variational dropout in all of them

    Beside PyTorch's, and by name only, there are these options; all act in training only, but for
    zoneout, which in evaluation takes the mean of what it draws in training:

    - `recurrent_dropout`, a probability: elements of the hidden state that the recurrent product
      does not see, the same at every step (variational dropout, Gal & Ghahramani 2016)
    - `variational`: `dropout` between the layers, too, is the same at every step
    - `zoneout`, a probability: elements of the state that keep their old value, drawn anew at every
      step; for an LSTM also a pair, of the cell and of the hidden state (Krueger et al. 2017)
    - `generator` draws all of these

    Weights are looked up by name at every call, so a program may put a tensor that it computed in
    the place of a parameter that it deleted.
    """

    recurrent_dropout = zoneout = 0.0
    variational = peephole = layer_norm = False
    activation = "tanh"
    forget_bias: float | None = None

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        recurrent_dropout: float = 0.0,
        variational: bool = False,
        zoneout: float | tuple[float, float] = 0.0,
        generator: Generator | None = None,
        extra_shapes: dict[str, tuple[int, ...]] | None = None,
    ):
        super().__init__()
        if mode not in GATES:
            raise ValueError(f"mode {mode!r}: expected one of {', '.join(GATES)}")
        check_flags(bias=bias, batch_first=batch_first, variational=variational)
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        for name, value in sizes.items():
            if not isinstance(value, numbers.Integral):
                raise TypeError(f"{name} is {value!r}, expected a whole number")
            if value < 1:
                raise ValueError(f"{name} is {value}, expected at least 1")
        shares = zoneout if isinstance(zoneout, tuple) else (zoneout,)
        if isinstance(zoneout, tuple) and (len(shares) != 2 or mode != "LSTM"):
            raise ValueError(f"zoneout is {zoneout!r}, expected one number, or two for an LSTM")
        for name, p in [
            ("dropout", dropout),
            ("recurrent_dropout", recurrent_dropout),
            *[("zoneout", share) for share in shares],
        ]:
            if not isinstance(p, numbers.Real) or isinstance(p, bool):
                raise ValueError(f"{name} is {p!r}, expected a number from 0 to 1")
            F.check_probability(p)
        if not isinstance(generator, (Generator, type(None))):
            raise TypeError(f"generator is {generator!r}, expected a minigrad.Generator or None")
        if variational and not dropout:
            raise ValueError("variational=True is about the dropout between layers: give dropout")
        if proj_size and mode != "LSTM":
            raise ValueError(f"proj_size is for the LSTM, not for {mode}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"proj_size is {proj_size}, expected less than hidden_size, {hidden_size}, or 0"
            )
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} is applied between layers and has no effect with num_layers=1",
                stacklevel=3,
            )
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        self.proj_size, self.generator = proj_size, generator
        self.recurrent_dropout, self.variational = float(recurrent_dropout), variational
        self.zoneout = tuple(map(float, shares)) if len(shares) > 1 else float(zoneout)
        self._all_weights: list[list[str]] = []  # names, for each layer and direction
        gates, out = GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            shapes = {
                "weight_ih": (gates, out * self.directions if layer else input_size),
                "weight_hh": (gates, out),
            }
            if bias:
                shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
            if proj_size:
                shapes["weight_hr"] = proj_size, hidden_size
            shapes |= extra_shapes or {}
            for suffix in [f"l{layer}", f"l{layer}_reverse"][: self.directions]:
                self._all_weights.append([f"{name}_{suffix}" for name in shapes])
                for name, shape in shapes.items():
                    weight = zeros(shape, device=device, dtype=dtype or get_default_dtype())
                    setattr(self, f"{name}_{suffix}", Parameter(weight))
        self.reset_parameters()

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Tensor]:
        """All weights in a row, as programs that look inside PyTorch's layers expect them."""
        return [weight for weights in self.all_weights for weight in weights]

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.hidden_size)
        for name, p in self.named_parameters():
            if name.startswith("norm_"):
                init.constant_(p, 0.0 if "bias" in name else 1.0)
            else:
                init.uniform_(p, -bound, bound)

    def flatten_parameters(self) -> None:
        """For PyTorch programs: there is no other memory layout to change to."""

    def sequence(self, x: Tensor, state: list, weights: list, **time: Any) -> tuple:
        """One layer in one direction: the outputs, and each part of the last state."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def forward(
        self,
        input: Any,
        hx: Any = None,
        *,
        lengths: Any = None,
        truncate: int | None = None,
        masks: Masks | None = None,
    ) -> tuple:
        whole = isinstance(truncate, numbers.Integral) and not isinstance(truncate, bool)
        if truncate is not None and not (whole and truncate >= 1):
            raise ValueError(
                f"truncate is {truncate!r}, expected a whole number of steps from 1 on, or None"
            )
        time = {"lengths": lengths, "truncate": truncate, "masks": masks}
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise ValueError("a PackedSequence has its lengths with it: pass no lengths=")
            self.check_input(input.data, 2)
            x, time["lengths"] = pad_packed_sequence(input)
            y, state = self.run(x, self.first_state(x, hx), **time)
            return pack_like(y, input), state
        if input.ndim not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: x has shape {tuple(input.shape)}, expected "
                f"({'B, T' if self.batch_first else 'T, B'}, {self.input_size}), "
                f"or (T, {self.input_size}) for one sequence"
            )
        self.check_input(input, input.ndim)
        if input.ndim == 2:
            x = ops.unsqueeze(input, 1)
            y, state = self.run(x, self.first_state(x, hx, batched=False), **time)
            several = isinstance(state, tuple)
            state = tuple([s.squeeze(1) for s in state]) if several else state.squeeze(1)
            return y.squeeze(1), state
        x = ops.transpose(input, 0, 1) if self.batch_first else input
        y, state = self.run(x, self.first_state(x, hx), **time)
        return (ops.transpose(y, 0, 1) if self.batch_first else y), state

    def run(
        self,
        x: Tensor,
        state: list[Tensor],
        lengths: Any,
        truncate: int | None,
        masks: Masks | None,
    ) -> tuple:
        """All layers over x (T, B, input_size)."""
        if not len(x):
            raise RuntimeError(f"{type(self).__name__}: a sequence of length 0")
        active = active_steps(lengths, *x.shape[:2])
        if truncate is not None and active is None:
            active = ActiveSteps(np.ones(x.shape[:2], bool))
        state = list(zip(*[ops.unbind(part) for part in state]))  # of each layer and direction
        masks = self.draw_masks(x.shape[1]) if masks is None else masks
        last = []
        for layer in range(self.num_layers):
            if layer:
                x = self.between(x, masks.between[layer - 1])
            outputs = []
            for direction in range(self.directions):
                n = len(last)
                weights = [getattr(self, name) for name in self._all_weights[n]]
                if not self.bias:
                    shape = (GATES[self.mode] * self.hidden_size,)
                    nothing = wrap(backend_of(x.array).xp.zeros(shape, x.array.dtype))
                    weights[2:2] = nothing, nothing
                time = {"active": active, "reverse": direction == 1, "truncate": truncate}
                noise = self.noise(x, masks.states[n])
                y, *parts = self.sequence(x, state[n], weights, **time, **noise)
                outputs.append(y)
                last.append(parts)
            x = outputs[0] if len(outputs) == 1 else ops.cat(outputs, 2)
        last = tuple([ops.stack(parts) for parts in zip(*last)])
        return x, last if self.mode == "LSTM" else last[0]

    def draw_masks(self, B: int) -> Masks:
        """The variational dropout of B sentences, for calls with `masks=`."""
        n, size = self.num_layers, self.proj_size or self.hidden_size
        state = self.recurrent_dropout if self.training else 0.0
        between = self.dropout if self.training and self.variational else 0.0
        return Masks(
            [self.factors(state, B, size) if state else None for _ in range(n * self.directions)],
            [
                self.factors(between, B, self.directions * size) if between else None
                for _ in range(n - 1)
            ],
        )

    def between(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """The dropout between two layers."""
        if self.variational:
            return x if mask is None else x * mask
        return F.dropout(x, self.dropout, self.training, generator=self.generator)

    def noise(self, x: Tensor, mask: Tensor | None) -> dict[str, Any]:
        """What happens to the state of one layer in one direction, as the kernels take it."""
        options: dict[str, Any] = {} if mask is None else {"dropped": mask.array}
        if self.zoneout:
            cell, hidden = self.zoneout if isinstance(self.zoneout, tuple) else [self.zoneout] * 2
            shares = [(hidden, self.proj_size or self.hidden_size)]
            if self.mode == "LSTM":
                shares.append((cell, self.hidden_size))
            options["zoneout"] = tuple(
                None
                if not p
                else (self.factors(p, *x.shape[:2], size) == 0).array
                if self.training
                else p
                for p, size in shares
            )
        return options

    def factors(self, p: float, *shape: int) -> Tensor:
        return drop_factors(shape, p, getattr(self, self._all_weights[0][0]), self.generator)

    def check_input(self, x: Tensor, ndim: int) -> None:
        name, weight = type(self).__name__, getattr(self, self._all_weights[0][0])
        if x.dtype != weight.dtype:
            raise ValueError(
                f"{name}: x is {x.dtype}, the weights are {weight.dtype}; convert one of them"
            )
        if x.ndim != ndim or x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: x has shape {tuple(x.shape)}, expected {ndim} dimensions, "
                f"the last of size {self.input_size}"
            )

    def first_state(self, x: Tensor, hx: Any, batched: bool = True) -> list[Tensor]:
        """The parts of the state, each (num_layers * directions, B, size), checked, or zeros."""
        sizes = {"h_0": self.proj_size or self.hidden_size}
        if self.mode == "LSTM":
            sizes["c_0"] = self.hidden_size
        n, B = self.num_layers * self.directions, x.shape[1]
        if hx is None:
            xp, dtype = backend_of(x.array).xp, x.array.dtype
            return [wrap(xp.zeros((n, B, size), dtype)) for size in sizes.values()]
        name, parts = type(self).__name__, [hx] if self.mode != "LSTM" else hx
        if isinstance(parts, Tensor) or len(parts) != len(sizes):
            raise TypeError(f"{name}: the state must be a pair of tensors (h_0, c_0), or None")
        for (what, size), part in zip(sizes.items(), parts):
            if not isinstance(part, Tensor):
                raise TypeError(f"{name}: {what} is a {type(part).__name__}, expected a Tensor")
            shape = (n, B, size) if batched else (n, size)
            if tuple(part.shape) != shape or part.dtype != x.dtype:
                raise RuntimeError(
                    f"{name}: {what} has shape {tuple(part.shape)} and is {part.dtype}, "
                    f"expected {shape} and {x.dtype}"
                )
        return list(parts) if batched else [ops.unsqueeze(part, 1) for part in parts]

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "recurrent_dropout": 0.0,
            "variational": False,
            "zoneout": 0.0,
            "forget_bias": None,
            "peephole": False,
            "layer_norm": False,
            "activation": "tanh",
        }
        parts += [
            f"{k}={getattr(self, k)}"
            for k, default in defaults.items()
            if getattr(self, k, default) != default
        ]
        return ", ".join(parts)


class RNN(RNNBase):
    """h = tanh(W x + b + U h + b') (Elman 1990), or with relu or softsign; see RNNBase for the call
    and for further options.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ):
        if nonlinearity not in ("tanh", "relu", "softsign"):
            raise ValueError(
                f"nonlinearity {nonlinearity!r}: expected 'tanh' or 'relu', or 'softsign'"
            )
        stack = num_layers, bias, batch_first, dropout, bidirectional
        options |= {"device": device, "dtype": dtype}
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, *stack, **options)
        self.nonlinearity = nonlinearity

    def sequence(self, x: Tensor, state: list, weights: list, **time: Any) -> tuple:
        w_ih, w_hh, b_ih, b_hh = weights
        squash = {"relu": self.mode == "RNN_RELU", "softsign": self.mode == "RNN_SOFTSIGN"}
        return fused.rnn(x, *state, w_ih, w_hh, b_ih + b_hh, **squash, **time)


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014), in PyTorch's variant: the reset gate multiplies
    U h + b', not h. `activation` is "tanh" or "softsign". See RNNBase for the call and for further
    options.
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
        dtype: Any = None,
        *,
        activation: str = "tanh",
        **options: Any,
    ):
        stack = num_layers, bias, batch_first, dropout, bidirectional
        options |= {"device": device, "dtype": dtype}
        super().__init__("GRU", input_size, hidden_size, *stack, **options)
        self.activation = checked_activation(activation)

    def sequence(self, x: Tensor, state: list, weights: list, **time: Any) -> tuple:
        softsign = self.activation == "softsign"
        return fused.gru(x, *state, *weights, softsign=softsign, **time)


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000); see
    RNNBase for the call and for further options.

    With `proj_size` the hidden state, and with it the output, is projected to so many numbers (Sak
    et al. 2014). By name only:

    - `forget_bias` sets the forget gates' bias; None leaves it as PyTorch starts it. 1 is the usual
      choice (Gers et al. 2000; Jozefowicz et al. 2015), long time lags have also been given 5
    - `peephole`: the gates see the cell (Gers & Schmidhuber 2000); weights `weight_ch_l0` (3H) for
      i, f, o
    - `layer_norm`: what comes from the input, what comes from the hidden state, and the cell on its
      way out are normalised over the units (Ba et al. 2016), with eps 1e-5; gains `norm_ih_l0`,
      `norm_hh_l0` (4H), `norm_c_l0` (H), and the bias `norm_bias_c_l0` (H)
    - `activation`: "tanh" or "softsign", of the candidate and of the cell on its way out
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
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        forget_bias: float | None = None,
        peephole: bool = False,
        layer_norm: bool = False,
        activation: str = "tanh",
        **options: Any,
    ):
        check_flags(peephole=peephole, layer_norm=layer_norm)
        if forget_bias is not None and not bias:
            raise ValueError("LSTM: forget_bias needs bias=True")
        if not isinstance(forget_bias, (numbers.Real, type(None))):
            raise TypeError(f"forget_bias is {forget_bias!r}, expected a number or None")
        stack = num_layers, bias, batch_first, dropout, bidirectional, proj_size
        options |= {"device": device, "dtype": dtype}
        gains = {"norm_ih": 4, "norm_hh": 4, "norm_c": 1, "norm_bias_c": 1} if layer_norm else {}
        extra = ({"weight_ch": 3} if peephole else {}) | gains
        shapes = {name: (n * hidden_size,) for name, n in extra.items()}
        super().__init__("LSTM", input_size, hidden_size, *stack, extra_shapes=shapes, **options)
        self.forget_bias, self.activation = forget_bias, checked_activation(activation)
        self.peephole, self.layer_norm = peephole, layer_norm
        if forget_bias is not None:
            init.forget_bias_(self, forget_bias)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.forget_bias is not None:
            init.forget_bias_(self, self.forget_bias)

    def sequence(self, x: Tensor, state: list, weights: list, **time: Any) -> tuple:
        w_ih, w_hh, b_ih, b_hh, *more = weights
        more = {
            "w_hr": more.pop(0) if self.proj_size else None,
            "w_ch": more.pop(0) if self.peephole else None,
            "norms": more if self.layer_norm else None,
            "softsign": self.activation == "softsign",
        }
        return fused.lstm(x, *state, w_ih, w_hh, b_ih + b_hh, **more, **time)


def check_flags(**flags: Any) -> None:
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} is {value!r}, expected True or False")


def checked_activation(activation: str) -> str:
    if activation not in ("tanh", "softsign"):
        raise ValueError(f"activation {activation!r}: expected 'tanh' or 'softsign'")
    return activation


def active_steps(lengths: Any, T: int, B: int) -> ActiveSteps | None:
    """Which of T steps of B sentences of these lengths are real tokens; None when all are. What a
    call has given may be the `lengths` of further ones.
    """
    if lengths is None:
        return None
    if isinstance(lengths, ActiveSteps):
        if lengths.host.shape != (T, B):
            raise RuntimeError(f"the lengths are of {lengths.host.shape} tokens, x of {(T, B)}")
        return lengths
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
    return ActiveSteps(np.arange(T)[:, None] < lengths[None, :])
