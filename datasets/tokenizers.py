"""Tokenizers: text to numbers and back, all through one interface, each in one file of a run.

Whatever the kind, decode(encode(text)) is the text, if the vocabulary covers it; 0 to 3 are
padding, unknown, begin and end of sentence, and no text has the numbers 0, 2 and 3.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any

from . import subwords
from .text import BOS, EOS, PAD, SPECIALS, UNK, detokenize, tokenize

FORMAT = 1  # of the file; a newer one is refused with a sentence
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which no encoding can write


class Tokenizer(ABC):
    """Text to numbers and back. `tokens` are all types, the special symbols first."""

    kind: str
    tokens: list[str]
    lowercase: bool

    @classmethod
    @abstractmethod
    def build(
        cls,
        texts: Iterable[str],
        max_size: int | None = None,
        min_count: int = 1,
        lowercase: bool = False,
    ) -> Tokenizer:
        """Learned from texts. Raises ValueError for a `max_size` without room for anything."""

    @abstractmethod
    def _encode(self, text: str) -> list[int]:
        """`encode` for a normalized text."""

    @abstractmethod
    def _pieces(self, text: str) -> list[str]:
        """`pieces` for a normalized text."""

    @abstractmethod
    def decode_pieces(self, pieces: Iterable[str]) -> str:
        """The text of pieces: of `pieces(text)`, the text itself, unknown words or not."""

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """What the file holds beside kind and lowercase, as JSON data."""

    @classmethod
    @abstractmethod
    def _of_content(cls, content: dict[str, Any], lowercase: bool) -> Tokenizer:
        """The inverse of `_content`."""

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokenizer):
            return NotImplemented
        return (self.kind, self.lowercase, self._content()) == (
            other.kind,
            other.lowercase,
            other._content(),
        )

    def encode(self, text: str) -> list[int]:
        """Token numbers, without begin and end of sentence."""
        return self._encode(_normalized(text, self.lowercase))

    def pieces(self, text: str) -> list[str]:
        """What each number of `encode` stands for; an unknown one for what the text has there."""
        return self._pieces(_normalized(text, self.lowercase))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token numbers, up to the end of sentence if there is one; an unknown one
        reads <unk>.
        """
        said = takewhile(lambda n: n != EOS, ids)
        return self.decode_pieces([self.tokens[n] for n in said if n not in (PAD, BOS)])

    def to_bytes(self) -> bytes:
        """The file: UTF-8 JSON with a checksum, which `load_tokenizer` reads."""
        content = {"format": FORMAT, "kind": self.kind, "lowercase": self.lowercase}
        content |= self._content()
        content["sha256"] = _digest(content)
        return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


class Vocabulary(Tokenizer):
    """Words, in the order of their numbers."""

    kind = "words"
    split: Callable[[str], list[str]] = staticmethod(tokenize)
    join: Callable[[Iterable[str]], str] = staticmethod(detokenize)

    def __init__(self, types: Sequence[str], lowercase: bool = False):
        """`types` without the special symbols; raises ValueError if one occurs twice."""
        self.types, self.lowercase = list(types), lowercase
        self.tokens = [*SPECIALS, *types]
        self.ids = {token: n for n, token in enumerate(self.tokens)}
        if len(self.ids) != len(self.tokens):
            twice = [token for token, count in Counter(self.tokens).items() if count > 1]
            raise ValueError(f"a vocabulary holds each token once; more than once: {twice[:5]}")

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        max_size: int | None = None,
        min_count: int = 1,
        lowercase: bool = False,
    ) -> Vocabulary:
        """The types of the texts, most frequent first, ties in the order of the alphabet.

        At most `max_size` beside the special symbols; none seen less than `min_count` times.
        """
        if max_size is not None and max_size < 1:
            raise ValueError(f"a vocabulary of {max_size} types holds nothing: ask for 1 or more")
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(cls.split(_normalized(text, lowercase)))
        order = sorted(counts, key=lambda token: (-counts[token], token))
        return cls([token for token in order if counts[token] >= min_count][:max_size], lowercase)

    def _encode(self, text: str) -> list[int]:
        return [self.ids.get(piece, UNK) for piece in self.split(text)]

    def _pieces(self, text: str) -> list[str]:
        return self.split(text)

    def decode_pieces(self, pieces: Iterable[str]) -> str:
        return self.join(pieces)

    def _content(self) -> dict[str, Any]:
        return {"types": self.types}

    @classmethod
    def _of_content(cls, content: dict[str, Any], lowercase: bool) -> Vocabulary:
        types = content["types"]
        if not (isinstance(types, list) and all(isinstance(token, str) for token in types)):
            raise ValueError("types is no list of strings")
        return cls(types, lowercase)


