"""Tokenizers lose nothing, give a text no symbol's number, and come back whole from a file."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import BOS, EOS, KINDS, PAD, SPECIALS, UNK, Vocabulary
from datasets import build_tokenizer, detokenize, load_tokenizer, tokenize

TOKENS = [
    ("The cats were full.", ["The", "cats", "were", "full", "￭."]),
    (
        "Est-ce que l'ami n'a pas d'idée ?",
        ["Est", "￭-￭", "ce", "que", "l'￭", "ami", "n'￭", "a", "pas", "d'￭", "idée", "?"],
    ),
    ('Don\'t (ever) say "no"!', ["Don'￭", "t", "(￭", "ever", "￭)", "say", '"￭', "no", '￭"', "￭!"]),
    ("3,5 km", ["3", "￭,￭", "5", "km"]),
    ("", []),
    ("中文，好吗？", ["中", "文", "，", "好", "吗", "？"]),
    ("三只猫 （3）。", ["三", "只", "猫", " ", "（", "3", "）", "。"]),
    ("㐂㐂𠮷", ["㐂", "㐂", "𠮷"]),  # rare ones, beyond the main blocks
    ("我用GPU。", ["我", "用", "GPU", "。"]),
    ("我用 GPU 。", ["我", "用", " ￭", "GPU", "￭ ", "。"]),
    ("ねこが コーヒー", ["ね", "こ", "が", " ", "コ", "ー", "ヒ", "ー"]),
    ("고양이가 있다.", ["고양이가", "있다", "￭."]),
    ("e\u0301te\u0301 là", ["e\u0301te\u0301", "là"]),  # an accent does not cut its word
    ("हिन्दी में", ["हिन्दी", "में"]),  # nor does a vowel sign
]


@pytest.mark.parametrize("text, tokens", TOKENS)
def test_tokens(text, tokens):
    assert tokenize(text) == tokens
    assert detokenize(tokens) == text


AWKWARD = [
    "a\u00a0b",
    "a  b",
    " both ends ",
    "中文，好吗？",
    "中 文  a 中",
    "か\u3099 か\u3099a",  # a combining mark that is itself in the range of kana
    "e\u0301té",
    "\u0301 \u0301a",
    "😀 👩‍👩‍👧 👍🏽 ❤️!",
    "￭",
    "x￭ ￭y ￭￭ ￭\u0301",
    "▁ a▁b ▁▁ ▅",
    "\\￭ \\j \\",
    "_a_b_",
    "a\tb\u2028c\nd\re\0f\x1fg",
    "l’ami d'",
    "'quoted' dogs' tails",
    "<s> </s> <pad> <unk> < pad> <▁s>",
    "\U0010fff0\U0010fff1 \U0010fff7 \U0010fff8",
    "กำลัง\u200bกิน",
    "\ufeff\u3000x\u3000",
]
SOUP = st.text(st.sampled_from("".join(AWKWARD))) | st.text()  # by and by, whatever Unicode has


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_text_comes_back(text):
    assert detokenize(tokenize(text)) == text
    for kind in KINDS:
        tokenizer = build_tokenizer(kind, [text])
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text, kind
        assert min(ids) > EOS, kind  # all is known, and a symbol that is written is text


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_every_character_of_the_basic_plane_comes_back(kind):
    """Which characters a trainer keeps to itself changes from release to release."""
    characters = [chr(n) for n in (*range(0xD800), *range(0xE000, 0x10000)) if n != ord(" ")]
    lines = ["".join(characters[n : n + 64]) for n in range(0, len(characters), 64)]
    tokenizer = build_tokenizer(kind, [*lines, *characters[:256]], 70_000)
    assert [
        n for n, line in enumerate(lines) if tokenizer.decode(tokenizer.encode(line)) != line
    ] == []
    assert UNK not in {n for line in lines for n in tokenizer.encode(line)}


@given(SOUP)
def test_any_text_comes_back_from_tokens(text):
    assert detokenize(tokenize(text)) == text


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(st.lists(SOUP, min_size=1, max_size=4), SOUP, st.booleans())
def test_any_text_comes_back(kind, texts, other, lowercase):
    """What was learned from, through numbers; another text, unknown words in place, by pieces."""
    texts = [*texts, "a"]  # subwords refuse to learn from nothing
    tokenizer = build_tokenizer(kind, texts, lowercase=lowercase)
    assert tokenizer.tokens[:4] == list(SPECIALS) and len(tokenizer) == len(tokenizer.tokens)
    for text in [*texts, other]:
        expected = text.lower() if lowercase else text
        ids, pieces = tokenizer.encode(text), tokenizer.pieces(text)
        assert not {PAD, BOS, EOS} & set(ids)
        assert [n == UNK for n in ids] == [piece not in tokenizer.tokens[4:] for piece in pieces]
        assert tokenizer.decode_pieces(pieces) == expected
        if text in texts:
            assert UNK not in ids and tokenizer.decode(ids) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_character_does_not_stop_anything(kind):
    """What Python makes of bytes in an argument that are not UTF-8."""
    tokenizer = build_tokenizer(kind, ["a \udcff"])
    assert tokenizer.decode(tokenizer.encode("a \udcff")) == "a \ufffd"
    assert load_tokenizer(tokenizer.to_bytes(), "file") == tokenizer


def test_vocabulary_orders_by_frequency_then_alphabet():
    vocabulary = Vocabulary.build(["b a b", "c a b"])
    assert vocabulary.tokens == ["<pad>", "<unk>", "<s>", "</s>", "b", "a", "c"]
    assert vocabulary.encode("a b zebra c") == [5, 4, UNK, 6]
    assert vocabulary.pieces("a b zebra c") == ["a", "b", "zebra", "c"]
    characters = build_tokenizer("characters", ["abba b"])
    assert characters.tokens == ["<pad>", "<unk>", "<s>", "</s>", "b", "a", " "]
    assert characters.encode("bad") == [4, 5, UNK]


@pytest.mark.parametrize(
    "kind, text, read",
    [
        ("words", "a zebra, b", "a <unk>, b"),
        ("characters", "azb", "a<unk>b"),
        ("bpe", "a zb", "a <unk>b"),
        ("unigram", "a zb", "a <unk>b"),
    ],
)
def test_decoding_skips_symbols_ends_at_the_end_and_shows_the_unknown(kind, text, read):
    tokenizer = build_tokenizer(kind, ["a, b"])
    ids = [BOS, *tokenizer.encode(text), PAD, EOS, *tokenizer.encode("a"), PAD]
    assert UNK in ids
    assert tokenizer.decode(ids) == read
    assert tokenizer.decode([]) == tokenizer.decode([EOS]) == ""
    assert tokenizer.encode("") == tokenizer.pieces("") == []


def test_vocabulary_limits():
    texts = ["a a a b b c"]
    assert Vocabulary.build(texts, max_size=2).types == ["a", "b"]
    assert Vocabulary.build(texts, min_count=2).types == ["a", "b"]
    assert build_tokenizer("characters", ["aaabbc"], 2).tokens[4:] == ["a", "b"]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_subwords_limits(kind):
    texts = ["the cat sat on the mat", "a cat that sat"] * 3
    assert len(build_tokenizer(kind, texts, 16)) == 16
    assert len(build_tokenizer(kind, texts, 10**6)) < 100  # there are no more, and no complaint
    # no room for all characters: t, a and h are the most frequent ones
    few = build_tokenizer(kind, texts, 8)
    assert len(few) == 8 and set(few.tokens[4:]) == {"▁", "t", "a", "h"}
    long = build_tokenizer(kind, ["the cat", "a longer line, " * 1000])
    assert UNK not in long.encode("longer line")
    often = build_tokenizer(kind, texts, min_count=4)
    unknown = {c for c in "thecasonm" if UNK in often.encode(c)}
    assert unknown == {c for c, n in Counter("".join(texts)).items() if n < 4} == {"n", "o", "m"}


def test_byte_pairs_are_those_of_the_paper():
    """Sennrich, Haddow and Birch (2016), figure 1: r · is not among ours, who mark beginnings."""
    texts = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    assert build_tokenizer("bpe", texts).tokens[4:8] == ["es", "est", "lo", "low"]


def test_unigram_finds_the_most_probable_segmentation():
    texts = ["low lower lowest new newer newest wide wider widest"] * 3
    tokenizer = build_tokenizer("unigram", texts, 24)
    score = dict(zip(tokenizer.tokens, map(tokenizer.processor.get_score, range(24))))
    for word in ("▁lowest", "▁newer", "▁wide", "▁west"):
        best = {}
        for cuts in range(len(word)):
            for at in combinations(range(1, len(word)), cuts):
                parts = [word[a:b] for a, b in zip((0, *at), (*at, len(word)))]
                if all(part in score for part in parts):
                    best[tuple(parts)] = sum(score[part] for part in parts)
        found = tuple(tokenizer.pieces(word[1:]))
        assert len(best) > 1 and best[found] == pytest.approx(max(best.values()), rel=1e-5)


BUILD = """
from datasets import build_tokenizer
import sys
for kind in ("words", "characters", "bpe", "unigram"):
    made = build_tokenizer(kind, ["the cat sat, on the mat", "中文 the cat", "é è"] * 4, 40)
    sys.stdout.buffer.write(made.to_bytes())
