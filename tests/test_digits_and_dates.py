"""The tasks on dates and digits, checked by datetime and arithmetic, and the table of corpora."""

import re
from collections import Counter
from datetime import datetime

import pytest

from datasets.builtin import CORPORA, corpus
from datasets.dates import FIRST, LAST, MAX_COUNT, dates
from datasets.digits import addition, copy, reverse
from datasets.files import CorpusError
from datasets.scan import scan

LISTS = {"dates": dates, "addition": addition, "copy": copy, "reverse": reverse}
NUMBERS = re.compile(r"[1-9]\d?/[1-9]\d?/\d\d")
WORDS = re.compile(r"(?P<weekday>[A-Za-z]+, )?(?P<month>[A-Za-z]+) [1-9]\d?, \d{4}")
DRAWN = ("dates", "addition", "copy", "reverse")
SENTENCES = ("english-french", "english-chinese")


def format_of(question):
    """The strptime format of a question, and its case; the format of May is the long one."""
    if NUMBERS.fullmatch(question):
        return "%m/%d/%y", None
    match = WORDS.fullmatch(question)
    words = re.findall("[A-Za-z]+", question)
    for case in (str.capitalize, str.lower, str.upper):
        if all(word == case(word) for word in words):
            break
    else:
        raise AssertionError(f"mixed case: {question}")
    month = "%b" if len(match["month"]) == 3 and match["month"].lower() != "may" else "%B"
    return ("%A, " if match["weekday"] else "") + f"{month} %d, %Y", case.__name__


def within(observed, probability, draws):
    """Whether a count lies within five standard deviations of what it is expected to be."""
    return (
        abs(observed - probability * draws) < 5 * (draws * probability * (1 - probability)) ** 0.5
    )


@pytest.fixture(scope="module")
def many_dates():
    return dates(12_000, seed=1)


def test_a_date_is_what_datetime_reads(many_dates):
    for question, answer in many_dates:
        day = datetime.strptime(question, format_of(question)[0])
        assert answer == day.strftime("%Y-%m-%d")
        assert FIRST <= day.date() <= LAST
        # strptime takes any weekday for granted
        assert "day, " not in question.lower() or question.lower().startswith(
            day.strftime("%A, ").lower()
        )


def test_dates_have_the_promised_shares(many_dates):
    """May is left aside: it has one form where other months have two."""
    formats = [format_of(q) for q, a in many_dates if a[5:7] != "05"]
    for form in ("%m/%d/%y", "%b %d, %Y", "%B %d, %Y", "%A, %B %d, %Y"):
        assert within(sum(f == form for f, _ in formats), 1 / 4, len(formats))
    written = [case for _, case in formats if case]
    for case, share in (("capitalize", 1 / 2), ("lower", 1 / 4), ("upper", 1 / 4)):
        assert within(written.count(case), share, len(written))
    years = Counter(answer[:4] for _, answer in many_dates)
    assert sorted(years) == [str(year) for year in range(1970, 2018)]
    assert all(within(years[str(y)], 1 / 47.56, len(many_dates)) for y in range(1970, 2017))


def test_as_many_dates_as_promised_are_there():
    pairs = dates(MAX_COUNT)
    assert len(dict(pairs)) == MAX_COUNT
    assert within(sum("/" in question for question, _ in pairs), 1 / 4, MAX_COUNT)
    with pytest.raises(ValueError, match="count is 60001: expected 0 to 60000"):
        dates(MAX_COUNT + 1)


def test_additions_are_right_and_none_comes_twice():
    pairs = addition(10_000, seed=2)
    seen = set()
    for question, answer in pairs:
        a, b = map(int, question.split("+"))
        assert question == f"{a}+{b}" and 0 <= min(a, b) and max(a, b) <= 999
        assert answer == str(a + b)
        seen.add((min(a, b), max(a, b)))
    assert len(seen) == len(pairs)


def test_the_first_additions_have_the_promised_lengths():
    """Before short sums run out a number has d digits in (37, 33, 30) of a hundred cases: a third
    for rows of one, two and three digits, of which 1, .1, .01 come down to one digit and so on.
    """
    lengths = Counter()
    for seed in range(300):
        for question, _ in addition(10, seed):
            lengths.update(map(len, question.split("+")))
    for digits, share in ((1, 0.37), (2, 0.33), (3, 0.30)):
        assert within(lengths[digits], share, 6000)


def test_digits_are_copied_and_reversed():
    copies, reversals = (make(5000, seed=3, shortest=2, longest=7) for make in (copy, reverse))
    assert [source for source, _ in copies] == [source for source, _ in reversals]
    for (source, target), (_, backwards) in zip(copies, reversals):
        assert source.isdigit() and 2 <= len(source) <= 7
        assert target == source and list(backwards) == list(reversed(source))
    lengths = Counter(len(source) for source, _ in copies)
    assert lengths[2] == 100  # all there are
    digits = Counter("".join(source for source, _ in copies if len(source) > 4))
    assert all(within(digits[d], 1 / 10, digits.total()) for d in "0123456789")


def test_short_sequences_can_be_had_all():
    assert sorted(copy(110, shortest=1, longest=2)) == sorted(
        (text, text) for text in [f"{n}" for n in range(10)] + [f"{n:02}" for n in range(100)]
    )
    with pytest.raises(ValueError, match="10 different questions were drawn.*11 were asked for"):
        reverse(11, shortest=1, longest=1)