class Characters(Vocabulary):
    """Unicode characters, the space among them."""

    kind = "characters"
    split = staticmethod(list)
    join = staticmethod("".join)


class Subwords(Tokenizer):
    """Pieces of words that sentencepiece has learned, for a base; ▁ in a piece is a space."""

    def __init__(self, model: bytes, lowercase: bool = False):
        """`model` as sentencepiece serializes it. Raises ValueError if it cannot read it."""
        self.model, self.lowercase = model, lowercase
        self.processor = subwords.processor(model)
        size = len(self.processor)
        self.tokens = [*SPECIALS, *self.processor.id_to_piece(list(range(len(SPECIALS), size)))]

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        max_size: int | None = None,
        min_count: int = 1,
        lowercase: bool = False,
    ) -> Subwords:
        """At most `max_size` pieces, special symbols included as is usual with sentencepiece (8000
        without it), or as many as the texts have; characters seen less than `min_count` times are
        unknown.
        """
        normalized = (_normalized(text, lowercase) for text in texts)
        return cls(subwords.train(normalized, cls.kind, max_size, min_count), lowercase)

    def _encode(self, text: str) -> list[int]:
        return self.processor.encode(subwords.escape(text), out_type=int)

    def _pieces(self, text: str) -> list[str]:
        return self.processor.encode(subwords.escape(text), out_type=str)

    def decode_pieces(self, pieces: Iterable[str]) -> str:
        return subwords.unescape("".join(pieces))

    def _content(self) -> dict[str, Any]:
        return {"model": base64.b64encode(self.model).decode("ascii")}

    @classmethod
    def _of_content(cls, content: dict[str, Any], lowercase: bool) -> Subwords:
        return cls(base64.b64decode(content["model"]), lowercase)


class BytePairs(Subwords):
    """The most frequent pair becomes a piece, again and again (Sennrich et al., 2016)."""

    kind = "bpe"


class Unigram(Subwords):
    """The pieces of the most probable segmentation under a unigram model (Kudo, 2018)."""

    kind = "unigram"


KINDS: dict[str, type[Tokenizer]] = {
    cls.kind: cls for cls in (Vocabulary, Characters, BytePairs, Unigram)
}


def build_tokenizer(
    kind: str,
    texts: Iterable[str],
    max_size: int | None = None,
    min_count: int = 1,
    lowercase: bool = False,
) -> Tokenizer:
    """A tokenizer of a kind in KINDS, learned from texts; for one vocabulary of two languages, from
    those of both. Raises ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"no tokenizer is called {kind!r}: choose {', '.join(KINDS)}")
    return KINDS[kind].build(texts, max_size, min_count, lowercase)


def load_tokenizer(data: bytes, where: str) -> Tokenizer:
    """What `to_bytes` gave, and `where` it lay. Raises ValueError, which names the place, for a
    file that is damaged, cut off, newer, or something else.
    """
    try:
        content = json.loads(data.decode("utf-8"))
        number, kind, digest = (content[name] for name in ("format", "kind", "sha256"))
        known = {name: value for name, value in content.items() if name != "sha256"}
        lowercase = content["lowercase"]
        if number != FORMAT:
            raise ValueError(f"it has format {number!r}, this program reads {FORMAT}")
        if kind not in KINDS or not isinstance(lowercase, bool):
            raise ValueError(f"kind {kind!r}, lowercase {lowercase!r}")
        if digest != _digest(known):
            raise ValueError("its checksum is another")
        return KINDS[kind]._of_content(known, lowercase)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise ValueError(
            f"{where} holds no whole tokenizer ({what}): restore it from a copy, or train again"
        ) from error


def _normalized(text: str, lowercase: bool) -> str:
    """What a tokenizer sees of a text."""
    text = _SURROGATE.sub("\ufffd", text)
    return text.lower() if lowercase else text


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()
