"""The personas that the service can speak as."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from services.llm.persona.persona import Persona, PersonaError, load_persona
from services.runtime.errors import NotFound
from services.runtime.logs import get_logger
from services.runtime.settings import SettingsError

_MAX_NAMES_TOLD: Final = 20


class PersonaCatalogue:
    """The personas of a folder, the default one first."""

    def __init__(self, personas: Sequence[Persona]) -> None:
        self._personas = {persona.profile.name: persona for persona in personas}

    @classmethod
    def load(cls, personas_dir: Path, default: str) -> Self:
        """Reads the personas of a folder; one with problems is logged and left out.

        Raises:
            SettingsError: The default persona has problems, or no persona can be used.
        """
        personas: list[Persona] = []
        for path in sorted(personas_dir.glob("*/persona.toml")):
            try:
                personas.append(load_persona(path.parent))
            except PersonaError as error:
                if path.parent.name == default:
                    raise SettingsError(f"ANIMA_LLM_DEFAULT_PERSONA: {error}") from error
                get_logger().error("persona left out", persona=path.parent.name, why=str(error))
        if not personas:
            raise SettingsError(f"ANIMA_PERSONAS_DIR: no persona in {personas_dir}")
        return cls(sorted(personas, key=lambda persona: persona.profile.name != default))

    @property
    def personas(self) -> tuple[Persona, ...]:
        """All of them, the default first."""
        return tuple(self._personas.values())

    def choose(self, field: str, name: str) -> Persona:
        """The persona of a name; the default for an empty one.

        Raises:
            NotFound: There is none of that name; the text lists those there are.
        """
        if not name:
            return self.personas[0]
        if name not in self._personas:
            known = ", ".join(list(self._personas)[:_MAX_NAMES_TOLD])
            raise NotFound(
                f"{field}: no persona is called {name[:64]!r}; known: {known}",
                reason="UNKNOWN_PERSONA",
            )
        return self._personas[name]