@pytest.mark.parametrize("shortest, longest", [(0, 3), (4, 3), (-2, -1)])
def test_lengths_that_are_none_are_refused(shortest, longest):
    with pytest.raises(ValueError, match=f"lengths from {shortest} to {longest}"):
        copy(1, 0, shortest, longest)


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_distinct_continued_and_of_their_seed(name):
    make = LISTS[name]
    pairs = make(3000, seed=4)
    assert len(dict(pairs)) == 3000 and make(0, seed=4) == []
    assert make(1000, seed=4) == pairs[:1000]
    assert make(1000, seed=5) != pairs[:1000]
    with pytest.raises(ValueError, match="count is -1"):
        make(-1)


def test_a_seed_means_the_same_everywhere():
    """From Random(0).random(), which begins .8444 .7580 .4206 .2589 .5113 .4049 on every Python."""
    # the fourth format in upper case, on day .4206 of 17,372
    assert dates(1) == [("TUESDAY, JANUARY 2, 1990", "1990-01-02")]
    # .8444 of three digits (.7580), .4206 of one digit (.2589)
    assert addition(1) == [("844+4", "848")]
    assert reverse(1, longest=5) == [("74254", "45247")]  # five digits (.8444): .7580 .4206 ...


@pytest.fixture(scope="module")
def loaded():
    return {name: corpus(name).load(1000, seed=6) for name in CORPORA}


@pytest.mark.parametrize("name", CORPORA)
def test_no_source_is_in_training_and_elsewhere(loaded, name):
    splits = loaded[name]
    sources = {split: {source for source, _ in pairs} for split, pairs in splits.items()}
    for known in ("train", "valid"):
        others = set.union(*(sources[split] for split in sources if split != known))
        assert sources[known] and not sources[known] & others


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_is_what_its_row_says(loaded, name):
    splits = loaded[name]
    assert list(splits)[:3] == ["train", "valid", "test"] and len(splits["train"]) == 1000
    row = corpus(name)
    assert row.name == name and row.description and "\n" not in row.description
    assert row.source == ("characters" if name in DRAWN else "words")
    assert row.target == ("characters" if name in (*DRAWN, "english-chinese") else "words")
    assert all(type(pair) is tuple and len(pair) == 2 for pair in splits["train"])


@pytest.mark.parametrize("name", [name for name in CORPORA if name not in SENTENCES])
def test_only_training_depends_on_the_limit(loaded, name):
    few, usual = loaded[name], corpus(name).load(seed=6)
    assert usual["train"][:1000] == few["train"]
    assert usual | {"train": few["train"]} == few
    assert corpus(name).load(1000, seed=7)["train"] != few["train"]


@pytest.mark.parametrize("name", ["dates", "copy"])
def test_training_continues_beyond_the_pairs_of_the_row(name):
    usual, more = corpus(name).load(seed=8), corpus(name).load(50_000, seed=8)
    assert len(usual["train"]) == corpus(name).pairs and len(dict(more["train"])) == 50_000
    assert more["train"][: len(usual["train"])] == usual["train"]
    held_out = {source for split in more if split != "train" for source, _ in more[split]}
    assert not held_out & {source for source, _ in more["train"]}


def test_test_questions_are_no_easier_than_training_questions():
    """Short sums are drawn first; shuffled, they are as frequent here as there."""
    splits = corpus("addition").load(seed=9)
    train, test = ([q for q, _ in splits[part]] for part in ("train", "test"))
    share = sum(len(question) < 6 for question in train) / len(train)
    assert within(sum(len(question) < 6 for question in test), share, len(test))


@pytest.mark.parametrize("name", ["copy", "reverse"])
def test_longer_is_longer_than_all_others(loaded, name):
    lengths = {split: {len(s) for s, _ in pairs} for split, pairs in loaded[name].items()}
    longer = lengths.pop("longer")
    assert set.union(*lengths.values()) == set(range(1, 11)) and longer == set(range(11, 21))


@pytest.mark.parametrize("split", ["simple", "length", "add-jump"])
def test_scan_keeps_its_published_test_and_all_of_its_training(split):
    for seed in range(3):
        splits = corpus(f"scan-{split}").load(seed=seed)
        assert splits["test"] == scan(split, "test")
        assert Counter(splits["train"] + splits["valid"]) == Counter(scan(split, "train"))
        assert len(splits["valid"]) == len(set(splits["valid"])) == 500
        if split == "add-jump":  # one in ten, so that it would be among any 500 taken out
            assert splits["train"].count(("jump", "I_JUMP")) == 1467


def test_a_limit_beyond_scan_gives_all_of_it():
    assert len(corpus("scan-length").load(10**6)["train"]) == 16990 - 500


def test_what_cannot_be_had_is_refused():
    with pytest.raises(CorpusError, match="unknown corpus 'scan': expected one of english-french,"):
        corpus("scan")
    with pytest.raises(CorpusError, match="limit is 0: expected at least one training pair"):
        corpus("scan-simple").load(0)
    with pytest.raises(CorpusError, match="the corpus dates cannot give 60000 pairs for training"):
        corpus("dates").load(60_000)
