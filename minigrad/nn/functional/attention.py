"""Attention (Vaswani et al. 2017)."""

from __future__ import annotations

import math
from typing import Any

from ... import ops
from ...backend import CPU, backend_of
from ...op import raw
from ...tensor import Tensor, wrap
from ..errors import BadArgument
from .dropout import dropout
from .linear import linear


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(q kᵀ scale + mask) v: q (..., L, E), k (..., S, E), v (..., S, Ev) -> (..., L, Ev).

    A bool mask is true where attention is allowed; a row that may attend to nothing gives zeros.
    `scale` is 1 / √E unless given. With `enable_gqa` several heads of the query share one of the
    key.
    """
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            "scaled_dot_product_attention: query, key and value need at least 2 dimensions, got "
            f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
        )
    L, S = query.shape[-2], key.shape[-2]
    if query.shape[-1] != key.shape[-1] or value.shape[-2] != S:
        raise RuntimeError(
            "scaled_dot_product_attention: expected query (..., L, E), key (..., S, E) and value "
            f"(..., S, Ev), got {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
        )
    if attn_mask is not None and any(
        n not in (1, m) for n, m in zip(attn_mask.shape[::-1], (S, L))
    ):
        raise RuntimeError(
            f"scaled_dot_product_attention: attn_mask has shape {tuple(attn_mask.shape)}, "
            f"expected (..., {L}, {S}): queries and keys"
        )
    if is_causal and attn_mask is not None:
        raise RuntimeError("scaled_dot_product_attention: give attn_mask or is_causal, not both")
    if enable_gqa:
        key, value = _shared_heads(key, query.shape[-3]), _shared_heads(value, query.shape[-3])
    if is_causal:
        attn_mask = _causal(L, S, query)
    return _attend(query, key, value, attn_mask, dropout_p, scale)[0]


def _shared_heads(x: Tensor, heads: int) -> Tensor:
    if heads % x.shape[-3]:
        raise RuntimeError(
            f"enable_gqa: {heads} heads of the query do not divide by {x.shape[-3]} of the key"
        )
    *lead, H, S, E = x.shape
    x = x.unsqueeze(-3).expand(*lead, H, heads // H, S, E)
    return x.reshape(*lead, heads, S, E)


def _causal(L: int, S: int, like: Tensor) -> Tensor:
    """True where the key is not after the query."""
    xp = backend_of(like.array).xp
    return wrap(xp.arange(S) <= xp.arange(L)[:, None])


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    dropout_p: float,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """What is read, and the weights it is read with (before and after dropout they sum to 1)."""
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = (q * scale) @ ops.transpose(k, -2, -1)  # (..., L, S)
    if mask is None:
        weights = ops.softmax(scores, -1)
    else:
        allowed = raw(mask)
        if allowed.dtype.kind == "b":
            forbidden = ~allowed
        else:
            forbidden = allowed == -math.inf
            scores = scores + ops.masked_fill(mask, forbidden, 0.0)
        nothing = forbidden.all(axis=-1, keepdims=True)
        weights = ops.softmax(ops.masked_fill(scores, forbidden & ~nothing, -math.inf), -1)
        if backend_of(nothing) is not CPU or nothing.any():  # no weight, and no NaN on the way back
            weights = ops.masked_fill(weights, nothing, 0.0)
    dropped = dropout(weights, dropout_p) if dropout_p else weights
    return dropped @ v, dropped


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of several heads between projections: (L, N, E), (S, N, E), (S, N, E) -> (L, N, E)
    and the weights (N, L, S) or (N, heads, L, S); without N for single sequences.

    In bool masks true forbids, here as in PyTorch; key_padding_mask is (N, S), attn_mask (L, S) or
    (N heads, L, S).
    """
    batched = _check_attention(query, key, value, key_padding_mask, attn_mask)
    if not batched:
        query, key, value = (x.unsqueeze(1) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    L, N, E = query.shape
    H, D = num_heads, E // num_heads
    if embed_dim_to_check != E or D * H != E:
        raise BadArgument(
            f"attention: the query has {E} features, expected {embed_dim_to_check}, "
            f"a multiple of {H} heads"
        )
    if is_causal and attn_mask is None:
        raise RuntimeError("attention: is_causal is a hint about attn_mask, which must be given")
    weights = (q_proj_weight, k_proj_weight, v_proj_weight)
    if use_separate_proj_weight:
        if key.shape[:2] != value.shape[:2]:
            raise BadArgument(
                f"attention: key {tuple(key.shape)} and value {tuple(value.shape)} differ in length"
            )
    else:
        if key.shape != value.shape:
            raise BadArgument(
                f"attention: key {tuple(key.shape)} and value {tuple(value.shape)} differ"
            )
        weights = ops.chunk(in_proj_weight, 3, 0)
    biases = (None,) * 3 if in_proj_bias is None else ops.chunk(in_proj_bias, 3, 0)
    if not use_separate_proj_weight and query is key and key is value:
        q, k, v = ops.chunk(linear(query, in_proj_weight, in_proj_bias), 3, -1)  # one product
    else:
        q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))
    S = len(k) if static_k is None else static_k.shape[1]
    if attn_mask is not None and tuple(attn_mask.shape[-2:]) != (L, S):
        raise RuntimeError(
            f"attention: attn_mask has shape {tuple(attn_mask.shape)}, expected ({L}, {S}): "
            "queries and keys"
        )
    if key_padding_mask is not None and tuple(key_padding_mask.shape) != (N, S):
        raise BadArgument(
            f"attention: key_padding_mask has shape {tuple(key_padding_mask.shape)}, expected "
            f"({N}, {S}): sentences and keys"
        )
    mask = _merged_mask(attn_mask, key_padding_mask, N, H, q)
    extra = 0
    if bias_k is not None and bias_v is not None:
        k = ops.cat([k, bias_k.expand(1, N, E)], 0)
        v = ops.cat([v, bias_v.expand(1, N, E)], 0)
        extra += 1

    def heads(x: Tensor) -> Tensor:  # (length, N, E) -> (N, H, length, D)
        return x.reshape(len(x), N, H, D).permute(1, 2, 0, 3)

    q = heads(q)
    k = heads(k) if static_k is None else static_k.reshape(N, H, -1, D)
    v = heads(v) if static_v is None else static_v.reshape(N, H, -1, D)
    if add_zero_attn:
        zero = ops.zeros(N, H, 1, D, dtype=k.dtype, device=k.device)
        k, v = ops.cat([k, zero], 2), ops.cat([v, zero], 2)
        extra += 1
    if mask is not None and extra:  # what was added to the keys may be attended to
        blank = ops.zeros(*mask.shape[:-1], extra, dtype=mask.dtype, device=mask.device)
        mask = ops.cat([mask, blank], -1)
    y, read = _attend(q, k, v, mask, dropout_p if training else 0.0)
    y = linear(y.permute(2, 0, 1, 3).reshape(L, N, E), out_proj_weight, out_proj_bias)
    y = y if batched else y.squeeze(1)
    if not need_weights:
        return y, None
    read = read.mean(1) if average_attn_weights else read
    return y, (read if batched else read.squeeze(0))


