"""Converts a model's output to text for speech: no markup, no lists, no links, no emoji.

The text arrives in pieces of any size and is read one character at a time, so that piece boundaries
make no difference. A character is held back only while it may be part of markup.
"""

from __future__ import annotations

import html
import re
from typing import Final

from services.llm.speech.speech_units import SpokenUnits
from text.scripts import CJK_PUNCTUATION, IDEOGRAPHIC

_MAX_LINK_CHARS: Final = 300
_MAX_TAG_CHARS: Final = 80
_MAX_ENTITY_CHARS: Final = 10
_ENDS: Final = ".!?:;,。！？：；，、…"
_CJK: Final = re.compile(f"[{IDEOGRAPHIC}{CJK_PUNCTUATION}]")
_EMOJI: Final = re.compile(
    "[\U0001f000-\U0001faff\U0001fc00-\U0001fffd\u2600-\u27bf\u2b05-\u2b55\u2190-\u21ff\u2300-\u23ff"
    "\u25a0-\u25ff\u200d\ufe0e\ufe0f\u20e3\u3030\u303d\u3297\u3299\U000e0020-\U000e007f]"
)
_URL_STARTS: Final = ("https://", "http://", "www.")
_URL_END: Final = re.compile(rf"[\s<>\"'）)\]}}，。！？、；：]|[{IDEOGRAPHIC}]")
_HOST: Final = re.compile(r"^(?:https?://)?(?:www\.)?([^/?#:]*)", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"\^.*|\d+(?:[,\- ]+\d+)*")
# After a letter: more letters, and words after single spaces; "h" and "w" may start a URL.
_WORDS: Final = re.compile("(?:[A-Za-z]+| [A-GI-VX-Za-gi-vx-z])+")
_FENCES: Final = ("```", "~~~")
_MARKER: Final = re.compile(r"(?:#{1,6}|[-*+•·◦▪‣–](?:[ \t]+\[[ xX]\])?)[ \t]+")
_NUMBER: Final = re.compile(r"(\d{1,2})(?:[.)][ \t]+|、[ \t]*)")
_BREAK: Final = re.compile(r"</?(?:br|p|div|li|td|tr|h[1-6])\b", re.IGNORECASE)
_RULE: Final = re.compile(r"[-*_=]{3,}|\|?[ \t:|-]*-[ \t:|-]*\|[ \t:|-]*")
# The start of a line while it may still be a marker, a rule or a fence.
_UNDECIDED: Final = re.compile(
    r"[ \t>]*(?:`{0,2}|~{0,2}|(?:```|~~~).*|#{1,6}[ \t]*|[-*_=|: \t]*|[+•·◦▪‣–][ \t]*"
    r"|[-*+•·◦▪‣–][ \t]+\[(?:[ xX](?:\][ \t]*)?)?|\d{1,2}(?:[.)、][ \t]*)?)"
)


