"""How questions are compared with a persona's entries, for each encoder and language.

Tuned on the questions of tests/unit/llm/questions.toml, except those that are held out.
docs/personas.md has the rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from retrieval.encoders import is_multilingual
from retrieval.hybrid import TextEmbedder
from text.languages import primary


class Encoder(TextEmbedder, Protocol):
    """Computes vectors of texts, and says which ones."""

    @property
    def model_id(self) -> str:
        """Identifies the weights."""
        ...


@dataclass(frozen=True, kw_only=True)
class Encoders:
    """The encoders of an engine.

    Attributes:
        everywhere: Compares questions of all languages that it knows; None: by words only.
        english: Compares English ones instead, if there is one.
    """

    everywhere: Encoder | None = None
    english: Encoder | None = None

    def of(self, language: str) -> Encoder | None:
        """Returns the encoder for questions in a language; None: by words only."""
        if primary(language) == "en":
            return self.english or self.everywhere
        if self.everywhere is None or not is_multilingual(self.everywhere.model_id):
            return None
        return self.everywhere


BY_WORDS: Final = Encoders()


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What the parts of a fit count, and how good it must be.

    Attributes:
        phrasing_share: The weight of the vector of the phrasing.
        whole_share: The weight of the vector of the entry; the rest is for words.
        accept: The fit from which an entry is spoken.
        lead_share: What the lead over the second entry counts in favour of the first.
        impersonal: How much better a question must fit that addresses nobody: "What does a
            graphics card cost?" is not about the persona's need for one.
    """

    phrasing_share: float
    whole_share: float
    accept: float
    lead_share: float = 1.0
    impersonal: float = 0.06

    def required(self, lead: float, *, is_personal: bool) -> float:
        """Returns the fit that an entry needs to be spoken.

        Args:
            lead: How much better it fits than the second one.
            is_personal: Whether the question addresses the persona, or what is at hand.
        """
        ahead = min(max(lead, 0.0), _MOST_LEAD) - _USUAL_LEAD
        return self.accept - self.lead_share * ahead + (0 if is_personal else self.impersonal)


_USUAL_LEAD: Final = 0.075
_MOST_LEAD: Final = 0.15
_JOINED: Final = Tuning(phrasing_share=0.35, whole_share=0.45, accept=0.48)
_MULTILINGUAL: Final = Tuning(phrasing_share=0.35, whole_share=0.45, accept=0.44)
_ENGLISH_BY_MULTILINGUAL: Final = Tuning(phrasing_share=0.35, whole_share=0.45, accept=0.50)
_ENGLISH: Final = Tuning(phrasing_share=0.35, whole_share=0.45, accept=0.50)
_ACCEPT_BY_WORDS: Final = {"en": 0.52, "zh": 0.44}
_ACCEPT_BY_WORDS_ELSEWHERE: Final = 0.52


def tuning_for(language: str, encoder: Encoder | None) -> Tuning:
    """Returns the tuning for questions in a language, compared by `Encoders.of` that language."""
    if encoder is None:
        accept = _ACCEPT_BY_WORDS.get(primary(language), _ACCEPT_BY_WORDS_ELSEWHERE)
        return Tuning(phrasing_share=0, whole_share=0, accept=accept, lead_share=0.5)
    if "+" in encoder.model_id:
        return _JOINED
    if not is_multilingual(encoder.model_id):
        return _ENGLISH
    return _ENGLISH_BY_MULTILINGUAL if primary(language) == "en" else _MULTILINGUAL
