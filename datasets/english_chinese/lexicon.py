"""The Chinese of every English word of the grammar: tables, what no rule of `phrases` gives."""

from ..english_french.lexicon import Adjective

# English, Chinese, and the measure word between it and a number, this or that. A mass noun has
# the measure it is served in.
NOUN_TABLE = """
boy         男孩    个
girl        女孩    个
man         男人    个
woman       女人    个
child       孩子    个
king        国王    位
queen       女王    位
brother     弟弟    个
sister      妹妹    个
cat         猫      只
dog         狗      只
horse       马      匹
bird        鸟      只
owl         猫头鹰  只
cow         奶牛    头
mouse       老鼠    只
goose       鹅      只
apple       苹果    个
orange      橙子    个
egg         鸡蛋    个
cake        蛋糕    个
bread       面包    块
fish        鱼      条
soup        汤      碗
water       水      杯
milk        牛奶    杯
coffee      咖啡    杯
book        书      本
letter      信      封
story       故事    个
newspaper   报纸    份
door        门      扇
window      窗户    扇
box         盒子    个
bag         袋子    个
key         钥匙    把
hat         帽子    顶
car         汽车    辆
computer    电脑    台
flower      花      朵
table       桌子    张
bed         床      张
house       房子    座
school      学校    所
church      教堂    座
hotel       旅馆    家
station     车站    个
market      市场    个
garden      花园    个
forest      森林    片
river       河      条
"""

# English | of what | before the noun | said of it. The first row that fits a noun is taken: by
# the noun itself, or by its tags; "-" fits all. An adjective without 的 touches its noun. What is
# said has 很 where 不 or a question would replace it, or is 是...的, or a verb; after a slash stands
# what is asked with 吗 where it differs.
ADJECTIVE_TABLE = """
little      | sister brother                   | 年幼的 | 很小
little      | adult                            | 矮小的 | 很矮小
little      | -                                | 小     | 很小
big         | school                           | 大的   | 很大
big         | -                                | 大     | 很大
beautiful   | boy man king brother he          | 英俊的 | 很英俊
beautiful   | they                             | 漂亮的 | 很漂亮
beautiful   | person animal place flower       | 美丽的 | 很美丽
beautiful   | story                            | 优美的 | 很优美
beautiful   | text                             | 精美的 | 很精美
beautiful   | -                                | 漂亮的 | 很漂亮
old         | mouse                            | 年老的 | 很老
old         | flower                           | 开过了的 | 是开过了的
old         | story                            | 古老的 | 很古老
old         | building goal                    | 老     | 很旧
old         | adult animal                     | 老     | 很老
old         | -                                | 旧     | 很旧
new         | -                                | 新     |
young       | child                            | 年幼的 | 很小
young       | -                                | 年轻的 | 很年轻
good        | drink soup                       | 好喝的 | 很好喝
good        | food                             | 好吃的 | 很好吃
good        | -                                | 好     | 很好
pretty      | place                            | 漂亮的 | 很漂亮
pretty      | -                                | 好看的 | 很好看
red         | -                                | 红     | 是红色的
white       | -                                | 白     | 是白色的
black       | -                                | 黑     | 是黑色的
intelligent | -                                | 聪明的 | 很聪明
happy       | -                                | 快乐的 | 很高兴
sad         | text                             | 悲伤的 | 很悲伤
sad         | -                                | 悲伤的 | 很难过
tired       | -                                | 疲惫的 | 很累
sick        | -                                | 生病的 | 病了
nice        | -                                | 友善的 | 很友善
expensive   | -                                | 昂贵的 | 很贵
cold        | drink                            | 冷     | 很凉
cold        | food                             | 凉     | 很凉
cold        | -                                | 寒冷的 | 很冷
empty       | -                                | 空     | 是空的
open        | -                                | 开着的 | 是开着的
full        | -                                |        | 很饱/吃饱了
hungry      | -                                |        | 很饿
thirsty     | -                                |        | 很渴
"""

# An adjective and a noun that are one word.
COMPOUND_TABLE = """
old     man     老人
old     woman   老妇人
"""

# English | Chinese | of what, as for adjectives: what falls, or what is eaten.
VERB_TABLE = """
eat     | 喝     | soup
eat     | 吃     | -
drink   | 喝     | -
read    | 读     | -
write   | 写     | -
see     | 看见   | -
buy     | 买     | -
sell    | 卖     | -
open    | 打开   | -
take    | 拿     | -
choose  | 选     | -
make    | 做     | -
put     | 放     | -
give    | 给     | -
sleep   | 睡觉   | -
play    | 玩     | -
go      | 去     | -
arrive  | 到达   | -
leave   | 离开   | -
fall    | 掉下来 | thing bird owl
fall    | 摔倒   | -
want    | 想要   | -
like    | 喜欢   | -
"""

# English | before the place | after it
PREPOSITION_TABLE = """
in          | 在 | 里
near        | 在 | 附近
behind      | 在 | 后面
in front of | 在 | 前面
at          | 在 |
to          |    |
on          | 在 | 上
under       | 在 | 下面
with        | 跟 | 一起
"""

# Affirmative, not, never
MODAL_TABLE = """
can     能      不能    永远不能
must    必须    不可以  永远不可以
want    想      不想    从来不想
like    喜欢    不喜欢  从来不喜欢
"""

PRONOUNS = dict(zip("I he she we you they".split(), "我 他 她 我们 你 他们".split()))
POSSESSIVES = dict(zip("my his her our your their".split(), "我 他 她 我们 你 他们".split()))
NAMES = {"Marie": "玛丽", "Alice": "爱丽丝", "Paul": "保罗", "Antoine": "安托万"}
NUMBERS = dict(
    zip(
        "two three four five six seven eight nine ten eleven twelve".split(),
        "两 三 四 五 六 七 八 九 十 十一 十二".split(),
    )
)
TIMES = {
    "every day": "每天",
    "today": "今天",
    "now": "现在",
    "yesterday": "昨天",
    "this morning": "今天早上",
    "tomorrow": "明天",
}


def _rows(table: str, separator: str | None = None) -> list[list[str]]:
    return [[cell.strip() for cell in line.split(separator)] for line in table.strip().split("\n")]


NOUNS = {english: (chinese, measure) for english, chinese, measure in _rows(NOUN_TABLE)}
COMPOUNDS = {(adjective, noun): word for adjective, noun, word in _rows(COMPOUND_TABLE)}
PREPOSITIONS = {
    english: (before, after) for english, before, after in _rows(PREPOSITION_TABLE, "|")
}
MODALS = {english: dict(zip(("", "not", "never"), forms)) for english, *forms in _rows(MODAL_TABLE)}
_ADJECTIVES = [(word, of.split(), before, said) for word, of, before, said in
               _rows(ADJECTIVE_TABLE, "|")]  # fmt: skip
_VERBS = [(word, chinese, of.split()) for word, chinese, of in _rows(VERB_TABLE, "|")]


def adjective_forms(adjective: Adjective, kinds: frozenset[str]) -> tuple[str, str]:
    """Before the noun, and said of it. `kinds` are the noun's English and its tags."""
    return next(
        (before, said)
        for word, of, before, said in _ADJECTIVES
        if word == adjective.english and (of == ["-"] or not kinds.isdisjoint(of))
    )


def verb_word(verb: str, kinds: frozenset[str]) -> str:
    """`kinds` are those of the subject and of the object together."""
    return next(
        chinese
        for word, chinese, of in _VERBS
        if word == verb and (of == ["-"] or not kinds.isdisjoint(of))
    )
