"""Sentence pairs from files of your own.

    pairs = read_tsv("my_pairs.tsv")                # one pair a line: source TAB target
    pairs = read_parallel("en.txt.gz", "fr.txt.gz")  # line n of one translates line n of the other
    parts = split_by_source(pairs)                  # {"train": ..., "valid": ..., "test": ...}

Files are UTF-8; those whose name ends in .gz are unpacked. Only "\\n" and "\\r\\n" end a line: text
from the web holds other characters that `str.splitlines` would take for line ends, and one of
them on one side would shift every pair after it.
"""

from __future__ import annotations

import codecs
import gzip
import os
import random
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Union

StrPath = Union[str, "os.PathLike[str]"]

BAD_LINES_SHOWN = 5


class CorpusError(ValueError):
    """A corpus that cannot be used; the message says which file and line, and what to do."""


def read_tsv(path: StrPath) -> list[tuple[str, str]]:
    """Pairs from a file of lines "source TAB target"; further columns are ignored.

    Raises CorpusError for a line without a tab, with an empty side, or that is not UTF-8, for an
    empty file, and for a file that cannot be read.
    """
    pairs: list[tuple[str, str]] = []
    problems = _Problems()
    for number, line in enumerate(_lines(path), start=1):
        text = problems.decode(path, number, line)
        if text is None:
            continue
        source, tab, rest = text.partition("\t")
        source, target = source.strip(), rest.partition("\t")[0].strip()
        if not tab:
            problems.add(path, number, "no tab between source and target")
        elif not source or not target:
            side = "source" if not source else "target"
            problems.add(path, number, f"the {side} is empty")
        else:
            pairs.append((source, target))
    problems.raise_if_any("expected a source sentence, a tab and a target sentence on every line")
    return pairs


def read_parallel(source_path: StrPath, target_path: StrPath) -> list[tuple[str, str]]:
    """Pairs from two files, where each line of one translates the same line of the other.

    Raises CorpusError when they differ in their number of lines, for an empty line, for one that
    is not UTF-8, for an empty file, and for a file that cannot be read.
    """
    sources, targets = _lines(source_path), _lines(target_path)
    if len(sources) != len(targets):
        raise CorpusError(
            f"{os.fspath(source_path)} has {len(sources)} lines and {os.fspath(target_path)} has "
            f"{len(targets)}: expected as many in both, line n of one translating line n of the "
            "other"
        )
    pairs: list[tuple[str, str]] = []
    problems = _Problems()
    for number, lines in enumerate(zip(sources, targets), start=1):
        pair = []
        for path, line in zip((source_path, target_path), lines):
            text = problems.decode(path, number, line)
            if text is not None and not text.strip():
                problems.add(path, number, "the line is empty")
            pair.append((text or "").strip())
        if pair[0] and pair[1]:
            pairs.append((pair[0], pair[1]))
    problems.raise_if_any("expected a sentence on every line of both files")
    return pairs


def split_by_source(
    pairs: Iterable[Sequence[str]],
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
) -> dict[str, list]:
    """Split pairs into "train" and the parts named by `fractions`, by their source sentence.

    All pairs of one source go to one part, so that no part knows the sentences of another; the
    fractions are of the distinct sources, the rest is "train". Each part keeps the order of
    `pairs` and has at least one source. The default is {"valid": 0.05, "test": 0.05}.

    Raises CorpusError when there are fewer distinct sources than parts, ValueError for fractions
    that leave nothing for "train".
    """
    fractions = {"valid": 0.05, "test": 0.05} if fractions is None else dict(fractions)
    bad = {name: share for name, share in fractions.items() if not 0 < share < 1}
    if bad or sum(fractions.values()) >= 1 or "train" in fractions:
        raise ValueError(
            f"fractions is {fractions}: expected shares between 0 and 1 for the parts other than "
            '"train", with a sum below 1, since "train" is what they leave'
        )
    pairs = list(pairs)
    sources = list(dict.fromkeys(pair[0] for pair in pairs))
    if len(sources) < len(fractions) + 1:
        raise CorpusError(
            f"{len(sources)} distinct source sentences for {len(fractions) + 1} parts "
            f"({', '.join(['train', *fractions])}): give more pairs, or split off fewer parts"
        )
    # Sorting by random numbers, because random() alone gives the same on every Python version.
    draw = random.Random(seed).random
    order = [source for _, source in sorted((draw(), source) for source in sources)]
    part_of: dict[str, str] = {}
    start = 0
    for left, (name, share) in zip(range(len(fractions), 0, -1), fractions.items()):
        room = len(sources) - start - left  # one source at least for every part still to come
        size = min(max(1, round(share * len(sources))), room)
        part_of.update(dict.fromkeys(order[start : start + size], name))
        start += size
    parts: dict[str, list] = {name: [] for name in ("train", *fractions)}
    for pair in pairs:
        parts[part_of.get(pair[0], "train")].append(pair)
    return parts


class _Problems:
    """Bad lines: all are counted, the first few described."""

    def __init__(self) -> None:
        self.count = 0
        self.described: list[str] = []

    def add(self, path: StrPath, number: int, what: str) -> None:
        self.count += 1
        if self.count <= BAD_LINES_SHOWN:
            self.described.append(f"{os.fspath(path)}, line {number}: {what}")

    def decode(self, path: StrPath, number: int, line: bytes) -> str | None:
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = f"byte 0x{line[error.start]:02x} at offset {error.start} of the line"
            self.add(path, number, f"not UTF-8, {byte}; save the file as UTF-8")
            return None

    def raise_if_any(self, expected: str) -> None:
        if not self.count:
            return
        lines = "line" if self.count == 1 else "lines"
        shown = "" if self.count <= BAD_LINES_SHOWN else f"; the first {BAD_LINES_SHOWN}"
        raise CorpusError(
            f"{self.count} bad {lines} ({expected}){shown}: {'; '.join(self.described)}"
        )


def _lines(path: StrPath) -> list[bytes]:
    """The lines of a file, packed or not, without their ends and without a byte order mark."""
    name = os.fspath(path)
    file = Path(path)
    if os.path.isdir(path):
        raise CorpusError(f"{name} is a directory: give the path of a file")
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise CorpusError(
            f"{name} does not exist (looked for it from {Path.cwd()}): check the path"
        ) from None
    except OSError as error:
        raise CorpusError(f"{name} cannot be read: {error.strerror or error}") from error
    if file.suffix.lower() == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise CorpusError(
                f"{name} is not a whole gzip file ({error}): fetch or pack it again"
            ) from error
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data.strip():
        raise CorpusError(f"{name} is empty: expected at least one line")
    lines = data.split(b"\n")  # UTF-8 has no such byte within a character
    if not lines[-1]:
        lines.pop()  # the end of the last line starts no other
    return [line.removesuffix(b"\r") for line in lines]
