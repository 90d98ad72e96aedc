"""Text in, text out: batches, unknown words, ensembles, scores, run directories, measures."""

import math
import shutil

import numpy as np
import pytest
from harms import cut, edit, flip, remove, write

import minigrad as mg
from datasets import EOS, PAD, UNK, Batch, build_tokenizer
from datasets.english_french import english_french
from models import translator as module
from models.evaluation import corpus_bleu, evaluate, exact_match, teacher_forced
from models.options import ModelOptions
from models.search import Hypothesis, Search
from models.translator import RunError, Translator

PAIRS = [(p.source, p.target) for p in english_french("train", 60, seed=3)]
SOURCES = [source for source, _ in PAIRS]


def tokenizers(kind="words", joint=False, pairs=PAIRS[:40], **more):
    sources, targets = zip(*pairs)
    if joint:
        both = build_tokenizer(kind, [*sources, *targets], **more)
        return both, both
    return build_tokenizer(kind, sources, **more), build_tokenizer(kind, targets, **more)


def translator_of(source, target, seed=0, max_source=12, unknown=0.0, **options):
    """Double precision and large weights; `unknown` is added to the logit of <unk>."""
    mg.manual_seed(seed)
    options = ModelOptions(embedding_size=5, hidden_size=6, **options)
    made = Translator.new(source, target, options, max_source)
    made.model.double()
    rng = np.random.default_rng(seed)
    for p in made.model.parameters():
        p.array[...] = rng.uniform(-1, 1, p.shape)
    made.model.decoder.output.bias.array[UNK] += unknown
    return made


@pytest.fixture(scope="module")
def words():
    return translator_of(*tokenizers())


@pytest.mark.parametrize("how", [Search(), Search(4, 0.6, 0.2, no_repeat=2, best=3)])
def test_batch_size_and_order_change_nothing(words, how):
    some = [*SOURCES[:25], "", "xylograph", " ", SOURCES[0], "the cat " * 30]
    expected = words.search(some, 64, how)
    for size in (1, 3, len(some)):
        for order in (range(len(some)), np.random.default_rng(size).permutation(len(some))):
            found = words.search([some[n] for n in order], size, how)
            for n, translations in zip(order, found):
                assert [t.text for t in translations] == [t.text for t in expected[n]]
                for one, other in zip(translations, expected[n]):
                    assert one.score == pytest.approx(other.score, rel=1e-12)
    assert words.translate(some, 7, how=how) == [best[0].text for best in expected]


def test_translations_hold_what_they_say(words):
    some = [SOURCES[0], "", "the xylograph " * 20]
    first, empty, long = words.search(some, how=Search(3, best=3), attention=True)
    assert empty == [module.Translation("", [], [], 0.0, 0.0, None)]
    for sentence, found in ((some[0], first), (some[2], long)):
        pieces = words.source.pieces(sentence)[: words.max_source]
        assert found == sorted(found, key=lambda t: -t.score) and len(found) == 3
        for one in found:
            assert one.source == [*pieces, "</s>"] and one.target[-1] == "</s>"
            assert one.text == words.target.decode_pieces(one.target[:-1])
            assert one.weights.shape == (len(one.target), len(one.source))
            np.testing.assert_allclose(one.weights.sum(1), 1)
    assert [words.too_long(sentence) for sentence in some] == [False, False, True]
    # what is not read changes nothing
    cut = words.source.decode_pieces(words.source.pieces(some[2])[: words.max_source])
    assert words.translate([cut]) == words.translate([some[2]])


def test_lengths(words):
    no_end = translator_of(words.source, words.target)
    no_end.model.decoder.output.bias.array[EOS] = -50
    ends = translator_of(words.source, words.target)
    ends.model.decoder.output.bias.array[EOS] = 50
    some = SOURCES[:5]

    def sizes(translator, **more):
        return [len(found[0].target) - 1 for found in translator.search(some, **more)]

    assert sizes(no_end, max_length=1) == [1] * 5 and sizes(no_end, max_length=0) == [0] * 5
    assert sizes(no_end) == [2 * (len(words.example(s)[0]) + 1) + 10 for s in some]
    no_end.ratio = 5
    assert sizes(no_end) == [5 * (len(words.example(s)[0]) + 1) + 10 for s in some]
    assert sizes(no_end, how=Search(min_length=100)) == [100] * 5
    assert sizes(ends) == [0] * 5 and sizes(ends, how=Search(min_length=3)) == [3] * 5


