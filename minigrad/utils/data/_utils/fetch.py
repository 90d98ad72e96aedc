"""One batch, from indices or from a stream."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ..dataset import IterableDataset, Subset, TensorDataset
from .collate import default_collate


class Exhausted(Exception):
    """A stream has no further batch."""


class Fetcher:
    """Reads samples and collates them: a list of indices makes a batch, where `batched`, else an
    index a sample. From a stream an index takes whatever comes next.
    """

    def __init__(self, dataset: Any, collate_fn: Callable, batched: bool, drop_last: bool):
        self.dataset, self.collate_fn = dataset, collate_fn
        self.batched, self.drop_last = batched, drop_last
        self.stream = None

    def start(self) -> None:
        """Begin an epoch."""
        if isinstance(self.dataset, IterableDataset):
            self.stream = iter(self.dataset)

    def __call__(self, indices: Any) -> Any:
        if self.stream is not None:
            return self.collate_fn(self._of_stream(indices))
        if self.batched and self.collate_fn is default_collate:
            rows = rows_at(self.dataset, indices)
            if rows is not None:
                return rows
        return self.collate_fn(self._by_index(indices))

    def _by_index(self, indices: Any) -> Any:
        if not self.batched:
            return self.dataset[indices]
        if getattr(self.dataset, "__getitems__", None):
            return self.dataset.__getitems__(indices)
        return [self.dataset[i] for i in indices]

    def _of_stream(self, indices: Any) -> Any:
        wanted = len(indices) if self.batched else 1
        samples = list(itertools.islice(self.stream, wanted))
        if not samples or (self.drop_last and len(samples) < wanted):
            raise Exhausted
        return samples if self.batched else samples[0]


def rows_at(dataset: Any, indices: Any) -> list | None:
    """What collating the samples of plain tensors would give, read with one index a tensor; None
    where a dataset may do something else.
    """
    while type(dataset) is Subset:
        dataset, indices = dataset.dataset, [dataset.indices[i] for i in indices]
    if type(dataset) is not TensorDataset or any(type(i) is not int for i in indices):
        return None
    return [tensor[list(indices)] for tensor in dataset.tensors]
