"""The package stands below all others."""

import ast
from pathlib import Path

import pytest

import text

FILES = sorted(Path(text.__file__).parent.rglob("*.py"))
PROJECT = {"anima", "cli", "gateway", "memory", "retrieval", "services", "tests", "bench"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_imports_nothing_of_the_project(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert not imported & PROJECT