def test_progress_counts_every_sentence_once(words):
    some, steps = ["", *SOURCES[:10], " "], []
    words.search(some, 4, progress=steps.append)
    assert sum(steps) == len(some) and len(steps) == 4
    steps.clear()
    words.score([(source, "le chat") for source in some], 5, progress=steps.append)
    assert steps == [5, 5, 2]


@pytest.mark.parametrize("attention", ["dot", "none"])
def test_the_score_of_a_translation_is_the_one_it_was_found_with(words, attention):
    translator = translator_of(words.source, words.target, attention=attention)
    found = translator.search(SOURCES[:20], how=Search(3, best=3), attention=True)
    pairs = [
        (source, one)
        for source, translations in zip(SOURCES, found)
        for one in translations
        if [*translator.target.pieces(one.text), "</s>"] == one.target
    ]
    assert len(pairs) > 10
    assert translator.score([("", ""), (" ", "")])[1].score == translator.search([""])[0][0].score
    scored = translator.score([(source, one.text) for source, one in pairs], 7)
    for (_, one), given in zip(pairs, scored):
        assert given.log_probability == given.score == pytest.approx(one.score, rel=1e-12)
        assert (given.text, given.source, given.target) == (one.text, one.source, one.target)
        if attention == "none":
            assert given.weights is None and one.weights is None
        else:
            np.testing.assert_allclose(given.weights, one.weights, atol=1e-12)


# unknown words

UNKNOWN = [
    # kinds of source and target, source sentence, target pieces (None: unknown), where each looks,
    # dictionary, expected
    ("words", "words", "see Zoe", ["vois", None], [0, 1], {}, "vois Zoe"),
    ("words", "words", "see Zoe", ["vois", None], [0, 1], {"Zoe": "Zoé"}, "vois Zoé"),
    ("words", "words", "see Zoe", [None, None], [1, 0], {"see": "aller voir"}, "Zoe aller voir"),
    ("words", "words", "see Zoe", ["vois", "chat"], [0, 1], {"Zoe": "Zoé"}, "vois chat"),
    # a mark keeps to its word, here and in the dictionary
    ("words", "words", "see Zoe‽", ["vois", None], [0, 2], {}, "vois‽"),
    ("words", "words", "see Zoe‽", ["vois", None], [0, 2], {"‽": "?!"}, "vois ?!"),
    ("words", "words", "￭ Zoe", [None, None], [0, 1], {}, "￭ Zoe"),
    ("words", "characters", "see Zoe", ["v", None], [0, 1], {}, "vZoe"),
    ("characters", "characters", "see Zoë", ["v", None], [0, 6], {}, "vë"),
    ("characters", "words", "see Zoë", ["vois", None], [0, 6], {"ë": "e"}, "vois e"),
]


def planned(monkeypatch, translator, pieces, looks):
    """The translator's search will find these pieces, None for unknown, looking there."""
    known = translator.target.tokens.index
    ids = [UNK if piece is None else known(piece) for piece in pieces]

    def search(models, batch, limits, how, attention):
        assert attention
        weights = np.full((len(ids) + 1, batch.source_lengths[0]), 0.01)
        weights[:, -1] = 0.5  # the end of the source is looked at most, but is no word
        weights[range(len(ids)), looks] = 0.4
        return [[Hypothesis(ids, -1.0, -1.0, weights)]]

    monkeypatch.setattr(module, "search", search)