class SpeechText:
    """Produces text for speech: call `feed` with each piece, then `finish`."""

    def __init__(self, language: str) -> None:
        self._units = SpokenUnits(language)
        self._opening = ""  # the start of a line while it may be a marker
        self._at_line_start = True
        self._held = ""  # an undecided construct inside the line
        self._fenced = False
        self._item = False  # the line is a list item or a heading: it ends with a stop
        self._item_number = 0
        self._last = ""  # the last visible character
        self._newlines = 0
        self._space = False
        self._tildes = 0
        self._stars = 0

    def feed(self, text: str) -> str:
        """Takes more text; returns the part that can be spoken now."""
        said, at = [], 0
        while at < len(text):
            if self._is_in_word() and (words := _WORDS.match(text, at)):
                said.append(words[0])
                at = words.end()
                self._last = text[at - 1]
            else:
                said.append(self._read(text[at]))
                at += 1
        return self._units.feed("".join(said))

    def finish(self) -> str:
        """Returns the text that was held back."""
        rest = self._close_opening() + self._close_held()
        if self._item and self._last and self._last not in _ENDS and not self._newlines:
            rest += self._stop()
        return self._units.feed(rest) + self._units.finish()

    def _is_in_word(self) -> bool:
        """Whether following words are spoken unchanged."""
        undecided = self._at_line_start or self._fenced or self._held or self._tildes or self._stars
        return not undecided and self._last_is_letter()

    def _read(self, char: str) -> str:
        if char == "\r":
            return ""
        if char == "\n":
            return self._end_line()
        if self._at_line_start:
            self._opening += char
            return self._close_opening() if _is_decided(self._opening) else ""
        if self._fenced:
            return ""
        return self._inside_line(char)

    def _end_line(self) -> str:
        opening = self._opening.strip()
        if self._at_line_start and opening.startswith(_FENCES):
            self._fenced = not self._fenced
            self._start_line()
            return ""
        blank = self._at_line_start and not opening
        written = self._close_opening() + self._close_held()
        ended_item = self._item
        self._start_line()
        if self._fenced or not self._last:
            return written
        if (ended_item or (blank and self._newlines)) and self._last not in _ENDS:
            written += self._stop()
        self._newlines += 1
        return written

    def _start_line(self) -> None:
        self._opening, self._held = "", ""
        self._at_line_start, self._item = True, False

    def _close_opening(self) -> str:
        """Reads the start of a line without its marker, once it is decided."""
        text, self._opening = self._opening.lstrip(" \t>"), ""
        if not self._at_line_start:
            return ""
        self._at_line_start = False
        if self._fenced or _RULE.fullmatch(text.rstrip()):
            return ""
        marker = _MARKER.match(text + " ")
        number = _NUMBER.match(text + " ")
        if number and int(number[1]) in (1, self._item_number + 1):
            self._item_number = int(number[1])
            marker = number
        elif not marker:
            self._item_number = 0
        if marker:
            self._item = True
            text = text[marker.end() :]
        return "".join(self._inside_line(char) for char in text)

    def _inside_line(self, char: str) -> str:
        if self._held:
            return self._hold(char)
        if char in "[!<&\\" or (char in "hHwW" and not self._last_is_letter()):
            self._held = char
            return ""
        return self._write(char)

    def _last_is_letter(self) -> bool:
        in_word = self._last.isascii() and self._last.isalnum()
        return in_word and not self._space and not self._newlines

    def _hold(self, char: str) -> str:
        held = self._held + char
        if held[0] in "hHwW":
            return self._hold_url(held)
        if held[0] == "\\":
            self._held = ""
            return "" if char in "\\`*_{}[]()#+-.!|~>" else self._write(char)
        if held[0] == "&":
            if char == ";":
                self._held = ""
                return self._write_all(html.unescape(held))
            return self._keep(held, char.isalnum() or char == "#", _MAX_ENTITY_CHARS)
        if held[0] == "<":
            if len(held) == 2 and not (char.isalpha() or char in "/!"):
                return self._release(held)
            if char == ">":
                self._space = self._space or bool(_BREAK.match(held))
                self._held = ""
                return ""
            return self._keep(held, char != "<", _MAX_TAG_CHARS)
        return self._hold_link(held)

    def _hold_url(self, held: str) -> str:
        lowered = held.lower()
        if any(start.startswith(lowered) for start in _URL_STARTS):
            self._held = held
            return ""
        if not lowered.startswith(_URL_STARTS):
            return self._release(held)
        if not _URL_END.match(held[-1]):
            self._held = held
            return ""
        spoken = self._spoken_url(held[:-1])
        self._held = ""
        return self._write_all(spoken) + self._inside_line(held[-1])

    def _hold_link(self, held: str) -> str:
        image = held[0] == "!"
        if image and held[1] != "[":
            return self._release(held)
        close = held.find("]")
        if close < 0:
            return self._keep(held, held.count("[") == 1, _MAX_LINK_CHARS)
        inner = held[2 if image else 1 : close]
        after = held[close + 1 :]
        if not after:
            self._held = held
            return ""
        if after[0] == "(":
            if after.count("(") == after.count(")"):
                self._held = ""
                return self._label(inner, image=image)
            return self._keep(held, True, _MAX_LINK_CHARS)
        self._held = ""
        return self._label(inner, image=image) + self._inside_line(after)

    def _label(self, inner: str, *, image: bool) -> str:
        """Returns the text of a link; nothing for pictures, footnotes and references."""
        return "" if image or _REFERENCE.fullmatch(inner) else self._write_all(inner)

    def _keep(self, held: str, fits: bool, max_chars: int) -> str:
        if fits and len(held) < max_chars:
            self._held = held
            return ""
        return self._release(held)

    def _release(self, held: str) -> str:
        """Not markup: the first character is text, and the rest is read again."""
        self._held = ""
        return self._write(held[0]) + "".join(self._inside_line(char) for char in held[1:])

    def _close_held(self) -> str:
        held, self._held = self._held, ""
        if not held:
            return ""
        if held.lower().startswith(_URL_STARTS):
            return self._write_all(self._spoken_url(held))
        if held[0] in "[!" and "]" in held:
            inner, _, after = held.partition("[")[2].partition("]")
            # the URL of a truncated link is not read
            return self._label(inner, image=held[0] == "!") + (
                "" if after.startswith("(") else self._write_all(after)
            )
        return self._write_all(held.rstrip("\\"))

    def _spoken_url(self, url: str) -> str:
        ends = url[len(url.rstrip(".,!?;:")) :]
        found = _HOST.match(url.rstrip(".,!?;:"))
        return (found[1] if found else "") + ends

    def _write_all(self, text: str) -> str:
        return "".join(self._write(char) for char in text)

    def _write(self, char: str) -> str:
        if char.isspace() or char == "|":
            self._space, self._tildes = True, 0
            return ""
        if char == "~":
            self._tildes += 1
            return ""
        if char in "*`" or _EMOJI.match(char):
            return self._lone(char)
        if char == "_":
            self._space = self._space or self._last_is_letter()
            return ""
        if not char.isprintable() and char not in "\u200c":
            return ""
        # "~5" is about five; every other tilde is markup
        about = "~" if self._tildes == 1 and char.isdigit() else ""
        # as is a lone star inside a number
        product = "×" if self._stars == 1 and char.isdigit() and not self._space else ""
        gap = self._gap(char)
        self._last, self._newlines, self._space = char, 0, False
        self._tildes = self._stars = 0
        return gap + about + product + char

    def _lone(self, char: str) -> str:
        # "3 * 4" is a product; every other star is markup
        if char == "*" and self._space and self._last.isdigit():
            return self._write("×")
        self._stars += char == "*" and self._last.isdigit()
        return ""

    def _gap(self, char: str) -> str:
        if not self._last or not (self._space or self._newlines):
            return ""
        if _CJK.match(self._last) and _CJK.match(char) and (self._newlines or not self._space):
            return ""
        if char in ",.!?;:，。！？；：、" and not self._newlines:
            return ""
        return " "

    def _stop(self) -> str:
        stop = "。" if _CJK.match(self._last) else "."
        self._last = stop
        return stop


def _is_decided(opening: str) -> bool:
    """Whether the start of a line decides its type."""
    return not _UNDECIDED.fullmatch(opening)
