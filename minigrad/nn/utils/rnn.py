"""Sequences of different lengths: padded to a rectangle, or packed, which is all their steps in the
order of time without the padding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...op import Op
from ...tensor import Tensor


class TakeRows(Op):
    """y = x[rows]; no row may be named twice"""

    fresh = True

    def forward(self, x):
        self.n = len(x)
        return x[self.backend.upload(self.rows)]

    def backward(self, g, _y, _x):
        return PutRows(rows=self.rows, n=self.n, fill=0)(g)


class PutRows(Op):
    """n rows, those at `rows` taken from x in order, the others `fill`: the adjoint of taking"""

    fresh = True

    def forward(self, x):
        y = self.xp.full((self.n, *x.shape[1:]), self.fill, x.dtype)
        y[self.backend.upload(self.rows)] = x
        return y

    def backward(self, g, _y, _x):
        return TakeRows(rows=self.rows)(g)


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """The steps of several sequences in the order of time, the longest sequence first in each step.

    `data` (N, *) holds them, `batch_sizes` (T), on the CPU, says how many sequences each step has,
    `sorted_indices` (B) which sequence stands at each place, or None where they came sorted, and
    `unsorted_indices` is its inverse.
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:  # both in the first argument
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("expected data and batch_sizes, or a pair of both")
            data, batch_sizes = data
        if batch_sizes.device != "cpu":
            raise ValueError("batch_sizes must be on the CPU; use pack_padded_sequence or the like")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """As `Tensor.to` does to the data; `self` where nothing is to be done."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        order = [x if x is None else x.to(data.device) for x in self[2:]]
        return type(self)(data, self.batch_sizes, *order)

    def cpu(self) -> PackedSequence:
        return self.to("cpu")

    def cuda(self, device: Any = "cuda") -> PackedSequence:
        return self.to(device)

    @property
    def is_cuda(self) -> bool:
        return str(self.data.device).startswith("cuda")


def _converting(dtype: str):
    return lambda self: self.to(dtype=np.dtype(dtype))


_CONVERSIONS = {"double": "float64", "float": "float32", "half": "float16", "long": "int64"}
_CONVERSIONS |= {"int": "int32", "short": "int16", "char": "int8", "byte": "uint8"}
for _name, _dtype in _CONVERSIONS.items():
    setattr(PackedSequence, _name, _converting(_dtype))


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Where each index stands in a permutation."""
    if permutation is None:
        return None
    return _indices(np.argsort(permutation.to_numpy()), permutation)


def _indices(host: np.ndarray, like: Tensor) -> Tensor:
    return ops.as_tensor(host.astype(np.int64), device=like.device)


def _places(sequence: PackedSequence) -> tuple[np.ndarray, np.ndarray]:
    """The step and the sequence of every row of the data."""
    sizes = sequence.batch_sizes.to_numpy()
    steps = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(steps)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    order = sequence.sorted_indices
    return steps, place if order is None else order.to_numpy()[place]


def _row_numbers(steps, places, T: int, B: int, batch_first: bool) -> np.ndarray:
    """Where the rows are in a rectangle (T, B, *), or (B, T, *), flattened to (TB, *)."""
    return places * T + steps if batch_first else steps * B + places


def _padded(data, steps, places, T, B, batch_first, fill) -> Tensor:
    rows = _row_numbers(steps, places, T, B, batch_first)
    shape = (B, T) if batch_first else (T, B)
    return ops.reshape(PutRows(rows=rows, n=T * B, fill=fill)(data), (*shape, *data.shape[1:]))


def pack_like(padded: Tensor, sequence: PackedSequence) -> PackedSequence:
    """Pack (T, B, *), whose sequences are in their original order, as `sequence` is packed."""
    T, B, *rest = padded.shape
    rows = _row_numbers(*_places(sequence), T, B, False)
    data = TakeRows(rows=rows)(ops.reshape(padded, (T * B, *rest)))
    return PackedSequence(data, *sequence[1:])


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a batch (T, B, *), or (B, T, *), of which sequence b has lengths[b] steps.

    The lengths must decrease, unless `enforce_sorted` is False. Raises RuntimeError for lengths
    that do not fit.
    """
    if input.ndim < 2:
        raise IndexError(f"a padded batch has at least 2 dimensions, this one {input.ndim}")
    if batch_first:
        input = ops.transpose(input, 0, 1)
    T, B = input.shape[:2]
    lengths = ops.as_tensor(lengths).to_numpy().astype(np.int64)
    if lengths.shape != (B,):
        raise RuntimeError(
            f"lengths of shape {lengths.shape} for a batch of {B}: expected one for each sequence"
        )
    if not B or not 1 <= lengths.min() <= lengths.max() <= T:
        raise RuntimeError(
            f"lengths {lengths.tolist()}: each must be from 1 to {T}, the time steps"
        )
    order = None
    if not enforce_sorted:
        order = np.argsort(-lengths, kind="stable")
    elif (np.diff(lengths) > 0).any():
        raise RuntimeError(
            f"lengths {lengths.tolist()} must decrease; enforce_sorted=False takes any order"
        )
    sizes = (lengths > np.arange(lengths.max())[:, None]).sum(axis=1)
    order = None if order is None else _indices(order, input)
    return pack_like(input, PackedSequence(input, ops.as_tensor(sizes.astype(np.int64)), order))


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The batch (T, B, *), or (B, T, *), in its original order, and the lengths (B).

    T is the longest length, or `total_length`, which may not be smaller (ValueError).
    """
    sizes = sequence.batch_sizes.to_numpy()
    T, B = len(sizes), int(sizes[0])
    if total_length is not None:
        if total_length < T:
            raise ValueError(f"total_length {total_length}, but the longest sequence has {T} steps")
        T = total_length
    padded = _padded(sequence.data, *_places(sequence), T, B, batch_first, padding_value)
    lengths = (sizes[:, None] > np.arange(B)).sum(axis=0)
    if sequence.unsorted_indices is not None:
        lengths = lengths[sequence.unsorted_indices.to_numpy()]
    return padded, ops.as_tensor(lengths.astype(np.int64))


def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (L, *) of different lengths in one batch (T, B, *), or (B, T, *)."""
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"expected several sequences, got {type(sequences).__name__}")
    if padding_side not in ("right", "left"):
        raise RuntimeError(f"padding_side {padding_side!r}: expected 'right' or 'left'")
    sequences = list(sequences)
    if not sequences or not all(x.ndim for x in sequences):
        raise RuntimeError("expected at least one sequence, each with at least one dimension")
    lengths = np.array([len(x) for x in sequences])
    T, B = int(lengths.max()), len(sequences)
    places = np.repeat(np.arange(B), lengths)
    steps = np.arange(len(places)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    if padding_side == "left":
        steps += np.repeat(T - lengths, lengths)
    dtype = sequences[0].dtype
    data = ops.cat([x if x.dtype == dtype else x.to(dtype=dtype) for x in sequences])
    return _padded(data, steps, places, T, B, batch_first, padding_value)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Any, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded batch without their padding."""
    if not batch_first:
        padded_sequences = ops.transpose(padded_sequences, 0, 1)
    lengths = ops.as_tensor(lengths).tolist()
    if len(lengths) != len(padded_sequences):
        raise ValueError(f"{len(lengths)} lengths for {len(padded_sequences)} sequences")
    return [x[:n] for x, n in zip(ops.unbind(padded_sequences), lengths)]


def pack_sequence(sequences: Iterable[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (L, *), by decreasing length unless `enforce_sorted` is False."""
    sequences = list(sequences)
    lengths = [len(x) for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch, in their original order."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences, True), batch_first=True)