@pytest.mark.parametrize("source, target, sentence, pieces, looks, dictionary, expected", UNKNOWN)
def test_unknown_words(monkeypatch, source, target, sentence, pieces, looks, dictionary, expected):
    sides = build_tokenizer(source, ["see the cat"]), build_tokenizer(target, ["vois le chat"])
    translator = translator_of(*sides)
    planned(monkeypatch, translator, pieces, looks)
    ((one,),) = translator.search([sentence], replace_unknown=True, dictionary=dictionary)
    assert one.text == expected
    assert len(one.target) == len(pieces) + 1
    ((one,),) = translator.search([sentence], attention=True, dictionary=dictionary)
    assert one.target == [*["<unk>" if p is None else p for p in pieces], "</s>"]


def test_a_dictionary_is_read_as_the_tokenizer_reads(monkeypatch):
    lower = dict(lowercase=True)
    sides = build_tokenizer("words", ["see"], **lower), build_tokenizer("words", ["vois"], **lower)
    translator = translator_of(*sides)
    planned(monkeypatch, translator, ["vois", None], [0, 1])
    more = {"replace_unknown": True, "dictionary": {"Zoe": "Zoé"}}
    for sentence in ("see Zoe", "see ZOE", "SEE zoe"):
        assert translator.translate([sentence], **more) == ["vois Zoé"]


def test_unknown_subwords_are_copied_with_their_spaces(monkeypatch):
    sides = tokenizers("bpe", max_size=120)
    translator = translator_of(*sides)
    sentence = "The 猫 is hungry"
    pieces = translator.source.pieces(sentence)
    at = next(n for n, piece in enumerate(pieces) if "猫" in piece)
    said = translator.target.pieces(" Le")
    planned(monkeypatch, translator, [*said, None], [0] * len(said) + [at])
    (text,) = translator.translate([sentence], replace_unknown=True)
    assert text.replace(" ", "") == "Le猫"
    (text,) = translator.translate(
        [sentence], replace_unknown=True, dictionary={pieces[at].strip("▁"): "chat"}
    )
    assert text.replace(" ", "") == "Lechat"


@pytest.mark.parametrize("attention", ["dot", "additive", "multi-head"])
def test_unknown_words_become_what_was_looked_at(words, attention):
    translator = translator_of(
        words.source, words.target, unknown=4.0, attention=attention, heads=2
    )
    plain, replaced = (
        translator.search(SOURCES, attention=True, replace_unknown=r) for r in (False, True)
    )
    count = 0
    for (before,), (after,) in zip(plain, replaced):
        assert len(before.target) == len(after.target) and before.score == after.score
        for row, old, new in zip(before.weights, before.target, after.target):
            count += old == "<unk>"
            assert new == (before.source[row[:-1].argmax()] if old == "<unk>" else old)
    assert count > 20


# run directories


def saved(translator, run):
    run.mkdir(parents=True)
    translator.save_description(run)
    translator.save_weights(run / "model.safetensors")
    return run


def single(translator):
    translator.model.float()
    return translator


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("kind", ["words", "characters", "bpe", "unigram"])
def test_a_run_translates_by_itself(tmp_path, kind, joint):
    more = {"max_size": 150} if kind in ("bpe", "unigram") else {}
    sides = tokenizers(kind, joint, **more)
    tie = {"tie": "all"} if joint else {"input_feeding": True, "cell": "gru"}
    made = single(translator_of(*sides, **tie))
    back = Translator.load(saved(made, tmp_path / "a run"))
    assert back.source == made.source and back.target == made.target
    assert (back.source is back.target) == joint and back.max_source == made.max_source
    assert back.model.options == made.model.options
    some = [*SOURCES[:8], "猫 😀 e\u0301"]
    assert back.search(some, how=Search(2)) == made.search(some, how=Search(2))


