"""Converts a model's output to the text of an answer: spoken text only, within the word limit."""

from __future__ import annotations

from services.llm.prompt.prompt import Prompt
from services.llm.speech.reasoning import ReasoningFilter
from services.llm.speech.speech_text import SpeechText
from services.llm.speech.words import pieces


class Writing:
    """The answer to one prompt while a model generates it.

    Reasoning is dropped, markup is converted to speech, and the answer ends at the word limit. The
    result does not depend on how the model's output is split into pieces.

    Attributes:
    full: Whether the word limit was reached; any further text is dropped.
    """

    def __init__(
        self, prompt: Prompt, *, opens_in_reasoning: bool = False, as_written: bool = False
    ) -> None:
        self.full = False
        self._reasoning = ReasoningFilter(inside=opens_in_reasoning)
        self._speech = None if as_written else SpeechText(prompt.language)
        self._room = prompt.max_words
        self._piece = ""  # the last piece returned; more of it may follow
        self._held = ""  # text that may belong to the first word over the limit

    def feed(self, text: str) -> str:
        """Takes more of the model's output; returns the new text of the answer."""
        kept = self._reasoning.feed(text)
        return kept if self._speech is None else self._limited(self._speech.feed(kept))

    def finish(self) -> str:
        """Ends the text; returns the text that was held back."""
        kept = self._reasoning.finish()
        if self._speech is None:
            return kept
        rest = self._speech.feed(kept) + self._speech.finish()
        said = self._limited(rest)
        return said if self.full else said + self._held

    def _limited(self, text: str) -> str:
        if self.full or not text:
            return ""
        text, self._held = self._held + text, ""
        said, known = "", self._piece
        for piece in pieces(known + text):
            new = piece.removeprefix(known)
            if not _is_word(piece):
                self._held, self._piece, known = self._held + new, "", ""
                continue
            if not known:
                if self._room == 0:
                    self.full = True
                    return said
                self._room -= 1
            said += self._held + new
            self._held, self._piece, known = "", piece, ""
        return said


def _is_word(piece: str) -> bool:
    return any(char.isalnum() for char in piece)
