"""Tables of vectors."""

from __future__ import annotations

from typing import Any

from ..modes import no_grad
from ..tensor import Tensor
from . import functional as F
from . import init
from .errors import BadArgument
from .layers import parameter
from .module import Module
from .parameter import Parameter


def _checked_padding(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise BadArgument(f"padding_idx {padding_idx} is outside a table of {rows} rows")
    return padding_idx % rows


class _Table(Module):
    """What Embedding and EmbeddingBag share: rows that start from N(0, 1), the padding's zero."""

    def _make(self, rows: int, size: int, weight: Tensor | None, freeze: bool, kind: dict) -> None:
        if weight is None:
            self.weight = parameter(rows, size, **kind)
            self.weight.requires_grad_(not freeze)
            self.reset_parameters()
        elif tuple(weight.shape) != (rows, size):
            raise BadArgument(
                f"the weight has shape {tuple(weight.shape)}, expected {(rows, size)}"
            )
        else:
            self.weight = Parameter(weight, requires_grad=not freeze)

    def reset_parameters(self) -> None:
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, *args: Any, **options: Any
    ) -> Module:
        """A table that begins as `embeddings` (V, D) and, with `freeze`, stays so."""
        if embeddings.ndim != 2:
            raise BadArgument(f"embeddings must be (V, D), got {tuple(embeddings.shape)}")
        names = cls._pretrained[: len(args)]
        module = cls(*embeddings.shape, _weight=embeddings, **dict(zip(names, args)), **options)
        module.weight.requires_grad_(not freeze)
        return module

    def extra_repr(self) -> str:
        defaults = dict(
            padding_idx=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, sparse=False
        )
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


class Embedding(_Table):
    """A table of vectors: ids of any shape S -> (*S, embedding_dim); N(0, 1) at the start.

    The row `padding_idx` is zero and gets no gradient. See `functional.embedding` for the other
    options.
    """

    _pretrained = ("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = _checked_padding(padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        kind = dict(device=device, dtype=dtype)
        self._make(num_embeddings, embedding_dim, _weight, _freeze, kind)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )


class EmbeddingBag(_Table):
    """Sum, mean or maximum of the vectors of each bag of ids: `functional.embedding_bag`."""

    _pretrained = ("max_norm", "norm_type", "scale_grad_by_freq", "mode", "sparse",
                   "include_last_offset", "padding_idx")  # fmt: skip

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self.mode, self.include_last_offset = mode, include_last_offset
        self.padding_idx = _checked_padding(padding_idx, num_embeddings)
        kind = dict(device=device, dtype=dtype)
        self._make(num_embeddings, embedding_dim, _weight, False, kind)

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, mode={self.mode!r}"
