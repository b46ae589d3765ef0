"""Splits an answer into segments to speak while it is being written.

The first segment is a short clause, so that speech starts early; the later ones are whole
sentences. The segmenter is a state machine over single characters, so the segments do not depend on
how the text is split into deltas. If a mark may belong to a number, an address, an ellipsis or a
closing quote, it waits for one more character; at the comma of a first clause, after a plain word
outside of quotes, it does not wait.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from gateway.turn.writing import punctuation
from text.abbreviations import ends_sentence, may_go_on_after
from text.scripts import is_ideographic

# TTS accepts 2,000 characters; a run without any place to cut is cut at this length.
_HARD_LIMIT_CHARS = 1500
_CJK_WEIGHT = 3
_FIRST_CLAUSE_WEIGHT = 12
_SURE_SENTENCE_WORDS = 4
_PLAIN = re.compile("[A-Za-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A clause or sentence of an answer.

    Attributes:
        number: Its number in the turn, from 1.
        text: The text, without white space at either end, never empty.
        start_char: The index of its first character in the answer, in code points.
    """

    number: int
    text: str
    start_char: int

    @property
    def end_char(self) -> int:
        """The index after the last character."""
        return self.start_char + len(self.text)


class _Waiting(enum.Enum):
    SENTENCE = enum.auto()
    CLAUSE = enum.auto()


