"""What an answer says if nothing of it can be said."""

from __future__ import annotations

import tomllib
import unicodedata
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from text.languages import primary

_WORDING: Final = MappingProxyType(
    tomllib.loads((files("services.llm.speech") / "silence.toml").read_text(encoding="utf-8"))
)


class LeftOut:
    """Keeps account of what was said and what was left out.

    Args:
        language: Of the answer, BCP-47; sentences about what was left out are in it, or in English.
    """

    def __init__(self, language: str) -> None:
        self._wording = _WORDING.get(primary(language), _WORDING["en"])
        self._spoke = False
        self._code = False
        self._pictures: list[str] = []
        self._signs = ""

    def said(self, text: str) -> str:
        """Takes note of text that is said; returns it."""
        if not self._spoke:
            self._spoke = any(char.isalnum() for char in text)
            self._signs = (self._signs + text)[:40]
        return text

    def code(self) -> str:
        """Returns the sentence that code was left out, once in an answer."""
        known, self._code = self._code, True
        return "" if known else self._wording["code"]

    def picture(self, description: str) -> None:
        """Takes note of a picture."""
        self._pictures.append(description)

    def instead(self) -> str:
        """Returns what is said if nothing was: names of emoji, or a neutral sentence."""
        if self._spoke:
            return ""
        described = [each for each in self._pictures if any(char.isalnum() for char in each)]
        if described:
            return self._after_signs(self._wording["picture"].format("; ".join(described)))
        if self._pictures:
            return self._after_signs(self._wording["pictures"])
        return self._after_signs(self._wording["nothing"])

    def _after_signs(self, sentence: str) -> str:
        signs = self._signs
        return f" {sentence}" if signs and not signs[-1].isspace() else sentence


def is_emoji(char: str) -> bool:
    """Whether a character is a picture."""
    return unicodedata.category(char) == "So"
