"""The corpora that need no download, by name.

splits = corpus("scan-length").load(limit=None, seed=0)  # {"train": [(source, target), ...
print(*CORPORA)                                          # which there are
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from .dates import dates
from .digits import addition, copy, reverse
from .files import CorpusError
from .scan import scan, shuffled

Pairs = list[tuple[str, str]]

SENTENCES = {"valid": 1000, "test": 1000}  # of a language; FURTHER of each further split
FURTHER = 500
SCAN_VALID = 500
DRAWN_TEST, DRAWN_VALID, DRAWN_TRAIN = 5000, 1000, 45_000  # the book, too, tests on 5,000
LONGEST = 10  # digits to copy or reverse in train, valid and test; in "longer" up to twice that
LONGER = 1000


@dataclass(frozen=True)
class Corpus:
    """A built-in corpus. `source` and `target` say what a token is on each side: "words" or
    "characters".
    """

    name: str
    description: str  # one line
    source: str
    target: str
    pairs: int | None  # for training if no limit is given; None: all there are
    make: Callable[[int | None, int], dict[str, Pairs]]

    def load(self, limit: int | None = None, seed: int = 0) -> dict[str, Pairs]:
        """The pairs of "train", at most `limit`, of "valid", to choose by, of "test", and of
        further splits to report on. What stands in "train" or "valid" stands in no other split.

        Only "train" depends on the limit; a SCAN training set smaller than it is given whole.
        Raises CorpusError for a limit below 1 or beyond what the corpus has to give.
        """
        limit = self.pairs if limit is None else limit
        if limit is not None and limit < 1:
            raise CorpusError(f"limit is {limit}: expected at least one training pair")
        try:
            return self.make(limit, seed)
        except ValueError as error:
            raise CorpusError(
                f"the corpus {self.name} cannot give {limit} pairs for training and others beside "
                f"them: {error}"
            ) from error


def corpus(name: str) -> Corpus:
    """The corpus of that name. Raises CorpusError, with the names there are, for an unknown one."""
    if name not in CORPORA:
        raise CorpusError(f"unknown corpus {name!r}: expected one of {', '.join(CORPORA)}")
    return CORPORA[name]


def _sentences(package: str, limit: int, seed: int) -> dict[str, Pairs]:
    """From a package with a function of its name that writes the sentences of each of its
    SPLITS, which it keeps apart.
    """
    module = import_module(f".{package}", __package__)
    write = getattr(module, package)
    counts = {split: FURTHER for split in module.SPLITS} | {"train": limit} | SENTENCES
    return {
        split: [(pair.source, pair.target) for pair in write(split, count, seed)]
        for split, count in counts.items()
    }


def _scan(split: str, limit: int | None, seed: int) -> dict[str, Pairs]:
    """As published, but for the validation pairs, which are taken out of the training set."""
    train = shuffled(scan(split, "train"), seed)
    # "jump" alone is all that is known of jumping in add-jump, so what is repeated must stay
    once = [pair for pair, count in Counter(train).items() if count == 1]
    valid = set(once[:SCAN_VALID])
    rest = [pair for pair in train if pair not in valid]
    return {"train": rest[:limit], "valid": once[:SCAN_VALID], "test": scan(split, "test")}


def _drawn(generate: Callable[..., Pairs], limit: int, seed: int) -> dict[str, Pairs]:
    """From a function whose list a greater count continues. Its beginning, easier than what
    follows, is shuffled before it is divided.
    """
    valid, train = DRAWN_TEST, DRAWN_TEST + DRAWN_VALID  # where they begin
    drawn = generate(train + max(limit, DRAWN_TRAIN), seed)
    pairs = shuffled(drawn[: train + DRAWN_TRAIN], seed) + drawn[train + DRAWN_TRAIN :]
    return {"train": pairs[train:][:limit], "valid": pairs[valid:train], "test": pairs[:valid]}


def _sequences(generate: Callable[..., Pairs], limit: int, seed: int) -> dict[str, Pairs]:
    longer = generate(LONGER, seed, shortest=LONGEST + 1, longest=2 * LONGEST)
    return _drawn(partial(generate, longest=LONGEST), limit, seed) | {"longer": longer}


WORDS, CHARACTERS = ("words", "words"), ("characters", "characters")  # of source and target
MIXED = ("words", "characters")
GRAMMAR = "sentences of a grammar made for it"
_TABLE = (
    ("english-french", _sentences, "english_french", 60_000, WORDS, GRAMMAR),
    ("english-chinese", _sentences, "english_chinese", 60_000, MIXED, GRAMMAR),
    ("scan-simple", _scan, "simple", None, WORDS, "SCAN commands, divided at random"),
    ("scan-length", _scan, "length", None, WORDS, "SCAN commands, the long ones for test"),
    ("scan-add-jump", _scan, "add-jump", None, WORDS, "SCAN commands, jump only alone in training"),
    ("dates", _drawn, dates, 45_000, CHARACTERS, "dates as people write them, to YYYY-MM-DD"),
    ("addition", _drawn, addition, 45_000, CHARACTERS, "sums of two numbers below 1000"),
    ("copy", _sequences, copy, 20_000, CHARACTERS, "digits, to themselves"),
    ("reverse", _sequences, reverse, 20_000, CHARACTERS, "digits, to the same from the last on"),
)
CORPORA = {
    name: Corpus(name, description, *tokens, pairs, partial(make, what))
    for name, make, what, pairs, tokens, description in _TABLE
}