def test_ensembles_of_runs(tmp_path):
    sides = tokenizers()
    seeds = [single(translator_of(*sides, seed=n, max_source=9 + n)) for n in range(2)]
    seeds[1].ratio = 3
    runs = [saved(one, tmp_path / str(n)) for n, one in enumerate(seeds)]
    some, how = SOURCES[:12], Search(3, best=2)
    once, twice, both = (Translator.load(*r) for r in (runs[:1], runs[:1] * 2, runs))
    for one, other in zip(once.search(some, how=how), twice.search(some, how=how)):
        assert [t.text for t in one] == [t.text for t in other]
        for a, b in zip(one, other):
            assert a.score == pytest.approx(b.score, abs=1e-4)
    assert (both.max_source, both.ratio, len(both.models)) == (9, 3, 2)
    # of given translations: the mean of the probabilities, token by token
    each = []
    for model in both.models:
        batch = Batch.of([both.example(*pair) for pair in PAIRS[:3]])
        with mg.no_grad():
            x = model(batch).numpy().astype(np.float64)
        p = np.exp(x) / np.exp(x).sum(2, keepdims=True)
        each.append(np.take_along_axis(p, batch.target_out[..., None], 2)[..., 0])
    expected = np.log(np.where(batch.target_out == PAD, 1, np.mean(each, 0))).sum(0)
    found = [t.log_probability for t in both.score(PAIRS[:3])]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_ensemble_needs_the_same_tokenizers(tmp_path):
    one = saved(translator_of(*tokenizers()), tmp_path / "one")
    for n, sides in enumerate(
        [tokenizers(pairs=PAIRS[:30]), tokenizers("characters"), tokenizers(lowercase=True)]
    ):
        other = saved(translator_of(*sides), tmp_path / f"other {n}")
        with pytest.raises(RunError, match=f"other {n} has other tokenizers"):
            Translator.load(one, other)


def other_weights(run):
    sides = tokenizers(pairs=PAIRS[:20])
    translator_of(*sides).save_weights(run / "model.safetensors")


HARMS = {
    "no description": (remove("model.json"), "no model.json"),
    "empty description": (write("model.json", b""), "model.json is damaged"),
    "half a description": (cut("model.json", -30), "model.json is damaged"),
    "another's description": (write("model.json", b"[1]"), "model.json is damaged"),
    "no text": (write("model.json", b"\xff\xfe"), "model.json is damaged"),
    "deep": (write("model.json", b"[" * 200_000), "model.json is damaged"),
    "newer": (edit("model.json", lambda a: a.update(format=99)), "format 99.*update"),
    "older": (edit("model.json", lambda a: a.update(format=1)), "format 1.*train again"),
    "no format": (edit("model.json", lambda a: a.pop("format")), "format None"),
    "no ratio": (edit("model.json", lambda a: a.update(ratio=0)), "ratio is 0"),
    "text for a number": (edit("model.json", lambda a: a.update(max_source="x")), "max_source"),
    "no options": (edit("model.json", lambda a: a.pop("options")), "options"),
    "options of a kind": (edit("model.json", lambda a: a.update(options=[])), "damaged"),
    "an unknown option": (edit("model.json", lambda a: a["options"].update(new=1)), "new"),
    "a wrong option": (edit("model.json", lambda a: a["options"].update(cell=3)), "cell"),
    "a word for a share": (edit("model.json", lambda a: a["options"].update(dropout="x")), "damag"),
    "another size": (
        edit("model.json", lambda a: a["options"].update(hidden_size=7)), "model.safetensors",
    ),
    "joint or not": (edit("model.json", lambda a: a.update(joint=True)), "joint_tokenizer"),
    "no tokenizer": (remove("target_tokenizer.json"), "target_tokenizer.json"),
    "half a tokenizer": (cut("source_tokenizer.json", 90), "source_tokenizer.json"),
    "a changed tokenizer": (
        edit("source_tokenizer.json", lambda a: a["types"].append("x")), "source_tokenizer.json",
    ),
    "a tokenizer twice": (
        lambda run: shutil.copy(run / "target_tokenizer.json", run / "source_tokenizer.json"),
        "another run",
    ),
    "a flipped bit": (flip("model.safetensors"), "digest"),
    "no weights": (remove("model.safetensors"), "before its first checkpoint"),
    "empty weights": (write("model.safetensors", b""), "model.safetensors"),
    "half the weights": (cut("model.safetensors", -100), "model.safetensors"),
    "a pickle": (write("model.safetensors", b"\x80\x02}q\x00." * 20), "model.safetensors"),
    "other weights": (other_weights, "model.safetensors"),
}  # fmt: skip


