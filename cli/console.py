"""How the command speaks: one console for people on stderr, so that results can go to stdout."""

from __future__ import annotations

import os
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
from rich.table import Column, Table

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


def listing(*columns: str) -> Table:
    """Return a table whose cells are folded where they are too long, and never cut."""
    return Table(*(Column(name, overflow="fold") for name in columns))


def table_width() -> int:
    """Return the room for a table: a program that reads it is no terminal with 80 columns."""
    own = results.is_terminal or "COLUMNS" in os.environ
    return results.width if own else 10 * results.width


def print_table(table: Table) -> None:
    """Print a table as a result."""
    Console(highlight=False, width=table_width()).print(table)


def progress(*, download: bool = False) -> Progress:
    """Return a progress display that vanishes when it is done."""
    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn()]
    last = DownloadColumn() if download else TimeElapsedColumn()
    return Progress(*columns, last, console=console, transient=True)