def _check_attention(q: Tensor, k: Tensor, v: Tensor, padding: Any, mask: Any) -> bool:
    """Whether there is a batch; BadArgument where dimensions do not go together."""
    if q.ndim not in (2, 3):
        raise BadArgument(f"attention: the query must be (L, N, E), got {tuple(q.shape)}")
    if k.ndim != q.ndim or v.ndim != q.ndim:
        raise BadArgument(
            f"attention: query, key and value must have the same number of dimensions, got "
            f"{tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}"
        )
    if padding is not None and padding.ndim != q.ndim - 1:
        raise BadArgument(
            f"attention: key_padding_mask must have {q.ndim - 1} dimensions, got {padding.ndim}"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise BadArgument(f"attention: attn_mask must be (L, S), got {tuple(mask.shape)}")
    return q.ndim == 3


def _merged_mask(
    attn_mask: Tensor | None, padding: Tensor | None, N: int, H: int, like: Tensor
) -> Tensor | None:
    """Both masks as one to be added, broadcasting to (N, H, L, S)."""
    merged = None
    for name, mask in (("attn_mask", attn_mask), ("key_padding_mask", padding)):
        if mask is None:
            continue
        if mask.dtype.kind not in "bf":
            raise BadArgument(f"attention: {name} is {mask.dtype}, expected bool or a float")
        if mask.dtype.kind == "b":
            mask = ops.where(mask, -math.inf, 0.0).to(dtype=like.dtype)
        if name == "key_padding_mask":
            mask = mask.reshape(N, 1, 1, mask.shape[-1])
        elif mask.ndim == 3:
            if mask.shape[0] != N * H:
                raise RuntimeError(
                    f"attention: attn_mask has shape {tuple(mask.shape)}, expected {N * H} first"
                )
            mask = mask.reshape(N, H, *mask.shape[1:])
        merged = mask if merged is None else merged + mask
    return merged
