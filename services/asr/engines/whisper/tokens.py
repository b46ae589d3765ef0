"""The tokens of a Whisper model: its languages, its special tokens, text and words."""

import re
from pathlib import Path
from typing import Final, NamedTuple

from tokenizers import Tokenizer

from text.scripts import UNSPACED

_LANGUAGE: Final = re.compile(r"<\|([a-z]{2,3})\|>")
_UNSPACED: Final = re.compile(f"[{UNSPACED}]")
_INCOMPLETE: Final = "\ufffd"


class Spelling(NamedTuple):
    """A word and the tokens that spell it, `first` to `end` (exclusive)."""

    text: str
    first: int
    end: int


class Vocabulary:
    """Reads `tokenizer.json` of a Whisper model.

    Attributes:
        languages: BCP-47 tags of the languages in the order of the model; only English for a model
            that knows no other.

    Args:
        path: The file.

    Raises:
        ValueError: It is not the tokenizer of a Whisper model.
        Exception: It cannot be read (the tokenizers library has no narrower error).
    """

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._start = self._id("<|startoftranscript|>")
        self._no_timestamps = self._id("<|notimestamps|>")
        self.end = self._id("<|endoftext|>")
        self._transcribe = self._id("<|transcribe|>")
        self.languages = tuple(self._languages())

    def _id(self, token: str) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"it has no token {token}")
        return found

    def _languages(self) -> list[str]:
        known = []
        at = self._start + 1
        while found := _LANGUAGE.fullmatch(self._tokenizer.id_to_token(at) or ""):
            known.append(found[1])
            at += 1
        return known

    def start_of(self, language: str, *, multilingual: bool) -> list[int]:
        """Returns the tokens that ask for a transcript in a language, without timestamps."""
        if not multilingual:
            return [self._start, self._no_timestamps]
        return [*self.task_of(language, multilingual=True), self._no_timestamps]

    def task_of(self, language: str, *, multilingual: bool) -> list[int]:
        """Returns the tokens that name language and task, which the alignment needs."""
        if not multilingual:
            return [self._start]
        return [self._start, self._id(f"<|{language}|>"), self._transcribe]

    def text(self, ids: list[int]) -> str:
        """Returns the text of tokens, without special ones."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def words(self, ids: list[int]) -> list[Spelling]:
        """Splits tokens into words; in scripts without spaces each character is one.

        Punctuation belongs to the word before it.
        """
        words: list[Spelling] = []
        for unit in self._characters(ids):
            last = words[-1] if words else None
            if last is None or _begins_word(last.text, unit.text):
                words.append(unit)
            else:
                words[-1] = Spelling(last.text + unit.text, last.first, unit.end)
        stripped = (Spelling(text.strip(), first, end) for text, first, end in words)
        return [word for word in stripped if word.text]

    def _characters(self, ids: list[int]) -> list[Spelling]:
        """Returns the shortest runs of tokens that are whole characters."""
        units = []
        first = 0
        for end in range(1, len(ids) + 1):
            text = self._tokenizer.decode(ids[first:end], skip_special_tokens=True)
            if _INCOMPLETE not in text or end == len(ids):
                units.append(Spelling(text, first, end))
                first = end
        return units


def _begins_word(before: str, text: str) -> bool:
    if not any(character.isalnum() for character in text):
        return False
    return text.startswith(" ") or bool(_UNSPACED.match(text[0]) or _UNSPACED.match(before[-1]))
