"""Losses as modules: each is a function of `functional` and the options it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..tensor import Tensor
from . import functional as F
from .module import Module

LEGACY = ("size_average", "reduce")  # what programs wrote before there was `reduction`
BUFFERS = ("weight", "pos_weight")


class Loss(Module):
    """A module that applies `function` with its options; weights are buffers.

    The options are the parameters of the function behind its tensors, or those named by `order`
    where PyTorch's module takes them in another order.
    """

    function: Callable = staticmethod(F.mse_loss)
    tensors = 2
    order: tuple[str, ...] = ()
    keyword_only = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        parameters = list(inspect.signature(cls.function).parameters.values())[cls.tensors :]
        if cls.order:
            by_name = {p.name: p for p in parameters}
            parameters = [by_name[name] for name in cls.order]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        if cls.keyword_only:
            kind = inspect.Parameter.KEYWORD_ONLY
        cls.__signature__ = inspect.Signature([p.replace(kind=kind) for p in parameters])

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()
        bound = self.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        options = bound.arguments
        legacy = [options.pop(name, None) for name in LEGACY]
        options["reduction"] = F.reduction_of(options["reduction"], *legacy)
        self.names = tuple(options)
        for name, value in options.items():
            if name in BUFFERS:
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        function = type(self).function
        return function(*inputs, **named, **{name: getattr(self, name) for name in self.names})


_Loss = _WeightedLoss = Loss  # PyTorch's names, which programs inherit from


class CrossEntropyLoss(Loss):
    """Softmax cross-entropy from logits; see `functional.cross_entropy`."""

    function = staticmethod(F.cross_entropy)


class NLLLoss(Loss):
    """-w[t] x[t] for log-probabilities x."""

    function = staticmethod(F.nll_loss)


class MSELoss(Loss):
    """(x - t)²"""

    function = staticmethod(F.mse_loss)
    order = (*LEGACY, "reduction")


class L1Loss(Loss):
    """|x - t|"""

    function = staticmethod(F.l1_loss)
    order = (*LEGACY, "reduction")


class SmoothL1Loss(Loss):
    """Quadratic below β, linear above."""

    function = staticmethod(F.smooth_l1_loss)


class HuberLoss(Loss):
    """Quadratic up to δ, linear above."""

    function = staticmethod(F.huber_loss)
    order = ("reduction", "delta")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not isinstance(self.delta, (float, int)):
            raise TypeError(f"HuberLoss: delta {self.delta!r} must be a number")


class BCELoss(Loss):
    """Binary cross-entropy from probabilities."""

    function = staticmethod(F.binary_cross_entropy)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy from logits."""

    function = staticmethod(F.binary_cross_entropy_with_logits)


class KLDivLoss(Loss):
    """t (ln t - x) for log-probabilities x."""

    function = staticmethod(F.kl_div)


class PoissonNLLLoss(Loss):
    """Negative log-likelihood of counts."""

    function = staticmethod(F.poisson_nll_loss)


class GaussianNLLLoss(Loss):
    """Negative log-likelihood under N(x, var); called with input, target and var."""

    function = staticmethod(F.gaussian_nll_loss)
    tensors, keyword_only = 3, True


class HingeEmbeddingLoss(Loss):
    """x where t = 1, max(0, margin - x) where t = -1"""

    function = staticmethod(F.hinge_embedding_loss)


class SoftMarginLoss(Loss):
    """ln(1 + e^(-t x))"""

    function = staticmethod(F.soft_margin_loss)


class CosineEmbeddingLoss(Loss):
    """1 - cos where t = 1, max(0, cos - margin) where t = -1"""

    function = staticmethod(F.cosine_embedding_loss)
    tensors = 3


class MarginRankingLoss(Loss):
    """max(0, margin - t (x1 - x2))"""

    function = staticmethod(F.margin_ranking_loss)
    tensors = 3


class TripletMarginLoss(Loss):
    """max(0, margin + d(anchor, positive) - d(anchor, negative))"""

    function = staticmethod(F.triplet_margin_loss)
    tensors = 3

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        _check_margin(self.margin)


class TripletMarginWithDistanceLoss(Loss):
    """TripletMarginLoss with a distance of one's own."""

    function = staticmethod(F.triplet_margin_with_distance_loss)
    tensors, keyword_only = 3, True

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        _check_margin(self.margin)


def _check_margin(margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"triplet loss: margin {margin} must be greater than 0")


class MultiMarginLoss(Loss):
    """Σ max(0, margin - x[t] + x[i])ᵖ / V"""

    function = staticmethod(F.multi_margin_loss)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p {self.p}, expected 1 or 2")
        if self.weight is not None and self.weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: weight of shape {tuple(self.weight.shape)}")


class MultiLabelMarginLoss(Loss):
    """Σ max(0, 1 - x[t] + x[i]) / V"""

    function = staticmethod(F.multilabel_margin_loss)


class MultiLabelSoftMarginLoss(Loss):
    """Binary cross-entropy from logits, averaged over the classes."""

    function = staticmethod(F.multilabel_soft_margin_loss)


class CTCLoss(Loss):
    """-ln of the probability of all alignments of a target."""

    function = staticmethod(F.ctc_loss)
    tensors = 4
