"""Subwords of sentencepiece (Kudo and Richardson, 2018): what it is told, and what kept from it.

sentencepiece writes spaces as ▁ and keeps a few characters to itself: a text that holds them would
come back changed, or not be learned from. `escape` puts private characters in their place.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .text import SPECIALS

ESCAPE = "\U0010fff0"  # stands before a private character that is one of the text's own
# its marks of a space, of unknown characters and of the end of a sentence, once a tab; what ends
# lines; what ends strings
RESERVED = dict(zip("▁▅\x1f\t\n\r\0", map(chr, range(0x10FFF1, 0x10FFF8))))
_OWN = {private: ESCAPE + private for private in (ESCAPE, *RESERVED.values())}
_ESCAPES = str.maketrans(RESERVED | _OWN)
_ORIGINALS = {private: character for character, private in RESERVED.items()}
_ESCAPED = re.compile(rf"{ESCAPE}(.)|[{''.join(RESERVED.values())}]", re.DOTALL)

DEFAULT_SIZE = 8000
# with a space inside, which pieces have at their beginning only: none that is learned is a symbol
SYMBOLS = [f"{symbol[0]}▁{symbol[1:]}" for symbol in SPECIALS]


def escape(text: str) -> str:
    """The text in characters that sentencepiece leaves alone, and a space before it: its first word
    is then spelt like all others. Nothing for nothing.
    """
    return f" {text.translate(_ESCAPES)}" if text else ""


def unescape(text: str) -> str:
    """The text of joined pieces."""
    text = text.replace("▁", " ").removeprefix(" ")
    return _ESCAPED.sub(lambda match: match[1] or _ORIGINALS[match[0]], text)


def train(texts: Iterable[str], kind: str, size: int | None = None, min_count: int = 1) -> bytes:
    """A serialized model, "bpe" or "unigram", of at most `size` pieces, special symbols included.

    Fewer where the texts have not so many. Characters seen less than `min_count` times are left
    out, then the rarest until there is room. The same texts give the same model. Raises ValueError
    without any text.
    """
    size = DEFAULT_SIZE if size is None else size
    if size < (least := len(SPECIALS) + 2):
        raise ValueError(
            f"a vocabulary of {size} subwords has no room for the special symbols, the space and "
            f"one character: ask for {least} or more"
        )
    sentences = [escape(text) for text in texts if text]
    counts = Counter(character for sentence in sentences for character in sentence)
    counts.pop(" ", None)
    order = sorted(counts, key=lambda character: (-counts[character], character))
    kept = [c for c in order if counts[c] >= min_count][: size - len(SPECIALS) - 1]
    if not kept:
        raise ValueError(
            f"there is nothing to learn subwords from: no character of {len(sentences)} texts that "
            f"are not empty is seen {min_count} times"
        )
    if left_out := order[len(kept) :]:
        parts = re.compile(f"[{re.escape(''.join(left_out))}]+")
        sentences = [part for sentence in sentences for part in parts.split(sentence) if part]
    model = io.BytesIO()
    _sentencepiece().SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type=kind,
        vocab_size=size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        # the text as it is: no normal form, no space taken away or added
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        max_sentence_length=2**30,  # longer ones would be skipped
        num_threads=1,  # sums in one order: the same model everywhere
        minloglevel=2,
        **{
            f"{name}_{what}": value
            for n, name in enumerate(("pad", "unk", "bos", "eos"))
            for what, value in (("id", n), ("piece", SYMBOLS[n]))
        },
    )
    return model.getvalue()


def processor(model: bytes) -> Any:
    """sentencepiece's processor for a serialized model. Raises ValueError if it cannot read it, or
    if the special symbols are not where ours are.
    """
    try:
        made = _sentencepiece().SentencePieceProcessor()
        made.LoadFromSerializedProto(model)
        symbols = [made.pad_id(), made.unk_id(), made.bos_id(), made.eos_id()]
    except RuntimeError as error:
        raise ValueError(f"sentencepiece cannot read its model: {error}") from error
    if symbols != list(range(len(SPECIALS))):
        raise ValueError(f"the model numbers pad, unk, bos and eos {symbols}, expected 0 to 3")
    return made


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise ValueError(
            "subwords need the package sentencepiece: pip install sentencepiece"
        ) from error
    return sentencepiece
