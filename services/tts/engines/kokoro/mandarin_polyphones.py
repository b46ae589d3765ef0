"""Which reading a character of several has in its sentence.

pypinyin knows 47,000 words, and reads what stands outside of them by one reading per character:
长 is zhǎng in 很长 and 得 is dé in 跑得快. Grammar decides there: 得 is de after a verb, and děi
after a subject. The rules below follow 现代汉语八百词 (Lü Shuxiang) and the dictionary
现代汉语词典; they are tried in their order, and only outside of the words that pypinyin knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_WHO: Final = "我你您他她它们咱谁"
_FEW: Final = "一二两三四五六七八九十百千几"
_GROWS: Final = "大高得出成满胖着在回熟"
_UNIT: Final = "米|元|块|度|岁|年|天|分|公里|公斤|斤|万|亿|小时|平方|种|类"

# The readings of a character, each with what stands before it and behind it. "^" and "$" are the
# ends of a stretch without punctuation; "|" at the end of what stands before: a word begins here.
_RULES: Final[tuple[tuple[str, str, str, str], ...]] = (
    (
        "长", "chang2",
        "很|太|多么?|好|最|更|非常|十分|特别|相当|较|挺|真|够|[这那]么|来越|有点儿?|有些|稍微?|过|颇"
        "|极|一样|一般|不|又|[米里尺寸丈月天时]",
        f"(?![{_GROWS}])",
    ),
    ("长", "zhang3", "", f"[{_GROWS}了]"),
    (
        "长", "chang2", "",
        f"[约达近]?[{_FEW}半][^起共直般定样些位致同]|达|约|于|假|裤|裙|袖|衣|椅|桌|队|句|诗|文",
    ),
    ("长", "chang2", "|", "的"),
    ("行", "hang2", f"第?[{_FEW}每数整首末]", f"(?!人|[{_FEW}]人|不行|吗|啊)"),
    ("行", "hang2", "[这那哪本]", "字|诗|代码|文|数|里|业|当"),
    ("重", "chong2", "[两双三四五六七八九几万]", "山|天|门|保|意|性|关|障|含|身|打|标|奏"),
    (
        "重", "chong2", "(?:^|[^很太最更较挺真好不多么超沉体])",
        "[做写来说看读听装建启修拍试画算发传名归现演印组开走过洗考录译编排跑玩买选查]",
    ),
    ("还", "huan2", "", f"[{_WHO[:-3]}](?!们?[是在有没不要会能想的都也就还]|妈)"),
    ("还", "huan2", "", "钱|书|债|款|清(?![楚醒晰洁除])|房?贷|车|账|人情|俗|礼|不[起清]|得[起清]"),
    ("还", "huan2", "没有?|[要该来去已未想能得不先别再]", "$|[了吧吗呢的完上]"),
    ("还", "huan2", "[把将].{1,8}", "$|[了吧掉上]"),
    ("还", "huan2", "[钱书债款账]", "[了吧完]"),
    (
        "得", "de2", f"(?:^|[{_WHO}就都也还会能想要没才刚可只])",
        f"[了到出第奖病罪意失知以票冠金银过]|分(?!开)|一[^边起直点定会]|[{_FEW[1:]}]",
    ),
    ("得", "dei3", f"(?:^|[{_WHO}都也还总又真就先必非人]|[今明后]天|现在|以后|时候)", "."),
    ("得", "de2", "(?:^|[都也均者人])不", "."),
    ("得", "de5", ".", ""),
    ("了", "liao3", f"[^{_WHO}就也都从再又还·]不", "(?!解)"),
    ("了", "liao3", f"[^{_WHO}就都也还会能想要没才刚可只晓·]得", ""),
    ("地", "de5", r"(.)\1", "(?![上下里面方])"),
    ("地", "de5", "[^这那哪块片亩的一在·]{2}|", "[^上下里面方的是很太不有在和都也被了板毯球]"),
    ("着", "zhao2", "[睡找够见摸猜碰点打用][不得]", ""),
    ("只", "zhi1", f"[{_FEW}半]", ""),
    ("只", "zhi1", "[这那哪每]", "(?![能是有会要想好])"),
    (
        "种", "zhong4", f"(?:^|[^{_FEW}这那哪各每多某品])",
        "[了过着下上满树花菜地田草瓜豆果在得]|什么",
    ),
    (
        "教", "jiao1", "(?:^|[^佛道宗信儒礼请文执任说管家])",
        f"[{_WHO}过了给会得书不人小英中数汉法日德语一唱画跳游做写说课]|孩子|学生|大家|什么|怎么",
    ),
    ("觉", "jiao4", "睡[了过着个一好大完不]{0,3}|[午懒]|睡个?好|回笼", "(?![得醒悟察])"),
    ("假", "jia4", f"[{_FEW}][个]?[天周月年]|[长短病产事婚暑寒]", "(?![的如装话设])"),
    ("弹", "tan2", "(?:^|[^子炮导炸核飞枪氢])", "吉他|钢?琴|古筝|琵琶|贝斯|[奏唱了着过得一起出]"),
    ("调", "tiao2", "", "[大小高低亮暗快慢整节解成到好回]|一?[下点]"),
    (
        "数", "shu3", "(?:^|[^人次分总多少倍岁指基常函系参])",
        "一数|[到了着]|一下|不[清过]|得[清过]",
    ),
    ("倒", "dao4", "(?:^|[^摔跌推打病晕绊滑颠])", "[水茶酒车掉出进入立着数]|[一半两几]杯|垃圾"),
    ("乐", "yue4", "古典|电子|民族|流行|打击|管弦|说唱|[弦奏声器配]", "(?![意观趣于天呵园])"),
    (
        "为", "wei2",
        "[成作称视分变选改化评列定译名当设换转升降合结均约至皆度率量价数]|之|以.{1,6}|[将被].{1,8}"
        "|[选称拜尊认].{1,3}", "",
    ),
    ("为", "wei2", "", f"[{_FEW[1:]}零].{{0,5}}?(?:{_UNIT})"),
)  # fmt: skip
_CORRECTED: Final = {"还款": ("huan2", "kuan3"), "不得了": ("bu4", "de2", "liao3")}
_KNOWN: Final = "·"
"""Stands in the text around for a character whose reading is known from its word."""


@dataclass(frozen=True)
class _Rule:
    reading: str
    before: re.Pattern[str]
    behind: re.Pattern[str]
    begins_word: bool


@lru_cache(maxsize=1)
def _rules() -> dict[str, list[_Rule]]:
    rules: dict[str, list[_Rule]] = {}
    for character, reading, before, behind in _RULES:
        rule = _Rule(
            reading,
            re.compile(rf"(?:{before.removesuffix('|')})\Z"),
            re.compile(behind),
            begins_word=before.endswith("|"),
        )
        rules.setdefault(character, []).append(rule)
    return rules


def readings_of(words: Sequence[str]) -> list[dict[int, str]]:
    """Returns the readings that are not those of pypinyin.

    Args:
        words: Of a run of Chinese characters without punctuation.

    Returns:
        For each word the pinyin, such as "chang2", by the index of the character.
    """
    from pypinyin.constants import PHRASES_DICT

    known = [len(word) > 1 and word in PHRASES_DICT for word in words]
    text = "".join(
        "".join(_KNOWN if each in _rules() else each for each in word) if is_known else word
        for word, is_known in zip(words, known, strict=True)
    )
    found: list[dict[int, str]] = []
    start = 0
    for word, is_known in zip(words, known, strict=True):
        if word in _CORRECTED:
            found.append(dict(enumerate(_CORRECTED[word])))
        elif is_known:
            found.append({})
        else:
            each = {
                index: reading
                for index in range(len(word))
                if (reading := _reading(text, start + index, is_start=index == 0))
            }
            found.append(each)
        start += len(word)
    return found


def _reading(text: str, index: int, *, is_start: bool) -> str:
    before, behind = text[:index], text[index + 1 :]
    for rule in _rules().get(text[index], ()):
        if rule.begins_word and not is_start:
            continue
        if rule.before.search(before) and rule.behind.match(behind):
            return rule.reading
    return ""
