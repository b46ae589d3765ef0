"""The texts of the project are plain technical English: some words must not come back."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.requirements import ROOT

WORDS = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\banew\b": "again",
    r"\bfor want of\b": "because there is no",
}
"""Words that nobody uses in technical English, and what to write instead."""
FIRST_WORDS = {r"Gives?\b": "Returns", r"Tells?\b": "Reports"}
"""The same for the first word of a docstring."""
PROSE = (".css", ".html", ".js", ".md", ".proto", ".toml")
NOT_OURS = ("anima/", "personas/", "tests/unit/test_prose.py")
"""Generated code, what personas say, and the lists of words above."""


@cache
def files() -> tuple[str, ...]:
    """Returns the paths of the files under version control, and of those that could be added."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return tuple(p for p in listed if not p.startswith(NOT_OURS) and (ROOT / p).is_file())


@cache
def texts() -> tuple[tuple[str, int, str], ...]:
    """Returns all texts with their files and line numbers."""
    prose = [p for p in files() if p.endswith((".py", *PROSE)) or Path(p).name == "Makefile"]
    return tuple((path, line, text) for path in prose for line, text in texts_of(path))


def texts_of(path: str) -> Iterator[tuple[int, str]]:
    """Yields the texts of a file with their line numbers; of Python, its strings and comments."""
    content = (ROOT / path).read_text("utf-8")
    if not path.endswith(".py"):
        yield from enumerate(content.splitlines(), 1)
        return
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        if token.type in kinds:
            yield token.start[0], token.string


@cache
def docstrings() -> tuple[tuple[str, int, str], ...]:
    """Returns all docstrings with their files and the line numbers of what they describe."""
    described = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return tuple(
        (path, getattr(node, "lineno", 1), ast.get_docstring(node) or "")
        for path in files()
        if path.endswith(".py")
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
        if isinstance(node, described)
    )


@pytest.mark.parametrize(("word", "better"), WORDS.items())
def test_words_that_are_not_plain(word: str, better: str) -> None:
    found = [
        f"{path}:{line}: {re.search(word, text, re.IGNORECASE)[0]!r}, better {better!r}"  # type: ignore[index]
        for path, line, text in texts()
        if re.search(word, text, re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("word", "better"), FIRST_WORDS.items())
def test_docstrings_begin_with_a_plain_verb(word: str, better: str) -> None:
    found = [
        f"{path}:{line}: {text.splitlines()[0]!r}; begin with {better!r}"
        for path, line, text in docstrings()
        if re.match(word, text)
    ]
    assert not found, "\n".join(found)
