"""Distinguishes what people assert of themselves from what they suppose, play or report.

"If I lived in Paris", "Pretend that my name is Bond" and "My sister says: I am allergic to nuts"
contain sentences that look like facts of the speaker and are none.
"""

import re
from enum import Enum
from typing import Final


class Reality(Enum):
    """Whose word a sentence is."""

    OWN = "own"
    """The speaker asserts it."""
    REPORTED = "reported"
    """Somebody else said it, or is said to."""
    UNREAL = "unreal"
    """A hypothesis, a wish, a joke, a role, a quotation."""


_OPENS_UNREAL: Final = re.compile(
    r"^(?:if|suppose|supposing|imagine|assume|assuming|maybe|perhaps|what if|let'?s (?:say|pretend"
    r"|assume"
    r"|imagine|suppose|play)|pretend|in (?:the|my|this|that|a) (?:film|movie|book|story|novel|play"
    r"|game|song|dream|series|joke))\b"
    r"|^(?:如果|要是|假如|假设|假装|假扮|扮演|就当|当作|想象|希望|但愿|也许|大概|可能|梦见|梦里"
    r"|[^，,]{0,4}(?:电影|小说|故事|书|游戏|歌|电视剧|笑话)里)",
    re.IGNORECASE,
)
_UNREAL: Final = re.compile(
    r"\b(?:wish|would|could|might|dreamt|dreamed|pretend(?:ing)?|imagine|story|joke"
    r"|quote|once upon|not sure|probably|hypothetically|as if|play the role)\b"
    r"|如果|要是|假如|假设|假装|梦见|希望|但愿|可能|也许|大概",
    re.IGNORECASE,
)
_JOKE: Final = re.compile(
    r"\b(?:kidding|joking)\b|\bas a joke\b|开玩笑|说笑的?|逗你", re.IGNORECASE
)
_SAYS: Final = (
    r"(?:say|says|said|tells?|told|claims?|claimed|thinks?|thought|believes?|believed|wrote|writes"
    r"|asks|asked|swears?|swore|shouts?|shouted|reads)"
)
_REPORTED: Final = re.compile(
    rf"^(?!(?:i|we|i've|i'm|as i|like i|my name|call)\b)(?:[\w'-]+ ){{1,6}}{_SAYS}\b"
    r"|^(?:据说|听说)|^(?!我(?:会|想|要|是|就|来|不|刚才|刚刚|们)?说)[^，,。：:]*?(?:说|表示|认为"
    r"|觉得|告诉|写道)过?"
    r"(?:[：:，,“\"]|我|他|她|自己)",
    re.IGNORECASE,
)


def opening(sentence: str) -> Reality:
    """Returns whose word a whole sentence is, by its beginning."""
    said = sentence.strip().lstrip("\"'“‘ ").replace("’", "'")
    if _OPENS_UNREAL.search(said):
        return Reality.UNREAL
    return Reality.REPORTED if _REPORTED.search(said) else Reality.OWN


def reality(clause: str) -> Reality:
    """Returns whose word a clause is; one that begins with "I" or "my name" is the speaker's."""
    if _UNREAL.search(clause):
        return Reality.UNREAL
    return opening(clause)


def is_joke(text: str) -> bool:
    """Whether the speaker says that a text is a joke."""
    return _JOKE.search(text) is not None
