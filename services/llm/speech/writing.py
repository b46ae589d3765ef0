"""Converts a model's output to the text of an answer: spoken text only, within the word limit."""

from __future__ import annotations

from services.llm.prompt.prompt import Prompt
from services.llm.speech.control_tokens import ControlTokens
from services.llm.speech.reasoning import ReasoningFilter, ReasoningHabit
from services.llm.speech.speech_text import SpeechText
from services.llm.speech.words import pieces


class Writing:
    """The answer to one prompt while a model generates it.

    Reasoning is dropped, markup is converted to speech, and the answer ends at the word limit. The
    result does not depend on how the model's output is split into pieces, except that a block of
    reasoning without a beginning is dropped only as far as it was not returned before.

    Args:
        prompt: The question.
        habit: Whether the model's answers begin inside a block of reasoning.
        as_written: Whether markup is kept, because the answer is structured and not for speech.

    Attributes:
        full: Whether the word limit was reached; any further text is dropped.
    """

    def __init__(
        self, prompt: Prompt, *, habit: ReasoningHabit | None = None, as_written: bool = False
    ) -> None:
        self.full = False
        self._reasoning = ReasoningFilter(habit)
        self._tokens = ControlTokens((prompt.persona.profile.display_name,))
        self._speech = None if as_written else SpeechText(prompt.language)
        self._room = prompt.max_words
        self._wrote = False
        self._piece = ""  # the last piece returned; more of it may follow
        self._held = ""  # text that may belong to the first word over the limit

    @property
    def ended_unopened(self) -> bool:
        """Whether a block of reasoning ended that had no beginning."""
        return self._reasoning.ended_unopened

    @property
    def is_unclosed(self) -> bool:
        """Whether a block of reasoning that an earlier answer made expect has not ended."""
        return self._reasoning.is_unclosed

    def feed(self, text: str) -> str:
        """Takes more of the model's output; returns the new text of the answer."""
        self._wrote = self._wrote or bool(text.strip())
        kept = self._reasoning.feed(text)
        if self._speech is None:
            return kept
        return self._limited(self._speech.feed(self._tokens.feed(kept)))

    def finish(self) -> str:
        """Ends the text; returns the text that was held back.

        If nothing can be said of an answer that is not empty, the text says so.
        """
        kept = self._reasoning.finish()
        if self._speech is None:
            return kept
        kept = self._tokens.feed(kept) + self._tokens.finish()
        rest = self._speech.feed(kept) + self._speech.finish()
        if not self._wrote:
            return ""
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
