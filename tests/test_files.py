"""Reading corpora of the user's, good and bad, and splitting them."""

import gzip

import pytest

from datasets.files import CorpusError, read_parallel, read_tsv, split_by_source

LINE_SEPARATORS = "\u2028\u2029\x0b\x0c\x1c\x1d\x1e\x85"  # ends of lines to str.splitlines only


@pytest.fixture
def write(tmp_path):
    def write(name, data):
        path = tmp_path / name
        data = data if isinstance(data, bytes) else data.encode("utf-8")
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


CAT = ("A cat.", "Un chat.")
DOG = ("A dog.", "Un chien.")


# fmt: skip
@pytest.mark.parametrize(
    "text, pairs",
    [
        ("A cat.\tUn chat.\nA dog.\tUn chien.\n", [CAT, DOG]),
        ("A cat.\tUn chat.\nA dog.\tUn chien.", [CAT, DOG]),
        ("A cat.\tUn chat.\r\nA dog.\tUn chien.\r\n", [CAT, DOG]),
        ("\ufeffA cat.\tUn chat.\n", [CAT]),
        ("  A cat. \t Un chat.  \n", [CAT]),
        ("A cat.\tUn chat.\tCC-BY 2.0\tsomeone\n", [CAT]),
        (f"A{LINE_SEPARATORS}b\tÇa{LINE_SEPARATORS}d\n",
         [(f"A{LINE_SEPARATORS}b", f"Ça{LINE_SEPARATORS}d")]),
        ("Hi\rthere\tSalut\n", [("Hi\rthere", "Salut")]),
    ],
)
def test_read_tsv(write, text, pairs):
    assert read_tsv(write("pairs.tsv", text)) == pairs
    assert read_tsv(str(write("a name with blanks.tsv.gz", text))) == pairs


def test_read_parallel(write):
    source = write("en.txt", "\ufeffA cat.\r\nA\u2028dog.\r\n")
    target = write("fr.txt.gz", "Un chat.\nUn chien.")
    assert read_parallel(source, target) == [("A cat.", "Un chat."), ("A\u2028dog.", "Un chien.")]


@pytest.mark.parametrize(
    "data, message",
    [
        ("A\tB\nno tab here\n", r"1 bad line .*bad\.tsv, line 2: no tab"),
        ("A\tB\n\nC\tD\n", "line 2: no tab"),
        ("A\tB\n \tD\n", "line 2: the source is empty"),
        ("A\tB\nC\t \tD\n", "line 2: the target is empty"),
        (b"A\tB\nC\t\xe9t\xe9\n", r"line 2: not UTF-8, byte 0xe9 at offset 2 of the line"),
        (b"\xef\xbb\xbfA\tB\xff\n", "line 1: not UTF-8, byte 0xff at offset 3"),
        ("bad\n" * 12, r"12 bad lines .*first 5: ([^;\n]*line \d: no tab[^;\n]*(; |$)){5}$"),
        ("", "bad.tsv is empty"),
        ("\ufeff\n", "bad.tsv is empty"),
    ],
)
def test_read_tsv_says_what_is_wrong(write, data, message):
    with pytest.raises(CorpusError, match=message):
        read_tsv(write("bad.tsv", data))


@pytest.mark.parametrize(
    "source, target, message",
    [
        ("a\nb\nc\n", "a\nb\n", r"en has 3 lines and .*fr has 2"),
        ("a\nb\n", "a\n \n", "fr, line 2: the line is empty"),
        (b"a\n\xffb\n", "a\nb\n", "en, line 2: not UTF-8, byte 0xff at offset 0"),
        ("a\n", "", "fr is empty"),
    ],
)
def test_read_parallel_says_what_is_wrong(write, source, target, message):
    with pytest.raises(CorpusError, match=message):
        read_parallel(write("en", source), write("fr", target))


def test_missing_files_and_directories(tmp_path):
    with pytest.raises(CorpusError, match="nothing.tsv does not exist"):
        read_tsv(tmp_path / "nothing.tsv")
    with pytest.raises(CorpusError, match="is a directory"):
        read_tsv(tmp_path)


def test_damaged_gzip(write, tmp_path):
    whole = gzip.compress(b"A cat.\tUn chat.\n" * 100)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for data in (whole[:-9], bytes(flipped), b"A cat.\tUn chat.\n"):
        path = tmp_path / "damaged.tsv.gz"
        path.write_bytes(data)
        with pytest.raises(CorpusError, match="damaged.tsv.gz is not a whole gzip file"):
            read_tsv(path)


def test_split_keeps_each_source_in_one_part():
    pairs = [(f"source {n % 200}", f"target {n}") for n in range(600)]
    parts = split_by_source(pairs, {"valid": 0.1, "test": 0.2}, seed=3)
    sources = {name: {source for source, _ in part} for name, part in parts.items()}
    assert {name: len(found) for name, found in sources.items()} == {
        "train": 140, "valid": 20, "test": 40,
    }  # fmt: skip
    assert sorted(pair for part in parts.values() for pair in part) == sorted(pairs)
    for part in parts.values():
        assert part == [pair for pair in pairs if pair in set(part)]
    assert split_by_source(pairs, {"valid": 0.1, "test": 0.2}, seed=3) == parts
    assert split_by_source(pairs, {"valid": 0.1, "test": 0.2}, seed=4) != parts


@pytest.mark.parametrize("count", [3, 4, 5, 30])
@pytest.mark.parametrize(
    "fractions", [None, {"valid": 0.001, "test": 0.001}, {"a": 0.5, "b": 0.49}]
)
def test_split_leaves_no_part_empty(count, fractions):
    parts = split_by_source([(str(n), "x") for n in range(count)], fractions)
    assert all(parts.values())
    assert sum(map(len, parts.values())) == count


def test_split_says_when_there_are_too_few_sources():
    with pytest.raises(CorpusError, match="2 distinct source sentences for 3 parts"):
        split_by_source([("a", "b"), ("a", "c"), ("d", "e")])


@pytest.mark.parametrize("fractions", [{"test": 0.0}, {"test": 1.0}, {"a": 0.6, "b": 0.4},
                                       {"train": 0.5}, {"test": float("nan")}])  # fmt: skip
def test_split_refuses_fractions_that_leave_no_training_data(fractions):
    with pytest.raises(ValueError, match="fractions is"):
        split_by_source([("a", "b")] * 9, fractions)
