"""Extracts facts from a person's Chinese sentences; see `text.facts.english`."""

import re
from collections.abc import Callable, Iterator, Sequence

from text.facts.candidate import USER, Candidate, Ending, Finding, Replacement

RELATION = (
    r"(?:大|小|前|男|女|最好的)?(?:狗狗|狗|猫咪|猫|宠物|马|兔子|妈妈|母亲|爸爸|父亲|姐姐|妹妹|哥哥"
    r"|弟弟"
    r"|妻子|太太|老婆|丈夫|先生|老公|儿子|女儿|孩子|宝宝|奶奶|爷爷|外婆|外公|阿姨|叔叔|朋友|老板"
    r"|同事|邻居"
    r"|老师|公司|车)"
)
_JOB = (
    r"(?:[\u4e00-\u9fff]{0,4}(?:老师|教师|护士|医生|大夫|工程师|程序员|设计师|律师|厨师|司机|会计"
    r"|记者|警察"
    r"|学生|作家|画家|音乐家|科学家|教授|研究员|翻译|导游|演员|歌手|经理|销售员|消防员|军人|农民"
    r"|牙医|药剂师"
    r"|飞行员|摄影师|建筑师|理发师))"
)
_PREFIX = re.compile(
    r"^(?:你好|您好|嗨|别忘了|不要忘了|记得|嗯|哦|啊|对了|那个|其实|不对|不是|错了|你错了|你记错了"
    r"|应该是|我是说"
    r"|顺便说一下|还有|而且"
    r"|但是|所以|因为|请记住|记住|告诉你|现在|呃)[，,、：: ]*"
)
_CLAUSE = re.compile(r"[。！!；;\n]+|[，,](?=(?:而且|但是|所以|还有|不过)?我)")
_TAIL = re.compile(r"(?:[，,（(]|了$|啦$|呢$|哦$|的$|呀$|啊$).*$")
_NO_VALUE = re.compile(
    r"^(?:你|您|这|那|它|他|她|什么|谁|哪|怎么|不|没|很|太|的|了|一下|自己|一直|也)"
)
_PAST = re.compile(r"以前|曾经|从前")
_WHEN_FIRST = re.compile(
    r"^(?:今天|昨天|前天|明天|后天|今年|去年|前年|明年|最近|刚才|[上下这]个?(?:周|星期"
    r"|月)[一二三四五六日天]?)[，,]?(?=我)"
)
# A further statement about the same subject: "我哥哥住在广州，是一名厨师".
_SUBJECT = re.compile(rf"我(?:的|家)?(?:{RELATION}(?:[\u4e00-\u9fff]{{2,3}}(?=住|在|是))?)?")
_FURTHER_VERB = re.compile(r"[，,](?=(?:现在|目前)?(?:是|在|住|来自|今年|喜欢|讨厌|会))")
_INTRODUCED = re.compile(rf"我(?:们|家)?(?:有|养|领养)了?(?:一?[个只条位匹辆])?(?P<s>{RELATION})")
_RELATION_FIRST = re.compile(rf"我(?:们|家)?的?(?P<s>{RELATION})")
_FIRST_PERSON = re.compile(r"(?:我|咱|叫我)")
_PRONOUN = re.compile(r"^[他她它](?=今年|[\d一二三四五六七八九十]+岁|是|住|在|叫|喜欢|讨厌|会|有)")
_PLACE = r"(?P<v>(?!\d)[^\s，,。！!？?；;]{1,12})"
_V = r"(?P<v>[^\s，,。！!？?；;]{1,16})"
# Without "called", a name is told from other words by its surname.
_FULL_NAME = (
    r"(?P<v>(?:欧阳|上官|司马|诸葛"
    r"|[王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林郑罗梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜"
    r"叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤])"
    r"[\u4e00-\u9fff]{1,2}(?<![生人师员家工手子友迷族者粉长的了]))"
)
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
        r"(?:是|叫)(?P<new>[\u4e00-\u9fff\w]{1,8})[，,]?\s*(?:不是"
        r"|不叫)(?P<old>[\u4e00-\u9fff\w]{1,8})",
        lambda match: Replacement(old=match["old"], new=match["new"]),
    ),
    (rf"我(?:的名字)?(?:叫做?|名叫){_NAME}$", _user("name", "我叫{}。", 0.95)),
    (rf"我的名字是{_NAME}$", _user("name", "我叫{}。", 0.95)),
    (
        rf"(?:你?可以|请)?(?:叫我|称呼我|管我叫)(?!来|去|回|起|做|帮|一|早|别|不|吃){_NAME}(?:就好"
        rf"|吧|就行)?$",
        _user("name", "我叫{}。", 0.85),
    ),
    (rf"我(?:现在|目前)?住在{_V}", _user("home", "我住在{}。")),
    (
        rf"我(?:刚|最近|已经|去年|今年|上个月|上周)?(?:从[^\s，,]{{1,8}}?)?搬(?:家)?(?:到"
        rf"|去)了?{_V}",
        _user("home", "我住在{}。", 0.85),
    ),
    (rf"我来自{_V}", _user("origin", "我来自{}。")),
    (r"我是(?P<v>[\u4e00-\u9fff]{2,5})人$", _user("origin", "我是{}人。", 0.85)),
    (rf"我(?:现在|目前)?在{_V}(?:工作|上班)", _user("employer", "我在{}工作。")),
    (rf"我(?:现在)?(?:是|当)(?:一?[名个位])?(?P<v>{_JOB})$", _user("job", "我是{}。")),
    (rf"我(?:就)?是{_FULL_NAME}$", _user("name", "我叫{}。", 0.8)),
    (rf"我(?:现在)?在{_V}当{_JOB}$", _user("employer", "我在{}工作。")),
    (rf"我对{_V}过敏", _user("allergy", "我对{}过敏。", 0.95)),
    (rf"我的?生日是{_V}", _user("birthday", "我的生日是{}。", 0.95)),
    (
        r"我是?(?P<v>(?:\d+年)?[\d一二三四五六七八九十]+月[\d一二三四五六七八九十]+[日号])(?:出生"
        r"|生)",
        _user("birthday", "我的生日是{}。"),
    ),
    (r"我(?:今年)?(?P<v>[\d一二三四五六七八九十]{1,4})岁", _user("age", "我{}岁。")),
    (r"我(?:是)?(?P<v>素食者|素食主义者|吃素)", _user("diet", "我{}。")),
    (rf"我(?:从来)?不(?:能)?吃{_V}", _user("does not eat", "我不吃{}。")),
    (rf"我最喜欢的(?P<s>[\u4e00-\u9fff]{{1,6}}?)是{_V}", _favourite),
    (
        rf"我的?(?P<s>{RELATION})(?:的名字)?(?:叫做?|名叫|是叫){_NAME}$",
        _of("name", "我的{}叫{}。"),
    ),
    (
        rf"我(?:昨天|今天|刚|最近|刚刚)?(?:领养|收养|买"
        rf"|养)了?(?:一?[只个条匹辆])?(?P<s>{RELATION})[，,]?(?:它|他|她)?"
        rf"(?:叫|名叫){_NAME}$",
        _of("name", "我的{}叫{}。"),
    ),
    (rf"我的?(?P<s>{RELATION})的名字是{_NAME}$", _of("name", "我的{}叫{}。")),
    (
        rf"我(?:家)?有(?:一?[只个条位匹辆])?(?P<s>{RELATION})[，,]?(?:它|他|她)?(?:叫"
        rf"|名叫){_NAME}$",
        _of("name", "我的{}叫{}。"),
    ),
    (rf"我的?(?P<s>{RELATION})[^，,\s]{{0,3}}住在{_V}", _of("home", "我的{}住在{}。")),
    (
        rf"我的?(?P<s>{RELATION})(?:今年)?(?P<v>[\d一二三四五六七八九十两]{{1,4}})岁",
        _of("age", "我的{}{}岁。"),
    ),
    (
        rf"我的?(?P<s>{RELATION})(?:现在)?(?:是|当)(?:一?[名个位])?(?P<v>{_JOB})$",
        _of("job", "我的{}是{}。"),
    ),
    (
        rf"我的?(?P<s>{RELATION})(?:是)?出生(?:在|于){_PLACE}",
        _of("birthplace", "我的{}出生在{}。"),
    ),
    (rf"我(?:是)?出生(?:在|于){_PLACE}", _user("birthplace", "我出生在{}。")),
    (r"我(?:是)?(?:出生于|生于)(?P<v>(?:19|20)\d\d)年?", _user("birth_year", "我出生于{}年。")),
    (r"我(?:是)?(?P<v>(?:19|20)\d\d)年(?:出生|生)的?", _user("birth_year", "我出生于{}年。")),
    (rf"我的?(?P<s>{RELATION})的?生日是{_V}", _of("birthday", "我的{}的生日是{}。")),
    (rf"我的?(?P<s>{RELATION})对{_V}过敏", _of("allergy", "我的{}对{}过敏。")),
    (
        r"我会(?:说|讲)(?P<v>[\u4e00-\u9fff]{1,4}[语文话](?:[、，,和与]+[\u4e00-\u9fff]{1,4}[语文话])*)$",
        _user("speaks", "我会说{}。"),
    ),
    (
        r"我会(?:弹|拉|吹|打)(?P<v>钢琴|吉他|小提琴|大提琴|二胡|古筝|长笛|鼓|篮球|网球|羽毛球"
        r"|乒乓球)",
        _user("plays", "我会演奏或玩{}。"),
    ),
    (rf"我(?:真的|很|非常|特别)?(?:讨厌|不喜欢|受不了){_V}", _user("dislikes", "我不喜欢{}。")),
    (rf"我(?:真的|也|很|非常|特别|最|超)*(?:喜欢|爱){_V}", _user("likes", "我喜欢{}。", 0.8)),
]
_LIST = r"(?P<v>[\u4e00-\u9fffA-Za-z]{1,6}(?:[、，,和与][\u4e00-\u9fffA-Za-z]{1,6})+)"
_LISTS = [
    re.compile(rule)
    for rule in (
        rf"我(?:们|家)?有(?P<n>[两二三四五六七八九十\d]+[只个条位匹辆])(?P<s>{RELATION})[，,：:]?(?:分别)?(?:它们|他们|她们)?(?:叫|名叫|是)?{_LIST}",
        rf"我(?:们|家)?的?(?P<s>{RELATION})们?(?:分别)?(?:叫|名叫){_LIST}",
    )
]


