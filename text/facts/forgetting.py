"""Reads the wish that something be forgotten: one thing, a kind of thing, or everything."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from text.facts.asked import Asked, asked
from text.facts.candidate import Candidate
from text.facts.clauses import clauses
from text.languages import has_chinese


class Scope(Enum):
    """How much is to be forgotten."""

    LAST = "last"
    """What was said just now."""
    SOME = "some"
    EVERYTHING = "everything"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A wish to forget."""

    scope: Scope
    about: tuple[Asked, ...] = ()
    """For `SOME`: what is to be forgotten, each of them."""
    is_confirmed: bool = False
    """For `EVERYTHING`: it was confirmed in the same breath."""


_WISH: Final = re.compile(
    r"(?P<yes>yes,? )?(?:(?:no|please|oh|ok|okay|actually|now|well|then|anima|i want you to"
    r"|you (?:can|should|must)"
    r"|(?:can|could|would|will) you(?: please)?|just)[,.! ]+)*"
    r"(?:forget|delete|erase|wipe|remove|do not remember|don't remember"
    r"|stop remembering)\s+(?P<what>.+)",
    re.IGNORECASE,
)
_WISH_CHINESE: Final = re.compile(
    r"(?P<yes>是的?[，,]?|对[，,]?|好的?[，,]?)?(?!你忘了.*[^吧]$)(?:请|麻烦|你|帮我|给我|现在"
    r"|可以|能不能|能)*"
    r"(?:(?:忘掉|忘记|忘了|删除|删掉|清除|抹掉|别记住?|不要记住?)(?P<what>.+)"
    r"|(?P<object>(?:把|全部|所有|一切|关于我).*?)(?:都|全|全部|也)*"
    r"(?:忘掉|忘记|忘了|删除|删掉|删了|清除|清空|抹掉).{0,2})"
)
_LAST: Final = re.compile(
    r"(?:about )?(?:that|it|this|(?:what|the thing|everything)? ?i (?:have )?(?:just )?(?:said"
    r"|told you|mentioned)"
    r"(?: just now)?)(?: again)?(?:,? please)?"
    r"|(?:这个|那个|这件事|那件事|这些|它|我刚才说的(?:话)?|我刚说的(?:话)?)(?:吧|了)?"
)
_EVERYTHING: Final = re.compile(
    r"(?:me|(?:all|everything|anything|all of it|all data|the whole lot)"
    r"(?: (?:that )?(?:you (?:know|remember|have|store|stored|saved)"
    r"|i (?:have )?(?:ever )?told you|there is))*"
    r"(?: (?:about|of|on) me)?|(?:all )?(?:of )?my (?:data|information|memories|memory"
    r"|details))(?:,? please)?"
    r"|(?:你(?:知道|记住|记得|保存)的?)?(?:关于|有关)?我(?:的|说过的?|告诉过?你的)?(?:全部|一切"
    r"|所有)?(?:的)?"
    r"(?:一切|所有|全部|数据|信息|记忆|资料|事情|所有事|所有信息|所有数据|内容)?(?:都|全部)?(?:吧"
    r"|了)?"
    r"|(?:全部|一切|所有)(?:的)?(?:记忆|数据|信息|内容)?(?:吧|了)?"
)
_ASKS_ABOUT: Final = re.compile(
    r"^(?:(?:all|everything|anything) )?(?:(?:what|that|which) )?(?:you (?:know|remember"
    r"|have stored|stored)"
    r"|i (?:have )?(?:told|said)(?: to)?(?: you)?)?\s*(?:about|of|on|that)?\s+",
    re.IGNORECASE,
)
_ASKS_ABOUT_CHINESE: Final = re.compile(
    r"^(?:你(?:知道|记住|记得|保存)的?)?(?:所有|一切|全部)?(?:关于|有关)?|(?:的)?(?:事情?|信息"
    r"|内容|那件事)?(?:吧|了)?$"
)
_NOT_AN_ORDER: Final = re.compile(r"\b(?:something|things|how|why)\b|一些事|什么|怎么")
# "Delete the file" is nothing that was told.
_SURELY_FORGET: Final = re.compile(r"\b(?:forget|remember(?:ing)?|you know)\b|忘|记", re.IGNORECASE)
# Words that mean an ability, not a wish: "Can you delete what you know?"
_ABILITY: Final = re.compile(
    r"^(?:can|could|do) you\b(?!.*\bplease\b)|^(?:你)?(?:可以|能|会|能不能)(?!.*请)"
)


_CONSENT: Final = re.compile(
    r"(?:yes|yeah|yep|sure|of course|ok(?:ay)?|please|do it|do so|go ahead|i am sure|i'm sure"
    r"|really|certainly"
    r"|absolutely|confirm(?:ed)?|right|everything|all of it|[,. ])+"
    r"|(?:是的?|对的?|好的?|确定|确认|可以|当然|没错|嗯|要|删吧|全部|请|吧|[，。,. ])+",
    re.IGNORECASE,
)


def is_consent(text: str) -> bool:
    """Whether a turn says yes, and nothing else."""
    return _CONSENT.fullmatch(text.strip().rstrip("!！")) is not None


def wish_to_forget(text: str) -> Wish | None:
    """Reads a turn; returns None if it is no wish to forget."""
    said = " ".join(text.replace("’", "'").split()).rstrip(".!。！ ")
    if not said or said.endswith(("?", "？", "吗")) or _ABILITY.search(said.lower()):
        return None
    chinese = has_chinese(said)
    match = (_WISH_CHINESE if chinese else _WISH).fullmatch(said)
    if match is None or _NOT_AN_ORDER.search(said):
        return None
    what = match["what"] or (match["object"] if chinese else "")
    what = what.strip(" ，,").removeprefix("把")
    if _LAST.fullmatch(what.lower()):
        return Wish(scope=Scope.LAST)
    if _EVERYTHING.fullmatch(what.lower()):
        return Wish(scope=Scope.EVERYTHING, is_confirmed=bool(match["yes"]))
    about = tuple(_about(what, chinese=chinese))
    is_theirs = any(one.subject for one in about) or _SURELY_FORGET.search(said) is not None
    return Wish(scope=Scope.SOME, about=about) if is_theirs else None


def _about(what: str, *, chinese: bool) -> list[Asked]:
    """Returns what a wish names: a statement ("that I have a dog") or a thing ("my dog")."""
    stated = re.sub(r"^(?:that|about the fact that) ", "", what, flags=re.IGNORECASE)
    found = [
        Asked(subject=fact.subject, attributes=(fact.attribute,), words=fact.value, is_yes_no=True)
        for clause in clauses(stated)
        for fact in clause.findings
        if isinstance(fact, Candidate)
    ]
    if found:
        return found
    thing = (_ASKS_ABOUT_CHINESE if chinese else _ASKS_ABOUT).sub("", what)
    return [asked(thing)]
