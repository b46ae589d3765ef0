"""No task is started outside `services/runtime/process/tasks.py`, where failures are never lost."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("cli", "gateway", "memory", "retrieval", "services", "text")
STARTS = ("create_task", "ensure_future")
OWNER = "services/runtime/process/tasks.py"
NOT_YET = frozenset(
    {
        "memory/facts/distiller.py",
        "memory/knowledge/library.py",
        "memory/periodic.py",
        "memory/stored_engine.py",
    }
)
"""Modules that start tasks of their own still. It must shrink to none."""


def bare_tasks(code: str) -> Iterator[int]:
    """Yields the lines that start or name a way to start a task; a `TaskGroup` is named `group`."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Attribute(value=ast.Name(id="group"), attr="create_task"):
                continue
            case ast.Attribute(attr=name, lineno=line) | ast.Name(id=name, lineno=line):
                if name in STARTS:
                    yield line
            case ast.ImportFrom(module="asyncio", lineno=line, names=names):
                if any(alias.name in STARTS for alias in names):
                    yield line


def test_tasks_are_started_in_one_place() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in NOT_YET | {OWNER}
        for line in bare_tasks(path.read_text("utf-8"))
    ]
    assert found == [], (
        "start them by `beside`, `first_of` or `Tasks` of services/runtime/process/tasks.py"
    )


@pytest.mark.parametrize(
    "code",
    [
        "asyncio.create_task(work())",
        "asyncio.ensure_future(work())",
        "asyncio.get_running_loop().create_task(work())",
        "from asyncio import create_task",
        "start = loop.create_task",
    ],
)
def test_bare_task_is_found(code: str) -> None:
    assert list(bare_tasks(code)) == [1]


@pytest.mark.parametrize("code", ["group.create_task(work())", "tasks.start(work())"])
def test_owned_task_is_allowed(code: str) -> None:
    assert list(bare_tasks(code)) == []
