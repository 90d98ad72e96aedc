"""Words: a tokenizer that loses nothing, and the vocabulary that owns the special symbols."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")

JOINER = "￭"  # on the side of a token where the text has no space
LITERAL_JOINER = "\\j"  # the same character in a text; no piece looks like this
WORD = re.compile(r"\w")
# an elided word (l', don'), a word, or one other character
PIECES = re.compile(r"\w+['’](?=\w)|\w+|[^\w]")


def tokenize(text: str) -> list[str]:
    """Words and punctuation marks; `detokenize` gives the text back, apart from spaces at its ends.

    One space between two tokens is the rule and is not written; where there is none, a joiner says
    so: "l'ami, ici ?" -> l'￭ ami ￭, ici ?
    """
    pieces = PIECES.findall(text.strip(" "))
    tokens: list[str] = []
    joined = True  # whether the next piece touches what stands before it
    for n, piece in enumerate(pieces):
        if piece == " " and not pieces[n - 1].isspace() and not pieces[n + 1].isspace():
            joined = False
            continue
        token = LITERAL_JOINER if piece == JOINER else piece
        if joined and tokens:
            if WORD.match(piece):
                tokens[-1] += JOINER  # a word stays one type whatever touches it
            else:
                token = JOINER + token
        tokens.append(token)
        joined = True
    return tokens


def detokenize(tokens: Iterable[str]) -> str:
    """The text of tokens made by `tokenize`."""
    text, joined = "", True
    for token in tokens:
        core = token.removeprefix(JOINER)
        if not joined and core == token:
            text += " "
        joined = core.endswith(JOINER)
        core = core.removesuffix(JOINER)
        text += JOINER if core == LITERAL_JOINER else core
    return text


class Vocabulary:
    """Token types and their numbers; 0 to 3 are padding, unknown, begin and end of sentence."""

    def __init__(self, tokens: Sequence[str]):
        """`tokens` without the special symbols; raises ValueError if one occurs twice."""
        self.types = list(tokens)
        self.tokens = [*SPECIALS, *tokens]
        self.ids = {token: n for n, token in enumerate(self.tokens)}
        if len(self.ids) != len(self.tokens):
            twice = [token for token, count in Counter(self.tokens).items() if count > 1]
            raise ValueError(f"a vocabulary holds each token once; more than once: {twice[:5]}")

    @classmethod
    def build(
        cls, texts: Iterable[str], max_size: int | None = None, min_count: int = 1
    ) -> Vocabulary:
        """The types of the texts, most frequent first, ties in the order of the alphabet."""
        counts = Counter(token for text in texts for token in tokenize(text))
        order = sorted(counts, key=lambda token: (-counts[token], token))
        return cls([token for token in order if counts[token] >= min_count][:max_size])

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """Token numbers, without begin and end of sentence."""
        return [self.ids.get(token, UNK) for token in tokenize(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token numbers, up to the end of sentence if there is one; an unknown one
        reads <unk>.
        """
        tokens = []
        for n in ids:
            if n == EOS:
                break
            if n not in (PAD, BOS):
                tokens.append(self.tokens[n])
        return detokenize(tokens)