class Segmenter:
    """Splits one answer into segments.

    The texts of the segments, joined by the white space between them, are the text of the answer.

    Args:
        max_weight: The longest segment: a letter counts 1, a Chinese character 3, because it takes
            about three times as long to speak.
        first_max_weight: The same limit for the first segment.
    """

    def __init__(self, *, max_weight: int = 240, first_max_weight: int = 120) -> None:
        self._max_weight = max_weight
        self._first_max_weight = first_max_weight
        self._held = ""
        self._held_start = 0
        self._weight = 0
        self._clause_ends: list[int] = []
        self._spaces: list[int] = []
        self._waiting: _Waiting | None = None
        self._after_dot: int | None = None  # a place where the next word decides
        self._open: list[str] = []
        self._number = 0

    def push(self, text: str) -> list[Segment]:
        """Takes more text and returns the segments that it completes.

        Args:
            text: Any number of characters.

        Returns:
            New segments in order; often none.
        """
        segments: list[Segment] = []
        at = 0
        while at < len(text):
            end = self._end_of_plain(text, at)
            if end > at:
                self._held += text[at:end]
                self._weight += end - at
                at = end
            else:
                self._feed(text[at], segments)
                at += 1
        if self._waiting is _Waiting.SENTENCE and self._is_plain_sentence():
            # The first sentence does not wait for the model's next word.
            self._waiting = None
            self._cut(len(self._held), segments)
        return segments

    def finish(self) -> list[Segment]:
        """Ends the text and returns the rest: one segment or none."""
        segments: list[Segment] = []
        self._cut(len(self._held), segments)
        return segments

    def _end_of_plain(self, text: str, at: int) -> int:
        """Returns the end of the letters and digits at a place that cannot end a segment.

        They are most of the text, and taking them one by one costs ten times as much.
        """
        decides = self._waiting is not None or self._after_dot == len(self._held)
        run = None if decides else _PLAIN.match(text, at)
        limit = self._max_weight if self._number else self._first_max_weight
        if run is None or self._weight + run.end() - at > limit:
            return at
        return run.end()

    def _feed(self, character: str, segments: list[Segment]) -> None:
        if self._after_dot is not None:
            self._decide_dot(character, segments)
        if self._waiting is not None and not self._extends(character):
            if self._confirms(character):
                self._end(self._waiting, segments)
            self._waiting = None
        waiting = self._waiting
        self._held += character
        self._weight += _CJK_WEIGHT if is_ideographic(character) else 1
        self._track_quotes(character)
        if character == "\n":
            self._open.clear()
            self._cut(len(self._held), segments)
        elif character.isspace():
            self._spaces.append(len(self._held))
        elif waiting is None:
            self._mark(character, segments)
        elif character in punctuation.SENTENCE_MARKS:
            self._waiting = _Waiting.SENTENCE
        self._limit(segments)

    def _mark(self, character: str, segments: list[Segment]) -> None:
        if character in punctuation.SENTENCE_MARKS:
            kind = _Waiting.SENTENCE
            if character == "." and self._dot_belongs_to_word():
                self._after_dot = len(self._held)
                return
        elif character in punctuation.CLAUSE_MARKS:
            kind = _Waiting.CLAUSE
        else:
            return
        if self._decides_at_once(character):
            self._end(kind, segments)
        else:
            self._waiting = kind

    def _dot_belongs_to_word(self) -> bool:
        return may_go_on_after(self._held.split()[-1]) or punctuation.is_list_number(self._held)

    def _decide_dot(self, character: str, segments: list[Segment]) -> None:
        """Ends the sentence at an earlier dot if the word after it, now whole, begins another."""
        place = self._after_dot or 0
        if len(self._held) == place and not character.isspace():
            # 3.14, e.g.: no word follows; after a number the dot may still be a full stop
            self._after_dot = None
            self._waiting = _Waiting.SENTENCE if self._held[-2:-1].isdigit() else None
            return
        following = self._held[place:].lstrip(" \"'“‘(")
        if not following or character.isalnum() or character in "'’-":
            return
        self._after_dot = None
        is_list_number = punctuation.is_list_number(self._held[:place])
        if not is_list_number and ends_sentence(self._held[:place].split()[-1], following):
            self._cut(place, segments)

    def _decides_at_once(self, mark: str) -> bool:
        if self._open:
            return False
        if mark in punctuation.PROMPT_MARKS:
            return True
        if mark not in ",;":
            return False
        word = self._held.split()[-1][:-1]
        return word.replace("'", "").replace("’", "").replace("-", "").isalpha()

    def _is_plain_sentence(self) -> bool:
        """Returns whether the first sentence certainly ends at its last mark.

        That is a full stop directly after a plain word, after three words, outside of quotes: a
        decimal, a domain or an abbreviation looks different, or the model splits it elsewhere.
        """
        words = self._held.split()
        if self._number or self._open or len(words) < _SURE_SENTENCE_WORDS:
            return False
        word, mark = words[-1][:-1], words[-1][-1]
        return mark in ".?!" and len(word) > 1 and word.isalpha() and word[1:].islower()

    def _extends(self, character: str) -> bool:
        """Returns whether a character after a mark still belongs to the mark."""
        if character in punctuation.SENTENCE_MARKS or character in punctuation.CLOSING:
            return True
        if character in "\"'":
            return character in self._open
        return character == "—" or punctuation.is_emoji_part(character)

    def _confirms(self, character: str) -> bool:
        """Returns whether a character after a mark shows that something new begins."""
        if character.isspace() or is_ideographic(character) or character in punctuation.OPENING:
            return True
        last = self._held[-1]
        return last in "。！？…，、；：—" or last in punctuation.CLOSING

    def _end(self, kind: _Waiting, segments: list[Segment]) -> None:
        if kind is _Waiting.SENTENCE or (self._number == 0 and self._is_clause()):
            self._cut(len(self._held), segments)
        else:
            self._clause_ends.append(len(self._held))

    def _is_clause(self) -> bool:
        cjk = sum(map(is_ideographic, self._held))
        words = sum(
            any(c.isalnum() and not is_ideographic(c) for c in word) for word in self._held.split()
        )
        return cjk * 3 + words * 4 >= _FIRST_CLAUSE_WEIGHT

    def _track_quotes(self, character: str) -> None:
        if character in self._open:
            del self._open[self._open.index(character) :]
        elif character in punctuation.OPENING:
            self._open.append(punctuation.OPENING[character])
        elif character == '"':
            self._open.append(character)

    def _limit(self, segments: list[Segment]) -> None:
        limit = self._max_weight if self._number else self._first_max_weight
        while self._weight > limit:
            place = self._place_to_cut()
            if place is None:
                return
            self._cut(place, segments)
            limit = self._max_weight

    def _place_to_cut(self) -> int | None:
        blank = len(self._held) - len(self._held.lstrip())
        for places in (self._clause_ends, self._spaces):
            usable = [place for place in places if blank < place < len(self._held)]
            if usable:
                return usable[-1]
        end = len(self._held) - 1
        last, before = self._held[end], self._held[end - 1]
        if is_ideographic(last) and (is_ideographic(before) or before.isalnum()):
            return end
        joined = any(punctuation.is_emoji_part(c) for c in (last, before))
        if end - blank >= _HARD_LIMIT_CHARS and not joined and last.isalnum():
            return end
        # A run of nothing but emoji and marks is cut too, before TTS rejects it.
        return end if end - blank >= _HARD_LIMIT_CHARS + 400 else None

    def _cut(self, place: int, segments: list[Segment]) -> None:
        piece = self._held[:place]
        text = piece.strip()
        if text:
            self._number += 1
            start = self._held_start + len(piece) - len(piece.lstrip())
            segments.append(Segment(number=self._number, text=text, start_char=start))
        self._held = self._held[place:]
        self._held_start += place
        self._weight = sum(_CJK_WEIGHT if is_ideographic(c) else 1 for c in self._held)
        self._clause_ends = [end - place for end in self._clause_ends if end > place]
        self._spaces = [end - place for end in self._spaces if end > place]
        self._after_dot = None
        if not self._held:
            self._waiting = None
