"""Whether a question asks for a time or a number, and whether an item tells one.

English only: for other languages the effect is unknown, so their items rank as they are.
"""

import re
from typing import Final

from text.normal import normalised

_DAYS: Final = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_MONTHS: Final = "january|february|march|april|june|july|august|september|october|november|december"
_ASKS_WHEN: Final = re.compile(
    r"\W*(?:when|how long|on what|(?:in )?(?:what|which) (?:day|date|month|year))\b"
)
_TELLS_WHEN: Final = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|recently|just|since"
    r"|(?:last|next|this) (?:week|weekend|month|year|night|spring|summer|fall|autumn|winter"
    rf"|{_DAYS})|for (?:\w+ ){{1,2}}years?|{_DAYS}|{_MONTHS}|\d{{4}})\b"
)
_ASKS_HOW_MANY: Final = re.compile(r"\bhow (?:many|much|often)\b")
_TELLS_HOW_MANY: Final = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twice|once|couple|few|several|many"
    r"|dozens?|hundreds?|thousands?)\b"
)


def asks_when(question: str) -> bool:
    """Returns whether a question asks for a time."""
    return _ASKS_WHEN.match(normalised(question)) is not None


def tells_when(text: str) -> bool:
    """Returns whether a text tells a time."""
    return _TELLS_WHEN.search(normalised(text)) is not None


def asks_how_many(question: str) -> bool:
    """Returns whether a question asks for a number."""
    return _ASKS_HOW_MANY.search(normalised(question)) is not None


def tells_how_many(text: str) -> bool:
    """Returns whether a text tells a number."""
    return _TELLS_HOW_MANY.search(normalised(text)) is not None
