"""Attention and gates in the terminal, and tokens as they are shown there and in drawings."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

import numpy as np

from datasets.text import JOINER

from .gates import means

if TYPE_CHECKING:
    from .translator import Translation

# names of what cannot be seen
INVISIBLE = {" ": "␣", "\t": "⇥", "\n": "↵", "\r": "␍", "\xa0": "⍽", "\u3000": "␣"}
LONGEST = 24  # characters of a token that are shown
BLOCKS, LETTERS = " ░▒▓█", " .:-=+*#%@"
BAR = 8  # columns


def label(token: str) -> str:
    """A token as it is shown: without joiners, nothing invisible, not too long."""
    token = token.strip(JOINER) or token
    shown = "".join(INVISIBLE.get(c) or (c if c.isprintable() else code_point(c)) for c in token)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def code_point(character: str) -> str:
    return f"U+{ord(character):04X}"


def attention_text(
    translation: Translation, columns: int | None = None, stream: TextIO | None = None
) -> str:
    """The attention in shades: a row for each target token, a column for each source token.

    As wide as `columns`, by default the terminal; a longer source comes in several parts. In ASCII
    where `stream`, by default standard error, has no more.
    """
    if not translation.target:
        return "an empty sentence has no attention"
    if translation.weights is None:
        return "this model has no attention to show"
    encoding = encoding_of(stream)
    columns = columns or shutil.get_terminal_size((100, 24)).columns
    shades = BLOCKS if can_write(BLOCKS, encoding) else LETTERS
    source, target = shown(translation.source, encoding), shown(translation.target, encoding)
    weights = np.asarray(translation.weights)
    levels = np.rint(weights.clip(0, 1) * (len(shades) - 1)).astype(int)
    margin = min(max(map(width_of, target)), columns // 3)
    names = [padded(token, margin, left=True) for token in target]
    across = sum(width_of(token) + 1 for token in source) + margin <= columns
    cells = [width_of(token) if across else 2 for token in source]
    gap = " " if across else ""
    count = len(source) if across else max(1, (columns - margin - 1) // 2)
    parts = []
    for start in range(0, len(source), count):
        part = slice(start, start + count)
        if across:
            heads = [" ".join(source)]
        else:
            heads = upright(source[part])
        lines = [" " * margin + " " + head for head in heads]
        for name, row in zip(names, levels):
            shade = [shades[level] * cell for level, cell in zip(row[part], cells[part])]
            lines.append(f"{name} {gap.join(shade)}")
        parts.append("\n".join(line.rstrip() for line in lines))
    return "\n\n".join(parts)


def gates_text(
    found: Mapping[str, np.ndarray], tokens: Sequence[str], stream: TextIO | None = None
) -> str:
    """The means over the units of `gates`, and the mean magnitudes of what has a sign: a row for
    each target token, a bar for each number, as long as BAR for 1.
    """
    encoding = encoding_of(stream)
    full = "█" if can_write("█", encoding) else "#"
    names, values = shown(tokens, encoding), means(found)
    margin = max(map(width_of, names))
    lines = [" " * margin + "".join(f"  {name:<{BAR + 5}}" for name in values)]
    for t, name in enumerate(names):
        cells = [
            f"  {x[t]:4.2f} {full * min(BAR, round(BAR * x[t])):<{BAR}}" for x in values.values()
        ]
        lines.append(padded(name, margin, left=True) + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def encoding_of(stream: TextIO | None) -> str:
    return getattr(stream or sys.stderr, "encoding", None) or "utf-8"


def shown(tokens: Sequence[str], encoding: str) -> list[str]:
    return [label(t).encode(encoding, "replace").decode(encoding) for t in tokens]


def can_write(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def clusters(text: str) -> list[str]:
    """Characters, each with the marks that stand on it."""
    found: list[str] = []
    for c in text:
        if found and unicodedata.category(c) in ("Mn", "Me", "Cf"):
            found[-1] += c
        else:
            found.append(c)
    return found


def width_of(text: str) -> int:
    """The columns of a terminal that a text takes."""
    return sum(1 + (unicodedata.east_asian_width(c[0]) in "WF") for c in clusters(text))


def padded(text: str, width: int, left: bool = False) -> str:
    """Spaces on the right, or on the `left`; what does not fit is cut off."""
    while width_of(text) > width:
        text = "".join(clusters(text)[:-1])
    spaces = " " * (width - width_of(text))
    return spaces + text if left else text + spaces


def upright(tokens: Sequence[str]) -> list[str]:
    """Lines in which tokens stand upright, two columns each, ending at the same line."""
    letters = [clusters(token) for token in tokens]
    height = max(map(len, letters))
    letters = [[""] * (height - len(one)) + one for one in letters]
    return ["".join(padded(c, 2) for c in line) for line in zip(*letters)]
