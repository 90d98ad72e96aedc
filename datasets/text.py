"""Words: a tokenizer that loses nothing, and the special symbols of every vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import category

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")

JOINER = "￭"  # on the side of a token where the text has no space and one would be expected
LITERAL_JOINER = "\\j"  # the same character in a text; no piece looks like this

# Scripts written without spaces, each character of which is a token: Han, kana and bopomofo, with
# their punctuation and the wide forms of ours. Hangul and wide letters make words as ours do. Thai,
# Khmer, Lao and Burmese words are several characters that nothing separates: they stay in one piece
# and are better served by characters or subwords.
UNSPACED = (
    "\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40"
    "\uff5b-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
# accents and vowel signs, which follow their letter and belong to it; few of them are \w
_MARKS = {n for n in (*range(0x20000), *range(0xE0100, 0xE01F0)) if category(chr(n))[0] == "M"}
_FIRST, _LAST = (sorted(n for n in _MARKS if n + side not in _MARKS) for side in (-1, 1))
MARKS = "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(_FIRST, _LAST))

LETTER = rf"[^\W{UNSPACED}]"
WORD = rf"{LETTER}+(?:[{MARKS}]+{LETTER}*)*"
# a word, perhaps elided (l', don'), or one other character with its marks
PIECES = re.compile(rf"{WORD}(?:['’](?={LETTER}))?|{JOINER}|.[{MARKS}]*", re.DOTALL)
is_word = re.compile(rf"{LETTER}").match
is_unspaced = re.compile(rf"[{UNSPACED}]").match
writes_spaces = re.compile(rf"[{UNSPACED}\s]").match  # a single space beside it is a token


def tokenize(text: str) -> list[str]:
    """Words, punctuation marks and characters of Chinese and Japanese; `detokenize` gives the text
    back.

    One space between two tokens is the rule and is not written; where there is none, a joiner says
    so: "l'ami, ici ?" -> l'￭ ami ￭, ici ?
    Beside a Chinese or Japanese character no space is the rule, and a space is a token, as it is at
    the ends of a text: "我用 GPU 。" -> 我 用 " ￭" GPU "￭ " 。
    """
    pieces = PIECES.findall(text)
    tokens: list[str] = []
    before, joined = "", True  # the last token's piece, and whether the next one touches it
    for n, piece in enumerate(pieces):
        between = 0 < n < len(pieces) - 1
        if piece == " " and between and not (writes_spaces(before) or writes_spaces(pieces[n + 1])):
            joined = False
            continue
        token = LITERAL_JOINER if piece == JOINER else piece
        if joined and tokens and not (is_unspaced(before) or is_unspaced(piece)):
            if is_word(piece):
                tokens[-1] += JOINER  # a word stays one type whatever touches it
            else:
                token = JOINER + token
        tokens.append(token)
        before, joined = piece, True
    return tokens


def detokenize(tokens: Iterable[str]) -> str:
    """The text of tokens made by `tokenize`."""
    text, joined = "", True
    for token in tokens:
        core = token.removeprefix(JOINER)
        unspaced = is_unspaced(core)
        if not (joined or unspaced or core != token):
            text += " "
        joined = core.endswith(JOINER) or unspaced
        core = core.removesuffix(JOINER)
        text += JOINER if core == LITERAL_JOINER else core
    return text
