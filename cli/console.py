"""How the command speaks: one console for people on stderr, so that results can go to stdout."""

from __future__ import annotations

from typing import Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

console: Final = Console(stderr=True, highlight=False)
"""Progress, tables and errors."""

results: Final = Console(highlight=False, soft_wrap=True)
"""What a command was asked for."""


def fail(problem: str, *, remedy: str = "", code: int = 1) -> NoReturn:
    """Say what is wrong and what to do about it, and end the command."""
    console.print(f"[bold red]Error:[/] {escape(problem)}", soft_wrap=True)
    if remedy:
        console.print(remedy, markup=False, soft_wrap=True)
    raise typer.Exit(code)


def progress(*, download: bool = False) -> Progress:
    """Return a progress display that vanishes when it is done."""
    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn()]
    last = DownloadColumn() if download else TimeElapsedColumn()
    return Progress(*columns, last, console=console, transient=True)
