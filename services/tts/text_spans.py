"""The spoken parts of a text: cleaning that keeps positions, phrases, and caption words.

All spans are (start, end) in Unicode code points.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence

from text.scripts import is_ideographic

Span = tuple[int, int]

_CLAUSE_ENDS = ",;:，；：、—–"
_SENTENCE_ENDS = ".!?…。！？｡"
_CLOSERS = "\"')]}»”’」』）】》"
_KEPT_IN_WORDS = "%&#@"
_MIN_PHRASE_CHARS = 60
_MAX_PHRASE_CHARS = 200

_RUN = re.compile(r"\S+")


def speakable(text: str) -> str:
    """Replaces unspeakable characters by blanks, one for one, so that every index stays valid.

    Control characters must never reach eSpeak: it takes U+0001 as the start of an embedded command.
    Emoji and other pictures are silent, because both engines would read their names aloud.
    """
    return "".join(" " if _unspeakable(character) else character for character in text)


def _unspeakable(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "So":
        return character not in "°℃℉№"
    return (
        category[0] == "C"
        or category in {"Zl", "Zp"}
        or "\ufe00" <= character <= "\ufe0f"
        or ("\U0001f3fb" <= character <= "\U0001f3ff")
    )


def has_speech(text: str) -> bool:
    """Whether a `speakable` text contains any letter, digit or spoken symbol."""
    return any(
        unicodedata.category(character)[0] in "LN" or character in "%&@=+$€£¥°℃℉№"
        for character in text
    )


def phrases(text: str) -> list[Span]:
    """Splits a text where a speaker would breathe, into phrases of at most 200 characters.

    A phrase has at least 60 characters, so that ordinary clauses are not split. Text without
    punctuation is split at a blank, and a longer word inside the word.
    """
    spans: list[Span] = []
    start = 0
    while len(text) - start > _MIN_PHRASE_CHARS:
        window = text[start : start + _MAX_PHRASE_CHARS]
        cut = _phrase_end(window, whole=len(text) - start <= _MAX_PHRASE_CHARS)
        spans.append((start, start + cut))
        start += cut
    if start < len(text):
        spans.append((start, len(text)))
    return spans


def _phrase_end(window: str, *, whole: bool) -> int:
    clause = 0
    for index in range(_MIN_PHRASE_CHARS - 1, len(window)):
        character = window[index]
        following = window[index + 1] if index + 1 < len(window) else " "
        wide = unicodedata.east_asian_width(character) in "WF"
        if not (wide or following.isspace()):
            continue
        if character in _SENTENCE_ENDS:
            return index + 1
        if character in _CLAUSE_ENDS:
            clause = index + 1
    if whole:
        return len(window)
    blank = max(window.rfind(" "), window.rfind("\u3000"))
    return clause or (blank + 1 if blank >= _MIN_PHRASE_CHARS else len(window))


def ending(text: str) -> str:
    """Returns how a text ends: "sentence", "clause", or "" without punctuation."""
    bare = text.rstrip().rstrip(_CLOSERS).rstrip()
    if bare.endswith(tuple(_SENTENCE_ENDS)):
        return "sentence"
    return "clause" if bare.endswith(tuple(_CLAUSE_ENDS)) else ""


class CaptionWords:
    """The words of a text as shown in captions, found by the positions that a synthesiser reports.

    Words are separated by blanks and exclude the punctuation around them; each ideograph is a word.
    Reported positions are inexact inside numbers and abbreviations, constant in a run of Japanese,
    and skip the second word where eSpeak speaks two as one ("I am"). A word therefore extends to
    the next spoken one, so that captions lose nothing.
    """

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._starts = [start for start, _ in self._tokens]

    def __len__(self) -> int:
        return len(self._tokens)

    def index_at(self, char: int) -> int:
        """Returns the index of the word at a character, or of the last one before it, or 0."""
        return max(bisect_right(self._starts, char) - 1, 0)

    def span(self, index: int, next_index: int) -> Span:
        """Returns the characters of a word; `next_index` is the index of the next spoken word."""
        return self._tokens[index][0], self._tokens[max(index, next_index - 1)][1]


def _tokens(text: str) -> Sequence[Span]:
    tokens: list[Span] = []
    for match in _RUN.finditer(text):
        start = match.start()
        for piece in _pieces(match.group()):
            end = start + len(piece)
            span = _bare(text, start, end)
            if span is not None:
                tokens.append(span)
            start = end
    return tokens


def _pieces(run: str) -> list[str]:
    pieces = [""]
    for character in run:
        if is_ideographic(character) or (
            unicodedata.category(character)[0] == "P"
            and unicodedata.east_asian_width(character) in "WF"
        ):
            pieces += [character, ""]
        else:
            pieces[-1] += character
    return [piece for piece in pieces if piece]


def _bare(text: str, start: int, end: int) -> Span | None:
    while start < end and _is_punctuation(text[start]):
        start += 1
    while end > start and _is_punctuation(text[end - 1]):
        end -= 1
    return (start, end) if start < end else None


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] == "P" and character not in _KEPT_IN_WORDS
