"""How a tensor reads when it is printed: digit for digit what PyTorch shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from . import dtypes


class Options(NamedTuple):
    """Digits after the point; the size above which only `edgeitems` at both ends of each dimension
    are shown; characters in a line; scientific notation always, never, or (None) where it helps.
    """

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PROFILES = {
    "default": Options(),
    "short": Options(precision=2, edgeitems=2),
    "full": Options(threshold=math.inf),
}
_options: ContextVar[Options] = ContextVar("printoptions", default=Options())


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors print in this thread or task; what is None stays as it is.

    `profile` ("default", "short" or "full") sets the others first; `sci_mode` is always set, None
    leaving the choice to the values.
    """
    if profile is not None and profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}: expected one of {', '.join(PROFILES)}")
    given = dict(precision=precision, threshold=threshold, edgeitems=edgeitems, linewidth=linewidth)
    given = {name: value for name, value in given.items() if value is not None}
    base = PROFILES.get(profile, _options.get())
    _options.set(base._replace(**given, sci_mode=sci_mode))


def get_printoptions() -> dict[str, Any]:
    """The current settings, by the names that `set_printoptions` takes."""
    return _options.get()._asdict()


@contextmanager
def printoptions(**changes: Any) -> Iterator[None]:
    """Settings of `set_printoptions` for one block."""
    before = _options.get()
    set_printoptions(**changes)
    try:
        yield
    finally:
        _options.set(before)


def format_tensor(x: Any) -> str:
    """The text of `repr(x)`: values, then what is unusual of device, size, dtype and history."""
    array, options = x.to_numpy(), _options.get()
    names = [kind.__name__ for kind in type(x).__mro__]
    prefix = "tensor(" if names[0] in ("Tensor", "Parameter", "Buffer") else f"{names[0]}("
    text = prefix + (_values(array, len(prefix), options) if array.size else "[]")
    text = _with_notes(text, _notes(x, array, options), len(prefix), options.linewidth) + ")"
    if "Parameter" not in names:
        return text
    return "Parameter containing:\n" + (text if prefix == "tensor(" else f"Parameter({text})")


def _notes(x: Any, array: np.ndarray, options: Options) -> list[str]:
    notes, dtype = [], dtypes.of(array.dtype)
    usual = [dtypes.get_default_dtype()]
    if array.size:
        usual += [dtypes.int64, dtypes.bool_]  # these show in the values
    if x.device != "cpu":
        notes.append(f"device='{'cuda:0' if x.device == 'cuda' else x.device}'")
    if not options.edgeitems if array.size else array.ndim != 1:
        notes.append(f"size={tuple(array.shape)}")
    if dtype not in usual:
        notes.append(f"dtype={dtype}")
    if x.grad_fn is not None:
        notes.append(f"grad_fn={repr(x.grad_fn).partition(' ')[0]}>")
    elif x.requires_grad:
        notes.append("requires_grad=True")
    return notes


def _with_notes(text: str, notes: list[str], indent: int, linewidth: int) -> str:
    """Each note on the same line where it fits, else on a new one."""
    used = len(text) - text.rfind("\n") + 1
    for note in notes:
        width = len(note.replace("minigrad.", "torch."))  # a line breaks where PyTorch breaks it
        if used + width + 2 > linewidth:
            text, used = f"{text},\n{' ' * indent}{note}", indent + width
        else:
            text, used = f"{text}, {note}", used + width + 2
    return text


def _values(array: np.ndarray, indent: int, options: Options) -> str:
    edge, cut = options.edgeitems, set()  # the dimensions of which only the edges are shown
    if array.size > options.threshold:
        cut = {axis for axis, n in enumerate(array.shape) if n > 2 * edge}
        for axis in cut:
            ends = [*range(edge), *range(array.shape[axis] - edge, array.shape[axis])]
            array = array[(slice(None),) * axis + (ends,)]
    width, text_of = _style(array, options)
    a_line = max(1, (options.linewidth - indent - array.ndim + 1) // (width + 2))

    def nested(part: np.ndarray, axis: int) -> str:
        below = array.ndim - axis - 1
        if below:
            items = [nested(row, axis + 1) for row in part]
        else:
            items = [text_of(value).rjust(width) for value in part.tolist()]
        if axis in cut:
            items.insert(edge, "..." if below or not edge else " ...")
        if not below:
            items = [", ".join(items[i : i + a_line]) for i in range(0, len(items), a_line)]
        gap = "," + "\n" * max(1, below) + " " * (indent + axis + 1)
        return f"[{gap.join(items)}]"

    return nested(array, 0) if array.ndim else text_of(array.item()).rjust(width)


def _style(shown: np.ndarray, options: Options) -> tuple[int, Callable[[Any], str]]:
    """One width and one notation for all values that are shown.

    Zeros, infinities and NaN decide neither of them. Whole numbers print as "1.", others with a
    fixed number of digits, or in scientific notation where that would hide the small ones.
    """
    if shown.dtype.kind != "f":
        return max([1, *(len(str(value)) for value in shown.ravel().tolist())]), str
    values = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64)
    whole = bool((values == np.ceil(values)).all())
    scientific = False
    if values.size:
        sizes = np.abs(values)
        least, most = sizes.min().item(), sizes.max().item()
        scientific = options.sci_mode
        if scientific is None:
            scientific = most / least > 1000 or most > 1e8 or least < 1e-4
    digits = f".{options.precision}{'e' if scientific else 'f'}"

    def text_of(value: float) -> str:
        if whole and not scientific:
            return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"
        return format(value, digits)

    return max([1, *(len(text_of(value)) for value in values.tolist())]), text_of