def _names(match: re.Match[str]) -> Sequence[Finding]:
    """Reads "两只狗，叫旺财和来福": the number, and a name for each."""
    relation = match["s"]
    named = [
        Candidate(
            subject=relation,
            attribute="name",
            value=name,
            text=f"我的{relation}叫{name}。",
            confidence=0.9,
        )
        for name in re.split("[、，,和与]", match["v"])
    ]
    if not (number := match.groupdict().get("n")):
        return named
    counted = f"{number}{relation}"
    return [
        Candidate(
            subject=USER, attribute="has", value=counted, text=f"我有{counted}。", confidence=0.85
        ),
        *named,
    ]


_COMPILED = [(re.compile(rule), make) for rule, make in _RULES]


def is_no_value(value: str) -> bool:
    """Returns whether a value refers to its context or is no value at all."""
    return _NO_VALUE.match(value) is not None


def clauses(sentence: str) -> Iterator[str]:
    """Splits a sentence into clauses, each with its subject: "我哥哥住在广州"."""
    for clause in _CLAUSE.split(sentence):
        said = clause.strip()
        while (shorter := _PREFIX.sub("", said)) != said:
            said = shorter
        said = said.strip(" ，,。.")
        subject = _SUBJECT.match(said)
        first, *further = _FURTHER_VERB.split(said) if subject is not None else [said]
        if first:
            yield first
        introduced = _INTRODUCED.match(said)
        whose = f"我的{introduced['s']}" if introduced else subject.group() if subject else ""
        for part in further:
            yield f"{whose}{part}"


