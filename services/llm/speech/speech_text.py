"""Converts a model's output to the text of an answer: no markup, no code, no pictures.

The text arrives in pieces of any size and is read one character at a time, so that piece boundaries
make no difference. A character is held back only while it may be part of markup; a parser of
Markdown decides whether it is. All other characters stay as they are: how numbers, units and signs
are spoken is decided by the voice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from services.llm.speech.blocks import Line, Start, is_decided, read_line
from services.llm.speech.inline import InlineStream
from services.llm.speech.markdown import Kind, Piece, pieces_of
from services.llm.speech.silence import LeftOut
from services.llm.speech.spacing import Spacing
from services.llm.speech.tables import MAX_HEAD_CHARS, Table, may_be_delimiters
from text.languages import is_chinese_tag

_FENCE: Final = re.compile(r"[ \t>]*(`{3,}|~{3,})")
_WORDS: Final = re.compile("(?:[A-Za-z]+| [A-Za-z])+")
_LABEL: Final = re.compile(r"[^.!?。！？]{1,40}[:：]\s*\S.*|[A-Za-z][.)]\s.*")
_MAX_ROW_CHARS: Final = 400
_MAX_LINE_CHARS: Final = 2_000


class SpeechText:
    """Produces text for speech: call `feed` with each piece, then `finish`."""

    def __init__(self, language: str) -> None:
        self._spacing = Spacing(is_chinese=is_chinese_tag(language))
        self._inline = InlineStream()
        self._left_out = LeftOut(language)
        self._opening = ""  # the start of a line while it may be a marker
        self._at_line_start = True
        self._line = ""  # the content of the line so far
        self._context = ""  # stands for the line before
        self._number = 0  # of the item before
        self._fence = ""
        self._in_note = False
        self._item = False  # the line is a list item or a heading: it ends with a stop
        self._row: str | None = None  # the rest of a line that may be the head of a table
        self._head: str | None = None  # such a line when it is complete
        self._table: Table | None = None

    def feed(self, text: str) -> str:
        """Takes more text; returns the part that can be spoken now."""
        said, at = [], 0
        while at < len(text):
            if self._is_in_word() and (words := _WORDS.match(text, at)):
                said.append(words[0])
                at = words.end()
                self._line += words[0]
                self._spacing.last = text[at - 1]
                self._inline.passed(words[0])
            else:
                said.append(self._read(text[at]))
                at += 1
        return self._left_out.said("".join(said))

    def finish(self) -> str:
        """Returns the text that was held back; if nothing was said, says what was left out."""
        rest = self._close_line() + self._emit(self._inline.finish())
        if self._fence:
            rest += self._end_fence()
        if self._item and not self._spacing.newlines:
            rest += self._spacing.stop()
        return self._left_out.said(rest) + self._left_out.instead()

    def _is_in_word(self) -> bool:
        """Whether following words are spoken unchanged."""
        if self._at_line_start or self._fence or self._row is not None or self._in_note:
            return False
        spacing = self._spacing
        in_word = spacing.last.isascii() and spacing.last.isalnum()
        return in_word and not (spacing.space or spacing.newlines) and self._inline.is_idle

    def _read(self, char: str) -> str:
        if char == "\r":
            return ""
        if char == "\n":
            return self._end_line()
        if self._row is not None:
            self._row += char
            return self._release_row() if len(self._row) > _MAX_ROW_CHARS else ""
        if not self._at_line_start:
            return self._inside_line(char)
        self._opening += char
        if self._fence or self._in_note:
            self._opening = self._opening[:_MAX_LINE_CHARS]
            return ""
        if self._head is not None:
            return "" if may_be_delimiters(self._opening) else self._no_table()
        if self._table is not None:
            return "" if len(self._opening) < _MAX_LINE_CHARS else self._close_line()
        return self._begin_line() if is_decided(self._opening) else ""

    def _inside_line(self, char: str) -> str:
        may_be_row = char == "|" and self._inline.is_idle and not self._item
        if may_be_row and len(self._line) <= MAX_HEAD_CHARS:
            self._row = char
            return ""
        self._line += char
        return self._emit(self._inline.feed(char))

    def _end_line(self) -> str:
        if self._row is not None:
            self._head, self._row = self._row, None
            self._at_line_start = True
            return ""
        written = self._close_line()
        self._at_line_start = True
        self._spacing.end_line()
        return written

    def _close_line(self) -> str:
        """Reads a line that has ended before it was decided how it begins."""
        if self._row is not None:
            return self._release_row()
        if not self._at_line_start:
            return ""
        opening, self._opening = self._opening, ""
        if self._fence:
            return self._end_fence() if opening.strip().startswith(self._fence) else ""
        if self._head is not None:
            return self._begin_table(opening)
        if not opening.strip():
            return self._blank_line()
        if self._in_note:
            return ""
        if self._table is not None and "|" in opening:
            return self._say_row(self._table.row(opening))
        self._table = None
        if opening.lstrip().startswith("|"):
            self._head, self._line = opening, ""
            return ""
        self._opening = opening
        return self._begin_line()

    def _blank_line(self) -> str:
        self._table, self._in_note, self._context = None, False, ""
        written = self._emit(self._inline.finish())
        return written + self._spacing.stop() if self._spacing.newlines else written

    def _begin_line(self) -> str:
        """Reads the start of a line, once it is decided."""
        opening, self._opening = self._opening, ""
        line = read_line(opening, context=self._context, number=self._number)
        self._at_line_start = False
        if line.start is Start.CONTINUED:
            return self._go_on(line)
        written = self._emit(self._inline.finish())
        if self._item or line.start is not Start.TEXT or _is_apart(self._line, line.content):
            written += self._spacing.stop() if self._spacing.newlines else ""
        self._item = line.start is Start.ITEM
        self._number = line.number
        self._in_note = line.start is Start.NOTE
        self._line = ""
        self._context = ""
        if line.start is Start.FENCE:
            self._fence = _fence_of(opening)
        elif line.start in (Start.ITEM, Start.TEXT):
            self._context = "- x" if self._item else "x"
        return written + self._say(line.content)

    def _go_on(self, line: Line) -> str:
        written = ""
        if self._inline.is_idle and _is_apart(self._line, line.content):
            written = self._spacing.stop()
        elif not self._inline.is_idle:
            written = self._emit(self._inline.feed("\n"))
        self._line = ""
        return written + self._say(line.content)

    def _say(self, content: str) -> str:
        return "".join(self._inside_line(char) for char in content)

    def _end_fence(self) -> str:
        self._fence = ""
        note = self._left_out.code()
        if not note:
            return ""
        stop = self._spacing.stop()
        self._spacing.end_line()
        written = stop + self._spacing.write(note)
        self._spacing.end_line()
        return written

    def _release_row(self) -> str:
        """Reads the rest of a line with a bar as text."""
        row, self._row = self._row or "", None
        self._line += row
        return "".join(self._emit(self._inline.feed(char)) for char in row)

    def _no_table(self) -> str:
        """Reads a line as text, because the line after it does not make it the head of a table."""
        following, self._opening = self._opening, ""
        self._row, self._head = self._head, None
        written = ""
        if not self._line and self._row is not None and self._row.lstrip().startswith("|"):
            written = self._emit(self._inline.finish())
        written += self._release_row()
        self._context = "x"
        self._at_line_start = True
        self._spacing.end_line()
        return written + "".join(self._read(char) for char in following)

    def _begin_table(self, delimiters: str) -> str:
        """Reads the line after one with a bar, which may make it the head of a table."""
        head = self._line + (self._head or "")
        self._table = Table.begin(head, delimiters) if delimiters else None
        if self._table is None:
            self._opening = delimiters
            written = self._no_table()
            return written + (self._close_line() if self._at_line_start else "")
        cells = self._table.head()
        spoken = 1 if self._line.strip() else 0
        self._head, self._line, self._context = None, "", ""
        return self._say_row(cells[spoken:], begun=bool(spoken))

    def _say_row(self, cells: Sequence[str], *, begun: bool = False) -> str:
        written = self._emit(self._inline.finish())
        if not begun and self._spacing.newlines:
            written += self._spacing.stop()
        for cell in cells:
            pieces = pieces_of(cell)
            if not any(piece.text.strip() for piece in pieces):
                continue
            if begun:
                written += self._spacing.comma()
                self._spacing.space = not self._spacing.ends_chinese
            written += self._emit(pieces)
            begun = True
        return written + self._spacing.stop()

    def _emit(self, pieces: Iterable[Piece]) -> str:
        written = ""
        for piece in pieces:
            if piece.kind in (Kind.TEXT, Kind.FIXED):
                written += self._spacing.write(piece.text)
            elif piece.kind is Kind.BREAK:
                self._spacing.end_line()
            else:
                self._spacing.leave_out()
                if piece.kind is Kind.IMAGE:
                    self._left_out.picture(piece.text)
        return written


def _is_apart(line: str, following: str) -> bool:
    """Whether a line says something of its own, so that the next one begins a new sentence."""
    first = following.lstrip()[:1]
    return first.isupper() or first.isdigit() or _LABEL.fullmatch(line) is not None


def _fence_of(opening: str) -> str:
    fence = _FENCE.search(opening)
    return fence[1] if fence else "```"
