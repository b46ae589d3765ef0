"""The personas that the service can speak as."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from services.llm.persona.persona import Persona, PersonaError, load_persona
from services.runtime.config.settings import SettingsError
from services.runtime.errors import NotFound
from services.runtime.observing.logs import get_logger

_MAX_NAMES_TOLD: Final = 20


class PersonaCatalogue:
    """The personas of a folder, the default one first."""

    def __init__(self, personas: Sequence[Persona]) -> None:
        self._personas = {persona.profile.name: persona for persona in personas}

    @classmethod
    def load(cls, personas_dir: Path, default: str) -> Self:
        """Reads the personas of a folder; a persona with problems is logged and skipped.

        Raises:
            SettingsError: The default persona has problems, or no persona is usable.
        """
        personas: list[Persona] = []
        for path in sorted(personas_dir.glob("*/persona.toml")):
            try:
                personas.append(load_persona(path.parent))
            except PersonaError as error:
                if path.parent.name == default:
                    raise SettingsError(f"ANIMA_LLM_DEFAULT_PERSONA: {error}") from error
                get_logger().error("persona skipped", persona=path.parent.name, why=str(error))
        if not personas:
            raise SettingsError(f"ANIMA_PERSONAS_DIR: no persona in {personas_dir}")
        return cls(sorted(personas, key=lambda persona: persona.profile.name != default))

    @property
    def personas(self) -> tuple[Persona, ...]:
        """All personas, the default first."""
        return tuple(self._personas.values())

    def choose(self, field: str, name: str) -> Persona:
        """Returns the persona with a name; the default for an empty name.

        Raises:
            NotFound: There is no persona of that name; the text lists the known ones.
        """
        if not name:
            return self.personas[0]
        if name not in self._personas:
            known = ", ".join(list(self._personas)[:_MAX_NAMES_TOLD])
            raise NotFound(
                f"{field}: unknown persona {name[:64]!r}; known: {known}",
                reason="UNKNOWN_PERSONA",
            )
        return self._personas[name]
