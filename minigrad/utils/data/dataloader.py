"""DataLoader: batches of a dataset, made here or by worker processes."""

from __future__ import annotations

import copy
import itertools
import multiprocessing
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeVar

from ...ops.random import Generator, host_of
from ._utils.collate import default_collate, default_convert
from ._utils.fetch import Exhausted, Fetcher
from ._utils.worker import FETCH, START, Failure, Worker, stop
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

T = TypeVar("T", covariant=True)
FIXED = {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"}


class Endless(Sampler):
    """In place of indices, which a stream has none of."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class DataLoader(Generic[T]):
    """Batches of `dataset`, anew with every `for batch in loader`.

    The order is the dataset's, or random with `shuffle`, or that of `sampler` or `batch_sampler`.
    `batch_size` samples make a batch through `collate_fn`; with None each sample comes alone, its
    NumPy arrays as Tensors. `generator` (the default one otherwise) decides the order and the seeds
    of the workers.

    With `num_workers` > 0 that many processes make the batches, `prefetch_factor` (2) each in
    advance, and they come in the same order as without. `worker_init_fn(id)` runs in each first.
    Each has a seed of its own for `random`, NumPy and minigrad. `timeout` is in seconds; 0 waits
    for ever. Where processes start by "spawn" or "forkserver", everything they need is pickled.

    Raises ValueError for arguments that contradict one another. An exception in a worker is raised
    here with the same type and with the worker's traceback in its text.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable | None = None,
        batch_sampler: Iterable[list] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: str | BaseContext | None = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ):
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        stream = isinstance(dataset, IterableDataset)
        if stream and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "an IterableDataset has its own order: leave out shuffle, sampler and batch_sampler"
            )
        if sampler is not None and shuffle:
            raise ValueError("sampler and shuffle exclude one another")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler excludes batch_size, shuffle, sampler and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("drop_last needs batches, and batch_size=None makes none")
        if pin_memory:
            warnings.warn(
                "pin_memory=True changes nothing: minigrad copies from ordinary memory",
                stacklevel=2,
            )
        if sampler is None and stream:
            sampler = Endless()
        elif sampler is None and shuffle:
            sampler = RandomSampler(dataset, generator=generator)
        elif sampler is None:
            sampler = SequentialSampler(dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        batched = batch_sampler is not None
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler, self.batch_sampler, self.generator = sampler, batch_sampler, generator
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)
        self.num_workers, self.timeout, self.pin_memory = num_workers, timeout, pin_memory
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self._iterator: _InWorkers | None = None  # of persistent workers
        self.persistent_workers = persistent_workers

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and "persistent_workers" in vars(self):
            raise ValueError(f"{name} cannot be changed: make another DataLoader")
        if name == "multiprocessing_context":
            value = _context(value, self.num_workers)
        super().__setattr__(name, value)

    @property
    def _indices(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __iter__(self) -> Iterator[T]:
        if not self.num_workers:
            return _InProcess(self)
        if self._iterator is not None:
            self._iterator.start()
            return self._iterator
        iterator = _InWorkers(self)
        if self.persistent_workers:
            self._iterator = iterator
        return iterator

    def __len__(self) -> int:
        """The number of batches; of a stream the number that its length lets expect."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self._indices)
        if self.batch_size is None:
            return len(self.dataset)
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)


def _check_workers(num_workers: int, timeout: float, prefetch: int | None, persist: bool) -> None:
    if num_workers < 0 or timeout < 0 or (prefetch is not None and prefetch < 0):
        raise ValueError("num_workers, timeout and prefetch_factor must not be negative")
    if not num_workers and (prefetch is not None or persist):
        raise ValueError("prefetch_factor and persistent_workers need num_workers > 0")


def _context(given: Any, num_workers: int) -> BaseContext | None:
    """A context of `multiprocessing`, from one or from the name of a start method."""
    if given is None or (isinstance(given, BaseContext) and num_workers):
        return given
    if not num_workers:
        raise ValueError("multiprocessing_context needs num_workers > 0")
    if not isinstance(given, str):
        raise TypeError(
            f"multiprocessing_context must be a start method or a context, got {given!r}"
        )
    return multiprocessing.get_context(given)  # a ValueError names what it does not know


class _Batches:
    """The batches of one epoch; the seed for workers is drawn with or without any, so that the
    order does not depend on their number.
    """

    def __init__(self, loader: DataLoader):
        self.loader = copy.copy(loader)  # without this iterator: a cycle would keep workers alive
        self.fetch = Fetcher(
            loader.dataset, loader.collate_fn, loader.batch_sampler is not None, loader.drop_last
        )
        self.seed = int(host_of(loader.generator).integers(2**63))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self.loader)


class _InProcess(_Batches):
    def __init__(self, loader: DataLoader):
        super().__init__(loader)
        self.indices = iter(loader._indices)
        self.fetch.start()

    def __next__(self) -> Any:
        try:
            return self.fetch(next(self.indices))
        except Exhausted:
            raise StopIteration from None


class _InWorkers(_Batches):
    """Tasks go to the workers in turn; `asked` holds the workers that owe an answer, in order."""

    def __init__(self, loader: DataLoader):
        self.asked: deque[Worker] = deque()
        self.workers: list[Worker] = []  # first of all, for __del__
        super().__init__(loader)
        context = loader.multiprocessing_context or multiprocessing.get_context()
        count, init = loader.num_workers, loader.worker_init_fn
        for i in range(count):
            self.workers.append(Worker(context, self.fetch, i, count, self.seed + i, init))
        self.start()

    def start(self) -> None:
        """Begin an epoch; what is still owed from one that was left early is thrown away."""
        while self.asked:
            self.answer()
        self.indices = iter(self.loader._indices)
        self.turns = deque(self.workers)  # those whose stream, if it is one, goes on
        for worker in self.workers:
            worker.send(START)
        for _ in range(max(1, self.loader.prefetch_factor) * len(self.workers)):
            self.ask()

    def ask(self) -> None:
        if self.turns:
            for indices in itertools.islice(self.indices, 1):
                self.turns[0].send(FETCH, indices)
                self.asked.append(self.turns[0])
                self.turns.rotate(-1)

    def answer(self) -> tuple[Worker, Any]:
        result = self.asked[0].answer(self.loader.timeout)
        return self.asked.popleft(), result

    def __next__(self) -> Any:
        while self.asked:
            worker, result = self.answer()
            if isinstance(result, Exhausted) and worker in self.turns:
                self.turns.remove(worker)
            self.ask()
            if isinstance(result, Failure):
                result.reraise()
            if not isinstance(result, Exhausted):
                return result
        if not self.loader.persistent_workers:
            self.stop()
        raise StopIteration

    def stop(self) -> None:
        workers, self.workers = self.workers, []
        self.turns.clear()
        stop(workers)

    def __del__(self) -> None:
        if stop is not None:  # None while the interpreter is being taken down
            stop(self.workers)