"""


def test_the_same_texts_give_the_same_file_in_silence():
    def built(seed):
        return subprocess.run(
            [sys.executable, "-c", BUILD],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            check=True,
        )

    first, second = built("1"), built("2")
    assert first.stdout == second.stdout and len(first.stdout) > 1000
    assert not first.stderr


@pytest.mark.parametrize(
    "kind, texts, size, words",
    [
        ("words", ["a"], 0, "1 or more"),
        ("characters", ["a"], -1, "1 or more"),
        ("bpe", ["a"], 5, "6 or more"),
        ("unigram", ["a"], 0, "6 or more"),
        ("bpe", [], None, "nothing to learn"),
        ("unigram", ["", "  "], None, "nothing to learn"),
        ("letters", ["a"], None, "choose words, characters, bpe, unigram"),
    ],
)
def test_what_cannot_be_built(kind, texts, size, words):
    with pytest.raises(ValueError, match=words):
        build_tokenizer(kind, texts, size)


def test_vocabulary_refuses_a_token_twice():
    with pytest.raises(ValueError, match="'a'"):
        Vocabulary(["a", "b", "a"])


def test_without_sentencepiece_the_rest_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    assert build_tokenizer("words", ["a"]).encode("a") == [4]
    with pytest.raises(ValueError, match="pip install sentencepiece"):
        build_tokenizer("bpe", ["a"])


# files

TEXTS = ["the cat, the mat", '中文 the \u2028 <s> "q" \\']


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_the_same_tokenizer(kind, lowercase):
    tokenizer = build_tokenizer(kind, [*TEXTS, "The CAT"], lowercase=lowercase)
    loaded = load_tokenizer(tokenizer.to_bytes(), "file")
    assert loaded == tokenizer and type(loaded) is type(tokenizer)
    assert (loaded.kind, loaded.lowercase) == (kind, lowercase)
    assert loaded.tokens == tokenizer.tokens
    for text in (*TEXTS, "The CAT", "unseen 字"):
        assert loaded.encode(text) == tokenizer.encode(text)
        assert loaded.decode(tokenizer.encode(text)) == tokenizer.decode(tokenizer.encode(text))
    assert loaded.to_bytes() == tokenizer.to_bytes()


def test_tokenizers_are_equal_if_all_is():
    made = [
        build_tokenizer(kind, texts, lowercase=lowercase)
        for kind in KINDS
        for texts in (["a b"], ["a c"])
        for lowercase in (False, True)
    ]
    assert all((a == b) == (a is b) for a in made for b in made)
    assert made[0] == build_tokenizer("words", ["a b"]) and made[0] != "words"


def test_a_file_of_words_can_be_read_by_people():
    text = build_tokenizer("words", ["中 é"]).to_bytes().decode("utf-8")
    assert '"中"' in text and '"é"' in text and '"kind": "words"' in text


def signed(**content):
    """A file whose checksum is right, whatever else is wrong."""
    content = {"format": 1, "kind": "words", "lowercase": False, "types": ["a"]} | content
    content = {name: value for name, value in content.items() if value is not None}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps(content | {"sha256": digest}).encode()


FOREIGN = {
    "empty": b"",
    "a picture": b"\x89PNG\r\n\x1a\n\0\0",
    "an older list": b'["a", "b"]',
    "another object": b"{}",
    "null": b"null",
    "too deep": b"[" * 100_000,
    "Latin-1": '{"kind": "é"}'.encode("latin-1"),
    "newer": signed(format=2),
    "of no format": signed(format="1"),
    "of another kind": signed(kind="syllables"),
    "of a kind that is no text": signed(kind=["words"]),
    "without case": signed(lowercase=None),
    "case as a number": signed(lowercase=1),
    "without types": signed(types=None),
    "types as text": signed(types="ab"),
    "types as numbers": signed(types=[1]),
    "a type twice": signed(types=["a", "a"]),
    "a symbol among the types": signed(types=["<pad>"]),
    "no base64": signed(kind="bpe", model="é!"),
    "no text as model": signed(kind="bpe", model=[1]),
    "no model": signed(kind="unigram", model="AAAA"),
    "an empty model": signed(kind="unigram", model=""),
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_refused(data):
    with pytest.raises(ValueError, match=r"^run 1/file\.json .*: restore .* or train") as caught:
        load_tokenizer(data, "run 1/file.json")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_signed_file_is_read():
    assert load_tokenizer(signed(), "file") == Vocabulary(["a"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_refused_or_the_same(kind):
    """The same: of a file, only spaces between values may change without a word."""
    tokenizer = build_tokenizer(kind, ["the cat, 中"], 12)
    data = tokenizer.to_bytes()
    cuts = [data[:n] for n in range(len(data.rstrip()))]
    flips = [data[:n] + bytes([data[n] ^ 1 << n % 7]) + data[n + 1 :] for n in range(len(data))]
    with_zeros = [data[: len(data) // 2] + bytes(len(data) - len(data) // 2)]
    refused = 0
    for damaged in cuts + flips + with_zeros:
        try:
            assert load_tokenizer(damaged, "file") == tokenizer and damaged not in cuts
        except ValueError as error:
            refused += str(error).startswith("file holds no whole tokenizer")
    assert refused > 0.95 * len(cuts + flips)
