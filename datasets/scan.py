"""SCAN: commands such as "jump twice after look left" and the actions that carry them out.

    pairs = scan("add-jump", "train")
    interpret("jump twice after look left")  # I_TURN_LEFT I_LOOK I_JUMP I_JUMP

Lake and Baroni, "Generalization without Systematicity", ICML 2018. All 20,910 commands of their
grammar are derived, and divided as they published it:

- simple: at random, 16,728 for training and 4,182 for test.
- length: trained on commands of at most MAX_TRAIN_ACTIONS actions (16,990), tested on the longer
  ones (3,920).
- add-jump: trained on the commands without "jump" and on "jump" alone, tested on all others with
  "jump" (7,706). "jump" alone is repeated until it is a tenth of the 14,670 training pairs.
"""

from __future__ import annotations

import base64
import random
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate, product

SPLITS = ("simple", "length", "add-jump")
PARTS = ("train", "test")
MAX_TRAIN_ACTIONS = 22

# A command C joins sentences S, which repeat verb phrases V. The paper makes "jump opposite left"
# out of the words of its D, "jump left"; M and T, a manner of moving and a side, say the same.
GRAMMAR = {
    "C": ("S and S", "S after S", "S"),
    "S": ("V twice", "V thrice", "V"),
    "V": ("M opposite T", "M around T", "M T", "U"),
    "M": ("U", "turn"),
    "U": ("walk", "look", "run", "jump"),
    "T": ("left", "right"),
}
ACTIONS = {
    "walk": ["I_WALK"],
    "look": ["I_LOOK"],
    "run": ["I_RUN"],
    "jump": ["I_JUMP"],
    "turn": [],  # nothing but the turn that its side asks for
    "left": ["I_TURN_LEFT"],
    "right": ["I_TURN_RIGHT"],
}


