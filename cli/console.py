"""Output of the command: messages to stderr, results to stdout."""

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
"""The results of a command."""


def fail(problem: str, *, remedy: str = "", code: int = 1) -> NoReturn:
    """Prints a problem and its remedy and exits the command."""
    report(problem, remedy=remedy)
    raise typer.Exit(code)


def report(problem: str, *, remedy: str = "") -> None:
    """Prints a problem and its remedy; the command goes on."""
    console.print(f"[bold red]Error:[/] {escape(problem)}", soft_wrap=True)
    if remedy:
        console.print(remedy, markup=False, soft_wrap=True)


def listing(*columns: str) -> Table:
    """Returns a table that wraps long cells and never truncates them."""
    return Table(*(Column(name, overflow="fold") for name in columns))


def table_width() -> int:
    """Returns the width for a table: wide if the output is read by a program."""
    own = results.is_terminal or "COLUMNS" in os.environ
    return results.width if own else 10 * results.width


def print_table(table: Table) -> None:
    """Prints a table as a result."""
    Console(highlight=False, width=table_width()).print(table)


def progress(*, download: bool = False) -> Progress:
    """Returns a progress display that disappears when it is done."""
    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn()]
    last = DownloadColumn() if download else TimeElapsedColumn()
    return Progress(*columns, last, console=console, transient=True)
