"""Distinguishes questions from statements, with or without punctuation."""

import re
from typing import Final

from text.abbreviations import surely_ends_in_abbreviation as ends_in_abbreviation
from text.languages import has_chinese

_SENTENCE: Final = re.compile(r"[^.!?。！？\n]+(?:\.(?=\d)[^.!?。！？\n]+)*[.!?。！？]*")
_ASKS: Final = re.compile(
    r"^(?:(?:and|but|so|well|then|now|ok|okay|hey|please|also|or|tell me|say) )*"
    r"(?:what|who|whom|whose|where|when|why|how|which|is|are|am|was|were|do|does|did|can|could|will"
    r"|would|should|shall|may|might|has|have|had|tell me|remind me|do you|explain)\b"
    r"|\b(?:do|can|could|would) you (?:know|remember|recall|tell|say)\b"
    r"|^if\b.*\b(?:can|could|do|does|will|would|are|is|what|how) (?:you|i|it|is|do|happens)\b",
    re.IGNORECASE,
)
_ASKS_CHINESE: Final = re.compile(
    r"[吗呢]$|什么|谁|哪|几(?!乎|年前|天前)|多(?:少|大|久|高|远|长|快|重)|怎么|怎样|为什么|为啥"
    r"|是不是|有没有|能不能|可不可以"
    r"|^(?:请问|告诉我)"
)
_STATES: Final = re.compile(
    r"^(?:(?:yesterday|today|tomorrow|tonight|last \w+|this \w+),? )?"
    r"(?:he|she|it|they|this|these|those|there|the|an?|his|her|their|its|some|many|most|people"
    r"|everyone"
    r"|everybody|someone|somebody|nobody|if|suppose|let'?s say|pretend|imagine|maybe|perhaps|in the"
    r"|(?-i:[A-Z])[\w'-]+) (?:[\w'-]+ )*?"
    r"(?:is|was|are|were|has|had|will|does|did|can|could|would|said|says|(?-i:[a-z])\w+ed"
    r"|(?-i:[a-z])\w+[^s\W]s"
    r"|went|came|got|took|made|saw|won|lost|that|i|my)\b",
    re.IGNORECASE,
)
_TO_THE_LISTENER: Final = re.compile(
    r"\b(?:you|your|yours|answer|question)\b|你|您|回答|问题", re.IGNORECASE
)
_REMARKS: Final = re.compile(
    r"(?:you|that|this|it|there|they|we|i) (?!want|need|would like)[\w']+|(?:you|that|it|there"
    r"|i)'(?:re|s|m) "
    r"|(?:你|那|这|我们).*(?:了|是|很|太|真|不)",
    re.IGNORECASE,
)
_STATES_CHINESE: Final = re.compile(
    r"^(?:[他她它]|我们|这|那|今天|昨天|前天|明天|最近|上个?周|下个?周|去年|今年|外面|天气|有(?:个"
    r"|一个)?人|大家)"
    r"|^(?!请|帮|给我|讲|说说|告诉|放|换|设|打开|关|停|继续|等|再|把|别|不要|来|大声|小声|快"
    r"|慢).*(?:了|过|很|太).*"
)


def sentences(text: str) -> list[str]:
    """Splits a text at its full stops, question marks and line ends."""
    parts: list[str] = []
    for found in _SENTENCE.findall(text):
        is_open = bool(parts) and ends_in_abbreviation(parts[-1].rsplit(None, 1)[-1])
        if is_open and found.strip():
            parts[-1] += found
        elif found.strip():
            parts.append(found)
    return [part.strip() for part in parts]


def is_question(sentence: str) -> bool:
    """Whether a sentence ends as a question does."""
    said = sentence.rstrip("\"'”’ ")
    return said.endswith(("?", "？")) or (has_chinese(said) and said.rstrip("。").endswith("吗"))


def asks(sentence: str) -> bool:
    """Whether a sentence is a question, also without a question mark."""
    said = sentence.strip().rstrip(".。! ")
    pattern = _ASKS_CHINESE if has_chinese(said) else _ASKS
    return is_question(sentence) or pattern.search(said) is not None


def states(sentence: str) -> bool:
    """Whether a sentence states something about the world, not about the listener."""
    said = sentence.strip()
    if asks(said) or _TO_THE_LISTENER.search(said) is not None:
        return False
    if has_chinese(said):
        return len(said) > 3 and _STATES_CHINESE.search(said) is not None
    return _STATES.search(said) is not None


def remarks(sentence: str) -> bool:
    """Whether a sentence says something about the listener or the talk: "You forgot me!"."""
    said = sentence.strip()
    return not asks(said) and _REMARKS.match(said) is not None
