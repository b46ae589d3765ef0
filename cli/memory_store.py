"""`anima memory migrate`: moves the memory's store; nothing may use it meanwhile."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from cli.console import console, fail, results
from memory.schema import StoreError
from memory.store import Store
from services.runtime.errors import AnimaError

if TYPE_CHECKING:
    from memory.postgres.moving import Moved
    from memory.postgres.store import PostgresStore

_CONNECTIONS = 3


def migrate(
    source: Annotated[
        Path, typer.Option("--from", exists=True, file_okay=False, help="The data folder.")
    ],
    target: Annotated[
        str,
        typer.Option(
            "--to",
            envvar="ANIMA_MEMORY_POSTGRES",
            help="The database; by the variable its password is seen by nobody.",
            metavar="postgresql://USER:PASSWORD@HOST/NAME",
        ),
    ],
) -> None:
    """Move all memories from the data folder into PostgreSQL; goes on where it was cut off."""
    try:
        # asyncpg comes with the extra `postgres`.
        from memory.postgres import moving
        from memory.postgres.store import PostgresStore
    except ImportError as error:
        fail(f"{error}", remedy="pip install 'anima[postgres]'")
    folder = source / "memory"
    if not (folder / "memory.db").is_file():
        fail(f"{folder} holds no memory.db.")
    try:
        held = Store(folder)
        try:
            database = PostgresStore(target, connections=_CONNECTIONS)
            try:
                moved = _moved(moving, held, database)
            finally:
                database.close()
        finally:
            held.close()
    except (StoreError, AnimaError) as error:
        fail(str(error), remedy="What was moved stays; the same command goes on from there.")
    table = Table("table", "rows", "SHA-256 on both sides")
    for one in moved:
        table.add_row(one.table, str(one.rows), one.sha256[:16])
    results.print(table)
    console.print("Set ANIMA_MEMORY_ENGINE=postgres, then start the memory service.")


def _moved(moving: ModuleType, source: Store, target: PostgresStore) -> list[Moved]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def show(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = progress.add_task(table)
            progress.update(tasks[table], completed=done, total=total)

        moved: list[Moved] = moving.move(source, target, show)
        return moved
