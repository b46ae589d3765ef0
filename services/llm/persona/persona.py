"""A persona: a folder with `persona.toml`, a corpus, documents and an avatar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from services.llm.persona.corpus import Entry, load_corpus, read_toml, validation_faults
from services.llm.persona.documents import Passage, load_documents
from services.llm.persona.persona_template import template_files
from services.llm.persona.profile import NAME_PATTERN, Profile


class PersonaError(Exception):
    """A persona is unusable; `problems` lists each fault with its file and entry."""

    def __init__(self, folder: Path, problems: Sequence[str]) -> None:
        super().__init__(f"persona {folder.name!r}: " + "; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, kw_only=True)
class Persona:
    """A character that users talk to, with its knowledge."""

    profile: Profile
    entries: tuple[Entry, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True, kw_only=True)
class PersonaListing:
    """A persona folder as shown by `anima persona list`."""

    name: str
    folder: Path
    profile: Profile | None
    """None if `persona.toml` has problems."""
    problems: tuple[str, ...]


def load_persona(folder: Path) -> Persona:
    """Reads a persona.

    Raises:
        PersonaError: The folder has any fault.
    """
    persona, problems = _read(folder)
    if persona is None or problems:
        raise PersonaError(folder, problems)
    return persona


def check_persona(folder: Path) -> list[str]:
    """Returns the faults of a persona, one line each; empty if it is usable."""
    return _read(folder)[1]


def list_personas(personas_dir: Path) -> list[PersonaListing]:
    """Lists the personas of a folder by name: each subfolder with a `persona.toml`."""
    return [
        _list(path.parent)
        for path in sorted(personas_dir.glob("*/persona.toml"))
        if not path.parent.name.startswith(".")
    ]


def create_persona(folder: Path, name: str) -> Path:
    """Writes a small commented persona that works as it is.

    Args:
        folder: The folder of the personas; created if it is missing.
        name: Lower-case letters, digits, `-` and `_`.

    Returns:
        The folder of the new persona.

    Raises:
        PersonaError: The name is invalid, or the folder exists.
    """
    target = folder / name
    if not re.fullmatch(NAME_PATTERN, name):
        raise PersonaError(target, [f"name: {name!r} may contain only a-z, 0-9, _ and -"])
    if target.exists():
        raise PersonaError(target, [f"{name}: the folder already exists"])
    for relative, text in template_files(name).items():
        path = target / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return target


def _list(folder: Path) -> PersonaListing:
    persona, problems = _read(folder)
    return PersonaListing(
        name=folder.name,
        folder=folder,
        profile=persona.profile if persona else None,
        problems=tuple(problems),
    )


def _read(folder: Path) -> tuple[Persona | None, list[str]]:
    """Reads as much as possible, so that all faults are reported at once."""
    problems: list[str] = []
    table = read_toml(folder / "persona.toml", "persona.toml", problems)
    if table is None:
        return None, problems
    try:
        profile = Profile.model_validate(table)
    except ValidationError as error:
        problems.extend(f"persona.toml: {fault}" for fault in validation_faults(error))
        return None, problems
    if profile.name != folder.resolve().name:
        problems.append(f"persona.toml: name: {profile.name!r} is not the name of the folder")
    entries = load_corpus(folder, profile.languages, problems)
    passages = load_documents(folder, profile.languages, problems)
    if not entries and not passages and not problems:
        problems.append("corpus: empty, and there are no documents: the persona would know nothing")
    persona = Persona(profile=profile, entries=tuple(entries), passages=tuple(passages))
    return persona, problems