def scan(split: str, part: str) -> list[tuple[str, str]]:
    """The (command, actions) pairs of a part of a split, in a shuffled order, always the same.

    Raises ValueError for an unknown split or part.
    """
    for what, given, known in (("split", split, SPLITS), ("part", part, PARTS)):
        if given not in known:
            raise ValueError(f"unknown {what} {given!r}: expected one of {', '.join(known)}")
    pairs = _pairs().items()
    if split == "simple":
        test = set(_simple_test())
    elif split == "length":
        test = {c for c, actions in pairs if len(actions.split()) > MAX_TRAIN_ACTIONS}
    else:
        test = {c for c, _ in pairs if "jump" in c.split() and c != "jump"}
    chosen = [pair for pair in pairs if (pair[0] in test) == (part == "test")]
    if (split, part) == ("add-jump", "train"):
        others = len(chosen) - 1
        chosen += [("jump", _pairs()["jump"])] * (others // 9 - 1)  # one of them is there already
    return shuffled(chosen, seed=0)


def interpret(command: str) -> str:
    """The actions of a command. Raises ValueError for one that the grammar does not derive."""
    if command not in _pairs():
        raise ValueError(
            f"{command!r} is not one of SCAN's {len(_pairs())} commands: expected one such as "
            "'jump', 'turn left twice' or 'walk opposite right after run around left thrice'"
        )
    return _pairs()[command]


def shuffled(items: Iterable, seed: int) -> list:
    """The items in a random order, the same for a seed on every version of Python."""
    draw = random.Random(seed).random
    return [item for _, item in sorted((draw(), item) for item in items)]


def derive(symbol: str) -> Iterator[str]:
    """Everything that the grammar makes of a symbol; a word stays what it is."""
    if symbol not in GRAMMAR:
        yield symbol
        return
    for rule in GRAMMAR[symbol]:
        yield from map(" ".join, product(*map(derive, rule.split())))


def _meaning(words: list[str]) -> list[str]:
    """The paper's interpretation function, for words that the grammar derives."""
    for link in ("and", "after"):
        if link in words:
            at = words.index(link)
            before, behind = _meaning(words[:at]), _meaning(words[at + 1 :])
            return before + behind if link == "and" else behind + before
    match words:
        case [*phrase, "twice"]:
            return 2 * _meaning(phrase)
        case [*phrase, "thrice"]:
            return 3 * _meaning(phrase)
        case [verb, "opposite", side]:
            return 2 * ACTIONS[side] + ACTIONS[verb]
        case [verb, "around", side]:
            return 4 * (ACTIONS[side] + ACTIONS[verb])
        case [verb, side]:
            return ACTIONS[side] + ACTIONS[verb]
        case _:
            return ACTIONS[words[0]]


@cache
def _pairs() -> dict[str, str]:
    """All commands, in the order of their derivation, with their actions."""
    return {command: " ".join(_meaning(command.split())) for command in derive("C")}


def _simple_test() -> Iterator[str]:
    """The test commands of the simple split: drawn at random once, so they are written down. A
    byte is the step from one of them to the next among the sorted commands.
    """
    commands = sorted(_pairs())
    steps = zlib.decompress(base64.b85decode(SIMPLE_TEST.replace("\n", "")))
    return (commands[n] for n in accumulate(steps))


# From tasks_test_simple.txt of github.com/brendenlake/SCAN, the split published with the paper.
SIMPLE_TEST = """
cmV~$+m0khl0-oqRW&nrkBq!jbvK(NxF7~QFZ=%=xFUkf*XXp5<dmV5E!}pi&p3@$Ecq(S(~qds7eAg)QDFowk2_Cpiw)BLHPiN8
(s_vAT_umYyS&6#+;ZM{dqtsapIei9v*qqBuM$#f9#@t6Tq7h|q+8Z9Xhn+^i^U5)KGVdOhCz$^*B1x<5_5)++x~pa^YEZmX+K&I
)M5W(Z4dJL=ykNjuIsyGOE)zsZEtf#aHqCe_A<#TtgM-lHU7p$*7kj?TVj;?@)h#GE5w|IJ%JbCix*}|&1letwx?9BKkM{3+H&C^
XGtZQM6Go%Y^rO%s7JMSsZv14MfJtcq!ABa5wEispC0p#Y!qGCcg8FR5zr)}6Y3vPWb?-43u%IR2@BP(dOg5u{;#at)SJuQLd4CJ
F`7ZD{+Y>SZZyTS1Y!1Z)jPZWQkH7^ExCwxe?O&<;*0)H*y6_MjSlNC)U>LmB(_VIV~+Iaqbsrq5d3blYW|+S&WlfsxYR8j@&H7k
@~O7Y+R}fLrh})wp6jlj6^l{%WkZXze{y(+WoDIns%c4K?8thZL^QpYfJ-Y#t)^n&Y&V`ADSX{W(Z0Q9*XVs0s*-~m!*qijqafAi
r!DbeKd}4cVRJd>Kf6oyQ$g3@tt=Kmn+x$yPv_N%dh-OgO!t#9y?flV{oJzGqaG@cRece~s})E2W3;5k02{yC4=L4LAy`898>#jV
Td23pft*X$C}|9pNQ){wz1#5g(%$y+vncx>i?<)>uSh)A3ClgtKYZ$us5`B9*_e6gdM<DFByW);M3GY^k_IUIf<jD2Bd8_*JAP2U
pFw)t3+<xBYP=WrDw2zH<@{MCm;CIb6?s6Y>fx7SU4cS1;zxv+yGo=_vFbM^-3Vjc)su%shNs2mXLFmriOE&Z|FKBbNmn_gLYE?W
|Awn2UWy}L5-WumlrfU7UEWrU-*qHyJ+%JG;*}8}lgk1LmQ(6B>xb>oacnL1w!MniNh};r>#%aIH1>`?b%Z4<tt^Y`M|)KnHu<9J
)YobYvyIW#A@Y4J=Tui@-L?*WdK4&cH$Sh|l3i7O^-6?J4X4EGVa}Wm6=Zl+kE^jR7FrpQccihTt&)OFpe#qNQM}r6U3CsxM;Kv5
m3wE2!#cqFs@z<>yQB43#5&xIMhbG}&wm-?;dxdV5A;5J=nVKFvsNPxs5Ww$K}iVYA5RhV_YJjKc6Cj4EwOkQi8DyHzTbjyEI&W{
(O%Z4B$|G>vN6>1$W8*TyZ~gBlB=@Fwoz%z1N_tlsvd>oRdU5B*Qun#broQ{b!y2%e`Lg8$t6IIDK$`5-r7GESqkor=cCc;$u}<)
_G8qrnmRq5YGMgfy%_V>Zy)XTE5BIQ$vURg9g8hzF^hG7%Rfr!tK67BHm>_>UnnEYW<4+a&O@$FRA(ikLCQ;5N_8gYfc3mBi&r-o
@7bxE)?R{SFx`1#*X&}!7S?uko>yc>P?4B=Ba<cYgM#vCToqW`-Fx&%)~X$_Gk>cIah}$C1fvc0ct*~TlakmT)ccyu?x<#cQ4Ld)
quCjyUh2ODNIq?!ZS;~Ge&3R8wY8~0)sMHbuxg1KPL<0kd7FaJ+qw{Xk3b0d#knLH7r8g}Bw=i+%o9FDZd4HS*d@L3{czP-*+RK3
ENG}E2cA!3S)Z#n<!il}vdlx<1kM${^`iQyTCqvw^cKJ9bBX!j+NL@D222GcR}`PDPP$U@Say+RTUrt#Q)4TVb~q4MN%L3Mvm%|Q
S&O0;F8*!PeCxssa<5*+FGZmN6@vG9Wv!8biZIh<mVuS5FQzTE{M2h`?{oLPXu|js$(pPlioV=>HmVYyl25_X#cHuni*w_rWL8YB
d%rsdJv9wnuCl#xw=DQzSF>Cf>_DW#7keXA!*b0{e_LH3WITSPIl}*4w>?@5?%SX%-#C|4d@n{);*YgYW1U;7MO!Z_o6aRN>dFaP
S-wwm7DQ;G-9y{bc1v0PB?vCaO;P=10ZXO25vh%E*_p@$oSM{hh{`77RMYIOceNmepJ$8=W96@9zq1!1(8pARyDYBtDSgT3j#M{3
Ijo6DE$~#24v~LE1?IUH^{7aottjRSN1K#`l_a%biqft-(UJ!tZ{*<_vR7Vd%3p--hIVARvr(HF^B`O3glOSs5NWv<`I|CleCol)
vx2%7b~U#66dJykN)J$#><7c$$Cp_^nr1(jU4EO4&Uoyqy*e$6&RsAaaR<Ey<V;2Gc*~)`46C<>hxFPn0s6%i&!ZWQf0f-UnPF{9
_(eu2TV1I1!vW1GB)Try<puJQ5}Qa*O46V_J&65byscB}-wkjimRnsnv!zy*;JGdn+gfrD`Ju2~b_wCPEXkchZWk*rd4$-EhT=~k
kB2P7<~vQ7sFtD@BhF~EK4xZp%gJ-5q%j&(#a<U(fDylWTbEn0sl{chPzuXJai+bkqujRZGPlrMD?7PXaU-j&Dncp}A+y<PdD*}p
qJ3ZXn+4q?8b1xFrTTyJu2HN
"""
