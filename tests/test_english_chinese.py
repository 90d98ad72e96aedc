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
from datasets.english_french import MAX_LENGTH, MAX_TRAIN_LENGTH, TOKEN
from datasets.english_french.grammar import Grammar
from datasets.english_french.lexicon import VERBS
from datasets.english_french.phrases import (
    FUTURE,
    PAST,
    PERFECT,
    PROGRESSIVE,
    Afraid,
    Compound,
    Names,
    NounPhrase,
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
    (Question("where", np("the girl +"), does("go", PAST)), "Where did the girls go?", "女孩们去了哪里？"),
    (Question("where", YOU, does("buy", PAST, object=np("this hat"))),
     "Where did you buy this hat?", "你是在哪里买这顶帽子的？"),
    (Question("when", I, does("leave", modal=CAN)), "When can I leave?", "我什么时候能离开？"),
    (Question("when", THEY, does("arrive", PAST)), "When did they arrive?", "他们是什么时候到达的？"),
    (Question("why", ALICE, does("sleep", negation="not")),
     "Why does Alice not sleep?", "爱丽丝为什么不睡觉？"),
    (Question("what", np("the boy"), does("eat", PROGRESSIVE)), "What is the boy eating?", "男孩正在吃什么？"),
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
