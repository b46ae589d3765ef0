"""Extracts facts from a person's Chinese sentences; see `text.facts.english`."""

import re
from collections.abc import Callable, Iterator

from text.facts.candidate import USER, Candidate, Ending, Finding, Replacement

_RELATION = (
    r"(?:大|小|前|男|女|最好的)?(?:狗狗|狗|猫咪|猫|宠物|马|兔子|妈妈|母亲|爸爸|父亲|姐姐|妹妹|哥哥|弟弟"
    r"|妻子|太太|老婆|丈夫|先生|老公|儿子|女儿|孩子|宝宝|奶奶|爷爷|外婆|外公|阿姨|叔叔|朋友|老板|同事|邻居"
    r"|老师|公司|车)"
)
_JOB = (
    r"(?:[\u4e00-\u9fff]{0,4}(?:老师|教师|护士|医生|大夫|工程师|程序员|设计师|律师|厨师|司机|会计|记者|警察"
    r"|学生|作家|画家|音乐家|科学家|教授|研究员|翻译|导游|演员|歌手|经理|销售员|消防员|军人|农民|牙医|药剂师"
    r"|飞行员|摄影师|建筑师|理发师))"
)
_PREFIX = re.compile(
    r"^(?:你好|您好|嗨|嗯|哦|啊|对了|那个|其实|不对|不是|错了|你错了|你记错了|应该是|我是说|顺便说一下|还有|而且"
    r"|但是|所以|因为|请记住|记住|告诉你|现在|呃)[，,、：: ]*"
)
_CLAUSE = re.compile(r"[。！!；;\n]+|[，,](?=(?:而且|但是|所以|还有|不过)?我)")
_TAIL = re.compile(r"(?:[，,（(]|了$|啦$|呢$|哦$|的$|呀$|啊$).*$")
_NO_VALUE = re.compile(
    r"^(?:你|您|这|那|它|他|她|什么|谁|哪|怎么|不|没|很|太|的|了|一下|自己|一直|也)"
)
_UNREAL = re.compile(r"如果|要是|假如|假设|梦见|希望|据说|他说|她说|听说|以前|曾经|可能|也许|大概")
_V = r"(?P<v>[^\s，,。！!？?；;]{1,16})"
_NAME = r"(?P<v>[\u4e00-\u9fff·]{1,6}|[A-Za-z][A-Za-z'-]*(?: [A-Z][A-Za-z'-]*)?)"

Make = Callable[[re.Match[str]], Candidate | Ending | Replacement]


def _user(attribute: str, sentence: str, confidence: float = 0.9) -> Make:
    return lambda match: Candidate(
        subject=USER,
        attribute=attribute,
        value=match["v"],
        text=sentence.format(match["v"]),
        confidence=confidence,
    )


def _of(attribute: str, sentence: str) -> Make:
    return lambda match: Candidate(
        subject=match["s"],
        attribute=attribute,
        value=match["v"],
        text=sentence.format(match["s"], match["v"]),
        confidence=0.9,
    )


def _favourite(match: re.Match[str]) -> Candidate:
    return Candidate(
        subject=USER,
        attribute=f"favourite {match['s']}",
        value=match["v"],
        text=f"我最喜欢的{match['s']}是{match['v']}。",
        confidence=0.9,
    )


def _ended(attribute: str) -> Make:
    return lambda match: Ending(attribute=attribute, value=match["v"])


