"""Removes the tokens of a chat template that a model wrote as text, and the name before them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_TOKEN: Final = re.compile(
    r"<\|im_start\|>(?:system|user|assistant)?\n?"
    r"|<\|start_header_id\|>\w{1,20}<\|end_header_id\|>\n*"
    r"|<start_of_turn>(?:model|user)?\n?|<end_of_turn>"
    r"|<\|[^|<>\s]{1,40}\|>|<｜[^｜<>]{1,40}｜>|</?s>(?!\w)|<(?:bos|eos|pad|unk)>|\[TOOL_CALLS\]"
)
_OPEN: Final = re.compile(
    r"<(?:[|｜][^|｜<>\n]{0,40}[|｜]?|/?s?|[a-z_]{0,14}|\|im_start\|>[a-z]{0,9}"
    r"|\|start_header_id\|>\w{0,20}(?:<[\w|]{0,16})?"
    r"|start_of_turn>[a-z]{0,5})$|\[[A-Z_]{0,10}$"
)
_NAME: Final = re.compile(
    r"\s*(?P<marks>[*_]{0,3})(?P<name>[^:：*_\n]{1,60}?)\s*"
    r"(?:(?P=marks)\s*[:：]|[:：]\s*(?P=marks))\s*(?=\S)"
)
_SPEAKERS: Final = ("assistant",)


class ControlTokens:
    """Removes control tokens from a text that arrives in pieces of any size.

    Args:
        names: The names of who speaks; "Anima: " at the start of an answer is removed.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {name.casefold() for name in (*names, *_SPEAKERS) if name}
        self._held = ""
        self._beginning = ""  # of the answer, while it may be a name
        self._at_start = True

    def feed(self, text: str) -> str:
        """Takes more text; returns the part that certainly belongs to the answer."""
        self._held += text
        opened = _OPEN.search(self._held)
        end = opened.start() if opened else len(self._held)
        whole, self._held = _TOKEN.sub("", self._held[:end]), self._held[end:]
        return self._without_name(whole) if self._at_start else whole

    def finish(self) -> str:
        """Returns the text that was held back."""
        held, self._held = self._beginning + _TOKEN.sub("", self._held), ""
        self._beginning = ""
        return held

    def _without_name(self, text: str) -> str:
        """Removes the name at the start; returns nothing while it may still be one."""
        text = self._beginning + text
        self._beginning = ""
        match = _NAME.match(text)
        if match and match["name"].casefold() in self._names:
            self._at_start = False
            return text[match.end() :]
        name = text.strip("*_ \t\n").rstrip(":：").rstrip("*_ ").casefold()
        if any(each.startswith(name) for each in self._names) and "\n" not in text.strip():
            self._beginning = text
            return ""
        self._at_start = False
        return text
