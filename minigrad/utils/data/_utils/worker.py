"""A process that makes batches. Its two halves: `work` runs there, `Worker` is its handle here.

One pipe joins them: tasks go there, and answers come back in the order of the tasks. So whoever
remembers which workers were asked, in which order, needs no numbers to get the batches in order. A
pipe also tells each side at once that the other has died.
"""

from __future__ import annotations

import os
import pickle
import queue
import random
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import connection
from multiprocessing.context import BaseContext
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

import numpy as np

from ....ops.random import manual_seed
from .fetch import Exhausted, Fetcher

START, FETCH, STOP = "start", "fetch", "stop"  # a task is one of these and, to fetch, the indices
PATIENCE = 5.0  # seconds that a worker may take to end before it is ended


class WorkerInfo(NamedTuple):
    """Which worker of how many this process is, its seed, and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """What a DataLoader's worker process should know of itself; None in any other process."""
    return _info


class Failure:
    """An exception on its way to another process, as a type and a text."""

    def __init__(self, error: Exception, worker_id: int):
        trace = "".join(traceback.format_exception(error))
        self.kind = type(error)
        self.text = f"{self.kind.__name__} in DataLoader worker process {worker_id}\n\n{trace}"

    def reraise(self) -> None:
        """Raise an exception of that type, or RuntimeError where it takes more than a text."""
        try:
            error = self.kind(Text(self.text))
        except Exception:
            error = RuntimeError(self.text)
        raise error


class Text(str):
    """A string that KeyError shows with its line breaks."""

    __repr__ = str.__str__


def work(pipe: Any, fetcher: Fetcher, number: int, count: int, seed: int, init: Any) -> None:
    """The life of a worker process: tasks in, answers out, until it is told to stop."""
    global _info
    _info = WorkerInfo(number, count, seed, fetcher.dataset)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    manual_seed(seed)
    # answers leave in a thread of their own: a full pipe must not keep the next batch from being
    # made, nor the next task from being read
    outbox: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=send_all, args=(pipe, outbox), daemon=True).start()
    started = attempt(init, number, number) if init else None
    broken = failed = started if isinstance(started, Failure) else None
    try:
        for task, indices in tasks(pipe):
            if task == START:
                broken = failed or attempt(fetcher.start, number)
            else:
                outbox.put(pickled(broken or attempt(fetcher, number, indices), number))
    except (EOFError, OSError, KeyboardInterrupt):
        pass  # the other side has gone, or is being interrupted as well


def tasks(pipe: Any) -> Iterator[tuple[str, Any]]:
    """The tasks in order, until one says to stop: that one overtakes those that still wait."""
    waiting: deque[tuple[str, Any]] = deque()
    while True:
        while not waiting or pipe.poll():
            waiting.append(pipe.recv())
            if waiting[-1][0] == STOP:
                return
        yield waiting.popleft()


def attempt(function: Callable, number: int, *args: Any) -> Any:
    """What the function returns, or the exception as something to send."""
    try:
        return function(*args)
    except Exhausted as end:
        return end
    except Exception as error:
        return Failure(error, number)


def pickled(answer: Any, number: int) -> Any:
    try:
        return ForkingPickler.dumps(answer)
    except Exception as error:
        if isinstance(answer, Failure):  # its exception's class is what cannot be sent
            answer.kind = RuntimeError
            return ForkingPickler.dumps(answer)
        return pickled(Failure(error, number), number)


def send_all(pipe: Any, outbox: queue.SimpleQueue) -> None:
    try:
        while True:
            pipe.send_bytes(outbox.get())
    except OSError:
        pass  # nobody is listening any more


class Worker:
    """The handle of a worker process."""

    def __init__(self, context: BaseContext, fetcher: Fetcher, number: int, count: int, seed, init):
        self.number, self.owner = number, os.getpid()
        self.pipe, theirs = context.Pipe()
        args = (theirs, fetcher, number, count, seed, init)
        self.process = context.Process(target=work, args=args, daemon=True)
        self.process.start()
        theirs.close()  # with this end open here, its death would not be seen

    def send(self, task: str, indices: Any = None) -> None:
        try:
            self.pipe.send((task, indices))
        except OSError:
            pass  # it has died, which the next answer tells

    def answer(self, timeout: float) -> Any:
        """The answer to the oldest task without one; RuntimeError after `timeout` seconds (0: wait
        for ever), or if the process has died.
        """
        ready = connection.wait([self.pipe, self.process.sentinel], timeout or None)
        if not ready:
            raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
        try:
            if self.pipe in ready:
                return pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            pass
        self.process.join()
        raise RuntimeError(
            f"DataLoader worker {self.number} (pid {self.process.pid}) ended unexpectedly, "
            f"with exit code {self.process.exitcode}"
        )

    def ours(self) -> bool:
        """Whether this process started it: a forked sibling inherits handles it must not use."""
        return self.owner == os.getpid()


def stop(workers: list[Worker]) -> None:
    """End the processes, kindly first."""
    workers = [worker for worker in workers if worker.ours()]
    for worker in workers:
        worker.send(STOP)
    for worker in workers:
        worker.process.join(PATIENCE)
        if worker.process.is_alive():
            worker.process.terminate()
            worker.process.join()
        worker.pipe.close()
