"""Subtitles of an answer, made from the times of its words."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pysubs2.formats.subrip import SubripFormat
from pysubs2.formats.webvtt import WebVTTFormat

from anima.common.v1 import common_pb2 as common
from gateway.turn.writing import punctuation
from text.abbreviations import ends_sentence, may_go_on_after
from text.scripts import is_ideographic

_MAX_WEIGHT = 84
_MAX_MS = 6000
_PAUSE_MS = 700
_MIN_MS = 500
_WORD = re.compile(r"[\w'’-]+")


@dataclass(frozen=True, kw_only=True)
class Cue:
    """A line of subtitles.

    Attributes:
        start_ms: When it appears.
        end_ms: When it disappears.
        text: Its text.
    """

    start_ms: int
    end_ms: int
    text: str


def cues(text: str, words: Sequence[common.WordMark], *, sample_rate_hz: int) -> list[Cue]:
    """Groups the words of an answer into readable lines.

    A line ends at the end of a sentence, at a pause, after 6 s, or at 84 letters (42 Chinese
    characters). Its text is a slice of the answer, so it keeps the answer's punctuation and spaces.

    Args:
        text: The answer.
        words: Its words in order, with spans in code points of `text`.
        sample_rate_hz: Samples per second of the marks.
    """
    placed = [word for word in words if word.HasField("chars")]
    groups = list(_groups(text, placed, sample_rate_hz))
    lines: list[Cue] = []
    start = 0
    for number, group in enumerate(groups):
        following = groups[number + 1] if number + 1 < len(groups) else None
        end = following[0].chars.start_char if following else len(text)
        start_ms = _start_ms(group[0], sample_rate_hz)
        end_ms = max(_end_ms(group[-1], sample_rate_hz), start_ms + _MIN_MS)
        if following:
            end_ms = min(end_ms, _start_ms(following[0], sample_rate_hz))
        line = " ".join(text[start:end].split())
        lines.append(Cue(start_ms=start_ms, end_ms=max(end_ms, start_ms + 1), text=line))
        start = end
    return lines


def to_vtt(lines: Sequence[Cue]) -> str:
    """Writes lines as WebVTT; what would be a tag in a cue is escaped."""
    stamp = WebVTTFormat.ms_to_timestamp
    return "WEBVTT\n\n" + _file(lines, stamp, lambda text: html.escape(text, quote=False))


def to_srt(lines: Sequence[Cue]) -> str:
    """Writes lines as SubRip, which has no escapes: an arrow is shortened."""
    stamp = SubripFormat.ms_to_timestamp
    return _file(lines, stamp, lambda text: text.replace("-->", "->"))


def _groups(
    text: str, words: Sequence[common.WordMark], rate_hz: int
) -> Iterator[list[common.WordMark]]:
    group: list[common.WordMark] = []
    for word in words:
        if group and _breaks(text, group, word, rate_hz):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _breaks(
    text: str, group: Sequence[common.WordMark], word: common.WordMark, rate_hz: int
) -> bool:
    last = text[group[-1].chars.start_char : word.chars.start_char].strip()
    bare = last.rstrip("".join(punctuation.CLOSING) + "\"'")
    if bare[-1:] in punctuation.SENTENCE_MARKS and _ends_sentence(
        bare, text[word.chars.start_char :]
    ):
        return True
    start_ms = _start_ms(word, rate_hz)
    if start_ms - _end_ms(group[-1], rate_hz) > _PAUSE_MS:
        return True
    if _end_ms(word, rate_hz) - _start_ms(group[0], rate_hz) > _MAX_MS:
        return True
    line = text[group[0].chars.start_char : word.chars.end_char]
    return sum(2 if is_ideographic(character) else 1 for character in line) > _MAX_WEIGHT


def _ends_sentence(word: str, following: str) -> bool:
    if not may_go_on_after(word):
        return True
    next_word = _WORD.match(following)
    return ends_sentence(word, next_word[0] if next_word else "")


def _start_ms(word: common.WordMark, rate_hz: int) -> int:
    return word.samples.start_sample * 1000 // rate_hz


def _end_ms(word: common.WordMark, rate_hz: int) -> int:
    return (word.samples.start_sample + word.samples.sample_count) * 1000 // rate_hz


def _file(lines: Sequence[Cue], stamp: Callable[[int], str], shown: Callable[[str], str]) -> str:
    # pysubs2 itself writes the text as SubStation Alpha, in which {x} and \N have a meaning.
    return "".join(
        f"{number}\n{stamp(line.start_ms)} --> {stamp(line.end_ms)}\n{shown(line.text)}\n\n"
        for number, line in enumerate(lines, 1)
    )
