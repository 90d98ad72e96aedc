"""The English-Chinese grammar against written-out Chinese, and what its splits promise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_english_french import (
    ALICE,
    HE,
    PAUL,
    SHE,
    THEY,
    WE,
    YOU,
    I,
    at,
    does,
    is_,
    np,
    that,
    walk,
)

import datasets.english_chinese as english_chinese_module
from datasets.english_chinese import SPLITS, english_chinese
from datasets.english_chinese.phrases import write_chinese
from datasets.english_french import MAX_LENGTH, MAX_TRAIN_LENGTH, TOKEN, english_french
from datasets.english_french.grammar import Grammar
from datasets.english_french.lexicon import NOUNS, VERBS
from datasets.english_french.phrases import (
    FUTURE,
    PAST,
    PERFECT,
    PROGRESSIVE,
    Afraid,
    Compound,
    Names,
    ObjectQuestion,
    ObjectRelative,
    Owner,
    Predicate,
    Question,
    Statement,
    WhereIs,
    WhoQuestion,
    write_english,
)

BE, CAN, MUST, WANT, LIKE = (VERBS[word] for word in "be can must want like".split())
YESTERDAY, TODAY = ("yesterday", "hier"), ("today", "aujourd'hui")
GARDEN = at("in", np("the garden"))


# Written by hand. One row a construction, or a form in which it goes wrong.
SENTENCES = [
    # the, a, some, this; measure words and 们
    (Statement(np("the cat"), does("sleep")), "The cat sleeps.", "猫睡觉。"),
    (Statement(np("the cow +"), does("sleep")), "The cows sleep.", "那些奶牛睡觉。"),
    (Statement(np("the boy +"), does("play")), "The boys play.", "男孩们玩。"),
    (Statement(np("this owl"), is_("nice")), "This owl is nice.", "这只猫头鹰很友善。"),
    (Statement(np("this boy +"), is_("tired")), "These boys are tired.", "这些男孩很累。"),
    (Statement(np("a goose"), does("leave", PAST, time=YESTERDAY)),
     "A goose left yesterday.", "昨天有一只鹅离开了。"),
    (Statement(np("a child +"), does("play")), "Some children play.", "有些孩子玩。"),
    (Statement(np("two horse +"), does("fall", PAST)), "Two horses fell.", "两匹马摔倒了。"),
    (Statement(np("the three girl +"), is_("happy")),
     "The three girls are happy.", "那三个女孩很高兴。"),
    (Statement(HE, does("buy", PAST, object=np("a car"))), "He bought a car.", "他买了一辆汽车。"),
    (Statement(HE, does("read", PAST, object=np("the book"))), "He read the book.", "他读了那本书。"),
    (Statement(HE, does("see", PAST, object=np("two river +"))),
     "He saw two rivers.", "他看见了两条河。"),
    (Statement(SHE, does("drink", PROGRESSIVE, object=np("a water"))),
     "She is drinking some water.", "她正在喝一些水。"),
    (Statement(SHE, does("eat", PAST, object=np("the soup"))), "She ate the soup.", "她喝了那碗汤。"),
    # adjectives
    (Statement(np("the little black cat +"), is_("tired")),
     "The little black cats are tired.", "那些黑色的小猫很累。"),
    (Statement(HE, does("have", object=np("a red hat"))), "He has a red hat.", "他有一顶红帽子。"),
    (Statement(np("the old man"), does("sleep", PAST)), "The old man slept.", "老人睡觉了。"),
    (Statement(np("the beautiful expensive car"), is_("white")),
     "The beautiful expensive car is white.", "又漂亮又昂贵的汽车是白色的。"),
    (Statement(np("the box"), is_("empty", negation="not")),
     "The box is not empty.", "盒子不是空的。"),
    (Statement(PAUL, is_("hungry", negation="never")), "Paul is never hungry.", "保罗从来不饿。"),
    (Statement(np("the cat"), is_("sick", negation="not")), "The cat is not sick.", "猫没有生病。"),
    (Statement(np("my brother"), is_("sick", time=TODAY)),
     "My brother is sick today.", "我弟弟今天病了。"),
    (Statement(np("our beautiful house"), is_("old")),
     "Our beautiful house is old.", "我们美丽的房子很旧。"),
    (Question("", np("the milk"), is_("cold")), "Is the milk cold?", "牛奶凉吗？"),
    # negation and the indefinite after it
    (Statement(HE, does("eat", negation="not", object=np("a apple +"))),
     "He does not eat any apples.", "他不吃苹果。"),
    (Statement(HE, does("eat", PAST, negation="not", object=np("the apple"))),
     "He did not eat the apple.", "他没有吃那个苹果。"),
    (Statement(HE, does("eat", PERFECT, negation="never", object=np("a orange"))),
     "He has never eaten an orange.", "他从来没有吃过橙子。"),
    (Statement(HE, does("have", negation="not", object=np("a owl +"))),
     "He does not have any owls.", "他没有猫头鹰。"),
    # tenses and modals
    (Statement(PAUL, does("write", PERFECT, object=np("the letter"))),
     "Paul has written the letter.", "保罗已经写了那封信。"),
    (Statement(SHE, does("sleep", FUTURE, time=("tomorrow", "demain"))),
     "She is going to sleep tomorrow.", "她明天会睡觉。"),
    (Statement(np("the book +"), does("fall", PROGRESSIVE)),
     "The books are falling.", "那些书就要掉下来了。"),
    (Statement(I, does("sleep", modal=CAN, negation="not")), "I cannot sleep.", "我不能睡觉。"),
    (Statement(np("the king +"), does("leave", modal=MUST)), "The kings must leave.", "国王们必须离开。"),
    (Statement(ALICE, does("see", modal=WANT, object=np("the child"))),
     "Alice wants to see the child.", "爱丽丝想见那个孩子。"),
    (Statement(SHE, does("see", modal=CAN, negation="not", object=np("the dog"))),
     "She cannot see the dog.", "她看不见那只狗。"),
    (Statement(np("the key"), Predicate(BE, modal=MUST, complement=at("under", np("the table")))),
     "The key must be under the table.", "钥匙一定在桌子下面。"),
    (Statement(np("the mouse +"), Predicate(BE, complement=Afraid(np("the cat")))),
     "The mice are afraid of the cat.", "那些老鼠害怕那只猫。"),
    # time, adverb, company and place before the verb
    (Statement(WE, does("play", often=True, places=(at("with", THEY),))),
     "We often play with them.", "我们常常跟他们一起玩。"),
    (Statement(PAUL, does("write", PROGRESSIVE, object=np("a story"), places=(GARDEN,))),
     "Paul is writing a story in the garden.", "保罗正在花园里写一个故事。"),
    (Statement(WE, does("go", PAST, places=(at("to", np("the market")),), time=YESTERDAY)),
     "We went to the market yesterday.", "我们昨天去了市场。"),
    (Statement(HE, does("put", PAST, object=np("the key"), places=(at("on", np("the table")),))),
     "He put the key on the table.", "他把钥匙放在了桌子上。"),
    (Statement(HE, does("put", FUTURE, object=np("a egg +"), places=(at("in", np("the box")),))),
     "He is going to put some eggs in the box.", "他会往盒子里放一些鸡蛋。"),
    (Statement(I, does("give", PAST, object=np("the bag"), places=(at("to", np("the child +")),))),
     "I gave the bag to the children.", "我把袋子给了孩子们。"),
    (Statement(I, does("give", PAST, object=np("a flower"), places=(at("to", ALICE),))),
     "I gave a flower to Alice.", "我给了爱丽丝一朵花。"),
    # what goes before a noun
    (Statement(np("the dog", Owner(np("the king"))), is_("old")),
     "The king's dog is old.", "国王的狗很老。"),
    (Statement(np("the two cat +", Owner(ALICE)), is_("white")),
     "Alice's two cats are white.", "爱丽丝的两只猫是白色的。"),
    (Statement(np("the book", at("on", np("the table"))), is_("good")),
     "The book on the table is good.", "桌子上的书很好。"),
    (Statement(np("the key", at("to/of", np("the door"))), is_("little")),
     "The key to the door is little.", "门的钥匙很小。"),
    (Statement(np("the apple +", ObjectRelative(np("the boy"), does("eat", PAST))),
               is_("red", PAST)),
     "The apples that the boy ate were red.", "男孩吃的那些苹果是红色的。"),
    (Statement(that("the cat", does("eat", PAST, object=np("the fish"),
                                    places=(at("near", np("the river")),))), is_("full")),
     "The cat that ate the fish near the river is full.", "在河附近吃了那条鱼的猫很饱。"),
    (Statement(that("the girl +", does("sleep", PROGRESSIVE)), is_("beautiful")),
     "The girls that are sleeping are beautiful.", "正在睡觉的女孩们很美丽。"),
    (Statement(HE, does("see", PAST, object=that("the girl", is_("happy")))),
     "He saw the girl that is happy.", "他看见了那个高兴的女孩。"),
    # a place after an object
    (Statement(HE, does("see", PAST, object=np("the cat", GARDEN))),
     "He saw the cat in the garden.", "他在花园里看见了那只猫。"),
    (Statement(HE, does("eat", object=np("the apple", at("on", np("the table"))))),
     "He eats the apple on the table.", "他吃桌子上的那个苹果。"),
    (Statement(HE, does("see", PAST, object=that("the girl", does("sleep", PROGRESSIVE)),
                        places=(GARDEN,))),
     "He saw the girl that is sleeping in the garden.", "他看见了正在花园里睡觉的那个女孩。"),
    # questions
    (Question("", np("the boy"), does("eat", PAST, object=np("a cake"))),
     "Did the boy eat a cake?", "男孩吃了一个蛋糕吗？"),
    (Question("", PAUL, does("see", object=np("the cat"))),
     "Does Paul see the cat?", "保罗看得见那只猫吗？"),
    (Question("", WE, does("see", PERFECT, object=np("this church"))),
     "Have we seen this church?", "我们看见过这座教堂吗？"),
    (Question("where", np("the girl +"), does("go", PAST)), "Where did the girls go?", "女孩们去了哪里？"),
    (Question("where", YOU, does("buy", PAST, object=np("this hat"))),
     "Where did you buy this hat?", "你是在哪里买这顶帽子的？"),
    (Question("when", I, does("leave", modal=CAN)), "When can I leave?", "我什么时候能离开？"),
    (Question("when", THEY, does("arrive", PAST)), "When did they arrive?", "他们是什么时候到达的？"),
    (Question("why", ALICE, does("sleep", negation="not")),
     "Why does Alice not sleep?", "爱丽丝为什么不睡觉？"),
    (Question("what", np("the boy"), does("eat", PROGRESSIVE)),
     "What is the boy eating?", "男孩正在吃什么？"),
    (ObjectQuestion("how many", np("orange +"), HE, does("buy", PAST)),
     "How many oranges did he buy?", "他买了多少个橙子？"),
    (ObjectQuestion("which", np("hat"), PAUL, does("want")),
     "Which hat does Paul want?", "保罗想要哪顶帽子？"),
    (ObjectQuestion("which", np("red box +"), SHE, does("open", PERFECT)),
     "Which red boxes has she opened?", "她已经打开了哪些红盒子？"),
    (WhoQuestion(does("eat", PAST, object=np("the cake +"))), "Who ate the cakes?", "谁吃了那些蛋糕？"),
    (WhereIs(np("my sister +"), PAST), "Where were my sisters?", "我的妹妹们在哪里？"),
    # two clauses
    (Compound(Statement(SHE, is_("sad")), "because", Statement(HE, does("leave", PAST))),
     "She is sad because he left.", "因为他离开了，所以她很难过。"),
    (Compound(Statement(HE, does("read", PROGRESSIVE, object=np("the newspaper"))), "but",
              Statement(Names(("Marie", "Paul")), does("play", PROGRESSIVE))),
     "He is reading the newspaper, but Marie and Paul are playing.",
     "他正在读那份报纸，但是玛丽和保罗正在玩。"),
]  # fmt: skip


@pytest.mark.parametrize("sentence, english, chinese", SENTENCES, ids=lambda value: str(value)[:40])
def test_sentence(sentence, english, chinese):
    assert write_english(sentence) == english
    assert write_chinese(sentence) == chinese


@pytest.fixture(scope="module")
def corpora():
    counts = dict(train=6_000, valid=300, test=300, relative=300, longer=1_500, new_pairs=1_500)
    return {split: [english_chinese(split, counts[split], s) for s in (0, 7)] for split in SPLITS}


@pytest.fixture(scope="module")
def pairs(corpora):
    """Some of every split, and 3,000 of train."""
    return [p for split in SPLITS for p in corpora[split][0][: 3_000 if split == "train" else 300]]


def test_every_english_sentence_has_one_chinese(corpora):
    chinese = {}
    for both in corpora.values():
        for pair in (pair for pairs in both for pair in pairs):
            assert chinese.setdefault(pair.source, pair.target) == pair.target
    assert len(chinese) > 15_000


def test_a_place_of_the_object_and_of_the_verb_is_one_in_chinese_as_in_english():
    """Two readings of one English sentence; the grammar draws both."""
    market = at("near", np("the market"))
    girl = that("the girl", does("sleep", PAST))
    inner = that("the girl", does("sleep", PAST, places=(market,)))
    for one, other in [
        (does("see", object=np("the cow", market)),
         does("see", object=np("the cow"), places=(market,))),
        (does("see", object=girl, places=(market,)), does("see", object=inner)),
    ]:  # fmt: skip
        one, other = Statement(PAUL, one), Statement(PAUL, other)
        assert write_english(one) == write_english(other)
        assert write_chinese(one) == write_chinese(other)


def test_writing_changes_no_sentence():
    grammar = Grammar(3, tries=4)
    for _ in range(500):
        sentence = grammar.sentence()
        before = write_english(sentence), list(map(str, walk(sentence)))
        assert write_chinese(sentence) == write_chinese(sentence)
        assert (write_english(sentence), list(map(str, walk(sentence)))) == before


@pytest.mark.parametrize("split", SPLITS)
def test_splits_share_no_sentence_whatever_their_seeds(corpora, split):
    sources = {pair.source.lower() for pairs in corpora[split] for pair in pairs}
    for other in SPLITS:
        if other != split and {split, other} != {"test", "relative"}:  # relative is test
            assert not any(p.source.lower() in sources for pairs in corpora[other] for p in pairs)


@pytest.mark.parametrize("split", SPLITS)
def test_a_longer_list_starts_with_the_shorter_and_repeats_nothing(corpora, split):
    pairs = corpora[split][0]
    assert english_chinese(split, 100, seed=0) == pairs[:100]
    assert len({pair.source.lower() for pair in pairs}) == len(pairs)
    assert corpora[split][1][:100] != pairs[:100]


@pytest.mark.parametrize("split", sorted(set(SPLITS) - {"relative"}))
def test_the_english_is_that_of_the_french_corpus(corpora, split):
    french = english_french(split, 200, seed=7)
    assert [p.source for p in corpora[split][1][:200]] == [p.source for p in french]


def test_the_same_in_another_process_with_other_hashes(corpora):
    program = (
        "from datasets.english_chinese import english_chinese, SPLITS\n"
        "for split in SPLITS:\n"
        "    for p in english_chinese(split, 30, 7): print(ascii((p.source, p.target)))"
    )
    expected = [ascii((p.source, p.target)) for split in SPLITS for p in corpora[split][1][:30]]
    root = str(Path(english_chinese_module.__file__).parents[2])
    for hash_seed in ("1", "2"):
        # fmt: skip
        result = subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            text=True,
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": root},
        )
        assert result.stdout.splitlines() == expected


def test_lengths(corpora):
    for split in SPLITS:
        lengths = [len(TOKEN.findall(pair.source)) for pairs in corpora[split] for pair in pairs]
        if split == "longer":
            assert min(lengths) > MAX_TRAIN_LENGTH and max(lengths) <= MAX_LENGTH
        else:
            assert max(lengths) <= MAX_TRAIN_LENGTH


def test_subjects_of_the_split_relative_have_a_relative_clause(corpora):
    for pair in corpora["relative"][0]:
        assert re.match(r"[\w' ]+? (that|who) ", pair.source), pair.source
        assert "的" in pair.target


# Nouns by their measure word, as a dictionary of measure words gives them; 些 goes with all.
MEASURED = {
    "个": "男孩 女孩 男人 女人 孩子 弟弟 妹妹 老人 老妇人 苹果 橙子 鸡蛋 蛋糕 故事 盒子 袋子 车站 市场 花园",
    "位": "国王 女王", "只": "猫 狗 鸟 猫头鹰 老鼠 鹅", "匹": "马", "头": "奶牛", "块": "面包",
    "条": "鱼 河", "碗": "汤", "杯": "水 牛奶 咖啡", "本": "书", "封": "信", "份": "报纸",
    "扇": "门 窗户", "把": "钥匙", "顶": "帽子", "辆": "汽车", "台": "电脑", "朵": "花",
    "张": "桌子 床", "座": "房子 教堂", "所": "学校", "家": "旅馆", "片": "森林",
}  # fmt: skip
MEASURE = {noun: measure for measure, nouns in MEASURED.items() for noun in nouns.split()}
NOUN = re.compile("|".join(sorted(MEASURE, key=len, reverse=True)))
NUMERALS = "两 三 四 五 六 七 八 九 十 十一 十二".split()
NUMERAL = re.compile("十[一二]|[两三四五六七八九十]")
COUNTED = re.compile(f"(?:[这那]?(?:{NUMERAL.pattern})|一(?![些起定])|[这那哪](?![些里])|多少)(.)")


def test_every_counted_noun_has_its_own_measure_word(pairs):
    found = set()
    for pair in pairs:
        for match in COUNTED.finditer(pair.target):
            noun = NOUN.search(pair.target, match.end())[0]
            assert match[1] == MEASURE[noun], f"{match[0]} before {noun} in {pair.target!r}"
            found.add(noun)
    assert found == set(MEASURE)


def test_two_is_never_the_other_two(pairs):
    assert not any(re.search("(?<!十)二", pair.target) for pair in pairs)


def test_numbers_are_those_of_the_english(pairs):
    words = "two three four five six seven eight nine ten eleven twelve".split()
    for pair in pairs:
        said = [words.index(word) for word in TOKEN.findall(pair.source.lower()) if word in words]
        written = [NUMERALS.index(match[0]) for match in NUMERAL.finditer(pair.target)]
        assert sorted(said) == sorted(written), pair


def test_nouns_are_those_of_the_english(pairs):
    """As many as there are in the English, with nothing lost on the way."""
    forms = {form for noun in NOUNS for form in noun.english}
    for pair in pairs:
        english = re.findall(r"\w+", pair.source.lower())
        assert sum(word in forms for word in english) == len(NOUN.findall(pair.target)), pair


def test_people_alone_take_the_plural(pairs):
    people = "[我他]|男孩|女孩|男人|女人|孩子|国王|女王|弟弟|妹妹|老人|老妇人"
    for pair in pairs:
        assert len(re.findall(f"(?:{people})们", pair.target)) == pair.target.count("们")
        assert not re.search(f"[一这那哪]些(?:{people})们", pair.target), pair.target


def test_negation_is_that_of_the_english(pairs):
    for pair in pairs:
        negated = re.search(r"\b(not|cannot|never)\b", pair.source) is not None
        assert negated == (re.search("[不没]", pair.target) is not None), pair
        assert pair.target.count("从来") + pair.target.count("永远") == pair.source.count("never")


# As written in schools on the mainland: every character that the lexicon and the rules may use
CHARACTERS = set(
    "男女孩人子国王弟妹猫狗马鸟头鹰奶牛老鼠鹅苹果橙鸡蛋糕面包鱼汤水咖啡书信故事报纸门窗户盒袋钥匙帽汽车"
    "电脑花桌床房学校教堂旅馆站市场园森林河个位只匹块条碗杯本封份扇把顶辆台朵张座所家片"
    "年幼矮小大英俊漂亮美丽优精古旧新轻好喝吃看红白黑色聪明快乐高兴悲伤难过疲惫累生病友善昂贵冷凉寒空"
    "开着饱饿渴妇很是写了得又吃买卖打拿选做放给睡觉玩去到达离掉下来摔倒想要喜欢读见害怕有"
    "在里附近后前上跟一起往能不必须可以永远从没正还已经就会定常我他她你们玛爱丝保罗安托万"
    "两三四五六七八九十二每天今现昨早上明谁什么哪多少时候为吗因所但和这那些的"
)
WRONG = [
    "的的",
    "了了",
    "们们",
    "正在在",
    "在在(?!哪里|[^，？。]*[里近后前上下面])",
    "也没",
    "很不",
    "不很",
]


def test_chinese_is_written_as_chinese(pairs):
    asking = "谁|什么|哪|多少"
    for pair in pairs:
        body, end = pair.target[:-1], pair.target[-1]
        assert end == ("？" if pair.source.endswith("?") else "。")
        assert set(body) <= CHARACTERS | {"，"}, set(body) - CHARACTERS
        assert pair.target.encode("gb2312")  # the simplified characters, and no others
        assert not any(re.search(pattern, body) for pattern in WRONG), body
        assert not ("吗" in body and re.search(asking, body)), body
        assert ("吗" in body or re.search(asking, body) is not None) == (end == "？"), body


def test_no_character_of_the_other_splits_is_new(corpora):
    known = {c for pairs in corpora["train"] for pair in pairs for c in pair.target}
    for split in SPLITS:
        assert not {c for pair in corpora[split][0] for c in pair.target} - known


@pytest.mark.parametrize(
    "split, count, message",
    [("agreement", 1, "unknown split 'agreement'"), ("train", -1, "count is -1")],
)
def test_wrong_arguments(split, count, message):
    with pytest.raises(ValueError, match=message):
        english_chinese(split, count)