def subject_of(clause: str) -> str:
    """Returns `USER`, a relation such as "狗", or "" if a clause is about something else."""
    clause = _WHEN_FIRST.sub("", clause)
    if (match := _RELATION_FIRST.match(clause)) is not None:
        return match["s"]
    return USER if _FIRST_PERSON.match(clause) else ""


def with_subject(clause: str, subject: str) -> str:
    """Replaces the pronoun at the beginning of a clause: "它四岁了" -> "我的狗四岁了"."""
    return _PRONOUN.sub(f"我的{subject}", clause, count=1) if subject not in {"", USER} else clause


def read(clause: str) -> Sequence[Finding]:
    """Returns the findings of a clause; most have one at most."""
    if _PAST.search(clause):
        return ()
    clause = _WHEN_FIRST.sub("", clause)
    cut = _TAIL.sub("", clause)
    for listed in _LISTS:
        if (match := listed.fullmatch(clause)) is not None:
            return _names(match)
    for pattern, make in _COMPILED:
        match = pattern.match(clause) or pattern.match(cut)
        if match is None:
            continue
        value = match.groupdict().get("v")
        if value is not None and _NO_VALUE.match(value):
            return ()
        made = make(match)
        if isinstance(made, Candidate | Ending) and _TAIL.sub("", made.value) != made.value:
            again = pattern.match(cut)
            return () if again is None else (make(again),)
        return (made,)
    return ()
