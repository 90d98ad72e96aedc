"""A softmax over so many classes that the rare ones are reached in two steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import ops
from ..tensor import Tensor
from . import functional as F
from .containers import ModuleList, Sequential
from .layers import Linear
from .module import Module


class ASMoutput(NamedTuple):
    """What the call of AdaptiveLogSoftmaxWithLoss returns."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Adaptive softmax (Grave et al. 2017), for class numbers sorted from frequent to rare.

    The head tells the classes below `cutoffs[0]` apart and names a cluster for the others; cluster
    i has the classes from cutoffs[i] to cutoffs[i + 1] and sees the input in in_features /
    div_value ** (i + 1) dimensions. The call takes an input (N, in_features) or (in_features,) and
    class numbers (N,) or (); it returns their log-probabilities and the mean loss.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        limits = list(cutoffs)
        if not limits:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            limits != sorted(set(limits))
            or limits[0] <= 0
            or limits[-1] > n_classes - 1
            or any(int(c) != c for c in limits)
        ):
            raise ValueError(
                f"cutoffs {limits}: expected different integers in rising order between 1 and "
                f"n_classes - 1, {n_classes - 1}"
            )
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs, self.div_value, self.head_bias = limits + [n_classes], div_value, head_bias
        self.shortlist_size, self.n_clusters = limits[0], len(limits)
        self.head_size = self.shortlist_size + self.n_clusters
        options = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **options)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            size, count = int(in_features // div_value ** (i + 1)), self._count(i)
            self.tail.append(
                Sequential(
                    Linear(in_features, size, bias=False, **options),
                    Linear(size, count, bias=False, **options),
                )
            )

    def _count(self, i: int) -> int:
        """The classes of cluster i."""
        return self.cutoffs[i + 1] - self.cutoffs[i]

    def reset_parameters(self) -> None:
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> ASMoutput:
        x, target = input_, target_
        if x.ndim not in (1, 2) or target.ndim != x.ndim - 1:
            raise RuntimeError(
                f"an input of shape {tuple(x.shape)} and a target of shape {tuple(target.shape)}: "
                "expected (N, in_features) and (N,), or (in_features,) and ()"
            )
        if x.ndim == 2 and len(x) != len(target):
            raise RuntimeError(f"{len(x)} inputs and {len(target)} targets")
        if x.ndim == 1:
            x, target = ops.unsqueeze(x, 0), ops.unsqueeze(target, 0)
        classes = target.to_numpy()
        if classes.size and not 0 <= classes.min() <= classes.max() < self.n_classes:
            raise RuntimeError(
                f"classes from {classes.min()} to {classes.max()}, expected 0 to "
                f"{self.n_classes - 1}"
            )
        in_head, parts = target, []
        for i, low in enumerate(self.cutoffs[:-1]):
            mine = (target >= low) & (target < self.cutoffs[i + 1])
            (rows,) = ops.nonzero(mine, as_tuple=True)
            if len(rows):
                in_head = ops.where(mine, self.shortlist_size + i, in_head)
                log_p = F.log_softmax(self.tail[i](x[rows]), 1)
                local = ops.unsqueeze(target[rows] - low, 1)
                parts.append((rows, ops.squeeze(ops.gather(log_p, 1, local), 1)))
        output = F.log_softmax(self.head(x), 1)
        output = ops.squeeze(ops.gather(output, 1, ops.unsqueeze(in_head, 1)), 1)
        for rows, part in parts:
            output = ops.index_add(output, 0, rows, part)
        loss = -ops.mean(output)
        return ASMoutput(ops.squeeze(output, 0) if input_.ndim == 1 else output, loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes (N, n_classes)."""
        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            at = self.shortlist_size + i
            parts.append(F.log_softmax(tail(input), 1) + head[:, at : at + 1])
        return ops.cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each input: what `log_prob(input).argmax(1)` gives, faster
        where no cluster is the head's choice.
        """
        best = ops.argmax(self.head(input), 1)
        if bool((best < self.shortlist_size).all()):
            return best
        return ops.argmax(self.log_prob(input), 1)
