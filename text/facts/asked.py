"""Reads what a question about the person asks for: whose, and which of the attributes of facts."""

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from text.facts.candidate import USER, Candidate
from text.facts.chinese import RELATION as RELATION_CHINESE
from text.facts.english import RELATIONS, singular
from text.languages import has_chinese
from text.normal import normalised

_ALIKE: Final = (
    frozenset({"mother", "mum", "mom"}),
    frozenset({"father", "dad"}),
    frozenset({"grandmother", "grandma"}),
    frozenset({"grandfather", "grandpa"}),
    frozenset({"dog", "puppy"}),
    frozenset({"cat", "kitten"}),
    frozenset({"child", "kid"}),
    frozenset({"妈妈", "母亲"}),
    frozenset({"爸爸", "父亲"}),
    frozenset({"妻子", "太太", "老婆"}),
    frozenset({"丈夫", "先生", "老公"}),
    frozenset({"狗", "狗狗"}),
    frozenset({"猫", "猫咪"}),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is asked about, or is to be forgotten."""

    subject: str
    """`USER`, a relation such as "dog", or "" for anything else."""
    attributes: tuple[str, ...]
    """The attributes that answer it, the best one first; empty: none of the known ones."""
    words: str
    """The words that do not name subject or attribute: "tea" of "Do I like tea?"."""
    is_yes_no: bool = False
    """Whether only facts with these words answer it."""
    stated: str = ""
    """Words of statements that answer it if no fact does."""

    def covers(self, fact: Candidate) -> bool:
        """Whether a fact has the subject and one of the attributes."""
        return self.has_subject(fact.subject) and fact.attribute in self.attributes

    def has_subject(self, subject: str) -> bool:
        """Whether the question may be about a subject of facts."""
        return same_relation(self.subject, subject)


def same_relation(one: str, other: str) -> bool:
    """Whether two relations may mean the same: "mum" and "mother", "friend" and "best friend"."""
    if one == other:
        return True
    if not one or not other or USER in (one, other):
        return False
    ends = {one.rpartition(" ")[2], other.rpartition(" ")[2]}
    if len(ends) == 1:
        # "older sister" is not "younger sister".
        return one in ends or other in ends
    return any(ends <= group for group in _ALIKE)


_APOSTROPHE_S: Final = re.compile(r"\b(what|who|where|when|how)'s\b")
_NOT: Final = re.compile(r"n't\b")
_MARKS: Final = re.compile(r"[^\w\s'@]|_")
_OWN_RELATION: Final = re.compile(rf"\b(?:my|our) (?P<s>{RELATIONS})\b")
_I: Final = re.compile(r"\b(?:i|me|we|us|myself)\b")
_MY: Final = re.compile(r"\b(?:my|our|mine)\b")
_OWN_RELATION_CHINESE: Final = re.compile(rf"我(?:们|家)?的?(?P<s>{RELATION_CHINESE})")
_YES_NO: Final = re.compile(r"^(?:do|does|did|am|is|are|have|has|can)\b|(?:吗|没有)$")


_TABLES: Final = tomllib.loads((files("text.facts") / "questions.toml").read_text(encoding="utf-8"))
_EVERYTHING: Final = {tag: re.compile(asks) for tag, asks in _TABLES["everything"].items()}
_RULES: Final = {
    language: tuple(
        (re.compile(rule["asks"]), tuple(rule["attributes"]), rule.get("stated", ""))
        for rule in _TABLES[language]
    )
    for language in ("en", "zh")
}
_FAVOURITE: Final = re.compile(
    r"@'s favou?rite (?P<what>\w+)|@最喜欢的(?P<zh>[\u4e00-\u9fff]{1,6}?)(?:是|叫|$)"
    r"|@最喜欢(?:什么|哪.)(?P<what_zh>[\u4e00-\u9fff]{1,6}?)[呢？?]?$"
)


def asked(question: str) -> Asked:
    """Reads a question, or a phrase such as "my name".

    Args:
        question: The words, in English or Chinese, with or without punctuation.
    """
    chinese = has_chinese(question)
    subject, text = _with_sign(question, chinese=chinese)
    if not subject:
        return Asked(subject="", attributes=(), words=question)
    if (favourite := _FAVOURITE.search(text)) is not None:
        what = next(value for value in favourite.groups() if value)
        return Asked(subject=subject, attributes=(f"favourite {what}",), words="")
    for pattern, names, stated in _RULES["zh" if chinese else "en"]:
        if pattern.search(text) is not None:
            words = pattern.sub(" ", text).replace("@", " ")
            needs = _YES_NO.search(text) is not None or names == ("has",)
            return Asked(
                subject=subject,
                attributes=names,
                words=words,
                is_yes_no=needs,
                stated=stated,
            )
    # "My dentist appointment" is not about the dentist.
    return Asked(subject=USER, attributes=(), words=question)


def asks_for_all(question: str) -> bool:
    """Whether a question asks for all that is known about the person."""
    chinese = has_chinese(question)
    text = normalised(question)
    text = re.sub(r"[^\w]|_", "", text) if chinese else " ".join(_MARKS.sub(" ", text).split())
    return _EVERYTHING["zh" if chinese else "en"].fullmatch(text) is not None


def _with_sign(question: str, *, chinese: bool) -> tuple[str, str]:
    """Returns the subject, and the question with "@" for it."""
    text = normalised(question)
    if chinese:
        text = re.sub(r"[^\w]|_", "", text)
        if (own := _OWN_RELATION_CHINESE.search(text)) is not None:
            return own["s"], _OWN_RELATION_CHINESE.sub("@", text, count=1)
        return (USER, text.replace("我", "@")) if "我" in text else ("", text)
    text = _NOT.sub(" not", _APOSTROPHE_S.sub(r"\1 is", text)).replace("cannot", "can not")
    text = " ".join(_MARKS.sub(" ", text.replace("ca not", "can not")).split())
    if (own := _OWN_RELATION.search(text)) is not None:
        return singular(own["s"]), _OWN_RELATION.sub("@", text, count=1)
    signed = _MY.sub("@'s", _I.sub("@", text))
    return (USER, signed) if signed != text else ("", text)