@pytest.mark.parametrize("harm, named", HARMS.values(), ids=HARMS)
def test_a_damaged_run_is_named_in_one_line(tmp_path, harm, named):
    run = saved(translator_of(*tokenizers()), tmp_path / "run")
    Translator.load(run)
    harm(run)
    with pytest.raises(RunError, match=named) as raised:
        Translator.load(run)
    assert len(str(raised.value).splitlines()) == 1 and str(run) in str(raised.value)


@pytest.mark.parametrize("name", ["nothing", "a" * 300, "a\0b", "file/run"])
def test_what_is_no_run_is_named(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="does not exist"):
        Translator.load(tmp_path / name)


# measures


def test_teacher_forcing_by_hand(words):
    total, correct, tokens = 0.0, 0, 0
    for pair in PAIRS[:20]:
        batch = Batch.of([words.example(*pair)])
        with mg.no_grad():
            x = words.model(batch).numpy()[:, 0]
        target = batch.target_out[:, 0]
        log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
        total -= log_p[range(len(target)), target].sum()
        correct += (x.argmax(1) == target).sum()
        tokens += len(target)
    for size in (1, 7, 64):
        found = teacher_forced(words, PAIRS[:20], size)
        assert found["loss"] == pytest.approx(total / tokens, rel=1e-9)
        assert found["perplexity"] == pytest.approx(math.exp(total / tokens), rel=1e-9)
        assert found["token_accuracy"] == correct / tokens


def test_spaces_at_the_ends_are_no_part_of_a_sentence(words):
    source, target = PAIRS[0]
    around = [f"  {source} ", "   "]
    assert words.translate(around) == words.translate([source, ""])
    best = words.search(around, attention=True)[0][0]
    assert best.source == [*words.source.pieces(source), "</s>"]
    for one in words.score([(source, target), (f" {source}", f" {target} ")]):
        assert one.source == best.source and one.target == [*words.target.pieces(target), "</s>"]


def test_evaluate_reports_what_sacrebleu_says(words):
    sacrebleu = pytest.importorskip("sacrebleu")
    # some references differ in case alone
    pairs = [(a, b.swapcase() if n % 3 else b) for n, (a, b) in enumerate(PAIRS[:12])]
    scores, translations = evaluate(words, pairs, 5, how=Search(2))
    references = [target for _, target in pairs]
    assert translations == words.translate([source for source, _ in pairs], how=Search(2))
    assert scores["bleu"] == sacrebleu.corpus_bleu(translations, [references]).score
    assert scores["chrf"] == sacrebleu.corpus_chrf(translations, [references]).score
    assert "case:mixed" in scores["bleu_signature"] and "tok:13a" in scores["bleu_signature"]
    assert scores["sentences"] == 12
    assert scores["exact_match"] == sum(map(str.__eq__, translations, references)) / 12
    assert corpus_bleu(references, references) == pytest.approx(100)
    chinese = ["我们看见三只猫。", "他在公园里读两本书。"]
    expected = sacrebleu.corpus_bleu(["我们看见两只猫。", chinese[1]], [chinese], tokenize="zh")
    assert corpus_bleu(["我们看见两只猫。", chinese[1]], chinese) == expected.score
    assert exact_match(["a", "b", ""], ["a", "c", ""]) == pytest.approx(2 / 3)


def test_a_translator_of_lower_case_is_measured_in_lower_case(words):
    """References in capitals are as good as their lower case; the signature says how."""
    pairs = [(source, target.upper()) for source, target in PAIRS[:12]]
    lower = build_tokenizer("words", [target for _, target in PAIRS], lowercase=True)
    mg.manual_seed(0)
    translator = Translator.new(words.source, lower, words.model.options, 50)
    translator.translate = lambda sources, *_, **__: [t.lower() for _, t in pairs[: len(sources)]]
    scores, _ = evaluate(translator, pairs, 5)
    assert scores["exact_match"] == 1 and scores["bleu"] == pytest.approx(100)
    assert scores["chrf"] == pytest.approx(100) and "case:lc" in scores["bleu_signature"]
    translator.target = build_tokenizer("words", [target for _, target in PAIRS])
    assert evaluate(translator, pairs, 5)[0]["exact_match"] == 0