_RULES: list[tuple[str, Make]] = [
    (rf"我(?:已经)?不(?:再)?住在?{_V}", _ended("home")),
    (rf"我(?:已经)?不(?:再)?在{_V}(?:工作|上班)", _ended("employer")),
    (rf"我(?:已经)?不再喜欢{_V}", _ended("likes")),
    (
        r"(?:是|叫)(?P<new>[\u4e00-\u9fff\w]{1,8})[，,]?\s*(?:不是|不叫)(?P<old>[\u4e00-\u9fff\w]{1,8})",
        lambda match: Replacement(old=match["old"], new=match["new"]),
    ),
    (rf"我(?:的名字)?(?:叫做?|名叫){_NAME}$", _user("name", "我叫{}。", 0.95)),
    (rf"我的名字是{_NAME}$", _user("name", "我叫{}。", 0.95)),
    (rf"我(?:现在|目前)?住在{_V}", _user("home", "我住在{}。")),
    (
        rf"我(?:刚|最近|已经|去年|今年|上个月|上周)?搬(?:家)?到了?{_V}",
        _user("home", "我住在{}。", 0.85),
    ),
    (rf"我来自{_V}", _user("origin", "我来自{}。")),
    (r"我是(?P<v>[\u4e00-\u9fff]{2,5})人$", _user("origin", "我是{}人。", 0.85)),
    (rf"我(?:现在|目前)?在{_V}(?:工作|上班)", _user("employer", "我在{}工作。")),
    (rf"我(?:现在)?(?:是|当)(?:一?[名个位])?(?P<v>{_JOB})$", _user("job", "我是{}。")),
    (rf"我(?:现在)?在{_V}当{_JOB}$", _user("employer", "我在{}工作。")),
    (rf"我对{_V}过敏", _user("allergy", "我对{}过敏。", 0.95)),
    (rf"我的?生日是{_V}", _user("birthday", "我的生日是{}。", 0.95)),
    (
        r"我是?(?P<v>(?:\d+年)?[\d一二三四五六七八九十]+月[\d一二三四五六七八九十]+[日号])(?:出生|生)",
        _user("birthday", "我的生日是{}。"),
    ),
    (r"我(?:今年)?(?P<v>[\d一二三四五六七八九十]{1,4})岁", _user("age", "我{}岁。")),
    (r"我(?:是)?(?P<v>素食者|素食主义者|吃素)", _user("diet", "我{}。")),
    (rf"我(?:从来)?不(?:能)?吃{_V}", _user("does not eat", "我不吃{}。")),
    (rf"我最喜欢的(?P<s>[\u4e00-\u9fff]{{1,6}}?)是{_V}", _favourite),
    (
        rf"我的?(?P<s>{_RELATION})(?:的名字)?(?:叫做?|名叫|是叫){_NAME}$",
        _of("name", "我的{}叫{}。"),
    ),
    (rf"我的?(?P<s>{_RELATION})的名字是{_NAME}$", _of("name", "我的{}叫{}。")),
    (
        rf"我(?:家)?有(?:一?[只个条位匹辆])?(?P<s>{_RELATION})[，,]?(?:它|他|她)?(?:叫|名叫){_NAME}$",
        _of("name", "我的{}叫{}。"),
    ),
    (rf"我的?(?P<s>{_RELATION})住在{_V}", _of("home", "我的{}住在{}。")),
    (rf"我的?(?P<s>{_RELATION})的?生日是{_V}", _of("birthday", "我的{}的生日是{}。")),
    (rf"我的?(?P<s>{_RELATION})对{_V}过敏", _of("allergy", "我的{}对{}过敏。")),
    (
        r"我会(?:弹|拉|吹|打)(?P<v>钢琴|吉他|小提琴|大提琴|二胡|古筝|长笛|鼓|篮球|网球|羽毛球|乒乓球)",
        _user("plays", "我会演奏或玩{}。"),
    ),
    (rf"我(?:真的|很|非常|特别)?(?:讨厌|不喜欢|受不了){_V}", _user("dislikes", "我不喜欢{}。")),
    (rf"我(?:真的|也|很|非常|特别|最|超)*(?:喜欢|爱){_V}", _user("likes", "我喜欢{}。", 0.8)),
]
_COMPILED = [(re.compile(rule), make) for rule, make in _RULES]


def is_no_value(value: str) -> bool:
    """Returns whether a value refers to its context or is no value at all."""
    return _NO_VALUE.match(value) is not None


def findings(sentence: str) -> Iterator[Finding]:
    """Yields the findings of a sentence; at most one per clause."""
    if sentence.rstrip().endswith(("？", "?", "吗", "呢")):
        return
    for clause in _CLAUSE.split(sentence):
        finding = _read(clause)
        if finding is not None:
            yield finding


def _read(clause: str) -> Finding | None:
    said = clause.strip()
    while (shorter := _PREFIX.sub("", said)) != said:
        said = shorter
    if not said or _UNREAL.search(said):
        return None
    cut = _TAIL.sub("", said)
    for pattern, make in _COMPILED:
        match = pattern.match(said) or pattern.match(cut)
        if match is None:
            continue
        value = match.groupdict().get("v")
        if value is not None and _NO_VALUE.match(value):
            return None
        made = make(match)
        if isinstance(made, Candidate) and (shorter := _TAIL.sub("", made.value)) != made.value:
            again = pattern.match(cut)
            return make(again) if again is not None else None
        return made
    return None
