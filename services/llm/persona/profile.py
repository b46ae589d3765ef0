"""The file `persona.toml`: the identity, limits and voices of a persona."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
ADAPTER_PATTERN: Final = r"^([A-Za-z0-9][A-Za-z0-9._-]{0,127})?$"

Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8_000)]
Percent = Annotated[int, Field(ge=25, le=400)]

_BY_LANGUAGE: Final = (
    "system",
    "voices",
    "greetings",
    "descriptions",
    "suggestions",
    "unknown",
    "heard_as",
    "style",
    "examples",
)


class _Table(BaseModel):
    """A table of the file; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Voice(_Table):
    """The voice of a persona in one language."""

    names: tuple[Text, ...] = Field(min_length=1)
    """Voices of the TTS service, the preferred one first."""
    rate_percent: Percent = 100
    pitch_percent: Percent = 100

    @model_validator(mode="before")
    @classmethod
    def _accept_names_alone(cls, value: object) -> object:
        return {"names": value} if isinstance(value, list) else value


class Example(_Table):
    """A question with an answer in the persona's own tone."""

    question: Text
    answer: Text


class Limits(_Table):
    """Limits of a persona's answers and history."""

    max_words: int = Field(default=80, ge=5, le=2_000)
    """The maximum length of an answer in words (Chinese: characters)."""
    history_messages: int = Field(default=40, ge=0, le=200)
    """How many messages of the conversation the engine sees."""


class Profile(_Table):
    """The profile of a persona. docs/personas.md describes each key."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    display_name: Text
    description: Text
    descriptions: dict[Language, Text] = {}
    """The description in other words for a language; otherwise `description` is shown."""
    languages: tuple[Language, ...] = Field(min_length=1)
    avatar: Text
    system: dict[Language, Text]
    voices: dict[Language, Voice]
    greetings: dict[Language, tuple[Text, ...]]
    suggestions: dict[Language, tuple[Text, ...]] = {}
    unknown: dict[Language, tuple[Text, ...]] = {}
    heard_as: dict[Language, tuple[Text, ...]] = {}
    style: dict[Language, Text] = {}
    examples: dict[Language, tuple[Example, ...]] = {}
    adapter: Annotated[str, StringConstraints(pattern=ADAPTER_PATTERN)] = ""
    """A LoRA adapter of the language model; empty: the base model."""
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _check_languages(self) -> Profile:
        if len(set(self.languages)) != len(self.languages):
            raise ValueError(f"languages: a language is listed twice: {', '.join(self.languages)}")
        for field in _BY_LANGUAGE:
            for language in getattr(self, field):
                if language not in self.languages:
                    raise ValueError(f"{field}.{language}: {language!r} is not in languages")
        for field in ("system", "voices", "greetings"):
            for language in self.languages:
                if not getattr(self, field).get(language):
                    raise ValueError(f"{field}.{language}: missing")
        return self
