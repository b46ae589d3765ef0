"""The corpus of a persona: questions and their answers, in files `corpus/*.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

MAX_FILE_BYTES: Final = 1 << 20

_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
# Marks that a voice would read out loud or stumble over.
_UNSPEAKABLE: Final = (
    (re.compile(r"https?://|www\.", re.IGNORECASE), "a link cannot be spoken"),
    (re.compile(r"[*_`#|]|^\s*[-•]\s", re.MULTILINE), "markdown cannot be spoken"),
    (re.compile(r"\n"), "an answer is one line"),
)


@dataclass(frozen=True, kw_only=True)
class Wording:
    """An entry in one language."""

    questions: tuple[str, ...]
    answers: tuple[str, ...]
    """Variants; the next one is used if the first was said before."""
    more: str
    """The answer if the user asks for more; may be empty."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A question that a persona can answer."""

    id: str
    topic: str
    """The file name without its extension: `memory` for corpus/memory.toml."""
    wordings: Mapping[str, Wording]


class _WordingTable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: tuple[_Line, ...] = Field(min_length=1)
    answer: _Line | Annotated[tuple[_Line, ...], Field(min_length=1)]
    more: _Line | None = None


def read_text(path: Path, name: str, problems: list[str]) -> str | None:
    """Reads a file of a persona; faults are added to `problems`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        problems.append(f"{name}: cannot be read: {error.strerror}")
        return None
    if len(data) > MAX_FILE_BYTES:
        problems.append(f"{name}: must be at most {MAX_FILE_BYTES} bytes, got {len(data)}")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(f"{name}: not UTF-8: byte {error.start} is 0x{data[error.start]:02x}")
        return None


def read_toml(path: Path, name: str, problems: list[str]) -> dict[str, Any] | None:
    """Reads a TOML file of a persona; faults are added to `problems`."""
    text = read_text(path, name, problems)
    if text is None:
        return None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{name}: not TOML: {error}")
        return None


def validation_faults(error: ValidationError) -> Iterator[str]:
    """Yields the faults of a table, each as "key.key: fault"."""
    for fault in error.errors():
        message = fault["msg"].removeprefix("Value error, ")
        place = ".".join(str(part) for part in fault["loc"])
        yield f"{place}: {message}" if place else message


def load_corpus(folder: Path, languages: Sequence[str], problems: list[str]) -> list[Entry]:
    """Reads the corpus of a persona.

    Args:
        folder: The persona's folder.
        languages: The languages that the persona speaks.
        problems: Receives every fault with its file and entry.

    Returns:
        The valid entries, in the order of files and lines.
    """
    entries: list[Entry] = []
    places: dict[str, str] = {}
    for path in sorted((folder / "corpus").glob("*.toml")):
        name = f"corpus/{path.name}"
        document = read_toml(path, name, problems)
        if document is None:
            continue
        problems.extend(f"{name}: unknown key {key!r}" for key in document if key != "entry")
        rows = document.get("entry", [])
        if not isinstance(rows, list) or not rows:
            problems.append(f"{name}: no [[entry]]")
            continue
        for number, row in enumerate(rows, start=1):
            where = f"{name}: entry {number}"
            entry = _parse_entry(row, where, path.stem, languages, problems)
            if entry is None:
                continue
            if entry.id in places:
                problems.append(f"{where}: id {entry.id!r} is already used by {places[entry.id]}")
                continue
            places[entry.id] = where
            entries.append(entry)
    problems.extend(_repeated_questions(entries))
    return entries


def _parse_entry(
    row: object, where: str, topic: str, languages: Sequence[str], problems: list[str]
) -> Entry | None:
    if not isinstance(row, dict):
        problems.append(f"{where}: not a table")
        return None
    before = len(problems)
    entry_id = row.get("id")
    if not isinstance(entry_id, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", entry_id):
        problems.append(f"{where}: id: {entry_id!r} is not a name of a-z, 0-9, _ and -")
        return None
    where = f"{where} ({entry_id})"
    wordings: dict[str, Wording] = {}
    for key, table in row.items():
        if key == "id":
            continue
        if key not in languages:
            known = ", ".join(languages)
            problems.append(f"{where}: {key}: neither id nor a language of the persona ({known})")
            continue
        try:
            parsed = _WordingTable.model_validate(table)
        except ValidationError as error:
            problems.extend(f"{where}: {key}.{fault}" for fault in validation_faults(error))
            continue
        answers = (parsed.answer,) if isinstance(parsed.answer, str) else parsed.answer
        wordings[key] = Wording(questions=parsed.questions, answers=answers, more=parsed.more or "")
        for text in (*answers, parsed.more or ""):
            problems.extend(
                f"{where}: {key}.answer: {fault}: {text[:40]!r}"
                for pattern, fault in _UNSPEAKABLE
                if pattern.search(text)
            )
    if not wordings and len(problems) == before:
        problems.append(f"{where}: no answer: no table such as [entry.{languages[0]}]")
    if len(problems) > before:
        return None
    return Entry(id=entry_id, topic=topic, wordings=wordings)


def _repeated_questions(entries: Sequence[Entry]) -> Iterator[str]:
    seen: dict[tuple[str, str], str] = {}
    for entry in entries:
        for language, wording in entry.wordings.items():
            for question in wording.questions:
                key = (language, "".join(filter(str.isalnum, question.casefold())))
                other = seen.setdefault(key, entry.id)
                if other != entry.id:
                    yield (
                        f"corpus/{entry.topic}.toml: entry {entry.id}: {language}.questions: "
                        f"{question!r} is also in entry {other}"
                    )
