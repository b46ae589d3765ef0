"""The documents of a persona: files `documents/*.md` and `*.txt`, split into passages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.llm.persona.corpus import read_text
from services.llm.speech.words import sentences
from text.languages import language_of, spoken

MAX_PASSAGE_CHARS: Final = 600

_FENCE: Final = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_BULLET: Final = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_IMAGE: Final = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_BARE_LINK: Final = re.compile(r"<?https?://[^\s>]+>?")
_EMPHASIS: Final = re.compile(r"(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1")
_HTML: Final = re.compile(r"<!--.*?-->|</?[A-Za-z][^>]*>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A self-contained part of a document."""

    document: str
    """The file name."""
    heading: str
    """The heading above it; may be empty."""
    language: str
    text: str
    """Plain text without markup, at most `MAX_PASSAGE_CHARS` unless a sentence is longer."""


def load_documents(folder: Path, languages: Sequence[str], problems: list[str]) -> list[Passage]:
    """Reads the documents of a persona.

    The language of `facts.zh.md` is Chinese; without such a suffix it is detected from the text.

    Args:
        folder: The persona's folder.
        languages: The languages that the persona speaks.
        problems: Receives every fault with its file.

    Returns:
        The passages in the order of files and lines.
    """
    passages: list[Passage] = []
    paths = (
        path for ending in ("md", "txt") for path in (folder / "documents").glob(f"*.{ending}")
    )
    for path in sorted(paths):
        name = f"documents/{path.name}"
        text = read_text(path, name, problems)
        if text is None:
            continue
        if not text.strip():
            problems.append(f"{name}: empty")
            continue
        tag = path.stem.rpartition(".")[2] if "." in path.stem else ""
        fixed = spoken(tag, languages) if tag else None
        for heading, paragraph in _paragraphs(text):
            language = fixed or language_of(paragraph, languages)
            passages.extend(
                Passage(document=path.name, heading=heading, language=language, text=part)
                for part in _parts(paragraph)
            )
    return passages


def _paragraphs(text: str) -> Iterator[tuple[str, str]]:
    """Yields (heading, plain paragraph); a list item is its own paragraph."""
    heading = ""
    lines: list[str] = []
    for line in [*_FENCE.sub("", _HTML.sub("", text)).splitlines(), ""]:
        found = _HEADING.match(line)
        bullet = _BULLET.match(line)
        if (found or bullet or not line.strip()) and lines:
            yield heading, _plain(lines)
            lines = []
        if found:
            heading = _plain([found.group(1)])
        elif line.strip() and not line.lstrip().startswith(("|", "---")):
            lines.append(line[bullet.end() :] if bullet else line)


def _plain(lines: Sequence[str]) -> str:
    text = " ".join(line.strip().lstrip("> ") for line in lines)
    text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    text = _EMPHASIS.sub(r"\2", _BARE_LINK.sub("", text))
    return re.sub(r"\s+", " ", text).strip()


def _parts(paragraph: str) -> Iterator[str]:
    part = ""
    for sentence in sentences(paragraph):
        if part and len(part) + len(sentence) > MAX_PASSAGE_CHARS:
            yield part.strip()
            part = ""
        part += sentence
    if part.strip():
        yield part.strip()
