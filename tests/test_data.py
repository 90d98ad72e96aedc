"""Datasets, samplers, collating, and the loader with and without worker processes."""

import itertools
import multiprocessing
import os
import time
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import minigrad as mg
from minigrad.utils import data
from minigrad.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
)
from minigrad.utils.data._utils.collate import collate

Point = namedtuple("Point", "x y")
METHODS = multiprocessing.get_all_start_methods()


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i * i


class Stream(IterableDataset):
    """0 to n - 1, shared out among the workers."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __iter__(self):
        me = get_worker_info()
        return iter(range(self.n)) if me is None else iter(range(me.id, self.n, me.num_workers))


class Faulty(Squares):
    def __init__(self, error):
        super().__init__(8)
        self.error = error

    def __getitem__(self, i):
        if i == 5:
            raise self.error
        return i


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


class Dying(Squares):
    def __getitem__(self, i):
        os._exit(3)


class Slow(Squares):
    def __getitem__(self, i):
        time.sleep(0.5)
        return i


class Identity(Squares):
    """What a worker knows of itself, and its random numbers."""

    def __getitem__(self, i):
        me = get_worker_info()
        numbers = np.random.rand(), mg.rand(1).item()
        return me.id, me.num_workers, me.seed, me.dataset is self, *numbers


def set_environment(worker_id):
    os.environ["DATA_TEST"] = str(worker_id)


class Environment(Squares):
    def __getitem__(self, i):
        return os.environ.get("DATA_TEST", "none")


def fail(worker_id):
    raise ZeroDivisionError("at the start")


def as_is(batch):
    return batch


def lists(loader):
    return [batch.tolist() for batch in loader]


# datasets


def test_tensor_dataset():
    x, y = mg.arange(12).reshape(4, 3), mg.arange(4)
    dataset = TensorDataset(x, y)
    assert len(dataset) == 4
    assert [part.tolist() for part in dataset[2]] == [[6, 7, 8], 2]
    assert [part.tolist() for part in dataset[1:3]] == [[[3, 4, 5], [6, 7, 8]], [1, 2]]
    with pytest.raises(AssertionError, match=r"\[4, 3\]"):
        TensorDataset(x, mg.arange(3))


def test_combined_datasets():
    both = Squares(3) + Squares(2)
    assert isinstance(both, ConcatDataset)
    assert [both[i] for i in range(5)] == [0, 1, 4, 0, 1] and len(both) == 5
    assert both[-1] == 1 and both.cumulative_sizes == [3, 5]
    with pytest.raises(ValueError):
        both[-6]
    with pytest.raises(IndexError):
        [0][ConcatDataset([range(3)])[0] + 1]
    with pytest.raises(AssertionError):
        ConcatDataset([])
    with pytest.raises(AssertionError):
        ConcatDataset([Stream(2)])
    chain = Stream(2) + Stream(3)
    assert list(chain) == [0, 1, 0, 1, 2] and len(chain) == 5
    with pytest.raises(AssertionError):
        list(Stream(2) + Squares(2))
    assert StackDataset(Squares(3), range(3))[2] == (4, 2)
    assert StackDataset(a=Squares(3), b=range(3))[2] == {"a": 4, "b": 2}
    with pytest.raises(ValueError):
        StackDataset(Squares(3), range(2))


def test_subset():
    subset = Subset(Squares(10), [3, 1, 7])
    assert [subset[i] for i in range(3)] == [9, 1, 49] and len(subset) == 3
    rows = Subset(TensorDataset(mg.arange(10)), [3, 1, 7])
    assert rows[[0, 2]][0].tolist() == [3, 7]


def test_an_unfinished_dataset_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="Half"):
        type("Half", (Dataset,), {})()[0]


def test_random_split():
    def parts(*args, **kwargs):
        return [list(part.indices) for part in random_split(*args, **kwargs)]

    split = parts(Squares(10), [3, 7], generator=mg.Generator().manual_seed(1))
    assert [len(part) for part in split] == [3, 7] and sorted(sum(split, [])) == list(range(10))
    assert split == parts(Squares(10), [3, 7], generator=mg.Generator().manual_seed(1))
    assert split != parts(Squares(10), [3, 7], generator=mg.Generator().manual_seed(2))
    assert [len(p) for p in parts(Squares(10), [0.3, 0.3, 0.4])] == [3, 3, 4]
    assert [len(p) for p in parts(Squares(11), [1 / 3, 1 / 3, 1 / 3])] == [4, 4, 3]
    with pytest.raises(ValueError, match="sum to 9"):
        random_split(Squares(10), [4, 5])
    with pytest.raises(ValueError, match="fraction"):
        random_split(Squares(10), [1.5, -0.5])
    with pytest.warns(UserWarning, match="empty"):
        random_split(Squares(2), [0.9, 0.1 - 1e-12, 0])


# samplers


def test_random_sampler_is_a_permutation_and_repeatable():
    sampler = RandomSampler(range(50))
    mg.manual_seed(3)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(50)) and first != second
    mg.manual_seed(3)
    assert [list(sampler), list(sampler)] == [first, second]
    orders = [list(RandomSampler(range(50), generator=mg.Generator(5))) for _ in range(2)]
    assert orders[0] == orders[1]
    assert all(type(i) is int for i in first)


def test_random_sampler_draws_any_number():
    more = list(RandomSampler(range(4), num_samples=10))
    assert sorted(more[:4]) == sorted(more[4:8]) == [0, 1, 2, 3] and len(more) == 10
    counts = np.bincount(list(RandomSampler(range(4), replacement=True, num_samples=4000)))
    assert (abs(counts - 1000) < 150).all()
    for replacement in (True, False):
        endless = RandomSampler(range(4), replacement=replacement, num_samples=int(1e10))
        assert len(endless) == int(1e10)
        assert set(itertools.islice(endless, 5000)) == {0, 1, 2, 3}


def test_other_samplers():
    assert sorted(SubsetRandomSampler([3, 5, 8])) == [3, 5, 8]
    weighted = WeightedRandomSampler([0.0, 1.0, 3.0], 4000)
    counts = np.bincount(list(weighted), minlength=3)
    assert counts[0] == 0 and abs(counts[1] - 1000) < 150 and len(weighted) == 4000
    assert sorted(WeightedRandomSampler(mg.tensor([0.0, 1.0, 3.0]), 2, False)) == [1, 2]
    assert list(BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert [len(BatchSampler(range(n), 2, d)) for n in (4, 5) for d in (0 > 1, 1 > 0)] == [
        2,
        2,
        3,
        2,
    ]


WRONG_SAMPLERS = [
    (ValueError, lambda: RandomSampler([])),
    (ValueError, lambda: RandomSampler(range(3), num_samples=0)),
    (ValueError, lambda: RandomSampler(range(3), num_samples=1.5)),
    (TypeError, lambda: RandomSampler(range(3), replacement=1)),
    (ValueError, lambda: list(RandomSampler([], num_samples=2))),
    (ValueError, lambda: WeightedRandomSampler([1.0], 0)),
    (ValueError, lambda: WeightedRandomSampler([1.0], 1, replacement=0)),
    (ValueError, lambda: WeightedRandomSampler([[1.0]], 1)),
    (RuntimeError, lambda: list(WeightedRandomSampler([1.0, 0.0], 2, False))),
    (RuntimeError, lambda: list(WeightedRandomSampler([1.0, -1.0], 2))),
    (RuntimeError, lambda: list(WeightedRandomSampler([1.0, np.nan], 2))),
    (RuntimeError, lambda: list(WeightedRandomSampler([0.0, 0.0], 2))),
    (ValueError, lambda: BatchSampler(range(3), 0, False)),
    (ValueError, lambda: BatchSampler(range(3), True, False)),
    (ValueError, lambda: BatchSampler(range(3), 2, None)),
]


@pytest.mark.parametrize("error, call", WRONG_SAMPLERS)
def test_wrong_samplers(error, call):
    with pytest.raises(error):
        call()


# collating


def test_collating_leaves():
    batch = default_collate([mg.ones(2), mg.zeros(2)])
    assert batch.tolist() == [[1, 1], [0, 0]] and batch.dtype == np.float32
    assert default_collate([np.ones(2, "f8"), np.zeros(2)]).dtype == np.float64
    assert default_collate([np.float32(1), np.float32(2)]).dtype == np.float32
    assert default_collate([1, 2]).dtype == np.int64
    assert default_collate([1.0, 2]).dtype == np.float64
    assert default_collate([True, False]).dtype == np.bool_
    assert default_collate(["a", "b"]) == ["a", "b"]
    assert default_collate([b"a"]) == [b"a"]


def test_collating_structures():
    point = default_collate([Point(1, mg.ones(2)), Point(2, mg.ones(2))])
    assert isinstance(point, Point) and point.x.tolist() == [1, 2] and point.y.shape == (2, 2)
    nested = default_collate([{"a": (1, [2.0, "x"])}, {"a": (3, [4.0, "y"])}])
    assert list(nested) == ["a"] and isinstance(nested["a"], list)
    ints, (floats, words) = nested["a"]
    assert ints.tolist() == [1, 3] and floats.tolist() == [2, 4] and tuple(words) == ("x", "y")
    ordered = default_collate([OrderedDict(b=1, a=2), OrderedDict(b=1, a=2)])
    assert type(ordered) is OrderedDict and list(ordered) == ["b", "a"]
    assert [t.tolist() for t in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]


def test_what_makes_no_batch():
    with pytest.raises(RuntimeError, match="collate_fn"):
        default_collate([[1, 2], [1]])
    with pytest.raises(RuntimeError):
        default_collate([mg.ones(2), mg.ones(3)])
    with pytest.raises(TypeError, match="object"):
        default_collate([object()])
    with pytest.raises(TypeError):
        default_collate([np.array(["a"])])
    with pytest.raises(TypeError):
        default_collate([None])


def test_collating_by_a_map():
    assert collate([1, 2], collate_fn_map={int: lambda batch, collate_fn_map: sum(batch)}) == 3


def test_converting():
    assert default_convert(3) == 3 and default_convert("a") == "a"
    converted = default_convert({"a": np.arange(2), "b": [np.float64(1.0), "x"], "c": (1,)})
    assert converted["a"].tolist() == [0, 1] and converted["c"] == [1]
    assert converted["b"][0].dtype == np.float64 and converted["b"][1] == "x"
    point = default_convert(Point(np.zeros(1), 2))
    assert isinstance(point, Point) and isinstance(point.x, mg.Tensor) and point.y == 2
    words = np.array(["a"])
    assert default_convert(words) is words


# the loader in one process


def test_batches():
    loader = DataLoader(Squares(5), batch_size=2)
    assert lists(loader) == lists(loader) == [[0, 1], [4, 9], [16]]
    assert len(loader) == 3 and len(iter(loader)) == 3
    assert lists(DataLoader(Squares(5), 2, drop_last=True)) == [[0, 1], [4, 9]]
    assert len(DataLoader(Squares(5), 2, drop_last=True)) == 2
    assert list(DataLoader(Squares(3), batch_size=None)) == [0, 1, 4]
    assert list(DataLoader(Squares(3), 2, collate_fn=sum)) == [1, 4]
    assert lists(DataLoader(Squares(5), 2, sampler=[4, 0, 2])) == [[16, 0], [4]]
    loader = DataLoader(Squares(5), batch_sampler=[[4], [0, 2]])
    assert lists(loader) == [[16], [0, 4]] and len(loader) == 2
    x, y = next(iter(DataLoader(TensorDataset(mg.ones(4, 3), mg.arange(4)), 4)))
    assert x.shape == (4, 3) and y.tolist() == [0, 1, 2, 3]
    assert lists(DataLoader([3, 1, 2], 2)) == [[3, 1], [2]]
    assert isinstance(DataLoader(range(3), None, sampler=[0]).sampler, list)


def test_shuffling():
    loader = DataLoader(range(40), 7, shuffle=True)
    mg.manual_seed(0)
    first, second = lists(loader), lists(loader)
    assert first != second and sorted(sum(first, [])) == list(range(40))
    mg.manual_seed(0)
    assert [lists(loader), lists(loader)] == [first, second]
    mg.manual_seed(1)
    assert lists(loader) != first
    epochs = []
    for seed in (1, 1):
        loader = DataLoader(range(40), 7, shuffle=True, generator=mg.Generator().manual_seed(seed))
        epochs.append([lists(loader), lists(loader)])
    assert epochs[0] == epochs[1] and epochs[0][0] != epochs[0][1]


def test_streams():
    assert lists(DataLoader(Stream(5), 2)) == [[0, 1], [2, 3], [4]]
    assert lists(DataLoader(Stream(5), 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(3), None)) == [0, 1, 2]
    assert [len(DataLoader(Stream(5), n)) for n in (2, None)] == [3, 5]
    loader = iter(DataLoader(Stream(2), 2))
    next(loader)
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(loader)
    with pytest.raises(TypeError):
        len(DataLoader(type("Endless", (IterableDataset,), {})()))


def test_a_dataset_may_read_whole_batches():
    class Whole(Squares):
        def __getitems__(self, indices):
            return [-i for i in indices]

    assert lists(DataLoader(Whole(3), 2)) == [[0, -1], [-2]]


def test_plain_tensors_are_read_as_their_samples_would_be():
    class Doubled(TensorDataset):
        def __getitem__(self, i):
            return tuple(2 * row for row in super().__getitem__(i))

    def batch(dataset, indices):
        for fn in (None, lambda samples: default_collate(samples)):
            loader = DataLoader(dataset, batch_sampler=[indices], collate_fn=fn)
            parts = next(iter(loader))
            yield type(parts), [(part.tolist(), part.dtype, part.shape) for part in parts]

    tensors = mg.rand(6, 2), mg.arange(6)
    plain, halves = TensorDataset(*tensors), slice(0, 2)
    for dataset in (plain, Doubled(*tensors), Subset(Subset(plain, [5, 3, 1, 0]), range(4))):
        for indices in ([0, 2, -1], (1,), [mg.tensor(2), 1], np.array([0, 3]), [halves, halves]):
            if isinstance(dataset, Subset) and isinstance(indices[0], (slice, mg.Tensor)):
                continue
            whole, by_sample = batch(dataset, indices)
            assert whole == by_sample
    with pytest.raises(IndexError):
        list(DataLoader(plain, sampler=[6]))


CONTRADICTIONS = [
    dict(num_workers=-1),
    dict(timeout=-1),
    dict(prefetch_factor=2),
    dict(num_workers=1, prefetch_factor=-1),
    dict(persistent_workers=True),
    dict(shuffle=True, sampler=[0]),
    dict(batch_sampler=[[0]], batch_size=2),
    dict(batch_sampler=[[0]], shuffle=True),
    dict(batch_sampler=[[0]], sampler=[0]),
    dict(batch_sampler=[[0]], drop_last=True),
    dict(batch_size=None, drop_last=True),
    dict(batch_size=0),
    dict(multiprocessing_context="fork"),
    dict(num_workers=1, multiprocessing_context="telepathy"),
]


@pytest.mark.parametrize("arguments", CONTRADICTIONS, ids=str)
def test_contradictions(arguments):
    with pytest.raises(ValueError):
        DataLoader(Squares(3), **arguments)


@pytest.mark.parametrize("name", ["shuffle", "sampler", "batch_sampler"])
def test_a_stream_takes_no_order(name):
    with pytest.raises(ValueError):
        DataLoader(Stream(3), **{name: [[0]]})


def test_other_misuse():
    with pytest.raises(ValueError):
        DataLoader([], shuffle=True)
    with pytest.raises(TypeError):
        DataLoader(Squares(3), num_workers=1, multiprocessing_context=3)
    loader = DataLoader(Squares(3))
    with pytest.raises(ValueError, match="another DataLoader"):
        loader.batch_size = 2
    with pytest.warns(UserWarning, match="pin_memory"):
        DataLoader(Squares(3), pin_memory=True)


def test_names_are_where_programs_import_them_from():
    from minigrad.utils.data import dataloader, dataset, sampler
    from minigrad.utils.data._utils.collate import default_collate as inner

    assert dataloader.default_collate is inner is default_collate
    assert dataset.random_split is random_split and sampler.RandomSampler is RandomSampler
    assert data.DataLoader[int] and data.Dataset[int] and data.Sampler[int]


# worker processes


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_keep_the_order(workers):
    batches = {}
    for n in (0, workers):
        mg.manual_seed(4)
        loader = DataLoader(Squares(23), 4, shuffle=True, num_workers=n)
        batches[n] = [lists(loader), lists(loader)]
    assert batches[0] == batches[workers] and batches[0][0] != batches[0][1]


def test_an_array_as_index():
    assert lists(DataLoader(Squares(9), batch_sampler=np.arange(4).reshape(2, 2), num_workers=1))


@pytest.mark.parametrize("method", METHODS)
def test_persistent_workers_by_every_start_method(method):
    loader = DataLoader(
        TensorDataset(mg.rand(9, 2), mg.arange(9)),
        batch_size=2,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context=method,
        collate_fn=default_collate,
    )
    for _ in range(2):
        assert sum([y.tolist() for _, y in loader], []) == list(range(9))
    for x, y in loader:
        break  # what is still on its way must not be taken for the next epoch's
    assert next(iter(loader))[1].tolist() == [0, 1]


def test_streams_in_workers():
    loader = DataLoader(Stream(7), 2, num_workers=2, persistent_workers=True)
    for _ in range(2):
        assert lists(loader) == [[0, 2], [1, 3], [4, 6], [5]]
    assert list(DataLoader(Stream(4), None, num_workers=3)) == [0, 1, 2, 3]


def test_what_a_worker_knows():
    assert get_worker_info() is None
    rows = list(DataLoader(Identity(4), 1, num_workers=2, collate_fn=as_is))
    ids, counts, seeds, own, *numbers = zip(*[row for [row] in rows])
    assert ids == (0, 1, 0, 1) and counts == (2,) * 4 and all(own)
    assert seeds[1] == seeds[0] + 1 and all(len(set(column)) == 4 for column in numbers)


def test_worker_init_fn():
    loader = DataLoader(Environment(4), 1, num_workers=2, worker_init_fn=set_environment)
    assert [word for [word] in loader] == ["0", "1", "0", "1"]
    assert "DATA_TEST" not in os.environ
    with pytest.raises(ZeroDivisionError, match="at the start"):
        list(DataLoader(Squares(4), num_workers=1, worker_init_fn=fail))


@pytest.mark.parametrize(
    "error, kind",
    [
        (ValueError("five"), ValueError),
        (KeyError("five"), KeyError),
        (TwoArguments("five", 2), RuntimeError),
        (StopIteration("five"), StopIteration),
    ],
)
def test_errors_come_back_with_their_traceback(error, kind):
    loader = iter(DataLoader(Faulty(error), 2, num_workers=2))
    assert [next(loader).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(kind, match="(?s)worker process 0.*__getitem__.*five"):
        next(loader)
    assert next(loader).tolist() == [6, 7]


def test_what_cannot_be_sent_is_reported():
    loader = DataLoader(Squares(2), num_workers=1, collate_fn=lambda batch: lambda: batch)
    if "fork" in METHODS:
        with pytest.raises(Exception, match="(?i)pickle"):
            next(iter(loader))


def test_a_dying_worker_is_noticed():
    with pytest.raises(RuntimeError, match="exit code 3"):
        list(DataLoader(Dying(4), num_workers=2))


def test_a_slow_worker():
    with pytest.raises(RuntimeError, match="timed out"):
        list(DataLoader(Slow(2), num_workers=1, timeout=0.05))


def test_no_process_stays_behind():
    before = set(multiprocessing.active_children())
    for _ in DataLoader(Squares(50), num_workers=2):
        break
    list(DataLoader(Squares(5), num_workers=2))
    loader = DataLoader(Squares(5), num_workers=2, persistent_workers=True)
    list(loader)
    assert len(set(multiprocessing.active_children()) - before) == 2
    del loader
    assert set(multiprocessing.active_children()) <= before  # those of failed loops may end too
