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
    """A persona cannot be used; `problems` names file, entry and fault of each reason."""

    def __init__(self, folder: Path, problems: Sequence[str]) -> None:
        super().__init__(f"persona {folder.name!r}: " + "; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, kw_only=True)
class Persona:
    """Somebody to talk to, with all that it knows."""

    profile: Profile
    entries: tuple[Entry, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True, kw_only=True)
class PersonaListing:
    """A persona folder as `anima persona list` shows it."""

    name: str
    folder: Path
    profile: Profile | None
    """None if `persona.toml` has problems."""
    problems: tuple[str, ...]


def load_persona(folder: Path) -> Persona:
    """Reads a persona.

    Raises:
        PersonaError: Anything in the folder is wrong.
    """
    persona, problems = _read(folder)
    if persona is None or problems:
        raise PersonaError(folder, problems)
    return persona


def check_persona(folder: Path) -> list[str]:
    """What is wrong with a persona, one line for each fault; empty if it can be used."""
    return _read(folder)[1]


def list_personas(personas_dir: Path) -> list[PersonaListing]:
    """The personas of a folder by name: each subfolder with a `persona.toml`."""
    return [
        _list(path.parent)
        for path in sorted(personas_dir.glob("*/persona.toml"))
        if not path.parent.name.startswith(".")
    ]


def create_persona(folder: Path, name: str) -> Path:
    """Writes a small commented persona that works at once, to be filled.

    Args:
        folder: The folder that holds the personas; made if it is missing.
        name: Lower-case letters, digits, `-` and `_`.

    Returns:
        The folder of the new persona.

    Raises:
        PersonaError: The name is not one, or there is a folder of that name.
    """
    target = folder / name
    if not re.fullmatch(NAME_PATTERN, name):
        raise PersonaError(target, [f"name: {name!r} is not a name of a-z, 0-9, _ and -"])
    if target.exists():
        raise PersonaError(target, [f"{name}: there is such a folder already"])
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
    """Reads all that can be read, so that every fault is told at once."""
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
        problems.append(f"persona.toml: name: {profile.name!r} is not the folder's name")
    entries = load_corpus(folder, profile.languages, problems)
    passages = load_documents(folder, profile.languages, problems)
    if not entries and not passages and not problems:
        problems.append("corpus: empty, and no documents: the persona would know nothing")
    persona = Persona(profile=profile, entries=tuple(entries), passages=tuple(passages))
    return persona, problems
