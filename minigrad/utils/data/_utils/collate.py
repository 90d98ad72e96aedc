"""From a list of samples to a batch: tensors of samples, in the structure that a sample has."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ....ops import as_tensor, stack, tensor
from ....tensor import Tensor


def rebuilt(original: Any, items: Any) -> Any:
    """A container like `original` with other items.

    One that can be changed is copied, which keeps whatever else it carries; where the class can be
    neither copied nor made from its items they are returned as they are.
    """
    try:
        if not isinstance(original, (MutableMapping, MutableSequence)):
            return type(original)(items)
        clone = copy.copy(original)
        for key in items if isinstance(items, dict) else range(len(items)):
            clone[key] = items[key]
        return clone
    except TypeError:
        return items


def holds_text(array: Any) -> bool:
    return getattr(array, "dtype", None) is not None and array.dtype.kind in "SUO"


def default_convert(data: Any) -> Any:
    """`data` with the NumPy arrays and scalars in it, at any depth, as Tensors."""
    if isinstance(data, (np.ndarray, np.generic)):
        return data if holds_text(data) else as_tensor(np.asarray(data))
    if isinstance(data, (Tensor, str, bytes)):
        return data
    if isinstance(data, Mapping):
        return rebuilt(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple):
        items = [default_convert(item) for item in data]
        return type(data)(*items) if hasattr(data, "_fields") else items
    if isinstance(data, Sequence):
        return rebuilt(data, [default_convert(item) for item in data])
    return data


def collate_tensors(batch: Any, *, collate_fn_map: Any = None) -> Tensor:
    return stack(batch, 0)


def collate_arrays(batch: Any, *, collate_fn_map: Any = None) -> Any:
    if holds_text(batch[0]):
        raise TypeError(f"a batch of NumPy arrays of {batch[0].dtype} makes no tensor")
    return collate([as_tensor(np.asarray(x)) for x in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalars(batch: Any, *, collate_fn_map: Any = None) -> Tensor:
    return tensor(np.asarray(batch))


def collate_floats(batch: Any, *, collate_fn_map: Any = None) -> Tensor:
    return tensor(batch, dtype=np.float64)


def collate_ints(batch: Any, *, collate_fn_map: Any = None) -> Tensor:
    return tensor(batch)


def collate_text(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return batch


default_collate_fn_map: dict[Any, Callable[..., Any]] = {
    Tensor: collate_tensors,
    np.ndarray: collate_arrays,
    (np.bool_, np.number, np.object_): collate_numpy_scalars,
    float: collate_floats,
    int: collate_ints,
    str: collate_text,
    bytes: collate_text,
}


def collate(batch: Any, *, collate_fn_map: dict[Any, Callable[..., Any]] | None = None) -> Any:
    """A batch of samples of equal structure; `collate_fn_map` says what becomes of their leaves.

    A type in the map stands for its subclasses too, the first that fits being taken. Raises
    RuntimeError for sequences of different lengths, TypeError for a type that is not in the map.
    """
    first, known = batch[0], collate_fn_map or {}
    for kind in [type(first), *known]:
        if kind in known and isinstance(first, kind):
            return known[kind](batch, collate_fn_map=collate_fn_map)

    def joined(items: Any) -> Any:
        return collate(items, collate_fn_map=collate_fn_map)

    if isinstance(first, Mapping):
        return rebuilt(first, {key: joined([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(joined, zip(*batch)))
    if isinstance(first, Sequence):
        lengths = {len(sample) for sample in batch}
        if len(lengths) > 1:
            raise RuntimeError(
                f"samples of different lengths, {sorted(lengths)}, make no batch: "
                "pad them in a collate_fn"
            )
        columns = [joined(column) for column in zip(*batch)]
        return columns if isinstance(first, tuple) else rebuilt(first, columns)
    raise TypeError(
        "a batch is made of tensors, NumPy arrays, numbers, strings, dicts, tuples and lists; "
        f"got {type(first).__name__}: give the DataLoader a collate_fn"
    )


def default_collate(batch: Any) -> Any:
    """Samples stacked: tensors and arrays get a first dimension, numbers become tensors, strings
    stay a list; dicts, named tuples and lists keep their structure, tuples become lists.
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
