"""Layers and losses that PyTorch also has at its top level: those of `nn.functional`, where these
know their reductions by number and some take their arguments in another order.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from . import fused
from .nn import functional as F
from .nn import recurrent
from .nn.functional import (  # noqa: F401
    adaptive_avg_pool1d,
    avg_pool1d,
    bilinear,
    conv1d,
    conv_transpose1d,
    pairwise_distance,
    rms_norm,
    rrelu,
    rrelu_,
    threshold_,
)
from .nn.module import Module
from .nn.utils.rnn import PackedSequence
from .nn.utils.weight_norm import norm_except_dim as _norm_except_dim
from .tensor import Tensor

REDUCTIONS = {0: "none", 1: "mean", 2: "sum"}


def _by_number(function: Any, *names: str) -> Any:
    """A loss of nn.functional with the arguments `names` in order, of which `reduction` is a number
    or a word. Left out it is "none", as in PyTorch, not "mean" as in nn.functional.
    """

    @wraps(function)
    def loss(*args: Any, **kwargs: Any) -> Tensor:
        given = {**dict(zip(names, args)), **kwargs}
        reduction = given.pop("reduction", 0)
        return function(**given, reduction=REDUCTIONS.get(reduction, reduction))

    return loss


_BY_NUMBER = {
    "binary_cross_entropy_with_logits": "input target weight pos_weight reduction",
    "cosine_embedding_loss": "input1 input2 target margin reduction",
    "ctc_loss": "log_probs targets input_lengths target_lengths blank reduction zero_infinity",
    "hinge_embedding_loss": "input target margin reduction",
    "kl_div": "input target reduction log_target",
    "margin_ranking_loss": "input1 input2 target margin reduction",
    "poisson_nll_loss": "input target log_input full eps reduction",
    "triplet_margin_loss": "anchor positive negative margin p eps swap reduction",
}
for _name, _names in _BY_NUMBER.items():
    globals()[_name] = _by_number(getattr(F, _name), *_names.split())


def _dropout(function: Any, inplace: bool = False) -> Any:
    def drop(input: Tensor, p: float, train: bool) -> Tensor:
        return function(input, p, train, inplace)

    drop.__doc__ = f"`nn.functional.{function.__name__}`{' in place' if inplace else ''}."
    return drop


dropout, dropout_ = _dropout(F.dropout), _dropout(F.dropout, True)
alpha_dropout, alpha_dropout_ = _dropout(F.alpha_dropout), _dropout(F.alpha_dropout, True)
feature_dropout = _dropout(F.dropout1d)
feature_alpha_dropout = _dropout(F.feature_alpha_dropout)


# the last argument of each says whether cuDNN may be used: there is none


def layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    return F.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    return F.group_norm(input, num_groups, weight, bias, eps)


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    return F.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


def embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of `weight`; note the order of the arguments, which nn.functional has the other way."""
    padding = None if padding_idx < 0 else padding_idx
    return F.embedding(
        indices, weight, padding, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
    )


def constant_pad_nd(input: Tensor, pad: Any, value: float = 0) -> Tensor:
    return F.pad(input, pad, value=value)


def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Tensor:
    return F.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)


max_pool1d_with_indices = F.max_pool1d_with_indices
adaptive_max_pool1d = F.adaptive_max_pool1d_with_indices


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The Euclidean norm over all dimensions but `dim`."""
    if pow != 2:
        raise NotImplementedError(f"norm_except_dim with pow={pow}: only 2, the Euclidean norm")
    return _norm_except_dim(v, dim)


# recurrent layers without a module


def _weights(*weights: Tensor | None) -> list[Tensor]:
    return [w for w in weights if w is not None]


def lstm_cell(
    input: Tensor,
    hx: Any,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step from the state (h, c) to the next."""
    return fused.lstm_cell(input, *hx, *_weights(w_ih, w_hh, b_ih, b_hh))


def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    return fused.gru_cell(input, hx, *_weights(w_ih, w_hh, b_ih, b_hh))


def _rnn_cell(name: str, relu: bool) -> Any:
    def cell(
        input: Tensor,
        hx: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
    ) -> Tensor:
        return fused.rnn_cell(input, hx, *_weights(w_ih, w_hh, b_ih, b_hh), relu=relu)

    cell.__name__ = name
    return cell


rnn_tanh_cell = _rnn_cell("rnn_tanh_cell", relu=False)
rnn_relu_cell = _rnn_cell("rnn_relu_cell", relu=True)


def _recurrent(layer: type, mode: str) -> Any:
    def run(input: Tensor, *args: Any, **kwargs: Any) -> tuple:
        """A recurrent layer on given weights: (input, hx, params, has_biases, num_layers, dropout,
        train, bidirectional, batch_first), or of packed data (data, batch_sizes, hx, params,
        has_biases, num_layers, dropout, train, bidirectional). Outputs and the last state.
        """
        names = "hx params has_biases num_layers dropout train bidirectional batch_first".split()
        packed = "batch_sizes" in kwargs or (args and getattr(args[0], "ndim", 0) == 1)
        if packed:
            names = ["batch_sizes", *names[:-1]]
        given = {**dict(zip(names, args)), **kwargs}
        hx, params = given.pop("hx"), list(given.pop("params"))
        self = layer.__new__(layer)
        Module.__init__(self)
        self.mode, self.generator, self.bias = mode, None, given["has_biases"]
        self.num_layers, self.dropout = given["num_layers"], given["dropout"]
        self.training, self.bidirectional = given["train"], given["bidirectional"]
        self.batch_first = given.get("batch_first", False)
        count = len(params) // (self.num_layers * self.directions)
        self._all_weights = [
            [f"{i}_{k}" for k in range(count)] for i in range(len(params) // count)
        ]
        vars(self).update(zip([name for names in self._all_weights for name in names], params))
        self.input_size = params[0].shape[1]
        self.hidden_size = params[1].shape[0] // recurrent.GATES[mode]
        self.proj_size = params[1].shape[1] if count in (3, 5) else 0
        if packed:
            input = PackedSequence(input, given["batch_sizes"])
        y, state = self(input, tuple(hx) if mode == "LSTM" else hx)
        y = y.data if packed else y
        return (y, *state) if mode == "LSTM" else (y, state)

    run.__name__ = mode.lower()
    return run


lstm, gru = _recurrent(recurrent.LSTM, "LSTM"), _recurrent(recurrent.GRU, "GRU")
rnn_tanh = _recurrent(recurrent.RNN, "RNN_TANH")
rnn_relu = _recurrent(recurrent.RNN, "RNN_RELU")

__all__ = [name for name, value in vars().items() if callable(value) and name[0] != "_"]
for _name in ("wraps", "Any", "Module", "PackedSequence", "Tensor"):
    __all__.remove(_name)
