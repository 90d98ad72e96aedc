"""One batch, from indices or from a stream."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ..dataset import IterableDataset


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
        read = self._by_index if self.stream is None else self._of_stream
        return self.collate_fn(read(indices))

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
