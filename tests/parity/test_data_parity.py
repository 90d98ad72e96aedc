"""The same datasets through both libraries: batches, types and errors must be the same."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import minigrad
from minigrad.utils import data as mine

torch = pytest.importorskip("torch")
theirs = torch.utils.data
Point = namedtuple("Point", "x y")


def plain(x):
    """A structure with its tensors as (dtype, shape, values)."""
    if isinstance(x, (torch.Tensor, minigrad.Tensor)):
        array = x.numpy()
        return "tensor", array.dtype.name, array.shape, array.tolist()
    if isinstance(x, dict):
        return type(x).__name__, [(key, plain(value)) for key, value in x.items()]
    if isinstance(x, (list, tuple)):
        return type(x).__name__, [plain(item) for item in x]
    return type(x).__name__, repr(x)


def outcome(call, lib, data):
    try:
        return plain(call(lib, data))
    except Exception as error:
        return type(error)


def stream(data, n):
    class Stream(data.IterableDataset):
        def __len__(self):
            return n

        def __iter__(self):
            return iter(range(n))

    return Stream()


def table(lib, data, n=7):
    return data.TensorDataset(lib.arange(n * 2).reshape(n, 2), lib.arange(n))


SAMPLES = {
    "tensors": lambda lib: lib.ones(2),
    "unequal": lambda lib: [1, 2],
    "arrays": lambda lib: np.ones((2, 1)),
    "array 0-d": lambda lib: np.array(3),
    "words": lambda lib: np.array(["a"]),
    "float16": lambda lib: np.float16(2),
    "float64": lambda lib: np.float64(2),
    "int8": lambda lib: np.int8(2),
    "bool_": lambda lib: np.bool_(True),
    "float": lambda lib: 0.5,
    "int": lambda lib: 3,
    "bool": lambda lib: True,
    "str": lambda lib: "a",
    "np.str": lambda lib: np.str_("a"),
    "bytes": lambda lib: b"a",
    "tuple": lambda lib: (1, 2.0, "a"),
    "list": lambda lib: [1, np.ones(1)],
    "range": lambda lib: range(2),
    "dict": lambda lib: {"b": 1, "a": (2, {"c": lib.zeros(1)})},
    "ordered": lambda lib: OrderedDict(b=1, a=2),
    "named": lambda lib: Point(1, [lib.ones(1)]),
    "none": lambda lib: None,
    "object": lambda lib: object,
    "set": lambda lib: {1},
    "empty": lambda lib: (),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_collating(name):
    make = SAMPLES[name]

    def collated(lib, data):
        return data.default_collate([make(lib), make(lib)])

    def converted(lib, data):
        return data.default_convert(make(lib))

    assert outcome(collated, minigrad, mine) == outcome(collated, torch, theirs)
    assert outcome(converted, minigrad, mine) == outcome(converted, torch, theirs)


LOADERS = [
    dict(),
    dict(batch_size=3),
    dict(batch_size=3, drop_last=True),
    dict(batch_size=None),
    dict(batch_size=None, drop_last=True),
    dict(batch_size=0),
    dict(batch_size=2.0),
    dict(sampler=[3, 1, 2], batch_size=2),
    dict(sampler=[3, 1, 2], shuffle=True),
    dict(batch_sampler=[[3], [1, 2]]),
    dict(batch_sampler=[[3], [1, 2]], batch_size=2),
    dict(batch_sampler=[[3]], drop_last=True),
    dict(batch_size=2, collate_fn=len),
    dict(batch_size=2, num_workers=2),
    dict(batch_size=2, num_workers=2, prefetch_factor=1, persistent_workers=True),
    dict(num_workers=-1),
    dict(timeout=-1),
    dict(prefetch_factor=2),
    dict(persistent_workers=True),
    dict(multiprocessing_context="fork"),
    dict(num_workers=1, multiprocessing_context="none"),
    dict(num_workers=1, multiprocessing_context=1),
    dict(drop_last=None),
    dict(sampler=[99]),
]


@pytest.mark.parametrize("arguments", LOADERS, ids=str)
@pytest.mark.parametrize("source", ["table", "stream", "list"])
def test_loaders(arguments, source):
    def batches(lib, data):
        dataset = table(lib, data) if source == "table" else list(range(7))
        if source == "stream":
            if arguments.get("num_workers", 0) > 1:
                arguments["num_workers"] = 1
            dataset = stream(data, 7)
        loader = data.DataLoader(dataset, **arguments)
        return [list(loader), list(loader), len(loader)]

    assert outcome(batches, minigrad, mine) == outcome(batches, torch, theirs)


CALLS = {
    "split": lambda lib, d: [len(p) for p in d.random_split(range(10), [3, 7])],
    "fractions": lambda lib, d: [len(p) for p in d.random_split(range(11), [0.5, 0.25, 0.25])],
    "bad sum": lambda lib, d: d.random_split(range(10), [3, 8]),
    "bad fraction": lambda lib, d: d.random_split(range(10), [1.5, -0.5]),
    "sequential": lambda lib, d: list(d.SequentialSampler(range(3))),
    "random length": lambda lib, d: len(d.RandomSampler(range(3), num_samples=8)),
    "random": lambda lib, d: sorted(d.RandomSampler(range(3), num_samples=6)),
    "none left": lambda lib, d: d.RandomSampler([]),
    "bad replacement": lambda lib, d: d.RandomSampler([1], replacement="yes"),
    "subset": lambda lib, d: sorted(d.SubsetRandomSampler([5, 3])),
    "weights": lambda lib, d: list(d.WeightedRandomSampler([0.0, 1.0], 3)),
    "weights ran out": lambda lib, d: list(d.WeightedRandomSampler([0.0, 1.0], 3, False)),
    "no weight": lambda lib, d: list(d.WeightedRandomSampler([0.0, 0.0], 1)),
    "weights negative": lambda lib, d: list(d.WeightedRandomSampler([2.0, -1.0], 1)),
    "weights 2-d": lambda lib, d: d.WeightedRandomSampler([[2.0]], 1),
    "batches": lambda lib, d: list(d.BatchSampler(range(5), 2, False)),
    "batch of bool": lambda lib, d: d.BatchSampler(range(5), True, False),
    "concat": lambda lib, d: [(table(lib, d) + table(lib, d))[i] for i in (0, 8, -1)],
    "concat out": lambda lib, d: (table(lib, d) + table(lib, d))[-99],
    "concat nothing": lambda lib, d: d.ConcatDataset([]),
    "concat stream": lambda lib, d: d.ConcatDataset([stream(d, 2)]),
    "chain": lambda lib, d: list(stream(d, 2) + stream(d, 3)),
    "chain table": lambda lib, d: list(stream(d, 2) + table(lib, d)),
    "stack": lambda lib, d: d.StackDataset(table(lib, d), range(7))[3],
    "stack names": lambda lib, d: d.StackDataset(a=table(lib, d), b=range(7))[3],
    "stack unequal": lambda lib, d: d.StackDataset(range(2), range(3)),
    "stack nothing": lambda lib, d: d.StackDataset(),
    "stack both": lambda lib, d: d.StackDataset(range(2), a=range(2)),
    "subset of": lambda lib, d: d.Subset(table(lib, d), [4, 2])[1],
    "subset of list": lambda lib, d: d.Subset(table(lib, d), [4, 2])[[1, 0]],
    "tensors unequal": lambda lib, d: d.TensorDataset(lib.ones(2), lib.ones(3)),
    "tensor 0-d": lambda lib, d: d.TensorDataset(lib.tensor(1.0)),
    "slice": lambda lib, d: table(lib, d)[1:3],
    "dataset": lambda lib, d: d.Dataset()[0],
    "fixed": lambda lib, d: setattr(d.DataLoader([1]), "batch_size", 2),
    "stream shuffled": lambda lib, d: d.DataLoader(stream(d, 2), shuffle=True),
    "empty": lambda lib, d: list(d.DataLoader([])),
    "empty shuffled": lambda lib, d: list(d.DataLoader([], shuffle=True)),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls(name):
    assert outcome(CALLS[name], minigrad, mine) == outcome(CALLS[name], torch, theirs)
