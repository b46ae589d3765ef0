"""Markup inside a line, read while it arrives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from services.llm.speech.html_names import NAMES
from services.llm.speech.markdown import Kind, Piece, can_open, pieces_of
from text.scripts import is_ideographic

_MAX_HELD_CHARS: Final = 120
_MAX_LINK_CHARS: Final = 400
_MAX_TAG_CHARS: Final = 80
# What may become markup with the next character, whatever is before it.
_OPEN_END: Final = re.compile(r"\\$|&#?\w{0,31}$|(?:^|(?<=\s))!$|[*_~`<$\[]$")
_MARKERS: Final = re.compile(r"[*_~`\[<$(（]|\\[(\[]|!\[")
_TAG: Final = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)?(\s[^<>]*)?$")
_ADDRESS: Final = re.compile(r"<(?:https?|mailto|ftp):[^\s<>]*|<[\w.+-]{1,40}(?:@[\w.-]*)?")
_ASIDE: Final = re.compile(r"[(（](?:[a-z]{1,12}(?: [a-z]{0,12}){0,4}|[\u4e00-\u9fff]{0,5})$")
_CUT_LINK: Final = re.compile(r"!?\[([^\[\]]*)\]\([^)]*$")
_LONE: Final = re.compile(r"[^\s*_~`\[\]<>$\\&!()（|]")


class InlineStream:
    """The text of a paragraph, one character at a time.

    A character is held back only while it may be part of markup: then the parser decides.
    """

    def __init__(self) -> None:
        self._before = ""  # stands for the character before the held ones
        self._held = ""
        self._given = 0  # how many characters of the held ones' text were returned
        self._strong = False  # a bold text whose beginning was already returned

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held, so that ordinary letters are text."""
        return not self._held

    def passed(self, text: str) -> None:
        """Takes note of ordinary letters and blanks that were spoken without being read here."""
        self._before = _stand_in(text[-1])

    def feed(self, char: str) -> Sequence[Piece]:
        """Takes a character; returns what is decided."""
        if not self._held and _LONE.fullmatch(char):
            self._before = _stand_in(char)
            return (Piece(char, Kind.TEXT),)
        self._held += char
        pieces = self._pieces()
        decided, opener = _decided(pieces, self._before)
        if opener == "**" and _begins_bold(self._held):
            return self._begin_bold(decided)
        if opener is not None and len(self._held) < _limit(opener):
            return self._new(decided)
        return self._reset(pieces)

    def finish(self) -> Sequence[Piece]:
        """Ends the paragraph; returns what was held back, as the parser reads it now."""
        if not self._held:
            self._before, self._strong = "", False
            return ()
        self._held = _CUT_LINK.sub(r"\1", self._held)
        rest = self._reset(self._pieces(last=True))
        self._before, self._strong = "", False
        return rest

    def _pieces(self, *, last: bool = False) -> list[Piece]:
        pieces = pieces_of(self._before + self._held)
        if self._before and pieces:
            pieces[0] = Piece(pieces[0].text.removeprefix(self._before), pieces[0].kind)
        pieces = self._without_end_of_bold(pieces, last=last)
        return [piece for piece in pieces if piece.text or piece.kind is not Kind.TEXT]

    def _without_end_of_bold(self, pieces: list[Piece], *, last: bool) -> list[Piece]:
        if not self._strong or (self._held[-1] == "*" and not last):
            return pieces  # more stars may follow
        for index, piece in enumerate(pieces):
            at = piece.text.find("**") if piece.kind is Kind.TEXT else -1
            before = piece.text[:at][-1:] or self._before
            if at >= 0 and before and not before.isspace():
                self._strong = False
                parts = [
                    Piece(piece.text[:at], Kind.TEXT),
                    Piece("", Kind.GONE),
                    Piece(piece.text[at + 2 :], Kind.TEXT),
                ]
                return [*pieces[:index], *parts, *pieces[index + 1 :]]
        return pieces

    def _begin_bold(self, decided: Sequence[Piece]) -> Sequence[Piece]:
        new = self._new(decided)
        last = self._held[-1]
        self._held, self._given, self._strong = "", 0, True
        self._before = ""
        return [*new, Piece("", Kind.GONE), *self.feed(last)]

    def _new(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Returns what was not returned before."""
        new: list[Piece] = []
        position = 0
        for piece in pieces:
            size = len(piece.text) or 1
            if position >= self._given:
                new.append(piece)
            elif position + size > self._given:
                new.append(Piece(piece.text[self._given - position :], piece.kind))
            position += size
        self._given = max(self._given, position)
        return new

    def _reset(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        new = self._new(pieces)
        self._before = _stand_in(self._held[-1])
        self._held, self._given = "", 0
        return new


def _decided(pieces: Sequence[Piece], context: str) -> tuple[list[Piece], str | None]:
    """Returns the pieces up to the first marker that may still become markup, and the marker."""
    for index, piece in enumerate(pieces):
        if piece.kind is not Kind.TEXT:
            continue
        after = "".join(each.text for each in pieces[index + 1 :])
        before = pieces[index - 1].text[-1:] if index else context
        for match in _MARKERS.finditer(piece.text):
            at = match.start()
            marker = _open_marker(
                piece.text[at:] + after, piece.text[:at][-1:] or before, is_last=not after
            )
            if marker is not None:
                return [*pieces[:index], *_text(piece.text[:at])], marker
    last = pieces[-1] if pieces else Piece("", Kind.GONE)
    start = context if len(pieces) == 1 else ""
    if last.kind is Kind.TEXT and (end := _OPEN_END.search(start + last.text)):
        at = end.start() - len(start)
        return [*pieces[:-1], *_text(last.text[:at])], last.text[at:]
    return list(pieces), None


def _text(text: str) -> list[Piece]:
    return [Piece(text, Kind.TEXT)] if text else []


def _open_marker(text: str, before: str, *, is_last: bool) -> str | None:
    """Returns the marker at the start of a text if more text may make it markup."""
    first = text[0]
    run = text[: len(text) - len(text.lstrip(first))]
    after = text[len(run) : len(run) + 1]
    if first in "*_":
        undecided = not after or can_open(before, after)
        return run if undecided and not (before and _is_inside(before, after)) else None
    if first == "`":
        return run
    if first == "~":
        return run if not after or (len(run) == 2 and can_open(before, after)) else None
    if first in "([（":
        return first if _is_open_bracket(text, first) else None
    if first == "!":
        return "[" if _is_open_bracket(text[1:], "[") else None
    if first == "<":
        return "<" if _is_open_tag(text) else None
    if first == "\\":
        return "\\"
    undecided = not after or (not after.isspace() and not after.isdigit()) or len(run) > 1
    return "$" if undecided else None


def _is_inside(before: str, after: str) -> bool:
    """Whether a marker is inside a word, or may be: `a_` is followed by a letter, or ends."""
    return bool(after) and not can_open(before, after)


def _is_open_bracket(text: str, bracket: str) -> bool:
    if bracket in "(（":
        return _ASIDE.fullmatch(text) is not None or text == bracket
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "[") - (char == "]")
        if depth == 0:
            follows = text[at + 1 :]
            if not follows:
                return True
            return follows[0] == "(" and follows.count("(") > follows.count(")")
    return True


def _is_open_tag(text: str) -> bool:
    if _ADDRESS.fullmatch(text):
        return True
    if text.startswith("<!"):
        return "-->" not in text and ("<!--".startswith(text) or text.startswith("<!--"))
    tag = _TAG.fullmatch(text)
    if tag is None or len(text) > _MAX_TAG_CHARS:
        return False
    name = (tag[1] or "").lower()
    if tag[2]:
        return name in NAMES
    return not name or any(known.startswith(name) for known in NAMES)


def _begins_bold(held: str) -> bool:
    """Whether a held `**` is followed by a word that begins a bold text, not a name in code."""
    match = re.search(r"\*\*([^*])$", held)
    return match is not None and (
        match[1].isupper() or match[1].isdigit() or is_ideographic(match[1])
    )


def _limit(marker: str) -> int:
    return _MAX_LINK_CHARS if marker in ("[", "<") else _MAX_HELD_CHARS


def _stand_in(char: str) -> str:
    """Returns a character that is read like another one before markup, and is none itself."""
    if char.isspace():
        return ""
    if is_ideographic(char):
        return "中"
    if char.isalnum():
        return "x"
    return "." if char in ".,;:!?，。！？；：、" else ")"
